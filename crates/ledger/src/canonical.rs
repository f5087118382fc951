//! Canonical JSON (RFC 8785): a value has one spelling, and so one hash.

use serde::Serialize;
use serde_json::Value;

/// The largest integer that every JSON reader represents exactly, 2^53 − 1 (RFC 7493, section 2.2;
/// RFC 8785, appendix D).
const MAX_EXACT: u64 = (1 << 53) - 1;

/// A value has no canonical JSON.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// The value cannot be written as JSON: a float that is not finite, or a map key that is not text.
    #[error("the value cannot be written as canonical JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// RFC 8785 would silently round the integer to the nearest double.
    #[error(
        "{at} is {number}, which canonical JSON would round; write integers beyond 9,007,199,254,740,991 as text"
    )]
    Inexact {
        /// The position of the number in the value, as a JSON pointer.
        at: String,
        /// The number.
        number: String,
    },
}

/// Encodes a value as canonical JSON (RFC 8785), for an entry. Integers that a double cannot
/// represent are refused, not rounded.
pub fn canonical_json(value: &impl Serialize) -> Result<Vec<u8>, CanonicalError> {
    let bytes = serde_json_canonicalizer::to_vec(value)?;
    check_exact(&serde_json::to_value(value)?, &mut String::new())?;
    Ok(bytes)
}

fn check_exact(value: &Value, at: &mut String) -> Result<(), CanonicalError> {
    let above = at.len();
    match value {
        Value::Number(number) => {
            let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            if magnitude.is_some_and(|magnitude| magnitude > MAX_EXACT) {
                let at = if at.is_empty() { "the value" } else { at.as_str() }.to_owned();
                return Err(CanonicalError::Inexact { at, number: number.to_string() });
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                at.push('/');
                at.push_str(&index.to_string());
                check_exact(item, at)?;
                at.truncate(above);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                at.push('/');
                at.push_str(key);
                check_exact(member, at)?;
                at.truncate(above);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The example of RFC 8785, section 3.2.2 (its numbers as doubles) with its result of section
    /// 3.2.3.
    #[test]
    fn the_example_of_the_rfc_is_encoded_as_printed_there() {
        let value: Value = serde_json::from_str(
            r#"{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
                "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
                "literals": [null, true, false]}"#,
        )
        .unwrap();
        let expected = concat!(
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
            r#""string":"€$\u000f\nA'B\"\\\\\"/"}"#
        );
        assert_eq!(canonical_json(&value).unwrap(), expected.as_bytes());
    }

    #[test]
    fn keys_are_sorted_by_utf_16() {
        let value = json!({"\u{fb33}": 1, "\u{1f600}": 2, "a": 3});
        // U+1F600 begins with the surrogate D83D, which sorts before FB33.
        let expected = "{\"a\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}";
        assert_eq!(canonical_json(&value).unwrap(), expected.as_bytes());
    }

    #[test]
    fn an_integer_that_would_be_rounded_is_refused_and_located() {
        assert!(canonical_json(&json!({"at": MAX_EXACT})).is_ok());
        assert!(canonical_json(&json!({"at": -MAX_EXACT.cast_signed()})).is_ok());
        let error = canonical_json(&json!({"times": [1, MAX_EXACT + 1]})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/times/1 is 9007199254740992, which canonical JSON would round; write integers beyond \
             9,007,199,254,740,991 as text"
        );
    }

    #[test]
    fn nan_is_refused() {
        assert!(matches!(canonical_json(&f64::NAN), Err(CanonicalError::NotJson(_))));
    }
}
