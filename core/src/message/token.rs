//! Byte classes: which bytes may stand in a token (RFC 9110, section 5.6.2), in a field value (section 5.5)
//! and in a request target (RFC 9112, section 3.2).

/// `tchar`, indexed by byte.
pub(crate) static TOKEN: [bool; 256] = {
    let mut t = [false; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        t[i] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        i += 1;
    }
    t
};

pub(crate) const fn is_token(b: u8) -> bool {
    TOKEN[b as usize]
}

/// A byte that may stand in a field value: HTAB, SP, VCHAR and obs-text.
pub(crate) const fn is_value(b: u8) -> bool {
    b == b'\t' || (b >= 0x20 && b != 0x7f)
}

/// A byte that may stand in a request target as we send and (strictly) receive it: visible US-ASCII but `#`.
pub(crate) const fn is_target(b: u8) -> bool {
    b > 0x20 && b < 0x7f && b != b'#'
}

/// Whether all of `bytes` are `tchar`, and there is at least one.
pub(crate) const fn all_token(bytes: &[u8]) -> bool {
    let mut i = 0;
    while i < bytes.len() {
        if !is_token(bytes[i]) {
            return false;
        }
        i += 1;
    }
    i > 0
}

/// The members of a comma-separated list, OWS trimmed, empty ones left out (RFC 9110, section 5.6.1).
pub(crate) fn list_members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&b| b == b',')
        .map(trim_ows)
        .filter(|m| !m.is_empty())
}

/// `bytes` without leading and trailing SP and HTAB.
pub(crate) fn trim_ows(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}
