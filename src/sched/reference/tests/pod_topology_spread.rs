use serde_json::{Value, json};

use super::story::{Tree, fits, given, given_with, node, object, pod, said, said_with, world};
use crate::sched::reference::Plugin::PodTopologySpread;
use crate::sched::reference::{DefaultConstraints, Settings, World};

const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

fn has(label: &str) -> Value {
    json!({"matchExpressions": [{"key": label, "operator": "Exists"}]})
}

fn constraint(skew: i32, key: &str, action: &str, selector: Value) -> Value {
    json!({"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": action, "labelSelector": selector})
}

fn hard(skew: i32, key: &str, label: &str) -> Value {
    constraint(skew, key, "DoNotSchedule", has(label))
}

fn soft(skew: i32, key: &str, label: &str) -> Value {
    constraint(skew, key, "ScheduleAnyway", has(label))
}

fn spreads(constraints: &[Value]) -> Tree {
    let tree = pod("p").label("foo", "");
    constraints.iter().fold(tree, |tree, one| tree.with("topologySpreadConstraints", one.clone()))
}

/// A node of a zone, which is its own domain of `node` and of hosts.
fn at(name: &str, zone: &str) -> Tree {
    node(name).label("zone", zone).label("node", name).label(HOST, name)
}

/// Four nodes of two zones.
fn four() -> [Tree; 4] {
    [at("a", "zone1"), at("b", "zone1"), at("x", "zone2"), at("y", "zone2")]
}

/// So many pods with the label `foo` on each of the nodes.
fn spread<const N: usize>(nodes: [Tree; N], counts: [usize; N]) -> World {
    let mut world = world(nodes.clone(), []);
    for (tree, count) in nodes.iter().zip(counts) {
        let on = tree.0["metadata"]["name"].as_str().unwrap();
        for number in 0..count {
            world.pods.push(pod(&format!("{on}{number}")).label("foo", "").on(on).make());
        }
    }
    world
}

#[test]
fn no_domain_may_be_too_far_above_the_emptiest() {
    let with = |mut constraint: Value, field: &str, value: Value| {
        constraint[field] = value;
        constraint
    };
    for (constraints, counts, expected) in [
        (vec![hard(1, "zone", "foo")], [0, 0, 0, 0], "++++"),
        (vec![hard(1, "zone", "bar")], [0, 0, 0, 0], "++++"),
        (vec![hard(1, "zone", "foo")], [2, 1, 0, 3], "++++"),
        (vec![hard(1, "zone", "foo")], [0, 0, 1, 1], "++--"),
        (vec![constraint(1, "zone", "DoNotSchedule", Value::Null)], [0, 0, 1, 1], "++++"),
        // The empty selector matches nobody who is there, but the pod itself.
        (vec![constraint(1, "zone", "DoNotSchedule", json!({}))], [0, 0, 1, 1], "++++"),
        (vec![hard(1, "rack", "foo")], [0, 0, 0, 0], "xxxx"),
        (vec![hard(1, "node", "foo")], [2, 1, 0, 3], "--+-"),
        (vec![hard(2, "node", "foo")], [2, 1, 0, 3], "-++-"),
        (vec![hard(1, "zone", "foo"), hard(1, "node", "foo")], [2, 1, 0, 3], "--+-"),
        (vec![hard(1, "zone", "foo"), hard(1, "node", "foo")], [1, 1, 0, 0], "--++"),
        // Where there are fewer domains than there should be, those to come are empty.
        (vec![with(hard(2, "node", "foo"), "minDomains", json!(4))], [2, 2, 1, 1], "++++"),
        (vec![with(hard(2, "node", "foo"), "minDomains", json!(5))], [2, 2, 1, 1], "--++"),
        (vec![with(hard(1, "node", "foo"), "minDomains", json!(5))], [1, 1, 1, 1], "----"),
        (vec![with(hard(1, "node", "foo"), "minDomains", json!(4))], [1, 1, 1, 1], "++++"),
        (vec![soft(1, "node", "foo")], [9, 0, 0, 0], "skip"),
    ] {
        let said = fits(PodTopologySpread, &spread(four(), counts), &spreads(&constraints));
        assert_eq!(said, expected, "{constraints:?} {counts:?}");
    }
}

#[test]
fn what_counts_and_what_does_not() {
    let two = || [at("a", "zone1"), at("b", "zone2")];
    let reason = "now: node(s) didn't match pod topology spread constraints";
    // Pods of other namespaces, and those that are being deleted, do not count.
    let others = world(
        two(),
        [
            pod("q").label("foo", "").on("a").namespace("ns1"),
            pod("r").label("foo", "").on("a").deleting(),
            pod("s").label("foo", "").on("b"),
        ],
    );
    assert_eq!(said(PodTopologySpread, &others, &spreads(&[hard(1, "zone", "foo")])), ["fit", reason]);
    // A node without the label is no domain.
    let mistyped = world(
        [at("a", "zone1"), node("b").label("zon", "zone1"), at("x", "zone2")],
        [pod("q").label("foo", "").on("b"), pod("r").label("foo", "").on("x")],
    );
    let missing = "never: node(s) didn't match pod topology spread constraints (missing required label)";
    assert_eq!(
        said(PodTopologySpread, &mistyped, &spreads(&[hard(1, "zone", "foo")])),
        ["fit", missing, reason]
    );
    // A pod that does not match itself changes nothing.
    let stranger = pod("p").label("bar", "").with("topologySpreadConstraints", hard(1, "node", "foo"));
    assert_eq!(fits(PodTopologySpread, &spread(four(), [2, 1, 0, 3]), &stranger), "-++-");
}

#[test]
fn policies_say_which_nodes_count() {
    let affine = |operator: &str, nodes: &[&str], mut constraint: Value, policy: Option<&str>| {
        if let Some(policy) = policy {
            constraint["nodeAffinityPolicy"] = policy.into();
        }
        let requirement = json!({"key": "node", "operator": operator, "values": nodes});
        let terms = json!([{"matchExpressions": [requirement]}]);
        spreads(&[constraint]).set(
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution",
            json!({"nodeSelectorTerms": terms}),
        )
    };
    let world = spread(four(), [2, 1, 0, 3]);
    let one = || hard(1, "node", "foo");
    assert_eq!(fits(PodTopologySpread, &world, &affine("In", &["a", "y"], one(), None)), "+++-");
    assert_eq!(fits(PodTopologySpread, &world, &affine("In", &["a", "y"], one(), Some("Honor"))), "+++-");
    assert_eq!(fits(PodTopologySpread, &world, &affine("In", &["a", "y"], one(), Some("Ignore"))), "--+-");
    let other = spread(four(), [0, 2, 0, 1]);
    assert_eq!(
        fits(PodTopologySpread, &other, &affine("NotIn", &["b"], hard(1, "zone", "foo"), None)),
        "++--"
    );

    let taint = json!([{"key": "t", "effect": "NoSchedule"}]);
    let tainted = [at("a", "1"), at("b", "2").set("spec.taints", taint)];
    let world = spread(tainted, [1, 0]);
    let with = |policy: Value| {
        let mut constraint = one();
        constraint["nodeTaintsPolicy"] = policy;
        spreads(&[constraint])
    };
    assert_eq!(fits(PodTopologySpread, &world, &with(Value::Null)), "-+");
    assert_eq!(fits(PodTopologySpread, &world, &with(json!("Honor"))), "++");
    let tolerant = with(json!("Honor")).set("spec.tolerations", json!([{"operator": "Exists"}]));
    assert_eq!(fits(PodTopologySpread, &world, &tolerant), "-+");
}

#[test]
fn keys_that_are_shared_narrow_the_selector() {
    let mut constraint = hard(1, "node", "foo");
    constraint["matchLabelKeys"] = json!(["rev", "absent"]);
    let world = world(
        [at("a", "1"), at("b", "2")],
        [
            pod("q").label("foo", "").label("rev", "1").on("a"),
            pod("r").label("foo", "").label("rev", "2").on("b"),
        ],
    );
    assert_eq!(fits(PodTopologySpread, &world, &spreads(&[constraint.clone()]).label("rev", "1")), "-+");
    assert_eq!(fits(PodTopologySpread, &world, &spreads(&[constraint.clone()]).label("rev", "2")), "+-");
    assert_eq!(fits(PodTopologySpread, &world, &spreads(&[constraint])), "++");
}

#[test]
fn a_selector_that_cannot_be_read_fails() {
    let broken =
        constraint(1, "zone", "DoNotSchedule", json!({"matchExpressions": [{"key": "a", "operator": "Gt"}]}));
    assert_eq!(
        said(PodTopologySpread, &spread(four(), [0; 4]), &spreads(&[broken])),
        [
            "error: get constraints from pod: obtaining pod's hard topology spread constraints: \"Gt\" is not a valid \
         label selector operator"
        ]
    );
}

fn scored(world: &World, incoming: &Tree, nodes: &[&str]) -> Option<Vec<i64>> {
    given_with(PodTopologySpread, world, &Settings::default(), incoming, nodes)
}

#[test]
fn the_emptiest_domains_are_the_best() {
    let hosts = || ["a", "b", "c", "d"].map(|name| node(name).label(HOST, name));
    let of = |skew, counts: [usize; 4]| {
        given(PodTopologySpread, &spread(hosts(), counts), &spreads(&[soft(skew, HOST, "foo")]))
    };
    for (skew, counts, expected) in [
        (1, [0, 0, 0, 0], [100, 100, 100, 100]),
        (1, [1, 1, 1, 1], [100, 100, 100, 100]),
        (1, [2, 1, 0, 3], [20, 60, 100, 0]),
        (2, [2, 1, 0, 3], [33, 66, 100, 16]),
        (3, [4, 3, 2, 1], [44, 66, 77, 100]),
    ] {
        assert_eq!(of(skew, counts), Some(expected.into()), "{skew} {counts:?}");
    }
    let nothing = spreads(&[constraint(1, HOST, "ScheduleAnyway", Value::Null)]);
    assert_eq!(given(PodTopologySpread, &spread(hosts(), [2, 1, 0, 3]), &nothing), Some(vec![100; 4]));
    assert_eq!(given(PodTopologySpread, &spread(hosts(), [2, 1, 0, 3]), &spreads(&[])), None);
}

#[test]
fn only_nodes_that_fit_are_compared() {
    let soft_host = || spreads(&[soft(1, HOST, "foo")]);
    let world = spread(four(), [4, 2, 1, 3]);
    assert_eq!(scored(&world, &soft_host(), &["a", "b", "x"]), Some(vec![33, 83, 100]));
    let by_zone = spreads(&[soft(1, "zone", "foo")]);
    assert_eq!(scored(&world, &by_zone, &["a", "b", "x"]), Some(vec![75, 75, 100]));
    let both = spreads(&[soft(1, "zone", "foo"), soft(1, HOST, "foo")]);
    assert_eq!(scored(&spread(four(), [2, 1, 2, 4]), &both, &["a", "x"]), Some(vec![100, 63]));
    // What is on a node that is in no domain of one constraint counts for none.
    let mut nodes = four();
    nodes[3] = node("y").label("zone", "zone2");
    assert_eq!(scored(&spread(nodes, [1, 0, 0, 3]), &both, &["a", "x"]), Some(vec![0, 100]));
    // A node that is in no domain of a constraint is the worst.
    let mut nodes = four();
    nodes[1] = node("b").label("n", "b");
    assert_eq!(scored(&spread(nodes, [4, 2, 1, 3]), &soft_host(), &["a", "b", "x"]), Some(vec![16, 0, 100]));
}

#[test]
fn constraints_add_up() {
    let incoming = spreads(&[soft(1, "zone", "foo"), soft(1, HOST, "bar")]);
    let world = world(
        four(),
        [
            pod("a1").label("foo", "").on("a"),
            pod("b1").label("foo", "").label("bar", "").on("b"),
            pod("y1").label("foo", "").on("y"),
            pod("y2").label("bar", "").on("y"),
        ],
    );
    assert_eq!(given(PodTopologySpread, &world, &incoming), Some(vec![60, 20, 100, 60]));
}

#[test]
fn pods_of_a_service_spread_without_saying_so() {
    let hosts = ["a", "b", "c", "d"].map(|name| node(name).label(HOST, name));
    let mut world = spread(hosts, [4, 3, 2, 1]);
    let incoming = pod("p").label("foo", "");
    assert_eq!(given(PodTopologySpread, &world, &incoming), None);
    world.services.push(object("s", json!({"spec": {"selector": {"foo": ""}}})).make());
    assert_eq!(given(PodTopologySpread, &world, &incoming), Some(vec![44, 66, 77, 100]));
    // The service of another namespace is not theirs, and who says something of spread is not asked.
    assert_eq!(given(PodTopologySpread, &world, &pod("p").label("foo", "").namespace("other")), None);
    assert_eq!(given(PodTopologySpread, &world, &spreads(&[hard(1, HOST, "foo")])), None);
}

#[test]
fn what_owns_a_pod_says_what_it_belongs_to() {
    let owned = |kind: &str, version: &str| {
        let owner =
            json!([{"kind": kind, "apiVersion": version, "name": "o", "uid": "u", "controller": true}]);
        pod("p").label("foo", "").label("app", "x").set("metadata.ownerReferences", owner)
    };
    let mut world = spread(["a", "b"].map(|name| node(name).label(HOST, name)), [1, 0]);
    let set = json!({"spec": {"selector": {"matchLabels": {"foo": ""}}, "serviceName": ""}});
    for (kind, version, expected) in [
        ("ReplicaSet", "apps/v1", None),
        ("StatefulSet", "apps/v1", None),
        ("ReplicationController", "v1", None),
    ] {
        assert_eq!(given(PodTopologySpread, &world, &owned(kind, version)), expected, "{kind}");
    }
    world.replica_sets.push(object("o", set.clone()).make());
    world.stateful_sets.push(object("o", set).make());
    world.replication_controllers.push(object("o", json!({"spec": {"selector": {"foo": ""}}})).make());
    // Skew 3: 1 * ln(4) + 2 and 2, rounded to 3 and 2.
    for (kind, version) in
        [("ReplicaSet", "apps/v1"), ("StatefulSet", "apps/v1"), ("ReplicationController", "v1")]
    {
        assert_eq!(given(PodTopologySpread, &world, &owned(kind, version)), Some(vec![66, 100]), "{kind}");
    }
    assert_eq!(given(PodTopologySpread, &world, &owned("ReplicaSet", "extensions/v1beta1")), None);
    // A service asks for more: then both must match.
    world.services.push(object("s", json!({"spec": {"selector": {"app": "x"}}})).make());
    assert_eq!(given(PodTopologySpread, &world, &owned("ReplicaSet", "apps/v1")), Some(vec![100, 100]));
}

#[test]
fn a_profile_may_have_constraints_of_its_own() {
    let mut world = spread(four(), [1, 0, 0, 0]);
    world.services.push(object("s", json!({"spec": {"selector": {"foo": ""}}})).make());
    let list = serde_json::from_value(json!([
        {"maxSkew": 1, "topologyKey": "node", "whenUnsatisfiable": "DoNotSchedule"},
        {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway"},
    ]));
    let settings =
        Settings { default_constraints: DefaultConstraints::List(list.unwrap()), ..Settings::default() };
    let incoming = pod("p").label("foo", "");
    let reason = "now: node(s) didn't match pod topology spread constraints";
    let said = |incoming: &Tree| said_with(PodTopologySpread, &world, &settings, incoming);
    assert_eq!(said(&incoming), [reason, "fit", "fit", "fit"]);
    assert_eq!(said(&pod("p")), ["skip"]);
    // Its constraints are strict, where the system's take nodes without a zone.
    let nodes = ["b", "x", "y"];
    assert_eq!(given_with(PodTopologySpread, &world, &settings, &incoming, &nodes), Some(vec![0, 0, 0]));
    assert_eq!(scored(&world, &incoming, &["a", "b"]), Some(vec![66, 100]));
}
