//! Types of custom resources: OpenAPI schemas as they stand in a definition.

use serde_json::Value;

use super::types::{Atom, Field, Fields, List, Map, Merge, PLAIN, Scalar, Type};
use crate::api::schema::table;

/// A schema of a custom resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open<'a> {
    schema: &'a Value,
    /// Whether a schema above keeps fields that it does not declare.
    preserve: bool,
    /// Whether this is a whole object, with a kind and metadata.
    object: bool,
}

impl<'a> Open<'a> {
    /// A whole object; one without a schema keeps every field.
    pub(super) fn object(schema: Option<&'a Value>) -> Self {
        Self { schema: schema.unwrap_or(&Value::Null), preserve: schema.is_none(), object: true }
    }

    /// Whether the schema names fields.
    pub(super) fn names_fields(self) -> bool {
        self.object || self.schema.get("properties").is_some()
    }

    fn extension(self, name: &str) -> Option<&'a str> {
        self.schema.get(name).and_then(Value::as_str)
    }

    fn keeps_unknown(self) -> bool {
        self.preserve || self.schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
    }

    fn child(self, schema: &'a Value) -> Type<'a> {
        let object = schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true));
        Type::Open(Open { schema, preserve: self.keeps_unknown(), object })
    }

    pub(super) fn atom(self) -> Atom<'a> {
        let format = self.extension("format").unwrap_or_default();
        let scalar = match self.extension("type") {
            _ if self.object => None,
            Some("object") => None,
            Some("array") => return Atom { list: Some(self.list()), ..Atom::default() },
            Some("integer" | "number") => Some(Scalar::Numeric),
            Some("boolean") => Some(Scalar::Boolean),
            Some("string") if matches!(format, "" | "byte") => Some(Scalar::String),
            Some(_) => Some(Scalar::Untyped),
            None => {
                return Atom {
                    map: Some(self.map()),
                    scalar: Some(Scalar::Untyped),
                    list: Some(self.list()),
                };
            }
        };
        match scalar {
            Some(_) => Atom { scalar, ..Atom::default() },
            None => Atom { map: Some(self.map()), ..Atom::default() },
        }
    }

    fn list(self) -> List<'a> {
        let merge = match self.extension("x-kubernetes-list-type") {
            Some("set") => Merge::Set,
            Some("map") => {
                let keys = self.schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
                Merge::Keys(keys.into_iter().flatten().filter_map(Value::as_str).collect())
            }
            _ => Merge::Atomic,
        };
        List { item: self.schema.get("items").map_or(Type::Whole, |items| self.child(items)), merge }
    }

    fn map(self) -> Map<'a> {
        Map { atomic: self.extension("x-kubernetes-map-type") == Some("atomic"), of: Fields::Open(self) }
    }

    pub(super) fn field(self, name: &str) -> Option<Field<'a>> {
        if self.object {
            let ty = match name {
                "apiVersion" | "kind" => Some(Type::Scalar(Scalar::String)),
                "metadata" => table::find("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
                    .map(|entry| Type::Record(entry, &PLAIN)),
                _ => None,
            };
            if let Some(ty) = ty {
                return Some(Field { ty, default: None });
            }
        }
        let schema = self.schema.get("properties")?.get(name)?;
        Some(Field { ty: self.child(schema), default: schema.get("default") })
    }

    pub(super) fn element(self) -> Type<'a> {
        let properties = self.schema.get("properties").and_then(Value::as_object);
        match self.schema.get("additionalProperties") {
            None if self.keeps_unknown() || properties.is_none_or(serde_json::Map::is_empty) => Type::Deduced,
            None | Some(Value::Bool(false)) => Type::Nothing,
            Some(Value::Bool(true)) => Type::Deduced,
            Some(schema) => self.child(schema),
        }
    }
}
