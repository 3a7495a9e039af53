//! Arguments of NodeAffinity.

use k8s_openapi::api::core::v1::{NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm};
use serde_json::Value;

use super::Arguments;
use crate::api::field::{Error, Path};
use crate::api::names;
use crate::sched::config::FeatureGates;
use crate::sched::config::reader::{Fields, Record};

/// Arguments of NodeAffinity.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeAffinityArgs {
    /// What every pod requires and prefers besides its own affinity.
    pub added_affinity: Option<NodeAffinity>,
}

impl Record for NodeAffinityArgs {
    const GO: &'static str = "v1.NodeAffinityArgs";

    fn read(fields: &mut Fields<'_>) -> Self {
        fields.head();
        Self { added_affinity: fields.get("addedAffinity") }
    }
}

impl Arguments for NodeAffinityArgs {
    /// Source: `k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go` (1.36).
    fn validate(&self, path: &Path, _: &FeatureGates, errors: &mut Vec<Error>) {
        let Some(affinity) = &self.added_affinity else { return };
        let path = path.child("addedAffinity");
        if let Some(required) = &affinity.required_during_scheduling_ignored_during_execution {
            let path =
                path.child("requiredDuringSchedulingIgnoredDuringExecution").child("nodeSelectorTerms");
            for (index, term) in required.node_selector_terms.iter().enumerate() {
                validate_term(term, &path.index(index), errors);
            }
        }
        let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        let path = path.child("preferredDuringSchedulingIgnoredDuringExecution");
        for (index, term) in preferred.enumerate().filter(|(_, term)| term.weight != 0) {
            validate_term(&term.preference, &path.index(index), errors);
        }
    }
}

fn validate_term(term: &NodeSelectorTerm, path: &Path, errors: &mut Vec<Error>) {
    for (index, requirement) in term.match_expressions.iter().flatten().enumerate() {
        validate_label(requirement, &path.child("matchExpressions").index(index), errors);
    }
    for (index, requirement) in term.match_fields.iter().flatten().enumerate() {
        let path = path.child("matchFields").index(index);
        match &*requirement.operator {
            "In" | "NotIn" if requirement.values.as_ref().is_some_and(|values| values.len() == 1) => {}
            "In" | "NotIn" => errors.push(wrong_values(requirement, &path, "must have one element")),
            other => errors.push(Error::not_supported(&path.child("operator"), other, &["In", "NotIn"])),
        }
    }
}

fn wrong_values(requirement: &NodeSelectorRequirement, path: &Path, detail: &str) -> Error {
    let values = requirement.values.clone().map_or(Value::Null, Value::from);
    Error::invalid(&path.child("values"), values, detail)
}

/// Source: `NewRequirement` of `k8s.io/apimachinery/pkg/labels/selector.go` (1.36).
fn validate_label(requirement: &NodeSelectorRequirement, path: &Path, errors: &mut Vec<Error>) {
    let operators = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];
    let operator = &*requirement.operator;
    if !operators.contains(&operator) {
        errors.push(Error::not_supported(&path.child("operator"), operator, &operators));
        return;
    }
    let key = &requirement.key;
    let wrong = names::qualified_name(key);
    if !wrong.is_empty() {
        errors.push(Error::invalid(&path.child("key"), key.clone(), wrong.join("; ")));
    }
    let values = requirement.values.as_deref().unwrap_or_default();
    let detail = match operator {
        "In" | "NotIn" if values.is_empty() => Some("for 'in', 'notin' operators, values set can't be empty"),
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            Some("values set must be empty for exists and does not exist")
        }
        "Gt" | "Lt" if values.len() != 1 => Some("for 'Gt', 'Lt' operators, exactly one value is required"),
        _ => None,
    };
    errors.extend(detail.map(|detail| wrong_values(requirement, path, detail)));
    let path = path.child("values");
    if matches!(operator, "Gt" | "Lt") {
        for (index, value) in values.iter().enumerate().filter(|(_, value)| value.parse::<i64>().is_err()) {
            let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
            errors.push(Error::invalid(&path.index(index), value.clone(), detail));
        }
    }
    for (index, value) in values.iter().enumerate() {
        let wrong = names::label_value(value);
        if !wrong.is_empty() {
            errors.push(Error::invalid(&path.index(index).key(key), value.clone(), wrong.join("; ")));
        }
    }
}
