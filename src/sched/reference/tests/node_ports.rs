use serde_json::{Value, json};

use super::story::{fits, node, pod, said, world};
use crate::sched::reference::Plugin::NodePorts;

fn port(address: &str, protocol: &str, number: u16) -> Value {
    json!({"containerPort": number, "hostPort": number, "hostIP": address, "protocol": protocol})
}

#[test]
fn a_port_is_one_pods() {
    for (wanted, taken, expected) in [
        (port("127.0.0.1", "UDP", 8080), port("127.0.0.1", "UDP", 9090), "+"),
        (port("127.0.0.1", "UDP", 8080), port("127.0.0.1", "UDP", 8080), "-"),
        (port("127.0.0.1", "TCP", 8080), port("127.0.0.1", "UDP", 8080), "+"),
        (port("127.0.0.1", "TCP", 8080), port("127.0.0.2", "TCP", 8080), "+"),
        (port("127.0.0.1", "TCP", 8001), port("0.0.0.0", "TCP", 8001), "-"),
        (port("0.0.0.0", "TCP", 8001), port("127.0.0.1", "TCP", 8001), "-"),
        (port("", "TCP", 8001), port("127.0.0.1", "TCP", 8001), "-"),
        (port("127.0.0.1", "", 8001), port("127.0.0.1", "TCP", 8001), "-"),
        (port("0.0.0.0", "TCP", 8001), port("0.0.0.0", "SCTP", 8001), "+"),
    ] {
        let world = world([node("n")], [pod("q").on("n").takes(taken.clone())]);
        assert_eq!(fits(NodePorts, &world, &pod("p").takes(wanted.clone())), expected, "{wanted} {taken}");
    }
}

#[test]
fn only_ports_of_the_node_that_are_kept_count() {
    let world = world([node("n")], [pod("q").on("n").takes(port("", "TCP", 80))]);
    assert_eq!(fits(NodePorts, &world, &pod("p")), "skip");
    assert_eq!(fits(NodePorts, &world, &pod("p").takes(json!({"containerPort": 80}))), "skip");
    assert_eq!(fits(NodePorts, &world, &pod("p").takes(json!({"containerPort": 80, "hostPort": 0}))), "skip");
    let before = json!({"name": "i", "ports": [port("", "TCP", 80)]});
    assert_eq!(fits(NodePorts, &world, &pod("p").with("initContainers", before.clone())), "skip");
    let mut sidecar = before;
    sidecar["restartPolicy"] = "Always".into();
    let reason = "now: node(s) didn't have free ports for the requested pod ports";
    assert_eq!(said(NodePorts, &world, &pod("p").with("initContainers", sidecar)), [reason]);
}
