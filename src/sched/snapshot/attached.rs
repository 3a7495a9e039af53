//! Which volumes are attached to which node, for all that its pods and the attachments say.
//!
//! What a pod needs attached follows from its claims, and from what stands behind these. So the books remember from
//! which objects it was read, and read it again when one of those changes; a node's sums are right at any time, and
//! nobody has to add them up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::VolumeAttachment;

use super::super::PodInfo;
use super::super::volumes::{
    Problem, VolumeId, attached_by, claim_names, class_of_claim, of_pod, volume_name, volumes,
};
use super::{Catalog, ObjectKind};
use crate::api::ObjectKey;
use crate::env::HashMap;

/// Whom a node attaches volumes for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum User {
    /// The pod of this uid.
    Pod(String),
    /// Whoever wrote the attachment of this name.
    Attachment(String),
}

/// What it needs there.
#[derive(Clone, Debug)]
struct Need {
    node: Arc<str>,
    /// The pod, where it is one.
    pod: Option<Arc<PodInfo>>,
    volumes: BTreeSet<VolumeId>,
    /// Why that is not all.
    problem: Option<String>,
    /// From which objects it was read, whether or not they were there.
    sources: BTreeSet<Source>,
}

/// An object that says what is needed.
type Source = (ObjectKind, ObjectKey);

/// What is attached to a node.
#[derive(Clone, Debug, Default)]
pub(in crate::sched) struct NodeVolumes {
    /// By volume: how many pods and how many attachments have it.
    volumes: HashMap<VolumeId, [u32; 2]>,
    /// By driver: how many different volumes.
    drivers: BTreeMap<String, i64>,
    /// By uid: what is wrong with a pod's volumes.
    problems: BTreeMap<String, String>,
}

/// The volumes that are attached to all nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Attached {
    needs: HashMap<User, Need>,
    readers: HashMap<Source, BTreeSet<User>>,
    nodes: HashMap<Arc<str>, NodeVolumes>,
    /// By volume: how many pods have it, on whichever nodes.
    pods: HashMap<VolumeId, u32>,
}

impl NodeVolumes {
    /// How many different volumes of a driver there are.
    pub(in crate::sched) fn count(&self, driver: &str) -> i64 {
        self.drivers.get(driver).copied().unwrap_or(0)
    }

    /// Whether a pod has the volume.
    pub(in crate::sched) fn is_used(&self, volume: &VolumeId) -> bool {
        self.volumes.get(volume).is_some_and(|[pods, _]| *pods > 0)
    }

    /// Why what is there cannot be told, where it cannot.
    pub(in crate::sched) fn problem(&self) -> Option<&str> {
        self.problems.values().next().map(String::as_str)
    }

    fn is_empty(&self) -> bool {
        self.volumes.is_empty() && self.problems.is_empty()
    }

    /// One user more, or less, has a volume.
    fn count_in(&mut self, volume: &VolumeId, kind: usize, more: bool) {
        let users = self.volumes.entry(volume.clone()).or_default();
        let before = users.iter().sum::<u32>();
        users[kind] = if more { users[kind] + 1 } else { users[kind].saturating_sub(1) };
        let after = users.iter().sum::<u32>();
        if after == 0 {
            self.volumes.remove(volume);
        }
        if (before == 0) != (after == 0) {
            let sum = self.drivers.entry(volume.driver.clone()).or_default();
            *sum += if more { 1 } else { -1 };
            if *sum == 0 {
                self.drivers.remove(&volume.driver);
            }
        }
    }
}

impl Need {
    /// Reads what a pod needs; nothing where it needs nothing that could ever be attached.
    fn of_pod(pod: &Arc<PodInfo>, node: Arc<str>, catalog: &Catalog) -> Option<Self> {
        if volumes(pod).is_empty() {
            return None;
        }
        let namespace = &pod.key.namespace;
        let mut sources = BTreeSet::new();
        for wanted in claim_names(pod) {
            sources.insert((ObjectKind::PersistentVolumeClaim, ObjectKey::new(namespace, &*wanted.name)));
            if let Some(claim) = catalog.get::<PersistentVolumeClaim>(namespace, &wanted.name) {
                sources.insert((ObjectKind::PersistentVolume, ObjectKey::new("", volume_name(claim))));
                sources.insert((ObjectKind::StorageClass, ObjectKey::new("", class_of_claim(claim))));
            }
        }
        let mut volumes = BTreeSet::new();
        let told = of_pod(catalog, pod, true, false, |volume| {
            volumes.insert(volume);
        });
        let problem = told.err().map(|(Problem::Missing(why) | Problem::Broken(why))| why);
        let nothing = volumes.is_empty() && problem.is_none() && sources.is_empty();
        (!nothing).then(|| Self { node, pod: Some(pod.clone()), volumes, problem, sources })
    }

    fn of_attachment(attachment: &VolumeAttachment, catalog: &Catalog) -> Self {
        let volume = attachment.spec.source.persistent_volume_name.as_deref().unwrap_or_default();
        Self {
            node: attachment.spec.node_name.as_str().into(),
            pod: None,
            volumes: attached_by(catalog, attachment).into_iter().collect(),
            problem: None,
            sources: [(ObjectKind::PersistentVolume, ObjectKey::new("", volume))].into(),
        }
    }
}

impl Attached {
    /// What is attached to a node.
    pub(super) fn on(&self, node: &str) -> Option<&NodeVolumes> {
        self.nodes.get(node)
    }

    /// Whether a pod on some node has the volume.
    pub(super) fn is_used(&self, volume: &VolumeId) -> bool {
        self.pods.contains_key(volume)
    }

    /// The pods that have a claim, be it made for them, and their nodes.
    pub(super) fn users(&self, claim: ObjectKey) -> impl Iterator<Item = (&Arc<str>, &Arc<PodInfo>)> {
        let users = self.readers.get(&(ObjectKind::PersistentVolumeClaim, claim)).into_iter().flatten();
        users
            .filter_map(|user| self.needs.get(user))
            .filter_map(|need| Some((&need.node, need.pod.as_ref()?)))
    }

    /// A pod was placed that was not placed before.
    pub(super) fn place(&mut self, pod: &Arc<PodInfo>, node: &Arc<str>, catalog: &Catalog) {
        if let Some(need) = Need::of_pod(pod, node.clone(), catalog) {
            self.put(User::Pod(pod.uid.clone()), need);
        }
    }

    /// A pod left its node.
    pub(super) fn unplace(&mut self, pod: &PodInfo) {
        if !volumes(pod).is_empty() {
            self.take(&User::Pod(pod.uid.clone()));
        }
    }

    /// An object of the catalog came, changed or went. Returns the nodes that have other volumes for it.
    pub(super) fn follow(
        &mut self,
        kind: ObjectKind,
        key: &ObjectKey,
        catalog: &Catalog,
    ) -> BTreeSet<Arc<str>> {
        let mut changed = BTreeSet::new();
        if kind == ObjectKind::VolumeAttachment {
            let user = User::Attachment(key.name.clone());
            let new = catalog.get::<VolumeAttachment>(&key.namespace, &key.name);
            let new = new.map(|attachment| Need::of_attachment(attachment, catalog));
            self.change(user, new, &mut changed);
        }
        // An object that nobody has read is none of these, and so is a kind that nobody reads.
        let readers = self.readers.get(&(kind, key.clone())).into_iter().flatten().cloned();
        for user in readers.collect::<Vec<_>>() {
            let new = match (&user, self.needs.get(&user)) {
                (_, Some(Need { pod: Some(pod), node, .. })) => Need::of_pod(pod, node.clone(), catalog),
                (User::Attachment(name), _) => {
                    let attachment = catalog.get::<VolumeAttachment>("", name);
                    attachment.map(|attachment| Need::of_attachment(attachment, catalog))
                }
                _ => None,
            };
            self.change(user, new, &mut changed);
        }
        changed
    }

    /// Replaces what a user needs.
    fn change(&mut self, user: User, new: Option<Need>, changed: &mut BTreeSet<Arc<str>>) {
        let old = self.take(&user);
        let seen = |need: &Option<Need>| {
            need.as_ref().map(|need| (need.node.clone(), need.volumes.clone(), need.problem.clone()))
        };
        if seen(&old) != seen(&new) {
            changed.extend([&old, &new].into_iter().flatten().map(|need| need.node.clone()));
        }
        if let Some(new) = new {
            self.put(user, new);
        }
    }

    fn put(&mut self, user: User, need: Need) {
        let node = self.nodes.entry(need.node.clone()).or_default();
        for volume in &need.volumes {
            node.count_in(volume, usize::from(need.pod.is_none()), true);
            if need.pod.is_some() {
                *self.pods.entry(volume.clone()).or_default() += 1;
            }
        }
        if let (Some(problem), Some(pod)) = (&need.problem, &need.pod) {
            node.problems.insert(pod.uid.clone(), problem.clone());
        }
        for source in &need.sources {
            self.readers.entry(source.clone()).or_default().insert(user.clone());
        }
        self.needs.insert(user, need);
    }

    fn take(&mut self, user: &User) -> Option<Need> {
        let need = self.needs.remove(user)?;
        if let Some(node) = self.nodes.get_mut(&need.node) {
            for volume in &need.volumes {
                node.count_in(volume, usize::from(need.pod.is_none()), false);
            }
            if let Some(pod) = &need.pod {
                node.problems.remove(&pod.uid);
            }
            if node.is_empty() {
                self.nodes.remove(&need.node);
            }
        }
        for volume in need.volumes.iter().filter(|_| need.pod.is_some()) {
            let pods = self.pods.entry(volume.clone()).or_default();
            *pods = pods.saturating_sub(1);
            if *pods == 0 {
                self.pods.remove(volume);
            }
        }
        for source in &need.sources {
            if let Some(readers) = self.readers.get_mut(source) {
                readers.remove(user);
                if readers.is_empty() {
                    self.readers.remove(source);
                }
            }
        }
        Some(need)
    }
}
