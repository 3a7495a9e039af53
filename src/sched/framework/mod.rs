//! The extension points, and what holds plugins together.
//!
//! A plugin is one value with a name that offers itself at some of the points: each point is a small
//! trait, and [`Plugin`] has an accessor for each, which answers `None` unless the plugin says
//! otherwise. All but binding is synchronous and pure: it reads a [`Cycle`] and answers.

mod binding;
mod cycle;
mod points;
mod profile;
mod verdict;
mod waiting;

pub use binding::{Bind, BindError, Binding, Bound, PostBind, PreBind};
pub use cycle::Cycle;
pub(super) use cycle::Notes;
pub use points::{
    Feasible, Filter, MAX_SCORE, Normalize, Permission, Permit, Plugin, PostFilter, PostFiltered, PreEnqueue,
    PreFilter, PreFiltered, PreScore, PreScored, QueueSort, Reserve, Score, normalize,
};
pub use profile::Profile;
pub use verdict::{Reason, Verdict};
pub use waiting::WaitingPods;
