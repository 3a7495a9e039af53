//! The scheduler: which node a pod goes to.
//!
//! A pod waits in the [queue](Queue) until its turn. A [`Profile`]'s plugins then decide over a
//! [`Snapshot`] of the nodes: filters say where it fits and why not, scores say where it fits best
//! ([`decide`], a pure function). The pod is assumed to be on the chosen node from then on, and is
//! bound there by a task of its own while the next pod is decided. A pod that fits nowhere waits for
//! an event that one of the plugins that rejected it says could help.
//!
//! One task owns queue and snapshot, so a decision and what follows from it are one step: informers
//! and binding tasks send it messages. It observes through informers and acts through a
//! [`Client`](crate::client::Client), so it may as well stand beside a real API server.
//!
//! Behaviour, default plugins, weights and wording follow kube-scheduler 1.36.

mod boards;
mod cluster_event;
mod decide;
mod diagnosis;
#[cfg(test)]
mod differential;
mod event_kinds;
mod explain;
mod framework;
mod happening;
mod notices;
mod pod_info;
mod queue;
mod scene;
mod scheduler;
mod snapshot;
mod tally;
#[cfg(test)]
mod testing;
mod volumes;
mod what_if;
mod wishes;

pub mod config;
pub mod plugins;
pub mod reference;

pub use boards::{Boards, ClassKey, Classed, Domains};
pub use cluster_event::{ClusterEvent, NodeChange, ObjectEvent};
pub use decide::{Decision, decide};
pub use diagnosis::Diagnosis;
pub use event_kinds::EventKinds;
pub use explain::{Explanation, NodeExplanation, Rejected, explain, explain_placed};
pub use framework::{
    Bind, BindError, Binding, Bound, Cycle, Feasible, Filter, MAX_SCORE, Normalize, Permission, Permit,
    Plugin, PostBind, PostFilter, PostFiltered, PreBind, PreEnqueue, PreFilter, PreFiltered, PreScore,
    PreScored, Profile, QueueSort, Reason, Reserve, Score, Verdict, WaitingPods, normalize,
};
pub use happening::Happening;
pub use pod_info::PodInfo;
pub use queue::{Queue, QueueOptions, QueuedPod, Rejection};
pub use scene::{Scene, SceneError};
pub use scheduler::{DEFAULT_NAME, Scheduler, SchedulerBuilder};
pub use snapshot::{
    Catalog, Catalogued, Change, Changes, Controller, ImageId, NodeIndex, ObjectKind, ResourceId,
    ResourceNames, Shelf, Snapshot,
};
pub use what_if::{Comparison, Fits, Left, Moved, Placed, Quality, ResourceUse, Shapes, Spread, Use, WhatIf};
