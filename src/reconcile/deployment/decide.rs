//! What a Deployment should do: a plan of writes from what is observed. Pure.
//!
//! The plan is made on copies, in the order of Kubernetes' controller (1.36,
//! `pkg/controller/deployment/{deployment_controller,sync,rolling,recreate,progress}.go`): the
//! writes are what has become of the copies. When one of them fails, the rest is not done, and the
//! next run plans anew from what is then.

use std::cmp::Reverse;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::super::claims;
use super::conditions;
use super::revision;
use super::rolling::{Fences, Size};
use super::template;

/// A Deployment and its ReplicaSets, at one moment.
pub(super) struct Observed {
    pub(super) deployment: Deployment,
    /// Its own sets.
    pub(super) sets: Vec<ReplicaSet>,
    /// The uids of those own sets that have pods which have not ended; only asked for `Recreate`.
    pub(super) with_pods: Vec<String>,
    pub(super) now: Timestamp,
}

/// What is to be written, in this order.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) writes: Vec<Write>,
    /// Look again after so long: progress may have stalled.
    pub(super) look_again: Option<Duration>,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Write {
    Create(ReplicaSet),
    /// With the size it had, if that has changed.
    Update(ReplicaSet, Option<i32>),
    Delete(ReplicaSet),
    /// The Deployment's status and its revision annotation.
    Status(Box<Deployment>),
}

pub(super) fn plan(observed: Observed) -> Plan {
    let Observed { deployment, mut sets, with_pods, now } = observed;
    sets.sort_by_key(|set| (created(set), set.metadata.name.clone()));
    let fences = fences(&deployment);
    let mut rollout =
        Rollout { before: deployment.clone(), deployment, sets, fences, with_pods, now, writes: Vec::new() };
    rollout.run();
    let look_again = rollout.look_again();
    let Rollout { before, deployment, mut writes, .. } = rollout;
    if deployment.status != before.status || deployment.metadata.annotations != before.metadata.annotations {
        writes.push(Write::Status(Box::new(deployment)));
    }
    Plan { writes, look_again }
}

/// The status that says that a new set could not be made.
pub(super) fn creation_failed(
    mut deployment: Deployment,
    message: &str,
    now: Timestamp,
) -> Option<Deployment> {
    progress_deadline(&deployment)?;
    let status = deployment.status.get_or_insert_default();
    let condition =
        conditions::new(conditions::PROGRESSING, "False", conditions::CREATE_FAILED, message, now);
    conditions::set(status, condition);
    Some(deployment)
}

/// The status that makes the next hash another one.
pub(super) fn collided(mut deployment: Deployment) -> Deployment {
    let collisions = &mut deployment.status.get_or_insert_default().collision_count;
    *collisions = Some(collisions.unwrap_or(0).wrapping_add(1));
    deployment
}

/// Whether a set that stands where a new one should have been made is that very set.
pub(super) fn is_new_set(deployment: &Deployment, set: &ReplicaSet) -> bool {
    let own =
        claims::controller_of(&set.metadata).map(|owner| &owner.uid) == deployment.metadata.uid.as_ref();
    own && has_template_of(deployment, set)
}

/// A plan in the making.
pub(super) struct Rollout {
    pub(super) before: Deployment,
    pub(super) deployment: Deployment,
    /// Oldest first.
    pub(super) sets: Vec<ReplicaSet>,
    pub(super) fences: Fences,
    with_pods: Vec<String>,
    pub(super) now: Timestamp,
    writes: Vec<Write>,
}

impl Rollout {
    fn run(&mut self) {
        let spec = self.deployment.spec.clone().unwrap_or_default();
        if self.deployment.metadata.deletion_timestamp.is_some() {
            let new = self.sync_new(false);
            return self.set_status(new);
        }
        self.note_pause(spec.paused == Some(true));
        if spec.paused == Some(true) || self.is_scaling() {
            let new = self.sync_new(false);
            self.scale(new);
            if spec.paused == Some(true) {
                self.clean_up(new);
            }
            return self.set_status(new);
        }
        let recreate = spec.strategy.and_then(|strategy| strategy.type_).as_deref() == Some("Recreate");
        let new = if recreate { self.recreate() } else { self.roll() };
        self.set_status(new);
        self.set_progress(new);
    }

    pub(super) fn status(&mut self) -> &mut DeploymentStatus {
        self.deployment.status.get_or_insert_default()
    }

    pub(super) fn name(&self) -> &str {
        self.deployment.metadata.name.as_deref().unwrap_or_default()
    }

    /// The time since the last progress counts neither while paused nor for what was before.
    fn note_pause(&mut self, paused: bool) {
        if progress_deadline(&self.deployment).is_none() {
            return;
        }
        let now = self.now;
        let status = self.status();
        let reason = conditions::reason(status, conditions::PROGRESSING);
        let condition = match (paused, reason) {
            (_, conditions::DEADLINE_EXCEEDED) | (true, conditions::PAUSED) => return,
            (true, _) => (conditions::PAUSED, "Deployment is paused"),
            (false, conditions::PAUSED) => (conditions::RESUMED, "Deployment is resumed"),
            (false, _) => return,
        };
        let condition = conditions::new(conditions::PROGRESSING, "Unknown", condition.0, condition.1, now);
        conditions::set(status, condition);
    }

    /// The Deployment's size has changed since an active set was last scaled.
    fn is_scaling(&self) -> bool {
        let active = self.sets.iter().filter(|set| replicas(set) > 0);
        active.filter_map(revision::desired).any(|desired| desired != self.fences.replicas)
    }

    /// Where the set of the current template stands. It is brought to the current revision, or made
    /// if it is missing and that is wanted.
    fn sync_new(&mut self, make: bool) -> Option<usize> {
        let found = self.sets.iter().position(|set| has_template_of(&self.deployment, set));
        let old = self.sets.iter().enumerate().filter(|(at, _)| Some(*at) != found).map(|(_, set)| set);
        let next = revision::next(old);
        let Some(at) = found else {
            return make.then(|| self.make_new(next));
        };
        let min_ready = self.deployment.spec.as_ref().and_then(|spec| spec.min_ready_seconds);
        let set = &mut self.sets[at];
        let mut changed = revision::annotate(set, &self.deployment, next);
        let spec = set.spec.get_or_insert_default();
        if spec.min_ready_seconds.unwrap_or(0) != min_ready.unwrap_or(0) {
            spec.min_ready_seconds = min_ready;
            changed = true;
        }
        if changed {
            self.writes.push(Write::Update(set.clone(), None));
        }
        let (revision, name) = (revision::of(set), set.metadata.name.clone().unwrap_or_default());
        self.set_revision(revision);
        let now = self.now;
        if progress_deadline(&self.deployment).is_some()
            && conditions::get(self.status(), conditions::PROGRESSING).is_none()
        {
            let message = format!("Found new replica set {name:?}");
            let found =
                conditions::new(conditions::PROGRESSING, "True", conditions::NEW_SET_FOUND, message, now);
            conditions::set(self.status(), found);
        }
        Some(at)
    }

    fn set_revision(&mut self, revision: i64) {
        let annotations = self.deployment.metadata.annotations.get_or_insert_default();
        annotations.insert(revision::REVISION.into(), revision.to_string());
    }

    fn make_new(&mut self, next: i64) -> usize {
        let spec = self.deployment.spec.clone().unwrap_or_default();
        let collisions = self.deployment.status.as_ref().and_then(|status| status.collision_count);
        let hash = template::hash(&spec.template, collisions);
        let mut pods = spec.template;
        let labels = pods.metadata.get_or_insert_default().labels.get_or_insert_default();
        labels.insert(template::HASH_LABEL.into(), hash.clone());
        let labels = labels.clone();
        let mut selector = spec.selector;
        selector.match_labels.get_or_insert_default().insert(template::HASH_LABEL.into(), hash.clone());
        // An object's name has 253 bytes at most.
        let mut prefix = self.name().to_owned();
        prefix.truncate(252 - hash.len());
        let mut set = ReplicaSet {
            metadata: ObjectMeta {
                name: Some(format!("{prefix}-{hash}")),
                namespace: self.deployment.metadata.namespace.clone(),
                labels: Some(labels),
                owner_references: Some(vec![claims::controller_ref(&self.deployment)]),
                ..ObjectMeta::default()
            },
            spec: Some(ReplicaSetSpec {
                replicas: Some(0),
                min_ready_seconds: spec.min_ready_seconds,
                selector,
                template: Some(pods),
            }),
            status: None,
        };
        let size = self.fences.grow(0, total(self.sets.iter()));
        let size = if self.is_recreate() { self.fences.replicas } else { size };
        set.spec.get_or_insert_default().replicas = Some(size);
        revision::annotate(&mut set, &self.deployment, next);
        revision::note_size(&mut set, self.fences);
        self.set_revision(next);
        if progress_deadline(&self.deployment).is_some() {
            let message =
                format!("Created new replica set {:?}", set.metadata.name.as_deref().unwrap_or_default());
            let now = self.now;
            let made =
                conditions::new(conditions::PROGRESSING, "True", conditions::NEW_SET_CREATED, message, now);
            conditions::set(self.status(), made);
        }
        self.writes.push(Write::Create(set.clone()));
        self.sets.push(set);
        self.sets.len() - 1
    }

    fn is_recreate(&self) -> bool {
        let strategy = self.deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref());
        strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate")
    }

    /// Gives a set another size. `always`: note the Deployment's size even if the set's stays.
    fn resize(&mut self, at: usize, size: i32, always: bool) -> bool {
        let set = &mut self.sets[at];
        let before = replicas(set);
        if before == size && !always {
            return false;
        }
        let noted = revision::note_size(set, self.fences);
        if before != size || noted {
            set.spec.get_or_insert_default().replicas = Some(size);
            let set = set.clone();
            self.write_update(set, (before != size).then_some(before));
        }
        before != size
    }

    /// Writes to one set are one write.
    fn write_update(&mut self, set: ReplicaSet, from: Option<i32>) {
        let same = |other: &ReplicaSet| other.metadata.name == set.metadata.name;
        for write in &mut self.writes {
            match write {
                Write::Create(planned) if same(planned) => {
                    *planned = set;
                    return;
                }
                Write::Update(planned, planned_from) if same(planned) => {
                    *planned_from = planned_from.or(from);
                    *planned = set;
                    return;
                }
                _ => {}
            }
        }
        self.writes.push(Write::Update(set, from));
    }

    pub(super) fn old(&self, new: Option<usize>) -> Vec<usize> {
        (0..self.sets.len()).filter(|at| Some(*at) != new).collect()
    }

    /// A new size for a Deployment whose rollout may be under way.
    fn scale(&mut self, new: Option<usize>) {
        let active: Vec<usize> = (0..self.sets.len()).filter(|at| replicas(&self.sets[*at]) > 0).collect();
        let only = match active.as_slice() {
            [] => new.or_else(|| self.sets.len().checked_sub(1)),
            [one] => Some(*one),
            _ => None,
        };
        if let Some(at) = only {
            self.resize(at, self.fences.replicas, false);
            return;
        }
        if new.is_some_and(|at| self.is_saturated(at)) {
            for at in self.old(new) {
                self.resize(at, 0, false);
            }
            return;
        }
        if self.is_recreate() || active.is_empty() {
            return;
        }
        let growing = self.fences.replicas > 0 && self.fences.max_total() > total(self.sets.iter());
        let mut active = active;
        // The larger first; of equals the newer where there is to be more, the older where less.
        if growing {
            active.sort_by_key(|at| (Reverse(replicas(&self.sets[*at])), Reverse(*at)));
        } else {
            active.sort_by_key(|at| (Reverse(replicas(&self.sets[*at])), *at));
        }
        let sizes: Vec<_> =
            active.iter().map(|at| (replicas(&self.sets[*at]), revision::max(&self.sets[*at]))).collect();
        let current = self.before.status.as_ref().and_then(|status| status.replicas).unwrap_or(0);
        for (at, size) in active.into_iter().zip(self.fences.proportion(&sizes, current)) {
            self.resize(at, size, true);
        }
    }

    /// The set has all the replicas there should be, and all are available.
    fn is_saturated(&self, at: usize) -> bool {
        let set = &self.sets[at];
        let desired = self.fences.replicas;
        replicas(set) == desired && revision::desired(set) == Some(desired) && available(set) == desired
    }

    fn roll(&mut self) -> Option<usize> {
        let new = self.sync_new(true);
        let at = new?;
        let size = self.fences.grow(replicas(&self.sets[at]), total(self.sets.iter()));
        if self.resize(at, size, false) {
            return new;
        }
        let old: Vec<usize> = self.old(new).into_iter().filter(|at| replicas(&self.sets[*at]) > 0).collect();
        let sizes: Vec<Size> = old.iter().map(|at| self.size(*at)).collect();
        let shrunk = self.fences.shrink(self.size(at), &sizes);
        let mut changed = false;
        for (at, size) in old.into_iter().zip(shrunk) {
            changed |= self.resize(at, size, false);
        }
        if !changed && self.was_complete() {
            self.clean_up(new);
        }
        new
    }

    fn recreate(&mut self) -> Option<usize> {
        let new = self.sync_new(false);
        let mut changed = false;
        for at in self.old(new) {
            changed |= self.resize(at, 0, false);
        }
        if changed || self.old_pods_run(new) {
            return new;
        }
        let new = new.or_else(|| self.sync_new(true));
        if let Some(at) = new {
            self.resize(at, self.fences.replicas, false);
        }
        if self.was_complete() {
            self.clean_up(new);
        }
        new
    }

    fn old_pods_run(&self, new: Option<usize>) -> bool {
        let counted = self.old(new).into_iter().any(|at| actual(&self.sets[at]) > 0);
        let new = new.and_then(|at| self.sets[at].metadata.uid.as_ref());
        counted || self.with_pods.iter().any(|uid| Some(uid) != new)
    }

    fn size(&self, at: usize) -> Size {
        Size { replicas: replicas(&self.sets[at]), available: available(&self.sets[at]) }
    }

    /// The last status says that everything is as it should be.
    fn was_complete(&self) -> bool {
        self.before.status.as_ref().is_some_and(|status| is_complete(&self.before, status, self.fences))
    }

    /// Deletes the oldest of the old sets that are empty, all but as many as are to be kept.
    fn clean_up(&mut self, new: Option<usize>) {
        let limit = self.deployment.spec.as_ref().and_then(|spec| spec.revision_history_limit);
        let Some(limit) = limit.filter(|limit| *limit != i32::MAX) else { return };
        let mut old: Vec<&ReplicaSet> = self
            .old(new)
            .into_iter()
            .map(|at| &self.sets[at])
            .filter(|set| set.metadata.deletion_timestamp.is_none())
            .collect();
        old.sort_by_key(|set| revision::of(set));
        let extra = old.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        let gone = old.into_iter().take(extra).filter(|set| {
            let observed = set.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(0);
            replicas(set) == 0 && actual(set) == 0 && set.metadata.generation.unwrap_or(0) <= observed
        });
        let gone: Vec<Write> = gone.cloned().map(Write::Delete).collect();
        self.writes.extend(gone);
    }

    fn set_status(&mut self, new: Option<usize>) {
        let sum = |number: fn(&ReplicaSet) -> i32| self.sets.iter().map(number).sum::<i32>();
        let (wanted, available) = (sum(replicas), sum(available));
        let counts = DeploymentStatus {
            observed_generation: self.deployment.metadata.generation,
            replicas: nonzero(sum(actual)),
            updated_replicas: nonzero(new.map_or(0, |at| actual(&self.sets[at]))),
            ready_replicas: nonzero(sum(|set| status_of(set, |status| status.ready_replicas))),
            available_replicas: nonzero(available),
            unavailable_replicas: nonzero((wanted - available).max(0)),
            terminating_replicas: self.terminating(),
            ..DeploymentStatus::default()
        };
        let (fences, now) = (self.fences, self.now);
        let status = self.status();
        *status = DeploymentStatus {
            collision_count: status.collision_count,
            conditions: status.conditions.take(),
            ..counts
        };
        let condition = if available >= fences.min_available() {
            ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        let (value, reason, message) = condition;
        conditions::set(status, conditions::new(conditions::AVAILABLE, value, reason, message, now));
    }

    /// Unknown while a set that has been looked at does not tell.
    fn terminating(&self) -> Option<i32> {
        let of = |set: &ReplicaSet| match &set.status {
            None => Some(0),
            Some(status) if status.observed_generation.unwrap_or(0) == 0 => {
                Some(status.terminating_replicas.unwrap_or(0))
            }
            Some(status) => status.terminating_replicas,
        };
        self.sets.iter().map(of).sum()
    }
}

fn fences(deployment: &Deployment) -> Fences {
    let Some(spec) = &deployment.spec else { return Fences::recreate(0) };
    let replicas = spec.replicas.unwrap_or(1).max(0);
    let strategy = spec.strategy.as_ref();
    if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate") {
        return Fences::recreate(replicas);
    }
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref());
    Fences::rolling(replicas, surge, rolling.and_then(|rolling| rolling.max_unavailable.as_ref()))
}

/// Seconds; none where the deadline is switched off.
pub(super) fn progress_deadline(deployment: &Deployment) -> Option<i32> {
    deployment.spec.as_ref()?.progress_deadline_seconds.filter(|seconds| *seconds != i32::MAX)
}

fn has_template_of(deployment: &Deployment, set: &ReplicaSet) -> bool {
    let theirs = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    match (&deployment.spec, theirs) {
        (Some(spec), Some(theirs)) => template::same(&spec.template, theirs),
        _ => false,
    }
}

pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus, fences: Fences) -> bool {
    let is = |count: Option<i32>| count.unwrap_or(0) == fences.replicas;
    is(status.updated_replicas)
        && is(status.replicas)
        && is(status.available_replicas)
        && status.observed_generation.unwrap_or(0) >= deployment.metadata.generation.unwrap_or(0)
}

fn created(set: &ReplicaSet) -> Timestamp {
    // One that is yet to be made is the newest.
    set.metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0)
}

fn total<'a>(sets: impl Iterator<Item = &'a ReplicaSet>) -> i32 {
    sets.map(replicas).sum()
}

fn replicas(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

fn actual(set: &ReplicaSet) -> i32 {
    set.status.as_ref().map_or(0, |status| status.replicas)
}

fn available(set: &ReplicaSet) -> i32 {
    status_of(set, |status| status.available_replicas)
}

fn status_of(
    set: &ReplicaSet,
    number: fn(&k8s_openapi::api::apps::v1::ReplicaSetStatus) -> Option<i32>,
) -> i32 {
    set.status.as_ref().and_then(number).unwrap_or(0)
}

fn nonzero(number: i32) -> Option<i32> {
    Some(number).filter(|number| *number != 0)
}
