//! A plain HTML page of a directory's entries.

use super::path::{Dotfiles, RelativePath, encode};
use alloc::string::String;
use alloc::vec::Vec;

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Its length in bytes, for a file.
    pub len: Option<u64>,
}

/// An HTML page in UTF-8 that links to the entries: sorted by name, hidden ones left out, names escaped.
///
/// ```
/// use antiphon_core::server::{listing::{self, Entry}, path::{Dotfiles, RelativePath}};
/// let dir = RelativePath::new("/docs/", Dotfiles::Hidden)?;
/// let entries = vec![Entry { name: "a&b.txt".into(), is_dir: false, len: Some(3) }];
/// let page = listing::render(&dir, entries, Dotfiles::Hidden);
/// assert!(page.contains(r#"<a href="./a%26b.txt">a&amp;b.txt</a>"#));
/// # Ok::<(), antiphon_core::server::path::PathError>(())
/// ```
pub fn render(path: &RelativePath, mut entries: Vec<Entry>, dotfiles: Dotfiles) -> String {
    entries.retain(|e| dotfiles.shows(&e.name));
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let mut title = String::from("/");
    if !path.is_root() {
        escape(path.as_str(), &mut title);
        title.push('/');
    }
    let mut page = String::with_capacity(256 + entries.len() * 64);
    page.push_str("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
    page.push_str(&title);
    page.push_str("</title>\n<h1>");
    page.push_str(&title);
    page.push_str("</h1>\n<ul>\n");
    if !path.is_root() {
        page.push_str("<li><a href=\"../\">../</a>\n");
    }
    for entry in &entries {
        let slash = if entry.is_dir { "/" } else { "" };
        // "./" keeps a name with a colon from being read as a scheme.
        page.push_str("<li><a href=\"./");
        encode(&entry.name, &mut page);
        page.push_str(slash);
        page.push_str("\">");
        escape(&entry.name, &mut page);
        page.push_str(slash);
        page.push_str("</a>");
        if let (false, Some(len)) = (entry.is_dir, entry.len) {
            page.push_str(&alloc::format!(" {len}"));
        }
        page.push('\n');
    }
    page.push_str("</ul>\n</html>\n");
    page
}

/// Appends `text` as HTML text or attribute value.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Not allowed in HTML, and a name should not act on the page.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use quickcheck::quickcheck;

    fn entry(name: &str, len: Option<u64>) -> Entry {
        Entry {
            name: name.into(),
            is_dir: len.is_none(),
            len,
        }
    }

    #[test]
    fn a_page() {
        let dir = RelativePath::new("/a/b%3C/", Dotfiles::Hidden).unwrap();
        let entries = vec![
            entry("z", None),
            entry("x:y", Some(1)),
            entry(".git", None),
            entry("<script>'\"&\n", Some(20)),
            entry("€ 5%.txt", Some(300)),
        ];
        assert_eq!(
            render(&dir, entries, Dotfiles::Hidden),
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>/a/b&lt;/</title>\n<h1>/a/b&lt;/</h1>\n<ul>\n\
             <li><a href=\"../\">../</a>\n\
             <li><a href=\"./%3Cscript%3E%27%22%26%0A\">&lt;script&gt;&#39;&quot;&amp;\u{fffd}</a> 20\n\
             <li><a href=\"./x%3Ay\">x:y</a> 1\n\
             <li><a href=\"./z/\">z/</a>\n\
             <li><a href=\"./%E2%82%AC%205%25.txt\">€ 5%.txt</a> 300\n\
             </ul>\n</html>\n"
        );
    }

    #[test]
    fn the_root_has_no_parent() {
        let root = RelativePath::new("/", Dotfiles::Hidden).unwrap();
        let page = render(&root, vec![entry(".env", Some(1))], Dotfiles::Hidden);
        assert!(page.contains("<h1>/</h1>\n<ul>\n</ul>"), "{page}");
        assert!(render(&root, vec![entry(".env", Some(1))], Dotfiles::Served).contains("./.env"));
    }

    quickcheck! {
        fn no_name_breaks_out(name: String) -> bool {
            let root = RelativePath::new("/", Dotfiles::Hidden).unwrap();
            let empty = render(&root, vec![], Dotfiles::Served);
            let page = render(&root, vec![Entry { name, is_dir: false, len: None }], Dotfiles::Served);
            let count = |s: &str, c: char| s.matches(c).count();
            count(&page, '<') == count(&empty, '<') + 3 && count(&page, '"') == count(&empty, '"') + 2
        }
    }
}
