//! How many objects of a resource there are, and how large.

use crate::api::{Object, Revision};

/// How many objects of a resource there are, and how large.
///
/// Source: `Stats` of `k8s.io/apiserver/pkg/storage` (1.36), which kube-apiserver shows as
/// `apiserver_resource_objects` and `apiserver_resource_size_estimate_bytes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many there are.
    pub objects: usize,
    /// How many bytes their bodies have together, as they are written; a store may add to them.
    pub bytes: u64,
}

/// What is cached of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Glance {
    /// The objects.
    pub stats: Stats,
    /// The revision that the cache has reached.
    pub revision: Revision,
    /// How many events it has taken in since it was filled.
    pub events: u64,
}

impl Stats {
    /// How many bytes an object has on average; 0 where there is none.
    #[must_use]
    pub fn average_bytes(&self) -> u64 {
        self.bytes.checked_div(self.objects as u64).unwrap_or(0)
    }

    /// `after` stands where `before` stood.
    pub(super) fn change(&mut self, before: Option<&Object>, after: Option<&Object>) {
        let bytes = |object: Option<&Object>| object.map_or(0, |object| object.body().len() as u64);
        self.objects = self.objects + usize::from(after.is_some()) - usize::from(before.is_some());
        self.bytes = self.bytes + bytes(after) - bytes(before);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Stats;
    use crate::api::{Resource, Scope};
    use crate::env::Env;
    use crate::store::cached::Cached;
    use crate::store::cached::tests::{Pod, pod, world};

    /// Source: `RunTestStats` of `k8s.io/apiserver/pkg/storage/testing` (1.36).
    #[tokio::test(start_paused = true)]
    async fn counts_and_sizes_are_those_of_what_is_there() {
        let world = world();
        let stats = async |row| world.cached.stats(row).await.unwrap();
        let size = |pod: Pod| pod.object(&world.row).body().len() as u64;
        assert_eq!((stats(&world.row).await, stats(&world.row).await.average_bytes()), (Stats::default(), 0));
        world.create(pod("a", "foo")).await;
        let foo = size(pod("a", "foo"));
        let told = stats(&world.row).await;
        assert_eq!((told.objects, told.bytes, told.average_bytes()), (1, foo, foo));
        world.create(pod("a", "bar")).await;
        let told = stats(&world.row).await;
        assert_eq!((told.objects, told.average_bytes()), (2, (foo + size(pod("a", "bar"))) / 2));
        world.update(pod("a", "bar").label("foo", "bar")).await;
        let bar = size(pod("a", "bar").label("foo", "bar"));
        assert_eq!(stats(&world.row).await.bytes, foo + bar);
        world.delete("a", "foo").await;
        let told = stats(&world.row).await;
        assert_eq!((told.objects, told.average_bytes()), (1, bar));
        // One that is filled from a list counts the same, and another resource is another count.
        let late = Cached::new(world.cached.store().clone(), &Env::simulated(2));
        assert_eq!(late.stats(&world.row).await.unwrap(), told);
        let nodes = Arc::new(Resource::new("", "v1", "Node", "nodes", Scope::Cluster));
        assert_eq!(stats(&nodes).await, Stats::default());
        world.delete("a", "bar").await;
        assert_eq!(stats(&world.row).await, Stats::default());
    }
}
