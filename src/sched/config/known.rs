//! Values of the API's own types within arguments: read strictly by the schema table.

use std::fmt;

use k8s_openapi::api::core::v1::{NodeAffinity, TopologySpreadConstraint};
use serde::de::DeserializeOwned;

use super::node::{Kind, Node};
use super::reader::{At, Decode, Scope};
use crate::api::schema::prune_as;
use crate::api::schema::table::{self, Scalar, Shape};

macro_rules! known {
    ($($type:ty: $name:literal, $go:literal;)*) => {$(
        impl Decode for $type {
            fn go_type() -> String {
                $go.to_owned()
            }

            fn decode(at: &At<'_>) -> Option<Self> {
                known(at, $name)
            }

            fn zero(_: &Scope) -> Self {
                Self::default()
            }
        }
    )*};
}

known! {
    NodeAffinity: "io.k8s.api.core.v1.NodeAffinity", "v1.NodeAffinity";
    TopologySpreadConstraint: "io.k8s.api.core.v1.TopologySpreadConstraint", "v1.TopologySpreadConstraint";
}

fn known<T: DeserializeOwned>(at: &At<'_>, name: &str) -> Option<T> {
    let told = |wrong: &dyn fmt::Display| at.fatal(wrong.to_string());
    let Some(entry) = table::find(name) else { return told(&format_args!("no type {name}")) };
    if !fits(at, &Shape::Named(entry)) {
        return None;
    }
    let pruned = prune_as(name, at.node.value()).map_err(|wrong| wrong.to_string());
    match pruned.and_then(|pruned| serde_json::from_value(pruned.tree).map_err(|wrong| wrong.to_string())) {
        Ok(value) => Some(value),
        Err(wrong) => told(&wrong),
    }
}

/// Whether a value fits a shape. Tells what does not, and of fields that are unknown or there twice.
fn fits(at: &At<'_>, shape: &Shape) -> bool {
    match (shape.resolved(), &at.node.kind) {
        (_, Kind::Null) | (Shape::Scalar(Scalar::String), Kind::Text(_)) => true,
        (Shape::Scalar(Scalar::Bool), Kind::Bool(_)) => true,
        (Shape::Scalar(Scalar::Int32), _) => i32::decode(at).is_some(),
        (Shape::Scalar(Scalar::Int64), _) => i64::decode(at).is_some(),
        (Shape::Scalar(Scalar::String), _) => at.mismatch::<()>("string").is_some(),
        (Shape::Scalar(Scalar::Bool), _) => at.mismatch::<()>("bool").is_some(),
        // None of the types here has another scalar: `prune_as` would judge it.
        (Shape::Scalar(_), _) => true,
        // All are looked at, whatever the first is.
        (Shape::List(item), Kind::List(items)) => {
            let unfit = |(index, node): &(usize, &Node)| !fits(&at.item(*index, node), item);
            items.iter().enumerate().filter(unfit).count() == 0
        }
        (Shape::Map(item), Kind::Object(entries)) => {
            let unfit = |(key, node): &&(String, Node)| !fits(&at.entry(key, node), item);
            entries.iter().filter(unfit).count() == 0
        }
        (Shape::Named(entry), Kind::Object(fields)) => {
            let mut all = true;
            let mut seen = Vec::new();
            for (key, node) in fields {
                let Some(field) = entry.field(key) else {
                    at.entry(key, node).unknown();
                    continue;
                };
                let at = at.field(entry.short(), key, node);
                if seen.contains(&key) {
                    at.duplicate();
                }
                seen.push(key);
                all &= fits(&at, &field.shape);
            }
            all
        }
        (wanted, _) => at.mismatch::<()>(&go_type(wanted)).is_some(),
    }
}

fn go_type(shape: &Shape) -> String {
    match shape {
        Shape::Named(entry) => entry.go_name(),
        Shape::List(item) => format!("[]{}", go_type(item)),
        Shape::Map(item) => format!("map[string]{}", go_type(item)),
        Shape::Scalar(_) => "string".to_owned(),
    }
}
