//! The type checker: what every node's type is, and which overloads each call may mean.
//!
//! Source: `checker/checker.go`, `checker/env.go` and `checker/errors.go` of `cel-go` v0.26.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::ast::{Comprehension, Element, Entry, Expr, ExprKind, Field, Literal};
use super::functions::{Overload, Registry};
use super::patch;
use super::schema::Declaration;
use super::source::Issues;
use super::stack::deep;
use super::types::{Substitution, Type};
use crate::api::names::is_cel_word;

/// What an expression may speak of.
pub(super) struct Scope<'e> {
    pub(super) registry: &'e Registry,
    pub(super) variables: &'e [(String, Type)],
    /// Objects by the name of their type.
    pub(super) objects: &'e BTreeMap<Arc<str>, Declaration>,
    /// Whether there are optional values.
    pub(super) optionals: bool,
    /// Whether a keyword after a dot names a field.
    pub(super) keywords: bool,
    /// Whether there are addresses.
    pub(super) addresses: bool,
    /// Whether there are the types of patches.
    pub(super) patches: bool,
}

/// What the checker found out, by the index of nodes.
pub(super) struct Checked {
    types: Vec<Type>,
    meanings: Vec<Meaning>,
}

/// What a name or a call stands for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Meaning {
    /// Nothing but itself.
    #[default]
    Plain,
    /// A variable of the environment or of a comprehension.
    Variable(Arc<str>),
    /// The name of a type.
    Type(Type),
    /// A function under its full name, and which of its overloads it may be.
    Function { name: Arc<str>, overloads: Vec<usize>, namespaced: bool },
}

impl Checked {
    pub(super) fn type_of(&self, expr: &Expr) -> &Type {
        &self.types[expr.id]
    }

    pub(super) fn meaning(&self, expr: &Expr) -> &Meaning {
        &self.meanings[expr.id]
    }

    /// The name and the overloads of a call.
    pub(super) fn function(&self, expr: &Expr) -> Option<(&str, &[usize], bool)> {
        match self.meaning(expr) {
            Meaning::Function { name, overloads, namespaced } => Some((name, overloads, *namespaced)),
            _ => None,
        }
    }

    /// Whether a variable of the environment is spoken of.
    pub(super) fn references(&self, variable: &str) -> bool {
        self.meanings.iter().any(|it| matches!(it, Meaning::Variable(name) if &**name == variable))
    }
}

/// Checks a tree of so many nodes. It may be used where no issues were reported.
pub(super) fn check(tree: &Expr, nodes: usize, scope: &Scope<'_>, issues: &mut Issues<'_>) -> Checked {
    let mut checker = Checker {
        scope,
        issues,
        types: vec![Type::Error; nodes],
        meanings: vec![Meaning::Plain; nodes],
        found: Substitution::default(),
        locals: Vec::new(),
    };
    checker.check(tree);
    let Checker { types, meanings, found, .. } = checker;
    Checked { types: types.iter().map(|it| found.finish(it)).collect(), meanings }
}

struct Checker<'c, 'i> {
    scope: &'c Scope<'c>,
    issues: &'c mut Issues<'i>,
    types: Vec<Type>,
    meanings: Vec<Meaning>,
    found: Substitution,
    /// Variables of the comprehensions around, innermost last.
    locals: Vec<(Arc<str>, Type)>,
}

impl Checker<'_, '_> {
    fn check(&mut self, expr: &Expr) -> Type {
        let kind = deep(|| self.node(expr));
        self.types[expr.id] = kind.clone();
        kind
    }

    fn node(&mut self, expr: &Expr) -> Type {
        match &expr.kind {
            ExprKind::Literal(literal) => literal_type(literal),
            ExprKind::Ident(name) => self.ident(expr, name),
            ExprKind::Select { operand, field, test } => self.select(expr, operand, field, *test),
            ExprKind::Call { function, target, args } => self.call(expr, function, target.as_deref(), args),
            ExprKind::List(elements) => self.list(elements),
            ExprKind::Map(entries) => self.map(entries),
            ExprKind::Struct { name, fields } => self.object(expr, name, fields),
            ExprKind::Comprehension(it) => self.comprehension(it),
        }
    }

    fn undeclared(&mut self, at: u32, name: &str) -> Type {
        self.issues.report(at, format!("undeclared reference to '{name}' (in container '')"));
        Type::Error
    }

    fn mismatch(&mut self, at: u32, expected: &Type, found: &Type) {
        self.issues.report(at, format!("expected type '{expected}' but found '{found}'"));
    }

    /// What a name stands for, and its type.
    fn lookup(&self, name: &str) -> Option<(Meaning, Type)> {
        let name = name.strip_prefix('.').unwrap_or(name);
        let local = self.locals.iter().rev().find(|(local, _)| &**local == name);
        if let Some((_, kind)) = local {
            return Some((Meaning::Variable(name.into()), kind.clone()));
        }
        if let Some((_, kind)) = self.scope.variables.iter().find(|(variable, _)| variable == name) {
            return Some((Meaning::Variable(name.into()), kind.clone()));
        }
        let named = self.type_named(name)?;
        Some((Meaning::Type(named.clone()), Type::type_of(named)))
    }

    fn type_named(&self, name: &str) -> Option<Type> {
        Some(match name {
            "bool" => Type::Bool,
            "bytes" => Type::Bytes,
            "double" => Type::Double,
            "int" => Type::Int,
            "uint" => Type::Uint,
            "string" => Type::String,
            "null_type" => Type::Null,
            "type" => Type::some_type(),
            "list" => Type::list(Type::Dyn),
            "map" => Type::map(Type::Dyn, Type::Dyn),
            "google.protobuf.Duration" => Type::Duration,
            "google.protobuf.Timestamp" => Type::Timestamp,
            "optional_type" if self.scope.optionals => Type::opaque("optional_type"),
            "net.IP" | "net.CIDR" if self.scope.addresses => Type::opaque(name),
            _ if self.scope.objects.contains_key(name) => Type::Object(name.into()),
            _ if self.scope.patches && patch::is_type(name) => Type::Object(name.into()),
            _ => return None,
        })
    }

    fn ident(&mut self, expr: &Expr, name: &str) -> Type {
        match self.lookup(name) {
            Some((meaning, kind)) => {
                self.meanings[expr.id] = meaning;
                kind
            }
            None => self.undeclared(expr.at, name),
        }
    }

    fn select(&mut self, expr: &Expr, operand: &Expr, field: &str, test: bool) -> Type {
        // A dotted name may be one name.
        if let Some((meaning, kind)) = expr.qualified_name().and_then(|name| self.lookup(&name)) {
            self.meanings[expr.id] = meaning;
            return kind;
        }
        let kind = self.field(expr, operand, field, false);
        if test { Type::Bool } else { self.found.apply(&kind) }
    }

    fn field(&mut self, expr: &Expr, operand: &Expr, field: &str, optional: bool) -> Type {
        let operand = self.check(operand);
        let operand = self.found.apply(&operand);
        let inner = operand.unwrap_optional();
        let is_optional = optional || inner.is_some();
        let target = inner.unwrap_or(&operand);
        let kind = match target {
            Type::Map(parameters) => parameters[1].clone(),
            Type::Object(name) => self.object_field(expr.at, name, field),
            Type::Variable(_) => {
                self.found.assign(&Type::Dyn, target);
                Type::Dyn
            }
            _ => {
                if !target.is_dyn_or_error() {
                    let message = format!("type '{target}' does not support field selection");
                    self.issues.report(expr.at, message);
                }
                Type::Dyn
            }
        };
        if is_optional { Type::optional(kind) } else { kind }
    }

    fn object_field(&mut self, at: u32, object: &Arc<str>, field: &str) -> Type {
        if self.scope.patches && patch::is_type(object) {
            return patch::field(object, field);
        }
        let Some(declared) = self.scope.objects.get(object) else {
            self.issues.report(at, format!("unexpected failed resolution of '{object}'"));
            return Type::Error;
        };
        let keyword = || is_cel_word(field).then(|| declared.field(&format!("__{field}__"))).flatten();
        let found = declared.field(field).or_else(|| self.scope.keywords.then(keyword).flatten());
        match found {
            Some(field) => field.kind().clone(),
            None => {
                self.issues.report(at, format!("undefined field '{field}'"));
                Type::Error
            }
        }
    }

    fn call(&mut self, expr: &Expr, function: &Arc<str>, target: Option<&Expr>, args: &[Expr]) -> Type {
        if &**function == "_?._" {
            return self.optional_select(expr, args);
        }
        let types: Vec<Type> = args.iter().map(|arg| self.check(arg)).collect();
        let registry = self.scope.registry;
        let Some(target) = target else {
            let Some(overloads) = registry.get(function) else { return self.undeclared(expr.at, function) };
            let name: Arc<str> = function.strip_prefix('.').unwrap_or(function).into();
            return self.resolve(expr, (&name, overloads), false, None, (args, types));
        };
        // `a.b.c()` is the function `a.b.c`, or else `c` of `a.b`.
        if let Some(prefix) = target.qualified_name() {
            let name = format!("{prefix}.{function}");
            if let Some(overloads) = registry.get(&name) {
                return self.resolve(expr, (&name.into(), overloads), true, None, (args, types));
            }
        }
        let receiver = self.check(target);
        match registry.get(function) {
            Some(overloads) => {
                self.resolve(expr, (function, overloads), false, Some(receiver), (args, types))
            }
            None => self.undeclared(expr.at, function),
        }
    }

    fn optional_select(&mut self, expr: &Expr, args: &[Expr]) -> Type {
        let [operand, name] = args else { return Type::Error };
        let ExprKind::Literal(Literal::String(field)) = &name.kind else { return Type::Error };
        let kind = self.field(expr, operand, field, true);
        self.types[name.id] = Type::String;
        let name = "_?._".into();
        self.meanings[expr.id] = Meaning::Function { name, overloads: vec![0], namespaced: false };
        self.found.apply(&kind)
    }

    fn resolve(
        &mut self,
        expr: &Expr,
        (name, overloads): (&Arc<str>, &[Overload]),
        namespaced: bool,
        receiver: Option<Type>,
        (args, types): (&[Expr], Vec<Type>),
    ) -> Type {
        let member = receiver.is_some();
        if matches!(&**name, "_&&_" | "_||_") {
            return self.logic(expr, name, args, &types);
        }
        let types: Vec<Type> = receiver.into_iter().chain(types).collect();
        let mut chosen = Vec::new();
        let mut result: Option<Type> = None;
        for (index, overload) in overloads.iter().enumerate().filter(|(_, it)| it.member == member) {
            let base = self.found.fresh(overload.variables);
            let parameters: Vec<Type> = overload.parameters.iter().map(|it| it.instantiated(base)).collect();
            if !self.found.assign_all(&types, &parameters) {
                continue;
            }
            chosen.push(index);
            let kind = self.found.apply(&overload.result.instantiated(base));
            result = Some(match result {
                None => kind,
                Some(before) if before.is_dyn() || before == kind => before,
                Some(_) => Type::Dyn,
            });
        }
        let Some(result) = result else {
            let signature = signature(types.iter().map(|it| self.found.finish(it)), member);
            let message = format!("found no matching overload for '{name}' applied to '{signature}'");
            self.issues.report(expr.at, message);
            return Type::Error;
        };
        self.meanings[expr.id] = Meaning::Function { name: name.clone(), overloads: chosen, namespaced };
        result
    }

    fn logic(&mut self, expr: &Expr, name: &Arc<str>, args: &[Expr], types: &[Type]) -> Type {
        let mut result = Type::Bool;
        for (arg, kind) in args.iter().zip(types) {
            if !self.found.assign(kind, &Type::Bool) {
                self.mismatch(arg.at, &Type::Bool, kind);
                result = Type::Error;
            }
        }
        self.meanings[expr.id] =
            Meaning::Function { name: name.clone(), overloads: vec![0], namespaced: false };
        result
    }

    /// The type of an element or value that may be left out.
    fn unwrapped(&mut self, expr: &Expr, kind: Type, optional: bool) -> Type {
        if !optional {
            return kind;
        }
        match kind.unwrap_optional() {
            Some(inner) => inner.clone(),
            None => {
                if !kind.is_dyn() {
                    self.mismatch(expr.at, &Type::optional(kind.clone()), &kind);
                }
                kind
            }
        }
    }

    /// The type of elements of both types; what does not agree is `dyn`, and told of by `validate`.
    fn join(&mut self, previous: Option<Type>, current: Type) -> Type {
        let Some(previous) = previous else { return current };
        if self.found.assign(&previous, &current) {
            return previous.most_general(&current).clone();
        }
        Type::Dyn
    }

    fn list(&mut self, elements: &[Element]) -> Type {
        let mut joined = None;
        for Element { value, optional } in elements {
            let kind = self.check(value);
            let kind = self.unwrapped(value, kind, *optional);
            joined = Some(self.join(joined, kind));
        }
        Type::list(joined.unwrap_or_else(|| Type::Variable(self.found.fresh(1))))
    }

    fn map(&mut self, entries: &[Entry]) -> Type {
        let (mut keys, mut values) = (None, None);
        for Entry { key, value, optional } in entries {
            let kind = self.check(key);
            keys = Some(self.join(keys, kind));
            let kind = self.check(value);
            let kind = self.unwrapped(value, kind, *optional);
            values = Some(self.join(values, kind));
        }
        let key = keys.unwrap_or_else(|| Type::Variable(self.found.fresh(1)));
        Type::map(key, values.unwrap_or_else(|| Type::Variable(self.found.fresh(1))))
    }

    /// An object that is written out.
    fn object(&mut self, expr: &Expr, name: &str, fields: &[Field]) -> Type {
        let name: Arc<str> = match self.lookup(name) {
            Some((Meaning::Type(Type::Object(name)), _)) => name,
            Some((Meaning::Type(kind), _)) if kind.is_scalar() => {
                self.issues.report(expr.at, format!("'{}' is not a message type", kind.name()));
                return self.unknown_fields(fields);
            }
            Some((Meaning::Variable(_), kind)) => {
                self.issues.report(expr.at, format!("'{}' is not a type", kind.name()));
                return self.unknown_fields(fields);
            }
            _ => return self.undeclared(expr.at, name),
        };
        for field in fields {
            let value = self.check(&field.value);
            let wanted = self.object_field(field.at, &name, &field.name);
            let value = self.unwrapped(&field.value, value, field.optional);
            if !self.found.assign(&wanted, &value) {
                let message = format!(
                    "expected type of field '{}' is '{wanted}' but provided type is '{value}'",
                    field.name
                );
                self.issues.report(field.at, message);
            }
        }
        Type::Object(name)
    }

    /// What stands in something that is no object is looked at all the same.
    fn unknown_fields(&mut self, fields: &[Field]) -> Type {
        fields.iter().for_each(|field| drop(self.check(&field.value)));
        Type::Error
    }

    fn comprehension(&mut self, it: &Comprehension) -> Type {
        let range = self.check(&it.range);
        let accumulated = self.check(&it.init);
        let range = self.found.apply(&range);
        let (first, second) = match &range {
            Type::List(element) if it.second.is_some() => (Type::Int, element[0].clone()),
            Type::List(element) => (element[0].clone(), Type::Error),
            Type::Map(parameters) => (parameters[0].clone(), parameters[1].clone()),
            Type::Dyn | Type::Error | Type::Variable(_) => {
                self.found.assign(&Type::Dyn, &range);
                (Type::Dyn, Type::Dyn)
            }
            _ => {
                let message = format!(
                    "expression of type '{range}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                self.issues.report(it.range.at, message);
                (Type::Error, Type::Error)
            }
        };
        let outside = self.locals.len();
        self.locals.push((it.accumulator.clone(), accumulated.clone()));
        let inside = self.locals.len();
        self.locals.push((it.variable.clone(), first));
        self.locals.extend(it.second.clone().map(|name| (name, second)));
        let condition = self.check(&it.condition);
        self.assert(&it.condition, &Type::Bool, &condition);
        let step = self.check(&it.step);
        self.assert(&it.step, &accumulated, &step);
        self.locals.truncate(inside);
        let result = self.check(&it.result);
        self.locals.truncate(outside);
        self.found.apply(&result)
    }

    fn assert(&mut self, expr: &Expr, expected: &Type, found: &Type) {
        if !self.found.assign(expected, found) {
            self.mismatch(expr.at, expected, found);
        }
    }
}

fn literal_type(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
    }
}

/// `(int, string)`, or with a receiver `int.(string)`.
fn signature(types: impl Iterator<Item = Type>, member: bool) -> String {
    let mut types = types.peekable();
    let mut text = String::new();
    if member && let Some(receiver) = types.next() {
        let _ = write!(text, "{receiver}.");
    }
    text.push('(');
    while let Some(kind) = types.next() {
        let _ = write!(text, "{kind}{}", if types.peek().is_some() { ", " } else { "" });
    }
    text.push(')');
    text
}
