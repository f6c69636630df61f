//! [`MaxBytes`]: a request body that may not be longer than a handler is willing to read.

use crate::Status;
use crate::h1::BodyLen;
use core::fmt;

/// Counts the bytes of a request body against a limit, as Go's `http.MaxBytesReader`.
///
/// Up to the limit the handler gets its bytes; the first byte beyond is an error, which stays. A body of exactly the limit
/// is whole. The answer to a body that is too long closes the connection: nobody wants to read the rest of it.
///
/// ```
/// use antiphon_core::h1::BodyLen;
/// use antiphon_core::server::max_bytes::MaxBytes;
/// let mut max = MaxBytes::new(10);
/// assert!(max.declared(BodyLen::Known(11)).is_err());
/// assert_eq!(max.take(8), Ok(8));
/// // Of four more bytes the handler gets two, and then an error.
/// assert_eq!(max.take(4), Ok(2));
/// let error = max.take(2).unwrap_err();
/// assert_eq!((error.limit(), error.status().code()), (10, 413));
/// # Ok::<(), antiphon_core::server::max_bytes::BodyTooLarge>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxBytes {
    limit: u64,
    left: u64,
    exceeded: bool,
}

impl MaxBytes {
    /// At most `limit` bytes.
    pub const fn new(limit: u64) -> MaxBytes {
        MaxBytes {
            limit,
            left: limit,
            exceeded: false,
        }
    }

    /// Whether a body of this length may be read at all: before `100 Continue` is sent for one that is too long.
    ///
    /// # Errors
    /// [`BodyTooLarge`] if it is known to be longer.
    pub const fn declared(&self, body: BodyLen) -> Result<(), BodyTooLarge> {
        match body {
            BodyLen::Known(len) if len > self.limit => Err(BodyTooLarge { limit: self.limit }),
            _ => Ok(()),
        }
    }

    /// `n` bytes have come: counts those that the handler may have, and says how many these are.
    ///
    /// # Errors
    /// [`BodyTooLarge`] if it may have none of them, now or ever.
    pub fn take(&mut self, n: usize) -> Result<usize, BodyTooLarge> {
        if self.exceeded || (self.left == 0 && n > 0) {
            self.exceeded = true;
            return Err(BodyTooLarge { limit: self.limit });
        }
        let some = usize::try_from(self.left).unwrap_or(usize::MAX).min(n);
        self.left -= some as u64;
        Ok(some)
    }

    /// Whether the body is known to be too long: the answer is to say `Connection: close`.
    pub const fn is_exceeded(&self) -> bool {
        self.exceeded
    }
}

/// A request body is longer than the handler is willing to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyTooLarge {
    limit: u64,
}

impl BodyTooLarge {
    /// The most that it would have read, in bytes.
    pub const fn limit(self) -> u64 {
        self.limit
    }

    /// What to answer: 413 (RFC 9110, section 15.5.14).
    pub const fn status(self) -> Status {
        Status::CONTENT_TOO_LARGE
    }
}

impl fmt::Display for BodyTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request body is longer than {} bytes", self.limit)
    }
}

impl core::error::Error for BodyTooLarge {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use quickcheck::quickcheck;

    #[test]
    fn a_body_of_exactly_the_limit_is_whole() {
        for limit in [0, 5] {
            let mut max = MaxBytes::new(limit);
            assert_eq!(max.declared(BodyLen::Known(limit)), Ok(()));
            assert_eq!(max.declared(BodyLen::Unknown), Ok(()));
            assert_eq!(max.declared(BodyLen::None), Ok(()));
            assert_eq!(max.take(limit as usize), Ok(limit as usize));
            assert_eq!(max.take(0), Ok(0));
            assert!(!max.is_exceeded());
            assert_eq!(max.take(1), Err(BodyTooLarge { limit }));
            assert!(max.is_exceeded());
            // It stays.
            assert_eq!(max.take(0), Err(BodyTooLarge { limit }));
        }
        let error = MaxBytes::new(5).declared(BodyLen::Known(6)).unwrap_err();
        assert_eq!(error.to_string(), "the request body is longer than 5 bytes");
        assert_eq!(MaxBytes::new(u64::MAX).take(usize::MAX), Ok(usize::MAX));
    }

    quickcheck! {
        fn all_up_to_the_limit_and_nothing_beyond(limit: u16, pieces: alloc::vec::Vec<u8>) -> bool {
            let mut max = MaxBytes::new(u64::from(limit) % 2000);
            let (mut got, mut came) = (0, 0);
            for piece in pieces {
                came += u64::from(piece);
                let mut left = usize::from(piece);
                while left > 0 {
                    match max.take(left) {
                        Ok(n) => {
                            got += n as u64;
                            left -= n;
                        }
                        Err(_) => break,
                    }
                }
            }
            got == came.min(max.limit) && max.is_exceeded() == (came > max.limit)
        }
    }
}
