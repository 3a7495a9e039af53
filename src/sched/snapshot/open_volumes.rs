//! The volumes that claims may still come to: those that are nobody's, and those that are kept for a claim.
//!
//! Most volumes of a cluster are bound for good. Who looks for one should not have to look at those.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::PersistentVolume;

use super::super::volumes::class_of_volume;
use crate::api::ObjectKey;
use crate::env::HashMap;

/// For whom a volume is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum For {
    /// Any claim of this class.
    Class(String),
    /// This claim.
    Claim(ObjectKey),
}

/// Volumes, by whom they are for.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenVolumes {
    names: BTreeMap<For, BTreeSet<String>>,
    places: HashMap<String, For>,
}

impl For {
    fn of(volume: &PersistentVolume) -> Self {
        match volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) {
            None => Self::Class(class_of_volume(volume).to_owned()),
            Some(claim) => {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                Self::Claim(ObjectKey::new(text(&claim.namespace), text(&claim.name)))
            }
        }
    }
}

impl OpenVolumes {
    /// A volume came or changed, or it went.
    pub(super) fn set(&mut self, name: &str, volume: Option<&PersistentVolume>) {
        let new = volume.map(For::of);
        if self.places.get(name) == new.as_ref() {
            return;
        }
        if let Some(old) = self.places.remove(name)
            && let Some(names) = self.names.get_mut(&old)
        {
            names.remove(name);
            if names.is_empty() {
                self.names.remove(&old);
            }
        }
        if let Some(new) = new {
            self.names.entry(new.clone()).or_default().insert(name.to_owned());
            self.places.insert(name.to_owned(), new);
        }
    }

    /// The volumes of a class that are nobody's and those that are kept for a claim, by name.
    pub(super) fn names(&self, class: &str, claim: &ObjectKey) -> BTreeSet<&String> {
        let free = self.names.get(&For::Class(class.to_owned()));
        let kept = self.names.get(&For::Claim(claim.clone()));
        free.into_iter().chain(kept).flatten().collect()
    }
}
