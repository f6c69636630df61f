//! [`Line`]: one exchange as one line of an access log. Where it is written does not live here.

use crate::Status;
use crate::message::write_masked;
use core::fmt::{self, Write as _};
use core::time::Duration;

/// One exchange, shown as `remote "METHOD target" status bytes milliseconds`.
///
/// What came from the client is escaped, so that it can neither forge a line, nor end its quotes, nor act on a
/// terminal: control bytes, quotes, backslashes and all bytes above 0x7E are written as `\xNN` (or `\"`, `\\`).
///
/// ```
/// use antiphon_core::{server::access_log::Line, Status};
/// use core::time::Duration;
/// let line = Line {
///     remote: &"127.0.0.1:4711",
///     method: "GET",
///     target: b"/a\"b\x1b[2J",
///     status: Some(Status::OK),
///     bytes: 1234,
///     duration: Duration::from_micros(1_500),
/// };
/// assert_eq!(line.to_string(), r#"127.0.0.1:4711 "GET /a\"b\x1b[2J" 200 1234 1.500ms"#);
/// ```
#[derive(Clone, Copy)]
#[allow(clippy::exhaustive_structs)]
pub struct Line<'a> {
    /// The client's address; shown as it is.
    pub remote: &'a dyn fmt::Display,
    /// The method.
    pub method: &'a str,
    /// The request target, verbatim.
    pub target: &'a [u8],
    /// The final status that was sent; `None` when none was, shown as `-`.
    pub status: Option<Status>,
    /// Bytes of content that were sent.
    pub bytes: u64,
    /// From the request's head to the end of the response.
    pub duration: Duration,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"", self.remote)?;
        escape(self.method.as_bytes(), f)?;
        f.write_char(' ')?;
        // A request with userinfo is refused, but whoever logs may log those, too.
        write_masked(f, self.target, |f, bytes| escape(bytes, f))?;
        match self.status {
            Some(status) => write!(f, "\" {status}")?,
            None => f.write_str("\" -")?,
        }
        let micros = self.duration.as_micros();
        write!(f, " {} {}.{:03}ms", self.bytes, micros / 1000, micros % 1000)
    }
}

impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn escape(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for &b in bytes {
        match b {
            b'"' | b'\\' => write!(f, "\\{}", char::from(b))?,
            0x20..=0x7e => f.write_char(char::from(b))?,
            _ => write!(f, "\\x{b:02x}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use quickcheck::quickcheck;

    fn line(target: &[u8]) -> alloc::string::String {
        let line = Line {
            remote: &"[::1]:80",
            method: "GET",
            target,
            status: None,
            bytes: 0,
            duration: Duration::from_nanos(999),
        };
        format!("{line}")
    }

    #[test]
    fn lines() {
        assert_eq!(line(b"/"), "[::1]:80 \"GET /\" - 0 0.000ms");
        assert_eq!(
            line(b"/\r\n\x00\\\"\xff\x7f "),
            r#"[::1]:80 "GET /\x0d\x0a\x00\\\"\xff\x7f " - 0 0.000ms"#
        );
    }

    quickcheck! {
        fn it_is_one_line_of_printable_ascii(target: alloc::vec::Vec<u8>) -> bool {
            line(&target).bytes().all(|b| (0x20..0x7f).contains(&b))
        }
    }
}
