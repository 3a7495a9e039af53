//! The pods that a pod belongs to, where it does not say so itself.
//!
//! Source: `pkg/scheduler/framework/plugins/helper/spread.go` (1.36).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

use super::world::{Named, World, find_in};
use crate::api::owner::controller_of;
use crate::api::selector::LabelSelector;

/// What all services that select a pod and the controller that owns it select by; the empty selector
/// where there are none.
pub(super) fn default_selector(world: &World, pod: &Pod) -> LabelSelector {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for service in world.services.iter().filter(|service| service.namespace() == pod.namespace()) {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        if let Some(selector) = selector
            && selector.iter().all(|(key, value)| pod.label(key) == Some(value.as_str()))
        {
            labels.extend(selector.clone());
        }
    }
    let by_services = LabelSelector::of_labels(&labels);
    let Some(owner) = controller_of(&pod.metadata) else { return by_services };
    let of_set = |selector| match LabelSelector::from_k8s(Some(selector)) {
        Ok(own) => {
            let mut both = by_services.clone();
            both.requirements.extend(own.requirements);
            both
        }
        Err(_) => by_services.clone(),
    };
    let namespace = pod.namespace();
    match (owner.api_version.as_str(), owner.kind.as_str()) {
        ("v1", "ReplicationController") => {
            let found = find_in(&world.replication_controllers, namespace, &owner.name);
            if let Some(controller) = found {
                labels.extend(controller.spec.iter().flat_map(|spec| spec.selector.clone()).flatten());
            }
            LabelSelector::of_labels(&labels)
        }
        ("apps/v1", "ReplicaSet") => {
            let found = find_in(&world.replica_sets, namespace, &owner.name);
            let spec = found.and_then(|set| set.spec.as_ref());
            spec.map_or(by_services.clone(), |spec| of_set(&spec.selector))
        }
        ("apps/v1", "StatefulSet") => {
            let found = find_in(&world.stateful_sets, namespace, &owner.name);
            let spec = found.and_then(|set| set.spec.as_ref());
            spec.map_or(by_services.clone(), |spec| of_set(&spec.selector))
        }
        _ => by_services,
    }
}
