//! Webhooks, and how they are reached.

use std::collections::BTreeSet;

use super::expression::Expressions;
use super::url::Parts;
use super::{FAILURE_POLICIES, MATCH_POLICIES, REINVOCATION_POLICIES, matching, rules};
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

/// The versions of `AdmissionReview` that a server sends.
const REVIEW_VERSIONS: [&str; 2] = ["v1", "v1beta1"];
const SIDE_EFFECTS: [&str; 4] = ["None", "NoneOnDryRun", "Some", "Unknown"];
const NO_SIDE_EFFECTS: [&str; 2] = ["None", "NoneOnDryRun"];

/// What is asked of a configuration. One that was not so before may stay as it is.
struct Asked {
    no_side_effects: bool,
    known_review_version: bool,
    unique_names: bool,
    strict_selectors: bool,
    judge_conditions: bool,
}

pub(super) fn configuration(object: &At<'_>, old: Option<&At<'_>>, mutating: bool, errors: &mut Errors) {
    let hooks = object.get("webhooks");
    let asked = Asked::of(&hooks, old);
    let before = old.map(|old| old.get("webhooks"));
    let stored = before.iter().flat_map(At::items).flat_map(|hook| matching::stored(hook.value()));
    let expressions = Expressions::new(false, stored.collect());
    let mut seen = BTreeSet::new();
    for hook in hooks.items() {
        self::hook(&hook, &asked, &expressions, mutating, errors);
        let name = hook.get("name");
        let repeated = !name.text().is_empty() && !seen.insert(name.text().to_owned());
        if asked.unique_names && repeated {
            errors.push(name.duplicate());
        }
    }
}

impl Asked {
    fn of(hooks: &At<'_>, old: Option<&At<'_>>) -> Self {
        let Some(old) = old else {
            return Self {
                no_side_effects: true,
                known_review_version: true,
                unique_names: true,
                strict_selectors: true,
                judge_conditions: true,
            };
        };
        let before = old.get("webhooks");
        let mut names = BTreeSet::new();
        let mut wrong = Vec::new();
        for hook in before.items() {
            checks::label_selector(&hook.get("namespaceSelector"), &mut wrong);
            checks::label_selector(&hook.get("objectSelector"), &mut wrong);
        }
        let same = |(now, then): (At<'_>, At<'_>)| {
            checks::same(now.get("matchConditions").value(), then.get("matchConditions").value())
        };
        Self {
            no_side_effects: before
                .items()
                .all(|hook| NO_SIDE_EFFECTS.contains(&hook.get("sideEffects").text())),
            known_review_version: before.items().all(|hook| {
                let versions = hook.get("admissionReviewVersions");
                versions.len() == 0
                    || versions.items().any(|version| REVIEW_VERSIONS.contains(&version.text()))
            }),
            unique_names: before.items().all(|hook| names.insert(hook.get("name").text().to_owned())),
            strict_selectors: wrong.is_empty(),
            judge_conditions: hooks.len() != before.len() || !hooks.items().zip(before.items()).all(same),
        }
    }
}

fn hook(hook: &At<'_>, asked: &Asked, expressions: &Expressions<'_>, mutating: bool, errors: &mut Errors) {
    full_name(&hook.get("name"), errors);
    hook.get("rules").items().for_each(|rule| rules::rule(&rule, errors));
    checks::one_of_if_set(&hook.get("failurePolicy"), &FAILURE_POLICIES, errors);
    checks::one_of_if_set(&hook.get("matchPolicy"), &MATCH_POLICIES, errors);
    let allowed: &[&str] = if asked.no_side_effects { &NO_SIDE_EFFECTS } else { &SIDE_EFFECTS };
    let effects = hook.get("sideEffects");
    if effects.is_set() {
        checks::one_of_if_set(&effects, allowed, errors);
    } else {
        errors.push(effects.required(format!("must specify one of {}", allowed.join(", "))));
    }
    let timeout = hook.get("timeoutSeconds");
    if timeout.number().is_some_and(|seconds| !(1..=30).contains(&seconds)) {
        errors.push(timeout.invalid("the timeout value must be between 1 and 30 seconds"));
    }
    for field in ["namespaceSelector", "objectSelector"] {
        checks::label_selector_with(&hook.get(field), !asked.strict_selectors, errors);
    }
    if mutating {
        checks::one_of_if_set(&hook.get("reinvocationPolicy"), &REINVOCATION_POLICIES, errors);
    }
    let config = hook.get("clientConfig");
    let (address, service) = (config.get("url"), config.get("service"));
    match (address.is_set(), service.is_set()) {
        (true, false) => url(&address, errors),
        (false, true) => self::service(&service, errors),
        _ => errors.push(config.required("exactly one of url or service is required")),
    }
    if asked.judge_conditions {
        matching::conditions(&hook.get("matchConditions"), expressions, errors);
    }
    review_versions(&hook.get("admissionReviewVersions"), asked, errors);
}

/// A domain of three parts or more.
///
/// Source: `IsFullyQualifiedName` of `k8s.io/apimachinery/pkg/util/validation` (1.36).
fn full_name(name: &At<'_>, errors: &mut Errors) {
    if !checks::present(name, errors) {
        return;
    }
    let sentences = names::dns1123_subdomain(name.text());
    if !sentences.is_empty() {
        errors.push(name.invalid(sentences.join(",")));
    } else if name.text().split('.').count() < 3 {
        errors.push(name.invalid("should be a domain with at least three segments separated by dots"));
    }
}

fn review_versions(versions: &At<'_>, asked: &Asked, errors: &mut Errors) {
    let known = REVIEW_VERSIONS.join(", ");
    if versions.len() == 0 {
        errors.push(versions.required(format!("must specify one of {known}")));
        return;
    }
    let mut seen = BTreeSet::new();
    for version in versions.items() {
        if seen.insert(version.text().to_owned()) {
            checks::named(&version, names::dns1035_label, errors);
        } else {
            errors.push(version.invalid("duplicate version"));
        }
    }
    if asked.known_review_version && !REVIEW_VERSIONS.iter().any(|version| seen.contains(*version)) {
        errors.push(versions.invalid(format!("must include at least one of {known}")));
    }
}

/// The address of a webhook outside the cluster.
///
/// Source: `ValidateWebhookURL` of `k8s.io/apiserver/pkg/util/webhook` (1.36).
fn url(at: &At<'_>, errors: &mut Errors) {
    const FORM: &str = "; desired format: https://host[/path]";
    let parts = match Parts::of(at.text()) {
        Ok(parts) => parts,
        Err(why) => {
            return errors.push(at.required(format!("url must be a valid URL: {why}{FORM}")));
        }
    };
    let mut wrong = |shown: &str, why: String| errors.push(Error::invalid(&at.path(), shown, why));
    if parts.scheme != "https" {
        wrong(&parts.scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if parts.host.is_empty() {
        wrong("", format!("host must be specified{FORM}"));
    }
    for (part, what) in [
        (parts.user, "user information is not permitted in the URL"),
        (Some(parts.fragment).filter(|part| !part.is_empty()), "fragments are not permitted in the URL"),
        (Some(parts.query).filter(|part| !part.is_empty()), "query parameters are not permitted in the URL"),
    ] {
        if let Some(part) = part {
            wrong(part, what.into());
        }
    }
}

/// The service of a webhook in the cluster. Kubernetes reports a missing namespace at the name, and a
/// missing name at the namespace.
///
/// Source: `ValidateWebhookService` of `k8s.io/apiserver/pkg/util/webhook` (1.36), and how it is called.
fn service(service: &At<'_>, errors: &mut Errors) {
    let (name, namespace) = (service.get("name"), service.get("namespace"));
    for (missing, reported) in [(&namespace, &name), (&name, &namespace)] {
        if missing.text().is_empty() {
            errors.push(reported.required(""));
        }
    }
    let port = service.get("port");
    let problems = names::port_number(port.number().unwrap_or_default());
    if !problems.is_empty() {
        errors.push(port.invalid(format!("port is not valid: {}", problems.join(", "))));
    }
    let path = service.get("path");
    if path.is_set() {
        service_path(&path, errors);
    }
}

fn service_path(path: &At<'_>, errors: &mut Errors) {
    let text = path.text();
    if text == "/" || text.is_empty() {
        return;
    }
    if text == "//" {
        errors.push(path.invalid("segment[0] may not be empty"));
        return;
    }
    if !text.starts_with('/') {
        errors.push(path.invalid("must start with a '/'"));
    }
    let inside = text.split_at(text.chars().next().map_or(0, char::len_utf8)).1;
    let inside = inside.strip_suffix('/').unwrap_or(inside);
    for (index, step) in inside.split('/').enumerate() {
        if step.is_empty() {
            errors.push(path.invalid(format!("segment[{index}] may not be empty")));
            continue;
        }
        for sentence in names::dns1123_subdomain(step) {
            errors.push(path.invalid(format!("segment[{index}]: {sentence}")));
        }
    }
}
