//! What pods may want to know of other pods, shared by all that look alike.
//!
//! A node holds a few kinds, and how many pods of each: who counts pods by their labels asks each kind once, and
//! not each pod.

use std::sync::Arc;

use super::super::wishes::{Labels, Wishes};
use super::shared_map::SharedMap;

/// What other pods may want to know of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::sched) struct PodKind {
    pub(in crate::sched) namespace: String,
    pub(in crate::sched) labels: Labels,
    /// Whether it is being deleted.
    pub(in crate::sched) deleting: bool,
    /// What it says of others.
    pub(in crate::sched) wishes: Option<Arc<Wishes>>,
}

/// A kind that is on some node. Never another's, even when the last of its pods has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::sched) struct KindId(u64);

/// What some placed pod says of others. Never another's, either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sched) struct WishesId(u64);

impl WishesId {
    pub(in crate::sched) fn number(self) -> i64 {
        self.0 as i64
    }
}

/// The kinds of the pods that are placed.
#[derive(Clone, Debug, Default)]
pub(super) struct Kinds {
    ids: SharedMap<Arc<PodKind>, KindId>,
    kinds: SharedMap<KindId, (Arc<PodKind>, u32)>,
    /// What they say of others, each once, in the order in which it came; and how many kinds say it.
    wishes: Vec<(WishesId, Arc<Wishes>, u32)>,
    next: u64,
}

impl Kinds {
    /// A pod of this kind was placed.
    pub(super) fn add(&mut self, kind: &Arc<PodKind>) -> KindId {
        let id = match self.ids.get(kind) {
            Some(id) => *id,
            None => {
                let id = KindId(self.next);
                self.next += 1;
                self.ids.insert(kind.clone(), id);
                self.wish(kind);
                id
            }
        };
        match self.kinds.get_mut(&id) {
            Some((_, pods)) => *pods += 1,
            None => self.kinds.insert(id, (kind.clone(), 1)),
        }
        id
    }

    /// A pod of this kind has gone from its node.
    pub(super) fn remove(&mut self, kind: &PodKind) -> Option<KindId> {
        let id = *self.ids.get(kind)?;
        let (_, pods) = self.kinds.get_mut(&id)?;
        *pods -= 1;
        if *pods == 0 {
            self.ids.remove(kind);
            self.kinds.remove(&id);
            if let Some(wishes) = &kind.wishes
                && let Some(place) = self.wishes.iter().position(|(_, own, _)| own == wishes)
            {
                self.wishes[place].2 -= 1;
                if self.wishes[place].2 == 0 {
                    self.wishes.remove(place);
                }
            }
        }
        Some(id)
    }

    fn wish(&mut self, kind: &PodKind) {
        let Some(wishes) = &kind.wishes else { return };
        match self.wishes.iter_mut().find(|(_, own, _)| own == wishes) {
            Some((_, _, kinds)) => *kinds += 1,
            None => {
                self.wishes.push((WishesId(self.next), wishes.clone(), 1));
                self.next += 1;
            }
        }
    }

    pub(super) fn get(&self, id: KindId) -> &Arc<PodKind> {
        &self.kinds.get(&id).expect("a node's kinds are known").0
    }

    pub(super) fn wishes(&self) -> impl Iterator<Item = (WishesId, &Wishes)> {
        self.wishes.iter().map(|(id, wishes, _)| (*id, &**wishes))
    }
}
