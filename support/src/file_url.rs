//! [`FilePlace`]: the path that a `file` URL names (RFC 8089).

use std::error::Error;
use std::fmt;

/// The path of a `file` URL, as a request target has it: percent-encoded, beginning with `/`.
///
/// ```
/// use antiphon_support::FilePlace;
/// assert_eq!(FilePlace::of("file:///etc/motd?x#y").unwrap().path(), "/etc/motd");
/// assert_eq!(FilePlace::of("FILE:/etc/motd").unwrap().path(), "/etc/motd");
/// assert!(FilePlace::of("file://elsewhere/etc/motd").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePlace<'a>(&'a str);

/// It is no URL of a file on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFileUrl(());

impl fmt::Display for NoFileUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no URL of a file on this machine: that is file:///PATH")
    }
}

impl Error for NoFileUrl {}

impl<'a> FilePlace<'a> {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`NoFileUrl`] for other schemes, for a host other than `localhost`, and where the path is not absolute.
    pub fn of(url: &'a str) -> Result<FilePlace<'a>, NoFileUrl> {
        let (scheme, rest) = url.split_once(':').ok_or(NoFileUrl(()))?;
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let rest = &rest[..end];
        let path = match rest.strip_prefix("//") {
            None => rest,
            Some(rest) => {
                let (host, path) = rest.split_at(rest.find('/').ok_or(NoFileUrl(()))?);
                if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
                    return Err(NoFileUrl(()));
                }
                path
            }
        };
        if scheme.eq_ignore_ascii_case("file") && path.starts_with('/') {
            Ok(FilePlace(path))
        } else {
            Err(NoFileUrl(()))
        }
    }

    /// The path.
    pub fn path(self) -> &'a str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_of_this_machine() {
        for url in [
            "file:",
            "file://",
            "file:a",
            "file://h",
            "file://h/a",
            "http:///a",
            "/a",
            "",
        ] {
            assert!(FilePlace::of(url).is_err(), "{url}");
        }
        assert_eq!(FilePlace::of("file://LocalHost/a").unwrap().path(), "/a");
    }
}
