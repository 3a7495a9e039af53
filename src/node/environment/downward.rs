//! The downward API: what a pod may know of itself.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use super::Sources;
use crate::api::quantity::Quantity;
use crate::node::lifecycle::spec;

/// A field of the pod.
pub(super) fn field(pod: &Pod, sources: &Sources, path: &str) -> Result<String, String> {
    let metadata = &pod.metadata;
    let joined = || sources.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    if let Some((map, key)) =
        path.split_once("['").and_then(|(map, rest)| Some((map, rest.strip_suffix("']")?)))
    {
        let map = match map {
            "metadata.labels" => &metadata.labels,
            "metadata.annotations" => &metadata.annotations,
            _ => return Err(format!("unsupported fieldPath: {path}")),
        };
        return Ok(map.as_ref().and_then(|map| map.get(key)).cloned().unwrap_or_default());
    }
    let value = match path {
        "metadata.name" => metadata.name.clone(),
        "metadata.namespace" => metadata.namespace.clone(),
        "metadata.uid" => metadata.uid.clone(),
        "spec.nodeName" => spec(pod).node_name.clone(),
        "spec.serviceAccountName" => spec(pod).service_account_name.clone(),
        "status.hostIP" | "status.hostIPs" => Some(sources.host.to_string()),
        "status.podIP" => sources.addresses.first().map(ToString::to_string),
        "status.podIPs" => Some(joined()),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    };
    Ok(value.unwrap_or_default())
}

/// A resource of a container, in units of the divisor, rounded up.
pub(super) fn resource(
    pod: &Pod,
    container: &Container,
    allocatable: &BTreeMap<String, Text>,
    selector: &ResourceFieldSelector,
) -> Result<String, String> {
    let spec = spec(pod);
    let mut all = spec.init_containers.iter().flatten().chain(&spec.containers);
    let container = match selector.container_name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => {
            all.find(|one| one.name == name).ok_or_else(|| format!("container {name} not found"))?
        }
        None => container,
    };
    let unsupported = || format!("unsupported container resource : {}", selector.resource);
    let (list, name) = selector.resource.split_once('.').ok_or_else(unsupported)?;
    let resources = container.resources.as_ref();
    let amount = match list {
        "limits" => {
            let own = resources.and_then(|all| all.limits.as_ref()).and_then(|limits| limits.get(name));
            own.or_else(|| allocatable.get(name))
        }
        "requests" => resources.and_then(|all| all.requests.as_ref()).and_then(|requests| requests.get(name)),
        _ => return Err(unsupported()),
    };
    let read = |text: &Text| text.0.parse::<Quantity>().map_err(|error| error.to_string());
    let amount = amount.map(read).transpose()?.unwrap_or(Quantity::ZERO);
    let divisor = selector.divisor.as_ref().map(read).transpose()?.filter(|divisor| !divisor.is_zero());
    let divisor = divisor.unwrap_or(Quantity::new(1, Default::default()));
    let (amount, divisor) = match name {
        "cpu" => (amount.milli_value(), divisor.milli_value()),
        _ => (amount.value(), divisor.value()),
    };
    let divisor = divisor.max(1);
    Ok((amount / divisor + i64::from(amount % divisor > 0)).to_string())
}
