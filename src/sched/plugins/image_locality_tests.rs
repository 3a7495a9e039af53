use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sched::reference::{self, Judgement, NodeJudgement, Settings, World};
use crate::sched::testing::{node, pod};

const NAMES: [&str; 5] = ["a:1", "a", "registry:5000/b", "c:latest", "d@sha256:00"];

/// Images by name and megabytes.
fn with_images(name: &str, images: &[(&str, i64)]) -> Arc<Node> {
    let images: Vec<_> =
        images.iter().map(|(name, size)| json!({"names": [name], "sizeBytes": size * MEBIBYTE})).collect();
    node(name).status("images", images.into()).make()
}

fn runs(images: &[&str]) -> crate::sched::testing::PodStory {
    let containers: Vec<_> = images
        .iter()
        .enumerate()
        .map(|(at, image)| json!({"name": format!("c{at}"), "image": image}))
        .collect();
    pod("p").set("containers", containers.into())
}

fn scores(snapshot: &mut Snapshot, story: crate::sched::testing::PodStory) -> Vec<i64> {
    let info = snapshot.read(story.make());
    let cycle = Cycle::new(&info, snapshot);
    snapshot.nodes().iter().map(|node| ImageLocality.score(&cycle, *node)).collect()
}

#[test]
fn images_that_many_nodes_have_are_worth_their_size() {
    let mut snapshot = Snapshot::new();
    snapshot.set_node(with_images("a", &[("i:latest", 1000), ("reg:5000/j:1", 200)]));
    snapshot.set_node(with_images("b", &[("i:latest", 1000)]));
    snapshot.set_node(with_images("c", &[("reg:5000/j:1", 9)]));
    snapshot.set_node(with_images("d", &[]));
    // Half of the nodes have each of them.
    assert_eq!(scores(&mut snapshot, runs(&["i"])), [48, 48, 0, 0]);
    assert_eq!(scores(&mut snapshot, runs(&["reg:5000/j:1"])), [7, 0, 7, 0]);
    assert_eq!(scores(&mut snapshot, runs(&["i", "reg:5000/j:1"])), [29, 24, 3, 0]);
    assert_eq!(scores(&mut snapshot, runs(&["i", "i"])), [49, 49, 0, 0]);
    assert_eq!(scores(&mut snapshot, runs(&["j"])), [0, 0, 0, 0]);
    let mounts = runs(&["x"]).set("volumes", json!([{"name": "v", "image": {"reference": "i"}}]));
    assert_eq!(scores(&mut snapshot, mounts), [48, 48, 0, 0]);
    // The first to have it says how large it is, until nobody has it any more.
    snapshot.set_node(with_images("a", &[]));
    assert_eq!(scores(&mut snapshot, runs(&["reg:5000/j:1"])), [0, 0, 2, 0]);
    snapshot.remove_node("c");
    snapshot.set_node(with_images("c", &[("reg:5000/j:1", 900)]));
    assert_eq!(scores(&mut snapshot, runs(&["reg:5000/j:1"])), [0, 0, 20, 0]);
}

fn images() -> impl Strategy<Value = Vec<(usize, i64)>> {
    prop::collection::vec((0..NAMES.len(), prop_oneof![0i64..60, 0i64..3000]), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Every node that fits gets from it what the rules say, whatever images there are.
    #[test]
    fn scores_are_those_of_the_reference(
        nodes in prop::collection::vec(images(), 1..6),
        own in prop::collection::vec(0..NAMES.len(), 0..4),
        mounted in prop::option::of(0..NAMES.len()),
    ) {
        let nodes: Vec<_> = nodes
            .into_iter()
            .enumerate()
            .map(|(at, images)| {
                let tag = |name: &str| if name.contains(['@', '1']) || name.ends_with("latest") { name.to_owned() } else { format!("{name}:latest") };
                let images: Vec<_> = images.into_iter().map(|(name, size)| (tag(NAMES[name]), size)).collect();
                let images: Vec<_> = images.iter().map(|(name, size)| (name.as_str(), *size)).collect();
                with_images(&format!("n{at}"), &images)
            })
            .collect();
        let names: Vec<_> = own.into_iter().map(|name| NAMES[name]).collect();
        let mut story = runs(&names);
        if let Some(mounted) = mounted {
            story = story.set("volumes", json!([{"name": "v", "image": {"reference": NAMES[mounted]}}]));
        }
        let mut snapshot = Snapshot::new();
        for node in &nodes {
            snapshot.set_node(node.clone());
        }
        let world = World { nodes, ..World::default() };
        let judged = reference::judge(&world, &Settings::default(), &story.clone().make());
        let Judgement::Schedulable { nodes, .. } = judged else { panic!("{judged:?}") };
        let expected: Vec<_> = nodes
            .values()
            .map(|node| match node {
                NodeJudgement::Fits { scores, .. } => scores[&reference::Plugin::ImageLocality].raw,
                other => panic!("{other:?}"),
            })
            .collect();
        prop_assert_eq!(scores(&mut snapshot, story), expected);
    }
}
