//! Which objects a controller takes for its own.
//!
//! An object has at most one controller: the owner reference with `controller: true`. A controller
//! adopts what its selector matches and nobody controls, and lets go of what it controls and its
//! selector no longer matches (`pkg/controller/controller_ref_manager.go`, 1.36).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube_core::Resource;
use serde_json::{Value, json};

use crate::client::{Api, Error, Typed};

/// What a controller does about one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is the controller's own.
    Own,
    /// It should become its own.
    Adopt,
    /// It should no longer be its own.
    Release,
    /// It is none of its business.
    Ignore,
}

/// What `owner` does about `object`, whose labels its selector matches or not. Both are of one
/// namespace.
pub(super) fn claim(owner: &ObjectMeta, object: &ObjectMeta, matches: bool) -> Claim {
    let leaving = owner.deletion_timestamp.is_some();
    match controller_of(object) {
        Some(controller) if Some(&controller.uid) != owner.uid.as_ref() => Claim::Ignore,
        Some(_) if matches => Claim::Own,
        Some(_) if leaving => Claim::Ignore,
        Some(_) => Claim::Release,
        None if leaving || !matches || object.deletion_timestamp.is_some() => Claim::Ignore,
        None => Claim::Adopt,
    }
}

/// The reference to the controller of an object.
pub(super) fn controller_of(object: &ObjectMeta) -> Option<&OwnerReference> {
    object.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// The reference that makes `owner` the controller of an object.
pub(super) fn controller_ref<O: Resource<DynamicType = ()>>(owner: &O) -> OwnerReference {
    OwnerReference {
        api_version: O::api_version(&()).into_owned(),
        kind: O::kind(&()).into_owned(),
        name: owner.meta().name.clone().unwrap_or_default(),
        uid: owner.meta().uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Takes an object. `uid` in the patch refuses another object of the same name.
///
/// An owner that was just deleted must adopt nothing, or the garbage collector would take it away:
/// so the owner is read afresh first.
pub(super) async fn adopt<O, K>(owners: &Api<O>, owner: &O, objects: &Api<K>, object: &K) -> Result<(), Error>
where
    O: Typed + Resource<DynamicType = ()>,
    K: Typed + Resource,
{
    let fresh = owners.get(&name(owner)).await?;
    if fresh.meta().uid != owner.meta().uid || fresh.meta().deletion_timestamp.is_some() {
        let status = crate::api::status::conflict(
            &O::group(&()),
            &O::plural(&()),
            &name(owner),
            "it has been deleted and adopts nothing",
        );
        return Err(status.into());
    }
    let patch = json!({"metadata": {
        "ownerReferences": [controller_ref(owner)],
        "uid": object.meta().uid,
    }});
    gone_is_fine(objects.strategic_merge_patch(&name(object), &patch).await)
}

/// Lets go of an object.
pub(super) async fn release<O, K>(owner: &O, objects: &Api<K>, object: &K) -> Result<(), Error>
where
    O: Resource,
    K: Typed + Resource,
{
    gone_is_fine(
        objects.strategic_merge_patch(&name(object), &release_patch(owner.meta(), object.meta())).await,
    )
}

fn release_patch(owner: &ObjectMeta, object: &ObjectMeta) -> Value {
    json!({"metadata": {
        "ownerReferences": [{"$patch": "delete", "uid": owner.uid}],
        "uid": object.uid,
    }})
}

fn name<K: Resource>(object: &K) -> String {
    object.meta().name.clone().unwrap_or_default()
}

/// An object that is gone, or another one of its name, needs neither adoption nor release.
fn gone_is_fine<K>(result: Result<K, Error>) -> Result<(), Error> {
    match result {
        Ok(_) | Err(Error::NotFound(_) | Error::Invalid(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(tree: Value) -> ObjectMeta {
        serde_json::from_value(tree).unwrap()
    }

    #[test]
    fn an_orphan_that_matches_is_adopted_and_an_own_one_that_does_not_is_released() {
        let owner = meta(json!({"name": "o", "uid": "1"}));
        let leaving = meta(json!({"name": "o", "uid": "1", "deletionTimestamp": "2020-01-01T00:00:00Z"}));
        let of = |uid: &str| {
            meta(json!({"ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "9"},
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "o", "uid": uid, "controller": true},
            ]}))
        };
        let orphan = meta(json!({}));
        let dying = meta(json!({"deletionTimestamp": "2020-01-01T00:00:00Z"}));
        for (name, owner, object, matches, expected) in [
            ("own", &owner, &of("1"), true, Claim::Own),
            ("own, owner leaves", &leaving, &of("1"), true, Claim::Own),
            ("own, labels changed", &owner, &of("1"), false, Claim::Release),
            ("own, labels changed, owner leaves", &leaving, &of("1"), false, Claim::Ignore),
            ("another's", &owner, &of("2"), true, Claim::Ignore),
            ("orphan", &owner, &orphan, true, Claim::Adopt),
            ("orphan, owner leaves", &leaving, &orphan, true, Claim::Ignore),
            ("orphan of other labels", &owner, &orphan, false, Claim::Ignore),
            ("orphan that is being deleted", &owner, &dying, true, Claim::Ignore),
        ] {
            assert_eq!(claim(owner, object, matches), expected, "{name}");
        }
    }
}
