//! Before a pod is bound: what was decided of its claims is written.
//!
//! A claim is written with its devices and with the pod that it is kept for. Devices that must be prepared first are
//! then waited for: their drivers say in conditions of the claim that they are ready, or that they never will be.
//!
//! Source: `PreBind`, `bindClaim`, `isPodReadyForBinding` and `isClaimTimeout` of `dynamicresources.go` (1.36).

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::resource::v1::{
    AllocationResult, DeviceRequestAllocationResult, ResourceClaim, ResourceClaimConsumerReference,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::json;

use super::acts::{FINALIZER, PAUSE, TRIES, api};
use super::claims::{allocation, is_reserved_for, name, results, shown};
use super::extended::Made;
use super::{DynamicResources, FAILED};
use crate::client::{Api, Client, Error};
use crate::env::Clock;
use crate::sched::{BindError, Binding, PodInfo};

/// How often to look whether devices are ready.
const LOOK: Duration = Duration::from_secs(5);
const TIMEOUT: &str = "device binding timeout";

/// A pod on its way, and through what to write.
pub(super) struct Writing<'a> {
    plugin: &'a DynamicResources,
    pod: &'a PodInfo,
    client: &'a Arc<dyn Client>,
    clock: Clock,
}

/// What of a claim's way went wrong.
enum Wrong {
    /// It is another by now.
    Conflict(String),
    Other(String),
}

fn wrong(what: &str, claim: &ResourceClaim, error: &Error) -> Wrong {
    let message = format!("{what} {}: {error}", shown(claim));
    if matches!(error, Error::Conflict(_)) { Wrong::Conflict(message) } else { Wrong::Other(message) }
}

impl<'a> Writing<'a> {
    pub(super) fn new(plugin: &'a DynamicResources, binding: &'a Binding) -> Self {
        Self { plugin, pod: &binding.pod, client: &binding.client, clock: plugin.clock() }
    }

    /// Writes all of a pod's claims.
    pub(super) async fn run(&self) -> Result<(), BindError> {
        let plan = self.plugin.books().planned(self.pod);
        let Some(plan) = plan else { return Ok(()) };
        for (claim, given) in &plan.claims {
            if !is_reserved_for(claim, &self.pod.uid) {
                self.write(claim, claim, given.as_ref()).await.map_err(BindError::Rejected)?;
            }
        }
        if let Some((made, given)) = &plan.made {
            self.make(made, given).await.map_err(BindError::Rejected)?;
        }
        Ok(())
    }

    /// Waits for the devices of a pod's claims, once they are written.
    pub(super) async fn ready(&self) -> Result<(), BindError> {
        let claims = self.plugin.books().written_for(self.pod);
        let waits = |claim: &Arc<ResourceClaim>| {
            let results = allocation(claim).map(results).unwrap_or_default();
            results.iter().any(|result| !conditions(result).is_empty())
        };
        if claims.iter().any(waits) { self.wait(&claims).await.map_err(BindError::Rejected) } else { Ok(()) }
    }

    /// Writes a claim, again where somebody else did meanwhile.
    async fn write(
        &self,
        planned: &ResourceClaim,
        claim: &ResourceClaim,
        given: Option<&AllocationResult>,
    ) -> Result<(), String> {
        let claims = api(self.client, claim);
        let mut claim = claim.clone();
        for tries in 1.. {
            match self.write_once(&claims, claim.clone(), given).await {
                Ok(written) => {
                    self.plugin.books().wrote(self.pod, planned, &Arc::new(written));
                    return Ok(());
                }
                Err(Wrong::Conflict(_)) if tries < TRIES => {
                    self.clock.sleep(PAUSE).await;
                    claim = claims.get(name(&claim)).await.map_err(|error| {
                        format!("get updated claim {} after conflict: {error}", shown(&claim))
                    })?;
                }
                Err(Wrong::Conflict(message) | Wrong::Other(message)) => return Err(message),
            }
        }
        unreachable!("the last try returns")
    }

    async fn write_once(
        &self,
        claims: &Api<ResourceClaim>,
        mut claim: ResourceClaim,
        given: Option<&AllocationResult>,
    ) -> Result<ResourceClaim, Wrong> {
        let meanwhile = |claim: &ResourceClaim, what: &str| {
            Wrong::Other(format!("claim {} got {what} in the meantime", shown(claim)))
        };
        if claim.metadata.deletion_timestamp.is_some() {
            return Err(meanwhile(&claim, "deleted"));
        }
        if let Some(given) = given {
            if allocation(&claim).is_some() {
                return Err(meanwhile(&claim, "allocated elsewhere"));
            }
            let finalizers = claim.metadata.finalizers.get_or_insert_default();
            if !finalizers.iter().any(|own| own == FINALIZER) {
                finalizers.push(FINALIZER.to_owned());
                let updated = claims.update(&claim).await;
                claim = updated.map_err(|error| wrong("add finalizer to claim", &claim, &error))?;
            }
            claim.status.get_or_insert_default().allocation = Some(given.clone());
        }
        let status = claim.status.get_or_insert_default();
        status.reserved_for.get_or_insert_default().push(ResourceClaimConsumerReference {
            api_group: None,
            resource: "pods".into(),
            name: self.pod.key.name.clone(),
            uid: self.pod.uid.clone(),
        });
        match &mut status.allocation {
            Some(allocation) => {
                allocation.allocation_timestamp.get_or_insert(Time(self.clock.now_seconds()));
            }
            None => return Err(meanwhile(&claim, "deallocated elsewhere")),
        }
        let what = match given {
            Some(_) => "add allocation and reservation to claim",
            None => "add reservation to claim",
        };
        claims.update_status(&claim).await.map_err(|error| wrong(what, &claim, &error))
    }

    /// Makes the claim for the pod's extended resources.
    async fn make(&self, made: &Made, given: &AllocationResult) -> Result<(), String> {
        let mut claim = ResourceClaim::clone(&made.claim);
        // What is made anew is named by the server.
        (claim.metadata.name, claim.metadata.uid) = (None, None);
        let created = api(self.client, &claim).create(&claim).await;
        let created = created
            .map_err(|error| format!("create claim for extended resources {}: {error}", shown(&claim)))?;
        let created = Arc::new(created);
        self.plugin.books().made(self.pod, &created);
        self.write(&made.claim, &created, Some(given)).await?;
        let status = json!({"status": {"extendedResourceClaimStatus": {
            "requestMappings": made.mappings,
            "resourceClaimName": name(&created),
        }}});
        let pods = Api::<Pod>::namespaced(self.client.clone(), &self.pod.key.namespace);
        pods.merge_patch_status(&self.pod.key.name, &status)
            .await
            .map_err(|error| format!("update pod {} ExtendedResourceClaimStatus: {error}", self.pod.key))
            .map(drop)
    }

    /// Waits until all devices are ready.
    async fn wait(&self, claims: &[Arc<ResourceClaim>]) -> Result<(), String> {
        let limit = self.plugin.binding_timeout;
        let start = self.clock.instant();
        loop {
            if self.are_ready(claims).await? {
                return Ok(());
            }
            if self.clock.instant() - start >= limit {
                claims.iter().for_each(|claim| self.plugin.books().set_late(claim));
                return Err(format!("{TIMEOUT}: context deadline exceeded"));
            }
            let rest = limit.saturating_sub(self.clock.instant() - start);
            self.clock.sleep(LOOK.min(rest)).await;
        }
    }

    async fn are_ready(&self, claims: &[Arc<ResourceClaim>]) -> Result<bool, String> {
        for claim in claims {
            let claim = api(self.client, claim).get(name(claim)).await.map_err(|error| error.to_string())?;
            if is_ready(&claim)? {
                continue;
            }
            if self.is_late(&claim) {
                self.plugin.books().set_late(&claim);
                return Err(format!("{TIMEOUT}: claim={}", name(&claim)));
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether the devices of a claim have been waited for long enough, be it by somebody else.
    fn is_late(&self, claim: &ResourceClaim) -> bool {
        let Some(allocation) = allocation(claim) else { return false };
        let Some(since) = &allocation.allocation_timestamp else { return false };
        let waits = results(allocation).iter().any(|result| result.binding_conditions.is_some());
        let waited = self.clock.now().duration_since(since.0);
        waits && Duration::try_from(waited).is_ok_and(|waited| waited > self.plugin.binding_timeout)
    }
}

fn conditions(result: &DeviceRequestAllocationResult) -> &[String] {
    result.binding_conditions.as_deref().unwrap_or_default()
}

/// Whether all devices of a claim are ready.
///
/// # Errors
///
/// When one of them never will be.
pub(super) fn is_ready(claim: &ResourceClaim) -> Result<bool, String> {
    let Some(allocation) = allocation(claim) else { return Ok(false) };
    for result in results(allocation).iter().filter(|result| !conditions(result).is_empty()) {
        let statuses = claim.status.iter().flat_map(|status| status.devices.iter().flatten());
        let mut statuses = statuses.filter(|status| {
            (&status.driver, &status.pool, &status.device) == (&result.driver, &result.pool, &result.device)
        });
        let Some(status) = statuses.next() else { return Ok(false) };
        let holds = |kind: &String| {
            let mut told = status.conditions.iter().flatten();
            told.find(|told: &&Condition| told.type_ == *kind).filter(|told| told.status == "True")
        };
        if let Some(failed) = result.binding_failure_conditions.iter().flatten().find_map(holds) {
            let (claim, reason, message) = (name(claim), &failed.reason, &failed.message);
            return Err(format!("{FAILED}: claim={claim}, reason={reason}, message={message:?}"));
        }
        if !conditions(result).iter().all(|kind| holds(kind).is_some()) {
            return Ok(false);
        }
    }
    Ok(true)
}
