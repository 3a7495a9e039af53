//! Giving a pod other resources than it has.

use k8s_openapi::api::core::v1::Pod;

use super::PodWorker;
use crate::api::predicates::{Resources, pod_requests};
use crate::node::lifecycle::{Pending, Reason, resize, spec};
use crate::node::recorder::Severity;
use crate::runtime::ContainerState;

impl PodWorker {
    /// Gives the pod what its spec asks for, if that fits beside the other pods; notes why not, if not.
    pub(super) fn resize(&mut self) {
        let asked = resize::asked(&self.pod);
        if asked == self.notes.allocated {
            self.notes.resize = None;
            return;
        }
        let uid = self.pod.metadata.uid.as_deref();
        let mut used = Resources::new();
        for view in self.context.views.all() {
            let ended = matches!(view.status.phase.as_deref(), Some("Succeeded" | "Failed"));
            if view.pod.metadata.uid.as_deref() != uid && !ended {
                // The others are counted by what they were given.
                let other = Pod { status: Some(view.status), ..Pod::clone(&view.pod) };
                used.add(&pod_requests(spec(&resize::given(&other, &resize::known(&other)))));
            }
        }
        let allocatable = Resources::read(Some(&self.context.allocatable));
        if let Err(pending) = resize::fits(&self.pod, &used, &allocatable) {
            if self.notes.resize.as_ref() != Some(&pending) {
                let (reason, message) = match &pending {
                    Pending::Infeasible(why) => ("ResizeInfeasible", why),
                    Pending::Deferred(why) => ("ResizeDeferred", why),
                };
                self.tell(None, Severity::Warning, reason, format!("Pod resize {message}"));
            }
            self.notes.resize = Some(pending);
            return;
        }
        let before = std::mem::replace(&mut self.notes.allocated, asked);
        self.notes.resize = None;
        self.tell(None, Severity::Normal, "ResizeCompleted", "Pod resize completed");
        let restarting: Vec<_> = spec(&self.pod)
            .containers
            .iter()
            .filter(|one| {
                before.get(&one.name).is_some_and(|before| {
                    resize::must_restart(one, before, &one.resources.clone().unwrap_or_default())
                })
            })
            .filter_map(|one| self.observed().newest(&one.name).cloned())
            .filter(|instance| matches!(instance.state, ContainerState::Running { .. }))
            .collect();
        for instance in restarting {
            let message = format!("Container {} resize requires restart", instance.name);
            let grace = spec(&self.pod).termination_grace_period_seconds.unwrap_or(30);
            let grace = std::time::Duration::from_secs(u64::try_from(grace).unwrap_or(1).max(2));
            let name = instance.name.clone();
            self.stop(instance.id, &name, Reason::Probe { message, restart: true }, grace);
        }
    }
}
