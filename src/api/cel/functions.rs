//! Which functions there are: names, overloads and since which version of Kubernetes.
//!
//! The tables of the libraries are read into one [`Registry`] for each version. Source of the versions:
//! `pkg/cel/environment/base.go` of `k8s.io/apiserver` (1.36).

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::eval::{Eval, Scope};
use super::library;
use super::types::{OPTIONAL, Type};
use super::value::Value;

/// What a function does: it gets as many values as one of its overloads has parameters, of whatever types, and
/// says so (`no such overload`) where it has none for them.
pub(super) type Native = for<'a> fn(&mut Scope<'a, '_>, &[Value<'a>]) -> Eval<'a>;

/// A function's overloads with one implementation.
pub(super) struct Function {
    pub(super) name: &'static str,
    /// The minor version of Kubernetes 1.x that brought it.
    pub(super) since: u32,
    /// Identifiers and signatures: `(string, int) -> bool`, or with a receiver `string.(int) -> bool`; `A` and
    /// `B` are parameters.
    pub(super) overloads: &'static [(&'static str, &'static str)],
    pub(super) run: Native,
}

/// An overload as the checker sees it.
pub(super) struct Overload {
    pub(super) id: &'static str,
    /// Whether the first of the parameters is a receiver.
    pub(super) member: bool,
    pub(super) parameters: Vec<Type>,
    pub(super) result: Type,
    /// How many type parameters it has.
    pub(super) variables: u32,
    pub(super) run: Native,
    /// Which row of the tables it is from: overloads of one row share their implementation.
    pub(super) row: usize,
}

/// Functions that only some expressions have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Special {
    /// None.
    #[default]
    None,
    /// Those that patches are made with.
    Patches,
    /// Those of selectors of devices: none but the macro `cel.bind`.
    Selectors,
    /// Those of selectors that are stored.
    StoredSelectors,
}

/// All functions of a version.
#[derive(Default)]
pub(super) struct Registry {
    functions: BTreeMap<&'static str, Vec<Overload>>,
}

impl Registry {
    /// The functions of Kubernetes 1.`minor`, and those that only some expressions have.
    pub(super) fn of(minor: u32, special: Special) -> Arc<Self> {
        type Known = BTreeMap<(u32, Special), Arc<Registry>>;
        static REGISTRIES: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
        let mut registries = REGISTRIES.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (minor.min(library::NEWEST), special);
        registries.entry(key).or_insert_with(|| Arc::new(Self::read(minor, special))).clone()
    }

    fn read(minor: u32, special: Special) -> Self {
        let mut registry = Self::default();
        let special: &[Function] = match special {
            Special::None | Special::Selectors => &[],
            Special::Patches => library::PATCHES,
            Special::StoredSelectors => library::DEVICES,
        };
        let all = library::ALL.iter().copied().chain([special]).flatten();
        let rows = all.filter(|row| row.since <= minor);
        for (row, function) in rows.enumerate() {
            let overloads = registry.functions.entry(function.name).or_default();
            for (id, signature) in function.overloads {
                overloads.push(Overload::read(id, signature, function.run, row));
            }
        }
        registry
    }

    pub(super) fn get(&self, name: &str) -> Option<&[Overload]> {
        self.functions.get(name.strip_prefix('.').unwrap_or(name)).map(Vec::as_slice)
    }
}

impl Overload {
    fn read(id: &'static str, signature: &'static str, run: Native, row: usize) -> Self {
        let mut reader = Reader { rest: signature, variables: 0 };
        let mut parameters = Vec::new();
        let member = !signature.starts_with('(');
        if member {
            parameters.push(reader.kind());
            reader.skip(".");
        }
        reader.skip("(");
        while !reader.rest.starts_with(')') {
            parameters.push(reader.kind());
            reader.skip(", ");
        }
        reader.skip(")");
        reader.skip(" -> ");
        let result = reader.kind();
        Self { id, member, parameters, result, variables: reader.variables, run, row }
    }
}

struct Reader {
    rest: &'static str,
    variables: u32,
}

impl Reader {
    fn skip(&mut self, text: &str) {
        self.rest = self.rest.strip_prefix(text).unwrap_or(self.rest);
    }

    fn kind(&mut self) -> Type {
        let end = self.rest.find([',', '(', ')', ' ']).unwrap_or(self.rest.len());
        // A dot belongs to a type's name where a letter follows, and ends a receiver before a bracket.
        let (mut name, _) = self.rest.split_at(end);
        name = name.strip_suffix('.').unwrap_or(name);
        self.rest = &self.rest[name.len()..];
        let mut arguments = Vec::new();
        if self.rest.starts_with('(') {
            self.skip("(");
            while !self.rest.starts_with(')') {
                arguments.push(self.kind());
                self.skip(", ");
            }
            self.skip(")");
        }
        match (name, arguments.as_slice()) {
            ("A", _) => self.variable(0),
            ("B", _) => self.variable(1),
            ("list", [element]) => Type::list(element.clone()),
            ("map", [key, value]) => Type::map(key.clone(), value.clone()),
            ("type", [of]) => Type::type_of(of.clone()),
            (OPTIONAL, [value]) => Type::optional(value.clone()),
            ("dyn", _) => Type::Dyn,
            ("bool", _) => Type::Bool,
            ("int", _) => Type::Int,
            ("uint", _) => Type::Uint,
            ("double", _) => Type::Double,
            ("string", _) => Type::String,
            ("bytes", _) => Type::Bytes,
            ("duration", _) => Type::Duration,
            ("timestamp", _) => Type::Timestamp,
            (opaque @ ("net.IP" | "net.CIDR"), _) => Type::opaque(opaque),
            (object, _) => Type::Object(object.into()),
        }
    }

    fn variable(&mut self, number: u32) -> Type {
        self.variables = self.variables.max(number + 1);
        Type::Variable(number)
    }
}
