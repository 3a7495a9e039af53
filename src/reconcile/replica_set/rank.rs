//! Which pods go first when a ReplicaSet shrinks.
//!
//! In this order, as Kubernetes 1.36 (`ActivePodsWithRanks`): unassigned before assigned; pending
//! before unknown before running; not ready before ready; lower `controller.kubernetes.io/pod-deletion-cost`
//! first; those that share their node with more pods of the same set or of its siblings; those
//! that are ready for a shorter time; those that restarted more often; the younger. Times are
//! compared by their order of magnitude (base 2), so that among pods of about the same age chance
//! (the uid) decides and not the second of their birth.
//!
//! Kubernetes decides by uid as soon as two ready times are of one magnitude but differ. That is no
//! total order; here the rules that follow are asked first, and the uid last.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::super::pods;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// `count` of `active`, those to be deleted first in front. `related` are the pods of this set and
/// its siblings.
pub(super) fn to_delete(
    active: &[Arc<Pod>],
    related: &[Arc<Pod>],
    count: usize,
    now: Timestamp,
) -> Vec<Arc<Pod>> {
    let mut on_node: BTreeMap<&str, i64> = BTreeMap::new();
    for pod in related.iter().filter(|pod| pods::is_active(pod)) {
        *on_node.entry(pods::node(pod)).or_default() += 1;
    }
    let mut ranked = active.to_vec();
    ranked.sort_by_cached_key(|pod| {
        let node = pods::node(pod);
        let (restarts, init_restarts) = pods::max_restarts(pod);
        (
            !node.is_empty(),
            match pods::phase(pod) {
                "Pending" => 0,
                "Running" => 2,
                _ => 1,
            },
            pods::is_ready(pod),
            deletion_cost(pod),
            -on_node.get(node).copied().unwrap_or(0),
            if pods::is_ready(pod) { magnitude(pods::ready_since(pod), now) } else { 0 },
            (-restarts, -init_restarts),
            magnitude(pod.metadata.creation_timestamp.as_ref().map(|time| time.0), now),
            pods::uid(pod).to_owned(),
        )
    });
    ranked.truncate(count);
    ranked
}

fn deletion_cost(pod: &Pod) -> i32 {
    let cost = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(DELETION_COST));
    // Spelled as Go prints numbers: no plus sign, no leading zero. Anything else does not count.
    cost.and_then(|text| text.parse::<i32>().ok().filter(|cost| cost.to_string() == *text)).unwrap_or(0)
}

/// The base-2 logarithm of the time since then, in nanoseconds; no time counts as the latest.
fn magnitude(since: Option<Timestamp>, now: Timestamp) -> i64 {
    let Some(since) = since else { return -2 };
    let nanos = now.duration_since(since).as_nanos();
    u128::try_from(nanos).ok().and_then(u128::checked_ilog2).map_or(-1, i64::from)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    struct Story(Value);

    fn pod(name: &str) -> Story {
        Story(json!({
            "metadata": {"name": name, "uid": name, "creationTimestamp": "2020-01-01T00:00:00Z", "annotations": {}},
            "spec": {"containers": [], "nodeName": "n1"},
            "status": {"phase": "Running", "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}]},
        }))
    }

    impl Story {
        fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
            *self.0.pointer_mut(path).unwrap() = value.into();
            self
        }
        fn cost(mut self, cost: &str) -> Self {
            self.0["metadata"]["annotations"][DELETION_COST] = cost.into();
            self
        }
        fn unassigned(self) -> Self {
            self.set("/spec/nodeName", "").set("/status/phase", "Pending").not_ready()
        }
        fn on(self, node: &str) -> Self {
            self.set("/spec/nodeName", node)
        }
        fn not_ready(self) -> Self {
            self.set("/status/conditions/0/status", "False")
        }
        fn ready_since(self, time: &str) -> Self {
            self.set("/status/conditions/0/lastTransitionTime", time)
        }
        fn created(self, time: &str) -> Self {
            self.set("/metadata/creationTimestamp", time)
        }
        fn restarted(mut self, times: i32) -> Self {
            self.0["status"]["containerStatuses"] = json!([
                {"name": "c", "restartCount": times, "ready": true, "image": "", "imageID": ""}]);
            self
        }
    }

    fn order(stories: Vec<Story>) -> Vec<String> {
        let pods: Vec<Arc<Pod>> =
            stories.into_iter().map(|story| Arc::new(serde_json::from_value(story.0).unwrap())).collect();
        let now = "2020-01-02T00:00:00Z".parse().unwrap();
        to_delete(&pods, &pods, pods.len(), now)
            .iter()
            .map(|pod| pod.metadata.name.clone().unwrap())
            .collect()
    }

    #[test]
    fn each_rule_decides_where_those_before_it_do_not() {
        for (rule, stories, first) in [
            ("unassigned", vec![pod("a"), pod("b").unassigned()], "b"),
            (
                "pending",
                vec![pod("a").not_ready(), pod("b").not_ready().set("/status/phase", "Pending")],
                "b",
            ),
            ("not ready", vec![pod("a"), pod("b").not_ready().cost("10")], "b"),
            ("deletion cost", vec![pod("a").cost("5"), pod("b").cost("-5")], "b"),
            ("a cost that is no number", vec![pod("a").cost("-x"), pod("b").cost("-1")], "b"),
            ("doubled up", vec![pod("a").on("n2"), pod("b"), pod("c")], "b"),
            ("ready later", vec![pod("a"), pod("b").ready_since("2020-01-01T23:00:00Z")], "b"),
            ("restarted", vec![pod("a"), pod("b").restarted(3)], "b"),
            ("younger", vec![pod("a"), pod("b").created("2020-01-01T20:00:00Z")], "b"),
            ("of one age: by uid", vec![pod("b").created("2020-01-01T00:00:05Z"), pod("a")], "a"),
        ] {
            assert_eq!(order(stories)[0], first, "{rule}");
        }
    }
}
