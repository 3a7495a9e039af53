//! What is wrong with literals of an expression whose types are right.
//!
//! Source: `cel/validator.go` and the validator of `ext/formatting.go` of `cel-go` v0.26.

use super::Fault;
use super::ast::{Expr, ExprKind, Literal};
use super::check::Checked;
use super::library::{Clause, Regex, check_format};
use super::source::Issues;
use super::stack::deep;
use super::types::Type;
use super::value::{parse_duration, parse_timestamp};

/// Reports literals of several types, and from Kubernetes 1.29 on those that can only fail when they are evaluated.
pub(super) fn validate(tree: &Expr, checked: &Checked, minor: u32, issues: &mut Issues<'_>) {
    Validator { checked, newer: minor >= 29, issues }.visit(tree, false);
}

struct Validator<'v, 'i> {
    checked: &'v Checked,
    newer: bool,
    issues: &'v mut Issues<'i>,
}

impl Validator<'_, '_> {
    /// Looks at a node and all below; `formatted` below a call of `format`, whose arguments may differ in type.
    fn visit(&mut self, expr: &Expr, formatted: bool) {
        let mut formatted = formatted;
        match &expr.kind {
            ExprKind::Call { target, args, .. } => {
                let name = self.checked.function(expr).map(|(name, ..)| name);
                if self.newer {
                    self.argument(name.unwrap_or_default(), args);
                }
                if name == Some("format") {
                    self.format(expr, target.as_deref(), args);
                    formatted = true;
                }
            }
            ExprKind::List(elements) if !formatted => {
                let parts = elements.iter().map(|element| (&element.value, element.optional));
                self.alike(parts, true);
            }
            ExprKind::Map(entries) if !formatted => {
                self.alike(entries.iter().map(|entry| (&entry.key, false)), false);
                self.alike(entries.iter().map(|entry| (&entry.value, entry.optional)), false);
            }
            _ => {}
        }
        expr.for_each_child(&mut |child| deep(|| self.visit(child, formatted)));
    }

    /// The first argument of a few functions, where it is a literal.
    fn argument(&mut self, name: &str, args: &[Expr]) {
        let Some(arg) = args.first() else { return };
        let ExprKind::Literal(literal) = &arg.kind else { return };
        let fine = match (name, literal) {
            ("duration", Literal::String(text)) => parse_duration(text).is_some(),
            ("duration", Literal::Int(_)) => false,
            ("timestamp", Literal::String(text)) => {
                parse_timestamp(text).is_some_and(|time| time.checked().is_some())
            }
            ("timestamp", Literal::Int(seconds)) => super::value::Timestamp::at(*seconds).is_some(),
            ("matches", Literal::String(pattern)) => Regex::written(pattern).is_ok(),
            _ => true,
        };
        if !fine {
            self.issues.report(arg.at, format!("invalid {name} argument"));
        }
    }

    /// Elements of a literal have one type, also where one of them is `dyn`.
    fn alike<'e>(&mut self, parts: impl Iterator<Item = (&'e Expr, bool)>, once: bool) {
        let mut expected: Option<Type> = None;
        for (part, optional) in parts {
            let kind = self.checked.type_of(part);
            let kind = if optional { kind.unwrap_optional().unwrap_or(kind) } else { kind };
            match &expected {
                None => expected = Some(kind.clone()),
                Some(expected) if expected != kind => {
                    let message = format!("expected type '{expected}' but found '{kind}'");
                    self.issues.report(part.at, message);
                    if once {
                        return;
                    }
                }
                Some(_) => {}
            }
        }
    }

    fn format(&mut self, expr: &Expr, target: Option<&Expr>, args: &[Expr]) {
        let (Some(Expr { kind: ExprKind::Literal(Literal::String(format)), .. }), [list]) = (target, args)
        else {
            return;
        };
        let ExprKind::List(elements) = &list.kind else { return };
        let checked = self.checked;
        let mut at = expr.at;
        let used = check_format(format, elements.len(), |clause, index| {
            let value = &elements[index].value;
            match refused(checked, clause, value) {
                None => Ok(()),
                Some(wrong) => {
                    at = wrong.at;
                    Err(Fault::error(clause.refuses(checked.type_of(wrong).name())))
                }
            }
        });
        match used {
            Err(fault) => self.issues.report(at, fault.to_string()),
            Ok(used) if used < elements.len() => {
                let given = elements.len();
                let message =
                    format!("too many arguments supplied to string.format (expected {used}, got {given})");
                self.issues.report(expr.at, message);
            }
            Ok(_) => {}
        }
    }
}

/// The part of an argument that a clause cannot write.
fn refused<'e>(checked: &Checked, clause: Clause, value: &'e Expr) -> Option<&'e Expr> {
    let kind = checked.type_of(value);
    let fine = match (clause, kind) {
        (_, Type::Dyn) => true,
        (Clause::String, kind) => {
            !matches!(kind, Type::Object(_) | Type::Opaque(..) | Type::Any | Type::Error | Type::Variable(_))
        }
        (Clause::Decimal | Clause::Octal, Type::Int | Type::Uint) => true,
        (Clause::Fixed(_) | Clause::Scientific(_), Type::Double | Type::String) => true,
        (Clause::Binary, Type::Int | Type::Uint | Type::Bool) => true,
        (Clause::Hex(_), Type::Int | Type::Uint | Type::String | Type::Bytes) => true,
        _ => false,
    };
    if !fine {
        return Some(value);
    }
    if clause != Clause::String {
        return None;
    }
    match &value.kind {
        ExprKind::List(elements) => elements.iter().find_map(|it| refused(checked, clause, &it.value)),
        ExprKind::Map(entries) => entries.iter().find_map(|entry| {
            refused(checked, clause, &entry.key).or_else(|| refused(checked, clause, &entry.value))
        }),
        _ => None,
    }
}
