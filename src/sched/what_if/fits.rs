//! How many more of these pods fit?

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;

use super::WhatIf;
use crate::sched::{Decision, PodInfo};

/// How many more pods fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fits {
    /// So many.
    pub count: usize,
    /// Why no more; absent where there may be more than were asked for.
    pub message: Option<String>,
}

impl WhatIf {
    /// How many more of these pods find a node, but no more than `limit`, if the scheduler places one after the
    /// other. Nothing is changed.
    ///
    /// The number is that of the scheduler's own placements, and not an estimate from sums. The pods are one class,
    /// so that all but the first two and the last cost a look at what the one before has changed.
    #[must_use]
    pub fn fits(&self, pod: &Pod, limit: usize) -> Fits {
        let mut fork = self.fork();
        let mut pod = pod.clone();
        if let Some(spec) = &mut pod.spec {
            spec.node_name = None;
        }
        let info = fork.snapshot.read(Arc::new(pod));
        if let Some(message) = fork.may_not(&info) {
            return Fits { count: 0, message: Some(message) };
        }
        for count in 0..limit {
            let next = Arc::new(PodInfo { uid: format!("what-if-{count}"), ..info.clone() });
            let message = match fork.boards.decide(&fork.profile, &fork.snapshot, &next, &fork.draw) {
                Decision::Place(node) => {
                    let node = fork.snapshot.name(node).clone();
                    fork.snapshot.place(next, &node);
                    continue;
                }
                Decision::Reject(diagnosis) => diagnosis.message(),
                Decision::Fail { message, .. } => message,
            };
            return Fits { count, message: Some(message) };
        }
        Fits { count: limit, message: None }
    }
}
