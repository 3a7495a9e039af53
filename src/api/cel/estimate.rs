//! What an expression costs at least and at most, before anything is evaluated.
//!
//! Source: `checker/cost.go`, `ext/lists.go` and `ext/sets.go` of `cel-go` v0.26, and `pkg/cel/library/cost.go` of
//! `k8s.io/apiserver` (1.36). Whether a rule may be written depends on these numbers, so they are cel-go's to the
//! unit, oddities included.

mod call;

use std::sync::Arc;

use super::ast::{Comprehension, Element, Entry, Expr, ExprKind, Literal};
use super::check::Checked;
use super::cost::{Estimate, NEW_LIST, NEW_MAP, NEW_OBJECT, SELECT};
use super::functions::Registry;
use super::schema::Declaration;
use super::stack::deep;
use super::types::Type;

/// The range of a checked tree's cost. Sizes of data are those that `root` allows for `self`.
pub(super) fn estimate(
    tree: &Expr,
    nodes: usize,
    checked: &Checked,
    registry: &Registry,
    root: Option<&Declaration>,
) -> Estimate {
    let mut estimator = Estimator {
        checked,
        registry,
        root,
        paths: vec![None; nodes],
        sizes: vec![None; nodes],
        entries: vec![None; nodes],
        locals: Vec::new(),
    };
    estimator.cost(tree)
}

/// The way to data: a variable, then names of fields and these.
type Path = Option<Arc<Step>>;

/// A step of a path and what is before it.
struct Step {
    name: Arc<str>,
    before: Path,
}

fn step(before: Path, name: &str) -> Path {
    Some(Arc::new(Step { name: name.into(), before }))
}

const ITEMS: &str = "@items";
const VALUES: &str = "@values";
const KEYS: &str = "@keys";
const INDICES: &str = "@indices";

/// The sizes of a list's or map's parts.
#[derive(Clone, Copy)]
struct Entries {
    is_list: bool,
    key: Estimate,
    value: Estimate,
}

impl Entries {
    fn union(self, other: Self) -> Self {
        Self { is_list: self.is_list, key: self.key.union(other.key), value: self.value.union(other.value) }
    }
}

#[derive(Clone)]
struct Local {
    name: Arc<str>,
    path: Path,
    size: Option<Estimate>,
    entries: Option<Entries>,
}

struct Estimator<'e> {
    checked: &'e Checked,
    registry: &'e Registry,
    root: Option<&'e Declaration>,
    paths: Vec<Path>,
    sizes: Vec<Option<Estimate>>,
    entries: Vec<Option<Entries>>,
    locals: Vec<Local>,
}

const ONE: Estimate = Estimate::fixed(1);

impl Estimator<'_> {
    fn cost(&mut self, expr: &Expr) -> Estimate {
        deep(|| self.node(expr))
    }

    fn node(&mut self, expr: &Expr) -> Estimate {
        match &expr.kind {
            ExprKind::Literal(_) => Estimate::fixed(0),
            ExprKind::Struct { fields, .. } => {
                let values = fields.iter().map(|field| self.cost(&field.value));
                values.fold(Estimate::fixed(NEW_OBJECT), Estimate::plus)
            }
            ExprKind::Ident(name) => {
                self.paths[expr.id] = match self.local(name) {
                    Some(local) => local.path.clone(),
                    None => step(None, name),
                };
                Estimate::fixed(SELECT)
            }
            ExprKind::Select { operand, field, test } => self.select(expr, operand, field, *test),
            ExprKind::Call { target, args, .. } => self.call(expr, target.as_deref(), args),
            ExprKind::List(elements) => self.list(expr, elements),
            ExprKind::Map(entries) => self.map(expr, entries),
            ExprKind::Comprehension(it) if it.is_binding() => self.binding(expr, it),
            ExprKind::Comprehension(it) => self.comprehension(expr, it),
        }
    }

    fn local(&self, name: &str) -> Option<&Local> {
        self.locals.iter().rev().find(|local| &*local.name == name)
    }

    fn path(&self, expr: &Expr) -> Path {
        if let ExprKind::Ident(name) = &expr.kind
            && let Some(local) = self.local(name)
        {
            return local.path.clone();
        }
        self.paths[expr.id].clone()
    }

    fn select(&mut self, expr: &Expr, operand: &Expr, field: &str, test: bool) -> Estimate {
        // A dotted name of a type is one name.
        if *self.checked.meaning(expr) != super::check::Meaning::Plain {
            self.paths[expr.id] = expr.qualified_name().and_then(|name| step(None, &name));
            return Estimate::fixed(SELECT);
        }
        let cost = self.cost(operand);
        if test {
            return cost;
        }
        self.paths[expr.id] = step(self.path(operand), field);
        match self.checked.type_of(operand) {
            Type::Map(_) | Type::Object(_) | Type::Variable(_) => cost.plus(Estimate::fixed(SELECT)),
            _ => cost,
        }
    }

    fn list(&mut self, expr: &Expr, elements: &[Element]) -> Estimate {
        let mut cost = Estimate::fixed(NEW_LIST);
        let mut value = if elements.is_empty() { Estimate::fixed(0) } else { Estimate::NONE };
        for element in elements {
            cost = cost.plus(self.cost(&element.value));
            value = value.union(self.size_or_unknown(&element.value));
        }
        self.entries[expr.id] = Some(Entries { is_list: true, key: ONE, value });
        cost
    }

    fn map(&mut self, expr: &Expr, entries: &[Entry]) -> Estimate {
        let mut cost = Estimate::fixed(NEW_MAP);
        let none = if entries.is_empty() { Estimate::fixed(0) } else { Estimate::NONE };
        let (mut key, mut value) = (none, none);
        for entry in entries {
            cost = cost.plus(self.cost(&entry.key)).plus(self.cost(&entry.value));
            key = key.union(self.size_or_unknown(&entry.key));
            value = value.union(self.size_or_unknown(&entry.value));
        }
        self.entries[expr.id] = Some(Entries { is_list: false, key, value });
        cost
    }

    /// Gives `result` the variable `init`.
    fn binding(&mut self, expr: &Expr, it: &Comprehension) -> Estimate {
        let cost = self.cost(&it.range).plus(self.cost(&it.init));
        self.push_accumulator(it);
        let cost = cost.plus(self.cost(&it.result));
        let (size, entries) = (self.size(&it.result), self.entries(&it.result));
        self.locals.pop();
        self.set_size(expr, size);
        self.set_entries(expr, entries);
        cost
    }

    fn push_accumulator(&mut self, it: &Comprehension) {
        let (path, entries) = (self.path(&it.init), self.entries(&it.init));
        let size = self.size(&it.init);
        self.locals.push(Local { name: it.accumulator.clone(), path, size, entries });
    }

    fn push_variable(&mut self, name: &Arc<str>, range: &Expr, step_name: &str, size: Option<Estimate>) {
        let path = step(self.path(range), step_name);
        self.locals.push(Local { name: name.clone(), path, size, entries: None });
    }

    fn comprehension(&mut self, expr: &Expr, it: &Comprehension) -> Estimate {
        let mut cost = self.cost(&it.range).plus(self.cost(&it.init));
        self.push_accumulator(it);
        let entries = self.entries(&it.range);
        let is_list = entries.map_or_else(
            || matches!(self.checked.type_of(&it.range), Type::List(_)),
            |entries| entries.is_list,
        );
        let (key, value) = (entries.map(|it| it.key), entries.map(|it| it.value));
        match &it.second {
            Some(second) => {
                self.push_variable(&it.variable, &it.range, if is_list { INDICES } else { KEYS }, key);
                self.push_variable(second, &it.range, if is_list { ITEMS } else { VALUES }, value);
            }
            None if is_list => self.push_variable(&it.variable, &it.range, ITEMS, value),
            None => self.push_variable(&it.variable, &it.range, KEYS, key),
        }
        let each = self.cost(&it.condition).plus(self.cost(&it.step));
        let step_entries = self.entries(&it.step);
        self.locals.truncate(self.locals.len() - 1 - usize::from(it.second.is_some()));
        cost = cost.plus(self.cost(&it.result));
        self.locals.pop();
        let count = self.size_or_unknown(&it.range);
        cost = cost.plus(count.times(each));
        match &it.init.kind {
            ExprKind::Literal(_) => {
                let size = self.size(&it.init);
                self.set_size(expr, size);
            }
            ExprKind::List(_) | ExprKind::Map(_) => {
                self.set_size(expr, Some(count));
                self.set_entries(expr, step_entries);
            }
            _ => {}
        }
        cost
    }

    fn set_size(&mut self, expr: &Expr, size: Option<Estimate>) {
        if size.is_some() {
            self.sizes[expr.id] = size;
        }
    }

    fn set_entries(&mut self, expr: &Expr, entries: Option<Entries>) {
        if entries.is_some() {
            self.entries[expr.id] = entries;
        }
    }

    fn entries(&self, expr: &Expr) -> Option<Entries> {
        self.entries[expr.id].or_else(|| match &expr.kind {
            ExprKind::Ident(name) => self.local(name)?.entries,
            _ => None,
        })
    }

    fn size_or_unknown(&mut self, expr: &Expr) -> Estimate {
        self.size(expr).unwrap_or(Estimate::UNKNOWN)
    }

    fn size(&mut self, expr: &Expr) -> Option<Estimate> {
        if let Some(size) = self.sizes[expr.id].or_else(|| written_size(expr)) {
            return Some(size);
        }
        if let Some(size) = self.data_size(self.path(expr).as_ref()) {
            self.sizes[expr.id] = Some(size);
            return Some(size);
        }
        if is_scalar(self.checked.type_of(expr)) {
            return Some(ONE);
        }
        match &expr.kind {
            ExprKind::Ident(name) => self.local(name)?.size,
            _ => None,
        }
    }

    /// The size that the schema allows at the end of a path. The first step is taken for `self`, whatever it is.
    fn data_size(&self, path: Option<&Arc<Step>>) -> Option<Estimate> {
        let max = self.declared(path?)?.max_elements();
        Some(Estimate { min: 0, max })
    }

    fn declared(&self, step: &Step) -> Option<&Declaration> {
        let Some(before) = &step.before else { return self.root };
        let parent = self.declared(before)?;
        match &*step.name {
            ITEMS | VALUES => parent.element(),
            KEYS => parent.key(),
            name => parent.field(name).or_else(|| parent.selected()),
        }
    }
}

/// The size of what is written out.
fn written_size(expr: &Expr) -> Option<Estimate> {
    let size = match &expr.kind {
        ExprKind::Literal(Literal::String(text)) => text.chars().count(),
        ExprKind::Literal(Literal::Bytes(bytes)) => bytes.len(),
        ExprKind::Literal(_) => 1,
        ExprKind::List(elements) => elements.len(),
        ExprKind::Map(entries) => entries.len(),
        _ => return None,
    };
    Some(Estimate::fixed(size as u64))
}

fn is_scalar(kind: &Type) -> bool {
    match kind {
        Type::Bool | Type::Double | Type::Duration | Type::Int | Type::Timestamp | Type::Uint => true,
        other => other.unwrap_optional().is_some_and(is_scalar),
    }
}
