use serde_json::{Value, json};

use super::story::{Tree, fits, given, node, object, pod, said, world};
use crate::sched::reference::Plugin::DynamicResources;
use crate::sched::reference::{Judgement, Settings, World, judge};

fn uses(pod: Tree, claims: &[&str]) -> Tree {
    claims
        .iter()
        .fold(pod, |pod, name| pod.with("resourceClaims", json!({"name": name, "resourceClaimName": name})))
}

fn claim(name: &str, requests: Value, constraints: Value) -> Tree {
    object(name, json!({"spec": {"devices": {"requests": requests, "constraints": constraints}}}))
}

fn exactly(name: &str, rest: Value) -> Value {
    let mut exactly = json!({"deviceClassName": "gpu"});
    for (key, value) in rest.as_object().unwrap() {
        exactly[key] = value.clone();
    }
    json!({"name": name, "exactly": exactly})
}

fn some(count: i64) -> Value {
    json!([exactly("r", json!({"allocationMode": "ExactCount", "count": count}))])
}

fn slice(name: &str, on: &str, devices: Value) -> Tree {
    object(
        name,
        json!({"metadata": {"namespace": null}, "spec": {
        "driver": "d.com", "nodeName": on, "devices": devices,
        "pool": {"name": name, "generation": 1, "resourceSliceCount": 1}}}),
    )
}

fn named(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"name": name})).collect()
}

fn allocated(tree: Tree, device: (&str, &str), node: &str) -> Tree {
    let requirement = json!({"key": "metadata.name", "operator": "In", "values": [node]});
    tree.set(
        "status",
        json!({"allocation": {
        "devices": {"results": [{"request": "r", "driver": "d.com", "pool": device.0, "device": device.1}]},
        "nodeSelector": {"nodeSelectorTerms": [{"matchFields": [requirement]}]}}}),
    )
}

/// Two nodes, `a` with two devices and `b` with one.
fn with(claims: &[Tree]) -> World {
    let mut world = world([node("a"), node("b")], []);
    world.resource_slices =
        vec![slice("pa", "a", named(&["a1", "a2"])).make(), slice("pb", "b", named(&["b1"])).make()];
    world.device_classes = vec![object("gpu", json!({"metadata": {"namespace": null}, "spec": {}})).make()];
    world.resource_claims = claims.iter().map(Tree::make).collect();
    world
}

#[test]
fn a_node_must_have_the_devices_that_are_asked_for() {
    let one = |requests: Value| {
        fits(DynamicResources, &with(&[claim("c", requests, json!([]))]), &uses(pod("p"), &["c"]))
    };
    assert_eq!(fits(DynamicResources, &with(&[]), &pod("p")), "skip");
    assert_eq!(one(some(1)), "++");
    assert_eq!(one(some(2)), "+x");
    assert_eq!(one(some(3)), "xx");
    assert_eq!(one(json!([exactly("r", json!({})), exactly("s", json!({}))])), "+x");
    assert_eq!(one(json!([exactly("r", json!({"allocationMode": "All"}))])), "++");
    assert_eq!(one(json!([exactly("r", json!({"allocationMode": "All"})), exactly("s", json!({}))])), "xx");
    // An administrator looks at what others have.
    assert_eq!(one(json!([exactly("r", json!({})), exactly("s", json!({"adminAccess": true}))])), "+x");
    let said = said(DynamicResources, &with(&[claim("c", some(3), json!([]))]), &uses(pod("p"), &["c"]));
    assert_eq!(said[0], "never: cannot allocate all claims");
}

#[test]
fn a_device_is_one_claims() {
    let wanted = || claim("c", some(1), json!([]));
    let has = |device| allocated(claim("other", some(1), json!([])), device, "a");
    let of = |claims: &[Tree], names: &[&str]| fits(DynamicResources, &with(claims), &uses(pod("p"), names));
    assert_eq!(of(&[wanted(), has(("pb", "b1"))], &["c"]), "+x");
    assert_eq!(of(&[wanted(), has(("pa", "a1"))], &["c"]), "++");
    assert_eq!(of(&[wanted(), claim("d", some(1), json!([]))], &["c", "d"]), "+x");
    // What was given to an administrator is free.
    let looked_at = has(("pb", "b1")).set("status.allocation.devices.results.0.adminAccess", true);
    assert_eq!(of(&[wanted(), looked_at], &["c"]), "++");
    // One that is allocated is where it is.
    let there = allocated(wanted(), ("pa", "a1"), "a");
    let unavailable = "never: resourceclaim not available on the node";
    assert_eq!(said(DynamicResources, &with(&[there]), &uses(pod("p"), &["c"])), ["fit", unavailable]);
}

#[test]
fn alternatives_are_tried_in_their_order() {
    let alternative = |name: &str, count: i64| json!({"name": name, "deviceClassName": "gpu", "allocationMode": "ExactCount", "count": count});
    let list = |counts: [i64; 2]| json!([{"name": "r", "firstAvailable": [alternative("x", counts[0]), alternative("y", counts[1])]}]);
    for (counts, fit, scores) in [
        ([1, 2], "++", [100, 100]),
        ([2, 1], "++", [100, 87]),
        ([3, 2], "+x", [100, 0]),
        ([3, 3], "xx", [0, 0]),
    ] {
        let world = with(&[claim("c", list(counts), json!([]))]);
        let incoming = uses(pod("p"), &["c"]);
        assert_eq!(fits(DynamicResources, &world, &incoming), fit, "{counts:?}");
        assert_eq!(given(DynamicResources, &world, &incoming), Some(scores.into()), "{counts:?}");
    }
}

#[test]
fn constraints_hold_between_the_devices_of_a_claim() {
    let device = |name: &str, numa: i64| json!({"name": name, "attributes": {"numa": {"int": numa}}});
    let of = |numa: &[i64], requests: Value, constraint: Value| {
        let devices: Vec<_> =
            numa.iter().enumerate().map(|(index, numa)| device(&format!("g{index}"), *numa)).collect();
        let mut world = with(&[claim("c", requests, json!([constraint]))]);
        world.resource_slices = vec![slice("pa", "a", devices.into()).make()];
        fits(DynamicResources, &world, &uses(pod("p"), &["c"]))
    };
    let same = || json!({"matchAttribute": "d.com/numa"});
    let distinct = || json!({"distinctAttribute": "d.com/numa"});
    let two = || json!([exactly("r", json!({})), exactly("s", json!({}))]);
    assert_eq!(of(&[0, 1, 1], two(), same()), "+x");
    assert_eq!(of(&[0, 1, 2], two(), same()), "xx");
    assert_eq!(of(&[0, 0, 1], two(), distinct()), "+x");
    assert_eq!(of(&[0, 0, 0], two(), distinct()), "xx");
    assert_eq!(of(&[0, 1], some(2), same()), "xx");
    // A constraint that is about one request says nothing of the other.
    let partial = json!({"matchAttribute": "d.com/numa", "requests": ["r"]});
    assert_eq!(of(&[0, 1], two(), partial), "+x");
    assert_eq!(of(&[0, 1], two(), json!({"matchAttribute": "other.com/numa"})), "xx");
}

#[test]
fn taints_of_devices_must_be_tolerated() {
    let of = |effect: &str, tolerations: Value| {
        let mut world =
            with(&[claim("c", json!([exactly("r", json!({"tolerations": tolerations}))]), json!([]))]);
        let devices = json!([{"name": "g", "taints": [{"key": "t", "value": "v", "effect": effect}]}]);
        world.resource_slices = vec![slice("pa", "a", devices).make()];
        fits(DynamicResources, &world, &uses(pod("p"), &["c"]))
    };
    assert_eq!(of("NoSchedule", json!([])), "xx");
    assert_eq!(of("NoExecute", json!([])), "xx");
    assert_eq!(of("None", json!([])), "+x");
    assert_eq!(of("NoSchedule", json!([{"key": "t", "operator": "Equal", "value": "v"}])), "+x");
    assert_eq!(of("NoSchedule", json!([{"key": "t", "operator": "Equal", "value": "w"}])), "xx");
    assert_eq!(of("NoSchedule", json!([{"operator": "Exists", "effect": "NoSchedule"}])), "+x");
    assert_eq!(of("NoSchedule", json!([{"operator": "Exists", "effect": "NoExecute"}])), "xx");
}

#[test]
fn parts_of_a_device_share_its_counters() {
    let part = |name: &str, memory: i64| json!({"name": name, "consumesCounters": [{"counterSet": "s", "counters": {"memory": {"value": memory.to_string()}}}]});
    let of = |parts: &[i64], count: i64, others: &[Tree]| {
        let devices: Vec<_> =
            parts.iter().enumerate().map(|(index, memory)| part(&format!("g{index}"), *memory)).collect();
        let mut claims = vec![claim("c", some(count), json!([]))];
        claims.extend(others.iter().cloned());
        let mut world = with(&claims);
        let counters = json!([{"name": "s", "counters": {"memory": {"value": "10"}}}]);
        let shared = slice("counters", "a", json!(null)).set("spec.sharedCounters", counters);
        let both = |tree: Tree| {
            tree.set("spec.pool", json!({"name": "pa", "generation": 1, "resourceSliceCount": 2}))
        };
        world.resource_slices = vec![both(shared).make(), both(slice("pa", "a", devices.into())).make()];
        fits(DynamicResources, &world, &uses(pod("p"), &["c"]))
    };
    assert_eq!(of(&[5, 5, 5], 2, &[]), "+x");
    assert_eq!(of(&[5, 5, 5], 3, &[]), "xx");
    assert_eq!(of(&[6, 5, 5], 2, &[]), "+x");
    assert_eq!(of(&[11], 1, &[]), "xx");
    let has = allocated(claim("other", some(1), json!([])), ("pa", "g0"), "a");
    assert_eq!(of(&[6, 5, 4], 1, std::slice::from_ref(&has)), "+x");
    assert_eq!(of(&[6, 5, 5], 1, &[has]), "xx");
}

#[test]
fn pools_must_be_whole() {
    let of = |slices: &[Tree], requests: Value| {
        let mut world = with(&[claim("c", requests, json!([]))]);
        world.resource_slices = slices.iter().map(Tree::make).collect();
        said(DynamicResources, &world, &uses(pod("p"), &["c"]))[0].clone()
    };
    let whole = || slice("pa", "a", named(&["g"]));
    let half = || whole().set("spec.pool.resourceSliceCount", 2);
    let all = || json!([exactly("r", json!({"allocationMode": "All"}))]);
    assert_eq!(of(&[whole()], some(1)), "fit");
    assert_eq!(of(&[half()], some(1)), "never: cannot allocate all claims");
    assert_eq!(
        of(&[half()], all()),
        "error: claim default/c, request r: asks for all devices, but resource pool \
        d.com/pa is currently being updated"
    );
    // The other half may be another node's.
    let other =
        slice("pa", "b", named(&["h"])).set("metadata.name", "other").set("spec.pool.resourceSliceCount", 2);
    assert_eq!(of(&[half(), other.clone()], some(1)), "fit");
    assert_eq!(
        of(&[half(), other.set("spec.pool.generation", 2)], some(1)),
        "never: cannot allocate all claims"
    );
    let twice = slice("pa", "a", named(&["g", "g"]));
    assert_eq!(of(std::slice::from_ref(&twice), some(1)), "never: invalid resource pools were encountered");
    assert_eq!(of(&[twice, slice("ok", "a", named(&["g"]))], some(1)), "fit");
    let older = whole().set("metadata.name", "older").set("spec.devices", named(&["x", "y"]));
    assert_eq!(
        of(&[whole().set("spec.pool.generation", 2), older], some(2)),
        "never: cannot allocate all claims"
    );
}

#[test]
fn slices_and_devices_say_which_nodes_reach_them() {
    let of = |spec: Value| {
        let mut world = with(&[claim("c", some(1), json!([]))]);
        let mut tree = slice("pa", "a", named(&["g"])).set("spec.nodeName", json!(null));
        for (key, value) in spec.as_object().unwrap() {
            tree = tree.set(&format!("spec.{key}"), value.clone());
        }
        world.resource_slices = vec![tree.make()];
        fits(DynamicResources, &world, &uses(pod("p"), &["c"]))
    };
    let selector = json!({"nodeSelectorTerms": [{"matchFields": [
        {"key": "metadata.name", "operator": "In", "values": ["b"]}]}]});
    assert_eq!(of(json!({"nodeName": "a"})), "+x");
    assert_eq!(of(json!({"allNodes": true})), "++");
    assert_eq!(of(json!({"nodeSelector": selector})), "x+");
    assert_eq!(of(json!({})), "xx");
    let each = json!([{"name": "g", "nodeName": "b"}, {"name": "h", "nodeName": "c"}]);
    assert_eq!(of(json!({"perDeviceNodeSelection": true, "devices": each})), "x+");
    let each = json!([{"name": "g", "allNodes": true}]);
    assert_eq!(of(json!({"perDeviceNodeSelection": true, "devices": each})), "++");
}

#[test]
fn claims_that_cannot_be_used_keep_the_pod_out_of_the_queue() {
    let waits = |world: &World, incoming: &Tree| match judge(world, &Settings::default(), &incoming.make()) {
        Judgement::Waiting { message, .. } => message,
        judgement => panic!("{judgement:?}"),
    };
    assert_eq!(waits(&with(&[]), &uses(pod("p"), &["c"])), "could not find ResourceClaim \"default/c\"");
    let going = claim("c", some(1), json!([])).deleting();
    assert_eq!(waits(&with(&[going]), &uses(pod("p"), &["c"])), "resourceclaim \"c\" is being deleted");
    let made = pod("p").with("resourceClaims", json!({"name": "r", "resourceClaimTemplateName": "t"}));
    assert_eq!(waits(&with(&[]), &made), "pod \"default/p\": ResourceClaim not created yet");
    let named = made.set("status.resourceClaimStatuses", json!([{"name": "r", "resourceClaimName": "c"}]));
    assert_eq!(
        waits(&with(&[claim("c", some(1), json!([]))]), &named),
        "ResourceClaim default/c was not created for Pod default/p (Pod is not owner)"
    );
    let unneeded = pod("p")
        .with("resourceClaims", json!({"name": "r", "resourceClaimTemplateName": "t"}))
        .set("status.resourceClaimStatuses", json!([{"name": "r"}]));
    assert_eq!(fits(DynamicResources, &with(&[]), &unneeded), "skip");
}

#[test]
fn what_is_said_where_claims_are_not_met() {
    let condition =
        |claims: &[Tree]| match judge(&with(claims), &Settings::default(), &uses(pod("p"), &["c"]).make()) {
            Judgement::Unschedulable { condition, .. } | Judgement::Refused { condition, .. } => condition,
            judgement => panic!("{judgement:?}"),
        };
    let unhelpful = "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";
    assert_eq!(
        condition(&[claim("c", some(3), json!([]))]),
        format!(
            "0/2 nodes are available: 2 cannot allocate all \
        claims. still not schedulable, {unhelpful}"
        )
    );
    let there = allocated(claim("c", some(1), json!([])), ("pc", "g"), "c");
    assert_eq!(
        condition(std::slice::from_ref(&there)),
        format!(
            "0/2 nodes are available: 2 resourceclaim not \
        available on the node. deallocation of ResourceClaim completed, {unhelpful}"
        )
    );
    let user = json!([{"resource": "pods", "name": "q", "uid": "uid-q"}, {"resource": "pods", "name": "r", "uid": "uid-r"}]);
    assert_eq!(
        condition(&[there.set("status.reservedFor", user)]),
        format!(
            "0/2 nodes are available: 2 resourceclaim \
        not available on the node. still not schedulable, {unhelpful}"
        )
    );
    let unknown = claim("c", json!([{"name": "r", "exactly": {"deviceClassName": "x"}}]), json!([]));
    assert_eq!(
        condition(&[unknown]),
        format!(
            "0/2 nodes are available: request r: device class x does not exist. no \
        new claims to deallocate, {unhelpful}"
        )
    );
}
