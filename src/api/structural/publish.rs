//! The schema of a definition as OpenAPI shows it.
//!
//! Source: `buildKubeNative` of `k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder`, with
//! `schema/unfold.go` and `controller/openapi/v2` (1.36).

use serde_json::{Map, Value, json};

/// Which OpenAPI a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAPI 2, which has neither alternatives nor nulls, and whose readers refuse fields that they do not
    /// know.
    V2,
    /// OpenAPI 3.
    V3,
}

impl Dialect {
    fn reference(self, name: &str) -> String {
        match self {
            Self::V2 => format!("#/definitions/{name}"),
            Self::V3 => format!("#/components/schemas/{name}"),
        }
    }
}

const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// An `openAPIV3Schema` as it is published: with an object's kind and metadata, in it and in what it embeds.
/// Without a schema, or where the schema cannot be said in the dialect, an object of which nothing is known.
#[must_use]
pub fn publish(schema: Option<&Value>, dialect: Dialect) -> Value {
    let bare = || json!({"type": "object"});
    let Some(schema) = schema else { return bare() };
    let keeps = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    if dialect == Dialect::V2 && keeps {
        return bare();
    }
    let mut published = schema.clone();
    walk(&mut published, dialect, true);
    put_head(&mut published, dialect);
    published
}

/// Kind and metadata, which every whole object has.
fn put_head(schema: &mut Value, dialect: Dialect) {
    let Value::Object(map) = schema else { return };
    let properties = map.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        properties.insert("apiVersion".into(), json!({"type": "string"}));
        properties.insert("kind".into(), json!({"type": "string"}));
        let reference = json!({"$ref": dialect.reference(METADATA)});
        // Nothing may stand beside a reference, and a description will.
        properties.insert("metadata".into(), json!({"allOf": [reference]}));
    }
}

fn walk(schema: &mut Value, dialect: Dialect, is_root: bool) {
    let Value::Object(map) = schema else { return };
    match dialect {
        Dialect::V3 => unfold(map),
        Dialect::V2 => simplify(map),
    }
    for name in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(name) {
            walk(child, dialect, false);
        }
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(|property| walk(property, dialect, false));
    }
    let flag = |map: &Map<String, Value>, name| map.get(name) == Some(&Value::Bool(true));
    let keeps = flag(map, "x-kubernetes-preserve-unknown-fields");
    if !is_root && flag(map, "x-kubernetes-embedded-resource") && !(keeps && dialect == Dialect::V2) {
        let mut required = map.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        for name in ["kind", "apiVersion"] {
            if !required.iter().any(|known| known == name) {
                required.push(name.into());
            }
        }
        put_head(schema, dialect);
        schema["required"] = required.into();
    }
}

/// Says in alternatives what `x-kubernetes-int-or-string` means.
fn unfold(map: &mut Map<String, Value>) {
    if map.get("x-kubernetes-int-or-string") != Some(&Value::Bool(true)) {
        return;
    }
    let types = json!([{"type": "integer"}, {"type": "string"}]);
    let first = map.get("allOf").and_then(|all| all.get(0)).and_then(|first| first.get("anyOf"));
    if map.get("anyOf") == Some(&types) || first == Some(&types) {
        return;
    }
    if map.contains_key("anyOf") {
        let all_of = map.entry("allOf").or_insert_with(|| json!([]));
        if let Some(list) = all_of.as_array_mut() {
            list.insert(0, json!({ "anyOf": types }));
        }
    } else {
        map.insert("anyOf".into(), types);
    }
}

/// Leaves out what OpenAPI 2 cannot say.
fn simplify(map: &mut Map<String, Value>) {
    for name in ["allOf", "oneOf", "anyOf", "not"] {
        map.remove(name);
    }
    let flag = |map: &Map<String, Value>, name: &str| map.get(name) == Some(&Value::Bool(true));
    if flag(map, "nullable") {
        for name in ["type", "nullable", "items", "properties"] {
            map.remove(name);
        }
    }
    if flag(map, "x-kubernetes-preserve-unknown-fields") {
        map.remove("items");
        map.remove("properties");
        if map.get("type").is_some_and(|ty| ty == "object") {
            map.remove("type");
        }
    }
    if !map.contains_key("items") && map.get("type").is_some_and(|ty| ty == "array") {
        map.remove("type");
    }
    let nullable = |value: &Value| value.get("nullable") == Some(&Value::Bool(true));
    if map.get("additionalProperties").is_some_and(nullable) {
        map.remove("required");
    }
    let loose: Vec<String> = map
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, property)| nullable(property))
        .map(|(name, _)| name.clone())
        .collect();
    if let Some(Value::Array(required)) = map.get_mut("required") {
        required.retain(|name| !loose.iter().any(|loose| name == loose));
        if required.is_empty() {
            map.remove("required");
        }
    }
}
