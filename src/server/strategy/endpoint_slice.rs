//! EndpointSlices.

use serde_json::Value;

use super::{DEFAULT, Generation, Strategy};
use crate::api::names;
use crate::server::tree::{at, text};

const TOPOLOGY: &str = "deprecatedTopology";
const HOST: &str = "kubernetes.io/hostname";

pub(super) const ENDPOINT_SLICE: Strategy = Strategy {
    generation: Generation::ContentAndLabels,
    create: |_, tree| drop_topology(tree, &Value::Null),
    update: |_, new, old| {
        if at(new, &["endpoints"]) != at(old, &["endpoints"]) {
            drop_topology(new, old);
        }
    },
    ..DEFAULT
};

/// Topology belongs to a version that is gone. Of what an old object says there, the node's name stays.
///
/// Source: `dropTopologyOnV1` of `k8s.io/kubernetes/pkg/registry/discovery/endpointslice` (1.36).
fn drop_topology(new: &mut Value, old: &Value) {
    let known: Vec<&str> = endpoints(old).iter().map(|endpoint| text(endpoint, &[TOPOLOGY, HOST])).collect();
    let list = new.get_mut("endpoints").and_then(Value::as_array_mut);
    for endpoint in list.into_iter().flatten().filter_map(Value::as_object_mut) {
        let Some(topology) = endpoint.remove(TOPOLOGY) else { continue };
        let host = text(&topology, &[HOST]);
        let is_node = !host.is_empty() && known.contains(&host) && names::dns1123_subdomain(host).is_empty();
        if is_node && endpoint.get("nodeName").is_none_or(Value::is_null) {
            endpoint.insert("nodeName".into(), host.into());
        }
    }
}

fn endpoints(tree: &Value) -> &[Value] {
    at(tree, &["endpoints"]).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
