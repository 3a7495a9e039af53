//! Durations in query strings: `1m30s`.

use std::time::Duration;

/// The units, with how many nanoseconds they have.
const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A duration as Go reads one: numbers with units, such as `300ms` or `1h2.5m`. None where it is less than
/// nothing.
///
/// Source: `time.ParseDuration`, whose words its errors have.
///
/// # Errors
///
/// What is wrong with the text.
pub fn parse_duration(text: &str) -> Result<Option<Duration>, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(Some(Duration::ZERO));
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let number = rest.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
        let (digits, behind) = rest.split_at(rest.len() - number.len());
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        // A second point ends the number, and is no unit.
        if (whole.is_empty() && part.is_empty()) || part.contains('.') {
            return Err(invalid());
        }
        let unit = &behind
            [..behind.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(behind.len())];
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("time: unknown unit {unit:?} in duration {text:?}"));
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        // More digits than these make no difference of a nanosecond.
        let part: f64 =
            format!("0.{}", part.get(..part.len().min(18)).unwrap_or_default()).parse().unwrap_or(0.0);
        let nanos =
            whole.checked_mul(*scale).and_then(|nanos| nanos.checked_add((part * *scale as f64) as u64));
        total = nanos
            .and_then(|nanos| total.checked_add(nanos))
            .filter(|total| *total <= i64::MAX as u64)
            .ok_or_else(invalid)?;
        rest = &behind[unit.len()..];
    }
    Ok((!negative || total == 0).then_some(Duration::from_nanos(total)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, millis) in [
            ("0", 0),
            ("5s", 5000),
            ("+5s", 5000),
            ("1h2m3.5s", 3_723_500),
            ("300ms", 300),
            (".5s", 500),
            ("1.s", 1000),
            ("1000000us", 1000),
            ("1000µs", 1),
            ("-0", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Some(Duration::from_millis(millis))), "{text}");
        }
        assert_eq!(parse_duration("-1s"), Ok(None));
        for (text, why) in [
            ("", "invalid duration \"\""),
            ("-", "invalid duration \"-\""),
            ("x", "invalid duration \"x\""),
            (".s", "invalid duration \".s\""),
            ("5", "missing unit in duration \"5\""),
            ("5x", "unknown unit \"x\" in duration \"5x\""),
            ("5s3", "missing unit in duration \"5s3\""),
            ("9999999999h", "invalid duration \"9999999999h\""),
        ] {
            assert_eq!(parse_duration(text), Err(format!("time: {why}")), "{text}");
        }
    }
}
