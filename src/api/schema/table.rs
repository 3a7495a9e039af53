//! The table of built-in types: what Kubernetes' own tags and comments say of every field.
//!
//! The facts stand in `table.txt`, a line a type or field. The file is cut into types when the
//! first one is asked for, and a type's fields are read when somebody first needs them, so a
//! control plane that serves a dozen kinds never reads the other five hundred types.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

/// The facts of Kubernetes 1.36's stable types, and those of its alpha and beta ones.
const TEXTS: [&str; 2] = [include_str!("table.txt"), include_str!("table_unstable.txt")];

/// A type of the table, its fields not necessarily read yet.
#[derive(Debug)]
pub struct Entry {
    name: String,
    package: &'static str,
    /// The type's own line, and those of its fields.
    head: &'static str,
    body: &'static str,
    compiled: OnceLock<Type>,
    /// What [`zeros`](super::zeros) has found.
    pub(super) zeros: OnceLock<Vec<(&'static str, Value)>>,
}

/// A type: a struct with fields, or another name for something else.
#[derive(Debug)]
pub struct Type {
    /// What the name stands for.
    pub body: Body,
    /// Whether apply replaces a value of it as a whole.
    pub atomic: bool,
    /// Messages that protobuf nests where JSON does not: field name, number and type.
    pub inline: Vec<(&'static str, u32, &'static str)>,
}

/// What a type's name stands for.
#[derive(Debug)]
pub enum Body {
    /// A struct; its fields are sorted by name.
    Struct(Vec<Field>),
    /// Another shape.
    Alias(Shape),
}

/// The group, version and kind of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One.
    One(&'static str, &'static str, &'static str),
    /// This name in every group and version, such as `DeleteOptions`.
    Everywhere,
}

/// The shape of a JSON value.
#[derive(Clone, Debug)]
pub enum Shape {
    /// A scalar, or any JSON.
    Scalar(Scalar),
    /// A list.
    List(Box<Shape>),
    /// A map from strings.
    Map(Box<Shape>),
    /// A type of the table.
    Named(&'static Entry),
}

/// What holds no fields that the table knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Text.
    String,
    /// True or false.
    Bool,
    /// An integer of 32 bits.
    Int32,
    /// An integer of 64 bits.
    Int64,
    /// A floating point number.
    Double,
    /// Bytes, in base64.
    Bytes,
    /// A time in seconds, RFC 3339.
    Time,
    /// A time in microseconds, RFC 3339.
    MicroTime,
    /// A quantity, as text or as a number.
    Quantity,
    /// An integer of 32 bits, or text.
    IntOrString,
    /// Any JSON.
    Any,
    /// Any JSON object.
    Object,
}

/// A field of a struct.
#[derive(Debug)]
pub struct Field {
    /// JSON name.
    pub name: &'static str,
    /// Shape of its value.
    pub shape: Shape,
    /// Whether the field is always written.
    pub required: bool,
    /// How apply merges the list or map that it holds.
    pub topology: Topology,
    /// How strategic merge patch merges it.
    pub patch: Strategy,
    /// What an absent field becomes.
    pub default: Option<Value>,
    /// Protobuf number; none where the field is not sent, or stands in an inlined message.
    pub number: Option<u32>,
    /// Whether the field stands in the type's inlined message.
    pub inline: bool,
    /// Protobuf type, where it does not follow from the shape.
    pub message: Option<&'static str>,
}

/// How apply merges a list or a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Topology {
    /// As the shape says: lists as a whole, everything else by entry.
    #[default]
    Plain,
    /// As a whole.
    Atomic,
    /// A list without order or duplicates.
    Set,
    /// A list of objects with these keys.
    Map(Vec<&'static str>),
    /// By entry.
    Granular,
}

/// How strategic merge patch treats a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strategy {
    /// Lists are merged by `key`, or as sets, and not replaced.
    pub merge: bool,
    /// Objects are replaced and not merged.
    pub replace: bool,
    /// A patch may say which fields it retains.
    pub retain_keys: bool,
    /// The field by which items of a list are told apart; empty for a list of scalars.
    pub key: &'static str,
}

/// The type of this OpenAPI name, such as `io.k8s.api.core.v1.Pod`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Entry> {
    index().types.get(name)
}

/// All types, by OpenAPI name.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    index().types.values()
}

#[derive(Debug)]
struct Index {
    types: BTreeMap<String, Entry>,
    /// OpenAPI prefixes by short package name.
    packages: BTreeMap<&'static str, &'static str>,
}

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut index = Index { types: BTreeMap::new(), packages: BTreeMap::new() };
        TEXTS.into_iter().for_each(|text| cut(text, &mut index));
        index
    })
}

/// Cuts a text into types without reading their fields.
fn cut(text: &'static str, index: &mut Index) {
    let (mut package, mut rest) = ("", text);
    while !rest.is_empty() {
        let (head, after) = rest.split_once('\n').unwrap_or((rest, ""));
        if head.starts_with('#') {
            rest = after;
        } else if let Some(line) = head.strip_prefix("package ") {
            let (short, prefix) = line.split_once(' ').unwrap_or((line, line));
            index.packages.insert(short, prefix);
            (package, rest) = (prefix, after);
        } else {
            let end = fields_end(after);
            let short = head.split(' ').next().unwrap_or_default();
            let name = format!("{package}.{short}");
            let entry = Entry {
                name: name.clone(),
                package,
                head,
                body: &after[..end],
                compiled: OnceLock::new(),
                zeros: OnceLock::new(),
            };
            index.types.insert(name, entry);
            rest = &after[end..];
        }
    }
}

/// Where the indented lines at the start of the text end.
fn fields_end(text: &str) -> usize {
    let mut end = 0;
    while text[end..].starts_with(' ') {
        end = text[end..].find('\n').map_or(text.len(), |newline| end + newline + 1);
    }
    end
}

impl Entry {
    /// OpenAPI name, such as `io.k8s.api.core.v1.Pod`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name's last part, such as `Pod`.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.name[self.package.len() + 1..]
    }

    /// The name as errors of Kubernetes show it, such as `v1.Pod`.
    #[must_use]
    pub fn go_name(&self) -> String {
        let package = self.package.rsplit('.').next().unwrap_or_default();
        format!("{package}.{}", self.short())
    }

    /// Group, version and kind, for the type of a whole object; known without reading the fields.
    #[must_use]
    pub fn gvk(&self) -> Option<Kind> {
        let kind = self.head.split(' ').find_map(|word| word.strip_prefix("gvk="))?;
        let mut parts = kind.split('/');
        match (parts.next()?, parts.next(), parts.next()) {
            (group, Some(version), Some(kind)) => Some(Kind::One(group, version, kind)),
            _ => Some(Kind::Everywhere),
        }
    }

    /// The type itself, read on first use.
    pub fn get(&'static self) -> &'static Type {
        self.compiled.get_or_init(|| self.compile())
    }

    /// The fields of a struct, sorted by name; none for another name of something else.
    #[must_use]
    pub fn fields(&'static self) -> &'static [Field] {
        match &self.get().body {
            Body::Struct(fields) => fields,
            Body::Alias(_) => &[],
        }
    }

    /// The field of this JSON name.
    #[must_use]
    pub fn field(&'static self, name: &str) -> Option<&'static Field> {
        let fields = self.fields();
        fields.binary_search_by(|field| field.name.cmp(name)).ok().map(|at| &fields[at])
    }

    fn compile(&'static self) -> Type {
        let mut head = self.head.split(' ').skip(1).peekable();
        let mut result = Type { body: Body::Struct(Vec::new()), atomic: false, inline: Vec::new() };
        let mut alias = None;
        while let Some(word) = head.next() {
            if word == "=" {
                alias = head.next().map(|text| self.shape(text));
            } else if word == "atomic" {
                result.atomic = true;
            } else if let Some(inline) = word.strip_prefix("inline=") {
                let mut parts = inline.split(':');
                let mut part = || parts.next().unwrap_or_default();
                result.inline.push((part(), part().parse().unwrap_or_default(), part()));
            }
        }
        result.body = match alias {
            Some(shape) => Body::Alias(shape),
            None => Body::Struct(self.body.lines().map(|line| self.compile_field(line)).collect()),
        };
        result
    }

    fn compile_field(&self, line: &'static str) -> Field {
        let mut words = line.trim_start().split(' ');
        let name = words.next().unwrap_or_default();
        let shape = self.shape(words.next().unwrap_or_default());
        let mut field = Field {
            name,
            shape,
            required: false,
            topology: Topology::Plain,
            patch: Strategy::default(),
            default: None,
            number: None,
            inline: false,
            message: None,
        };
        for word in words {
            if word == "!" {
                field.required = true;
            } else if word == "#~" {
                field.inline = true;
            } else if let Some(number) = word.strip_prefix('#') {
                let (number, message) = number
                    .split_once(':')
                    .map_or((number, None), |(number, message)| (number, Some(message)));
                field.number = number.parse().ok();
                field.message = message;
            } else if let Some(default) = word.strip_prefix('=') {
                field.default = serde_json::from_str(default).ok();
            } else if let Some(patch) = word.strip_prefix("patch=") {
                let (strategies, key) = patch.split_once(':').unwrap_or((patch, ""));
                let has = |name| strategies.split(',').any(|strategy| strategy == name);
                field.patch = Strategy {
                    merge: has("merge"),
                    replace: has("replace"),
                    retain_keys: has("retainKeys"),
                    key,
                };
            } else {
                field.topology = match word {
                    "atomic" => Topology::Atomic,
                    "granular" => Topology::Granular,
                    "set" => Topology::Set,
                    keys => Topology::Map(keys.trim_start_matches("map:").split(',').collect()),
                };
            }
        }
        field
    }

    fn shape(&self, text: &'static str) -> Shape {
        let scalar = match text {
            "string" => Scalar::String,
            "bool" => Scalar::Bool,
            "int32" => Scalar::Int32,
            "int64" => Scalar::Int64,
            "double" => Scalar::Double,
            "bytes" => Scalar::Bytes,
            "time" => Scalar::Time,
            "microtime" => Scalar::MicroTime,
            "quantity" => Scalar::Quantity,
            "intorstring" => Scalar::IntOrString,
            "any" => Scalar::Any,
            "object" => Scalar::Object,
            _ => return self.composite(text),
        };
        Shape::Scalar(scalar)
    }

    fn composite(&self, text: &'static str) -> Shape {
        if let Some(item) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            return Shape::List(Box::new(self.shape(item)));
        }
        if let Some(value) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            return Shape::Map(Box::new(self.shape(value)));
        }
        let (package, short) = text.rsplit_once('.').unwrap_or_default();
        let prefix = if package.is_empty() { self.package } else { index().packages[package] };
        match find(&format!("{prefix}.{short}")) {
            Some(entry) => Shape::Named(entry),
            // No input reaches this: a test reads the whole table.
            None => unreachable!("{text}, a type that {} names, is missing from the table", self.name),
        }
    }
}

impl Shape {
    /// The shape behind names that stand for something else.
    #[must_use]
    pub fn resolved(&self) -> &Shape {
        match self {
            Self::Named(entry) => match &entry.get().body {
                Body::Alias(shape) => shape.resolved(),
                Body::Struct(_) => self,
            },
            _ => self,
        }
    }

    /// The struct that this is.
    #[must_use]
    pub fn record(&self) -> Option<&'static Entry> {
        match self.resolved() {
            Self::Named(entry) => Some(entry),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_can_be_read_and_every_field_be_found() {
        for entry in all() {
            let names: Vec<_> = entry.fields().iter().map(|field| field.name).collect();
            assert!(names.is_sorted(), "{}: {names:?}", entry.name());
            assert!(names.iter().all(|name| entry.field(name).is_some()));
            for field in entry.fields() {
                assert!(matches!(field.shape.resolved(), Shape::Named(_)) == field.shape.record().is_some());
                if let Topology::Map(keys) = &field.topology {
                    let Shape::List(item) = field.shape.resolved() else { panic!("{}", field.name) };
                    let item = item.record().unwrap();
                    assert!(keys.iter().all(|key| item.field(key).is_some()), "{keys:?} of {}", field.name);
                }
            }
        }
        assert!(all().count() > 500);
    }

    #[test]
    fn a_field_knows_its_facts() {
        let port = find("io.k8s.api.core.v1.ContainerPort").unwrap();
        let protocol = port.field("protocol").unwrap();
        assert_eq!(protocol.default, Some(Value::from("TCP")));
        let container_port = port.field("containerPort").unwrap();
        assert!(container_port.required);
        assert!(matches!(container_port.shape, Shape::Scalar(Scalar::Int32)));
        assert_eq!(container_port.number, Some(3));

        let ports = find("io.k8s.api.core.v1.Container").unwrap().field("ports").unwrap();
        assert_eq!(ports.topology, Topology::Map(vec!["containerPort", "protocol"]));
        assert_eq!((ports.patch.merge, ports.patch.key), (true, "containerPort"));
        let volumes = find("io.k8s.api.core.v1.PodSpec").unwrap().field("volumes").unwrap();
        assert!(volumes.patch.merge && volumes.patch.retain_keys);

        let pod = find("io.k8s.api.core.v1.Pod").unwrap();
        assert_eq!(pod.gvk(), Some(Kind::One("", "v1", "Pod")));
        assert_eq!(pod.go_name(), "v1.Pod");
        let time = find("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta").unwrap();
        let time = &time.field("creationTimestamp").unwrap().shape;
        assert!(matches!(time.resolved(), Shape::Scalar(Scalar::Time)));
    }
}
