//! Devices, and the claims to them.

use serde_json::{Map, Value};

use super::{Context, DEFAULT, Generation, Strategy};
use crate::api::field::{Error, Path};
use crate::api::{ObjectKey, status};
use crate::server::registry::Call;
use crate::server::tree::{at, map_mut, text};

/// Source: `k8s.io/kubernetes/pkg/registry/resource/resourceslice` (1.36).
pub(super) const SLICE: Strategy = Strategy {
    generation: Generation::Spec,
    create: |context, tree| {
        devices(tree).for_each(|device| taints(device).for_each(|taint| added(context, taint)));
        drop_unserved(tree, &Value::Null);
    },
    update: |context, new, old| {
        devices(new).for_each(|device| taints(device).for_each(|taint| added(context, taint)));
        drop_unserved(new, old);
    },
    ..DEFAULT
};

/// Source: `k8s.io/kubernetes/pkg/registry/resource/devicetaintrule` (1.36).
pub(super) const TAINT_RULE: Strategy = Strategy {
    generation: Generation::Spec,
    status_metadata: false,
    create: |context, tree| {
        if let Some(taint) = rule_taint(tree) {
            added(context, taint);
        }
    },
    update: |context, new, old| {
        let was = at(old, &["spec", "taint"]).cloned().unwrap_or_default();
        let Some(taint) = rule_taint(new) else { return };
        added(context, taint);
        // Another effect begins when it is written, unless somebody says otherwise.
        if taint.get("effect") != was.get("effect") && taint.get("timeAdded") == was.get("timeAdded") {
            taint.insert("timeAdded".into(), context.now.to_string().into());
        }
    },
    ..DEFAULT
};

/// Source: `resourceclaimStatusStrategy` of `k8s.io/kubernetes/pkg/registry/resource` (1.36).
pub(super) const CLAIM: Strategy = Strategy {
    status_metadata: false,
    update_status: |_, new, old| drop_deallocated(new, old),
    asks_namespace: |new, old| match old {
        None => administers(new, &["spec", "devices", "requests"]),
        // What was granted once stays so.
        Some(old) => given_to_administer(old).map_or_else(|| given_to_administer(new), |_| None),
    },
    ..DEFAULT
};

/// What a template asks for is said to stand where it will stand in the claim.
pub(super) const TEMPLATE: Strategy = Strategy {
    asks_namespace: |new, old| match old {
        None => administers(new, &["spec", "spec", "devices", "requests"]),
        Some(_) => None,
    },
    ..DEFAULT
};

/// The first of a claim's requests that wants to administer devices, whoever uses them.
fn administers(tree: &Value, requests: &[&str]) -> Option<Path> {
    let requests = at(tree, requests)?.as_array()?;
    let index = requests.iter().position(|request| request["exactly"]["adminAccess"] == true)?;
    Some(Path::new("spec").child("devices").child("requests").index(index).child("adminAccess"))
}

/// The first of the devices given to a claim that it may administer.
fn given_to_administer(claim: &Value) -> Option<Path> {
    let results = at(claim, &["status", "allocation", "devices", "results"])?.as_array()?;
    let index = results.iter().position(|result| result["adminAccess"] == true)?;
    let devices = Path::new("status").child("allocation").child("devices");
    Some(devices.child("results").index(index).child("adminAccess"))
}

/// Why the namespace of a call's object does not grant what is asked for at a path, if it does not.
///
/// Source: `AuthorizedForAdmin` and `AuthorizedForAdminStatus` of `k8s.io/kubernetes/pkg/registry/resource` (1.36).
pub(crate) async fn ungranted(call: &Call<'_>, path: Path) -> Option<Error> {
    const LABEL: &str = "resource.kubernetes.io/admin-access";
    let unknown = |why: String| {
        Some(Error::internal(&path, format!("could not retrieve namespace to verify admin access: {why}")))
    };
    let name = call.namespace();
    let absent = || unknown(status::not_found("", "namespaces", name).message);
    let Some(row) = call.server.row("", "v1", "namespaces") else { return absent() };
    match call.server.cached().get(&row, &ObjectKey::new("", name)).await {
        Ok(Some(namespace)) if namespace.labels().get(LABEL).is_some_and(|value| value == "true") => None,
        Ok(Some(_)) => Some(Error::forbidden(
            &path,
            format!("admin access to devices requires the `{LABEL}: true` label on the containing namespace"),
        )),
        Ok(None) => absent(),
        Err(error) => unknown(error.to_string()),
    }
}

/// A question about pools has no answer, not even an empty one, until somebody gives it.
pub(super) const POOL_STATUS: Strategy = Strategy {
    unconditional_update: false,
    status_metadata: false,
    create: |_, tree| {
        if let Some(root) = tree.as_object_mut() {
            root.remove("status");
        }
    },
    ..DEFAULT
};

fn rule_taint(tree: &mut Value) -> Option<&mut Map<String, Value>> {
    tree.pointer_mut("/spec/taint")?.as_object_mut()
}

fn devices(tree: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let list = tree.pointer_mut("/spec/devices").and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn taints(device: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let list = device.get_mut("taints").and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Source: `SetDefaults_DeviceTaint` of `k8s.io/kubernetes/pkg/apis/resource/v1` (1.36).
fn added(context: &Context<'_>, taint: &mut Map<String, Value>) {
    if taint.get("timeAdded").is_none_or(Value::is_null) {
        taint.insert("timeAdded".into(), context.now.to_string().into());
    }
}

/// Takes away what only features use that are off, unless the object uses them already.
fn drop_unserved(new: &mut Value, old: &Value) {
    const MAPPINGS: &str = "nodeAllocatableResourceMappings";
    const LISTS: [&str; 4] = ["bools", "ints", "strings", "versions"];
    let before = at(old, &["spec", "devices"]).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let maps = before.iter().any(|device| device[MAPPINGS].as_object().is_some_and(|map| !map.is_empty()));
    let has_list = |attribute: &Value| LISTS.iter().any(|list| attribute.get(list).is_some());
    let lists = before
        .iter()
        .filter_map(|device| device["attributes"].as_object())
        .any(|attributes| attributes.values().any(has_list));
    for device in devices(new) {
        if !maps {
            device.remove(MAPPINGS);
        }
        let attributes = device.get_mut("attributes").and_then(Value::as_object_mut);
        let attributes = attributes.into_iter().flat_map(|attributes| attributes.values_mut());
        for attribute in attributes.filter(|_| !lists).filter_map(Value::as_object_mut) {
            LISTS.iter().for_each(|list| drop(attribute.remove(*list)));
        }
    }
}

/// What a driver says of a device goes with the device's allocation.
///
/// Source: `dropDeallocatedStatusDevices` of `k8s.io/kubernetes/pkg/registry/resource/resourceclaim` (1.36).
fn drop_deallocated(new: &mut Value, old: &Value) {
    let now = allocated(new);
    let gone: Vec<[String; 4]> = allocated(old).into_iter().filter(|id| !now.contains(id)).collect();
    let status = map_mut(new, "status");
    if let Some(list) = status.get_mut("devices").and_then(Value::as_array_mut) {
        list.retain(|device| !gone.contains(&id(device)));
        if list.is_empty() {
            status.remove("devices");
        }
    }
}

fn allocated(claim: &Value) -> Vec<[String; 4]> {
    let results = at(claim, &["status", "allocation", "devices", "results"]).and_then(Value::as_array);
    results.into_iter().flatten().map(id).collect()
}

fn id(device: &Value) -> [String; 4] {
    ["driver", "pool", "device", "shareID"].map(|field| text(device, &[field]).to_owned())
}
