//! Services beside the scheduler that have a say.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::reader::{Base64, Fields, Record};
use crate::api::field::{Error, Path};
use crate::api::names;

/// A service beside the scheduler that filters, scores, preempts or binds. A verb that is empty is not asked.
///
/// Source: `k8s.io/kube-scheduler/config/v1/types.go` (1.36).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extender {
    /// Where it is; verbs are appended to it.
    pub url_prefix: String,
    /// Which nodes will do.
    pub filter_verb: String,
    /// Which pods may be evicted.
    pub preempt_verb: String,
    /// How well nodes will do.
    pub prioritize_verb: String,
    /// How often its scores count.
    pub weight: i64,
    /// Binds a pod.
    pub bind_verb: String,
    /// Whether to speak HTTPS.
    pub enable_https: bool,
    /// How.
    pub tls: Option<ExtenderTls>,
    /// How long a call may take; zero for the caller's own limit.
    pub http_timeout: SignedDuration,
    /// Whether it knows the nodes, so that their names are enough.
    pub node_cache_capable: bool,
    /// The resources for which it is asked; where there are none, for every pod.
    pub managed_resources: Vec<ManagedResource>,
    /// Whether pods are scheduled without it when it fails.
    pub ignorable: bool,
}

/// A resource that an extender manages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManagedResource {
    /// Its name.
    pub name: String,
    /// Whether the scheduler itself does not look at it.
    pub ignored_by_scheduler: bool,
}

/// How to speak TLS to an extender. Data win over files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtenderTls {
    /// Whether not to verify its certificate.
    pub insecure: bool,
    /// The name that its certificate must have; empty for the host's.
    pub server_name: String,
    /// Where the client's certificate is.
    pub cert_file: String,
    /// Where its key is.
    pub key_file: String,
    /// Where the certificates are that are trusted.
    pub ca_file: String,
    /// The client's certificate, PEM.
    pub cert_data: Vec<u8>,
    /// Its key, PEM.
    pub key_data: Vec<u8>,
    /// The certificates that are trusted, PEM.
    pub ca_data: Vec<u8>,
}

impl Record for Extender {
    const GO: &'static str = "v1.Extender";

    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            url_prefix: fields.plain("urlPrefix"),
            filter_verb: fields.plain("filterVerb"),
            preempt_verb: fields.plain("preemptVerb"),
            prioritize_verb: fields.plain("prioritizeVerb"),
            weight: fields.plain("weight"),
            bind_verb: fields.plain("bindVerb"),
            enable_https: fields.plain("enableHTTPS"),
            tls: fields.get("tlsConfig"),
            http_timeout: fields.duration("httpTimeout"),
            node_cache_capable: fields.plain("nodeCacheCapable"),
            managed_resources: fields.plain("managedResources"),
            ignorable: fields.plain("ignorable"),
        }
    }
}

impl Record for ManagedResource {
    const GO: &'static str = "v1.ExtenderManagedResource";

    fn read(fields: &mut Fields<'_>) -> Self {
        Self { name: fields.plain("name"), ignored_by_scheduler: fields.plain("ignoredByScheduler") }
    }
}

impl Record for ExtenderTls {
    const GO: &'static str = "v1.ExtenderTLSConfig";

    fn read(fields: &mut Fields<'_>) -> Self {
        let mut bytes = |name| fields.plain::<Base64>(name).0;
        let (cert_data, key_data, ca_data) = (bytes("certData"), bytes("keyData"), bytes("caData"));
        Self {
            insecure: fields.plain("insecure"),
            server_name: fields.plain("serverName"),
            cert_file: fields.plain("certFile"),
            key_file: fields.plain("keyFile"),
            ca_file: fields.plain("caFile"),
            cert_data,
            key_data,
            ca_data,
        }
    }
}

/// Source: `validateExtenders` of `pkg/scheduler/apis/config/validation/validation.go` (1.36).
pub(super) fn validate(extenders: &[Extender], path: &Path, errors: &mut Vec<Error>) {
    let mut managed = BTreeSet::new();
    for (index, extender) in extenders.iter().enumerate() {
        let path = path.index(index);
        if !extender.prioritize_verb.is_empty() && extender.weight <= 0 {
            let detail = "must have a positive weight applied to it";
            errors.push(Error::invalid(&path.child("weight"), extender.weight, detail));
        }
        for (index, resource) in extender.managed_resources.iter().enumerate() {
            let path = path.child("managedResources").index(index).child("name");
            let invalid = |detail: &str| Error::invalid(&path, resource.name.clone(), detail);
            let wrong = names::qualified_name(&resource.name);
            if wrong.is_empty() && !is_extended(&resource.name) {
                errors.push(invalid("is an invalid extended resource name"));
            }
            errors.extend(wrong.iter().map(|wrong| invalid(wrong)));
            if !managed.insert(&*resource.name) {
                errors.push(invalid("duplicate extender managed resource name"));
            }
        }
    }
    let binders = extenders.iter().filter(|extender| !extender.bind_verb.is_empty()).count();
    if binders > 1 {
        let found = format!("found {binders} extenders implementing bind");
        errors.push(Error::invalid(path, found, "only one extender can implement bind"));
    }
}

/// Source: `IsExtendedResourceName` of `pkg/apis/core/v1/helper/helpers.go` (1.36).
fn is_extended(name: &str) -> bool {
    name.contains('/')
        && !name.contains("kubernetes.io/")
        && !name.starts_with("requests.")
        && names::qualified_name(&format!("requests.{name}")).is_empty()
}
