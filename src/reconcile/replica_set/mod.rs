//! ReplicaSet: so many pods of one template.
//!
//! Behaviour as Kubernetes 1.36 (`pkg/controller/replicaset`). It counts its own active pods (not
//! ended, not being deleted), makes what is missing in batches that double while they succeed, and
//! deletes what is too much in the order of [`rank`].

mod decide;
mod rank;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;

use super::informers::{BY_CONTROLLER, Informers, orphans};
use super::{Action, Controller, Error, Events, Reconciler, claims, map, pods};
use crate::api::ObjectKey;
use crate::api::selector::LabelSelector;
use crate::client::{self, Api, Client, DeleteOptions, Informer};
use crate::env::{Clock, Env};
use claims::Claim;
use decide::{Failure, Observed, Step};

/// Starts the controller.
pub(super) fn start(
    client: Arc<dyn Client>,
    env: &Env,
    informers: &Informers,
    events: &Events,
) -> Controller {
    let (sets, pods) = (informers.replica_sets(), informers.pods());
    let orphans_of = sets.clone();
    Controller::builder("replicaset", client, env)
        .watch(&sets, map::itself)
        .watch(&pods, move |pod: &Pod| match claims::controller_of(&pod.metadata) {
            Some(_) => map::controller::<_, ReplicaSet>(pod),
            None => who_would_adopt(&orphans_of, pod),
        })
        .start(|client| ReplicaSetReconciler {
            sets,
            pods,
            sets_api: Api::all(client.clone()),
            pods_api: Api::all(client),
            events: events.component("replicaset-controller"),
            clock: env.clock.clone(),
        })
}

/// The sets whose selector matches a pod that nobody controls.
fn who_would_adopt(sets: &Informer<ReplicaSet>, pod: &Pod) -> Vec<ObjectKey> {
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    sets.list_in(pod.metadata.namespace.as_deref().unwrap_or_default())
        .iter()
        .filter(|set| selector(set).is_some_and(|selector| selector.matches(&labels)))
        .map(|set| map::key(&**set))
        .collect()
}

/// What a set selects; nothing where the selector is none or empty.
fn selector(set: &ReplicaSet) -> Option<LabelSelector> {
    let selector = LabelSelector::from_k8s(Some(&set.spec.as_ref()?.selector)).ok()?;
    Some(selector).filter(|selector| !selector.is_empty())
}

struct ReplicaSetReconciler {
    sets: Informer<ReplicaSet>,
    pods: Informer<Pod>,
    sets_api: Api<ReplicaSet>,
    pods_api: Api<Pod>,
    events: Events,
    clock: Clock,
}

#[async_trait]
impl Reconciler for ReplicaSetReconciler {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, Error> {
        let Some(set) = self.sets.get(key) else { return Ok(Action::Done) };
        let Some(selector) = selector(&set) else { return Ok(Action::Done) };
        let candidates = self.candidates(&set);
        let active = self.claim(&set, &selector, &candidates).await?;
        let terminating =
            candidates.iter().filter(|pod| pods::is_terminating(pod) && is_own(&set, &selector, pod)).count();
        let related = self.related(&set);
        let observed =
            Observed { set: &set, active: &active, terminating, related: &related, now: self.clock.now() };
        let outcome = self.act(&set, decide::step(&observed)).await;
        let failure = outcome.as_ref().err().map(|error| Failure { message: error.to_string() });
        let status = decide::status(&observed, failure.as_ref());
        if set.status.as_ref() != Some(&status) {
            let mut changed = (*set).clone();
            changed.status = Some(status);
            self.sets_api.within(&key.namespace).update_status(&changed).await?;
        }
        outcome?;
        Ok(decide::next_look(&observed).map_or(Action::Done, Action::RequeueAfter))
    }
}

fn is_own(set: &ReplicaSet, selector: &LabelSelector, pod: &Pod) -> bool {
    let matches = selector.matches(&pod.metadata.labels.clone().unwrap_or_default());
    claims::claim(&set.metadata, &pod.metadata, matches) == Claim::Own
}

impl ReplicaSetReconciler {
    /// The set's own pods, and the namespace's orphans.
    fn candidates(&self, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        let own = self.pods.by_index(BY_CONTROLLER, set.metadata.uid.as_deref().unwrap_or_default());
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        own.into_iter().chain(self.pods.by_index(BY_CONTROLLER, &orphans(namespace))).collect()
    }

    /// Adopts and releases; what remains are the set's own active pods.
    async fn claim(
        &self,
        set: &ReplicaSet,
        selector: &LabelSelector,
        candidates: &[Arc<Pod>],
    ) -> Result<Vec<Arc<Pod>>, Error> {
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        let pods_api = self.pods_api.within(namespace);
        let mut own = Vec::new();
        for pod in candidates.iter().filter(|pod| pods::is_active(pod)) {
            let matches = selector.matches(&pod.metadata.labels.clone().unwrap_or_default());
            match claims::claim(&set.metadata, &pod.metadata, matches) {
                Claim::Own => own.push(pod.clone()),
                Claim::Adopt => {
                    claims::adopt(&self.sets_api.within(namespace), set, &pods_api, &**pod).await?;
                    own.push(pod.clone());
                }
                Claim::Release => claims::release(set, &pods_api, &**pod).await?,
                Claim::Ignore => {}
            }
        }
        Ok(own)
    }

    /// The pods of all sets that have the same controller as this one.
    fn related(&self, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        let siblings = match claims::controller_of(&set.metadata) {
            Some(controller) => self.sets.by_index(BY_CONTROLLER, &controller.uid),
            None => vec![Arc::new(set.clone())],
        };
        siblings
            .iter()
            .filter_map(|sibling| sibling.metadata.uid.as_deref())
            .flat_map(|uid| self.pods.by_index(BY_CONTROLLER, uid))
            .collect()
    }

    async fn act(&self, set: &ReplicaSet, step: Step) -> Result<(), Error> {
        let pods = self.pods_api.within(set.metadata.namespace.as_deref().unwrap_or_default());
        match step {
            Step::Rest => Ok(()),
            Step::Create(count) => self.create(set, &pods, count).await,
            Step::Delete(extra) => {
                let deletions = join_all(extra.iter().map(|pod| self.delete(set, &pods, pod))).await;
                deletions.into_iter().collect()
            }
        }
    }

    /// Makes pods in batches of 1, 2, 4 and so on, each when the one before has succeeded: what
    /// fails for all is not tried by all.
    async fn create(&self, set: &ReplicaSet, pods: &Api<Pod>, count: usize) -> Result<(), Error> {
        let pod = decide::pod(set);
        let (mut left, mut batch) = (count, 1);
        while left > 0 {
            let size = batch.min(left);
            let created = join_all((0..size).map(|_| pods.create(&pod))).await;
            let mut failed = None;
            for result in created {
                match result {
                    Ok(pod) => {
                        let name = pod.metadata.name.unwrap_or_default();
                        self.events.normal(set, "SuccessfulCreate", format!("Created pod: {name}"));
                    }
                    // Nothing can be made there any more, and nobody needs to hear of it.
                    Err(error) if is_namespace_terminating(&error) => {}
                    Err(error) => {
                        self.events.warning(set, "FailedCreate", format!("Error creating: {error}"));
                        failed.get_or_insert(error);
                    }
                }
            }
            if let Some(error) = failed {
                return Err(error.into());
            }
            left -= size;
            batch *= 2;
        }
        Ok(())
    }

    async fn delete(&self, set: &ReplicaSet, pods: &Api<Pod>, pod: &Pod) -> Result<(), Error> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let mut options = DeleteOptions::default();
        options.preconditions.uid.clone_from(&pod.metadata.uid);
        match pods.delete(name, options).await {
            Ok(_) => {
                self.events.normal(set, "SuccessfulDelete", format!("Deleted pod: {name}"));
                Ok(())
            }
            Err(client::Error::NotFound(_)) => Ok(()),
            Err(error) => {
                self.events.warning(set, "FailedDelete", format!("Error deleting: {error}"));
                Err(error.into())
            }
        }
    }
}

/// Whether a write failed because its namespace is going away.
pub(super) fn is_namespace_terminating(error: &client::Error) -> bool {
    let details = error.status().and_then(|status| status.details.as_ref());
    details.is_some_and(|details| details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating"))
}
