//! From a checked tree to what is evaluated: names become places, constants are worked out, and lists and maps
//! that folds make grow in place.
//!
//! What is worked out here costs nothing later, as in cel-go. Source: `interpreter/planner.go` and
//! `interpreter/decorators.go` of `cel-go` v0.26.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ast::{ACCUMULATOR, Comprehension, Expr, ExprKind, Literal};
use super::call_cost::CallCost;
use super::check::{Checked, Meaning};
use super::eval;
use super::functions::{Native, Overload, Registry};
use super::library::{self, Regex};
use super::stack::deep;
use super::types::Type;
use super::value::{Builder, Key, List, Octets, Text, Value};

/// A step of an evaluation.
pub(super) enum Node {
    Constant(Value<'static>),
    Attribute(Box<Attribute>),
    /// `&&`, which `false` absorbs, or `||`, which `true` does.
    Logic {
        terms: Box<[Node; 2]>,
        absorbing: bool,
    },
    Equal {
        left: Box<Node>,
        right: Box<Node>,
        negated: bool,
    },
    Call(Box<Call>),
    /// Elements, and whether each is optional.
    List(Box<[(Node, bool)]>),
    /// Keys and values, and whether each is optional.
    Map(Box<[(Node, Node, bool)]>),
    /// The name of a type, and fields, with whether each is optional.
    Object {
        name: Arc<str>,
        fields: Box<[(Arc<str>, Node, bool)]>,
    },
    Fold(Box<Fold>),
    /// `value in [..]` where the list is written out.
    InSet {
        value: Box<Node>,
        set: BTreeSet<Key>,
    },
    /// `or`, or `orValue`, which unwraps.
    Or {
        left: Box<Node>,
        right: Box<Node>,
        unwrap: bool,
    },
    /// An accumulator with a list at its end.
    Append {
        slot: usize,
        list: Box<Node>,
    },
    /// An accumulator with an entry, or the entries of a map, more.
    Insert {
        slot: usize,
        key: Option<Box<Node>>,
        value: Box<Node>,
    },
}

/// A value and what is selected from it.
pub(super) struct Attribute {
    pub(super) root: Root,
    pub(super) qualifiers: Vec<Qualifier>,
    /// Whether it is only asked whether the last of them is there.
    pub(super) test: bool,
}

/// Where an attribute begins.
pub(super) enum Root {
    /// A variable of the environment.
    Variable(usize, Arc<str>),
    /// A variable of a comprehension.
    Local(usize),
    Relative(Node),
    /// Either, by a condition; the qualifiers are the branches' own.
    Conditional(Box<(Node, Attribute, Attribute)>),
}

/// One selection.
#[derive(Clone)]
pub(super) struct Qualifier {
    pub(super) key: QualifierKey,
    pub(super) optional: bool,
    pub(super) test: bool,
}

/// A field, an index or a key.
#[derive(Clone)]
pub(super) enum QualifierKey {
    Constant(Value<'static>),
    Attribute(Arc<Attribute>),
}

/// A call of a function.
pub(super) struct Call {
    pub(super) callee: Callee,
    pub(super) args: Vec<Node>,
    pub(super) cost: CallCost,
    /// Whether an error among the arguments ends it at once.
    pub(super) eager: bool,
    /// The pattern, where it is written out.
    pub(super) regex: Option<Regex>,
}

/// Which implementation is called.
pub(super) enum Callee {
    One(Native),
    /// The first whose parameters the arguments fit.
    Any(Vec<(Vec<Type>, Native)>),
}

/// A comprehension, with its variables' slots.
pub(super) struct Fold {
    pub(super) range: Node,
    pub(super) variable: usize,
    pub(super) second: Option<usize>,
    pub(super) accumulator: usize,
    pub(super) init: Node,
    pub(super) condition: Node,
    pub(super) step: Node,
    pub(super) result: Node,
}

/// Plans a checked tree. Returns the plan and its slots, or why no program can be made, in cel-go's words.
pub(super) fn plan(
    tree: &Expr,
    checked: &Checked,
    registry: &Registry,
    variables: &[(String, Type)],
) -> Result<(Node, usize), String> {
    let mut planner = Planner { checked, registry, variables, locals: Vec::new(), slots: 0 };
    let node = planner.node(tree)?;
    Ok((node, planner.slots))
}

struct Planner<'p> {
    checked: &'p Checked,
    registry: &'p Registry,
    variables: &'p [(String, Type)],
    locals: Vec<(Arc<str>, usize)>,
    slots: usize,
}

impl Planner<'_> {
    fn node(&mut self, expr: &Expr) -> Result<Node, String> {
        deep(|| self.plan(expr))
    }

    fn plan(&mut self, expr: &Expr) -> Result<Node, String> {
        match &expr.kind {
            ExprKind::Literal(literal) => Ok(Node::Constant(constant(literal))),
            ExprKind::Ident(name) => self.name(expr, name),
            ExprKind::Select { .. } if *self.checked.meaning(expr) != Meaning::Plain => {
                self.name(expr, &expr.qualified_name().unwrap_or_default())
            }
            ExprKind::Select { operand, field, test } => {
                let operand = self.node(operand)?;
                let key = QualifierKey::Constant(Value::String(Text::Shared(field.clone())));
                let qualifier = Qualifier { key, optional: false, test: *test };
                Ok(select(operand, &qualifier))
            }
            ExprKind::Call { target, args, .. } => self.call(expr, target.as_deref(), args),
            ExprKind::List(elements) => {
                let mut planned = Vec::with_capacity(elements.len());
                for element in elements {
                    planned.push((self.node(&element.value)?, element.optional));
                }
                fold_constant(Node::List(planned.into()))
            }
            ExprKind::Map(entries) => {
                let mut planned = Vec::with_capacity(entries.len());
                for entry in entries {
                    planned.push((self.node(&entry.key)?, self.node(&entry.value)?, entry.optional));
                }
                fold_constant(Node::Map(planned.into()))
            }
            ExprKind::Comprehension(it) => self.comprehension(it),
            ExprKind::Struct { fields, .. } => {
                let Type::Object(name) = self.checked.type_of(expr) else {
                    return Err("unknown type".to_owned());
                };
                let mut planned = Vec::with_capacity(fields.len());
                for field in fields {
                    planned.push((field.name.clone(), self.node(&field.value)?, field.optional));
                }
                Ok(Node::Object { name: name.clone(), fields: planned.into() })
            }
        }
    }

    fn name(&mut self, expr: &Expr, name: &str) -> Result<Node, String> {
        match self.checked.meaning(expr) {
            // Objects have types that can be spoken of, and are no values.
            Meaning::Type(Type::Object(name)) => return Err(format!("reference to undefined type: {name}")),
            Meaning::Type(kind) => return Ok(Node::Constant(Value::Type(kind.clone()))),
            _ => {}
        }
        let name = name.strip_prefix('.').unwrap_or(name);
        let local = self.locals.iter().rev().find(|(local, _)| &**local == name);
        let root = match local {
            Some((_, slot)) => Root::Local(*slot),
            None => {
                let index = self.variables.iter().position(|(variable, _)| variable == name);
                Root::Variable(index.unwrap_or(usize::MAX), name.into())
            }
        };
        Ok(Node::Attribute(Box::new(Attribute { root, qualifiers: Vec::new(), test: false })))
    }

    fn slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    fn comprehension(&mut self, it: &Comprehension) -> Result<Node, String> {
        let init = self.node(&it.init)?;
        let range = self.node(&it.range)?;
        let (accumulator, variable) = (self.slot(), self.slot());
        let second = it.second.as_ref().map(|_| self.slot());
        let outside = self.locals.len();
        self.locals.push((it.accumulator.clone(), accumulator));
        let inside = self.locals.len();
        self.locals.push((it.variable.clone(), variable));
        self.locals.extend(it.second.clone().zip(second));
        let condition = self.node(&it.condition)?;
        let step = self.node(&it.step)?;
        self.locals.truncate(inside);
        let result = self.node(&it.result)?;
        self.locals.truncate(outside);
        let fold = Fold { range, variable, second, accumulator, init, condition, step, result };
        Ok(Node::Fold(Box::new(fold)))
    }

    /// The slot of the innermost accumulator, if the expression is its name.
    fn accumulator(&self, expr: &Expr) -> Option<usize> {
        match &expr.kind {
            ExprKind::Ident(name) if &**name == ACCUMULATOR => {
                self.locals.iter().rev().find(|(local, _)| local == name).map(|(_, slot)| *slot)
            }
            _ => None,
        }
    }

    fn call(&mut self, expr: &Expr, target: Option<&Expr>, args: &[Expr]) -> Result<Node, String> {
        let checked = self.checked;
        let Some((name, chosen, namespaced)) = checked.function(expr) else {
            return Err("no such overload".to_owned());
        };
        if let Some(node) = self.grown(name, args)? {
            return Ok(node);
        }
        let mut planned = Vec::with_capacity(args.len() + 1);
        for arg in target.filter(|_| !namespaced).into_iter().chain(args) {
            planned.push(self.node(arg)?);
        }
        let overloads = self.registry.get(name).unwrap_or_default();
        let chosen: Vec<&Overload> = chosen.iter().filter_map(|index| overloads.get(*index)).collect();
        match (name, &mut *planned) {
            ("_&&_" | "_||_", [left, right]) => {
                let terms = Box::new([take(left), take(right)]);
                Ok(Node::Logic { terms, absorbing: name == "_||_" })
            }
            ("_==_" | "_!=_", [left, right]) => Ok(Node::Equal {
                left: Box::new(take(left)),
                right: Box::new(take(right)),
                negated: name == "_!=_",
            }),
            ("_?_:_", [condition, truthy, falsy]) => {
                let branches = (take(condition), branch(take(truthy)), branch(take(falsy)));
                let root = Root::Conditional(Box::new(branches));
                Ok(Node::Attribute(Box::new(Attribute { root, qualifiers: Vec::new(), test: false })))
            }
            ("_[_]" | "_[?_]" | "_?._", [of, key]) => {
                let key = match take(key) {
                    Node::Constant(value) if Key::of(&value).is_none() => {
                        let kind = value.kind();
                        let shown = match &value {
                            Value::Bytes(_) => "types.Bytes",
                            Value::Null => "types.Null",
                            _ => kind.name(),
                        };
                        return Err(format!("invalid qualifier type: {shown}"));
                    }
                    Node::Constant(value) => QualifierKey::Constant(value),
                    other => QualifierKey::Attribute(Arc::new(branch(other))),
                };
                Ok(select(take(of), &Qualifier { key, optional: name != "_[_]", test: false }))
            }
            ("or" | "orValue", [left, right]) => Ok(Node::Or {
                left: Box::new(take(left)),
                right: Box::new(take(right)),
                unwrap: name == "orValue",
            }),
            _ => self.function(name, &chosen, planned),
        }
    }

    /// What grows an accumulator.
    fn grown(&mut self, name: &str, args: &[Expr]) -> Result<Option<Node>, String> {
        let Some(slot) = args.first().and_then(|arg| self.accumulator(arg)) else { return Ok(None) };
        Ok(match (name, args) {
            ("_+_", [_, list @ Expr { kind: ExprKind::List(_), .. }]) => {
                Some(Node::Append { slot, list: Box::new(self.node(list)?) })
            }
            ("cel.@mapInsert", [_, key, value]) => {
                let key = Some(Box::new(self.node(key)?));
                Some(Node::Insert { slot, key, value: Box::new(self.node(value)?) })
            }
            ("cel.@mapInsert", [_, value]) => {
                Some(Node::Insert { slot, key: None, value: Box::new(self.node(value)?) })
            }
            _ => None,
        })
    }

    fn function(&mut self, name: &str, chosen: &[&Overload], mut args: Vec<Node>) -> Result<Node, String> {
        let [first, rest @ ..] = chosen else { return Err(format!("no such overload: {name}")) };
        let one = rest.iter().all(|it| it.row == first.row);
        let overload = rest.is_empty().then_some(first.id);
        if overload == Some("in_list")
            && let [value, Node::Constant(Value::List(list))] = &mut *args
        {
            if list.len() == 0 {
                return Ok(Node::Constant(Value::Bool(false)));
            }
            let key = |value: eval::Eval<'static>| Key::of(&value.ok()?);
            if let Some(set) = list.iter().map(key).collect() {
                return Ok(Node::InSet { value: Box::new(take(value)), set });
            }
        }
        let regex = match (name, args.get(1)) {
            ("matches" | "find" | "findAll", Some(Node::Constant(Value::String(pattern)))) => {
                Some(Regex::written(pattern).map_err(|error| error.to_string())?)
            }
            _ => None,
        };
        let callee = if one {
            Callee::One(first.run)
        } else {
            Callee::Any(chosen.iter().map(|it| (it.parameters.clone(), it.run)).collect())
        };
        let eager = regex.is_some() || !one || library::TAKES_ALL.contains(&name);
        let cost = CallCost::of(name, overload);
        let call = Node::Call(Box::new(Call { callee, args, cost, eager, regex }));
        if CONVERSIONS.contains(&name) { fold_constant(call) } else { Ok(call) }
    }
}

/// Functions that are worked out at once where their argument is written out.
const CONVERSIONS: [&str; 10] =
    ["bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"];

fn take(node: &mut Node) -> Node {
    std::mem::replace(node, Node::Constant(Value::Null))
}

fn constant(literal: &Literal) -> Value<'static> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(truth) => Value::Bool(*truth),
        Literal::Int(number) => Value::Int(*number),
        Literal::Uint(number) => Value::Uint(*number),
        Literal::Double(number) => Value::Double(*number),
        Literal::String(text) => Value::String(Text::Shared(text.clone())),
        Literal::Bytes(octets) => Value::Bytes(Octets::Shared(octets.clone())),
    }
}

/// The node, or what it comes to where all in it is written out.
fn fold_constant(node: Node) -> Result<Node, String> {
    let value = |node: &Node| match node {
        Node::Constant(value) => Some(value.clone()),
        _ => None,
    };
    let outcome = match &node {
        Node::List(elements) if elements.iter().all(|(_, optional)| !optional) => elements
            .iter()
            .map(|(element, _)| value(element))
            .collect::<Option<Vec<_>>>()
            .map(|values| Ok(Value::List(List::of(values)))),
        Node::Map(entries) if entries.iter().all(|(.., optional)| !optional) => {
            let pairs = entries.iter().map(|(key, of, _)| Some((value(key)?, value(of)?)));
            pairs.collect::<Option<Vec<_>>>().map(|pairs| {
                let mut map = Builder::default();
                pairs.into_iter().try_for_each(|(key, value)| map.set(&key, value))?;
                map.done()
            })
        }
        Node::Call(call) => match &*call.args {
            [Node::Constant(arg)] => Some(eval::call(&call.callee, std::slice::from_ref(arg))),
            _ => None,
        },
        _ => None,
    };
    match outcome {
        Some(Ok(value)) => Ok(Node::Constant(value)),
        // A conversion that must fail is no program.
        Some(Err(fault)) if matches!(node, Node::Call(_)) => Err(fault.to_string()),
        _ => Ok(node),
    }
}

/// An operand as an attribute that has no cost of its own where it is a name.
fn branch(node: Node) -> Attribute {
    match node {
        Node::Attribute(attribute) => *attribute,
        other => Attribute { root: Root::Relative(other), qualifiers: Vec::new(), test: false },
    }
}

fn select(operand: Node, qualifier: &Qualifier) -> Node {
    // What was tested for is a truth value, from which a new attribute begins.
    let mut attribute = match operand {
        Node::Attribute(attribute) if !attribute.test => attribute,
        other => Box::new(Attribute { root: Root::Relative(other), qualifiers: Vec::new(), test: false }),
    };
    qualify(&mut attribute, qualifier);
    attribute.test |= qualifier.test;
    Node::Attribute(attribute)
}

/// Appends the qualifier, in both branches of a condition.
fn qualify(attribute: &mut Attribute, qualifier: &Qualifier) {
    match &mut attribute.root {
        Root::Conditional(branches) => {
            qualify(&mut branches.1, qualifier);
            qualify(&mut branches.2, qualifier);
        }
        _ => attribute.qualifiers.push(qualifier.clone()),
    }
}
