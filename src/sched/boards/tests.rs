use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::env::Random;
use crate::sched::NodeIndex;
use crate::sched::decide;
use crate::sched::testing::{NodeStory, PodStory, node, pod};
use serde_json::json;

#[derive(Clone, Debug)]
enum Step {
    Node(u8, u8, u8, u8),
    NodeGone(u8),
    Place(u8, u8, u8, u8),
    Gone(u8),
    Service(bool),
    Namespace(bool),
    Decide(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0u8..12, 1u8..9, 1u8..9, 0u8..7).prop_map(|(name, cpu, memory, kind)| Step::Node(name, cpu, memory, kind)),
        1 => (0u8..12).prop_map(Step::NodeGone),
        3 => (any::<u8>(), 0u8..14, 0u8..20, 0u8..20).prop_map(|(uid, name, cpu, memory)| Step::Place(uid, name, cpu, memory)),
        1 => any::<u8>().prop_map(Step::Gone),
        1 => any::<bool>().prop_map(Step::Service),
        1 => any::<bool>().prop_map(Step::Namespace),
        8 => (0u8..CLASSES).prop_map(Step::Decide),
    ];
    prop::collection::vec(step, 1..120)
}

fn story(name: u8, cpu: u8, memory: u8, kind: u8) -> NodeStory {
    let story = node(&format!("n{name}")).cpu(&cpu.to_string()).memory(&format!("{memory}Gi"));
    // Two nodes call themselves the same, and one in eight is nowhere.
    let story = match name % 8 {
        0 => story,
        _ => story.label(HOSTNAME, &format!("host-{}", name.max(2))).label(ZONE, &format!("z{}", name % 3)),
    };
    let story = match kind {
        0 => story.cordoned(),
        1 => story.taint("hard", "NoSchedule"),
        2 => story.taint("soft", "PreferNoSchedule"),
        3 => story.label("zone", "a"),
        4 => story.label("zone", "b").taint("soft", "PreferNoSchedule"),
        5 => story.gives("pods", "2"),
        _ => story,
    };
    // What nodes have of an image differs, and half of them have none.
    let images = |numbers: &[u8]| {
        let image = |number: &u8| json!({"names": [format!("i{number}:latest")], "sizeBytes": (i64::from(memory) * 200) << 20});
        story.clone().status("images", numbers.iter().map(image).collect())
    };
    match (name + cpu) % 6 {
        0 => images(&[1]),
        1 => images(&[1, 2]),
        2 => images(&[2]),
        _ => story,
    }
}

const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

const CLASSES: u8 = 20;
/// The class that names its node, for which there is no board.
const NARROW: u8 = 8;

/// `app=…`, as a selector.
fn app(name: &str) -> serde_json::Value {
    json!({"matchLabels": {"app": name}})
}

fn spread(key: &str, skew: i32, action: &str, of: &str) -> serde_json::Value {
    json!({"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": action, "labelSelector": app(of)})
}

fn term(key: &str, of: &str) -> serde_json::Value {
    json!({"topologyKey": key, "labelSelector": app(of)})
}

fn rather(weight: i32, term: serde_json::Value) -> serde_json::Value {
    json!({"weight": weight, "podAffinityTerm": term})
}

/// Some of what pods say of others.
fn wish(number: u8, story: PodStory) -> PodStory {
    const HARD: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const SOFT: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let anywhere = json!({"topologyKey": ZONE, "labelSelector": app("a"), "namespaceSelector": {"matchLabels": {"team": "x"}}});
    let affinity = match number {
        0 => json!({"podAntiAffinity": {HARD: [term(HOSTNAME, "a")]}}),
        1 => json!({"podAffinity": {HARD: [term(ZONE, "b")]}}),
        2 => json!({"podAffinity": {SOFT: [rather(30, term(ZONE, "a")), rather(5, term(HOSTNAME, "b"))]}}),
        3 => {
            json!({"podAntiAffinity": {SOFT: [rather(30, term(ZONE, "a"))], HARD: [term(HOSTNAME, "b"), term(ZONE, "c")]}})
        }
        _ => json!({"podAffinity": {HARD: [anywhere]}}),
    };
    story.set("affinity", affinity)
}

fn class(number: u8) -> PodStory {
    let story = pod("x").cpu("500m").memory("1Gi");
    let prefers = |zone: &str, weight: u8| {
        json!({"weight": weight, "preference": {"matchExpressions": [
            {"key": "zone", "operator": "In", "values": [zone]}]}})
    };
    match number {
        0 => story,
        1 => pod("x"),
        2 => story.cpu("3"),
        3 => story.tolerates("hard"),
        4 => story.tolerates("soft"),
        5 => story.selects("zone", "a"),
        6 => story.port(80),
        7 => story.set("affinity", json!({"nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [prefers("a", 10), prefers("b", 30)]}})),
        9 => story.app("a").set("topologySpreadConstraints", json!([spread(ZONE, 1, "DoNotSchedule", "a")])),
        10 => story.app("a").set(
            "topologySpreadConstraints",
            json!([spread(ZONE, 1, "ScheduleAnyway", "a"), spread(HOSTNAME, 2, "ScheduleAnyway", "a")]),
        ),
        11 => story.app("b").set(
            "topologySpreadConstraints",
            json!([spread(HOSTNAME, 1, "DoNotSchedule", "b"), spread(ZONE, 2, "ScheduleAnyway", "a")]),
        ),
        12..17 => wish(number - 12, story.app("a")),
        17 => story.app("b"),
        18 => story.set("containers", json!([{"name": "c", "image": "i1"}, {"name": "d", "image": "i2"}])),
        19 => story
            .set("containers", json!([{"name": "c", "image": "i2"}]))
            .app("a")
            .set("topologySpreadConstraints", json!([spread(ZONE, 1, "ScheduleAnyway", "a")])),
        _ => story.set("affinity", json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]}}})),
    }
}

/// The nodes that are best when every node is looked at, and their score.
fn best(profile: &Profile, snapshot: &Snapshot, pod: &PodInfo) -> (i64, Vec<NodeIndex>) {
    let mut cycle = Cycle::new(pod, snapshot);
    let mut diagnosis = crate::sched::Diagnosis::of(snapshot.nodes().len());
    let feasible = decide::feasible(profile, &mut cycle, &mut diagnosis).expect("no plugin fails");
    decide::best(profile, &mut cycle, &feasible).expect("no plugin fails")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens between two pods of a class, its board has the nodes that a look at every node finds.
    #[test]
    fn a_board_says_what_every_node_says(steps in steps(), budget in prop_oneof![Just(BUDGET), Just(20_000)]) {
        let (profile, mut snapshot) = (Profile::default(), Snapshot::new());
        let mut boards = Boards::with_budget(budget);
        let draw = Random::seeded(7).stream("draw");
        for step in steps {
            match step {
                Step::Node(name, cpu, memory, kind) => {
                    snapshot.set_node(story(name, cpu, memory, kind).make());
                }
                Step::NodeGone(name) => {
                    snapshot.remove_node(&format!("n{name}"));
                }
                Step::Place(uid, name, cpu, memory) => {
                    let story = pod("p").uid(&format!("u{uid}"));
                    let story = story.cpu(&format!("{cpu}00m")).memory(&format!("{memory}00Mi"));
                    let story = if uid % 5 == 0 { story.port(80) } else { story };
                    let story = match uid % 4 {
                        0 => story,
                        number => story.app(["a", "b", "c"][usize::from(number) - 1]),
                    };
                    let story = if uid % 7 < 5 && uid % 3 == 0 { wish(uid % 7, story) } else { story };
                    let story = if uid % 11 == 0 { story.deleting() } else { story };
                    let info = Arc::new(snapshot.read(story.make()));
                    snapshot.place(info, &format!("n{name}"));
                }
                Step::Gone(uid) => {
                    snapshot.unplace(&format!("u{uid}"));
                }
                Step::Service(there) => {
                    let selector = BTreeMap::from([("app".to_owned(), "b".to_owned())]);
                    snapshot.set_service("ns", "web", Some(&selector).filter(|_| there));
                }
                Step::Namespace(ours) => {
                    let team = if ours { "x" } else { "y" };
                    snapshot.set_namespace("ns", BTreeMap::from([("team".to_owned(), team.to_owned())]));
                }
                Step::Decide(number) => {
                    let info = snapshot.read(class(number).make());
                    let decision = boards.decide(&profile, &snapshot, &info, &draw);
                    let (score, mut nodes) = best(&profile, &snapshot, &info);
                    match decision {
                        Decision::Place(node) => prop_assert!(nodes.contains(&node), "{:?} of {:?}", node, nodes),
                        Decision::Reject(_) => prop_assert!(nodes.is_empty()),
                        Decision::Fail { message, .. } => prop_assert!(false, "{}", message),
                    }
                    let mut key = ClassKey::new();
                    prop_assert!(profile.class_key(&info, &snapshot, &mut key));
                    if let Some(board) = boards.boards.get_mut(&key).filter(|_| number != NARROW) {
                        let (total, mut tied) = board.tied(&profile, &snapshot, &info);
                        tied.sort_unstable();
                        nodes.sort_unstable();
                        prop_assert_eq!(&tied, &nodes);
                        prop_assert!(nodes.is_empty() || total == score);
                    }
                    prop_assert!(boards.bytes <= budget);
                }
            }
        }
    }
}

#[test]
fn a_class_has_a_board_from_its_second_pod_on_and_room_is_made_for_new_ones() {
    let (profile, mut snapshot) = (Profile::default(), Snapshot::new());
    for name in 0..100 {
        snapshot.set_node(story(name, 8, 8, 6).make());
    }
    let draw = Random::seeded(7).stream("draw");
    let mut boards = Boards::with_budget(10_000);
    let mut decide = |number| {
        let info = snapshot.read(class(number).make());
        boards.decide(&profile, &snapshot, &info, &draw);
        boards.len()
    };
    assert_eq!([0, 0, 0].map(&mut decide), [0, 1, 1]);
    let many: Vec<_> = (0..NARROW).chain(0..NARROW).map(decide).collect();
    assert!(many.iter().all(|boards| (1..usize::from(NARROW)).contains(boards)), "{many:?}");
}
