//! Deployment: one ReplicaSet a pod template, and the way from one to the next.
//!
//! Behaviour as Kubernetes 1.36 (`pkg/controller/deployment`). The ReplicaSet of the current
//! template grows while the others shrink, between the fences of the [`rolling`] update; each
//! has a revision, and going back to an old template uses its ReplicaSet again. [`decide`] plans
//! all of it purely; this file adopts, observes and writes.

mod conditions;
mod decide;
mod progress;
mod revision;
mod rolling;
mod template;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;

use super::informers::{BY_CONTROLLER, Informers, orphans};
use super::replica_set::is_namespace_terminating;
use super::{Action, Controller, Error, Events, Reconciler, claims, map, pods};
use crate::api::ObjectKey;
use crate::api::selector::LabelSelector;
use crate::client::{self, Api, Client, DeleteOptions, Informer};
use crate::env::{Clock, Env};
use claims::Claim;
use decide::{Observed, Write};

/// Starts the controller.
pub(super) fn start(
    client: Arc<dyn Client>,
    env: &Env,
    informers: &Informers,
    events: &Events,
) -> Controller {
    let (deployments, sets, pods) = (informers.deployments(), informers.replica_sets(), informers.pods());
    let (adopters, all, owners) = (deployments.clone(), deployments.clone(), sets.clone());
    Controller::builder("deployment", client, env)
        .watch(&deployments, map::itself)
        .watch(&sets, move |set: &ReplicaSet| match claims::controller_of(&set.metadata) {
            Some(_) => map::controller::<_, Deployment>(set),
            None => who_would_adopt(&adopters, set),
        })
        .watch(&pods, move |pod: &Pod| who_waits_for(&all, &owners, pod))
        .start(|client| DeploymentReconciler {
            deployments,
            sets,
            pods,
            deployments_api: Api::all(client.clone()),
            sets_api: Api::all(client),
            events: events.component("deployment-controller"),
            clock: env.clock.clone(),
        })
}

/// The Deployments whose selector matches a set that nobody controls.
fn who_would_adopt(deployments: &Informer<Deployment>, set: &ReplicaSet) -> Vec<ObjectKey> {
    let labels = set.metadata.labels.clone().unwrap_or_default();
    deployments
        .list_in(set.metadata.namespace.as_deref().unwrap_or_default())
        .iter()
        .filter(|deployment| selector(deployment).is_some_and(|selector| selector.matches(&labels)))
        .map(|deployment| map::key(&**deployment))
        .collect()
}

/// The Deployment that makes its new pods when the old ones are gone, and whose pod this is. All
/// others hear of pods by the status of their sets.
fn who_waits_for(
    deployments: &Informer<Deployment>,
    sets: &Informer<ReplicaSet>,
    pod: &Pod,
) -> Vec<ObjectKey> {
    let owners = map::controller::<_, ReplicaSet>(pod).into_iter().filter_map(|key| sets.get(&key));
    owners
        .flat_map(|set| map::controller::<_, Deployment>(&*set))
        .filter(|key| deployments.get(key).is_some_and(|deployment| is_recreate(&deployment)))
        .collect()
}

fn is_recreate(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref());
    strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate")
}

fn selector(deployment: &Deployment) -> Option<LabelSelector> {
    let selector = LabelSelector::from_k8s(Some(&deployment.spec.as_ref()?.selector)).ok()?;
    Some(selector).filter(|selector| !selector.is_empty())
}

struct DeploymentReconciler {
    deployments: Informer<Deployment>,
    sets: Informer<ReplicaSet>,
    pods: Informer<Pod>,
    deployments_api: Api<Deployment>,
    sets_api: Api<ReplicaSet>,
    events: Events,
    clock: Clock,
}

#[async_trait]
impl Reconciler for DeploymentReconciler {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, Error> {
        let Some(deployment) = self.deployments.get(key) else { return Ok(Action::Done) };
        let Some(selector) = selector(&deployment) else {
            let message = "This deployment is selecting all pods. A non-empty selector is required.";
            self.events.warning(&*deployment, "SelectingAll", message);
            return Ok(Action::Done);
        };
        let sets = self.claim(&deployment, &selector).await?;
        let with_pods = sets.iter().filter_map(|set| set.metadata.uid.clone());
        let with_pods = with_pods
            .filter(|uid| self.pods.by_index(BY_CONTROLLER, uid).iter().any(|pod| !pods::is_terminal(pod)))
            .collect();
        let plan = decide::plan(Observed {
            deployment: (*deployment).clone(),
            sets,
            with_pods,
            now: self.clock.now_seconds(),
        });
        for write in plan.writes {
            self.write(&deployment, write).await?;
        }
        Ok(plan.look_again.map_or(Action::Done, Action::RequeueAfter))
    }
}

impl DeploymentReconciler {
    /// Adopts and releases; what remains are the Deployment's own sets.
    async fn claim(
        &self,
        deployment: &Deployment,
        selector: &LabelSelector,
    ) -> Result<Vec<ReplicaSet>, Error> {
        let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
        let uid = deployment.metadata.uid.as_deref().unwrap_or_default();
        let sets_api = self.sets_api.within(namespace);
        let mut own = Vec::new();
        let orphans = self.sets.by_index(BY_CONTROLLER, &orphans(namespace));
        for set in self.sets.by_index(BY_CONTROLLER, uid).into_iter().chain(orphans) {
            let matches = selector.matches(&set.metadata.labels.clone().unwrap_or_default());
            match claims::claim(&deployment.metadata, &set.metadata, matches) {
                Claim::Own => own.push((*set).clone()),
                Claim::Adopt => {
                    let owners = self.deployments_api.within(namespace);
                    claims::adopt(&owners, deployment, &sets_api, &*set).await?;
                    // What is written to it next must be its state behind the adoption.
                    own.push(sets_api.get(set.metadata.name.as_deref().unwrap_or_default()).await?);
                }
                Claim::Release => claims::release(deployment, &sets_api, &*set).await?,
                Claim::Ignore => {}
            }
        }
        Ok(own)
    }

    async fn write(&self, deployment: &Deployment, write: Write) -> Result<(), Error> {
        let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
        let sets = self.sets_api.within(namespace);
        match write {
            Write::Create(set) => self.create(deployment, &set).await,
            Write::Update(set, from) => {
                sets.update(&set).await?;
                if let Some(from) = from {
                    self.scaled(deployment, &set, from);
                }
                Ok(())
            }
            Write::Delete(set) => {
                let mut options = DeleteOptions::default();
                options.preconditions.uid.clone_from(&set.metadata.uid);
                match sets.delete(set.metadata.name.as_deref().unwrap_or_default(), options).await {
                    Ok(_) | Err(client::Error::NotFound(_)) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
            Write::Status(changed) => {
                self.deployments_api.within(namespace).update_status(&changed).await?;
                Ok(())
            }
        }
    }

    async fn create(&self, deployment: &Deployment, set: &ReplicaSet) -> Result<(), Error> {
        let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let (sets, deployments) = (self.sets_api.within(namespace), self.deployments_api.within(namespace));
        match sets.create(set).await {
            Ok(_) => {
                if set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0) > 0 {
                    self.scaled(deployment, set, 0);
                }
                Ok(())
            }
            Err(error @ client::Error::AlreadyExists(_)) => {
                let standing = sets.get(name).await?;
                if !decide::is_new_set(deployment, &standing) {
                    deployments.update_status(&decide::collided(deployment.clone())).await?;
                }
                Err(error.into())
            }
            Err(error) if is_namespace_terminating(&error) => Err(error.into()),
            Err(error) => {
                let message = format!("Failed to create new replica set {name:?}: {error}");
                let failed = decide::creation_failed(deployment.clone(), &message, self.clock.now_seconds());
                if let Some(failed) = failed.filter(|failed| failed.status != deployment.status) {
                    deployments.update_status(&failed).await?;
                }
                self.events.warning(deployment, conditions::CREATE_FAILED, message);
                Err(error.into())
            }
        }
    }

    fn scaled(&self, deployment: &Deployment, set: &ReplicaSet, from: i32) {
        let to = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
        let direction = if to > from { "up" } else { "down" };
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let message = format!("Scaled {direction} replica set {name} from {from} to {to}");
        self.events.normal(deployment, "ScalingReplicaSet", message);
    }
}
