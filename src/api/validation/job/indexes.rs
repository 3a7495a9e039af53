//! Indexes of a job as text: `1,3-5,7`, growing.

/// How many indexes a text names, of a job with so many.
///
/// # Errors
///
/// What is wrong with the text, in Kubernetes' words.
pub(super) fn count(text: &str, completions: i64) -> Result<i64, String> {
    let (mut last, mut total) = (None, 0);
    for interval in text.split(',').filter(|_| !text.is_empty()) {
        let (first, end) = self::interval(interval, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

fn interval(text: &str, completions: i64) -> Result<(i64, i64), String> {
    let index = |text: &str| -> Result<i64, String> {
        let index: i64 =
            text.parse().map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
        if index >= completions { Err(format!("too large index: {text:?}")) } else { Ok(index) }
    };
    match text.split('-').collect::<Vec<_>>()[..] {
        [one] => index(one).map(|one| (one, one)),
        [first, end] => {
            let (first, end) = (index(first)?, index(end)?);
            if first >= end {
                return Err(format!("non-increasing order, previous: {first}, current: {end}"));
            }
            Ok((first, end))
        }
        _ => Err(format!(
            "the fragment {text:?} violates the requirement that an index interval can have at most two parts \
             separated by '-'"
        )),
    }
}

/// An index that two texts share: the first that is found.
pub(super) fn overlap(one: &str, other: &str, completions: i64) -> Option<i64> {
    let read = |text: &str| -> Vec<(i64, i64)> {
        text.split(',').filter_map(|interval| self::interval(interval, completions).ok()).collect()
    };
    let (one, other) = (read(one), read(other));
    let (mut left, mut right) = (0, 0);
    while let (Some(a), Some(b)) = (one.get(left), other.get(right)) {
        if a.0 <= b.1 && b.0 <= a.1 {
            return Some(a.0.max(b.0));
        }
        if a.0 <= b.0 {
            left += 1;
        } else {
            right += 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_grow_and_are_within_the_job() {
        assert_eq!(count("", 3), Ok(0));
        assert_eq!(count("0,2-4,6", 8), Ok(5));
        for (text, why) in [
            ("3-1", "non-increasing order, previous: 3, current: 1"),
            ("1,1", "non-increasing order, previous: 1, current: 1"),
            ("8", "too large index: \"8\""),
            ("1-8", "too large index: \"8\""),
            ("a", "cannot convert string to integer for index: \"a\""),
            (
                "1-2-3",
                "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts \
                 separated by '-'",
            ),
        ] {
            assert_eq!(count(text, 8), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn two_lists_of_indexes_overlap_or_do_not() {
        assert_eq!(overlap("0-2,5", "3-4,6", 9), None);
        assert_eq!(overlap("0-2,5", "4-6", 9), Some(5));
        assert_eq!(overlap("", "1", 9), None);
    }
}
