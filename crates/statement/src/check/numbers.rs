//! Numbers in words and digits, and how they are compared.

use super::tokens::SentenceToken;

/// Thousandths in one.
pub(super) const ONE: u128 = 1_000;

/// How a number limits what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// The number itself, as precisely as it is written.
    Exactly,
    /// About the number.
    About,
    /// The number or more.
    AtLeast,
    /// More than the number.
    MoreThan,
    /// A little more than the number.
    JustOver,
    /// The number or less.
    AtMost,
    /// Less than the number.
    LessThan,
    /// A little less than the number.
    Nearly,
    /// The number was the most.
    UpTo,
    /// Between two numbers.
    Between,
}

/// A number as it was said, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// The number, or the lower one of a range.
    pub(super) low: u128,
    /// The number, or the upper one of a range.
    pub(super) high: u128,
    /// The weight of its last digit that counts.
    pub(super) grain: u128,
    pub(super) bound: Bound,
}

impl Number {
    pub(super) const fn exactly(value: u128, grain: u128) -> Self {
        Self { low: value, high: value, grain, bound: Bound::Exactly }
    }

    const fn between(low: u128, high: u128) -> Self {
        Self { low, high, grain: ONE, bound: Bound::Between }
    }

    /// The same in a unit that is `factor` times as large.
    #[must_use]
    pub(super) const fn times(self, factor: u128) -> Self {
        Self {
            low: self.low.saturating_mul(factor),
            high: self.high.saturating_mul(factor),
            grain: self.grain.saturating_mul(factor),
            bound: self.bound,
        }
    }

    #[must_use]
    pub(super) const fn bound(mut self, bound: Bound) -> Self {
        if !matches!(self.bound, Bound::Between) {
            self.bound = bound;
        }
        self
    }

    /// Whether `actual`, in thousandths, is what was said. Round numbers are taken as rounded: half
    /// of their last digit that counts, and at most a fortieth; "about" allows a tenth. Own constants.
    pub(super) fn holds(self, actual: u128) -> bool {
        let within = |tolerance: u128| actual.abs_diff(self.low) <= tolerance;
        let half = self.grain / 2;
        match self.bound {
            Bound::Exactly => within(half.min(self.low / 40)),
            Bound::About => within(half.min(self.low / 8).max(self.low / 10)),
            Bound::AtLeast => actual >= self.low,
            Bound::MoreThan => actual > self.low,
            Bound::JustOver => actual > self.low && actual <= self.low + self.low / 5,
            Bound::AtMost => actual <= self.high,
            Bound::LessThan => actual < self.high,
            Bound::Nearly => actual < self.high && actual >= self.high - self.high / 10,
            Bound::UpTo => {
                actual <= self.high + half.min(self.low / 40)
                    && actual >= self.high - self.high / 10
            }
            Bound::Between => actual >= self.low && actual <= self.high,
        }
    }
}

const SMALL: &[&str] = &[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: &[&str] =
    &["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const ORDINALS: &[&str] = &[
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
];

/// Vague numbers with the range that they are taken to mean. Own rubric, printed with the finding.
const VAGUE: &[(&str, u128, u128)] = &[
    ("a handful of", 2, 9),
    ("handful of", 2, 9),
    ("a few", 2, 9),
    ("few", 1, 9),
    ("several", 3, 19),
    ("a couple of", 2, 2),
    ("couple of", 2, 2),
    ("a couple", 2, 2),
    ("both", 2, 2),
    ("a pair of", 2, 2),
    ("dozens of", 24, 199),
    ("scores of", 40, 199),
    ("tens of thousands of", 20_000, 199_999),
    ("hundreds of thousands of", 200_000, 1_999_999),
    ("hundreds of", 200, 1_999),
    ("thousands of", 2_000, 99_999),
    ("tens of millions of", 20_000_000, 199_999_999),
    ("millions of", 2_000_000, 99_999_999),
    ("billions of", 2_000_000_000, 99_999_999_999),
    ("multiple", 2, 1_000),
    ("a series of", 2, 1_000),
    ("repeated", 2, 1_000),
    ("numerous", 10, 1_000_000),
];

/// Words that limit the number after them.
const BEFORE: &[(&str, Bound)] = &[
    ("a little more than", Bound::JustOver),
    ("slightly more than", Bound::JustOver),
    ("a little over", Bound::JustOver),
    ("slightly over", Bound::JustOver),
    ("just over", Bound::JustOver),
    ("a bit over", Bound::JustOver),
    ("a little under", Bound::Nearly),
    ("a little less than", Bound::Nearly),
    ("slightly under", Bound::Nearly),
    ("slightly less than", Bound::Nearly),
    ("just under", Bound::Nearly),
    ("just short of", Bound::Nearly),
    ("close to", Bound::Nearly),
    ("nearly", Bound::Nearly),
    ("almost", Bound::Nearly),
    ("as long as", Bound::AtLeast),
    ("longer than", Bound::MoreThan),
    ("shorter than", Bound::LessThan),
    ("no fewer than", Bound::AtLeast),
    ("no less than", Bound::AtLeast),
    ("not less than", Bound::AtLeast),
    ("at least", Bound::AtLeast),
    ("a minimum of", Bound::AtLeast),
    ("in excess of", Bound::MoreThan),
    ("upwards of", Bound::MoreThan),
    ("more than", Bound::MoreThan),
    ("greater than", Bound::MoreThan),
    ("well over", Bound::MoreThan),
    ("over", Bound::MoreThan),
    ("above", Bound::MoreThan),
    ("exceeding", Bound::MoreThan),
    ("not more than", Bound::AtMost),
    ("no more than", Bound::AtMost),
    ("at most", Bound::AtMost),
    ("a maximum of", Bound::UpTo),
    ("as many as", Bound::UpTo),
    ("as much as", Bound::UpTo),
    ("as high as", Bound::UpTo),
    ("up to", Bound::UpTo),
    ("well under", Bound::LessThan),
    ("less than", Bound::LessThan),
    ("fewer than", Bound::LessThan),
    ("under", Bound::LessThan),
    ("below", Bound::LessThan),
    ("approximately", Bound::About),
    ("approx", Bound::About),
    ("in the region of", Bound::About),
    ("somewhere around", Bound::About),
    ("an estimated", Bound::About),
    ("around", Bound::About),
    ("roughly", Bound::About),
    ("some", Bound::About),
    ("about", Bound::About),
    ("circa", Bound::About),
    ("a total of", Bound::Exactly),
    ("exactly", Bound::Exactly),
    ("precisely", Bound::Exactly),
    ("only", Bound::Exactly),
    ("just", Bound::Exactly),
];

/// The number of tokens that `phrase` has at `at`; zero if it is not there.
pub(super) fn phrase_at(tokens: &[SentenceToken], at: usize, phrase: &str) -> usize {
    let mut length = 0;
    for word in phrase.split(' ') {
        if !tokens.get(at + length).is_some_and(|token| token.is(word)) {
            return 0;
        }
        length += 1;
    }
    length
}

/// The ordinal at `at`: `second` is 2.
pub(super) fn ordinal(token: &SentenceToken) -> Option<u64> {
    let place = ORDINALS.iter().position(|word| token.is(word));
    let digits = || {
        let end = ["st", "nd", "rd", "th"].iter().find_map(|e| token.text.strip_suffix(e))?;
        end.parse().ok()
    };
    place.map(|place| place as u64 + 1).or_else(digits)
}

/// The number that begins at `at`, with the words that limit it, and how many tokens it takes.
pub(super) fn number(tokens: &[SentenceToken], at: usize) -> Option<(Number, usize)> {
    for (phrase, low, high) in VAGUE {
        let length = phrase_at(tokens, at, phrase);
        if length > 0 {
            return Some((Number::between(low * ONE, high * ONE), length));
        }
    }
    let (bound, skipped) = limit(tokens, at).unwrap_or((Bound::Exactly, 0));
    if let Some((range, length)) = range(tokens, at + skipped) {
        return Some((range, skipped + length));
    }
    if skipped > 0 && bound == Bound::Exactly {
        // "only about 40" and "just over 40".
        if let Some((inner, length)) = number(tokens, at + skipped) {
            return Some((inner, skipped + length));
        }
    }
    let (plain, length) = plain(tokens, at + skipped)?;
    let mut end = at + skipped + length;
    let mut bound = bound;
    if bound == Bound::Exactly {
        for (after, meaning) in [("or more", Bound::AtLeast), ("or so", Bound::About)] {
            let more = phrase_at(tokens, end, after);
            if more > 0 {
                bound = meaning;
                end += more;
            }
        }
    }
    Some((plain.bound(bound), end - at))
}

/// Words at `at` that limit a number after them, and how many tokens they take.
pub(super) fn limit(tokens: &[SentenceToken], at: usize) -> Option<(Bound, usize)> {
    BEFORE.iter().find_map(|(phrase, bound)| {
        let length = phrase_at(tokens, at, phrase);
        (length > 0).then_some((*bound, length))
    })
}

/// `between 3 and 5`, `3 to 5`, `from 3 to 5`.
fn range(tokens: &[SentenceToken], at: usize) -> Option<(Number, usize)> {
    let first = tokens.get(at)?;
    let (from, joint) = match first.text.as_str() {
        "between" => (at + 1, "and"),
        "from" => (at + 1, "to"),
        _ => (at, "to"),
    };
    let (low, first_length) = plain(tokens, from)?;
    let joined = from + first_length;
    tokens.get(joined).filter(|t| t.is(joint) || (joint == "to" && t.is("or")))?;
    let (high, second_length) = plain(tokens, joined + 1)?;
    // "two to three million"
    let low = if low.low < 1_000 * ONE && high.grain >= 1_000 * ONE && low.low < high.low / 1_000 {
        low.times(high.grain / ONE)
    } else {
        low
    };
    let ordered = low.low <= high.low;
    ordered.then(|| (Number::between(low.low, high.high), joined + 1 + second_length - at))
}

/// A number without words that limit it.
fn plain(tokens: &[SentenceToken], at: usize) -> Option<(Number, usize)> {
    let (number, length) = digits(tokens, at).or_else(|| in_words(tokens, at))?;
    // "one and a half million"
    let half = phrase_at(tokens, at + length, "and a half");
    let scale = tokens.get(at + length + half).filter(|_| half > 0).and_then(scale_word);
    match scale {
        Some(scale) => {
            let value = (number.low + ONE / 2) * scale;
            Some((Number::exactly(value, ONE * scale / 10), length + half + 1))
        }
        None => Some((number, length)),
    }
}

fn digits(tokens: &[SentenceToken], at: usize) -> Option<(Number, usize)> {
    let token = tokens.get(at)?;
    let text = token.text.as_str();
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (text, mut factor) = match text.strip_suffix(['k', 'm', 'x']) {
        Some(rest) if text.ends_with('k') => (rest, 1_000),
        Some(rest) if text.ends_with('m') => (rest, 1_000_000),
        Some(rest) => (rest, 1),
        None => (text, 1),
    };
    let number = decimal(text)?;
    let mut length = 1;
    while let Some(more) = tokens.get(at + length).and_then(scale_word) {
        factor *= more;
        length += 1;
    }
    Some((number.times(factor), length))
}

/// `4,633`, `4633`, `1.4`: three digits follow each comma.
fn decimal(text: &str) -> Option<Number> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let groups: Vec<&str> = whole.split(',').collect();
    let grouped = groups.iter().skip(1).all(|g| g.len() == 3);
    let digits: String = groups.concat();
    let all_digits = |s: &str| s.chars().all(|c| c.is_ascii_digit());
    if !grouped || digits.is_empty() || digits.len() > 15 || fraction.len() > 3 {
        return None;
    }
    if !all_digits(&digits) || !all_digits(fraction) {
        return None;
    }
    let value: u128 = digits.parse().ok()?;
    let part: u128 = format!("{fraction:0<3}").parse().ok()?;
    let grain = match fraction.len() {
        0 => ONE * round_grain(value),
        n => ONE / 10u128.pow(u32::try_from(n).ok()?),
    };
    Some(Number::exactly(value * ONE + part, grain))
}

/// The weight of the last digit that is not zero. Numbers under a hundred are not rounded.
fn round_grain(value: u128) -> u128 {
    let mut grain = 1;
    while value >= 100 && value.is_multiple_of(grain * 10) {
        grain *= 10;
    }
    grain
}

fn scale_word(token: &SentenceToken) -> Option<u128> {
    match token.text.as_str() {
        "hundred" => Some(100),
        "thousand" => Some(1_000),
        "million" => Some(1_000_000),
        "billion" => Some(1_000_000_000),
        "dozen" => Some(12),
        _ => None,
    }
}

fn in_words(tokens: &[SentenceToken], at: usize) -> Option<(Number, usize)> {
    let mut total: u128 = 0;
    let mut part: u128 = 0;
    let mut length = 0;
    let mut seen = false;
    // "a hundred and forty", and not "three and five"
    let mut scaled = false;
    while let Some(token) = tokens.get(at + length).filter(|t| !t.mark) {
        let word = token.text.as_str();
        if let Some(n) = SMALL.iter().position(|w| *w == word) {
            part += n as u128;
            seen = true;
        } else if let Some(n) = TENS.iter().position(|w| *w == word) {
            part += (n as u128 + 2) * 10;
            seen = true;
        } else if let Some(scale) = scale_word(token) {
            scaled = true;
            part = part.max(1) * scale;
            if scale >= 1_000 {
                total += part;
                part = 0;
            }
            seen = true;
        } else if !seen && length == 0 && matches!(word, "a" | "an" | "half") {
            let next = tokens.get(at + 1);
            let scale = next.and_then(scale_word).or_else(|| {
                next.filter(|t| t.is("a"))?;
                tokens.get(at + 2).and_then(scale_word)
            });
            scale?;
            if word == "half" {
                let length = if next.is_some_and(|t| t.is("a")) { 3 } else { 2 };
                let half = scale? * ONE / 2;
                return Some((Number::exactly(half, half / 5), length));
            }
        } else if !(scaled && word == "and" && tokens.get(at + length + 1).is_some_and(counts)) {
            break;
        }
        length += 1;
        if length > 12 {
            return None;
        }
    }
    let value = total + part;
    let grain = ONE * if value >= 100 { round_grain(value) } else { 1 };
    seen.then(|| (Number::exactly(value * ONE, grain), length))
}

/// Whether a word continues a number after "and": `a hundred and forty`.
fn counts(token: &SentenceToken) -> bool {
    SMALL.iter().skip(1).chain(TENS).any(|word| token.is(word))
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn read(text: &str) -> Option<(u128, u128, Bound)> {
        number(&tokens(text, 0), 0).map(|(n, _)| (n.low / ONE, n.high / ONE, n.bound))
    }

    #[test]
    fn numbers_are_read_in_digits_and_words() {
        assert_eq!(read("4,633"), Some((4_633, 4_633, Bound::Exactly)));
        assert_eq!(read("about 1.4 million"), Some((1_400_000, 1_400_000, Bound::About)));
        assert_eq!(read("more than 50k"), Some((50_000, 50_000, Bound::MoreThan)));
        assert_eq!(read("a hundred and twenty"), Some((120, 120, Bound::Exactly)));
        assert_eq!(read("six hundred thousand"), Some((600_000, 600_000, Bound::Exactly)));
        assert_eq!(read("half a million"), Some((500_000, 500_000, Bound::Exactly)));
        assert_eq!(read("between three and five"), Some((3, 5, Bound::Between)));
        assert_eq!(read("10-15"), Some((10, 15, Bound::Between)));
        assert_eq!(read("two to three million"), Some((2_000_000, 3_000_000, Bound::Between)));
        assert_eq!(read("hundreds of thousands of"), Some((200_000, 1_999_999, Bound::Between)));
        assert_eq!(read("a website"), None);
        assert_eq!(read("1,23"), None);
    }

    #[test]
    fn round_numbers_are_rounded_and_exact_ones_are_not() {
        let holds = |text: &str, actual: u128| {
            number(&tokens(text, 0), 0).is_some_and(|(n, _)| n.holds(actual * ONE))
        };
        assert!(holds("4,600", 4_633));
        assert!(!holds("4,800", 4_633));
        assert!(holds("around 5,000", 4_633));
        assert!(!holds("50,000", 4_633));
        assert!(holds("nearly 5,000", 4_633));
        assert!(!holds("nearly 4,600", 4_633));
        assert!(holds("more than 4,600", 4_633));
        assert!(!holds("five", 2));
        assert!(holds("up to 4,700", 4_633));
        assert!(!holds("up to 10,000", 4_633));
        assert!(holds("fewer than five", 3));
    }
}
