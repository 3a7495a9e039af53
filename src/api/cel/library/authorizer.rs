//! Questions to an authorizer.
//!
//! These are only declared, so that expressions that ask are checked, and their costs known. No value is an
//! authorizer, nor what one makes: a variable of that type cannot be set, and an expression that speaks of it fails
//! for want of it. What else these are called on, behind `dyn`, has no such function.
//!
//! Source: `pkg/cel/library/authz.go` of `k8s.io/apiserver` (1.36).

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::functions::Function;
use super::super::value::Value;

const fn row(name: &'static str, overloads: &'static [(&'static str, &'static str)]) -> Function {
    Function { name, since: 27, overloads, run: of_no_authorizer }
}

const fn newer(name: &'static str, overloads: &'static [(&'static str, &'static str)]) -> Function {
    Function { name, since: 31, overloads, run: of_no_authorizer }
}

fn of_no_authorizer<'a>(_: &mut Scope<'a, '_>, _: &[Value<'a>]) -> Eval<'a> {
    Err(Fault::no_overload())
}

pub(super) const FUNCTIONS: &[Function] = &[
    row(
        "path",
        &[(
            "authorizer_path",
            "kubernetes.authorization.Authorizer.(string) -> kubernetes.authorization.PathCheck",
        )],
    ),
    row(
        "group",
        &[(
            "authorizer_group",
            "kubernetes.authorization.Authorizer.(string) -> kubernetes.authorization.GroupCheck",
        )],
    ),
    row(
        "serviceAccount",
        &[(
            "authorizer_serviceaccount",
            "kubernetes.authorization.Authorizer.(string, string) -> kubernetes.authorization.Authorizer",
        )],
    ),
    row(
        "resource",
        &[(
            "groupcheck_resource",
            "kubernetes.authorization.GroupCheck.(string) -> kubernetes.authorization.ResourceCheck",
        )],
    ),
    row("subresource", &[("resourcecheck_subresource", NARROWED)]),
    row("namespace", &[("resourcecheck_namespace", NARROWED)]),
    row("name", &[("resourcecheck_name", NARROWED)]),
    row(
        "check",
        &[
            (
                "pathcheck_check",
                "kubernetes.authorization.PathCheck.(string) -> kubernetes.authorization.Decision",
            ),
            (
                "resourcecheck_check",
                "kubernetes.authorization.ResourceCheck.(string) -> kubernetes.authorization.Decision",
            ),
        ],
    ),
    row("errored", &[("decision_errored", "kubernetes.authorization.Decision.() -> bool")]),
    row("error", &[("decision_error", "kubernetes.authorization.Decision.() -> string")]),
    row("allowed", &[("decision_allowed", "kubernetes.authorization.Decision.() -> bool")]),
    row("reason", &[("decision_reason", "kubernetes.authorization.Decision.() -> string")]),
    newer("fieldSelector", &[("authorizer_fieldselector", NARROWED)]),
    newer("labelSelector", &[("authorizer_labelselector", NARROWED)]),
];

/// A question about resources that is narrowed down.
const NARROWED: &str =
    "kubernetes.authorization.ResourceCheck.(string) -> kubernetes.authorization.ResourceCheck";
