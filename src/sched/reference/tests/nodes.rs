use serde_json::json;

use super::story::{fits, node, pod, said, world};
use crate::sched::reference::Plugin::{self, NodeName};
use crate::sched::reference::{Judgement, Settings, judge};

#[test]
fn a_pod_that_names_its_node_goes_there() {
    for (wanted, nodes, expected) in [
        (None, ["a", "b"], "++"),
        (Some(""), ["a", "b"], "++"),
        (Some("a"), ["a", "b"], "+x"),
        (Some("b"), ["a", "b"], "x+"),
        (Some("c"), ["a", "b"], "xx"),
        (Some("a"), ["a1", "aa"], "xx"),
        (Some("A"), ["a", "b"], "xx"),
        (Some("b"), ["b", "a"], "+x"),
    ] {
        let incoming = match wanted {
            Some(name) => pod("p").on(name),
            None => pod("p"),
        };
        assert_eq!(fits(NodeName, &world(nodes.map(node), []), &incoming), expected, "{wanted:?} {nodes:?}");
    }
    let reason = "never: node(s) didn't match the requested node name";
    assert_eq!(said(NodeName, &world([node("a")], []), &pod("p").on("b")), [reason]);
}

#[test]
fn a_pod_with_gates_waits() {
    for (gates, expected) in [
        (json!([]), None),
        (json!([{"name": "foo"}]), Some("waiting for scheduling gates: [foo]")),
        (
            json!([{"name": "foo"}, {"name": "bar.com/x"}]),
            Some("waiting for scheduling gates: [foo bar.com/x]"),
        ),
    ] {
        let incoming = pod("p").set("spec.schedulingGates", gates.clone());
        let judgement = judge(&world([node("n")], []), &Settings::default(), &incoming.make());
        match (judgement, expected) {
            (Judgement::Waiting { plugin, message }, Some(expected)) => {
                assert_eq!((plugin, message.as_str()), (Plugin::SchedulingGates, expected));
            }
            (Judgement::Schedulable { .. }, None) => {}
            (judgement, _) => panic!("{gates}: {judgement:?}"),
        }
    }
}
