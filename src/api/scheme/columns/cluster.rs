//! The columns of what belongs to the cluster: networks, storage, devices, certificates, priorities,
//! flows and policies.

use super::{Cell, Column, NONE, age, certificates, column, count, devices, flag, network, number, path};
use super::{policies, scheduling, storage, str_or, text};
use serde_json::Value;

/// The columns of such a kind; none where name and age are all there is to show.
pub(super) fn of(group: &str, kind: &str) -> Vec<Column> {
    match (group, kind) {
        ("networking.k8s.io", "Ingress") => vec![
            text("Class", network::ingress_class),
            text("Hosts", network::ingress_hosts),
            text("Address", network::load_balancer),
            text("Ports", network::ingress_ports),
            age(),
        ],
        ("networking.k8s.io", "IngressClass") => vec![
            named(network::ingress_class_name),
            path("Controller", ".spec.controller"),
            text("Parameters", network::ingress_class_parameters),
            age(),
        ],
        ("networking.k8s.io", "NetworkPolicy") => vec![text("Pod-Selector", network::pod_selector), age()],
        ("networking.k8s.io", "ServiceCIDR") => vec![text("CIDRs", network::cidrs), age()],
        ("networking.k8s.io", "IPAddress") => vec![text("ParentRef", network::parent)],
        ("coordination.k8s.io", "Lease") => {
            vec![text("Holder", |lease, _| or_empty(lease, "holderIdentity")), age()]
        }
        ("coordination.k8s.io", "LeaseCandidate") => vec![
            path("LeaseName", ".spec.leaseName"),
            path("BinaryVersion", ".spec.binaryVersion"),
            text("EmulationVersion", |candidate, _| or_empty(candidate, "emulationVersion")),
            age(),
        ],
        ("scheduling.k8s.io", "PriorityClass") => vec![
            number("Value", ".value"),
            column("Global-Default", "boolean", |class, _| flag(&class["globalDefault"], false)),
            age(),
            path("PreemptionPolicy", ".preemptionPolicy"),
        ],
        ("scheduling.k8s.io", "PodGroup") => vec![
            text("Policy", scheduling::policy),
            text("Workload", scheduling::workload),
            text("Status", scheduling::status),
            age(),
        ],
        ("storage.k8s.io", "StorageClass") => vec![
            named(storage::class_name),
            path("Provisioner", ".provisioner"),
            text("ReclaimPolicy", |class, _| str_or(&class["reclaimPolicy"], "Delete").into()),
            text("VolumeBindingMode", |class, _| str_or(&class["volumeBindingMode"], "Immediate").into()),
            text("AllowVolumeExpansion", |class, _| flag(&class["allowVolumeExpansion"], false)),
            age(),
        ],
        ("storage.k8s.io", "VolumeAttributesClass") => vec![path("DriverName", ".driverName"), age()],
        ("storage.k8s.io", "VolumeAttachment") => vec![
            Column { format: "name".into(), ..path("Attacher", ".spec.attacher") },
            text("PV", storage::attached_volume),
            path("Node", ".spec.nodeName"),
            column("Attached", "boolean", |attachment, _| flag(&attachment["status"]["attached"], false)),
            age(),
        ],
        ("storage.k8s.io", "CSINode") => vec![count("Drivers", storage::drivers), age()],
        ("storage.k8s.io", "CSIDriver") => vec![
            column("AttachRequired", "boolean", |driver, _| flag(&driver["spec"]["attachRequired"], true)),
            column("PodInfoOnMount", "boolean", |driver, _| flag(&driver["spec"]["podInfoOnMount"], false)),
            column("StorageCapacity", "boolean", |driver, _| flag(&driver["spec"]["storageCapacity"], false)),
            text("TokenRequests", storage::audiences),
            column("RequiresRepublish", "boolean", |driver, _| {
                flag(&driver["spec"]["requiresRepublish"], false)
            }),
            text("Modes", storage::modes),
            age(),
        ],
        ("storage.k8s.io", "CSIStorageCapacity") => {
            vec![path("StorageClassName", ".storageClassName"), text("Capacity", storage::capacity)]
        }
        ("node.k8s.io", "RuntimeClass") => vec![path("Handler", ".handler"), age()],
        ("certificates.k8s.io", "CertificateSigningRequest") => vec![
            age(),
            text("SignerName", certificates::signer),
            text("Requestor", |request, _| or_empty(request, "username")),
            text("RequestedDuration", certificates::duration),
            text("Condition", certificates::condition),
        ],
        ("certificates.k8s.io", "ClusterTrustBundle") => vec![text("SignerName", certificates::signer)],
        ("certificates.k8s.io", "PodCertificateRequest") => vec![
            path("PodName", ".spec.podName"),
            path("ServiceAccountName", ".spec.serviceAccountName"),
            path("NodeName", ".spec.nodeName"),
            path("SignerName", ".spec.signerName"),
            text("State", certificates::pod_state),
            text("UnverifiedUserAnnotations", certificates::pod_annotations),
        ],
        ("resource.k8s.io", "ResourceClaim") => vec![text("State", devices::claim_state), age()],
        ("resource.k8s.io", "ResourceSlice") => vec![
            text("Node", |slice, _| or_empty(slice, "nodeName")),
            path("Driver", ".spec.driver"),
            path("Pool", ".spec.pool.name"),
            age(),
        ],
        ("resource.k8s.io", "DeviceTaintRule") => vec![
            path("Key", ".spec.taint.key"),
            text("Value", |rule, _| str_or(&rule["spec"]["taint"]["value"], "").into()),
            path("Effect", ".spec.taint.effect"),
            text("TimeAdded", devices::time_added),
            age(),
        ],
        ("resource.k8s.io", "ResourcePoolStatusRequest") => vec![
            path("Driver", ".spec.driver"),
            text("Total", |request, _| devices::sum(request, "totalDevices")),
            text("Available", |request, _| devices::sum(request, "availableDevices")),
            text("Allocated", |request, _| devices::sum(request, "allocatedDevices")),
            text("Unavailable", |request, _| devices::sum(request, "unavailableDevices")),
            text("Errors", devices::pool_errors),
            count("Pools", devices::pools),
            text("Status", devices::pool_status),
            text("Completed", devices::pools_completed),
        ],
        ("admissionregistration.k8s.io", kind) => admission(kind),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => vec![
            path("PriorityLevel", ".spec.priorityLevelConfiguration.name"),
            path("MatchingPrecedence", ".spec.matchingPrecedence"),
            text("DistinguisherMethod", |schema, _| {
                str_or(&schema["spec"]["distinguisherMethod"]["type"], NONE).into()
            }),
            age(),
            text("MissingPL", policies::missing_level),
        ],
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => vec![
            path("Type", ".spec.type"),
            text("NominalConcurrencyShares", |level, _| policies::limit(level, "/nominalConcurrencyShares")),
            text("Queues", |level, _| policies::limit(level, "/limitResponse/queuing/queues")),
            text("HandSize", |level, _| policies::limit(level, "/limitResponse/queuing/handSize")),
            text("QueueLengthLimit", |level, _| {
                policies::limit(level, "/limitResponse/queuing/queueLengthLimit")
            }),
            age(),
        ],
        ("apiregistration.k8s.io", "APIService") => {
            vec![text("Service", policies::service), text("Available", policies::available), age()]
        }
        ("internal.apiserver.k8s.io", "StorageVersion") => vec![
            text("CommonEncodingVersion", storage::common_version),
            text("StorageVersions", storage::versions),
            age(),
        ],
        ("storagemigration.k8s.io", "StorageVersionMigration") => {
            vec![text("Resource", storage::migrated), text("Status", storage::migration_status)]
        }
        _ => Vec::new(),
    }
}

fn admission(kind: &str) -> Vec<Column> {
    match kind {
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            vec![
                count("Webhooks", |configuration, _| super::list(&configuration["webhooks"]).len().into()),
                age(),
            ]
        }
        "ValidatingAdmissionPolicy" => vec![
            count("Validations", |policy, _| super::list(&policy["spec"]["validations"]).len().into()),
            text("ParamKind", policies::parameter_kind),
            age(),
        ],
        "MutatingAdmissionPolicy" => vec![
            count("Mutations", |policy, _| super::list(&policy["spec"]["mutations"]).len().into()),
            text("ParamKind", policies::parameter_kind),
            age(),
        ],
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => {
            vec![path("PolicyName", ".spec.policyName"), text("ParamRef", policies::parameter), age()]
        }
        _ => Vec::new(),
    }
}

/// A name that says more than the name.
fn named(cell: Cell) -> Column {
    Column { format: "name".into(), ..text("Name", cell) }
}

/// A text of the specification that may be absent.
fn or_empty(object: &Value, field: &str) -> Value {
    str_or(&object["spec"][field], "").into()
}
