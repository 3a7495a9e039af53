//! The queue: pods that wait, in five places, and pods that are under way.
//!
//! ```text
//!            add                      pop
//!       ------------> active <------------------- the scheduler: under way
//!       |               ^  ^                           |
//!    ungated   time is  |  | something helps, and      | rejected        failed
//!       |      up, or   |  | the back-off is over      |                    |
//!     gated    nothing  |  |                           v                    v
//!              active   |  +------------------- unschedulable        erring: backs off,
//!                    back-off <---------------- something helps,     then is active
//!                                               too early
//! ```
//!
//! A pod that was rejected waits for an event that one of the plugins that rejected it says could help, and then for
//! the end of its back-off, which starts at a second, doubles with every attempt and ends at ten. What happened while
//! it was under way counts, too. A pod that met an error backs off by how many it met in a row. When no pod is
//! active, one that was rejected need not back off to the end. A gated pod is looked at again only when something
//! happens that the plugin that holds it cares about.
//!
//! Each pod is in exactly one place. Pure: time is what callers say it is, and must not go back.
//!
//! Source: `pkg/scheduler/backend/queue` (1.36). kube-scheduler looks for pods that waited for five minutes twice a
//! minute; here they come back at once.

mod flights;
mod heap;
mod key;
#[cfg(test)]
mod model;
mod options;
mod rejection;
#[cfg(test)]
mod tests;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use flights::{Flight, Flights};
use heap::{Heap, Slot, Turn};
use key::ByKey;
pub use options::QueueOptions;
pub use rejection::Rejection;
use waiting::{Seat, Waiting};

use super::event_kinds::claims_differ;
use super::framework::Profile;
use super::{EventKinds, Happening, PodInfo, Snapshot};
use crate::api::ObjectKey;
use crate::env::HashMap;

/// A pod in the queue.
#[derive(Clone, Debug)]
pub struct QueuedPod {
    /// The pod.
    pub pod: Arc<PodInfo>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it came or was last tried, on a clock that ticks with every pod that comes or comes back.
    pub arrival: u64,
    /// When that was.
    pub since: Duration,
    /// When it was active for the first time.
    pub first_active: Option<Duration>,
}

/// Pods that wait. Times are counted from any fixed start.
#[derive(Debug)]
pub struct Queue {
    profile: Arc<Profile>,
    options: QueueOptions,
    /// What sorts pods; nothing where the profile must be asked.
    rank: Option<fn(&PodInfo) -> i64>,
    /// By plugin: what it wakes on.
    wakes_on: Vec<EventKinds>,
    /// What some plugin that can reject pods wakes on.
    interest: EventKinds,
    /// The plugins that hold pods from the queue.
    gates: Vec<usize>,
    slots: HashMap<ByKey, Slot>,
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
    /// By slot: its place in the heap that it is in.
    places: Vec<u32>,
    active: Heap,
    /// Those that were rejected, by the second in which their back-off ends.
    backing_off: Heap,
    /// Those that met an error, by the end of their back-off.
    erring: Heap,
    /// Those that wait for an event, by the time since when.
    unschedulable: Heap,
    /// The same and the gated ones, by what they wait for.
    waiting: Waiting,
    flights: Flights,
    arrivals: u64,
}

#[derive(Debug)]
struct Entry {
    queued: QueuedPod,
    place: Place,
    /// The plugins that rejected it.
    rejectors: Rejectors,
    /// The plugin that holds it from the queue.
    gate: Option<usize>,
    /// How often it was rejected, and how often in a row it met an error since.
    rejections: u32,
    errors: u32,
    /// The end of its back-off.
    backoff_end: Option<Duration>,
    /// Whether somebody wanted it active while it was under way.
    activated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Active,
    BackingOff,
    Erring,
    Waiting(Seat),
    UnderWay(Flight),
}

/// Plugins, by their places in the profile.
#[derive(Clone, Debug, Default)]
struct Rejectors {
    plugins: Vec<usize>,
    pending: Vec<usize>,
    /// Whether some are not of the profile: nobody knows what helps them.
    strangers: bool,
}

impl Rejectors {
    fn is_empty(&self) -> bool {
        self.plugins.is_empty() && self.pending.is_empty() && !self.strangers
    }
}

/// What comes of an event for a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    No,
    AfterBackoff,
    AtOnce,
}

impl Queue {
    /// An empty queue, sorted as `profile` says.
    #[must_use]
    pub fn new(profile: Arc<Profile>) -> Self {
        Self::with(profile, QueueOptions::default())
    }

    /// An empty queue with other times.
    #[must_use]
    pub fn with(profile: Arc<Profile>, options: QueueOptions) -> Self {
        Self {
            rank: profile.rank(),
            wakes_on: (0..profile.len()).map(|place| profile.at(place).0.wakes_on()).collect(),
            interest: profile.interest(),
            gates: profile.placed(|plugin| plugin.as_pre_enqueue()).map(|(place, ..)| place).collect(),
            profile,
            options,
            slots: HashMap::default(),
            entries: Vec::new(),
            free: Vec::new(),
            places: Vec::new(),
            active: Heap::default(),
            backing_off: Heap::default(),
            erring: Heap::default(),
            unschedulable: Heap::default(),
            waiting: Waiting::default(),
            flights: Flights::default(),
            arrivals: 0,
        }
    }

    /// A pod came, or changed. A change that could matter brings a waiting pod back.
    pub fn add(&mut self, pod: Arc<PodInfo>, snapshot: &Snapshot, now: Duration) {
        match self.slots.get(&pod.key).copied() {
            Some(slot) if self.entry(slot).queued.pod.uid == pod.uid => {
                self.update(slot, pod, snapshot, now);
                return;
            }
            Some(slot) => self.forget(slot),
            None => {}
        }
        self.arrivals += 1;
        let queued = QueuedPod {
            pod: pod.clone(),
            attempts: 0,
            arrival: self.arrivals,
            since: now,
            first_active: None,
        };
        let entry = Entry {
            queued,
            place: Place::Active,
            rejectors: Rejectors::default(),
            gate: None,
            rejections: 0,
            errors: 0,
            backoff_end: None,
            activated: false,
        };
        let slot = if let Some(slot) = self.free.pop() {
            self.entries[slot as usize] = Some(entry);
            slot
        } else {
            self.entries.push(Some(entry));
            Slot::try_from(self.entries.len() - 1).expect("fewer than four billion pods")
        };
        self.slots.insert(ByKey(pod), slot);
        self.activate_or_gate(slot, now);
    }

    /// A pod is gone, or needs no node any more.
    pub fn remove(&mut self, key: &ObjectKey) {
        if let Some(slot) = self.slots.get(key).copied() {
            self.forget(slot);
        }
    }

    /// The pod whose turn it is. It is under way until it is [removed](Self::remove), [rejected](Self::reject) or to
    /// be [tried again](Self::retry).
    pub fn pop(&mut self, now: Duration) -> Option<QueuedPod> {
        self.flush(now);
        let slot = self.first()?;
        let flight = self.flights.depart();
        let entry = self.entry_mut(slot);
        entry.place = Place::UnderWay(flight);
        entry.activated = false;
        entry.queued.attempts = entry.queued.attempts.saturating_add(1);
        entry.queued.first_active.get_or_insert(now);
        Some(entry.queued.clone())
    }

    /// A popped pod fits nowhere: it waits for what could help one of the plugins that rejected it, or comes back
    /// after its back-off where that has happened already, or where no plugin did.
    pub fn reject(
        &mut self,
        key: &ObjectKey,
        rejection: impl Into<Rejection>,
        snapshot: &Snapshot,
        now: Duration,
    ) {
        let Some((slot, flight)) = self.under_way(key) else { return };
        self.failed(slot, self.rejectors(&rejection.into()), now);
        let wake = self.weigh(slot, flight, snapshot);
        self.flights.land(flight);
        match wake {
            Wake::No => self.wait(slot),
            wake => self.bring_back(slot, wake, now),
        }
    }

    /// A popped pod met an error that has nothing to do with where it fits: it is tried again after
    /// its back-off.
    pub fn retry(&mut self, key: &ObjectKey, now: Duration) {
        let Some((slot, flight)) = self.under_way(key) else { return };
        self.failed(slot, Rejectors::default(), now);
        self.flights.land(flight);
        self.bring_back(slot, Wake::AfterBackoff, now);
    }

    /// Something happened: pods that it could help come back.
    pub fn happened(&mut self, event: Happening, snapshot: &Snapshot, now: Duration) {
        let mut slots = Vec::new();
        self.waiting.meeting(event.kinds(), &mut slots);
        for slot in slots {
            match self.worth(slot, &event, snapshot) {
                Wake::No => {}
                wake => {
                    self.leave(slot);
                    self.bring_back(slot, wake, now);
                }
            }
        }
        if event.kinds().meets(self.interest) {
            self.flights.record(event);
        }
    }

    /// A pod that waits or backs off is active now, whatever it waits for; one that is under way comes back after its
    /// back-off should it be rejected. Gates hold it all the same.
    pub fn activate(&mut self, key: &ObjectKey, now: Duration) {
        let Some(slot) = self.slots.get(key).copied() else { return };
        match self.entry(slot).place {
            Place::Active => {}
            Place::UnderWay(_) => self.entry_mut(slot).activated = true,
            Place::Waiting(_) => {
                self.leave(slot);
                self.activate_or_gate(slot, now);
            }
            Place::BackingOff | Place::Erring => {
                self.leave(slot);
                self.end_backoff(slot, now);
            }
        }
    }

    /// When something is due although nothing happens and nothing is active.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        let back = |heap: &Heap| heap.first().map(|turn| self.options.back(turn.due));
        // One that has its turn when nothing is active is due at once: who asks has popped before.
        let backoff = back(&self.backing_off).filter(|_| !self.options.pop_from_backoff);
        let waiting = self.unschedulable.first().map(|turn| turn.due.saturating_add(self.options.max_wait));
        [backoff, back(&self.erring), waiting].into_iter().flatten().min()
    }

    /// Whether the pod is known, wherever it is.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<&QueuedPod> {
        self.slots.get(key).map(|slot| &self.entry(*slot).queued)
    }

    /// How many pods are active, back off (be it for an error), and wait for events. Those that are gated or under
    /// way are none of these.
    #[must_use]
    pub fn lengths(&self) -> [usize; 3] {
        [self.active.len(), self.backing_off.len() + self.erring.len(), self.unschedulable.len()]
    }

    /// How many events are kept for pods that are under way.
    #[must_use]
    pub fn kept_events(&self) -> usize {
        self.flights.events()
    }

    /// Takes out the pod whose turn it is.
    fn first(&mut self) -> Option<Slot> {
        let before = before(self.rank.is_some(), &self.profile, &self.entries);
        let active = self.active.pop(&mut self.places, &before);
        match active {
            None if self.options.pop_from_backoff => self.backing_off.pop(&mut self.places, &before),
            active => active,
        }
    }

    fn update(&mut self, slot: Slot, pod: Arc<PodInfo>, snapshot: &Snapshot, now: Duration) {
        // The key goes by the newest state, so that nothing holds on to older ones.
        self.slots.remove(&pod.key);
        self.slots.insert(ByKey(pod.clone()), slot);
        let place = self.entry(slot).place;
        let in_heap = matches!(place, Place::Active | Place::BackingOff | Place::Erring);
        if in_heap {
            // It may sort elsewhere now; and it is taken out while it sorts as it did.
            self.leave(slot);
        }
        let old = std::mem::replace(&mut self.entry_mut(slot).queued.pod, pod.clone());
        // What only its status says helps no pod but by the claims that were made for it.
        let differs = old.differs(&pod) || claims_differ(&old, &pod);
        match place {
            Place::Active => self.push_active(slot),
            Place::BackingOff | Place::Erring => self.push_backing_off(slot),
            _ if !differs => {}
            Place::UnderWay(_) => self.flights.record(Happening::changed(old, pod)),
            Place::Waiting(_) => match self.worth(slot, &Happening::changed(old, pod), snapshot) {
                Wake::No => {}
                wake => {
                    self.leave(slot);
                    self.bring_back(slot, wake, now);
                }
            },
        }
    }

    fn flush(&mut self, now: Duration) {
        for erring in [false, true] {
            loop {
                let heap = if erring { &self.erring } else { &self.backing_off };
                let Some(turn) = heap.first().filter(|turn| self.options.back(turn.due) <= now) else {
                    break;
                };
                let slot = turn.slot;
                self.leave(slot);
                self.end_backoff(slot, now);
            }
        }
        // An event may have been missed, or a plugin may be wrong about what helps.
        while let Some(turn) = self.unschedulable.first()
            && turn.due.saturating_add(self.options.max_wait) <= now
        {
            let slot = turn.slot;
            self.leave(slot);
            self.bring_back(slot, Wake::AfterBackoff, now);
        }
    }

    /// Notes how an attempt ended.
    fn failed(&mut self, slot: Slot, rejectors: Rejectors, now: Duration) {
        self.arrivals += 1;
        let (arrival, options) = (self.arrivals, self.options);
        let entry = self.entry_mut(slot);
        if rejectors.is_empty() {
            entry.errors = entry.errors.saturating_add(1);
        } else {
            entry.rejections = entry.rejections.saturating_add(1);
            entry.errors = 0;
        }
        let failures = if entry.errors > 0 { entry.errors } else { entry.rejections };
        entry.rejectors = rejectors;
        (entry.queued.arrival, entry.queued.since) = (arrival, now);
        entry.backoff_end = options.backoff_end(failures, now);
    }

    /// What comes of all that happened while a pod was under way.
    fn weigh(&self, slot: Slot, flight: Flight, snapshot: &Snapshot) -> Wake {
        let entry = self.entry(slot);
        if entry.rejectors.is_empty() {
            return Wake::AfterBackoff;
        }
        let most = if entry.rejectors.pending.is_empty() { Wake::AfterBackoff } else { Wake::AtOnce };
        let mut wake = if entry.activated { Wake::AfterBackoff } else { Wake::No };
        for event in self.flights.since(flight) {
            if wake == most {
                break;
            }
            if event.concerns(&entry.queued.pod) {
                wake = wake.max(self.worth(slot, event, snapshot));
            }
        }
        wake
    }

    /// What comes of an event, by the plugins that rejected a pod.
    fn worth(&self, slot: Slot, event: &Happening, snapshot: &Snapshot) -> Wake {
        let entry = self.entry(slot);
        let helps = |place: &usize| {
            self.wakes_on[*place].meets(event.kinds())
                && self.profile.at(*place).0.helps(&event.event(), &entry.queued.pod, snapshot)
        };
        if entry.rejectors.pending.iter().any(helps) {
            Wake::AtOnce
        } else if entry.rejectors.strangers || entry.rejectors.plugins.iter().any(helps) {
            Wake::AfterBackoff
        } else {
            Wake::No
        }
    }

    /// Puts a pod that is nowhere where it belongs after something helped.
    fn bring_back(&mut self, slot: Slot, wake: Wake, now: Duration) {
        let backs_off = self.entry(slot).backoff_end.is_some_and(|end| now < self.options.back(end));
        if wake == Wake::AtOnce || !backs_off {
            self.activate_or_gate(slot, now);
        } else if self.options.pop_from_backoff && self.is_gated(slot) {
            // It may be popped at any time, so it is asked for its gates now.
            self.wait(slot);
        } else {
            self.push_backing_off(slot);
        }
    }

    fn end_backoff(&mut self, slot: Slot, now: Duration) {
        if self.options.pop_from_backoff {
            self.entry_mut(slot).queued.first_active.get_or_insert(now);
            self.push_active(slot);
        } else {
            self.activate_or_gate(slot, now);
        }
    }

    /// Makes a pod active that is nowhere, if its gates let it.
    fn activate_or_gate(&mut self, slot: Slot, now: Duration) {
        if self.is_gated(slot) {
            self.wait(slot);
            return;
        }
        self.entry_mut(slot).queued.first_active.get_or_insert(now);
        self.push_active(slot);
    }

    /// Asks the plugins that hold pods back, the one that did the last time first.
    fn is_gated(&mut self, slot: Slot) -> bool {
        let entry = self.entry(slot);
        let last = entry.gate;
        let holds = |place: &usize| {
            let plugin = self.profile.at(*place).0.as_pre_enqueue();
            plugin.is_some_and(|plugin| !plugin.pre_enqueue(&entry.queued.pod).fits())
        };
        let others = self.gates.iter().copied().filter(|gate| Some(*gate) != last);
        let gate = last.into_iter().chain(others).find(holds);
        let entry = self.entry_mut(slot);
        entry.gate = gate;
        if let Some(gate) = gate
            && !entry.rejectors.plugins.contains(&gate)
            && !entry.rejectors.pending.contains(&gate)
        {
            entry.rejectors.plugins.push(gate);
        }
        gate.is_some()
    }

    /// A pod that is nowhere waits for what its gate, or else one of the plugins that rejected it, wakes on.
    fn wait(&mut self, slot: Slot) {
        let entry = self.entry(slot);
        let (gate, rejectors) = (entry.gate, &entry.rejectors);
        let kinds = match gate {
            Some(gate) => self.wakes_on[gate],
            None if rejectors.strangers => EventKinds::ALL,
            None => rejectors
                .plugins
                .iter()
                .chain(&rejectors.pending)
                .map(|place| self.wakes_on[*place])
                .collect(),
        };
        if gate.is_none() {
            let turn = Turn { due: entry.queued.since, rank: 0, arrival: entry.queued.arrival, slot };
            self.unschedulable.push(turn, &mut self.places, by_time);
        }
        let seat = self.waiting.insert(kinds, slot);
        self.entry_mut(slot).place = Place::Waiting(seat);
    }

    fn push_active(&mut self, slot: Slot) {
        let turn = self.turn(slot, Duration::ZERO);
        self.entry_mut(slot).place = Place::Active;
        let before = before(self.rank.is_some(), &self.profile, &self.entries);
        self.active.push(turn, &mut self.places, before);
    }

    fn push_backing_off(&mut self, slot: Slot) {
        let entry = self.entry(slot);
        let turn = self.turn(slot, entry.backoff_end.unwrap_or_default());
        if entry.rejectors.is_empty() {
            self.entry_mut(slot).place = Place::Erring;
            self.erring.push(Turn { rank: 0, ..turn }, &mut self.places, by_time);
        } else {
            self.entry_mut(slot).place = Place::BackingOff;
            let before = before(self.rank.is_some(), &self.profile, &self.entries);
            self.backing_off.push(turn, &mut self.places, before);
        }
    }

    fn turn(&self, slot: Slot, due: Duration) -> Turn {
        let queued = &self.entry(slot).queued;
        Turn { due, rank: self.rank.map_or(0, |rank| rank(&queued.pod)), arrival: queued.arrival, slot }
    }

    /// Takes a pod from where it waits: it is nowhere then.
    fn leave(&mut self, slot: Slot) {
        let entry = self.entry(slot);
        let (place, gated) = (entry.place, entry.gate.is_some());
        match place {
            Place::Active | Place::BackingOff => {
                let heap = if place == Place::Active { &mut self.active } else { &mut self.backing_off };
                let before = before(self.rank.is_some(), &self.profile, &self.entries);
                heap.remove(slot, &mut self.places, before);
            }
            Place::Erring => self.erring.remove(slot, &mut self.places, by_time),
            Place::Waiting(seat) => {
                if !gated {
                    self.unschedulable.remove(slot, &mut self.places, by_time);
                }
                if let Some(moved) = self.waiting.remove(seat) {
                    self.entry_mut(moved).place = Place::Waiting(seat);
                }
            }
            Place::UnderWay(flight) => self.flights.land(flight),
        }
    }

    fn forget(&mut self, slot: Slot) {
        self.leave(slot);
        if let Some(entry) = self.entries[slot as usize].take() {
            self.slots.remove(&entry.queued.pod.key);
        }
        self.free.push(slot);
    }

    fn under_way(&self, key: &ObjectKey) -> Option<(Slot, Flight)> {
        let slot = *self.slots.get(key)?;
        match self.entry(slot).place {
            Place::UnderWay(flight) => Some((slot, flight)),
            _ => None,
        }
    }

    fn rejectors(&self, rejection: &Rejection) -> Rejectors {
        let mut rejectors = Rejectors::default();
        for (names, pending) in [(&rejection.plugins, false), (&rejection.pending, true)] {
            for name in names {
                match self.profile.names().position(|own| own == *name) {
                    Some(place) if pending => rejectors.pending.push(place),
                    Some(place) => rejectors.plugins.push(place),
                    None => rejectors.strangers = true,
                }
            }
        }
        rejectors
    }

    fn entry(&self, slot: Slot) -> &Entry {
        self.entries[slot as usize].as_ref().expect("a slot that is known is taken")
    }

    fn entry_mut(&mut self, slot: Slot) -> &mut Entry {
        self.entries[slot as usize].as_mut().expect("a slot that is known is taken")
    }
}

fn by_time(a: &Turn, b: &Turn) -> bool {
    a < b
}

/// Which of two turns is before the other: by rank where that is all, else as the profile says.
fn before<'a>(
    ranked: bool,
    profile: &'a Profile,
    entries: &'a [Option<Entry>],
) -> impl Fn(&Turn, &Turn) -> bool + use<'a> {
    let queued = |slot: Slot| &entries[slot as usize].as_ref().expect("who has a turn is known").queued;
    move |a, b| {
        if ranked || a.due != b.due {
            return a < b;
        }
        profile.compare(queued(a.slot), queued(b.slot)).is_lt()
    }
}
