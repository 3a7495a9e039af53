//! The scheduler beside the slow reference: the same verdicts, the same scores, the same words.
//!
//! Worlds are drawn from a seed, which a disagreement prints. `WINDLASS_WORLDS` says how many; 100,000 take minutes.

mod volumes;
mod worlds;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::decide::{Decision, decide, feasible};
use super::framework::{Cycle, Feasible, PreScored, Profile};
use super::reference::{Judgement, NodeJudgement, Plugin, Settings, World, judge};
use super::{Boards, Catalogued, Controller, Diagnosis, PodInfo, Snapshot};
use crate::api::selector::LabelSelector;
use crate::env::{Random, Stream};
use worlds::Worlds;

/// How many worlds are drawn, unless `WINDLASS_WORLDS` says otherwise.
const WORLDS: u64 = 400;
/// How many pods are decided in each.
const PODS: usize = 8;

/// The settings of the reference that are those of a profile.
fn settings_of(profile: &Profile) -> Settings {
    let mut settings = Settings::default();
    let names: BTreeSet<_> = profile.names().collect();
    settings.plugins.retain(|(plugin, _)| names.contains(plugin.name()));
    settings
}

fn set<K: Catalogued>(snapshot: &mut Snapshot, objects: &[Arc<K>]) {
    for object in objects {
        snapshot.set_object(object.clone());
    }
}

/// A snapshot of a world.
fn snapshot_of(world: &World) -> Snapshot {
    let mut snapshot = Snapshot::new();
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    for node in &world.nodes {
        snapshot.set_node(node.clone());
    }
    for namespace in &world.namespaces {
        let labels = namespace.metadata.labels.clone().unwrap_or_default();
        snapshot.set_namespace(&name(&namespace.metadata.name), labels);
    }
    for service in &world.services {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let meta = &service.metadata;
        snapshot.set_service(&name(&meta.namespace), &name(&meta.name), selector);
    }
    for set in &world.replica_sets {
        let selector = LabelSelector::from_k8s(set.spec.as_ref().map(|spec| &spec.selector)).ok();
        let meta = &set.metadata;
        snapshot.set_controller(Controller::ReplicaSet, &name(&meta.namespace), &name(&meta.name), selector);
    }
    set(&mut snapshot, &world.persistent_volumes);
    set(&mut snapshot, &world.persistent_volume_claims);
    set(&mut snapshot, &world.storage_classes);
    set(&mut snapshot, &world.csi_nodes);
    set(&mut snapshot, &world.csi_drivers);
    set(&mut snapshot, &world.csi_storage_capacities);
    set(&mut snapshot, &world.volume_attachments);
    for pod in &world.pods {
        let info = Arc::new(snapshot.read(pod.clone()));
        if let Some(node) = info.node_name().map(str::to_owned).filter(|_| !info.is_finished()) {
            snapshot.place(info, &node);
        }
    }
    snapshot
}

type Scores = BTreeMap<&'static str, i64>;

/// What each node that will do is given, by plugin.
fn scores(profile: &Profile, snapshot: &Snapshot, pod: &PodInfo) -> BTreeMap<String, Scores> {
    let mut cycle = Cycle::new(pod, snapshot);
    let mut diagnosis = Diagnosis::of(snapshot.nodes().len());
    let nodes = feasible(profile, &mut cycle, &mut diagnosis).expect("no plugin fails");
    let mut given: BTreeMap<_, _> =
        nodes.iter().map(|node| (snapshot.name(*node).to_string(), Scores::new())).collect();
    let mut skipped = Vec::new();
    for (place, _, plugin) in profile.placed(|plugin| plugin.as_pre_score()) {
        match plugin.pre_score(&mut cycle, &Feasible::of(&nodes)) {
            PreScored::Run => {}
            PreScored::Skip => skipped.push(place),
            PreScored::Same(score) => {
                skipped.push(place);
                let (plugin, weight) = profile.at(place);
                for scores in given.values_mut() {
                    scores.insert(plugin.name(), score * weight);
                }
            }
        }
    }
    for (place, name, plugin) in profile.placed(|plugin| plugin.as_score()) {
        if skipped.contains(&place) {
            continue;
        }
        let mut scores: Vec<_> = nodes.iter().map(|node| plugin.score(&cycle, *node)).collect();
        if let Some(plugin) = plugin.as_normalize() {
            plugin.normalize(&cycle, &mut scores);
        }
        let (_, weight) = profile.at(place);
        for (scores, score) in given.values_mut().zip_by(&nodes, snapshot, scores) {
            scores.insert(name, score * weight);
        }
    }
    given
}

/// Scores in the order of nodes beside a map in the order of their names.
trait ZipBy<'a>: Iterator<Item = &'a mut Scores> + Sized {
    fn zip_by(
        self,
        nodes: &[super::NodeIndex],
        snapshot: &Snapshot,
        scores: Vec<i64>,
    ) -> impl Iterator<Item = (&'a mut Scores, i64)> {
        let mut named: Vec<_> = nodes.iter().map(|node| snapshot.name(*node).clone()).zip(scores).collect();
        named.sort();
        self.zip(named.into_iter().map(|(_, score)| score))
    }
}

impl<'a, I: Iterator<Item = &'a mut Scores>> ZipBy<'a> for I {}

/// The scores that are any: to skip a pod and to give every node nothing is the same.
fn said(scores: &Scores) -> Scores {
    scores.iter().filter(|(_, score)| **score != 0).map(|(name, score)| (*name, *score)).collect()
}

/// The scores of a judgement.
fn judged(nodes: &BTreeMap<String, NodeJudgement>) -> BTreeMap<String, BTreeMap<Plugin, i64>> {
    let fits = nodes.iter().filter_map(|(name, node)| match node {
        NodeJudgement::Fits { scores, .. } => {
            Some((name.clone(), scores.iter().map(|(plugin, score)| (*plugin, score.weighted)).collect()))
        }
        _ => None,
    });
    fits.collect()
}

struct Bench {
    profile: Profile,
    settings: Settings,
    world: World,
    snapshot: Snapshot,
    boards: Boards,
    draw: Stream,
}

impl Bench {
    fn new(world: World) -> Self {
        let profile = Profile::default();
        Self {
            settings: settings_of(&profile),
            profile,
            snapshot: snapshot_of(&world),
            world,
            boards: Boards::default(),
            draw: Random::seeded(1).stream("draw"),
        }
    }

    /// Holds both against each other for one pod; returns the nodes that are best.
    fn hold(&mut self, pod: &Arc<Pod>) -> Vec<String> {
        let judgement = judge(&self.world, &self.settings, pod);
        let info = self.snapshot.read(pod.clone());
        let decision = decide(&self.profile, &mut Cycle::new(&info, &self.snapshot), &self.draw);
        let shared = self.boards.decide(&self.profile, &self.snapshot, &info, &self.draw);
        match judgement {
            Judgement::Schedulable { nodes, best, .. } => {
                let own = scores(&self.profile, &self.snapshot, &info);
                let theirs = judged(&nodes);
                assert_eq!(
                    own.keys().collect::<Vec<_>>(),
                    theirs.keys().collect::<Vec<_>>(),
                    "the nodes that will do"
                );
                for (node, own) in &own {
                    let theirs: Scores =
                        theirs[node].iter().map(|(plugin, score)| (plugin.name(), *score)).collect();
                    assert_eq!(said(own), said(&theirs), "what {node} is given");
                }
                for decision in [decision, shared] {
                    let Decision::Place(node) = decision else { panic!("{best:?}, but {decision:?}") };
                    assert!(
                        best.contains(&**self.snapshot.name(node)),
                        "{} of {best:?}",
                        self.snapshot.name(node)
                    );
                }
                best.into_iter().collect()
            }
            Judgement::Unschedulable { condition, .. } | Judgement::Refused { condition, .. } => {
                for decision in [decision, shared] {
                    let Decision::Reject(diagnosis) = decision else {
                        panic!("{condition}, but {decision:?}")
                    };
                    assert_eq!(diagnosis.message(), condition);
                }
                Vec::new()
            }
            Judgement::Failed { plugin, message } => {
                for decision in [decision, shared] {
                    let Decision::Fail { plugin: own, message: said } = decision else {
                        panic!("{message}, but {decision:?}")
                    };
                    assert_eq!((own, said), (plugin.name(), message.clone()));
                }
                Vec::new()
            }
            judgement => panic!("no such pod is drawn: {judgement:?}"),
        }
    }
}

fn hold(seed: u64) {
    let worlds = Worlds::seeded(seed);
    let mut bench = Bench::new(worlds.world());
    // A few classes of pods, so that some come a second time.
    let classes: Vec<_> = (0..3).map(|_| worlds.incoming()).collect();
    for number in 0..PODS {
        let mut pod = classes[worlds.below(3) as usize].clone();
        pod["metadata"]["name"] = format!("incoming-{number}").into();
        pod["metadata"]["uid"] = format!("incoming-{number}").into();
        let best = bench.hold(&Arc::new(worlds::read(&pod)));
        if let Some(node) = best.get(worlds.below(best.len() as u64) as usize).filter(|_| worlds.one_in(2)) {
            pod["spec"]["nodeName"] = node.as_str().into();
            let placed: Arc<Pod> = Arc::new(worlds::read(&pod));
            bench.world.pods.push(placed.clone());
            let info = Arc::new(bench.snapshot.read(placed));
            bench.snapshot.place(info, node);
        } else if worlds.one_in(4) && !bench.world.pods.is_empty() {
            let gone = worlds.below(bench.world.pods.len() as u64) as usize;
            let gone = bench.world.pods.remove(gone);
            bench.snapshot.unplace(gone.metadata.uid.as_deref().unwrap_or_default());
        } else if worlds.one_in(4) {
            let number = worlds.below(bench.world.nodes.len() as u64) as usize;
            let node = worlds.node(number);
            bench.snapshot.set_node(node.clone());
            bench.world.nodes[number] = node;
        }
    }
}

#[test]
fn every_verdict_score_and_word_is_the_references() {
    let worlds = std::env::var("WINDLASS_WORLDS").map_or(WORLDS, |worlds| worlds.parse().expect("a number"));
    let first = std::env::var("WINDLASS_WORLD").map_or(0, |seed| seed.parse().expect("a number"));
    for seed in first..first + worlds {
        if std::panic::catch_unwind(|| hold(seed)).is_err() {
            panic!("the world of seed {seed}: WINDLASS_WORLD={seed} WINDLASS_WORLDS=1 tells it alone");
        }
    }
}
