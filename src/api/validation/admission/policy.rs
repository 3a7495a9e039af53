//! Policies: what is asked of requests, or done to their objects.

use std::collections::BTreeSet;

use super::expression::{Expressions, Purpose};
use super::{FAILURE_POLICIES, REINVOCATION_POLICIES, matching};
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};
use crate::api::validation::conditions;

const MAX_AUDIT_ANNOTATIONS: usize = 20;
const MAX_AUDIT_EXPRESSION_BYTES: usize = 5 << 10;
const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];

pub(super) fn validating(policy: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = policy.get("spec");
    let mut expressions = expressions(&spec, old);
    common(&spec, old, &mut expressions, errors);
    let (validations, annotations) = (spec.get("validations"), spec.get("auditAnnotations"));
    if validations.len() + annotations.len() == 0 {
        const SOME: &str = "validations or auditAnnotations must contain at least one item";
        errors.extend([validations.required(SOME), annotations.required(SOME)]);
        return;
    }
    validations.items().for_each(|validation| self::validation(&validation, &expressions, errors));
    if annotations.len() > MAX_AUDIT_ANNOTATIONS {
        errors.push(
            annotations.invalid(format!("must not have more than {MAX_AUDIT_ANNOTATIONS} auditAnnotations")),
        );
    }
    let name = policy.value()["metadata"]["name"].as_str().unwrap_or_default();
    let mut seen = BTreeSet::new();
    for annotation in annotations.items() {
        audit_annotation(name, &annotation, &expressions, errors);
        let key = annotation.get("key");
        if !seen.insert(key.text().to_owned()) {
            errors.push(key.duplicate());
        }
    }
}

pub(super) fn mutating(policy: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = policy.get("spec");
    let mut expressions = expressions(&spec, old);
    expressions.compose();
    common(&spec, old, &mut expressions, errors);
    matching::only_mutable(&spec.get("matchConstraints"), errors);
    let mutations = spec.get("mutations");
    if mutations.len() == 0 {
        errors.push(mutations.required("mutations must contain at least one item"));
    }
    mutations.items().for_each(|mutation| self::mutation(&mutation, &expressions, errors));
    checks::one_of(&spec.get("reinvocationPolicy"), &REINVOCATION_POLICIES, errors);
}

/// What a policy's expressions are compiled by, and which of them it had before.
fn expressions<'a>(spec: &At<'_>, old: Option<&At<'a>>) -> Expressions<'a> {
    const LISTS: [(&str, &str, Purpose); 5] = [
        ("validations", "/expression", Purpose::Validation),
        ("validations", "/messageExpression", Purpose::Message),
        ("auditAnnotations", "/valueExpression", Purpose::Audit),
        ("mutations", "/applyConfiguration/expression", Purpose::Apply),
        ("mutations", "/jsonPatch/expression", Purpose::Patch),
    ];
    let stored = old.map(|old| &old.value()["spec"]).into_iter().flat_map(|before| {
        let listed = LISTS.into_iter().flat_map(move |(list, pointer, purpose)| {
            let items = before[list].as_array().into_iter().flatten();
            items.filter_map(move |item| Some((purpose, item.pointer(pointer)?.as_str()?)))
        });
        matching::stored(before).chain(listed)
    });
    Expressions::new(spec.has("paramKind"), stored.collect())
}

fn common(spec: &At<'_>, old: Option<&At<'_>>, expressions: &mut Expressions<'_>, errors: &mut Errors) {
    let failure = spec.get("failurePolicy");
    if failure.is_set() {
        checks::one_of_if_set(&failure, &FAILURE_POLICIES, errors);
    } else {
        errors.push(failure.required(""));
    }
    let parameters = spec.get("paramKind");
    if parameters.is_set() {
        kind(&parameters, errors);
    }
    let constraints = spec.get("matchConstraints");
    if constraints.is_set() {
        matching::resources(&constraints, errors);
        let rules = constraints.get("resourceRules");
        if rules.len() == 0 {
            errors.push(rules.required(""));
        }
    } else {
        errors.push(constraints.required(""));
    }
    let unchanged = old.is_some_and(|old| {
        let before = old.get("spec");
        ["paramKind", "matchConditions"]
            .iter()
            .all(|field| checks::same(spec.get(field).value(), before.get(field).value()))
    });
    if !unchanged {
        matching::conditions(&spec.get("matchConditions"), expressions, errors);
    }
    spec.get("variables").items().for_each(|variable| self::variable(&variable, expressions, errors));
}

/// The kind of a policy's parameters.
fn kind(parameters: &At<'_>, errors: &mut Errors) {
    let (api_version, kind) = (parameters.get("apiVersion"), parameters.get("kind"));
    let text = api_version.text();
    let parts: Vec<_> = text.split('/').collect();
    match parts[..] {
        _ if text.is_empty() => errors.push(api_version.required("")),
        [_] | [_, _] => {
            let (group, version) = text.split_once('/').unwrap_or(("", text));
            let at = |shown: &str, wrong: String| Error::invalid(&api_version.path(), shown, wrong);
            if !group.is_empty() {
                let sentences = names::dns1123_subdomain(group);
                errors.extend((!sentences.is_empty()).then(|| at(group, sentences.join(","))));
            }
            if version.is_empty() {
                errors.push(at(text, "version must be specified".into()));
            } else {
                let sentences = names::dns1035_label(version);
                errors.extend((!sentences.is_empty()).then(|| at(version, sentences.join(","))));
            }
        }
        _ => errors.push(api_version.invalid(format!("unexpected GroupVersion string: {text}"))),
    }
    if checks::present(&kind, errors) {
        let sentences = names::dns1035_label(&kind.text().to_lowercase());
        if !sentences.is_empty() {
            errors.push(kind.invalid(format!(
                "may have mixed case, but should otherwise match: {}",
                sentences.join(",")
            )));
        }
    }
}

fn variable(variable: &At<'_>, expressions: &mut Expressions<'_>, errors: &mut Errors) {
    let (name, expression) = (variable.get("name"), variable.get("expression"));
    if name.text().trim().is_empty() {
        errors.push(name.required("name is not specified"));
    } else if !is_identifier(name.text()) {
        errors.push(name.invalid("must be a valid CEL identifier"));
    }
    if expression.text().trim().is_empty() {
        errors.push(expression.required("expression is not specified"));
    } else {
        expressions.variable(name.text(), &expression, errors);
    }
}

/// Whether CEL takes a word for a name.
fn is_identifier(word: &str) -> bool {
    names::c_identifier(word).is_empty() && !names::is_cel_word(word)
}

fn validation(validation: &At<'_>, expressions: &Expressions<'_>, errors: &mut Errors) {
    let expression = validation.get("expression");
    if expression.text().trim().is_empty() {
        errors.push(expression.required("expression is not specified"));
    } else {
        expressions.compile(Purpose::Validation, &expression, errors);
    }
    for field in ["messageExpression", "message"] {
        let at = validation.get(field);
        let text = at.text().trim();
        if !at.text().is_empty() && text.is_empty() {
            errors.push(at.invalid("must be non-empty if specified"));
        } else if field == "message" && text.contains(['\n', '\r']) {
            errors.push(at.invalid("must not contain line breaks"));
        } else if field == "messageExpression" && !text.is_empty() {
            expressions.compile(Purpose::Message, &at, errors);
        }
    }
    checks::one_of_if_set(&validation.get("reason"), &REASONS, errors);
}

fn audit_annotation(policy: &str, annotation: &At<'_>, expressions: &Expressions<'_>, errors: &mut Errors) {
    let (key, expression) = (annotation.get("key"), annotation.get("valueExpression"));
    if policy.is_empty() {
        errors.push(key.invalid("requires metadata.name be non-empty"));
    } else {
        let whole = format!("{policy}/{}", key.text());
        for sentence in names::qualified_name(&whole) {
            errors.push(Error::invalid(&key.path(), whole.as_str(), sentence));
        }
    }
    let text = expression.text().trim();
    if text.is_empty() {
        errors.push(expression.required("valueExpression is not specified"));
    } else if text.len() > MAX_AUDIT_EXPRESSION_BYTES {
        errors.push(
            expression.required(format!("must not exceed {MAX_AUDIT_EXPRESSION_BYTES} bytes in length")),
        );
    } else {
        expressions.compile(Purpose::Audit, &expression, errors);
    }
}

fn mutation(mutation: &At<'_>, expressions: &Expressions<'_>, errors: &mut Errors) {
    const FORMS: [(&str, &str, Purpose); 2] = [
        ("ApplyConfiguration", "applyConfiguration", Purpose::Apply),
        ("JSONPatch", "jsonPatch", Purpose::Patch),
    ];
    let kind = mutation.get("patchType");
    if !checks::present(&kind, errors) {
        return;
    }
    let Some((form, own, purpose)) = FORMS.into_iter().find(|(form, ..)| *form == kind.text()) else {
        errors.push(kind.not_supported(&FORMS.map(|(form, ..)| form)));
        return;
    };
    let patch = mutation.get(own);
    if patch.is_set() {
        let expression = patch.get("expression");
        if expression.text().trim().is_empty() {
            errors.push(expression.required(""));
        } else {
            expressions.compile(purpose, &expression, errors);
        }
    } else {
        errors.push(patch.required(format!("must be specified when patchType is {form}")));
    }
    for (_, field, _) in FORMS.into_iter().filter(|(_, field, _)| *field != own) {
        let other = mutation.get(field);
        if other.is_set() {
            let wrong = format!("must not be specified when patchType is {form}");
            errors.push(Error::invalid(&other.path(), format!("{{{field}}}"), wrong));
        }
    }
}

/// What a policy's type checking found, and its conditions.
pub(super) fn status(policy: &At<'_>, errors: &mut Errors) {
    let status = policy.get("status");
    for warning in status.get("typeChecking").get("expressionWarnings").items() {
        checks::present(&warning.get("warning"), errors);
        let reference = warning.get("fieldRef");
        if reference.text().trim().is_empty() {
            errors.push(reference.required(""));
        }
    }
    conditions::all(&status.get("conditions"), errors);
}
