//! Labels that a node may give itself: with others it could draw to itself what is not meant for it.
//!
//! Source: `getForbiddenLabels` of the plugin, and `IsKubeletLabel` of `k8s.io/kubelet/pkg/apis` (1.36).

use serde_json::Value;

use crate::server::tree::at;

const OWN: [&str; 11] = [
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/instance-type",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
];
const OWN_NAMESPACES: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];
const RESTRICTED: &str = "node-restriction.kubernetes.io";

/// The labels that are not as they were and that a node may not change, sorted.
pub(super) fn forbidden(new: &Value, old: Option<&Value>) -> Vec<String> {
    let labels = |tree: &'_ Value| at(tree, &["metadata", "labels"]).and_then(Value::as_object).cloned();
    let (new, old) = (labels(new).unwrap_or_default(), old.and_then(labels).unwrap_or_default());
    let mut changed: Vec<String> = new
        .iter()
        .filter(|(key, value)| old.get(*key) != Some(value))
        .map(|(key, _)| key)
        .chain(old.keys().filter(|key| !new.contains_key(*key)))
        .filter(|key| is_forbidden(key))
        .cloned()
        .collect();
    changed.sort();
    changed
}

fn is_forbidden(label: &str) -> bool {
    let namespace = label.split_once('/').map_or("", |(namespace, _)| namespace);
    let of = |domain: &str| {
        namespace.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if of(RESTRICTED) {
        return true;
    }
    let kubernetes = of("kubernetes.io") || of("k8s.io");
    kubernetes && !OWN.contains(&label) && !OWN_NAMESPACES.into_iter().any(of)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_says_what_it_is_and_not_what_it_is_for() {
        let node = |labels: Value| json!({"metadata": {"labels": labels}});
        let old =
            node(json!({"kubernetes.io/arch": "amd64", "node-role.kubernetes.io/worker": "", "tier": "a"}));
        let cases = [
            (
                json!({"kubernetes.io/arch": "arm64", "node-role.kubernetes.io/worker": "", "tier": "b"}),
                vec![],
            ),
            (json!({"kubernetes.io/arch": "amd64"}), vec!["node-role.kubernetes.io/worker"]),
            (
                json!({"node-role.kubernetes.io/worker": "", "x.node-restriction.kubernetes.io/a": "1",
                    "node.kubernetes.io/windows-build": "1", "x.k8s.io/b": "1", "notk8s.io/c": "1"}),
                vec!["x.k8s.io/b", "x.node-restriction.kubernetes.io/a"],
            ),
        ];
        for (new, expected) in cases {
            assert_eq!(forbidden(&node(new.clone()), Some(&old)), expected, "{new}");
        }
        assert_eq!(forbidden(&old, None), ["node-role.kubernetes.io/worker"]);
    }
}
