//! The newest items of a kind, a bounded number of them.

use std::collections::VecDeque;

/// The newest `LIMIT` items. An older one makes way for a new one.
#[derive(Clone, Debug)]
pub(crate) struct Recent<T, const LIMIT: usize>(VecDeque<T>);

impl<T, const LIMIT: usize> Default for Recent<T, LIMIT> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T, const LIMIT: usize> Recent<T, LIMIT> {
    /// Adds an item; removes the oldest if there are more than `LIMIT`.
    pub(crate) fn push(&mut self, item: T) {
        if self.0.len() == LIMIT {
            self.0.pop_front();
        }
        self.0.push_back(item);
    }

    /// The items, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    /// The newest item.
    pub(crate) fn newest(&self) -> Option<&T> {
        self.0.back()
    }

    /// The newest item.
    pub(crate) fn newest_mut(&mut self) -> Option<&mut T> {
        self.0.back_mut()
    }

    /// Removes the newest items for as long as `unwanted` holds of them.
    pub(crate) fn pop_newest_while(&mut self, unwanted: impl Fn(&T) -> bool) {
        while self.0.back().is_some_and(&unwanted) {
            self.0.pop_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_item_makes_way() {
        let mut recent: Recent<u8, 2> = Recent::default();
        for item in 1..=3 {
            recent.push(item);
        }
        assert_eq!(recent.iter().copied().collect::<Vec<_>>(), [2, 3]);
        recent.pop_newest_while(|item| *item == 3);
        assert_eq!(recent.newest(), Some(&2));
    }
}
