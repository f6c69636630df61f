//! [`dial_failure`]: an [`io::Error`] from `connect(2)` in the words of the core.

use antiphon_core::client::connect::DialFailure;
use std::io::{self, ErrorKind};

/// What `error`, from dialling an address, means to [`Connect`](antiphon_core::client::Connect).
///
/// ```
/// use antiphon_core::client::connect::DialFailure;
/// use antiphon_support::dial_failure;
/// use std::io;
/// assert_eq!(dial_failure(&io::ErrorKind::ConnectionRefused.into()), DialFailure::Refused);
/// ```
pub fn dial_failure(error: &io::Error) -> DialFailure {
    match error.kind() {
        ErrorKind::ConnectionRefused => DialFailure::Refused,
        // EADDRNOTAVAIL: this machine has no address that could reach that one, as with IPv6 on an IPv4 network.
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable => DialFailure::Unreachable,
        ErrorKind::TimedOut => DialFailure::TimedOut,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => DialFailure::Reset,
        ErrorKind::PermissionDenied => DialFailure::NotAllowed,
        _ => DialFailure::Other(error.raw_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_word() {
        for (kind, failure) in [
            (ErrorKind::ConnectionRefused, DialFailure::Refused),
            (ErrorKind::HostUnreachable, DialFailure::Unreachable),
            (ErrorKind::NetworkUnreachable, DialFailure::Unreachable),
            (ErrorKind::NetworkDown, DialFailure::Unreachable),
            (ErrorKind::AddrNotAvailable, DialFailure::Unreachable),
            (ErrorKind::TimedOut, DialFailure::TimedOut),
            (ErrorKind::ConnectionReset, DialFailure::Reset),
            (ErrorKind::ConnectionAborted, DialFailure::Reset),
            (ErrorKind::PermissionDenied, DialFailure::NotAllowed),
            (ErrorKind::Other, DialFailure::Other(None)),
        ] {
            assert_eq!(dial_failure(&kind.into()), failure, "{kind:?}");
        }
    }

    #[test]
    fn the_number_of_an_unknown_error_is_kept() {
        let error = io::Error::from_raw_os_error(i32::MAX);
        assert_eq!(dial_failure(&error), DialFailure::Other(Some(i32::MAX)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_numbers_of_linux() {
        for (number, failure) in [
            (111, DialFailure::Refused),
            (113, DialFailure::Unreachable),
            (101, DialFailure::Unreachable),
            (99, DialFailure::Unreachable),
            (110, DialFailure::TimedOut),
            (104, DialFailure::Reset),
            (13, DialFailure::NotAllowed),
            (1, DialFailure::NotAllowed),
        ] {
            assert_eq!(
                dial_failure(&io::Error::from_raw_os_error(number)),
                failure,
                "{number}"
            );
        }
    }
}
