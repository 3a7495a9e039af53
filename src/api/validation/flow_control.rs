//! Flow schemas and priority levels.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/flowcontrol/validation` (1.36); what is fixed is of
//! `k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::at::At;
use super::checks::{self, Errors};
use crate::api::field::{Error, Path};
use crate::api::names;

const MAX_PRECEDENCE: i64 = 10_000;
const MAX_QUEUES: i64 = 10_000_000;
/// How many bits a flow's hash has.
const MAX_HASH_BITS: u32 = 60;
const VERBS: [&str; 9] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];
const ZERO_SHARES: &str = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";

pub(super) fn object(kind: &str, object: &At<'_>, errors: &mut Errors) {
    match kind {
        "FlowSchema" => schema(object, errors),
        "PriorityLevelConfiguration" => level(object, errors),
        _ => return,
    }
    status(object, errors);
}

/// What both kinds ask of a status.
pub(super) fn status(object: &At<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    let status = object.get("status");
    for condition in status.get("conditions").items() {
        let kind = condition.get("type");
        if !seen.insert(kind.text().to_owned()) {
            errors.push(kind.duplicate());
        }
        checks::present(&kind, errors);
    }
}

fn schema(schema: &At<'_>, errors: &mut Errors) {
    let (metadata, spec) = (schema.get("metadata"), schema.get("spec"));
    let name = metadata.get("name");
    let precedence = spec.get("matchingPrecedence");
    let number = precedence.number().unwrap_or(0);
    if number <= 0 {
        errors.push(Error::invalid(&precedence.path(), number, "must be a positive value"));
    }
    if number > MAX_PRECEDENCE {
        errors.push(precedence.invalid(format!("must not be greater than {MAX_PRECEDENCE}")));
    }
    if number == 1 && name.text() != "exempt" {
        errors.push(precedence.invalid("only the schema named 'exempt' may have matchingPrecedence 1"));
    }
    let method = spec.get("distinguisherMethod");
    if method.is_set() && !matches!(method.get("type").text(), "ByNamespace" | "ByUser") {
        let path = method.path().child("type");
        errors.push(Error::not_supported(&path, method.value().clone(), &["ByNamespace", "ByUser"]));
    }
    let level = spec.get("priorityLevelConfiguration");
    let level = level.get("name");
    if level.text().is_empty() {
        errors.push(level.required("must reference a priority level"));
    } else {
        checks::named(&level, names::dns1123_subdomain, errors);
    }
    spec.get("rules").items().for_each(|rule| self::rule(&rule, errors));
    fixed(&spec, fixed_schema(name.text()), name.text(), errors);
}

/// What the server itself makes must stay what it is.
fn fixed(spec: &At<'_>, wanted: Option<Value>, name: &str, errors: &mut Errors) {
    if wanted.is_some_and(|wanted| !checks::same(spec.value(), &wanted)) {
        errors.push(spec.invalid(format!("spec of '{name}' must equal the fixed value")));
    }
}

fn fixed_schema(name: &str) -> Option<Value> {
    let group = |name: &str| json!({"kind": "Group", "group": {"name": name}});
    let (precedence, method, subjects) = match name {
        "exempt" => (1, Value::Null, json!([group("system:masters")])),
        "catch-all" => (
            MAX_PRECEDENCE,
            json!({"type": "ByUser"}),
            json!([group("system:unauthenticated"), group("system:authenticated")]),
        ),
        _ => return None,
    };
    Some(json!({
        "matchingPrecedence": precedence,
        "distinguisherMethod": method,
        "priorityLevelConfiguration": {"name": name},
        "rules": [{
            "subjects": subjects,
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"],
                               "clusterScope": true}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }],
    }))
}

fn rule(rule: &At<'_>, errors: &mut Errors) {
    let (subjects, resources, others) =
        (rule.get("subjects"), rule.get("resourceRules"), rule.get("nonResourceRules"));
    if subjects.len() == 0 {
        errors.push(subjects.required("subjects must contain at least one value"));
    }
    subjects.items().for_each(|subject| self::subject(&subject, errors));
    if resources.len() + others.len() == 0 {
        errors.push(rule.required("at least one of resourceRules and nonResourceRules has to be non-empty"));
    }
    resources.items().for_each(|rule| resource_rule(&rule, errors));
    others.items().for_each(|rule| other_rule(&rule, errors));
}

fn subject(subject: &At<'_>, errors: &mut Errors) {
    const KINDS: [(&str, &str); 3] =
        [("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")];
    let kind = subject.get("kind");
    let Some((_, own)) = KINDS.into_iter().find(|(known, _)| *known == kind.text()) else {
        errors.push(kind.not_supported(&["Group", "ServiceAccount", "User"]));
        return;
    };
    let at = subject.get(own);
    if !at.is_set() {
        errors.push(at.required(format!("{own} is required when subject kind is '{}'", kind.text())));
    } else {
        let (name, namespace) = (at.get("name"), at.get("namespace"));
        if checks::present(&name, errors) && own == "serviceAccount" && name.text() != "*" {
            checks::named(&name, names::dns1123_subdomain, errors);
        }
        match (own, namespace.text()) {
            ("serviceAccount", "") => {
                errors.push(namespace.required("must specify namespace for service account"));
            }
            ("serviceAccount", _) => checks::named(&namespace, names::dns1123_label, errors),
            _ => {}
        }
    }
    for (other, field) in KINDS.into_iter().filter(|(_, field)| *field != own) {
        let at = subject.get(field);
        if at.is_set() {
            errors.push(at.forbidden(format!("{field} is forbidden when subject kind is not '{other}'")));
        }
    }
}

fn has_wildcard(list: &At<'_>) -> bool {
    list.items().any(|item| item.text() == "*")
}

/// `*` stands for all, and so alone.
fn alone(list: &At<'_>, others: &str, errors: &mut Errors) {
    if list.len() > 1 && has_wildcard(list) {
        errors.push(list.invalid(format!("if '*' is present, must not specify other {others}")));
    }
}

fn verbs(rule: &At<'_>, errors: &mut Errors) {
    let verbs = rule.get("verbs");
    if verbs.len() == 0 {
        errors.push(verbs.required("verbs must contain at least one value"));
    } else if has_wildcard(&verbs) {
        alone(&verbs, "verbs", errors);
    } else if !verbs.items().all(|verb| VERBS.contains(&verb.text())) {
        errors.push(verbs.not_supported(&VERBS));
    }
}

fn resource_rule(rule: &At<'_>, errors: &mut Errors) {
    verbs(rule, errors);
    for (field, wanted, others) in [
        ("apiGroups", "resource rules must supply at least one api group", "api groups"),
        ("resources", "resource rules must supply at least one resource", "resources"),
    ] {
        let list = rule.get(field);
        if list.len() == 0 {
            errors.push(list.required(wanted));
        }
        alone(&list, others, errors);
    }
    let namespaces = rule.get("namespaces");
    if namespaces.len() == 0 && !rule.get("clusterScope").flag() {
        errors.push(
            namespaces
                .required("resource rules that are not cluster scoped must supply at least one namespace"),
        );
    } else if has_wildcard(&namespaces) {
        alone(&namespaces, "namespaces", errors);
    } else {
        for namespace in namespaces.items() {
            for sentence in names::dns1123_label(namespace.text()) {
                errors.push(namespace.invalid(format!(
                    "each member of this list must be '*' or a DNS-1123 label; {sentence}"
                )));
            }
        }
    }
}

fn other_rule(rule: &At<'_>, errors: &mut Errors) {
    verbs(rule, errors);
    let urls = rule.get("nonResourceURLs");
    if urls.len() == 0 {
        errors.push(urls.required("nonResourceURLs must contain at least one value"));
    } else if has_wildcard(&urls) {
        alone(&urls, "non-resource URLs", errors);
    } else {
        errors.extend(urls.items().filter_map(|url| Some(url.invalid(wrong_url(url.text())?))));
    }
}

fn wrong_url(url: &str) -> Option<&'static str> {
    let stars = url.matches('*').count();
    match url {
        "" => Some("must not be empty"),
        "/" => None,
        _ if !url.starts_with('/') => Some("must start with slash"),
        _ if url.contains(' ') => Some("must not contain white-space"),
        _ if url.contains("//") => Some("must not contain double slash"),
        _ if stars > 1 || (stars == 1 && !url.ends_with("/*")) => {
            Some("wildcard can only do suffix matching")
        }
        _ => None,
    }
}

fn level(level: &At<'_>, errors: &mut Errors) {
    let (metadata, spec) = (level.get("metadata"), level.get("spec"));
    let annotations = metadata.get("annotations");
    if annotations.value().get(ZERO_SHARES).is_some() {
        errors.push(annotations.forbidden(format!("annotation '{ZERO_SHARES}' is forbidden")));
    }
    let name = metadata.get("name");
    let (kind, exempt, limited) = (spec.get("type"), spec.get("exempt"), spec.get("limited"));
    if (name.text() == "exempt") != (kind.text() == "Exempt") {
        errors.push(Error::invalid(
            &kind.path(),
            kind.text(),
            "must be 'Exempt' if and only if `name` is 'exempt'",
        ));
    }
    match kind.text() {
        "Exempt" => {
            if limited.is_set() {
                errors.push(limited.forbidden("must be nil if the type is not Limited"));
            }
            shares(&exempt, errors);
            lendable(&exempt, errors);
        }
        "Limited" => {
            if exempt.is_set() {
                errors.push(exempt.forbidden("must be nil if the type is Limited"));
            }
            if limited.is_set() {
                self::limited(&limited, errors);
            } else {
                errors.push(limited.required("must not be empty when type is Limited"));
            }
        }
        _ => errors.push(Error::not_supported(&kind.path(), kind.text(), &["Exempt", "Limited"])),
    }
    match name.text() {
        "exempt" => {
            // How much it lends may be changed.
            let rest: serde_json::Map<String, Value> = spec
                .value()
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(field, _)| *field != "exempt")
                .map(|(field, value)| (field.clone(), value.clone()))
                .collect();
            if !checks::same(&rest.into(), &json!({"type": "Exempt"})) {
                errors.push(
                    spec.invalid(
                        "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value",
                    ),
                );
            }
        }
        "catch-all" => {
            let limited = json!({"nominalConcurrencyShares": 5, "lendablePercent": 0,
                                 "limitResponse": {"type": "Reject"}});
            let wanted = json!({"type": "Limited", "limited": limited});
            fixed(&spec, Some(wanted), name.text(), errors);
        }
        _ => {}
    }
}

fn shares(at: &At<'_>, errors: &mut Errors) {
    let shares = at.get("nominalConcurrencyShares");
    if shares.number().is_some_and(|number| number < 0) {
        errors.push(shares.invalid("must be a non-negative integer"));
    }
}

fn lendable(at: &At<'_>, errors: &mut Errors) {
    let percent = at.get("lendablePercent");
    if percent.number().is_some_and(|number| !(0..=100).contains(&number)) {
        errors.push(percent.invalid("must be between 0 and 100, inclusive"));
    }
}

fn limited(limited: &At<'_>, errors: &mut Errors) {
    shares(limited, errors);
    let response = limited.get("limitResponse");
    let (kind, queuing) = (response.get("type"), response.get("queuing"));
    match kind.text() {
        "Reject" if queuing.is_set() => {
            errors.push(queuing.forbidden("must be nil if limited.limitResponse.type is not Limited"));
        }
        "Reject" => {}
        "Queue" if !queuing.is_set() => {
            errors.push(queuing.required("must not be empty if limited.limitResponse.type is Limited"));
        }
        "Queue" => self::queuing(&queuing, errors),
        _ => errors.push(Error::not_supported(&kind.path(), kind.text(), &["Queue", "Reject"])),
    }
    lendable(limited, errors);
    let borrowing = limited.get("borrowingLimitPercent");
    if borrowing.number().is_some_and(|number| number < 0) {
        errors.push(borrowing.invalid("if specified, must be a non-negative integer"));
    }
}

fn queuing(queuing: &At<'_>, errors: &mut Errors) {
    let number = |field: &'static str| queuing.value()[field].as_i64().unwrap_or(0);
    let wrong = |field: &str, wrong: String| {
        let path: Path = queuing.path().child(field);
        Error::invalid(&path, queuing.value()[field].as_i64().unwrap_or(0), wrong)
    };
    let (queues, hand) = (number("queues"), number("handSize"));
    if number("queueLengthLimit") <= 0 {
        errors.push(wrong("queueLengthLimit", "must be positive".into()));
    }
    if queues <= 0 {
        errors.push(wrong("queues", "must be positive".into()));
    } else if queues > MAX_QUEUES {
        errors.push(wrong("queues", format!("must not be greater than {MAX_QUEUES}")));
    }
    if hand <= 0 {
        errors.push(wrong("handSize", "must be positive".into()));
    } else if hand > queues {
        errors.push(wrong("handSize", format!("should not be greater than queues ({queues})")));
    } else if entropy_bits(queues, hand) > f64::from(MAX_HASH_BITS) {
        errors.push(wrong(
            "handSize",
            format!(
                "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than \
                 {MAX_HASH_BITS}"
            ),
        ));
    }
}

/// How many bits of a hash it takes to deal a hand of this size from a deck of that one.
///
/// Source: `RequiredEntropyBits` of `k8s.io/apiserver/pkg/util/shufflesharding` (1.36).
fn entropy_bits(deck: i64, hand: i64) -> f64 {
    ((deck as f64).log2() * hand as f64).ceil()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_takes_bits_for_each_card() {
        let bits = [(64, 6), (128, 6), (512, 8), (1, 1)].map(|(deck, hand)| entropy_bits(deck, hand));
        assert_eq!(bits, [36.0, 42.0, 72.0, 0.0]);
    }
}
