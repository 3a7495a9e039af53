//! The probes of one pod's containers: which are due, and what they found.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Probe};

use super::{Done, PodWorker};
use crate::node::health::{Answer, run_probe};
use crate::node::lifecycle::{Decision, ProbeKind, ProbeMachine, ProbeResult, Verdict};
use crate::node::recorder::Severity;
use crate::runtime::{ContainerId, ContainerState};

impl PodWorker {
    /// Starts the probes that are due; answers when the next one is.
    pub(super) fn probe(&mut self, decision: &Decision) -> Option<Timestamp> {
        let now = self.now();
        let mut wake: Option<Timestamp> = None;
        let running: Vec<_> = self
            .containers
            .iter()
            .filter_map(|one| match one.state {
                ContainerState::Running { started_at } => {
                    Some((one.id.clone(), one.name.clone(), started_at))
                }
                _ => None,
            })
            .collect();
        for (id, name, started_at) in running {
            let Some(container) = self.container(&name) else { continue };
            let started = container.startup_probe.is_none()
                || self.notes.verdicts.get(&id).is_some_and(|seen| seen.startup == Some(Verdict::Success));
            let probes = [
                (ProbeKind::Startup, &container.startup_probe),
                (ProbeKind::Liveness, &container.liveness_probe),
                (ProbeKind::Readiness, &container.readiness_probe),
            ];
            for (kind, probe) in probes {
                let Some(probe) = probe else { continue };
                let waits = (kind == ProbeKind::Startup) == started;
                // What ends may still say that it is not ready, but is no longer started anew.
                if waits || (decision.ending && kind != ProbeKind::Readiness) {
                    continue;
                }
                let key = (id.clone(), kind);
                let machine = self
                    .probes
                    .entry(key.clone())
                    .or_insert_with(|| ProbeMachine::new(kind, probe, started_at));
                let Some(due) = machine.due() else { continue };
                if due > now {
                    wake = Some(wake.map_or(due, |earlier| earlier.min(due)));
                } else if self.probing.insert(key) {
                    self.run_probe(id.clone(), kind, container.clone(), probe.clone(), now);
                }
            }
        }
        wake
    }

    fn run_probe(&self, id: ContainerId, kind: ProbeKind, container: Container, probe: Probe, at: Timestamp) {
        let context = self.context.clone();
        let address = self.addresses().first().copied();
        self.spawn("probe", async move {
            let (runtime, network) = (&*context.runtime, &*context.network);
            let answer =
                run_probe(runtime, network, &context.env.clock, &container, &id, address, &probe).await;
            Done::Probed { id, kind, at, answer }
        });
    }

    pub(super) fn probed(&mut self, id: &ContainerId, kind: ProbeKind, at: Timestamp, answer: Answer) {
        let key = (id.clone(), kind);
        self.probing.remove(&key);
        let Some(machine) = self.probes.get_mut(&key) else { return };
        let name = self.containers.iter().find(|one| one.id == *id).map(|one| one.name.clone());
        let result = match &answer {
            Answer::Success => ProbeResult::Success,
            Answer::Failure(_) => ProbeResult::Failure,
            Answer::Unknown(_) => ProbeResult::Unknown,
        };
        machine.take(result, at);
        let verdict = machine.verdict();
        let verdicts = self.notes.verdicts.entry(id.clone()).or_default();
        match kind {
            ProbeKind::Startup => verdicts.startup = verdict,
            ProbeKind::Liveness => verdicts.liveness = verdict,
            ProbeKind::Readiness => verdicts.readiness = verdict,
        }
        let message = match answer {
            Answer::Success => return,
            Answer::Failure(output) => format!("{} probe failed: {output}", kind.name()),
            Answer::Unknown(why) => {
                format!("{} probe errored and resulted in unknown state: {why}", kind.name())
            }
        };
        self.tell(name.as_deref(), Severity::Warning, "Unhealthy", message);
    }
}
