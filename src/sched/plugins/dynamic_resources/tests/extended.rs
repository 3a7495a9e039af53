use super::*;
use crate::sched::plugins::NodeResourcesFit;

fn scene() -> Scene {
    let class = json!({"metadata": {"name": "gpu"}, "spec": {"extendedResourceName": "example.com/gpu"}});
    let mut scene =
        Scene::of(&["a", "b"]).with::<DeviceClass>(class).slice("pa", "a", named(&["a1", "a2", "a3"]));
    scene.snapshot.set_node(node("c").gives("example.com/gpu", "4").make());
    scene
}

#[test]
fn devices_stand_for_an_extended_resource_where_a_node_has_none() {
    let mut scene = scene();
    let asks = |amount: &str| pod("p").asks("example.com/gpu", amount);
    assert_eq!(scene.said(asks("2")), ["fits", "cannot allocate all claims", "fits"]);
    assert_eq!(scene.fits(asks("4")), "--+");
    assert_eq!(scene.fits(pod("p").asks("deviceclass.resource.kubernetes.io/gpu", "3")), "+--");
    assert_eq!(scene.said(pod("p").asks("example.com/other", "1")), ["skip"]);
    // The other plugin leaves it to this one, but not where the node has some.
    let info = scene.snapshot.read(asks("5").make());
    let cycle = Cycle::new(&info, &scene.snapshot);
    let lacks = |node: &str| !NodeResourcesFit.filter(&cycle, scene.snapshot.find(node).unwrap()).fits();
    assert_eq!(["a", "b", "c"].map(lacks), [false, false, true]);
    let info = scene.snapshot.read(pod("p").asks("example.com/other", "1").make());
    let cycle = Cycle::new(&info, &scene.snapshot);
    assert!(!NodeResourcesFit.filter(&cycle, scene.snapshot.find("a").unwrap()).fits());
}

#[test]
fn the_claim_that_is_made_names_each_containers_part() {
    let mut scene = scene();
    let container = |name: &str, amount: &str| json!({"name": name, "resources": {"requests": {"cpu": "1", "example.com/gpu": amount}}});
    let story = pod("p")
        .set("initContainers", json!([container("i", "3"), container("j", "1")]))
        .set("containers", json!([container("c", "1"), {"name": "d"}]));
    let (made, given) = scene.found(story.clone(), "a").made.unwrap();
    let requests = serde_json::to_value(&made.claim.spec.devices.as_ref().unwrap().requests).unwrap();
    let request = |name: &str, count: i64| json!({"name": name, "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": count}});
    // The first uses what the last will have, and two more.
    assert_eq!(requests, json!([request("container-0-request-1", 2), request("container-2-request-1", 1)]));
    let mappings: Vec<_> =
        made.mappings.iter().map(|own| format!("{} {}", own.container_name, own.request_name)).collect();
    assert_eq!(
        mappings,
        [
            "c container-2-request-1",
            "i container-2-request-1",
            "i container-0-request-1",
            "j container-2-request-1"
        ]
    );
    assert_eq!(results(&given).len(), 3);
    assert!(made.claim.metadata.name.as_deref() == Some("<extended-resources>"));
    assert_eq!(made.claim.metadata.generate_name.as_deref(), Some("p-extended-resources-"));
    // It counts at once.
    scene.reserve(story, "a");
    assert_eq!(scene.fits(pod("q").asks("example.com/gpu", "1")), "--+");
}

#[test]
fn a_claim_of_an_attempt_that_failed_is_deleted_first() {
    let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "uid-p", "controller": true});
    let mut old = claim("p-extended-resources-x", some(1));
    old["metadata"]["annotations"] = json!({"resource.kubernetes.io/extended-resource-claim": "true"});
    old["metadata"]["ownerReferences"] = json!([owner]);
    let mut scene = scene().with::<ResourceClaim>(old);
    let info = scene.snapshot.read(pod("p").asks("example.com/gpu", "1").make());
    let mut cycle = Cycle::new(&info, &scene.snapshot);
    assert_eq!(scene.plugin.pre_filter(&mut cycle), PreFiltered::Run);
    let node = scene.snapshot.find("a").unwrap();
    let verdict = scene.plugin.filter(&cycle, node);
    assert_eq!(verdict, Verdict::unresolvable("cannot schedule extended resource claim"));
    let after = scene.plugin.post_filter(&cycle, &Diagnosis::default());
    assert_eq!(after, PostFiltered::Message("deletion of ResourceClaim completed".into()));
    assert_eq!(scene.fits(pod("q").asks("example.com/gpu", "1")), "+-+");
}

#[test]
fn of_several_classes_the_newest_stands_for_a_resource() {
    let class = |name: &str, second: u8| {
        json!({"metadata": {"name": name, "creationTimestamp": format!("2026-01-01T00:00:0{second}Z")},
               "spec": {"extendedResourceName": "example.com/x"}})
    };
    let mut scene = Scene::of(&[]);
    for (name, second) in [("a", 1), ("d", 2), ("c", 2)] {
        scene.put::<DeviceClass>(class(name, second));
    }
    let found = class_of(scene.snapshot.catalog(), "example.com/x").unwrap();
    assert_eq!(found.metadata.name.as_deref(), Some("c"));
}
