//! [`Fault`]: the kinds of trouble that a world makes, and [`Faults`], how often it really did; [`Plant`]: the
//! defects that can be planted to see the checks bite.

counted! {
    /// A kind of trouble. Counted when it is really made, not when it is planned.
    Fault,
    /// How often each kind of trouble was made.
    Faults;

    /// A read gave less than was there.
    ShortRead = "short reads",
    /// A write took less than there was room for.
    PartialWrite = "partial writes",
    /// A poll said "not now" although it could have moved bytes, and woke later.
    Unready = "readiness told late",
    /// A task was polled for no reason.
    SpuriousWake = "spurious wake-ups",
    /// Tasks that were ready ran only after the clock had moved.
    BusyScheduler = "tasks run late",
    /// A timer fired later than asked.
    LateTimer = "late timers",
    /// A task was given a new waker, and the one before was made inert.
    NewWaker = "wakers replaced",
    /// A writer found the window full.
    FullWindow = "full windows",
    /// Bytes stopped for a while in the middle of a stream.
    Stall = "stalls",
    /// From some byte on nothing arrives any more, not even an end.
    Silence = "silences",
    /// A direction ended early at some byte: half-close.
    Eof = "early ends of stream",
    /// A connection was reset at some byte.
    Reset = "resets",
    /// A reset that followed from closing with bytes unread.
    ResetByClose = "resets by closing",
    /// Bytes that had arrived were thrown away by a reset.
    Discarded = "bytes discarded by resets",
    /// A connection was refused.
    ConnectRefused = "connections refused",
    /// A connection attempt got no answer.
    ConnectSilent = "connection attempts without an answer",
    /// A name was not found.
    ResolveFailed = "names not found",
    /// A name had an address at which nobody listens, before the good one.
    DeadAddress = "dead addresses",
    /// Accepting failed for once.
    AcceptError = "accept errors",
    /// A request's future was dropped.
    Cancelled = "requests cancelled",
    /// A response body was dropped before its end.
    BodyDropped = "response bodies dropped",
    /// A request body was dropped by its handler before its end.
    UploadDropped = "request bodies dropped",
    /// A request had a time limit that was too short for it.
    ShortTimeout = "time limits passed",
    /// An application's body stream failed.
    BodyFailed = "body streams failed",
    /// A handler returned an error.
    HandlerError = "handler errors",
    /// A handler panicked.
    HandlerPanic = "handler panics",
    /// A server was shut down at work.
    Shutdown = "shutdowns at work",
    /// The future of `serve` was dropped.
    ServeDropped = "servers dropped",
    /// Idle connections of a client were closed at work.
    CloseIdle = "pools emptied",
    /// A machine was told to abort.
    Abort = "exchanges aborted",
    /// `handle_timeout` was called for no reason.
    NeedlessTimeout = "needless timeouts",
}

/// A defect planted in the simulated world, not in what runs in it: each breaks a promise that a network, a
/// runtime or an application makes, in a way that a defect in a driver or a machine would look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// One byte of a stream is lost.
    LoseByte,
    /// One byte of a stream arrives twice.
    DoubleByte,
    /// One byte of a stream is changed in a body.
    ChangeByte,
    /// A reader is not told that bytes have arrived.
    LoseReadWake,
    /// A writer is not told that there is room.
    LoseWriteWake,
    /// Timers never fire.
    DeadTimers,
    /// A stream wakes its reader without end.
    Spin,
    /// A handler answers for another exchange.
    CrossAnswers,
    /// A response body ends one byte early, cleanly.
    ShortBody,
    /// A request is executed a second time.
    ExecuteTwice,
    /// A client forgets an exchange that it has begun.
    ForgetExchange,
}

impl Plant {
    /// The defect, if it is one of the bytes of a stream.
    pub fn of_bytes(plant: Option<Plant>) -> Option<Plant> {
        plant.filter(|p| matches!(p, Plant::LoseByte | Plant::DoubleByte | Plant::ChangeByte))
    }

    /// All of them.
    pub const ALL: &'static [Plant] = &[
        Plant::LoseByte,
        Plant::DoubleByte,
        Plant::ChangeByte,
        Plant::LoseReadWake,
        Plant::LoseWriteWake,
        Plant::DeadTimers,
        Plant::Spin,
        Plant::CrossAnswers,
        Plant::ShortBody,
        Plant::ExecuteTwice,
        Plant::ForgetExchange,
    ];
}
