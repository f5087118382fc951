//! Numbers, spans, dates and lines as people read them. Display only: nothing decides by these.

use portcullis_model::{AttackTechnique, Cut, WallTime};

/// A whole number with commas between thousands: `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `n` and the noun, with an `s` unless `n` is one: `1 wave`, `2 waves`.
pub fn counted(n: u64, noun: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {noun}{s}", count(n))
}

/// The verb for `n` things: `was` or `were`.
pub const fn were(n: u64) -> &'static str {
    if n == 1 { "was" } else { "were" }
}

/// Hundredths of a per cent: `9970` is `99.7%`. What is given is cut, not rounded, so that
/// `100%` means the whole.
pub fn share(basis_points: u64) -> String {
    hundredths(basis_points) + "%"
}

/// Thousandths: `12500` is `12.5`. Cut to three figures or so: from ten on one digit follows the
/// point, from a thousand on none.
pub fn thousandths(milli: u64) -> String {
    let digits = match milli {
        0..1_000 => 3,
        1_000..10_000 => 2,
        10_000..1_000_000 => 1,
        _ => 0,
    };
    let rest = format!("{:03}", milli % 1_000);
    let rest = rest[..digits].trim_end_matches('0');
    let whole = count(milli / 1_000);
    if rest.is_empty() { whole } else { format!("{whole}.{rest}") }
}

/// Tenths, as a multiple: `125` is `12.5 times`; from a hundred times on, whole.
pub fn times(tenths: u64) -> String {
    if tenths >= 1_000 || tenths.is_multiple_of(10) {
        format!("{} times", count(tenths / 10))
    } else {
        format!("{}.{} times", count(tenths / 10), tenths % 10)
    }
}

fn hundredths(n: u64) -> String {
    let rest = format!("{:02}", n % 100);
    let rest = rest.trim_end_matches('0');
    if rest.is_empty() { count(n / 100) } else { format!("{}.{rest}", count(n / 100)) }
}

/// Milliseconds as the two largest units that matter: `850 ms`, `1.4 s`, `3 min 2 s`, `1 d 3 h`.
pub fn span(millis: u64) -> String {
    let seconds = millis / 1_000;
    let two = |a: u64, unit: &str, b: u64, smaller: &str| {
        if b == 0 { format!("{a} {unit}") } else { format!("{a} {unit} {b} {smaller}") }
    };
    match seconds {
        0 => format!("{millis} ms"),
        1..10 if millis % 1_000 >= 100 => format!("{seconds}.{} s", millis % 1_000 / 100),
        1..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// Milliseconds as a sentence says them: `850 milliseconds`, `4 minutes 18 seconds`, `1 hour`.
pub fn duration(millis: u64) -> String {
    let seconds = millis / 1_000;
    let two = |a: u64, unit: &str, b: u64, smaller: &str| match b {
        0 => counted(a, unit),
        b => format!("{} {}", counted(a, unit), counted(b, smaller)),
    };
    match seconds {
        0 => counted(millis, "millisecond"),
        1..60 => counted(seconds, "second"),
        60..3_600 => two(seconds / 60, "minute", seconds % 60, "second"),
        3_600..86_400 => two(seconds / 3_600, "hour", seconds % 3_600 / 60, "minute"),
        _ => two(seconds / 86_400, "day", seconds % 86_400 / 3_600, "hour"),
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The day in UTC: `23 November 2026`.
pub fn day(at: WallTime) -> String {
    let stamp = at.to_string();
    let field = |range: core::ops::Range<usize>| stamp.get(range)?.parse::<usize>().ok();
    match (field(0..4), field(5..7), field(8..10)) {
        (Some(year), Some(month @ 1..=12), Some(day)) => {
            format!("{day} {} {year}", MONTHS[month - 1])
        }
        _ => stamp,
    }
}

/// Day and second in UTC: `23 November 2026, 10:02:11 UTC`.
pub fn moment(at: WallTime) -> String {
    format!("{}, {} UTC", day(at), at.clock())
}

/// From one moment to another, naming the day once if it is the same:
/// `23 November 2026, 10:02:11 to 10:09:40 UTC`.
pub fn period(from: WallTime, to: WallTime) -> String {
    if day(from) == day(to) {
        format!("{}, {} to {} UTC", day(from), from.clock(), to.clock())
    } else {
        format!("{}, {} to {}, {} UTC", day(from), from.clock(), day(to), to.clock())
    }
}

/// `a`, `a and b`, `a, b and c`.
pub fn list<S: AsRef<str>>(items: &[S]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [init @ .., last] => {
            let init: Vec<&str> = init.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", init.join(", "), last.as_ref())
        }
    }
}

/// Names of activities as a list, or that there is none.
pub(crate) fn activities(names: &[String]) -> String {
    if names.is_empty() { "no activity in particular".to_owned() } else { list(names) }
}

/// What was cut, in the plural.
pub const fn cut(why: Cut) -> &'static str {
    match why {
        Cut::Idle => "idle connections",
        Cut::Evicted => "idle connections whose place was needed",
        Cut::MaxAge => "connections older than they may be",
        Cut::SlowRead => "slow readers",
        Cut::SlowBody => "slow senders of a body",
        Cut::MalformedBody => "bodies that could be read in two ways",
        Cut::TunnelIdle => "silent upgraded connections",
        Cut::TunnelAge => "upgraded connections older than they may be",
        Cut::ResetFlood => "floods of resets",
        Cut::PingFlood => "floods of pings",
        Cut::SettingsFlood => "floods of settings",
        Cut::PriorityFlood => "floods of priorities",
        Cut::WindowUpdateFlood => "floods of tiny window updates",
        Cut::EmptyDataFlood => "floods of empty data",
        Cut::SmallDataFlood => "floods of tiny data frames",
        Cut::ContinuationFlood => "headers in too many frames",
        Cut::UnknownFrameFlood => "floods of frames that ask for nothing",
        Cut::ServerResetFlood => "connections that made the gate reset too many streams",
        Cut::HeaderList => "headers far above the limit",
        Cut::FlowControlStall => "readers with a closed window",
        Cut::MissingPreface => "connections that never began HTTP/2 or HTTP/3",
        Cut::ProtocolError => "breaches of HTTP/2 or HTTP/3",
    }
}

/// The technique that cuts indicate.
pub const fn attack_technique(vector: AttackTechnique) -> &'static str {
    match vector {
        AttackTechnique::SlowReading => "slow reading",
        AttackTechnique::SlowBodies => "slow bodies",
        AttackTechnique::Protocol => "an attack within HTTP/2 or HTTP/3",
        AttackTechnique::Ambiguity => "bodies that can be read in two ways",
    }
}

/// Upper case for the first letter.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// `text` without characters that could move a terminal's cursor, hide what follows or turn the
/// direction of writing: events quote what visitors sent.
pub fn plain(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c }).collect()
}

/// The sentence, [`plain`], beginning with a capital and ending with one full stop.
pub fn full_stop(text: &str) -> String {
    let text = sentence(plain(text).trim());
    if text.ends_with(['.', '!', '?']) || text.is_empty() { text } else { text + "." }
}

/// `text` in lines of at most `width` characters, the first behind `first`, the others behind
/// `rest`. A word longer than a line gets a separate line. Ends with a line break.
pub fn wrap(first: &str, rest: &str, width: usize, text: &str) -> String {
    let mut out = String::from(first);
    let mut column = first.chars().count();
    let mut empty = true;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if !empty && column + 1 + length > width {
            out.push('\n');
            out.push_str(rest);
            column = rest.chars().count();
            empty = true;
        }
        if !empty {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
        empty = false;
    }
    let length = out.trim_end().len();
    out.truncate(length);
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "wave"), "1 wave");
        assert_eq!(counted(1_200, "leaf record"), "1,200 leaf records");
        assert_eq!([0, 1, 2].map(were), ["were", "was", "were"]);
        assert_eq!(share(10_000), "100%");
        assert_eq!(share(9_970), "99.7%");
        assert_eq!(share(5), "0.05%");
        assert_eq!(thousandths(12_500), "12.5");
        assert_eq!(thousandths(2_000), "2");
        assert_eq!(thousandths(24_941), "24.9");
        assert_eq!(thousandths(70), "0.07");
        assert_eq!(thousandths(4_633_900), "4,633");
        assert_eq!(times(125), "12.5 times");
        assert_eq!(times(1_255), "125 times");
    }

    #[test]
    fn spans_keep_their_two_largest_units() {
        assert_eq!(span(850), "850 ms");
        assert_eq!(span(1_400), "1.4 s");
        assert_eq!(span(42_900), "42 s");
        assert_eq!(span(182_000), "3 min 2 s");
        assert_eq!(span(7_200_000), "2 h");
        assert_eq!(span(97_200_000), "1 d 3 h");
    }

    #[test]
    fn durations_have_whole_words_in_the_right_number() {
        assert_eq!(duration(1_000), "1 second");
        assert_eq!(duration(258_000), "4 minutes 18 seconds");
        assert_eq!(duration(3_600_000), "1 hour");
        assert_eq!(duration(90_000_000), "1 day 1 hour");
    }

    #[test]
    fn a_period_names_its_day_once() {
        let from = WallTime::parse("2026-11-23T10:02:11Z").expect("a time");
        let to = WallTime::parse("2026-11-23T10:09:40Z").expect("a time");
        assert_eq!(period(from, to), "23 November 2026, 10:02:11 to 10:09:40 UTC");
        assert_eq!(day(WallTime(u64::MAX)), WallTime(u64::MAX).to_string());
    }

    #[test]
    fn wrapped_lines_stay_within_their_width_unless_one_word_does_not_fit() {
        let text = "one two three four supercalifragilistic five";
        let wrapped = wrap("- ", "  ", 12, text);
        assert_eq!(wrapped, "- one two\n  three four\n  supercalifragilistic\n  five\n");
    }
}
