//! Components: the schemas of types.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::api::Resource;
use crate::api::schema::table::{self, Body, Entry, Field, Kind, Scalar, Shape, Topology};
use crate::api::structural::{Dialect, publish};

/// The schemas of these types and of all that they name.
pub(super) fn of(names: BTreeSet<&'static str>, group: &str, version: &str) -> Map<String, Value> {
    let mut open: Vec<&'static Entry> = names.into_iter().filter_map(table::find).collect();
    let mut schemas = Map::new();
    while let Some(entry) = open.pop() {
        if !schemas.contains_key(entry.name()) {
            schemas.insert(entry.name().to_owned(), schema(entry, group, version, &mut open));
        }
    }
    schemas
}

/// The schema of a custom resource: that of its definition, or else its fields are its own.
pub(super) fn custom(row: &Resource) -> Value {
    let gvk = json!([{"group": row.group, "version": row.version, "kind": row.kind}]);
    if let Some(version) = &row.custom {
        let mut published = publish(version.open_api().map(AsRef::as_ref), Dialect::V3);
        published["x-kubernetes-group-version-kind"] = gvk;
        if !row.selectable.is_empty() {
            let fields = row.selectable.iter().map(|field| json!({"fieldPath": field.name}));
            published["x-kubernetes-selectable-fields"] = fields.collect();
        }
        return published;
    }
    json!({
        "type": "object",
        "properties": head("ObjectMeta"),
        "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-group-version-kind": gvk,
    })
}

/// The schema of a list of custom resources.
pub(super) fn custom_list(row: &Resource, item: &str) -> Value {
    let mut properties = head("ListMeta");
    properties["items"] = json!({
        "type": "array",
        "items": reference(item),
        "description": format!(
            "List of {}. More info: \
             https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md",
            row.plural
        ),
    });
    let kind = row.list_kind();
    json!({
        "type": "object",
        "description": format!("{kind} is a list of {}", row.kind),
        "required": ["items"],
        "properties": properties,
        "x-kubernetes-group-version-kind":
            [{"group": row.group, "version": row.version, "kind": kind}],
    })
}

fn head(metadata: &str) -> Value {
    json!({
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"allOf": [reference(&format!("io.k8s.apimachinery.pkg.apis.meta.v1.{metadata}"))]},
    })
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn schema(entry: &'static Entry, group: &str, version: &str, open: &mut Vec<&'static Entry>) -> Value {
    let mut schema = match &entry.get().body {
        Body::Alias(shape) => of_shape(shape, open),
        Body::Struct(fields) => {
            let mut schema = json!({"type": "object"});
            let properties: Map<_, _> =
                fields.iter().map(|field| (field.name.to_owned(), property(field, open))).collect();
            if !properties.is_empty() {
                schema["properties"] = properties.into();
            }
            let required: Vec<_> =
                fields.iter().filter(|field| field.required).map(|field| field.name).collect();
            if !required.is_empty() {
                schema["required"] = required.into();
            }
            schema
        }
    };
    if entry.get().atomic {
        schema["x-kubernetes-map-type"] = "atomic".into();
    }
    let kind = match entry.gvk() {
        Some(Kind::One(group, version, kind)) => (group, version, kind),
        Some(Kind::Everywhere) => (group, version, entry.short()),
        None => return schema,
    };
    schema["x-kubernetes-group-version-kind"] = json!([{"group": kind.0, "version": kind.1, "kind": kind.2}]);
    schema
}

fn property(field: &'static Field, open: &mut Vec<&'static Entry>) -> Value {
    let mut property = of_shape(&field.shape, open);
    if property.get("$ref").is_some() {
        // Nothing may stand beside a reference, and a description will.
        property = json!({"allOf": [property]});
    }
    if let Some(default) = &field.default {
        property["default"] = default.clone();
    }
    let map = matches!(field.shape, Shape::Map(_));
    match &field.topology {
        Topology::Plain => {}
        Topology::Atomic if map => property["x-kubernetes-map-type"] = "atomic".into(),
        Topology::Granular if map => property["x-kubernetes-map-type"] = "granular".into(),
        Topology::Atomic | Topology::Granular => property["x-kubernetes-list-type"] = "atomic".into(),
        Topology::Set => property["x-kubernetes-list-type"] = "set".into(),
        Topology::Map(keys) => {
            property["x-kubernetes-list-type"] = "map".into();
            property["x-kubernetes-list-map-keys"] = keys.clone().into();
        }
    }
    let patch = &field.patch;
    let strategies: Vec<_> =
        [(patch.merge, "merge"), (patch.replace, "replace"), (patch.retain_keys, "retainKeys")]
            .into_iter()
            .filter_map(|(has, name)| has.then_some(name))
            .collect();
    if !strategies.is_empty() {
        property["x-kubernetes-patch-strategy"] = strategies.join(",").into();
    }
    if !patch.key.is_empty() {
        property["x-kubernetes-patch-merge-key"] = patch.key.into();
    }
    property
}

fn of_shape(shape: &'static Shape, open: &mut Vec<&'static Entry>) -> Value {
    match shape {
        Shape::Named(entry) => {
            open.push(entry);
            reference(entry.name())
        }
        Shape::List(item) => json!({"type": "array", "items": of_shape(item, open)}),
        Shape::Map(value) => json!({"type": "object", "additionalProperties": of_shape(value, open)}),
        Shape::Scalar(scalar) => match scalar {
            Scalar::String => json!({"type": "string"}),
            Scalar::Bool => json!({"type": "boolean"}),
            Scalar::Int32 => json!({"type": "integer", "format": "int32"}),
            Scalar::Int64 => json!({"type": "integer", "format": "int64"}),
            Scalar::Double => json!({"type": "number", "format": "double"}),
            Scalar::Bytes => json!({"type": "string", "format": "byte"}),
            Scalar::Time | Scalar::MicroTime => json!({"type": "string", "format": "date-time"}),
            Scalar::Quantity => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
            Scalar::IntOrString => {
                json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
            }
            Scalar::Any => json!({}),
            Scalar::Object => json!({"type": "object"}),
        },
    }
}
