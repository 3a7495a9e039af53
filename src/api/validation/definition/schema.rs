//! The schema of a version.
//!
//! Source: `validateCustomResourceDefinitionValidation` and `ValidateCustomResourceDefinitionOpenAPISchema`
//! of `k8s.io/apiextensions-apiserver` (1.36).

use serde_json::{Map, Value};

use super::leeway::Leeway;
use super::rules;
use crate::api::field::{Error, Path};
use crate::api::structural::raw::{flag, is_zero, text};
use crate::api::structural::{self, Schema, check, check_defaults};
use crate::api::validation::checks::Errors;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// What may stand at the root where the status is a subresource, and what Kubernetes calls it.
const AT_ROOT: [(&str, &str); 22] = [
    ("description", "Description"),
    ("type", "Type"),
    ("format", "Format"),
    ("title", "Title"),
    ("maximum", "Maximum"),
    ("exclusiveMaximum", "ExclusiveMaximum"),
    ("minimum", "Minimum"),
    ("exclusiveMinimum", "ExclusiveMinimum"),
    ("maxLength", "MaxLength"),
    ("minLength", "MinLength"),
    ("pattern", "Pattern"),
    ("maxItems", "MaxItems"),
    ("minItems", "MinItems"),
    ("uniqueItems", "UniqueItems"),
    ("multipleOf", "MultipleOf"),
    ("required", "Required"),
    ("items", "Items"),
    ("properties", "Properties"),
    ("externalDocs", "ExternalDocs"),
    ("example", "Example"),
    ("x-kubernetes-preserve-unknown-fields", "XPreserveUnknownFields"),
    ("x-kubernetes-validations", "XValidations"),
];

/// How the schema of a version is judged.
pub(super) struct Judged<'a> {
    pub(super) structural: bool,
    pub(super) with_status: bool,
    /// The version's name.
    #[cfg_attr(not(feature = "cel"), allow(dead_code, reason = "only the costs of rules ask for it"))]
    pub(super) version: &'a str,
    pub(super) leeway: &'a Leeway,
}

impl Judged<'_> {
    /// `path` is where `openAPIV3Schema` stands.
    pub(super) fn check(&self, schema: &Value, path: &Path, errors: &mut Errors) {
        let (before, at) = (errors.len(), path.child("openAPIV3Schema"));
        if self.with_status {
            root_fields(schema, path, &at, errors);
        }
        if flag(schema, "nullable") {
            let path = path.child("openAPIV3Schema.nullable");
            errors.push(Error::forbidden(&path, "nullable cannot be true at the root"));
        }
        let mut not_compiled = None;
        let mut compiled = None;
        if self.structural {
            match structural::unsupported(schema) {
                Err(error) => not_compiled = Some(error),
                Ok(()) => {
                    let mut wrong = check(&at, schema);
                    if wrong.is_empty() {
                        match Schema::parse(schema) {
                            Err(error) => not_compiled = Some(error),
                            Ok(parsed) => {
                                wrong =
                                    check_defaults(&at, &parsed, schema, self.leeway.needs_pruned_defaults);
                                compiled = Some(parsed).filter(|_| wrong.is_empty());
                            }
                        }
                    }
                    errors.extend(wrong);
                }
            }
        }
        let mut walk = Walk { judged: self, wrong: Vec::new(), rules: rules::Costs::default() };
        let context = compiled.as_ref().map(|_| rules::Context::root(schema));
        walk.schema(schema, &at, true, &Inside::default(), context.as_ref());
        let Walk { wrong, rules, .. } = walk;
        errors.extend(wrong);
        rules.finish(&at, errors);
        if let Some(error) = not_compiled.filter(|_| errors.len() == before) {
            errors.push(Error::invalid(&at, "", error.to_string()));
        }
    }
}

fn root_fields(schema: &Value, path: &Path, at: &Path, errors: &mut Errors) {
    let ty = text(schema, "type");
    let set = schema.as_object().into_iter().flatten().filter(|(_, value)| !is_zero(value));
    for (field, _) in set {
        if field == "type" && ty != "object" {
            let why = "only \"object\" is allowed as the type at the root of the schema if the status \
                       subresource is enabled";
            errors.push(Error::invalid(&path.child("openAPIV3Schema.type"), ty, why));
            return;
        }
        if !AT_ROOT.iter().any(|(allowed, _)| field == allowed) {
            let names: Vec<_> = AT_ROOT.iter().map(|(_, name)| *name).collect();
            let why = format!(
                "only [{}] fields are allowed at the root of the schema if the status subresource is enabled",
                names.join(" ")
            );
            errors.push(Error::invalid(at, schema.clone(), why));
            return;
        }
    }
}

/// Where in the whole schema we are.
#[derive(Clone, Default)]
pub(super) struct Inside {
    /// Why no default may stand here; none where one may.
    no_default: Option<String>,
    /// Inside the metadata of a whole object.
    metadata: bool,
    /// The nearest place above from which on old values are not found again.
    #[cfg_attr(not(feature = "cel"), allow(dead_code, reason = "only rules about changes ask for it"))]
    pub(super) uncorrelated: Option<Path>,
}

pub(super) struct Walk<'a> {
    pub(super) judged: &'a Judged<'a>,
    pub(super) wrong: Errors,
    pub(super) rules: rules::Costs,
}

impl Walk<'_> {
    fn schema(
        &mut self,
        schema: &Value,
        path: &Path,
        is_root: bool,
        inside: &Inside,
        context: Option<&rules::Context<'_>>,
    ) {
        let Some(map) = schema.as_object() else { return };
        let start = self.wrong.len();
        self.standard(schema, path, inside);
        if flag(schema, "uniqueItems") {
            let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            self.wrong.push(Error::forbidden(&path.child("uniqueItems"), why));
        }
        let properties = map.get("properties").and_then(Value::as_object).filter(|map| !map.is_empty());
        self.additional(schema, path, properties.is_some(), inside, context);
        for (name, property) in properties.into_iter().flatten() {
            let mut below = inside.clone();
            let head = matches!(name.as_str(), "metadata" | "kind" | "apiVersion");
            if head && (is_root || flag(schema, "x-kubernetes-embedded-resource")) {
                below.metadata = true;
                if is_root {
                    below.no_default = Some(format!(" in top-level {name}"));
                }
            }
            let context = context.map(|context| context.property(property, name));
            let path = path.child("properties").key(name);
            self.schema(property, &path, false, &below, context.as_ref());
        }
        for (step, part) in structural::children(map) {
            let path = step.path(path);
            if step.is_value_validation() {
                self.schema(part, &path, false, inside, None);
            }
        }
        if let Some(items) = map.get("items") {
            self.items(schema, items, path, inside, context);
        }
        if map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
            let path = path.child("x-kubernetes-preserve-unknown-fields");
            self.wrong.push(Error::invalid(&path, false, "must be true or undefined"));
        }
        map_type(schema, path, &mut self.wrong);
        self.list_type(schema, path);
        if self.judged.leeway.needs_list_keys {
            self.wrong.extend(list_keys(schema, path));
        }
        let sound = self.wrong.len() == start;
        rules::check(self, schema, path, inside, context, sound);
    }

    fn additional(
        &mut self,
        schema: &Value,
        path: &Path,
        has_properties: bool,
        inside: &Inside,
        context: Option<&rules::Context<'_>>,
    ) {
        let Some(additional) = schema.get("additionalProperties").filter(|value| !value.is_null()) else {
            return;
        };
        let at = path.child("additionalProperties");
        if has_properties && additional != &Value::Bool(true) {
            let why = "additionalProperties and properties are mutual exclusive";
            self.wrong.push(Error::forbidden(&at, why));
        }
        let mut below = inside.clone();
        if inside.metadata {
            let why = " inside additionalProperties applying to object metadata";
            below.no_default = Some(why.to_owned());
        }
        let context = context.map(|context| context.additional(additional));
        self.schema(additional, &at, false, &below, context.as_ref());
    }

    fn items(
        &mut self,
        schema: &Value,
        items: &Value,
        path: &Path,
        inside: &Inside,
        context: Option<&rules::Context<'_>>,
    ) {
        let mut below = inside.clone();
        if text(schema, "x-kubernetes-list-type") != "map" && below.uncorrelated.is_none() {
            below.uncorrelated = Some(path.clone());
        }
        let at = path.child("items");
        let context = context.map(|context| context.items(items));
        match items {
            Value::Array(list) => {
                for (index, items) in list.iter().enumerate() {
                    self.schema(items, &at.index(index), false, &below, None);
                }
            }
            items => self.schema(items, &at, false, &below, context.as_ref()),
        }
    }

    /// What no part of any schema may be.
    fn standard(&mut self, schema: &Value, path: &Path, inside: &Inside) {
        let mut push = |error| self.wrong.push(error);
        let at = |field: &str| path.child(field);
        let ty = text(schema, "type");
        if self.judged.leeway.needs_types && !is_type(schema) {
            push(Error::not_supported(&at("type"), ty, &TYPES));
        }
        let set = |field: &str| schema.get(field).is_some_and(|value| !value.is_null());
        if let Some(why) = inside.no_default.as_ref().filter(|_| set("default")) {
            push(Error::forbidden(&at("default"), format!("must not be set{why}")));
        }
        for field in ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"] {
            let counts = |value: &Value| match field {
                "id" | "patternProperties" | "definitions" => !is_zero(value),
                _ => !value.is_null(),
            };
            if schema.get(field).is_some_and(counts) {
                push(Error::forbidden(&at(field), format!("{field} is not supported")));
            }
        }
        if ty == "null" {
            let why = "type cannot be set to null, use nullable as an alternative";
            push(Error::forbidden(&at("type"), why));
        }
        if schema.get("items").and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
            push(Error::forbidden(&at("items"), "items must be a schema object and not an array"));
        }
        if inside.metadata && flag(schema, "x-kubernetes-embedded-resource") {
            let path = at("x-kubernetes-embedded-resource");
            push(Error::forbidden(&path, "must not be used inside of resource meta"));
        }
    }

    fn list_type(&mut self, schema: &Value, path: &Path) {
        let ty = text(schema, "type");
        let list_type = schema.get("x-kubernetes-list-type").and_then(Value::as_str);
        let items = schema.get("items").filter(|items| items.is_object());
        let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
        let keys = keys.map(Vec::as_slice).unwrap_or_default();
        let at = |field: &str| path.child(field);
        if list_type.is_some() && ty != "array" {
            self.wrong.push(wrong_type(path, ty, "array", "x-kubernetes-list-type"));
        } else if self.judged.leeway.needs_atomic_sets
            && !is_atomic_set(schema)
            && let Some(items) = items
        {
            let (field, own) = if text(items, "type") == "array" {
                ("x-kubernetes-list-type", items.get("x-kubernetes-list-type"))
            } else {
                ("x-kubernetes-map-type", items.get("x-kubernetes-list-type"))
            };
            let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
            let value = own.cloned().unwrap_or_default();
            self.wrong.push(Error::invalid(&at("items").child(field), value, why));
        }
        if let Some(other) = list_type.filter(|known| !["atomic", "set", "map"].contains(known)) {
            let path = at("x-kubernetes-list-type");
            self.wrong.push(Error::not_supported(&path, other, &["atomic", "set", "map"]));
        }
        if !keys.is_empty() && list_type != Some("map") {
            let path = at("x-kubernetes-list-type");
            let why = "must be map if x-kubernetes-list-map-keys is non-empty";
            self.wrong.push(match list_type {
                None => Error::required(&path, why),
                Some(other) => Error::invalid(&path, other, why),
            });
        }
        if list_type != Some("map") {
            return;
        }
        if keys.is_empty() {
            let why = "must not be empty if x-kubernetes-list-type is map";
            self.wrong.push(Error::required(&at("x-kubernetes-list-map-keys"), why));
        }
        let Some(items) = items else {
            if schema.get("items").is_none_or(Value::is_null) {
                let why = "must have a schema if x-kubernetes-list-type is map";
                self.wrong.push(Error::required(&at("items"), why));
            }
            return;
        };
        let item_type = text(items, "type");
        if item_type != "object" {
            let why = "must be object if parent array's x-kubernetes-list-type is map";
            self.wrong.push(Error::invalid(&at("items").child("type"), item_type, why));
            return;
        }
        let mut seen = Vec::new();
        for key in keys.iter().filter_map(Value::as_str) {
            let keys_path = at("x-kubernetes-list-map-keys");
            let all = || Value::Array(keys.to_vec());
            match items.get("properties").and_then(|properties| properties.get(key)) {
                Some(property) if matches!(text(property, "type"), "array" | "object") => {
                    let path = at("items").child("properties").key(key).child("type");
                    let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                    self.wrong.push(Error::invalid(&path, item_type, why));
                }
                Some(_) => {}
                None => {
                    let why = "entries must all be names of item properties";
                    self.wrong.push(Error::invalid(&keys_path, all(), why));
                }
            }
            if seen.contains(&key) {
                self.wrong.push(Error::invalid(&keys_path, all(), "must not contain duplicate entries"));
            }
            seen.push(key);
        }
    }
}

fn map_type(schema: &Value, path: &Path, errors: &mut Errors) {
    let Some(map_type) = schema.get("x-kubernetes-map-type").and_then(Value::as_str) else { return };
    let ty = text(schema, "type");
    if ty != "object" {
        errors.push(wrong_type(path, ty, "object", "x-kubernetes-map-type"));
    }
    if !matches!(map_type, "atomic" | "granular") {
        let path = path.child("x-kubernetes-map-type");
        errors.push(Error::not_supported(&path, map_type, &["atomic", "granular"]));
    }
}

/// A type that an extension does not go with.
fn wrong_type(path: &Path, ty: &str, wanted: &str, extension: &str) -> Error {
    let path = path.child("type");
    let why = format!("must be {wanted} if {extension} is specified");
    if ty.is_empty() { Error::required(&path, why) } else { Error::invalid(&path, ty, why) }
}

/// Whether a schema has a type that there is, or none.
pub(super) fn is_type(schema: &Value) -> bool {
    matches!(text(schema, "type"), "") || TYPES.contains(&text(schema, "type"))
}

/// Whether a schema is no set, or one of values that are merged as a whole.
pub(super) fn is_atomic_set(schema: &Value) -> bool {
    let Some(items) = schema.get("items").filter(|items| items.is_object()) else { return true };
    if text(schema, "x-kubernetes-list-type") != "set" {
        return true;
    }
    match text(items, "type") {
        "array" => matches!(text(items, "x-kubernetes-list-type"), "" | "atomic"),
        "object" => text(items, "x-kubernetes-map-type") == "atomic",
        _ => true,
    }
}

/// What keeps the items of a set or a map from being told apart.
pub(super) fn list_keys(schema: &Value, path: &Path) -> Errors {
    let mut errors = Vec::new();
    let list_type = text(schema, "x-kubernetes-list-type");
    let Some(items) = schema.get("items").filter(|items| items.is_object()) else { return errors };
    if !matches!(list_type, "set" | "map") {
        return errors;
    }
    let at = path.child("items");
    if flag(items, "nullable") {
        let why = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        errors.push(Error::forbidden(&at.child("nullable"), why));
    }
    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
    for key in keys.filter(|_| list_type == "map").into_iter().flatten().filter_map(Value::as_str) {
        let Some(property) = items.get("properties").and_then(|properties| properties.get(key)) else {
            continue;
        };
        let required = items.get("required").and_then(Value::as_array);
        let required = required.is_some_and(|required| required.iter().any(|name| name == key));
        let at = at.child("properties").key(key);
        if !required && property.get("default").is_none_or(Value::is_null) {
            let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a \
                       required property";
            errors.push(Error::required(&at.child("default"), why));
        }
        if flag(property, "nullable") {
            let why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errors.push(Error::forbidden(&at.child("nullable"), why));
        }
    }
    errors
}

/// The fields of a rule, as its definition has them.
pub(super) fn rules_of(schema: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    let rules = schema.get("x-kubernetes-validations").and_then(Value::as_array);
    rules.into_iter().flatten().filter_map(Value::as_object)
}
