use serde_json::{Value, json};

use super::story::{Tree, given_with, node, pod, said, said_with, world};
use crate::sched::reference::Plugin::NodeResourcesFit;
use crate::sched::reference::{ResourceWeight, ScoringStrategy, Settings, ShapePoint};

/// The amounts of kube-scheduler's own table: 10 thousandths of CPUs, 20 bytes, 5 of something else.
fn has() -> Tree {
    node("n").gives(json!({"cpu": "10m", "memory": "20", "pods": "32", "example.com/a": "5",
                           "ephemeral-storage": "20", "hugepages-2Mi": "5"}))
}

fn amounts(cpu: i64, memory: i64) -> Value {
    json!({"cpu": format!("{cpu}m"), "memory": memory})
}

#[test]
fn there_must_be_enough_of_everything() {
    let asks = |requests| pod("p").asks(requests);
    let there = |requests| pod("q").on("n").asks(requests);
    for (incoming, existing, expected) in [
        (pod("p"), there(amounts(10, 20)), "fit"),
        (asks(amounts(1, 1)), there(amounts(10, 20)), "now: Insufficient cpu, Insufficient memory"),
        (asks(amounts(1, 1)), there(amounts(5, 5)), "fit"),
        (asks(amounts(2, 1)), there(amounts(9, 5)), "now: Insufficient cpu"),
        (asks(amounts(1, 2)), there(amounts(5, 19)), "now: Insufficient memory"),
        (asks(amounts(5, 1)), there(amounts(5, 19)), "fit"),
        // More than an empty node has: no eviction helps.
        (asks(amounts(11, 1)), there(amounts(0, 0)), "never: Insufficient cpu"),
        (asks(amounts(11, 2)), there(amounts(0, 19)), "never: Insufficient cpu, Insufficient memory"),
        (asks(json!({"example.com/a": "5"})), there(json!({})), "fit"),
        (
            asks(json!({"example.com/a": "3"})),
            there(json!({"example.com/a": "3"})),
            "now: Insufficient example.com/a",
        ),
        (asks(json!({"example.com/a": "6"})), there(json!({})), "never: Insufficient example.com/a"),
        (asks(json!({"example.com/b": "1"})), there(json!({})), "never: Insufficient example.com/b"),
        (asks(json!({"example.com/b": "0"})), there(json!({})), "fit"),
        (asks(json!({"hugepages-2Mi": "5"})), there(json!({})), "fit"),
        (asks(json!({"hugepages-2Mi": "6"})), there(json!({})), "never: Insufficient hugepages-2Mi"),
        (asks(json!({"ephemeral-storage": "25"})), there(json!({})), "never: Insufficient ephemeral-storage"),
        (
            asks(json!({"ephemeral-storage": "10"})),
            there(json!({"ephemeral-storage": "11"})),
            "now: Insufficient ephemeral-storage",
        ),
        // What is no resource that a scheduler counts is nobody's business.
        (asks(json!({"nonsense": "5"})), there(json!({})), "fit"),
    ] {
        let said = said(NodeResourcesFit, &world([has()], [existing]), &incoming);
        assert_eq!(said, [expected], "{}", incoming.0);
    }
}

#[test]
fn a_node_takes_so_many_pods() {
    let full = node("n").gives(json!({"pods": "1", "cpu": "1"}));
    let there = pod("q").on("n");
    let said = |incoming: Tree| said(NodeResourcesFit, &world([full.clone()], [there.clone()]), &incoming);
    assert_eq!(said(pod("p")), ["now: Too many pods"]);
    assert_eq!(said(pod("p").asks(json!({"cpu": "2"}))), ["never: Too many pods, Insufficient cpu"]);
    // Those that have run to their end are not there, and those that are being deleted are.
    let ended = pod("q").on("n").set("status.phase", "Succeeded");
    assert_eq!(super::story::said(NodeResourcesFit, &world([full.clone()], [ended]), &pod("p")), ["fit"]);
    let deleting = pod("q").on("n").deleting();
    let said = super::story::said(NodeResourcesFit, &world([full], [deleting]), &pod("p"));
    assert_eq!(said, ["now: Too many pods"]);
}

#[test]
fn what_is_ignored_is_nobodys_business() {
    let world = world([node("n")], []);
    let incoming = pod("p").asks(json!({"example.com/a": "1", "kubernetes.io/b": "1"}));
    let mut settings = Settings::default();
    let lacks = "never: Insufficient example.com/a, Insufficient kubernetes.io/b";
    assert_eq!(said_with(NodeResourcesFit, &world, &settings, &incoming), [lacks]);
    settings.ignored_resources.insert("example.com/a".into());
    // Only extended resources can be ignored.
    settings.ignored_resources.insert("kubernetes.io/b".into());
    let said = said_with(NodeResourcesFit, &world, &settings, &incoming);
    assert_eq!(said, ["never: Insufficient kubernetes.io/b"]);
    settings.ignored_resources.clear();
    settings.ignored_resource_groups.insert("example.com".into());
    let said = said_with(NodeResourcesFit, &world, &settings, &incoming);
    assert_eq!(said, ["never: Insufficient kubernetes.io/b"]);
}

#[test]
fn devices_of_a_class_stand_for_a_resource_that_the_node_has_none_of() {
    let class = super::story::object("gpus", json!({"spec": {"extendedResourceName": "example.com/gpu"}}));
    let mut world = world([node("n"), node("m").gives(json!({"example.com/gpu": "1"}))], []);
    let incoming = pod("p").asks(json!({"example.com/gpu": "2"}));
    let lacks = "never: Insufficient example.com/gpu";
    assert_eq!(said(NodeResourcesFit, &world, &incoming), [lacks, lacks]);
    world.device_classes.push(class.make());
    assert_eq!(said(NodeResourcesFit, &world, &incoming), ["fit", lacks]);
    let implicit = pod("p").asks(json!({"deviceclass.resource.kubernetes.io/gpus": "1"}));
    assert_eq!(said(NodeResourcesFit, &world, &implicit), ["fit", "fit"]);
}

/// The scores of two nodes, each of so many CPUs and bytes, with pods on them that ask for so much.
fn scored(
    strategy: &ScoringStrategy,
    nodes: [(i64, i64); 2],
    existing: &[(usize, Value)],
    incoming: Tree,
    resources: &[(&str, i64)],
) -> Vec<i64> {
    let names = ["node1", "node2"];
    let made =
        |index: usize| node(names[index]).gives(json!({"cpu": nodes[index].0, "memory": nodes[index].1}));
    let mut world = world([made(0), made(1)], []);
    for (number, (on, requests)) in existing.iter().enumerate() {
        let there = pod(&format!("q{number}")).on(names[*on]);
        let there = if requests.is_null() { there } else { there.asks(requests.clone()) };
        world.pods.push(there.make());
    }
    let weight = |(name, weight): &(&str, i64)| ResourceWeight { name: (*name).into(), weight: *weight };
    let settings = Settings {
        scoring: strategy.clone(),
        scored_resources: resources.iter().map(weight).collect(),
        ..Settings::default()
    };
    given_with(NodeResourcesFit, &world, &settings, &incoming, &names).unwrap()
}

const BOTH: &[(&str, i64)] = &[("cpu", 1), ("memory", 1)];

fn asks(cpu: i64, memory: i64) -> Value {
    json!({"cpu": cpu, "memory": memory})
}

#[test]
fn least_allocated() {
    let two = || pod("p").asks(asks(1000, 2000)).asks(asks(2000, 3000));
    for (nodes, existing, incoming, resources, expected) in [
        ([(4000, 10000); 2], vec![], pod("p"), BOTH, [100, 100]),
        ([(4000, 10000), (6000, 10000)], vec![], two(), BOTH, [37, 50]),
        (
            [(10000, 20000); 2],
            vec![(0, asks(3000, 0)), (0, asks(3000, 0)), (1, asks(3000, 0)), (1, asks(3000, 5000))],
            pod("p"),
            BOTH,
            [70, 57],
        ),
        ([(10000, 20000); 2], vec![(0, asks(3000, 0)), (1, asks(3000, 5000))], two(), BOTH, [57, 45]),
        (
            [(10000, 20000), (10000, 50000)],
            vec![(0, asks(3000, 0)), (1, asks(3000, 5000))],
            two(),
            BOTH,
            [57, 60],
        ),
        (
            [(4000, 10000); 2],
            vec![(0, asks(3000, 0)), (1, asks(3000, 5000))],
            pod("p").asks(asks(3000, 0)),
            BOTH,
            [50, 25],
        ),
        ([(0, 0); 2], vec![(0, asks(3000, 0)), (1, asks(3000, 5000))], pod("p"), BOTH, [0, 0]),
        ([(4000, 10000), (6000, 10000)], vec![], two(), &[("memory", 2), ("cpu", 1)], [41, 50]),
    ] {
        let scores = scored(&ScoringStrategy::LeastAllocated, nodes, &existing, incoming.clone(), resources);
        assert_eq!(scores, expected, "{nodes:?} {existing:?} {}", incoming.0);
    }
}

#[test]
fn most_allocated() {
    let two = || pod("p").asks(asks(1000, 2000)).asks(asks(2000, 3000));
    for (nodes, existing, incoming, resources, expected) in [
        ([(4000, 10000); 2], vec![], pod("p"), BOTH, [0, 0]),
        ([(4000, 10000), (6000, 10000)], vec![], two(), BOTH, [62, 50]),
        (
            [(10000, 20000); 2],
            vec![(0, asks(3000, 0)), (0, asks(3000, 0)), (1, asks(3000, 0)), (1, asks(3000, 5000))],
            pod("p"),
            BOTH,
            [30, 42],
        ),
        ([(10000, 20000); 2], vec![(0, asks(3000, 0)), (1, asks(3000, 5000))], two(), BOTH, [42, 55]),
        (
            [(5000, 10000), (10000, 9000)],
            vec![],
            pod("p").asks(asks(2000, 4000)).asks(asks(3000, 5000)),
            BOTH,
            [95, 75],
        ),
        ([(4000, 10000), (6000, 10000)], vec![], two(), &[("memory", 2), ("cpu", 1)], [58, 50]),
    ] {
        let scores = scored(&ScoringStrategy::MostAllocated, nodes, &existing, incoming.clone(), resources);
        assert_eq!(scores, expected, "{nodes:?} {existing:?} {}", incoming.0);
    }
}

#[test]
fn by_a_shape() {
    let point = |utilization, score| ShapePoint { utilization, score };
    let falling = ScoringStrategy::RequestedToCapacityRatio(vec![point(0, 10), point(100, 0)]);
    let two = || pod("p").asks(asks(1000, 2000)).asks(asks(2000, 3000));
    for (nodes, existing, incoming, expected) in [
        ([(4000, 10000); 2], vec![(0, Value::Null), (0, Value::Null)], pod("p"), [100, 100]),
        ([(4000, 10000), (6000, 10000)], vec![(0, Value::Null)], two(), [38, 50]),
        (
            [(4000, 10000), (6000, 10000)],
            vec![(0, asks(3000, 5000)), (1, asks(3000, 5000))],
            pod("p"),
            [38, 50],
        ),
    ] {
        let scores = scored(&falling, nodes, &existing, incoming.clone(), BOTH);
        assert_eq!(scores, expected, "{nodes:?} {existing:?} {}", incoming.0);
    }
    // Between its points a shape is straight, outside of them level; what scores nothing does not count.
    let bent = |points: &[(i32, i32)]| {
        ScoringStrategy::RequestedToCapacityRatio(
            points.iter().map(|(at, score)| point(*at, *score)).collect(),
        )
    };
    for (shape, used, expected) in [
        (bent(&[(0, 0), (100, 10)]), [25, 75], [25, 75]),
        (bent(&[(20, 2), (60, 10)]), [10, 90], [20, 100]),
        (bent(&[(20, 2), (60, 10)]), [20, 40], [20, 60]),
        (bent(&[(0, 0), (50, 10), (100, 0)]), [75, 100], [50, 0]),
    ] {
        let existing = [(0, json!({"cpu": used[0]})), (1, json!({"cpu": used[1]}))];
        let incoming = pod("p").asks(json!({"cpu": "0"}));
        let scores = scored(&shape, [(100, 0); 2], &existing, incoming, &[("cpu", 1), ("memory", 1)]);
        assert_eq!(scores, expected, "{shape:?} {used:?}");
    }
    let rising = bent(&[(0, 0), (100, 10)]);
    let existing = [(0, json!({"cpu": "0", "memory": "50"})), (1, json!({"cpu": "10", "memory": "50"}))];
    let incoming = pod("p").asks(json!({"cpu": "0", "memory": "0"}));
    assert_eq!(scored(&rising, [(100, 100); 2], &existing, incoming, BOTH), [50, 30]);
}

#[test]
fn who_asks_for_nothing_counts_with_the_least() {
    let gib = json!({"cpu": "1", "memory": "1000Mi"});
    let world = world(
        [node("a").gives(gib.clone()), node("b").gives(gib)],
        [pod("q").on("a").asks(json!({})), pod("r").on("b").asks(json!({"cpu": "0", "memory": "0"}))],
    );
    let names = ["a", "b"];
    let of = |incoming: &Tree| given_with(NodeResourcesFit, &world, &Settings::default(), incoming, &names);
    // 100m and 200Mi of the one that is there, and the same of the one to come.
    assert_eq!(of(&pod("p").asks(json!({}))), Some(vec![(80 + 60) / 2, (90 + 80) / 2]));
    // What the pod asks for as a whole says nothing here, though the filter heeds it.
    let whole = pod("p").asks(json!({})).set("spec.resources", json!({"requests": {"cpu": "500m"}}));
    assert_eq!(of(&whole), of(&pod("p").asks(json!({}))));
}

#[test]
fn who_asks_as_a_whole_counts_with_what_its_containers_ask_for() {
    let all = json!({"cpu": "1", "memory": "1000Mi"});
    let there = pod("q").on("a").asks(json!({"memory": "50Mi"})).asks(json!({}));
    let of = |there: Tree| {
        let world = world([node("a").gives(all.clone())], [there]);
        let incoming = pod("p").asks(json!({"cpu": "0", "memory": "0"}));
        given_with(NodeResourcesFit, &world, &Settings::default(), &incoming, &["a"]).unwrap()[0]
    };
    // 200m and 250Mi; and 500m and 50Mi.
    assert_eq!(of(there.clone()), (80 + 75) / 2);
    assert_eq!(of(there.set("spec.resources", json!({"requests": {"cpu": "500m"}}))), (50 + 95) / 2);
}

#[test]
fn extended_resources_score_where_they_are_asked_for() {
    let has = |name: &str, amount: &str| {
        node(name).gives(json!({"cpu": "6000", "memory": "10000", "example.com/a": amount}))
    };
    let world = world([has("node1", "4"), has("node2", "10")], []);
    let settings = Settings {
        scored_resources: ["cpu", "memory", "example.com/a"].map(ResourceWeight::of).into(),
        ..Settings::default()
    };
    let of = |requests| {
        let incoming = pod("p").asks(requests);
        given_with(NodeResourcesFit, &world, &settings, &incoming, &["node1", "node2"]).unwrap()
    };
    assert_eq!(of(json!({"cpu": "3000", "memory": "5000"})), [50, 50]);
    assert_eq!(of(json!({"cpu": "3000", "memory": "5000", "example.com/a": "2"})), [50, 60]);
}
