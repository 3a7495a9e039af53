//! Schedules as cron has them.
//!
//! Source: `ParseStandard` of `github.com/robfig/cron/v3` as vendored by Kubernetes (1.36).

use std::ops::RangeInclusive;

use super::time_zone;
use crate::api::duration;

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The fields in order: what numbers they take, and what names for them, the first being the lowest.
const FIELDS: [(RangeInclusive<u64>, &[&str]); 5] =
    [(0..=59, &[]), (0..=23, &[]), (1..=31, &[]), (1..=12, MONTHS), (0..=6, DAYS)];

/// Whether a schedule can be read; if not, why not.
pub(super) fn check(schedule: &str) -> Result<(), String> {
    if schedule.is_empty() {
        return Err("empty spec string".into());
    }
    let zoned = schedule.strip_prefix("TZ=").or_else(|| schedule.strip_prefix("CRON_TZ="));
    let rest = match zoned {
        None => schedule,
        Some(zoned) => {
            // The original falls over this, and Kubernetes shows how.
            let (zone, rest) = zoned
                .split_once(' ')
                .ok_or("invalid schedule format: runtime error: slice bounds out of range [:-1]")?;
            time_zone::load(zone).map_err(|why| format!("provided bad location {zone}: {why}"))?;
            rest.trim()
        }
    };
    if rest.starts_with('@') {
        return descriptor(rest);
    }
    let fields: Vec<_> = rest.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        let (expected, found) = (FIELDS.len(), fields.len());
        return Err(format!("expected exactly {expected} fields, found {found}: [{}]", fields.join(" ")));
    }
    for (field, (bounds, names)) in fields.iter().zip(&FIELDS) {
        for range in field.split(',').filter(|range| !range.is_empty()) {
            self::range(range, bounds, names)?;
        }
    }
    Ok(())
}

fn descriptor(text: &str) -> Result<(), String> {
    match text.strip_prefix("@every ") {
        Some(every) => {
            duration::parse_go(every).map_err(|why| format!("failed to parse duration {text}: {why}"))?;
        }
        None => match text {
            "@yearly" | "@annually" | "@monthly" | "@weekly" | "@daily" | "@midnight" | "@hourly" => {}
            _ => return Err(format!("unrecognized descriptor: {text}")),
        },
    }
    Ok(())
}

/// `*`, a number or two with a hyphen between them, and how many to go on each time.
fn range(text: &str, bounds: &RangeInclusive<u64>, names: &[&str]) -> Result<(), String> {
    let parts: Vec<_> = text.split('/').collect();
    let ends: Vec<_> = parts[0].split('-').collect();
    let (low, high) = (*bounds.start(), *bounds.end());
    let named = |end: &str| match names.iter().position(|name| name.eq_ignore_ascii_case(end)) {
        Some(place) => Ok(low + place as u64),
        None => number(end),
    };
    let (start, mut end) = if matches!(ends[0], "*" | "?") {
        (low, high)
    } else {
        let start = named(ends[0])?;
        match ends[1..] {
            [] => (start, start),
            [end] => (start, named(end)?),
            _ => return Err(format!("too many hyphens: {text}")),
        }
    };
    let step = match parts[1..] {
        [] => 1,
        [step] => {
            // A single number that is stepped goes on to the end.
            if ends.len() == 1 {
                end = high;
            }
            number(step)?
        }
        _ => return Err(format!("too many slashes: {text}")),
    };
    if start < low {
        return Err(format!("beginning of range ({start}) below minimum ({low}): {text}"));
    }
    if end > high {
        return Err(format!("end of range ({end}) above maximum ({high}): {text}"));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    Ok(())
}

fn number(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let why = if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        "invalid syntax"
    } else {
        "value out of range"
    };
    match text.parse::<i64>() {
        Ok(number) => {
            u64::try_from(number).map_err(|_| format!("negative number ({number}) not allowed: {text}"))
        }
        Err(_) => Err(format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_that_can_be_read() {
        for schedule in [
            "* * * * *",
            "*/5 0-23/2 1,15,31 JAN-dec sun,MON",
            "30 4 ? * 6",
            "5/15 * * * *",
            "0 0 1 1 *,",
            "@hourly",
            "@every 1h30m",
            "TZ=Europe/Berlin 0 6 * * *",
            "CRON_TZ=UTC @daily",
        ] {
            assert_eq!(check(schedule), Ok(()), "{schedule}");
        }
    }

    #[test]
    fn schedules_that_cannot() {
        for (schedule, why) in [
            ("", "empty spec string"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("0 * * * * *", "expected exactly 5 fields, found 6: [0 * * * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("* * * * 7", "end of range (7) above maximum (6): 7"),
            ("10-5 * * * *", "beginning of range (10) beyond end of range (5): 10-5"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("*/1/2 * * * *", "too many slashes: */1/2"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
            ("-1 * * * *", "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax"),
            ("@sometimes", "unrecognized descriptor: @sometimes"),
            ("@every 5", "failed to parse duration @every 5: time: missing unit in duration \"5\""),
            (
                "TZ=Nowhere/Land * * * * *",
                "provided bad location Nowhere/Land: unknown time zone Nowhere/Land",
            ),
            ("TZ=UTC", "invalid schedule format: runtime error: slice bounds out of range [:-1]"),
        ] {
            assert_eq!(check(schedule), Err(why.to_owned()), "{schedule}");
        }
    }
}
