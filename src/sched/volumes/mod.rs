//! Volumes as the scheduler sees them: the claims that pods have, the volumes behind claims, and who attaches those.
//!
//! What is the same for every plugin, and for the [`Snapshot`](super::Snapshot), which counts what is attached.

mod attachable;
mod claims;
mod in_tree;

pub(super) use attachable::{Problem, VolumeId, attached_by, of_pod};
pub(super) use claims::{
    claim_names, class_of_claim, class_of_volume, is_ephemeral_of, key_of, not_found, volume_name, volumes,
    waits_for_consumer,
};
pub(super) use in_tree::InTree;
