use serde_json::{Value, json};

use super::story::{Tree, fits, node, object, pod, said, world};
use crate::sched::reference::Plugin::{NodeVolumeLimits, VolumeRestrictions, VolumeZone};
use crate::sched::reference::World;

pub(super) fn mounts(pod: Tree, claims: &[&str]) -> Tree {
    claims.iter().fold(pod, |pod, claim| {
        pod.with("volumes", json!({"name": claim, "persistentVolumeClaim": {"claimName": claim}}))
    })
}

pub(super) fn claim(name: &str, spec: Value) -> Tree {
    object(name, json!({"spec": spec}))
}

pub(super) fn volume(name: &str, spec: Value) -> Tree {
    object(name, json!({"metadata": {"namespace": null, "labels": {}}, "spec": spec}))
}

#[test]
fn disks_are_one_pods() {
    let gce =
        |name: &str, read_only: bool| json!({"gcePersistentDisk": {"pdName": name, "readOnly": read_only}});
    let aws = |id: &str| json!({"awsElasticBlockStore": {"volumeID": id}});
    let iscsi = |iqn: &str, read_only: bool| json!({"iscsi": {"targetPortal": "", "lun": 0, "iqn": iqn, "readOnly": read_only}});
    let rbd = |monitors: &[&str], image: &str, read_only: bool| json!({"rbd": {"monitors": monitors, "pool": "p", "image": image, "readOnly": read_only}});
    let with = |tree: Tree, source: &Value| {
        let mut source = source.clone();
        source["name"] = "v".into();
        tree.with("volumes", source)
    };
    for (wanted, taken, expected) in [
        (gce("foo", false), gce("foo", false), "-"),
        (gce("foo", true), gce("foo", true), "+"),
        (gce("foo", true), gce("foo", false), "-"),
        (gce("foo", false), gce("bar", false), "+"),
        (aws("foo"), aws("foo"), "-"),
        (aws("foo"), aws("bar"), "+"),
        (aws("foo"), gce("foo", false), "+"),
        (iscsi("iqn", false), iscsi("iqn", false), "-"),
        (iscsi("iqn", true), iscsi("iqn", true), "+"),
        (rbd(&["a", "b"], "i", false), rbd(&["c", "d"], "i", false), "+"),
        (rbd(&["a", "b"], "i", false), rbd(&["b", "d"], "i", false), "-"),
        (rbd(&["a", "b"], "i", true), rbd(&["b", "d"], "i", true), "+"),
        (rbd(&["a", "b"], "i", false), rbd(&["a", "b"], "j", false), "+"),
    ] {
        let world = world([node("n")], [with(pod("q").on("n"), &taken)]);
        assert_eq!(fits(VolumeRestrictions, &world, &with(pod("p"), &wanted)), expected, "{wanted} {taken}");
    }
    let world = world([node("n")], [with(pod("q").on("n"), &aws("foo"))]);
    assert_eq!(fits(VolumeRestrictions, &world, &pod("p")), "skip");
    let said = said(VolumeRestrictions, &world, &with(pod("p"), &aws("foo")));
    assert_eq!(said, ["now: node(s) had no available disk"]);
}

#[test]
fn a_claim_may_be_one_pods() {
    let mut world = world([node("a"), node("b")], [mounts(pod("q").on("a"), &["once", "shared"])]);
    world.persistent_volume_claims = vec![
        claim("once", json!({"accessModes": ["ReadWriteOncePod"]})).make(),
        claim("free", json!({"accessModes": ["ReadWriteOncePod"]})).make(),
        claim("shared", json!({"accessModes": ["ReadWriteOnce"]})).make(),
    ];
    let of = |claims: &[&str]| said(VolumeRestrictions, &world, &mounts(pod("p"), claims));
    let taken = "now: node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already \
                 in-use by another pod";
    assert_eq!(of(&["once"]), [taken, taken]);
    assert_eq!(of(&["free"]), ["skip"]);
    assert_eq!(of(&["shared"]), ["skip"]);
    assert_eq!(of(&["free", "once"]), [taken, taken]);
    assert_eq!(of(&["gone"]), ["pod never: persistentvolumeclaim \"gone\" not found"]);
    let other = mounts(pod("p").namespace("other"), &["once"]);
    let missing = "pod never: persistentvolumeclaim \"once\" not found";
    assert_eq!(said(VolumeRestrictions, &world, &other), [missing]);
}

/// Volumes of zones, claims to them, and classes.
fn zoned() -> World {
    let mut world = world(
        [
            node("none"),
            node("here")
                .label("topology.kubernetes.io/zone", "us-west1-a")
                .label("topology.kubernetes.io/region", "us-west1"),
            node("beta").label("failure-domain.beta.kubernetes.io/zone", "us-west1-a"),
            node("there").label("topology.kubernetes.io/zone", "us-west1-b"),
        ],
        [],
    );
    let bound = |name: &str| claim(name, json!({"volumeName": format!("v-{name}")}));
    let in_zone =
        |name: &str, label: &str, value: &str| volume(&format!("v-{name}"), json!({})).label(label, value);
    world.persistent_volumes = vec![
        volume("v-any", json!({})).make(),
        in_zone("zone", "topology.kubernetes.io/zone", "us-west1-a").make(),
        in_zone("beta", "failure-domain.beta.kubernetes.io/zone", "us-west1-a").make(),
        in_zone("zones", "topology.kubernetes.io/zone", "us-west1-a__us-west1-b").make(),
        in_zone("broken", "topology.kubernetes.io/zone", "us-west1-a__").make(),
        in_zone("region", "topology.kubernetes.io/region", "us-west1").make(),
    ];
    world.persistent_volume_claims =
        ["any", "zone", "beta", "zones", "broken", "region", "lost"].map(|name| bound(name).make()).into();
    for (name, class) in [
        ("bare", json!(null)),
        ("later", json!("wait")),
        ("now", json!("immediate")),
        ("modeless", json!("modeless")),
        ("classless", json!("gone")),
    ] {
        world.persistent_volume_claims.push(claim(name, json!({"storageClassName": class})).make());
    }
    for (name, mode) in [
        ("wait", json!("WaitForFirstConsumer")),
        ("immediate", json!("Immediate")),
        ("modeless", json!(null)),
    ] {
        let class = object(
            name,
            json!({"provisioner": "p", "volumeBindingMode": mode, "metadata": {"namespace": null}}),
        );
        world.storage_classes.push(class.make());
    }
    world
}

#[test]
fn a_pod_goes_where_its_volumes_are() {
    for (claims, expected) in [
        (&[][..], "skip"),
        (&["any"], "skip"),
        (&["zone"], "++xx"),
        (&["beta"], "+++x"),
        (&["zones"], "++x+"),
        (&["region"], "++xx"),
        (&["broken"], "skip"),
        (&["later"], "skip"),
        (&["zone", "zones"], "++xx"),
    ] {
        let said = fits(VolumeZone, &zoned(), &mounts(pod("p"), claims));
        assert_eq!(said, expected, "{claims:?}");
    }
    assert_eq!(
        said(VolumeZone, &zoned(), &mounts(pod("p"), &["zone"]))[3],
        "never: node(s) had no available volume zone"
    );
    for (claim, expected) in [
        ("missing", "persistentvolumeclaim \"missing\" not found"),
        ("", "PersistentVolumeClaim had no name"),
        ("lost", "persistentvolume \"v-lost\" not found"),
        ("bare", "PersistentVolumeClaim had no pv name and storageClass name"),
        ("now", "PersistentVolume had no name"),
        ("modeless", "VolumeBindingMode not set for StorageClass \"modeless\""),
        ("classless", "storageclass.storage.k8s.io \"gone\" not found"),
    ] {
        let said = said(VolumeZone, &zoned(), &mounts(pod("p"), &[claim]));
        assert_eq!(said, [format!("pod never: {expected}")], "{claim}");
    }
}

/// A node that attaches so many volumes of the driver `d`, and claims to bound volumes of it.
fn limited(limit: Value) -> World {
    let mut world = world([node("n")], []);
    let drivers = json!([{"name": "d", "nodeID": "n", "allocatable": {"count": limit}},
                         {"name": "ebs.csi.aws.com", "nodeID": "n", "allocatable": {"count": 1}}]);
    world
        .csi_nodes
        .push(object("n", json!({"metadata": {"namespace": null}, "spec": {"drivers": drivers}})).make());
    for name in ["c1", "c2", "c3"] {
        let csi = json!({"csi": {"driver": "d", "volumeHandle": name}});
        world.persistent_volumes.push(volume(name, csi).make());
        world.persistent_volume_claims.push(claim(name, json!({"volumeName": name})).make());
    }
    let ebs = json!({"awsElasticBlockStore": {"volumeID": "aws://zone/vol-1"}});
    world.persistent_volumes.push(volume("ebs", ebs).make());
    world.persistent_volume_claims.push(claim("ebs", json!({"volumeName": "ebs"})).make());
    world.persistent_volume_claims.push(claim("new", json!({"storageClassName": "fast"})).make());
    let class = json!({"provisioner": "d", "volumeBindingMode": "WaitForFirstConsumer", "metadata": {"namespace": null}});
    world.storage_classes.push(object("fast", class).make());
    world
}

#[test]
fn a_node_attaches_so_many_volumes() {
    for (limit, there, wanted, expected) in [
        (json!(2), &[][..], &[][..], "skip"),
        (json!(2), &["c1"], &["c2"], "+"),
        (json!(1), &["c1"], &["c2"], "-"),
        // A volume that is there already is there once.
        (json!(1), &["c1"], &["c1"], "+"),
        (json!(2), &["c1"], &["c2", "c3"], "-"),
        (json!(null), &["c1"], &["c2", "c3"], "+"),
        (json!(0), &[], &["c1"], "-"),
        // One that is still to be made counts by its class, each by itself.
        (json!(1), &["c1"], &["new"], "-"),
        (json!(1), &["new"], &["new"], "+"),
        (json!(2), &["c1"], &["new"], "+"),
        // What Kubernetes once attached itself counts for the driver that does so now.
        (json!(9), &["ebs"], &["ebs"], "+"),
    ] {
        let mut world = limited(limit.clone());
        world.pods.push(mounts(pod("q").on("n"), there).make());
        let said = fits(NodeVolumeLimits, &world, &mounts(pod("p"), wanted));
        assert_eq!(said, expected, "{limit} {there:?} {wanted:?}");
    }
    let inline = json!({"name": "v", "awsElasticBlockStore": {"volumeID": "vol-2"}});
    let mut world = limited(json!(9));
    world.pods.push(mounts(pod("q").on("n"), &["ebs"]).make());
    let said = said(NodeVolumeLimits, &world, &pod("p").with("volumes", inline.clone()));
    assert_eq!(said, ["now: node(s) exceed max volume count"]);
    world.csi_nodes.clear();
    assert_eq!(fits(NodeVolumeLimits, &world, &pod("p").with("volumes", inline)), "+");
}

#[test]
fn disks_that_kubernetes_attached_itself_have_a_name_with_their_driver() {
    let disk = |label: &str, zones: &str| {
        volume("v", json!({"gcePersistentDisk": {"pdName": "disk"}})).label(label, zones)
    };
    let of = |tree: &Tree| {
        let attached = crate::sched::reference::in_tree::of_persistent(&tree.make()).unwrap();
        attached.handle.unwrap_or_else(|error| error)
    };
    const ZONE: &str = "topology.kubernetes.io/zone";
    for (tree, expected) in [
        (disk("other", ""), "projects/UNSPECIFIED/zones/UNSPECIFIED/disks/disk"),
        (disk(ZONE, "us-west1-a"), "projects/UNSPECIFIED/zones/us-west1-a/disks/disk"),
        (disk(ZONE, "us-west1-a__us-west1-b"), "projects/UNSPECIFIED/regions/us-west1/disks/disk"),
        (
            disk(ZONE, "us-west1-a__us-east1-b"),
            "failed to get region from zones: [\"us-west1-a\", \"us-east1-b\"]",
        ),
        (volume("v", json!({"awsElasticBlockStore": {"volumeID": "vol-1"}})), "vol-1"),
        (volume("v", json!({"awsElasticBlockStore": {"volumeID": "aws://zone/vol-1"}})), "vol-1"),
        (volume("v", json!({"azureDisk": {"diskName": "n", "diskURI": "u", "kind": "Managed"}})), "u"),
        (
            volume("v", json!({"azureDisk": {"diskName": "n", "diskURI": "u", "kind": "Shared"}})),
            "kind(Shared) is not supported in csi migration",
        ),
    ] {
        assert_eq!(of(&tree), expected, "{}", tree.0);
    }
}

#[test]
fn attachments_count_whoever_has_them() {
    let mut world = limited(json!(1));
    let source =
        |name: &str| json!({"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": name}});
    let attachment =
        |name: &str| object(name, json!({"metadata": {"namespace": null}, "spec": source(name)}));
    assert_eq!(fits(NodeVolumeLimits, &world, &mounts(pod("p"), &["c2"])), "+");
    world.volume_attachments.push(attachment("c1").make());
    assert_eq!(fits(NodeVolumeLimits, &world, &mounts(pod("p"), &["c2"])), "-");
    // One that a pod there has is not counted twice.
    world.pods.push(mounts(pod("q").on("n"), &["c1"]).make());
    assert_eq!(fits(NodeVolumeLimits, &world, &mounts(pod("p"), &["c1"])), "+");
    let gone = said(NodeVolumeLimits, &world, &mounts(pod("p"), &["gone"]));
    assert_eq!(gone, ["never: looking up PVC default/gone: persistentvolumeclaim \"gone\" not found"]);
}
