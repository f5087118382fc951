//! Single values: each is read by the type of its key and must be within its range.

use core::net::SocketAddr;
use core::time::Duration;

use toml::de::DeValue;

use super::keys::{KeySpec, ValueType};
use super::nearest::nearest;
use super::problem::{ValueError, invisible, quoted};
use super::ranges::LONGEST_TEXT;
use super::value::{Value, parse_address, parse_bytes, parse_tenths, parse_time};

/// What a scalar key can be read as.
pub(super) trait Scalar: Sized {
    fn of(value: Value) -> Option<Self>;
}

/// Reads a single value.
pub(super) fn scalar(key: &KeySpec, written: &DeValue) -> Result<Value, ValueError> {
    let wrong = |expected: &str| {
        let found = format!("this is {}, not {}", kind_of(written), kind_name(&key.kind));
        Err(ValueError::new(found, expected))
    };
    let value = match (&key.kind, written) {
        (ValueType::Flag, DeValue::Boolean(flag)) => Value::Flag(*flag),
        (ValueType::Flag, DeValue::String(text)) if matches!(&**text, "true" | "false") => {
            let error = ValueError::new(format!("{} is a text", quoted(text)), "true or false");
            return Err(error.hint("leave out the quotation marks"));
        }
        (ValueType::Flag, _) => return wrong("true or false, without quotation marks"),

        // An origin that is no table is the text of its address.
        (ValueType::Text | ValueType::Origin(_), DeValue::String(text)) => {
            Value::Text(plain_text(text)?)
        }
        (ValueType::Text | ValueType::Origin(_), _) => {
            return wrong("a text between quotation marks");
        }

        (ValueType::Word(words), DeValue::String(text)) => {
            if !words.contains(&text.as_ref()) {
                let known = format!("one of {}", key.kind.range());
                let error = ValueError::new(format!("{} is not known here", quoted(text)), known);
                return Err(match nearest(text, words.iter().copied()) {
                    Some(meant) => error.hint(format!("did you mean \"{meant}\"?")),
                    None => error,
                });
            }
            Value::Text(text.to_string())
        }
        (ValueType::Word(_), _) => return wrong(&format!("one of {}", key.kind.range())),

        (ValueType::Address, DeValue::String(text)) => Value::Address(parse_address(text)?),
        (ValueType::Address, _) => return wrong("something like \"0.0.0.0:443\""),

        (ValueType::Time(..), DeValue::String(text)) => Value::Time(parse_time(text)?),
        (ValueType::Time(..), DeValue::Integer(number)) => {
            let error = ValueError::new(
                format!("the number {} has no unit", quoted(&number.to_string())),
                "a time with its unit, such as \"500ms\", \"10s\" or \"2m\"",
            );
            return Err(error.hint(format!(
                "for seconds, write \"{}s\"",
                quoted(&number.to_string()).trim_matches('`')
            )));
        }
        (ValueType::Time(..), _) => return wrong("a text such as \"500ms\", \"10s\" or \"2m\""),

        (ValueType::Count(..), DeValue::Integer(_)) => Value::Count(integer(key, written)?),
        (ValueType::Count(..), DeValue::String(text)) if text.parse::<u64>().is_ok() => {
            let error = ValueError::new(format!("{} is a text", quoted(text)), "a whole number");
            return Err(error.hint("leave out the quotation marks"));
        }
        (ValueType::Count(..), _) => return wrong("a whole number"),

        (ValueType::Bytes(..), DeValue::Integer(_)) => Value::Bytes(integer(key, written)?),
        (ValueType::Bytes(..), DeValue::String(text)) => Value::Bytes(parse_bytes(text)?),
        (ValueType::Bytes(..), _) => {
            return wrong("bytes, or a text such as \"32 KiB\" or \"64 MiB\"");
        }

        (ValueType::Times(..), DeValue::Integer(number)) if number.radix() == 10 => {
            Value::Times(parse_tenths(number.as_str())?)
        }
        (ValueType::Times(..), DeValue::Float(number)) => {
            Value::Times(parse_tenths(number.as_str())?)
        }
        (ValueType::Times(..), _) => return wrong("a number such as 4 or 2.5"),

        (ValueType::List(..) | ValueType::Table(_) | ValueType::Tables(..), _) => {
            unreachable!("lists and tables are not scalars")
        }
    };
    within(key, value)
}

/// A whole number; negative and too great ones lie outside of every range.
fn integer(key: &KeySpec, written: &DeValue) -> Result<u64, ValueError> {
    let number = written.as_integer();
    let read = number.and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
    read.ok_or_else(|| {
        let shown = number.map(ToString::to_string).unwrap_or_default();
        let side = if shown.starts_with('-') { "little" } else { "great" };
        outside(key, &quoted(&shown), side)
    })
}

fn within(key: &KeySpec, value: Value) -> Result<Value, ValueError> {
    let (least, most) = match (&key.kind, &value) {
        (ValueType::Time(least, most), Value::Time(time)) => (time < least, time > most),
        (ValueType::Count(least, most), Value::Count(n))
        | (ValueType::Bytes(least, most), Value::Bytes(n)) => (n < least, n > most),
        (ValueType::Times(least, most), Value::Times(n)) => (n < least, n > most),
        _ => (false, false),
    };
    let shown = || quoted(value.to_string().trim_matches('"'));
    match (least, most) {
        (true, _) => Err(outside(key, &shown(), "little")),
        (_, true) => Err(outside(key, &shown(), "great")),
        (false, false) => Ok(value),
    }
}

fn outside(key: &KeySpec, shown: &str, side: &str) -> ValueError {
    let side = match (&key.kind, side) {
        (ValueType::Time(..), "little") => "short",
        (ValueType::Time(..), _) => "long",
        (_, "little") => "small",
        (_, _) => "large",
    };
    ValueError::new(format!("{shown} is too {side}"), format!("{}: {}", key.kind.range(), key.why))
}

/// Names and files: not empty, not endless, and nothing in them that screens do not show.
fn plain_text(text: &str) -> Result<String, ValueError> {
    if text.trim().is_empty() {
        return Err(ValueError::new("this text is empty", "at least one character"));
    }
    if text.len() > LONGEST_TEXT {
        return Err(ValueError::new(
            "this text is too long",
            format!("at most {LONGEST_TEXT} bytes"),
        ));
    }
    if text.chars().any(|c| c.is_control() || invisible(c)) {
        return Err(ValueError::new(
            format!("{} contains invisible characters", quoted(text)),
            "letters, digits, spaces and signs",
        )
        .hint("in \"…\" a backslash begins such a character: write paths with / or in '…'"));
    }
    Ok(text.to_owned())
}

/// What a TOML value is, in words.
pub(super) fn kind_of(value: &DeValue) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with decimals",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time of day",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn kind_name(kind: &ValueType) -> &'static str {
    match kind {
        ValueType::Flag => "true or false",
        ValueType::Text | ValueType::Word(_) => "a text",
        ValueType::Address => "an address",
        ValueType::Time(..) => "a time",
        ValueType::Count(..) => "a whole number",
        ValueType::Bytes(..) => "a size",
        ValueType::Times(..) => "a multiple",
        ValueType::List(..) | ValueType::Tables(..) => "a list",
        ValueType::Origin(_) => "an origin",
        ValueType::Table(_) => "a table",
    }
}

impl Scalar for bool {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }
}

impl Scalar for String {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Scalar for SocketAddr {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Address(address) => Some(address),
            _ => None,
        }
    }
}

impl Scalar for Duration {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Time(time) => Some(time),
            _ => None,
        }
    }
}

impl Scalar for u64 {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Count(number) | Value::Bytes(number) => Some(number),
            Value::Times(tenths) => Some(Self::from(tenths)),
            _ => None,
        }
    }
}

impl Scalar for u32 {
    fn of(value: Value) -> Option<Self> {
        u64::of(value)?.try_into().ok()
    }
}

impl Scalar for u16 {
    fn of(value: Value) -> Option<Self> {
        u64::of(value)?.try_into().ok()
    }
}
