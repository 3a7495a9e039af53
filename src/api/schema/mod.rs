//! The schema table, and what interprets it.
//!
//! k8s-openapi's types alone cannot decode as Kubernetes does: they drop unknown fields silently,
//! take an absent required field for an empty one, and know neither keys nor defaults nor protobuf
//! numbers. So one [`table`] holds these facts for every built-in type, and everything that works
//! on trees interprets it: decoding here, the three patches, apply, OpenAPI.
//!
//! Decoding is strict and forgiving at once, as in kube-apiserver: an unknown or duplicate field is
//! pruned and told in [`Decoded::problems`], and the caller's field validation decides whether that
//! is an error, a warning or nothing. What does not fit the type (a text for a number) is a
//! [`DecodeError`]. A decoded tree is also canonical: nulls are gone, and quantities, times and
//! base64 are written as Kubernetes writes them, so that the same object is always the same body.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Resource, manifest, structural};

mod decode;
mod defaults;
mod openapi;
mod protobuf;
mod scalar;
mod syntax;
pub mod table;

pub(crate) use decode::free;
#[cfg(feature = "server")]
pub(crate) use openapi::fields;
pub use openapi::{encode_openapi_v2, openapi_v2, openapi_v3};
pub(crate) use protobuf::{MAGIC as PROTOBUF_MAGIC, decode_stored_protobuf};
pub use protobuf::{
    ProtobufError, decode_protobuf, encode_protobuf, encode_protobuf_event, encode_protobuf_list,
};
pub(crate) use scalar::decode_base64;
pub(crate) use syntax::complaint;

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// JSON.
    Json,
    /// YAML, as `sigs.k8s.io/yaml` reads it.
    Yaml,
}

/// A tree that fits its type.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The tree: pruned, without nulls and what says nothing where Go would leave it out, its scalars canonical.
    pub tree: Value,
    /// What strict decoding objects to, such as `unknown field "spec.foo"`.
    pub problems: Vec<String>,
}

impl Decoded {
    /// The problems as one error text, as Kubernetes words it; `None` where there are none.
    #[must_use]
    pub fn strict_error(&self) -> Option<String> {
        (!self.problems.is_empty()).then(|| format!("strict decoding error: {}", self.problems.join(", ")))
    }
}

/// Bytes or a tree that do not fit the type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No JSON or YAML at all; of JSON worded as Go's decoder words it.
    #[error("{0}")]
    Syntax(String),
    /// A value of another type than its field's; worded as Go's decoder words it.
    #[error("{0}")]
    Type(String),
}

/// Decodes an object of this resource.
///
/// A custom resource is pruned by the schema of its definition; without one it keeps every field, and only
/// its metadata are checked.
///
/// # Errors
///
/// When the bytes are malformed, or a value does not fit its field.
pub fn decode(resource: &Resource, bytes: &[u8], media: Media) -> Result<Decoded, DecodeError> {
    match media {
        Media::Json => finish(resource, decode::bytes(decode::Root::of(resource), bytes)?),
        Media::Yaml => {
            let text = std::str::from_utf8(bytes)
                .map_err(|_| DecodeError::Syntax("yaml: invalid UTF-8".to_owned()))?;
            let read =
                manifest::yaml::read_one(text).map_err(|error| DecodeError::Syntax(error.to_string()))?;
            let mut decoded = prune(resource, read.tree)?;
            decoded.problems.extend(manifest::yaml::duplicates_text(&read.duplicates));
            Ok(decoded)
        }
    }
}

/// Decodes an object of this resource from a tree, which can hold no duplicate fields any more.
///
/// # Errors
///
/// When a value does not fit its field.
pub fn prune(resource: &Resource, tree: Value) -> Result<Decoded, DecodeError> {
    finish(resource, decode::tree(decode::Root::of(resource), tree)?)
}

/// What definitions say, of which the table knows nothing.
fn finish(resource: &Resource, mut decoded: Decoded) -> Result<Decoded, DecodeError> {
    if let Some(version) = &resource.custom {
        let unknown = structural::clean(version, &mut decoded.tree).map_err(DecodeError::Type)?;
        decoded.problems.extend(unknown);
    } else if resource.kind == "CustomResourceDefinition" && resource.schema.is_some() {
        structural::normalize(&mut decoded.tree)?;
    }
    Ok(decoded)
}

/// Decodes a value of a type of the table, such as `io.k8s.api.autoscaling.v1.Scale`.
///
/// # Errors
///
/// When a value does not fit its field, or the table has no such type.
pub fn prune_as(name: &str, tree: Value) -> Result<Decoded, DecodeError> {
    let entry =
        table::find(name).ok_or_else(|| DecodeError::Type(format!("no type {name} in the schema table")))?;
    decode::tree(decode::Root::Type(entry), tree)
}

/// Fills in what the table, or a definition, says absent fields are, such as a port's protocol.
pub fn apply_defaults(resource: &Resource, tree: &mut Value) {
    if let Some(version) = &resource.custom {
        version.default(tree);
    }
    if let Some(entry) = resource.schema.as_deref().and_then(table::find) {
        defaults::fill(entry, tree);
    }
}

/// The fields of a type that Go writes though they say nothing, because they are no pointers or are required,
/// with what it writes then: a record without fields, an empty text, null.
///
/// Trees here leave most of them out; who compares what Kubernetes would have written must count them.
pub(crate) fn zeros(entry: &'static table::Entry) -> &'static [(&'static str, Value)] {
    entry.zeros.get_or_init(|| protobuf::zeros(entry))
}

/// The name of the table's type of every kind that has one.
#[must_use]
pub fn name_of(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    static NAMES: std::sync::OnceLock<BTreeMap<(&str, &str, &str), &str>> = std::sync::OnceLock::new();
    let names = NAMES.get_or_init(|| {
        table::all()
            .filter_map(|entry| match entry.gvk() {
                Some(table::Kind::One(group, version, kind)) => Some(((group, version, kind), entry.name())),
                _ => None,
            })
            .collect()
    });
    names.get(&(group, version, kind)).copied()
}

#[cfg(test)]
mod tests;
