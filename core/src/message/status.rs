//! [`Status`]: a response status code, with the registered codes as constants.

use core::fmt;
use core::num::NonZeroU16;

/// A status code from 100 to 999 (RFC 9110, section 15).
///
/// Codes of 600 and above have no defined meaning but do occur; they are carried, not judged.
///
/// ```
/// use antiphon_core::Status;
/// assert_eq!(Status::new(404), Ok(Status::NOT_FOUND));
/// assert_eq!(Status::NOT_FOUND.reason(), "Not Found");
/// assert!(Status::new(99).is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(NonZeroU16);

impl Status {
    /// The status of this number.
    ///
    /// # Errors
    /// [`InvalidStatus`] outside 100..=999.
    pub const fn new(code: u16) -> Result<Status, InvalidStatus> {
        match NonZeroU16::new(code) {
            Some(c) if code >= 100 && code <= 999 => Ok(Status(c)),
            _ => Err(InvalidStatus(())),
        }
    }

    const fn known(code: u16) -> Status {
        match Status::new(code) {
            Ok(s) => s,
            Err(_) => panic!("a status constant lies within 100..=999"),
        }
    }

    /// The number.
    pub const fn code(self) -> u16 {
        self.0.get()
    }

    /// Whether it is 1xx: interim, or 101.
    pub const fn is_informational(self) -> bool {
        self.code() < 200
    }

    /// Whether it is 2xx.
    pub const fn is_success(self) -> bool {
        self.code() / 100 == 2
    }

    /// Whether it is 3xx.
    pub const fn is_redirection(self) -> bool {
        self.code() / 100 == 3
    }

    /// Whether it is 4xx.
    pub const fn is_client_error(self) -> bool {
        self.code() / 100 == 4
    }

    /// Whether it is 5xx.
    pub const fn is_server_error(self) -> bool {
        self.code() / 100 == 5
    }

    /// Whether a response of this status never has content: 1xx, 204, 304 (RFC 9112, section 6.3).
    pub const fn is_bodiless(self) -> bool {
        self.is_informational() || matches!(self.code(), 204 | 304)
    }

    /// The registered reason phrase; empty for a code without one.
    pub const fn reason(self) -> &'static str {
        match self.code() {
            100 => "Continue",
            101 => "Switching Protocols",
            102 => "Processing",
            103 => "Early Hints",
            200 => "OK",
            201 => "Created",
            202 => "Accepted",
            203 => "Non-Authoritative Information",
            204 => "No Content",
            205 => "Reset Content",
            206 => "Partial Content",
            207 => "Multi-Status",
            208 => "Already Reported",
            226 => "IM Used",
            300 => "Multiple Choices",
            301 => "Moved Permanently",
            302 => "Found",
            303 => "See Other",
            304 => "Not Modified",
            305 => "Use Proxy",
            307 => "Temporary Redirect",
            308 => "Permanent Redirect",
            400 => "Bad Request",
            401 => "Unauthorized",
            402 => "Payment Required",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            406 => "Not Acceptable",
            407 => "Proxy Authentication Required",
            408 => "Request Timeout",
            409 => "Conflict",
            410 => "Gone",
            411 => "Length Required",
            412 => "Precondition Failed",
            413 => "Content Too Large",
            414 => "URI Too Long",
            415 => "Unsupported Media Type",
            416 => "Range Not Satisfiable",
            417 => "Expectation Failed",
            418 => "I'm a teapot",
            421 => "Misdirected Request",
            422 => "Unprocessable Content",
            423 => "Locked",
            424 => "Failed Dependency",
            425 => "Too Early",
            426 => "Upgrade Required",
            428 => "Precondition Required",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            451 => "Unavailable For Legal Reasons",
            500 => "Internal Server Error",
            501 => "Not Implemented",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            505 => "HTTP Version Not Supported",
            506 => "Variant Also Negotiates",
            507 => "Insufficient Storage",
            508 => "Loop Detected",
            510 => "Not Extended",
            511 => "Network Authentication Required",
            _ => "",
        }
    }
}

/// The registered status codes.
impl Status {
    /// `100 Continue`
    pub const CONTINUE: Status = Status::known(100);
    /// `101 Switching Protocols`
    pub const SWITCHING_PROTOCOLS: Status = Status::known(101);
    /// `102 Processing`
    pub const PROCESSING: Status = Status::known(102);
    /// `103 Early Hints`
    pub const EARLY_HINTS: Status = Status::known(103);
    /// `200 OK`
    pub const OK: Status = Status::known(200);
    /// `201 Created`
    pub const CREATED: Status = Status::known(201);
    /// `202 Accepted`
    pub const ACCEPTED: Status = Status::known(202);
    /// `203 Non-Authoritative Information`
    pub const NON_AUTHORITATIVE_INFORMATION: Status = Status::known(203);
    /// `204 No Content`
    pub const NO_CONTENT: Status = Status::known(204);
    /// `205 Reset Content`
    pub const RESET_CONTENT: Status = Status::known(205);
    /// `206 Partial Content`
    pub const PARTIAL_CONTENT: Status = Status::known(206);
    /// `207 Multi-Status`
    pub const MULTI_STATUS: Status = Status::known(207);
    /// `208 Already Reported`
    pub const ALREADY_REPORTED: Status = Status::known(208);
    /// `226 IM Used`
    pub const IM_USED: Status = Status::known(226);
    /// `300 Multiple Choices`
    pub const MULTIPLE_CHOICES: Status = Status::known(300);
    /// `301 Moved Permanently`
    pub const MOVED_PERMANENTLY: Status = Status::known(301);
    /// `302 Found`
    pub const FOUND: Status = Status::known(302);
    /// `303 See Other`
    pub const SEE_OTHER: Status = Status::known(303);
    /// `304 Not Modified`
    pub const NOT_MODIFIED: Status = Status::known(304);
    /// `305 Use Proxy`
    pub const USE_PROXY: Status = Status::known(305);
    /// `307 Temporary Redirect`
    pub const TEMPORARY_REDIRECT: Status = Status::known(307);
    /// `308 Permanent Redirect`
    pub const PERMANENT_REDIRECT: Status = Status::known(308);
    /// `400 Bad Request`
    pub const BAD_REQUEST: Status = Status::known(400);
    /// `401 Unauthorized`
    pub const UNAUTHORIZED: Status = Status::known(401);
    /// `402 Payment Required`
    pub const PAYMENT_REQUIRED: Status = Status::known(402);
    /// `403 Forbidden`
    pub const FORBIDDEN: Status = Status::known(403);
    /// `404 Not Found`
    pub const NOT_FOUND: Status = Status::known(404);
    /// `405 Method Not Allowed`
    pub const METHOD_NOT_ALLOWED: Status = Status::known(405);
    /// `406 Not Acceptable`
    pub const NOT_ACCEPTABLE: Status = Status::known(406);
    /// `407 Proxy Authentication Required`
    pub const PROXY_AUTHENTICATION_REQUIRED: Status = Status::known(407);
    /// `408 Request Timeout`
    pub const REQUEST_TIMEOUT: Status = Status::known(408);
    /// `409 Conflict`
    pub const CONFLICT: Status = Status::known(409);
    /// `410 Gone`
    pub const GONE: Status = Status::known(410);
    /// `411 Length Required`
    pub const LENGTH_REQUIRED: Status = Status::known(411);
    /// `412 Precondition Failed`
    pub const PRECONDITION_FAILED: Status = Status::known(412);
    /// `413 Content Too Large`
    pub const CONTENT_TOO_LARGE: Status = Status::known(413);
    /// `414 URI Too Long`
    pub const URI_TOO_LONG: Status = Status::known(414);
    /// `415 Unsupported Media Type`
    pub const UNSUPPORTED_MEDIA_TYPE: Status = Status::known(415);
    /// `416 Range Not Satisfiable`
    pub const RANGE_NOT_SATISFIABLE: Status = Status::known(416);
    /// `417 Expectation Failed`
    pub const EXPECTATION_FAILED: Status = Status::known(417);
    /// `418 I'm a teapot`
    pub const IM_A_TEAPOT: Status = Status::known(418);
    /// `421 Misdirected Request`
    pub const MISDIRECTED_REQUEST: Status = Status::known(421);
    /// `422 Unprocessable Content`
    pub const UNPROCESSABLE_CONTENT: Status = Status::known(422);
    /// `423 Locked`
    pub const LOCKED: Status = Status::known(423);
    /// `424 Failed Dependency`
    pub const FAILED_DEPENDENCY: Status = Status::known(424);
    /// `425 Too Early`
    pub const TOO_EARLY: Status = Status::known(425);
    /// `426 Upgrade Required`
    pub const UPGRADE_REQUIRED: Status = Status::known(426);
    /// `428 Precondition Required`
    pub const PRECONDITION_REQUIRED: Status = Status::known(428);
    /// `429 Too Many Requests`
    pub const TOO_MANY_REQUESTS: Status = Status::known(429);
    /// `431 Request Header Fields Too Large`
    pub const REQUEST_HEADER_FIELDS_TOO_LARGE: Status = Status::known(431);
    /// `451 Unavailable For Legal Reasons`
    pub const UNAVAILABLE_FOR_LEGAL_REASONS: Status = Status::known(451);
    /// `500 Internal Server Error`
    pub const INTERNAL_SERVER_ERROR: Status = Status::known(500);
    /// `501 Not Implemented`
    pub const NOT_IMPLEMENTED: Status = Status::known(501);
    /// `502 Bad Gateway`
    pub const BAD_GATEWAY: Status = Status::known(502);
    /// `503 Service Unavailable`
    pub const SERVICE_UNAVAILABLE: Status = Status::known(503);
    /// `504 Gateway Timeout`
    pub const GATEWAY_TIMEOUT: Status = Status::known(504);
    /// `505 HTTP Version Not Supported`
    pub const HTTP_VERSION_NOT_SUPPORTED: Status = Status::known(505);
    /// `506 Variant Also Negotiates`
    pub const VARIANT_ALSO_NEGOTIATES: Status = Status::known(506);
    /// `507 Insufficient Storage`
    pub const INSUFFICIENT_STORAGE: Status = Status::known(507);
    /// `508 Loop Detected`
    pub const LOOP_DETECTED: Status = Status::known(508);
    /// `510 Not Extended`
    pub const NOT_EXTENDED: Status = Status::known(510);
    /// `511 Network Authentication Required`
    pub const NETWORK_AUTHENTICATION_REQUIRED: Status = Status::known(511);
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl PartialEq<u16> for Status {
    fn eq(&self, other: &u16) -> bool {
        self.code() == *other
    }
}

/// The number is no status code (100 to 999).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidStatus(());

impl fmt::Display for InvalidStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a status code: it must lie within 100..=999")
    }
}

impl core::error::Error for InvalidStatus {}
