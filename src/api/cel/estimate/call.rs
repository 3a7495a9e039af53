//! What calls cost at least and at most, and how large their results are. The numbers are those of [`estimate`](super)'s sources.

use super::{Estimator, ITEMS, ONE, Path, VALUES, step};
use crate::api::cel::ast::{ACCUMULATOR, Expr, ExprKind, LEGACY_ACCUMULATOR, Literal};
use crate::api::cel::call_cost::{
    AUTHORIZATION, AUTHORIZER, COMPARED, PER_REQUIREMENT, REQUIREMENTS_PER_CHARACTER,
};
use crate::api::cel::cost::{Estimate, NEW_LIST, PER_CHARACTER, PER_REGEX_CHARACTER};
use crate::api::cel::library::MOST_INCLUDED;
use crate::api::cel::types::Type;

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

/// The longest regular expression of a named format. Source: `pkg/cel/limits.go` of `k8s.io/apiserver` (1.36).
const LONGEST_FORMAT_REGEX: f64 = 128.0;
/// The longest name of a format. Source: as above.
const LONGEST_FORMAT: u64 = 64;

impl Estimator<'_> {
    pub(super) fn call(&mut self, expr: &Expr, target: Option<&Expr>, args: &[Expr]) -> Estimate {
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
        let hidden = matches!(&*first.name, ACCUMULATOR | LEGACY_ACCUMULATOR);
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
