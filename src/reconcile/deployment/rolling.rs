//! The arithmetic of a rollout: how large each ReplicaSet should be. Pure numbers.
//!
//! Two fences hold. There are never more than `replicas + max_surge` pods, and never fewer than
//! `replicas - max_unavailable` of them available, as far as the controller can help it. A worked
//! example with 3 replicas, a surge of 1 and none unavailable, old -> new (available):
//!
//! ```text
//! 3(3) -> 0        the new set may grow by one: 3 + 1 = 4
//! 3(3) -> 1(0)     nothing may shrink: 3 available, 3 needed
//! 3(3) -> 1(1)     one old pod may go
//! 2(2) -> 1(1)     and one new one may come; and so on, until
//! 0    -> 3(3)
//! ```
//!
//! Rules as Kubernetes 1.36 (`pkg/controller/deployment/rolling.go`, `util/deployment_util.go`).

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// What a Deployment asks for, resolved to numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fences {
    pub(super) replicas: i32,
    pub(super) max_surge: i32,
    pub(super) max_unavailable: i32,
}

/// A ReplicaSet's size, and how many of its pods are available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) replicas: i32,
    pub(super) available: i32,
}

impl Fences {
    /// A surge is rounded up and an unavailability down; should both come to nothing, one pod may
    /// be unavailable, or nothing would ever move.
    pub(super) fn rolling(
        replicas: i32,
        max_surge: Option<&IntOrString>,
        max_unavailable: Option<&IntOrString>,
    ) -> Self {
        let surge = scaled(max_surge, replicas, true);
        let unavailable = scaled(max_unavailable, replicas, false);
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        Self { replicas, max_surge: surge, max_unavailable: unavailable.min(replicas) }
    }

    /// All old pods go before the first new one comes.
    pub(super) fn recreate(replicas: i32) -> Self {
        Self { replicas, max_surge: 0, max_unavailable: 0 }
    }

    pub(super) fn max_total(self) -> i32 {
        self.replicas.saturating_add(self.max_surge)
    }

    pub(super) fn min_available(self) -> i32 {
        self.replicas - self.max_unavailable
    }

    /// The size of the new set, which now is `new`, where all sets together have `total` replicas.
    pub(super) fn grow(self, new: i32, total: i32) -> i32 {
        if new >= self.replicas {
            return self.replicas;
        }
        let room = self.max_total() - total;
        new + room.clamp(0, self.replicas - new)
    }

    /// The sizes of the old sets, oldest first. Pods that are not available go first: they help
    /// nobody, and waiting for them would block the rollout.
    pub(super) fn shrink(self, new: Size, old: &[Size]) -> Vec<i32> {
        let mut sizes: Vec<i32> = old.iter().map(|size| size.replicas).collect();
        let total = new.replicas + sizes.iter().sum::<i32>();
        // New pods that are not available yet must not make room for old ones to go.
        let budget = total - self.min_available() - (new.replicas - new.available);
        if budget <= 0 {
            return sizes;
        }
        let mut left = budget;
        for (size, old) in sizes.iter_mut().zip(old) {
            let unhealthy = (*size - old.available).clamp(0, left);
            *size -= unhealthy;
            left -= unhealthy;
        }
        let available = new.available + old.iter().map(|size| size.available).sum::<i32>();
        let mut left = available - self.min_available();
        for size in &mut sizes {
            let gone = left.clamp(0, *size);
            *size -= gone;
            left -= gone;
        }
        sizes
    }

    /// The sizes of several active sets when a rollout under way is scaled: each gets its part of
    /// what is to come or go, the first one what rounding leaves over. `sets` are replicas and the
    /// most replicas that the Deployment could have when the set was last scaled; larger ones
    /// first. `current` is the Deployment's count of pods, for sets that do not know that.
    pub(super) fn proportion(self, sets: &[(i32, Option<i32>)], current: i32) -> Vec<i32> {
        let total: i32 = sets.iter().map(|(replicas, _)| replicas).sum();
        let allowed = if self.replicas > 0 { self.max_total() } else { 0 };
        let to_add = allowed - total;
        let mut added = 0;
        let mut sizes: Vec<i32> = sets
            .iter()
            .map(|(replicas, max_before)| {
                let part = self.fraction(*replicas, max_before.filter(|max| *max != 0).unwrap_or(current));
                let left = to_add - added;
                let part = match to_add.signum() {
                    1 => part.min(left),
                    -1 => part.max(left),
                    _ => 0,
                };
                let part = if *replicas == 0 || left == 0 { 0 } else { part };
                added += part;
                replicas + part
            })
            .collect();
        if let Some(first) = sizes.first_mut().filter(|_| to_add != 0) {
            *first = (*first + to_add - added).max(0);
        }
        sizes
    }

    fn fraction(self, replicas: i32, max_before: i32) -> i32 {
        if self.replicas == 0 {
            return -replicas;
        }
        if max_before == 0 {
            return 0;
        }
        let size = f64::from(replicas) * f64::from(self.max_total()) / f64::from(max_before);
        // A float becomes the nearest integer in range; nothing here is not a number.
        size.round() as i32 - replicas
    }
}

/// A number, or a percentage of `total`.
fn scaled(value: Option<&IntOrString>, total: i32, up: bool) -> i32 {
    match value {
        None => 0,
        Some(IntOrString::Int(number)) => (*number).max(0),
        Some(IntOrString::String(text)) => {
            // Validation has refused anything that is no percentage.
            let percent: i64 = text.strip_suffix('%').and_then(|text| text.parse().ok()).unwrap_or(0);
            let product = percent.max(0).saturating_mul(i64::from(total));
            let rounded = if up { product.saturating_add(99) / 100 } else { product / 100 };
            i32::try_from(rounded).unwrap_or(i32::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn percent(text: &str) -> Option<IntOrString> {
        Some(IntOrString::String(text.into()))
    }

    #[test]
    fn fences_round_a_surge_up_and_an_unavailability_down() {
        for (replicas, surge, unavailable, expected) in [
            (2, "0%", "1%", (0, 1)),
            (1, "0%", "1%", (0, 1)),
            (2, "1%", "25%", (1, 0)),
            (1, "1%", "25%", (1, 0)),
            (4, "25%", "25%", (1, 1)),
            (10, "25%", "25%", (3, 2)),
            (3, "0%", "200%", (0, 3)),
        ] {
            let (surge, unavailable) = (percent(surge), percent(unavailable));
            let fences = Fences::rolling(replicas, surge.as_ref(), unavailable.as_ref());
            assert_eq!((fences.max_surge, fences.max_unavailable), expected, "{replicas} {surge:?}");
        }
    }

    const fn fences(replicas: i32, max_surge: i32, max_unavailable: i32) -> Fences {
        Fences { replicas, max_surge, max_unavailable }
    }

    const fn size(replicas: i32, available: i32) -> Size {
        Size { replicas, available }
    }

    #[test]
    fn the_new_set_grows_into_the_surge() {
        for (fences, new, total, expected) in [
            (fences(10, 2, 0), 0, 10, 2),
            (fences(10, 2, 0), 2, 12, 2),
            (fences(10, 2, 0), 5, 10, 7),
            (fences(10, 5, 0), 9, 10, 10),
            (fences(10, 0, 2), 12, 12, 10),
            (fences(10, 0, 2), 0, 15, 0),
        ] {
            assert_eq!(fences.grow(new, total), expected, "{fences:?} {new} {total}");
        }
    }

    #[test]
    fn old_sets_shrink_by_what_is_not_needed_and_by_what_is_broken() {
        for (name, fences, new, old, expected) in [
            ("nothing to spare", fences(3, 1, 0), size(1, 0), vec![size(3, 3)], vec![3]),
            ("one new is there", fences(3, 1, 0), size(1, 1), vec![size(3, 3)], vec![2]),
            ("unavailability is used at once", fences(10, 0, 2), size(0, 0), vec![size(10, 10)], vec![8]),
            ("the broken go first", fences(10, 2, 2), size(2, 2), vec![size(10, 5)], vec![6]),
            ("the oldest goes first", fences(4, 2, 0), size(2, 2), vec![size(2, 2), size(2, 2)], vec![0, 2]),
            ("broken new pods make no room", fences(10, 3, 2), size(5, 0), vec![size(8, 8)], vec![8]),
        ] {
            assert_eq!(fences.shrink(new, &old), expected, "{name}");
        }
    }

    #[test]
    fn scaling_during_a_rollout_is_shared() {
        for (name, fences, sets, expected) in [
            ("up", fences(20, 0, 0), vec![(5, Some(10)), (5, Some(10))], vec![10, 10]),
            ("down", fences(5, 0, 0), vec![(5, Some(10)), (5, Some(10))], vec![2, 3]),
            ("to nothing", fences(0, 0, 0), vec![(7, Some(10)), (3, Some(10))], vec![0, 0]),
            (
                "the first takes what is left",
                fences(11, 0, 0),
                vec![(5, Some(10)), (5, Some(10))],
                vec![6, 5],
            ),
            ("unknown history", fences(20, 0, 0), vec![(5, None), (5, None)], vec![10, 10]),
        ] {
            assert_eq!(fences.proportion(&sets, 10), expected, "{name}");
        }
    }

    /// A Deployment in which pods become available, one by one, as chance has it.
    #[derive(Debug)]
    struct World {
        fences: Fences,
        new: Size,
        old: Vec<Size>,
    }

    impl World {
        fn total(&self) -> i32 {
            self.new.replicas + self.old.iter().map(|size| size.replicas).sum::<i32>()
        }

        fn available(&self) -> i32 {
            self.new.available + self.old.iter().map(|size| size.available).sum::<i32>()
        }

        /// One run of the controller; whether it changed anything. A set that shrinks loses its
        /// unavailable pods first, as ReplicaSets do.
        fn reconcile(&mut self) -> bool {
            let grown = self.fences.grow(self.new.replicas, self.total());
            if grown != self.new.replicas {
                self.new = size(grown, self.new.available.min(grown));
                return true;
            }
            let shrunk = self.fences.shrink(self.new, &self.old);
            let changed = shrunk.iter().zip(&self.old).any(|(to, old)| *to != old.replicas);
            for (to, old) in shrunk.into_iter().zip(&mut self.old) {
                *old = size(to, old.available.min(to));
            }
            changed
        }
    }

    proptest! {
        #[test]
        fn a_rollout_keeps_its_fences_and_ends(
            replicas in 0..30i32,
            surge in prop_oneof![(0..10i32).prop_map(IntOrString::Int), (0..=100u8).prop_map(|p| IntOrString::String(format!("{p}%")))],
            unavailable in prop_oneof![(0..10i32).prop_map(IntOrString::Int), (0..=100u8).prop_map(|p| IntOrString::String(format!("{p}%")))],
            split in 0..30i32,
            broken in 0..30i32,
            luck in prop::collection::vec(any::<bool>(), 64),
        ) {
            let fences = Fences::rolling(replicas, Some(&surge), Some(&unavailable));
            let first = split.min(replicas);
            let broken = broken.min(first);
            let mut world = World {
                fences,
                new: size(0, 0),
                old: vec![size(first, first - broken), size(replicas - first, replicas - first)],
            };
            let mut lowest = world.available().min(fences.min_available());
            let mut luck = luck.into_iter().cycle();
            let mut rounds = 0;
            loop {
                let changed = world.reconcile();
                prop_assert!(world.total() <= fences.max_total(), "too many: {world:?}");
                prop_assert!(world.available() >= lowest, "too few available: {world:?}");
                lowest = lowest.max(world.available().min(fences.min_available()));
                if world.new.available < world.new.replicas && luck.next() == Some(true) {
                    world.new.available += 1;
                } else if !changed && world.new.available == world.new.replicas {
                    break;
                }
                rounds += 1;
                prop_assert!(rounds < 10_000, "does not end: {world:?}");
            }
            prop_assert_eq!(world.new, size(replicas, replicas));
            prop_assert!(world.old.iter().all(|old| old.replicas == 0), "{:?}", world);
        }

        #[test]
        fn scaling_a_rollout_reaches_exactly_what_is_allowed(
            replicas in 0..50i32, surge in 0..10i32, sizes in prop::collection::vec(1..20i32, 1..5),
        ) {
            let fences = fences(replicas, surge, 0);
            let mut sizes = sizes;
            sizes.sort_by(|a, b| b.cmp(a));
            let before: i32 = sizes.iter().sum();
            let sets: Vec<_> = sizes.iter().map(|size| (*size, Some(before))).collect();
            let after = fences.proportion(&sets, before);
            prop_assert!(after.iter().all(|size| *size >= 0));
            let allowed = if replicas > 0 { fences.max_total() } else { 0 };
            prop_assert_eq!(after.iter().sum::<i32>(), allowed);
        }
    }
}
