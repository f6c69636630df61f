//! [`RelativePath`]: from the path of a request target to a path below a root directory, or a typed refusal;
//! and [`is_inside`], the last check on what the file system made of it.
//!
//! Opening files and resolving symbolic links do not live here.

use alloc::string::String;
use core::fmt;

/// A path below a root directory: decoded names joined by `/`, none of them empty, `.` or `..`, none with a
/// separator, a backslash or a control byte in it. The empty path is the root itself.
///
/// ```
/// use antiphon_core::server::path::{Dotfiles, PathError, RelativePath};
/// let p = RelativePath::new("/docs/a%20b.txt", Dotfiles::Hidden)?;
/// assert_eq!((p.as_str(), p.file_name(), p.is_directory()), ("docs/a b.txt", "a b.txt", false));
/// assert_eq!(RelativePath::new("/%2e%2e/etc/passwd", Dotfiles::Served), Err(PathError::Parent));
/// # Ok::<(), PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelativePath {
    text: String,
    directory: bool,
}

/// Whether names that begin with a dot exist for clients. `.well-known` always does (RFC 8615).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Dotfiles {
    /// They do not: `.git`, `.env` and `.htpasswd` are not meant for the world.
    #[default]
    Hidden,
    /// They are files like others.
    Served,
}

impl Dotfiles {
    /// Whether clients may see this name.
    pub fn shows(self, name: &str) -> bool {
        self == Dotfiles::Served || !name.starts_with('.') || name == ".well-known"
    }
}

impl RelativePath {
    /// Reads the path of a request target: not decoded, without query, beginning with `/`.
    ///
    /// Each segment is decoded once, after splitting, and then judged, so that no encoding hides anything.
    /// Empty segments and `.` are left out. `..` is refused even where it would stay below the root: clients
    /// resolve it before they send (RFC 3986, section 5.2.4). Names must be UTF-8.
    ///
    /// # Errors
    /// [`PathError`] says which rule refused it.
    pub fn new(path: &str, dotfiles: Dotfiles) -> Result<RelativePath, PathError> {
        let segments = path.strip_prefix('/').ok_or(PathError::NotAPath)?;
        let mut text = String::new();
        let mut directory = true;
        for segment in segments.split('/') {
            directory = true;
            let start = text.len();
            if start > 0 {
                text.push('/');
            }
            let name_at = text.len();
            decode(segment, &mut text)?;
            match &text[name_at..] {
                "" | "." => text.truncate(start),
                name => {
                    judge(name, dotfiles)?;
                    directory = false;
                }
            }
        }
        Ok(RelativePath { text, directory })
    }

    /// The names, joined by `/`; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The last name; empty for the root.
    pub fn file_name(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or("")
    }

    /// The names, from the root downwards.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.text.split('/').filter(|s| !s.is_empty())
    }

    /// Whether the path is the root or ended in a slash: it asks for a directory.
    pub const fn is_directory(&self) -> bool {
        self.directory
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.text.is_empty()
    }
}

/// Whether the canonical path `path` is `root` or lies below it: compared name by name, so that `/srv/www-old`
/// is not inside `/srv/www`.
///
/// Both must be absolute and canonical (all symbolic links resolved); a path with `..` in it is inside nothing.
/// Separators are `/`, and on Windows `\` too.
///
/// ```
/// use antiphon_core::server::path::is_inside;
/// assert!(is_inside("/srv/www", "/srv/www/a.txt"));
/// assert!(!is_inside("/srv/www", "/srv/www-old/a.txt"));
/// ```
pub fn is_inside(root: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> bool {
    let mut root = names(root.as_ref());
    let mut path = names(path.as_ref());
    root.all(|r| r != b".." && path.next() == Some(r)) && path.all(|p| p != b"..")
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&b| b == b'/' || (cfg!(windows) && b == b'\\'))
        .filter(|n| !n.is_empty() && *n != b".")
}

/// Why a request path names nothing that may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// It does not begin with `/`: the target has another form.
    NotAPath,
    /// A `%` without two hexadecimal digits behind it (RFC 3986, section 2.1).
    Escape,
    /// The decoded bytes are no UTF-8.
    NotUtf8,
    /// A segment `..`, encoded or not.
    Parent,
    /// A slash, a backslash or a control byte, encoded (or a backslash as it is).
    Separator,
    /// A name that begins with a dot, where these are hidden.
    Hidden,
    /// A name that Windows takes for a device, a drive or a stream of a file, or that it would alter. Only
    /// refused there.
    Reserved,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathError::NotAPath => "the target is not a path",
            PathError::Escape => "the path holds a % that is not followed by two hexadecimal digits",
            PathError::NotUtf8 => "the path is not UTF-8",
            PathError::Parent => "the path holds a segment ..",
            PathError::Separator => "a name in the path holds a separator or a control byte",
            PathError::Hidden => "names that begin with a dot are hidden",
            PathError::Reserved => "the path holds a name that is reserved on this system",
        })
    }
}

impl core::error::Error for PathError {}

fn judge(name: &str, dotfiles: Dotfiles) -> Result<(), PathError> {
    if name == ".." {
        return Err(PathError::Parent);
    }
    if name.bytes().any(|b| b < 0x20 || matches!(b, b'/' | b'\\' | 0x7f)) {
        return Err(PathError::Separator);
    }
    if !dotfiles.shows(name) {
        return Err(PathError::Hidden);
    }
    if cfg!(windows) && reserved_on_windows(name) {
        return Err(PathError::Reserved);
    }
    Ok(())
}

/// Names that Win32 does not take for a plain file of that name: devices, `C:`, `file::$DATA`, and trailing
/// dots and spaces, which it drops.
fn reserved_on_windows(name: &str) -> bool {
    let stem = name
        .split('.')
        .next()
        .unwrap_or("")
        .trim_end_matches(' ')
        .as_bytes();
    let device = match stem {
        [name @ .., b'1'..=b'9'] if name.len() == 3 => {
            [b"com", b"lpt"].iter().any(|d| name.eq_ignore_ascii_case(*d))
        }
        _ => ["con", "prn", "aux", "nul", "conin$", "conout$"]
            .iter()
            .any(|d| stem.eq_ignore_ascii_case(d.as_bytes())),
    };
    device || name.contains([':', '*', '?', '"', '<', '>', '|']) || name.ends_with(['.', ' '])
}

/// Appends `segment` with its percent-encoded bytes decoded.
fn decode(segment: &str, out: &mut String) -> Result<(), PathError> {
    let Some(first) = segment.find('%') else {
        out.push_str(segment);
        return Ok(());
    };
    let (plain, rest) = segment.as_bytes().split_at(first);
    let mut bytes = plain.to_vec();
    let mut rest = rest;
    while let [b, tail @ ..] = rest {
        rest = tail;
        if *b != b'%' {
            bytes.push(*b);
            continue;
        }
        let [hi, lo, tail @ ..] = rest else {
            return Err(PathError::Escape);
        };
        let (Some(hi), Some(lo)) = (char::from(*hi).to_digit(16), char::from(*lo).to_digit(16)) else {
            return Err(PathError::Escape);
        };
        bytes.push((hi * 16 + lo) as u8);
        rest = tail;
    }
    out.push_str(core::str::from_utf8(&bytes).map_err(|_| PathError::NotUtf8)?);
    Ok(())
}

/// Percent-encodes a name as one path segment: all but unreserved characters (RFC 3986, section 2.3).
pub(crate) fn encode(name: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for b in name.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(b));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(b >> 4)]));
            out.push(char::from(HEX[usize::from(b & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use quickcheck::quickcheck;

    fn hidden(path: &str) -> Result<(String, bool), PathError> {
        RelativePath::new(path, Dotfiles::Hidden).map(|p| (p.text, p.directory))
    }

    #[test]
    fn plain_paths() {
        for (path, text, directory) in [
            ("/", "", true),
            ("//", "", true),
            ("/./", "", true),
            ("/a", "a", false),
            ("/a/", "a", true),
            ("/a/.", "a", true),
            ("/a//b", "a/b", false),
            ("//a///b//", "a/b", true),
            ("/a/./b", "a/b", false),
            ("/a%20b/c%2Bd", "a b/c+d", false),
            ("/%e2%82%ac", "€", false),
            ("/%2561", "%61", false), // decoded once only
            ("/a+b", "a+b", false),
            ("/.well-known/x", ".well-known/x", false),
            ("/%41", "A", false),
        ] {
            assert_eq!(hidden(path), Ok((text.into(), directory)), "{path}");
        }
    }

    #[test]
    fn refusals() {
        use PathError::*;
        for (path, error) in [
            ("", NotAPath),
            ("*", NotAPath),
            ("a", NotAPath),
            ("http://h/a", NotAPath),
            ("/..", Parent),
            ("/a/../b", Parent),
            ("/a/..", Parent),
            ("/%2e%2e/b", Parent),
            ("/.%2E/b", Parent),
            ("/a%2fb", Separator),
            ("/..%2f..%2fetc", Separator),
            ("/a%5cb", Separator),
            ("/..\\b", Separator),
            ("/a%00.txt", Separator),
            ("/a%0d%0ab", Separator),
            ("/a%7f", Separator),
            ("/%", Escape),
            ("/%4", Escape),
            ("/%4g", Escape),
            ("/%+4", Escape),
            ("/a%ff", NotUtf8),
            ("/%c0%ae%c0%ae/x", NotUtf8), // an overlong ..
            ("/.git/config", Hidden),
            ("/%2egit/config", Hidden),
            ("/a/.env", Hidden),
            ("/...", Hidden),
        ] {
            assert_eq!(hidden(path), Err(error), "{path}");
        }
        assert_eq!(
            RelativePath::new("/.git/x", Dotfiles::Served).unwrap().as_str(),
            ".git/x"
        );
        assert_eq!(
            RelativePath::new("/...", Dotfiles::Served).unwrap().as_str(),
            "..."
        );
    }

    #[test]
    fn names_that_windows_reserves() {
        for name in [
            "con",
            "NUL",
            "nul.txt",
            "Com1",
            "lpt9.tar.gz",
            "aux .c",
            "c:",
            "a::$DATA",
            "a.",
            "a ",
            "a*b",
        ] {
            assert!(reserved_on_windows(name), "{name}");
        }
        for name in ["console", "com", "com10", "a.con", "a b.txt", "lpt0"] {
            assert!(!reserved_on_windows(name), "{name}");
        }
    }

    #[test]
    fn inside() {
        for (root, path, yes) in [
            ("/srv/www", "/srv/www", true),
            ("/srv/www/", "/srv/www/a/b", true),
            ("/", "/etc/passwd", true),
            ("/srv/www", "/srv/www-old", false),
            ("/srv/www", "/srv", false),
            ("/srv/www", "/srv/www/../x", false),
            ("/srv/../www", "/srv/../www/x", false),
            ("/srv/www", "/SRV/www/a", false),
            ("/srv/www", "/other/srv/www", false),
        ] {
            assert_eq!(is_inside(root, path), yes, "{root} {path}");
        }
    }

    quickcheck! {
        fn what_is_accepted_stays_below_the_root(path: String) -> bool {
            match RelativePath::new(&format!("/{path}"), Dotfiles::Served) {
                Ok(p) => {
                    !p.as_str().starts_with('/')
                        && !p.as_str().contains(['\\', '\0'])
                        && p.as_str().split('/').all(|s| s != ".." && (s != "." || p.is_root()))
                        && is_inside("/root", format!("/root/{}", p.as_str()))
                }
                Err(_) => true,
            }
        }

        fn encoded_names_decode_to_themselves(name: String) -> bool {
            let mut path = String::from("/");
            encode(&name, &mut path);
            match RelativePath::new(&path, Dotfiles::Served) {
                Ok(p) => p.as_str() == name || (name == "." && p.is_root()),
                Err(e) => matches!(e, PathError::Parent | PathError::Separator),
            }
        }
    }
}
