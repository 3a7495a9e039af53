//! What CEL must know of a schema, and the types and sizes that follow from it.
//!
//! Source: `pkg/cel/common/schemas.go`, `pkg/cel/types.go` and `pkg/cel/escaping.go` of `k8s.io/apiserver` (1.36)
//! and `pkg/apiserver/schema/cel` of `k8s.io/apiextensions-apiserver` (1.36).

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::Value as Json;

use super::MAX_REQUEST_BYTES;
use super::names;
use super::types::Type;

/// A node of a structural schema, as far as CEL looks at it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// `type`.
    pub kind: Kind,
    /// `format`.
    pub format: Format,
    /// `nullable`.
    pub nullable: bool,
    /// `x-kubernetes-int-or-string`.
    pub int_or_string: bool,
    /// `x-kubernetes-embedded-resource`.
    pub embedded_resource: bool,
    /// `x-kubernetes-preserve-unknown-fields`.
    pub preserve_unknown_fields: bool,
    /// `properties`.
    pub properties: BTreeMap<String, Arc<Schema>>,
    /// `additionalProperties`, where it is a schema.
    pub additional_properties: Option<Arc<Schema>>,
    /// `items`.
    pub items: Option<Arc<Schema>>,
    /// `x-kubernetes-list-type` with `x-kubernetes-list-map-keys`.
    pub list_type: ListType,
    /// `maxItems`.
    pub max_items: Option<i64>,
    /// `maxLength`.
    pub max_length: Option<i64>,
    /// `maxProperties`.
    pub max_properties: Option<i64>,
    /// `required`.
    pub required: Vec<String>,
    /// Whether there is a `default`.
    pub has_default: bool,
    /// Bytes of the longest string of `enum`; nothing without an `enum`.
    pub longest_enum: Option<usize>,
}

/// The type of a schema's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "these are OpenAPI's own names")]
pub enum Kind {
    /// None is given.
    #[default]
    Untyped,
    Object,
    Array,
    String,
    Boolean,
    Number,
    Integer,
}

impl Kind {
    /// The kind of this OpenAPI name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "boolean" => Self::Boolean,
            "number" => Self::Number,
            "integer" => Self::Integer,
            _ => Self::Untyped,
        }
    }
}

/// The formats of strings that have a type of their own in CEL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// None of the others.
    #[default]
    Other,
    /// Octets, in base64 for URLs.
    Byte,
    /// A day.
    Date,
    /// A point in time.
    DateTime,
    /// A span of time.
    Duration,
}

impl Format {
    /// The format of this OpenAPI name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "byte" => Self::Byte,
            "date" => Self::Date,
            "date-time" => Self::DateTime,
            "duration" => Self::Duration,
            _ => Self::Other,
        }
    }
}

/// How lists are compared and joined.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ListType {
    /// Element by element.
    #[default]
    Atomic,
    /// As sets.
    Set,
    /// As maps, by these fields of their elements.
    Map(Vec<String>),
}

impl Schema {
    /// What CEL must know of a node of an OpenAPI v3 schema.
    #[must_use]
    pub fn from_open_api(node: &Json) -> Arc<Self> {
        let text = |name: &str| node[name].as_str().unwrap_or_default();
        let flag = |name: &str| node[name].as_bool().unwrap_or_default();
        let child = |name: &str| node.get(name).filter(|it| it.is_object()).map(Self::from_open_api);
        let strings = |name: &str| -> Vec<String> {
            let all = node[name].as_array().into_iter().flatten();
            all.filter_map(Json::as_str).map(str::to_owned).collect()
        };
        let properties = node["properties"].as_object().into_iter().flatten();
        let longest = |of: &Vec<Json>| of.iter().filter_map(Json::as_str).map(str::len).max().unwrap_or(0);
        Arc::new(Self {
            kind: Kind::named(text("type")),
            format: Format::named(text("format")),
            nullable: flag("nullable"),
            int_or_string: flag("x-kubernetes-int-or-string"),
            embedded_resource: flag("x-kubernetes-embedded-resource"),
            preserve_unknown_fields: flag("x-kubernetes-preserve-unknown-fields"),
            properties: properties.map(|(name, node)| (name.clone(), Self::from_open_api(node))).collect(),
            additional_properties: child("additionalProperties"),
            items: child("items"),
            list_type: match text("x-kubernetes-list-type") {
                "set" => ListType::Set,
                "map" => ListType::Map(strings("x-kubernetes-list-map-keys")),
                _ => ListType::Atomic,
            },
            max_items: node["maxItems"].as_i64(),
            max_length: node["maxLength"].as_i64(),
            max_properties: node["maxProperties"].as_i64(),
            required: strings("required"),
            has_default: node.get("default").is_some_and(|it| !it.is_null()),
            longest_enum: node["enum"].as_array().filter(|it| !it.is_empty()).map(longest),
        })
    }

    /// The schema with what every resource has: `apiVersion`, `kind`, `metadata.name` and
    /// `metadata.generateName`.
    #[must_use]
    pub fn with_type_and_object_meta(&self) -> Arc<Self> {
        let mut schema = self.clone();
        if !self.has_type_and_object_meta() {
            for (name, meta) in &RESOURCE.properties {
                schema.properties.insert(name.clone(), meta.clone());
            }
        }
        Arc::new(schema)
    }

    fn has_type_and_object_meta(&self) -> bool {
        let is =
            |schema: &Self, name: &str, kind| schema.properties.get(name).is_some_and(|it| it.kind == kind);
        is(self, "kind", Kind::String)
            && is(self, "apiVersion", Kind::String)
            && self.properties.get("metadata").is_some_and(|meta| {
                meta.kind == Kind::Object
                    && is(meta, "name", Kind::String)
                    && is(meta, "generateName", Kind::String)
            })
    }

    /// Whether values are objects with declared fields, rather than maps.
    pub(super) fn has_fields(&self) -> bool {
        self.embedded_resource || !self.properties.is_empty()
    }

    /// The schema of a field or of a value of a map, by its unescaped name.
    pub(super) fn property(&self, name: &str) -> Option<&Self> {
        if self.embedded_resource
            && !self.has_type_and_object_meta()
            && let Some(meta) = RESOURCE.properties.get(name)
        {
            return Some(meta);
        }
        if self.has_fields() { self.properties.get(name) } else { self.additional_properties.as_ref() }
            .map(AsRef::as_ref)
    }
}

/// What every resource has.
static RESOURCE: LazyLock<Schema> = LazyLock::new(|| {
    let text = || Arc::new(Schema { kind: Kind::String, ..Schema::default() });
    let meta = Schema {
        kind: Kind::Object,
        properties: [("name".into(), text()), ("generateName".into(), text())].into(),
        ..Schema::default()
    };
    let properties =
        [("apiVersion".into(), text()), ("kind".into(), text()), ("metadata".into(), Arc::new(meta))].into();
    Schema { kind: Kind::Object, properties, ..Schema::default() }
});

/// The type of a schema's values, with how large they can be.
#[derive(Clone, Debug)]
pub struct Declaration(Arc<Declared>);

#[derive(Debug)]
struct Declared {
    kind: Type,
    /// The most elements, entries, characters or octets of a value.
    max_elements: u64,
    /// The least bytes of a value in JSON.
    min_bytes: i64,
    /// Fields by escaped name, of an object.
    fields: BTreeMap<String, Declaration>,
    /// Of a list or map.
    element: Option<Declaration>,
    /// Of a map.
    key: Option<Declaration>,
    /// Whether what is selected from a map by name has its values' size.
    selects_values: bool,
}

const STRING_MIN: i64 = 2;
const BOOLEAN_MIN: i64 = 4;
const NUMBER_MIN: i64 = 1;
const DURATION_MIN: i64 = 3;
const DURATION_MAX: i64 = 32;
const DATE: i64 = 12;
const DATE_TIME_MIN: i64 = 21;
const DATE_TIME_MAX: i64 = 32;
/// What a list, a map or an object takes at least: its brackets.
const BRACKETS: i64 = 2;

/// The keys of maps, of which a schema says nothing.
static KEY: LazyLock<Declaration> = LazyLock::new(|| Declaration::new(Type::String, 0, STRING_MIN));

/// The name of the type of `self`. No expression can write it.
const SELF_TYPE: &str = "selfType";

impl Declaration {
    /// The declaration of a schema's values; `is_resource_root` at the root of a resource or an embedded one.
    ///
    /// Nothing where CEL cannot see values of that schema: without a type, or of lists and maps of such.
    #[must_use]
    pub fn of(schema: &Schema, is_resource_root: bool) -> Option<Self> {
        Self::named(schema, is_resource_root, SELF_TYPE)
    }

    fn new(kind: Type, max_elements: i64, min_bytes: i64) -> Self {
        Self::with_element(kind, max_elements, min_bytes, None)
    }

    fn with_element(kind: Type, max_elements: i64, min_bytes: i64, element: Option<Self>) -> Self {
        let max_elements = u64::try_from(max_elements).unwrap_or(0);
        let key = matches!(kind, Type::Map(_)).then(|| KEY.clone());
        let fields = BTreeMap::new();
        Self(Arc::new(Declared {
            kind,
            max_elements,
            min_bytes,
            fields,
            element,
            key,
            selects_values: false,
        }))
    }

    /// Objects are named by where they stand below `self`.
    fn named(schema: &Schema, is_resource_root: bool, name: &str) -> Option<Self> {
        // A character may take four bytes.
        let max_length = schema.max_length.map(|it| it.max(0).saturating_mul(4));
        let longest_text = MAX_REQUEST_BYTES - STRING_MIN;
        if schema.int_or_string {
            return Some(Self::new(Type::Dyn, max_length.unwrap_or(longest_text), 1));
        }
        let with_meta = is_resource_root.then(|| schema.with_type_and_object_meta());
        let schema = with_meta.as_deref().unwrap_or(schema);
        let declared = match schema.kind {
            Kind::Array => {
                let items = schema.items.as_deref()?;
                let element = Self::named(items, items.embedded_resource, &format!("{name}.@idx"))?;
                let fit = (MAX_REQUEST_BYTES - BRACKETS) / (element.0.min_bytes + 1);
                let most = schema.max_items.map_or(fit, |it| it.max(0));
                Self::with_element(Type::list(element.0.kind.clone()), most, BRACKETS, Some(element))
            }
            Kind::Object => match schema.additional_properties.as_deref() {
                Some(values) => {
                    let element = Self::named(values, values.embedded_resource, &format!("{name}.@elem"))?;
                    // An entry has at least its key's quotes, two bytes of a key, a colon and a comma.
                    let fit = (MAX_REQUEST_BYTES - BRACKETS) / (element.0.min_bytes + 6);
                    let most = schema.max_properties.map_or(fit, |it| it.max(0));
                    let kind = Type::map(Type::String, element.0.kind.clone());
                    Self::with_element(kind, most, BRACKETS, Some(element))
                }
                None => Self::object(schema, name),
            },
            Kind::String => match schema.format {
                Format::Byte => {
                    let most = schema.max_length.map_or(longest_text, |it| it.max(0));
                    Self::new(Type::Bytes, most, STRING_MIN)
                }
                Format::Duration => Self::new(Type::Duration, DURATION_MAX, DURATION_MIN),
                Format::Date => Self::new(Type::Timestamp, DATE, DATE),
                Format::DateTime => Self::new(Type::Timestamp, DATE_TIME_MAX, DATE_TIME_MIN),
                Format::Other => {
                    let longest = schema.longest_enum.and_then(|it| i64::try_from(it).ok());
                    Self::new(Type::String, max_length.or(longest).unwrap_or(longest_text), STRING_MIN)
                }
            },
            Kind::Boolean => Self::new(Type::Bool, 0, BOOLEAN_MIN),
            Kind::Number => Self::new(Type::Double, 0, NUMBER_MIN),
            Kind::Integer => Self::new(Type::Int, 0, NUMBER_MIN),
            Kind::Untyped => return None,
        };
        Some(declared)
    }

    fn object(schema: &Schema, name: &str) -> Self {
        let mut min_bytes = BRACKETS;
        let mut fields = BTreeMap::new();
        for (field, property) in &schema.properties {
            let escaped = names::escape(field);
            let path = format!("{name}.{}", escaped.as_deref().unwrap_or(field));
            let Some(declared) = Self::named(property, property.embedded_resource, &path) else { continue };
            // Defaults are filled in: an object without them is no smaller for it.
            if !property.has_default && schema.required.contains(field) {
                min_bytes += i64::try_from(field.len()).unwrap_or(0) + declared.0.min_bytes + 4;
            }
            if let Some(escaped) = escaped {
                fields.insert(escaped, declared);
            }
        }
        Self::with_fields(name, min_bytes, fields)
    }

    fn with_fields(name: &str, min_bytes: i64, fields: BTreeMap<String, Self>) -> Self {
        let kind = Type::Object(name.into());
        Self(Arc::new(Declared {
            kind,
            max_elements: 0,
            min_bytes,
            fields,
            element: None,
            key: None,
            selects_values: false,
        }))
    }

    /// A value of this type, with at most so many characters or elements.
    pub(super) fn simple(kind: Type, most: i64) -> Self {
        Self::new(kind, most, NUMBER_MIN)
    }

    /// A list of any length.
    pub(super) fn list(element: Self) -> Self {
        let kind = Type::list(element.kind().clone());
        Self::with_element(kind, i64::MAX, BRACKETS, Some(element))
    }

    /// A map with at most so many entries.
    pub(super) fn map(key: Self, values: Self, most: i64, selects_values: bool) -> Self {
        let kind = Type::map(key.kind().clone(), values.kind().clone());
        Self(Arc::new(Declared {
            kind,
            max_elements: u64::try_from(most).unwrap_or(0),
            min_bytes: BRACKETS,
            fields: BTreeMap::new(),
            element: Some(values),
            key: Some(key),
            selects_values,
        }))
    }

    /// An object whose type has a name of its own.
    pub(super) fn record<'n>(name: &str, fields: impl IntoIterator<Item = (&'n str, Self)>) -> Self {
        let fields = fields.into_iter().map(|(field, declared)| (field.to_owned(), declared));
        Self::with_fields(name, BRACKETS, fields.collect())
    }

    /// The type of the values.
    #[must_use]
    pub fn kind(&self) -> &Type {
        &self.0.kind
    }

    /// How often values of this declaration can stand in one request, at worst: the cardinality of a rule below
    /// a list or map without a limit of its own.
    #[must_use]
    pub fn max_cardinality(&self) -> u64 {
        u64::try_from(MAX_REQUEST_BYTES / (self.0.min_bytes + 1)).unwrap_or(0)
    }

    /// The declaration of a field, by its name in the data.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Self> {
        self.field(&names::escape(name)?)
    }

    /// The declaration of the elements of a list or the values of a map.
    #[must_use]
    pub fn element(&self) -> Option<&Self> {
        self.0.element.as_ref()
    }

    /// The declaration of a field, by its name in expressions.
    pub(super) fn field(&self, escaped: &str) -> Option<&Self> {
        self.0.fields.get(escaped)
    }

    /// The declaration of the keys of a map.
    pub(super) fn key(&self) -> Option<&Self> {
        self.0.key.as_ref()
    }

    /// The declaration of what is selected by a name that is no field's.
    pub(super) fn selected(&self) -> Option<&Self> {
        self.0.element.as_ref().filter(|_| self.0.selects_values)
    }

    pub(super) fn max_elements(&self) -> u64 {
        self.0.max_elements
    }

    /// Calls `visit` with the name and the declaration of every object in it.
    pub(super) fn for_each_object(&self, visit: &mut dyn FnMut(&Arc<str>, &Self)) {
        if let Type::Object(name) = &self.0.kind {
            visit(name, self);
        }
        self.0.fields.values().chain(&self.0.element).for_each(|it| it.for_each_object(visit));
    }
}
