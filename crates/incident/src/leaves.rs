//! Where a figure comes from: the leaves of the ledger, listed while they are few.

use core::fmt;

use portcullis_model::WallTime;
use serde::Serialize;

use crate::words;

/// When something happened, and the leaf that records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LeafRef {
    /// When.
    pub at: WallTime,
    /// The leaf.
    pub leaf: u64,
}

/// The leaves that a figure came from. All of them are listed while there are at most
/// [`LeafSet::LISTED`]; after that the first few, with the count and the range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeafSet {
    /// How many.
    pub count: u64,
    /// The first few, ascending.
    pub listed: Vec<u64>,
    /// The last.
    pub last: Option<u64>,
}

impl LeafSet {
    /// How many are listed.
    pub const LISTED: usize = 8;

    /// One leaf.
    pub fn single(leaf: u64) -> Self {
        [leaf].into_iter().collect()
    }

    /// Adds a leaf. The smallest are listed, in order.
    pub fn add(&mut self, leaf: u64) {
        self.count = self.count.saturating_add(1);
        let place = self.listed.partition_point(|listed| *listed <= leaf);
        if place < Self::LISTED {
            self.listed.insert(place, leaf);
            self.listed.truncate(Self::LISTED);
        }
        self.last = Some(self.last.map_or(leaf, |last| last.max(leaf)));
    }

    /// Adds another figure's leaves. A leaf that both listed is listed once; the count then is
    /// that of distinct leaves as far as both lists tell.
    pub fn merge(&mut self, other: &Self) {
        let unlisted = other.count.saturating_sub(other.listed.len() as u64);
        for &leaf in &other.listed {
            if !self.listed.contains(&leaf) {
                self.add(leaf);
            }
        }
        self.count = self.count.saturating_add(unlisted);
        self.last = self.last.max(other.last);
    }

    /// The first leaf.
    pub fn first(&self) -> Option<u64> {
        self.listed.first().copied()
    }

    /// The leaves to prove: those listed and the last, ascending, each once.
    pub fn to_prove(&self) -> Vec<u64> {
        let mut leaves: Vec<u64> = self.listed.iter().copied().chain(self.last).collect();
        leaves.sort_unstable();
        leaves.dedup();
        leaves
    }
}

impl FromIterator<u64> for LeafSet {
    fn from_iter<I: IntoIterator<Item = u64>>(leaves: I) -> Self {
        let mut all = Self::default();
        for leaf in leaves {
            all.add(leaf);
        }
        all
    }
}

impl fmt::Display for LeafSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.listed.iter().map(u64::to_string).collect();
        match (self.count, self.last) {
            (0, _) | (_, None) => write!(f, "no leaf"),
            (1, Some(leaf)) => write!(f, "leaf {leaf}"),
            (n, Some(_)) if n <= names.len() as u64 => {
                write!(f, "leaves {}", words::list(&names))
            }
            (n, Some(last)) => write!(
                f,
                "{} leaves from {} to {last}",
                words::count(n),
                self.first().unwrap_or(last)
            ),
        }
    }
}

/// A list of bounded length, with the number of items that did not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BoundedList<T> {
    /// What fitted.
    pub items: Vec<T>,
    /// How many did not.
    pub more: u64,
}

impl<T> Default for BoundedList<T> {
    fn default() -> Self {
        Self { items: Vec::new(), more: 0 }
    }
}

impl<T> BoundedList<T> {
    /// Adds `item` if there are fewer than `limit`; counts it otherwise.
    pub(crate) fn add(&mut self, item: T, limit: usize) {
        if self.items.len() < limit {
            self.items.push(item);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// How many there were, listed or not.
    pub fn count(&self) -> u64 {
        self.more.saturating_add(self.items.len() as u64)
    }

    /// The items that fitted.
    pub fn iter(&self) -> core::slice::Iter<'_, T> {
        self.items.iter()
    }
}

impl<'a, T> IntoIterator for &'a BoundedList<T> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_leaves_are_named_and_many_are_counted() {
        assert_eq!(LeafSet::default().to_string(), "no leaf");
        assert_eq!(LeafSet::single(7).to_string(), "leaf 7");
        let three: LeafSet = [9, 3, 5].into_iter().collect();
        assert_eq!(three.to_string(), "leaves 3, 5 and 9");
        let many: LeafSet = (10..40).collect();
        assert_eq!(many.to_string(), "30 leaves from 10 to 39");
        assert_eq!(many.to_prove(), [10, 11, 12, 13, 14, 15, 16, 17, 39]);
    }

    #[test]
    fn merging_names_a_shared_leaf_once() {
        let mut a: LeafSet = [1, 2].into_iter().collect();
        a.merge(&[2, 3].into_iter().collect());
        assert_eq!((a.count, a.listed), (3, vec![1, 2, 3]));
    }
}
