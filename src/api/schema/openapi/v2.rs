//! OpenAPI v2 of everything at once, as it is said in what version 3 says.
//!
//! kubectl turns to it where version 3 does not tell it enough; others, Terraform among them, know nothing else.
//! Version 2 has no alternatives: a quantity is a text, and `int-or-string` a text of that format. A reference
//! may have a description beside it here, as Kubernetes has it.
//!
//! Source: `k8s.io/kube-openapi/pkg/openapiconv` and `pkg/builder` as Kubernetes 1.36 uses them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::openapi_v3;
use crate::api::Scheme;
use crate::api::structural::{Dialect, publish};

/// The OpenAPI v2 document of all that a scheme serves; `version` is the server's.
#[must_use]
pub fn openapi_v2(scheme: &Scheme, version: &str) -> Value {
    let (mut paths, mut definitions) = (Map::new(), Map::new());
    let versions: BTreeSet<_> = scheme.iter().map(|row| (&*row.group, &*row.version)).collect();
    for (group, version) in versions {
        let mut document = openapi_v3(scheme, group, version);
        if let Value::Object(found) = document["paths"].take() {
            paths.extend(found.into_iter().map(|(path, item)| (path, path_item(item))));
        }
        if let Value::Object(found) = document["components"]["schemas"].take() {
            for (name, schema) in found {
                merge(&mut definitions, name, simple(schema));
            }
        }
    }
    for row in scheme.iter() {
        let Some(version) = &row.custom else { continue };
        let package: Vec<&str> = row.group.rsplit('.').collect();
        let name = format!("{}.{}.{}", package.join("."), row.version, row.kind);
        let mut published = simple(publish(version.open_api().map(AsRef::as_ref), Dialect::V2));
        published["x-kubernetes-group-version-kind"] =
            json!([{"group": row.group, "version": row.version, "kind": row.kind}]);
        definitions.insert(name, published);
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": paths,
        "definitions": definitions,
        "securityDefinitions": {
            "BearerToken": {"type": "apiKey", "name": "authorization", "in": "header",
                            "description": "Bearer Token authentication"}
        },
        "security": [{"BearerToken": []}],
    })
}

/// Types that several versions have, such as `DeleteOptions`, are of the kinds of all of them.
fn merge(definitions: &mut Map<String, Value>, name: String, schema: Value) {
    const KINDS: &str = "x-kubernetes-group-version-kind";
    let Some(known) = definitions.get_mut(&name) else {
        definitions.insert(name, schema);
        return;
    };
    if let (Some(Value::Array(known)), Some(Value::Array(kinds))) = (known.get_mut(KINDS), schema.get(KINDS))
    {
        let new: Vec<_> = kinds.iter().filter(|kind| !known.contains(kind)).cloned().collect();
        known.extend(new);
    }
}

/// A schema without what version 2 cannot say.
fn simple(schema: Value) -> Value {
    let Value::Object(mut map) = schema else { return schema };
    if let Some(Value::String(reference)) = map.get_mut("$ref") {
        *reference = reference.replace("#/components/schemas/", "#/definitions/");
    }
    if let Some(Value::Array(all)) = map.remove("allOf")
        && let [only] = &all[..]
        && only.get("$ref").is_some()
        && let Value::Object(only) = simple(only.clone())
    {
        map.extend(only);
    }
    let alternatives = ["oneOf", "anyOf", "not"].map(|name| map.remove(name).is_some());
    if alternatives[0] && !map.contains_key("type") {
        map.insert("type".into(), "string".into());
    }
    for name in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(name) {
            *child = simple(child.take());
        }
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for property in properties.values_mut() {
            *property = simple(property.take());
        }
    }
    map.into()
}

fn path_item(item: Value) -> Value {
    let Value::Object(item) = item else { return item };
    let change = |(name, value): (String, Value)| match name.as_str() {
        "parameters" => (name, parameters(value)),
        _ => (name, operation(value)),
    };
    item.into_iter().map(change).collect::<Map<_, _>>().into()
}

fn operation(operation: Value) -> Value {
    let Value::Object(mut operation) = operation else { return operation };
    let mut own: Vec<Value> = Vec::new();
    let body = operation.remove("requestBody").unwrap_or_default();
    if let Some((schema, media)) = content(&body) {
        let required = body["required"] == true;
        let mut parameter = json!({"name": "body", "in": "body", "schema": schema});
        if required {
            parameter["required"] = true.into();
        }
        own.push(parameter);
        operation.insert("consumes".into(), media);
    } else {
        operation.insert("consumes".into(), json!(["*/*"]));
    }
    if let Some(Value::Array(more)) = operation.remove("parameters").map(parameters) {
        own.extend(more);
    }
    if !own.is_empty() {
        operation.insert("parameters".into(), own.into());
    }
    let mut produces = json!(["*/*"]);
    if let Some(Value::Object(responses)) = operation.get_mut("responses") {
        for response in responses.values_mut() {
            let found = content(response);
            let Some(response) = response.as_object_mut() else { continue };
            response.remove("content");
            if let Some((schema, media)) = found {
                response.insert("schema".into(), schema);
                produces = media;
            }
        }
    }
    operation.insert("produces".into(), produces);
    operation.insert("schemes".into(), json!(["https"]));
    operation.into()
}

/// The schema of a body or an answer, and its media types.
fn content(of: &Value) -> Option<(Value, Value)> {
    let content = of.get("content")?.as_object()?;
    let schema = content.values().next()?.get("schema")?.clone();
    Some((simple(schema), content.keys().map(String::as_str).collect()))
}

/// Parameters, whose types stand beside their names here.
fn parameters(parameters: Value) -> Value {
    let Value::Array(parameters) = parameters else { return parameters };
    let flat = |parameter: Value| {
        let Value::Object(mut parameter) = parameter else { return parameter };
        if let Some(Value::Object(schema)) = parameter.remove("schema") {
            parameter.extend(schema);
        }
        parameter.into()
    };
    parameters.into_iter().map(flat).collect()
}
