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
    /// By node: what it is worth whatever is on it; nothing where it will not do.
    standings: Vec<Option<StandingId>>,
    known_standings: HashMap<Box<[i64]>, StandingId>,
    by_standing: Vec<Standing>,
    groups: HashMap<Box<[i64]>, GroupId>,
    /// By group: the raw scores that are normalised, in the order of [`Asked::normalised`].
    raws: Vec<Box<[i64]>>,
    used: u64,
}

/// What a node is worth to the plugins that do not count pods.
#[derive(Debug)]
struct Standing {
    /// The sum of the scores that are not normalised, and then the others as they are.
    scores: Box<[i64]>,
    /// The group of its nodes, where that follows from this alone.
    group: Option<GroupId>,
}

/// Which standing.
#[derive(Clone, Copy, Debug)]
struct StandingId(u32);

/// Which plugins of the profile are asked about nodes, by their places in it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    /// Those that do not count the pods on a node.
    still: Points,
    /// Those that do.
    moving: Points,
    /// Those whose scores are normalised: first those that do not count pods.
    normalised: Vec<usize>,
    /// Those that look beyond a node and so are asked about groups.
    beyond: Vec<usize>,
    /// Those of them whose filters are asked.
    beyond_filters: Vec<usize>,
    /// That a plugin leaves only a few nodes, or none: no board is needed for them.
    narrow: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Points {
    filters: Vec<usize>,
    scores: Vec<usize>,
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
        size_of::<Self>() + self.lanes.bytes() + raws + size_of_val(&self.standings[..])
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
            Err(_) => {
                // It is in no state to go on from. Which plugin fails at which node first, a look at every node says.
                self.followed = None;
                None
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
                    self.judge(profile, cycle, change.node, change.object, &mut raws)?;
                }
            }
            None => {
                self.forget();
                for node in cycle.snapshot.nodes() {
                    self.judge(profile, cycle, *node, true, &mut raws)?;
                }
            }
        }
        self.followed = Some(changes.end());
        Ok(())
    }

    fn forget(&mut self) {
        self.lanes.reset();
        self.standings.clear();
        self.known_standings.clear();
        self.by_standing.clear();
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
        let counts = |place: &usize| counts_pods(profile, *place);
        let filters = profile.placed(|plugin| plugin.as_filter()).map(|(place, _, _)| place);
        let (beyond_filters, filters) =
            filters.filter(|place| !skipped.contains(place)).partition(|place| beyond(*place));
        let filters: Vec<_> = filters;
        asked.beyond_filters = beyond_filters;
        // Behind one that is asked each time, all are: a node that it fails at must not be rejected by another before.
        let mut moving = false;
        (asked.moving.filters, asked.still.filters) = filters.into_iter().partition(|place| {
            moving |= counts(place);
            moving
        });
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
        let scores = scores.filter(|place| !skipped.contains(place) && !beyond(*place));
        (asked.moving.scores, asked.still.scores) = scores.partition(counts);
        let both = asked.still.scores.iter().chain(&asked.moving.scores);
        let normalised = |place: &&usize| score(profile, **place).2.as_normalize().is_some();
        asked.normalised = both.filter(normalised).copied().collect();
        let anew = |place: &usize| !domains(profile, *place).outlasts();
        let others = asked != self.asked || asked.beyond.iter().any(anew);
        self.asked = asked;
        Ok(others)
    }

    /// Finds a node's place on the board, or that it has none. `whole` says whether the node itself is another, and
    /// not only the pods there.
    fn judge(
        &mut self,
        profile: &Profile,
        cycle: &Cycle<'_>,
        node: NodeIndex,
        whole: bool,
        raws: &mut Vec<i64>,
    ) -> Result<(), Failed> {
        if whole {
            let standing = self.stand(profile, cycle, node, raws)?;
            if self.standings.len() <= node.number() {
                self.standings.resize(node.number() + 1, None);
            }
            self.standings[node.number()] = standing;
        }
        let standing = self.standings.get(node.number()).copied().flatten();
        let Some(standing) = standing.filter(|_| cycle.snapshot.is_listed(node)) else {
            self.lanes.clear(node);
            return Ok(());
        };
        if !passes(&self.asked.moving.filters, profile, cycle, node)? {
            self.lanes.clear(node);
            return Ok(());
        }
        raws.clear();
        let mut sum = rate(&self.asked.moving.scores, profile, cycle, node, raws)?;
        let normalised = raws.len();
        for place in &self.asked.beyond {
            domains(profile, *place).read(cycle, node, raws);
        }
        let StandingId(number) = standing;
        sum += self.by_standing[number as usize].scores[0];
        let group = match self.by_standing[number as usize].group {
            Some(group) if raws.is_empty() => group,
            _ => self.group(standing, raws, normalised),
        };
        // A profile shares nothing whose weights could exceed this.
        self.lanes.set(node, group, i32::try_from(sum).unwrap_or(i32::MAX));
        Ok(())
    }

    /// What a node is worth whatever is on it; nothing where it will not do.
    fn stand(
        &mut self,
        profile: &Profile,
        cycle: &Cycle<'_>,
        node: NodeIndex,
        scores: &mut Vec<i64>,
    ) -> Result<Option<StandingId>, Failed> {
        if !cycle.snapshot.is_listed(node) || !passes(&self.asked.still.filters, profile, cycle, node)? {
            return Ok(None);
        }
        scores.clear();
        scores.push(0);
        scores[0] = rate(&self.asked.still.scores, profile, cycle, node, scores)?;
        Ok(Some(match self.known_standings.get(&scores[..]) {
            Some(standing) => *standing,
            None => {
                let standing = StandingId(self.by_standing.len() as u32);
                self.known_standings.insert(scores[..].into(), standing);
                self.by_standing.push(Standing { scores: scores[..].into(), group: None });
                standing
            }
        }))
    }

    /// The group of the nodes that stand so and of which plugins that count pods say this: so many raw scores, and
    /// then what those read that look beyond a node.
    fn group(&mut self, standing: StandingId, said: &mut Vec<i64>, normalised: usize) -> GroupId {
        let StandingId(number) = standing;
        said.push(number.into());
        if let Some(group) = self.groups.get(&said[..]) {
            return *group;
        }
        let group = self.lanes.group();
        self.groups.insert(said[..].into(), group);
        let standing = &mut self.by_standing[number as usize];
        if said.len() == 1 {
            standing.group = Some(group);
        }
        self.raws.push(standing.scores[1..].iter().chain(&said[..normalised]).copied().collect());
        group
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
        for (at, place) in self.asked.normalised.iter().enumerate() {
            let raw = |group: &Candidates| self.raws[group.group.0 as usize][at];
            let scores = groups.iter().map(raw).collect();
            add(profile, cycle, *place, scores, &mut groups)?;
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

/// Whether a node passes filters.
fn passes(filters: &[usize], profile: &Profile, cycle: &Cycle<'_>, node: NodeIndex) -> Result<bool, Failed> {
    for place in filters {
        let (name, filter) = filter(profile, *place);
        match filter.filter(cycle, node) {
            Verdict::Fits => {}
            Verdict::Error(message) => return Err(failure("Filter", name, &message).into()),
            Verdict::Unschedulable(_) | Verdict::Unresolvable(_) => return Ok(false),
        }
    }
    Ok(true)
}

/// The weighted scores of a node that are not normalised, added up; those that are go into `raws` as they are.
fn rate(
    scores: &[usize],
    profile: &Profile,
    cycle: &Cycle<'_>,
    node: NodeIndex,
    raws: &mut Vec<i64>,
) -> Result<i64, Failed> {
    let mut sum = 0;
    for place in scores {
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
    Ok(sum)
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

fn counts_pods(profile: &Profile, place: usize) -> bool {
    profile.at(place).0.as_classed().is_none_or(|classed| classed.counts_pods())
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
