//! Server-side apply: who owns which field of an object, and what applying a configuration does.
//!
//! Whoever writes an object is named, and owns the fields that it wrote. Applying a configuration merges
//! it into the object, by the rules of its type; it may not change what somebody else owns unless it is
//! forced, and what its writer applied before and leaves out now is removed unless somebody else owns it.
//! So several writers can each keep their part of one object.
//!
//! From the ground up:
//!
//! - A [`PathElement`] is a step into a tree, a [`FieldSet`] a set of paths, written as FieldsV1.
//! - A [`Schema`] says of each list and map whether it is merged by entry or is a whole. With it, trees are
//!   validated, compared, merged, pruned, and their set of fields is told.
//! - [`ManagedFields`] are the entries of `metadata.managedFields`.
//! - A [`FieldManager`] works out what a request does to an object and to its managed fields; [`Replicas`]
//!   carries them over between an object and its Scale.
//!
//! Everything here is a function of trees: nothing waits, and the time is given. Semantics and wording
//! follow Kubernetes 1.36: structured-merge-diff 6 and apimachinery's `util/managedfields`.
//!
//! ```
//! use serde_json::json;
//! use windlass::api::managed::{FieldManager, ManagedFields, OneVersion, Schema};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let schema = Schema::named("io.k8s.api.core.v1.ConfigMap").ok_or("no such type")?;
//! let versions = OneVersion::new("v1", schema);
//! let manager = FieldManager::new(&versions, "v1", "ConfigMap");
//! let config = |data| json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data});
//! let now = "2026-01-01T00:00:00Z".parse()?;
//!
//! let nothing = json!({"apiVersion": "v1", "kind": "ConfigMap"});
//! let first = manager.apply(
//!     &nothing, &config(json!({"a": "1"})), &ManagedFields::new(), "deployer", false, now,
//! )?;
//! let refused = manager.apply(
//!     &first.tree, &config(json!({"a": "2"})), &first.managed, "scaler", false, now,
//! );
//! assert_eq!(
//!     refused.unwrap_err().to_string(),
//!     r#"Apply failed with 1 conflict: conflict with "deployer": .data.a"#,
//! );
//! # Ok(())
//! # }
//! ```

mod cap;
mod compare;
mod conflict;
mod element;
mod entries;
mod error;
mod fields;
mod fields_v1;
mod filter;
mod granularity;
mod invalid;
mod item;
mod last_applied;
mod manager;
mod merge;
mod open_api;
mod remove;
mod scale;
mod schema;
mod set;
mod types;
mod updater;
mod validate;
mod value;
mod versions;

pub use compare::Comparison;
pub use conflict::{Conflict, Conflicts};
pub use element::{Path, PathElement, path_text};
pub use entries::{ManagedFields, Manager, Operation, Owned};
pub use error::Error;
pub use fields_v1::FieldsV1Error;
pub use filter::{Filter, Pattern};
pub use invalid::Invalid;
pub use manager::{Applied, FieldManager};
pub use scale::Replicas;
pub use schema::Schema;
pub use set::FieldSet;
pub use validate::Duplicates;
pub use versions::{OneVersion, Versions};

#[cfg(test)]
mod tests;
