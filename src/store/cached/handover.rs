//! What a committer has decoded already, for the feeder to take.
//!
//! A committer leaves its object here before it commits, and the feeder finds it when the store
//! tells it of the same bytes under the same key; so an object that was written in this process is
//! never decoded again. Where nobody knows whether the commit happened, because its answer was lost
//! or nobody waited for it, the object stays for a while: the feeder may still be told of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::api::Object;
use crate::env::HashMap;

/// Objects of which nobody knows whether they were committed, at most.
const DOUBTFUL: usize = 256;

#[derive(Default)]
pub(super) struct Handover(Mutex<Objects>);

#[derive(Default)]
struct Objects {
    left: HashMap<Bytes, Vec<(u64, Object)>>,
    last: u64,
    /// Those of which nobody knows, oldest first; some may be gone.
    doubtful: VecDeque<(Bytes, u64)>,
}

/// An object that lies in a handover. Dropped without a word on how its commit ended, it stays for a
/// while.
pub(super) struct Left {
    handover: Arc<Handover>,
    key: Bytes,
    id: u64,
    settled: bool,
}

impl Handover {
    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn leave(self: &Arc<Self>, key: Bytes, object: Object) -> Left {
        let mut objects = self.lock();
        objects.last += 1;
        let id = objects.last;
        objects.left.entry(key.clone()).or_default().push((id, object));
        Left { handover: self.clone(), key, id, settled: false }
    }

    /// The object with this body that was left under this key.
    pub(super) fn take(&self, key: &Bytes, body: &Bytes) -> Option<Object> {
        let mut objects = self.lock();
        let left = objects.left.get_mut(key)?;
        let found = left.iter().position(|(_, object)| object.body() == body)?;
        let (_, object) = left.swap_remove(found);
        // One of several who left the same: whoever wins, the store will not tell of it again.
        left.retain(|(_, other)| other.body() != body);
        if left.is_empty() {
            objects.left.remove(key);
        }
        Some(object)
    }

    pub(super) fn clear(&self) {
        let cleared = std::mem::take(&mut *self.lock());
        self.lock().last = cleared.last;
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().left.values().map(Vec::len).sum()
    }
}

impl Objects {
    fn remove(&mut self, key: &Bytes, id: u64) {
        if let Some(left) = self.left.get_mut(key) {
            left.retain(|(held, _)| *held != id);
            if left.is_empty() {
                self.left.remove(key);
            }
        }
    }
}

impl Left {
    /// It was committed, and the feeder is still to come by.
    pub(super) fn stay(mut self) {
        self.settled = true;
    }

    /// It was not committed, or the feeder has been here.
    pub(super) fn withdraw(mut self) {
        self.settled = true;
        self.handover.lock().remove(&self.key, self.id);
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let mut objects = self.handover.lock();
        objects.doubtful.push_back((std::mem::take(&mut self.key), self.id));
        if objects.doubtful.len() > DOUBTFUL
            && let Some((key, id)) = objects.doubtful.pop_front()
        {
            objects.remove(&key, id);
        }
    }
}
