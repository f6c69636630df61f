//! Media types by file name extension: a small table of what is served in practice.
//!
//! Looking into the content (sniffing) does not live here.

/// The media type for a file of this name, by the text after its last dot, ignoring case;
/// `application/octet-stream` for one that is not known.
///
/// Text is declared as UTF-8: what is written today is, and ASCII is part of it.
///
/// ```
/// use antiphon_core::server::media;
/// assert_eq!(media::by_name("a/b/Index.HTML"), "text/html; charset=utf-8");
/// assert_eq!(media::by_name("Makefile"), "application/octet-stream");
/// ```
pub fn by_name(name: &str) -> &'static str {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.rsplit_once('.')
        .and_then(|(_, extension)| by_extension(extension))
        .unwrap_or("application/octet-stream")
}

/// The media type for this extension (without the dot), ignoring case.
pub fn by_extension(extension: &str) -> Option<&'static str> {
    let mut lower = [0; 12];
    let lower = lower.get_mut(..extension.len())?;
    lower.copy_from_slice(extension.as_bytes());
    lower.make_ascii_lowercase();
    let at = TYPES
        .binary_search_by(|(known, _)| known.as_bytes().cmp(lower))
        .ok()?;
    Some(TYPES[at].1)
}

/// Sorted by extension.
static TYPES: [(&str, &str); 90] = [
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("apk", "application/vnd.android.package-archive"),
    ("apng", "image/apng"),
    ("atom", "application/atom+xml"),
    ("avi", "video/x-msvideo"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("br", "application/x-brotli"),
    ("bz2", "application/x-bzip2"),
    ("c", "text/plain; charset=utf-8"),
    ("cpp", "text/plain; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("deb", "application/vnd.debian.binary-package"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("eot", "application/vnd.ms-fontobject"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("go", "text/plain; charset=utf-8"),
    ("gz", "application/gzip"),
    ("h", "text/plain; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("ics", "text/calendar; charset=utf-8"),
    ("jar", "application/java-archive"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("jsonld", "application/ld+json"),
    ("jxl", "image/jxl"),
    ("log", "text/plain; charset=utf-8"),
    ("m4a", "audio/mp4"),
    ("m4v", "video/mp4"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mkv", "video/matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    (
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    ("py", "text/plain; charset=utf-8"),
    ("rs", "text/plain; charset=utf-8"),
    ("rss", "application/rss+xml"),
    ("rtf", "application/rtf"),
    ("sh", "text/plain; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "application/toml"),
    ("ts", "video/mp2t"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xhtml", "application/xhtml+xml"),
    ("xls", "application/vnd.ms-excel"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("xml", "application/xml"),
    ("xz", "application/x-xz"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_lower_case() {
        assert!(TYPES.is_sorted_by(|a, b| a.0.as_bytes() < b.0.as_bytes()));
        for (extension, media) in TYPES {
            assert!(
                extension
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
                "{extension}"
            );
            assert!(media.contains('/') && crate::FieldValue::new(media.as_bytes()).is_ok());
            assert_eq!(
                media.starts_with("text/"),
                media.contains("charset"),
                "{extension}"
            );
            assert_eq!(by_extension(extension), Some(media));
        }
    }

    #[test]
    fn names() {
        for (name, media) in [
            ("a.txt", "text/plain; charset=utf-8"),
            ("A.TXT", "text/plain; charset=utf-8"),
            ("a.tar.gz", "application/gzip"),
            ("x.html/Makefile", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("", "application/octet-stream"),
            ("html", "application/octet-stream"),
            ("a.averyveryverylongone", "application/octet-stream"),
            ("a.€", "application/octet-stream"),
            ("app.js", "text/javascript; charset=utf-8"),
            ("a.yaml", "application/yaml"),
            ("a.xml", "application/xml"),
            ("a.zip", "application/zip"),
        ] {
            assert_eq!(by_name(name), media, "{name}");
        }
    }
}
