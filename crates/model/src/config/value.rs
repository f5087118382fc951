//! Values as people write them: times, sizes, multiples.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use super::problem::{ValueError, quoted};

/// A single value, read or by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Flag(bool),
    Text(String),
    Address(SocketAddr),
    Time(Duration),
    Count(u64),
    Bytes(u64),
    /// A multiple, in tenths.
    Times(u32),
}

/// As it is written in the file.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Address(address) => write!(f, "\"{address}\""),
            Self::Time(time) => write!(f, "\"{}\"", format_time(*time)),
            Self::Count(count) => f.write_str(&format_count(*count)),
            Self::Bytes(bytes) => write!(f, "\"{}\"", format_bytes(*bytes)),
            Self::Times(tenths) => f.write_str(&format_tenths(*tenths)),
        }
    }
}

/// Units of time, longest first, in milliseconds.
const TIME_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of size, largest first, in bytes.
const SIZE_UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// `"10s"`, `"500ms"`, `"2m"`, `"1h 30m"`: whole numbers, each with its unit, longest unit
/// first.
pub(super) fn parse_time(text: &str) -> Result<Duration, ValueError> {
    let error = || {
        ValueError::new(
            format!("{} is not a time", quoted(text)),
            "a whole number with its unit, such as \"500ms\", \"10s\", \"2m\" or \"1h 30m\"",
        )
    };
    let mut rest = text.trim();
    let mut units = TIME_UNITS.iter();
    let mut total = 0_u64;
    if rest.is_empty() {
        return Err(error());
    }
    if rest.bytes().all(|b| b.is_ascii_digit()) {
        return Err(error().hint(format!("for seconds, write \"{rest}s\"")));
    }
    while !rest.is_empty() {
        let (digits, after) = split_digits(rest);
        let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let number: u64 = digits.parse().map_err(|_| error())?;
        // A unit may come once, after longer ones.
        let (_, millis) = units.find(|(name, _)| *name == unit).ok_or_else(error)?;
        total = number
            .checked_mul(*millis)
            .and_then(|millis| total.checked_add(millis))
            .ok_or_else(error)?;
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    Ok(Duration::from_millis(total))
}

/// `"64 MiB"`, `"512 B"`.
pub(super) fn parse_bytes(text: &str) -> Result<u64, ValueError> {
    let error = || {
        ValueError::new(
            format!("{} is not a size", quoted(text)),
            "bytes as a whole number, or a text with a unit such as \"32 KiB\" or \"64 MiB\"",
        )
    };
    let (digits, unit) = split_digits(text.trim());
    let unit = unit.trim_start();
    let number: u64 = digits.parse().map_err(|_| error())?;
    let Some((_, size)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) else {
        let initial = unit.chars().next().map(|c| c.to_ascii_uppercase());
        let meant = SIZE_UNITS.iter().find(|(name, _)| name.chars().next() == initial);
        return Err(match meant {
            Some((name, _)) => error().hint(format!("did you mean \"{number} {name}\"?")),
            None => error(),
        });
    };
    number.checked_mul(*size).ok_or_else(error)
}

/// `4`, `4.0`, `2.5`: a multiple with at most one decimal, as the TOML text of a number. In
/// tenths.
pub(super) fn parse_tenths(text: &str) -> Result<u32, ValueError> {
    let error = || {
        ValueError::new(
            format!("{} is not a multiple", quoted(text)),
            "a number with at most one decimal, such as 4 or 2.5",
        )
    };
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let (whole, tenths) = match unsigned.split_once('.') {
        None => (unsigned, "0"),
        // `4.00` is written as `4.0`.
        Some((whole, decimals)) => match decimals.trim_end_matches('0') {
            "" => (whole, "0"),
            decimals => (whole, decimals),
        },
    };
    if tenths.len() != 1 || !whole.bytes().chain(tenths.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(error());
    }
    let whole: u32 = whole.parse().map_err(|_| error())?;
    let tenths: u32 = tenths.parse().map_err(|_| error())?;
    whole.checked_mul(10).and_then(|whole| whole.checked_add(tenths)).ok_or_else(error)
}

/// `192.0.2.1:443`, `[::]:443`: an address and a port of this machine.
pub(super) fn parse_address(text: &str) -> Result<SocketAddr, ValueError> {
    let error = || {
        ValueError::new(
            format!("{} is not an address with a port", quoted(text)),
            "something like 127.0.0.1:8080, 0.0.0.0:443 (every IPv4 address of this machine) or \
             [::]:443",
        )
    };
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => Err(ValueError::new(
            format!("{} has port 0", quoted(text)),
            "a port from 1 to 65535: for 0 the kernel picks another one at each start, and clients \
             would not find it",
        )),
        Ok(address) => Ok(address),
        Err(_) => {
            let port = text.rsplit(':').next().and_then(|p| p.parse::<u16>().ok());
            let host = text.rsplit_once(':').map_or("", |(host, _)| host);
            Err(match port {
                Some(port) if host == "localhost" => {
                    error().hint(format!("for this machine alone, write 127.0.0.1:{port}"))
                }
                Some(port) if host.is_empty() || host == "*" => {
                    error().hint(format!("for every address, write 0.0.0.0:{port} or [::]:{port}"))
                }
                Some(port) if host.contains(':') => {
                    error().hint(format!("IPv6 addresses need brackets: [{host}]:{port}"))
                }
                Some(_) if !host.is_empty() => {
                    error().hint("names are not looked up here; write the address itself")
                }
                _ => error().hint("the port is missing"),
            })
        }
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// `1m 30s`.
pub(super) fn format_time(time: Duration) -> String {
    let mut rest = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (name, millis) in TIME_UNITS {
        if rest / millis > 0 {
            parts.push(format!("{}{name}", rest / millis));
        }
        rest %= millis;
    }
    if parts.is_empty() {
        return "0s".into();
    }
    parts.join(" ")
}

/// `64 MiB`, in the largest unit that needs no fraction.
pub(super) fn format_bytes(bytes: u64) -> String {
    let fits = |(_, size): &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(*size);
    match SIZE_UNITS.iter().find(fits) {
        Some((name, size)) => format!("{} {name}", bytes / size),
        None => "0 B".into(),
    }
}

/// `262_144`, as TOML allows it.
pub(super) fn format_count(count: u64) -> String {
    let digits = count.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push('_');
        }
        shown.push(digit);
    }
    shown
}

/// `4.0`.
pub(super) fn format_tenths(tenths: u32) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_need_their_unit() {
        let millis = |text| parse_time(text).map(|time| time.as_millis()).ok();
        assert_eq!(millis("10s"), Some(10_000));
        assert_eq!(millis("1h 30m"), Some(5_400_000));
        assert_eq!(millis("1m30s"), Some(90_000));
        assert_eq!(millis("500ms"), Some(500));
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 s",
            "1s 1s",
            "30s 1m",
            "1d",
            "1s  1ms",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_binary_and_say_so() {
        assert_eq!(parse_bytes("64 MiB"), Ok(64 << 20));
        assert_eq!(parse_bytes("32KiB"), Ok(32 << 10));
        assert_eq!(parse_bytes("7 B"), Ok(7));
        let error = parse_bytes("64 MB").expect_err("two meanings");
        assert!(error.sentence().contains("did you mean \"64 MiB\"?"));
        assert!(parse_bytes("99999999999 TiB").is_err());
    }

    #[test]
    fn multiples_have_one_decimal() {
        assert_eq!(parse_tenths("4"), Ok(40));
        assert_eq!(parse_tenths("2.50"), Ok(25));
        for text in ["inf", "nan", "2.55", "4e0", "-4.0", "+-4", "", ".5", "999999999999"] {
            assert!(parse_tenths(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millis in 0..=u64::MAX / 2, tenths in 0..=u32::MAX / 2) {
            let time = Duration::from_millis(millis);
            prop_assert_eq!(parse_time(&format_time(time)), Ok(time));
            prop_assert_eq!(parse_bytes(&format_bytes(millis)), Ok(millis));
            prop_assert_eq!(parse_tenths(&format_tenths(tenths)), Ok(tenths));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in ".{0,40}", close in "[0-9]{0,21}[a-zA-Z. :\\[\\]]{0,4}") {
            for text in [text, close] {
                let _ = (parse_time(&text), parse_bytes(&text), parse_tenths(&text));
                let _ = parse_address(&text);
            }
        }
    }
}
