//! Pods that nobody will finish: those of nodes that no longer exist, and those that are deleted
//! and were never given a node.
//!
//! Behaviour as Kubernetes 1.36 (`pkg/controller/podgc`). A node must be missing for 40 s, and be
//! missing when the server itself is asked, before its pods are taken away.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Node, Pod};
use tokio::time::Instant;

use super::super::informers::{BY_NODE, Informers};
use super::super::{Action, Controller, Error, Reconciler, map, pods};
use super::disrupt;
use crate::api::ObjectKey;
use crate::client::{self, Api, Client, DeleteOptions, Informer};
use crate::env::{Clock, Env};

/// How long a node must be missing.
const QUARANTINE: Duration = Duration::from_secs(40);

/// Starts the controller. Its keys are nodes; the one without a name stands for pods without one.
pub(in super::super) fn start(client: Arc<dyn Client>, env: &Env, informers: &Informers) -> Controller {
    let (nodes, pods) = (informers.nodes(), informers.pods());
    Controller::builder("pod-garbage-collector", client, env)
        .watch(&nodes, map::itself)
        .watch(&pods, |pod: &Pod| vec![ObjectKey::new("", pods::node(pod))])
        .start(|client| PodGcReconciler {
            nodes,
            pods,
            nodes_api: Api::all(client.clone()),
            pods_api: Api::all(client),
            clock: env.clock.clone(),
            missing: Mutex::default(),
        })
}

struct PodGcReconciler {
    nodes: Informer<Node>,
    pods: Informer<Pod>,
    nodes_api: Api<Node>,
    pods_api: Api<Pod>,
    clock: Clock,
    /// Since when a node that has pods is missing.
    missing: Mutex<BTreeMap<String, Instant>>,
}

#[async_trait]
impl Reconciler for PodGcReconciler {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, Error> {
        let mut pods = self.pods.by_index(BY_NODE, &key.name);
        if key.name.is_empty() {
            pods.retain(|pod| pod.metadata.deletion_timestamp.is_some());
            for pod in pods {
                self.remove(&pod, false).await?;
            }
            return Ok(Action::Done);
        }
        if self.nodes.get(key).is_some() || pods.is_empty() {
            self.missing.lock().unwrap_or_else(PoisonError::into_inner).remove(&key.name);
            return Ok(Action::Done);
        }
        let now = self.clock.instant();
        let missing_for = {
            let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
            now - *missing.entry(key.name.clone()).or_insert(now)
        };
        if missing_for < QUARANTINE {
            return Ok(Action::RequeueAfter(QUARANTINE - missing_for));
        }
        if self.nodes_api.get_opt(&key.name).await?.is_none() {
            for pod in pods {
                self.remove(&pod, true).await?;
            }
        }
        Ok(Action::Done)
    }
}

impl PodGcReconciler {
    /// Takes a pod away at once; one that has not ended has failed.
    async fn remove(&self, pod: &Pod, orphaned: bool) -> Result<(), Error> {
        let api = self.pods_api.within(pod.metadata.namespace.as_deref().unwrap_or_default());
        if !pods::is_terminal(pod) {
            let message = "PodGC: node no longer exists";
            let condition = disrupt::condition("DeletionByPodGC", message, self.clock.now_seconds());
            let marked = orphaned.then(|| disrupt::marked(pod, condition)).flatten();
            let mut failed = marked.unwrap_or_else(|| pod.clone());
            failed.status.get_or_insert_default().phase = Some("Failed".into());
            match api.update_status(&failed).await {
                Ok(_) => {}
                Err(client::Error::NotFound(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        let mut options = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
        options.preconditions.uid.clone_from(&pod.metadata.uid);
        match api.delete(pod.metadata.name.as_deref().unwrap_or_default(), options).await {
            Ok(_) | Err(client::Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
