//! Types as apply sees them: what is merged by entry, what as a whole.
//!
//! How a schema becomes a type follows kube-openapi 1.36 (`pkg/schemaconv`).

use serde_json::Value;

use super::open_api::Open;
use crate::api::schema::{
    self,
    table::{self, Body, Entry, Shape, Topology},
};

pub(super) static PLAIN: Topology = Topology::Plain;

/// The type of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Type<'a> {
    /// A shape of the table, with what the field says of its merging.
    Table(&'static Shape, &'static Topology),
    /// A struct of the table, with what the field says of its merging.
    Record(&'static Entry, &'static Topology),
    /// An OpenAPI schema.
    Open(Open<'a>),
    /// A scalar.
    Scalar(Scalar),
    /// Whatever the value is: maps by entry, lists as a whole.
    Deduced,
    /// Whatever the value is, as a whole.
    Whole,
    /// No value fits: the field is not declared.
    Nothing,
}

/// What scalars fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Numeric,
    String,
    Boolean,
    Untyped,
}

/// A list's type.
#[derive(Clone, Debug)]
pub(super) struct List<'a> {
    pub(super) item: Type<'a>,
    pub(super) merge: Merge<'a>,
}

/// How a list is merged.
#[derive(Clone, Debug)]
pub(super) enum Merge<'a> {
    Atomic,
    Set,
    Keys(Vec<&'a str>),
}

impl List<'_> {
    pub(super) fn is_atomic(&self) -> bool {
        matches!(self.merge, Merge::Atomic)
    }
}

/// The type of a map or a struct.
#[derive(Clone, Copy, Debug)]
pub(super) struct Map<'a> {
    pub(super) atomic: bool,
    pub(super) of: Fields<'a>,
}

/// Where the types of a map's values are from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fields<'a> {
    Record(&'static Entry),
    Open(Open<'a>),
    /// No field has a name; all have this type.
    Each(Type<'a>),
}

/// A field that the type names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) ty: Type<'a>,
    pub(super) default: Option<&'a Value>,
}

/// What a type is for one value.
#[derive(Clone, Debug)]
pub(super) enum Form<'a> {
    Map(Map<'a>),
    Scalar(Scalar),
    List(List<'a>),
    Nothing,
}

/// All that a type can be.
#[derive(Debug, Default)]
pub(super) struct Atom<'a> {
    pub(super) map: Option<Map<'a>>,
    pub(super) scalar: Option<Scalar>,
    pub(super) list: Option<List<'a>>,
}

impl<'a> Type<'a> {
    /// What the type is for this value. Where the value decides nothing, because it is absent or null or
    /// does not fit, maps come before scalars and these before lists.
    pub(super) fn form(self, value: Option<&Value>) -> Form<'a> {
        let Atom { map, scalar, list } = self.atom();
        match (value, map, scalar, list) {
            (Some(Value::Array(_)), _, _, Some(list)) => Form::List(list),
            (Some(Value::String(_) | Value::Number(_) | Value::Bool(_)), _, Some(scalar), _) => {
                Form::Scalar(scalar)
            }
            (_, Some(map), _, _) => Form::Map(map),
            (_, None, Some(scalar), _) => Form::Scalar(scalar),
            (_, None, None, Some(list)) => Form::List(list),
            (_, None, None, None) => Form::Nothing,
        }
    }

    /// The forms in which two values are to be walked: one, unless the values are of different forms.
    pub(super) fn forms(self, old: Option<&Value>, new: Option<&Value>) -> Vec<Form<'a>> {
        match (old, new) {
            (_, None) => vec![self.form(old)],
            (None, _) => vec![self.form(new)],
            _ => {
                let (before, after) = (self.form(old), self.form(new));
                if std::mem::discriminant(&before) == std::mem::discriminant(&after) {
                    vec![after]
                } else {
                    vec![before, after]
                }
            }
        }
    }

    fn atom(self) -> Atom<'a> {
        let each = |ty| Some(Map { atomic: matches!(ty, Type::Whole), of: Fields::Each(ty) });
        match self {
            Type::Nothing => Atom::default(),
            Type::Scalar(scalar) => Atom { scalar: Some(scalar), ..Atom::default() },
            Type::Deduced | Type::Whole => Atom {
                map: each(self),
                scalar: Some(Scalar::Untyped),
                list: Some(List { item: Type::Whole, merge: Merge::Atomic }),
            },
            Type::Record(entry, topology) => {
                let atomic = match topology {
                    Topology::Atomic => true,
                    Topology::Granular => false,
                    _ => entry.get().atomic,
                };
                Atom { map: Some(Map { atomic, of: Fields::Record(entry) }), ..Atom::default() }
            }
            Type::Table(shape, topology) => table_atom(shape, topology),
            Type::Open(open) => open.atom(),
        }
    }
}

fn table_atom(shape: &'static Shape, topology: &'static Topology) -> Atom<'static> {
    match shape {
        Shape::Named(entry) => match &entry.get().body {
            Body::Struct(_) => Type::Record(entry, topology).atom(),
            Body::Alias(shape) => table_atom(shape, topology),
        },
        Shape::List(item) => {
            let merge = match topology {
                Topology::Set => Merge::Set,
                Topology::Map(keys) => Merge::Keys(keys.clone()),
                _ => Merge::Atomic,
            };
            Atom { list: Some(List { item: Type::Table(item, &PLAIN), merge }), ..Atom::default() }
        }
        Shape::Map(value) => {
            let of = Fields::Each(Type::Table(value, &PLAIN));
            Atom { map: Some(Map { atomic: *topology == Topology::Atomic, of }), ..Atom::default() }
        }
        Shape::Scalar(scalar) => {
            let scalar = match scalar {
                table::Scalar::Any => return Type::Deduced.atom(),
                table::Scalar::Object => {
                    let of = Fields::Each(Type::Deduced);
                    let map = Map { atomic: *topology == Topology::Atomic, of };
                    return Atom { map: Some(map), ..Atom::default() };
                }
                table::Scalar::String | table::Scalar::Bytes => Scalar::String,
                table::Scalar::Bool => Scalar::Boolean,
                table::Scalar::Int32 | table::Scalar::Int64 | table::Scalar::Double => Scalar::Numeric,
                table::Scalar::Time
                | table::Scalar::MicroTime
                | table::Scalar::Quantity
                | table::Scalar::IntOrString => Scalar::Untyped,
            };
            Atom { scalar: Some(scalar), ..Atom::default() }
        }
    }
}

impl<'a> Map<'a> {
    /// The field of this name, where the type names it.
    pub(super) fn field(self, name: &str) -> Option<Field<'a>> {
        match self.of {
            Fields::Record(entry) => entry
                .field(name)
                .map(|field| Field { ty: field_type(field), default: field.default.as_ref() }),
            Fields::Open(open) => open.field(name),
            Fields::Each(_) => None,
        }
    }

    /// The type of the value under this name.
    pub(super) fn child(self, name: &str) -> Type<'a> {
        self.field(name).map_or_else(
            || match self.of {
                Fields::Record(_) => Type::Nothing,
                Fields::Open(open) => open.element(),
                Fields::Each(ty) => ty,
            },
            |field| field.ty,
        )
    }

    /// The fields that are written though they say nothing, with what they are then.
    pub(super) fn zeros(self) -> &'static [(&'static str, Value)] {
        match self.of {
            Fields::Record(entry) => schema::zeros(entry),
            Fields::Open(_) | Fields::Each(_) => &[],
        }
    }

    /// Whether the field of this name tells owners, which nobody owns.
    pub(super) fn is_managed_fields(self, name: &str) -> bool {
        name == "managedFields" && matches!(self.of, Fields::Record(entry) if entry.short() == "ObjectMeta")
    }

    /// Whether the type names no fields and says nothing of any.
    pub(super) fn is_deduced(self) -> bool {
        match self.of {
            Fields::Each(ty) => matches!(ty, Type::Deduced),
            Fields::Open(open) => !open.names_fields() && matches!(open.element(), Type::Deduced),
            Fields::Record(_) => false,
        }
    }
}

fn field_type(field: &'static table::Field) -> Type<'static> {
    Type::Table(&field.shape, &field.topology)
}
