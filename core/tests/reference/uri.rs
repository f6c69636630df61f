//! Hosts (RFC 3986, section 3.2.2) and request targets (RFC 9112, section 3.2), as whole texts.

/// `uri-host [ ":" port ]` (RFC 9110, section 7.2). The host may be empty where the caller says so: a reg-name may.
pub(super) fn is_host(text: &str, may_be_empty: bool) -> bool {
    let (host, port) = if text.starts_with('[') {
        match text.find(']') {
            Some(end) => (&text[..=end], &text[end + 1..]),
            None => return false,
        }
    } else {
        match text.find(':') {
            Some(colon) => (&text[..colon], &text[colon..]),
            None => (text, ""),
        }
    };
    let port_good = port.is_empty() || (port.starts_with(':') && all_digits(&port[1..]));
    let host_good = if let Some(literal) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        is_ipv6(literal) || is_ip_future(literal)
    } else {
        is_reg_name(host) && (may_be_empty || !host.is_empty())
    };
    host_good && port_good
}

fn all_digits(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit())
}

fn is_unreserved_or_sub_delim(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(c)
}

/// `*( unreserved / pct-encoded / sub-delims )`
fn is_reg_name(text: &str) -> bool {
    let mut pieces = text.split('%');
    // What stands before the first percent sign, then what follows each.
    let first = pieces.next().unwrap_or("");
    first.chars().all(is_unreserved_or_sub_delim)
        && pieces.all(|p| {
            let two = p.chars().take(2).filter(char::is_ascii_hexdigit).count() == 2;
            two && p.chars().skip(2).all(is_unreserved_or_sub_delim)
        })
}

/// `"v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`
fn is_ip_future(text: &str) -> bool {
    let Some((version, rest)) = text.split_once('.') else {
        return false;
    };
    let mut version = version.chars();
    matches!(version.next(), Some('v' | 'V'))
        && version.clone().next().is_some()
        && version.all(|c| c.is_ascii_hexdigit())
        && !rest.is_empty()
        && rest.chars().all(|c| is_unreserved_or_sub_delim(c) || c == ':')
}

/// Eight groups of 16 bits, one run of which may be left out as `::`; the last two may be written as an IPv4 address.
fn is_ipv6(text: &str) -> bool {
    match text.split_once("::") {
        None => groups(text, true) == Some(8),
        Some((before, after)) => {
            let before = if before.is_empty() {
                Some(0)
            } else {
                groups(before, false)
            };
            let after = if after.is_empty() {
                Some(0)
            } else {
                groups(after, true)
            };
            matches!((before, after), (Some(b), Some(a)) if b + a <= 7)
        }
    }
}

/// How many groups of 16 bits these are, if nothing is wrong with them.
fn groups(text: &str, ipv4_last: bool) -> Option<usize> {
    let parts: Vec<&str> = text.split(':').collect();
    let mut count = 0;
    for (i, part) in parts.iter().enumerate() {
        let hex = (1..=4).contains(&part.len()) && part.chars().all(|c| c.is_ascii_hexdigit());
        if hex {
            count += 1;
        } else if ipv4_last && i + 1 == parts.len() && is_ipv4(part) {
            count += 2;
        } else {
            return None;
        }
    }
    Some(count)
}

fn is_ipv4(text: &str) -> bool {
    let octets: Vec<&str> = text.split('.').collect();
    let good = |o: &&str| all_digits(o) && (*o == "0" || !o.starts_with('0')) && o.parse::<u8>().is_ok();
    octets.len() == 4 && octets.iter().all(good)
}

/// Whether this target goes with this method: origin form with all but CONNECT, absolute form with all but CONNECT,
/// authority form with CONNECT, `*` with OPTIONS.
pub(super) fn goes_with(method: &str, target: &str) -> bool {
    let connect = method == "CONNECT";
    if target.starts_with('/') {
        return !connect;
    }
    if target == "*" {
        return method == "OPTIONS";
    }
    if let Some((scheme, rest)) = target.split_once(':')
        && is_scheme(scheme)
        && let Some(rest) = rest.strip_prefix("//")
    {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        // "A recipient SHOULD parse for userinfo and treat its presence as an error" (RFC 9110, section 4.2.4)
        return !connect && is_host(&rest[..end], false);
    }
    connect && is_authority(target)
}

/// `ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )`
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// `uri-host ":" port`: "there is no default port; a client MUST send the port number" (RFC 9110, section 9.3.6).
fn is_authority(text: &str) -> bool {
    is_host(text, false)
        && text
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.is_empty() && all_digits(port))
}
