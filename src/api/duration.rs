//! Durations as people read them: `45s`, `3m20s`, `5h`, `12d`.

use jiff::{SignedDuration, Timestamp};

/// A duration in the one or two units that matter, as kubectl shows ages
/// (`k8s.io/apimachinery/pkg/util/duration`, 1.36). A clock that is up to two seconds behind is
/// forgiven; further back is `<invalid>`.
#[must_use]
pub fn human(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    if seconds < -1 {
        return "<invalid>".into();
    }
    let seconds = seconds.max(0);
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let two = |large: i64, unit: &str, small: i64, part: &str| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{part}") }
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 24 * 8 => two(days, "d", hours % 24, "h"),
        () if days < 365 * 2 => format!("{days}d"),
        () if days < 365 * 8 => two(years, "y", days % 365, "d"),
        () => format!("{years}y"),
    }
}

/// How long ago a time was, as a cell of a table; `<unknown>` where there is none.
#[must_use]
pub fn since(time: Option<Timestamp>, now: Timestamp) -> String {
    time.map_or_else(|| "<unknown>".into(), |time| human(now.duration_since(time)))
}

/// A duration as Go writes it, such as `1h30m` or `-1.5s`; if it is none, why not in Go's words.
///
/// Source: `ParseDuration` of Go's `time`.
pub(crate) fn parse_go(text: &str) -> Result<SignedDuration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, unsigned) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let mut rest = unsigned;
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    let mut total: i128 = 0;
    let digits =
        |text: &str| text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    while !rest.is_empty() || unsigned.is_empty() {
        let (whole, after) = rest.split_at(digits(rest));
        let (part, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at(digits(after)),
            None => ("", after),
        };
        if whole.is_empty() && part.is_empty() {
            return Err(invalid());
        }
        let end = after.find(|letter: char| letter == '.' || letter.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let nanos: i128 = match unit {
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
        };
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        // Digits beyond these are less than a nanosecond of an hour.
        let part = &part[..part.len().min(15)];
        let share = part.parse::<i128>().unwrap_or(0) * nanos / 10_i128.pow(part.len() as u32);
        total = whole
            .checked_mul(nanos)
            .and_then(|whole| total.checked_add(whole + share))
            .ok_or_else(invalid)?;
        rest = after;
    }
    let signed = if negative { -total } else { total };
    i64::try_from(signed).map(SignedDuration::from_nanos).map_err(|_| invalid())
}

/// A duration as Go writes it: `1h30m0s`, `1.5s`, `20ms`, `0s`.
///
/// Source: `Duration.String` of Go's `time`.
pub(crate) fn show_go(duration: SignedDuration) -> String {
    let nanos = duration.as_nanos().unsigned_abs();
    let sign = if duration.is_negative() { "-" } else { "" };
    let parts = |unit: u128| {
        let (whole, rest) = (nanos / unit, nanos % unit);
        let digits = unit.ilog10() as usize;
        let rest = format!("{rest:0digits$}");
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() { whole.to_string() } else { format!("{whole}.{rest}") }
    };
    let shown = match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", parts(1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", parts(1_000_000)),
        _ => {
            let minutes = nanos / 60_000_000_000;
            let seconds = parts(1_000_000_000);
            let (whole, part) =
                seconds.split_once('.').map_or((&*seconds, ""), |(whole, part)| (whole, part));
            let whole = whole.parse::<u128>().unwrap_or_default() % 60;
            let point = if part.is_empty() { "" } else { "." };
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{whole}{point}{part}s"),
                (0, minutes) => format!("{minutes}m{whole}{point}{part}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{whole}{point}{part}s"),
            }
        }
    };
    format!("{sign}{shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_shows_them() {
        for (nanos, shown) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (-15_000_000_000, "-15s"),
        ] {
            assert_eq!(show_go(SignedDuration::from_nanos(nanos)), shown);
        }
    }

    #[test]
    fn durations_of_go() {
        for (text, nanos) in [
            ("0", 0),
            ("-0s", 0),
            ("1h30m", 5_400_000_000_000),
            ("-1.5s", -1_500_000_000),
            (".5us", 500),
            ("+3µs1ns", 3001),
            ("1.000000000000000000001h", 3_600_000_000_000),
        ] {
            assert_eq!(parse_go(text), Ok(SignedDuration::from_nanos(nanos)), "{text}");
        }
        for text in
            ["", "-", "s", ".s", "9223372036854775808ns", "99999999999999999999999999999999999999999h"]
        {
            assert_eq!(parse_go(text), Err(format!("time: invalid duration {text:?}")));
        }
        assert_eq!(parse_go("1"), Err("time: missing unit in duration \"1\"".into()));
        assert_eq!(parse_go("1d"), Err("time: unknown unit \"d\" in duration \"1d\"".into()));
        assert_eq!(parse_go("1h-1m"), Err("time: unknown unit \"h-\" in duration \"1h-1m\"".into()));
    }

    #[test]
    fn ages() {
        let (minute, hour, day) = (60, 3600, 86_400);
        for (seconds, text) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (2 * minute, "2m"),
            (3 * minute + 20, "3m20s"),
            (10 * minute + 20, "10m"),
            (179 * minute, "179m"),
            (3 * hour, "3h"),
            (3 * hour + minute, "3h1m"),
            (8 * hour + minute, "8h"),
            (47 * hour, "47h"),
            (2 * day, "2d"),
            (2 * day + hour, "2d1h"),
            (9 * day + hour, "9d"),
            (729 * day, "729d"),
            (2 * 365 * day, "2y"),
            (3 * 365 * day + day, "3y1d"),
            (9 * 365 * day + day, "9y"),
        ] {
            assert_eq!(human(SignedDuration::from_secs(seconds)), text, "{seconds}");
        }
    }
}
