//! A path element: one step from a value into it.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

use super::value;

/// One step of a path.
///
/// Elements are ordered as Kubernetes writes them: fields, keys, values, indexes.
#[derive(Clone, Debug)]
pub enum PathElement {
    /// A field of a map or a struct.
    Field(String),
    /// The items of a list whose fields have these values, sorted by name.
    Key(Vec<(String, Value)>),
    /// The items of a set that are this scalar.
    Value(Value),
    /// An item of a list by its position.
    Index(i64),
}

/// The steps from a whole object to a part of it.
pub type Path = Vec<PathElement>;

impl PathElement {
    /// A field.
    pub fn field(name: impl Into<String>) -> Self {
        Self::Field(name.into())
    }

    /// Items by the values of their keys.
    pub fn key<N: Into<String>, V: Into<Value>>(fields: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut fields: Vec<_> =
            fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        Self::Key(fields)
    }

    /// Items of a set.
    pub fn value(value: impl Into<Value>) -> Self {
        Self::Value(value.into())
    }

    /// Reads an element as FieldsV1 writes it, such as `f:spec`; none for a kind of element that nobody
    /// knows yet, which is to be passed over.
    ///
    /// # Errors
    ///
    /// When the text is no element, in Kubernetes' words.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if text.len() < 2 {
            return Err("key must be 2 characters long:".to_owned());
        }
        if text.as_bytes()[1] != b':' {
            return Err(format!("missing colon: {text}"));
        }
        let content = &text[2..];
        Ok(Some(match text.as_bytes()[0] {
            b'f' => Self::Field(content.to_owned()),
            b'v' => Self::Value(serde_json::from_str(content).map_err(|error| error.to_string())?),
            b'k' => match serde_json::from_str(content).map_err(|error| error.to_string())? {
                Value::Object(fields) => Self::key(fields),
                Value::Null => Self::Key(Vec::new()),
                _ => {
                    let first = content.trim_start().chars().next().unwrap_or_default();
                    return Err(format!("ReadObjectCB: expect {{ or n, but found {first}"));
                }
            },
            b'i' => Self::Index(content.parse().map_err(|error: std::num::ParseIntError| {
                let why = match error.kind() {
                    std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                        "value out of range"
                    }
                    _ => "invalid syntax",
                };
                format!("strconv.Atoi: parsing {content:?}: {why}")
            })?),
            _ => return Ok(None),
        }))
    }

    /// The element as FieldsV1 writes it, byte for byte.
    #[must_use]
    pub fn to_fields_v1(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(fields) => {
                let mut out = "k:{".to_owned();
                for (at, (name, field)) in fields.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    value::quote(name, false, &mut out);
                    out.push(':');
                    value::write_json(field, &mut out);
                }
                out.push('}');
                out
            }
            Self::Value(scalar) => {
                let mut out = "v:".to_owned();
                value::write_json(scalar, &mut out);
                out
            }
            Self::Index(at) => format!("i:{at}"),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl Ord for PathElement {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Key(a), Self::Key(b)) => {
                let mut pairs =
                    a.iter().zip(b).map(|(a, b)| a.0.cmp(&b.0).then_with(|| value::order(&a.1, &b.1)));
                pairs.find(|order| order.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Self::Value(a), Self::Value(b)) => value::order(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for PathElement {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

// By the order, in which `1` and `1.0` are one key.
impl PartialEq for PathElement {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for PathElement {}

impl fmt::Display for PathElement {
    /// As errors show it: `.field`, `[name="a"]`, `[="a"]` or `[0]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                let fields = fields.iter().map(|(name, field)| format!("{name}={}", value::path_text(field)));
                write!(f, "[{}]", fields.collect::<Vec<_>>().join(","))
            }
            Self::Value(scalar) => write!(f, "[={}]", value::path_text(scalar)),
            Self::Index(at) => write!(f, "[{at}]"),
        }
    }
}

/// A path as errors show it, such as `.spec.containers[name="a"].image`.
#[must_use]
pub fn path_text(path: &[PathElement]) -> String {
    path.iter().map(ToString::to_string).collect()
}
