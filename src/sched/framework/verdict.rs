//! What a plugin says of a pod on a node.

use std::borrow::Cow;

/// Why not, in words that follow a count: `node(s) didn't match …`, `Insufficient cpu`.
pub type Reason = Cow<'static, str>;

/// What a plugin says of a pod, or of a pod on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be.
    Fits,
    /// It may not be as things stand; fewer pods on the node could change that.
    Unschedulable(Vec<Reason>),
    /// It may not be, and no pod that leaves the node would change that.
    Unresolvable(Vec<Reason>),
    /// The plugin could not tell. The pod is tried again, after a while.
    Error(String),
}

impl Verdict {
    /// It may not be as things stand, for one reason.
    pub fn unschedulable(reason: impl Into<Reason>) -> Self {
        Self::Unschedulable(vec![reason.into()])
    }

    /// It may not be, and no pod that leaves would change that, for one reason.
    pub fn unresolvable(reason: impl Into<Reason>) -> Self {
        Self::Unresolvable(vec![reason.into()])
    }

    /// Fits if `fits`, else what `otherwise` says.
    pub fn fits_or(fits: bool, otherwise: impl FnOnce() -> Self) -> Self {
        if fits { Self::Fits } else { otherwise() }
    }

    /// Whether it may be.
    #[must_use]
    pub fn fits(&self) -> bool {
        *self == Self::Fits
    }
}
