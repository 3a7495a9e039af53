//! The class of devices that stands for an extended resource.
//!
//! Source: `k8s.io/dynamic-resource-allocation/deviceclass/extendedresourcecache` (1.36).

use std::cmp::Reverse;

use k8s_openapi::api::resource::v1::DeviceClass;

use super::world::{Named, World};

const PREFIX: &str = "deviceclass.resource.kubernetes.io/";

/// The class whose devices a pod gets that asks for a resource: the one that the resource's name
/// names, or that names the resource, of several the newest, and of those the first by name.
pub(super) fn backs<'w>(world: &'w World, resource: &str) -> Option<&'w DeviceClass> {
    let classes = || world.device_classes.iter().map(AsRef::as_ref);
    if let Some(name) = resource.strip_prefix(PREFIX) {
        return classes().find(|class: &&DeviceClass| class.name() == name);
    }
    classes()
        .filter(|class| class.spec.extended_resource_name.as_deref() == Some(resource))
        .min_by_key(|class| (Reverse(class.meta().creation_timestamp.clone()), class.name()))
}
