//! What a plain scalar means: YAML 1.1 as go-yaml v2 resolves it, and so as Kubernetes does.
//!
//! `yes` and `on` are booleans, `0644` is octal, `0b1` and `1_000` are integers, `08` is the float 8.
//! Base 60 is not supported, and dates stay text.

use serde_json::{Number, Value};

/// A float that JSON cannot write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotFinite(pub(super) &'static str);

/// The value of a scalar that is not quoted and has no tag.
pub(super) fn resolve(text: &str) -> Result<Value, NotFinite> {
    let value = match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => true.into(),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => false.into(),
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        ".nan" | ".NaN" | ".NAN" => return Err(NotFinite("NaN")),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Err(NotFinite("+Inf")),
        "-.inf" | "-.Inf" | "-.INF" => return Err(NotFinite("-Inf")),
        _ => number(text).map_or_else(|| text.into(), Value::Number),
    };
    Ok(value)
}

/// The number that a text is, if it is one.
pub(super) fn number(text: &str) -> Option<Number> {
    match text.as_bytes().first()? {
        b'0'..=b'9' | b'+' | b'-' => {
            let plain: String = text.chars().filter(|c| *c != '_').collect();
            integer(&plain).or_else(|| float(&plain))
        }
        b'.' => float(text),
        _ => None,
    }
}

/// An integer as Go's `ParseInt` reads it in base 0.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    let (base, digits) = match lower.as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some(octal) if octal.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    if negative {
        i64::try_from(-i128::from(magnitude)).ok().map(Number::from)
    } else if text.starts_with('+') {
        // Only signed integers may have a plus.
        i64::try_from(magnitude).ok().map(Number::from)
    } else {
        Some(magnitude.into())
    }
}

/// A decimal float, written as an integer where it is one: JSON knows no difference.
fn float(text: &str) -> Option<Number> {
    let digits = text.trim_start_matches(['+', '-']);
    let sign_length = text.len() - digits.len();
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    if sign_length > 1
        || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !digits.chars().all(allowed)
    {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    whole(value).or_else(|| Number::from_f64(value))
}

/// The integer that a float is, if it is small enough that JSON writes it without an exponent.
fn whole(value: f64) -> Option<Number> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    (value.fract() == 0.0 && value.abs() < 9.2e18).then(|| Number::from(value as i64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_mean_what_go_yaml_says() {
        for (text, value) in [
            ("yes", json!(true)),
            ("on", json!(true)),
            ("Y", json!(true)),
            ("off", json!(false)),
            ("N", json!(false)),
            ("yEs", json!("yEs")),
            ("~", json!(null)),
            ("Null", json!(null)),
            ("nULL", json!("nULL")),
            ("0644", json!(420)),
            ("0o644", json!(420)),
            ("0O17", json!(15)),
            ("-0644", json!(-420)),
            ("0b101", json!(5)),
            ("-0b101", json!(-5)),
            ("0xff", json!(255)),
            ("0XFF", json!(255)),
            ("1_000", json!(1000)),
            ("+12", json!(12)),
            ("0", json!(0)),
            ("00", json!(0)),
            ("08", json!(8)),
            ("089", json!(89)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("1.5", json!(1.5)),
            ("-.5", json!(-0.5)),
            (".5", json!(0.5)),
            ("1.", json!(1)),
            ("3.0", json!(3)),
            ("1e3", json!(1000)),
            ("1e300", json!(1e300)),
            ("685_230.15", json!(685_230.15)),
            ("190:20:30", json!("190:20:30")),
            ("1:30", json!("1:30")),
            ("2001-12-14", json!("2001-12-14")),
            ("2001-12-14T21:59:43.10-05:00", json!("2001-12-14T21:59:43.10-05:00")),
            ("1.2.3", json!("1.2.3")),
            ("1.10.0", json!("1.10.0")),
            ("10m", json!("10m")),
            ("1Gi", json!("1Gi")),
            ("0x", json!("0x")),
            ("-", json!("-")),
            ("--1", json!("--1")),
            ("1-2", json!("1-2")),
            ("+", json!("+")),
            (".", json!(".")),
            ("e3", json!("e3")),
            ("infinity", json!("infinity")),
            ("0x1p-2", json!("0x1p-2")),
        ] {
            assert_eq!(resolve(text).unwrap(), value, "{text}");
        }
        for text in [".inf", "-.INF", ".NaN", "+.Inf"] {
            assert!(resolve(text).is_err(), "{text}");
        }
    }
}
