//! What becomes of an object whose owners have been looked up. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::graph::Deletion;
use crate::client::PropagationPolicy;

/// How an owner was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It is there.
    Solid,
    /// It is not, or another object has its name.
    Absent,
    /// It is there, and waits for its dependents to be gone.
    Waiting,
}

/// What is to be done about an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Nothing.
    Keep,
    /// Somebody still owns it: these are the references that remain.
    Disown(Vec<OwnerReference>),
    /// Nobody owns it.
    Delete {
        propagation: PropagationPolicy,
        /// References that must be written first: they no longer block their owners, since a
        /// dependent that itself waits for dependents could otherwise wait in a circle.
        unblock: Option<Vec<OwnerReference>>,
    },
}

/// `own` is what the object's finalizers say, should it be deleted; `dependents_wait` whether it
/// has dependents that are themselves being deleted in the foreground, and `has_dependents` whether
/// it has any.
pub(super) fn verdict(
    owners: &[(OwnerReference, Owner)],
    own: Deletion,
    has_dependents: bool,
    dependents_wait: bool,
) -> Verdict {
    let any = |kind: Owner| owners.iter().any(|(_, found)| *found == kind);
    if owners.is_empty() {
        return Verdict::Keep;
    }
    if any(Owner::Solid) {
        if !any(Owner::Absent) && !any(Owner::Waiting) {
            return Verdict::Keep;
        }
        let solid = owners.iter().filter(|(_, found)| *found == Owner::Solid);
        return Verdict::Disown(solid.map(|(owner, _)| owner.clone()).collect());
    }
    if any(Owner::Waiting) && has_dependents {
        let unblocked = || {
            let owners = owners.iter().cloned();
            owners.map(|(owner, _)| OwnerReference { block_owner_deletion: Some(false), ..owner }).collect()
        };
        return Verdict::Delete {
            propagation: PropagationPolicy::Foreground,
            unblock: dependents_wait.then(unblocked),
        };
    }
    let propagation = match own {
        Deletion::Orphan => PropagationPolicy::Orphan,
        Deletion::Foreground => PropagationPolicy::Foreground,
        Deletion::None | Deletion::Background => PropagationPolicy::Background,
    };
    Verdict::Delete { propagation, unblock: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(uid: &str) -> OwnerReference {
        OwnerReference { uid: uid.into(), block_owner_deletion: Some(true), ..OwnerReference::default() }
    }

    #[test]
    fn an_object_lives_as_long_as_one_owner_does() {
        use Owner::{Absent, Solid, Waiting};
        let delete = |propagation| Verdict::Delete { propagation, unblock: None };
        for (name, owners, has_dependents, expected) in [
            ("no owner", vec![], false, Verdict::Keep),
            ("one owner", vec![(owner("a"), Solid)], false, Verdict::Keep),
            (
                "one of two is gone",
                vec![(owner("a"), Solid), (owner("b"), Absent)],
                false,
                Verdict::Disown(vec![owner("a")]),
            ),
            (
                "one of two waits",
                vec![(owner("a"), Waiting), (owner("b"), Solid)],
                false,
                Verdict::Disown(vec![owner("b")]),
            ),
            ("all are gone", vec![(owner("a"), Absent)], true, delete(PropagationPolicy::Background)),
            ("its owner waits", vec![(owner("a"), Waiting)], false, delete(PropagationPolicy::Background)),
            (
                "its owner waits, and others hang on it",
                vec![(owner("a"), Waiting)],
                true,
                delete(PropagationPolicy::Foreground),
            ),
        ] {
            assert_eq!(verdict(&owners, Deletion::None, has_dependents, false), expected, "{name}");
        }
    }

    #[test]
    fn a_circle_of_waiting_objects_is_opened() {
        let owners = [(owner("a"), Owner::Waiting)];
        let Verdict::Delete { unblock: Some(owners), .. } = verdict(&owners, Deletion::None, true, true)
        else {
            panic!("nothing to unblock")
        };
        assert_eq!(owners[0].block_owner_deletion, Some(false));
    }
}
