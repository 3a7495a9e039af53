//! What an expression costs at least and at most, before anything is evaluated.
//!
//! Source: `checker/cost.go`, `ext/lists.go` and `ext/sets.go` of `cel-go` v0.26, and `pkg/cel/library/cost.go` of
//! `k8s.io/apiserver` (1.36). Whether a rule may be written depends on these numbers, so they are cel-go's to the
//! unit, oddities included.

use std::sync::Arc;

use super::ast::{Comprehension, Element, Entry, Expr, ExprKind, Literal};
use super::check::Checked;
use super::cost::{Estimate, NEW_LIST, NEW_MAP, NEW_OBJECT, PER_CHARACTER, PER_REGEX_CHARACTER, SELECT};
use super::functions::Registry;
use super::library::MOST_INCLUDED;
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

/// What a call costs beside its arguments, and how large its result is.
struct Call {
    cost: Estimate,
    /// Whether the cost is all there is, the arguments' included.
    whole: bool,
    size: Option<Estimate>,
}

impl Call {
    fn costs(cost: Estimate) -> Self {
        Self { cost, whole: false, size: None }
    }

    fn sized(mut self, size: Estimate) -> Self {
        self.size = Some(size);
        self
    }
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

    fn call(&mut self, expr: &Expr, target: Option<&Expr>, args: &[Expr]) -> Estimate {
        let checked = self.checked;
        let Some((name, chosen, namespaced)) = checked.function(expr) else { return Estimate::fixed(0) };
        if name == "dyn"
            && let [arg] = args
        {
            let cost = self.cost(arg);
            let (size, entries) = (self.size(arg), self.entries(arg));
            self.set_size(expr, size);
            self.set_entries(expr, entries);
            return ONE.plus(cost);
        }
        let mut costs = Vec::with_capacity(args.len());
        for arg in args {
            let cost = self.cost(arg);
            self.size(arg);
            costs.push(cost);
        }
        let target = target.filter(|_| !namespaced);
        let target_cost = target.map_or(Estimate::fixed(0), |target| self.cost(target));
        let sum = costs.iter().fold(Estimate::fixed(0), |sum, cost| sum.plus(*cost));
        let mut cost = Estimate::NONE;
        let mut size: Option<Estimate> = None;
        let registry = self.registry;
        for overload in chosen {
            let id = match registry.get(name) {
                Some(overloads) => overloads[*overload].id,
                None => continue,
            };
            let call = self.overload(expr, (name, id), target, args, &costs);
            cost = cost.union(if call.whole { call.cost } else { call.cost.plus(sum) });
            size = match (size, call.size) {
                (Some(size), Some(other)) => Some(size.union(other)),
                (size, other) => size.or(other),
            };
            let element = match id {
                "index_list" => Some(ITEMS),
                "index_map" => Some(VALUES),
                _ => None,
            };
            if let (Some(element), Some(container)) = (element, args.first()) {
                size = self.entries(container).map(|it| it.value);
                self.paths[expr.id] = step(self.path(container), element);
            }
            if size.is_none() {
                size = self.size(expr);
            }
        }
        self.set_size(expr, size);
        target_cost.plus(cost)
    }

    /// The size of an argument as Kubernetes' libraries see it: what is computed, or the schema's.
    fn argument(&mut self, expr: &Expr) -> Estimate {
        self.size_or_unknown(expr)
    }

    fn overload(
        &mut self,
        expr: &Expr,
        (name, id): (&str, &str),
        target: Option<&Expr>,
        args: &[Expr],
        costs: &[Estimate],
    ) -> Call {
        self.extension(id, target, args)
            .or_else(|| self.kubernetes((name, id), target, args))
            .or_else(|| self.standard(expr, id, target, args, costs))
            .unwrap_or_else(|| Call::costs(ONE))
    }

    /// cel-go's libraries of lists and sets.
    fn extension(&mut self, id: &str, target: Option<&Expr>, args: &[Expr]) -> Option<Call> {
        let new_list = |factor: f64, size: Estimate| {
            Call::costs(size.scaled(factor).plus(ONE).plus(Estimate::fixed(NEW_LIST))).sized(size)
        };
        match (id, target, args) {
            ("list_slice", Some(list), [start, end]) => {
                let longest = self.argument(list).max;
                let length = written_int(end, longest).wrapping_sub(written_int(start, 0));
                Some(new_list(1.0, Estimate::fixed(length)))
            }
            ("list_flatten", Some(list), []) => Some(new_list(1.0, self.argument(list))),
            ("list_flatten_int", Some(list), [depth]) => {
                #[expect(clippy::cast_precision_loss, reason = "as cel-go counts")]
                let depth = written_int(depth, u64::MAX) as f64;
                Some(new_list(depth, self.argument(list)))
            }
            ("lists_range", None, [count]) => {
                Some(new_list(1.0, Estimate::fixed(written_int(count, u64::MAX))))
            }
            ("list_reverse", Some(list), []) => Some(new_list(1.0, self.argument(list))),
            ("list_distinct", Some(list), []) => {
                let size = self.argument(list);
                Some(new_list(2.0, size.times(size)))
            }
            (_, Some(list), keys) if id.ends_with("_sort") || id.ends_with("_sortByAssociatedKeys") => {
                let size = self.argument(keys.first().unwrap_or(list));
                let text = id.starts_with("list_string_") || id.starts_with("list_bytes_");
                let factor = if text { 2.0 + PER_CHARACTER } else { 2.0 };
                Some(new_list(factor, size.times(size)))
            }
            (
                "list_sets_contains_list" | "list_sets_intersects_list" | "list_sets_equivalent_list",
                _,
                [a, b],
            ) => {
                let factor = if id == "list_sets_equivalent_list" { 2.0 } else { 1.0 };
                let pairs = self.argument(a).times(self.argument(b));
                Some(Call::costs(pairs.scaled(factor).plus(ONE)))
            }
            _ => None,
        }
    }

    /// The size of a list's elements, and whether they are strings or bytes.
    fn elements(&mut self, list: &Expr) -> Option<(Estimate, bool)> {
        let Type::List(element) = self.checked.type_of(list) else {
            // Other types with parameters count by the first, as cel-go has it.
            return None;
        };
        let text = matches!(element[0], Type::String | Type::Bytes);
        let path = self.visible_path(list);
        let size = path.and_then(|path| self.data_size(step(Some(path), ITEMS).as_ref()));
        Some((size.unwrap_or(Estimate::UNKNOWN), text))
    }

    /// The path to data, unless it begins at an accumulator.
    fn visible_path(&self, expr: &Expr) -> Path {
        let path = self.path(expr)?;
        let mut first = &path;
        while let Some(before) = &first.before {
            first = before;
        }
        let hidden = matches!(&*first.name, super::ast::ACCUMULATOR | super::ast::LEGACY_ACCUMULATOR);
        (!hidden).then_some(path)
    }

    /// Kubernetes' own libraries, and those of cel-go whose costs Kubernetes says itself.
    fn kubernetes(&mut self, (name, id): (&str, &str), target: Option<&Expr>, args: &[Expr]) -> Option<Call> {
        let traversal = |size: Estimate| Call::costs(size.scaled(PER_CHARACTER));
        // Bytes of an address of either family.
        let address = Estimate { min: 4, max: 16 };
        match (name, target, args) {
            ("isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf", Some(list), _) => {
                let size = self.argument(list);
                Some(match self.elements(list) {
                    Some((element, true)) => Call::costs(size.times(ONE.plus(element.scaled(PER_CHARACTER)))),
                    Some((_, false)) => Call::costs(size),
                    None => traversal(size),
                })
            }
            ("url" | "jsonpatch.escapeKey", _, [text]) => {
                let size = self.argument(text);
                Some(traversal(size).sized(size))
            }
            ("lowerAscii" | "upperAscii" | "substring" | "trim", Some(text), _) => {
                let size = self.argument(text);
                Some(traversal(size).sized(size))
            }
            ("replace", Some(text), [old, new, ..]) => {
                let (size, old, new) = (self.argument(text), self.argument(old), self.argument(new));
                Some(Call::costs(size.scaled(2.0 * PER_CHARACTER)).sized(replaced(size, old, new)))
            }
            ("split", Some(text), _) => {
                let size = self.argument(text);
                let max = args.get(1).and_then(literal_int).map_or(size.max, i64::cast_unsigned);
                Some(Call::costs(size.scaled(2.0 * PER_CHARACTER)).sized(Estimate { min: 0, max }))
            }
            ("join", Some(list), _) => {
                let count = self.argument(list);
                let mut size = self.elements(list).map_or(Estimate::fixed(0), |(it, _)| count.times(it));
                if let Some(separator) = args.first() {
                    let between =
                        Estimate { min: count.min.saturating_sub(1), max: count.max.saturating_sub(1) };
                    size = size.plus(self.argument(separator).times(between));
                }
                Some(traversal(size).sized(size))
            }
            ("find" | "findAll", Some(text), [regex, ..]) => {
                let size = self.argument(text);
                let regex = self.argument(regex).scaled(PER_REGEX_CHARACTER);
                let cost = size.plus(ONE).scaled(PER_CHARACTER).times(regex);
                Some(Call::costs(cost).sized(Estimate { min: 0, max: size.max }))
            }
            ("check", ..) => Some(Call::costs(Estimate::fixed(AUTHORIZATION))),
            (name, ..) if AUTHORIZER.contains(&name) => Some(Call::costs(ONE)),
            ("fieldSelector" | "labelSelector", _, [selector]) => {
                let size = self.argument(selector);
                let requirements = size.scaled(REQUIREMENTS_PER_CHARACTER).scaled(PER_REQUIREMENT);
                let list = Estimate::fixed(NEW_LIST);
                Some(Call::costs(list.plus(size.scaled(PER_CHARACTER)).plus(requirements)))
            }
            ("includes", Some(_), [_]) => Some(Call::costs(Estimate { min: 0, max: MOST_INCLUDED })),
            ("ip", _, _) if id == "cidr_ip" => Some(Call::costs(ONE)),
            (
                "cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver" | "isSemver",
                _,
                [text, ..],
            ) => Some(traversal(self.argument(text))),
            ("ip.isCanonical", _, [text]) => {
                Some(Call::costs(self.argument(text).scaled(2.0 * PER_CHARACTER)))
            }
            ("containsIP" | "containsCIDR", _, [other]) => {
                let mut cost = address.plus(address).scaled(PER_CHARACTER);
                if name == "containsCIDR" {
                    cost = cost.plus(address.scaled(PER_CHARACTER)).plus(ONE);
                }
                if matches!(id, "cidr_contains_ip_string" | "cidr_contains_cidr_string") {
                    cost = cost.plus(self.argument(other).scaled(PER_CHARACTER));
                }
                Some(Call::costs(cost))
            }
            ("validate", _, [text]) => {
                let cost = self.argument(text).scaled(PER_CHARACTER);
                Some(Call::costs(cost.scaled(LONGEST_FORMAT_REGEX * PER_REGEX_CHARACTER)))
            }
            ("_==_", _, [left, right]) => self.kubernetes_equality(left, right),
            _ => None,
        }
    }

    fn kubernetes_equality(&mut self, left: &Expr, right: &Expr) -> Option<Call> {
        let checked = self.checked;
        let (left, other) = (checked.type_of(left), (right, checked.type_of(right)));
        if left != other.1 {
            return None;
        }
        match left {
            Type::Opaque(name, _) if matches!(&**name, "net.IP" | "net.CIDR") => Some(Call::costs(ONE)),
            Type::Object(name) => match &**name {
                "kubernetes.Quantity" | "kubernetes.Semver" => Some(Call::costs(ONE)),
                name if name.starts_with("kubernetes.authorization.") => Some(Call::costs(ONE)),
                "kubernetes.NamedFormat" => {
                    Some(Call::costs(Estimate { min: 1, max: LONGEST_FORMAT }.scaled(PER_CHARACTER)))
                }
                "kubernetes.URL" => {
                    let max = self.size(other.0).map_or(1, |size| size.max);
                    Some(Call::costs(Estimate { min: 1, max }.scaled(PER_CHARACTER)))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The language's own functions.
    fn standard(
        &mut self,
        expr: &Expr,
        id: &str,
        target: Option<&Expr>,
        args: &[Expr],
        costs: &[Estimate],
    ) -> Option<Call> {
        match (id, target, args) {
            ("string_format", Some(text), _) => {
                Some(Call::costs(self.size_or_unknown(text).scaled(PER_CHARACTER)))
            }
            ("string_to_bytes", _, [text]) => {
                let size = self.size_or_unknown(text);
                let result = Estimate { min: size.min, max: size.max.wrapping_mul(4) };
                Some(Call::costs(size.scaled(PER_CHARACTER)).sized(result))
            }
            ("bytes_to_string", _, [bytes]) => {
                let size = self.size_or_unknown(bytes);
                let result = Estimate { min: size.min / 4, max: size.max };
                Some(Call::costs(size.scaled(PER_CHARACTER)).sized(result))
            }
            ("strings_quote", _, [text]) => {
                let size = self.size_or_unknown(text);
                let max = size.max.wrapping_mul(2).wrapping_add(2);
                let result = Estimate { min: size.min.wrapping_add(2), max };
                Some(Call::costs(size.scaled(PER_CHARACTER)).sized(result))
            }
            ("starts_with_string" | "ends_with_string", _, [part]) => {
                Some(Call::costs(self.size_or_unknown(part).scaled(PER_CHARACTER)))
            }
            ("in_list", _, [_, list]) => Some(Call::costs(self.size_or_unknown(list).scaled(1.0))),
            ("matches_string", Some(text), [regex]) => {
                let text = self.size_or_unknown(text).plus(ONE).scaled(PER_CHARACTER);
                Some(Call::costs(text.times(self.size_or_unknown(regex).scaled(PER_REGEX_CHARACTER))))
            }
            ("contains_string", Some(text), [part]) => {
                let text = self.size_or_unknown(text).scaled(PER_CHARACTER);
                Some(Call::costs(text.times(self.size_or_unknown(part).scaled(PER_CHARACTER))))
            }
            ("logical_or" | "logical_and", _, _) => {
                // The second may not be looked at.
                let cost = Estimate { min: costs[0].min, max: costs[0].plus(costs[1]).max };
                Some(Call { cost, whole: true, size: None })
            }
            ("conditional", _, [_, truthy, falsy]) => {
                let size = self.size_or_unknown(truthy).union(self.size_or_unknown(falsy));
                let entries = self.entries(truthy).zip(self.entries(falsy));
                self.set_entries(expr, entries.map(|(truthy, falsy)| truthy.union(falsy)));
                let cost = costs[0].plus(costs[1].union(costs[2]));
                Some(Call { cost, whole: true, size: Some(size) })
            }
            ("add_string" | "add_bytes" | "add_list", _, [left, right]) => {
                let size = self.size_or_unknown(left).plus(self.size_or_unknown(right));
                let entries = self.entries(left).zip(self.entries(right));
                self.set_entries(expr, entries.map(|(left, right)| left.union(right)));
                let cost = if id == "add_list" { ONE } else { size.scaled(PER_CHARACTER) };
                Some(Call::costs(cost).sized(size))
            }
            ("equals" | "not_equals", _, [left, right]) => Some(self.compared(left, right)),
            (_, _, [left, right]) if COMPARED.contains(&id) => Some(self.compared(left, right)),
            _ => None,
        }
    }

    fn compared(&mut self, left: &Expr, right: &Expr) -> Call {
        let max = self.size_or_unknown(left).max.min(self.size_or_unknown(right).max);
        Call::costs(Estimate { min: u64::from(max > 0), max }.scaled(PER_CHARACTER))
    }
}

/// What it costs to ask an authorizer: two questions in one call. Source: `pkg/cel/library/cost.go` of
/// `k8s.io/apiserver` (1.36), as for what follows.
pub(super) const AUTHORIZATION: u64 = 350_000;
/// What says what an authorizer is asked, or what it answered.
pub(super) const AUTHORIZER: [&str; 11] = [
    "serviceAccount",
    "path",
    "group",
    "resource",
    "subresource",
    "namespace",
    "name",
    "allowed",
    "reason",
    "error",
    "errored",
];
/// The shortest requirement of a selector is two characters long.
pub(super) const REQUIREMENTS_PER_CHARACTER: f64 = 0.5;
/// What each requirement of a selector costs: a list and an object.
pub(super) const PER_REQUIREMENT: f64 = (NEW_LIST + NEW_OBJECT) as f64;

/// Comparisons that look at every character.
pub(super) const COMPARED: [&str; 8] = [
    "less_string",
    "greater_string",
    "less_equals_string",
    "greater_equals_string",
    "less_bytes",
    "greater_bytes",
    "less_equals_bytes",
    "greater_equals_bytes",
];

/// The longest regular expression of a named format. Source: `pkg/cel/limits.go` of `k8s.io/apiserver` (1.36).
const LONGEST_FORMAT_REGEX: f64 = 128.0;
/// The longest name of a format. Source: as above.
const LONGEST_FORMAT: u64 = 64;

/// How large a string becomes in which `old` is replaced.
fn replaced(size: Estimate, old: Estimate, new: Estimate) -> Estimate {
    let mut count = Estimate::fixed(0);
    let mut kept = Estimate::fixed(0);
    // At most: the shortest possible parts by the longest replacement. An empty part is around every character.
    if old.min == 0 {
        count.max = size.max.saturating_add(1);
        kept.max = size.max;
    } else if new.max <= old.min {
        kept.max = size.max;
    } else {
        count.max = ratio(size.max, old.min);
    }
    // At least: the longest possible parts by the shortest replacement.
    if old.max == 0 {
        count.min = size.min.saturating_add(1);
        kept.min = size.min;
    } else if old.max <= new.min {
        kept.min = size.min;
    } else {
        count.min = ratio(size.min, old.max);
    }
    count.times(new).plus(kept)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "as cel-go counts; it saturates"
)]
fn ratio(of: u64, to: u64) -> u64 {
    (of as f64 / to as f64).ceil() as u64
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

fn literal_int(expr: &Expr) -> Option<i64> {
    match expr.kind {
        ExprKind::Literal(Literal::Int(number)) => Some(number),
        _ => None,
    }
}

/// A number that is written out, at least 0, or else the default.
fn written_int(expr: &Expr, default: u64) -> u64 {
    literal_int(expr).map_or(default, |number| u64::try_from(number).unwrap_or(0))
}
