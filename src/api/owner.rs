//! Owner references: who an object belongs to, and who manages it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::{Object, Resource};

/// The owner that manages an object; there is at most one.
#[must_use]
pub fn controller_of(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// Whether the object of this uid manages this one.
#[must_use]
pub fn is_controlled_by(metadata: &ObjectMeta, uid: &str) -> bool {
    controller_of(metadata).is_some_and(|owner| owner.uid == uid)
}

/// Whether the object of this uid is an owner of this one.
#[must_use]
pub fn is_owned_by(metadata: &ObjectMeta, uid: &str) -> bool {
    metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid)
}

/// A reference to an owner that manages what it owns and whose deletion in the foreground waits for
/// it (`metav1.NewControllerRef`).
#[must_use]
pub fn controller_reference(resource: &Resource, owner: &ObjectMeta) -> OwnerReference {
    OwnerReference {
        controller: Some(true),
        block_owner_deletion: Some(true),
        ..reference(
            &resource.api_version(),
            &resource.kind,
            owner.name.as_deref().unwrap_or_default(),
            owner.uid.as_deref().unwrap_or_default(),
        )
    }
}

/// A plain reference to an object.
#[must_use]
pub fn reference_to(owner: &Object) -> OwnerReference {
    let resource = owner.resource();
    reference(&resource.api_version(), &resource.kind, owner.name(), owner.uid())
}

fn reference(api_version: &str, kind: &str, name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: api_version.into(),
        kind: kind.into(),
        name: name.into(),
        uid: uid.into(),
        controller: None,
        block_owner_deletion: None,
    }
}

/// The group that a reference's `apiVersion` names.
#[must_use]
pub fn group(reference: &OwnerReference) -> &str {
    reference.api_version.split_once('/').map_or("", |(group, _)| group)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::ReplicaSet;

    use super::*;

    #[test]
    fn the_manager_is_one_among_owners() {
        let owner = ObjectMeta { name: Some("web".into()), uid: Some("1".into()), ..Default::default() };
        let manager = controller_reference(&Resource::of::<ReplicaSet>(), &owner);
        let other = OwnerReference { uid: "2".into(), controller: None, ..manager.clone() };
        let metadata =
            ObjectMeta { owner_references: Some(vec![other, manager.clone()]), ..Default::default() };
        assert_eq!(controller_of(&metadata), Some(&manager));
        assert!(is_controlled_by(&metadata, "1") && !is_controlled_by(&metadata, "2"));
        assert!(is_owned_by(&metadata, "2") && !is_owned_by(&metadata, "3"));
        assert_eq!((manager.api_version.as_str(), group(&manager)), ("apps/v1", "apps"));
    }
}
