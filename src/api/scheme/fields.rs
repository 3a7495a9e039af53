//! What field selectors may name of each built-in resource, beside name and namespace.
//!
//! As the conversion functions of Kubernetes 1.36 (`pkg/apis/*/v1/conversion.go`) list them.

use crate::api::SelectableField;

pub(super) fn of(group: &str, kind: &str) -> Vec<SelectableField> {
    let field = SelectableField::new;
    match (group, kind) {
        ("", "Pod") => vec![
            field("spec.nodeName").indexed(),
            field("spec.host").at("spec.nodeName"),
            field("spec.restartPolicy"),
            field("spec.schedulerName"),
            field("spec.serviceAccountName"),
            field("spec.hostNetwork").otherwise("false"),
            field("status.phase"),
            field("status.podIP"),
            // Nothing is ever found by these: they are a list.
            field("status.podIPs"),
            field("status.nominatedNodeName"),
        ],
        ("", "Node") => vec![field("spec.unschedulable").otherwise("false")],
        ("", "Namespace") => vec![field("status.phase")],
        ("", "Secret") => vec![field("type")],
        ("", "Service") => vec![field("spec.clusterIP"), field("spec.type")],
        ("", "ReplicationController") | ("apps", "ReplicaSet") => {
            vec![field("status.replicas").otherwise("0")]
        }
        ("batch", "Job") => vec![field("status.successful").at("status.succeeded").otherwise("0")],
        ("certificates.k8s.io", "PodCertificateRequest") => {
            vec![field("spec.signerName"), field("spec.podName"), field("spec.nodeName")]
        }
        ("certificates.k8s.io", _) => vec![field("spec.signerName")],
        ("resource.k8s.io", "ResourceSlice") => vec![field("spec.nodeName"), field("spec.driver")],
        ("", "Event") => [
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "type",
        ]
        .map(field)
        .into_iter()
        .chain([field("source").at("source.component")])
        .collect(),
        ("events.k8s.io", "Event") => [
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ]
        .map(field)
        .into(),
        _ => Vec::new(),
    }
}
