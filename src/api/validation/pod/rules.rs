//! What a pod spec is judged by besides itself: whether it is a pod's or a template's, and what the
//! spec that it replaces was allowed before the rules were there.
//!
//! A rule that came later than the objects it judges would make them impossible to change. So an
//! object that breaks such a rule already may go on to break it.
//!
//! Source: `GetValidationOptionsFromPodSpecAndMeta` of `k8s.io/kubernetes/pkg/api/pod` (1.36), with the feature
//! gates at their defaults.

use serde_json::Value;

use super::{any_container, placement, resources, security, spread};
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks;
use crate::api::validation::volume::paths;

/// What a pod spec is judged by besides itself.
#[derive(Clone, Copy)]
pub(in crate::api::validation) struct Rules<'a> {
    /// The pod's metadata; a template has none that count.
    metadata: Option<At<'a>>,
    /// The spec that this one replaces.
    old: Option<&'a Value>,
    old_annotations: Option<&'a Value>,
}

impl<'a> Rules<'a> {
    /// For a pod, and the one that it replaces.
    pub(in crate::api::validation) fn pod(pod: &'a At<'a>, old: Option<&'a At<'a>>) -> Self {
        Self {
            metadata: Some(pod.get("metadata")),
            old: old.map(|old| &old.value()["spec"]),
            old_annotations: old.map(|old| &old.value()["metadata"]["annotations"]),
        }
    }

    /// For a template, and the one that it replaces.
    pub(in crate::api::validation) fn template(old: Option<&'a Value>) -> Self {
        Self {
            metadata: None,
            old: old.map(|old| &old["spec"]),
            old_annotations: old.map(|old| &old["metadata"]["annotations"]),
        }
    }

    pub(super) fn is_pod(&self) -> bool {
        self.metadata.is_some()
    }

    /// The pod's name; empty for a template, and for a pod whose name is still to be made.
    pub(super) fn pod_name(&self) -> &'a str {
        self.metadata.map_or("", |metadata| metadata.text_of("name"))
    }

    /// Whether this is a pod that a node runs by itself.
    pub(super) fn is_mirror(&self) -> bool {
        self.metadata.is_some_and(|metadata| metadata.value()["annotations"].get(super::MIRROR).is_some())
    }

    fn old_has(&self, test: impl FnOnce(&Value) -> bool) -> bool {
        self.old.is_some_and(test)
    }

    /// Whether the cost of deletion may be no number.
    pub(super) fn allows_any_deletion_cost(&self) -> bool {
        self.old_annotations.is_some_and(|old| !super::annotations::deletion_cost_is_sound(old))
    }

    /// Whether huge pages may be broken.
    pub(super) fn allows_broken_pages(&self) -> bool {
        self.old_has(resources::breaks_pages)
    }

    /// Whether selectors of pod affinity may hold values that are none of a label.
    pub(super) fn allows_any_selector_value(&self) -> bool {
        self.old_has(placement::has_unsound_selector)
    }

    /// The same of required node affinity.
    pub(super) fn allows_any_node_affinity_value(&self) -> bool {
        self.old_has(|spec| {
            let required =
                &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
            !node_selector_values_are_sound(required)
        })
    }

    /// The same of spread constraints.
    pub(super) fn allows_any_spread_selector(&self) -> bool {
        self.old_has(spread::has_unsound_selector)
    }

    /// Whether the keys of spread constraints may name what their selectors name.
    pub(super) fn allows_spread_keys_twice(&self) -> bool {
        self.old_has(spread::has_unsound_keys)
    }

    /// Whether tokens may be projected to any path.
    pub(super) fn allows_any_token_path(&self) -> bool {
        self.old_has(|spec| {
            let volumes = spec["volumes"].as_array().into_iter().flatten();
            let tokens = volumes
                .filter_map(|volume| volume["projected"]["sources"].as_array())
                .flatten()
                .filter_map(|source| source["serviceAccountToken"]["path"].as_str());
            let unsound =
                |path: &str| path.starts_with('/') || paths::has_backsteps(path) || path.starts_with("..");
            tokens.into_iter().any(unsound)
        })
    }

    /// Whether kernel parameters of the host's namespaces may be set.
    pub(super) fn allows_host_sysctls(&self) -> bool {
        self.old_has(security::sets_host_sysctls)
    }

    /// Whether SELinux labels may be given to a volume as a whole.
    pub(super) fn allows_mount_labels(&self) -> bool {
        self.old_has(|spec| !spec["securityContext"]["seLinuxChangePolicy"].is_null())
    }

    /// Whether tolerations may compare numbers.
    pub(super) fn allows_comparing_tolerations(&self) -> bool {
        self.old_has(|spec| {
            let tolerations = spec["tolerations"].as_array().into_iter().flatten();
            tolerations
                .into_iter()
                .any(|toleration| matches!(toleration["operator"].as_str(), Some("Lt" | "Gt")))
        })
    }

    /// Whether a pod with users of its own may use block devices.
    pub(super) fn allows_devices_for_own_users(&self) -> bool {
        self.old_has(|spec| {
            spec["hostUsers"] == false
                && any_container(spec, |container| {
                    container["volumeDevices"].as_array().is_some_and(|devices| !devices.is_empty())
                })
        })
    }

    /// Whether a pod with users of its own may use the host's network.
    pub(super) fn allows_host_network_for_own_users(&self) -> bool {
        self.old_has(|spec| spec["hostUsers"] == false && spec["hostNetwork"] == true)
    }

    /// Whether an init container that ends may ask to be restarted for a resize.
    pub(super) fn allows_restart_for_resize_of_init(&self) -> bool {
        self.old_has(|spec| {
            let containers = spec["initContainers"].as_array().into_iter().flatten();
            containers.into_iter().filter(|container| container["restartPolicy"] != "Always").any(
                |container| {
                    let policies = container["resizePolicy"].as_array().into_iter().flatten();
                    policies.into_iter().any(|policy| policy["restartPolicy"] == "RestartContainer")
                },
            )
        })
    }
}

/// Whether every value in the terms of a node selector could be a label's.
pub(in crate::api::validation) fn node_selector_values_are_sound(selector: &Value) -> bool {
    let terms = selector["nodeSelectorTerms"].as_array().into_iter().flatten();
    terms
        .filter_map(|term| term["matchExpressions"].as_array())
        .flatten()
        .filter_map(|requirement| requirement["values"].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .all(|value| names::label_value(value).is_empty())
}

/// Whether a label selector is sound.
pub(super) fn selector_is_sound(selector: &Value) -> bool {
    let mut errors = Vec::new();
    checks::label_selector(&At::root(selector), &mut errors);
    errors.is_empty()
}
