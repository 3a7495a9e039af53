//! The cells of a pod: one word for all that its containers go through.

use jiff::Timestamp;
use serde_json::Value;

use super::{NONE, list, str_or, time};
use crate::api::duration;

/// What the containers' states come down to.
struct Summary {
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
    reason: String,
}

pub(super) fn ready(pod: &Value, _: Timestamp) -> Value {
    let Summary { ready, total, .. } = summary(pod);
    format!("{ready}/{total}").into()
}

pub(super) fn status(pod: &Value, _: Timestamp) -> Value {
    summary(pod).reason.into()
}

pub(super) fn restarts(pod: &Value, now: Timestamp) -> Value {
    let Summary { restarts, last_restart, .. } = summary(pod);
    match last_restart {
        Some(time) if restarts != 0 => {
            format!("{restarts} ({} ago)", duration::since(Some(time), now)).into()
        }
        _ => restarts.to_string().into(),
    }
}

pub(super) fn ip(pod: &Value, _: Timestamp) -> Value {
    str_or(&pod["status"]["podIPs"][0]["ip"], NONE).into()
}

pub(super) fn node(pod: &Value, _: Timestamp) -> Value {
    str_or(&pod["spec"]["nodeName"], NONE).into()
}

pub(super) fn nominated_node(pod: &Value, _: Timestamp) -> Value {
    str_or(&pod["status"]["nominatedNodeName"], NONE).into()
}

pub(super) fn readiness_gates(pod: &Value, _: Timestamp) -> Value {
    let gates = list(&pod["spec"]["readinessGates"]);
    if gates.is_empty() {
        return NONE.into();
    }
    let open = gates.iter().filter(|gate| holds(pod, str_or(&gate["conditionType"], "")));
    format!("{}/{}", open.count(), gates.len()).into()
}

fn holds(pod: &Value, kind: &str) -> bool {
    let condition = list(&pod["status"]["conditions"]).iter().find(|condition| condition["type"] == kind);
    condition.is_some_and(|condition| condition["status"] == "True")
}

fn summary(pod: &Value) -> Summary {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let phase = str_or(&status["phase"], "");
    let gated = list(&status["conditions"])
        .iter()
        .any(|condition| condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated");
    let mut summary = Summary {
        ready: 0,
        total: list(&spec["containers"]).len(),
        restarts: 0,
        last_restart: None,
        reason: if gated { "SchedulingGated" } else { str_or(&status["reason"], phase) }.to_owned(),
    };
    let sidecars: Vec<_> = list(&spec["initContainers"])
        .iter()
        .filter(|container| container["restartPolicy"] == "Always")
        .map(|container| &container["name"])
        .collect();
    summary.total += sidecars.len();
    let initializing = init_containers(&mut summary, spec, status, &sidecars);
    if !initializing || holds(pod, "Initialized") {
        // From here on the restarts of init containers are history, but for the sidecars'.
        (summary.restarts, summary.last_restart) = (0, None);
        for container in list(&status["initContainerStatuses"]) {
            if sidecars.contains(&&container["name"]) {
                summary.count_restarts(container);
            }
        }
        containers(&mut summary, status, holds(pod, "Ready"));
    }
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        if status["reason"] == "NodeLost" {
            summary.reason = "Unknown".into();
        } else if !matches!(phase, "Succeeded" | "Failed") {
            summary.reason = "Terminating".into();
        }
    }
    summary
}

/// Returns whether one of the init containers is not done.
fn init_containers(summary: &mut Summary, spec: &Value, status: &Value, sidecars: &[&Value]) -> bool {
    for (index, container) in list(&status["initContainerStatuses"]).iter().enumerate() {
        summary.count_restarts(container);
        let state = &container["state"];
        let terminated = &state["terminated"];
        let waiting = str_or(&state["waiting"]["reason"], "");
        if terminated["exitCode"] == 0 {
            continue;
        }
        if sidecars.contains(&&container["name"]) && container["started"] == true {
            summary.ready += usize::from(container["ready"] == true);
            continue;
        }
        summary.reason = if !terminated.is_null() {
            format!("Init:{}", end(terminated))
        } else if !matches!(waiting, "" | "PodInitializing") {
            format!("Init:{waiting}")
        } else {
            format!("Init:{index}/{}", list(&spec["initContainers"]).len())
        };
        return true;
    }
    false
}

fn containers(summary: &mut Summary, status: &Value, ready: bool) {
    let (mut running, mut failed) = (false, None);
    for container in list(&status["containerStatuses"]).iter().rev() {
        summary.count_restarts(container);
        let state = &container["state"];
        let terminated = &state["terminated"];
        let waiting = str_or(&state["waiting"]["reason"], "");
        if !waiting.is_empty() {
            summary.reason = waiting.into();
        } else if !terminated.is_null() {
            summary.reason = end(terminated);
            if terminated["exitCode"] != 0 {
                failed = Some(summary.reason.clone());
            }
        } else if container["ready"] == true && !state["running"].is_null() {
            running = true;
            summary.ready += 1;
        }
    }
    // One container that is through does not speak for the others.
    if summary.reason == "Completed" {
        if running && ready {
            summary.reason = "Running".into();
        } else if let Some(reason) = failed {
            summary.reason = reason;
        } else if running {
            summary.reason = "NotReady".into();
        }
    }
}

fn end(terminated: &Value) -> String {
    let reason = str_or(&terminated["reason"], "");
    let signal = terminated["signal"].as_i64().unwrap_or(0);
    if !reason.is_empty() {
        reason.into()
    } else if signal != 0 {
        format!("Signal:{signal}")
    } else {
        format!("ExitCode:{}", terminated["exitCode"].as_i64().unwrap_or(0))
    }
}

impl Summary {
    fn count_restarts(&mut self, container: &Value) {
        self.restarts += container["restartCount"].as_i64().unwrap_or(0);
        let ended = time(&container["lastState"]["terminated"]["finishedAt"]);
        self.last_restart = self.last_restart.max(ended);
    }
}
