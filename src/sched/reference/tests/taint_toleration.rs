use serde_json::{Value, json};

use super::story::{Tree, fits, given, node, pod, said, world};
use crate::sched::reference::Plugin::{NodeUnschedulable, TaintToleration};

fn tainted(name: &str, taints: &[(&str, &str, &str)]) -> Tree {
    let taints: Vec<_> = taints
        .iter()
        .map(|(key, value, effect)| json!({"key": key, "value": value, "effect": effect}))
        .collect();
    node(name).set("spec.taints", taints)
}

fn tolerates(tolerations: Value) -> Tree {
    pod("p").set("spec.tolerations", tolerations)
}

#[test]
fn hard_taints_must_be_tolerated() {
    let equal = |key: &str, value: &str, effect: &str| json!([{"key": key, "operator": "Equal", "value": value, "effect": effect}]);
    for (taint, tolerations, expected) in [
        (("a", "1", "NoSchedule"), json!([]), "x"),
        (("a", "1", "NoExecute"), json!([]), "x"),
        (("a", "1", "PreferNoSchedule"), json!([]), "+"),
        (("a", "1", "NoSchedule"), equal("a", "1", "NoSchedule"), "+"),
        (("a", "1", "NoSchedule"), equal("a", "2", "NoSchedule"), "x"),
        (("a", "1", "NoSchedule"), equal("a", "1", "PreferNoSchedule"), "x"),
        (("a", "1", "NoSchedule"), equal("a", "1", ""), "+"),
        (("a", "1", "NoSchedule"), json!([{"key": "a", "operator": "Exists"}]), "+"),
        (("a", "1", "NoSchedule"), json!([{"key": "b", "operator": "Exists"}]), "x"),
        (("a", "1", "NoExecute"), json!([{"operator": "Exists"}]), "+"),
        (("a", "5", "NoSchedule"), json!([{"key": "a", "operator": "Gt", "value": "1"}]), "x"),
    ] {
        let world = world([tainted("n", &[taint])], []);
        assert_eq!(
            fits(TaintToleration, &world, &tolerates(tolerations.clone())),
            expected,
            "{taint:?} {tolerations}"
        );
    }
    let world = world([tainted("n", &[("a", "", "PreferNoSchedule"), ("b", "", "NoExecute")])], []);
    assert_eq!(said(TaintToleration, &world, &pod("p")), ["never: node(s) had untolerated taint(s)"]);
}

#[test]
fn soft_taints_make_a_node_worse() {
    let soft = |key: &'static str, value: &'static str| (key, value, "PreferNoSchedule");
    let hard = |key: &'static str, value: &'static str| (key, value, "NoSchedule");
    let toleration = |key: &str, value: &str, effect: &str| json!({"key": key, "operator": "Equal", "value": value, "effect": effect});
    let (arm, ssd) = (("cpu-type", "arm64"), ("disk-type", "ssd"));
    for (nodes, tolerations, expected) in [
        (
            vec![vec![soft("foo", "bar")], vec![soft("foo", "blah")]],
            json!([toleration("foo", "bar", "PreferNoSchedule")]),
            vec![100, 0],
        ),
        (
            vec![vec![], vec![soft(arm.0, arm.1)], vec![soft(arm.0, arm.1), soft(ssd.0, ssd.1)]],
            json!([
                toleration(arm.0, arm.1, "PreferNoSchedule"),
                toleration(ssd.0, ssd.1, "PreferNoSchedule")
            ]),
            vec![100, 100, 100],
        ),
        (
            vec![vec![], vec![soft(arm.0, arm.1)], vec![soft(arm.0, arm.1), soft(ssd.0, ssd.1)]],
            json!([toleration("foo", "bar", "PreferNoSchedule")]),
            vec![100, 50, 0],
        ),
        (
            vec![vec![], vec![hard(arm.0, arm.1)], vec![soft(arm.0, arm.1), soft(ssd.0, ssd.1)]],
            json!([toleration(arm.0, arm.1, "NoSchedule"), toleration(ssd.0, ssd.1, "NoSchedule")]),
            vec![100, 100, 0],
        ),
        (vec![vec![], vec![soft(arm.0, arm.1)]], json!([]), vec![100, 0]),
        (vec![vec![hard(arm.0, arm.1)], vec![soft(arm.0, arm.1)]], json!([]), vec![100, 0]),
    ] {
        let mut world = world([], []);
        for (index, taints) in nodes.iter().enumerate() {
            world.nodes.push(tainted(&format!("n{index}"), taints).make());
        }
        let incoming = tolerates(tolerations.clone());
        assert_eq!(given(TaintToleration, &world, &incoming), Some(expected), "{nodes:?} {tolerations}");
    }
}

#[test]
fn a_cordon_is_a_taint() {
    let key = "node.kubernetes.io/unschedulable";
    for (cordoned, tolerations, expected) in [
        (false, json!([]), "fit"),
        (true, json!([]), "never: node(s) were unschedulable"),
        (true, json!([{"key": key, "operator": "Exists"}]), "fit"),
        (true, json!([{"key": key, "effect": "NoSchedule"}]), "fit"),
        (true, json!([{"key": key, "effect": "NoExecute"}]), "never: node(s) were unschedulable"),
        (true, json!([{"key": key, "value": "true"}]), "never: node(s) were unschedulable"),
        (true, json!([{"operator": "Exists"}]), "fit"),
        (true, json!([{"key": "other", "operator": "Exists"}]), "never: node(s) were unschedulable"),
    ] {
        let world = world([node("n").set("spec.unschedulable", cordoned)], []);
        let said = said(NodeUnschedulable, &world, &tolerates(tolerations.clone()));
        assert_eq!(said, [expected], "{cordoned} {tolerations}");
    }
}
