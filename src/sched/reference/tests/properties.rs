//! What holds of every world, and not only of those that somebody thought of.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::story::{Tree, node, pod, world};
use crate::sched::reference::{Judgement, NodeJudgement, Preemption, Settings, World, judge, preempt};

/// CPUs of nodes; node, priority and CPUs of pods.
type Crowd = (Vec<i64>, Vec<(usize, i32, i64)>);

fn crowd() -> impl Strategy<Value = Crowd> {
    (prop::collection::vec(1..6i64, 1..4), prop::collection::vec((0..4usize, 0..4i32, 1..4i64), 0..8))
}

fn built((nodes, pods): &Crowd) -> World {
    let mut world = world([], []);
    for (index, cpu) in nodes.iter().enumerate() {
        world.nodes.push(node(&format!("n{index}")).gives(json!({"cpu": cpu})).make());
    }
    for (index, (on, priority, cpu)) in pods.iter().enumerate() {
        let tree = pod(&format!("q{index}")).on(&format!("n{on}")).priority(*priority);
        world.pods.push(tree.asks(json!({"cpu": cpu})).make());
    }
    world
}

fn wants(priority: i32, cpu: i64) -> Tree {
    pod("p").priority(priority).asks(json!({"cpu": cpu}))
}

fn name(pod: &k8s_openapi::api::core::v1::Pod) -> &str {
    pod.metadata.name.as_deref().unwrap()
}

fn without(world: &World, gone: &BTreeSet<String>) -> World {
    let mut left = world.clone();
    left.pods.retain(|pod| !gone.contains(name(pod)));
    left
}

fn will_do(world: &World, incoming: &Tree, node: &str) -> bool {
    match judge(world, &Settings::default(), &incoming.make()) {
        Judgement::Schedulable { nodes, .. } => matches!(nodes[node], NodeJudgement::Fits { .. }),
        Judgement::Unschedulable { .. } => false,
        judgement => panic!("{judgement:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn evictions_make_room_and_none_of_them_is_needless(crowd in crowd(), priority in 0..5i32, cpu in 1..6i64) {
        let (world, incoming) = (built(&crowd), wants(priority, cpu));
        let lower = |node: &str| {
            let pods = world.pods.iter().filter(|pod| pod.spec.as_ref().unwrap().node_name.as_deref() == Some(node));
            pods.filter(|pod| pod.spec.as_ref().unwrap().priority < Some(priority)).map(|pod| name(pod).to_owned())
                .collect::<BTreeSet<_>>()
        };
        let names: Vec<_> = world.nodes.iter().map(|node| node.metadata.name.clone().unwrap()).collect();
        match preempt(&world, &Settings::default(), &incoming.make()) {
            Preemption::NotAsked => prop_assert!(names.iter().any(|node| will_do(&world, &incoming, node))),
            Preemption::Nobody { .. } => for node in &names {
                prop_assert!(!will_do(&without(&world, &lower(node)), &incoming, node), "{}", node);
            },
            Preemption::Victims { candidates, best } => {
                let found: BTreeSet<_> = candidates.iter().map(|one| one.node.clone()).collect();
                prop_assert!(!best.is_empty() && best.is_subset(&found));
                for node in &names {
                    let can = will_do(&without(&world, &lower(node)), &incoming, node);
                    prop_assert_eq!(can, found.contains(node), "{}", node);
                }
                for candidate in candidates {
                    let victims: BTreeSet<_> = candidate.victims.iter().map(|key| key.name.clone()).collect();
                    prop_assert!(victims.is_subset(&lower(&candidate.node)));
                    prop_assert!(will_do(&without(&world, &victims), &incoming, &candidate.node));
                    for victim in &victims {
                        let mut others = victims.clone();
                        others.remove(victim);
                        prop_assert!(!will_do(&without(&world, &others), &incoming, &candidate.node), "{}", victim);
                    }
                }
            }
        }
    }

    #[test]
    fn a_judgement_does_not_depend_on_the_order_of_pods(crowd in crowd(), priority in 0..5i32, cpu in 1..6i64) {
        let (world, incoming) = (built(&crowd), wants(priority, cpu).make());
        let mut turned = world.clone();
        turned.pods.reverse();
        prop_assert_eq!(
            judge(&world, &Settings::default(), &incoming),
            judge(&turned, &Settings::default(), &incoming)
        );
    }
}
