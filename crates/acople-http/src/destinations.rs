//! Where requests may go: the public internet, and what the host opens besides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use acople_core::{Error, Result};
use url::{Host, Url};

use crate::SpecialUse;

/// Where requests may go: the public internet, and what the host opens besides.
///
/// An address that a customer enters or a vendor links to must not reach the host's own network, its cloud's
/// metadata service or this machine. So all that is not public ([`SpecialUse`]) is refused, unless it is on this
/// list: systems on the premises, sandboxes, tests.
///
/// A name on the list may resolve to loopback, private and shared addresses: who puts it there trusts the name
/// server with it. Other special addresses are opened by address or network alone, and a metadata service by
/// its very address.
///
/// ```
/// use acople_http::{Destinations, SpecialUse};
///
/// let destinations = Destinations::public().allow("erp.corp.example")?.allow("10.20.0.0/16")?;
/// assert_eq!(destinations.check(None, [10, 20, 3, 4].into()), Ok(()));
/// assert_eq!(destinations.check(Some("erp.corp.example"), [192, 168, 1, 5].into()), Ok(()));
/// assert_eq!(destinations.check(Some("evil.example"), [192, 168, 1, 5].into()), Err(SpecialUse::Private));
/// # Ok::<(), acople_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Destinations {
    names: Vec<String>,
    networks: Vec<Network>,
}

impl Destinations {
    /// The public internet and nothing else.
    pub fn public() -> Self {
        Self::default()
    }

    /// Opens a host by name (exactly this one, not those below it), an address, or a network such as
    /// `10.20.0.0/16`.
    ///
    /// # Errors
    /// `Config` when it is none of these: a URL, a port or a wildcard does not belong here.
    pub fn allow(mut self, destination: &str) -> Result<Self> {
        let wrong = || {
            let message = format!("{destination:?} is neither a host name nor an address nor a network");
            Error::config("destinations", message)
        };
        if let Some((address, length)) = destination.split_once('/') {
            let address = address.parse().map_err(|_| wrong())?;
            let length = length.parse().map_err(|_| wrong())?;
            self.networks.push(Network::new(address, length).ok_or_else(wrong)?);
        } else if let Ok(address) = destination.parse() {
            self.networks.push(Network::one(address));
        } else {
            match Host::parse(destination) {
                Ok(Host::Domain(name)) if !name.contains('*') => self.names.push(name),
                _ => return Err(wrong()),
            }
        }
        Ok(self)
    }

    /// Opens this machine: 127.0.0.0/8 and ::1, under whatever name. For sandboxes and tests.
    pub fn allow_loopback(mut self) -> Self {
        let v4 = Network { address: Ipv4Addr::LOCALHOST.into(), length: 8 };
        self.networks.extend([v4, Network::one(Ipv6Addr::LOCALHOST.into())]);
        self
    }

    /// Whether a connection may be made to the address, `name` being what it was resolved from.
    ///
    /// # Errors
    /// What the address is for, when it is neither public nor on the list.
    pub fn check(&self, name: Option<&str>, address: IpAddr) -> Result<(), SpecialUse> {
        let Some(reason) = SpecialUse::of(address) else {
            return Ok(());
        };
        let canonical = address.to_canonical();
        let by_address = self.networks.iter().any(|network| {
            network.contains(canonical) && (reason != SpecialUse::Metadata || network.is_one())
        });
        let by_name = || {
            matches!(reason, SpecialUse::Loopback | SpecialUse::Private | SpecialUse::Shared)
                && name.is_some_and(|name| self.has_name(name))
        };
        if by_address || by_name() { Ok(()) } else { Err(reason) }
    }

    /// The same for a URL whose host is an address, in any spelling: `2130706433`, `0177.0.0.1` and `0x7f.1` are
    /// 127.0.0.1. A name is to be checked where it is resolved, so that check and use are one step.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_url(&self, url: &Url) -> Result<(), SpecialUse> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(None, address.into()),
            Some(Host::Ipv6(address)) => self.check(None, address.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }

    fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|own| without_dot(own).eq_ignore_ascii_case(without_dot(name)))
    }
}

/// A network, such as 10.0.0.0/8.
#[derive(Clone, Copy, Debug)]
struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    /// `None` when the prefix is longer than the address.
    fn new(address: IpAddr, length: u8) -> Option<Self> {
        (length <= width(address)).then_some(Self { address, length })
    }

    /// The network of one address.
    fn one(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, length: width(address) }
    }

    fn is_one(self) -> bool {
        self.length == width(self.address)
    }

    fn contains(self, address: IpAddr) -> bool {
        let outside = u32::from(width(self.address) - self.length);
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(outside).is_none_or(|rest| rest == 0)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(outside).is_none_or(|rest| rest == 0)
            }
            _ => false,
        }
    }
}

/// A trailing dot only says that the name is complete.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}
