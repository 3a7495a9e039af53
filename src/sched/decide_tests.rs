use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::env::Random;
use crate::sched::testing::{NodeStory, PodStory, node, pod};
use crate::sched::{PodInfo, ResourceId, Snapshot};

struct World {
    snapshot: Snapshot,
    draw: Stream,
}

fn world(nodes: impl IntoIterator<Item = NodeStory>) -> World {
    let mut snapshot = Snapshot::new();
    for node in nodes {
        snapshot.set_node(node.make());
    }
    World { snapshot, draw: Random::seeded(1).stream("draw") }
}

impl World {
    fn with(mut self, name: &str, story: PodStory) -> Self {
        let info = Arc::new(self.snapshot.read(story.make()));
        self.snapshot.place(info, name);
        self
    }

    fn decide(&mut self, story: PodStory) -> Result<String, String> {
        let info = self.snapshot.read(story.make());
        let mut cycle = Cycle::new(&info, &self.snapshot);
        match decide(&Profile::default(), &mut cycle, &self.draw) {
            Decision::Place(node) => Ok(self.snapshot.name(node).to_string()),
            Decision::Reject(diagnosis) => Err(diagnosis.message()),
            Decision::Fail { message, .. } => panic!("{message}"),
        }
    }
}

fn big(name: &str) -> NodeStory {
    node(name).cpu("4").memory("8Gi")
}

#[test]
fn a_pod_goes_where_it_may() {
    let mut world = world([
        big("cordoned").cordoned(),
        big("tainted").taint("gpu", "NoSchedule"),
        big("small").cpu("500m"),
        big("zone-a").label("zone", "a"),
    ])
    .with("zone-a", pod("other").port(80));
    for (story, expected) in [
        (pod("a").cpu("1"), "zone-a"),
        (pod("a").selects("zone", "a"), "zone-a"),
        (pod("a").cpu("500m").port(80), "small"),
        (pod("a").cpu("4").tolerates("gpu").port(80), "tainted"),
        (pod("a").cpu("4").tolerates("node.kubernetes.io/unschedulable").port(80), "cordoned"),
    ] {
        assert_eq!(world.decide(story).as_deref(), Ok(expected));
    }
}

#[test]
fn a_pod_goes_where_it_is_best() {
    let affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 50, "preference": {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]}}]}});
    let mut world = world([
        big("busy"),
        big("idle"),
        big("disliked").taint("soft", "PreferNoSchedule").cpu("64").memory("256Gi"),
        big("zone-b").label("zone", "b"),
    ])
    .with("busy", pod("p").cpu("2").memory("4Gi"))
    .with("zone-b", pod("q").cpu("1").memory("1Gi"));
    assert_eq!(world.decide(pod("a").cpu("1").memory("2Gi")).as_deref(), Ok("idle"));
    assert_eq!(world.decide(pod("a").cpu("1").set("affinity", affinity)).as_deref(), Ok("zone-b"));
}

#[test]
fn a_pod_that_fits_nowhere_is_told_why_in_kube_schedulers_words() {
    let mut none = world([]);
    assert_eq!(none.decide(pod("a")), Err("no nodes available to schedule pods".into()));
    let mut three = world([big("a").taint("t", "NoSchedule"), big("b"), big("c")])
        .with("b", pod("p").cpu("3"))
        .with("c", pod("q").cpu("3"));
    assert_eq!(
        three.decide(pod("x").cpu("2")),
        Err("0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes \
             are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming \
             pod."
            .into())
    );
    // Beyond what any node has, evicting others cannot help.
    assert_eq!(
        three.decide(pod("x").cpu("100").memory("1Ti").tolerates("t")),
        Err("0/3 nodes are available: 3 Insufficient cpu, 3 Insufficient memory. no new claims to deallocate, preemption: 0/3 nodes are \
             available: 3 Preemption is not helpful for scheduling."
            .into())
    );
    assert_eq!(
        three.decide(
            pod("x").asks("example.com/gpu", "1").set("preemptionPolicy", json!("Never")).tolerates("t")
        ),
        Err("0/3 nodes are available: 3 Insufficient example.com/gpu. no new claims to deallocate, preemption: not \
             eligible due to preemptionPolicy=Never."
            .into())
    );
    // Somebody is less important: evicting could help, and nothing else is claimed.
    assert_eq!(
        three.decide(pod("x").cpu("2").priority(10).tolerates("none")),
        Err("0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu.".into())
    );
}

#[test]
fn a_pod_that_names_its_nodes_does_not_ask_the_others() {
    let by_name = |name: &str| {
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}]}}})
    };
    let mut world = world([big("a"), big("b").cordoned()]);
    assert_eq!(world.decide(pod("x").set("affinity", by_name("a"))).as_deref(), Ok("a"));
    assert_eq!(
        world.decide(pod("x").set("affinity", by_name("b"))),
        Err("0/2 nodes are available: 1 node(s) didn't satisfy plugin(s) [NodeAffinity], 1 node(s) were \
             unschedulable. no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
            .into())
    );
}

#[test]
fn a_node_that_is_full_of_pods_takes_no_more() {
    let mut world = world([big("a").gives("pods", "1")]).with("a", pod("p"));
    let message = world.decide(pod("x")).unwrap_err();
    assert!(
        message.starts_with(
            "0/1 nodes are available: 1 Too many pods. no new claims to deallocate, preemption:"
        ),
        "{message}"
    );
}

#[test]
fn equals_share_by_the_draw() {
    let mut world = world([big("a"), big("b"), big("c")]);
    let chosen: BTreeSet<_> = (0..50).map(|_| world.decide(pod("x")).unwrap()).collect();
    assert_eq!(chosen.len(), 3);
}

/// What the default profile says, worked out in one breath from the pods and nodes themselves: the
/// nodes with the highest score.
fn reference(snapshot: &Snapshot, info: &PodInfo) -> BTreeSet<String> {
    let resources = [ResourceId::CPU, ResourceId::MEMORY];
    let mut best = (i64::MIN, BTreeSet::new());
    let tainted = |node: &k8s_openapi::api::core::v1::Node, effect: &str| {
        let taints = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
        taints.iter().any(|taint| {
            taint.effect == effect
                && !info.tolerations().iter().any(|own| own.key.as_deref() == Some(&taint.key))
        })
    };
    let fits = |node: &NodeIndex| {
        let raw = snapshot.node(*node);
        let used = |resource| snapshot.pods(*node).map(|pod| pod.request(resource)).sum::<i64>();
        let enough = resources.iter().all(|one| {
            info.request(*one) == 0 || used(*one) + info.request(*one) <= snapshot.allocatable(*one, *node)
        });
        !tainted(raw, "NoSchedule") && raw.spec.as_ref().unwrap().unschedulable != Some(true) && enough
    };
    let feasible: Vec<_> = snapshot.nodes().iter().copied().filter(fits).collect();
    let soft = feasible.iter().any(|node| tainted(snapshot.node(*node), "PreferNoSchedule"));
    for node in feasible {
        let capacity = resources.map(|one| snapshot.allocatable(one, node) as f64);
        let request = resources.map(|one| info.request(one) as f64);
        let sum = |of: &dyn Fn(&PodInfo) -> i64| snapshot.pods(node).map(|pod| of(pod)).sum::<i64>() as f64;
        let used = [sum(&|pod| pod.request(resources[0])), sum(&|pod| pod.request(resources[1]))];
        let taken = [sum(&|pod| pod.assumed_use[0]), sum(&|pod| pod.assumed_use[1])];
        let free = |one: usize| {
            let taken = taken[one] + info.assumed_use[one] as f64;
            if taken > capacity[one] {
                0.0
            } else {
                ((capacity[one] - taken) * 100.0 / capacity[one]).floor()
            }
        };
        let least = ((free(0) + free(1)) / 2.0).floor() as i64;
        let even = |add: [f64; 2]| {
            let share = |one: usize| ((used[one] + add[one]) / capacity[one]).min(1.0);
            ((1.0 - ((share(0) - share(1)) / 2.0).abs()) * 100.0) as i64
        };
        let balanced = if request == [0.0; 2] { 0 } else { 50 + (50 + even(request) - even([0.0; 2])) / 2 };
        let liked = if soft && !tainted(snapshot.node(node), "PreferNoSchedule") { 100 } else { 0 };
        let score = least + balanced + 3 * liked;
        if score > best.0 {
            best = (score, BTreeSet::new());
        }
        if score == best.0 {
            best.1.insert(snapshot.name(node).to_string());
        }
    }
    best.1
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decisions_are_what_a_naive_reference_says(
        nodes in prop::collection::vec((1u8..8, 1u8..8, 0u8..5), 1..6),
        placed in prop::collection::vec((0usize..6, 0u16..2000, 0u16..2000), 0..12),
        (cpu, memory, tolerant) in (0u16..3000, 0u16..3000, any::<bool>()),
    ) {
        let stories = nodes.iter().enumerate().map(|(index, (cpu, memory, special))| {
            let node = node(&format!("n{index}")).cpu(&cpu.to_string()).memory(&format!("{memory}Gi"));
            match special {
                0 => node.cordoned(),
                1 => node.taint("hard", "NoSchedule"),
                2 => node.taint("soft", "PreferNoSchedule"),
                _ => node,
            }
        });
        let mut world = world(stories);
        for (index, (on, cpu, memory)) in placed.iter().enumerate() {
            let story = pod(&format!("p{index}")).cpu(&format!("{cpu}m")).memory(&format!("{memory}Mi"));
            world = world.with(&format!("n{}", on % nodes.len()), story);
        }
        let story = pod("x").cpu(&format!("{cpu}m")).memory(&format!("{memory}Mi"));
        let story = if tolerant { story.tolerates("hard") } else { story };
        let info = world.snapshot.read(story.clone().make());
        let best = reference(&world.snapshot, &info);
        match world.decide(story) {
            Ok(chosen) => prop_assert!(best.contains(&chosen), "{} is none of {:?}", chosen, best),
            Err(message) => prop_assert!(best.is_empty(), "{}, but {:?}", message, best),
        }
    }
}
