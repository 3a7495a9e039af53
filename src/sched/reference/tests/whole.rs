use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::story::{Tree, node, pod, world};
use super::volumes::mounts;
use crate::sched::reference::{Judgement, NodeJudgement, Plugin, Score, Settings, World, judge};

fn of(world: &World, incoming: &Tree) -> Judgement {
    judge(world, &Settings::default(), &incoming.make())
}

fn condition(judgement: &Judgement) -> &str {
    match judgement {
        Judgement::Unschedulable { condition, .. } | Judgement::Refused { condition, .. } => condition,
        judgement => panic!("{judgement:?}"),
    }
}

fn best(judgement: &Judgement) -> Vec<&str> {
    match judgement {
        Judgement::Schedulable { best, .. } => best.iter().map(String::as_str).collect(),
        judgement => panic!("{judgement:?}"),
    }
}

const UNHELPFUL: &str = "Preemption is not helpful for scheduling";

#[test]
fn reasons_are_counted_and_sorted_as_text() {
    let taint = json!([{"key": "t", "effect": "NoSchedule"}]);
    let world = world(
        [
            node("a").set("spec.taints", taint),
            node("b").set("spec.unschedulable", true),
            node("c").gives(json!({"cpu": "1"})),
            node("d").gives(json!({"cpu": "1"})),
        ],
        [],
    );
    let judgement = of(&world, &pod("p").asks(json!({"cpu": "2", "memory": "1"})));
    assert_eq!(
        condition(&judgement),
        "0/4 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were \
        unschedulable, 2 Insufficient cpu, 2 Insufficient memory. no new claims to deallocate, preemption: 0/4 \
        nodes are available: 4 Preemption is not helpful for scheduling."
    );
    let Judgement::Unschedulable { nodes, .. } = judgement else { panic!() };
    assert_eq!(
        nodes["a"],
        NodeJudgement::Rejected {
            plugin: Plugin::TaintToleration,
            reasons: vec!["node(s) had untolerated taint(s)".into()],
            unresolvable: true,
        }
    );
}

#[test]
fn the_first_plugin_that_rejects_a_node_is_the_only_one_asked() {
    let taint = json!([{"key": "t", "effect": "NoSchedule"}]);
    let world = world([node("a").set("spec.taints", taint).set("spec.unschedulable", true)], []);
    let mut settings = Settings::default();
    let plugin = |settings: &Settings| match judge(&world, settings, &pod("p").make()) {
        Judgement::Unschedulable { nodes, .. } => match &nodes["a"] {
            NodeJudgement::Rejected { plugin, .. } => *plugin,
            judgement => panic!("{judgement:?}"),
        },
        judgement => panic!("{judgement:?}"),
    };
    assert_eq!(plugin(&settings), Plugin::NodeUnschedulable);
    settings.plugins.reverse();
    assert_eq!(plugin(&settings), Plugin::TaintToleration);
    settings.plugins.retain(|(plugin, _)| *plugin != Plugin::TaintToleration);
    assert_eq!(plugin(&settings), Plugin::NodeUnschedulable);
}

#[test]
fn where_there_are_no_nodes_that_is_all_there_is_to_say() {
    let judgement = of(&world([], []), &pod("p"));
    assert_eq!(condition(&judgement), "no nodes available to schedule pods");
}

#[test]
fn a_pod_that_is_being_deleted_is_not_placed() {
    let judgement = of(&world([node("a")], []), &pod("p").deleting());
    assert_eq!(judgement, Judgement::Skipped { message: "skip schedule deleting pod: default/p".into() });
}

#[test]
fn nodes_that_are_not_named_are_not_looked_at() {
    let names = json!({"nodeSelectorTerms": [{"matchFields": [
        {"key": "metadata.name", "operator": "In", "values": ["a"]}]}]});
    let path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";
    let incoming = pod("p").set(path, names);
    let cordoned = |name: &str| node(name).set("spec.unschedulable", true);
    let judgement = of(&world([cordoned("a"), cordoned("b"), node("c")], []), &incoming);
    let left_out = "node(s) didn't satisfy plugin(s) [NodeAffinity]";
    assert_eq!(
        condition(&judgement),
        format!(
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 {left_out}. \
        no new claims to deallocate, preemption: 0/3 nodes are available: 3 {UNHELPFUL}."
        )
    );
    let Judgement::Unschedulable { nodes, .. } = judgement else { panic!() };
    assert_eq!(nodes["c"], NodeJudgement::LeftOut { reason: left_out.into() });
    assert_eq!(best(&of(&world([node("a"), node("b")], []), &incoming)), ["a"]);
    // None of the nodes that are named is there.
    assert_eq!(
        condition(&of(&world([node("b")], []), &incoming)),
        format!(
            "0/1 nodes are available: 1 {left_out}. \
        no new claims to deallocate, preemption: 0/1 nodes are available: 1 {UNHELPFUL}."
        )
    );
    // The node that is kept for the pod is looked at all the same.
    let kept = incoming.set("status.nominatedNodeName", "b");
    assert_eq!(
        condition(&of(&world([cordoned("a"), cordoned("b")], []), &kept)),
        format!(
            "0/2 nodes are available: \
        2 node(s) were unschedulable. no new claims to deallocate, preemption: 0/2 nodes are available: 2 {UNHELPFUL}."
        )
    );
}

#[test]
fn a_pod_that_is_refused_before_nodes_are_looked_at() {
    let judgement = of(&world([node("a"), node("b")], []), &mounts(pod("p"), &["c"]));
    let reason = "persistentvolumeclaim \"c\" not found";
    let Judgement::Refused { plugin, reason: said, unresolvable, condition } = judgement else { panic!() };
    assert_eq!((plugin, said.as_str(), unresolvable), (Some(Plugin::VolumeRestrictions), reason, true));
    // The plugin that speaks first afterwards was not asked before, and does not find its notes.
    assert_eq!(condition, format!("0/2 nodes are available: {reason}. not found"));
}

#[test]
fn scores_are_weighed_and_added_up() {
    let soft = json!([{"key": "t", "effect": "PreferNoSchedule"}]);
    let world = world(
        [
            node("a").gives(json!({"cpu": "4", "memory": "4Gi"})).set("spec.taints", soft),
            node("b").gives(json!({"cpu": "4", "memory": "4Gi"})),
        ],
        [],
    );
    let judgement = of(&world, &pod("p").asks(json!({"cpu": "2", "memory": "1Gi"})));
    assert_eq!(best(&judgement), ["b"]);
    let Judgement::Schedulable { nodes, nominated, .. } = judgement else { panic!() };
    assert_eq!(nominated, None);
    let NodeJudgement::Fits { scores, total } = &nodes["b"] else { panic!() };
    assert_eq!(scores[&Plugin::TaintToleration], Score { raw: 0, normalised: 100, weighted: 300 });
    // (50 + 75) / 2 of what is left, and 50 + (50 + 87 - 100) / 2 of what is even.
    assert_eq!(scores[&Plugin::NodeResourcesFit], Score { raw: 62, normalised: 62, weighted: 62 });
    assert_eq!(scores[&Plugin::NodeResourcesBalancedAllocation].weighted, 68);
    assert_eq!(*total, 300 + 62 + 68);
    let asked: BTreeSet<_> = scores.keys().copied().collect();
    assert_eq!(
        asked,
        BTreeSet::from([
            Plugin::TaintToleration,
            Plugin::NodeResourcesFit,
            Plugin::DynamicResources,
            Plugin::NodeResourcesBalancedAllocation,
            Plugin::ImageLocality,
        ])
    );
    let NodeJudgement::Fits { total, .. } = &nodes["a"] else { panic!() };
    assert_eq!(*total, 62 + 68);
}

#[test]
fn all_nodes_of_the_highest_score_are_the_best() {
    let has = |name: &str, cpu: &str| node(name).gives(json!({"cpu": cpu, "memory": "4Gi"}));
    let world = world([has("a", "2"), has("b", "4"), has("c", "4")], []);
    assert_eq!(best(&of(&world, &pod("p").asks(json!({})))), ["b", "c"]);
    let kept = pod("p").asks(json!({})).set("status.nominatedNodeName", "a");
    let Judgement::Schedulable { nominated, best, .. } = of(&world, &kept) else { panic!() };
    assert_eq!((nominated.as_deref(), best.len()), (Some("a"), 2));
}

#[test]
fn who_waits_for_a_node_counts_there() {
    let waiting = |priority: i32| {
        pod("w").priority(priority).asks(json!({"cpu": "2"})).set("status.nominatedNodeName", "a")
    };
    let incoming = pod("p").priority(5).asks(json!({"cpu": "2"}));
    let fits = |pods: &[Tree]| {
        let mut world = world([node("a").gives(json!({"cpu": "3"}))], []);
        world.pods = pods.iter().map(Tree::make).collect();
        matches!(of(&world, &incoming), Judgement::Schedulable { .. })
    };
    assert!(fits(&[]));
    assert!(!fits(&[waiting(5)]));
    assert!(!fits(&[waiting(6)]));
    assert!(fits(&[waiting(4)]));
    assert!(fits(&[waiting(6).on("b")]), "one that is somewhere waits no more");
    assert!(fits(&[waiting(6).set("spec.schedulerName", "other")]));
    assert!(fits(&[waiting(6).set("status.phase", "Failed")]), "one that has ended waits no more");
    assert!(fits(&[waiting(6).set("metadata.uid", "uid-p")]), "the pod itself is no other");
}

#[test]
fn who_waits_for_a_node_may_not_be_needed_there() {
    let near: Value = json!([{"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": "zone"}]);
    let path = "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution";
    let incoming = pod("p").set(path, near.clone());
    let waiting = pod("w").label("app", "x").set("status.nominatedNodeName", "a");
    let alone = world([node("a").label("zone", "1")], [waiting.clone()]);
    assert!(matches!(of(&alone, &incoming), Judgement::Unschedulable { .. }));
    // One that wants to be far from the pod is asked only where somebody is who does already.
    let far = "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution";
    let shy =
        waiting.set(far, json!([{"labelSelector": {"matchLabels": {"app": "p"}}, "topologyKey": "zone"}]));
    let ours = pod("p").label("app", "p");
    let mut world = world([node("a").label("zone", "1"), node("b").label("zone", "2")], [shy.clone()]);
    assert_eq!(best(&of(&world, &ours)).len(), 2);
    world.pods.push(shy.set("metadata.uid", "other").on("b").make());
    let Judgement::Unschedulable { .. } = of(&world, &ours) else { panic!() };
}

#[test]
fn a_plugin_that_fails_ends_the_attempt() {
    let broken = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Gt"}]}});
    let incoming = pod("p").with("topologySpreadConstraints", broken);
    let Judgement::Failed { plugin, message } = of(&world([node("a"), node("b")], []), &incoming) else {
        panic!()
    };
    assert_eq!(plugin, Plugin::PodTopologySpread);
    assert_eq!(
        message,
        "running PreScore plugin \"PodTopologySpread\": calculating preScoreState: obtaining pod's \
        soft topology spread constraints: \"Gt\" is not a valid label selector operator"
    );
}
