//! From the JSON of a definition to a [`Schema`].

use serde_json::{Map, Value};

use super::format::Format;
use super::pattern::Pattern;
use super::schema::{Additional, Bounds, ListType, Rule, Schema, Type};

/// A schema that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(String);

impl ParseError {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// What OpenAPI has and a definition may not use, in the order in which Kubernetes looks for it.
const UNSUPPORTED: [(&str, &str); 7] = [
    ("id", "id"),
    ("$schema", "schema"),
    ("$ref", "$ref"),
    ("patternProperties", "patternProperties"),
    ("dependencies", "dependencies"),
    ("additionalItems", "additionalItems"),
    ("definitions", "definitions"),
];

pub(super) fn parse(schema: &Value) -> Result<Schema, ParseError> {
    let map = object(schema)?;
    supported(map)?;
    let ty = match text(map, "type") {
        "" => None,
        name => Some(ty(name).ok_or_else(|| ParseError(format!("{name:?} is an invalid type name")))?),
    };
    let int_or_string = flag(map, "x-kubernetes-int-or-string");
    let additional = match map.get("additionalProperties") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(any)) => Some(Additional::Any(*any)),
        Some(schema) => Some(Additional::Schema(Box::new(parse(schema)?))),
    };
    let items = match map.get("items") {
        None | Some(Value::Null) => None,
        Some(Value::Array(_)) => {
            return Err(ParseError("OpenAPIV3Schema 'items' must be a schema, but is an array".to_owned()));
        }
        Some(schema) => Some(Box::new(parse(schema)?)),
    };
    let properties = map.get("properties").and_then(Value::as_object);
    let properties = properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| Ok((name.clone(), parse(schema)?)))
        .collect::<Result<_, ParseError>>()?;
    let not = map.get("not").filter(|not| !not.is_null()).map(parse).transpose()?;
    let pattern = match text(map, "pattern") {
        "" => None,
        text => Some(Pattern::new(text).map_err(ParseError)?),
    };
    Ok(Schema {
        ty,
        nullable: flag(map, "nullable"),
        default: map.get("default").filter(|default| !default.is_null()).cloned(),
        properties,
        additional,
        items,
        preserve_unknown: flag(map, "x-kubernetes-preserve-unknown-fields"),
        embedded: flag(map, "x-kubernetes-embedded-resource"),
        int_or_string,
        list_type: match text(map, "x-kubernetes-list-type") {
            "set" => ListType::Set,
            "map" => ListType::Map,
            _ => ListType::Atomic,
        },
        list_keys: texts(map, "x-kubernetes-list-map-keys"),
        rules: rules(map),
        format: Format::find(text(map, "format"), ty.filter(|_| !int_or_string)),
        enumeration: map.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
        required: texts(map, "required"),
        bounds: bounds(map),
        pattern,
        all_of: list(map, "allOf")?,
        any_of: list(map, "anyOf")?,
        one_of: list(map, "oneOf")?,
        not: not.map(Box::new),
    })
}

fn object(schema: &Value) -> Result<&Map<String, Value>, ParseError> {
    schema.as_object().ok_or_else(|| ParseError("a schema must be a JSON object".to_owned()))
}

/// Fails where a schema uses what definitions may not.
pub(super) fn supported(map: &Map<String, Value>) -> Result<(), ParseError> {
    let used = |field: &str| match map.get(field) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Object(map)) => field == "additionalItems" || !map.is_empty(),
        Some(_) => true,
    };
    match UNSUPPORTED.iter().find(|(field, _)| used(field)) {
        Some((_, name)) => Err(ParseError(format!("OpenAPIV3Schema '{name}' is not supported"))),
        None if map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) => {
            Err(ParseError(
                "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined".to_owned(),
            ))
        }
        None => Ok(()),
    }
}

fn ty(name: &str) -> Option<Type> {
    [Type::Object, Type::Array, Type::String, Type::Integer, Type::Number, Type::Boolean]
        .into_iter()
        .find(|ty| ty.name() == name)
}

fn list(map: &Map<String, Value>, name: &str) -> Result<Vec<Schema>, ParseError> {
    map.get(name).and_then(Value::as_array).into_iter().flatten().map(parse).collect()
}

fn rules(map: &Map<String, Value>) -> Vec<Rule> {
    let rules = map.get("x-kubernetes-validations").and_then(Value::as_array);
    rules
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .map(|rule| {
            let own = |name| text(rule, name).to_owned();
            Rule {
                rule: own("rule"),
                message: own("message"),
                message_expression: own("messageExpression"),
                reason: own("reason"),
                field_path: own("fieldPath"),
                optional_old_self: rule.get("optionalOldSelf").and_then(Value::as_bool),
            }
        })
        .collect()
}

fn bounds(map: &Map<String, Value>) -> Bounds {
    let float = |name: &str| map.get(name).and_then(Value::as_f64);
    let count = |name: &str| map.get(name).and_then(Value::as_i64);
    Bounds {
        maximum: float("maximum"),
        exclusive_maximum: flag(map, "exclusiveMaximum"),
        minimum: float("minimum"),
        exclusive_minimum: flag(map, "exclusiveMinimum"),
        multiple_of: float("multipleOf"),
        max_length: count("maxLength"),
        min_length: count("minLength"),
        max_items: count("maxItems"),
        min_items: count("minItems"),
        unique_items: flag(map, "uniqueItems"),
        max_properties: count("maxProperties"),
        min_properties: count("minProperties"),
    }
}

fn text<'a>(map: &'a Map<String, Value>, name: &str) -> &'a str {
    map.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn flag(map: &Map<String, Value>, name: &str) -> bool {
    map.get(name).and_then(Value::as_bool).unwrap_or_default()
}

fn texts(map: &Map<String, Value>, name: &str) -> Vec<String> {
    let list = map.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
