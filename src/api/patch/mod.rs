//! The three patches.
//!
//! JSON patch is a list of operations, merge patch a tree that is laid over another, and strategic
//! merge patch a tree that is laid over another by the schema table: it merges lists by their keys
//! where a merge patch can only replace them, and carries directives (`$patch`, `$retainKeys`,
//! `$setElementOrder/…`, `$deleteFromPrimitiveList/…`). Semantics and wording follow Kubernetes 1.36
//! (`apimachinery/pkg/util/strategicpatch`, `apiserver/pkg/endpoints/handlers/patch.go`).

use serde_json::Value;

mod json;
mod lists;
mod strategic;

pub use json::json;
pub use strategic::strategic;

/// A patch that cannot be applied. The tree is then as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The patch is none (400).
    #[error("{0}")]
    Malformed(String),
    /// The patch does not apply to this tree (422).
    #[error("{0}")]
    Unprocessable(String),
    /// The patch would grow beyond all bounds (413).
    #[error("{0}")]
    TooLarge(String),
    /// Nothing is known of the kind by which a strategic merge could be done (415).
    #[error("strategic merge patch format is not supported")]
    Unsupported,
}

/// Applies a merge patch (RFC 7386): objects are merged, nulls delete, all else replaces.
pub fn merge(tree: &mut Value, patch: &Value) {
    json_patch::merge(tree, patch);
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
