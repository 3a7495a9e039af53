//! What a committer has decoded already, for the feeder to take.
//!
//! A committer leaves its object here before it commits, and the feeder finds it when the store
//! tells it of the same bytes under the same key; so an object that was written in this process is
//! never decoded again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::api::Object;
use crate::env::HashMap;

#[derive(Default)]
pub(super) struct Handover(Mutex<HashMap<Bytes, Vec<Object>>>);

/// An object that lies in a handover until it is taken, or this is dropped.
pub(super) struct Left {
    handover: Arc<Handover>,
    key: Bytes,
    object: Option<Object>,
}

impl Handover {
    fn lock(&self) -> MutexGuard<'_, HashMap<Bytes, Vec<Object>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn leave(self: &Arc<Self>, key: Bytes, object: Object) -> Left {
        self.lock().entry(key.clone()).or_default().push(object.clone());
        Left { handover: self.clone(), key, object: Some(object) }
    }

    /// The object with this body that was left under this key.
    pub(super) fn take(&self, key: &Bytes, body: &Bytes) -> Option<Object> {
        self.remove(key, |object| object.body() == body)
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn remove(&self, key: &Bytes, is: impl Fn(&Object) -> bool) -> Option<Object> {
        let mut left = self.lock();
        let objects = left.get_mut(key)?;
        let found = objects.iter().position(is).map(|position| objects.swap_remove(position));
        if objects.is_empty() {
            left.remove(key);
        }
        found
    }
}

impl Left {
    /// Leaves the object for good: the feeder is still to come by.
    pub(super) fn stay(mut self) {
        self.object = None;
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(left) = self.object.take() {
            // The very same bytes, not only equal ones: another committer's stay.
            self.handover.remove(&self.key, |object| object.body().as_ptr() == left.body().as_ptr());
        }
    }
}
