//! The rows of the alpha and beta resources of Kubernetes 1.36, one line each. They are served where a
//! [`RuntimeConfig`](crate::api::RuntimeConfig) says so.

use super::row::{C, N, Row, row};

/// Group, version, kind, plural name, short names, categories, scope, subresources.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("admissionregistration.k8s.io", "v1alpha1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies", "", "api-extensions", C, ""),
    row("admissionregistration.k8s.io", "v1alpha1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", "", "api-extensions", C, ""),
    row("admissionregistration.k8s.io", "v1beta1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies", "", "api-extensions", C, ""),
    row("admissionregistration.k8s.io", "v1beta1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", "", "api-extensions", C, ""),
    row("certificates.k8s.io", "v1alpha1", "ClusterTrustBundle", "clustertrustbundles", "", "", C, ""),
    row("certificates.k8s.io", "v1beta1", "ClusterTrustBundle", "clustertrustbundles", "", "", C, ""),
    row("certificates.k8s.io", "v1beta1", "PodCertificateRequest", "podcertificaterequests", "", "", N, "status"),
    row("coordination.k8s.io", "v1alpha2", "LeaseCandidate", "leasecandidates", "", "", N, ""),
    row("coordination.k8s.io", "v1beta1", "LeaseCandidate", "leasecandidates", "", "", N, ""),
    row("internal.apiserver.k8s.io", "v1alpha1", "StorageVersion", "storageversions", "", "", C, "status"),
    row("networking.k8s.io", "v1beta1", "IPAddress", "ipaddresses", "ip", "", C, ""),
    row("networking.k8s.io", "v1beta1", "ServiceCIDR", "servicecidrs", "", "", C, "status"),
    row("resource.k8s.io", "v1alpha3", "DeviceTaintRule", "devicetaintrules", "", "", C, "status"),
    row("resource.k8s.io", "v1alpha3", "ResourcePoolStatusRequest", "resourcepoolstatusrequests", "", "", C, "status"),
    row("resource.k8s.io", "v1beta1", "DeviceClass", "deviceclasses", "", "", C, ""),
    row("resource.k8s.io", "v1beta1", "ResourceClaim", "resourceclaims", "", "", N, "status"),
    row("resource.k8s.io", "v1beta1", "ResourceClaimTemplate", "resourceclaimtemplates", "", "", N, ""),
    row("resource.k8s.io", "v1beta1", "ResourceSlice", "resourceslices", "", "", C, ""),
    row("resource.k8s.io", "v1beta2", "DeviceClass", "deviceclasses", "", "", C, ""),
    row("resource.k8s.io", "v1beta2", "DeviceTaintRule", "devicetaintrules", "", "", C, "status"),
    row("resource.k8s.io", "v1beta2", "ResourceClaim", "resourceclaims", "", "", N, "status"),
    row("resource.k8s.io", "v1beta2", "ResourceClaimTemplate", "resourceclaimtemplates", "", "", N, ""),
    row("resource.k8s.io", "v1beta2", "ResourceSlice", "resourceslices", "", "", C, ""),
    row("scheduling.k8s.io", "v1alpha2", "PodGroup", "podgroups", "", "", N, "status"),
    row("scheduling.k8s.io", "v1alpha2", "Workload", "workloads", "", "", N, ""),
    row("storage.k8s.io", "v1beta1", "VolumeAttributesClass", "volumeattributesclasses", "vac", "", C, ""),
    row("storagemigration.k8s.io", "v1beta1", "StorageVersionMigration", "storageversionmigrations", "", "", C, "status"),
];
