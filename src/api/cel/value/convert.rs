//! From text to values and back, as Go reads and writes them.
//!
//! Source: `strconv`, `time` of Go's library, by way of `common/types` of `cel-go` v0.26.

use std::fmt::Write;

use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};

use super::Timestamp;

const NANOSECONDS: i128 = 1_000_000_000;

/// The first second of the year 1 and the last of 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

impl Timestamp {
    /// So many seconds and nanoseconds after 1970, if that is in the years 1 to 9999.
    pub(in super::super) fn at(seconds: i64, nanoseconds: i32, offset: i32) -> Option<Self> {
        let instant = jiff::Timestamp::new(seconds, nanoseconds).ok()?;
        SECONDS.contains(&whole_seconds(instant)).then_some(Self { instant, offset })
    }

    /// Itself, if it is in those years.
    pub(in super::super) fn checked(self) -> Option<Self> {
        self.plus(0)
    }

    /// Seconds after 1970, rounded down.
    pub(in super::super) fn seconds(&self) -> i64 {
        whole_seconds(self.instant)
    }

    /// The point in time so many nanoseconds later, if there is one.
    pub(in super::super) fn plus(&self, nanoseconds: i128) -> Option<Self> {
        let total = self.instant.as_nanosecond().checked_add(nanoseconds)?;
        let instant = jiff::Timestamp::from_nanosecond(total).ok()?;
        SECONDS.contains(&whole_seconds(instant)).then_some(Self { instant, offset: self.offset })
    }
}

fn whole_seconds(instant: jiff::Timestamp) -> i64 {
    i64::try_from(instant.as_nanosecond().div_euclid(NANOSECONDS)).unwrap_or_default()
}

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

/// RFC 3339 with the digits of the fraction that matter.
pub(in super::super) fn timestamp_text(time: &Timestamp) -> String {
    let offset = Offset::from_seconds(time.offset).unwrap_or(Offset::UTC);
    let local = offset.to_datetime(time.instant);
    let mut text = String::with_capacity(32);
    let _ = write!(
        text,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        local.year(),
        local.month(),
        local.day(),
        local.hour(),
        local.minute(),
        local.second()
    );
    if local.subsec_nanosecond() != 0 {
        let fraction = format!("{:09}", local.subsec_nanosecond());
        let _ = write!(text, ".{}", fraction.trim_end_matches('0'));
    }
    if time.offset == 0 {
        text.push('Z');
    } else {
        let minutes = time.offset.abs() / 60;
        let sign = if time.offset < 0 { '-' } else { '+' };
        let _ = write!(text, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    }
    text
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

/// RFC 3339, as Go's `time.Parse` reads it.
pub(in super::super) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let (local, zone) = date_and_time(text)?;
    let offset = if zone == "Z" { 0 } else { parse_offset(zone)? };
    at(local, offset)
}

/// The format `date-time` of OpenAPI, as Kubernetes reads it: an offset may be missing, and no text at all is the
/// beginning of 1970. Source: `strfmt.ParseDateTime` of `kube-openapi`.
pub(in super::super) fn parse_date_time(text: &str) -> Option<Timestamp> {
    if text.is_empty() {
        return Timestamp::at(0, 0, 0);
    }
    match date_and_time(text)? {
        (local, "") => at(local, 0),
        _ => parse_timestamp(text),
    }
}

fn at(local: jiff::civil::DateTime, offset: i32) -> Option<Timestamp> {
    let zone = TimeZone::fixed(Offset::from_seconds(offset).ok()?);
    let instant = zone.to_timestamp(local).ok()?;
    Some(Timestamp { instant, offset })
}

fn date_and_time(text: &str) -> Option<(jiff::civil::DateTime, &str)> {
    let bytes = text.as_bytes();
    let number = |from: usize, count: usize| -> Option<i16> {
        let digits = text.get(from..from + count)?;
        if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
    };
    let small = |from: usize| number(from, 2).and_then(|it| i8::try_from(it).ok());
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| bytes.get(*at) != Some(mark)) {
        return None;
    }
    let date = Date::new(number(0, 4)?, small(5)?, small(8)?).ok()?;
    let mut rest = text.get(19..)?;
    let mut nanosecond = 0;
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let length = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
        if length == 0 {
            return None;
        }
        let kept = &fraction[..length.min(9)];
        nanosecond = format!("{kept:0<9}").parse().ok()?;
        rest = &fraction[length..];
    }
    if small(17)? > 59 {
        return None;
    }
    let time = Time::new(small(11)?, small(14)?, small(17)?, nanosecond).ok()?;
    Some((date.to_datetime(time), rest))
}

/// `+01:30`, in seconds east.
fn parse_offset(text: &str) -> Option<i32> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str, most: i32| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|it: &i32| digits && *it <= most)
    };
    Some(sign * (number(hours, 24)? * 3_600 + number(minutes, 59)? * 60))
}
