//! ImageLocality: a node that has a pod's images is the better for it, the more so the larger they are and the more
//! nodes have them.
//!
//! What an image is worth depends on all nodes: on how many there are, and how many have it. So nodes are told apart
//! by which of the pod's images they have, and that is all that a board remembers of them.
//!
//! Source: `pkg/scheduler/framework/plugins/imagelocality/image_locality.go` (1.36).

use std::borrow::Cow;

use k8s_openapi::api::core::v1::PodSpec;

use crate::sched::{
    ClassKey, Classed, Cycle, Domains, Feasible, ImageId, MAX_SCORE, NodeIndex, Plugin, PodInfo, PreScore,
    PreScored, Score, Snapshot,
};

/// Scores by the images that a node has.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageLocality;

const MEBIBYTE: i64 = 1 << 20;
/// Images that are smaller together are worth nothing.
const LEAST: i64 = 23 * MEBIBYTE;
/// Images of this size a container are worth all.
const MOST: i64 = 1000 * MEBIBYTE;

/// The pod's images that some node has, as often as the pod names them.
struct Wanted(Vec<ImageId>);

/// A name as runtimes list it: with the tag that is meant where none is said. A port is no tag.
fn with_tag(image: &str) -> Cow<'_, str> {
    if image.rfind(':') <= image.rfind('/') { format!("{image}:latest").into() } else { image.into() }
}

/// How many containers a pod has, those that run first among them.
fn containers(spec: &PodSpec) -> usize {
    spec.containers.len() + spec.init_containers.as_ref().map_or(0, Vec::len)
}

/// The images of a pod's containers, and those that it mounts.
fn images(spec: &PodSpec) -> impl Iterator<Item = Cow<'_, str>> {
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let run = containers.map(|container| container.image.as_deref().unwrap_or_default());
    let mounted = spec.volumes.iter().flatten().filter_map(|volume| volume.image.as_ref());
    run.chain(mounted.map(|image| image.reference.as_deref().unwrap_or_default())).map(with_tag)
}

/// Those of a pod's images that some node has.
fn wanted(pod: &PodInfo, snapshot: &Snapshot) -> impl Iterator<Item = ImageId> {
    pod.spec().into_iter().flat_map(images).filter_map(|image| snapshot.image(&image))
}

/// The size of an image, times the share of nodes that have it.
fn worth(snapshot: &Snapshot, image: ImageId) -> i64 {
    let (size, nodes) = snapshot.image_spread(image);
    let share = f64::from(nodes) / snapshot.nodes().len() as f64;
    (size as f64 * share) as i64
}

/// What images that are worth so much together are worth to a pod with so many containers.
fn priority(worth: i64, containers: usize) -> i64 {
    let most = MOST * containers as i64;
    let counted = if worth < LEAST { LEAST } else { worth.min(most) };
    MAX_SCORE * (counted - LEAST) / (most - LEAST)
}

impl Plugin for ImageLocality {
    fn name(&self) -> &'static str {
        "ImageLocality"
    }

    fn as_classed(&self) -> Option<&dyn Classed> {
        Some(self)
    }

    fn as_pre_score(&self) -> Option<&dyn PreScore> {
        Some(self)
    }

    fn as_score(&self) -> Option<&dyn Score> {
        Some(self)
    }
}

impl PreScore for ImageLocality {
    fn pre_score(&self, cycle: &mut Cycle<'_>, _: &Feasible<'_>) -> PreScored {
        let wanted: Vec<_> = wanted(cycle.pod, cycle.snapshot).collect();
        if wanted.is_empty() {
            return PreScored::Skip;
        }
        cycle.note(Wanted(wanted));
        PreScored::Run
    }
}

impl Score for ImageLocality {
    fn score(&self, cycle: &Cycle<'_>, node: NodeIndex) -> i64 {
        let (pod, snapshot) = (cycle.pod, cycle.snapshot);
        let of = |image: ImageId| if snapshot.has_image(node, image) { worth(snapshot, image) } else { 0 };
        let sum = match cycle.noted::<Wanted>() {
            Some(Wanted(wanted)) => wanted.iter().fold(0, |sum: i64, image| sum.saturating_add(of(*image))),
            None => wanted(pod, snapshot).fold(0, |sum: i64, image| sum.saturating_add(of(image))),
        };
        priority(sum, pod.spec().map_or(0, containers))
    }
}

impl Classed for ImageLocality {
    fn key(&self, pod: &PodInfo, _: &Snapshot, key: &mut ClassKey) -> bool {
        let Some(spec) = pod.spec() else { return true };
        key.number(containers(spec) as i64);
        key.number(images(spec).count() as i64);
        images(spec).for_each(|image| key.text(&image));
        true
    }

    fn as_domains(&self) -> Option<&dyn Domains> {
        Some(self)
    }
}

impl Domains for ImageLocality {
    fn concerns(&self, cycle: &Cycle<'_>) -> bool {
        wanted(cycle.pod, cycle.snapshot).next().is_some()
    }

    fn outlasts(&self) -> bool {
        true
    }

    fn follow(&self, _: &mut Cycle<'_>, _: NodeIndex) -> bool {
        false
    }

    /// Which of the pod's images the node has. That holds of the names, whichever numbers they have just now.
    fn read(&self, cycle: &Cycle<'_>, node: NodeIndex, place: &mut Vec<i64>) {
        let snapshot = cycle.snapshot;
        let has = |image: Cow<'_, str>| snapshot.image(&image).is_some_and(|id| snapshot.has_image(node, id));
        place.extend(cycle.pod.spec().into_iter().flat_map(images).map(|image| i64::from(has(image))));
    }
}

#[cfg(test)]
#[path = "image_locality_tests.rs"]
mod tests;
