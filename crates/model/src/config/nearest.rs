//! The known word nearest to an unknown one.

/// Words of other programs, and what they are called here.
const ELSEWHERE: [(&str, &str); 18] = [
    ("backend", "origin"),
    ("upstream", "origin"),
    ("target", "origin"),
    ("proxy_pass", "origin"),
    ("host", "hosts"),
    ("domain", "hosts"),
    ("domains", "hosts"),
    ("server_name", "hosts"),
    ("site", "platforms"),
    ("sites", "platforms"),
    ("server", "platforms"),
    ("routes", "activities"),
    ("path", "paths"),
    ("bind", "address"),
    ("cert", "certificate"),
    ("priority", "tier"),
    ("threads", "workers"),
    ("operator", "admin"),
];

/// Longer words are not compared: no key is that long.
const LONGEST: usize = 40;

/// The known word nearest to `word`, if one is near enough to have been meant.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    let elsewhere = ELSEWHERE.iter().find_map(|(theirs, ours)| (*theirs == word).then_some(*ours));
    // One slip in a short word, one more for each further three letters.
    let tolerance = 1 + word.chars().count() / 4;
    known
        .into_iter()
        .map(|known| {
            let slips = match elsewhere {
                Some(ours) if ours == known => 0,
                _ => distance(&word, &known.to_lowercase()),
            };
            (slips, known)
        })
        .filter(|(slips, known)| *slips <= tolerance && *slips < known.len())
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, known)| known)
}

/// Letters to insert, remove, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, from) in a.chars().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(from != *to);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if j > 0 && previous == Some(*to) && from == b[j - 1] {
                least = least.min(before_last[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = core::mem::replace(&mut last, row);
        previous = Some(from);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 5] = ["name", "hosts", "origin", "activities", "header_timeout"];

    #[test]
    fn slips_of_the_hand_find_their_word() {
        assert_eq!(nearest("hots", KEYS), Some("hosts"));
        assert_eq!(nearest("orgiin", KEYS), Some("origin"));
        assert_eq!(nearest("header-timeot", KEYS), Some("header_timeout"));
        assert_eq!(nearest("Name", KEYS), Some("name"));
    }

    #[test]
    fn words_of_other_programs_find_ours() {
        assert_eq!(nearest("backend", KEYS), Some("origin"));
        assert_eq!(nearest("server_name", KEYS), Some("hosts"));
    }

    #[test]
    fn a_word_far_from_all_finds_none() {
        assert_eq!(nearest("colour", KEYS), None);
        assert_eq!(nearest("x", KEYS), None);
        assert_eq!(nearest("", KEYS), None);
    }

    #[test]
    fn neighbours_swapped_are_one_slip() {
        assert_eq!(distance("psot", "post"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
