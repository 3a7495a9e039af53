//! Where a pod may go: affinity and tolerations.

use serde_json::Value;

use super::rules::selector_is_sound;
use super::{Rules, node_selector, spread};
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(super) fn affinity(affinity: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    let node = affinity.get("nodeAffinity");
    let required = node.get(REQUIRED);
    if required.is_set() {
        node_selector::selector(&required, rules.allows_any_node_affinity_value(), errors);
    }
    for term in node.get(PREFERRED).items() {
        weight(&term.get("weight"), errors);
        node_selector::term(&term.get("preference"), true, errors);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let pods = affinity.get(kind);
        pods.get(REQUIRED).items().for_each(|term| pod_term(&term, rules, errors));
        for term in pods.get(PREFERRED).items() {
            weight(&term.get("weight"), errors);
            pod_term(&term.get("podAffinityTerm"), rules, errors);
        }
    }
}

/// Whether a spec has pod affinity with a selector that is not sound.
pub(super) fn has_unsound_selector(spec: &Value) -> bool {
    let unsound = |term: &Value| {
        !selector_is_sound(&term["labelSelector"]) || !selector_is_sound(&term["namespaceSelector"])
    };
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let pods = &spec["affinity"][*kind];
        let list = |field: &str| pods[field].as_array().map_or(&[][..], Vec::as_slice).iter();
        list(REQUIRED).any(unsound) || list(PREFERRED).any(|term| unsound(&term["podAffinityTerm"]))
    })
}

fn weight(weight: &At<'_>, errors: &mut Errors) {
    if !(1..=100).contains(&weight.number().unwrap_or(0)) {
        errors.push(weight.invalid("must be in the range 1-100"));
    }
}

fn pod_term(term: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    let any_value = rules.allows_any_selector_value();
    let selector = term.get("labelSelector");
    checks::label_selector_with(&selector, any_value, errors);
    checks::label_selector_with(&term.get("namespaceSelector"), any_value, errors);
    for namespace in term.get("namespaces").items() {
        for sentence in names::dns1123_label(namespace.text()) {
            errors.push(Error::invalid(&term.path().child("namespace"), namespace.text(), sentence));
        }
    }
    spread::label_keys(term, &selector, errors);
    let key = term.get("topologyKey");
    if key.text().is_empty() {
        errors.push(key.required("can not be empty"));
    }
    let wrong = names::qualified_name(key.text()).into_iter();
    errors.extend(wrong.map(|sentence| Error::invalid(&key.path(), key.text(), sentence)));
}

pub(super) fn tolerations(tolerations: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    tolerations.items().for_each(|toleration| self::toleration(&toleration, rules, errors));
}

fn toleration(toleration: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    let (key, operator, effect, value) = (
        toleration.get("key"),
        toleration.get("operator"),
        toleration.get("effect"),
        toleration.get("value"),
    );
    checks::named_if_set(&key, names::qualified_name, errors);
    let wrong = |at: &At<'_>, shown: &str, why: &str| Error::invalid(&at.path(), shown, why);
    if key.text().is_empty() && operator.text() != "Exists" {
        errors.push(wrong(
            &operator,
            operator.text(),
            "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
        ));
    }
    if toleration.has("tolerationSeconds") && effect.text() != "NoExecute" {
        let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        errors.push(wrong(&effect, effect.text(), why));
    }
    match operator.text() {
        "" | "Equal" => {
            let sentences = names::label_value(value.text());
            if !sentences.is_empty() {
                errors.push(wrong(&operator, value.text(), &sentences.join(";")));
            }
        }
        "Exists" if value.text().is_empty() => {}
        "Exists" => {
            errors.push(wrong(&operator, value.text(), "value must be empty when `operator` is 'Exists'"));
        }
        "Lt" | "Gt" if rules.allows_comparing_tolerations() => decimal(&value, errors),
        "Lt" | "Gt" => errors.push(operator.not_supported(&["Equal", "Exists", "Lt", "Gt"])),
        _ => errors.push(operator.not_supported(&["Equal", "Exists"])),
    }
    if !effect.text().is_empty() {
        taint_effect(&effect, errors);
    }
}

/// A number as it is written without anything that could be left out.
fn decimal(at: &At<'_>, errors: &mut Errors) {
    let text = at.text();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (!digits.starts_with('0') || text == "0");
    let wrong = |why: String| Error::invalid(&at.path(), text, why);
    if text.is_empty() {
        errors.push(wrong("must be non-empty".to_owned()));
    } else if !plain {
        errors.push(wrong("must be a valid decimal integer in canonical form".to_owned()));
    }
    if text.parse::<i64>().is_err() {
        let why = if plain { "value out of range" } else { "invalid syntax" };
        errors.push(wrong(format!("strconv.ParseInt: parsing {text:?}: {why}")));
    }
}

/// The effect of a taint.
pub(in crate::api::validation) fn taint_effect(effect: &At<'_>, errors: &mut Errors) {
    checks::one_of(effect, &EFFECTS, errors);
}
