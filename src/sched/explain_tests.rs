use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sched::reference::{self, Judgement, NodeJudgement, Settings, World};
use crate::sched::testing::{NodeStory, PodStory, node, pod};

const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";
const HARD: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const SOFT: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// A world in numbers: nodes, placed pods with their nodes, and the pod that is asked about.
type Numbers = (Vec<[u8; 4]>, Vec<([u8; 5], u8)>, [u8; 5], [u8; 2]);

fn numbers() -> impl Strategy<Value = Numbers> {
    let nodes = prop::collection::vec(any::<[u8; 4]>(), 0..7);
    let placed = prop::collection::vec((any::<[u8; 5]>(), 0u8..7), 0..12);
    (nodes, placed, any::<[u8; 5]>(), any::<[u8; 2]>())
}

fn node_of(number: usize, [cpu, memory, kind, zone]: [u8; 4]) -> NodeStory {
    let name = format!("n{number}");
    let story = node(&name).cpu(&(1 + cpu % 6).to_string()).memory(&format!("{}Gi", 1 + memory % 8));
    let story = match zone % 5 {
        0 => story,
        zone => story.label(ZONE, &format!("z{}", zone % 3)).label(HOSTNAME, &name),
    };
    match kind % 9 {
        0 => story.cordoned(),
        1 => story.taint("hard", "NoSchedule"),
        2 => story.taint("soft", "PreferNoSchedule"),
        3 => story.label("disk", "fast"),
        4 => story.label("disk", "slow").taint("soft", "PreferNoSchedule"),
        5 => story.gives("pods", "2"),
        6 => story.gives("example.com/gpu", "2"),
        _ => story,
    }
}

fn pod_of(name: &str, [cpu, memory, app, wish, kind]: [u8; 5]) -> PodStory {
    let story = pod(name).priority(i32::from(kind % 3));
    let story = if cpu % 5 == 0 { story } else { story.cpu(&format!("{}00m", cpu % 40)) };
    let story = if memory % 5 == 0 { story } else { story.memory(&format!("{}00Mi", memory % 40)) };
    let story = if app % 4 == 0 { story } else { story.app(["a", "b", "c"][usize::from(app % 4) - 1]) };
    let of = |name: &str| json!({"matchLabels": {"app": name}});
    let term = |key: &str, name: &str| json!({"topologyKey": key, "labelSelector": of(name)});
    let rather = |weight: i32, term| json!({"weight": weight, "podAffinityTerm": term});
    let spread = |key: &str, skew: i32, action: &str| json!({"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": action, "labelSelector": of("a")});
    let fast = |weight: i32, value: &str| {
        json!({"weight": weight, "preference": {"matchExpressions": [
            {"key": "disk", "operator": "In", "values": [value]}]}})
    };
    let story = match wish % 12 {
        0 => story.set("affinity", json!({"podAntiAffinity": {HARD: [term(HOSTNAME, "a")]}})),
        1 => story.set("affinity", json!({"podAffinity": {HARD: [term(ZONE, "b")]}})),
        2 => story.set(
            "affinity",
            json!({"podAffinity": {SOFT: [rather(30, term(ZONE, "a")), rather(5, term(HOSTNAME, "b"))]},
                   "nodeAffinity": {SOFT: [fast(10, "fast"), fast(3, "slow")]}}),
        ),
        3 => story.set("affinity", json!({"podAntiAffinity": {SOFT: [rather(30, term(ZONE, "a"))]}})),
        4 => story.set("topologySpreadConstraints", json!([spread(ZONE, 1, "DoNotSchedule")])),
        5 => story.set(
            "topologySpreadConstraints",
            json!([spread(ZONE, 1, "ScheduleAnyway"), spread(HOSTNAME, 2, "ScheduleAnyway")]),
        ),
        6 => story.set("affinity", json!({"nodeAffinity": {SOFT: [fast(7, "fast")]}})),
        _ => story,
    };
    match kind % 11 {
        0 => story.port(80),
        1 => story.tolerates("hard"),
        2 => story.selects("disk", "fast"),
        3 => story.asks("example.com/gpu", "1"),
        4 => story.set("preemptionPolicy", json!("Never")),
        _ => story,
    }
}

/// What only the pod that is asked about may be.
fn special(story: PodStory, kind: u8) -> PodStory {
    let named = |names: &[&str]| {
        json!({"nodeAffinity": {HARD: {"nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": names}]}]}}})
    };
    match kind % 16 {
        0 => story.set("schedulingGates", json!([{"name": "example.com/wait"}])),
        1 => story.deleting(),
        2 => story.set("affinity", named(&["n1"])),
        3 => story.set("affinity", named(&["nowhere"])),
        _ => story,
    }
}

struct Both {
    snapshot: Snapshot,
    world: World,
}

fn built(nodes: &[[u8; 4]], placed: &[([u8; 5], u8)], service: bool) -> Both {
    let mut both = Both { snapshot: Snapshot::new(), world: World::default() };
    for (number, own) in nodes.iter().enumerate() {
        let node = node_of(number, *own).make();
        both.snapshot.set_node(node.clone());
        both.world.nodes.push(node);
    }
    for (number, (own, on)) in placed.iter().enumerate() {
        let on = format!("n{on}");
        let pod = pod_of(&format!("q{number}"), *own).on(&on).make();
        let info = both.snapshot.read(pod.clone());
        both.snapshot.place(Arc::new(info), &on);
        both.world.pods.push(pod);
    }
    if service {
        let selector = BTreeMap::from([("app".to_owned(), "a".to_owned())]);
        both.snapshot.set_service("ns", "web", Some(&selector));
        let service = json!({"metadata": {"name": "web", "namespace": "ns"}, "spec": {"selector": selector}});
        both.world.services.push(Arc::new(serde_json::from_value(service).unwrap()));
    }
    both
}

/// The reference's settings for the plugins that a profile has.
fn settings(profile: &Profile) -> Settings {
    let mut settings = Settings::default();
    settings.plugins.retain(|(plugin, _)| profile.names().any(|name| name == plugin.name()));
    settings
}

/// A message without what is said of evictions, which is held against the rules where they are decided.
fn before_evictions(message: &str) -> &str {
    let after = [" no new claims to deallocate", " preemption: "];
    after
        .iter()
        .filter_map(|after| message.split_once(after))
        .map(|(before, _)| before)
        .next()
        .unwrap_or(message)
}

/// Scores by plugin. That a plugin says 0 to every node, and that it says nothing, is the same.
fn counted<'a>(scores: impl Iterator<Item = (&'a str, i64)>) -> BTreeMap<&'a str, i64> {
    scores.filter(|(_, score)| *score != 0).collect()
}

/// A node's explanation in the words of the reference.
fn said(node: &NodeExplanation) -> (String, Option<i64>, BTreeMap<&str, i64>) {
    let rejected = node.rejected.as_ref();
    let rejected = rejected.map(|own| format!("{} {} {}", own.plugin, own.unresolvable, own.reason));
    (rejected.unwrap_or_default(), node.total, counted(node.scores.iter().copied()))
}

fn judged(judgement: &NodeJudgement) -> (String, Option<i64>, BTreeMap<&str, i64>) {
    match judgement {
        NodeJudgement::Rejected { plugin, reasons, unresolvable } => {
            (format!("{} {unresolvable} {}", plugin.name(), reasons.join(", ")), None, BTreeMap::new())
        }
        // Only one plugin of the profile names nodes.
        NodeJudgement::LeftOut { reason } => (format!("NodeAffinity true {reason}"), None, BTreeMap::new()),
        NodeJudgement::Fits { scores, total } => {
            let scores = scores.iter().map(|(plugin, score)| (plugin.name(), score.weighted));
            (String::new(), Some(*total), counted(scores))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Every verdict, reason, score and total is the reference's, and so is the message.
    #[test]
    fn what_is_explained_is_what_the_rules_say((nodes, placed, asked, [kind, service]) in numbers()) {
        let profile = Profile::default();
        let mut both = built(&nodes, &placed, service % 2 == 0);
        let incoming = special(pod_of("x", asked), kind).make();
        let info = both.snapshot.read(incoming.clone());
        let explanation = explain(&profile, &both.snapshot, &info);
        let judgement = reference::judge(&both.world, &settings(&profile), &incoming);
        let message = explanation.message.as_deref();
        let named: BTreeMap<_, _> = explanation.nodes.iter().map(|node| (&*node.name, node)).collect();
        match &judgement {
            Judgement::Waiting { message: own, .. } | Judgement::Skipped { message: own } => {
                prop_assert_eq!(message, Some(&**own));
                prop_assert!(named.is_empty());
            }
            Judgement::Refused { plugin, reason, unresolvable, condition } => {
                prop_assert_eq!(message.map(before_evictions), Some(before_evictions(condition)));
                prop_assert_eq!(named.len(), nodes.len());
                for node in named.values() {
                    let plugin = plugin.expect("there are nodes").name();
                    prop_assert_eq!(said(node).0, format!("{plugin} {unresolvable} {reason}"));
                }
            }
            Judgement::Unschedulable { nodes: own, .. } | Judgement::Schedulable { nodes: own, .. } => {
                let condition = match &judgement {
                    Judgement::Unschedulable { condition, .. } => Some(&**condition),
                    _ => None,
                };
                prop_assert_eq!(message.map(before_evictions), condition.map(before_evictions));
                prop_assert_eq!(named.len(), own.len());
                for (name, judgement) in own {
                    prop_assert_eq!(said(named[&**name]), judged(judgement), "{}", name);
                }
                if let Judgement::Schedulable { best, .. } = &judgement {
                    let own: BTreeSet<_> = explanation.best().into_iter().map(ToString::to_string).collect();
                    prop_assert_eq!(&own, best);
                }
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    /// A placed pod is explained as if it had never been placed, and the snapshot stays as it is.
    #[test]
    fn a_placed_pod_is_taken_off_first((mut nodes, placed, asked, [_, on]) in numbers()) {
        nodes.push([1, 1, 8, 0]);
        let profile = Profile::default();
        let mut both = built(&nodes, &placed, false);
        let info = both.snapshot.read(pod_of("x", asked).make());
        let expected = explain(&profile, &both.snapshot, &info);
        let on = format!("n{}", usize::from(on) % nodes.len());
        let info = Arc::new(both.snapshot.read(pod_of("x", asked).on(&on).make()));
        both.snapshot.place(info, &on);
        prop_assert_eq!(explain_placed(&profile, &both.snapshot, "uid-x"), Some(expected));
        prop_assert!(both.snapshot.placed("uid-x").is_some());
        prop_assert_eq!(explain_placed(&profile, &both.snapshot, "uid-nobody"), None);
    }
}

#[test]
fn an_explanation_is_a_table_and_json() {
    let mut snapshot = Snapshot::new();
    snapshot.set_node(node("small").cpu("1").make());
    snapshot.set_node(node("big").cpu("8").memory("8Gi").make());
    let info = snapshot.read(pod("x").cpu("2").make());
    let profile = Profile::empty()
        .plugin(crate::sched::plugins::NodeResourcesFit)
        .plugin(crate::sched::plugins::NodeResourcesBalancedAllocation);
    let explanation = explain(&profile, &snapshot, &info);
    assert_eq!(
        explanation.to_string(),
        "ns/x\n  \
         NODE   TOTAL  NodeResourcesFit  NodeResourcesBalancedAllocation  REJECTED\n  \
         big    154    86                68\n  \
         small  -      -                 -                                NodeResourcesFit: Insufficient cpu\n"
    );
    assert_eq!(
        serde_json::to_value(&explanation).unwrap(),
        json!({"namespace": "ns", "name": "x", "nodes": [
            {"name": "small", "rejected": {"plugin": "NodeResourcesFit", "reason": "Insufficient cpu"}},
            {"name": "big", "total": 154,
             "scores": {"NodeResourcesFit": 86, "NodeResourcesBalancedAllocation": 68}}]})
    );
}
