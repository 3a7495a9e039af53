//! What a workload is made of.

use serde_json::{Value, json};

use crate::templates;

/// A workload: nodes, the pods that are there before, those that are measured, and what happens meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    /// As kube-scheduler's benchmark calls it.
    pub(crate) name: &'static str,
    pub(crate) nodes: usize,
    /// The zones that nodes are in, by turns; in none where there are none.
    pub(crate) zones: &'static [&'static str],
    /// The pods that are bound before.
    pub(crate) before: &'static [Pods],
    /// Those that are measured, alone in their namespace.
    pub(crate) measured: Pods,
    /// How many of those the nodes have room for.
    pub(crate) room: usize,
    pub(crate) churn: Option<Churn>,
    /// What kube-scheduler 1.36 was measured to bind in a second, on a machine of this kind.
    pub(crate) peer: f64,
}

/// Pods of one form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pods {
    pub(crate) count: usize,
    pub(crate) namespace: &'static str,
    pub(crate) form: Form,
}

/// How pods look.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// All alike.
    Alike(fn() -> Value),
    /// Alike, each with a volume of its own.
    WithVolume,
    /// As many classes by turns, which differ in the memory they ask for.
    Classes(usize),
}

/// What happens while pods are measured, each time that so many more of them are bound.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Churn {
    /// A pod comes that is to be bound within the run.
    Preemptor { every: usize },
    /// A pod comes that can never be bound.
    NeverFits { every: usize },
    /// A node, a service and a pod that can never be bound come, or go again.
    Mixed { every: usize },
}

impl Churn {
    pub(crate) fn every(self) -> usize {
        match self {
            Self::Preemptor { every } | Self::NeverFits { every } | Self::Mixed { every } => every,
        }
    }
}

impl Form {
    /// What makes pods of this form, by their number.
    pub(crate) fn maker(self) -> impl Fn(usize) -> Value + Send + Sync {
        let like = match self {
            Self::Alike(template) => template(),
            Self::WithVolume | Self::Classes(_) => templates::pod(),
        };
        move |number| {
            let mut pod = like.clone();
            if let Self::Classes(classes) = self {
                let memory = json!((64 << 20) + 1024 * (number % classes));
                let resources = &mut pod["spec"]["containers"][0]["resources"];
                resources["limits"]["memory"] = memory.clone();
                resources["requests"]["memory"] = memory;
            }
            pod
        }
    }
}
