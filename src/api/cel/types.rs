//! Types as the checker knows them, and how they agree.
//!
//! Source: `checker/types.go`, `checker/mapping.go` and `common/types/types.go` of `cel-go` v0.26.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

/// A type larger than this many parts is `dyn` instead: types double with each `{x: x}`, and no use of one is
/// that large.
const LARGEST: u32 = 1_000;

/// A type of CEL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Type {
    /// Known only when it is evaluated.
    Dyn,
    /// Known only when it is evaluated, as well; but not to be ranged over.
    Any,
    /// Of what has an error already; agrees with everything, so that one error is told once.
    Error,
    /// `null`'s.
    Null,
    /// Truth values.
    Bool,
    /// Signed integers of 64 bits.
    Int,
    /// Unsigned integers of 64 bits.
    Uint,
    /// Floating-point numbers of 64 bits.
    Double,
    /// Text.
    String,
    /// Octets.
    Bytes,
    /// Spans of time.
    Duration,
    /// Points in time.
    Timestamp,
    /// Lists of one type.
    List(Parameters),
    /// Maps: the key's type, then the value's.
    Map(Parameters),
    /// Objects with declared fields, by name.
    Object(Arc<str>),
    /// Other types by name, with parameters: `optional_type(int)`, `net.IP`.
    Opaque(Arc<str>, Parameters),
    /// The type of types; with what type, where that is known.
    Type(Parameters),
    /// A type that is not found yet, or a parameter of a function's declaration.
    Variable(u32),
}

/// The parameters of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    types: Arc<[Type]>,
    /// Parts of all of them together.
    size: u32,
}

impl Parameters {
    fn of(types: impl Into<Arc<[Type]>>) -> Self {
        let types = types.into();
        let size = types.iter().map(Type::size).fold(0, u32::saturating_add);
        if size < LARGEST {
            return Self { types, size };
        }
        let types: Arc<[Type]> = types.iter().map(|_| Type::Dyn).collect();
        Self { size: u32::try_from(types.len()).unwrap_or(u32::MAX), types }
    }
}

impl std::ops::Deref for Parameters {
    type Target = [Type];

    fn deref(&self) -> &[Type] {
        &self.types
    }
}

/// The name of the type of optional values.
pub(super) const OPTIONAL: &str = "optional_type";

impl Type {
    /// A list of `element`s.
    #[must_use]
    pub fn list(element: Self) -> Self {
        Self::List(Parameters::of([element]))
    }

    /// A map from `key`s to `value`s.
    #[must_use]
    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(Parameters::of([key, value]))
    }

    /// An optional `value`.
    #[must_use]
    pub fn optional(value: Self) -> Self {
        Self::Opaque(OPTIONAL.into(), Parameters::of([value]))
    }

    /// The type of the type `of`.
    #[must_use]
    pub fn type_of(of: Self) -> Self {
        Self::Type(Parameters::of([of]))
    }

    pub(super) fn opaque(name: &str) -> Self {
        Self::Opaque(name.into(), Parameters::of([]))
    }

    pub(super) fn some_type() -> Self {
        Self::Type(Parameters::of([]))
    }

    fn size(&self) -> u32 {
        1 + self.parameters().map_or(0, |parameters| parameters.size)
    }

    fn parameters(&self) -> Option<&Parameters> {
        match self {
            Self::List(it) | Self::Map(it) | Self::Opaque(_, it) | Self::Type(it) => Some(it),
            _ => None,
        }
    }

    /// What an optional holds, if it is one.
    pub(super) fn unwrap_optional(&self) -> Option<&Self> {
        match self {
            Self::Opaque(name, of) if &**name == OPTIONAL => of.first(),
            _ => None,
        }
    }

    pub(super) fn is_dyn_or_error(&self) -> bool {
        self.is_dyn() || *self == Self::Error
    }

    pub(super) fn is_dyn(&self) -> bool {
        matches!(self, Self::Dyn | Self::Any)
    }

    /// The type with its parameters, each under the name that its values have.
    pub(super) fn declared(&self) -> String {
        let parameters = self.parameters().filter(|it| !it.is_empty());
        let Some(parameters) = parameters else { return self.name().to_owned() };
        let parameters: Vec<String> = parameters.iter().map(Self::declared).collect();
        format!("{}({})", self.name(), parameters.join(", "))
    }

    /// Whether it is one of the language's types without parts, of which no object can be made.
    pub(super) fn is_scalar(&self) -> bool {
        matches!(self, Self::Bool | Self::Int | Self::Uint | Self::Double | Self::String | Self::Bytes)
    }

    /// The type with its parameters mapped.
    fn with_parameters(&self, map: impl FnMut(&Self) -> Self) -> Self {
        let mapped = |it: &Parameters, map| Parameters::of(it.iter().map(map).collect::<Vec<_>>());
        match self {
            Self::List(it) => Self::List(mapped(it, map)),
            Self::Map(it) => Self::Map(mapped(it, map)),
            Self::Opaque(name, it) => Self::Opaque(name.clone(), mapped(it, map)),
            Self::Type(it) => Self::Type(mapped(it, map)),
            other => other.clone(),
        }
    }

    /// A declaration's type with its parameters numbered from `base`.
    pub(super) fn instantiated(&self, base: u32) -> Self {
        match self {
            Self::Variable(number) => Self::Variable(base + number),
            other => other.with_parameters(|it| it.instantiated(base)),
        }
    }

    /// The name a value of the type has at run time, without parameters.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Dyn => "dyn",
            Self::Any => "google.protobuf.Any",
            Self::Error => "!error!",
            Self::Null => "null_type",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Duration => "google.protobuf.Duration",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Object(name) | Self::Opaque(name, _) => name,
            Self::Type(_) => "type",
            Self::Variable(_) => "",
        }
    }

    /// Whether this is the other or leaves more open.
    fn is_equal_or_less_specific(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn | Self::Any | Self::Variable(_), _) => true,
            (_, Self::Dyn | Self::Any | Self::Variable(_)) => false,
            (Self::Type(_), Self::Type(_)) => true,
            _ => match (self.parameters(), other.parameters()) {
                (Some(ours), Some(theirs)) => {
                    self.name() == other.name()
                        && ours.len() == theirs.len()
                        && ours
                            .iter()
                            .zip(theirs.iter())
                            .all(|(ours, theirs)| ours.is_equal_or_less_specific(theirs))
                }
                _ => self == other,
            },
        }
    }

    /// The more general of two types that agree.
    pub(super) fn most_general<'t>(&'t self, other: &'t Self) -> &'t Self {
        if self.is_equal_or_less_specific(other) { self } else { other }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => return f.write_str("any"),
            Self::Null => return f.write_str("null"),
            Self::Duration => return f.write_str("duration"),
            Self::Timestamp => return f.write_str("timestamp"),
            Self::Variable(number) => return write!(f, "_var{number}"),
            _ => f.write_str(self.name())?,
        }
        let Some(parameters) = self.parameters().filter(|it| !it.is_empty()) else { return Ok(()) };
        for (index, parameter) in parameters.iter().enumerate() {
            write!(f, "{}{parameter}", if index == 0 { "(" } else { ", " })?;
        }
        f.write_str(")")
    }
}

/// What the variables are found to be.
#[derive(Default)]
pub(super) struct Substitution {
    found: Vec<Option<Type>>,
    /// What was there before each change, so that an attempt can be taken back.
    undo: Vec<(u32, Option<Type>)>,
    steps: Cell<u32>,
}

/// Steps after which types are no longer looked into: variables that stand for one another can make a type
/// that is exponentially larger than the expression. Evaluation checks what is left open here.
const STEPS: u32 = 5_000_000;

impl Substitution {
    /// The number of the first of `count` new variables.
    pub(super) fn fresh(&mut self, count: u32) -> u32 {
        let base = u32::try_from(self.found.len()).unwrap_or(u32::MAX);
        self.found.extend((0..count).map(|_| None));
        base
    }

    fn is_tired(&self) -> bool {
        self.steps.set(self.steps.get().saturating_add(1));
        self.steps.get() > STEPS
    }

    fn find(&self, variable: u32) -> Option<&Type> {
        self.found.get(variable as usize).and_then(Option::as_ref)
    }

    fn set(&mut self, variable: u32, to: Type) {
        if let Some(slot) = self.found.get_mut(variable as usize) {
            self.undo.push((variable, slot.replace(to)));
        }
    }

    /// Whether every one of `from` may be used where the one of `to` is wanted. What follows for variables is
    /// kept if so, and else nothing has changed.
    pub(super) fn assign_all<'t>(
        &mut self,
        from: impl IntoIterator<Item = &'t Type>,
        to: impl IntoIterator<Item = &'t Type>,
    ) -> bool {
        self.undo.clear();
        let (mut from, mut to) = (from.into_iter(), to.into_iter());
        let agreed = loop {
            match (from.next(), to.next()) {
                (None, None) => break true,
                (Some(from), Some(to)) if self.agree(from, to) => {}
                _ => break false,
            }
        };
        if !agreed {
            while let Some((variable, before)) = self.undo.pop() {
                self.found[variable as usize] = before;
            }
        }
        agreed
    }

    /// [`assign_all`](Self::assign_all) for one.
    pub(super) fn assign(&mut self, from: &Type, to: &Type) -> bool {
        self.assign_all([from], [to])
    }

    fn agree(&mut self, from: &Type, to: &Type) -> bool {
        if self.is_tired() {
            return true;
        }
        if let Type::Variable(variable) = *to {
            let known = self.find(variable).is_some();
            if self.bind(variable, from) {
                return true;
            }
            if known {
                return false;
            }
        }
        if let Type::Variable(variable) = *from {
            return self.bind(variable, to);
        }
        if from.is_dyn_or_error() || to.is_dyn_or_error() {
            return true;
        }
        match (from, to) {
            (Type::Null, other) | (other, Type::Null) => {
                matches!(
                    other,
                    Type::Null | Type::Opaque(..) | Type::Object(_) | Type::Duration | Type::Timestamp
                )
            }
            (Type::Type(_), Type::Type(_)) => true,
            (Type::List(ours), Type::List(theirs)) | (Type::Map(ours), Type::Map(theirs)) => {
                self.agree_all(ours, theirs)
            }
            (Type::Opaque(our_name, ours), Type::Opaque(their_name, theirs)) => {
                our_name == their_name && self.agree_all(ours, theirs)
            }
            _ => from == to,
        }
    }

    fn agree_all(&mut self, from: &Parameters, to: &Parameters) -> bool {
        from.len() == to.len() && from.iter().zip(to.iter()).all(|(from, to)| self.agree(from, to))
    }

    /// Whether `variable` can be `to`, which it then is, or something more general.
    fn bind(&mut self, variable: u32, to: &Type) -> bool {
        if *to == Type::Variable(variable) {
            return true;
        }
        if let Some(found) = self.find(variable).cloned() {
            if found == *to {
                return true;
            }
            if !self.agree(to, &found) {
                return false;
            }
            let general = to.most_general(&found).clone();
            if !self.occurs(variable, &general) {
                self.set(variable, general);
            }
            return true;
        }
        let free = !self.occurs(variable, to);
        if free {
            self.set(variable, to.clone());
        }
        free
    }

    /// Whether the variable stands somewhere within the type.
    fn occurs(&self, variable: u32, within: &Type) -> bool {
        if self.is_tired() {
            return true;
        }
        match within {
            Type::Variable(other) => {
                *other == variable || self.find(*other).is_some_and(|found| self.occurs(variable, found))
            }
            other => other.parameters().is_some_and(|it| it.iter().any(|it| self.occurs(variable, it))),
        }
    }

    /// The type with every found variable replaced.
    pub(super) fn apply(&self, to: &Type) -> Type {
        if self.is_tired() {
            return Type::Dyn;
        }
        match to {
            Type::Variable(variable) => self.find(*variable).map_or_else(|| to.clone(), |it| self.apply(it)),
            other => other.with_parameters(|it| self.apply(it)),
        }
    }

    /// The type with every variable replaced, by `dyn` where nothing was found.
    pub(super) fn finish(&self, to: &Type) -> Type {
        if self.is_tired() {
            return Type::Dyn;
        }
        match to {
            Type::Variable(variable) => self.find(*variable).map_or(Type::Dyn, |it| self.finish(it)),
            other => other.with_parameters(|it| self.finish(it)),
        }
    }
}
