//! What a pod's status is.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{ContainerStatus, HostIP, PodIP, PodStatus};

use super::conditions::conditions;
use super::containers::{container_status, ephemeral_status, seconds};
use super::phase::phase;
use super::{End, Observed, Phase};

/// What a status says of the machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The runtime's name: container ids are `name://id`.
    pub runtime: String,
    /// The node's address.
    pub address: IpAddr,
}

/// The status of a pod, given what was last said (`previous`: the object's own status where
/// nothing was). `ending` says that nothing of the pod starts again.
#[must_use]
pub fn compose(observed: &Observed<'_>, machine: &Machine, previous: &PodStatus, ending: bool) -> PodStatus {
    let find = |list: &Option<Vec<ContainerStatus>>, name: &str| {
        list.iter().flatten().find(|status| status.name == name).cloned()
    };
    let spec = observed.spec();
    let init: Vec<_> = observed
        .init_containers()
        .iter()
        .map(|container| {
            let before = find(&previous.init_container_statuses, &container.name);
            container_status(observed, machine, container, true, before.as_ref(), ending)
        })
        .collect();
    let mut regular: Vec<_> = spec
        .containers
        .iter()
        .map(|container| {
            let before = find(&previous.container_statuses, &container.name);
            container_status(observed, machine, container, false, before.as_ref(), ending)
        })
        .collect();
    regular.sort_by(|a, b| a.name.cmp(&b.name));
    let ephemeral: Vec<_> = observed
        .ephemeral_containers()
        .iter()
        .map(|container| {
            let before = find(&previous.ephemeral_container_statuses, &container.name);
            ephemeral_status(observed, machine, container, before.as_ref())
        })
        .collect();

    let stored = previous.phase.as_deref();
    let mut now = phase(observed, &init, &regular, ending);
    let (mut reason, mut message) = (None, None);
    if let Some(End::Failed { reason: why, message: text }) = &observed.notes.end {
        now = Phase::Failed;
        (reason, message) = (Some(why.clone()), Some(text.clone()));
    }
    // Nothing follows a terminal phase.
    match stored {
        Some("Succeeded") => now = Phase::Succeeded,
        Some("Failed") => now = Phase::Failed,
        _ => {}
    }
    if stored == Some(now.as_str()) {
        reason = reason.or_else(|| previous.reason.clone());
        message = message.or_else(|| previous.message.clone());
    }

    let conditions =
        conditions(observed, previous.conditions.as_deref().unwrap_or_default(), &init, &regular, now);
    let addresses = addresses(observed, machine, previous);
    let host = machine.address.to_string();
    PodStatus {
        phase: Some(now.as_str().to_owned()),
        reason,
        message,
        conditions: Some(conditions),
        observed_generation: observed.pod.metadata.generation,
        start_time: previous.start_time.clone().or_else(|| Some(seconds(observed.now))),
        host_ip: Some(host.clone()),
        host_ips: Some(vec![HostIP { ip: host }]),
        pod_ip: addresses.first().cloned(),
        pod_ips: Some(addresses.into_iter().map(|ip| PodIP { ip }).collect::<Vec<_>>())
            .filter(|list| !list.is_empty()),
        init_container_statuses: Some(init).filter(|list| !list.is_empty()),
        container_statuses: Some(regular),
        ephemeral_container_statuses: Some(ephemeral).filter(|list| !list.is_empty()),
        ..previous.clone()
    }
}

fn addresses(observed: &Observed<'_>, machine: &Machine, previous: &PodStatus) -> Vec<String> {
    if observed.spec().host_network == Some(true) {
        return vec![machine.address.to_string()];
    }
    match observed.sandbox.map(|sandbox| &sandbox.addresses).filter(|addresses| !addresses.is_empty()) {
        Some(addresses) => addresses.iter().map(ToString::to_string).collect(),
        None => previous.pod_ips.iter().flatten().map(|one| one.ip.clone()).collect(),
    }
}
