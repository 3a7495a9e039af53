//! What a new pod is written as, beside what somebody sent.

use serde_json::{Map, Value, json};

use super::super::Context;
use crate::api::validation;
use crate::server::tree::{at, text};

/// Writes label keys into the selectors beside them, with the values that this pod has.
///
/// Source: `mutatePodAffinity` and `mutateTopologySpreadConstraints` of `k8s.io/kubernetes/pkg/registry/core/pod`
/// (1.36).
pub(super) fn label_keys(pod: &mut Value) {
    let labels = at(pod, &["metadata", "labels"]).and_then(Value::as_object).cloned().unwrap_or_default();
    let Some(spec) = pod.get_mut("spec") else { return };
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(own) = spec.get_mut("affinity").and_then(|affinity| affinity.get_mut(kind)) else {
            continue;
        };
        for term in items_mut(own, "preferredDuringSchedulingIgnoredDuringExecution") {
            if let Some(term) = term.get_mut("podAffinityTerm") {
                select(term, &labels);
            }
        }
        for term in items_mut(own, "requiredDuringSchedulingIgnoredDuringExecution") {
            select(term, &labels);
        }
    }
    for constraint in items_mut(spec, "topologySpreadConstraints") {
        select(constraint, &labels);
    }
}

fn items_mut<'a>(value: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

fn select(term: &mut Value, labels: &Map<String, Value>) {
    let requirements: Vec<_> = [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")]
        .into_iter()
        .flat_map(|(field, operator)| {
            let keys =
                term.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            keys.filter_map(move |key| {
                let value = labels.get(key)?;
                Some(json!({"key": key, "operator": operator, "values": [value]}))
            })
        })
        .collect();
    let Some(selector) = term.get_mut("labelSelector").and_then(Value::as_object_mut) else { return };
    if requirements.is_empty() {
        return;
    }
    let expressions = selector.entry("matchExpressions").or_insert_with(|| json!([]));
    if let Some(expressions) = expressions.as_array_mut() {
        expressions.extend(requirements);
    }
}

/// Where what a container is confined by stands in an annotation, as it once did, it comes to stand in the
/// field.
///
/// Source: `applyAppArmorVersionSkew` of `k8s.io/kubernetes/pkg/registry/core/pod` (1.36).
pub(super) fn app_armor(context: &Context<'_>, pod: &mut Value) {
    if text(pod, &["spec", "os", "name"]) == "windows" {
        return;
    }
    let of_pod = at(pod, &["spec", "securityContext", "appArmorProfile"]).cloned();
    let annotations =
        at(pod, &["metadata", "annotations"]).and_then(Value::as_object).cloned().unwrap_or_default();
    let Some(spec) = pod.get_mut("spec") else { return };
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in items_mut(spec, list) {
            let key =
                format!("container.apparmor.security.beta.kubernetes.io/{}", text(container, &["name"]));
            let Some(annotation) = annotations.get(&key).and_then(Value::as_str) else { continue };
            if at(container, &["securityContext", "appArmorProfile"]).is_some() {
                continue;
            }
            let profile = validation::app_armor_field(annotation);
            if profile.is_some() && profile == of_pod {
                continue;
            }
            if let Some(profile) = profile {
                container["securityContext"]["appArmorProfile"] = profile;
            }
            context.warn(format!(
                r#"metadata.annotations[{key}]: deprecated since v1.30; use the "appArmorProfile" field instead"#
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_labels_become_requirements() {
        let term = |selector: Value| {
            json!({"topologyKey": "zone", "labelSelector": selector,
            "matchLabelKeys": ["hash", "absent"], "mismatchLabelKeys": ["app"]})
        };
        let mut pod = json!({"metadata": {"labels": {"app": "web", "hash": "1"}}, "spec": {
            "affinity": {"podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [term(json!({})), term(Value::Null)],
                "preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": term(json!({"matchExpressions": [{}]}))}]}},
            "topologySpreadConstraints": [{"labelSelector": {"matchLabels": {"a": "b"}}, "matchLabelKeys": ["hash"]}]}});
        label_keys(&mut pod);
        let hash = json!({"key": "hash", "operator": "In", "values": ["1"]});
        let app = json!({"key": "app", "operator": "NotIn", "values": ["web"]});
        let anti = &pod["spec"]["affinity"]["podAntiAffinity"];
        let required = &anti["requiredDuringSchedulingIgnoredDuringExecution"];
        assert_eq!(required[0]["labelSelector"], json!({"matchExpressions": [hash, app]}));
        assert_eq!(required[1]["labelSelector"], Value::Null);
        let preferred = &anti["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
        assert_eq!(preferred["labelSelector"]["matchExpressions"], json!([{}, hash, app]));
        assert_eq!(
            pod["spec"]["topologySpreadConstraints"][0]["labelSelector"],
            json!({"matchLabels": {"a": "b"}, "matchExpressions": [hash]})
        );
    }
}
