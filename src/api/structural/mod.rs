//! Schemas of custom resources: what a CustomResourceDefinition says of its objects, and what follows.
//!
//! A definition carries one OpenAPI schema a version. It is *structural*: types, fields and extensions
//! stand outside of `allOf`, `anyOf`, `oneOf` and `not`, so that one walk beside the tree tells what each
//! value is. From the ground up:
//!
//! - [`Schema`] is such a schema, compiled: patterns are regular expressions, formats are known ones.
//! - [`check`] says what keeps a schema from being structural, and which of its defaults are wrong.
//! - [`Schema::prune`], [`Schema::default`] and [`Schema::coerce`] make a tree fit: fields that nobody
//!   declares go, fields that are absent are filled in, metadata of embedded objects become metadata.
//! - [`Schema::validate`] says what is wrong with a value, in Kubernetes' words; against an older value it
//!   forgives what was wrong already and has not changed.
//! - [`Version`] is all that a definition says of one version: it hangs on the version's row, and what
//!   decodes, fills in, patches, applies and publishes objects finds it there.
//!
//! Semantics and wording follow `k8s.io/apiextensions-apiserver/pkg/apiserver/{schema,validation}` and
//! `k8s.io/kube-openapi/pkg/validation` (1.36).

mod check;
mod coerce;
mod complete;
mod correlate;
mod default;
mod defaults;
mod field_path;
mod format;
mod go;
mod lists;
mod normal;
mod parse;
mod pattern;
mod prune;
mod publish;
pub(in crate::api) mod raw;
mod rules;
mod schema;
#[cfg(test)]
mod tests;
mod trail;
mod validate;
mod version;

pub(in crate::api) use check::children;
pub use check::{check, unsupported};
pub use defaults::{check_defaults, prune_defaults};
pub use field_path::field_path;
pub use format::is_known as is_known_format;
pub(in crate::api) use normal::normalize;
pub use parse::ParseError;
pub(in crate::api) use prune::clean;
pub use publish::{Dialect, publish};
pub use schema::{Additional, ListType, Rule, Schema, Type};
pub use version::{ScalePaths, Version};
