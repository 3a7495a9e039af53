//! The queue against a naive one: all pods in one list, all events kept by each pod that is under way, and every rule
//! followed to the letter by looking at everything.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sched::snapshot::ResourceNames;
use crate::sched::testing::{node, pod};
use crate::sched::{ClusterEvent, Filter, Plugin, PreEnqueue, QueueSort, Verdict, plugins};

/// Rejects nothing here, but wakes on two kinds, for every third pod and event.
struct Picky(usize);

const PICKY: [&str; 4] = ["Picky0", "Picky1", "Picky2", "Picky3"];
const KINDS: [EventKinds; 4] = [
    EventKinds::NODE_ADDED.or(EventKinds::POD_REMOVED),
    EventKinds::NODE_LABELS.or(EventKinds::POD_LABELS),
    EventKinds::POD_REMOVED.or(EventKinds::NODE_TAINTS),
    EventKinds::NODE_TAINTS.or(EventKinds::POD_TOLERATIONS),
];

fn number(name: &str) -> usize {
    name.trim_start_matches(char::is_alphabetic).parse().unwrap_or(0)
}

fn picks(number_of_plugin: usize, event: &ClusterEvent<'_>, pod: &PodInfo) -> bool {
    let about = match event {
        ClusterEvent::NodeAdded(node) | ClusterEvent::NodeUpdated { new: node, .. } => {
            number(node.metadata.name.as_deref().unwrap())
        }
        ClusterEvent::PodRemoved(pod) => number(&pod.key.name),
        _ => 0,
    };
    (about + number(&pod.key.name) + number_of_plugin).is_multiple_of(3)
}

impl Plugin for Picky {
    fn name(&self) -> &'static str {
        PICKY[self.0]
    }
    fn wakes_on(&self) -> EventKinds {
        KINDS[self.0]
    }
    fn helps(&self, event: &ClusterEvent<'_>, pod: &PodInfo, _: &Snapshot) -> bool {
        picks(self.0, event, pod)
    }
    fn as_filter(&self) -> Option<&dyn Filter> {
        Some(self)
    }
}

impl Filter for Picky {
    fn filter(&self, _: &crate::sched::Cycle<'_>, _: crate::sched::NodeIndex) -> Verdict {
        Verdict::Fits
    }
}

/// Holds pods of the app `held`.
struct Hold;

impl Plugin for Hold {
    fn name(&self) -> &'static str {
        "Hold"
    }
    fn wakes_on(&self) -> EventKinds {
        EventKinds::POD_LABELS | EventKinds::NODE_ADDED
    }
    fn helps(&self, event: &ClusterEvent<'_>, _: &PodInfo, _: &Snapshot) -> bool {
        matches!(event, ClusterEvent::Changed { .. })
    }
    fn as_pre_enqueue(&self) -> Option<&dyn PreEnqueue> {
        Some(self)
    }
}

fn is_held(pod: &PodInfo) -> bool {
    pod.kind.labels.get("app").is_some_and(|app| app == "held")
}

impl PreEnqueue for Hold {
    fn pre_enqueue(&self, pod: &PodInfo) -> Verdict {
        Verdict::fits_or(!is_held(pod), || Verdict::unresolvable("held"))
    }
}

/// Sorts by priority, the least first, and shows no rank: the queue must ask.
struct Backwards;

impl Plugin for Backwards {
    fn name(&self) -> &'static str {
        "Backwards"
    }
    fn as_queue_sort(&self) -> Option<&dyn QueueSort> {
        Some(self)
    }
}

impl QueueSort for Backwards {
    fn compare(&self, a: &QueuedPod, b: &QueuedPod) -> std::cmp::Ordering {
        a.pod.priority.cmp(&b.pod.priority)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add { name: u8, uid: u8, priority: u8, looks: u8 },
    Remove(u8),
    Pop,
    Reject { which: u8, plugins: u8, pending: u8 },
    Retry(u8),
    Bound(u8),
    Event(u8, u8),
    Activate(u8),
    Pass(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..9, 0u8..8, 0u8..3, 0u8..8).prop_map(|(name, uid, priority, looks)| Step::Add { name, uid, priority, looks }),
        1 => (0u8..9).prop_map(Step::Remove),
        6 => Just(Step::Pop),
        5 => (any::<u8>(), 0u8..32, 0u8..32).prop_map(|(which, plugins, pending)| Step::Reject { which, plugins, pending }),
        1 => any::<u8>().prop_map(Step::Retry),
        1 => any::<u8>().prop_map(Step::Bound),
        5 => (0u8..4, 0u8..6).prop_map(|(kind, name)| Step::Event(kind, name)),
        1 => (0u8..9).prop_map(Step::Activate),
        3 => prop_oneof![1u32..1500, Just(1000), 60_000u32..200_000].prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..150)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Active,
    BackingOff,
    Erring,
    Unschedulable,
    Gated,
    UnderWay,
}

struct Known {
    pod: Arc<PodInfo>,
    place: Where,
    attempts: u32,
    arrival: u64,
    since: u64,
    rejectors: BTreeSet<&'static str>,
    pending: BTreeSet<&'static str>,
    gate: Option<&'static str>,
    rejections: u32,
    errors: u32,
    activated: bool,
    events: Vec<Happening>,
}

/// Times in milliseconds.
struct Model {
    pods: Vec<Known>,
    windows: bool,
    backwards: bool,
    ticks: u64,
}

fn wakes_on(plugin: &str) -> EventKinds {
    match PICKY.iter().position(|name| *name == plugin) {
        Some(picky) => KINDS[picky],
        None if plugin == "Hold" => EventKinds::POD_LABELS | EventKinds::NODE_ADDED,
        None if plugin == "SchedulingGates" => EventKinds::POD_UNGATED,
        None => EventKinds::ALL,
    }
}

fn helps(plugin: &str, event: &Happening, pod: &PodInfo) -> bool {
    wakes_on(plugin).meets(event.kinds())
        && match PICKY.iter().position(|name| *name == plugin) {
            Some(picky) => picks(picky, &event.event(), pod),
            None if plugin == "Hold" || plugin == "SchedulingGates" => {
                matches!(event.event(), ClusterEvent::Changed { .. })
            }
            None => true,
        }
}

impl Known {
    /// The end of the back-off, in kube-scheduler's words: the zero time where there is none.
    fn end(&self, windows: bool) -> Option<u64> {
        let count = if self.errors > 0 { self.errors } else { self.rejections };
        if count == 0 {
            return None;
        }
        let mut wait = 1000;
        for _ in 1..count {
            wait = (wait * 2).min(10_000);
        }
        let end = self.since + wait;
        Some(if windows { end / 1000 * 1000 } else { end })
    }

    fn backs_off(&self, windows: bool, now: u64) -> bool {
        self.end(windows).is_some_and(|end| if windows { end >= now / 1000 * 1000 } else { end > now })
    }

    /// 2: at once, 1: after the back-off, 0: not at all.
    fn worth(&self, event: &Happening) -> u8 {
        let own = |plugins: &BTreeSet<&'static str>| plugins.iter().any(|name| helps(name, event, &self.pod));
        if own(&self.pending) { 2 } else { u8::from(own(&self.rejectors)) }
    }

    fn ask_gates(&mut self) -> bool {
        let closed = |gate: &str| match gate {
            "Hold" => is_held(&self.pod),
            _ => !self.pod.spec().unwrap().scheduling_gates.clone().unwrap_or_default().is_empty(),
        };
        let order = self.gate.into_iter().chain(["SchedulingGates", "Hold"]);
        self.gate = order.into_iter().find(|gate| closed(gate));
        if let Some(gate) = self.gate
            && !self.pending.contains(gate)
        {
            self.rejectors.insert(gate);
        }
        self.gate.is_some()
    }

    fn activate_or_gate(&mut self) {
        self.place = if self.ask_gates() { Where::Gated } else { Where::Active };
    }

    fn come_back(&mut self, worth: u8, windows: bool, now: u64) {
        if worth == 2 || !self.backs_off(windows, now) {
            self.activate_or_gate();
        } else if windows && self.ask_gates() {
            self.place = Where::Gated;
        } else {
            let none = self.rejectors.is_empty() && self.pending.is_empty();
            self.place = if none { Where::Erring } else { Where::BackingOff };
        }
    }
}

impl Model {
    fn add(&mut self, pod: Arc<PodInfo>, now: u64) {
        self.pods.retain(|own| own.pod.key != pod.key || own.pod.uid == pod.uid);
        let windows = self.windows;
        if let Some(own) = self.pods.iter_mut().find(|own| own.pod.key == pod.key) {
            let old = std::mem::replace(&mut own.pod, pod.clone());
            if !old.differs(&pod) {
                return;
            }
            let event = Happening::changed(old, pod);
            match own.place {
                Where::UnderWay => own.events.push(event),
                Where::Unschedulable | Where::Gated => {
                    let worth = own.worth(&event);
                    if worth > 0 {
                        own.come_back(worth, windows, now);
                    }
                }
                _ => {}
            }
            return;
        }
        self.ticks += 1;
        let mut own = Known {
            pod,
            place: Where::Active,
            attempts: 0,
            arrival: self.ticks,
            since: now,
            rejectors: BTreeSet::new(),
            pending: BTreeSet::new(),
            gate: None,
            rejections: 0,
            errors: 0,
            activated: false,
            events: Vec::new(),
        };
        own.activate_or_gate();
        self.pods.push(own);
    }

    fn sort_key(&self, own: &Known) -> (i64, u64) {
        let priority = i64::from(own.pod.priority);
        (if self.backwards { priority } else { -priority }, own.arrival)
    }

    fn pop(&mut self, now: u64) -> Option<(String, u32, u64)> {
        let windows = self.windows;
        for own in &mut self.pods {
            match own.place {
                Where::BackingOff | Where::Erring if !own.backs_off(windows, now) => {
                    if windows {
                        own.place = Where::Active;
                    } else {
                        own.activate_or_gate();
                    }
                }
                Where::Unschedulable if own.since + 300_000 <= now => own.come_back(1, windows, now),
                _ => {}
            }
        }
        let of = |place| {
            let pods = self.pods.iter().enumerate();
            pods.filter(move |(_, own)| own.place == place)
        };
        let active = of(Where::Active).min_by_key(|(_, own)| self.sort_key(own));
        let early = of(Where::BackingOff).min_by_key(|(_, own)| (own.end(true), self.sort_key(own)));
        let (at, _) = active.or(early.filter(|_| windows))?;
        let own = &mut self.pods[at];
        own.place = Where::UnderWay;
        own.attempts += 1;
        own.activated = false;
        own.events.clear();
        Some((own.pod.key.name.clone(), own.attempts, own.arrival))
    }

    fn reject(&mut self, at: usize, rejection: &Rejection, now: u64) {
        self.ticks += 1;
        let (windows, ticks) = (self.windows, self.ticks);
        let own = &mut self.pods[at];
        (own.since, own.arrival) = (now, ticks);
        (own.rejectors, own.pending) = (rejection.plugins.clone(), rejection.pending.clone());
        let none = own.rejectors.is_empty() && own.pending.is_empty();
        if none {
            own.errors += 1;
        } else {
            own.rejections += 1;
            own.errors = 0;
        }
        let mut worth = u8::from(none || own.activated);
        for event in std::mem::take(&mut own.events) {
            let foreign = match event.event() {
                ClusterEvent::PodRemoved(gone) => gone.uid == own.pod.uid,
                _ => false,
            };
            if !foreign && !none {
                worth = worth.max(own.worth(&event));
            }
        }
        if worth == 0 {
            own.place = Where::Unschedulable;
        } else {
            own.come_back(worth, windows, now);
        }
    }

    fn happened(&mut self, event: &Happening, now: u64) {
        let windows = self.windows;
        for own in &mut self.pods {
            match own.place {
                Where::UnderWay => own.events.push(event.clone()),
                Where::Gated if !wakes_on(own.gate.unwrap()).meets(event.kinds()) => {}
                Where::Gated | Where::Unschedulable => {
                    let worth = own.worth(event);
                    if worth > 0 {
                        own.come_back(worth, windows, now);
                    }
                }
                _ => {}
            }
        }
    }

    fn activate(&mut self, name: &str) {
        let windows = self.windows;
        let Some(own) = self.pods.iter_mut().find(|own| own.pod.key.name == name) else { return };
        match own.place {
            Where::Active => {}
            Where::UnderWay => own.activated = true,
            Where::BackingOff | Where::Erring if windows => own.place = Where::Active,
            _ => own.activate_or_gate(),
        }
    }

    fn next_due(&self) -> Option<u64> {
        let due = |own: &Known| match own.place {
            Where::BackingOff if self.windows => None,
            Where::BackingOff | Where::Erring => {
                own.end(self.windows).map(|end| end + if self.windows { 1000 } else { 0 })
            }
            Where::Unschedulable => Some(own.since + 300_000),
            _ => None,
        };
        self.pods.iter().filter_map(due).min()
    }

    fn under_way(&self) -> Vec<usize> {
        (0..self.pods.len()).filter(|at| self.pods[*at].place == Where::UnderWay).collect()
    }
}

impl Queue {
    /// Whether a pod waits for events, and neither for its gates nor for time.
    pub(in crate::sched) fn waits_for_events(&self, key: &ObjectKey) -> bool {
        self.place_of(key) == Some(Where::Unschedulable)
    }

    fn place_of(&self, key: &ObjectKey) -> Option<Where> {
        let entry = self.entry(*self.slots.get(key)?);
        Some(match entry.place {
            Place::Active => Where::Active,
            Place::BackingOff => Where::BackingOff,
            Place::Erring => Where::Erring,
            Place::Waiting(_) if entry.gate.is_some() => Where::Gated,
            Place::Waiting(_) => Where::Unschedulable,
            Place::UnderWay(_) => Where::UnderWay,
        })
    }
}

fn story(name: u8, uid: u8, priority: u8, looks: u8) -> Arc<PodInfo> {
    // Mostly the pod of this name is the same.
    let uid = if uid == 0 { "other" } else { "same" };
    let mut story = pod(&format!("p{name}")).uid(&format!("{uid}-{name}")).priority(priority.into());
    if looks & 1 != 0 && looks & 4 != 0 {
        story = story.set("schedulingGates", json!([{"name": "g"}]));
    }
    story = story.app(if looks == 2 {
        "held"
    } else if looks == 6 {
        "other"
    } else {
        "free"
    });
    if looks == 3 {
        story = story.tolerates("t");
    }
    Arc::new(PodInfo::read(story.make(), &mut ResourceNames::default()))
}

fn event(kind: u8, name: u8) -> Happening {
    let named = || node(&format!("n{name}"));
    match kind {
        0 => Happening::node_added(named().make()),
        1 => Happening::node_updated(named().make(), named().label("l", "v").make()),
        2 => Happening::node_updated(named().taint("t", "NoSchedule").label("l", "v").make(), named().make()),
        _ => Happening::pod_removed(story(name, 1, 0, 0)),
    }
}

fn rejection(plugins: u8, pending: u8) -> Rejection {
    let names = |bits: u8| {
        let picky = PICKY.iter().copied().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0);
        picky.map(|(_, name)| name).collect::<BTreeSet<_>>()
    };
    let mut plugins_named = names(plugins & 15);
    if plugins & 16 != 0 && plugins & 1 != 0 {
        plugins_named.insert("Stranger");
    }
    // One that waits is rare.
    let pending = if pending & 24 == 24 { names(pending & 7) } else { BTreeSet::new() };
    let plugins = plugins_named.difference(&pending).copied().collect();
    Rejection { plugins, pending }
}

fn run(steps: Vec<Step>, windows: bool, backwards: bool) {
    let mut profile = Profile::empty().plugin(plugins::SchedulingGates).plugin(Hold);
    for number in 0..PICKY.len() {
        profile = profile.plugin(Picky(number));
    }
    profile = if backwards { profile.plugin(Backwards) } else { profile.plugin(plugins::PrioritySort) };
    let options = QueueOptions { pop_from_backoff: windows, ..QueueOptions::default() };
    let mut queue = Queue::with(Arc::new(profile), options);
    let mut model = Model { pods: Vec::new(), windows, backwards, ticks: 0 };
    let snapshot = Snapshot::new();
    let mut millis = 0u64;
    for step in steps {
        let now = Duration::from_millis(millis);
        let flying = model.under_way();
        let pick = |which: u8| flying.get(usize::from(which) % flying.len().max(1)).copied();
        match step {
            Step::Add { name, uid, priority, looks } => {
                let pod = story(name, uid, priority, looks);
                model.add(pod.clone(), millis);
                queue.add(pod, &snapshot, now);
            }
            Step::Remove(name) => {
                let key = ObjectKey::new("ns", format!("p{name}"));
                model.pods.retain(|own| own.pod.key != key);
                queue.remove(&key);
            }
            Step::Pop => {
                let popped = queue.pop(now);
                let popped = popped.map(|own| (own.pod.key.name.clone(), own.attempts, own.arrival));
                assert_eq!(popped, model.pop(millis));
            }
            Step::Reject { which, plugins, pending } => {
                let Some(at) = pick(which) else { continue };
                let rejection = rejection(plugins, pending);
                queue.reject(&model.pods[at].pod.key.clone(), rejection.clone(), &snapshot, now);
                model.reject(at, &rejection, millis);
            }
            Step::Retry(which) => {
                let Some(at) = pick(which) else { continue };
                queue.retry(&model.pods[at].pod.key.clone(), now);
                model.reject(at, &Rejection::default(), millis);
            }
            Step::Bound(which) => {
                let Some(at) = pick(which) else { continue };
                queue.remove(&model.pods.remove(at).pod.key);
            }
            Step::Event(kind, name) => {
                let event = event(kind, name);
                model.happened(&event, millis);
                queue.happened(event, &snapshot, now);
            }
            Step::Activate(name) => {
                let name = format!("p{name}");
                model.activate(&name);
                queue.activate(&ObjectKey::new("ns", name), now);
            }
            Step::Pass(wait) => millis += u64::from(wait),
        }
        for own in &model.pods {
            assert_eq!(queue.place_of(&own.pod.key), Some(own.place), "{}", own.pod.key.name);
            assert!(Arc::ptr_eq(&queue.get(&own.pod.key).unwrap().pod, &own.pod));
        }
        let count = |place| model.pods.iter().filter(|own| own.place == place).count();
        let backing_off = count(Where::BackingOff) + count(Where::Erring);
        assert_eq!(queue.lengths(), [count(Where::Active), backing_off, count(Where::Unschedulable)]);
        assert_eq!(queue.slots.len(), model.pods.len());
        assert_eq!(queue.entries.iter().flatten().count(), model.pods.len());
        assert_eq!(queue.next_due(), model.next_due().map(Duration::from_millis));
        let flying = model.under_way();
        // What the pod that is under way for longest has yet to weigh, and no more.
        let most = flying.iter().map(|at| model.pods[*at].events.len()).max().unwrap_or(0);
        assert!(queue.kept_events() >= most);
        if flying.is_empty() {
            assert_eq!(queue.kept_events(), 0);
        }
    }
    // All that is left can still be had: nothing is stuck, and nothing comes twice.
    let late = Duration::from_millis(millis + 1_000_000);
    let mut expected = Vec::new();
    while let Some(popped) = model.pop(millis + 1_000_000) {
        expected.push(popped);
    }
    let all = std::iter::from_fn(|| queue.pop(late));
    let all: Vec<_> = all.map(|own| (own.pod.key.name.clone(), own.attempts, own.arrival)).collect();
    assert_eq!(all, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_is_as_the_naive_one(steps in steps(), windows: bool, backwards: bool) {
        run(steps, windows, backwards);
    }
}
