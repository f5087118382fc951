//! Which platform has which host name.

use core::cmp::Ordering;

/// The host names of all platforms, sorted, so that a lookup takes time by the logarithm of their
/// number. A platform is named by its place in the configuration.
#[derive(Debug)]
pub(crate) struct HostTable {
    /// Names in lower case, in order; of a name that occurs twice, the first platform's.
    names: Vec<(Box<str>, usize)>,
    /// The first platform with `*`.
    any: Option<usize>,
}

impl HostTable {
    /// `platforms`: the host names of each, in the order of the configuration.
    pub(crate) fn new<'a>(platforms: impl Iterator<Item = &'a [String]>) -> Self {
        let (mut names, mut any) = (Vec::new(), None);
        for (place, hosts) in platforms.enumerate() {
            for host in hosts {
                if host == "*" {
                    any = any.or(Some(place));
                } else {
                    names.push((host.to_ascii_lowercase().into_boxed_str(), place));
                }
            }
        }
        names.sort();
        names.dedup_by(|later, first| later.0 == first.0);
        Self { names, any }
    }

    /// The first platform that has `host`, in any case, or that has `*`. A dot at the end means the same
    /// name (RFC 1034, section 3.1).
    pub(crate) fn place_of(&self, host: &str) -> Option<usize> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let found = self.names.binary_search_by(|(name, _)| compare(name, host));
        let exact = found.ok().map(|at| self.names[at].1);
        exact.into_iter().chain(self.any).min()
    }
}

/// Compares a name in lower case with a host in any case. Equality comes first: most gates have few
/// names, so that the first comparison is usually the last.
fn compare(name: &str, host: &str) -> Ordering {
    if name.eq_ignore_ascii_case(host) {
        return Ordering::Equal;
    }
    name.bytes().cmp(host.bytes().map(|byte| byte.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the table must equal: the platforms one after the other.
    fn one_by_one(platforms: &[Vec<String>], host: &str) -> Option<usize> {
        let has = |hosts: &Vec<String>| {
            hosts.iter().any(|name| name == "*" || name.eq_ignore_ascii_case(host))
        };
        platforms.iter().position(has)
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![4 => "[abAB]{1,2}(\\.[aB])?", 1 => Just("*".to_owned())]
    }

    proptest! {
        #[test]
        fn a_lookup_finds_what_a_search_one_by_one_finds(
            platforms in prop::collection::vec(prop::collection::vec(name(), 0..6), 0..6),
            host in "[abAB]{1,2}(\\.[aB])?",
        ) {
            let table = HostTable::new(platforms.iter().map(Vec::as_slice));
            prop_assert_eq!(table.place_of(&host), one_by_one(&platforms, &host));
        }
    }
}
