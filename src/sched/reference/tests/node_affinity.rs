use serde_json::{Value, json};

use super::story::{Tree, fits, given, given_with, node, pod, said, said_with, world};
use crate::sched::reference::Plugin::NodeAffinity;
use crate::sched::reference::Settings;

fn requires(terms: Value) -> Tree {
    let path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";
    pod("p").set(path, json!({"nodeSelectorTerms": terms}))
}

fn prefers(terms: Value) -> Tree {
    pod("p").set("spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution", terms)
}

fn term(key: &str, operator: &str, values: &[&str]) -> Value {
    json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]})
}

#[test]
fn selectors_and_required_terms_must_match() {
    let labelled = node("n").label("foo", "bar").label("level", "5");
    for (incoming, expected) in [
        (pod("p"), "skip"),
        (pod("p").set("spec.nodeSelector", json!({"foo": "bar"})), "+"),
        (pod("p").set("spec.nodeSelector", json!({"foo": "other"})), "x"),
        (pod("p").set("spec.nodeSelector", json!({"foo": "bar", "absent": ""})), "x"),
        (pod("p").set("spec.nodeSelector", json!({})), "+"),
        (requires(json!([term("foo", "In", &["bar", "value2"])])), "+"),
        (requires(json!([term("foo", "NotIn", &["bar"])])), "x"),
        (requires(json!([term("absent", "NotIn", &["bar"])])), "+"),
        (requires(json!([term("level", "Gt", &["4"])])), "+"),
        (requires(json!([term("level", "Gt", &["5"])])), "x"),
        (requires(json!([term("level", "Lt", &["x"])])), "x"),
        (requires(json!([term("foo", "Exists", &[])])), "+"),
        (requires(json!([term("foo", "DoesNotExist", &[])])), "x"),
        // Terms are alternatives; what is in one of them must all hold.
        (requires(json!([term("foo", "In", &["x"]), term("level", "Exists", &[])])), "+"),
        (
            requires(json!([{"matchExpressions": [{"key": "foo", "operator": "Exists"},
                                               {"key": "level", "operator": "In", "values": ["6"]}]}])),
            "x",
        ),
        // An empty term, and one that cannot be read, match nothing.
        (requires(json!([{}])), "x"),
        (requires(json!([])), "x"),
        (requires(json!([term("foo", "In", &[]), term("foo", "Exists", &[])])), "+"),
        (requires(json!([term("foo", "Exists", &[])])).set("spec.nodeSelector", json!({"foo": "no"})), "x"),
    ] {
        assert_eq!(fits(NodeAffinity, &world([labelled.clone()], []), &incoming), expected, "{}", incoming.0);
    }
}

#[test]
fn terms_that_name_nodes_leave_no_others() {
    let field = |operator: &str, values: &[&str]| json!({"key": "metadata.name", "operator": operator, "values": values});
    let by_name = |fields: &[Value]| json!({"matchFields": fields});
    for (terms, expected) in [
        (json!([by_name(&[field("In", &["a"])])]), "only: a"),
        (json!([by_name(&[field("In", &["a"])]), by_name(&[field("In", &["b"])])]), "only: a,b"),
        (json!([by_name(&[field("In", &["a", "b"]), field("In", &["b", "c"])])]), "only: b"),
        (
            json!([by_name(&[field("In", &["a"]), field("In", &["b"])])]),
            "pod never: pod affinity terms conflict",
        ),
        (
            json!([{"matchFields": [field("In", &["c"])],
                 "matchExpressions": [{"key": "foo", "operator": "Exists"}]}]),
            "only: c",
        ),
    ] {
        let incoming = requires(terms.clone());
        assert_eq!(said(NodeAffinity, &world([node("a")], []), &incoming), [expected], "{terms}");
    }
    // One term that names none, and all come into question.
    for (terms, expected) in [
        (json!([by_name(&[field("In", &["a"])]), term("foo", "Exists", &[])]), "+x"),
        (json!([by_name(&[field("NotIn", &["a"])])]), "x+"),
        (json!([by_name(&[field("NotIn", &["a", "b"])])]), "xx"),
    ] {
        let world = world([node("a"), node("b")], []);
        assert_eq!(fits(NodeAffinity, &world, &requires(terms.clone())), expected, "{terms}");
    }
}

#[test]
fn the_profile_may_add_an_affinity() {
    let world = world([node("a").label("zone", "1"), node("b").label("zone", "2")], []);
    let mut settings = Settings::default();
    let required = json!({"nodeSelectorTerms": [term("zone", "In", &["1"])]});
    let preferred = json!([{"weight": 4, "preference": term("zone", "In", &["2"])}]);
    settings.added_affinity = serde_json::from_value(json!({
        "requiredDuringSchedulingIgnoredDuringExecution": required,
        "preferredDuringSchedulingIgnoredDuringExecution": preferred,
    }))
    .unwrap();
    let enforced = "never: node(s) didn't match scheduler-enforced node affinity";
    assert_eq!(said_with(NodeAffinity, &world, &settings, &pod("p")), ["fit", enforced]);
    let own = pod("p").set("spec.nodeSelector", json!({"zone": "2"}));
    let lacks = "never: node(s) didn't match Pod's node affinity/selector";
    assert_eq!(said_with(NodeAffinity, &world, &settings, &own), [lacks, enforced]);
    let nodes = ["a", "b"];
    assert_eq!(given_with(NodeAffinity, &world, &settings, &pod("p"), &nodes), Some(vec![0, 100]));
    let both = prefers(json!([{"weight": 1, "preference": term("zone", "In", &["1"])}]));
    assert_eq!(given_with(NodeAffinity, &world, &settings, &both, &nodes), Some(vec![25, 100]));
}

#[test]
fn preferred_terms_add_up() {
    let world = world(
        [
            node("node1").label("foo", "bar"),
            node("node2").label("key", "value").label("az", "az1"),
            node("node5").label("foo", "bar").label("key", "value").label("az", "az1"),
        ],
        [],
    );
    let foo = json!({"weight": 2, "preference": term("foo", "In", &["bar"])});
    let key = json!({"weight": 4, "preference": term("key", "In", &["value"])});
    let all = json!({"weight": 5, "preference": {"matchExpressions": [
        {"key": "foo", "operator": "In", "values": ["bar"]}, {"key": "key", "operator": "In", "values": ["value"]},
        {"key": "az", "operator": "In", "values": ["az1"]}]}});
    for (terms, expected) in [
        (json!([foo]), [100, 0, 100]),
        (json!([foo, key, all]), [18, 36, 100]),
        (json!([{"weight": 1, "preference": {}}]), [0, 0, 0]),
        (json!([{"weight": 0, "preference": term("foo", "In", &[])}]), [0, 0, 0]),
        (json!([]), [0, 0, 0]),
    ] {
        assert_eq!(given(NodeAffinity, &world, &prefers(terms.clone())), Some(expected.into()), "{terms}");
    }
    assert_eq!(given(NodeAffinity, &world, &pod("p")), None);
}
