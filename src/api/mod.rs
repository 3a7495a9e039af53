//! The vocabulary: what an object is, what kinds there are, and the rules that follow from their
//! facts alone.
//!
//! Plain data: nothing here waits, reads a clock or opens a file. A manifest is read by
//! [`manifest`], looked up in a [`Scheme`], decoded, pruned and defaulted by [`schema`], changed by
//! [`patch`] or applied by [`managed`], checked by [`validation`], and then stands as an [`Object`]. What
//! the schema table is for built-in kinds, [`structural`] is for custom ones.

#[cfg(feature = "cel")]
#[cfg_attr(docsrs, doc(cfg(feature = "cel")))]
pub mod cel;
pub mod cidr;
pub mod conditions;
pub(crate) mod conversion;
pub mod defaults;
pub mod duration;
pub mod field;
mod ip;
mod ip_form;
pub mod managed;
pub mod manifest;
pub mod names;
mod object;
pub mod owner;
pub mod patch;
pub mod predicates;
pub mod priority;
pub mod quantity;
pub(crate) mod resource;
mod revision;
mod runtime_config;
pub mod schema;
mod scheme;
pub mod selector;
pub mod status;
pub mod structural;
pub mod validation;
pub mod warnings;

pub use kube_core::{GroupVersion, GroupVersionKind, GroupVersionResource};
pub use object::{DecodeError, Labels, Object, ObjectKey};
pub use resource::{
    Column, ColumnValue, Deprecation, Description, Maturity, Resource, Scope, SelectableField, Subresource,
};
pub use revision::Revision;
pub use runtime_config::{RuntimeConfig, RuntimeConfigError};
pub use scheme::Scheme;
pub use status::Status;
