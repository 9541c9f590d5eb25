//! What addresses are for: those that are not places on the public internet.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not a place on the public internet.
///
/// After the registries of special-purpose addresses (RFC 6890, kept by IANA), and the addresses at which clouds
/// hand out credentials. An IPv4 address inside an IPv6 one (mapped, compatible, NAT64, 6to4, Teredo) counts as
/// itself: that is where the packets end up.
///
/// ```
/// use acople_http::SpecialUse;
///
/// assert_eq!(SpecialUse::of("10.1.2.3".parse()?), Some(SpecialUse::Private));
/// assert_eq!(SpecialUse::of("::ffff:127.0.0.1".parse()?), Some(SpecialUse::Loopback));
/// assert_eq!(SpecialUse::of("8.8.8.8".parse()?), None);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpecialUse {
    /// This machine: 127.0.0.0/8, ::1.
    Loopback,
    /// Somebody's own network: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7.
    Private,
    /// Behind a carrier's NAT: 100.64.0.0/10.
    Shared,
    /// The link itself: 169.254.0.0/16, fe80::/10.
    LinkLocal,
    /// Where a cloud tells its machines their credentials: 169.254.169.254, fd00:ec2::254 and others.
    Metadata,
    /// Many at once: 224.0.0.0/4, ff00::/8.
    Multicast,
    /// No address at all, which many systems take for this machine: 0.0.0.0/8, ::.
    Unspecified,
    /// For documentation, benchmarks, retired ways of transition, or nothing yet.
    Reserved,
}

impl SpecialUse {
    /// What the address is for; `None` when it is a place on the public internet.
    pub fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// In a few words, for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::Shared => "an address behind a carrier's NAT",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud's metadata service",
            Self::Multicast => "a multicast address",
            Self::Unspecified => "an unspecified address",
            Self::Reserved => "a reserved address",
        }
    }
}

impl fmt::Display for SpecialUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for SpecialUse {}

fn of_v4(address: Ipv4Addr) -> Option<SpecialUse> {
    Some(match address.octets() {
        // EC2, Azure and Google; ECS and EKS; Alibaba; Oracle; Azure's wire server, which looks public.
        [169, 254, 169, 254]
        | [169, 254, 170, 2 | 23]
        | [100, 100, 100, 200]
        | [192, 0, 0, 192]
        | [168, 63, 129, 16] => SpecialUse::Metadata,
        [0, ..] => SpecialUse::Unspecified,
        [127, ..] => SpecialUse::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => SpecialUse::Private,
        [100, 64..=127, ..] => SpecialUse::Shared,
        [169, 254, ..] => SpecialUse::LinkLocal,
        [224..=239, ..] => SpecialUse::Multicast,
        [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => SpecialUse::Reserved,
        _ => return None,
    })
}

fn of_v6(address: Ipv6Addr) -> Option<SpecialUse> {
    let inner = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => return Some(SpecialUse::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => return Some(SpecialUse::Loopback),
        // EC2 and EKS, Google.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x23] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
            return Some(SpecialUse::Metadata);
        }
        // Mapped, and NAT64 (RFC 6052): the way from networks without IPv4 to hosts without IPv6.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            return of_v4(v4(high, low));
        }
        // Compatible (RFC 4291, 2.5.5.1) and 6to4 (RFC 3056): retired.
        [0, 0, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => of_v4(v4(high, low)),
        // Teredo (RFC 4380): a server, and a client with all bits turned over.
        [0x2001, 0, high, low, .., client_high, client_low] => {
            of_v4(v4(!client_high, !client_low)).or_else(|| of_v4(v4(high, low)))
        }
        _ => None,
    };
    if inner.is_some() {
        return inner;
    }
    Some(match address.segments() {
        [0xfe80..=0xfebf, ..] => SpecialUse::LinkLocal,
        // Unique local, the older site-local, and NAT64 of one's own (RFC 8215).
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => SpecialUse::Private,
        [0xff00..=0xffff, ..] => SpecialUse::Multicast,
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => SpecialUse::Reserved,
        [0x2000..=0x3fff, ..] => return None,
        _ => SpecialUse::Reserved,
    })
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}
