//! The conditions of a pod that its node agent owns.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition};

use super::containers::seconds;
use super::{Observed, Pending, Phase, is_sidecar};
use crate::runtime::{ContainerState, SandboxState};

/// The conditions that a node agent writes; all others are left as they are.
pub(crate) const OWNED: [&str; 6] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled", RESIZE_PENDING];

/// There is such a condition only while the pod waits for other resources.
const RESIZE_PENDING: &str = "PodResizePending";

/// What a condition says, without its times.
struct Says {
    status: bool,
    reason: Option<String>,
    message: Option<String>,
}

impl Says {
    fn yes() -> Self {
        Self { status: true, reason: None, message: None }
    }

    fn no(reason: &str, message: impl Into<Option<String>>) -> Self {
        Self { status: false, reason: Some(reason.to_owned()), message: message.into() }
    }
}

/// All conditions: first those that others own, then the agent's. `previous` are the ones last
/// written; a condition that says what it said keeps its transition time.
pub(super) fn conditions(
    observed: &Observed<'_>,
    previous: &[PodCondition],
    init: &[ContainerStatus],
    regular: &[ContainerStatus],
    phase: Phase,
) -> Vec<PodCondition> {
    let on_object = observed.pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut all: Vec<_> = on_object.filter(|one| !OWNED.contains(&one.type_.as_str())).cloned().collect();
    let sandbox = observed.sandbox.is_some_and(|sandbox| sandbox.state == SandboxState::Ready);
    let containers = containers_ready(observed, init, regular, phase);
    let ready = match containers.status {
        true => gates(observed, &all),
        false => {
            Says { status: false, reason: containers.reason.clone(), message: containers.message.clone() }
        }
    };
    let own = [
        ("PodReadyToStartContainers", Says { status: sandbox, reason: None, message: None }),
        ("Initialized", initialized(observed, init, phase)),
        ("Ready", ready),
        ("ContainersReady", containers),
        ("PodScheduled", Says::yes()),
    ];
    let pending = observed.notes.resize.as_ref().map(|pending| {
        let (reason, why) = match pending {
            Pending::Infeasible(why) => ("Infeasible", why),
            Pending::Deferred(why) => ("Deferred", why),
        };
        let says = Says { status: true, reason: Some(reason.to_owned()), message: Some(why.clone()) };
        (RESIZE_PENDING, says)
    });
    let generation = observed.pod.metadata.generation;
    all.extend(
        own.into_iter()
            .chain(pending)
            .map(|(kind, says)| stamp(kind, says, previous, generation, observed.now)),
    );
    all
}

fn stamp(
    kind: &str,
    says: Says,
    previous: &[PodCondition],
    generation: Option<i64>,
    now: Timestamp,
) -> PodCondition {
    let status = if says.status { "True" } else { "False" };
    let same = previous.iter().find(|one| one.type_ == kind && one.status == status);
    PodCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: says.reason,
        message: says.message,
        observed_generation: generation,
        last_probe_time: None,
        last_transition_time: same
            .and_then(|one| one.last_transition_time.clone())
            .or_else(|| Some(seconds(now))),
    }
}

/// Names as Go prints a slice: `[a b]`.
fn listed(names: &[&str]) -> String {
    format!("[{}]", names.join(" "))
}

fn initialized(observed: &Observed<'_>, init: &[ContainerStatus], phase: Phase) -> Says {
    if phase == Phase::Succeeded {
        return Says { reason: Some("PodCompleted".into()), ..Says::yes() };
    }
    let started =
        |name: &str| observed.newest(name).is_some_and(|one| !matches!(one.state, ContainerState::Created));
    if observed.spec().containers.iter().any(|container| started(&container.name)) {
        return Says::yes();
    }
    let incomplete: Vec<_> = observed
        .init_containers()
        .iter()
        .filter(|container| {
            init.iter().find(|status| status.name == container.name).is_none_or(|status| {
                if is_sidecar(container) { status.started != Some(true) } else { !status.ready }
            })
        })
        .map(|container| container.name.as_str())
        .collect();
    if incomplete.is_empty() {
        return Says::yes();
    }
    let message = format!("containers with incomplete status: {}", listed(&incomplete));
    Says::no("ContainersNotInitialized", message)
}

fn containers_ready(
    observed: &Observed<'_>,
    init: &[ContainerStatus],
    regular: &[ContainerStatus],
    phase: Phase,
) -> Says {
    match phase {
        Phase::Succeeded => return Says::no("PodCompleted", None),
        Phase::Failed => return Says::no("PodFailed", None),
        Phase::Pending | Phase::Running => {}
    }
    let sidecars = observed.init_containers().iter().filter(|container| is_sidecar(container));
    let unready: Vec<_> = sidecars
        .chain(&observed.spec().containers)
        .filter(|container| {
            !init.iter().chain(regular).any(|status| status.name == container.name && status.ready)
        })
        .map(|container| container.name.as_str())
        .collect();
    if unready.is_empty() {
        return Says::yes();
    }
    let message = format!("containers with unready status: {}", listed(&unready));
    Says::no("ContainersNotReady", message)
}

/// Readiness gates: conditions that somebody else sets.
fn gates(observed: &Observed<'_>, others: &[PodCondition]) -> Says {
    let missing: Vec<_> = observed
        .spec()
        .readiness_gates
        .iter()
        .flatten()
        .filter_map(|gate| {
            let kind = &gate.condition_type;
            match others.iter().find(|condition| condition.type_ == *kind) {
                None => {
                    Some(format!("corresponding condition of pod readiness gate {kind:?} does not exist."))
                }
                Some(condition) if condition.status != "True" => Some(format!(
                    "the status of pod readiness gate {kind:?} is not \"True\", but {}",
                    condition.status
                )),
                Some(_) => None,
            }
        })
        .collect();
    if missing.is_empty() { Says::yes() } else { Says::no("ReadinessGatesNotReady", missing.join(", ")) }
}
