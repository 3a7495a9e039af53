//! Descriptions, from the schemas that k8s-openapi generates of its types.
//!
//! They are a megabyte of text that only `kubectl explain` and generators ask for, so they are made
//! anew for each document, of the types of its group version alone, and dropped with it.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    admissionregistration::v1 as admission, apps::v1 as apps, authentication::v1 as authentication,
    authorization::v1 as authorization, autoscaling::v1 as autoscaling, autoscaling::v2 as autoscaling2,
    batch::v1 as batch, certificates::v1 as certificates, coordination::v1 as coordination, core::v1 as core,
    discovery::v1 as discovery, events::v1 as events, flowcontrol::v1 as flowcontrol,
    networking::v1 as networking, node::v1 as node, policy::v1 as policy, rbac::v1 as rbac,
    scheduling::v1 as scheduling, storage::v1 as storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration;
use k8s_openapi::schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value};

/// A field, by its type and its name.
type Field = (&'static str, &'static str);

/// Puts descriptions on types and fields.
pub(super) fn describe(schemas: &mut Map<String, Value>, group: &str, version: &str) {
    let mut generator = SchemaSettings::openapi3().into_generator();
    name_types(&mut generator, group, version);
    for (name, documented) in generator.definitions() {
        if let Some(schema) = schemas.get_mut(name) {
            copy(documented, schema);
            if let (Some(documented), Some(Value::Object(properties))) =
                (documented.get("properties"), schema.get_mut("properties"))
            {
                for (field, property) in properties {
                    if let Some(documented) = documented.get(field) {
                        copy(documented, property);
                    }
                }
            }
        }
    }
}

/// The descriptions of these fields, each by its type (without `io.k8s.`) and its name. Group versions say where
/// to look.
pub(crate) fn fields<'a>(
    group_versions: impl IntoIterator<Item = (&'a str, &'a str)>,
    wanted: impl IntoIterator<Item = Field>,
) -> BTreeMap<Field, String> {
    let mut generator = SchemaSettings::openapi3().into_generator();
    for (group, version) in group_versions {
        name_types(&mut generator, group, version);
    }
    let described = |(of, field): Field| {
        let own = generator.definitions().get(&format!("io.k8s.{of}"))?.get("properties")?.get(field)?;
        Some(((of, field), own.get("description")?.as_str()?.to_owned()))
    };
    wanted.into_iter().filter_map(described).collect()
}

/// Describes the kind and metadata of custom resources, as those of any object are described.
pub(super) fn describe_heads(schemas: &mut Map<String, Value>) {
    if schemas.is_empty() {
        return;
    }
    let mut generator = SchemaSettings::openapi3().into_generator();
    generator.subschema_for::<core::ConfigMap>();
    let documented = generator.definitions().get("io.k8s.api.core.v1.ConfigMap");
    let Some(documented) = documented.and_then(|schema| schema.get("properties")) else { return };
    for schema in schemas.values_mut() {
        heads(schema, documented);
    }
}

/// Describes them in a schema, and in what it embeds.
fn heads(schema: &mut Value, documented: &Value) {
    let Value::Object(map) = schema else { return };
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        if properties.get("metadata").is_some_and(|metadata| metadata.get("allOf").is_some()) {
            for name in ["apiVersion", "kind", "metadata"] {
                if let (Some(from), Some(to)) = (documented.get(name), properties.get_mut(name)) {
                    copy(from, to);
                }
            }
        }
        properties.values_mut().for_each(|property| heads(property, documented));
    }
    for name in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(name) {
            heads(child, documented);
        }
    }
}

fn copy(from: &Value, to: &mut Value) {
    if let (Some(text), Value::Object(to)) = (from.get("description"), to) {
        to.insert("description".to_owned(), text.clone());
    }
}

macro_rules! types {
    ($generator:ident: $($kind:ty),+ $(,)?) => {{ $( $generator.subschema_for::<$kind>(); )+ }};
}

/// Names the objects of a group version to the generator, which finds what they are made of.
#[rustfmt::skip]
fn name_types(to: &mut SchemaGenerator, group: &str, version: &str) {
    types!(to: meta::DeleteOptions, meta::Status, meta::ObjectMeta, meta::ListMeta);
    match (group, version) {
        ("", "v1") => types!(to: core::Binding, core::ConfigMap, core::Endpoints, core::Event, core::LimitRange,
            core::Namespace, core::Node, core::PersistentVolume, core::PersistentVolumeClaim, core::Pod,
            core::PodTemplate, core::ReplicationController, core::ResourceQuota, core::Secret, core::Service,
            core::ServiceAccount, core::ComponentStatus, autoscaling::Scale, policy::Eviction,
            authentication::TokenRequest),
        ("admissionregistration.k8s.io", "v1") => types!(to: admission::MutatingWebhookConfiguration,
            admission::ValidatingAdmissionPolicy, admission::ValidatingAdmissionPolicyBinding,
            admission::ValidatingWebhookConfiguration),
        ("apiextensions.k8s.io", "v1") => types!(to: apiextensions::CustomResourceDefinition),
        ("apiregistration.k8s.io", "v1") => types!(to: apiregistration::APIService),
        ("apps", "v1") => types!(to: apps::ControllerRevision, apps::DaemonSet, apps::Deployment,
            apps::ReplicaSet, apps::StatefulSet, autoscaling::Scale),
        ("authentication.k8s.io", "v1") => types!(to: authentication::SelfSubjectReview,
            authentication::TokenReview),
        ("authorization.k8s.io", "v1") => types!(to: authorization::LocalSubjectAccessReview,
            authorization::SelfSubjectAccessReview, authorization::SelfSubjectRulesReview,
            authorization::SubjectAccessReview),
        ("autoscaling", "v1") => types!(to: autoscaling::HorizontalPodAutoscaler, autoscaling::Scale),
        ("autoscaling", "v2") => types!(to: autoscaling2::HorizontalPodAutoscaler),
        ("batch", "v1") => types!(to: batch::CronJob, batch::Job),
        ("certificates.k8s.io", "v1") => types!(to: certificates::CertificateSigningRequest),
        ("coordination.k8s.io", "v1") => types!(to: coordination::Lease),
        ("discovery.k8s.io", "v1") => types!(to: discovery::EndpointSlice),
        ("events.k8s.io", "v1") => types!(to: events::Event),
        ("flowcontrol.apiserver.k8s.io", "v1") => types!(to: flowcontrol::FlowSchema,
            flowcontrol::PriorityLevelConfiguration),
        ("networking.k8s.io", "v1") => types!(to: networking::IPAddress, networking::Ingress,
            networking::IngressClass, networking::NetworkPolicy, networking::ServiceCIDR),
        ("node.k8s.io", "v1") => types!(to: node::RuntimeClass),
        ("policy", "v1") => types!(to: policy::PodDisruptionBudget, policy::Eviction),
        ("rbac.authorization.k8s.io", "v1") => types!(to: rbac::ClusterRole, rbac::ClusterRoleBinding, rbac::Role,
            rbac::RoleBinding),
        ("scheduling.k8s.io", "v1") => types!(to: scheduling::PriorityClass),
        ("storage.k8s.io", "v1") => types!(to: storage::CSIDriver, storage::CSINode, storage::CSIStorageCapacity,
            storage::StorageClass, storage::VolumeAttachment),
        _ => {}
    }
}
