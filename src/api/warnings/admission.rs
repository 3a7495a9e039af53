//! Webhooks and policies.

use serde_json::Value;

use super::text;

/// Names that are kept for what is configured by files.
const STATIC: &str = ".static.k8s.io";

pub(super) fn static_name(tree: &Value) -> Vec<String> {
    if !text(&tree["metadata"]["name"]).ends_with(STATIC) {
        return Vec::new();
    }
    vec![format!(
        "metadata.name: names ending with {STATIC:?} are reserved for static manifest-based configurations and \
         cannot be managed via the API"
    )]
}
