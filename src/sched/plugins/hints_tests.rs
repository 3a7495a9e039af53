//! What each plugin is woken by, as tables: an event, a pod that was rejected, and whether it helps.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

use super::*;
use crate::sched::testing::{NodeStory, PodStory, node, pod};
use crate::sched::{EventKinds, Happening, Plugin, PodInfo, Snapshot};

/// A world in which things happen to a pod that waits.
#[derive(Default)]
struct World(Snapshot);

impl World {
    fn info(&mut self, pod: Arc<Pod>) -> Arc<PodInfo> {
        Arc::new(self.0.read(pod))
    }

    /// Whether the queue would wake the pod.
    fn wakes(&self, plugin: &dyn Plugin, event: &Happening, pod: &PodInfo) -> bool {
        plugin.wakes_on().meets(event.kinds()) && plugin.helps(&event.event(), pod, &self.0)
    }
}

/// What happened, in stories.
enum Told {
    Node(NodeStory),
    NodeGone(NodeStory),
    Became(NodeStory, NodeStory),
    Placed(PodStory),
    Gone(PodStory),
    Turned(PodStory, PodStory),
    /// The waiting pod itself.
    Itself(PodStory, PodStory),
}

fn happening(world: &mut World, told: Told) -> Happening {
    match told {
        Told::Node(node) => Happening::node_added(node.make()),
        Told::NodeGone(node) => Happening::node_removed(node.make()),
        Told::Became(old, new) => Happening::node_updated(old.make(), new.make()),
        Told::Placed(pod) => Happening::pod_added(world.info(pod.on("n").make())),
        Told::Gone(pod) => Happening::pod_removed(world.info(pod.on("n").make())),
        Told::Turned(old, new) => {
            let old = world.info(old.on("n").make());
            Happening::pod_updated(old, world.info(new.on("n").make()))
        }
        Told::Itself(old, new) => {
            let old = world.info(old.make());
            Happening::changed(old, world.info(new.make()))
        }
    }
}

fn check(plugin: &dyn Plugin, waits: &PodStory, table: Vec<(&str, Told, bool)>) {
    for (what, told, expected) in table {
        let mut world = World::default();
        let waiting = world.info(waits.clone().make());
        let event = happening(&mut world, told);
        assert_eq!(world.wakes(plugin, &event, &waiting), expected, "{}: {what}", plugin.name());
    }
}

#[test]
fn who_lacks_room_is_woken_by_room_of_what_it_asks_for() {
    let plugin = NodeResourcesFit;
    let n = || node("n").cpu("4").memory("4Gi");
    let table = vec![
        ("a pod that goes", Told::Gone(pod("b").cpu("1m")), true),
        ("a pod that comes", Told::Placed(pod("b")), false),
        ("a pod that asks for less CPU", Told::Turned(pod("b").cpu("2"), pod("b").cpu("1")), true),
        (
            "a pod that asks for less memory",
            Told::Turned(pod("b").memory("2Gi"), pod("b").memory("1Gi")),
            false,
        ),
        ("a pod that asks for more", Told::Turned(pod("b").cpu("1"), pod("b").cpu("2")), false),
        ("a pod with other labels", Told::Turned(pod("b").app("x"), pod("b").app("y")), false),
        ("less asked for by itself", Told::Itself(pod("a").cpu("9"), pod("a").cpu("2")), true),
        ("more asked for by itself", Told::Itself(pod("a").cpu("1"), pod("a").cpu("2")), false),
        ("other labels of its own", Told::Itself(pod("a").app("x"), pod("a").app("y")), false),
        ("a node that is large enough", Told::Node(n()), true),
        ("a node that is too small", Told::Node(node("n").cpu("1")), false),
        ("a node that takes no pods at all", Told::Node(n().gives("pods", "0")), false),
        ("a node that grows enough", Told::Became(node("n").cpu("1"), n()), true),
        (
            "a node that grows and is still too small",
            Told::Became(node("n").cpu("1"), node("n").cpu("1500m")),
            false,
        ),
        ("a node with more of something else", Told::Became(n(), n().memory("8Gi")), false),
        ("a node that takes more pods", Told::Became(n(), n().gives("pods", "200")), true),
        ("a node with other labels", Told::Became(n(), n().label("l", "v")), false),
        ("a node that goes", Told::NodeGone(n()), false),
    ];
    check(&plugin, &pod("a").cpu("2"), table);
    let scarce = |amount: &str| n().gives("example.com/gpu", amount);
    let table = vec![
        ("a node with enough of a scarce thing", Told::Node(scarce("2")), true),
        ("a node without", Told::Node(n()), false),
        ("a node that gets enough of it", Told::Became(scarce("1"), scarce("2")), true),
        (
            "a pod that lets one go",
            Told::Turned(pod("b").asks("example.com/gpu", "2"), pod("b").asks("example.com/gpu", "1")),
            true,
        ),
    ];
    check(&plugin, &pod("a").asks("example.com/gpu", "2"), table);
}

#[test]
fn who_tolerates_too_little_is_woken_where_it_would_be_tolerated() {
    let tainted = || node("n").taint("t", "NoSchedule");
    let table = vec![
        ("a node without taints", Told::Node(node("n")), true),
        ("a node with the same taint", Told::Node(tainted()), false),
        ("a node with a soft taint", Told::Node(node("n").taint("t", "PreferNoSchedule")), true),
        ("a taint that goes", Told::Became(tainted(), node("n")), true),
        ("a taint that comes", Told::Became(node("n"), tainted()), false),
        ("another taint in its place", Told::Became(tainted(), node("n").taint("u", "NoExecute")), false),
        ("a node that is uncordoned", Told::Became(node("n").cordoned(), node("n")), false),
        ("other labels of the node", Told::Became(tainted(), tainted().label("l", "v")), false),
        ("what it tolerates now", Told::Itself(pod("a"), pod("a").tolerates("t")), true),
        ("other labels of its own", Told::Itself(pod("a"), pod("a").app("x")), false),
        ("a pod that goes", Told::Gone(pod("b")), false),
    ];
    check(&TaintToleration, &pod("a"), table);
    check(
        &TaintToleration,
        &pod("a").tolerates("t"),
        vec![("a taint that it tolerates", Told::Node(tainted()), true)],
    );
}

#[test]
fn who_found_nodes_cordoned_is_woken_when_one_is_not() {
    let table = vec![
        ("a node", Told::Node(node("n")), true),
        ("a cordoned node", Told::Node(node("n").cordoned()), false),
        ("a node that is uncordoned", Told::Became(node("n").cordoned(), node("n")), true),
        ("a node that is cordoned", Told::Became(node("n"), node("n").cordoned()), false),
        ("a taint that goes", Told::Became(node("n").taint("t", "NoSchedule"), node("n")), false),
        (
            "tolerating it",
            Told::Itself(pod("a"), pod("a").tolerates("node.kubernetes.io/unschedulable")),
            true,
        ),
        ("tolerating something else", Told::Itself(pod("a"), pod("a").tolerates("t")), false),
    ];
    check(&NodeUnschedulable, &pod("a"), table);
}

#[test]
fn who_selects_nodes_is_woken_by_one_that_it_selects_now() {
    let table = vec![
        ("a node that it selects", Told::Node(node("n").label("disk", "ssd")), true),
        ("another node", Told::Node(node("n").label("disk", "hdd")), false),
        ("a node that gets the label", Told::Became(node("n"), node("n").label("disk", "ssd")), true),
        ("a node that loses it", Told::Became(node("n").label("disk", "ssd"), node("n")), false),
        (
            "a node that it selected before",
            Told::Became(node("n").label("disk", "ssd"), node("n").label("disk", "ssd").label("l", "v")),
            false,
        ),
        (
            "a taint",
            Told::Became(
                node("n").label("disk", "ssd").taint("t", "NoSchedule"),
                node("n").label("disk", "ssd"),
            ),
            false,
        ),
        ("a pod that goes", Told::Gone(pod("b")), false),
    ];
    check(&NodeAffinity, &pod("a").selects("disk", "ssd"), table);
}

#[test]
fn who_names_its_node_is_woken_by_nodes_that_come() {
    let table = vec![
        ("a node", Told::Node(node("n")), true),
        ("a node that changes", Told::Became(node("n"), node("n").label("l", "v")), false),
        ("a node that goes", Told::NodeGone(node("n")), false),
    ];
    check(&NodeName, &pod("a"), table);
}

#[test]
fn who_wants_a_port_is_woken_when_it_is_given_back() {
    let table = vec![
        ("a node", Told::Node(node("n")), true),
        ("a pod with that port that goes", Told::Gone(pod("b").port(80)), true),
        ("a pod with another port that goes", Told::Gone(pod("b").port(81)), false),
        ("a pod without ports that goes", Told::Gone(pod("b")), false),
        ("a pod that comes", Told::Placed(pod("b").port(80)), false),
        ("a node that changes", Told::Became(node("n"), node("n").label("l", "v")), false),
    ];
    check(&NodePorts, &pod("a").port(80), table);
}

#[test]
fn who_is_gated_is_woken_when_the_last_gate_goes() {
    let gated = |names: &[&str]| {
        let gates: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        pod("a").set("schedulingGates", json!(gates))
    };
    let table = vec![
        ("all gates", Told::Itself(gated(&["g", "h"]), pod("a")), true),
        ("one of two", Told::Itself(gated(&["g", "h"]), gated(&["g"])), false),
        ("labels", Told::Itself(gated(&["g"]), gated(&["g"]).app("x")), false),
        ("a node", Told::Node(node("n")), false),
    ];
    check(&SchedulingGates, &gated(&["g", "h"]), table);
}

fn spreads(taints: &str) -> PodStory {
    pod("a").app("web").set(
        "topologySpreadConstraints",
        json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                "nodeTaintsPolicy": taints, "labelSelector": {"matchLabels": {"app": "web"}}}]),
    )
}

#[test]
fn who_spreads_is_woken_by_pods_that_count_and_by_domains() {
    let zoned = |zone: &str| node("n").label("zone", zone);
    let elsewhere = |story: PodStory| {
        let mut pod: Value = serde_json::to_value(&*story.make()).unwrap();
        pod["metadata"]["namespace"] = "other".into();
        Arc::new(serde_json::from_value::<Pod>(pod).unwrap())
    };
    let table = vec![
        ("a pod that counts", Told::Placed(pod("b").app("web")), true),
        ("a pod that counts and goes", Told::Gone(pod("b").app("web")), true),
        ("a pod that does not count", Told::Placed(pod("b").app("db")), false),
        ("a pod that counts no more", Told::Turned(pod("b").app("web"), pod("b").app("db")), true),
        ("a pod that never counted", Told::Turned(pod("b").app("db"), pod("b").app("mq")), false),
        (
            "a pod that asks for less",
            Told::Turned(pod("b").app("web").cpu("2"), pod("b").app("web").cpu("1")),
            false,
        ),
        ("a node in a domain", Told::Node(zoned("z")), true),
        ("a node in none", Told::Node(node("n")), false),
        ("a node in a domain that goes", Told::NodeGone(zoned("z")), true),
        ("a node in none that goes", Told::NodeGone(node("n")), false),
        ("a node that joins", Told::Became(node("n"), zoned("z")), true),
        ("a node that moves", Told::Became(zoned("y"), zoned("z")), true),
        ("a node with other labels", Told::Became(zoned("z"), zoned("z").label("l", "v")), false),
        ("a taint that goes", Told::Became(zoned("z").taint("t", "NoSchedule"), zoned("z")), true),
        ("a taint that goes elsewhere", Told::Became(node("n").taint("t", "NoSchedule"), node("n")), false),
        ("its own labels", Told::Itself(spreads("Ignore").app("db"), spreads("Ignore")), true),
        ("what it tolerates", Told::Itself(spreads("Ignore"), spreads("Ignore").tolerates("t")), false),
    ];
    check(&PodTopologySpread::default(), &spreads("Ignore"), table);
    let tolerates = Told::Itself(spreads("Honor"), spreads("Honor").tolerates("t"));
    check(&PodTopologySpread::default(), &spreads("Honor"), vec![("what it tolerates", tolerates, true)]);

    let mut world = World::default();
    let waiting = world.info(spreads("Ignore").make());
    let other = world.info(elsewhere(pod("b").app("web").on("n")));
    assert!(!world.wakes(&PodTopologySpread::default(), &Happening::pod_added(other), &waiting));
}

fn terms(apps: &[&str], key: &str) -> Value {
    let term = |app: &&str| json!({"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}});
    json!({"requiredDuringSchedulingIgnoredDuringExecution": apps.iter().map(term).collect::<Vec<_>>()})
}

#[test]
fn who_wants_company_is_woken_by_it() {
    let waits = pod("a").app("web").set("affinity", json!({"podAffinity": terms(&["db"], "zone")}));
    let table = vec![
        ("the company", Told::Placed(pod("b").app("db")), true),
        ("another", Told::Placed(pod("b").app("mq")), false),
        ("the company that goes", Told::Gone(pod("b").app("db")), false),
        ("one that becomes it", Told::Turned(pod("b").app("mq"), pod("b").app("db")), true),
        ("one that is it no more", Told::Turned(pod("b").app("db"), pod("b").app("mq")), false),
        ("a node in a domain", Told::Node(node("n").label("zone", "z")), true),
        ("a node in none", Told::Node(node("n")), false),
        ("a node that joins", Told::Became(node("n"), node("n").label("zone", "z")), true),
        ("a node that moves", Told::Became(node("n").label("zone", "y"), node("n").label("zone", "z")), true),
        ("a node that leaves", Told::Became(node("n").label("zone", "z"), node("n")), false),
        (
            "a node with other labels",
            Told::Became(node("n").label("zone", "z"), node("n").label("zone", "z").label("l", "v")),
            false,
        ),
        ("its own labels", Told::Itself(pod("a").app("x"), pod("a").app("web")), true),
    ];
    check(&InterPodAffinity::default(), &waits, table);
    // The first of its kind needs no company but when there is some in a place that it cannot get to.
    let itself = pod("a").app("db").set("affinity", json!({"podAffinity": terms(&["db"], "zone")}));
    check(
        &InterPodAffinity::default(),
        &itself,
        vec![("the last that goes", Told::Gone(pod("b").app("db")), true)],
    );
}

#[test]
fn who_wants_to_be_alone_is_woken_when_others_go() {
    let waits = pod("a").app("web").set("affinity", json!({"podAntiAffinity": terms(&["db", "mq"], "zone")}));
    let shunning = || pod("b").set("affinity", json!({"podAntiAffinity": terms(&["web"], "zone")}));
    let table = vec![
        ("one that it shuns that goes", Told::Gone(pod("b").app("db")), true),
        ("one that it does not shun that goes", Told::Gone(pod("b").app("x")), false),
        ("one that shuns it that goes", Told::Gone(shunning()), true),
        ("one that it shuns that comes", Told::Placed(pod("b").app("db")), false),
        ("one that it shuns no more", Told::Turned(pod("b").app("db"), pod("b").app("x")), true),
        ("one that it shuns now", Told::Turned(pod("b").app("x"), pod("b").app("db")), false),
        ("any node", Told::Node(node("n")), true),
        ("a node that leaves its domain", Told::Became(node("n").label("zone", "z"), node("n")), true),
        ("a node that moves", Told::Became(node("n").label("zone", "y"), node("n").label("zone", "z")), true),
        ("a node that joins", Told::Became(node("n"), node("n").label("zone", "z")), false),
    ];
    check(&InterPodAffinity::default(), &waits, table);
    // One that wants nothing and is shunned.
    let mut world = World::default();
    let waiting = world.info(pod("a").app("web").make());
    let shunned = world.info(shunning().on("n").make());
    let come = |name: &str| Happening::node_added(node(name).make());
    assert!(!world.wakes(&InterPodAffinity::default(), &come("m"), &waiting));
    world.0.place(shunned, "n");
    assert!(world.wakes(&InterPodAffinity::default(), &come("m"), &waiting));
}

#[test]
fn a_heartbeat_is_no_event() {
    let beat = |time: &str| -> Arc<Node> {
        let mut node: Value = serde_json::to_value(&*node("n").make()).unwrap();
        node["status"]["conditions"] =
            json!([{"type": "Ready", "status": "True", "lastHeartbeatTime": time}]);
        Arc::new(serde_json::from_value(node).unwrap())
    };
    let event = Happening::node_updated(beat("2020-01-01T00:00:00Z"), beat("2020-01-01T00:00:10Z"));
    assert_eq!(event.kinds(), EventKinds::NONE);
}
