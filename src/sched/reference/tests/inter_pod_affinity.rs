use serde_json::{Value, json};

use super::story::{Tree, fits, given, given_with, node, object, pod, said, said_with, world};
use crate::sched::reference::Plugin::InterPodAffinity;
use crate::sched::reference::{Settings, World};

const NEAR: &str = "podAffinity";
const FAR: &str = "podAntiAffinity";

fn is(key: &str, values: &[&str]) -> Value {
    json!({"matchExpressions": [{"key": key, "operator": "In", "values": values}]})
}

fn term(selector: Value, topology: &str) -> Value {
    json!({"labelSelector": selector, "topologyKey": topology})
}

fn in_namespaces(mut term: Value, names: Value, selector: Value) -> Value {
    term["namespaces"] = names;
    term["namespaceSelector"] = selector;
    term
}

impl Tree {
    fn requires(self, what: &str, terms: &[Value]) -> Self {
        self.set(&format!("spec.affinity.{what}.requiredDuringSchedulingIgnoredDuringExecution"), terms)
    }

    fn prefers(self, what: &str, weight: i32, term: Value) -> Self {
        let terms = json!([{"weight": weight, "podAffinityTerm": term}]);
        self.set(&format!("spec.affinity.{what}.preferredDuringSchedulingIgnoredDuringExecution"), terms)
    }
}

fn service(name: &str, value: &str, on: &str) -> Tree {
    pod(name).label("service", value).on(on)
}

/// Two nodes of region r1, one of r2.
fn three() -> [Tree; 3] {
    let at = |name: &str, region: &str, zone: &str| node(name).label("region", region).label("zone", zone);
    [at("a", "r1", "z1"), at("b", "r1", "z2"), at("c", "r2", "z3")]
}

fn with_namespaces(mut world: World) -> World {
    world
        .namespaces
        .push(object("team1", json!({"metadata": {"namespace": null, "labels": {"team": "1"}}})).make());
    world
        .namespaces
        .push(object("team2", json!({"metadata": {"namespace": null, "labels": {"team": "2"}}})).make());
    world
}

#[test]
fn required_terms_keep_pods_near() {
    let like = |values: &[&str]| is("service", values);
    let near = |terms: &[Value]| pod("p").requires(NEAR, terms);
    for (incoming, expected) in [
        (pod("p"), "skip"),
        (near(&[term(like(&["web"]), "region")]), "++x"),
        (near(&[term(like(&["web"]), "zone")]), "+xx"),
        (near(&[term(like(&["web", "db"]), "zone")]), "+x+"),
        (near(&[term(like(&["none"]), "region")]), "xxx"),
        // One pod must match all terms.
        (near(&[term(like(&["web"]), "region"), term(like(&["db"]), "region")]), "xxx"),
        (near(&[term(like(&["web"]), "region"), term(like(&["web", "db"]), "zone")]), "+xx"),
        // Each term wants its own domain.
        (near(&[term(like(&["web"]), "rack")]), "xxx"),
        // The first of its kind, which matches its own terms, may go anywhere that is in a domain.
        (near(&[term(like(&["new"]), "region")]).label("service", "new"), "+++"),
        (near(&[term(like(&["new"]), "rack")]).label("service", "new"), "xxx"),
        (near(&[term(like(&["web"]), "region")]).label("service", "web"), "++x"),
        (near(&[term(Value::Null, "region")]), "xxx"),
        // Without namespaces those of the pod's own are meant.
        (near(&[term(like(&["web"]), "region")]).namespace("other"), "xxx"),
        (
            near(&[in_namespaces(term(like(&["web"]), "region"), json!(["default"]), Value::Null)])
                .namespace("other"),
            "++x",
        ),
        (near(&[in_namespaces(term(like(&["web"]), "region"), json!(["other"]), Value::Null)]), "xxx"),
    ] {
        let world = world(three(), [service("q", "web", "a"), service("r", "db", "c")]);
        assert_eq!(fits(InterPodAffinity, &world, &incoming), expected, "{}", incoming.0);
    }
}

#[test]
fn required_terms_keep_pods_apart() {
    let like = |values: &[&str]| is("service", values);
    let far = |terms: &[Value]| pod("p").requires(FAR, terms);
    let world = world(three(), [service("q", "web", "a"), service("r", "db", "c")]);
    for (incoming, expected) in [
        (far(&[term(like(&["web"]), "zone")]), "-++"),
        (far(&[term(like(&["web"]), "region")]), "--+"),
        (far(&[term(like(&["web", "db"]), "region")]), "---"),
        // Of several terms one is enough.
        (far(&[term(like(&["web"]), "zone"), term(like(&["db"]), "zone")]), "-+-"),
        (far(&[term(like(&["none"]), "zone")]), "+++"),
        (far(&[term(like(&["web"]), "rack")]), "+++"),
        (far(&[term(like(&["web"]), "zone")]).requires(NEAR, &[term(like(&["web"]), "region")]), "-+x"),
        (far(&[term(like(&["web"]), "zone")]).namespace("other"), "+++"),
    ] {
        assert_eq!(fits(InterPodAffinity, &world, &incoming), expected, "{}", incoming.0);
    }
    assert_eq!(
        said(InterPodAffinity, &world, &far(&[term(like(&["web"]), "region")])),
        [
            "now: node(s) didn't match pod anti-affinity rules",
            "now: node(s) didn't match pod anti-affinity rules",
            "fit",
        ]
    );
}

#[test]
fn who_is_there_keeps_others_away() {
    let web = || term(is("service", &["web"]), "region");
    let shy = |name: &str, on: &str| service(name, "shy", on).requires(FAR, &[web()]);
    let incoming = pod("p").label("service", "web");
    let reason = "now: node(s) didn't satisfy existing pods anti-affinity rules";
    assert_eq!(said(InterPodAffinity, &world(three(), [shy("q", "a")]), &incoming), [reason, reason, "fit"]);
    assert_eq!(fits(InterPodAffinity, &world(three(), [shy("q", "a")]), &pod("p")), "skip");
    let elsewhere = || pod("p").label("service", "web").namespace("other");
    assert_eq!(fits(InterPodAffinity, &world(three(), [shy("q", "a")]), &elsewhere()), "skip");
    // Their namespaces may be said by label; the empty selector means all.
    let said_by = |selector: Value| {
        let wide = in_namespaces(web(), Value::Null, selector);
        let there = service("q", "shy", "a").requires(FAR, &[wide]);
        fits(InterPodAffinity, &with_namespaces(world(three(), [there])), &elsewhere().namespace("team1"))
    };
    assert_eq!(said_by(json!({"matchLabels": {"team": "1"}})), "--+");
    assert_eq!(said_by(json!({"matchLabels": {"team": "2"}})), "skip");
    assert_eq!(said_by(json!({})), "--+");
    assert_eq!(said_by(Value::Null), "skip");
}

#[test]
fn a_selector_of_namespaces_is_asked_once_and_then_of_no_labels() {
    let of = |selector: Value, namespace: &str| {
        let wanted = in_namespaces(term(is("service", &["web"]), "region"), Value::Null, selector);
        let there = service("q", "web", "a").namespace(namespace);
        let world = with_namespaces(world(three(), [there]));
        fits(InterPodAffinity, &world, &pod("p").requires(FAR, &[wanted]))
    };
    assert_eq!(of(json!({"matchLabels": {"team": "1"}}), "team1"), "--+");
    assert_eq!(of(json!({"matchLabels": {"team": "1"}}), "team2"), "+++");
    assert_eq!(of(json!({}), "team2"), "--+");
    assert_eq!(of(json!({}), "unknown"), "--+");
    // Who selects namespaces does not mean his own.
    assert_eq!(of(json!({"matchLabels": {"team": "1"}}), "default"), "+++");
    // So one that wants a label to be absent matches where it is present, too.
    let absent = json!({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]});
    assert_eq!(of(absent, "team1"), "--+");
}

#[test]
fn terms_that_cannot_be_read_refuse_the_pod() {
    let broken = term(json!({"matchExpressions": [{"key": "a", "operator": "Gt"}]}), "region");
    assert_eq!(
        said(InterPodAffinity, &world(three(), []), &pod("p").requires(NEAR, &[broken])),
        ["pod never: parsing pod: requiredAffinityTerms: \"Gt\" is not a valid label selector operator"]
    );
}

fn security(name: &str, value: &str, on: &str) -> Tree {
    pod(name).label("security", value).on(on)
}

fn like(value: &str, topology: &str) -> Value {
    term(is("security", &[value]), topology)
}

#[test]
fn preferred_terms_draw_and_repel() {
    let nodes = || {
        [
            node("node1").label("region", "China").label("az", "az1"),
            node("node2").label("region", "India").label("az", "az2"),
            node("node3").label("az", "az1"),
        ]
    };
    let incoming = || pod("p").label("security", "S1");
    for (incoming, existing, expected) in [
        (incoming(), vec![security("q", "S1", "node1")], None),
        (
            incoming().prefers(NEAR, 5, like("S1", "region")),
            vec![security("q", "S1", "node1"), security("r", "S2", "node2")],
            Some([100, 0, 0]),
        ),
        (
            incoming().prefers(NEAR, 5, like("S1", "az")),
            vec![security("q", "S1", "node1")],
            Some([100, 0, 100]),
        ),
        (incoming().prefers(FAR, 5, like("S1", "az")), vec![security("q", "S1", "node1")], Some([0, 100, 0])),
        (incoming().prefers(NEAR, 5, like("S3", "region")), vec![security("q", "S1", "node1")], None),
        // Two more in one domain than in the other: the middle is the node that is in neither.
        (
            incoming().prefers(NEAR, 5, like("S1", "region")),
            vec![security("q", "S1", "node1"), security("r", "S1", "node1"), security("s", "S1", "node2")],
            Some([100, 50, 0]),
        ),
        // Symmetry: those that are there have wishes, too.
        (
            incoming(),
            vec![security("q", "S2", "node2").prefers(NEAR, 5, like("S1", "region"))],
            Some([0, 100, 0]),
        ),
        (
            incoming(),
            vec![security("q", "S2", "node2").prefers(FAR, 5, like("S1", "region"))],
            Some([100, 0, 100]),
        ),
        // What they required when they came counts a little.
        (
            incoming(),
            vec![security("q", "S2", "node1").requires(NEAR, &[like("S1", "az")])],
            Some([100, 0, 100]),
        ),
        // All scores are the same, though there are wishes.
        (
            incoming().prefers(NEAR, 5, like("S1", "region")).prefers(FAR, 5, like("S1", "region")),
            vec![security("q", "S1", "node1")],
            Some([0, 0, 0]),
        ),
        // Both of the pod and of those that are there.
        (
            incoming().prefers(NEAR, 8, like("S1", "region")).prefers(FAR, 5, like("S2", "az")),
            vec![security("q", "S1", "node1"), security("r", "S2", "node2")],
            Some([100, 0, 38]),
        ),
    ] {
        let mut world = world(nodes(), []);
        world.pods = existing.iter().map(Tree::make).collect();
        assert_eq!(given(InterPodAffinity, &world, &incoming), expected.map(Vec::from), "{}", incoming.0);
    }
}

#[test]
fn settings_say_what_required_terms_are_worth_and_whether_others_wishes_count() {
    let nodes = || [node("a").label("zone", "1"), node("b").label("zone", "2")];
    let there = security("q", "S2", "a").requires(NEAR, &[like("S1", "zone")]);
    let hard = world(nodes(), [there, security("r", "S2", "b").prefers(NEAR, 10, like("S1", "zone"))]);
    let of = |settings: &Settings, incoming: &Tree| {
        given_with(InterPodAffinity, &hard, settings, incoming, &["a", "b"])
    };
    let incoming = pod("p").label("security", "S1");
    for (weight, expected) in [(1, [0, 100]), (10, [0, 0]), (20, [100, 0]), (0, [0, 100])] {
        let settings = Settings { hard_pod_affinity_weight: weight, ..Settings::default() };
        assert_eq!(of(&settings, &incoming), Some(expected.into()), "{weight}");
    }
    // Where they are worth nothing and nobody has wishes, there is nothing to score.
    let alone = world(nodes(), [security("q", "S2", "a").requires(NEAR, &[like("S1", "zone")])]);
    for (weight, expected) in [(1, Some(vec![100, 0])), (0, None)] {
        let settings = Settings { hard_pod_affinity_weight: weight, ..Settings::default() };
        assert_eq!(
            given_with(InterPodAffinity, &alone, &settings, &incoming, &["a", "b"]),
            expected,
            "{weight}"
        );
    }
    let ignore = Settings { ignore_preferred_terms_of_existing_pods: true, ..Settings::default() };
    assert_eq!(of(&ignore, &incoming), None);
    // Who has preferences is scored by those of others, too.
    let picky = incoming.prefers(NEAR, 1, like("S9", "zone"));
    assert_eq!(of(&ignore, &picky), Some(vec![0, 100]));
    assert_eq!(said_with(InterPodAffinity, &hard, &ignore, &picky), ["skip"]);
}
