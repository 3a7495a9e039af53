//! Fields that a path does not write: whoever sends them there does not own them.
//!
//! Source: `GetResetFields` of the strategies of `k8s.io/kubernetes/pkg/registry`,
//! `k8s.io/apiextensions-apiserver/pkg/registry` and `k8s.io/kube-aggregator/pkg/registry` (1.36).
//! Subresources without an entry write what they are sent, as `pods/ephemeralcontainers` does.

use crate::api::Resource;
use crate::api::managed::{FieldSet, Filter, PathElement};

type Paths = &'static [&'static [&'static str]];

const STATUS: Paths = &[&["status"]];
const SPEC: Paths = &[&["spec"]];
const METADATA_AND_SPEC: Paths = &[&["metadata"], &["spec"]];

/// What of the fields that are sent to an object, or to a subresource of it, counts.
pub(super) fn filter(row: &Resource, subresource: &str) -> Option<Filter> {
    let paths = paths(row, subresource)?;
    let path = |path: &&[&str]| path.iter().map(|name| PathElement::field(*name)).collect::<Vec<_>>();
    let excluded: FieldSet = paths.iter().map(path).collect();
    Some(Filter::Exclude(excluded))
}

fn paths(row: &Resource, subresource: &str) -> Option<Paths> {
    let certificate_request = row.kind == "CertificateSigningRequest";
    Some(match (subresource, &*row.group, &*row.kind) {
        ("", "certificates.k8s.io", _) if certificate_request => &[&["spec"], &["status"]],
        ("status", "certificates.k8s.io", _) if certificate_request => {
            &[&["spec"], &["status", "conditions"]]
        }
        ("approval", "certificates.k8s.io", _) => &[&["spec"], &["status", "certificate"]],
        ("", "certificates.k8s.io", "PodCertificateRequest") => return None,
        ("", ..) => return row.subresource("status").map(|_| STATUS),
        ("finalize", "", "Namespace") => STATUS,
        ("status", "", "Pod") => {
            &[&["spec"], &["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]]
        }
        ("status", "apps", "Deployment") => &[&["spec"], &["metadata", "labels"]],
        (
            "status",
            "admissionregistration.k8s.io"
            | "apiregistration.k8s.io"
            | "flowcontrol.apiserver.k8s.io"
            | "internal.apiserver.k8s.io"
            | "resource.k8s.io"
            | "scheduling.k8s.io"
            | "storage.k8s.io"
            | "storagemigration.k8s.io",
            _,
        ) => METADATA_AND_SPEC,
        ("status", "networking.k8s.io", "ServiceCIDR") => METADATA_AND_SPEC,
        ("status", ..) if row.schema.is_none() => METADATA_AND_SPEC,
        ("status", ..) => SPEC,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Scheme, Scope};

    /// What each built-in kind's main path and status do not write.
    #[test]
    fn each_path_writes_its_own_part() {
        let scheme = Scheme::builtin();
        let text = |paths: Option<Paths>| {
            let paths = paths.into_iter().flatten().map(|path| path.join("."));
            paths.collect::<Vec<_>>().join(" ")
        };
        let mut odd = Vec::new();
        for row in scheme.iter() {
            let (main, status) = (text(paths(row, "")), text(paths(row, "status")));
            if row.subresource("status").is_none() {
                assert_eq!(main, "", "{}", row.kind);
            } else if (main.as_str(), status.as_str()) != ("status", "spec") {
                odd.push(format!("{}: {main}; {status}", row.kind));
            }
        }
        odd.sort();
        assert_eq!(
            odd,
            [
                "APIService: status; metadata spec",
                "CertificateSigningRequest: spec status; spec status.conditions",
                "Deployment: status; spec metadata.labels",
                "FlowSchema: status; metadata spec",
                "Pod: status; spec metadata.deletionTimestamp metadata.ownerReferences",
                "PriorityLevelConfiguration: status; metadata spec",
                "ResourceClaim: status; metadata spec",
                "ServiceCIDR: status; metadata spec",
                "ValidatingAdmissionPolicy: status; metadata spec",
                "VolumeAttachment: status; metadata spec",
            ]
        );
        let namespaces = scheme.api_kind("v1", "Namespace").unwrap();
        assert_eq!(text(paths(namespaces, "finalize")), "status");
        let pods = scheme.api_kind("v1", "Pod").unwrap();
        assert_eq!((paths(pods, "ephemeralcontainers"), paths(pods, "resize")), (None, None));
    }

    #[test]
    fn a_custom_resource_keeps_its_status_apart_where_it_has_one() {
        let mut row = Resource::new("example.com", "v1", "Thing", "things", Scope::Namespaced);
        assert_eq!(paths(&row, ""), None);
        let kind = row.gvk();
        row.subresources.push(crate::api::Subresource { name: "status".into(), kind, verbs: Vec::new() });
        assert_eq!((paths(&row, ""), paths(&row, "status")), (Some(STATUS), Some(METADATA_AND_SPEC)));
    }
}
