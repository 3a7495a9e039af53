//! No pod that fits waits for an event: whatever happens in a cluster, a pod whose obstacle is gone is woken.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::env::{Random, Stream};
use crate::sched::framework::Cycle;
use crate::sched::testing::{NodeStory, PodStory, node, pod};
use crate::sched::{Decision, decide};

#[derive(Clone, Debug)]
enum Step {
    Node { name: u8, cpu: u8, zone: u8, looks: u8 },
    NodeGone(u8),
    Placed { name: u8, node: u8, cpu: u8, looks: u8 },
    Gone(u8),
    Comes { name: u8, cpu: u8, looks: u8 },
    Turns { binds: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0u8..5, 1u8..5, 0u8..4, 0u8..6).prop_map(|(name, cpu, zone, looks)| Step::Node { name, cpu, zone, looks }),
        1 => (0u8..5).prop_map(Step::NodeGone),
        4 => (0u8..8, 0u8..5, 0u8..4, 0u8..8).prop_map(|(name, node, cpu, looks)| Step::Placed { name, node, cpu, looks }),
        3 => (0u8..8).prop_map(Step::Gone),
        5 => (0u8..8, 0u8..6, 0u8..16).prop_map(|(name, cpu, looks)| Step::Comes { name, cpu, looks }),
        6 => (0u8..4).prop_map(|chance| Step::Turns { binds: chance > 0 }),
    ];
    prop::collection::vec(step, 1..120)
}

fn node_story(name: u8, cpu: u8, zone: u8, looks: u8) -> NodeStory {
    let story = node(&format!("n{name}")).cpu(&cpu.to_string()).gives("pods", "4");
    let story = if zone == 0 { story } else { story.label("zone", &format!("z{zone}")) };
    match looks {
        0 => story.cordoned(),
        1 => story.taint("t", "NoSchedule"),
        2 => story.label("disk", "ssd"),
        _ => story,
    }
}

fn terms(app: &str) -> Value {
    json!({"requiredDuringSchedulingIgnoredDuringExecution":
        [{"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": app}}}]})
}

fn far_from(story: PodStory, app: &str) -> PodStory {
    story.set("affinity", json!({"podAntiAffinity": terms(app)}))
}

fn placed(name: u8, node: u8, cpu: u8, looks: u8) -> PodStory {
    let story = pod(&format!("p{name}")).cpu(&cpu.to_string()).on(&format!("n{node}"));
    match looks {
        0 | 1 => story.app("web"),
        2 | 3 => story.app("db"),
        4 => far_from(story, "web"),
        5 => story.port(80),
        _ => story,
    }
}

fn waits(name: u8, cpu: u8, looks: u8) -> PodStory {
    let story = pod(&format!("w{name}")).cpu(&cpu.to_string());
    let spread = json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                         "labelSelector": {"matchLabels": {"app": "web"}}}]);
    match looks {
        0 => story.tolerates("t"),
        1 => story.tolerates("node.kubernetes.io/unschedulable"),
        2 => story.selects("disk", "ssd"),
        3 => story.port(80),
        4 | 5 => story.app("web").set("topologySpreadConstraints", spread),
        6 | 7 => story.app("web").set("affinity", json!({"podAffinity": terms("db")})),
        8 => story.app("db").set("affinity", json!({"podAffinity": terms("db")})),
        9 | 10 => far_from(story.app("db"), "web"),
        11 => story.app("web"),
        12 => story.app("db"),
        _ => story,
    }
}

struct World {
    books: Books,
    profile: Arc<Profile>,
    draw: Stream,
    nodes: BTreeMap<u8, Arc<Node>>,
    /// Those on nodes, by name.
    placed: BTreeMap<String, Arc<Pod>>,
    /// What waiting pods look like.
    waiting: BTreeMap<u8, (u8, Arc<Pod>)>,
    now: Duration,
}

impl World {
    fn take(&mut self, step: Step) {
        self.now += Duration::from_millis(700);
        let now = self.now;
        match step {
            Step::Node { name, cpu, zone, looks } => {
                let node = node_story(name, cpu, zone, looks).make();
                self.nodes.insert(name, node.clone());
                self.books.node(node, now);
            }
            // Pods outlive their node until they are deleted, and that is what wakes others.
            Step::NodeGone(name) => {
                let name_of = format!("n{name}");
                let on = |pod: &Arc<Pod>| pod.spec.as_ref().unwrap().node_name.as_ref() == Some(&name_of);
                if self.nodes.contains_key(&name) && !self.placed.values().any(on) {
                    self.nodes.remove(&name);
                    self.books.node_gone(&name_of, now);
                }
            }
            Step::Placed { name, node, cpu, looks } => {
                if !self.nodes.contains_key(&node) {
                    return;
                }
                let old = self.placed.get(&format!("p{name}"));
                // A pod stays where it is, and so do its terms and ports.
                let node = old.map_or(node, |old| {
                    old.spec.as_ref().unwrap().node_name.as_ref().unwrap()[1..].parse().unwrap()
                });
                if old.is_some() && looks > 3 {
                    return;
                }
                let plain = |pod: &Arc<Pod>| {
                    let spec = pod.spec.as_ref().unwrap();
                    spec.affinity.is_none() && spec.containers[0].ports.is_none()
                };
                if old.is_some_and(|old| !plain(old)) {
                    return;
                }
                let pod = placed(name, node, cpu, looks).make();
                self.placed.insert(format!("p{name}"), pod.clone());
                self.books.pod(pod, now);
            }
            Step::Gone(name) => {
                let name = self.placed.keys().nth(usize::from(name) % self.placed.len().max(1)).cloned();
                if let Some(pod) = name.and_then(|name| self.placed.remove(&name)) {
                    self.books.gone(pod, now);
                }
            }
            Step::Comes { name, cpu, looks } => {
                if self.placed.contains_key(&format!("w{name}")) {
                    return;
                }
                // One that is there may come to ask for less or tolerate more, but not to want other things.
                let looks = match self.waiting.get(&name) {
                    Some((old, _)) if *old > 12 && looks < 2 => looks,
                    Some((old, _)) => *old,
                    None => looks,
                };
                let pod = waits(name, cpu, looks).make();
                self.waiting.insert(name, (looks, pod.clone()));
                self.books.pod(pod, now);
            }
            Step::Turns { binds } => {
                while let Some(popped) = self.books.queue.pop(now) {
                    self.turn(&popped.pod, binds);
                    if !binds {
                        break;
                    }
                }
            }
        }
    }

    fn decide(&self, pod: &PodInfo) -> Decision {
        decide(&self.profile, &mut Cycle::new(pod, &self.books.snapshot), &self.draw)
    }

    fn turn(&mut self, pod: &Arc<PodInfo>, binds: bool) {
        match self.decide(pod) {
            Decision::Reject(diagnosis) => self.books.reject(pod, diagnosis.plugins, self.now),
            Decision::Fail { message, .. } => panic!("{message}"),
            Decision::Place(node) => {
                let node = self.books.snapshot.name(node).clone();
                self.books.assume(pod, &node);
                if !binds {
                    assert!(self.books.forget(pod, self.now));
                    self.books.queue.retry(&pod.key, self.now);
                    return;
                }
                self.books.bound(pod, self.now);
                let mut bound = (*pod.pod).clone();
                bound.spec.as_mut().unwrap().node_name = Some(node.to_string());
                let bound = Arc::new(bound);
                self.waiting.remove(&pod.key.name[1..].parse().unwrap());
                self.placed.insert(pod.key.name.clone(), bound.clone());
                self.books.pod(bound, self.now);
            }
        }
    }

    fn check(&self) {
        for (_, pod) in self.waiting.values() {
            let meta = &pod.metadata;
            let key = ObjectKey::new(meta.namespace.clone().unwrap(), meta.name.clone().unwrap());
            let queued = self.books.queue.get(&key).expect("a pod that waits is known");
            if self.books.queue.waits_for_events(&key) {
                let decision = self.decide(&queued.pod);
                assert!(matches!(decision, Decision::Reject(_)), "{key} fits and is not woken: {decision:?}");
            }
        }
        assert_eq!(self.books.queue.kept_events(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pod_whose_obstacle_is_gone_is_woken(steps in steps()) {
        let profile = Arc::new(Profile::default());
        let mut world = World {
            books: Books::new("default-scheduler".into(), profile.clone(), QueueOptions::default()),
            profile,
            draw: Random::seeded(1).stream("draw"),
            nodes: BTreeMap::new(),
            placed: BTreeMap::new(),
            waiting: BTreeMap::new(),
            now: Duration::ZERO,
        };
        for step in steps {
            world.take(step.clone());
            world.check();
        }
    }
}
