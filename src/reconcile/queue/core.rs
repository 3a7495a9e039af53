//! The queue's rules, without waiting.
//!
//! A key stands in at most one of three places: *ready* (it should run), *running*, or *running
//! and dirty* (it should run again when it is done). A worked example, `a` added three times:
//!
//! ```text
//! add a      ready: a   running:     dirty:
//! add a      ready: a   running:     dirty:        the second add changes nothing
//! take -> a  ready:     running: a   dirty:
//! add a      ready:     running: a   dirty: a      nobody else gets it meanwhile
//! done a     ready: a   running:     dirty:        what happened during the run is not lost
//! ```
//!
//! Moments are durations since the queue was made.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Backoff;

/// The state of a queue.
#[derive(Debug)]
pub(super) struct Core<K> {
    ready: VecDeque<K>,
    waiting: BTreeSet<K>,
    running: BTreeSet<K>,
    dirty: BTreeSet<K>,
    /// By moment and then by order of arrival.
    delayed: BTreeMap<(Duration, u64), K>,
    delays: BTreeMap<K, (Duration, u64)>,
    arrivals: u64,
    failures: BTreeMap<K, u32>,
    backoff: Backoff,
    closed: bool,
}

impl<K: Clone + Ord> Core<K> {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            running: BTreeSet::new(),
            dirty: BTreeSet::new(),
            delayed: BTreeMap::new(),
            delays: BTreeMap::new(),
            arrivals: 0,
            failures: BTreeMap::new(),
            backoff,
            closed: false,
        }
    }

    /// The key should run, as soon as it can.
    pub(super) fn add(&mut self, key: K) {
        if self.closed {
            return;
        }
        if self.running.contains(&key) {
            self.dirty.insert(key);
        } else if self.waiting.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    /// The key should run at this moment. Of two such moments the earlier counts.
    pub(super) fn add_at(&mut self, key: K, moment: Duration) {
        if self.closed {
            return;
        }
        if let Some(old) = self.delays.get(&key) {
            if old.0 <= moment {
                return;
            }
            self.delayed.remove(old);
        }
        self.arrivals += 1;
        self.delayed.insert((moment, self.arrivals), key.clone());
        self.delays.insert(key, (moment, self.arrivals));
    }

    /// Adds what was to run by now.
    pub(super) fn advance(&mut self, now: Duration) {
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now) {
            let key = entry.remove();
            self.delays.remove(&key);
            self.add(key);
        }
    }

    /// The moment at which the next delayed key is to run.
    pub(super) fn next_moment(&self) -> Option<Duration> {
        self.delayed.first_key_value().map(|((moment, _), _)| *moment)
    }

    /// The next key; it is running from now on.
    pub(super) fn take(&mut self) -> Option<K> {
        let key = self.ready.pop_front()?;
        self.waiting.remove(&key);
        self.running.insert(key.clone());
        Some(key)
    }

    /// The key's run has ended.
    pub(super) fn done(&mut self, key: &K) {
        self.running.remove(key);
        if self.dirty.remove(key) {
            self.add(key.clone());
        }
    }

    /// One failure more; how long the key should wait.
    pub(super) fn failed(&mut self, key: &K) -> Duration {
        let failures = self.failures.entry(key.clone()).or_default();
        let delay = self.backoff.delay(*failures);
        *failures = failures.saturating_add(1);
        delay
    }

    /// The failures no longer count.
    pub(super) fn forget(&mut self, key: &K) {
        self.failures.remove(key);
    }

    pub(super) fn failures(&self, key: &K) -> u32 {
        self.failures.get(key).copied().unwrap_or_default()
    }

    /// Nothing is added any more; what is ready still runs.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.dirty.clear();
        self.delayed.clear();
        self.delays.clear();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// How many keys are ready.
    pub(super) fn len(&self) -> usize {
        self.ready.len()
    }

    /// Whether nothing is ready, running or delayed.
    pub(super) fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.running.is_empty() && self.delayed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn queue() -> Core<&'static str> {
        Core::new(Backoff::default())
    }

    #[test]
    fn a_key_added_many_times_runs_once() {
        let mut queue = queue();
        queue.add("a");
        queue.add("b");
        queue.add("a");
        assert_eq!((queue.take(), queue.take(), queue.take()), (Some("a"), Some("b"), None));
    }

    #[test]
    fn a_key_added_while_it_runs_runs_again_and_not_beside_itself() {
        let mut queue = queue();
        queue.add("a");
        assert_eq!(queue.take(), Some("a"));
        queue.add("a");
        queue.add("a");
        assert_eq!(queue.take(), None);
        queue.done(&"a");
        assert_eq!(queue.take(), Some("a"));
        queue.done(&"a");
        assert_eq!(queue.take(), None);
        assert!(queue.is_idle());
    }

    #[test]
    fn of_two_delays_the_earlier_counts() {
        let mut queue = queue();
        queue.add_at("a", 20 * MS);
        queue.add_at("a", 10 * MS);
        queue.add_at("a", 30 * MS);
        queue.add_at("b", 10 * MS);
        queue.advance(9 * MS);
        assert_eq!((queue.take(), queue.next_moment()), (None, Some(10 * MS)));
        queue.advance(10 * MS);
        assert_eq!((queue.take(), queue.take(), queue.take()), (Some("a"), Some("b"), None));
        assert_eq!(queue.next_moment(), None);
    }

    #[test]
    fn failures_back_off_each_key_alone_until_forgotten() {
        let mut queue = queue();
        let delays: Vec<_> = (0..4).map(|_| queue.failed(&"a").as_millis()).collect();
        assert_eq!(delays, [5, 10, 20, 40]);
        assert_eq!(queue.failed(&"b"), 5 * MS);
        for _ in 0..60 {
            queue.failed(&"a");
        }
        assert_eq!(queue.failed(&"a"), Duration::from_secs(1000));
        queue.forget(&"a");
        assert_eq!(queue.failed(&"a"), 5 * MS);
    }

    #[test]
    fn a_closed_queue_hands_out_what_is_ready_and_takes_nothing_more() {
        let mut queue = queue();
        queue.add("a");
        queue.add("b");
        queue.take();
        queue.add("a");
        queue.add_at("c", MS);
        queue.close();
        queue.add("d");
        queue.done(&"a");
        queue.advance(MS);
        assert_eq!((queue.take(), queue.take()), (Some("b"), None));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u8),
        AddAfter(u8, u8),
        Take,
        Done(u8),
        Tick(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = 0u8..4;
        prop_oneof![
            key.clone().prop_map(Step::Add),
            (key.clone(), 0u8..20).prop_map(|(key, after)| Step::AddAfter(key, after)),
            Just(Step::Take),
            key.prop_map(Step::Done),
            (0u8..20).prop_map(Step::Tick),
        ]
    }

    proptest! {
        /// Never two workers on one key, and every add is followed by a run that starts after it.
        #[test]
        fn nothing_runs_twice_at_once_and_nothing_is_lost(steps in prop::collection::vec(step(), 0..200)) {
            let mut queue = Core::new(Backoff::default());
            let mut now = Duration::ZERO;
            let mut running = BTreeSet::new();
            // Keys with an add that no run has started after.
            let mut owed = BTreeSet::new();
            let take = |queue: &mut Core<u8>, running: &mut BTreeSet<u8>, owed: &mut BTreeSet<u8>| {
                let Some(key) = queue.take() else { return Ok(false) };
                prop_assert!(running.insert(key), "{key} runs twice at once");
                prop_assert!(owed.remove(&key), "{key} runs for nothing");
                Ok(true)
            };
            for step in steps {
                match step {
                    Step::Add(key) => { owed.insert(key); queue.add(key); }
                    Step::AddAfter(key, after) => { queue.add_at(key, now + u32::from(after) * MS); }
                    Step::Take => { take(&mut queue, &mut running, &mut owed)?; }
                    Step::Done(key) => if running.remove(&key) { queue.done(&key) },
                    Step::Tick(by) => {
                        now += u32::from(by) * MS;
                        let due: Vec<u8> =
                            queue.delayed.iter().filter(|(at, _)| at.0 <= now).map(|(_, key)| *key).collect();
                        owed.extend(due);
                        queue.advance(now);
                    }
                }
            }
            for key in std::mem::take(&mut running) { queue.done(&key); }
            let due: Vec<u8> = queue.delayed.values().copied().collect();
            owed.extend(due);
            queue.advance(Duration::MAX);
            while take(&mut queue, &mut running, &mut owed)? {}
            prop_assert!(owed.is_empty(), "never ran: {owed:?}");
        }
    }
}
