//! The queue: pods that wait, in four places.
//!
//! ```text
//!            add                    pop
//!   (gated) -----> active <------------------ the scheduler
//!                    ^  ^                          |
//!          time is up|  | something helps, and     | rejected
//!                    |  | the back-off is over     v
//!                 back-off <------------------ unschedulable
//!                           something helps,
//!                           too early          (or 5 minutes have passed)
//! ```
//!
//! A pod that was rejected waits for a cluster event that one of the plugins that rejected it says
//! could help, and then for the end of its back-off, which starts at a second, doubles with every
//! attempt and ends at ten seconds. Pure: time is what callers say it is.

mod heap;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use heap::Heap;

use super::framework::Profile;
use super::{ClusterEvent, PodInfo, Snapshot};
use crate::api::ObjectKey;

const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_LAST: Duration = Duration::from_secs(10);
const UNSCHEDULABLE_MAX: Duration = Duration::from_secs(300);

/// A pod in the queue.
#[derive(Clone, Debug)]
pub struct QueuedPod {
    /// The pod.
    pub pod: Arc<PodInfo>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it became active, on a clock that ticks with every pod that does.
    pub arrival: u64,
}

/// Pods that wait. Times are counted from any fixed start.
#[derive(Debug)]
pub struct Queue {
    profile: Arc<Profile>,
    pods: BTreeMap<ObjectKey, Entry>,
    active: Heap,
    /// By the end of their back-off.
    backing_off: BTreeSet<(Duration, ObjectKey)>,
    /// By the time since when they wait.
    unschedulable: BTreeSet<(Duration, ObjectKey)>,
    arrivals: u64,
}

#[derive(Debug)]
struct Entry {
    pod: QueuedPod,
    place: Place,
    /// The plugins that rejected it.
    plugins: BTreeSet<&'static str>,
    /// The end of its back-off.
    backoff_until: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Active,
    BackingOff {
        until: Duration,
    },
    Unschedulable {
        since: Duration,
    },
    Gated,
    /// Popped; the scheduler has it.
    Out,
}

impl Queue {
    /// An empty queue, sorted as `profile` says.
    #[must_use]
    pub fn new(profile: Arc<Profile>) -> Self {
        Self {
            active: Heap::new(profile.clone()),
            profile,
            pods: BTreeMap::new(),
            backing_off: BTreeSet::new(),
            unschedulable: BTreeSet::new(),
            arrivals: 0,
        }
    }

    /// A pod came, or changed. A change that could matter brings a waiting pod back.
    pub fn add(&mut self, pod: Arc<PodInfo>, snapshot: &Snapshot, now: Duration) {
        let key = pod.key.clone();
        let Some(entry) = self.pods.get_mut(&key).filter(|entry| entry.pod.pod.uid == pod.uid) else {
            self.remove(&key);
            let pod = QueuedPod { pod, attempts: 0, arrival: 0 };
            let entry =
                Entry { pod, place: Place::Gated, plugins: BTreeSet::new(), backoff_until: Duration::ZERO };
            self.pods.insert(key.clone(), entry);
            self.activate(&key);
            return;
        };
        let differs = entry.pod.pod.differs(&pod);
        let old = std::mem::replace(&mut entry.pod.pod, pod.clone());
        match entry.place {
            // It may sort elsewhere now.
            Place::Active | Place::Gated if differs => self.activate(&key),
            Place::Unschedulable { .. } if differs => {
                self.wake(&key, &ClusterEvent::Changed { old: &old, new: &pod }, snapshot, now);
            }
            _ => {}
        }
    }

    /// A pod is gone, or needs no node any more.
    pub fn remove(&mut self, key: &ObjectKey) {
        self.leave(key);
        self.pods.remove(key);
    }

    /// The pod whose turn it is. It stays known until it is [removed](Self::remove) or
    /// [put back](Self::reject).
    pub fn pop(&mut self, now: Duration) -> Option<QueuedPod> {
        self.flush(now);
        let key = self.active.pop()?.pod.key.clone();
        let entry = self.pods.get_mut(&key)?;
        entry.place = Place::Out;
        entry.pod.attempts += 1;
        Some(entry.pod.clone())
    }

    /// A popped pod fits nowhere: it waits for what could help `plugins`.
    pub fn reject(&mut self, key: &ObjectKey, plugins: BTreeSet<&'static str>, now: Duration) {
        let Some(entry) = self.pods.get_mut(key).filter(|entry| entry.place == Place::Out) else { return };
        entry.backoff_until = now + backoff(entry.pod.attempts);
        entry.plugins = plugins;
        entry.place = Place::Unschedulable { since: now };
        self.unschedulable.insert((now, key.clone()));
    }

    /// A popped pod met an error that has nothing to do with where it fits: it is tried again after
    /// its back-off.
    pub fn retry(&mut self, key: &ObjectKey, now: Duration) {
        let Some(entry) = self.pods.get_mut(key).filter(|entry| entry.place == Place::Out) else { return };
        entry.backoff_until = now + backoff(entry.pod.attempts);
        entry.plugins.clear();
        self.back_off(key);
    }

    /// Something happened: pods that it could help come back.
    pub fn happened(&mut self, event: &ClusterEvent<'_>, snapshot: &Snapshot, now: Duration) {
        let waiting: Vec<_> = self.unschedulable.iter().map(|(_, key)| key.clone()).collect();
        for key in waiting {
            self.wake(&key, event, snapshot, now);
        }
    }

    /// When something is due although nothing happens.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        let backoff = self.backing_off.first().map(|(until, _)| *until);
        let waiting = self.unschedulable.first().map(|(since, _)| *since + UNSCHEDULABLE_MAX);
        [backoff, waiting].into_iter().flatten().min()
    }

    /// Whether the pod is known, wherever it is.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<&QueuedPod> {
        self.pods.get(key).map(|entry| &entry.pod)
    }

    /// How many pods are active, back off, and are unschedulable.
    #[must_use]
    pub fn lengths(&self) -> [usize; 3] {
        [self.active.len(), self.backing_off.len(), self.unschedulable.len()]
    }

    fn flush(&mut self, now: Duration) {
        while let Some((_, key)) = self.backing_off.first().filter(|(until, _)| *until <= now).cloned() {
            self.activate(&key);
        }
        // An event may have been missed, or a plugin may be wrong about what helps.
        while let Some((_, key)) =
            self.unschedulable.first().filter(|(since, _)| *since + UNSCHEDULABLE_MAX <= now).cloned()
        {
            self.activate(&key);
        }
    }

    fn wake(&mut self, key: &ObjectKey, event: &ClusterEvent<'_>, snapshot: &Snapshot, now: Duration) {
        let Some(entry) = self.pods.get(key) else { return };
        let helps = |name: &&'static str| {
            self.profile.get(name).is_none_or(|plugin| plugin.helps(event, &entry.pod.pod, snapshot))
        };
        // Rejected by no plugin at all: there was no node.
        if !(entry.plugins.is_empty() || entry.plugins.iter().any(helps)) {
            return;
        }
        if entry.backoff_until > now { self.back_off(key) } else { self.activate(key) }
    }

    fn back_off(&mut self, key: &ObjectKey) {
        self.leave(key);
        if let Some(entry) = self.pods.get_mut(key) {
            let until = entry.backoff_until;
            entry.place = Place::BackingOff { until };
            self.backing_off.insert((until, key.clone()));
        }
    }

    /// Makes a pod active, if its gates let it.
    fn activate(&mut self, key: &ObjectKey) {
        self.leave(key);
        let Some(entry) = self.pods.get_mut(key) else { return };
        let free = self.profile.pre_enqueues().all(|(_, plugin)| plugin.pre_enqueue(&entry.pod.pod).fits());
        if !free {
            entry.place = Place::Gated;
            return;
        }
        self.arrivals += 1;
        entry.pod.arrival = self.arrivals;
        entry.place = Place::Active;
        self.active.push(entry.pod.clone());
    }

    /// Takes a pod from where it waits.
    fn leave(&mut self, key: &ObjectKey) {
        let Some(entry) = self.pods.get(key) else { return };
        match entry.place {
            Place::Active => self.active.remove(key),
            Place::BackingOff { until } => {
                self.backing_off.remove(&(until, key.clone()));
            }
            Place::Unschedulable { since } => {
                self.unschedulable.remove(&(since, key.clone()));
            }
            Place::Gated | Place::Out => {}
        }
    }
}

/// How long a pod waits after so many attempts.
fn backoff(attempts: u32) -> Duration {
    let doubled = 2u32.saturating_pow(attempts.saturating_sub(1));
    BACKOFF_FIRST.saturating_mul(doubled).min(BACKOFF_LAST)
}
