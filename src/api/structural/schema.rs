//! A schema, compiled.

use std::collections::BTreeMap;

use serde_json::Value;

use super::format::Format;
use super::parse::{self, ParseError};
use super::pattern::Pattern;

/// A schema of a custom resource, or of a part of one.
///
/// What stands below `allOf`, `anyOf`, `oneOf` and `not` is of the same form; a structural schema uses less
/// of it there.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// The type; none where any value fits.
    pub ty: Option<Type>,
    /// Whether a null fits besides.
    pub nullable: bool,
    /// What an absent field becomes; never a null.
    pub default: Option<Value>,
    /// Fields with names.
    pub properties: BTreeMap<String, Schema>,
    /// Fields without.
    pub additional: Option<Additional>,
    /// Items of a list.
    pub items: Option<Box<Schema>>,
    /// `x-kubernetes-preserve-unknown-fields`.
    pub preserve_unknown: bool,
    /// `x-kubernetes-embedded-resource`: this is an object with a kind and metadata of its own.
    pub embedded: bool,
    /// `x-kubernetes-int-or-string`.
    pub int_or_string: bool,
    /// How apply merges a list, and what may stand in it twice.
    pub list_type: ListType,
    /// The fields that tell the items of a list of type `map` apart.
    pub list_keys: Vec<String>,
    /// `x-kubernetes-validations`.
    pub rules: Vec<Rule>,
    pub(super) format: Option<Format>,
    pub(super) enumeration: Vec<Value>,
    pub(super) required: Vec<String>,
    pub(super) bounds: Bounds,
    pub(super) pattern: Option<Pattern>,
    pub(super) all_of: Vec<Schema>,
    pub(super) any_of: Vec<Schema>,
    pub(super) one_of: Vec<Schema>,
    pub(super) not: Option<Box<Schema>>,
}

/// A type of OpenAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A JSON object.
    Object,
    /// A list.
    Array,
    /// Text.
    String,
    /// A number without a fraction.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
}

/// What fields without a name may be.
#[derive(Clone, Debug)]
pub enum Additional {
    /// Anything, or nothing: the flag of `additionalProperties`.
    Any(bool),
    /// This.
    Schema(Box<Schema>),
}

/// `x-kubernetes-list-type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// The list is one value.
    #[default]
    Atomic,
    /// No item stands twice.
    Set,
    /// Items are objects that are told apart by keys.
    Map,
}

/// A rule of `x-kubernetes-validations`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The expression, which is true of what is right.
    pub rule: String,
    /// What is said where it is not; empty where nothing was given.
    pub message: String,
    /// An expression that makes the message; empty where there is none.
    pub message_expression: String,
    /// The machine's word, such as `FieldValueForbidden`; `FieldValueInvalid` where it is empty.
    pub reason: String,
    /// The field that is wrong, below the one that carries the rule; empty where it is that one.
    pub field_path: String,
    /// Whether the rule is asked of new values too, with an `oldSelf` that is an optional.
    pub optional_old_self: Option<bool>,
}

/// What numbers say of a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    pub(super) maximum: Option<f64>,
    pub(super) exclusive_maximum: bool,
    pub(super) minimum: Option<f64>,
    pub(super) exclusive_minimum: bool,
    pub(super) multiple_of: Option<f64>,
    pub(super) max_length: Option<i64>,
    pub(super) min_length: Option<i64>,
    pub(super) max_items: Option<i64>,
    pub(super) min_items: Option<i64>,
    pub(super) unique_items: bool,
    pub(super) max_properties: Option<i64>,
    pub(super) min_properties: Option<i64>,
}

impl Schema {
    /// Compiles an `openAPIV3Schema`.
    ///
    /// # Errors
    ///
    /// Where the schema uses what definitions may not (such as `$ref`), or a type or a regular expression
    /// that there is not. That it is structural is not checked: see [`check`](super::check).
    pub fn parse(schema: &Value) -> Result<Self, ParseError> {
        parse::parse(schema)
    }

    /// The schema of the values of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(match &self.additional {
            Some(Additional::Schema(schema)) => Some(schema),
            _ => None,
        })
    }

    /// `maxItems`, where it is given.
    #[must_use]
    pub fn max_items(&self) -> Option<u64> {
        bound(self.bounds.max_items)
    }

    /// `maxLength`, where it is given.
    #[must_use]
    pub fn max_length(&self) -> Option<u64> {
        bound(self.bounds.max_length)
    }

    /// `maxProperties`, where it is given.
    #[must_use]
    pub fn max_properties(&self) -> Option<u64> {
        bound(self.bounds.max_properties)
    }

    /// Whether a field must be there.
    #[must_use]
    pub fn requires(&self, name: &str) -> bool {
        self.required.iter().any(|required| required == name)
    }

    /// `format`, where it is one that is known for the type.
    #[must_use]
    pub fn format(&self) -> Option<&str> {
        self.format.as_ref().map(Format::name)
    }

    /// The schemas of `allOf`.
    #[must_use]
    pub fn all_of(&self) -> &[Self] {
        &self.all_of
    }

    /// The values of `enum`; none where any value fits.
    #[must_use]
    pub fn enumeration(&self) -> &[Value] {
        &self.enumeration
    }

    /// The same schema, of a whole object: its kind and metadata are known.
    #[must_use]
    pub(super) fn as_root(&self) -> Self {
        Self { embedded: true, ..self.clone() }
    }
}

fn bound(value: Option<i64>) -> Option<u64> {
    value.map(|value| u64::try_from(value).unwrap_or(0))
}

impl Type {
    /// The name in a schema.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// What the rules of a schema apply to: `x-kubernetes-validations` anywhere in it.
impl Schema {
    /// Whether any part of the schema carries a rule that is asked of objects.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        let additional = match &self.additional {
            Some(Additional::Schema(schema)) => schema.has_rules(),
            _ => false,
        };
        !self.rules.is_empty()
            || additional
            || self.items.as_ref().is_some_and(|items| items.has_rules())
            || self.all_of.iter().any(Self::has_rules)
            || self.properties.values().any(Self::has_rules)
    }
}
