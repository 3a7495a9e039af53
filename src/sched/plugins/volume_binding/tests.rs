use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, StorageClass};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::env::Random;
use crate::sched::testing::{PodStory, node, pod};
use crate::sched::{Boards, Decision, NodeChange, ObjectEvent, Profile, decide};

const ZONE: &str = "topology.kubernetes.io/zone";
const BOUND: &str = "pv.kubernetes.io/bind-completed";

fn read<T: DeserializeOwned>(tree: Value) -> Arc<T> {
    Arc::new(serde_json::from_value(tree).unwrap())
}

/// A volume of a gibibyte that is only to be had on a node.
fn volume(name: &str, version: &str, on: &str) -> Value {
    let host = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [on]});
    json!({
        "metadata": {"name": name, "resourceVersion": version},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "local",
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [host]}]}},
        },
        "status": {"phase": "Available"},
    })
}

fn claim(name: &str, class: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "ns", "uid": name, "resourceVersion": "1", "annotations": {}},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": class,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    })
}

fn bound(name: &str, volume: &str) -> Value {
    let mut claim = claim(name, "local");
    claim["metadata"]["annotations"][BOUND] = "yes".into();
    claim["spec"]["volumeName"] = volume.into();
    claim
}

fn class(name: &str, provisioner: &str) -> Value {
    json!({"metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer"})
}

fn with(story: PodStory, claims: &[&str]) -> PodStory {
    let volume = |claim: &&str| json!({"name": claim, "persistentVolumeClaim": {"claimName": claim}});
    story.set("volumes", claims.iter().map(volume).collect())
}

/// Nodes `a` and `b`, each in the zone of its name, with their plugin and what it has assumed.
struct Story {
    plugin: VolumeBinding,
    profile: Profile,
    snapshot: Snapshot,
}

impl Story {
    fn new() -> Self {
        let plugin = VolumeBinding::default();
        let mut snapshot = Snapshot::new();
        for name in ["a", "b"] {
            let node = node(name).label("kubernetes.io/hostname", name).label(ZONE, name);
            snapshot.set_node(node.make());
        }
        snapshot.set_object::<StorageClass>(read(class("local", "kubernetes.io/no-provisioner")));
        snapshot.set_object::<StorageClass>(read(class("made", "csi.example.com")));
        Self { profile: Profile::empty().plugin(plugin.clone()), plugin, snapshot }
    }

    fn volume(mut self, tree: Value) -> Self {
        self.snapshot.set_object::<PersistentVolume>(read(tree));
        self
    }

    fn claim(mut self, tree: Value) -> Self {
        self.snapshot.set_object::<PersistentVolumeClaim>(read(tree));
        self
    }

    fn decide(&mut self, story: PodStory) -> Result<String, String> {
        let info = self.snapshot.read(story.make());
        let draw = Random::seeded(7).stream("draw");
        match decide(&self.profile, &mut Cycle::new(&info, &self.snapshot), &draw) {
            Decision::Place(node) => Ok(self.snapshot.name(node).to_string()),
            Decision::Reject(diagnosis) => Err(diagnosis.message()),
            Decision::Fail { message, .. } => Err(message),
        }
    }

    fn reserve(&mut self, story: PodStory, on: &str) -> Verdict {
        let info = self.snapshot.read(story.make());
        let node = self.snapshot.find(on).unwrap();
        self.plugin.reserve(&Cycle::new(&info, &self.snapshot), node)
    }

    fn unreserve(&mut self, story: PodStory) {
        let info = self.snapshot.read(story.make());
        self.plugin.unreserve(&info, "");
    }
}

const NONE: &str = "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind.";

#[test]
fn what_is_reserved_counts_for_the_next_pod_until_it_is_given_back() {
    let mut story =
        Story::new().volume(volume("v", "1", "a")).claim(claim("c", "local")).claim(claim("d", "local"));
    let [first, second] = [("p", "c"), ("q", "d")].map(|(name, claim)| with(pod(name), &[claim]));
    assert_eq!(story.decide(second.clone()), Ok("a".into()));
    assert_eq!(story.reserve(first.clone(), "a"), Verdict::Fits);
    assert_eq!(story.decide(second.clone()), Err(NONE.into()));
    // Its own pod still goes where its volume is.
    assert_eq!(story.decide(first.clone()), Ok("a".into()));
    story.unreserve(first);
    assert_eq!(story.decide(second), Ok("a".into()));
}

#[test]
fn what_the_cluster_shows_counts_for_more_than_what_is_assumed_of_something_older() {
    let mut story =
        Story::new().volume(volume("v", "1", "a")).claim(claim("c", "local")).claim(claim("d", "local"));
    story.reserve(with(pod("p"), &["c"]), "a");
    let mut story = story.volume(volume("v", "2", "b"));
    assert_eq!(story.decide(with(pod("q"), &["d"])), Ok("b".into()));
}

#[test]
fn a_claim_whose_volume_is_being_made_keeps_its_pods_to_the_node() {
    let mut story = Story::new().claim(claim("c", "made"));
    let (first, second) = (with(pod("p"), &["c"]), with(pod("q"), &["c"]));
    assert_eq!(story.reserve(first.clone(), "b"), Verdict::Fits);
    assert_eq!(story.decide(second.clone()), Ok("b".into()));
    let plan = story.plugin.state().plan("uid-p").cloned().unwrap();
    let notes = plan.provisions[0].object.metadata.annotations.clone().unwrap();
    assert_eq!(notes["volume.kubernetes.io/selected-node"], "b");
    story.unreserve(first);
    assert!(story.plugin.state().plan("uid-p").is_none());
}

#[test]
fn a_volume_is_kept_for_its_claim_as_whoever_binds_them_would_have_it() {
    let mut story = Story::new().volume(volume("v", "1", "a")).claim(claim("c", "local"));
    story.reserve(with(pod("p"), &["c"]), "a");
    let plan = story.plugin.state().plan("uid-p").cloned().unwrap();
    let (step, claim) = &plan.bindings[0];
    assert_eq!((claim.namespace.as_str(), claim.name.as_str()), ("ns", "c"));
    let written = serde_json::to_value(&*step.object).unwrap();
    let reference = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "ns", "name": "c",
                           "uid": "c", "resourceVersion": "1"});
    assert_eq!(written["spec"]["claimRef"], reference);
    assert_eq!(written["metadata"]["annotations"], json!({"pv.kubernetes.io/bound-by-controller": "yes"}));
    // One that its owner has kept for the claim by name is his doing, and only the uid is missing.
    let mut tree = volume("v", "2", "a");
    tree["spec"]["claimRef"] = json!({"namespace": "ns", "name": "c"});
    let mut story = Story::new().volume(tree).claim(self::claim("c", "local"));
    story.reserve(with(pod("p"), &["c"]), "a");
    let plan = story.plugin.state().plan("uid-p").cloned().unwrap();
    let written = serde_json::to_value(&*plan.bindings[0].0.object).unwrap();
    assert_eq!(written["spec"]["claimRef"], reference);
    assert_eq!(written["metadata"]["annotations"], Value::Null);
}

#[test]
fn small_claims_choose_first_and_take_the_smallest_that_will_do() {
    let sized = |name: &str, size: &str| {
        let mut tree = volume(name, "1", "a");
        tree["spec"]["capacity"]["storage"] = size.into();
        tree
    };
    let mut large = claim("large", "local");
    large["spec"]["resources"]["requests"]["storage"] = "4Gi".into();
    let mut story = Story::new()
        .volume(sized("v", "5Gi"))
        .volume(sized("w", "2Gi"))
        .volume(sized("x", "9Gi"))
        .claim(large)
        .claim(claim("small", "local"));
    story.reserve(with(pod("p"), &["large", "small"]), "a");
    let plan = story.plugin.state().plan("uid-p").cloned().unwrap();
    let chosen: Vec<_> = plan
        .bindings
        .iter()
        .map(|(step, claim)| (step.object.metadata.name.as_deref().unwrap(), claim.name.as_str()))
        .collect();
    assert_eq!(chosen, [("w", "small"), ("v", "large")]);
}

#[test]
fn pods_whose_claims_mean_the_same_share_a_board() {
    let mut story = Story::new();
    story.profile = Profile::default();
    for number in 0..6 {
        let csi = json!({"driver": "csi.example.com", "volumeHandle": format!("h{number}")});
        let mut tree = volume(&format!("v{number}"), "1", if number == 5 { "b" } else { "a" });
        tree["spec"]["csi"] = csi;
        story.snapshot.set_object::<PersistentVolume>(read(tree));
        story
            .snapshot
            .set_object::<PersistentVolumeClaim>(read(bound(&format!("c{number}"), &format!("v{number}"))));
        story.snapshot.set_object::<PersistentVolumeClaim>(read(claim(&format!("new{number}"), "made")));
    }
    let draw = Random::seeded(7).stream("draw");
    let mut boards = Boards::default();
    let mut place = |story: &mut Story, number: usize, claim: &str| {
        let info = Arc::new(story.snapshot.read(with(pod(&format!("p{number}")), &[claim]).make()));
        let decision = boards.decide(&story.profile, &story.snapshot, &info, &draw);
        let Decision::Place(node) = decision else { panic!("{decision:?}") };
        let name = story.snapshot.name(node).to_string();
        story.snapshot.place(info, &name);
        (name, boards.len())
    };
    // Each has a claim and a volume of its own; the last is elsewhere.
    for (number, expected) in
        [("a", 0), ("a", 1), ("a", 1), ("a", 1), ("a", 1), ("b", 1)].into_iter().enumerate()
    {
        let (name, boards) = place(&mut story, number, &format!("c{number}"));
        assert_eq!((name.as_str(), boards), expected);
    }
    // And so do those whose volumes are still to be made.
    for number in 0..6 {
        let (_, boards) = place(&mut story, 10 + number, &format!("new{number}"));
        assert_eq!(boards, if number == 0 { 1 } else { 2 });
    }
}

#[test]
fn a_node_that_leaves_zones_to_the_driver_goes_by_the_drivers_label() {
    let disk = json!({
        "metadata": {"name": "v", "labels": {ZONE: "a"}},
        "spec": {"gcePersistentDisk": {"pdName": "d"}},
    });
    let mut story = Story::new().volume(disk).claim(bound("c", "v"));
    let pod = with(pod("p"), &["c"]);
    let elsewhere = "1 node(s) didn't match PersistentVolume's node affinity.";
    let migrated = |node: &str| -> Arc<CSINode> {
        let notes =
            json!({"storage.alpha.kubernetes.io/migrated-plugins": "kubernetes.io/x,kubernetes.io/gce-pd"});
        read(json!({"metadata": {"name": node, "annotations": notes}, "spec": {"drivers": []}}))
    };
    story.snapshot.set_object(migrated("b"));
    // The volume's label is nothing to a node that does without a driver.
    assert_eq!(story.decide(pod.clone()), Ok("a".into()));
    story.snapshot.set_node(node("b").label("topology.gke.io/zone", "a").make());
    story.snapshot.set_object(migrated("a"));
    assert_eq!(story.decide(pod.clone()), Ok("b".into()));
    story.snapshot.remove_node("b");
    assert_eq!(story.decide(pod), Err(format!("0/1 nodes are available: {elsewhere}")));
}

#[test]
fn who_has_to_wait_is_told_for_what() {
    let lost = {
        let mut tree = bound("lost", "v");
        tree["status"] = json!({"phase": "Lost"});
        tree
    };
    let gone = {
        let mut tree = claim("gone", "local");
        tree["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        tree
    };
    let mut kept = claim("kept", "local");
    kept["spec"]["volumeName"] = "v".into();
    let mut story = Story::new()
        .claim(lost)
        .claim(gone)
        .claim(kept)
        .claim(claim("late", "unknown"))
        .claim(claim("p-e", "local"))
        .claim(bound("void", "nowhere"));
    let ephemeral = |name: &str| json!([{"name": name, "ephemeral": {}}]);
    let refused = |why: &str| Err(format!("0/2 nodes are available: {why}."));
    for (claim, why) in [
        ("none", "persistentvolumeclaim \"none\" not found"),
        ("lost", "persistentvolumeclaim \"lost\" bound to non-existent persistentvolume \"v\""),
        ("gone", "persistentvolumeclaim \"gone\" is being deleted"),
        ("late", "pod has unbound immediate PersistentVolumeClaims"),
        ("kept", "pod has unbound immediate PersistentVolumeClaims"),
        ("void", "2 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"),
    ] {
        assert_eq!(story.decide(with(pod("p"), &[claim])), refused(why));
    }
    let waits = "waiting for ephemeral volume controller to create the persistentvolumeclaim \"p-x\"";
    assert_eq!(story.decide(pod("p").set("volumes", ephemeral("x"))), refused(waits));
    let others = "PVC ns/p-e was not created for pod ns/p (pod is not owner)";
    assert_eq!(story.decide(pod("p").set("volumes", ephemeral("e"))), refused(others));
}

#[test]
fn a_driver_that_keeps_accounts_must_have_enough_where_the_node_is() {
    let mut story = Story::new().claim(claim("c", "made"));
    let pod = with(pod("p"), &["c"]);
    let driver = |counts: bool| -> Arc<CSIDriver> {
        read(json!({"metadata": {"name": "csi.example.com"}, "spec": {"storageCapacity": counts}}))
    };
    let capacity = |size: &str, most: Option<&str>| -> Arc<CSIStorageCapacity> {
        read(
            json!({"metadata": {"name": "cap", "namespace": "x"}, "storageClassName": "made", "capacity": size,
                    "maximumVolumeSize": most, "nodeTopology": {"matchLabels": {ZONE: "b"}}}),
        )
    };
    let lacks = Err("0/2 nodes are available: 2 node(s) did not have enough free storage.".to_owned());
    story.snapshot.set_object(driver(true));
    assert_eq!(story.decide(pod.clone()), lacks);
    for (size, most, enough) in
        [("1Gi", None, true), ("1Mi", None, false), ("9Gi", Some("1Mi"), false), ("1Mi", Some("1Gi"), true)]
    {
        story.snapshot.set_object(capacity(size, most));
        let expected = if enough { Ok("b".to_owned()) } else { lacks.clone() };
        assert_eq!(story.decide(pod.clone()), expected, "{size} {most:?}");
    }
    story.snapshot.set_object(capacity("1Mi", None));
    story.snapshot.set_object(driver(false));
    assert!(story.decide(pod).is_ok());
}

#[test]
fn a_class_makes_volumes_where_it_says() {
    let mut story = Story::new().claim(claim("c", "zoned"));
    let mut tree = class("zoned", "csi.example.com");
    tree["allowedTopologies"] = json!([{"matchLabelExpressions": [{"key": ZONE, "values": ["b", "z"]}]}]);
    story.snapshot.set_object::<StorageClass>(read(tree.clone()));
    assert_eq!(story.decide(with(pod("p"), &["c"])), Ok("b".into()));
    // A term that asks for nothing allows nothing.
    tree["allowedTopologies"] = json!([{}]);
    story.snapshot.set_object::<StorageClass>(read(tree));
    assert_eq!(story.decide(with(pod("p"), &["c"])), Err(NONE.into()));
}

#[test]
fn what_helps_is_what_could_change_the_verdict() {
    let mut snapshot = Snapshot::new();
    let own = json!([
        {"name": "c", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "e", "ephemeral": {}},
        {"name": "i", "csi": {"driver": "csi.example.com"}},
    ]);
    let info = snapshot.read(pod("p").set("volumes", own).make());
    let helps = |event: ClusterEvent<'_>| hints::helps(&event, &info);
    let (small, large) = (node("n").make(), node("n").label("x", "y").make());
    assert!(helps(ClusterEvent::NodeAdded(&small)));
    let what = NodeChange::between(&small, &large);
    assert!(helps(ClusterEvent::NodeUpdated { old: &small, new: &large, what }));
    let what = NodeChange { allocatable: true, ..NodeChange::default() };
    assert!(!helps(ClusterEvent::NodeUpdated { old: &small, new: &large, what }));
    assert!(!helps(ClusterEvent::PodRemoved(&info)));

    fn object<K: crate::sched::Catalogued>(old: Option<Value>, new: Option<Value>, info: &PodInfo) -> bool {
        let (old, new) = (old.map(read::<K>), new.map(read::<K>));
        hints::helps(&ClusterEvent::Object(ObjectEvent::of(old.as_deref(), new.as_deref())), info)
    }
    for (name, expected) in [("c", true), ("p-e", true), ("other", false)] {
        assert_eq!(object::<PersistentVolumeClaim>(None, Some(claim(name, "local")), &info), expected);
        let (old, new) = (claim(name, "local"), bound(name, "v"));
        assert_eq!(object::<PersistentVolumeClaim>(Some(old.clone()), Some(new), &info), expected);
        assert!(!object::<PersistentVolumeClaim>(Some(old), None, &info));
    }
    assert!(object::<PersistentVolume>(Some(volume("v", "1", "a")), Some(volume("v", "2", "a")), &info));
    assert!(!object::<PersistentVolume>(Some(volume("v", "1", "a")), None, &info));
    let plain = class("x", "y");
    let mut zoned = plain.clone();
    zoned["allowedTopologies"] = json!([{"matchLabelExpressions": [{"key": ZONE, "values": ["b"]}]}]);
    assert!(object::<StorageClass>(None, Some(plain.clone()), &info));
    assert!(object::<StorageClass>(Some(plain.clone()), Some(zoned), &info));
    assert!(!object::<StorageClass>(Some(plain.clone()), Some(plain), &info));
    let migrated = |list: &str| {
        let notes = json!({"storage.alpha.kubernetes.io/migrated-plugins": list});
        json!({"metadata": {"name": "n", "annotations": notes}, "spec": {"drivers": []}})
    };
    assert!(object::<CSINode>(Some(migrated("a")), Some(migrated("b")), &info));
    assert!(!object::<CSINode>(Some(migrated("a")), Some(migrated("a")), &info));
    let driver =
        |name: &str, counts: bool| json!({"metadata": {"name": name}, "spec": {"storageCapacity": counts}});
    for (name, old, new, expected) in [
        ("csi.example.com", true, false, true),
        ("csi.example.com", false, true, false),
        ("other", true, false, false),
    ] {
        assert_eq!(object::<CSIDriver>(Some(driver(name, old)), Some(driver(name, new)), &info), expected);
    }
    let capacity =
        |size: Option<&str>| json!({"metadata": {"name": "c"}, "storageClassName": "x", "capacity": size});
    for (old, new, expected) in [
        (Some("1Gi"), Some("2Gi"), true),
        (None, Some("1Gi"), true),
        (Some("2Gi"), Some("1Gi"), false),
        (Some("1Gi"), None, false),
    ] {
        assert_eq!(object::<CSIStorageCapacity>(Some(capacity(old)), Some(capacity(new)), &info), expected);
    }
}
