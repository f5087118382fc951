//! The most frequent of very many texts, in a table of fixed size.

use serde::Serialize;

/// Texts counted at the same time.
const COUNTERS: usize = 256;
/// Characters stored of a text.
const MAX_TEXT: usize = 160;

/// One of the most frequent texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ranked {
    /// The text.
    pub text: String,
    /// How many requests: at most this many.
    pub requests: u64,
    /// How many of these may be others': the table was full when the text was first counted.
    pub error_bound: u64,
}

/// Counts the most frequent texts (Space-Saving: Metwally, Agrawal and El Abbadi 2005): of `n`
/// requests, every text with more than `n`/256 is in the table.
#[derive(Debug, Default)]
pub(crate) struct SpaceSaving {
    keys: Vec<u32>,
    ranked: Vec<Ranked>,
}

impl SpaceSaving {
    /// Counts one. `key` is a hash of the text.
    pub(crate) fn add(&mut self, key: u32, text: &str) {
        if let Some(at) = self.keys.iter().position(|k| *k == key) {
            self.ranked[at].requests += 1;
            return;
        }
        let mut ranked = Ranked { text: clip(text), requests: 1, error_bound: 0 };
        if self.keys.len() < COUNTERS {
            self.keys.push(key);
            self.ranked.push(ranked);
            return;
        }
        let least = (0..self.ranked.len()).min_by_key(|at| self.ranked[*at].requests);
        if let Some(at) = least {
            ranked.error_bound = self.ranked[at].requests;
            ranked.requests += ranked.error_bound;
            self.keys[at] = key;
            self.ranked[at] = ranked;
        }
    }

    /// The `count` most frequent; of equals, in the order of their text.
    pub(crate) fn ranking(mut self, count: usize) -> Vec<Ranked> {
        // What is mostly doubt is no finding.
        self.ranked.retain(|ranked| ranked.error_bound * 2 <= ranked.requests);
        self.ranked.sort_by(|a, b| (b.requests, &a.text).cmp(&(a.requests, &b.text)));
        self.ranked.truncate(count);
        self.ranked
    }
}

/// The beginning of `text`, without characters that could move a cursor.
fn clip(text: &str) -> String {
    let plain = portcullis_incident::words::plain(text);
    match plain.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &plain[..end]),
        None => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequent_are_found_among_very_many_rare_ones() {
        let mut top = SpaceSaving::default();
        for n in 0..20_000u32 {
            top.add(n + 10, &format!("/rare/{n}"));
            if n % 4 == 0 {
                top.add(1, "/search");
            }
        }
        let ranking = top.ranking(10);
        assert_eq!(ranking[0].text, "/search");
        assert!(ranking[0].requests - ranking[0].error_bound <= 5_000);
        assert!(ranking[0].requests >= 5_000);
        assert_eq!(ranking.len(), 1, "{ranking:?}");
    }

    #[test]
    fn what_could_move_a_cursor_is_not_shown() {
        let mut top = SpaceSaving::default();
        top.add(1, "curl\x1b[2J");
        assert_eq!(top.ranking(1)[0].text, "curl [2J");
    }
}
