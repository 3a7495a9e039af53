//! Metadata of whole objects inside an object: decoded as metadata, and judged as such.
//!
//! Source: `schema/objectmeta` of `k8s.io/apiextensions-apiserver/pkg/apiserver` (1.36).

use serde_json::{Map, Value};

use super::schema::{Additional, Schema};
use super::trail::Trail;
use crate::api::field::{Error, Path};
use crate::api::{names, schema, validation};

const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

impl Schema {
    /// Makes the metadata of embedded objects metadata: unknown fields go, and their paths are told; times
    /// and such are written as they are written everywhere. What does not fit is an error, or, where
    /// `lenient`, goes.
    ///
    /// # Errors
    ///
    /// What does not fit.
    pub fn coerce(&self, value: &mut Value, lenient: bool) -> Result<Vec<String>, String> {
        let (path, mut unknown) = (Path::root(), Vec::new());
        coerce(self, &Trail::root(&path), value, lenient, &mut unknown)?;
        unknown.sort();
        Ok(unknown)
    }

    /// What is wrong with the kinds and metadata of embedded objects.
    #[must_use]
    pub fn validate_embedded(&self, path: &Path, value: &Value) -> Vec<Error> {
        let mut errors = Vec::new();
        validate(self, &Trail::root(path), value, &mut errors);
        errors
    }
}

fn coerce(
    schema: &Schema,
    trail: &Trail<'_>,
    value: &mut Value,
    lenient: bool,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    match value {
        Value::Object(map) => {
            if schema.embedded {
                coerce_head(trail, map, lenient, unknown)?;
            }
            for (key, value) in map {
                if let Some(property) = schema.properties.get(key) {
                    coerce(property, &trail.field(key), value, lenient, unknown)?;
                } else if let Some(Additional::Schema(schema)) = &schema.additional {
                    coerce(schema, &trail.key(key), value, lenient, unknown)?;
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                for (index, value) in items.iter_mut().enumerate() {
                    coerce(schema, &trail.index(index), value, lenient, unknown)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn coerce_head(
    trail: &Trail<'_>,
    map: &mut Map<String, Value>,
    lenient: bool,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    for field in ["apiVersion", "kind"] {
        let Some(value) = map.get(field).filter(|value| !value.is_string()) else { continue };
        if !lenient {
            let path = trail.path().child(field);
            return Err(Error::invalid(&path, value.clone(), "must be a string").to_string());
        }
        map.remove(field);
    }
    let Some(metadata) = map.get_mut("metadata") else { return Ok(()) };
    let path = trail.path().child("metadata");
    match schema::prune_as(METADATA, metadata.clone()) {
        Ok(decoded) => {
            unknown.extend(decoded.problems.iter().filter_map(|problem| {
                let field = problem.strip_prefix("unknown field \"")?.strip_suffix('"')?;
                Some(format!("{path}.{field}"))
            }));
            *metadata = decoded.tree;
        }
        Err(error) if !lenient => {
            return Err(Error::invalid(&path, metadata.clone(), error.to_string()).to_string());
        }
        Err(_) => keep_what_fits(metadata),
    }
    Ok(())
}

/// Each field by itself: those that do not fit go.
fn keep_what_fits(metadata: &mut Value) {
    let Value::Object(fields) = metadata else {
        *metadata = Value::Object(Map::new());
        return;
    };
    let fitting = std::mem::take(fields).into_iter().filter_map(|(name, value)| {
        let alone = Value::Object(Map::from_iter([(name.clone(), value)]));
        let mut tree = schema::prune_as(METADATA, alone).ok()?.tree;
        Some((name.clone(), tree.as_object_mut()?.remove(&name)?))
    });
    *fields = fitting.collect();
}

fn validate(schema: &Schema, trail: &Trail<'_>, value: &Value, errors: &mut Vec<Error>) {
    match value {
        Value::Object(map) => {
            if schema.embedded {
                validate_head(trail, map, errors);
            }
            for (key, value) in map {
                if let Some(property) = schema.properties.get(key) {
                    validate(property, &trail.field(key), value, errors);
                } else if let Some(Additional::Schema(schema)) = &schema.additional {
                    validate(schema, &trail.key(key), value, errors);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                for (index, value) in items.iter().enumerate() {
                    validate(schema, &trail.index(index), value, errors);
                }
            }
        }
        _ => {}
    }
}

fn validate_head(trail: &Trail<'_>, map: &Map<String, Value>, errors: &mut Vec<Error>) {
    let path = |field: &str| trail.path().child(field);
    for field in ["apiVersion", "kind"] {
        let text = match map.get(field) {
            None => {
                errors.push(Error::required(&path(field), ""));
                continue;
            }
            Some(Value::String(text)) => text,
            Some(other) => {
                errors.push(Error::invalid(&path(field), other.clone(), "must be a string"));
                continue;
            }
        };
        if text.is_empty() {
            errors.push(Error::invalid(&path(field), "", "must not be empty"));
        } else if field == "apiVersion" && text.matches('/').count() > 1 {
            let why = format!("unexpected GroupVersion string: {text}");
            errors.push(Error::invalid(&path(field), text.as_str(), why));
        } else if field == "kind" {
            let sentences = names::dns1035_label(&text.to_lowercase());
            if !sentences.is_empty() {
                let why = format!("may have mixed case, but should otherwise match: {}", sentences.join(","));
                errors.push(Error::invalid(&path(field), text.as_str(), why));
            }
        }
    }
    if let Some(metadata) = map.get("metadata") {
        match schema::prune_as(METADATA, metadata.clone()) {
            Ok(decoded) => {
                errors.extend(validation::embedded_metadata(&path("metadata"), &decoded.tree));
            }
            Err(error) => {
                errors.push(Error::invalid(&path("metadata"), metadata.clone(), error.to_string()));
            }
        }
    }
}
