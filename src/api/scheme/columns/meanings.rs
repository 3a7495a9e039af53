//! What the columns mean: mostly what a field means that they show, whose description they bear; that is found
//! where OpenAPI finds it, so that no text stands here twice.
//!
//! Source: `pkg/printers/internalversion/printers.go` of Kubernetes 1.36. Types that not every version of
//! `k8s-openapi` has are described in words; where Kubernetes names a field that does not exist, it says
//! nothing.

use self::Meaning::{Field, Words};
use crate::api::{Column, Description};

enum Meaning {
    /// The description of a field, by the type that has it.
    Field(&'static str, &'static str),
    Words(&'static str),
}

/// The columns of a kind, with what they mean.
type Meanings = (&'static str, &'static str, &'static [(&'static str, Meaning)]);

/// Says what each of a kind's columns means.
pub(super) fn describe(group: &str, kind: &str, columns: &mut [Column]) {
    let own = MEANINGS.iter().find(|(own_group, own_kind, _)| (*own_group, *own_kind) == (group, kind));
    let own = own.map_or(&[][..], |(_, _, columns)| columns);
    for column in columns {
        column.description = match own.iter().find(|(name, _)| *name == column.name) {
            Some((_, Field(of, field))) => Description::Field { of, field },
            Some((_, Words(words))) => (*words).into(),
            None if column.name == "Name" => Description::NAME,
            None if matches!(&*column.name, "Age" | "Created At") => Description::AGE,
            None => column.description.clone(),
        };
    }
}

/// By group and kind.
#[rustfmt::skip]
const MEANINGS: &[Meanings] = &[
    ("", "Pod", &[
        ("Ready", Words("How many of the pod's containers are ready for traffic")),
        ("Status", Words("What the states of the pod's containers come to")),
        ("Restarts", Words("How often the pod's containers were restarted, and how long ago the last time was")),
        ("IP", Field("api.core.v1.PodStatus", "podIP")),
        ("Node", Field("api.core.v1.PodSpec", "nodeName")),
        ("Nominated Node", Field("api.core.v1.PodStatus", "nominatedNodeName")),
        ("Readiness Gates", Field("api.core.v1.PodSpec", "readinessGates")),
    ]),
    ("", "Node", &[
        ("Status", Words("How the node is")),
        ("Roles", Words("What the node is for")),
        ("Version", Field("api.core.v1.NodeSystemInfo", "kubeletVersion")),
        ("Internal-IP", Field("api.core.v1.NodeStatus", "addresses")),
        ("External-IP", Field("api.core.v1.NodeStatus", "addresses")),
        ("OS-Image", Field("api.core.v1.NodeSystemInfo", "osImage")),
        ("Kernel-Version", Field("api.core.v1.NodeSystemInfo", "kernelVersion")),
        ("Container-Runtime", Field("api.core.v1.NodeSystemInfo", "containerRuntimeVersion")),
    ]),
    ("", "Event", &[
        ("Last Seen", Field("api.core.v1.Event", "lastTimestamp")),
        ("Type", Field("api.core.v1.Event", "type")),
        ("Reason", Field("api.core.v1.Event", "reason")),
        ("Object", Field("api.core.v1.Event", "involvedObject")),
        ("Subobject", Field("api.core.v1.ObjectReference", "fieldPath")),
        ("Source", Field("api.core.v1.Event", "source")),
        ("Message", Field("api.core.v1.Event", "message")),
        ("First Seen", Field("api.core.v1.Event", "firstTimestamp")),
        ("Count", Field("api.core.v1.Event", "count")),
    ]),
    ("events.k8s.io", "Event", &[
        ("Last Seen", Field("api.core.v1.Event", "lastTimestamp")),
        ("Type", Field("api.core.v1.Event", "type")),
        ("Reason", Field("api.core.v1.Event", "reason")),
        ("Object", Field("api.core.v1.Event", "involvedObject")),
        ("Message", Field("api.core.v1.Event", "message")),
    ]),
    ("", "ComponentStatus", &[
        ("Status", Words("Whether the component is healthy")),
        ("Message", Words("What the component says of itself")),
        ("Error", Words("What is wrong with the component")),
    ]),
    ("", "PodTemplate", &[
        ("Containers", Words("Names of the containers in the template")),
        ("Images", Words("Images of the containers in the template")),
        ("Pod Labels", Words("Labels of the pods that the template makes")),
    ]),
    ("", "ResourceQuota", &[
        ("Request", Words("How much containers may ask for, and how much they do")),
        ("Limit", Words("How much containers may be limited to, and how much they are")),
    ]),
    ("", "Namespace", &[
        ("Status", Words("Whether the namespace is there or going")),
    ]),
    ("", "ConfigMap", &[
        ("Data", Field("api.core.v1.ConfigMap", "data")),
    ]),
    ("", "Secret", &[
        ("Type", Field("api.core.v1.Secret", "type")),
        ("Data", Field("api.core.v1.Secret", "data")),
    ]),
    ("", "Service", &[
        ("Type", Field("api.core.v1.ServiceSpec", "type")),
        ("Cluster-IP", Field("api.core.v1.ServiceSpec", "clusterIP")),
        ("External-IP", Field("api.core.v1.ServiceSpec", "externalIPs")),
        ("Port(s)", Field("api.core.v1.ServiceSpec", "ports")),
        ("Selector", Field("api.core.v1.ServiceSpec", "selector")),
    ]),
    ("", "Endpoints", &[
        ("Endpoints", Field("api.core.v1.Endpoints", "subsets")),
    ]),
    ("discovery.k8s.io", "EndpointSlice", &[
        ("AddressType", Field("api.discovery.v1.EndpointSlice", "addressType")),
        ("Ports", Field("api.discovery.v1.EndpointSlice", "ports")),
        ("Endpoints", Field("api.discovery.v1.EndpointSlice", "endpoints")),
    ]),
    ("", "ReplicationController", &[
        ("Desired", Field("api.core.v1.ReplicationControllerSpec", "replicas")),
        ("Current", Field("api.core.v1.ReplicationControllerStatus", "replicas")),
        ("Ready", Field("api.core.v1.ReplicationControllerStatus", "readyReplicas")),
        ("Containers", Words("Names of the containers in the template")),
        ("Images", Words("Images of the containers in the template")),
        ("Selector", Field("api.core.v1.ReplicationControllerSpec", "selector")),
    ]),
    ("apps", "ReplicaSet", &[
        ("Desired", Field("api.apps.v1.ReplicaSetSpec", "replicas")),
        ("Current", Field("api.apps.v1.ReplicaSetStatus", "replicas")),
        ("Ready", Field("api.apps.v1.ReplicaSetStatus", "readyReplicas")),
        ("Containers", Words("Names of the containers in the template")),
        ("Images", Words("Images of the containers in the template")),
        ("Selector", Field("api.apps.v1.ReplicaSetSpec", "selector")),
    ]),
    ("apps", "Deployment", &[
        ("Ready", Words("How many pods are ready, of how many there should be")),
        ("Up-to-date", Field("api.apps.v1.DeploymentStatus", "updatedReplicas")),
        ("Available", Field("api.apps.v1.DeploymentStatus", "availableReplicas")),
        ("Containers", Words("Names of the containers in the template")),
        ("Images", Words("Images of the containers in the template")),
        ("Selector", Field("api.apps.v1.DeploymentSpec", "selector")),
    ]),
    ("apps", "StatefulSet", &[
        ("Ready", Words("How many pods are ready, of how many there should be")),
        ("Containers", Words("Names of the containers in the template")),
        ("Images", Words("Images of the containers in the template")),
    ]),
    ("apps", "DaemonSet", &[
        ("Desired", Field("api.apps.v1.DaemonSetStatus", "desiredNumberScheduled")),
        ("Current", Field("api.apps.v1.DaemonSetStatus", "currentNumberScheduled")),
        ("Ready", Field("api.apps.v1.DaemonSetStatus", "numberReady")),
        ("Up-to-date", Field("api.apps.v1.DaemonSetStatus", "updatedNumberScheduled")),
        ("Available", Field("api.apps.v1.DaemonSetStatus", "numberAvailable")),
        ("Node Selector", Field("api.core.v1.PodSpec", "nodeSelector")),
        ("Containers", Words("Names of the containers in the template")),
        ("Images", Words("Images of the containers in the template")),
        ("Selector", Field("api.apps.v1.DaemonSetSpec", "selector")),
    ]),
    ("apps", "ControllerRevision", &[
        ("Controller", Words("Whose revision it is")),
        ("Revision", Field("api.apps.v1.ControllerRevision", "revision")),
    ]),
    ("batch", "Job", &[
        ("Status", Words("How the job goes")),
        ("Completions", Field("api.batch.v1.JobStatus", "succeeded")),
        ("Duration", Words("How long the job took, or has taken")),
        ("Containers", Words("Names of the containers in the template")),
        ("Images", Words("Images of the containers in the template")),
        ("Selector", Field("api.batch.v1.JobSpec", "selector")),
    ]),
    ("batch", "CronJob", &[
        ("Schedule", Field("api.batch.v1.CronJobSpec", "schedule")),
        ("Timezone", Field("api.batch.v1.CronJobSpec", "timeZone")),
        ("Suspend", Field("api.batch.v1.CronJobSpec", "suspend")),
        ("Active", Field("api.batch.v1.CronJobStatus", "active")),
        ("Last Schedule", Field("api.batch.v1.CronJobStatus", "lastScheduleTime")),
        ("Containers", Words("Names of the containers in the template")),
        ("Images", Words("Images of the containers in the template")),
        ("Selector", Field("api.batch.v1.JobSpec", "selector")),
    ]),
    ("autoscaling", "HorizontalPodAutoscaler", &[
        ("Reference", Field("api.autoscaling.v2.HorizontalPodAutoscalerSpec", "scaleTargetRef")),
        ("Targets", Field("api.autoscaling.v2.HorizontalPodAutoscalerSpec", "metrics")),
        ("MinPods", Field("api.autoscaling.v2.HorizontalPodAutoscalerSpec", "minReplicas")),
        ("MaxPods", Field("api.autoscaling.v2.HorizontalPodAutoscalerSpec", "maxReplicas")),
        ("Replicas", Field("api.autoscaling.v2.HorizontalPodAutoscalerStatus", "currentReplicas")),
    ]),
    ("policy", "PodDisruptionBudget", &[
        ("Min Available", Words("How many pods must stay available")),
        ("Max Unavailable", Words("How many pods may be unavailable")),
        ("Allowed Disruptions", Words("How many pods may be disrupted now")),
    ]),
    ("rbac.authorization.k8s.io", "RoleBinding", &[
        ("Role", Field("api.rbac.v1.RoleBinding", "roleRef")),
        ("Users", Words("Users that are bound")),
        ("Groups", Words("Groups that are bound")),
        ("ServiceAccounts", Words("Service accounts that are bound")),
    ]),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", &[
        ("Role", Field("api.rbac.v1.ClusterRoleBinding", "roleRef")),
        ("Users", Words("Users that are bound")),
        ("Groups", Words("Groups that are bound")),
        ("ServiceAccounts", Words("Service accounts that are bound")),
    ]),
    ("", "PersistentVolume", &[
        ("Capacity", Field("api.core.v1.PersistentVolumeSpec", "capacity")),
        ("Access Modes", Field("api.core.v1.PersistentVolumeSpec", "accessModes")),
        ("Reclaim Policy", Field("api.core.v1.PersistentVolumeSpec", "persistentVolumeReclaimPolicy")),
        ("Status", Field("api.core.v1.PersistentVolumeStatus", "phase")),
        ("Claim", Field("api.core.v1.PersistentVolumeSpec", "claimRef")),
        ("StorageClass", Words("The volume's StorageClass")),
        ("VolumeAttributesClass", Words("The volume's VolumeAttributesClass")),
        ("Reason", Field("api.core.v1.PersistentVolumeStatus", "reason")),
        ("VolumeMode", Field("api.core.v1.PersistentVolumeSpec", "volumeMode")),
    ]),
    ("", "PersistentVolumeClaim", &[
        ("Status", Field("api.core.v1.PersistentVolumeClaimStatus", "phase")),
        ("Volume", Field("api.core.v1.PersistentVolumeClaimSpec", "volumeName")),
        ("Capacity", Field("api.core.v1.PersistentVolumeClaimStatus", "capacity")),
        ("Access Modes", Field("api.core.v1.PersistentVolumeClaimStatus", "accessModes")),
        ("StorageClass", Words("The claim's StorageClass")),
        ("VolumeAttributesClass", Words("The claim's VolumeAttributesClass")),
        ("VolumeMode", Field("api.core.v1.PersistentVolumeClaimSpec", "volumeMode")),
    ]),
    ("networking.k8s.io", "Ingress", &[
        ("Class", Words("The IngressClass that says more")),
        ("Hosts", Words("Hosts that the rules are for")),
        ("Address", Words("Where the load balancer takes requests")),
        ("Ports", Words("Ports that are open, with TLS or without")),
    ]),
    ("networking.k8s.io", "IngressClass", &[
        ("Controller", Words("Who implements the class")),
        ("Parameters", Words("What says more of the class")),
    ]),
    ("networking.k8s.io", "NetworkPolicy", &[
        ("Pod-Selector", Field("api.networking.v1.NetworkPolicySpec", "podSelector")),
    ]),
    ("networking.k8s.io", "ServiceCIDR", &[
        ("CIDRs", Field("api.networking.v1.ServiceCIDRSpec", "cidrs")),
    ]),
    ("networking.k8s.io", "IPAddress", &[
        ("ParentRef", Field("api.networking.v1.IPAddressSpec", "parentRef")),
    ]),
    ("coordination.k8s.io", "Lease", &[
        ("Holder", Field("api.coordination.v1.LeaseSpec", "holderIdentity")),
    ]),
    ("coordination.k8s.io", "LeaseCandidate", &[
        ("LeaseName", Words("The lease that the candidate wants")),
        ("BinaryVersion", Words("")),
        ("EmulationVersion", Words("")),
    ]),
    ("scheduling.k8s.io", "PriorityClass", &[
        ("Value", Field("api.scheduling.v1.PriorityClass", "value")),
        ("Global-Default", Field("api.scheduling.v1.PriorityClass", "globalDefault")),
        ("PreemptionPolicy", Field("api.scheduling.v1.PriorityClass", "preemptionPolicy")),
    ]),
    ("scheduling.k8s.io", "PodGroup", &[
        ("Policy", Words("How the group's pods are scheduled")),
        ("Workload", Words("The Workload that the group belongs to")),
        ("Status", Words("How the group is")),
    ]),
    ("storage.k8s.io", "StorageClass", &[
        ("Provisioner", Field("api.storage.v1.StorageClass", "provisioner")),
        ("ReclaimPolicy", Field("api.storage.v1.StorageClass", "reclaimPolicy")),
        ("VolumeBindingMode", Field("api.storage.v1.StorageClass", "volumeBindingMode")),
        ("AllowVolumeExpansion", Field("api.storage.v1.StorageClass", "allowVolumeExpansion")),
    ]),
    ("storage.k8s.io", "VolumeAttributesClass", &[
        ("DriverName", Words("The CSI driver that knows the class")),
    ]),
    ("storage.k8s.io", "VolumeAttachment", &[
        ("Attacher", Field("api.storage.v1.VolumeAttachmentSpec", "attacher")),
        ("PV", Field("api.storage.v1.VolumeAttachmentSource", "persistentVolumeName")),
        ("Node", Field("api.storage.v1.VolumeAttachmentSpec", "nodeName")),
        ("Attached", Field("api.storage.v1.VolumeAttachmentStatus", "attached")),
    ]),
    ("storage.k8s.io", "CSINode", &[
        ("Drivers", Words("How many CSI drivers the node has")),
    ]),
    ("storage.k8s.io", "CSIDriver", &[
        ("AttachRequired", Field("api.storage.v1.CSIDriverSpec", "attachRequired")),
        ("PodInfoOnMount", Field("api.storage.v1.CSIDriverSpec", "podInfoOnMount")),
        ("StorageCapacity", Field("api.storage.v1.CSIDriverSpec", "storageCapacity")),
        ("TokenRequests", Field("api.storage.v1.CSIDriverSpec", "tokenRequests")),
        ("RequiresRepublish", Field("api.storage.v1.CSIDriverSpec", "requiresRepublish")),
        ("Modes", Field("api.storage.v1.CSIDriverSpec", "volumeLifecycleModes")),
    ]),
    ("storage.k8s.io", "CSIStorageCapacity", &[
        ("StorageClassName", Field("api.storage.v1.CSIStorageCapacity", "storageClassName")),
        ("Capacity", Field("api.storage.v1.CSIStorageCapacity", "capacity")),
    ]),
    ("node.k8s.io", "RuntimeClass", &[
        ("Handler", Words("")),
    ]),
    ("certificates.k8s.io", "CertificateSigningRequest", &[
        ("SignerName", Field("api.certificates.v1.CertificateSigningRequestSpec", "signerName")),
        ("Requestor", Field("api.certificates.v1.CertificateSigningRequestSpec", "request")),
        ("RequestedDuration", Field("api.certificates.v1.CertificateSigningRequestSpec", "expirationSeconds")),
        ("Condition", Field("api.certificates.v1.CertificateSigningRequestStatus", "conditions")),
    ]),
    ("certificates.k8s.io", "ClusterTrustBundle", &[
        ("SignerName", Words("The signer whose roots these are, if they are one's")),
    ]),
    ("certificates.k8s.io", "PodCertificateRequest", &[
        ("PodName", Words("The pod that the certificate is for")),
        ("ServiceAccountName", Words("The pod's service account")),
        ("NodeName", Words("The pod's node")),
        ("SignerName", Words("Who is asked to sign")),
        ("State", Words("Whether the request is pending, issued, denied or failed")),
        ("UnverifiedUserAnnotations", Words("What the pod's author tells the signer")),
    ]),
    ("resource.k8s.io", "ResourceClaim", &[
        ("State", Words("Where the claim stands, in a few words")),
    ]),
    ("resource.k8s.io", "ResourceSlice", &[
        ("Node", Words("The node that has the devices")),
        ("Driver", Words("The driver that publishes them")),
        ("Pool", Words("The pool that they belong to")),
    ]),
    ("resource.k8s.io", "DeviceTaintRule", &[
        ("Key", Words("The taint's key")),
        ("Value", Words("The taint's value")),
        ("Effect", Words("What the taint does to claims and pods")),
        ("TimeAdded", Words("How long ago the taint was added")),
    ]),
    ("resource.k8s.io", "ResourcePoolStatusRequest", &[
        ("Driver", Words("The driver whose pools are asked for")),
        ("Total", Words("How many devices the pools have")),
        ("Available", Words("How many of them are available")),
        ("Allocated", Words("How many of them are allocated")),
        ("Unavailable", Words("How many of them are unavailable")),
        ("Errors", Words("How many pools are invalid")),
        ("Pools", Words("How many pools there are")),
        ("Status", Words("Where the request stands")),
        ("Completed", Words("How long ago it was answered")),
    ]),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration", &[
        ("Webhooks", Words("How many webhooks are registered")),
    ]),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", &[
        ("Webhooks", Words("How many webhooks are registered")),
    ]),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy", &[
        ("Validations", Words("How many rules validate")),
        ("ParamKind", Words("The kind of the policy's parameters")),
    ]),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy", &[
        ("Mutations", Words("How many rules mutate")),
        ("ParamKind", Words("The kind of the policy's parameters")),
    ]),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", &[
        ("PolicyName", Words("The policy that is bound")),
        ("ParamRef", Words("The parameters that it is bound with")),
    ]),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding", &[
        ("PolicyName", Words("The policy that is bound")),
        ("ParamRef", Words("The parameters that it is bound with")),
    ]),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema", &[
        ("PriorityLevel", Field("api.flowcontrol.v1.PriorityLevelConfigurationReference", "name")),
        ("MatchingPrecedence", Field("api.flowcontrol.v1.FlowSchemaSpec", "matchingPrecedence")),
        ("DistinguisherMethod", Field("api.flowcontrol.v1.FlowSchemaSpec", "distinguisherMethod")),
        ("MissingPL", Words("Whether its PriorityLevelConfiguration is missing")),
    ]),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", &[
        ("Type", Field("api.flowcontrol.v1.PriorityLevelConfigurationSpec", "type")),
        ("NominalConcurrencyShares", Field("api.flowcontrol.v1.LimitedPriorityLevelConfiguration", "nominalConcurrencyShares")),
        ("Queues", Field("api.flowcontrol.v1.QueuingConfiguration", "queues")),
        ("HandSize", Field("api.flowcontrol.v1.QueuingConfiguration", "handSize")),
        ("QueueLengthLimit", Field("api.flowcontrol.v1.QueuingConfiguration", "queueLengthLimit")),
    ]),
    ("apiregistration.k8s.io", "APIService", &[
        ("Service", Words("The service behind the API")),
        ("Available", Words("Whether the API is available")),
    ]),
    ("internal.apiserver.k8s.io", "StorageVersion", &[
        ("CommonEncodingVersion", Words("The version in which all servers store, if it is one")),
        ("StorageVersions", Words("The versions in which each server stores")),
    ]),
    ("storagemigration.k8s.io", "StorageVersionMigration", &[
        ("Resource", Words("The resource whose objects are migrated")),
        ("Status", Words("How the migration goes")),
    ]),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::scheme::row::Row;
    use crate::api::scheme::{table, unstable};

    #[test]
    fn every_column_means_something_and_nothing_else_does() {
        let mut known: BTreeSet<_> = MEANINGS
            .iter()
            .flat_map(|(group, kind, columns)| columns.iter().map(move |(name, _)| (*group, *kind, *name)))
            .collect();
        let rows = table::ROWS.iter().chain(unstable::ROWS).map(Row::resource);
        let kinds: BTreeSet<_> = rows.map(|row| (row.group.clone(), row.kind.clone())).collect();
        for (group, kind) in &kinds {
            for column in super::super::of(group, kind) {
                let was_known = known.iter().any(|own| *own == (&**group, &**kind, &*column.name));
                known.retain(|own| *own != (&**group, &**kind, &*column.name));
                let always = matches!(&*column.name, "Name" | "Age" | "Created At");
                assert!(was_known != always, "{group} {kind} {}", column.name);
            }
        }
        assert!(known.is_empty(), "{known:?}");
    }
}
