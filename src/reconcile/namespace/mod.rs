//! Namespace deletion: a namespace that is deleted is emptied first.
//!
//! All objects of all namespaced resources are deleted, pods before everything else; when nothing is
//! left, the finalizer `kubernetes` is taken off through the `finalize` subresource, and the server
//! removes the namespace. Behaviour as Kubernetes 1.36 (`pkg/controller/namespace/deletion`).

mod conditions;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Namespace, Pod};

use super::informers::Informers;
use super::{Action, Controller, Error, Reconciler, discovery, map};
use crate::api::{ObjectKey, Resource};
use crate::client::{
    self, Api, Client, ClientExt, DeleteOptions, Informer, ListOptions, PropagationPolicy, Target,
};
use crate::env::{Clock, Env};
use conditions::Progress;

const FINALIZER: &str = "kubernetes";
/// How long finalizers may take, where nothing says better.
const FINALIZERS: Duration = Duration::from_secs(15);

/// Starts the controller.
pub(super) fn start(client: Arc<dyn Client>, env: &Env, informers: &Informers) -> Controller {
    let (namespaces, pods) = (informers.namespaces(), informers.pods());
    let all = namespaces.clone();
    Controller::builder("namespace", client, env)
        .watch(&namespaces, map::itself)
        // Content is looked at again after a while; pods, which come first and take longest, say
        // themselves when they are gone.
        .watch(&pods, move |pod: &Pod| {
            let key = ObjectKey::new("", pod.metadata.namespace.clone().unwrap_or_default());
            let leaving = all.get(&key).is_some_and(|namespace| is_leaving(&namespace));
            if leaving { vec![key] } else { Vec::new() }
        })
        .workers(10)
        .start(|client| NamespaceReconciler {
            namespaces,
            pods,
            api: Api::all(client.clone()),
            client,
            clock: env.clock.clone(),
        })
}

fn is_leaving(namespace: &Namespace) -> bool {
    let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_ref());
    namespace.metadata.deletion_timestamp.is_some()
        && finalizers.is_some_and(|finalizers| finalizers.iter().any(|own| own == FINALIZER))
}

struct NamespaceReconciler {
    namespaces: Informer<Namespace>,
    pods: Informer<Pod>,
    api: Api<Namespace>,
    client: Arc<dyn Client>,
    clock: Clock,
}

#[async_trait]
impl Reconciler for NamespaceReconciler {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, Error> {
        let Some(namespace) = self.namespaces.get(key).filter(|namespace| is_leaving(namespace)) else {
            return Ok(Action::Done);
        };
        let progress = self.empty(&key.name).await?;
        let namespace = self.report(&namespace, &progress).await?;
        if progress.is_done() {
            return self.finalize(namespace).await;
        }
        if !progress.failures.is_empty() || !progress.discovery.is_empty() {
            return Err(Error::other(format!("could not empty namespace {key}: {progress:?}")));
        }
        Ok(Action::RequeueAfter(self.estimate(&key.name) / 2 + Duration::from_secs(1)))
    }
}

impl NamespaceReconciler {
    /// Deletes all content and says what is left.
    async fn empty(&self, namespace: &str) -> Result<Progress, Error> {
        let discovered = discovery::resources(&*self.client).await?;
        let mut progress = Progress { discovery: discovered.failed, ..Progress::default() };
        let mut resources: Vec<_> = discovered
            .resources
            .iter()
            .filter(|row| row.namespaced() && discovery::does(row, &["list", "delete"]))
            .collect();
        // Whoever stops in order may still need what is stored beside him.
        resources.sort_by_key(|row| !is_pods(row));
        for resource in resources {
            if let Err(error) = self.empty_resource(namespace, resource, &mut progress).await {
                progress.failures.push(error.to_string());
            }
            if is_pods(resource) && !progress.remaining.is_empty() {
                break;
            }
        }
        progress.failures.sort();
        Ok(progress)
    }

    async fn empty_resource(
        &self,
        namespace: &str,
        resource: &Resource,
        progress: &mut Progress,
    ) -> Result<(), client::Error> {
        let target = Target::all(resource).namespace(namespace);
        let before = self.client.list(target.clone(), ListOptions::default()).await?;
        if before.items.is_empty() {
            return Ok(());
        }
        let propagation = Some(PropagationPolicy::Background);
        let options = DeleteOptions { propagation, ..DeleteOptions::default() };
        if discovery::does(resource, &["deletecollection"]) {
            self.client.delete_collection(target.clone(), ListOptions::default(), options).await?;
        } else {
            for object in &before.items {
                match self.client.delete(target.clone().name(object.name()), options.clone()).await {
                    Ok(_) | Err(client::Error::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let left = self.client.list(target, ListOptions::default()).await?;
        if left.items.is_empty() {
            return Ok(());
        }
        let name = format!("{}.{}", resource.plural, resource.group);
        progress.remaining.insert(name, left.items.len());
        for object in &left.items {
            for finalizer in object.tree()["metadata"]["finalizers"].as_array().into_iter().flatten() {
                let finalizer = finalizer.as_str().unwrap_or_default().to_owned();
                *progress.finalizers.entry(finalizer).or_default() += 1;
            }
        }
        Ok(())
    }

    /// Writes the conditions; the namespace as it is then.
    async fn report(&self, namespace: &Namespace, progress: &Progress) -> Result<Namespace, Error> {
        let mut changed = namespace.clone();
        let status = changed.status.get_or_insert_default();
        let old = status.conditions.clone().unwrap_or_default();
        let new = conditions::conditions(&old, progress, self.clock.now_seconds());
        if new == old {
            return Ok(changed);
        }
        status.conditions = Some(new);
        Ok(self.api.update_status(&changed).await?)
    }

    async fn finalize(&self, mut namespace: Namespace) -> Result<Action, Error> {
        if let Some(finalizers) = namespace.spec.as_mut().and_then(|spec| spec.finalizers.as_mut()) {
            finalizers.retain(|own| own != FINALIZER);
        }
        match self.api.update_subresource(&namespace, "finalize").await {
            Ok(_) | Err(client::Error::NotFound(_)) => Ok(Action::Done),
            Err(error) => Err(error.into()),
        }
    }

    /// How long the pods that are left may take; as long as finalizers do, where there is none.
    fn estimate(&self, namespace: &str) -> Duration {
        let pods = self.pods.list_in(namespace);
        let graces = pods.iter().filter_map(|pod| pod.spec.as_ref()?.termination_grace_period_seconds);
        let longest = graces.max().and_then(|seconds| u64::try_from(seconds).ok());
        longest.map_or(FINALIZERS, Duration::from_secs)
    }
}

fn is_pods(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.plural == "pods"
}
