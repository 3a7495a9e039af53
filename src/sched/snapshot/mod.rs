//! The nodes and what is placed on them, in columns.
//!
//! A node is a dense [`NodeIndex`]; what filters and scores read of all nodes (amounts by resource,
//! taint sets, schedulability) lies in one column a fact, so that a pass over all nodes reads memory
//! in order. Resource names and taint sets are interned: thousands of nodes share a few of each.
//!
//! The snapshot follows the cluster event by event and is never rebuilt. A pod may be placed on a
//! node that is not known yet, and a node may go before its pods do: its row then stays, unlisted,
//! until the last of them is gone.

mod attached;
mod catalog;
mod changes;
mod column;
mod images;
mod kinds;
mod names;
mod open_volumes;
mod owners;
mod shared_map;
mod taints;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ContainerImage, Node, NodeStatus, PersistentVolume, Taint};

pub(super) use attached::NodeVolumes;
pub(super) use catalog::KindVisitor;
pub use catalog::{Catalog, Catalogued, ObjectKind, Shelf};
pub use changes::{Change, Changes};
pub use images::ImageId;
pub(super) use kinds::{KindId, PodKind};
pub use names::{ResourceId, ResourceNames};
pub use owners::Controller;

use super::PodInfo;
use super::volumes::{VolumeId, claim_names, key_of};
use super::wishes::{Labels, Wishes};
use crate::api::ObjectKey;
use crate::api::predicates::{HostPort, Resources};
use crate::api::selector::LabelSelector;
use attached::Attached;
use column::Column;
use images::Images;
use kinds::{Kinds, WishesId};
use open_volumes::OpenVolumes;
use owners::Owners;
use shared_map::SharedMap;
use taints::TaintSets;

/// A node's place in the columns. It is good for as long as the snapshot is not changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(u32);

impl NodeIndex {
    /// The place in any column.
    pub(super) fn number(self) -> usize {
        self.0 as usize
    }

    #[cfg(test)]
    pub(super) fn of(number: u32) -> Self {
        Self(number)
    }

    fn at(self) -> usize {
        self.number()
    }
}

/// By uid.
type PodsOfNode = BTreeMap<String, Arc<PodInfo>>;

/// The nodes and what is placed on them.
///
/// A clone is cheap, and from then on a snapshot of its own: what neither changes they share. A change of a shared
/// snapshot copies the part of each column in which it falls.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    resources: ResourceNames,
    by_name: SharedMap<Arc<str>, NodeIndex>,
    free: Vec<NodeIndex>,
    /// The nodes that are there, in the order of their indices.
    listed: Arc<Vec<NodeIndex>>,
    placed: SharedMap<String, (NodeIndex, Arc<PodInfo>)>,
    taint_sets: TaintSets,
    known_images: Images,
    pod_kinds: Kinds,
    owners: Arc<Owners>,
    namespaces: Arc<BTreeMap<String, Labels>>,
    catalog: Catalog,
    attached: Attached,
    open_volumes: OpenVolumes,

    // Columns, by node.
    names: Column<Arc<str>>,
    nodes: Column<Option<Arc<Node>>>,
    unschedulable: Column<bool>,
    taints: Column<u32>,
    images: Column<Vec<ImageId>>,
    assumed_use: Column<[i64; 2]>,
    ports: Column<BTreeMap<HostPort, u32>>,
    /// Behind `Option`, so that an empty node costs nothing.
    pods: Column<Option<Arc<PodsOfNode>>>,
    kinds: Column<Vec<(KindId, u32)>>,
    // Columns, by resource and node.
    allocatable: Vec<Column<i64>>,
    requested: Vec<Column<i64>>,

    changes: Changes,
}

impl Snapshot {
    /// No node.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a pod for this snapshot.
    pub fn read(&mut self, pod: Arc<k8s_openapi::api::core::v1::Pod>) -> PodInfo {
        let info = PodInfo::read(pod, &mut self.resources);
        self.widen();
        info
    }

    /// The names of the resources that the columns stand for.
    #[must_use]
    pub fn resources(&self) -> &ResourceNames {
        &self.resources
    }

    /// The nodes that are there.
    #[must_use]
    pub fn nodes(&self) -> &[NodeIndex] {
        &self.listed
    }

    /// The node of this name, if it is there.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<NodeIndex> {
        self.by_name.get(name).copied().filter(|index| self.nodes[index.at()].is_some())
    }

    /// A node's name.
    #[must_use]
    pub fn name(&self, node: NodeIndex) -> &Arc<str> {
        &self.names[node.at()]
    }

    /// A node.
    ///
    /// # Panics
    ///
    /// When the index is not of [`nodes`](Self::nodes).
    #[must_use]
    pub fn node(&self, node: NodeIndex) -> &Arc<Node> {
        self.nodes[node.at()].as_ref().expect("only nodes that are there are listed")
    }

    /// A node's labels.
    #[must_use]
    pub fn labels(&self, node: NodeIndex) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.node(node).metadata.labels.as_ref().unwrap_or(&NONE)
    }

    /// Whether a node takes no new pods.
    #[must_use]
    pub fn is_unschedulable(&self, node: NodeIndex) -> bool {
        self.unschedulable[node.at()]
    }

    /// The distinct sets of taints, by the number that [`taint_set`](Self::taint_set) gives. Some may be no node's
    /// any more; a number stays a set's for as long as a node has it.
    #[must_use]
    pub fn taint_sets(&self) -> &[Arc<[Taint]>] {
        self.taint_sets.all()
    }

    /// Which set of taints a node has.
    #[must_use]
    pub fn taint_set(&self, node: NodeIndex) -> usize {
        self.taints[node.at()] as usize
    }

    /// The image of this name, if any node has it. Names are as nodes say them.
    #[must_use]
    pub fn image(&self, name: &str) -> Option<ImageId> {
        self.known_images.find(name)
    }

    /// The size of an image in bytes, and how many nodes have it.
    #[must_use]
    pub fn image_spread(&self, image: ImageId) -> (i64, u32) {
        self.known_images.spread(image)
    }

    /// Whether a node has an image.
    #[must_use]
    pub fn has_image(&self, node: NodeIndex, image: ImageId) -> bool {
        self.images[node.at()].binary_search(&image).is_ok()
    }

    /// What a node has to give of a resource.
    #[must_use]
    pub fn allocatable(&self, resource: ResourceId, node: NodeIndex) -> i64 {
        self.allocatable[resource.at()][node.at()]
    }

    /// What the pods on a node ask for of a resource; of [`ResourceId::PODS`], how many they are.
    #[must_use]
    pub fn requested(&self, resource: ResourceId, node: NodeIndex) -> i64 {
        self.requested[resource.at()][node.at()]
    }

    /// Milli-CPUs and bytes of memory that the pods on a node are taken to use.
    #[must_use]
    pub fn assumed_use(&self, node: NodeIndex) -> [i64; 2] {
        self.assumed_use[node.at()]
    }

    /// The ports that are taken on a node.
    pub fn ports(&self, node: NodeIndex) -> impl Iterator<Item = &HostPort> {
        self.ports[node.at()].keys()
    }

    /// The pods on a node, by uid.
    pub fn pods(&self, node: NodeIndex) -> impl Iterator<Item = &Arc<PodInfo>> {
        self.pods[node.at()].iter().flat_map(|pods| pods.values())
    }

    /// Where the pod of this uid is.
    #[must_use]
    pub fn placed(&self, uid: &str) -> Option<(&Arc<str>, &Arc<PodInfo>)> {
        self.placed.get(uid).map(|(node, pod)| (&self.names[node.at()], pod))
    }

    /// When a node, or what is on it, last changed, on a clock that ticks with every change of the
    /// snapshot. What was derived from a node before is still good if this has not moved.
    #[must_use]
    pub fn changed(&self, node: NodeIndex) -> u64 {
        self.changes.of(node)
    }

    /// What changed, in order.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Whether a node is there: not only named by pods, and not gone.
    #[must_use]
    pub fn is_listed(&self, node: NodeIndex) -> bool {
        self.nodes[node.at()].is_some()
    }

    /// The kinds of the pods on a node, and how many of each there are.
    pub(super) fn kinds(&self, node: NodeIndex) -> impl Iterator<Item = (KindId, &PodKind, u32)> {
        self.kinds[node.at()].iter().map(|(id, pods)| (*id, &**self.pod_kinds.get(*id), *pods))
    }

    /// What placed pods say of others, each once.
    pub(super) fn wishes(&self) -> impl Iterator<Item = (WishesId, &Wishes)> {
        self.pod_kinds.wishes()
    }

    /// The namespaces that are there, with their labels.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = (&String, &Labels)> {
        self.namespaces.iter()
    }

    /// The labels of a namespace; none where it is not there.
    #[must_use]
    pub fn namespace_labels(&self, name: &str) -> &BTreeMap<String, String> {
        static NONE: Labels = Labels::new();
        self.namespaces.get(name).unwrap_or(&NONE)
    }

    /// What the services that select a pod and the controller that made it select by; the empty selector where
    /// there is none.
    #[must_use]
    pub fn default_selector(&self, pod: &PodInfo) -> LabelSelector {
        self.owners.selector_of(pod)
    }

    /// A namespace came or has these labels now.
    pub fn set_namespace(&mut self, name: &str, labels: BTreeMap<String, String>) {
        if Arc::make_mut(&mut self.namespaces).insert(name.to_owned(), labels.clone()).as_ref()
            != Some(&labels)
        {
            // Anybody's terms may mean other pods now.
            self.changes.forget();
        }
    }

    /// A namespace went.
    pub fn remove_namespace(&mut self, name: &str) {
        if Arc::make_mut(&mut self.namespaces).remove(name).is_some() {
            self.changes.forget();
        }
    }

    /// A service came or selects by these labels now; by none, it selects nothing.
    pub fn set_service(&mut self, namespace: &str, name: &str, selector: Option<&BTreeMap<String, String>>) {
        Arc::make_mut(&mut self.owners).set_service(namespace, name, selector);
    }

    /// A service went.
    pub fn remove_service(&mut self, namespace: &str, name: &str) {
        Arc::make_mut(&mut self.owners).remove_service(namespace, name);
    }

    /// A controller came or selects by this now; by nothing where its selector cannot be read.
    pub fn set_controller(
        &mut self,
        kind: Controller,
        namespace: &str,
        name: &str,
        selector: Option<LabelSelector>,
    ) {
        Arc::make_mut(&mut self.owners).set_controller(kind, namespace, name, selector);
    }

    /// A controller went.
    pub fn remove_controller(&mut self, kind: Controller, namespace: &str, name: &str) {
        Arc::make_mut(&mut self.owners).remove_controller(kind, namespace, name);
    }

    /// The objects that plugins look up.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What is attached to a node; nothing where that is nothing.
    pub(super) fn attached(&self, node: NodeIndex) -> Option<&NodeVolumes> {
        self.attached.on(self.name(node))
    }

    /// Whether a pod on some node has a volume.
    pub(super) fn is_volume_used(&self, volume: &VolumeId) -> bool {
        self.attached.is_used(volume)
    }

    /// Whether a pod on a node that is there names a claim.
    pub(super) fn is_claim_used(&self, namespace: &str, name: &str) -> bool {
        let names = |pod: &PodInfo| claim_names(pod).any(|claim| !claim.ephemeral && claim.name == name);
        let mut users = self.attached.users(ObjectKey::new(namespace, name));
        users.any(|(node, pod)| self.find(node).is_some() && names(pod))
    }

    /// The volumes that a claim to one of a class may come to, by name.
    pub(super) fn volumes_for(
        &self,
        class: &str,
        claim: &ObjectKey,
    ) -> impl Iterator<Item = &Arc<PersistentVolume>> {
        let names = self.open_volumes.names(class, claim);
        names.into_iter().filter_map(|name| self.catalog.get("", name))
    }

    /// Puts an object in that plugins look up, or in the place of its old self, which is returned.
    pub fn set_object<K: Catalogued>(&mut self, object: Arc<K>) -> Option<Arc<K>> {
        self.touch(&*object);
        let key = key_of(object.metadata());
        let old = self.catalog.set(object);
        self.follow::<K>(&key);
        old
    }

    /// Takes an object out that plugins look up.
    pub fn remove_object<K: Catalogued>(&mut self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let old = self.catalog.remove::<K>(namespace, name)?;
        self.touch(&*old);
        self.follow::<K>(&ObjectKey::new(namespace, name));
        Some(old)
    }

    /// Notes that an object changes that is about a node.
    fn touch<K: Catalogued>(&mut self, object: &K) {
        if let Some(node) = object.node().and_then(|node| self.by_name.get(node)) {
            self.changes.push(*node, true);
        }
    }

    /// Brings what is worked out from the catalog up to a change of one of its objects.
    fn follow<K: Catalogued>(&mut self, key: &ObjectKey) {
        if K::WHICH == ObjectKind::PersistentVolume {
            self.open_volumes.set(&key.name, self.catalog.get("", &key.name).map(|volume| &**volume));
        }
        for node in self.attached.follow(K::WHICH, key, &self.catalog) {
            if let Some(index) = self.by_name.get(&node) {
                self.changes.push(*index, false);
            }
        }
    }

    /// Puts a node in, or in the place of its old self, which is returned.
    pub fn set_node(&mut self, node: Arc<Node>) -> Option<Arc<Node>> {
        let index = self.row(node.metadata.name.as_deref().unwrap_or_default());
        let at = index.at();
        let status = node.status.as_ref();
        let amounts = Resources::read(status.and_then(|status| status.allocatable.as_ref()));
        let amounts = self.resources.amounts(&amounts);
        self.widen();
        for column in &mut self.allocatable {
            column[at] = 0;
        }
        for (resource, amount) in amounts {
            self.allocatable[resource.at()][at] = amount;
        }
        let spec = node.spec.as_ref();
        self.unschedulable[at] = spec.is_some_and(|spec| spec.unschedulable == Some(true));
        let taints = spec.and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
        self.taints[at] = self.taint_sets.change(self.taints[at], taints);
        let images = images_of(&node);
        if self.nodes[at].as_deref().map_or(&[][..], images_of) != images {
            self.images[at] = self.known_images.change(&self.images[at], images);
        }
        let old = self.nodes[at].replace(node);
        if old.is_none()
            && let Err(place) = self.listed.binary_search(&index)
        {
            Arc::make_mut(&mut self.listed).insert(place, index);
        }
        if old.as_deref().is_none_or(|old| differs(old, self.node(index))) {
            self.changes.push(index, true);
        }
        old
    }

    /// Takes a node out. The pods on it stay placed until they go themselves.
    pub fn remove_node(&mut self, name: &str) -> Option<Arc<Node>> {
        let index = self.find(name)?;
        let old = self.nodes[index.at()].take();
        self.taints[index.at()] = self.taint_sets.change(self.taints[index.at()], &[]);
        self.images[index.at()] = self.known_images.change(&self.images[index.at()], &[]);
        if let Ok(place) = self.listed.binary_search(&index) {
            Arc::make_mut(&mut self.listed).remove(place);
        }
        self.changes.push(index, true);
        self.release(index);
        old
    }

    /// Places a pod on a node, which need not be there yet. A pod that is placed already moves.
    pub fn place(&mut self, pod: Arc<PodInfo>, node: &str) {
        self.unplace(&pod.uid);
        let index = self.row(node);
        self.count(index, &pod, 1);
        let pods = self.pods[index.at()].get_or_insert_default();
        Arc::make_mut(pods).insert(pod.uid.clone(), pod.clone());
        self.attached.place(&pod, &self.names[index.at()], &self.catalog);
        self.placed.insert(pod.uid.clone(), (index, pod));
    }

    /// Takes a pod off its node.
    pub fn unplace(&mut self, uid: &str) -> Option<Arc<PodInfo>> {
        let (index, pod) = self.placed.remove(uid)?;
        let pods = &mut self.pods[index.at()];
        if let Some(own) = pods {
            let own = Arc::make_mut(own);
            own.remove(uid);
            if own.is_empty() {
                *pods = None;
            }
        }
        self.attached.unplace(&pod);
        self.count(index, &pod, -1);
        self.release(index);
        Some(pod)
    }

    fn count(&mut self, index: NodeIndex, pod: &PodInfo, sign: i64) {
        let at = index.at();
        self.count_kind(at, pod, sign > 0);
        for (resource, amount) in &pod.requests {
            self.requested[resource.at()][at] += sign * amount;
        }
        self.requested[ResourceId::PODS.at()][at] += sign;
        for (sum, amount) in self.assumed_use[at].iter_mut().zip(pod.assumed_use) {
            *sum += sign * amount;
        }
        for port in &pod.host_ports {
            let count = self.ports[at].entry(port.clone()).or_default();
            *count = if sign > 0 { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                self.ports[at].remove(port);
            }
        }
        self.changes.push(index, false);
    }

    fn count_kind(&mut self, at: usize, pod: &PodInfo, came: bool) {
        let kinds = &mut self.kinds[at];
        if came {
            let id = self.pod_kinds.add(&pod.kind);
            match kinds.iter_mut().find(|(own, _)| *own == id) {
                Some((_, pods)) => *pods += 1,
                None => kinds.push((id, 1)),
            }
        } else if let Some(id) = self.pod_kinds.remove(&pod.kind)
            && let Some(place) = kinds.iter().position(|(own, _)| *own == id)
        {
            kinds[place].1 -= 1;
            if kinds[place].1 == 0 {
                kinds.swap_remove(place);
            }
        }
    }

    /// The row of a node of this name, made where there is none.
    fn row(&mut self, name: &str) -> NodeIndex {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let name: Arc<str> = name.into();
        let index = if let Some(index) = self.free.pop() {
            self.names[index.at()] = name.clone();
            index
        } else {
            let index = NodeIndex(u32::try_from(self.names.len()).expect("fewer than four billion nodes"));
            self.names.push(name.clone());
            self.nodes.push(None);
            self.unschedulable.push(false);
            self.taints.push(0);
            self.images.push(Vec::new());
            self.assumed_use.push([0; 2]);
            self.ports.push(BTreeMap::new());
            self.pods.push(None);
            self.kinds.push(Vec::new());
            for column in self.allocatable.iter_mut().chain(&mut self.requested) {
                column.push(0);
            }
            index
        };
        self.by_name.insert(name, index);
        self.widen();
        index
    }

    /// Gives a row back that neither a node nor a pod needs.
    fn release(&mut self, index: NodeIndex) {
        if self.nodes[index.at()].is_none() && self.pods[index.at()].is_none() {
            self.by_name.remove(&self.names[index.at()]);
            self.free.push(index);
        }
    }

    /// Gives every resource that has a name its columns.
    fn widen(&mut self) {
        while self.allocatable.len() < self.resources.len() {
            self.allocatable.push(Column::blank(self.names.len()));
            self.requested.push(Column::blank(self.names.len()));
        }
    }
}

fn images_of(node: &Node) -> &[ContainerImage] {
    node.status.as_ref().and_then(|status| status.images.as_deref()).unwrap_or_default()
}

/// Whether anything differs that could change a decision: a heartbeat does not.
fn differs(old: &Node, new: &Node) -> bool {
    let told = |node: &Node| node.status.clone().map(|status| NodeStatus { conditions: None, ..status });
    old.metadata.uid != new.metadata.uid
        || old.metadata.labels != new.metadata.labels
        || old.metadata.annotations != new.metadata.annotations
        || old.spec != new.spec
        || told(old) != told(new)
}
