//! What `kubectl get` shows of each built-in kind, as Kubernetes 1.36
//! (`pkg/printers/internalversion/printers.go`): pure functions of an object's tree and the time.

mod autoscaler;
mod cells;
mod certificates;
mod cluster;
mod devices;
mod meanings;
mod network;
mod pod;
mod policies;
mod quota;
mod scheduling;
mod storage;
mod volume;

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::Value;

use crate::api::{Column, ColumnValue};
use cells as c;

/// A cell of an object at a time.
type Cell = fn(&Value, Timestamp) -> Value;

/// The columns of a kind; none where name and age are all there is to show.
pub(super) fn of(group: &str, kind: &str) -> Vec<Column> {
    let mut columns = shown(group, kind);
    meanings::describe(group, kind, &mut columns);
    columns
}

/// The columns of a kind, which do not say yet what they mean.
fn shown(group: &str, kind: &str) -> Vec<Column> {
    let containers = || [wide("Containers", c::containers), wide("Images", c::images)];
    let template = || {
        let [names, images] = containers();
        [names, images, wide("Selector", c::selector)]
    };
    let replicas = || {
        let cells = [
            count("Desired", c::desired),
            count("Current", c::replicas),
            count("Ready", c::ready_replicas),
            age(),
        ];
        Vec::from_iter(cells.into_iter().chain(template()))
    };
    let binding = || {
        let mut columns = vec![text("Role", c::role), age()];
        columns.extend([
            wide("Users", c::users),
            wide("Groups", c::groups),
            wide("ServiceAccounts", c::accounts),
        ]);
        columns
    };
    match (group, kind) {
        ("", "Pod") => vec![
            text("Ready", pod::ready),
            text("Status", pod::status),
            text("Restarts", pod::restarts),
            age(),
            wide("IP", pod::ip),
            wide("Node", pod::node),
            wide("Nominated Node", pod::nominated_node),
            wide("Readiness Gates", pod::readiness_gates),
        ],
        ("", "Node") => vec![
            text("Status", c::node_status),
            text("Roles", c::node_roles),
            age(),
            path("Version", ".status.nodeInfo.kubeletVersion"),
            wide("Internal-IP", c::node_internal_ip),
            wide("External-IP", c::node_external_ip),
            wide("OS-Image", c::node_os),
            wide("Kernel-Version", c::node_kernel),
            wide("Container-Runtime", c::node_runtime),
        ],
        ("", "Event") => vec![
            text("Last Seen", c::event_last_seen),
            path("Type", ".type"),
            path("Reason", ".reason"),
            text("Object", c::event_object),
            wide("Subobject", c::event_subobject),
            wide("Source", c::event_source),
            text("Message", c::event_message),
            wide("First Seen", c::event_first_seen),
            wide("Count", c::event_count),
            Column { format: "name".into(), ..wide("Name", c::name) },
        ],
        ("events.k8s.io", "Event") => vec![
            text("Last Seen", c::event_last_seen),
            path("Type", ".type"),
            path("Reason", ".reason"),
            text("Object", c::event_object),
            text("Message", c::event_message),
            Column { format: "name".into(), ..wide("Name", c::name) },
        ],
        ("", "ComponentStatus") => vec![
            text("Status", quota::component_status),
            text("Message", quota::component_message),
            text("Error", quota::component_error),
        ],
        ("", "LimitRange") => vec![at("Created At", "date", ".metadata.creationTimestamp")],
        ("", "PodTemplate") => vec![
            text("Containers", c::template_containers),
            text("Images", c::template_images),
            text("Pod Labels", c::template_labels),
        ],
        ("", "ResourceQuota") => vec![text("Request", quota::requests), text("Limit", quota::limits), age()],
        ("", "Namespace") => vec![path("Status", ".status.phase"), age()],
        ("", "ConfigMap") => vec![text("Data", c::data), age()],
        ("", "Secret") => vec![path("Type", ".type"), text("Data", c::data), age()],
        ("", "Service") => vec![
            path("Type", ".spec.type"),
            text("Cluster-IP", network::cluster_ip),
            text("External-IP", network::external_ip),
            text("Port(s)", network::service_ports),
            age(),
            wide("Selector", network::service_selector),
        ],
        ("", "Endpoints") => vec![text("Endpoints", network::endpoints), age()],
        ("discovery.k8s.io", "EndpointSlice") => vec![
            path("AddressType", ".addressType"),
            text("Ports", network::slice_ports),
            text("Endpoints", network::slice_endpoints),
            age(),
        ],
        ("", "ReplicationController") | ("apps", "ReplicaSet") => replicas(),
        ("apps", "Deployment") => {
            let cells = [
                text("Ready", c::ready_of_desired),
                text("Up-to-date", c::updated_replicas),
                text("Available", c::available_replicas),
                age(),
            ];
            cells.into_iter().chain(template()).collect()
        }
        ("apps", "StatefulSet") => {
            [text("Ready", c::ready_of_desired), age()].into_iter().chain(containers()).collect()
        }
        ("apps", "DaemonSet") => [
            count("Desired", c::daemon_desired),
            count("Current", c::daemon_current),
            count("Ready", c::daemon_ready),
            count("Up-to-date", c::daemon_updated),
            count("Available", c::daemon_available),
            text("Node Selector", c::daemon_selector),
            age(),
        ]
        .into_iter()
        .chain(template())
        .collect(),
        ("apps", "ControllerRevision") => {
            vec![text("Controller", c::controller), path("Revision", ".revision"), age()]
        }
        ("batch", "Job") => [
            text("Status", c::job_status),
            text("Completions", c::job_completions),
            text("Duration", c::job_duration),
            age(),
        ]
        .into_iter()
        .chain(template())
        .collect(),
        ("batch", "CronJob") => vec![
            path("Schedule", ".spec.schedule"),
            text("Timezone", c::cron_zone),
            at("Suspend", "boolean", ".spec.suspend"),
            count("Active", c::cron_active),
            text("Last Schedule", c::cron_last),
            age(),
            wide("Containers", c::cron_containers),
            wide("Images", c::cron_images),
            wide("Selector", c::cron_selector),
        ],
        ("autoscaling", "HorizontalPodAutoscaler") => vec![
            text("Reference", autoscaler::reference),
            text("Targets", autoscaler::targets),
            text("MinPods", autoscaler::min_pods),
            text("MaxPods", autoscaler::max_pods),
            text("Replicas", autoscaler::replicas),
            age(),
        ],
        ("policy", "PodDisruptionBudget") => vec![
            text("Min Available", c::min_available),
            text("Max Unavailable", c::max_unavailable),
            number("Allowed Disruptions", ".status.disruptionsAllowed"),
            age(),
        ],
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(),
        ("rbac.authorization.k8s.io", _) | ("apiextensions.k8s.io", _) => {
            vec![at("Created At", "date", ".metadata.creationTimestamp")]
        }
        ("", "PersistentVolume") => vec![
            text("Capacity", volume::capacity),
            text("Access Modes", volume::access_modes),
            path("Reclaim Policy", ".spec.persistentVolumeReclaimPolicy"),
            text("Status", volume::phase),
            text("Claim", volume::claim),
            text("StorageClass", volume::class),
            text("VolumeAttributesClass", volume::attributes_class),
            path("Reason", ".status.reason"),
            age(),
            wide("VolumeMode", volume::mode),
        ],
        ("", "PersistentVolumeClaim") => vec![
            text("Status", volume::phase),
            path("Volume", ".spec.volumeName"),
            text("Capacity", volume::claimed_capacity),
            text("Access Modes", volume::claimed_modes),
            text("StorageClass", volume::class),
            text("VolumeAttributesClass", volume::attributes_class),
            age(),
            wide("VolumeMode", volume::mode),
        ],
        _ => cluster::of(group, kind),
    }
}

fn of_value(name: &'static str, kind: &'static str, value: ColumnValue) -> Column {
    Column {
        name: name.into(),
        kind: kind.into(),
        format: "".into(),
        description: "".into(),
        priority: 0,
        value,
    }
}

fn column(name: &'static str, kind: &'static str, cell: Cell) -> Column {
    of_value(name, kind, ColumnValue::Function(cell))
}

fn at(name: &'static str, kind: &'static str, path: &'static str) -> Column {
    of_value(name, kind, ColumnValue::Path(Cow::Borrowed(path)))
}

fn path(name: &'static str, path: &'static str) -> Column {
    at(name, "string", path)
}

fn number(name: &'static str, path: &'static str) -> Column {
    at(name, "integer", path)
}

fn text(name: &'static str, cell: Cell) -> Column {
    column(name, "string", cell)
}

fn count(name: &'static str, cell: Cell) -> Column {
    column(name, "integer", cell)
}

fn age() -> Column {
    text("Age", c::age)
}

fn wide(name: &'static str, cell: Cell) -> Column {
    Column { priority: 1, ..text(name, cell) }
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn str_or<'a>(value: &'a Value, otherwise: &'a str) -> &'a str {
    value.as_str().filter(|text| !text.is_empty()).unwrap_or(otherwise)
}

/// A flag, and what it is where it is absent.
fn flag(value: &Value, otherwise: bool) -> Value {
    value.as_bool().unwrap_or(otherwise).into()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

const NONE: &str = "<none>";

#[cfg(test)]
mod tests;
