//! Webhooks, and policies with their bindings.
//!
//! CEL expressions are compiled where there is a compiler, which is with the feature `cel`.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/admissionregistration/validation` (1.36).

use super::at::At;
use super::checks::Errors;

mod binding;
mod expression;
mod matching;
mod policy;
mod rules;
mod url;
mod webhook;

const FAILURE_POLICIES: [&str; 2] = ["Fail", "Ignore"];
const MATCH_POLICIES: [&str; 2] = ["Equivalent", "Exact"];
const REINVOCATION_POLICIES: [&str; 2] = ["IfNeeded", "Never"];

pub(super) fn object(kind: &str, object: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    match kind {
        "MutatingWebhookConfiguration" => webhook::configuration(object, old, true, errors),
        "ValidatingWebhookConfiguration" => webhook::configuration(object, old, false, errors),
        "ValidatingAdmissionPolicy" => policy::validating(object, old, errors),
        "MutatingAdmissionPolicy" => policy::mutating(object, old, errors),
        "ValidatingAdmissionPolicyBinding" => binding::validating(object, errors),
        "MutatingAdmissionPolicyBinding" => binding::mutating(object, errors),
        _ => {}
    }
}

pub(super) fn status(kind: &str, object: &At<'_>, errors: &mut Errors) {
    if kind == "ValidatingAdmissionPolicy" {
        policy::status(object, errors);
    }
}
