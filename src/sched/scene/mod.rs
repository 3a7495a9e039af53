//! A scene: a cluster as a scheduler sees it, from data and not from informers.
//!
//! [`Scene::read`] takes what `kubectl get -o json` or `-o yaml` prints; [`Scene::fetch`] asks an API server for
//! the state at one revision, be it a past one. Nothing here ever writes to a cluster.
//!
//! ```
//! use windlass::sched::{Profile, Scene, explain};
//!
//! let scene = Scene::read(
//!     "cluster.yaml",
//!     "
//! apiVersion: v1
//! kind: List
//! items:
//! - {apiVersion: v1, kind: Node, metadata: {name: node-1}, status: {allocatable: {cpu: '1', pods: '9'}}}
//! - apiVersion: v1
//!   kind: Pod
//!   metadata: {name: big, namespace: ns}
//!   spec: {containers: [{name: c, resources: {requests: {cpu: '2'}}}]}
//! ",
//! )?;
//! let why = explain(&Profile::default(), &scene.snapshot, &scene.pending[0]);
//! assert!(why.message.unwrap().starts_with("0/1 nodes are available: 1 Insufficient cpu."));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod fetch;
mod hear;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::Value;

use super::{Catalogued, PodInfo, Snapshot};
use crate::api::ObjectKey;
use crate::api::manifest;

pub(super) use hear::{Hears, hear};

/// Nodes with what is on them and around them, and the pods that wait for one.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// The nodes, and all that is known beside the pods that wait.
    pub snapshot: Snapshot,
    /// The pods without a node that have not run to their end, as they came.
    pub pending: Vec<Arc<PodInfo>>,
    /// Objects of kinds that are no matter to a scheduler: how many there were of each.
    pub ignored: BTreeMap<String, usize>,
    /// Version, kind and name of what was read.
    seen: BTreeSet<(String, String, String)>,
}

/// Why a scene cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SceneError {
    /// The text is no list of objects.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// An object is broken.
    #[error("{file}: document {document}, item {item} ({object}): {cause}")]
    Item {
        /// The file, as the reader named it.
        file: String,
        /// The document, from 1.
        document: usize,
        /// Which object of the document, from 1.
        item: usize,
        /// Kind, and name where it has one.
        object: String,
        /// What is wrong with which field.
        cause: String,
    },
}

impl Scene {
    /// Reads lists of objects: JSON, or YAML of several documents. `source` names the text in errors.
    ///
    /// Pods that have run to their end take no room and are left out. A pod without a uid is known by its
    /// namespace and name.
    ///
    /// # Errors
    ///
    /// When the text cannot be read, an object does not fit its kind, has no name, or is there twice.
    pub fn read(source: &str, text: &str) -> Result<Self, SceneError> {
        let mut scene = Self::default();
        scene.add(source, text)?;
        Ok(scene)
    }

    /// Reads more objects, as [`read`](Self::read) does.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read). What was read before the broken object stays.
    pub fn add(&mut self, source: &str, text: &str) -> Result<(), SceneError> {
        let (mut document, mut item) = (0, 0);
        for read in manifest::read(source, text)? {
            item = if read.index == document { item + 1 } else { 1 };
            document = read.index;
            let (kind, name) = (text_of(&read.tree["kind"]), named(&read.tree));
            let object = format!("{kind} {name}").trim_end().to_owned();
            let identity = (text_of(&read.tree["apiVersion"]), kind.clone(), name);
            let heard = match self.seen.insert(identity) {
                true => hear(read.tree, true, self),
                false => Err("is there twice".into()),
            };
            match heard {
                Ok(true) => {}
                Ok(false) => *self.ignored.entry(kind).or_default() += 1,
                Err(cause) => {
                    return Err(SceneError::Item { file: read.source, document, item, object, cause });
                }
            }
        }
        Ok(())
    }

    /// The pod of this namespace and name: one that waits, or where it is placed.
    #[must_use]
    pub fn find(&self, namespace: &str, name: &str) -> Option<&Arc<PodInfo>> {
        let key = ObjectKey::new(namespace, name);
        let placed = || {
            let pods = self.snapshot.nodes().iter().flat_map(|node| self.snapshot.pods(*node));
            pods.into_iter().find(|pod| pod.key == key)
        };
        self.pending.iter().find(|pod| pod.key == key).or_else(placed)
    }
}

/// What a scene that is being read hears: everything is there, and nothing goes.
impl Hears for Scene {
    fn node(&mut self, node: Arc<Node>, _there: bool) {
        self.snapshot.set_node(node);
    }

    fn pod(&mut self, mut pod: Arc<Pod>, _there: bool) {
        if pod.metadata.uid.as_deref().unwrap_or_default().is_empty() {
            let meta = &pod.metadata;
            let (namespace, name) = (meta.namespace.as_deref(), meta.name.as_deref());
            let uid = format!("{}/{}", namespace.unwrap_or_default(), name.unwrap_or_default());
            Arc::make_mut(&mut pod).metadata.uid = Some(uid);
        }
        let pod = Arc::new(self.snapshot.read(pod));
        if pod.is_finished() {
            return;
        }
        match pod.node_name().map(str::to_owned) {
            Some(node) => self.snapshot.place(pod, &node),
            None => self.pending.push(pod),
        }
    }

    fn object<K: Catalogued>(&mut self, object: Arc<K>, _there: bool) {
        self.snapshot.set_object(object);
    }

    fn snapshot(&mut self) -> &mut Snapshot {
        &mut self.snapshot
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// `namespace/name`, or the name alone.
fn named(tree: &Value) -> String {
    let meta = &tree["metadata"];
    match (text_of(&meta["namespace"]), text_of(&meta["name"])) {
        (namespace, name) if namespace.is_empty() => name,
        (namespace, name) => format!("{namespace}/{name}"),
    }
}
