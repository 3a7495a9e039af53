//! Which nodes a pod may be on, and which it prefers: node selector and node affinity.
//!
//! Compiled once a pod, asked once a node. As `k8s.io/component-helpers/scheduling/corev1/nodeaffinity`
//! (1.36): terms are alternatives, an empty term matches nothing, and so does one that cannot be read.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodSpec};

use crate::api::selector::{LabelSelector, Requirement};

/// What a pod requires of a node. The default requires nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeRequirements {
    labels: LabelSelector,
    /// Alternatives; none where there is no affinity.
    terms: Option<Vec<Term>>,
    /// The nodes that all alternatives together name, where each names some.
    names: Option<BTreeSet<String>>,
}

/// Nodes that a pod prefers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PreferredTerm {
    term: Term,
    /// How much, from 1 to 100.
    pub weight: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Term {
    labels: LabelSelector,
    /// On the pseudo label `metadata.name`, the only field there is.
    fields: Vec<Requirement>,
}

const NAME: &str = "metadata.name";

impl NodeRequirements {
    /// What a pod's `nodeSelector` and required node affinity say.
    #[must_use]
    pub fn of(spec: &PodSpec) -> Self {
        let labels = spec.node_selector.as_ref().map(LabelSelector::of_labels).unwrap_or_default();
        let required = spec
            .affinity
            .as_ref()
            .and_then(|affinity| affinity.node_affinity.as_ref())
            .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
        let alternatives = required.map_or(&[][..], |required| &required.node_selector_terms);
        let named = alternatives.iter().map(named).collect::<Option<Vec<_>>>();
        Self {
            labels,
            terms: required.map(|_| alternatives.iter().filter_map(Term::read).collect()),
            names: named.filter(|named| !named.is_empty()).map(|named| named.into_iter().flatten().collect()),
        }
    }

    /// What a node selector says that is not a pod's: a volume's, or a device's.
    ///
    /// # Errors
    ///
    /// What cannot be read of it. Empty terms match nothing, and are not looked at.
    pub fn of_selector(selector: &NodeSelector) -> Result<Self, String> {
        let mut terms = Vec::new();
        for term in &selector.node_selector_terms {
            for one in term.match_expressions.iter().flatten() {
                Requirement::new(&one.key, &one.operator, one.values.as_deref().unwrap_or_default())
                    .map_err(|error| error.to_string())?;
            }
            for one in term.match_fields.iter().flatten() {
                match (one.operator.as_str(), one.values.as_deref()) {
                    ("In" | "NotIn", Some([_])) => {}
                    ("In" | "NotIn", _) => return Err("must have one element".to_owned()),
                    (other, _) => {
                        return Err(format!(
                            "Unsupported value: {other:?}: supported values: \"In\", \"NotIn\""
                        ));
                    }
                }
            }
            terms.extend(Term::read(term));
        }
        Ok(Self { labels: LabelSelector::default(), terms: Some(terms), names: None })
    }

    /// Whether every node will do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.terms.is_none()
    }

    /// Whether a node of this name, with these labels, will do.
    #[must_use]
    pub fn matches(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        self.labels.matches(labels)
            && self.terms.as_ref().is_none_or(|terms| terms.iter().any(|term| term.matches(name, labels)))
    }

    /// The only nodes that can do, where the affinity names them; none at all where its names contradict each other.
    #[must_use]
    pub fn names(&self) -> Option<&BTreeSet<String>> {
        self.names.as_ref()
    }
}

/// The nodes that a term names, if it does: what all its lists of names have in common.
fn named(term: &NodeSelectorTerm) -> Option<BTreeSet<String>> {
    let fields = term.match_fields.iter().flatten();
    let lists = fields
        .filter(|field| field.key == NAME && field.operator == "In")
        .map(|field| field.values.iter().flatten().cloned().collect::<BTreeSet<_>>());
    lists.reduce(|common, list| &common & &list)
}

impl PreferredTerm {
    /// A pod's preferred node affinity. Terms that are empty, weightless or unreadable are left out.
    #[must_use]
    pub fn of(spec: &PodSpec) -> Vec<Self> {
        let preferred = spec
            .affinity
            .as_ref()
            .and_then(|affinity| affinity.node_affinity.as_ref())
            .and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_ref());
        let read = |preferred: &k8s_openapi::api::core::v1::PreferredSchedulingTerm| {
            let weight = i64::from(preferred.weight);
            Some(Self { term: Term::read(&preferred.preference).filter(|_| weight != 0)?, weight })
        };
        preferred.into_iter().flatten().filter_map(read).collect()
    }

    /// Whether a node of this name, with these labels, is preferred.
    #[must_use]
    pub fn matches(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        self.term.matches(name, labels)
    }
}

impl Term {
    fn read(term: &NodeSelectorTerm) -> Option<Self> {
        let empty = |list: &Option<Vec<_>>| list.as_ref().is_none_or(Vec::is_empty);
        if empty(&term.match_expressions) && empty(&term.match_fields) {
            return None;
        }
        let read = |list: &Option<Vec<NodeSelectorRequirement>>| {
            list.iter()
                .flatten()
                .map(|one| {
                    Requirement::new(&one.key, &one.operator, one.values.as_deref().unwrap_or_default()).ok()
                })
                .collect::<Option<Vec<_>>>()
        };
        let fields = read(&term.match_fields)?;
        if fields.iter().any(|field| field.key != NAME) {
            return None;
        }
        Some(Self { labels: LabelSelector { requirements: read(&term.match_expressions)? }, fields })
    }

    fn matches(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        self.labels.matches(labels) && self.fields.iter().all(|field| field.operator.holds(Some(name)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(selector: Value, terms: Option<Value>) -> NodeRequirements {
        let mut tree = json!({"containers": [], "nodeSelector": selector});
        if let Some(terms) = terms {
            let required =
                json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
            tree["affinity"] = json!({"nodeAffinity": required});
        }
        NodeRequirements::of(&serde_json::from_value(tree).unwrap())
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> Value {
        json!({"key": key, "operator": operator, "values": values})
    }

    #[test]
    fn nodes_that_will_do() {
        let labels =
            BTreeMap::from([("zone".to_owned(), "a".to_owned()), ("cpus".to_owned(), "8".to_owned())]);
        let label = |expression| Some(json!([{"matchExpressions": [expression]}]));
        let field = |expression| Some(json!([{"matchFields": [expression]}]));
        for (selector, terms, matches) in [
            (json!({}), None, true),
            (json!({"zone": "a"}), None, true),
            (json!({"zone": "b"}), None, false),
            (json!({}), label(expression("zone", "In", &["a", "b"])), true),
            (json!({}), label(expression("zone", "NotIn", &["a"])), false),
            (json!({}), label(expression("gpu", "NotIn", &["a"])), true),
            (json!({}), label(expression("gpu", "Exists", &[])), false),
            (json!({}), label(expression("gpu", "DoesNotExist", &[])), true),
            (json!({}), label(expression("cpus", "Gt", &["4"])), true),
            (json!({}), label(expression("cpus", "Lt", &["8"])), false),
            (json!({}), label(expression("zone", "Gt", &["4"])), false),
            (json!({}), field(expression("metadata.name", "In", &["n"])), true),
            (json!({}), field(expression("metadata.name", "NotIn", &["n"])), false),
            (json!({}), field(expression("spec.x", "In", &["n"])), false),
            (json!({}), Some(json!([])), false),
            (json!({}), Some(json!([{}])), false),
            (json!({"zone": "b"}), label(expression("zone", "In", &["a"])), false),
            // Alternatives: one match is enough, and a term that cannot be read spoils only itself.
            (
                json!({}),
                Some(json!([{"matchExpressions": [expression("zone", "In", &[])]},
                            {"matchExpressions": [expression("zone", "In", &["a"])]}])),
                true,
            ),
        ] {
            let requirements = pod(selector.clone(), terms.clone());
            assert_eq!(requirements.matches("n", &labels), matches, "{selector} {terms:?}");
        }
    }

    #[test]
    fn a_pod_bound_by_name_names_its_nodes() {
        let term = json!({"matchFields": [expression("metadata.name", "In", &["b", "a"])]});
        let names =
            |terms| pod(json!({}), terms).names().map(|names| names.iter().cloned().collect::<Vec<_>>());
        let both = Some(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(names(Some(json!([term.clone(), term.clone()]))), both);
        let conflict =
            json!({"matchFields": [expression(NAME, "In", &["a"]), expression(NAME, "In", &["b"])]});
        assert_eq!(names(Some(json!([conflict.clone()]))), Some(vec![]));
        assert_eq!(names(Some(json!([conflict, term.clone()]))), both);
        assert_eq!(names(Some(json!([]))), None);
        let other = json!({"matchExpressions": [expression("zone", "Exists", &[])]});
        assert_eq!(pod(json!({}), Some(json!([term, other]))).names(), None);
        assert_eq!(pod(json!({}), None).names(), None);
    }

    #[test]
    fn preferences_carry_weights() {
        let term = |weight: i32, expressions: Value| json!({"weight": weight, "preference": {"matchExpressions": expressions}});
        let spec: PodSpec = serde_json::from_value(json!({"containers": [], "affinity": {"nodeAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            term(5, json!([expression("zone", "In", &["a"])])),
            term(0, json!([expression("zone", "In", &["a"])])),
            term(7, json!([])),
        ]}}}))
        .unwrap();
        let terms = PreferredTerm::of(&spec);
        assert_eq!(terms.iter().map(|term| term.weight).collect::<Vec<_>>(), [5]);
        assert!(terms[0].matches("n", &BTreeMap::from([("zone".to_owned(), "a".to_owned())])));
    }
}
