//! Who rejected a pod.

use std::collections::BTreeSet;

/// The plugins that rejected a pod. Where there is none, the attempt failed for another reason, and the pod is tried
/// again after its back-off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejection {
    /// Those for which it does not fit.
    pub plugins: BTreeSet<&'static str>,
    /// Those that wait for something that is under way: what helps them brings the pod back at once, without back-off.
    pub pending: BTreeSet<&'static str>,
}

impl From<BTreeSet<&'static str>> for Rejection {
    fn from(plugins: BTreeSet<&'static str>) -> Self {
        Self { plugins, pending: BTreeSet::new() }
    }
}
