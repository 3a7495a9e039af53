//! Points in time, as text and as numbers.
//!
//! Source: `time` of Go's library, by way of `common/types/timestamp.go` of `cel-go` v0.26.

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};

/// A point in time between the years 1 and 9999, with the offset from UTC that it was written with.
///
/// It reaches to the last second of 9999, which `jiff::Timestamp` does not.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp {
    seconds: i64,
    nanosecond: i32,
    /// Seconds east of UTC, for its text alone.
    offset: i32,
}

/// The first second of the year 1 and the last of 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
const NANOSECONDS: i128 = 1_000_000_000;
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Two are equal where they are one point in time, whatever the offsets.
impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.nanoseconds() == other.nanoseconds()
    }
}

impl Timestamp {
    /// The beginning of the year 1, Go's zero.
    pub(super) const ZERO: Self = Self { seconds: *SECONDS.start(), nanosecond: 0, offset: 0 };

    /// So many seconds after 1970, if that is in the years 1 to 9999.
    pub(in super::super) fn at(seconds: i64) -> Option<Self> {
        SECONDS.contains(&seconds).then_some(Self { seconds, nanosecond: 0, offset: 0 })
    }

    /// Seconds after 1970, rounded down.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after 1970.
    #[must_use]
    pub fn nanoseconds(&self) -> i128 {
        i128::from(self.seconds) * NANOSECONDS + i128::from(self.nanosecond)
    }

    /// The point in time so many nanoseconds later, if there is one.
    pub(in super::super) fn plus(&self, nanoseconds: i128) -> Option<Self> {
        let total = self.nanoseconds() + nanoseconds;
        let seconds = i64::try_from(total.div_euclid(NANOSECONDS)).ok()?;
        let nanosecond = i32::try_from(total.rem_euclid(NANOSECONDS)).ok()?;
        SECONDS.contains(&seconds).then_some(Self { seconds, nanosecond, ..*self })
    }

    /// Itself, if it is in those years: what is read may lie outside by its offset.
    pub(in super::super) fn checked(self) -> Option<Self> {
        self.plus(0)
    }

    /// What clocks show so many seconds east of UTC.
    pub(in super::super) fn local(&self, offset: i32) -> DateTime {
        let shift = SignedDuration::new(self.seconds.saturating_add(offset.into()), self.nanosecond);
        EPOCH.saturating_add(shift)
    }

    fn of(local: DateTime, offset: i32) -> Self {
        let since = local.duration_since(EPOCH).as_nanos() - i128::from(offset) * NANOSECONDS;
        let seconds = i64::try_from(since.div_euclid(NANOSECONDS)).unwrap_or_default();
        let nanosecond = i32::try_from(since.rem_euclid(NANOSECONDS)).unwrap_or_default();
        Self { seconds, nanosecond, offset }
    }
}

/// RFC 3339 with the digits of the fraction that matter.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.local(self.offset);
        let (date, time) = (local.date(), local.time());
        write!(f, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day())?;
        write!(f, "T{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
        if self.nanosecond != 0 {
            let fraction = format!("{:09}", self.nanosecond);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        if self.offset == 0 {
            return f.write_str("Z");
        }
        let minutes = self.offset.abs() / 60;
        let sign = if self.offset < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// RFC 3339, as Go's `time.Parse` reads it.
pub(in super::super) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let (local, zone) = date_and_time(text)?;
    let offset = if zone == "Z" { 0 } else { parse_offset(zone)? };
    Some(Timestamp::of(local, offset))
}

/// The format `date-time` of OpenAPI, as Kubernetes reads it: an offset may be missing, and no text at all is the
/// beginning of 1970. Source: `strfmt.ParseDateTime` of `kube-openapi`.
pub(super) fn parse_date_time(text: &str) -> Option<Timestamp> {
    if text.is_empty() {
        return Timestamp::at(0);
    }
    match date_and_time(text)? {
        (local, "") => Some(Timestamp::of(local, 0)),
        _ => parse_timestamp(text),
    }
}

/// The beginning of a day, `2006-01-02`.
pub(in super::super) fn parse_date(text: &str) -> Option<Timestamp> {
    let date = date(text).filter(|_| text.len() == 10)?;
    Some(Timestamp::of(date.to_datetime(Time::midnight()), 0))
}

/// A number of exactly so many digits at a place.
fn digits(text: &str, from: usize, count: usize) -> Option<i16> {
    let digits = text.get(from..from + count)?;
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn pair(text: &str, from: usize) -> Option<i8> {
    digits(text, from, 2).and_then(|it| i8::try_from(it).ok())
}

fn date(text: &str) -> Option<Date> {
    let marks = matches!(text.as_bytes(), [_, _, _, _, b'-', _, _, b'-', ..]);
    if !marks {
        return None;
    }
    Date::new(digits(text, 0, 4)?, pair(text, 5)?, pair(text, 8)?).ok()
}

fn date_and_time(text: &str) -> Option<(DateTime, &str)> {
    let date = date(text)?;
    let marks = [(10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| text.as_bytes().get(*at) != Some(mark)) {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut nanosecond = 0;
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let length = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
        if length == 0 {
            return None;
        }
        nanosecond = format!("{:0<9}", &fraction[..length.min(9)]).parse().ok()?;
        rest = &fraction[length..];
    }
    let time = Time::new(pair(text, 11)?, pair(text, 14)?, pair(text, 17)?, nanosecond).ok()?;
    Some((date.to_datetime(time), rest))
}

/// `+01:30`, in seconds east.
fn parse_offset(text: &str) -> Option<i32> {
    let sign = match text.as_bytes() {
        [b'+', _, _, b':', _, _] => 1,
        [b'-', _, _, b':', _, _] => -1,
        _ => return None,
    };
    let part = |from: usize, most: i8| pair(text, from).filter(|it| *it <= most).map(i32::from);
    Some(sign * (part(1, 24)? * 3_600 + part(4, 59)? * 60))
}
