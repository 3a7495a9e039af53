//! From text to values and back, as Go reads and writes them.
//!
//! Source: `strconv`, `time` of Go's library, by way of `common/types` of `cel-go` v0.26.

/// The whole number that this is exactly.
pub(in super::super) fn lossless_int(number: f64) -> Option<i64> {
    let whole = checked_int(number)?;
    #[expect(clippy::cast_precision_loss, reason = "to see whether anything was lost")]
    (whole as f64 == number).then_some(whole)
}

/// The number without its fraction, where an `i64` holds it.
pub(in super::super) fn checked_int(number: f64) -> Option<i64> {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "it is checked to fit")]
    (number > i64::MIN as f64 && number < i64::MAX as f64).then_some(number as i64)
}

/// The whole number that this is exactly.
pub(in super::super) fn lossless_uint(number: f64) -> Option<u64> {
    let whole = checked_uint(number)?;
    #[expect(clippy::cast_precision_loss, reason = "to see whether anything was lost")]
    (whole as f64 == number).then_some(whole)
}

/// The number without its fraction, where a `u64` holds it.
pub(in super::super) fn checked_uint(number: f64) -> Option<u64> {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is checked to fit"
    )]
    (number >= 0.0 && number < u64::MAX as f64).then_some(number as u64)
}

/// Go's `%g`.
pub(in super::super) fn double_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let written = format!("{number:e}");
    let Some((digits, exponent)) = written.split_once('e') else { return written };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    // An exponent is written where it is below -4 or above 5.
    if (-4..6).contains(&exponent) {
        return format!("{number}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A span of time as seconds, `1.5s`.
pub(in super::super) fn duration_text(nanoseconds: i64) -> String {
    format!("{}s", seconds(nanoseconds))
}

/// Seconds as Go's `Duration.Seconds` has them.
#[expect(clippy::cast_precision_loss, reason = "as Go has it")]
fn seconds(nanoseconds: i64) -> f64 {
    (nanoseconds / 1_000_000_000) as f64 + (nanoseconds % 1_000_000_000) as f64 / 1e9
}

pub(in super::super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

pub(in super::super) fn parse_double(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    // A number too large is none, unless it says so itself.
    (number.is_finite() || text.to_ascii_lowercase().contains(['i', 'n'])).then_some(number)
}

/// Go's `time.ParseDuration`: `1h30m`, `-1.5s`, in nanoseconds.
pub(in super::super) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (whole, after) = rest.split_at(digits(rest));
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at(digits(after)),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let unit_length = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_length);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.into() };
        total = total.checked_add(whole.checked_mul(unit)?)?;
        // Digits beyond a billion millionth change nothing.
        let fraction = &fraction[..fraction.len().min(18)];
        if !fraction.is_empty() {
            let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
            total += fraction.parse::<i128>().ok()? * unit / scale;
        }
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}
