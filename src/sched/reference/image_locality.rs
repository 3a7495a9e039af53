//! ImageLocality: a node that has a pod's images is the better for it, the more so the larger they
//! are and the more nodes have them.
//!
//! Source: `pkg/scheduler/framework/plugins/imagelocality/image_locality.go` and `addNodeImageStates`
//! of `pkg/scheduler/backend/cache/cache.go` (1.36).

use k8s_openapi::api::core::v1::{Node, Pod};

use super::verdict::Scores;
use super::world::World;

const MEBIBYTE: i64 = 1 << 20;
/// Images that are smaller together are worth nothing.
const LEAST: i64 = 23 * MEBIBYTE;
/// Images of this size a container are worth all.
const MOST: i64 = 1000 * MEBIBYTE;

pub(super) fn score(world: &World, pod: &Pod, nodes: &[&Node]) -> Scores {
    Scores::plain(nodes.iter().map(|node| of_node(world, pod, node)).collect())
}

fn of_node(world: &World, pod: &Pod, node: &Node) -> i64 {
    let Some(spec) = &pod.spec else { return 0 };
    let containers: Vec<_> = spec.init_containers.iter().flatten().chain(&spec.containers).collect();
    let mounted =
        spec.volumes.iter().flatten().filter_map(|volume| volume.image.as_ref()?.reference.as_deref());
    let images = containers.iter().map(|container| container.image.as_deref().unwrap_or_default());
    let sum: i64 = images.chain(mounted).map(|image| worth(world, node, &with_tag(image))).sum();
    let most = MOST * containers.len() as i64;
    let counted = if sum < LEAST { LEAST } else { sum.min(most) };
    100 * (counted - LEAST) / (most - LEAST)
}

/// The size of an image that the node has, times the share of nodes that have it.
fn worth(world: &World, node: &Node, image: &str) -> i64 {
    if size_on(node, image).is_none() {
        return 0;
    }
    // Of what nodes say of an image's size, what the first says counts.
    let sizes: Vec<_> = world.nodes.iter().filter_map(|node| size_on(node, image)).collect();
    let share = sizes.len() as f64 / world.nodes.len() as f64;
    (sizes[0] as f64 * share) as i64
}

/// The size of an image as a node has it: that of the first entry with its name.
fn size_on(node: &Node, image: &str) -> Option<i64> {
    let mut images = node.status.as_ref()?.images.iter().flatten();
    let entry = images.find(|entry| entry.names.iter().flatten().any(|name| name == image))?;
    Some(entry.size_bytes.unwrap_or(0))
}

/// An image's name with a tag: `latest` where it has none. A port is no tag.
fn with_tag(image: &str) -> String {
    if image.rfind(':') <= image.rfind('/') { format!("{image}:latest") } else { image.to_owned() }
}
