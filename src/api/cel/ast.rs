//! What the parser makes of an expression: a tree in which macros are already expanded.

use std::sync::Arc;

/// A node. Every node of a tree has an index of its own, so that what is found out about nodes stands in
/// tables beside the tree.
#[derive(Debug)]
pub(super) struct Expr {
    pub(super) id: usize,
    /// The code point that stands for the node in messages.
    pub(super) at: u32,
    /// Nodes on the longest way down from here, this one included.
    pub(super) height: u32,
    pub(super) kind: ExprKind,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum ExprKind {
    Literal(Literal),
    Ident(Arc<str>),
    /// `operand.field`, or with `test` what `has(operand.field)` became.
    Select {
        operand: Box<Expr>,
        field: Arc<str>,
        test: bool,
    },
    /// `function(args)`, `target.function(args)`, or an operator under its name (`_+_`).
    Call {
        function: Arc<str>,
        target: Option<Box<Expr>>,
        args: Vec<Expr>,
    },
    List(Vec<Element>),
    Map(Vec<Entry>),
    /// An object with fields. Only patches have types of which any can be made.
    Struct {
        name: Arc<str>,
        fields: Vec<Field>,
    },
    Comprehension(Box<Comprehension>),
}

/// A constant as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
}

/// An element of a list literal; an optional one is left out when it is `optional.none()`.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) value: Expr,
    pub(super) optional: bool,
}

/// An entry of a map literal.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Expr,
    pub(super) value: Expr,
    pub(super) optional: bool,
}

/// A field of an object that is written out.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: Arc<str>,
    /// The code point of its colon.
    pub(super) at: u32,
    pub(super) value: Expr,
    pub(super) optional: bool,
}

/// A fold: what every macro but `has` becomes. While `condition` is not false, `step` makes the next value of
/// `accumulator` for every element of `range`; then `result` is the value.
#[derive(Debug)]
pub(super) struct Comprehension {
    pub(super) range: Expr,
    pub(super) variable: Arc<str>,
    pub(super) second: Option<Arc<str>>,
    pub(super) accumulator: Arc<str>,
    pub(super) init: Expr,
    pub(super) condition: Expr,
    pub(super) step: Expr,
    pub(super) result: Expr,
}

impl Comprehension {
    /// Whether it only gives `init` a name in `result`, as `optMap` and `sortBy` do.
    pub(super) fn is_binding(&self) -> bool {
        matches!(&self.range.kind, ExprKind::List(elements) if elements.is_empty())
            && matches!(self.condition.kind, ExprKind::Literal(Literal::Bool(false)))
            && &*self.accumulator != LEGACY_ACCUMULATOR
    }
}

/// The accumulator's name, which no expression can write.
pub(super) const ACCUMULATOR: &str = "@result";
/// What it was called before; no variable of a macro may have this name either.
pub(super) const LEGACY_ACCUMULATOR: &str = "__result__";

impl Expr {
    /// The names of `a.b.c`, joined, where the node is nothing but names.
    pub(super) fn qualified_name(&self) -> Option<String> {
        match &self.kind {
            ExprKind::Ident(name) => Some(name.to_string()),
            ExprKind::Select { operand, field, test: false } => {
                let mut name = operand.qualified_name()?;
                name.push('.');
                name.push_str(field);
                Some(name)
            }
            _ => None,
        }
    }

    /// Calls `visit` with every child, in the order of the text.
    pub(super) fn for_each_child<'e>(&'e self, visit: &mut dyn FnMut(&'e Self)) {
        match &self.kind {
            ExprKind::Literal(_) | ExprKind::Ident(_) => {}
            ExprKind::Struct { fields, .. } => fields.iter().for_each(|field| visit(&field.value)),
            ExprKind::Select { operand, .. } => visit(operand),
            ExprKind::Call { target, args, .. } => target.as_deref().into_iter().chain(args).for_each(visit),
            ExprKind::List(elements) => elements.iter().for_each(|element| visit(&element.value)),
            ExprKind::Map(entries) => entries.iter().for_each(|entry| {
                visit(&entry.key);
                visit(&entry.value);
            }),
            ExprKind::Comprehension(it) => {
                [&it.range, &it.init, &it.condition, &it.step, &it.result].into_iter().for_each(visit);
            }
        }
    }
}
