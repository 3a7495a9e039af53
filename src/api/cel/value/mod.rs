//! Values: what expressions are about. Data is looked at where it stands, through its schema, and not copied.

mod compare;
mod convert;
mod data;
mod list;
mod map;
mod object;
mod show;
mod timestamp;

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

pub(super) use compare::{compare, equal};
pub(super) use convert::{
    checked_int, checked_uint, double_text, duration_text, parse_bool, parse_double, parse_duration,
};
pub(super) use data::{from_data, scalar};
pub(super) use list::index;
pub use list::{Joining, List};
pub(super) use map::{Builder, insert};
pub use map::{Key, Map};
pub use object::Object;
use serde_json::Value as Json;
pub(super) use show::{escape, quoted, show};
pub use timestamp::Timestamp;
pub(super) use timestamp::{parse_date, parse_timestamp};

use super::library::{NamedFormat, Semver, Url};
use super::types::Type;
use crate::api::quantity::Quantity;

/// A value of CEL. What it holds of data or of a program's constants it borrows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// A floating-point number.
    Double(f64),
    /// Text.
    String(Text<'a>),
    /// Octets.
    Bytes(Octets<'a>),
    /// A span of time, in nanoseconds.
    Duration(i64),
    /// A point in time.
    Timestamp(Timestamp),
    /// A list.
    List(List<'a>),
    /// A map, or an object with fields.
    Map(Map<'a>),
    /// An object that an expression made.
    Object(Object<'a>),
    /// A value or none.
    Optional(Option<Arc<Value<'a>>>),
    /// A type.
    Type(Type),
    /// A URL.
    Url(Arc<Url>),
    /// An address.
    Ip(IpAddr),
    /// An address with the length of a prefix, whose other bits need not be zero.
    Cidr(IpAddr, u8),
    /// An amount.
    Quantity(Quantity),
    /// A semantic version.
    Semver(Arc<Semver>),
    /// A named format of strings.
    Format(&'static NamedFormat),
    /// Data without a schema, kept by `x-kubernetes-preserve-unknown-fields`: it can only be compared.
    Preserved(&'a Json),
}

/// Text that is borrowed or shared.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// From data or from the program.
    Borrowed(&'a str),
    /// Made by an evaluation.
    Shared(Arc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl Text<'_> {
    /// A part of it. The range must lie between characters.
    pub(super) fn part(&self, range: std::ops::Range<usize>) -> Self {
        match self {
            Self::Borrowed(text) => Self::Borrowed(&text[range]),
            Self::Shared(text) => Self::Shared(text[range].into()),
        }
    }
}

/// Octets that are borrowed or shared.
#[derive(Clone, Debug)]
pub enum Octets<'a> {
    /// From the program.
    Borrowed(&'a [u8]),
    /// Made by an evaluation.
    Shared(Arc<[u8]>),
}

impl Deref for Octets<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(octets) => octets,
            Self::Shared(octets) => octets,
        }
    }
}

impl<'a> Value<'a> {
    pub(super) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::String(Text::Shared(text.into()))
    }

    pub(super) fn octets(octets: impl Into<Arc<[u8]>>) -> Self {
        Self::Bytes(Octets::Shared(octets.into()))
    }

    pub(super) fn some(value: Self) -> Self {
        Self::Optional(Some(Arc::new(value)))
    }

    /// The type of the value, without parameters.
    pub(super) fn kind(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Uint(_) => Type::Uint,
            Self::Double(_) => Type::Double,
            Self::String(_) => Type::String,
            Self::Bytes(_) => Type::Bytes,
            Self::Duration(_) => Type::Duration,
            Self::Timestamp(_) => Type::Timestamp,
            Self::List(_) => Type::list(Type::Dyn),
            Self::Map(_) => Type::map(Type::Dyn, Type::Dyn),
            Self::Object(object) => Type::Object(object.name().into()),
            Self::Optional(_) => Type::opaque(super::types::OPTIONAL),
            Self::Type(_) => Type::some_type(),
            Self::Url(_) => Type::Object("kubernetes.URL".into()),
            Self::Ip(_) => Type::opaque("net.IP"),
            Self::Cidr(..) => Type::opaque("net.CIDR"),
            Self::Quantity(_) => Type::Object("kubernetes.Quantity".into()),
            Self::Semver(_) => Type::Object("kubernetes.Semver".into()),
            Self::Format(_) => Type::Object("kubernetes.NamedFormat".into()),
            Self::Preserved(_) => Type::opaque("unknown"),
        }
    }

    /// What `size()` says and costs go by; nothing for what has none.
    pub(super) fn size(&self) -> Option<usize> {
        Some(match self {
            Self::String(text) => text.chars().count(),
            Self::Bytes(octets) => octets.len(),
            Self::List(list) => list.len(),
            Self::Map(map) => map.len(),
            Self::Ip(IpAddr::V4(_)) => 4,
            Self::Ip(IpAddr::V6(_)) => 16,
            Self::Cidr(_, prefix) => usize::from(prefix.div_ceil(8)),
            _ => return None,
        })
    }

    /// Octets that are looked at to find the size.
    pub(super) fn bulk(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            _ => 1,
        }
    }

    /// Whether it is the zero or the empty one of its type.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) | Self::Int(0) | Self::Uint(0) | Self::Duration(0) => true,
            Self::Double(number) => *number == 0.0,
            Self::String(text) => text.is_empty(),
            Self::Bytes(octets) => octets.is_empty(),
            Self::Timestamp(time) => *time == Timestamp::ZERO,
            // Lists and maps of data are never the zero value, as Kubernetes has it.
            Self::List(list) => list.is_plain() && list.len() == 0,
            Self::Map(map) => map.is_plain() && map.len() == 0,
            Self::Object(object) => object.is_zero(),
            _ => false,
        }
    }
}
