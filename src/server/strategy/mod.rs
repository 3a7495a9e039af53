//! What a kind does on a write, beyond what its row says: a table, keyed by group and kind.
//!
//! Everything that kinds have in common is in `registry`. An entry here is data and a few pure
//! functions of trees; kinds without an entry, custom ones among them, follow [`DEFAULT`].

mod account;
mod api_service;
pub(crate) mod certificates;
mod crd;
mod csi_driver;
pub(crate) mod devices;
mod endpoint_slice;
mod lease;
mod limit_range;
mod namespace;
mod node;
pub(crate) mod pod;
mod scheduling;
pub(crate) mod service;
mod template;
mod volume;

use std::cell::RefCell;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::registry::{Call, Verdict};
use crate::api::{Resource, field};
use crate::client::Identity;
use crate::server::ApiServer;
use crate::server::tree::at;

/// What a kind does on a write.
pub(crate) struct Strategy {
    /// An update of an object that is not there makes it.
    pub(crate) create_on_update: bool,
    /// An update may say no `resourceVersion`.
    pub(crate) unconditional_update: bool,
    /// A deletion answers with the object, not with a `Status`.
    pub(crate) answers_deleted: bool,
    /// An update of the status may change labels, annotations and finalizers.
    pub(crate) status_metadata: bool,
    /// A new object brings its status along.
    pub(crate) made_with_status: bool,
    /// Its objects go by themselves, once the server's [`event_ttl`](crate::server::ApiServerBuilder::event_ttl)
    /// has passed since the last write.
    pub(crate) expires: bool,
    /// When it goes, its dependents stay, unless somebody says otherwise.
    pub(crate) orphans: bool,
    /// When `metadata.generation` counts.
    pub(crate) generation: Generation,
    /// Fills in and takes away on creation.
    create: fn(&Context<'_>, &mut Value),
    /// The same on an update; the second tree is the object as it was.
    pub(crate) update: fn(&Context<'_>, &mut Value, &Value),
    /// The same on an update of the status.
    pub(crate) update_status: fn(&Context<'_>, &mut Value, &Value),
    /// Judges a changed status by who writes it, once all else is right.
    pub(crate) judge_status: fn(&Context<'_>, &Value, &Value) -> Option<field::Error>,
    /// Where a new object, or a changed status, asks for what only its namespace can grant.
    pub(crate) asks_namespace: fn(&Value, Option<&Value>) -> Option<field::Path>,
    /// How long an object is given when it is deleted, of what was asked for; none where the kind
    /// knows no grace.
    pub(crate) grace: fn(&Value, Option<i64>) -> Option<i64>,
    /// Decides a deletion in a way of its own.
    pub(crate) delete: Option<fn(&Value, Timestamp) -> Verdict>,
}

/// When `metadata.generation` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// It is not kept.
    Never,
    /// When the specification changes.
    Spec,
    /// When the specification or an annotation changes.
    SpecAndAnnotations,
    /// When anything but metadata and, where that is a subresource, the status changes.
    Content,
    /// When that or a label changes.
    ContentAndLabels,
}

/// What a strategy may look at.
pub(crate) struct Context<'a> {
    pub(crate) server: &'a ApiServer,
    pub(crate) row: &'a Resource,
    /// Who asks for the write.
    pub(crate) identity: &'a Identity,
    pub(crate) now: Timestamp,
    /// What is said to the caller.
    warnings: RefCell<Vec<String>>,
}

const DEFAULT: Strategy = Strategy {
    create_on_update: false,
    unconditional_update: true,
    answers_deleted: false,
    status_metadata: true,
    made_with_status: false,
    expires: false,
    orphans: false,
    generation: Generation::Never,
    create: |_, _| {},
    update: |_, _, _| {},
    update_status: |_, _, _| {},
    judge_status: |_, _, _| None,
    asks_namespace: |_, _| None,
    grace: |_, _| None,
    delete: None,
};

const CUSTOM: Strategy = Strategy {
    unconditional_update: false,
    generation: Generation::Content,
    answers_deleted: false,
    ..DEFAULT
};

const MADE_BY_UPDATE: Strategy = Strategy { create_on_update: true, ..DEFAULT };

const EVENT: Strategy = Strategy { expires: true, ..MADE_BY_UPDATE };

const COUNTED: Strategy = Strategy { generation: Generation::Spec, ..DEFAULT };

const STATUS_APART: Strategy = Strategy { status_metadata: false, ..DEFAULT };

const COUNTED_STATUS_APART: Strategy = Strategy { status_metadata: false, ..COUNTED };

/// Whoever changes one says which revision.
const CONDITIONAL: Strategy = Strategy { unconditional_update: false, ..DEFAULT };

const CONDITIONAL_STATUS_APART: Strategy = Strategy { unconditional_update: false, ..STATUS_APART };

const ADMISSION: Strategy = Strategy { generation: Generation::Content, ..CONDITIONAL_STATUS_APART };

const CONDITIONAL_MADE_BY_UPDATE: Strategy = Strategy { create_on_update: true, ..CONDITIONAL };

const KEPT_IN_ANSWER: Strategy = Strategy { answers_deleted: true, ..DEFAULT };

const DISRUPTION_BUDGET: Strategy = Strategy {
    unconditional_update: false,
    create: |_, tree| {
        let counts = ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
        tree["status"] = counts.into_iter().map(|count| (count.to_owned(), json!(0))).collect();
    },
    ..COUNTED
};

const AUTOSCALER: Strategy = Strategy {
    create: |_, tree| tree["status"] = json!({"currentMetrics": null, "desiredReplicas": 0}),
    ..DEFAULT
};

/// The strategy of a row.
pub(crate) fn of(row: &Resource) -> &'static Strategy {
    match (&*row.group, &*row.kind) {
        ("", "Pod") => &pod::POD,
        ("", "Service") => &service::SERVICE,
        ("", "Namespace") => &namespace::NAMESPACE,
        ("", "Node") => &node::NODE,
        ("", "Event") | ("events.k8s.io", "Event") => &EVENT,
        ("", "Endpoints") => &MADE_BY_UPDATE,
        ("", "LimitRange") => &limit_range::LIMIT_RANGE,
        ("", "PersistentVolume") => &volume::PERSISTENT_VOLUME,
        ("", "PersistentVolumeClaim") => &volume::PERSISTENT_VOLUME_CLAIM,
        ("", "PodTemplate") => &template::POD_TEMPLATE,
        ("", "ReplicationController") => &template::REPLICATION_CONTROLLER,
        ("", "ResourceQuota") => &KEPT_IN_ANSWER,
        ("", "ServiceAccount") => &account::SERVICE_ACCOUNT,
        ("rbac.authorization.k8s.io", _) => &MADE_BY_UPDATE,
        ("storage.k8s.io", "StorageClass") => &KEPT_IN_ANSWER,
        ("apps", "DaemonSet") => &template::DAEMON_SET,
        ("apps", "Deployment") => &template::DEPLOYMENT,
        ("apps", "ReplicaSet") => &template::REPLICA_SET,
        ("apps", "StatefulSet") => &template::STATEFUL_SET,
        ("autoscaling", "HorizontalPodAutoscaler") => &AUTOSCALER,
        ("batch", "CronJob") => &template::CRON_JOB,
        ("batch", "Job") => &template::JOB,
        ("networking.k8s.io", "Ingress" | "IngressClass" | "NetworkPolicy")
        | ("resource.k8s.io", "DeviceClass") => &COUNTED,
        ("networking.k8s.io", "ServiceCIDR") => &STATUS_APART,
        ("flowcontrol.apiserver.k8s.io", _) => &COUNTED_STATUS_APART,
        ("discovery.k8s.io", "EndpointSlice") => &endpoint_slice::ENDPOINT_SLICE,
        ("admissionregistration.k8s.io", _) => &ADMISSION,
        ("policy", "PodDisruptionBudget") => &DISRUPTION_BUDGET,
        ("coordination.k8s.io", "Lease") => &lease::LEASE,
        ("coordination.k8s.io", "LeaseCandidate") | ("node.k8s.io", "RuntimeClass") => {
            &CONDITIONAL_MADE_BY_UPDATE
        }
        ("certificates.k8s.io", "CertificateSigningRequest") => &certificates::REQUEST,
        ("certificates.k8s.io", "ClusterTrustBundle")
        | ("storage.k8s.io", "CSINode" | "CSIStorageCapacity") => &CONDITIONAL,
        ("certificates.k8s.io", "PodCertificateRequest") => &certificates::POD_REQUEST,
        ("storage.k8s.io", "VolumeAttachment")
        | ("internal.apiserver.k8s.io", "StorageVersion")
        | ("storagemigration.k8s.io", _) => &CONDITIONAL_STATUS_APART,
        ("storage.k8s.io", "CSIDriver") => &csi_driver::CSI_DRIVER,
        ("scheduling.k8s.io", "PriorityClass") => &scheduling::PRIORITY_CLASS,
        ("scheduling.k8s.io", "PodGroup") => &scheduling::POD_GROUP,
        ("scheduling.k8s.io", "Workload") => &scheduling::WORKLOAD,
        ("resource.k8s.io", "ResourceClaim") => &devices::CLAIM,
        ("resource.k8s.io", "ResourceClaimTemplate") => &devices::TEMPLATE,
        ("resource.k8s.io", "ResourceSlice") => &devices::SLICE,
        ("resource.k8s.io", "DeviceTaintRule") => &devices::TAINT_RULE,
        ("resource.k8s.io", "ResourcePoolStatusRequest") => &devices::POOL_STATUS,
        ("apiregistration.k8s.io", "APIService") => &api_service::API_SERVICE,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => &crd::DEFINITION,
        _ if row.schema.is_none() => &CUSTOM,
        _ => &DEFAULT,
    }
}

impl Strategy {
    /// Prepares a new object: no status but what the kind begins with.
    pub(crate) fn create(&self, context: &Context<'_>, tree: &mut Value) {
        if self.keeps_status(context.row)
            && !self.made_with_status
            && let Some(root) = tree.as_object_mut()
        {
            root.remove("status");
            if context.row.schema.is_some() {
                root.insert("status".into(), Value::Object(Map::new()));
            }
        }
        (self.create)(context, tree);
    }

    /// Whether the status is a subresource, so that other writes leave it alone.
    pub(crate) fn keeps_status(&self, row: &Resource) -> bool {
        row.subresource("status").is_some()
    }

    /// Whether an update of the status may change labels, annotations and finalizers.
    pub(crate) fn status_writes_metadata(&self, row: &Resource) -> bool {
        self.status_metadata && row.schema.is_some()
    }

    /// Whether `metadata.generation` is kept.
    pub(crate) fn tracks_generation(&self) -> bool {
        self.generation != Generation::Never
    }

    /// Whether an update makes another generation.
    pub(crate) fn is_new_generation(&self, row: &Resource, new: &Value, old: &Value) -> bool {
        let differs = |path: &[&str]| at(new, path) != at(old, path);
        match self.generation {
            Generation::Never => false,
            Generation::Spec => differs(&["spec"]),
            Generation::SpecAndAnnotations => differs(&["spec"]) || differs(&["metadata", "annotations"]),
            Generation::ContentAndLabels if differs(&["metadata", "labels"]) => true,
            Generation::Content | Generation::ContentAndLabels => {
                let status_apart = self.keeps_status(row);
                let content = |tree: &Value| -> Map<String, Value> {
                    tree.as_object()
                        .into_iter()
                        .flatten()
                        .filter(|(field, _)| match field.as_str() {
                            "metadata" | "apiVersion" | "kind" => false,
                            "status" => !status_apart,
                            _ => true,
                        })
                        .map(|(field, value)| (field.clone(), value.clone()))
                        .collect()
                };
                content(new) != content(old)
            }
        }
    }
}

impl<'a> Context<'a> {
    pub(crate) fn of(call: &'a Call<'_>) -> Self {
        Self {
            server: call.server,
            row: &call.row,
            identity: call.identity,
            now: call.server.env().clock.now_seconds(),
            warnings: RefCell::default(),
        }
    }

    /// Says something to the caller.
    fn warn(&self, warning: String) {
        self.warnings.borrow_mut().push(warning);
    }

    /// What has been said to the caller.
    pub(crate) fn warnings(self) -> Vec<String> {
        self.warnings.into_inner()
    }
}
