//! The board of one class.

use super::Domains;
use super::lanes::{GroupId, Lanes};
use crate::env::{HashMap, Stream};
use crate::sched::decide::{Decision, failure, invalid_score};
use crate::sched::framework::{
    Cycle, Feasible, Filter, MAX_SCORE, Notes, PreFiltered, PreScored, Profile, Score, Verdict,
};
use crate::sched::{NodeIndex, PodInfo, Snapshot};

/// What ends an attempt; boxed, since it hardly ever happens.
type Failed = Box<Decision>;

/// What every node is worth to the pods of a class.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// What plugins noted of the class.
    notes: Notes,
    asked: Asked,
    /// Up to where it has followed the snapshot's changes.
    followed: Option<u64>,
    lanes: Lanes,
    groups: HashMap<Box<[i64]>, GroupId>,
    /// By group: the raw scores that are normalised, in the order of the plugins, and then what those read that
    /// look beyond a node.
    raws: Vec<Box<[i64]>>,
    used: u64,
}

/// Which plugins of the profile are asked about nodes, by their places in it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    filters: Vec<usize>,
    scores: Vec<usize>,
    /// Those that look beyond a node and so are asked about groups.
    beyond: Vec<usize>,
    /// Those of them whose filters are asked.
    beyond_filters: Vec<usize>,
    /// That a plugin leaves only a few nodes, or none: no board is needed for them.
    narrow: bool,
}

/// Nodes of a group.
#[derive(Clone, Copy)]
struct Candidates {
    group: GroupId,
    /// The highest sum of those scores that are not normalised.
    value: i32,
    /// How many nodes have it.
    best: u64,
    /// That, and what the group as a whole is worth.
    total: i64,
    /// One of the group.
    node: NodeIndex,
}

impl Board {
    /// The time of its last use.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let raws = self.raws.iter().map(|raws| 64 + 2 * size_of_val(&raws[..])).sum::<usize>();
        size_of::<Self>() + self.lanes.bytes() + raws
    }

    /// Decides for a pod of the class; nothing where no node will do, or a board is of no use.
    pub(super) fn decide(
        &mut self,
        profile: &Profile,
        snapshot: &Snapshot,
        pod: &PodInfo,
        draw: &Stream,
        now: u64,
    ) -> Option<Decision> {
        self.used = now;
        let mut cycle = Cycle::resumed(pod, snapshot, std::mem::take(&mut self.notes));
        let found = match self.follow(profile, &mut cycle) {
            Ok(()) if self.asked.narrow => Ok(Vec::new()),
            Ok(()) => self.best(profile, &mut cycle),
            Err(failed) => Err(failed),
        };
        self.notes = cycle.into_notes();
        match found {
            Ok(best) if best.is_empty() => None,
            Ok(best) => self.draw(&best, draw).map(Decision::Place),
            Err(failed) => {
                // It is in no state to go on from.
                self.followed = None;
                Some(*failed)
            }
        }
    }

    /// Looks at what has changed since the last time.
    fn follow(&mut self, profile: &Profile, cycle: &mut Cycle<'_>) -> Result<(), Failed> {
        let changes = cycle.snapshot.changes();
        let known = self.followed.filter(|position| changes.reach(*position));
        let known = match known {
            // What plugins noted may have been about the nodes that changed.
            Some(since) if changes.since(since).any(|change| change.object) => {
                (!self.ask(profile, cycle)?).then_some(since)
            }
            Some(since) => {
                let mut anew = false;
                for change in changes.since(since).filter(|change| change.is_last) {
                    for place in &self.asked.beyond {
                        anew |= domains(profile, *place).follow(cycle, change.node);
                    }
                }
                if anew {
                    self.ask(profile, cycle)?;
                }
                (!anew).then_some(since)
            }
            None => {
                self.ask(profile, cycle)?;
                None
            }
        };
        let mut raws = Vec::new();
        match known {
            _ if self.asked.narrow => self.forget(),
            Some(since) => {
                for change in changes.since(since).filter(|change| change.is_last) {
                    self.judge(profile, cycle, change.node, &mut raws)?;
                }
            }
            None => {
                self.forget();
                for node in cycle.snapshot.nodes() {
                    self.judge(profile, cycle, *node, &mut raws)?;
                }
            }
        }
        self.followed = Some(changes.end());
        Ok(())
    }

    fn forget(&mut self) {
        self.lanes.reset();
        self.groups.clear();
        self.raws.clear();
    }

    /// Asks plugins about the class before they are asked about nodes. Returns whether all nodes must be judged anew:
    /// other plugins are asked now, or one looks beyond nodes and has noted anew what it sees there.
    fn ask(&mut self, profile: &Profile, cycle: &mut Cycle<'_>) -> Result<bool, Failed> {
        let mut asked = Asked::default();
        let mut skipped = Vec::new();
        for (place, name, plugin) in profile.placed(|plugin| plugin.as_pre_filter()) {
            match plugin.pre_filter(cycle) {
                PreFiltered::Run | PreFiltered::Reject(Verdict::Fits) => {}
                PreFiltered::Skip => skipped.push(place),
                PreFiltered::Only(_)
                | PreFiltered::Reject(Verdict::Unschedulable(_) | Verdict::Unresolvable(_)) => {
                    asked.narrow = true;
                }
                PreFiltered::Reject(Verdict::Error(message)) => {
                    return Err(failure("PreFilter", name, &message).into());
                }
            }
        }
        let beyond = |place: usize| looks_beyond(profile, place).is_some();
        let concerned =
            |place: &usize| looks_beyond(profile, *place).is_some_and(|domains| domains.concerns(cycle));
        asked.beyond = (0..profile.len()).filter(concerned).collect();
        let filters = profile.placed(|plugin| plugin.as_filter()).map(|(place, _, _)| place);
        (asked.beyond_filters, asked.filters) =
            filters.filter(|place| !skipped.contains(place)).partition(|place| beyond(*place));
        skipped.clear();
        if !asked.narrow {
            let all = Feasible::of(cycle.snapshot.nodes());
            for (place, _, plugin) in profile.placed(|plugin| plugin.as_pre_score()) {
                if beyond(place) || plugin.pre_score(cycle, &all) != PreScored::Run {
                    skipped.push(place);
                }
            }
        }
        let scores = profile.placed(|plugin| plugin.as_score()).map(|(place, _, _)| place);
        asked.scores = scores.filter(|place| !skipped.contains(place) && !beyond(*place)).collect();
        let others = asked != self.asked || !asked.beyond.is_empty();
        self.asked = asked;
        Ok(others)
    }

    /// Finds a node's place on the board, or that it has none.
    fn judge(
        &mut self,
        profile: &Profile,
        cycle: &Cycle<'_>,
        node: NodeIndex,
        raws: &mut Vec<i64>,
    ) -> Result<(), Failed> {
        if !cycle.snapshot.is_listed(node) {
            self.lanes.clear(node);
            return Ok(());
        }
        for place in &self.asked.filters {
            let (name, filter) = filter(profile, *place);
            match filter.filter(cycle, node) {
                Verdict::Fits => {}
                Verdict::Error(message) => return Err(failure("Filter", name, &message).into()),
                Verdict::Unschedulable(_) | Verdict::Unresolvable(_) => {
                    self.lanes.clear(node);
                    return Ok(());
                }
            }
        }
        raws.clear();
        let mut sum = 0;
        for place in &self.asked.scores {
            let (name, weight, score) = score(profile, *place);
            let raw = score.score(cycle, node);
            if score.as_normalize().is_some() {
                raws.push(raw);
            } else if (0..=MAX_SCORE).contains(&raw) {
                sum += raw * weight;
            } else {
                return Err(invalid_score(name, raw).into());
            }
        }
        for place in &self.asked.beyond {
            domains(profile, *place).read(cycle, node, raws);
        }
        let group = match self.groups.get(&raws[..]) {
            Some(group) => *group,
            None => {
                let group = self.lanes.group();
                self.groups.insert(raws[..].into(), group);
                self.raws.push(raws[..].into());
                group
            }
        };
        // A profile shares nothing whose weights could exceed this.
        self.lanes.set(node, group, i32::try_from(sum).unwrap_or(i32::MAX));
        Ok(())
    }

    /// The groups that have the best nodes; none where no node will do.
    fn best(&self, profile: &Profile, cycle: &mut Cycle<'_>) -> Result<Vec<Candidates>, Failed> {
        let candidates = |group| {
            let (value, best) = self.lanes.best(group)?;
            let node = self.lanes.any(group)?;
            Some(Candidates { group, value, best, total: value.into(), node })
        };
        let mut groups: Vec<_> = self.lanes.groups().filter_map(candidates).collect();
        for place in &self.asked.beyond_filters {
            let (name, filter) = filter(profile, *place);
            let mut failed = None;
            groups.retain(|group| match filter.filter(cycle, group.node) {
                Verdict::Fits => true,
                Verdict::Error(message) => {
                    failed = Some(failure("Filter", name, &message));
                    false
                }
                Verdict::Unschedulable(_) | Verdict::Unresolvable(_) => false,
            });
            if let Some(failed) = failed {
                return Err(failed.into());
            }
        }
        let mut at = 0;
        for place in &self.asked.scores {
            if score(profile, *place).2.as_normalize().is_some() {
                let raw = |group: &Candidates| self.raws[group.group.0 as usize][at];
                let scores = groups.iter().map(raw).collect();
                at += 1;
                add(profile, cycle, *place, scores, &mut groups)?;
            }
        }
        if !self.asked.beyond.is_empty() {
            self.add_beyond(profile, cycle, &mut groups)?;
        }
        let highest = groups.iter().map(|group| group.total).max();
        groups.retain(|group| Some(group.total) == highest);
        Ok(groups)
    }

    /// Adds the scores of those plugins that look beyond nodes.
    fn add_beyond(
        &self,
        profile: &Profile,
        cycle: &mut Cycle<'_>,
        groups: &mut [Candidates],
    ) -> Result<(), Failed> {
        let nodes: Vec<_> = groups.iter().map(|group| group.node).collect();
        let times: Vec<_> = groups.iter().map(|group| self.lanes.len(group.group) as u64).collect();
        let feasible = Feasible::alike(&nodes, &times);
        for place in &self.asked.beyond {
            let (plugin, _) = profile.at(*place);
            let before = plugin.as_pre_score().map(|plugin| plugin.pre_score(cycle, &feasible));
            if let Some(score) = plugin.as_score().filter(|_| matches!(before, None | Some(PreScored::Run))) {
                let scores = nodes.iter().map(|node| score.score(cycle, *node)).collect();
                add(profile, cycle, *place, scores, groups)?;
            }
        }
        Ok(())
    }

    fn draw(&self, best: &[Candidates], draw: &Stream) -> Option<NodeIndex> {
        let mut chosen = draw.below(best.iter().map(|group| group.best).sum());
        for group in best {
            if chosen < group.best {
                return self.lanes.nth(group.group, group.value, chosen);
            }
            chosen -= group.best;
        }
        None
    }
}

/// Adds a plugin's scores of groups to what they are worth.
fn add(
    profile: &Profile,
    cycle: &Cycle<'_>,
    place: usize,
    mut scores: Vec<i64>,
    groups: &mut [Candidates],
) -> Result<(), Failed> {
    let (name, weight, score) = score(profile, place);
    if let Some(plugin) = score.as_normalize() {
        plugin.normalize(cycle, &mut scores);
    }
    for (group, score) in groups.iter_mut().zip(scores) {
        if !(0..=MAX_SCORE).contains(&score) {
            return Err(invalid_score(name, score).into());
        }
        group.total += score * weight;
    }
    Ok(())
}

fn filter(profile: &Profile, place: usize) -> (&'static str, &dyn Filter) {
    let (plugin, _) = profile.at(place);
    (plugin.name(), plugin.as_filter().expect("it filtered when the class was asked"))
}

fn score(profile: &Profile, place: usize) -> (&'static str, i64, &dyn Score) {
    let (plugin, weight) = profile.at(place);
    (plugin.name(), weight, plugin.as_score().expect("it scored when the class was asked"))
}

fn looks_beyond(profile: &Profile, place: usize) -> Option<&dyn Domains> {
    profile.at(place).0.as_classed().and_then(|classed| classed.as_domains())
}

fn domains(profile: &Profile, place: usize) -> &dyn Domains {
    looks_beyond(profile, place).expect("it looked beyond nodes when the class was asked")
}

#[cfg(test)]
impl Board {
    /// The best nodes, and their score.
    pub(super) fn tied(
        &mut self,
        profile: &Profile,
        snapshot: &Snapshot,
        pod: &PodInfo,
    ) -> (i64, Vec<NodeIndex>) {
        let mut cycle = Cycle::resumed(pod, snapshot, std::mem::take(&mut self.notes));
        let best = self.best(profile, &mut cycle).expect("scores");
        self.notes = cycle.into_notes();
        let nodes = best.iter().flat_map(|group| {
            (0..group.best).filter_map(|skip| self.lanes.nth(group.group, group.value, skip))
        });
        (best.first().map_or(0, |group| group.total), nodes.collect())
    }
}
