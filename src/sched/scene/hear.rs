//! Objects as trees, told to who keeps them as what they are.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, ReplicationController, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector as Written, ObjectMeta};
use serde_json::Value;

use crate::api::selector::LabelSelector;
use crate::api::{Scheme, schema};
use crate::client::Typed;
use crate::sched::snapshot::KindVisitor;
use crate::sched::{Catalogued, Controller, ObjectKind, Snapshot};

/// Who hears of objects: that they are there, or are no more.
pub(in crate::sched) trait Hears {
    fn node(&mut self, node: Arc<Node>, there: bool);
    fn pod(&mut self, pod: Arc<Pod>, there: bool);
    fn object<K: Catalogued>(&mut self, object: Arc<K>, there: bool);
    /// Where to note the rest.
    fn snapshot(&mut self) -> &mut Snapshot;
}

/// Tells of an object. `false` where its kind is no matter to a scheduler.
///
/// # Errors
///
/// When it does not fit its kind, or has no name.
pub(in crate::sched) fn hear(tree: Value, there: bool, to: &mut impl Hears) -> Result<bool, String> {
    let text = |field: &str| tree[field].as_str().unwrap_or_default();
    match (text("apiVersion"), text("kind")) {
        ("v1", "Node") => to.node(typed(tree)?, there),
        ("v1", "Pod") => to.pod(typed(tree)?, there),
        ("v1", "Namespace") => note_namespace(to.snapshot(), &*typed::<Namespace>(tree)?, there),
        ("v1", "Service") => note_service(to.snapshot(), &*typed::<Service>(tree)?, there),
        ("v1", "ReplicationController") => {
            note_replication_controller(to.snapshot(), &*typed::<ReplicationController>(tree)?, there);
        }
        ("apps/v1", "ReplicaSet") => note_replica_set(to.snapshot(), &*typed::<ReplicaSet>(tree)?, there),
        ("apps/v1", "StatefulSet") => note_stateful_set(to.snapshot(), &*typed::<StatefulSet>(tree)?, there),
        (version, kind) => {
            let is = |own: &&ObjectKind| own.visit(Is { version, kind });
            let Some(own) = ObjectKind::ALL.iter().find(is).copied() else { return Ok(false) };
            own.visit(Tell { tree, there, to })?;
        }
    }
    Ok(true)
}

/// A tree as what it is.
fn typed<K>(tree: Value) -> Result<Arc<K>, String>
where
    K: Typed + kube_core::Resource<DynamicType = ()>,
    K::Scope: 'static,
{
    static SCHEME: OnceLock<Scheme> = OnceLock::new();
    let scheme = SCHEME.get_or_init(Scheme::builtin);
    let Some(resource) = scheme.of::<K>() else { return Err("is of no kind that there is".into()) };
    let mut tree = schema::prune(resource, tree).map_err(|error| error.to_string())?.tree;
    if tree["metadata"]["name"].as_str().unwrap_or_default().is_empty() {
        return Err("metadata.name: Required value: name or generateName is required".into());
    }
    if resource.namespaced() && tree["metadata"]["namespace"].as_str().unwrap_or_default().is_empty() {
        tree["metadata"]["namespace"] = "default".into();
    }
    serde_json::from_value(tree).map(Arc::new).map_err(|error| error.to_string())
}

/// Whether a kind is the one of this version and name.
struct Is<'a> {
    version: &'a str,
    kind: &'a str,
}

impl KindVisitor for Is<'_> {
    type Output = bool;

    fn visit<K: Catalogued>(self) -> bool {
        K::kind(&()) == self.kind && K::api_version(&()) == self.version
    }
}

struct Tell<'a, H> {
    tree: Value,
    there: bool,
    to: &'a mut H,
}

impl<H: Hears> KindVisitor for Tell<'_, H> {
    type Output = Result<(), String>;

    fn visit<K: Catalogued>(self) -> Result<(), String> {
        self.to.object(typed::<K>(self.tree)?, self.there);
        Ok(())
    }
}

fn names(meta: &ObjectMeta) -> (&str, &str) {
    (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}

pub(in crate::sched) fn note_namespace(snapshot: &mut Snapshot, namespace: &Namespace, there: bool) {
    let (_, name) = names(&namespace.metadata);
    if there {
        snapshot.set_namespace(name, namespace.metadata.labels.clone().unwrap_or_default());
    } else {
        snapshot.remove_namespace(name);
    }
}

pub(in crate::sched) fn note_service(snapshot: &mut Snapshot, service: &Service, there: bool) {
    let (namespace, name) = names(&service.metadata);
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    snapshot.set_service(namespace, name, selector.filter(|_| there));
}

pub(in crate::sched) fn note_replication_controller(
    snapshot: &mut Snapshot,
    own: &ReplicationController,
    there: bool,
) {
    let labels: BTreeMap<_, _> = own.spec.iter().filter_map(|spec| spec.selector.clone()).flatten().collect();
    let selector = Some(LabelSelector::of_labels(&labels));
    note_controller(snapshot, Controller::ReplicationController, &own.metadata, selector, there);
}

pub(in crate::sched) fn note_replica_set(snapshot: &mut Snapshot, own: &ReplicaSet, there: bool) {
    let selector = own.spec.as_ref().map(|spec| &spec.selector);
    note_controller(snapshot, Controller::ReplicaSet, &own.metadata, read(selector), there);
}

pub(in crate::sched) fn note_stateful_set(snapshot: &mut Snapshot, own: &StatefulSet, there: bool) {
    let selector = own.spec.as_ref().map(|spec| &spec.selector);
    note_controller(snapshot, Controller::StatefulSet, &own.metadata, read(selector), there);
}

fn read(selector: Option<&Written>) -> Option<LabelSelector> {
    LabelSelector::from_k8s(selector).ok()
}

fn note_controller(
    snapshot: &mut Snapshot,
    kind: Controller,
    meta: &ObjectMeta,
    selector: Option<LabelSelector>,
    there: bool,
) {
    let (namespace, name) = names(meta);
    if there {
        snapshot.set_controller(kind, namespace, name, selector);
    } else {
        snapshot.remove_controller(kind, namespace, name);
    }
}
