use serde_json::{Value, json};

use super::story::{Tree, pod};
use crate::sched::reference::requests::{Reckoning, least, pod_requests};

fn shown(tree: &Tree, how: &Reckoning) -> String {
    let amounts = pod_requests(&tree.make(), how);
    amounts.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(" ")
}

fn init(cpu: &str, stays: bool) -> Value {
    let policy = if stays { json!("Always") } else { Value::Null };
    json!({"name": format!("i-{cpu}"), "restartPolicy": policy, "resources": {"requests": {"cpu": cpu}}})
}

#[test]
fn containers_that_run_together_add_up() {
    let how = Reckoning { pod_level: true, ..Reckoning::default() };
    let cpu = |amount: &str| json!({"cpu": amount});
    for (tree, expected) in [
        (pod("p").asks(cpu("1")).asks(json!({"cpu": "500m", "memory": "1Gi"})), "cpu=1500m memory=1Gi"),
        (pod("p").asks(cpu("1")).with("initContainers", init("3", false)), "cpu=3"),
        (pod("p").asks(cpu("1")).with("initContainers", init("1", true)), "cpu=2"),
        // The first runs before the sidecar starts, the last beside it.
        (
            pod("p")
                .asks(cpu("1"))
                .with("initContainers", init("3", false))
                .with("initContainers", init("1", true))
                .with("initContainers", init("2500m", false)),
            "cpu=3500m",
        ),
        (
            pod("p")
                .asks(cpu("1"))
                .with("initContainers", init("1", true))
                .with("initContainers", init("2", true)),
            "cpu=4",
        ),
        (
            pod("p").asks(cpu("1")).set("spec.overhead", json!({"cpu": "250m", "memory": "1"})),
            "cpu=1250m memory=1",
        ),
        (
            pod("p")
                .asks(cpu("1"))
                .set("spec.resources", json!({"requests": {"cpu": "4", "example.com/a": "1"}})),
            "cpu=4",
        ),
        (
            pod("p")
                .asks(cpu("1"))
                .set("spec.resources", json!({"requests": {"memory": "4"}}))
                .set("spec.overhead", json!({"memory": "2"})),
            "cpu=1 memory=6",
        ),
        (pod("p"), ""),
    ] {
        assert_eq!(shown(&tree, &how), expected, "{}", tree.0);
    }
}

#[test]
fn a_resize_counts_from_when_it_is_asked_for_to_when_it_is_done() {
    let how = Reckoning { by_status: true, pod_level: true, ..Reckoning::default() };
    let status = |actual: &str, granted: &str| {
        json!([{"name": "c0", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "resources": {"requests": {"cpu": actual}}, "allocatedResources": {"cpu": granted}}])
    };
    let infeasible = json!([{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]);
    let deferred = json!([{"type": "PodResizePending", "status": "True", "reason": "Deferred"}]);
    let resized = |asked: &str, actual: &str, granted: &str, conditions: &Value| {
        let tree = pod("p").asks(json!({"cpu": asked}));
        tree.set("status.containerStatuses", status(actual, granted))
            .set("status.conditions", conditions.clone())
    };
    let none = json!([]);
    for (tree, expected) in [
        (resized("2", "1", "1", &none), "cpu=2"),
        (resized("1", "2", "1", &none), "cpu=2"),
        (resized("1", "1", "3", &none), "cpu=3"),
        (resized("4", "1", "1", &infeasible), "cpu=1"),
        (resized("4", "1", "1", &deferred), "cpu=4"),
    ] {
        assert_eq!(shown(&tree, &how), expected, "{}", tree.0);
    }
    // Who is not on a node yet has no status that counts.
    assert_eq!(shown(&resized("1", "2", "3", &none), &Reckoning::default()), "cpu=1");
    // Of what runs before the others only that counts which stays.
    let before = |stays: bool| {
        let status = json!([{"name": "i-1", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                             "resources": {"requests": {"cpu": "5"}}}]);
        pod("p")
            .asks(json!({"cpu": "1"}))
            .with("initContainers", init("1", stays))
            .set("status.initContainerStatuses", status)
    };
    assert_eq!(shown(&before(false), &how), "cpu=1");
    assert_eq!(shown(&before(true), &how), "cpu=6");
    let whole = pod("p")
        .asks(json!({}))
        .set("spec.resources", json!({"requests": {"cpu": "1"}}))
        .set("status.resources", json!({"requests": {"cpu": "2"}}))
        .set("status.allocatedResources", json!({"cpu": "3"}));
    assert_eq!(shown(&whole, &how), "cpu=3");
    assert_eq!(shown(&whole, &Reckoning { pod_level: true, ..Reckoning::default() }), "cpu=1");
}

#[test]
fn the_least_stands_for_what_is_not_named() {
    let how = Reckoning { least: least(), ..Reckoning::default() };
    let named = pod("p").asks(json!({"cpu": "0", "memory": "1"})).asks(json!({"cpu": "1"}));
    assert_eq!(shown(&named, &how), "cpu=1 memory=209715201");
    assert_eq!(shown(&pod("p").asks(json!({})), &how), "cpu=100m memory=209715200");
}
