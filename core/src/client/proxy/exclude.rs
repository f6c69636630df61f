//! [`NoProxy`]: the targets that are asked directly, as `NO_PROXY` lists them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

/// A list of targets that no proxy is used for: what `NO_PROXY` means.
///
/// The entries stand between commas or white space; their case is ignored:
///
/// | entry | excludes |
/// |---|---|
/// | `*` | everything |
/// | `example.com` | that host and all below it |
/// | `.example.com`, `*.example.com` | all below it, not the host itself |
/// | `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]` | that address |
/// | `10.0.0.0/8`, `2001:db8::/32` | the addresses of that block (RFC 4632) |
/// | any of the host and address entries with `:port` | only that port (an IPv6 address then stands in brackets) |
///
/// Addresses are compared with targets that are addresses; names are not resolved for it. An entry that makes no sense
/// excludes nothing, as in Go.
///
/// ```
/// use antiphon_core::client::proxy::NoProxy;
/// let list = NoProxy::parse("example.com, 10.0.0.0/8, .intern:8080");
/// assert!(list.excludes("www.example.com", 443) && list.excludes("10.9.8.7", 80));
/// assert!(list.excludes("a.intern", 8080) && !list.excludes("a.intern", 80) && !list.excludes("intern", 8080));
/// assert!(!list.excludes("badexample.com", 443));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy {
    entries: Vec<Entry>,
    everything: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    /// An address block.
    Block {
        network: IpAddr,
        bits: u8,
    },
    Address {
        ip: IpAddr,
        port: Option<u16>,
    },
    /// `name` without a leading dot.
    Domain {
        name: Box<str>,
        itself: bool,
        port: Option<u16>,
    },
}

/// A target as it is compared.
pub(super) struct Excluded {
    name: String,
    ip: Option<IpAddr>,
    port: u16,
}

impl Excluded {
    pub(super) fn target(host: &str, port: u16) -> Excluded {
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        Excluded {
            ip: address(&name),
            name,
            port,
        }
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.name == "localhost" || self.ip.is_some_and(|ip| ip.is_loopback())
    }
}

/// An address, without its brackets and zone; one of IPv4 that is mapped into IPv6 is one of IPv4.
fn address(text: &str) -> Option<IpAddr> {
    let inside = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    let bare = inside.split_once('%').map_or(inside, |(ip, _)| ip);
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

impl NoProxy {
    /// Excludes nothing.
    pub const NOTHING: NoProxy = NoProxy {
        entries: Vec::new(),
        everything: false,
    };

    /// Reads a list.
    pub fn parse(list: &str) -> NoProxy {
        let mut no_proxy = NoProxy::NOTHING;
        for entry in list.split(|c: char| c == ',' || c.is_ascii_whitespace()) {
            if entry == "*" {
                no_proxy.everything = true;
            } else if let Some(entry) = Entry::parse(&entry.to_ascii_lowercase()) {
                no_proxy.entries.push(entry);
            }
        }
        no_proxy
    }

    /// Whether the target is asked directly.
    pub fn excludes(&self, host: &str, port: u16) -> bool {
        self.matches(&Excluded::target(host, port))
    }

    pub(super) fn matches(&self, target: &Excluded) -> bool {
        self.everything || self.entries.iter().any(|e| e.matches(target))
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Entry> {
        if let Some((network, bits)) = text.split_once('/') {
            return block(network, bits);
        }
        if let Some(ip) = address(text) {
            return Some(Entry::Address { ip, port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            None => (text, None),
            Some((host, port)) => (host, Some(port.parse().ok()?)),
        };
        if let Some(ip) = address(host) {
            return Some(Entry::Address { ip, port });
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let below = host.strip_prefix("*.").or_else(|| host.strip_prefix('.'));
        let name = below.unwrap_or(host);
        let sensible = !name.is_empty() && !name.contains([':', '[', ']', '*', '@']);
        sensible.then(|| Entry::Domain {
            name: name.into(),
            itself: below.is_none(),
            port,
        })
    }

    fn matches(&self, target: &Excluded) -> bool {
        let on = |port: &Option<u16>| port.is_none_or(|p| p == target.port);
        match self {
            Entry::Block { network, bits } => target.ip.is_some_and(|ip| in_block(ip, *network, *bits)),
            Entry::Address { ip, port } => target.ip == Some(*ip) && on(port),
            Entry::Domain { name, itself, port } => {
                let matches = match target.name.strip_suffix(&**name) {
                    Some("") => *itself,
                    Some(before) => before.ends_with('.'),
                    None => false,
                };
                matches && on(port)
            }
        }
    }
}

fn block(network: &str, bits: &str) -> Option<Entry> {
    if !bits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let network: IpAddr = network.parse().ok()?;
    let bits: u8 = bits.parse().ok()?;
    // A block of IPv4 addresses mapped into IPv6 is one of IPv4.
    match (network, network.to_canonical()) {
        (IpAddr::V6(_), v4 @ IpAddr::V4(_)) if (96..=128).contains(&bits) => Some(Entry::Block {
            network: v4,
            bits: bits - 96,
        }),
        (IpAddr::V4(_), _) if bits <= 32 => Some(Entry::Block { network, bits }),
        (IpAddr::V6(_), _) if bits <= 128 => Some(Entry::Block { network, bits }),
        _ => None,
    }
}

fn in_block(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            (a.to_bits() ^ n.to_bits()) & mask == 0
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            (a.to_bits() ^ n.to_bits()) & mask == 0
        }
        _ => false,
    }
}
