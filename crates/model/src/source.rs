//! Where requests come from.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

/// A source: an IPv4 address, or an IPv6 /64, in 64 bits.
///
/// One subscriber usually holds a whole IPv6 /64, so anything finer would let one machine appear
/// as 2^64 sources. IPv4 addresses sit under `ffff:…`, which is multicast and so never a source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey(u64);

const IPV4_TAG: u64 = 0xffff_0000_0000_0000;

impl SourceKey {
    /// The source that `address` belongs to. IPv4-mapped IPv6 addresses count as IPv4.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(IPV4_TAG | u64::from(u32::from(v4))),
            IpAddr::V6(v6) => Self((u128::from(v6) >> 64) as u64),
        }
    }

    /// The wider network that a visitor may roam in without being asked again: /24 for IPv4,
    /// /48 for IPv6.
    pub const fn network(self) -> u64 {
        if self.0 & IPV4_TAG == IPV4_TAG { self.0 & !0xff } else { self.0 & !0xffff }
    }

    /// The 64 bits, for keyed hashing and fixed-size tables.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// Never prints the address: visiting a party's site can reveal a political opinion.
impl fmt::Debug for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 & IPV4_TAG == IPV4_TAG { "SourceKey(v4)" } else { "SourceKey(v6)" })
    }
}

/// An address range in CIDR notation, for trusted proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNet {
    address: IpAddr,
    prefix: u8,
}

impl IpNet {
    /// Whether `address` is in this range. IPv4-mapped IPv6 addresses count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let shift = 32 - u32::from(self.prefix);
                u32::from(net).checked_shr(shift) == u32::from(ip).checked_shr(shift)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let shift = 128 - u32::from(self.prefix);
                u128::from(net).checked_shr(shift) == u128::from(ip).checked_shr(shift)
            }
            _ => false,
        }
    }
}

impl FromStr for IpNet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "`{text}` is not an address or range such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
            )
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| expected())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|p| *p <= longest).ok_or_else(expected)?,
            None => longest,
        };
        Ok(Self { address: address.to_canonical(), prefix })
    }
}

impl fmt::Display for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn one_ipv6_subscriber_is_one_source() {
        let a: IpAddr = "2001:db8:1:2::1".parse().expect("address");
        let b: IpAddr = "2001:db8:1:2:ffff::9".parse().expect("address");
        let other: IpAddr = "2001:db8:1:3::1".parse().expect("address");
        assert_eq!(SourceKey::of(a), SourceKey::of(b));
        assert_ne!(SourceKey::of(a), SourceKey::of(other));
    }

    #[test]
    fn a_mapped_ipv4_address_is_the_same_source() {
        let plain = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped());
        assert_eq!(SourceKey::of(plain), SourceKey::of(mapped));
        assert_ne!(SourceKey::of(plain), SourceKey::of(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    }

    #[test]
    fn a_range_contains_its_addresses_and_no_others() {
        let net: IpNet = "192.0.2.0/24".parse().expect("range");
        assert!(net.contains("192.0.2.255".parse().expect("address")));
        assert!(!net.contains("192.0.3.0".parse().expect("address")));
        assert!(!net.contains("::1".parse().expect("address")));
        let all: IpNet = "0.0.0.0/0".parse().expect("range");
        assert!(all.contains("203.0.113.9".parse().expect("address")));
        assert!("192.0.2.0/33".parse::<IpNet>().is_err());
        assert!("example.org".parse::<IpNet>().is_err());
    }
}
