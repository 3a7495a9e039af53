//! The schemas inside a definition, decoded as schemas.
//!
//! `items` and `additionalProperties` may be a schema or something else, so that the table of types knows
//! nothing of what stands there. It is decoded here: what a schema does not have goes, as in Kubernetes
//! without a word, and what has the wrong type is an error.

use serde_json::Value;

use crate::api::schema::{self, DecodeError};

const SCHEMA: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

/// Decodes the schemas of a definition that the table of types could not.
pub(in crate::api) fn normalize(definition: &mut Value) -> Result<(), DecodeError> {
    let versions = definition.pointer_mut("/spec/versions").and_then(Value::as_array_mut);
    for version in versions.into_iter().flatten() {
        if let Some(schema) = version.pointer_mut("/schema/openAPIV3Schema") {
            within(schema)?;
        }
    }
    Ok(())
}

/// Decodes what stands in a schema that has been decoded.
fn within(schema: &mut Value) -> Result<(), DecodeError> {
    let Value::Object(map) = schema else { return Ok(()) };
    for (name, value) in map {
        match name.as_str() {
            "items" | "additionalProperties" | "additionalItems" => match value {
                Value::Object(_) => {
                    *value = schema::prune_as(SCHEMA, value.take())?.tree;
                    within(value)?;
                }
                Value::Array(list) if name == "items" => {
                    for value in list {
                        *value = schema::prune_as(SCHEMA, value.take())?.tree;
                        within(value)?;
                    }
                }
                _ => {}
            },
            "allOf" | "anyOf" | "oneOf" => {
                value.as_array_mut().into_iter().flatten().try_for_each(within)?;
            }
            "properties" | "patternProperties" | "definitions" => {
                value.as_object_mut().into_iter().flat_map(|map| map.values_mut()).try_for_each(within)?;
            }
            "not" => within(value)?,
            _ => {}
        }
    }
    Ok(())
}
