//! Parts of points in time, in UTC or another time zone, and of spans of time.
//!
//! Time zones are those of the database that is compiled in: nothing is read from the machine. Source:
//! `common/stdlib/standard.go` of `cel-go` v0.26.

use jiff::civil::DateTime;
use jiff::tz::TimeZoneDatabase;

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::functions::Function;
use super::super::value::{Timestamp, Value, parse_duration, quoted};

type Run = for<'a> fn(&mut Scope<'a, '_>, &[Value<'a>]) -> Eval<'a>;

const fn row(name: &'static str, overloads: &'static [(&'static str, &'static str)], run: Run) -> Function {
    Function { name, since: 0, overloads, run }
}

const LOCAL: &str = "timestamp.(string) -> int";
const UTC: &str = "timestamp.() -> int";
const SPAN: &str = "duration.() -> int";

pub(super) const FUNCTIONS: &[Function] = &[
    row("getFullYear", &[("timestamp_to_year", UTC), ("timestamp_to_year_with_tz", LOCAL)], |_, args| {
        part(args, |it| it.year().into(), None)
    }),
    row("getMonth", &[("timestamp_to_month", UTC), ("timestamp_to_month_with_tz", LOCAL)], |_, args| {
        part(args, |it| i64::from(it.month()) - 1, None)
    }),
    row(
        "getDayOfYear",
        &[("timestamp_to_day_of_year", UTC), ("timestamp_to_day_of_year_with_tz", LOCAL)],
        |_, args| part(args, |it| i64::from(it.date().day_of_year()) - 1, None),
    ),
    row(
        "getDayOfMonth",
        &[("timestamp_to_day_of_month", UTC), ("timestamp_to_day_of_month_with_tz", LOCAL)],
        |_, args| part(args, |it| i64::from(it.day()) - 1, None),
    ),
    row(
        "getDate",
        &[("timestamp_to_day_of_month_1_based", UTC), ("timestamp_to_day_of_month_1_based_with_tz", LOCAL)],
        |_, args| part(args, |it| it.day().into(), None),
    ),
    row(
        "getDayOfWeek",
        &[("timestamp_to_day_of_week", UTC), ("timestamp_to_day_of_week_with_tz", LOCAL)],
        |_, args| part(args, |it| it.date().weekday().to_sunday_zero_offset().into(), None),
    ),
    row(
        "getHours",
        &[("timestamp_to_hours", UTC), ("timestamp_to_hours_with_tz", LOCAL), ("duration_to_hours", SPAN)],
        |_, args| part(args, |it| it.hour().into(), Some(3_600_000_000_000)),
    ),
    row(
        "getMinutes",
        &[
            ("timestamp_to_minutes", UTC),
            ("timestamp_to_minutes_with_tz", LOCAL),
            ("duration_to_minutes", SPAN),
        ],
        |_, args| part(args, |it| it.minute().into(), Some(60_000_000_000)),
    ),
    row(
        "getSeconds",
        &[("timestamp_to_seconds", UTC), ("timestamp_to_seconds_tz", LOCAL), ("duration_to_seconds", SPAN)],
        |_, args| part(args, |it| it.second().into(), Some(1_000_000_000)),
    ),
    row(
        "getMilliseconds",
        &[
            ("timestamp_to_milliseconds", UTC),
            ("timestamp_to_milliseconds_with_tz", LOCAL),
            ("duration_to_milliseconds", SPAN),
        ],
        |_, args| part(args, |it| i64::from(it.subsec_nanosecond()) / 1_000_000, Some(1_000_000)),
    ),
];

/// A part of a local time, or whole units of a span.
fn part<'a>(args: &[Value<'a>], of: fn(&DateTime) -> i64, unit: Option<i64>) -> Eval<'a> {
    Ok(Value::Int(match args {
        [Value::Timestamp(time)] => of(&time.local(0)),
        [Value::Timestamp(time), Value::String(zone)] => of(&time.local(offset(time, zone)?)),
        [Value::Duration(span)] => span / unit.ok_or_else(Fault::no_overload)?,
        _ => return Err(Fault::no_overload()),
    }))
}

/// Seconds east of UTC at a time, in a zone that has a name or is an offset: `-08:00`, `8:30`.
fn offset(time: &Timestamp, zone: &str) -> Result<i32, Fault> {
    let unknown =
        || Fault::error(format!("unknown time zone {}", zone.chars().take(100).collect::<String>()));
    let Some((hours, minutes)) = zone.split_once(':') else {
        if matches!(zone, "" | "UTC") {
            return Ok(0);
        }
        let zone = TimeZoneDatabase::bundled().get(zone).map_err(|_| unknown())?;
        let range = jiff::Timestamp::MIN.as_second()..=jiff::Timestamp::MAX.as_second();
        let seconds = time.seconds().clamp(*range.start(), *range.end());
        let instant = jiff::Timestamp::from_second(seconds).map_err(|_| unknown())?;
        return Ok(zone.to_offset(instant).seconds());
    };
    let number = |text: &str| {
        let wrong = || format!("strconv.Atoi: parsing {}: invalid syntax", quoted(text));
        text.parse::<i32>().map_err(|_| Fault::error(wrong()))
    };
    let (hours, mut minutes) = (number(hours)?, number(minutes)?);
    if zone.starts_with('-') {
        minutes = -minutes;
    }
    let seconds = hours.checked_mul(3_600).and_then(|it| it.checked_add(minutes.checked_mul(60)?));
    seconds.ok_or_else(unknown)
}

/// The format `duration` of OpenAPI, in nanoseconds: as Go writes it, or in words, `3 days`.
///
/// Source: `pkg/validation/strfmt/duration.go` of `kube-openapi`.
pub(in super::super) fn parse_format_duration(text: &str) -> Option<i64> {
    if let Some(span) = parse_duration(text) {
        return Some(span);
    }
    let mut total: Option<i64> = None;
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        rest = &rest[start..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_ascii_alphabetic() && c != '\u{b5}').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        rest = after;
        if unit.is_empty() {
            continue;
        }
        let count: i64 = digits.parse().ok()?;
        if let Some(nanoseconds) = unit_in_words(&unit.to_lowercase()) {
            total = Some(total.unwrap_or(0).wrapping_add(count.wrapping_mul(nanoseconds)));
        }
    }
    total
}

fn unit_in_words(unit: &str) -> Option<i64> {
    /// Short names, the beginning of the long one, and nanoseconds.
    const UNITS: [(&[&str], &str, i64); 8] = [
        (&["ns"], "nano", 1),
        (&["us", "\u{b5}s"], "micro", 1_000),
        (&["ms"], "milli", 1_000_000),
        (&["s"], "sec", 1_000_000_000),
        (&["m"], "min", 60_000_000_000),
        (&["h", "hr"], "hour", 3_600_000_000_000),
        (&["d"], "day", 86_400_000_000_000),
        (&["w", "wk"], "week", 604_800_000_000_000),
    ];
    let named = |(short, long, _): &&(&[&str], &str, i64)| short.contains(&unit) || unit.starts_with(long);
    UNITS.iter().find(named).map(|(.., nanoseconds)| *nanoseconds)
}
