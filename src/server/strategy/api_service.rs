//! APIServices.

use serde_json::json;

use super::{DEFAULT, Strategy};
use crate::server::tree::{at, map_mut};

/// What this server serves itself is available at once.
///
/// Source: `apiServerStrategy` and `NewLocalAvailableAPIServiceCondition` of `k8s.io/kube-aggregator` (1.36).
pub(super) const API_SERVICE: Strategy = Strategy {
    unconditional_update: false,
    status_metadata: false,
    create: |context, tree| {
        if at(tree, &["spec", "service"]).is_none() {
            let condition = json!({
                "type": "Available",
                "status": "True",
                "lastTransitionTime": context.now.to_string(),
                "reason": "Local",
                "message": "Local APIServices are always available",
            });
            map_mut(tree, "status").insert("conditions".into(), json!([condition]));
        }
    },
    ..DEFAULT
};
