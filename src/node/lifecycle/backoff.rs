//! Back-off per key, as client-go's `flowcontrol.Backoff` keeps it.
//!
//! Times are 10 s, doubling to 5 min. An entry is forgotten when what it is asked about happened
//! more than twice the maximum after the entry was last raised: a container that ran for ten
//! minutes starts over.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// The first delay.
const INITIAL: SignedDuration = SignedDuration::from_secs(10);
/// The longest delay.
const MAX: SignedDuration = SignedDuration::from_secs(300);

/// Delays by key.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    delay: SignedDuration,
    raised: Timestamp,
}

impl Entry {
    fn expired(&self, event: Timestamp) -> bool {
        event.duration_since(self.raised) > MAX * 2
    }
}

impl Backoff {
    /// Until when `key` is held back, given that what it backs off from happened at `event`.
    /// `None` when it is not, or no longer at `now`.
    #[must_use]
    pub fn until(&self, key: &str, event: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let entry = self.entries.get(key).filter(|entry| !entry.expired(event))?;
        event.checked_add(entry.delay).ok().filter(|end| now < *end)
    }

    /// The delay of `key`; none where it never backed off.
    #[must_use]
    pub fn delay(&self, key: &str) -> Option<SignedDuration> {
        self.entries.get(key).map(|entry| entry.delay)
    }

    /// Raises the delay of `key`, which is about to be tried again after `event`.
    pub fn raise(&mut self, key: &str, event: Timestamp, now: Timestamp) {
        let delay = match self.entries.get(key).filter(|entry| !entry.expired(event)) {
            Some(entry) => (entry.delay * 2).min(MAX),
            None => INITIAL,
        };
        self.entries.insert(key.to_owned(), Entry { delay, raised: now });
    }

    /// Forgets `key`.
    pub fn reset(&mut self, key: &str) {
        self.entries.remove(key);
    }
}

/// A duration as Go prints whole seconds: `10s`, `1m20s`, `5m0s`.
pub(crate) fn go_seconds(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn doubles_from_ten_seconds_to_five_minutes() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.until("a", at(0), at(0)), None, "nothing is held back at first");
        let mut now = 0;
        let mut delays = Vec::new();
        for _ in 0..8 {
            backoff.raise("a", at(now), at(now));
            let end = backoff.until("a", at(now), at(now)).unwrap().as_second();
            delays.push(end - now);
            now = end;
        }
        assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(backoff.until("b", at(now), at(now)), None, "keys are independent");
    }

    #[test]
    fn ten_minutes_of_running_start_over() {
        let mut backoff = Backoff::default();
        backoff.raise("a", at(0), at(0));
        backoff.raise("a", at(10), at(20));
        assert_eq!(backoff.delay("a"), Some(SignedDuration::from_secs(20)));
        assert_eq!(backoff.until("a", at(621), at(621)), None);
        backoff.raise("a", at(621), at(621));
        assert_eq!(backoff.delay("a"), Some(SignedDuration::from_secs(10)));
    }

    #[test]
    fn durations_read_as_in_go() {
        let texts = [10, 80, 300, 3661].map(|s| go_seconds(SignedDuration::from_secs(s)));
        assert_eq!(texts, ["10s", "1m20s", "5m0s", "1h1m1s"]);
    }
}
