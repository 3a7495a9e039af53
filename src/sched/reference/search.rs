//! The search for nodes that will do.
//!
//! Source: `findNodesThatFitPod` of `pkg/scheduler/schedule_one.go`, and `RunPreFilterPlugins` and
//! `RunFilterPluginsWithNominatedPods` of `pkg/scheduler/framework/runtime/framework.go` (1.36). Every
//! node is looked at, however many there are.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;

use super::layout::Layout;
use super::settings::{Plugin, Settings};
use super::verdict::{Attempt, Before, Rejection, Verdict};
use super::world::{Named, World, is_finished, node_name, nominated_node, priority};
use super::{
    dynamic_resources, inter_pod_affinity, node_affinity, node_declared_features, node_name as named_node,
    node_ports, node_resources_fit, node_unschedulable, node_volume_limits, pod_topology_spread,
    taint_toleration, volume_binding, volume_restrictions, volume_zone,
};

/// What the search found.
pub(super) struct Search {
    /// The plugins that are not asked about nodes.
    pub(super) skipped: BTreeSet<Plugin>,
    /// The plugins that were asked about the pod.
    pub(super) asked: BTreeSet<Plugin>,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    /// A plugin failed.
    Failed(Failure),
    /// The pod was refused before nodes were looked at.
    Refused(Option<Plugin>, Rejection),
    /// Nodes were looked at.
    Looked {
        /// The nodes that were rejected, and by whom.
        rejected: BTreeMap<usize, (Plugin, Rejection)>,
        /// Why the nodes that are in neither list were not looked at.
        left_out: String,
        /// The nodes that will do, in the world's order.
        feasible: Vec<usize>,
    },
}

/// A plugin that could not tell.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) plugin: Plugin,
    pub(super) message: String,
}

/// Looks for nodes.
pub(super) fn search(attempt: &Attempt<'_, '_>) -> Search {
    let mut search = Search { skipped: BTreeSet::new(), asked: BTreeSet::new(), outcome: looked(Vec::new()) };
    let mut refused = None;
    let mut narrowing: BTreeSet<&str> = BTreeSet::new();
    let mut only: Option<BTreeSet<String>> = None;
    for (plugin, _) in &attempt.settings.plugins {
        let Some(said) = before(attempt, *plugin) else { continue };
        search.asked.insert(*plugin);
        match said {
            Before::Run => {}
            Before::Skip => {
                search.skipped.insert(*plugin);
            }
            // No eviction helps, so no other plugin has to be asked.
            Before::Reject(rejection) if rejection.unresolvable => {
                search.outcome = Outcome::Refused(Some(*plugin), rejection);
                return search;
            }
            // Evictions may help, and for these the others have to be asked. The last one has its say.
            Before::Reject(rejection) => refused = Some((*plugin, rejection)),
            Before::Fail(message) => {
                let message = format!("running PreFilter plugin {:?}: {message}", plugin.name());
                search.outcome = Outcome::Failed(Failure { plugin: *plugin, message });
                return search;
            }
            Before::Only(names) => {
                narrowing.insert(plugin.name());
                let left: BTreeSet<String> = match only {
                    None => names,
                    Some(before) => before.intersection(&names).cloned().collect(),
                };
                if left.is_empty() {
                    let names: Vec<_> = narrowing.iter().copied().collect();
                    let reason = match names[..] {
                        [one] => format!("node(s) didn't satisfy plugin {one}"),
                        _ => {
                            format!("node(s) didn't satisfy plugin(s) [{}] simultaneously", names.join(" "))
                        }
                    };
                    search.outcome = Outcome::Refused(None, Rejection::for_good(reason));
                    return search;
                }
                only = Some(left);
            }
        }
    }
    if let Some((plugin, rejection)) = refused {
        search.outcome = Outcome::Refused(Some(plugin), rejection);
        return search;
    }
    let kept = nominated_node(attempt.pod);
    let names: Vec<_> = narrowing.into_iter().collect();
    let (mut rejected, mut feasible) = (BTreeMap::new(), Vec::new());
    for (place, node) in attempt.start.places.iter().map(|place| place.node.name()).enumerate() {
        // The node that is kept for the pod is looked at first, whoever names which others.
        let named = only.as_ref().is_none_or(|only| only.contains(node));
        if !named && (kept.is_empty() || kept != node) {
            continue;
        }
        match fits(attempt, &search.skipped, attempt.start, place) {
            Err(failure) => {
                search.outcome = Outcome::Failed(failure);
                return search;
            }
            Ok(None) => feasible.push(place),
            Ok(Some(rejection)) => {
                rejected.insert(place, rejection);
            }
        }
    }
    let left_out = format!("node(s) didn't satisfy plugin(s) [{}]", names.join(" "));
    search.outcome = Outcome::Looked { rejected, left_out, feasible };
    search
}

fn looked(feasible: Vec<usize>) -> Outcome {
    Outcome::Looked { rejected: BTreeMap::new(), left_out: String::new(), feasible }
}

/// Who rejects a node, and why; nothing where nobody does.
///
/// Where pods that matter as much or more wait for the node, it must do with them there, and without
/// them: the one for what they take, the other for what they would bring, such as their company.
pub(super) fn fits<'w>(
    attempt: &Attempt<'_, 'w>,
    skipped: &BTreeSet<Plugin>,
    layout: &Layout<'w>,
    place: usize,
) -> Result<Option<(Plugin, Rejection)>, Failure> {
    let waiting = waiting_for(attempt, layout.places[place].node.name());
    if !waiting.is_empty() {
        let mut with = layout.clone();
        for pod in waiting {
            with.put(place, pod);
        }
        let rejection = filter(attempt, skipped, &with, place)?;
        if rejection.is_some() {
            return Ok(rejection);
        }
    }
    filter(attempt, skipped, layout, place)
}

/// The pods that a node is kept for and that matter at least as much.
fn waiting_for<'w>(attempt: &Attempt<'_, 'w>, node: &str) -> Vec<&'w Pod> {
    let Attempt { world, settings, pod, .. } = *attempt;
    nominated(world, settings, node)
        .filter(|other| priority(other) >= priority(pod) && other.uid() != pod.uid())
        .collect()
}

/// The pods of this scheduler that a node is kept for.
fn nominated<'w>(world: &'w World, settings: &Settings, node: &str) -> impl Iterator<Item = &'w Pod> {
    world
        .pods
        .iter()
        .map(AsRef::as_ref)
        .filter(move |pod: &&Pod| nominated_node(pod) == node)
        .filter(|pod| node_name(pod).is_empty() && !is_finished(pod))
        .filter(|pod| {
            let scheduler = pod.spec.as_ref().and_then(|spec| spec.scheduler_name.as_deref());
            scheduler.unwrap_or("default-scheduler") == settings.scheduler_name
        })
}

/// The first plugin that rejects a node.
fn filter(
    attempt: &Attempt<'_, '_>,
    skipped: &BTreeSet<Plugin>,
    layout: &Layout<'_>,
    place: usize,
) -> Result<Option<(Plugin, Rejection)>, Failure> {
    for (plugin, _) in &attempt.settings.plugins {
        if skipped.contains(plugin) {
            continue;
        }
        match ask(attempt, *plugin, layout, place) {
            Verdict::Fit => {}
            Verdict::Reject(rejection) => return Ok(Some((*plugin, rejection))),
            Verdict::Fail(error) => {
                let message = format!("running {:?} filter plugin: {error}", plugin.name());
                return Err(Failure { plugin: *plugin, message });
            }
        }
    }
    Ok(None)
}

/// What a plugin says of the pod; nothing where it has nothing to say before nodes are looked at.
pub(super) fn before(attempt: &Attempt<'_, '_>, plugin: Plugin) -> Option<Before> {
    Some(match plugin {
        Plugin::NodeAffinity => node_affinity::before(attempt.pod, attempt.settings),
        Plugin::NodePorts => node_ports::before(attempt.pod),
        Plugin::NodeResourcesFit => Before::Run,
        Plugin::VolumeRestrictions => volume_restrictions::before(attempt),
        Plugin::NodeVolumeLimits => node_volume_limits::before(attempt.pod),
        Plugin::VolumeBinding => volume_binding::before(attempt),
        Plugin::VolumeZone => volume_zone::before(attempt),
        Plugin::PodTopologySpread => pod_topology_spread::before(attempt),
        Plugin::InterPodAffinity => inter_pod_affinity::before(attempt),
        Plugin::DynamicResources => dynamic_resources::before(attempt),
        Plugin::NodeDeclaredFeatures => node_declared_features::before(attempt.pod),
        _ => return None,
    })
}

/// What a plugin says of a node.
pub(super) fn ask(attempt: &Attempt<'_, '_>, plugin: Plugin, layout: &Layout<'_>, place: usize) -> Verdict {
    let (pod, here) = (attempt.pod, &layout.places[place]);
    match plugin {
        Plugin::NodeUnschedulable => node_unschedulable::filter(pod, here.node),
        Plugin::NodeName => named_node::filter(pod, here.node),
        Plugin::TaintToleration => taint_toleration::filter(pod, here.node),
        Plugin::NodeAffinity => node_affinity::filter(pod, here.node, attempt.settings),
        Plugin::NodePorts => node_ports::filter(pod, here),
        Plugin::NodeResourcesFit => node_resources_fit::filter(attempt, here),
        Plugin::VolumeRestrictions => volume_restrictions::filter(attempt, layout, here),
        Plugin::NodeVolumeLimits => node_volume_limits::filter(attempt, here),
        Plugin::VolumeBinding => volume_binding::filter(attempt, here.node),
        Plugin::VolumeZone => volume_zone::filter(attempt, here.node),
        Plugin::PodTopologySpread => pod_topology_spread::filter(attempt, layout, here.node),
        Plugin::InterPodAffinity => inter_pod_affinity::filter(attempt, layout, here.node),
        Plugin::DynamicResources => dynamic_resources::filter(attempt, here),
        Plugin::NodeDeclaredFeatures => node_declared_features::filter(pod, here.node),
        _ => Verdict::Fit,
    }
}
