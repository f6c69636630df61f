//! [`may_retry`]: whether a failed attempt may be made again on another connection, behind the caller's back.
//!
//! Retrying on statuses, and how often and when, are the caller's business and do not live here.

use crate::{Field, Fields};

/// Fields by which a caller declares a request safe to repeat. An empty one counts too, but is not sent:
/// see [`is_private_mark`].
const IDEMPOTENCY_KEYS: [&str; 2] = ["Idempotency-Key", "X-Idempotency-Key"];

/// An attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Attempt {
    /// The connection had served an exchange before, or had been idle.
    pub reused: bool,
    /// At least one byte of the request was accepted by the socket.
    pub written: bool,
    /// What went wrong.
    pub failure: Failure,
    /// The request means the same when it is received twice: see [`is_replayable`].
    pub replayable: bool,
    /// What can be done about the request's body.
    pub body: BodyState,
}

/// What went wrong with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum Failure {
    /// The server closed the idle connection before the request reached it: a FIN, or a 408, was there first.
    ServerClosedIdle,
    /// The connection ended or broke before the first byte of a response.
    BeforeResponse,
    /// It ended or broke after a byte of a response, interim ones included.
    InResponse,
    /// Anything else: a deadline, a cancellation, an error of the protocol or of the caller's own body.
    Other,
}

/// What can be done about the body of a request that is to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum BodyState {
    /// There is none.
    None,
    /// It can be had again from its beginning.
    Repeatable,
    /// It is a stream of which nothing has been taken yet.
    Untouched,
    /// It is a stream, and some of it is gone.
    Consumed,
}

/// The decision, with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Retry {
    /// Send the request again, on a new connection.
    Yes(Why),
    /// Report the failure.
    No(WhyNot),
}

/// Why it is safe to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Why {
    /// No byte of the request went out.
    NothingWritten,
    /// The server had given the connection up, and the request may be repeated.
    ServerClosedIdle,
    /// No byte of a response came, and the request may be repeated.
    BeforeResponse,
}

/// Why it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WhyNot {
    /// The connection was new: the failure is no race with the server's idle timeout.
    FreshConnection,
    /// A response had begun.
    ResponseBegun,
    /// The failure is of another kind.
    OtherFailure,
    /// The server may have acted on the request, and it is not declared safe to repeat.
    NotReplayable,
    /// A part of the body is gone and cannot be had again.
    BodyConsumed,
}

/// Whether a failed attempt may be made again.
///
/// The one failure that this is about: a connection is taken from the pool in the moment in which the server
/// closes it. Then the request was not processed, and asking again on a new connection is right; but it cannot
/// always be told from a server that died while it worked.
///
/// ```
/// use antiphon_core::client::retry::{may_retry, Attempt, BodyState, Failure, Retry, Why, WhyNot};
/// let get = Attempt {
///     reused: true,
///     written: true,
///     failure: Failure::BeforeResponse,
///     replayable: true,
///     body: BodyState::None,
/// };
/// assert_eq!(may_retry(&get), Retry::Yes(Why::BeforeResponse));
/// let post = Attempt { replayable: false, body: BodyState::Repeatable, ..get };
/// assert_eq!(may_retry(&post), Retry::No(WhyNot::NotReplayable));
/// ```
pub const fn may_retry(attempt: &Attempt) -> Retry {
    if !attempt.reused {
        return Retry::No(WhyNot::FreshConnection);
    }
    let why = match attempt.failure {
        Failure::InResponse => return Retry::No(WhyNot::ResponseBegun),
        Failure::Other => return Retry::No(WhyNot::OtherFailure),
        _ if !attempt.written => Why::NothingWritten,
        _ if !attempt.replayable => return Retry::No(WhyNot::NotReplayable),
        Failure::ServerClosedIdle => Why::ServerClosedIdle,
        Failure::BeforeResponse => Why::BeforeResponse,
    };
    match attempt.body {
        BodyState::Consumed => Retry::No(WhyNot::BodyConsumed),
        BodyState::None | BodyState::Repeatable | BodyState::Untouched => Retry::Yes(why),
    }
}

/// Whether a request may be sent again although the server may have received it: a safe method, or the caller
/// says so with an `Idempotency-Key` or `X-Idempotency-Key`, be it empty.
///
/// PUT and DELETE are idempotent but left out, as in Go: after another client's change they would undo it.
pub fn is_replayable(method: &str, fields: Fields<'_>) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
        || IDEMPOTENCY_KEYS.iter().any(|name| fields.get(name).is_some())
}

/// Whether this field is an empty idempotency key: a mark for this client, which is not sent.
pub fn is_private_mark(field: Field<'_>) -> bool {
    field.value.as_bytes().is_empty() && IDEMPOTENCY_KEYS.iter().any(|name| field.name.is(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Headers;

    const BASE: Attempt = Attempt {
        reused: true,
        written: true,
        failure: Failure::BeforeResponse,
        replayable: true,
        body: BodyState::None,
    };

    #[test]
    fn the_table() {
        use Retry::{No, Yes};
        for (attempt, decision) in [
            (BASE, Yes(Why::BeforeResponse)),
            (
                Attempt {
                    failure: Failure::ServerClosedIdle,
                    ..BASE
                },
                Yes(Why::ServerClosedIdle),
            ),
            (
                Attempt {
                    written: false,
                    ..BASE
                },
                Yes(Why::NothingWritten),
            ),
            (
                Attempt {
                    written: false,
                    replayable: false,
                    ..BASE
                },
                Yes(Why::NothingWritten),
            ),
            (
                Attempt {
                    replayable: false,
                    ..BASE
                },
                No(WhyNot::NotReplayable),
            ),
            (
                Attempt {
                    reused: false,
                    ..BASE
                },
                No(WhyNot::FreshConnection),
            ),
            (
                Attempt {
                    reused: false,
                    written: false,
                    ..BASE
                },
                No(WhyNot::FreshConnection),
            ),
            (
                Attempt {
                    failure: Failure::InResponse,
                    ..BASE
                },
                No(WhyNot::ResponseBegun),
            ),
            (
                Attempt {
                    failure: Failure::Other,
                    ..BASE
                },
                No(WhyNot::OtherFailure),
            ),
            (
                Attempt {
                    failure: Failure::Other,
                    written: false,
                    ..BASE
                },
                No(WhyNot::OtherFailure),
            ),
            (
                Attempt {
                    body: BodyState::Repeatable,
                    ..BASE
                },
                Yes(Why::BeforeResponse),
            ),
            (
                Attempt {
                    body: BodyState::Untouched,
                    ..BASE
                },
                Yes(Why::BeforeResponse),
            ),
            (
                Attempt {
                    body: BodyState::Consumed,
                    ..BASE
                },
                No(WhyNot::BodyConsumed),
            ),
            (
                Attempt {
                    body: BodyState::Consumed,
                    written: false,
                    ..BASE
                },
                No(WhyNot::BodyConsumed),
            ),
        ] {
            assert_eq!(may_retry(&attempt), decision, "{attempt:?}");
        }
    }

    #[test]
    fn replayable_requests() {
        let mut h = Headers::new();
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            assert!(is_replayable(method, h.as_fields()));
        }
        for method in ["POST", "PUT", "DELETE", "PATCH", "get"] {
            assert!(!is_replayable(method, h.as_fields()));
        }
        h.append("x-idempotency-key", "").unwrap();
        h.append("Idempotency-Key", "abc").unwrap();
        assert!(is_replayable("POST", h.as_fields()));
        let marks: alloc::vec::Vec<bool> = h.iter().map(is_private_mark).collect();
        assert_eq!(marks, [true, false]);
    }
}
