//! Messages: the fields of a type by protobuf number, as the table and `facts.txt` tell them.
//!
//! gogo's encoders write every field that is no pointer, set or not, and pointers where they point
//! at something; `facts.txt` says which is which, and holds the messages that JSON inlines.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::api::schema::table::{self, Body, Entry, Field, Scalar, Shape};

/// A type's fields.
#[derive(Debug)]
pub(super) struct Message {
    /// By number, which is the order in which they are written.
    pub(super) parts: Vec<(u32, Part)>,
}

#[derive(Debug)]
pub(super) enum Part {
    Field(Slot),
    /// A message whose fields are the outer object's in JSON.
    Inline(&'static str, Message),
}

/// A field.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) field: &'static Field,
    pub(super) kind: Kind,
    /// Whether the field is no pointer, and so written whatever it holds.
    pub(super) always: bool,
    /// Whether JSON holds the field whatever it says.
    written: bool,
}

/// What a value is to protobuf.
#[derive(Debug)]
pub(super) enum Kind {
    Scalar(Scalar),
    /// A message around the bytes of any JSON: RawExtension, FieldsV1, a schema's default.
    Json,
    Record(&'static Known),
    List(Box<Kind>),
    Map(Box<Kind>),
    /// A list with a message around it, which Go's named slices are.
    Wrapped(Box<Kind>),
    /// A JSON schema, or something else in its place.
    Schema(&'static Known, Instead),
}

/// What may stand in the place of a JSON schema.
#[derive(Clone, Copy, Debug)]
pub(super) enum Instead {
    Schemas,
    Bool,
    Strings,
}

/// A type of the table with its message, which is made when it is first needed.
pub(super) struct Known {
    entry: &'static Entry,
    message: OnceLock<Message>,
}

impl Known {
    pub(super) fn message(&self) -> &Message {
        self.message.get_or_init(|| Message::of(self.entry))
    }
}

/// Its name alone, since types hold each other and themselves.
impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry.name())
    }
}

/// The type that an object of this version and kind is of. Options have theirs in every group, and
/// what says no version (`APIVersions`) is of `v1`.
pub(super) fn root(api_version: &str, kind: &str) -> Option<&'static Known> {
    let api_version = if api_version.is_empty() { "v1" } else { api_version };
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if let Some(name) = crate::api::schema::name_of(group, version, kind) {
        return types().get(name);
    }
    let shared = meta(kind)?;
    let partial = group == "meta.k8s.io" && kind == "PartialObjectMetadata";
    let everywhere = matches!(shared.entry.gvk(), Some(table::Kind::Everywhere));
    (partial || everywhere).then_some(shared)
}

/// A type of `meta.v1`.
pub(super) fn meta(name: &str) -> Option<&'static Known> {
    types().get(format!("io.k8s.apimachinery.pkg.apis.meta.v1.{name}").as_str())
}

fn types() -> &'static BTreeMap<&'static str, Known> {
    static TYPES: OnceLock<BTreeMap<&str, Known>> = OnceLock::new();
    TYPES.get_or_init(|| {
        table::all().map(|entry| (entry.name(), Known { entry, message: OnceLock::new() })).collect()
    })
}

fn known(entry: &'static Entry) -> &'static Known {
    // Every type is there: both come from the same table.
    &types()[entry.name()]
}

impl Message {
    pub(super) fn part(&self, number: u32) -> Option<&Part> {
        let at = self.parts.binary_search_by_key(&number, |(own, _)| *own).ok()?;
        Some(&self.parts[at].1)
    }

    fn of(entry: &'static Entry) -> Self {
        let package = entry.name().strip_suffix(entry.short()).unwrap_or_default();
        Self::within(entry, package, entry)
    }

    /// The message of `own`, a type of this package, whose fields are `outer`'s in JSON.
    fn within(outer: &'static Entry, package: &str, own: &'static Entry) -> Self {
        let short = short_of(package, own.short());
        let fields = own
            .fields()
            .iter()
            .filter_map(|field| field.number.map(|number| (number, Part::Field(Slot::of(&short, field)))));
        let inlined = own.get().inline.iter().map(|(name, number, message)| {
            (*number, Part::Inline(name, Self::inlined(outer, package, message)))
        });
        let mut parts: Vec<_> = fields.chain(inlined).collect();
        parts.sort_by_key(|(number, _)| *number);
        Self { parts }
    }

    fn inlined(outer: &'static Entry, package: &str, name: &str) -> Self {
        // Beta types borrow messages of the stable package, and name it.
        if let Some((package, name)) = name.rsplit_once('.') {
            return Self::inlined(outer, &format!("io.k8s.api.{package}."), name);
        }
        if let Some(own) = table::find(&format!("{package}{name}")) {
            return Self::within(outer, package, own);
        }
        let short = short_of(package, name);
        let listed = facts().messages.get(short.as_str()).into_iter().flatten();
        let fields = listed
            .filter_map(|(number, name)| Some((*number, Part::Field(Slot::of(&short, outer.field(name)?)))));
        Self { parts: fields.collect() }
    }
}

impl Slot {
    fn of(message: &str, field: &'static Field) -> Self {
        let kind = match Kind::of(&field.shape) {
            // The message is told where it does not follow from the shape.
            Kind::List(item) if field.message.is_some() => Kind::Wrapped(item),
            kind => kind,
        };
        let listed = |facts: &BTreeMap<&str, Vec<&str>>| {
            facts.get(message).is_some_and(|fields| fields.contains(&field.name))
        };
        let always = match &kind {
            Kind::List(_) | Kind::Map(_) | Kind::Scalar(Scalar::Bytes) => false,
            Kind::Scalar(Scalar::String | Scalar::Bool | Scalar::Int32 | Scalar::Int64 | Scalar::Double) => {
                !listed(&facts().optional)
            }
            _ => field.name == "metadata" || listed(&facts().always),
        };
        let written = (field.required && !listed(&facts().omitted)) || listed(&facts().written);
        Self { field, kind, always, written }
    }
}

/// What [`zeros`](crate::api::schema::zeros) holds of a type.
pub(in crate::api::schema) fn zeros(entry: &'static Entry) -> Vec<(&'static str, Value)> {
    let mut out = Vec::new();
    known(entry).message().zeros(&mut out);
    // The one field that Go leaves out for its own sake (`omitzero`).
    out.retain(|(name, _)| *name != "creationTimestamp");
    out
}

/// Whether Go leaves out a field that holds this value: it says nothing, and is no pointer. An empty list of
/// owners says that there are to be none.
pub(in crate::api::schema) fn is_omitted(entry: &'static Entry, name: &str, value: &Value) -> bool {
    let says_nothing = match value {
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(value) => value.is_empty(),
        Value::Object(value) => value.is_empty(),
        Value::Null => false,
    };
    says_nothing && name != "managedFields" && known(entry).message().slot(name).is_some_and(Slot::is_omitted)
}

impl Message {
    fn slot(&self, name: &str) -> Option<&Slot> {
        self.parts.iter().find_map(|(_, part)| match part {
            Part::Field(slot) => (slot.field.name == name).then_some(slot),
            Part::Inline(_, inner) => inner.slot(name),
        })
    }

    fn zeros(&self, out: &mut Vec<(&'static str, Value)>) {
        for (_, part) in &self.parts {
            match part {
                Part::Field(slot) => out.extend(slot.zero().map(|zero| (slot.field.name, zero))),
                Part::Inline(_, inner) => inner.zeros(out),
            }
        }
    }
}

impl Slot {
    /// Whether the field is left out where it says nothing.
    fn is_omitted(&self) -> bool {
        !self.written
            && match &self.kind {
                Kind::List(_) | Kind::Map(_) | Kind::Wrapped(_) | Kind::Scalar(Scalar::Bytes) => true,
                Kind::Scalar(
                    Scalar::String | Scalar::Bool | Scalar::Int32 | Scalar::Int64 | Scalar::Double,
                ) => self.always,
                _ => false,
            }
    }

    /// What is written where the field says nothing, if anything is.
    fn zero(&self) -> Option<Value> {
        let Self { kind, always, written, .. } = self;
        match kind {
            Kind::Record(_) if *always => Some(Value::Object(Map::new())),
            Kind::Scalar(Scalar::Quantity) if *always => Some("0".into()),
            Kind::Scalar(Scalar::IntOrString) if *always => Some(0.into()),
            Kind::Scalar(Scalar::Time | Scalar::MicroTime) | Kind::Json if *always => Some(Value::Null),
            _ if !written => None,
            Kind::Scalar(Scalar::String) if *always => Some("".into()),
            Kind::Scalar(Scalar::Bool) if *always => Some(false.into()),
            Kind::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Double) if *always => Some(0.into()),
            _ => Some(Value::Null),
        }
    }
}

impl Kind {
    fn of(shape: &'static Shape) -> Self {
        match shape {
            Shape::Named(entry) => Self::named(entry),
            Shape::List(item) => Self::List(Box::new(Self::of(item))),
            Shape::Map(item) => Self::Map(Box::new(match Self::of(item) {
                Self::List(item) => Self::Wrapped(item),
                item => item,
            })),
            Shape::Scalar(Scalar::Any | Scalar::Object) => Self::Json,
            Shape::Scalar(scalar) => Self::Scalar(*scalar),
        }
    }

    fn named(entry: &'static Entry) -> Self {
        let instead = match entry.short() {
            "JSON" | "FieldsV1" | "RawExtension" => return Self::Json,
            "JSONSchemaPropsOrArray" => Some(Instead::Schemas),
            "JSONSchemaPropsOrBool" => Some(Instead::Bool),
            "JSONSchemaPropsOrStringArray" => Some(Instead::Strings),
            _ => None,
        };
        let schema = entry.name().rfind("Or").and_then(|or| table::find(&entry.name()[..or]));
        if let (Some(instead), Some(schema)) = (instead, schema) {
            return Self::Schema(known(schema), instead);
        }
        match &entry.get().body {
            // An object without fields is a message without them.
            Body::Struct(_) | Body::Alias(Shape::Scalar(Scalar::Object)) => Self::Record(known(entry)),
            Body::Alias(shape) => Self::of(shape),
        }
    }
}

/// What `facts.txt` holds.
#[derive(Debug, Default)]
struct Facts {
    optional: BTreeMap<&'static str, Vec<&'static str>>,
    always: BTreeMap<&'static str, Vec<&'static str>>,
    written: BTreeMap<&'static str, Vec<&'static str>>,
    omitted: BTreeMap<&'static str, Vec<&'static str>>,
    messages: BTreeMap<&'static str, BTreeMap<u32, &'static str>>,
}

fn facts() -> &'static Facts {
    static FACTS: OnceLock<Facts> = OnceLock::new();
    FACTS.get_or_init(|| {
        let mut facts = Facts::default();
        for line in include_str!("facts.txt").lines() {
            let mut words = line.split(' ');
            match (words.next(), words.next()) {
                (Some("optional"), Some(name)) => {
                    facts.optional.insert(name, words.collect());
                }
                (Some("always"), Some(name)) => {
                    facts.always.insert(name, words.collect());
                }
                (Some("written"), Some(name)) => {
                    facts.written.insert(name, words.collect());
                }
                (Some("omitted"), Some(name)) => {
                    facts.omitted.insert(name, words.collect());
                }
                (Some("message"), Some(name)) => {
                    let fields = words.filter_map(|word| word.split_once('='));
                    let fields =
                        fields.filter_map(|(field, number)| Some((number.parse().ok()?, field))).collect();
                    facts.messages.insert(name, fields);
                }
                _ => {}
            }
        }
        facts
    })
}

/// `core.v1.Pod`, for `Pod` of `io.k8s.api.core.v1.`.
fn short_of(package: &str, name: &str) -> String {
    let mut parts = package.trim_end_matches('.').rsplit('.');
    let (version, group) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("{group}.{version}.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(short: &str) -> Option<&'static Entry> {
        table::all().find(|entry| {
            let package = entry.name().strip_suffix(entry.short()).unwrap_or_default();
            short_of(package, entry.short()) == short
        })
    }

    #[test]
    fn the_facts_name_types_and_fields_of_the_table() {
        let facts = facts();
        let Facts { optional, always, written, omitted, .. } = facts;
        for (name, fields) in optional.iter().chain(always).chain(written).chain(omitted) {
            let listed: Vec<&str> = match (named(name), facts.messages.get(name)) {
                (Some(entry), _) => entry.fields().iter().map(|field| field.name).collect(),
                (None, Some(message)) => message.values().copied().collect(),
                (None, None) => panic!("no type {name}"),
            };
            for field in fields {
                assert!(listed.contains(field), "{name}.{field}");
            }
        }
    }

    #[test]
    fn every_field_has_its_number() {
        // `version.Info` alone has no protobuf.
        for entry in table::all().filter(|entry| !entry.name().contains(".version.")) {
            let mut found = Vec::new();
            names(known(entry).message(), &mut found);
            let fields = entry.fields().iter().filter(|field| !matches!(field.name, "apiVersion" | "kind"));
            for field in fields {
                assert!(found.contains(&field.name), "{}.{}", entry.name(), field.name);
            }
        }
    }

    #[test]
    fn what_is_no_pointer_is_written_though_it_says_nothing() {
        let zeros = |name| {
            let fields: Map<String, Value> = table::find(name)
                .map(zeros)
                .unwrap_or_default()
                .into_iter()
                .map(|(name, zero)| (name.to_owned(), zero))
                .collect();
            Value::Object(fields).to_string()
        };
        let spec = r#"{"selector":null,"strategy":{},"template":{}}"#;
        assert_eq!(zeros("io.k8s.api.apps.v1.DeploymentSpec"), spec);
        assert_eq!(zeros("io.k8s.api.core.v1.Pod"), r#"{"metadata":{},"spec":{},"status":{}}"#);
        assert_eq!(zeros("io.k8s.api.core.v1.PodSpec"), r#"{"containers":null}"#);
        assert_eq!(zeros("io.k8s.api.core.v1.Container"), r#"{"name":"","resources":{}}"#);
        let condition = r#"{"lastProbeTime":null,"lastTransitionTime":null,"status":"","type":""}"#;
        assert_eq!(zeros("io.k8s.api.core.v1.PodCondition"), condition);
        assert_eq!(zeros("io.k8s.api.core.v1.ContainerPort"), r#"{"containerPort":0}"#);
        let budget = r#"{"currentHealthy":0,"desiredHealthy":0,"disruptionsAllowed":0,"expectedPods":0}"#;
        assert_eq!(zeros("io.k8s.api.policy.v1.PodDisruptionBudgetStatus"), budget);
        assert_eq!(
            zeros("io.k8s.api.core.v1.TypedLocalObjectReference"),
            r#"{"apiGroup":null,"kind":"","name":""}"#
        );
        assert_eq!(zeros("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"), "{}");
    }

    fn names(message: &Message, found: &mut Vec<&'static str>) {
        for (_, part) in &message.parts {
            match part {
                Part::Field(slot) => found.push(slot.field.name),
                Part::Inline(_, inner) => names(inner, found),
            }
        }
        assert!(message.parts.is_sorted_by(|(one, _), (other, _)| one < other), "{message:?}");
    }
}
