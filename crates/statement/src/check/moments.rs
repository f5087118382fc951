//! Days and times of day in a text.

use super::numbers::{Bound, ONE, number, ordinal, phrase_at};
use super::tokens::SentenceToken;
use portcullis_incident::TimeWindow;
use portcullis_model::WallTime;

use super::outcome::CheckContext;

/// How a time limits an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MomentRole {
    /// It was then.
    At,
    /// It has been so since.
    Since,
    /// It was so until.
    Until,
    /// It was before, or then at the latest.
    By,
    /// It was after.
    After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DayName {
    /// 0 is Monday.
    Weekday(i64),
    Date {
        day: i64,
        month: i64,
        year: Option<i64>,
    },
    /// Two days of one month: "17 and 18 November".
    Dates {
        days: [i64; 2],
        month: i64,
    },
    /// Days before that of the statement.
    Before(i64),
    /// The day that was meant: "that evening".
    Any,
    /// Days after the incident began: "the next morning".
    AfterFirst(i64),
}

/// Minutes of the day; the end may be past midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ClockRange {
    from: i64,
    to: i64,
}

/// A time as it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SaidTime {
    pub(super) role: MomentRole,
    day: Option<DayName>,
    part: Option<ClockRange>,
    clock: Option<ClockRange>,
    /// The end of a range.
    until: Option<ClockRange>,
    /// Whether the clock may mean the afternoon: "at nine".
    open_half: bool,
}

const WEEKDAYS: &[&str] =
    &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Parts of the day in minutes. Own rubric.
const PARTS: &[(&str, i64, i64)] = &[
    ("in the early hours", 0, 420),
    ("early hours", 0, 420),
    ("early morning", 0, 540),
    ("late morning", 600, 720),
    ("mid morning", 540, 690),
    ("morning", 0, 720),
    ("lunchtime", 690, 840),
    ("early afternoon", 720, 930),
    ("late afternoon", 900, 1_110),
    ("afternoon", 720, 1_110),
    ("early evening", 990, 1_200),
    ("evening", 1_020, 1_440),
    ("overnight", 1_200, 1_860),
    ("night", 1_140, 1_800),
];
const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// The time at `at`, and how many tokens it takes.
pub(super) fn moment(tokens: &[SentenceToken], at: usize) -> Option<(SaidTime, usize)> {
    let (role, mut end, prepared) = role(tokens, at);
    let mut moment =
        SaidTime { role, day: None, part: None, clock: None, until: None, open_half: false };
    let shift = Shift::read(tokens, &mut end);
    loop {
        let joint = joint(tokens, end, &moment);
        let start = end + joint;
        let about = tokens[end..start]
            .iter()
            .any(|t| ["around", "about", "approximately"].iter().any(|word| t.is(word)));
        let shift = if about { Shift::About } else { shift };
        let taken = part_of(tokens, start, &mut moment, prepared || joint > 0, shift);
        if taken == 0 {
            break;
        }
        end = start + taken;
        if moment.clock.is_some() && moment.until.is_none() {
            end += range_end(tokens, end, &mut moment);
        }
    }
    moment.settle_half();
    let said = moment.day.is_some() || moment.part.is_some() || moment.clock.is_some();
    said.then_some((moment, end - at))
}

/// How close to a clock time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shift {
    None,
    About,
    Soon,
    ShortlyBefore,
}

impl Shift {
    fn read(tokens: &[SentenceToken], end: &mut usize) -> Self {
        for (phrase, shift) in [
            ("around", Self::About),
            ("about", Self::About),
            ("approximately", Self::About),
            ("roughly", Self::About),
            ("shortly after", Self::Soon),
            ("just after", Self::Soon),
            ("soon after", Self::Soon),
            ("a little after", Self::Soon),
            ("shortly before", Self::ShortlyBefore),
            ("just before", Self::ShortlyBefore),
            ("exactly", Self::None),
            ("precisely", Self::None),
        ] {
            let length = phrase_at(tokens, *end, phrase);
            if length > 0 {
                *end += length;
                return shift;
            }
        }
        Self::None
    }

    /// The minutes that a clock time means.
    const fn range(self, minute: i64, whole_hour: bool) -> ClockRange {
        match self {
            Self::None if whole_hour => ClockRange { from: minute - 5, to: minute + 5 },
            Self::None => ClockRange { from: minute, to: minute + 1 },
            Self::About => ClockRange { from: minute - 15, to: minute + 16 },
            Self::Soon => ClockRange { from: minute, to: minute + 15 },
            Self::ShortlyBefore => ClockRange { from: minute - 15, to: minute },
        }
    }
}

fn role(tokens: &[SentenceToken], at: usize) -> (MomentRole, usize, bool) {
    for (phrase, role) in [
        ("as of", MomentRole::Since),
        ("ever since", MomentRole::Since),
        ("since", MomentRole::Since),
        ("until", MomentRole::Until),
        ("till", MomentRole::Until),
        ("up to", MomentRole::Until),
        ("no later than", MomentRole::By),
        ("by", MomentRole::By),
        ("before", MomentRole::By),
        ("after", MomentRole::After),
        ("on the", MomentRole::At),
        ("during the", MomentRole::At),
        ("in the", MomentRole::At),
        ("throughout", MomentRole::At),
        ("on", MomentRole::At),
        ("at", MomentRole::At),
        ("from", MomentRole::At),
        ("between", MomentRole::At),
        ("during", MomentRole::At),
        ("late on", MomentRole::At),
        ("early on", MomentRole::At),
        ("earlier", MomentRole::At),
        ("late", MomentRole::At),
        ("early", MomentRole::At),
    ] {
        let length = phrase_at(tokens, at, phrase);
        if length > 0 {
            return (role, at + length, true);
        }
    }
    (MomentRole::At, at, false)
}

/// Words that join the parts of a time.
fn joint(tokens: &[SentenceToken], at: usize, moment: &SaidTime) -> usize {
    if moment.day.is_none() && moment.part.is_none() && moment.clock.is_none() {
        return 0;
    }
    for phrase in [
        ", at around",
        ", at about",
        ", on",
        ", at",
        "at around",
        "at about",
        "at approximately",
        "at just after",
        "on the",
        "in the",
        "of the",
        "at",
        "on",
        "of",
        ",",
    ] {
        let length = phrase_at(tokens, at, phrase);
        if length > 0 {
            return length;
        }
    }
    0
}

/// Reads a day, a part of the day or a clock time; returns how many tokens it takes.
fn part_of(
    tokens: &[SentenceToken],
    at: usize,
    moment: &mut SaidTime,
    prepared: bool,
    shift: Shift,
) -> usize {
    if moment.day.is_none()
        && let Some((day, part, length)) = day(tokens, at)
    {
        moment.day = Some(day);
        moment.part = part.or(moment.part);
        return length;
    }
    if moment.part.is_none() || moment.day.is_some() {
        let found = PARTS.iter().find_map(|(phrase, from, to)| {
            let length = phrase_at(tokens, at, phrase);
            (length > 0).then_some((ClockRange { from: *from, to: *to }, length))
        });
        let bare =
            moment.day.is_some() || prepared || tokens.get(at).is_some_and(|t| t.is("overnight"));
        if let Some((part, length)) = found.filter(|_| bare) {
            // "the early hours of Saturday morning"
            let both = moment.part.map_or(part, |known| ClockRange {
                from: known.from.max(part.from),
                to: known.to.min(part.to),
            });
            if both.from < both.to {
                moment.part = Some(both);
                return length;
            }
        }
    }
    if moment.clock.is_none()
        && let Some(read) = clock(tokens, at, prepared || moment.day.is_some())
    {
        let exact = matches!(moment.role, MomentRole::By | MomentRole::After);
        moment.clock = Some(match exact {
            true => ClockRange { from: read.minute, to: read.minute },
            false => shift.range(read.minute, read.whole),
        });
        moment.open_half = read.open_half;
        return read.length;
    }
    0
}

/// `to 10:06`, `and 10:06`, `until 10:06` after a clock time.
fn range_end(tokens: &[SentenceToken], at: usize, moment: &mut SaidTime) -> usize {
    let joins = tokens
        .get(at)
        .is_some_and(|t| ["to", "and", "until", "till"].iter().any(|word| t.is(word)));
    let mut start = at + 1;
    let shift = Shift::read(tokens, &mut start);
    match clock(tokens, start, true).filter(|_| joins) {
        Some(read) => {
            moment.until = Some(shift.range(read.minute, read.whole));
            // "between 8.40 and 8.46 pm"
            if let Some(clock) = &mut moment.clock
                && moment.open_half
                && !read.open_half
                && read.minute >= 720
                && clock.from < 720
            {
                *clock = clock.later(720);
                moment.open_half = false;
            }
            start + read.length - at
        }
        None => 0,
    }
}

fn day(tokens: &[SentenceToken], at: usize) -> Option<(DayName, Option<ClockRange>, usize)> {
    const EVENING: ClockRange = ClockRange { from: 1_020, to: 1_800 };
    let range = |from, to| Some(ClockRange { from, to });
    for (phrase, part) in [
        ("that morning", range(0, 720)),
        ("that afternoon", range(720, 1_110)),
        ("that evening", range(1_020, 1_440)),
        ("that night", range(1_140, 1_800)),
        ("that day", None),
        ("the same day", None),
    ] {
        let length = phrase_at(tokens, at, phrase);
        if length > 0 {
            return Some((DayName::Any, part, length));
        }
    }
    for (phrase, after, part) in [
        ("the same morning", 0, range(0, 720)),
        ("the same afternoon", 0, range(720, 1_110)),
        ("the same evening", 0, range(1_020, 1_440)),
        ("the same night", 0, range(1_140, 1_800)),
        ("the next morning", 1, range(0, 720)),
        ("the next afternoon", 1, range(720, 1_110)),
        ("the next evening", 1, range(1_020, 1_440)),
        ("the following morning", 1, range(0, 720)),
        ("the following afternoon", 1, range(720, 1_110)),
        ("the following evening", 1, range(1_020, 1_440)),
        ("the next day", 1, None),
        ("the following day", 1, None),
        ("a day later", 1, None),
        ("the day after", 1, None),
    ] {
        let length = phrase_at(tokens, at, phrase);
        if length > 0 {
            return Some((DayName::AfterFirst(after), part, length));
        }
    }
    for (phrase, back, part) in [
        ("this morning", 0, range(0, 720)),
        ("this afternoon", 0, range(720, 1_110)),
        ("this evening", 0, range(1_020, 1_440)),
        ("tonight", 0, Some(EVENING)),
        ("earlier today", 0, None),
        ("today", 0, None),
        ("last night", 1, Some(EVENING)),
        ("yesterday", 1, None),
        ("the day before yesterday", 2, None),
    ] {
        let length = phrase_at(tokens, at, phrase);
        if length > 0 {
            return Some((DayName::Before(back), part, length));
        }
    }
    let skipped =
        usize::from(tokens.get(at).is_some_and(|t| t.is("last") || t.is("this") || t.is("the")));
    let weekday = |at: usize| {
        let token = tokens.get(at)?;
        WEEKDAYS.iter().position(|name| token.is(name)).and_then(|day| i64::try_from(day).ok())
    };
    if let Some(found) = date(tokens, at + skipped) {
        return Some((found.0, None, skipped + found.1));
    }
    let day = weekday(at + skipped)?;
    let mut length = skipped + 1;
    let comma = usize::from(tokens.get(at + length).is_some_and(|t| t.is(",") || t.is("the")));
    if let Some((date, more)) = date(tokens, at + length + comma) {
        length += comma + more;
        return Some((date, None, length));
    }
    Some((DayName::Weekday(day), None, length))
}

/// `23 November 2026`, `November 23, 2026`, `the 23rd of November`, `2026-11-23`.
fn date(tokens: &[SentenceToken], at: usize) -> Option<(DayName, usize)> {
    let number = |at: usize| -> Option<i64> {
        let token = tokens.get(at)?;
        let plain = token.text.parse().ok();
        plain.or_else(|| {
            ordinal(token)
                .filter(|_| token.text.starts_with(char::is_numeric))
                .and_then(|n| i64::try_from(n).ok())
        })
    };
    let month = |at: usize| {
        let token = tokens.get(at)?;
        let full = MONTHS.iter().position(|name| token.is(name) && token.capital);
        let short = || {
            MONTHS.iter().position(|name| {
                token.capital && token.text.len() == 3 && name.starts_with(&token.text)
            })
        };
        full.or_else(short).and_then(|month| i64::try_from(month + 1).ok())
    };
    if let (Some(first), Some(second)) = (number(at), number(at + 2))
        && tokens.get(at + 1).is_some_and(|t| t.is("and"))
        && let Some(month) = month(at + 3)
    {
        return Some((DayName::Dates { days: [first, second], month }, 4));
    }
    let (day, month, mut length) = match (number(at), month(at)) {
        (Some(day), _) => {
            let of = usize::from(tokens.get(at + 1).is_some_and(|t| t.is("of")));
            (day, month(at + 1 + of)?, 2 + of)
        }
        (None, Some(month)) => (number(at + 1)?, month, 2),
        (None, None) => return None,
    };
    if !(1..=31).contains(&day) {
        return None;
    }
    let comma = usize::from(tokens.get(at + length).is_some_and(|t| t.is(",")));
    let year = number(at + length + comma).filter(|year| (1_990..2_100).contains(year));
    if year.is_some() {
        length += comma + 1;
    }
    Some((DayName::Date { day, month, year }, length))
}

/// A clock time.
#[derive(Clone, Copy, Debug)]
struct ClockTime {
    /// Of the day.
    minute: i64,
    /// Said as an hour, a half or a quarter: a few minutes more or less are the same.
    whole: bool,
    /// May be of the afternoon.
    open_half: bool,
    /// Tokens.
    length: usize,
}

fn clock(tokens: &[SentenceToken], at: usize, prepared: bool) -> Option<ClockTime> {
    for (phrase, minute) in [("midnight", 0), ("midday", 720), ("noon", 720)] {
        if phrase_at(tokens, at, phrase) > 0 {
            return Some(ClockTime { minute, whole: true, open_half: false, length: 1 });
        }
    }
    let mut read =
        clock_in_words(tokens, at, prepared).or_else(|| clock_in_digits(tokens, at, prepared))?;
    for zone in ["utc", "gmt", "bst", "local time", "cet", "cest", "uk time"] {
        read.length += phrase_at(tokens, at + read.length, zone);
    }
    Some(read)
}

fn clock_in_digits(tokens: &[SentenceToken], at: usize, prepared: bool) -> Option<ClockTime> {
    let text = tokens.get(at)?.text.as_str();
    let (digits, glued) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(0) | None => (text, ""),
        Some(split) => text.split_at(split),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut parts = digits.split([':', '.']);
    let hour: i64 = parts.next()?.parse().ok()?;
    let minute = parts.next();
    let minutes: i64 = minute.map_or(Some(0), |m| m.parse().ok())?;
    let mut length = 1;
    let mut half = glued;
    if half.is_empty()
        && let Some(next) = tokens.get(at + 1)
    {
        match next.text.as_str() {
            "am" | "pm" | "a.m" | "p.m" => {
                half = &next.text;
                length = 2;
            }
            "o'clock" => length = 2,
            _ => {}
        }
    }
    let day_hour = match half {
        "am" | "a.m" => hour % 12,
        "pm" | "p.m" => hour % 12 + 12,
        "" => hour,
        _ => return None,
    };
    let marked = !half.is_empty() || length == 2 || digits.contains(':');
    let dotted = prepared && digits.contains('.') && minute.is_some_and(|m| m.len() == 2);
    let whole_hour = prepared && followed_by_part(tokens, at + 1) && minute.is_none();
    if !(marked || dotted || whole_hour) || day_hour > 23 || minutes > 59 {
        return None;
    }
    let open_half = half.is_empty() && hour <= 12 && !digits.starts_with('0');
    Some(ClockTime { minute: day_hour * 60 + minutes, whole: minute.is_none(), open_half, length })
}

/// "in the morning" and the like.
fn followed_by_part(tokens: &[SentenceToken], at: usize) -> bool {
    [
        "in the morning",
        "in the afternoon",
        "in the evening",
        "at night",
        "this morning",
        "this evening",
        "yesterday",
        "on",
        "last night",
    ]
    .iter()
    .any(|phrase| phrase_at(tokens, at, phrase) > 0)
}

/// `ten past two`, `a quarter to one`, `half past eight`, `nine o'clock`.
fn clock_in_words(tokens: &[SentenceToken], at: usize, prepared: bool) -> Option<ClockTime> {
    let hour_at = |at: usize| {
        let (number, length) = number(tokens, at)?;
        let hour = number.low / ONE;
        let plain = number.low == number.high && number.low % ONE == 0 && (1..=12).contains(&hour);
        (plain && number.bound == Bound::Exactly).then_some((hour as i64, length))
    };
    let quarter = ["a quarter", "quarter"].iter().find_map(|phrase| {
        let length = phrase_at(tokens, at, phrase);
        (length > 0).then_some((15, length))
    });
    let half = (phrase_at(tokens, at, "half past") > 0).then_some((30, 1));
    let minutes = quarter.or(half).or_else(|| {
        let (number, length) = number(tokens, at)?;
        let minutes = (number.low / ONE) as i64;
        let plain = number.bound == Bound::Exactly && (1..60).contains(&minutes);
        plain.then_some((minutes, length))
    });
    if let Some((minutes, length)) = minutes {
        let skipped =
            phrase_at(tokens, at + length, "minutes").max(phrase_at(tokens, at + length, "minute"));
        let joint = at + length + skipped;
        let past = tokens.get(joint).is_some_and(|t| t.is("past"));
        let to = tokens.get(joint).is_some_and(|t| t.is("to")) && prepared;
        if (past || to)
            && let Some((hour, more)) = hour_at(joint + 1)
        {
            let sign = if past { 1 } else { -1 };
            let minute = (hour % 12) * 60 + sign * minutes;
            let length = length + skipped + 1 + more;
            return Some(ClockTime {
                minute: minute.rem_euclid(720),
                whole: minutes % 15 == 0,
                open_half: true,
                length,
            });
        }
    }
    let (hour, length) = hour_at(at)?;
    let clock = phrase_at(tokens, at + length, "o'clock");
    let am = phrase_at(tokens, at + length, "am").max(phrase_at(tokens, at + length, "a.m"));
    let pm = phrase_at(tokens, at + length, "pm").max(phrase_at(tokens, at + length, "p.m"));
    let said = clock + am + pm > 0 || (prepared && followed_by_part(tokens, at + length));
    said.then(|| ClockTime {
        minute: (hour % 12) * 60 + if pm > 0 { 720 } else { 0 },
        whole: true,
        open_half: am + pm == 0,
        length: length + clock + am + pm,
    })
}

impl ClockRange {
    const fn later(self, minutes: i64) -> Self {
        Self { from: self.from + minutes, to: self.to + minutes }
    }
}

impl SaidTime {
    /// "nine in the evening" is in the second half of the day. Without a part of the day both are tried.
    fn settle_half(&mut self) {
        if !self.open_half {
            return;
        }
        if let (Some(clock), Some(part)) = (&mut self.clock, self.part) {
            if clock.to <= part.from && clock.from < 720 {
                *clock = clock.later(720);
                self.until = self.until.map(|u| if u.from < 720 { u.later(720) } else { u });
            }
            self.open_half = false;
        }
    }
}

impl SaidTime {
    /// Whether something that was from `window.from` to `window.to` was at this time; `None` if that
    /// cannot be decided because the day of the statement is not known.
    pub(super) fn holds(self, window: TimeWindow, context: &CheckContext) -> Option<bool> {
        let from = context.local(window.from);
        let to = context.local(window.to);
        let today = context.made_at.map(|at| context.local(at).div_euclid(DAY_MS));
        match self.day {
            Some(DayName::Before(_)) if today.is_none() => return None,
            Some(DayName::AfterFirst(_)) if context.first_at.is_none() => return None,
            _ => {}
        }
        let (from, to) = match self.role {
            MomentRole::Since => (from, from),
            MomentRole::Until => (to, to),
            _ => (from, to),
        };
        // "since Tuesday" may be written on Tuesday or later; the days around the event are tried.
        let days = from.div_euclid(DAY_MS) - 8..=to.div_euclid(DAY_MS) + 8;
        let mut any = false;
        let first = context.first_at.map(|at| context.local(at).div_euclid(DAY_MS));
        for day in days.filter(|day| self.names(*day, today, first)) {
            // Without a day, that of the event is meant.
            let near = match self.day {
                None | Some(DayName::Any) => from.div_euclid(DAY_MS) == day,
                Some(_) => (from.div_euclid(DAY_MS) - day).abs() <= 4,
            };
            any |= match self.role {
                MomentRole::By => near && to <= self.end_on(day),
                MomentRole::After => near && from >= self.start_on(day),
                _ => self.is_on(day, from, to),
            };
        }
        Some(any)
    }

    /// Each of the days that it names.
    pub(super) fn each(self) -> Vec<Self> {
        match self.day {
            Some(DayName::Dates { days, month }) => {
                let day = |day| Some(DayName::Date { day, month, year: None });
                days.into_iter().map(|d| Self { day: day(d), ..self }).collect()
            }
            _ => vec![self],
        }
    }

    /// Whether something that began at `at` began at this time or later.
    pub(super) fn begins_by(self, at: WallTime, context: &CheckContext) -> bool {
        let from = context.local(at);
        let today = context.made_at.map(|at| context.local(at).div_euclid(DAY_MS));
        let first = context.first_at.map(|at| context.local(at).div_euclid(DAY_MS));
        let days = from.div_euclid(DAY_MS) - 8..=from.div_euclid(DAY_MS);
        let mut named = days.filter(|day| self.names(*day, today, first));
        named.any(|day| from >= self.start_on(day))
    }

    /// Whether a day, counted from 1970, is the one that was named.
    fn names(self, day: i64, today: Option<i64>, first: Option<i64>) -> bool {
        match self.day {
            None | Some(DayName::Any) => true,
            Some(DayName::Weekday(weekday)) => {
                let recent = today.is_none_or(|today| day <= today && day > today - 8);
                (day + 3).rem_euclid(7) == weekday && recent
            }
            Some(DayName::AfterFirst(after)) => first.is_some_and(|first| day == first + after),
            Some(DayName::Before(back)) => today.is_some_and(|today| day == today - back),
            Some(DayName::Dates { days, month }) => {
                let (_, m, d) = civil(day);
                days.contains(&d) && m == month
            }
            Some(DayName::Date { day: of_month, month, year }) => {
                let (y, m, d) = civil(day);
                d == of_month && m == month && year.is_none_or(|year| year == y)
            }
        }
    }

    fn is_on(self, day: i64, from: i64, to: i64) -> bool {
        let start = day * DAY_MS;
        let meets = |range: ClockRange| {
            from < start + range.to * MINUTE_MS && to >= start + range.from * MINUTE_MS
        };
        let begins = |range: ClockRange, at: i64| {
            at >= start + range.from * MINUTE_MS && at < start + range.to * MINUTE_MS
        };
        let whole = ClockRange { from: 0, to: 1_440 };
        meets(whole)
            && self.part.is_none_or(meets)
            && self.clocks().into_iter().any(|(clock, until)| match (clock, until) {
                (Some(clock), Some(until)) => begins(clock, from) && begins(until, to),
                (Some(clock), None) => begins(clock, from) || (to > from && meets(clock)),
                (None, _) => true,
            })
    }

    /// The clock times that may be meant.
    fn clocks(self) -> Vec<(Option<ClockRange>, Option<ClockRange>)> {
        let mut all = vec![(self.clock, self.until)];
        if self.open_half {
            let later = |range: Option<ClockRange>| range.map(|r| r.later(720));
            all.push((later(self.clock), later(self.until)));
        }
        all
    }

    fn start_on(self, day: i64) -> i64 {
        let range = self.clock.or(self.part);
        day * DAY_MS + range.map_or(0, |range| range.from * MINUTE_MS)
    }

    fn end_on(self, day: i64) -> i64 {
        let range = self.clock.or(self.part);
        day * DAY_MS + range.map_or(1_440, |range| range.to) * MINUTE_MS
    }
}

/// Year, month and day of the days since 1970 (Hinnant's algorithm for the Gregorian calendar).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}
