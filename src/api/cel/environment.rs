//! What expressions may speak of, and what they become: programs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::ast::Expr;
use super::check::{self, Checked, check};
use super::cost::Estimate;
use super::estimate::estimate;
use super::eval::{self, Eval};
use super::functions::{Registry, Special};
use super::meter::Meter;
use super::parse::{Syntax, parse};
use super::plan::{Node, plan};
use super::schema::Declaration;
use super::source::{Issues, Source};
use super::types::Type;
use super::validate::validate;
use super::value::{Value, from_data};
use super::{Budget, Fault, Schema};

/// The language of one version of Kubernetes, with variables: what expressions are compiled in.
pub struct Environment {
    minor: u32,
    registry: Arc<Registry>,
    special: Special,
    variables: Vec<(String, Type)>,
    objects: BTreeMap<Arc<str>, Declaration>,
    /// What the sizes of data are estimated from.
    root: Option<Declaration>,
}

/// The variable of a rule: the value it is about.
const SELF: &str = "self";
/// The variable of a rule: what the value was before.
const OLD_SELF: &str = "oldSelf";

impl Environment {
    /// The language of Kubernetes 1.`minor`, without variables.
    #[must_use]
    pub fn new(minor: u32) -> Self {
        Self::with(minor, Special::None)
    }

    /// The same, with functions and types that only some expressions have.
    pub(super) fn with(minor: u32, special: Special) -> Self {
        Self {
            minor,
            registry: Registry::of(minor, special),
            special,
            variables: Vec::new(),
            objects: BTreeMap::new(),
            root: None,
        }
    }

    /// The environment of `x-kubernetes-validations`: `self`, and `oldSelf`, which is optional where the rule says so.
    #[must_use]
    pub fn for_rules(minor: u32, this: &Declaration, optional_old_self: bool) -> Self {
        let old = this.kind().clone();
        let mut environment = Self::new(minor)
            .with_variable(SELF, this.kind().clone())
            .with_variable(OLD_SELF, if optional_old_self { Type::optional(old) } else { old });
        environment.declare(this);
        environment.root = Some(this.clone());
        environment
    }

    /// Makes the objects of a declaration known, with their fields.
    fn declare(&mut self, declaration: &Declaration) {
        declaration.for_each_object(&mut |name, object| {
            self.objects.insert(name.clone(), object.clone());
        });
    }

    /// The same with a variable more, of a declared type.
    pub(super) fn with_declared(mut self, name: &str, declaration: &Declaration) -> Self {
        self.declare(declaration);
        self.with_variable(name, declaration.kind().clone())
    }

    /// The same, where the sizes of data are estimated from a declaration.
    pub(super) fn with_root(mut self, declaration: &Declaration) -> Self {
        self.root = Some(declaration.clone());
        self
    }

    /// The same with a variable more.
    #[must_use]
    pub fn with_variable(mut self, name: &str, kind: Type) -> Self {
        self.variables.push((name.to_owned(), kind));
        self
    }

    /// Compiles an expression of any type.
    ///
    /// # Errors
    /// [`CompileError::Issues`] with what is wrong with the expression, shown as cel-go shows it;
    /// [`CompileError::Program`] where a constant in it can only fail.
    pub fn compile(&self, text: &str) -> Result<Program, CompileError> {
        let (tree, checked, nodes) = self.check(text).map_err(CompileError::Issues)?;
        self.program(&tree, &checked, nodes).map_err(CompileError::Program)
    }

    /// The tree of an expression, what the checker found out about it, and how many nodes it has.
    fn check(&self, text: &str) -> Result<(Expr, Checked, usize), String> {
        let mut issues = Issues::new(Source::new(text));
        let syntax = Syntax {
            optionals: self.minor >= 28,
            two_variables: self.minor >= 32,
            sort_by: self.minor >= 34,
            bindings: matches!(self.special, Special::Selectors | Special::StoredSelectors),
        };
        let Some((tree, nodes)) = parse(text, syntax, &mut issues) else {
            return Err(issues.display());
        };
        let scope = check::Scope {
            registry: &self.registry,
            variables: &self.variables,
            objects: &self.objects,
            optionals: self.minor >= 28,
            keywords: self.minor >= 31,
            addresses: self.minor >= 30,
            patches: self.special == Special::Patches,
        };
        let checked = check(&tree, nodes, &scope, &mut issues);
        if issues.is_empty() {
            validate(&tree, &checked, self.minor, &mut issues);
        }
        if !issues.is_empty() {
            return Err(issues.display());
        }
        Ok((tree, checked, nodes))
    }

    fn program(&self, tree: &Expr, checked: &Checked, nodes: usize) -> Result<Program, String> {
        let estimate = estimate(tree, nodes, checked, &self.registry, self.root.as_ref());
        let (node, slots) = plan(tree, checked, &self.registry, &self.variables)?;
        let variables: Vec<(String, bool)> =
            self.variables.iter().map(|(name, _)| (name.clone(), checked.references(name))).collect();
        Ok(Program { node, slots, variables, kind: checked.type_of(tree).clone(), estimate })
    }

    /// Compiles a rule, which must be a truth value.
    ///
    /// # Errors
    /// What is wrong with it, as Kubernetes words it below the rule's path.
    pub fn compile_rule(&self, text: &str) -> Result<Program, RuleError> {
        self.compile_as(text, "", &Type::Bool, "cel expression must evaluate to a bool")
    }

    /// Compiles an expression for a message, which must be a string.
    ///
    /// # Errors
    /// What is wrong with it, as Kubernetes words it below the expression's path.
    pub fn compile_message(&self, text: &str) -> Result<Program, RuleError> {
        let other = "messageExpression must evaluate to a string";
        self.compile_as(text, "messageExpression ", &Type::String, other)
    }

    /// Compiles an expression that must come to exactly one of these types; of any type where there are none.
    ///
    /// # Errors
    /// What is wrong with it, as Kubernetes words it below the expression's path.
    pub fn compile_to(&self, text: &str, kinds: &[Type]) -> Result<Program, TypedError> {
        self.compile_where(text, |kind| {
            if kinds.is_empty() || kinds.contains(kind) {
                return Ok(());
            }
            let wanted: Vec<String> = kinds.iter().map(Type::declared).collect();
            let wanted = match &*wanted {
                [one] => one.clone(),
                several => format!("one of [{}]", several.join(" ")),
            };
            Err(format!("must evaluate to {wanted} but got {}", kind.declared()))
        })
    }

    /// Compiles an expression whose type is judged.
    pub(super) fn compile_where(
        &self,
        text: &str,
        judge: impl FnOnce(&Type) -> Result<(), String>,
    ) -> Result<Program, TypedError> {
        let (tree, checked, nodes) = match self.check(text) {
            Ok(checked) => checked,
            Err(issues) => return Err(TypedError::Invalid(format!("compilation failed: {issues}"))),
        };
        judge(checked.type_of(&tree)).map_err(TypedError::Invalid)?;
        self.program(&tree, &checked, nodes)
            .map_err(|why| TypedError::Internal(format!("program instantiation failed: {why}")))
    }

    fn compile_as(&self, text: &str, what: &str, kind: &Type, other: &str) -> Result<Program, RuleError> {
        match self.compile(text) {
            Ok(program) if program.kind == *kind => Ok(program),
            // A program that cannot be made is only told of where the type is right.
            Ok(_) => Err(RuleError(other.to_owned())),
            Err(CompileError::Issues(issues)) => {
                Err(RuleError(format!("{what}compilation failed: {issues}")))
            }
            Err(CompileError::Program(why)) => {
                let what = if what.is_empty() { "program " } else { what };
                Err(RuleError(format!("{what}instantiation failed: {why}")))
            }
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("minor", &self.minor).field("variables", &self.variables).finish()
    }
}

/// Why an expression did not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// What is wrong with it, one issue after the other, each with its line: `ERROR: <input>:1:5: ..`.
    #[error("{0}")]
    Issues(String),
    /// A constant in it can only fail.
    #[error("{0}")]
    Program(String),
}

/// Why a rule or an expression for a message did not compile, in Kubernetes' words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RuleError(String);

/// Why an expression of a wanted type did not compile, in Kubernetes' words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TypedError {
    /// The expression is wrong.
    #[error("{0}")]
    Invalid(String),
    /// It is right, and no program can be made of it.
    #[error("{0}")]
    Internal(String),
}

/// A compiled expression. It can be evaluated any number of times, at once too.
pub struct Program {
    node: Node,
    slots: usize,
    /// The variables of its environment, and whether it speaks of them.
    variables: Vec<(String, bool)>,
    kind: Type,
    estimate: Estimate,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("kind", &self.kind).field("estimate", &self.estimate).finish()
    }
}

impl Program {
    /// The type of what it comes to.
    #[must_use]
    pub fn kind(&self) -> &Type {
        &self.kind
    }

    /// What an evaluation costs, at least and at most, by what its environment says of the sizes of data.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        self.estimate
    }

    /// Whether it speaks of a variable of its environment.
    #[must_use]
    pub fn references(&self, variable: &str) -> bool {
        self.variables.iter().any(|(name, used)| *used && name == variable)
    }

    /// Evaluates it. What it costs is taken from the budget, whatever the outcome.
    ///
    /// # Errors
    /// [`Fault::Error`] where the expression fails on this data, [`Fault::CallLimit`] where it costs more than one
    /// call may, [`Fault::OutOfBudget`] where more than is left: then the budget is spent.
    pub fn evaluate<'a>(&'a self, activation: &Activation<'a>, budget: &mut Budget) -> Eval<'a> {
        let mut meter = Meter::new(budget.limit());
        let variables: Vec<Option<Eval<'a>>> =
            self.variables.iter().map(|(name, _)| activation.find(name)).collect();
        let outcome = eval::evaluate(&self.node, self.slots, &variables, &mut meter);
        let cancelled = matches!(outcome, Err(Fault::CallLimit));
        budget.spend(meter.cost(), cancelled)?;
        outcome
    }

    /// Evaluates it to a truth value.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate); a value of another type is one.
    pub fn evaluate_bool<'a>(
        &'a self,
        activation: &Activation<'a>,
        budget: &mut Budget,
    ) -> Result<bool, Fault> {
        match self.evaluate(activation, budget)? {
            Value::Bool(truth) => Ok(truth),
            _ => Err(Fault::no_overload()),
        }
    }

    /// Evaluates it to a text.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate); a value of another type is one.
    pub fn evaluate_string<'a>(
        &'a self,
        activation: &Activation<'a>,
        budget: &mut Budget,
    ) -> Result<String, Fault> {
        match self.evaluate(activation, budget)? {
            Value::String(text) => Ok(text.to_string()),
            _ => Err(Fault::no_overload()),
        }
    }
}

/// What the variables are in one evaluation, or in several.
#[derive(Debug, Default)]
pub struct Activation<'a> {
    values: Vec<(&'a str, Eval<'a>)>,
}

impl<'a> Activation<'a> {
    /// No variables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a variable to a value.
    pub fn value(&mut self, name: &'a str, value: Value<'a>) {
        self.values.push((name, Ok(value)));
    }

    /// Sets a variable to data, seen through its schema. What does not fit the schema fails when it is looked at.
    pub fn data(&mut self, name: &'a str, data: &'a serde_json::Value, schema: &'a Schema) {
        self.values.push((name, from_data(data, schema)));
    }

    /// Sets a variable to an optional of data: `optional.none()` where there is none.
    pub fn optional_data(&mut self, name: &'a str, data: Option<&'a serde_json::Value>, schema: &'a Schema) {
        let value = match data {
            None => Ok(Value::Optional(None)),
            Some(data) => from_data(data, schema).map(Value::some),
        };
        self.values.push((name, value));
    }

    fn find(&self, name: &str) -> Option<Eval<'a>> {
        self.values.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }
}
