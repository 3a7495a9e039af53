//! The quality of service that a pod's requests and limits earn it.

use std::fmt;

use k8s_openapi::api::core::v1::{PodSpec, ResourceRequirements};

use super::Resources;
use super::resources::is_pod_level;

/// Who goes first when a node runs short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    /// Asks for nothing: goes first.
    BestEffort,
    /// Anything between.
    Burstable,
    /// Asks for exactly what it may use at most: goes last.
    Guaranteed,
}

impl fmt::Display for Qos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BestEffort => "BestEffort",
            Self::Burstable => "Burstable",
            Self::Guaranteed => "Guaranteed",
        })
    }
}

/// The class of a pod (`pkg/apis/core/helper/qos`, 1.36). Only CPU and memory count.
#[must_use]
pub fn qos_class(spec: &PodSpec) -> Qos {
    let pod_level = spec
        .resources
        .as_ref()
        .filter(|own| own.requests.iter().chain(&own.limits).flatten().any(|(name, _)| is_pod_level(name)));
    let parts: Vec<Option<&ResourceRequirements>> = match pod_level {
        Some(own) => vec![Some(own)],
        None => spec
            .containers
            .iter()
            .chain(spec.init_containers.iter().flatten())
            .map(|container| container.resources.as_ref())
            .collect(),
    };
    let counted = |amounts: Option<_>| -> Resources {
        let amounts = Resources::read(amounts);
        ["cpu", "memory"]
            .into_iter()
            .map(|name| (name, amounts.get(name)))
            .filter(|(_, amount)| !amount.is_zero() && !amount.is_negative())
            .collect()
    };
    let (mut requests, mut limits, mut bounded) = (Resources::new(), Resources::new(), true);
    for part in parts {
        requests.add(&counted(part.and_then(|part| part.requests.as_ref())));
        let own = counted(part.and_then(|part| part.limits.as_ref()));
        bounded &= own.has("cpu") && own.has("memory");
        limits.add(&own);
    }
    if requests.is_empty() && limits.is_empty() {
        Qos::BestEffort
    } else if bounded && requests == limits {
        Qos::Guaranteed
    } else {
        Qos::Burstable
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn classes() {
        let both = json!({"cpu": "1", "memory": "1Gi"});
        for (requests, limits, class) in [
            (json!({}), json!({}), Qos::BestEffort),
            (json!({"cpu": "0"}), json!({}), Qos::BestEffort),
            (json!({"example.com/gpu": "1"}), json!({"example.com/gpu": "1"}), Qos::BestEffort),
            (json!({"cpu": "1"}), json!({}), Qos::Burstable),
            (json!({"cpu": "1"}), json!({"cpu": "1"}), Qos::Burstable),
            (both.clone(), both.clone(), Qos::Guaranteed),
            (json!({"cpu": "1000m", "memory": "1024Mi"}), both.clone(), Qos::Guaranteed),
            (json!({"cpu": "500m", "memory": "1Gi"}), both, Qos::Burstable),
        ] {
            let resources = json!({"requests": requests, "limits": limits});
            let spec = serde_json::from_value(json!({"containers": [{"name": "a", "resources": resources}]}));
            assert_eq!(qos_class(&spec.unwrap()), class, "{resources}");
        }
    }

    #[test]
    fn every_container_counts_unless_the_pod_speaks_for_them() {
        let both =
            json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}});
        let mut tree = json!({"containers": [{"name": "a", "resources": both}, {"name": "b"}]});
        assert_eq!(qos_class(&serde_json::from_value(tree.clone()).unwrap()), Qos::Burstable);
        tree["resources"] = both;
        assert_eq!(qos_class(&serde_json::from_value(tree).unwrap()), Qos::Guaranteed);
    }
}
