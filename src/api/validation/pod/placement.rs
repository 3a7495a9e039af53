//! Where a pod may go: affinity, tolerations, spreading.

use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(super) fn affinity(affinity: &At<'_>, errors: &mut Errors) {
    let node = affinity.get("nodeAffinity");
    let required = node.get(REQUIRED);
    if required.is_set() {
        node_selector(&required, errors);
    }
    for term in node.get(PREFERRED).items() {
        weight(&term.get("weight"), errors);
        node_term(&term.get("preference"), false, errors);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let pods = affinity.get(kind);
        pods.get(REQUIRED).items().for_each(|term| pod_term(&term, errors));
        for term in pods.get(PREFERRED).items() {
            weight(&term.get("weight"), errors);
            pod_term(&term.get("podAffinityTerm"), errors);
        }
    }
}

/// The nodes that something may be on.
pub(in crate::api::validation) fn node_selector(selector: &At<'_>, errors: &mut Errors) {
    let terms = selector.get("nodeSelectorTerms");
    if terms.len() == 0 {
        errors.push(terms.required("must have at least one node selector term"));
    }
    terms.items().for_each(|term| node_term(&term, true, errors));
}

fn weight(weight: &At<'_>, errors: &mut Errors) {
    if !(1..=100).contains(&weight.number().unwrap_or(0)) {
        errors.push(weight.invalid("must be in the range 1-100"));
    }
}

/// A term over a node's labels and fields. Values of preferred terms may be anything.
fn node_term(term: &At<'_>, strict: bool, errors: &mut Errors) {
    for requirement in term.get("matchExpressions").items() {
        let (operator, values) = (requirement.get("operator"), requirement.get("values"));
        match operator.text() {
            "In" | "NotIn" if values.len() == 0 => {
                errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
            }
            "Exists" | "DoesNotExist" if values.len() > 0 => errors
                .push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'")),
            "Gt" | "Lt" if values.len() != 1 => {
                errors.push(values.required("must be specified single value when `operator` is 'Lt' or 'Gt'"))
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            _ => errors.push(operator.invalid("not a valid selector operator")),
        }
        checks::named(&requirement.get("key"), names::qualified_name, errors);
        if strict {
            values.items().for_each(|value| checks::named(&value, names::label_value, errors));
        }
    }
    for requirement in term.get("matchFields").items() {
        let (operator, values, key) =
            (requirement.get("operator"), requirement.get("values"), requirement.get("key"));
        match operator.text() {
            "In" | "NotIn" if values.len() != 1 => errors.push(values.required(
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            )),
            "In" | "NotIn" => {}
            _ => errors.push(operator.invalid("not a valid selector operator")),
        }
        if key.text() == "metadata.name" {
            values.items().for_each(|value| checks::named(&value, names::dns1123_subdomain, errors));
        } else {
            errors.push(key.invalid("not a valid field selector key"));
        }
    }
}

fn pod_term(term: &At<'_>, errors: &mut Errors) {
    checks::label_selector(&term.get("labelSelector"), errors);
    checks::label_selector(&term.get("namespaceSelector"), errors);
    for namespace in term.get("namespaces").items() {
        for sentence in names::dns1123_label(namespace.text()) {
            errors.push(Error::invalid(&term.path().child("namespace"), namespace.text(), sentence));
        }
    }
    let key = term.get("topologyKey");
    if key.text().is_empty() {
        errors.push(key.required("can not be empty"));
    }
    checks::named(&key, names::qualified_name, errors);
}

pub(in crate::api::validation) fn tolerations(tolerations: &At<'_>, errors: &mut Errors) {
    for toleration in tolerations.items() {
        let field = |name: &'static str| toleration.value()[name].as_str().unwrap_or_default();
        let (key, operator, effect) =
            (toleration.get("key"), toleration.get("operator"), toleration.get("effect"));
        checks::named_if_set(&key, names::qualified_name, errors);
        if field("key").is_empty() && field("operator") != "Exists" {
            errors.push(Error::invalid(
                &operator.path(),
                field("operator"),
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            ));
        }
        if toleration.get("tolerationSeconds").is_set() && field("effect") != "NoExecute" {
            errors.push(Error::invalid(
                &effect.path(),
                field("effect"),
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            ));
        }
        let wrong_value = |why: String| Error::invalid(&operator.path(), field("value"), why);
        match field("operator") {
            "" | "Equal" => {
                let sentences = names::label_value(field("value"));
                if !sentences.is_empty() {
                    errors.push(wrong_value(sentences.join(";")));
                }
            }
            "Exists" => {
                if !field("value").is_empty() {
                    errors.push(wrong_value("value must be empty when `operator` is 'Exists'".to_owned()));
                }
            }
            "Lt" | "Gt" => errors.push(operator.not_supported(&["Equal", "Exists", "Lt", "Gt"])),
            _ => errors.push(operator.not_supported(&["Equal", "Exists"])),
        }
        if !field("effect").is_empty() {
            taint_effect(&effect, errors);
        }
    }
}

/// The effect of a taint.
pub(in crate::api::validation) fn taint_effect(effect: &At<'_>, errors: &mut Errors) {
    checks::one_of(effect, &EFFECTS, errors);
}

pub(super) fn spread(constraints: &At<'_>, errors: &mut Errors) {
    let mut seen = Vec::new();
    for constraint in constraints.items() {
        let skew = constraint.get("maxSkew");
        if skew.number().unwrap_or(0) <= 0 {
            errors.push(skew.invalid("must be greater than zero"));
        }
        let key = constraint.get("topologyKey");
        if key.text().is_empty() {
            errors.push(key.required("can not be empty"));
        } else {
            checks::named(&key, names::qualified_name, errors);
        }
        let when = constraint.get("whenUnsatisfiable");
        if !matches!(when.text(), "DoNotSchedule" | "ScheduleAnyway") {
            errors.push(when.not_supported(&["DoNotSchedule", "ScheduleAnyway"]));
        }
        let pair = (
            constraint.value()["topologyKey"].as_str().unwrap_or_default(),
            constraint.value()["whenUnsatisfiable"].as_str().unwrap_or_default(),
        );
        if seen.contains(&pair) {
            let shown = format!("{{{}, {}}}", pair.0, pair.1);
            errors
                .push(Error::duplicate(&constraint.path().child("{topologyKey, whenUnsatisfiable}"), shown));
        }
        seen.push(pair);
        let domains = constraint.get("minDomains");
        if domains.number().is_some_and(|number| number <= 0) {
            errors.push(domains.invalid("must be greater than zero"));
        }
        checks::label_selector(&constraint.get("labelSelector"), errors);
    }
}
