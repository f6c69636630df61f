//! What the machines may be told: limits, deadlines, strictness. Every bound stands beside its default.

use core::num::NonZeroU64;
use core::time::Duration;

/// Bounds on what a peer may send and on what is buffered. All sizes are in bytes *seen*, so that no limit
/// depends on how the bytes are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a head, from the start-line's first byte to the empty line's last; one of exactly this size
    /// is accepted. Default: 64 KiB for a server, 256 KiB for a client. This is also how far the receive
    /// buffer may grow. At most 1 GiB is used.
    pub head: usize,
    /// Field lines of a head. Default: 100 for a server, 256 for a client (which is also its most).
    pub fields: usize,
    /// Bytes of a request target. Default: 16 KiB.
    pub target: usize,
    /// Bytes of a trailer section with its empty line. Default: 16 KiB. At most 1 GiB is used.
    pub trailers: usize,
    /// Field lines of a trailer section. Default: 100.
    pub trailer_fields: usize,
    /// Bytes of a chunk-size line with its extensions, without CRLF. Default: 4,096.
    pub chunk_line: usize,
    /// How far chunk framing (size lines and line ends) may outgrow twice the data; each chunk has 16 bytes
    /// free. Default: 16 KiB.
    pub chunk_overhead: usize,
    /// Interim responses to one request (client). Default: 100.
    pub interim: usize,
    /// Empty lines before a request line. Default: 4. A client accepts none before a status line, whatever this
    /// says.
    pub empty_lines: usize,
    /// Bytes of a request body that a server discards after an early answer so that the connection can be
    /// kept, and bytes that are discarded while lingering. Default: 256 KiB.
    pub discard: u64,
    /// The size at which a receive buffer starts. Default: 8 KiB. It grows to `recv_buffer_max` when reads
    /// fill it, and beyond only for a head that needs it.
    pub recv_buffer: usize,
    /// How far a receive buffer grows while a body is read. Default: 64 KiB.
    pub recv_buffer_max: usize,
    /// Output that may be queued: `send_body_copy` never passes it, and other bodies are accepted only below it,
    /// whole (so one of them may pass it). Heads and trailers, which are the application's own size, count but are
    /// always accepted. Default: 64 KiB. At least 64 bytes are used.
    pub send_buffer: usize,
}

impl Limits {
    /// The head limit as it is used: offsets are 32 bits wide.
    pub(crate) fn head_max(&self) -> usize {
        self.head.min(1 << 30)
    }

    pub(crate) fn trailers_max(&self) -> usize {
        self.trailers.min(1 << 30)
    }

    /// The output limit as it is used: below this no chunk would fit.
    pub(crate) fn send_max(&self) -> usize {
        self.send_buffer.max(64)
    }

    /// The defaults of a server.
    pub const SERVER: Limits = Limits {
        head: 64 * 1024,
        fields: 100,
        target: 16 * 1024,
        trailers: 16 * 1024,
        trailer_fields: 100,
        chunk_line: 4096,
        chunk_overhead: 16 * 1024,
        interim: 100,
        empty_lines: 4,
        discard: 256 * 1024,
        recv_buffer: 8 * 1024,
        recv_buffer_max: 64 * 1024,
        send_buffer: 64 * 1024,
    };
    /// The defaults of a client.
    pub const CLIENT: Limits = Limits {
        head: 256 * 1024,
        fields: 256,
        empty_lines: 0,
        ..Limits::SERVER
    };
}

/// A minimum rate at which body bytes must arrive while the machine waits for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct MinRate {
    /// At least this many bytes ...
    pub bytes: NonZeroU64,
    /// ... in every stretch of this length spent waiting.
    pub per: Duration,
}

/// Deadlines. `None` switches one off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Server: from the first byte of a request to the end of its head. Default: 30 s.
    pub head: Option<Duration>,
    /// Without an open exchange and without a byte of one. Default: 120 s for a server, 90 s for a client
    /// (less, if the server announces `Keep-Alive: timeout=N`: N minus 1 s).
    pub idle: Option<Duration>,
    /// Waiting for body bytes. Default: 30 s for a server, 60 s for a client.
    pub body_stall: Option<Duration>,
    /// A minimum rate for body bytes. Default: none.
    pub body_rate: Option<MinRate>,
    /// Output queued and none taken. Default: 30 s for a server, 60 s for a client.
    pub write_stall: Option<Duration>,
    /// Client: from the request being fully written to the response head's end. Default: none.
    pub response_head: Option<Duration>,
    /// Client: from the request head being fully written to `100 Continue`; the body is sent then.
    /// `None` sends the body at once. Default: 1 s.
    pub continue_wait: Option<Duration>,
    /// After the half-close, until the peer closes too. Default: 500 ms. `None` closes at once, which may
    /// reset the connection under the peer's eyes.
    pub linger: Option<Duration>,
    /// Client: after a failed write, how long to wait for an answer, and then for each further part of it. Default: 50 ms.
    pub write_failed_grace: Duration,
}

impl Timeouts {
    /// The defaults of a server.
    pub const SERVER: Timeouts = Timeouts {
        head: Some(Duration::from_secs(30)),
        idle: Some(Duration::from_secs(120)),
        body_stall: Some(Duration::from_secs(30)),
        body_rate: None,
        write_stall: Some(Duration::from_secs(30)),
        response_head: None,
        continue_wait: None,
        linger: Some(Duration::from_millis(500)),
        write_failed_grace: Duration::from_millis(50),
    };
    /// The defaults of a client.
    pub const CLIENT: Timeouts = Timeouts {
        head: None,
        idle: Some(Duration::from_secs(90)),
        body_stall: Some(Duration::from_secs(60)),
        write_stall: Some(Duration::from_secs(60)),
        continue_wait: Some(Duration::from_secs(1)),
        linger: None,
        ..Timeouts::SERVER
    };
}

/// How strictly a peer's messages are read: a table of single switches, all off in [`Profile::STRICT`], the
/// default. Each switch names the attack that it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Profile {
    /// Accept a line of a head or trailer section that ends in LF alone (RFC 9112, section 2.2 allows it).
    /// Chunk framing is not covered: nothing good sends it so.
    ///
    /// Opens: smuggling behind a peer that sees no line end there, so that what it takes for one value is
    /// two fields here.
    pub bare_lf: bool,
    /// Requests and trailers: join a folded line to the one before it with one space (RFC 9112, section 5.2).
    /// Responses are always unfolded.
    ///
    /// Opens: a field hidden in a folded line, which another recipient reads as a field of its own.
    pub fold_in_requests: bool,
    /// Accept a request with both Transfer-Encoding and Content-Length: Transfer-Encoding wins and the
    /// connection closes afterwards. Responses are always read so.
    ///
    /// Opens: smuggling behind a proxy that believes Content-Length (CL.TE).
    pub length_and_coding: bool,
    /// Accept Transfer-Encoding in an HTTP/1.0 request; the connection closes afterwards.
    ///
    /// Opens: smuggling behind an HTTP/1.0 proxy that ignores the field.
    pub coding_in_http10: bool,
    /// Accept white space between field name and colon in responses, where it is removed (RFC 9112, section 5.1).
    ///
    /// Opens: cache poisoning where another recipient takes the name with its space for an unknown field.
    pub space_before_colon: bool,
    /// Accept several spaces between the parts of a status line.
    ///
    /// Opens: nothing known on its own; it hides a broken origin.
    pub status_line_spaces: bool,
    /// Leave out malformed field lines of a response instead of refusing it.
    ///
    /// Opens: a framing field spelled so that only one of two recipients sees it.
    pub ignore_bad_fields: bool,
    /// Accept bytes above 0x7F in a request target.
    ///
    /// Opens: two spellings of one resource, so that a filter in front sees another path.
    pub target_high_bytes: bool,
    /// Accept any value in Host, still only once.
    ///
    /// Opens: cache poisoning and routing to the wrong site by values that components read differently.
    pub any_host: bool,
    /// Accept white space around the number in a chunk-size line that has no extension.
    ///
    /// Opens: a chunk that a stricter recipient refuses, so that both disagree on whether a message is valid.
    pub space_in_chunk_size: bool,
}

impl Profile {
    /// Everything as the RFCs and safe framing ask. The default.
    pub const STRICT: Profile = Profile {
        bare_lf: false,
        fold_in_requests: false,
        length_and_coding: false,
        coding_in_http10: false,
        space_before_colon: false,
        status_line_spaces: false,
        ignore_bad_fields: false,
        target_high_bytes: false,
        any_host: false,
        space_in_chunk_size: false,
    };
    /// What browsers accept from servers: bare LF, spaces before colons and in status lines, bad lines ignored.
    pub const BROWSER: Profile = Profile {
        bare_lf: true,
        space_before_colon: true,
        status_line_spaces: true,
        ignore_bad_fields: true,
        space_in_chunk_size: true,
        ..Profile::STRICT
    };
    /// Every switch on: for talking to old equipment on networks you trust.
    pub const LENIENT: Profile = Profile {
        fold_in_requests: true,
        length_and_coding: true,
        coding_in_http10: true,
        target_high_bytes: true,
        any_host: true,
        ..Profile::BROWSER
    };
}

/// Who words the reply to a request that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(clippy::exhaustive_enums)]
pub enum ErrorReply {
    /// The machine: a short fixed text with the status and `Connection: close`.
    #[default]
    Automatic,
    /// The application: a refused *head* becomes [`ServerEvent::Rejected`](super::ServerEvent::Rejected).
    Application,
    /// Nobody: the connection just closes.
    Silent,
}

/// The settings of a [`ServerConn`](super::ServerConn), shared by all connections of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Bounds.
    pub limits: Limits,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Strictness. Default: [`Profile::STRICT`].
    pub profile: Profile,
    /// Who words error replies. Default: the machine.
    pub error_reply: ErrorReply,
    /// Treat the client's half-close while its request is answered as its leaving. Default: `false`, since
    /// clients may shut down their side and read on.
    pub cancel_on_half_close: bool,
    /// Keep connections alive. Default: `true`.
    pub keep_alive: bool,
}

impl ServerConfig {
    /// The defaults.
    pub const DEFAULT: ServerConfig = ServerConfig {
        limits: Limits::SERVER,
        timeouts: Timeouts::SERVER,
        profile: Profile::STRICT,
        error_reply: ErrorReply::Automatic,
        cancel_on_half_close: false,
        keep_alive: true,
    };
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig::DEFAULT
    }
}

/// The settings of a [`ClientConn`](super::ClientConn), shared by all connections of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Bounds.
    pub limits: Limits,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Strictness. Default: [`Profile::STRICT`].
    pub profile: Profile,
}

impl ClientConfig {
    /// The defaults.
    pub const DEFAULT: ClientConfig = ClientConfig {
        limits: Limits::CLIENT,
        timeouts: Timeouts::CLIENT,
        profile: Profile::STRICT,
    };
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig::DEFAULT
    }
}
