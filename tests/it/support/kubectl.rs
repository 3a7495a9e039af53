//! Unmodified kubectl, as the administrator of some server.

use std::ops::Deref;

use super::tool::Tool;
pub(crate) use super::tool::text;

/// kubectl with a home of its own.
pub(crate) struct Kubectl(Tool);

impl Kubectl {
    /// The kubectl to test with: what `WINDLASS_KUBECTL` names, or the one on the path. Where there
    /// is none, `test` is skipped.
    pub(crate) fn find(test: &str) -> Option<Self> {
        Tool::find(test, "WINDLASS_KUBECTL", "kubectl").map(Self)
    }
}

impl Deref for Kubectl {
    type Target = Tool;

    fn deref(&self) -> &Tool {
        &self.0
    }
}
