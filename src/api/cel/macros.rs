//! What macros become: nearly all of them one comprehension.
//!
//! Source: `parser/macro.go`, `cel/library.go` (optional values), `ext/comprehensions.go`, `ext/lists.go` and
//! `ext/bindings.go` of `cel-go` v0.26. What a macro makes stands at its opening bracket.

use std::sync::Arc;

use super::ast::{
    ACCUMULATOR, Comprehension, Element, Entry, Expr, ExprKind, Field, LEGACY_ACCUMULATOR, Literal,
};
use super::parse::{Parsed, Parser, Stopped};
use super::stack::deep;

/// The most levels of the tree that one level of the text becomes: `optMap` is a call in a branch of a condition
/// around a comprehension.
pub(super) const HIGHEST: u32 = 6;

/// The variable of a comprehension over nothing.
const UNUSED: &str = "#unused";
/// What `sortBy` calls its list.
const SORTED: &str = "@__sortBy_input__";

/// What became of a call.
pub(super) enum Expanded<T> {
    To(Expr),
    /// It is no macro: its target and arguments, as they were.
    No(T, Vec<Expr>),
}

/// A call without target: `has` is the only such macro.
pub(super) fn global(
    parser: &mut Parser<'_, '_, '_>,
    at: u32,
    name: &str,
    mut args: Vec<Expr>,
) -> Parsed<Expanded<()>> {
    if name != "has" || args.len() != 1 {
        return Ok(Expanded::No((), args));
    }
    let Some(arg) = args.pop() else { return Err(Stopped) };
    match arg.kind {
        ExprKind::Select { operand, field, test: false } => {
            parser.node(at, ExprKind::Select { operand, field, test: true }).map(Expanded::To)
        }
        _ => {
            parser.issues.report(arg.at, "invalid argument to has() macro");
            Err(Stopped)
        }
    }
}

/// A call with a target.
pub(super) fn receiver(
    parser: &mut Parser<'_, '_, '_>,
    at: u32,
    name: &str,
    target: Expr,
    mut args: Vec<Expr>,
) -> Parsed<Expanded<Expr>> {
    let syntax = parser.syntax;
    let mut make = Make { parser, at };
    let expr = match (name, args.len()) {
        ("all" | "exists" | "exists_one" | "existsOne", 2) => {
            let predicate = args.pop().ok_or(Stopped)?;
            let variable = make.variable(&args[0], "argument must be a simple name")?;
            make.quantifier(name, target, variable, None, predicate)?
        }
        ("map" | "filter", 2) | ("map", 3) => make.list(name, target, args)?,
        ("all" | "exists" | "exists_one" | "existsOne", 3) if syntax.two_variables => {
            let predicate = args.pop().ok_or(Stopped)?;
            let (variable, second) = make.variables(&args)?;
            make.quantifier(name, target, variable, Some(second), predicate)?
        }
        ("transformList" | "transformMap" | "transformMapEntry", 3 | 4) if syntax.two_variables => {
            make.transform(name, target, args)?
        }
        ("optMap" | "optFlatMap", 2) if syntax.optionals => make.optional(name, target, args)?,
        ("bind", 3)
            if syntax.bindings && matches!(&target.kind, ExprKind::Ident(name) if &**name == "cel") =>
        {
            make.bind(args)?
        }
        ("sortBy", 2) if syntax.sort_by => make.sort_by(target, args)?,
        _ => return Ok(Expanded::No(target, args)),
    };
    Ok(Expanded::To(expr))
}

struct Make<'p, 't, 'i, 's> {
    parser: &'p mut Parser<'t, 'i, 's>,
    at: u32,
}

impl Make<'_, '_, '_, '_> {
    fn fail<T>(&mut self, at: u32, message: impl Into<String>) -> Parsed<T> {
        self.parser.issues.report(at, message);
        Err(Stopped)
    }

    fn node(&mut self, kind: ExprKind) -> Parsed<Expr> {
        self.parser.node(self.at, kind)
    }

    fn literal(&mut self, literal: Literal) -> Parsed<Expr> {
        self.node(ExprKind::Literal(literal))
    }

    fn ident(&mut self, name: &str) -> Parsed<Expr> {
        self.node(ExprKind::Ident(name.into()))
    }

    fn accumulator(&mut self) -> Parsed<Expr> {
        self.ident(ACCUMULATOR)
    }

    fn call(&mut self, function: &str, args: Vec<Expr>) -> Parsed<Expr> {
        self.parser.call(self.at, function, args)
    }

    fn member_call(&mut self, function: &str, target: Expr, args: Vec<Expr>) -> Parsed<Expr> {
        self.node(ExprKind::Call { function: function.into(), target: Some(Box::new(target)), args })
    }

    /// A list of one.
    fn single(&mut self, value: Expr) -> Parsed<Expr> {
        self.node(ExprKind::List(vec![Element { value, optional: false }]))
    }

    fn variable(&mut self, arg: &Expr, wrong: &str) -> Parsed<Arc<str>> {
        match &arg.kind {
            ExprKind::Ident(name) if &**name == ACCUMULATOR || &**name == LEGACY_ACCUMULATOR => {
                self.fail(arg.at, "iteration variable overwrites accumulator variable")
            }
            ExprKind::Ident(name) => Ok(name.clone()),
            _ => self.fail(arg.at, wrong),
        }
    }

    fn variables(&mut self, args: &[Expr]) -> Parsed<(Arc<str>, Arc<str>)> {
        let first = self.variable(&args[0], "argument must be a simple name")?;
        let second = self.variable(&args[1], "argument must be a simple name")?;
        if first == second {
            return self.fail(args[1].at, format!("duplicate variable name: {first}"));
        }
        Ok((first, second))
    }

    /// A fold of `range` into the accumulator.
    fn fold(
        &mut self,
        range: Expr,
        (variable, second): (Arc<str>, Option<Arc<str>>),
        init: Expr,
        condition: Expr,
        step: Expr,
        result: Expr,
    ) -> Parsed<Expr> {
        let accumulator = ACCUMULATOR.into();
        let it = Comprehension { range, variable, second, accumulator, init, condition, step, result };
        self.node(ExprKind::Comprehension(Box::new(it)))
    }

    fn quantifier(
        &mut self,
        name: &str,
        range: Expr,
        variable: Arc<str>,
        second: Option<Arc<str>>,
        predicate: Expr,
    ) -> Parsed<Expr> {
        let accumulator = self.accumulator()?;
        let (init, condition, step, result) = match name {
            "all" => (
                self.literal(Literal::Bool(true))?,
                self.call("@not_strictly_false", vec![accumulator])?,
                {
                    let so_far = self.accumulator()?;
                    self.call("_&&_", vec![so_far, predicate])?
                },
                self.accumulator()?,
            ),
            "exists" => (
                self.literal(Literal::Bool(false))?,
                {
                    let not = self.call("!_", vec![accumulator])?;
                    self.call("@not_strictly_false", vec![not])?
                },
                {
                    let so_far = self.accumulator()?;
                    self.call("_||_", vec![so_far, predicate])?
                },
                self.accumulator()?,
            ),
            _ => (
                self.literal(Literal::Int(0))?,
                self.literal(Literal::Bool(true))?,
                {
                    let one = self.literal(Literal::Int(1))?;
                    let more = self.call("_+_", vec![accumulator, one])?;
                    let same = self.accumulator()?;
                    self.call("_?_:_", vec![predicate, more, same])?
                },
                {
                    let (count, one) = (self.accumulator()?, self.literal(Literal::Int(1))?);
                    self.call("_==_", vec![count, one])?
                },
            ),
        };
        self.fold(range, (variable, second), init, condition, step, result)
    }

    /// Where there is a filter, the step only where it is met.
    fn filtered(&mut self, filter: Option<Expr>, step: Expr) -> Parsed<Expr> {
        match filter {
            None => Ok(step),
            Some(filter) => {
                let same = self.accumulator()?;
                self.call("_?_:_", vec![filter, step, same])
            }
        }
    }

    /// `map(x, f)`, `map(x, p, f)` and `filter(x, p)`.
    fn list(&mut self, name: &str, range: Expr, mut args: Vec<Expr>) -> Parsed<Expr> {
        let last = args.pop().ok_or(Stopped)?;
        let variable = self.variable(&args[0], "argument is not an identifier")?;
        let (element, filter) = match name {
            "filter" => (args.pop().ok_or(Stopped)?, Some(last)),
            _ => (last, if args.len() == 2 { args.pop() } else { None }),
        };
        let (init, condition) = (self.node(ExprKind::List(Vec::new()))?, self.literal(Literal::Bool(true))?);
        let step = self.appended(element)?;
        let step = self.filtered(filter, step)?;
        let result = self.accumulator()?;
        self.fold(range, (variable, None), init, condition, step, result)
    }

    fn appended(&mut self, element: Expr) -> Parsed<Expr> {
        let (so_far, element) = (self.accumulator()?, self.single(element)?);
        self.call("_+_", vec![so_far, element])
    }

    /// `transformList`, `transformMap` and `transformMapEntry`.
    fn transform(&mut self, name: &str, range: Expr, mut args: Vec<Expr>) -> Parsed<Expr> {
        let (variable, second) = self.variables(&args)?;
        let transform = args.pop().ok_or(Stopped)?;
        let filter = if args.len() == 3 { args.pop() } else { None };
        let (init, step) = match name {
            "transformList" => (self.node(ExprKind::List(Vec::new()))?, self.appended(transform)?),
            _ => {
                let init = self.node(ExprKind::Map(Vec::<Entry>::new()))?;
                let mut args = vec![self.accumulator()?];
                if name == "transformMap" {
                    args.push(self.ident(&variable)?);
                }
                args.push(transform);
                (init, self.call("cel.@mapInsert", args)?)
            }
        };
        let condition = self.literal(Literal::Bool(true))?;
        let step = self.filtered(filter, step)?;
        let result = self.accumulator()?;
        self.fold(range, (variable, Some(second)), init, condition, step, result)
    }

    /// `result` with `init` under the name `variable`.
    fn binding(&mut self, variable: Arc<str>, init: Expr, result: Expr) -> Parsed<Expr> {
        let range = self.node(ExprKind::List(Vec::new()))?;
        let condition = self.literal(Literal::Bool(false))?;
        let step = self.ident(&variable)?;
        self.node(ExprKind::Comprehension(Box::new(Comprehension {
            range,
            variable: UNUSED.into(),
            second: None,
            accumulator: variable,
            init,
            condition,
            step,
            result,
        })))
    }

    fn optional(&mut self, name: &str, target: Expr, mut args: Vec<Expr>) -> Parsed<Expr> {
        let mapped = args.pop().ok_or(Stopped)?;
        let variable = match &args[0].kind {
            ExprKind::Ident(name) => name.clone(),
            _ => {
                let message = format!("{name}() variable name must be a simple identifier");
                return self.fail(args[0].at, message);
            }
        };
        let copied = self.copy(&target)?;
        let there = self.member_call("hasValue", target, Vec::new())?;
        let value = self.member_call("value", copied, Vec::new())?;
        let mut mapped = self.binding(variable, value, mapped)?;
        if name == "optMap" {
            mapped = self.call("optional.of", vec![mapped])?;
        }
        let none = self.call("optional.none", Vec::new())?;
        self.call("_?_:_", vec![there, mapped, none])
    }

    /// `cel.bind(x, init, result)`.
    fn bind(&mut self, mut args: Vec<Expr>) -> Parsed<Expr> {
        let result = args.pop().ok_or(Stopped)?;
        let init = args.pop().ok_or(Stopped)?;
        let variable = match &args[0].kind {
            ExprKind::Ident(name) => name.clone(),
            _ => return self.fail(args[0].at, "cel.bind() variable names must be simple identifiers"),
        };
        self.binding(variable, init, result)
    }

    fn sort_by(&mut self, target: Expr, args: Vec<Expr>) -> Parsed<Expr> {
        if matches!(target.kind, ExprKind::Literal(_) | ExprKind::Map(_) | ExprKind::Struct { .. }) {
            let message =
                "sortBy can only be applied to a list, identifier, comprehension, call or select expression";
            return self.fail(target.at, message);
        }
        let range = self.ident(SORTED)?;
        let keys = self.list("map", range, args)?;
        let list = self.ident(SORTED)?;
        let sorted = self.member_call("@sortByAssociatedKeys", list, vec![keys])?;
        self.binding(SORTED.into(), target, sorted)
    }

    /// The tree once more, with nodes of its own.
    fn copy(&mut self, expr: &Expr) -> Parsed<Expr> {
        let kind = deep(|| self.copied(expr))?;
        self.parser.node(expr.at, kind)
    }

    fn copied(&mut self, expr: &Expr) -> Parsed<ExprKind> {
        Ok(match &expr.kind {
            ExprKind::Literal(literal) => ExprKind::Literal(literal.clone()),
            ExprKind::Ident(name) => ExprKind::Ident(name.clone()),
            ExprKind::Select { operand, field, test } => {
                ExprKind::Select { operand: Box::new(self.copy(operand)?), field: field.clone(), test: *test }
            }
            ExprKind::Call { function, target, args } => {
                let target = match target {
                    Some(target) => Some(Box::new(self.copy(target)?)),
                    None => None,
                };
                let args = args.iter().map(|arg| self.copy(arg)).collect::<Result<_, _>>()?;
                ExprKind::Call { function: function.clone(), target, args }
            }
            ExprKind::List(elements) => {
                let copy = |it: &Element| Ok(Element { value: self.copy(&it.value)?, optional: it.optional });
                ExprKind::List(elements.iter().map(copy).collect::<Result<_, _>>()?)
            }
            ExprKind::Map(entries) => {
                let copy = |it: &Entry| {
                    let (key, value) = (self.copy(&it.key)?, self.copy(&it.value)?);
                    Ok(Entry { key, value, optional: it.optional })
                };
                ExprKind::Map(entries.iter().map(copy).collect::<Result<_, _>>()?)
            }
            ExprKind::Struct { name, fields } => {
                let copy = |it: &Field| {
                    let value = self.copy(&it.value)?;
                    Ok(Field { name: it.name.clone(), at: it.at, value, optional: it.optional })
                };
                let fields = fields.iter().map(copy).collect::<Result<_, _>>()?;
                ExprKind::Struct { name: name.clone(), fields }
            }
            ExprKind::Comprehension(it) => ExprKind::Comprehension(Box::new(Comprehension {
                range: self.copy(&it.range)?,
                variable: it.variable.clone(),
                second: it.second.clone(),
                accumulator: it.accumulator.clone(),
                init: self.copy(&it.init)?,
                condition: self.copy(&it.condition)?,
                step: self.copy(&it.step)?,
                result: self.copy(&it.result)?,
            })),
        })
    }
}
