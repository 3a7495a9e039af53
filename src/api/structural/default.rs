//! Absent fields become their defaults.
//!
//! Source: `schema/defaulting/algorithm.go` of `k8s.io/apiextensions-apiserver/pkg/apiserver` (1.36).

use serde_json::Value;

use super::schema::{Additional, Schema};

impl Schema {
    /// Fills in what is absent, or null where no null may be, at every depth of what is there.
    pub fn default(&self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                for (name, property) in &self.properties {
                    let Some(default) = &property.default else { continue };
                    if map.get(name).is_none_or(|value| value.is_null() && !property.nullable) {
                        map.insert(name.clone(), default.clone());
                    }
                }
                for (key, value) in map {
                    if let Some(property) = self.properties.get(key) {
                        property.default(value);
                    } else if let Some(Additional::Schema(schema)) = &self.additional {
                        schema.default_null(value);
                        schema.default(value);
                    }
                }
            }
            Value::Array(items) => {
                if let Some(schema) = &self.items {
                    for value in items {
                        schema.default_null(value);
                        schema.default(value);
                    }
                }
            }
            _ => {}
        }
    }

    fn default_null(&self, value: &mut Value) {
        if value.is_null()
            && !self.nullable
            && let Some(default) = &self.default
        {
            *value = default.clone();
        }
    }
}
