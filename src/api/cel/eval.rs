//! Evaluation: a plan, some data and a meter, and what comes of them.
//!
//! Every step is charged where cel-go observes it, so that costs agree to the unit. Source:
//! `interpreter/interpretable.go`, `interpreter/attributes.go` and `interpreter/runtimecost.go` of `cel-go` v0.26.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Fault;
use super::call_cost::CallCost;
use super::cost::{NEW_LIST, NEW_MAP, NEW_OBJECT, SELECT};
use super::library::{Regex, Regexes};
use super::meter::{Meter, STEP};
use super::plan::{Attribute, Call, Callee, Fold, Node, Qualifier, QualifierKey, Root};
use super::stack::deep;
use super::value::{Builder, Joining, Key, List, Map, Object, Value, equal, index, insert, show};

/// What an evaluation, or a part of one, comes to.
pub(super) type Eval<'a> = Result<Value<'a>, Fault>;

/// What functions are given beside their arguments.
pub(super) struct Scope<'a, 'm> {
    pub(super) meter: &'m mut Meter,
    regexes: Regexes,
    /// The regular expression of a call whose pattern is written out.
    written: Option<&'a Regex>,
}

impl Scope<'_, '_> {
    /// The regular expression of a pattern.
    pub(super) fn regex(&mut self, pattern: &str) -> Result<Arc<Regex>, Fault> {
        self.regexes.get(pattern, self.meter)
    }

    /// Calls `with` with the regular expression of a pattern, which may be one written out.
    pub(super) fn with_regex<T>(
        &mut self,
        pattern: &str,
        with: impl FnOnce(&Regex, &mut Meter) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        match self.written {
            Some(regex) => with(regex, self.meter),
            None => with(&*self.regex(pattern)?, self.meter),
        }
    }
}

/// The place of a variable of a comprehension.
enum Slot<'a> {
    Empty,
    /// An accumulator that nobody has asked for yet.
    Lazy(&'a Node),
    Ready(Eval<'a>),
}

struct Run<'a, 'm> {
    variables: &'m [Option<Eval<'a>>],
    slots: Vec<Slot<'a>>,
    scope: Scope<'a, 'm>,
}

/// Evaluates a plan with as many slots, with the variables of its environment in their order.
pub(super) fn evaluate<'a>(
    node: &'a Node,
    slots: usize,
    variables: &[Option<Eval<'a>>],
    meter: &mut Meter,
) -> Eval<'a> {
    let slots = (0..slots).map(|_| Slot::Empty).collect();
    let scope = Scope { meter, regexes: Regexes::default(), written: None };
    Run { variables, slots, scope }.eval(node)
}

/// Calls a function once, with constants.
pub(super) fn call(callee: &Callee, args: &[Value<'static>]) -> Eval<'static> {
    let mut meter = Meter::new(CONSTANT_LIMIT);
    let scope = Scope { meter: &mut meter, regexes: Regexes::default(), written: None };
    Run { variables: &[], slots: Vec::new(), scope }.invoke(callee, args)
}

/// What a call with constants may cost: none is long enough to need more.
const CONSTANT_LIMIT: u64 = 1_000_000;

impl<'a> Run<'a, '_> {
    fn eval(&mut self, node: &'a Node) -> Eval<'a> {
        match node {
            Node::Constant(value) => Ok(value.clone()),
            node => deep(|| self.step_into(node)),
        }
    }

    fn step_into(&mut self, node: &'a Node) -> Eval<'a> {
        match node {
            Node::Constant(value) => Ok(value.clone()),
            Node::Attribute(attribute) => self.attribute(attribute),
            Node::Logic { terms, absorbing } => self.logic(terms, *absorbing),
            Node::Equal { left, right, negated } => self.equality(left, right, *negated),
            Node::Call(call) => self.call(call),
            Node::List(elements) => {
                let list = self.list(elements);
                self.after(NEW_LIST, list)
            }
            Node::Map(entries) => {
                let map = self.map(entries);
                self.after(NEW_MAP, map)
            }
            Node::Object { name, fields } => {
                let object = self.object(name, fields);
                self.after(NEW_OBJECT, object)
            }
            Node::Fold(fold) => self.fold(fold),
            Node::InSet { value, set } => {
                let value = self.eval(value)?;
                self.scope.meter.look(value.bulk())?;
                let Some(key) = Key::of(&value) else { return Ok(Value::Bool(false)) };
                let alike = || key.alike().into_iter().chain([key.as_double()]).flatten();
                Ok(Value::Bool(set.contains(&key) || alike().any(|it| set.contains(&it))))
            }
            Node::Or { left, right, unwrap } => match self.eval(left)? {
                Value::Optional(None) => self.eval(right),
                Value::Optional(Some(value)) if *unwrap => Ok((*value).clone()),
                other => Ok(other),
            },
            Node::Append { slot, list } => self.append(*slot, list),
            Node::Insert { slot, key, value } => self.insert(*slot, key.as_deref(), value),
        }
    }

    fn charge(&mut self, units: u64) -> Result<(), Fault> {
        self.scope.meter.charge(units)
    }

    /// The outcome, once the step that had it is charged. It is charged whatever the outcome is.
    fn after<T>(&mut self, units: u64, outcome: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(fault) = &outcome
            && !fault.is_error()
        {
            return outcome;
        }
        self.charge(units)?;
        outcome
    }

    fn attribute(&mut self, attribute: &'a Attribute) -> Eval<'a> {
        let resolved = self.resolve(attribute);
        let free = attribute.test || matches!(attribute.root, Root::Conditional(..));
        let resolved = self.after(if free { 0 } else { SELECT }, resolved)?;
        match resolved {
            Value::Optional(value) if attribute.test => Ok(Value::Bool(value.is_some())),
            other => Ok(other),
        }
    }

    fn slot(&mut self, slot: usize) -> Eval<'a> {
        if let Slot::Lazy(init) = self.slots[slot] {
            let value = self.eval(init);
            if let Err(fault) = &value
                && !fault.is_error()
            {
                return value;
            }
            self.slots[slot] = Slot::Ready(value);
        }
        match &self.slots[slot] {
            Slot::Ready(value) => value.clone(),
            Slot::Empty | Slot::Lazy(_) => Err(Fault::error("no such attribute(s)")),
        }
    }

    fn resolve(&mut self, attribute: &'a Attribute) -> Eval<'a> {
        let root = match &attribute.root {
            Root::Variable(index, name) => match self.variables.get(*index) {
                Some(Some(value)) => value.clone()?,
                _ => return Err(Fault::error(format!("no such attribute(s): {name}"))),
            },
            Root::Local(slot) => self.slot(*slot)?,
            Root::Relative(node) => self.eval(node)?,
            Root::Conditional(branches) => {
                let (condition, truthy, falsy) = &**branches;
                return match self.eval(condition)? {
                    Value::Bool(true) => self.resolve(truthy),
                    Value::Bool(false) => self.resolve(falsy),
                    _ => Err(Fault::no_overload()),
                };
            }
        };
        self.qualified(root, &attribute.qualifiers)
    }

    /// What the qualifiers select, one from the other. From an optional value, and behind an optional qualifier,
    /// an optional one is selected.
    fn qualified(&mut self, root: Value<'a>, qualifiers: &'a [Qualifier]) -> Eval<'a> {
        let (mut value, mut optional) = match root {
            Value::Optional(None) => return Ok(root),
            Value::Optional(Some(value)) => ((*value).clone(), true),
            other => (other, false),
        };
        for qualifier in qualifiers {
            optional |= qualifier.optional;
            let found = match &qualifier.key {
                QualifierKey::Constant(key) => self.find(&value, key, optional || qualifier.test),
                QualifierKey::Attribute(attribute) => self
                    .resolve(attribute)
                    .and_then(|key| self.find(&value, &key, optional || qualifier.test)),
            };
            // Behind an optional one, only what is there is charged.
            let found = match found {
                Ok(None) if optional => return Ok(Value::Optional(None)),
                Err(fault) if optional => return Err(fault),
                found => found,
            };
            let found = self.after(SELECT, found)?;
            value = match found {
                _ if qualifier.test && !optional => Value::Bool(found.is_some()),
                Some(_) if qualifier.test => Value::Null,
                Some(found) => found,
                None => return Ok(Value::Optional(None)),
            };
        }
        Ok(if optional { Value::some(value) } else { value })
    }

    /// What is under a key or at an index. Where it is not there: nothing if that is `fine`, else an error.
    fn find(&mut self, of: &Value<'a>, key: &Value<'a>, fine: bool) -> Result<Option<Value<'a>>, Fault> {
        self.scope.meter.look(key.bulk())?;
        match of {
            Value::Map(map) => match map.find(key)?.or_else(|| map.absent()) {
                None if !fine => Err(Fault::error(format!("no such key: {}", show(key)))),
                found => Ok(found),
            },
            Value::List(list) => match usize::try_from(index(key)?) {
                Ok(index) if index < list.len() => list.get(index).map(Some),
                _ if fine => Ok(None),
                _ => Err(Fault::error(format!("index out of bounds: {}", show(key)))),
            },
            Value::Object(object) => object.find(key, fine),
            _ if fine => Ok(None),
            _ => Err(Fault::error(format!("no such key: {}", show(key)))),
        }
    }

    /// `&&` and `||`: one term that decides absorbs the errors of the others.
    fn logic(&mut self, terms: &'a [Node; 2], absorbing: bool) -> Eval<'a> {
        let mut error = None;
        for term in terms {
            match self.eval(term) {
                Ok(Value::Bool(truth)) if truth == absorbing => return Ok(Value::Bool(absorbing)),
                Ok(Value::Bool(_)) => {}
                Ok(_) => error = error.or_else(|| Some(Fault::no_overload())),
                Err(fault) if fault.is_error() => error = error.or(Some(fault)),
                Err(fault) => return Err(fault),
            }
        }
        error.map_or(Ok(Value::Bool(!absorbing)), Err)
    }

    /// The outcomes of two operands, both of which are looked at, and then the first error.
    fn both(&mut self, left: &'a Node, right: &'a Node) -> Result<[Eval<'a>; 2], Fault> {
        let mut operands = [Ok(Value::Null), Ok(Value::Null)];
        for (operand, node) in operands.iter_mut().zip([left, right]) {
            *operand = self.eval(node);
            if let Err(fault) = operand
                && !fault.is_error()
            {
                return Err(fault.clone());
            }
        }
        Ok(operands)
    }

    fn equality(&mut self, left: &'a Node, right: &'a Node, negated: bool) -> Eval<'a> {
        let operands = self.both(left, right)?;
        let cost = if negated { CallCost::Shorter } else { CallCost::Equal };
        let units = cost.units(&operands, self.scope.meter)?;
        let outcome = match &operands {
            [Ok(left), Ok(right)] => {
                self.scope.meter.affords(units)?;
                equal(left, right, self.scope.meter).map(|same| Value::Bool(same != negated))
            }
            [Err(fault), _] | [_, Err(fault)] => Err(fault.clone()),
        };
        // What cannot be compared is not equal.
        let outcome = match outcome {
            Err(fault) if negated && fault.is_error() && operands.iter().all(Result::is_ok) => {
                Ok(Value::Bool(true))
            }
            other => other,
        };
        self.after(units, outcome)
    }

    fn call(&mut self, call: &'a Call) -> Eval<'a> {
        let mut args = Vec::with_capacity(call.args.len());
        for (index, arg) in call.args.iter().enumerate() {
            let arg = self.eval(arg);
            // A call of many, or one that is found when it is made, ends at the first error. It has its cost where
            // all arguments were looked at.
            let early = (call.args.len() > 2 || call.eager) && index + 1 < call.args.len();
            match &arg {
                Err(fault) if !fault.is_error() || early => return arg,
                _ => args.push(arg),
            }
        }
        let before = call.cost.units(&args, self.scope.meter)?;
        self.scope.meter.affords(before)?;
        let outcome = match args.iter().find_map(|arg| arg.as_ref().err()) {
            Some(fault) => Err(fault.clone()),
            None => {
                let values: Vec<Value<'a>> = args.iter().filter_map(|arg| arg.clone().ok()).collect();
                self.scope.written = call.regex.as_ref();
                let outcome = self.invoke(&call.callee, &values);
                self.scope.written = None;
                outcome
            }
        };
        let units = call.cost.with_result(before, &outcome, self.scope.meter)?;
        self.after(units, outcome)
    }

    fn invoke(&mut self, callee: &Callee, args: &[Value<'a>]) -> Eval<'a> {
        match callee {
            Callee::One(run) => run(&mut self.scope, args),
            Callee::Any(candidates) => {
                let fits = candidates.iter().find(|(parameters, _)| {
                    parameters.len() == args.len()
                        && parameters.iter().zip(args).all(|(parameter, arg)| accepts(parameter, arg))
                });
                match fits {
                    Some((_, run)) => run(&mut self.scope, args),
                    None => Err(Fault::no_overload()),
                }
            }
        }
    }

    fn list(&mut self, elements: &'a [(Node, bool)]) -> Eval<'a> {
        self.scope.meter.make_values(elements.len())?;
        let mut values = Vec::with_capacity(elements.len());
        for (node, optional) in elements {
            match self.eval(node)? {
                value if !*optional => values.push(value),
                Value::Optional(value) => values.extend(value.map(|value| (*value).clone())),
                other => {
                    let shown = show(&other);
                    let message = "cannot initialize optional list element from non-optional value";
                    return Err(Fault::error(format!("{message} {shown}")));
                }
            }
        }
        Ok(Value::List(List::of(values)))
    }

    fn map(&mut self, entries: &'a [(Node, Node, bool)]) -> Eval<'a> {
        self.scope.meter.make_values(entries.len().saturating_mul(2))?;
        let mut map = Builder::default();
        for (key, value, optional) in entries {
            let key = self.eval(key)?;
            let value = self.eval(value)?;
            self.scope.meter.make(key.bulk())?;
            match value {
                value if !*optional => map.set(&key, value)?,
                Value::Optional(Some(value)) => map.set(&key, (*value).clone())?,
                Value::Optional(None) => map.unset(&key)?,
                other => {
                    let (key, value) = (show(&key), show(&other));
                    let message =
                        format!("cannot initialize optional entry '{key}' from non-optional value {value}");
                    return Err(Fault::error(message));
                }
            }
        }
        map.done()
    }

    fn object(&mut self, name: &'a Arc<str>, fields: &'a [(Arc<str>, Node, bool)]) -> Eval<'a> {
        self.scope.meter.make_values(fields.len())?;
        let mut made = BTreeMap::new();
        for (field, node, optional) in fields {
            match self.eval(node)? {
                value if !*optional => drop(made.insert(field.clone(), value)),
                Value::Optional(Some(value)) => drop(made.insert(field.clone(), (*value).clone())),
                Value::Optional(None) => drop(made.remove(field)),
                other => {
                    let shown = show(&other);
                    let message =
                        format!("cannot initialize optional entry '{field}' from non-optional value {shown}");
                    return Err(Fault::error(message));
                }
            }
        }
        Object::of(name.clone(), made).map(Value::Object)
    }

    fn fold(&mut self, fold: &'a Fold) -> Eval<'a> {
        let range = self.eval(&fold.range)?;
        self.slots[fold.accumulator] = Slot::Lazy(&fold.init);
        match range {
            Value::List(list) => {
                for index in 0..list.len() {
                    let element = list.get(index);
                    let first = match fold.second {
                        Some(second) => {
                            self.slots[second] = Slot::Ready(element);
                            Ok(Value::Int(i64::try_from(index).unwrap_or(i64::MAX)))
                        }
                        None => element,
                    };
                    self.slots[fold.variable] = Slot::Ready(first);
                    if !self.step(fold)? {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                for key in map.keys(self.scope.meter)? {
                    if let Some(second) = fold.second {
                        self.slots[second] = Slot::Ready(map.find(&key).map(|it| it.unwrap_or(Value::Null)));
                    }
                    self.slots[fold.variable] = Slot::Ready(Ok(key));
                    if !self.step(fold)? {
                        break;
                    }
                }
            }
            other => {
                let kind = other.kind();
                return Err(Fault::error(format!("got '{}', expected iterable type", kind.name())));
            }
        }
        let result = self.eval(&fold.result);
        // What the fold held may be large.
        self.slots[fold.accumulator] = Slot::Empty;
        result
    }

    /// One turn of a fold; whether there may be another.
    fn step(&mut self, fold: &'a Fold) -> Result<bool, Fault> {
        self.scope.meter.look(STEP)?;
        match self.eval(&fold.condition) {
            Ok(Value::Bool(false)) => return Ok(false),
            Err(fault) if !fault.is_error() => return Err(fault),
            _ => {}
        }
        let next = self.eval(&fold.step);
        if let Err(fault) = &next
            && !fault.is_error()
        {
            return Err(fault.clone());
        }
        self.slots[fold.accumulator] = Slot::Ready(next);
        Ok(true)
    }

    /// `accumulator + [element]`, in place.
    fn append(&mut self, slot: usize, list: &'a Node) -> Eval<'a> {
        let so_far = self.slot(slot);
        let so_far = self.after(SELECT, so_far);
        if let Err(fault) = &so_far
            && !fault.is_error()
        {
            return so_far;
        }
        let more = self.eval(list);
        if let Err(fault) = &more
            && !fault.is_error()
        {
            return more;
        }
        let outcome = match (so_far, more) {
            (Ok(Value::List(so_far)), Ok(Value::List(more))) => {
                // Only the fold itself may hold it now.
                self.slots[slot] = Slot::Empty;
                self.appended(so_far, &more)
            }
            (Err(fault), _) | (_, Err(fault)) => Err(fault),
            _ => Err(Fault::no_overload()),
        };
        self.after(1, outcome)
    }

    fn appended(&mut self, so_far: List<'a>, more: &List<'a>) -> Eval<'a> {
        self.scope.meter.make_values(more.len())?;
        let mut values = match so_far {
            List::Values(values, Joining::Plain) => values,
            other => Arc::new(other.values(self.scope.meter)?),
        };
        if Arc::get_mut(&mut values).is_none() {
            self.scope.meter.make_values(values.len())?;
        }
        let vec = Arc::make_mut(&mut values);
        for value in more.iter() {
            vec.push(value?);
        }
        Ok(Value::List(List::Values(values, Joining::Plain)))
    }

    /// The accumulator with an entry more, or with all entries of a map.
    fn insert(&mut self, slot: usize, key: Option<&'a Node>, value: &'a Node) -> Eval<'a> {
        let so_far = self.slot(slot);
        let so_far = self.after(SELECT, so_far)?;
        let key = key.map(|key| self.eval(key)).transpose()?;
        let value = match self.eval(value) {
            Ok(value) => value,
            // All was looked at, so that the call has its cost.
            Err(fault) => return self.after(1, Err(fault)),
        };
        self.slots[slot] = Slot::Empty;
        let outcome = match (so_far, key, value) {
            (Value::Map(map), Some(key), value) => insert(map, &key, value, self.scope.meter),
            (Value::Map(map), None, Value::Map(more)) => self.merged(map, &more),
            _ => Err(Fault::no_overload()),
        };
        self.after(1, outcome.map(Value::Map))
    }

    fn merged(&mut self, mut map: Map<'a>, more: &Map<'a>) -> Result<Map<'a>, Fault> {
        for key in more.keys(self.scope.meter)? {
            if let Some(value) = more.find(&key)? {
                map = insert(map, &key, value, self.scope.meter)?;
            }
        }
        Ok(map)
    }
}

/// Whether a value may be given for a parameter: of lists and maps, the first element says.
fn accepts(parameter: &super::types::Type, value: &Value<'_>) -> bool {
    use super::types::Type;
    match (parameter, value) {
        (Type::Dyn | Type::Variable(_), _) => true,
        (Type::List(element), Value::List(list)) => {
            list.len() == 0 || list.get(0).is_ok_and(|first| accepts(&element[0], &first))
        }
        (Type::Map(_), Value::Map(_)) => true,
        (Type::Type(_), Value::Type(_)) => true,
        (parameter, value) => parameter.name() == value.kind().name(),
    }
}
