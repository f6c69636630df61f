//! [`Headers`], an owned, ordered field section, and [`Fields`], the borrowed view that both it and a parsed
//! head give.

use super::field::{Field, FieldLines, FieldName, FieldValue, InvalidFieldName, InvalidFieldValue};
use super::token;
use alloc::vec::Vec;
use core::fmt;

/// Where one field line stands in the bytes of its section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldSpan {
    pub(crate) name: u32,
    pub(crate) name_end: u32,
    pub(crate) value: u32,
    pub(crate) value_end: u32,
}

/// An ordered list of field lines: original case, order and duplicates are kept, lookup ignores case.
///
/// Storage is one run of bytes and one table of offsets, two allocations however many fields there are.
/// Lookups walk the table, which is fastest for the few dozen fields that messages have.
///
/// Limits: at most 4 GiB of names and values; [`append`](Headers::append) refuses beyond that.
///
/// ```
/// use antiphon_core::Headers;
/// let mut h = Headers::new();
/// h.append("Content-Type", "text/plain")?;
/// h.append("X-A", "1")?;
/// h.append("x-a", "2")?;
/// assert_eq!(h.get("content-type"), Some(&b"text/plain"[..]));
/// assert_eq!(h.get_all("X-A").count(), 2);
/// assert!(h.append("X-B", "split\r\nInjected: yes").is_err());
/// # Ok::<(), antiphon_core::InvalidField>(())
/// ```
#[derive(Clone, Default)]
pub struct Headers {
    pub(crate) bytes: Vec<u8>,
    pub(crate) spans: Vec<FieldSpan>,
}

impl Headers {
    /// An empty list; allocates nothing.
    pub const fn new() -> Headers {
        Headers {
            bytes: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// The borrowed view.
    pub fn as_fields(&self) -> Fields<'_> {
        Fields {
            bytes: &self.bytes,
            spans: &self.spans,
        }
    }

    /// The number of field lines.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no field line.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.as_fields().get(name)
    }

    /// The first value of `name` as text; `None` too if it is not UTF-8.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.as_fields().get_str(name)
    }

    /// All values of `name`, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.as_fields().get_all(name)
    }

    /// Whether `name` is there.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All field lines, in order.
    pub fn iter(&self) -> FieldsIter<'_> {
        self.as_fields().iter()
    }

    /// Adds a field line at the end.
    ///
    /// # Errors
    /// [`InvalidField`] for a name that is no token or a value with control bytes; nothing is changed.
    pub fn append(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), InvalidField> {
        let name = FieldName::new(name.as_ref()).map_err(InvalidField::Name)?;
        let value = FieldValue::new(value.as_ref()).map_err(InvalidField::Value)?;
        self.push(Field { name, value })
    }

    /// Replaces all lines of `name` by one, at the place of the first, or adds it at the end.
    ///
    /// # Errors
    /// As [`append`](Headers::append); nothing is changed then.
    pub fn set(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), InvalidField> {
        let name = name.as_ref();
        let at = self.spans.iter().position(|s| self.name_is(s, name));
        self.append(name, value)?;
        let Some(at) = at else { return Ok(()) };
        // The new line was pushed last: it takes the first one's place, and the other old ones go.
        self.spans.swap_remove(at);
        let bytes = &self.bytes;
        let mut i = 0;
        self.spans.retain(|s| {
            i += 1;
            i - 1 == at || !bytes[s.name as usize..s.name_end as usize].eq_ignore_ascii_case(name)
        });
        self.compact();
        Ok(())
    }

    /// Adds a validated field line at the end.
    ///
    /// # Errors
    /// [`InvalidField::TooLarge`] when the section would pass 4 GiB.
    pub fn push(&mut self, field: Field<'_>) -> Result<(), InvalidField> {
        let (n, v) = (field.name.as_bytes(), field.value.as_bytes());
        let name = self.bytes.len();
        let end = name + n.len() + v.len();
        if u32::try_from(end).is_err() {
            return Err(InvalidField::TooLarge);
        }
        self.bytes.reserve(n.len() + v.len());
        self.bytes.extend_from_slice(n);
        self.bytes.extend_from_slice(v);
        let value = (name + n.len()) as u32;
        self.spans.push(FieldSpan {
            name: name as u32,
            name_end: value,
            value,
            value_end: end as u32,
        });
        Ok(())
    }

    /// Removes all lines of `name`; tells how many there were.
    pub fn remove(&mut self, name: &str) -> usize {
        let before = self.spans.len();
        let bytes = &self.bytes;
        self.spans
            .retain(|s| !bytes[s.name as usize..s.name_end as usize].eq_ignore_ascii_case(name.as_bytes()));
        let removed = before - self.spans.len();
        self.compact();
        removed
    }

    /// Keeps the lines for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(Field<'_>) -> bool) {
        let bytes = &self.bytes;
        self.spans.retain(|s| keep(field_at(bytes, s)));
        self.compact();
    }

    /// Lets go of the bytes of removed lines once they are more than those of the lines that are left.
    fn compact(&mut self) {
        let size = |s: &FieldSpan| (s.name_end - s.name + s.value_end - s.value) as usize;
        let live: usize = self.spans.iter().map(size).sum();
        if self.bytes.len() > 2 * live + 256 {
            let mut fresh = Headers {
                bytes: Vec::with_capacity(live),
                spans: Vec::with_capacity(self.spans.len()),
            };
            for f in self.iter() {
                // What a section holds fits again.
                let _ = fresh.push(f);
            }
            *self = fresh;
        }
    }

    /// Removes all lines but keeps the storage.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    fn name_is(&self, s: &FieldSpan, name: &[u8]) -> bool {
        self.bytes[s.name as usize..s.name_end as usize].eq_ignore_ascii_case(name)
    }
}

impl FieldLines for Headers {
    fn for_each_field(&self, each: impl FnMut(Field<'_>)) {
        self.as_fields().for_each_field(each);
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = Field<'a>;
    type IntoIter = FieldsIter<'a>;
    fn into_iter(self) -> FieldsIter<'a> {
        self.iter()
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Headers) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_fields().fmt(f)
    }
}

/// A borrowed field section: of a parsed head, of a trailer section, or of [`Headers`].
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    spans: &'a [FieldSpan],
}

impl<'a> Fields<'a> {
    /// No fields at all.
    pub const EMPTY: Fields<'static> = Fields {
        bytes: &[],
        spans: &[],
    };

    pub(crate) const fn new(bytes: &'a [u8], spans: &'a [FieldSpan]) -> Fields<'a> {
        Fields { bytes, spans }
    }

    /// The number of field lines.
    pub fn len(self) -> usize {
        self.spans.len()
    }

    /// Whether there is no field line.
    pub fn is_empty(self) -> bool {
        self.spans.is_empty()
    }

    /// The first value of `name`.
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.lines_of(name.as_bytes()).next()
    }

    /// The first value of `name` as text; `None` too if it is not UTF-8.
    pub fn get_str(self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(|v| core::str::from_utf8(v).ok())
    }

    /// All values of `name`, in order.
    pub fn get_all<'n>(self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.lines_of(name.as_bytes())
    }

    /// Whether `name` is there.
    pub fn contains(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether the comma-separated list of all lines of `name` has the member `token`, ignoring case.
    pub fn has_token(self, name: &str, token: &str) -> bool {
        self.get_all(name)
            .any(|v| token::list_members(v).any(|m| m.eq_ignore_ascii_case(token.as_bytes())))
    }

    /// All field lines, in order.
    pub fn iter(self) -> FieldsIter<'a> {
        FieldsIter {
            bytes: self.bytes,
            spans: self.spans.iter(),
        }
    }

    /// An owned copy.
    pub fn to_headers(self) -> Headers {
        let mut h = Headers::new();
        for f in self.iter() {
            // What a section holds fits again.
            let _ = h.push(f);
        }
        h
    }

    fn lines_of<'n>(self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let bytes = self.bytes;
        self.spans.iter().filter_map(move |s| {
            let n = &bytes[s.name as usize..s.name_end as usize];
            (n.len() == name.len() && n.eq_ignore_ascii_case(name))
                .then(|| &bytes[s.value as usize..s.value_end as usize])
        })
    }
}

impl FieldLines for Fields<'_> {
    fn for_each_field(&self, mut each: impl FnMut(Field<'_>)) {
        for f in self.iter() {
            each(f);
        }
    }
}

impl<'a> IntoIterator for Fields<'a> {
    type Item = Field<'a>;
    type IntoIter = FieldsIter<'a>;
    fn into_iter(self) -> FieldsIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Iterates over the field lines of a section, in order.
#[derive(Clone)]
pub struct FieldsIter<'a> {
    bytes: &'a [u8],
    spans: core::slice::Iter<'a, FieldSpan>,
}

impl fmt::Debug for FieldsIter<'_> {
    /// The lines that are left.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> Iterator for FieldsIter<'a> {
    type Item = Field<'a>;
    fn next(&mut self) -> Option<Field<'a>> {
        self.spans.next().map(|s| field_at(self.bytes, s))
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for FieldsIter<'_> {}

fn field_at<'a>(bytes: &'a [u8], s: &FieldSpan) -> Field<'a> {
    Field {
        name: FieldName::checked(&bytes[s.name as usize..s.name_end as usize]),
        value: FieldValue::checked(&bytes[s.value as usize..s.value_end as usize]),
    }
}

/// Why a field line was refused. Values are never repeated here, since they may be secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidField {
    /// The name is no token.
    Name(InvalidFieldName),
    /// The value holds a control byte.
    Value(InvalidFieldValue),
    /// The section would pass 4 GiB.
    TooLarge,
}

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidField::Name(e) => e.fmt(f),
            InvalidField::Value(e) => e.fmt(f),
            InvalidField::TooLarge => f.write_str("the field section would pass 4 GiB"),
        }
    }
}

impl core::error::Error for InvalidField {}
