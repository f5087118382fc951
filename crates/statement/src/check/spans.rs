//! Lengths of time in a text.

use super::numbers::{Bound, Number, ONE, number, phrase_at};
use super::tokens::SentenceToken;

/// What a length of time says about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpanRole {
    /// It lasted this long.
    Lasted,
    /// It was done after this time at most.
    Within,
    /// It was done after this time.
    After,
}

/// A length of time, in thousandths of a millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) role: SpanRole,
    pub(super) length: Number,
}

impl Span {
    /// Whether `millis` is what was said.
    pub(super) fn holds(self, millis: u64) -> bool {
        let actual = u128::from(millis) * ONE;
        match self.role {
            SpanRole::Within if self.length.bound == Bound::Exactly => actual <= self.length.low,
            // "within about four seconds" allows what "about" allows.
            SpanRole::Within if self.length.bound == Bound::About => {
                actual <= self.length.high + self.length.high / 10
            }
            SpanRole::Within => actual <= self.length.high,
            SpanRole::Lasted | SpanRole::After => self.length.holds(actual),
        }
    }
}

const ROLES: &[(&str, SpanRole)] = &[
    ("for a period of", SpanRole::Lasted),
    ("for a total of", SpanRole::Lasted),
    ("over a period of", SpanRole::Lasted),
    ("over the course of", SpanRole::Lasted),
    ("in a matter of", SpanRole::Within),
    ("within a matter of", SpanRole::Within),
    ("within the space of", SpanRole::Within),
    ("in the space of", SpanRole::Within),
    ("inside", SpanRole::Within),
    ("within", SpanRole::Within),
    ("in", SpanRole::Within),
    ("for", SpanRole::Lasted),
    ("after", SpanRole::After),
];

const SECOND: u128 = 1_000 * ONE;
const MINUTE: u128 = 60 * SECOND;
const HOUR: u128 = 60 * MINUTE;
const DAY: u128 = 24 * HOUR;

/// Lengths without a number. Own rubric, printed with the finding: short is under ten minutes.
const VAGUE: &[(&str, u128, u128)] = &[
    ("a fraction of a second", 0, SECOND),
    ("milliseconds", ONE, SECOND),
    ("a split second", 0, SECOND),
    ("moments", 0, MINUTE),
    ("seconds", SECOND, MINUTE - ONE),
    ("minutes", 2 * MINUTE, HOUR - ONE),
    ("hours", 2 * HOUR, DAY - ONE),
    ("days", 2 * DAY, 14 * DAY),
];

fn unit(token: &SentenceToken) -> Option<u128> {
    match token.text.as_str() {
        "ms" | "millisecond" | "milliseconds" => Some(ONE),
        "s" | "sec" | "secs" | "second" | "seconds" => Some(SECOND),
        "min" | "mins" | "minute" | "minutes" => Some(MINUTE),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(HOUR),
        "d" | "day" | "days" => Some(DAY),
        "week" | "weeks" => Some(7 * DAY),
        _ => None,
    }
}

/// The length of time at `at`, and how many tokens it takes. Without a word before it that gives it
/// a role, it is how long something lasted.
pub(super) fn span(tokens: &[SentenceToken], at: usize) -> Option<(Span, usize)> {
    // "a second attack" is no length of time.
    if phrase_at(tokens, at, "a second") > 0 && !ends_here(tokens.get(at + 2)) {
        return None;
    }
    let role = ROLES.iter().find_map(|(phrase, role)| {
        let length = phrase_at(tokens, at, phrase);
        (length > 0).then_some((*role, length))
    });
    let (role, mut skipped) = role.unwrap_or((SpanRole::Lasted, 0));
    for filler in ["only", "just", "the first"] {
        let more = phrase_at(tokens, at + skipped, filler);
        // "just over" and "only about" limit the number.
        let bare = more > 0 && length_at(tokens, at + skipped).is_none();
        skipped += if bare { more } else { 0 };
    }
    let (length, taken) = length_at(tokens, at + skipped)?;
    let mut end = at + skipped + taken;
    let mut role = role;
    if phrase_at(tokens, end, "later") > 0 {
        role = SpanRole::After;
        end += 1;
    } else if tokens.get(end).is_some_and(|t| t.is("into")) {
        role = SpanRole::After;
    } else if phrase_at(tokens, end, "ago") > 0 {
        return None;
    } else if tokens.get(end).is_some_and(|t| t.is("of")) && role != SpanRole::Lasted {
        // "within three seconds of the onset"
        for from in [
            "of the start of",
            "of the beginning of",
            "of the onset of",
            "of the onset",
            "of onset",
            "of the start",
            "of it starting",
            "of its start",
            "of the attack starting",
            "of the attack beginning",
            "of the attack",
            "of each other",
            "of its onset",
            "of the first signs",
            "of it beginning",
        ] {
            let more = phrase_at(tokens, end, from);
            if more > 0 && from != "of each other" {
                end += more;
                break;
            }
        }
    }
    Some((Span { role, length }, end - at))
}

/// Whether a sentence or a clause continues after a length of time, and no noun follows.
fn ends_here(next: Option<&SentenceToken>) -> bool {
    next.is_none_or(|t| {
        (t.mark && !t.is(","))
            || ["later", "or", "and", "after", "to", "of", "before"].iter().any(|w| t.is(w))
    })
}

fn length_at(tokens: &[SentenceToken], at: usize) -> Option<(Number, usize)> {
    let vague = VAGUE.iter().filter_map(|(phrase, low, high)| {
        let length = phrase_at(tokens, at, phrase);
        let range = Number { low: *low, high: *high, grain: ONE, bound: Bound::Between };
        (length > 0).then_some((range, length))
    });
    if let Some(found) = vague.max_by_key(|(_, length)| *length) {
        return Some(found);
    }
    if let Some(found) = halves(tokens, at) {
        return Some(found);
    }
    let (first, mut length) = one_unit(tokens, at)?;
    let mut sum = first;
    // "4 minutes and 18 seconds"
    loop {
        let and = usize::from(tokens.get(at + length).is_some_and(|t| t.is("and") || t.is(",")));
        let next = tokens.get(at + length + and);
        if !next.is_some_and(|t| t.text.starts_with(|c: char| c.is_ascii_digit()) || t.capital) {
            let word =
                number(tokens, at + length + and).is_some_and(|(n, _)| n.bound == Bound::Exactly);
            if !word || and == 0 {
                break;
            }
        }
        let Some((more, taken)) = one_unit(tokens, at + length + and) else { break };
        if more.low >= sum.low || more.bound != Bound::Exactly {
            break;
        }
        sum.low += more.low;
        sum.high += more.high;
        sum.grain = more.grain;
        length += and + taken;
    }
    Some((sum, length))
}

/// `half an hour`, `an hour and a half`, `two and a half hours`.
fn halves(tokens: &[SentenceToken], at: usize) -> Option<(Number, usize)> {
    for (phrase, value) in [
        ("half an hour", 30 * MINUTE),
        ("half a minute", 30 * SECOND),
        ("half a day", 12 * HOUR),
        ("an hour and a half", 90 * MINUTE),
        ("three quarters of an hour", 45 * MINUTE),
        ("a quarter of an hour", 15 * MINUTE),
    ] {
        let length = phrase_at(tokens, at, phrase);
        if length > 0 {
            return Some((Number::exactly(value, value / 10), length));
        }
    }
    let (whole, length) = number(tokens, at)?;
    let half = phrase_at(tokens, at + length, "and a half");
    let unit = tokens.get(at + length + half).and_then(unit).filter(|_| half > 0)?;
    let mut sum = whole.times(unit / ONE * ONE / ONE);
    sum.low += unit / 2;
    sum.high += unit / 2;
    sum.grain = unit / 2;
    Some((sum, length + half + 1))
}

/// A number with its unit; "a minute" is one. Seconds are rounded to seconds, minutes to minutes.
fn one_unit(tokens: &[SentenceToken], at: usize) -> Option<(Number, usize)> {
    let token = tokens.get(at)?;
    if let Some((n, unit)) = glued(&token.text) {
        return Some((n.times(unit / ONE), 1));
    }
    let (count, length) = match number(tokens, at) {
        Some(found) => found,
        None => {
            // "a minute", "just under a minute"
            let bound = number_words_before(tokens, at);
            let article = at + bound.map_or(0, |(_, skipped)| skipped);
            if !tokens.get(article).is_some_and(|t| t.is("a") || t.is("an")) {
                return None;
            }
            let one = Number::exactly(ONE, ONE);
            let limit = bound.map_or(Bound::Exactly, |(bound, _)| bound);
            (one.bound(limit), article + 1 - at)
        }
    };
    let unit = tokens.get(at + length).and_then(unit)?;
    let mut sum = count.times(unit / ONE);
    // Four minutes and twenty seconds is four minutes.
    if count.grain == ONE {
        sum.grain = unit;
    }
    Some((sum, length + 1))
}

/// Words that limit a number, where "a" follows instead of a number.
fn number_words_before(tokens: &[SentenceToken], at: usize) -> Option<(Bound, usize)> {
    for (phrase, bound) in [
        ("as long as", Bound::AtLeast),
        ("longer than", Bound::MoreThan),
        ("shorter than", Bound::LessThan),
        ("just over", Bound::JustOver),
        ("a little over", Bound::JustOver),
        ("just under", Bound::Nearly),
        ("well under", Bound::LessThan),
        ("less than", Bound::LessThan),
        ("under", Bound::LessThan),
        ("no more than", Bound::AtMost),
        ("more than", Bound::MoreThan),
        ("over", Bound::MoreThan),
        ("at least", Bound::AtLeast),
        ("about", Bound::About),
        ("around", Bound::About),
        ("roughly", Bound::About),
        ("approximately", Bound::About),
        ("nearly", Bound::Nearly),
        ("almost", Bound::Nearly),
    ] {
        let length = phrase_at(tokens, at, phrase);
        if length > 0 {
            return Some((bound, length));
        }
    }
    None
}

/// `85ms`, `4min`.
fn glued(text: &str) -> Option<(Number, u128)> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (digits, letters) = text.split_at(split);
    let value: u128 = digits.parse().ok()?;
    let unit = match letters {
        "ms" => ONE,
        "s" | "sec" | "secs" => SECOND,
        "min" | "mins" => MINUTE,
        "h" | "hr" | "hrs" => HOUR,
        _ => return None,
    };
    (value < 1_000_000_000).then(|| (Number::exactly(value * ONE, ONE), unit))
}

/// Whether a length was said as a round number of a unit: then half of the unit is its rounding.
pub(super) fn rounded(length: Number, millis: u64) -> bool {
    let actual = u128::from(millis) * ONE;
    match length.bound {
        Bound::Exactly => actual.abs_diff(length.low) <= (length.grain / 2).min(length.low / 8),
        _ => length.holds(actual),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn read(text: &str) -> Option<(SpanRole, u128, u128)> {
        let tokens = tokens(text, 0);
        let (span, length) = span(&tokens, 0)?;
        assert_eq!(length, tokens.len(), "{text}");
        Some((span.role, span.length.low / SECOND, span.length.high / SECOND))
    }

    #[test]
    fn lengths_are_read_with_their_units() {
        use SpanRole::{After, Lasted, Within};
        assert_eq!(read("for two hours"), Some((Lasted, 7_200, 7_200)));
        assert_eq!(read("within three seconds of the onset"), Some((Within, 3, 3)));
        assert_eq!(read("four minutes and eighteen seconds"), Some((Lasted, 258, 258)));
        assert_eq!(read("4 min 18 s"), Some((Lasted, 258, 258)));
        assert_eq!(read("for a few minutes"), Some((Lasted, 120, 540)));
        assert_eq!(read("half an hour later"), Some((After, 1_800, 1_800)));
        assert_eq!(read("two and a half hours"), Some((Lasted, 9_000, 9_000)));
        assert_eq!(read("in under a minute"), Some((Within, 60, 60)));
        assert_eq!(read("within seconds"), Some((Within, 1, 59)));
        assert_eq!(read("for the website"), None);
    }
}
