//! From an object that changed to the keys that should be looked at.

use kube_core::Resource;
use kube_core::ResourceExt;

use crate::api::ObjectKey;

/// The object's own key.
pub fn itself<K: Resource>(object: &K) -> Vec<ObjectKey> {
    vec![key(object)]
}

/// The key of the object's controller, if that is an `O`.
pub fn controller<K: Resource, O: Resource<DynamicType = ()>>(object: &K) -> Vec<ObjectKey> {
    object
        .owner_references()
        .iter()
        .filter(|owner| owner.controller == Some(true) && is::<O>(&owner.api_version, &owner.kind))
        .map(|owner| ObjectKey::new(object.namespace().unwrap_or_default(), &owner.name))
        .collect()
}

/// The keys of all the object's owners that are an `O`.
pub fn owners<K: Resource, O: Resource<DynamicType = ()>>(object: &K) -> Vec<ObjectKey> {
    object
        .owner_references()
        .iter()
        .filter(|owner| is::<O>(&owner.api_version, &owner.kind))
        .map(|owner| ObjectKey::new(object.namespace().unwrap_or_default(), &owner.name))
        .collect()
}

/// The key of an object.
pub fn key<K: Resource>(object: &K) -> ObjectKey {
    ObjectKey::new(object.namespace().unwrap_or_default(), object.name_any())
}

/// Versions of a group are one kind.
fn is<O: Resource<DynamicType = ()>>(api_version: &str, kind: &str) -> bool {
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    kind == O::kind(&()) && group == O::group(&())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_leads_to_itself_and_to_its_controller() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {
            "name": "a-x", "namespace": "default",
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "b", "uid": "2"},
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "1", "controller": true},
            ],
        }}))
        .unwrap();
        assert_eq!(itself(&pod), [ObjectKey::new("default", "a-x")]);
        assert_eq!(controller::<_, ReplicaSet>(&pod), [ObjectKey::new("default", "a")]);
        assert_eq!(owners::<_, ReplicaSet>(&pod).len(), 2);
        assert_eq!(controller::<_, Deployment>(&pod), []);
    }
}
