use serde_json::{Value, json};

use super::story::{Tree, fits, node, object, pod, said, world};
use super::volumes::{claim, mounts, volume};
use crate::sched::reference::Plugin::VolumeBinding;
use crate::sched::reference::World;

fn on_zone(zone: &str) -> Value {
    json!({"required": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]}]}})
}

fn asks(size: &str, class: &str) -> Value {
    json!({"accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": size}}})
}

fn offers(name: &str, size: &str, class: &str, zone: &str) -> Tree {
    let spec = json!({"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": class,
                      "nodeAffinity": on_zone(zone)});
    volume(name, spec).set("status", json!({"phase": "Available"}))
}

fn bound(name: &str, to: &str) -> Tree {
    claim(name, json!({"volumeName": to})).annotate("pv.kubernetes.io/bind-completed", "yes")
}

fn class(name: &str, mode: &str, rest: Value) -> Tree {
    let mut tree = json!({"metadata": {"namespace": null}, "provisioner": "kubernetes.io/no-provisioner",
                          "volumeBindingMode": mode});
    for (key, value) in rest.as_object().unwrap() {
        tree[key] = value.clone();
    }
    object(name, tree)
}

/// Two nodes of two zones; classes whose volumes are there, or are made in zone 1.
fn two() -> World {
    let mut world = world([node("a").label("zone", "1"), node("b").label("zone", "2")], []);
    let topology = json!([{"matchLabelExpressions": [{"key": "zone", "values": ["1"]}]}]);
    world.storage_classes = vec![
        class("local", "WaitForFirstConsumer", json!({})).make(),
        class("made", "WaitForFirstConsumer", json!({"provisioner": "d", "allowedTopologies": topology}))
            .make(),
        class("now", "Immediate", json!({"provisioner": "d"})).make(),
    ];
    world
}

fn with(claims: &[Tree], volumes: &[Tree]) -> World {
    let mut world = two();
    world.persistent_volume_claims = claims.iter().map(Tree::make).collect();
    world.persistent_volumes = volumes.iter().map(Tree::make).collect();
    world
}

#[test]
fn bound_volumes_are_where_they_are() {
    let of = |claims: &[Tree], volumes: &[Tree]| {
        said(VolumeBinding, &with(claims, volumes), &mounts(pod("p"), &["c"]))
    };
    let elsewhere = "never: node(s) didn't match PersistentVolume's node affinity";
    let gone = "never: node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
    let late = "pod never: pod has unbound immediate PersistentVolumeClaims";
    assert_eq!(said(VolumeBinding, &two(), &pod("p")), ["skip"]);
    assert_eq!(of(&[bound("c", "v")], &[offers("v", "1Gi", "", "1")]), ["fit", elsewhere]);
    assert_eq!(of(&[bound("c", "v")], &[volume("v", json!({}))]), ["fit", "fit"]);
    assert_eq!(of(&[bound("c", "v")], &[]), [gone, gone]);
    // What a volume says of nodes is asked of their labels; they have no names here.
    let named = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["z"]}]});
    let by_name = volume("v", json!({"nodeAffinity": {"required": {"nodeSelectorTerms": [named]}}}));
    assert_eq!(of(&[bound("c", "v")], &[by_name]), ["fit", "fit"]);
    // Bound halfway is not bound.
    assert_eq!(of(&[claim("c", json!({"volumeName": "v"}))], &[]), [late]);
    assert_eq!(of(&[claim("c", asks("1Gi", "now"))], &[]), [late]);
    assert_eq!(of(&[claim("c", asks("1Gi", "none"))], &[]), [late]);
    assert_eq!(of(&[claim("c", json!({}))], &[]), [late]);
}

#[test]
fn claims_that_cannot_be_used_refuse_the_pod() {
    let of = |tree: Tree| said(VolumeBinding, &with(&[tree], &[]), &mounts(pod("p"), &["c"]));
    assert_eq!(of(claim("d", json!({}))), ["pod never: persistentvolumeclaim \"c\" not found"]);
    let lost = claim("c", json!({"volumeName": "v"})).set("status", json!({"phase": "Lost"}));
    assert_eq!(
        of(lost),
        ["pod never: persistentvolumeclaim \"c\" bound to non-existent persistentvolume \"v\""]
    );
    assert_eq!(of(bound("c", "v").deleting()), ["pod never: persistentvolumeclaim \"c\" is being deleted"]);

    let own = pod("p").with("volumes", json!({"name": "v", "ephemeral": {}}));
    let waits =
        "pod never: waiting for ephemeral volume controller to create the persistentvolumeclaim \"p-v\"";
    assert_eq!(said(VolumeBinding, &two(), &own), [waits]);
    let others = with(&[bound("p-v", "v")], &[volume("v", json!({}))]);
    let owner = "pod never: PVC default/p-v was not created for pod default/p (pod is not owner)";
    assert_eq!(said(VolumeBinding, &others, &own), [owner]);
    let owned = json!([{"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": "uid-p", "controller": true}]);
    let ours = bound("p-v", "v").set("metadata.ownerReferences", owned);
    assert_eq!(fits(VolumeBinding, &with(&[ours], &[volume("v", json!({}))]), &own), "++");
}

#[test]
fn volumes_are_found_for_claims_that_wait() {
    let none = "never: node(s) didn't find available persistent volumes to bind";
    let one = |volumes: &[Tree]| {
        said(VolumeBinding, &with(&[claim("c", asks("5Gi", "local"))], volumes), &mounts(pod("p"), &["c"]))
    };
    let kept = |tree: Tree, uid: &str| {
        tree.set("spec.claimRef", json!({"name": "c", "namespace": "default", "uid": uid}))
    };
    assert_eq!(one(&[]), [none, none]);
    assert_eq!(one(&[offers("v", "5Gi", "local", "1")]), ["fit", none]);
    assert_eq!(one(&[offers("v", "4Gi", "local", "1")]), [none, none]);
    assert_eq!(one(&[offers("v", "5Gi", "other", "1")]), [none, none]);
    assert_eq!(one(&[offers("v", "5Gi", "local", "1").set("status.phase", "Bound")]), [none, none]);
    assert_eq!(
        one(&[offers("v", "5Gi", "local", "1").set("spec.accessModes", json!(["ReadOnlyMany"]))]),
        [none, none]
    );
    assert_eq!(one(&[offers("v", "5Gi", "local", "1").set("spec.volumeMode", "Block")]), [none, none]);
    assert_eq!(one(&[offers("v", "5Gi", "local", "1").deleting()]), [none, none]);
    assert_eq!(
        one(&[offers("v", "5Gi", "local", "1").set("spec.volumeAttributesClassName", "gold")]),
        [none, none]
    );
    // One that is kept for the claim is the only one, whatever its phase; one that is kept for another is none.
    let other = offers("w", "5Gi", "local", "2");
    assert_eq!(
        one(&[kept(offers("v", "5Gi", "local", "1").set("status.phase", "Bound"), "uid-c"), other]),
        ["fit", none]
    );
    assert_eq!(one(&[kept(offers("v", "5Gi", "local", "1"), "uid-other")]), [none, none]);
}

#[test]
fn no_volume_is_taken_twice() {
    let two = |sizes: [&str; 2], volumes: &[Tree]| {
        let claims = [claim("c", asks(sizes[0], "local")), claim("d", asks(sizes[1], "local"))];
        fits(VolumeBinding, &with(&claims, volumes), &mounts(pod("p"), &["c", "d"]))
    };
    let volumes = |sizes: &[&str]| {
        let made = |(index, size): (usize, &&str)| offers(&format!("v{index}"), size, "local", "1");
        sizes.iter().enumerate().map(made).collect::<Vec<_>>()
    };
    assert_eq!(two(["1Gi", "1Gi"], &volumes(&["1Gi"])), "xx");
    assert_eq!(two(["1Gi", "1Gi"], &volumes(&["1Gi", "2Gi"])), "+x");
    // The smallest claim chooses first, and takes the smallest volume.
    assert_eq!(two(["9Gi", "1Gi"], &volumes(&["9Gi", "1Gi"])), "+x");
    assert_eq!(two(["9Gi", "1Gi"], &volumes(&["9Gi", "8Gi"])), "+x");
    let picky = |tree: Tree, value: &str| tree.set("spec.selector", json!({"matchLabels": {"disk": value}}));
    let claims = [picky(claim("c", asks("1Gi", "local")), "ssd")];
    let labelled = [
        offers("v", "1Gi", "local", "1").label("disk", "hdd"),
        offers("w", "2Gi", "local", "2").label("disk", "ssd"),
    ];
    assert_eq!(fits(VolumeBinding, &with(&claims, &labelled), &mounts(pod("p"), &["c"])), "x+");
    // It does so even where that leaves none for the large one, which alone may have it.
    let both = [picky(claim("c", asks("5Gi", "local")), "ssd"), claim("d", asks("1Gi", "local"))];
    let volumes = [
        offers("v", "5Gi", "local", "1").label("disk", "ssd"),
        offers("w", "6Gi", "local", "1").label("disk", "hdd"),
    ];
    assert_eq!(fits(VolumeBinding, &with(&both, &volumes), &mounts(pod("p"), &["c", "d"])), "xx");
}

#[test]
fn volumes_are_made_where_a_class_makes_them() {
    let none = "never: node(s) didn't find available persistent volumes to bind";
    let waiting = || claim("c", asks("5Gi", "made"));
    let of = |world: &World| said(VolumeBinding, world, &mounts(pod("p"), &["c"]));
    assert_eq!(of(&with(&[waiting()], &[])), ["fit", none]);
    let selected = |node: &str| waiting().annotate("volume.kubernetes.io/selected-node", node);
    assert_eq!(of(&with(&[selected("a")], &[])), ["fit", none]);
    assert_eq!(of(&with(&[selected("b")], &[])), [none, none]);

    // Drivers that keep accounts must have enough left, where the node reaches it.
    let mut world = with(&[waiting()], &[]);
    let driver =
        |on: bool| object("d", json!({"metadata": {"namespace": null}, "spec": {"storageCapacity": on}}));
    let space = "never: node(s) did not have enough free storage";
    let left = |size: &str, zone: &str| {
        object(
            "s",
            json!({"storageClassName": "made", "capacity": size, "nodeTopology": {"matchLabels": {"zone": zone}}}),
        )
    };
    world.csi_drivers = vec![driver(true).make()];
    assert_eq!(of(&world), [space, none]);
    world.csi_storage_capacities = vec![left("5Gi", "1").make()];
    assert_eq!(of(&world), ["fit", none]);
    world.csi_storage_capacities = vec![left("4Gi", "1").make()];
    assert_eq!(of(&world), [space, none]);
    world.csi_storage_capacities = vec![left("5Gi", "2").make()];
    assert_eq!(of(&world), [space, none]);
    world.csi_storage_capacities = vec![left("5Gi", "1").set("maximumVolumeSize", "1Gi").make()];
    assert_eq!(of(&world), [space, none]);
    world.csi_drivers = vec![driver(false).make()];
    assert_eq!(of(&world), ["fit", none]);
}
