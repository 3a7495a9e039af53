//! EndpointSlice: where the pods of a Service can be reached.
//!
//! Behaviour as Kubernetes 1.36 (`pkg/controller/endpointslice`): pods that the Service selects and
//! that have an address are endpoints, ready or not, until they have ended. Topology hints are not
//! made.

mod decide;
mod endpoints;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::informers::Informers;
use super::replica_set::is_namespace_terminating;
use super::{Action, Controller, Error, Reconciler, map};
use crate::api::ObjectKey;
use crate::api::selector::LabelSelector;
use crate::client::{self, Api, Client, DeleteOptions, Informer};
use crate::env::Env;
use decide::{MANAGED_BY, MANAGER, SERVICE_NAME, Write};

/// Starts the controller.
pub(super) fn start(client: Arc<dyn Client>, env: &Env, informers: &Informers) -> Controller {
    let (services, pods, slices) = (informers.services(), informers.pods(), informers.endpoint_slices());
    let nodes = informers.nodes();
    let all = services.clone();
    Controller::builder("endpointslice", client, env)
        .watch(&services, map::itself)
        .watch(&slices, |slice: &EndpointSlice| service_of(slice).into_iter().collect())
        .watch(&pods, move |pod: &Pod| who_selects(&all, pod))
        // Zones are read from nodes, and nodes move to no other zone.
        .watch(&nodes, |_: &Node| Vec::new())
        .start(|client| EndpointSliceReconciler { services, pods, slices, nodes, api: Api::all(client) })
}

/// The Service whose slice this is, if it is one of ours.
fn service_of(slice: &EndpointSlice) -> Option<ObjectKey> {
    let labels = slice.metadata.labels.as_ref()?;
    let ours = labels.get(MANAGED_BY).is_some_and(|manager| manager == MANAGER);
    let name = labels.get(SERVICE_NAME).filter(|_| ours)?;
    Some(ObjectKey::new(slice.metadata.namespace.clone().unwrap_or_default(), name))
}

/// What a Service selects; nothing where it selects nothing or leads elsewhere.
fn selector(service: &Service) -> Option<LabelSelector> {
    let spec = service.spec.as_ref()?;
    let labels = spec.selector.as_ref().filter(|labels| !labels.is_empty())?;
    (spec.type_.as_deref() != Some("ExternalName")).then(|| LabelSelector::of_labels(labels))
}

fn who_selects(services: &Informer<Service>, pod: &Pod) -> Vec<ObjectKey> {
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    services
        .list_in(pod.metadata.namespace.as_deref().unwrap_or_default())
        .iter()
        .filter(|service| selector(service).is_some_and(|selector| selector.matches(&labels)))
        .map(|service| map::key(&**service))
        .collect()
}

struct EndpointSliceReconciler {
    services: Informer<Service>,
    pods: Informer<Pod>,
    slices: Informer<EndpointSlice>,
    nodes: Informer<Node>,
    api: Api<EndpointSlice>,
}

#[async_trait]
impl Reconciler for EndpointSliceReconciler {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, Error> {
        let Some(service) = self.services.get(key) else { return Ok(Action::Done) };
        let Some(selector) = selector(&service) else { return Ok(Action::Done) };
        let mut pods = self.pods.list_in(&key.namespace);
        pods.retain(|pod| selector.matches(&pod.metadata.labels.clone().unwrap_or_default()));
        let mut slices = self.slices.list_in(&key.namespace);
        slices.retain(|slice| service_of(slice).as_ref() == Some(key));
        let node = |name: &str| self.nodes.get(&ObjectKey::new("", name));
        let desired = endpoints::desired(&service, &pods, node);
        for write in decide::plan(&service, desired, &slices) {
            match self.write(&key.namespace, write).await {
                Err(error) if is_namespace_terminating(&error) => return Ok(Action::Done),
                other => other?,
            }
        }
        Ok(Action::Done)
    }
}

impl EndpointSliceReconciler {
    async fn write(&self, namespace: &str, write: Write) -> Result<(), client::Error> {
        let api = self.api.within(namespace);
        match write {
            Write::Create(slice) => api.create(&slice).await.map(drop),
            Write::Update(slice) => api.update(&slice).await.map(drop),
            Write::Delete(slice) => {
                let mut options = DeleteOptions::default();
                options.preconditions.uid.clone_from(&slice.metadata.uid);
                match api.delete(slice.metadata.name.as_deref().unwrap_or_default(), options).await {
                    Ok(_) | Err(client::Error::NotFound(_)) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        }
    }
}
