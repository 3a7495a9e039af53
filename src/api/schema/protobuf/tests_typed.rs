//! Every built-in kind, through the types that programs use: JSON, typed, protobuf, typed, JSON.

use std::fmt::Debug;
use std::result::Result;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::tests_filled::filled;
use super::*;
use crate::api::Scheme;

/// What one kind's object is after the whole way.
type Way = fn(&Value) -> Result<(), TestCaseError>;

fn there_and_back<T: DeserializeOwned + Serialize + PartialEq + Debug>(
    tree: &Value,
) -> Result<(), TestCaseError> {
    let fail = |error: &dyn std::fmt::Display| TestCaseError::fail(format!("{error}: {tree}"));
    let typed: T = serde_json::from_value(tree.clone()).map_err(|error| fail(&error))?;
    let written = serde_json::to_value(&typed).map_err(|error| fail(&error))?;
    let bytes = encode_protobuf(&written).map_err(|error| fail(&error))?;
    let read = decode_protobuf(&bytes).map_err(|error| fail(&error))?;
    let again: T = serde_json::from_value(read).map_err(|error| fail(&error))?;
    prop_assert_eq!(&again, &typed);
    prop_assert_eq!(serde_json::to_value(&again).map_err(|error| fail(&error))?, written);
    Ok(())
}

/// The way of each kind, by its version and name.
macro_rules! kinds {
    ($($($part:ident)::+ { $($kind:ident),+ })+) => {{
        fn api_version<T: k8s_openapi::Resource>() -> (&'static str, &'static str) {
            (T::API_VERSION, T::KIND)
        }
        let mut ways: Vec<((&'static str, &'static str), Way)> = Vec::new();
        $({
            use $($part)::+ as version;
            $(ways.push((api_version::<version::$kind>(), there_and_back::<version::$kind>));)+
        })+
        ways
    }};
}

fn ways() -> Vec<((&'static str, &'static str), Way)> {
    kinds! {
    k8s_openapi::api::admissionregistration::v1 { MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration }
    k8s_openapi::api::admissionregistration::v1alpha1 { MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding }
    k8s_openapi::api::admissionregistration::v1beta1 { MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding }
    k8s_openapi::api::apiserverinternal::v1alpha1 { StorageVersion }
    k8s_openapi::api::apps::v1 { ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet }
    k8s_openapi::api::authentication::v1 { SelfSubjectReview, TokenReview }
    k8s_openapi::api::authorization::v1 { LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview }
    k8s_openapi::api::autoscaling::v1 { HorizontalPodAutoscaler }
    k8s_openapi::api::autoscaling::v2 { HorizontalPodAutoscaler }
    k8s_openapi::api::batch::v1 { CronJob, Job }
    k8s_openapi::api::certificates::v1 { CertificateSigningRequest }
    k8s_openapi::api::certificates::v1alpha1 { ClusterTrustBundle }
    k8s_openapi::api::certificates::v1beta1 { ClusterTrustBundle, PodCertificateRequest }
    k8s_openapi::api::coordination::v1 { Lease }
    k8s_openapi::api::coordination::v1alpha2 { LeaseCandidate }
    k8s_openapi::api::coordination::v1beta1 { LeaseCandidate }
    k8s_openapi::api::core::v1 { Binding, ComponentStatus, ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodTemplate, ReplicationController, ResourceQuota, Secret, Service, ServiceAccount }
    k8s_openapi::api::discovery::v1 { EndpointSlice }
    k8s_openapi::api::events::v1 { Event }
    k8s_openapi::api::flowcontrol::v1 { FlowSchema, PriorityLevelConfiguration }
    k8s_openapi::api::networking::v1 { IPAddress, Ingress, IngressClass, NetworkPolicy, ServiceCIDR }
    k8s_openapi::api::networking::v1beta1 { IPAddress, ServiceCIDR }
    k8s_openapi::api::node::v1 { RuntimeClass }
    k8s_openapi::api::policy::v1 { PodDisruptionBudget }
    k8s_openapi::api::rbac::v1 { ClusterRole, ClusterRoleBinding, Role, RoleBinding }
    k8s_openapi::api::resource::v1 { DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice }
    k8s_openapi::api::resource::v1alpha3 { DeviceTaintRule, ResourcePoolStatusRequest }
    k8s_openapi::api::resource::v1beta1 { DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice }
    k8s_openapi::api::resource::v1beta2 { DeviceClass, DeviceTaintRule, ResourceClaim, ResourceClaimTemplate, ResourceSlice }
    k8s_openapi::api::scheduling::v1 { PriorityClass }
    k8s_openapi::api::scheduling::v1alpha2 { PodGroup, Workload }
    k8s_openapi::api::storage::v1 { CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment, VolumeAttributesClass }
    k8s_openapi::api::storage::v1beta1 { VolumeAttributesClass }
    k8s_openapi::api::storagemigration::v1beta1 { StorageVersionMigration }
    k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 { CustomResourceDefinition }
    k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 { APIService }
    }
}

#[test]
fn every_kind_of_the_scheme_has_its_way() {
    let ways = ways();
    for row in Scheme::builtin().iter().filter(|row| row.schema.is_some()) {
        let known =
            ways.iter().any(|((version, kind), _)| *version == row.api_version() && *kind == row.kind);
        assert!(known, "{} {}", row.api_version(), row.kind);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_kind_is_what_it_was_after_the_whole_way(seed: u64) {
        let ways = ways();
        let mut gone = 0;
        for tree in filled(seed) {
            let of = (tree["apiVersion"].as_str().unwrap_or_default(), tree["kind"].as_str().unwrap_or_default());
            if let Some((_, way)) = ways.iter().find(|(kind, _)| *kind == of) {
                way(&tree)?;
                gone += 1;
            }
        }
        prop_assert!(gone > 80, "{}", gone);
    }
}
