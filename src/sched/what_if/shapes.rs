//! Which nodes would make all pending pods fit?

use k8s_openapi::api::core::v1::Node;
use serde::Serialize;

use super::{Left, WhatIf};
use crate::sched::{NodeIndex, ResourceId, Snapshot};

/// How many nodes of each shape to add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Shapes {
    /// By shape, as they were given.
    pub counts: Vec<usize>,
    /// How good the answer is.
    pub quality: Quality,
    /// The pods that no number of nodes makes fit; there are none unless the answer is
    /// [impossible](Quality::Impossible).
    pub left: Vec<Left>,
}

/// How good an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Quality {
    /// With fewer nodes not all pods find a node: every smaller number was tried, or is too few by the sums alone.
    Exact,
    /// It will do, and fewer than so many nodes will not; between the two, nothing is known.
    AtLeast(usize),
    /// Some pods find no node even if there is a new one of each shape for every pod.
    Impossible,
}

impl WhatIf {
    /// The fewest nodes of these shapes with which the scheduler places all pods that wait. Nothing is changed.
    ///
    /// Of one shape the answer is exact. Of several, it is the best of: each shape alone, and adding node by node
    /// whichever makes most pods fit and then taking away what turned out needless; its quality says how far from
    /// the fewest it may be.
    #[must_use]
    pub fn shapes(&self, candidates: &[Node]) -> Shapes {
        let none = vec![0; candidates.len()];
        let left = self.left_with(candidates, &none);
        if left.is_empty() {
            return Shapes { counts: none, quality: Quality::Exact, left };
        }
        let pods = self.pending.len();
        let all = vec![pods; candidates.len()];
        let left = self.left_with(candidates, &all);
        if candidates.is_empty() || !left.is_empty() {
            return Shapes { counts: none, quality: Quality::Impossible, left };
        }
        if let [_] = candidates {
            let fewest = (self.at_least(candidates)..pods).find(|count| self.suffice(candidates, &[*count]));
            let counts = vec![fewest.unwrap_or(pods)];
            return Shapes { counts, quality: Quality::Exact, left };
        }
        let mut best = self.greedy(candidates).unwrap_or(all);
        for shape in 0..candidates.len() {
            let total: usize = best.iter().sum();
            let alone = |count: usize| -> Vec<usize> {
                (0..candidates.len()).map(|own| if own == shape { count } else { 0 }).collect()
            };
            // A shape that is no good at all is not tried with every number.
            if self.suffice(candidates, &alone(total)) {
                let mut fewer = self.at_least(&candidates[shape..=shape])..total;
                best = fewer.find(|count| self.suffice(candidates, &alone(*count))).map_or(best, alone);
            }
        }
        let (total, least) = (best.iter().sum::<usize>(), self.at_least(candidates));
        let quality = if total == least { Quality::Exact } else { Quality::AtLeast(least) };
        Shapes { counts: best, quality, left }
    }

    fn suffice(&self, candidates: &[Node], counts: &[usize]) -> bool {
        self.left_with(candidates, counts).is_empty()
    }

    /// Who finds no node with these nodes more.
    fn left_with(&self, candidates: &[Node], counts: &[usize]) -> Vec<Left> {
        let mut fork = self.fork();
        for (shape, count) in candidates.iter().zip(counts) {
            fork.add_nodes(shape, *count);
        }
        fork.place().left
    }

    /// Adds what helps most, node by node, and takes away what is needless then. Nothing where a node alone does not
    /// help.
    fn greedy(&self, candidates: &[Node]) -> Option<Vec<usize>> {
        let mut counts = vec![0; candidates.len()];
        let mut grown = self.fork();
        let mut left = grown.place().left.len();
        while left > 0 {
            let with = |shape: &Node| {
                let mut fork = grown.fork();
                fork.add_nodes(shape, 1);
                (fork.place().left.len(), fork)
            };
            let tried = candidates.iter().map(with).enumerate();
            let (shape, (fewer, fork)) = tried.min_by_key(|(_, (left, _))| *left)?;
            if fewer >= left {
                return None;
            }
            counts[shape] += 1;
            (left, grown) = (fewer, fork);
        }
        // Placed all at once, they may not fit as they did one after the other.
        while !self.suffice(candidates, &counts) {
            let most = (0..counts.len()).max_by_key(|shape| counts[*shape])?;
            counts[most] += 1;
            if counts[most] > self.pending.len() {
                return None;
            }
        }
        for shape in 0..counts.len() {
            while counts[shape] > 0 {
                counts[shape] -= 1;
                if !self.suffice(candidates, &counts) {
                    counts[shape] += 1;
                    break;
                }
            }
        }
        Some(counts)
    }

    /// Fewer nodes than these cannot do, as what all pods ask for is more than is free then.
    fn at_least(&self, candidates: &[Node]) -> usize {
        if !self.profile.has("NodeResourcesFit") {
            return 1;
        }
        let mut empty = Snapshot::clone(&self.snapshot);
        let mut added = Vec::new();
        for shape in candidates {
            let mut node = shape.clone();
            let name = format!("what-if/{}", added.len());
            node.metadata.name = Some(name.clone());
            empty.set_node(node.into());
            added.extend(empty.find(&name));
        }
        let most = |resource, nodes: &[NodeIndex]| {
            nodes.iter().map(|node| empty.allocatable(resource, *node)).max().unwrap_or(0)
        };
        let resources = self.pending.iter().flat_map(|pod| &pod.requests).map(|(resource, _)| *resource);
        let mut resources: Vec<_> = resources.chain([ResourceId::PODS]).collect();
        resources.sort_unstable();
        resources.dedup();
        let needed = resources.into_iter().map(|resource| {
            let asked = |pod: &crate::sched::PodInfo| match resource {
                ResourceId::PODS => 1,
                resource => pod.request(resource),
            };
            let asked: i128 = self.pending.iter().map(|pod| i128::from(asked(pod))).sum();
            let free = |node: &NodeIndex| {
                let all = self.snapshot.allocatable(resource, *node);
                i128::from(all.saturating_sub(self.snapshot.requested(resource, *node)).max(0))
            };
            let free: i128 = self.snapshot.nodes().iter().map(free).sum();
            let each = i128::from(most(resource, &added)).max(1);
            usize::try_from(((asked - free).max(0) + each - 1) / each).unwrap_or(0)
        });
        needed.max().unwrap_or(0).max(1)
    }
}
