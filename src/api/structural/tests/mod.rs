//! Schemas at work; the tables follow Kubernetes' own.

use serde_json::{Value, json};

use super::*;
use crate::api::field::{Error, Path};

mod checks;
mod properties;
#[cfg(feature = "cel")]
mod rules;
mod trees;
mod values;

fn schema(tree: Value) -> Schema {
    Schema::parse(&tree).expect("a schema")
}

fn said(errors: &[Error]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// A schema of an object with these fields.
fn object(properties: Value) -> Value {
    json!({"type": "object", "properties": properties})
}
