//! Whom a pod belongs to, where it does not say so itself: services that select it, and the controller that made
//! it.
//!
//! Source: `DefaultSelector` of `pkg/scheduler/framework/plugins/helper/spread.go` (1.36).

use std::collections::BTreeMap;

use super::super::wishes::Labels;
use crate::api::owner::controller_of;
use crate::api::selector::LabelSelector;
use crate::sched::PodInfo;

/// What makes pods that look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    /// Selects by labels.
    ReplicationController,
    /// Selects by expressions.
    ReplicaSet,
    /// Selects by expressions.
    StatefulSet,
}

/// What services and controllers select by.
#[derive(Clone, Debug, Default)]
pub(super) struct Owners {
    /// By namespace and name.
    services: BTreeMap<String, BTreeMap<String, Labels>>,
    controllers: BTreeMap<(Controller, String, String), Option<LabelSelector>>,
}

impl Owners {
    /// A service came or changed; one without a selector selects nothing.
    pub(super) fn set_service(&mut self, namespace: &str, name: &str, selector: Option<&Labels>) {
        match selector {
            Some(selector) => {
                let services = self.services.entry(namespace.to_owned()).or_default();
                services.insert(name.to_owned(), selector.clone());
            }
            None => self.remove_service(namespace, name),
        }
    }

    pub(super) fn remove_service(&mut self, namespace: &str, name: &str) {
        if let Some(services) = self.services.get_mut(namespace) {
            services.remove(name);
            if services.is_empty() {
                self.services.remove(namespace);
            }
        }
    }

    /// A controller came or changed; one whose selector cannot be read has none.
    pub(super) fn set_controller(
        &mut self,
        kind: Controller,
        namespace: &str,
        name: &str,
        selector: Option<LabelSelector>,
    ) {
        self.controllers.insert((kind, namespace.to_owned(), name.to_owned()), selector);
    }

    pub(super) fn remove_controller(&mut self, kind: Controller, namespace: &str, name: &str) {
        self.controllers.remove(&(kind, namespace.to_owned(), name.to_owned()));
    }

    /// What all of them select by; the empty selector where there is none.
    pub(super) fn selector_of(&self, pod: &PodInfo) -> LabelSelector {
        let (namespace, own) = (&pod.kind.namespace, &pod.kind.labels);
        let mut labels = Labels::new();
        for selector in self.services.get(namespace).into_iter().flat_map(BTreeMap::values) {
            if selector.iter().all(|(key, value)| own.get(key) == Some(value)) {
                labels.extend(selector.clone());
            }
        }
        let controller = || {
            let owner = controller_of(&pod.pod.metadata)?;
            let kind = match (owner.api_version.as_str(), owner.kind.as_str()) {
                ("v1", "ReplicationController") => Controller::ReplicationController,
                ("apps/v1", "ReplicaSet") => Controller::ReplicaSet,
                ("apps/v1", "StatefulSet") => Controller::StatefulSet,
                _ => return None,
            };
            self.controllers.get(&(kind, namespace.clone(), owner.name.clone()))?.clone()
        };
        let mut selector = LabelSelector::of_labels(&labels);
        if let Some(controller) = controller() {
            let new = controller.requirements.into_iter().filter(|one| !selector.requirements.contains(one));
            let new: Vec<_> = new.collect();
            selector.requirements.extend(new);
        }
        selector
    }
}
