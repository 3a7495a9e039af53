//! A Deployment's plans, as stories: a small world in which the plan is carried out and pods become
//! available when the story says so.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::conditions;
use super::decide::{Observed, Plan, Write, plan};
use super::revision;

struct World {
    deployment: Deployment,
    sets: Vec<ReplicaSet>,
    with_pods: Vec<String>,
    now: Timestamp,
    uids: u32,
}

fn world(spec: serde_json::Value) -> World {
    let mut whole = json!({
        "replicas": 3, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "v1"}]}},
    });
    for (key, value) in spec.as_object().unwrap() {
        whole[key] = value.clone();
    }
    World {
        deployment: serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "d", "generation": 1},
            "spec": whole,
        }))
        .unwrap(),
        sets: Vec::new(),
        with_pods: Vec::new(),
        now: "2020-01-01T00:00:00Z".parse().unwrap(),
        uids: 0,
    }
}

impl World {
    fn look(&self) -> Plan {
        plan(Observed {
            deployment: self.deployment.clone(),
            sets: self.sets.clone(),
            with_pods: self.with_pods.clone(),
            now: self.now,
        })
    }

    fn carry_out(&mut self, plan: Plan) {
        for write in plan.writes {
            match write {
                Write::Create(mut set) => {
                    self.uids += 1;
                    set.metadata.uid = Some(format!("set-{}", self.uids));
                    set.metadata.creation_timestamp = Some(Time(self.now));
                    set.metadata.generation = Some(1);
                    self.sets.push(set);
                }
                Write::Update(set, _) => {
                    let old = self.sets.iter_mut().find(|old| old.metadata.uid == set.metadata.uid);
                    *old.unwrap() = set;
                }
                Write::Delete(set) => self.sets.retain(|old| old.metadata.uid != set.metadata.uid),
                Write::Status(deployment) => {
                    self.deployment.status = deployment.status;
                    self.deployment.metadata.annotations = deployment.metadata.annotations;
                }
            }
        }
        for set in &mut self.sets {
            let size = set.spec.as_ref().unwrap().replicas.unwrap();
            let status = set.status.get_or_insert_default();
            status.replicas = size;
            status.terminating_replicas = Some(0);
            status.observed_generation = set.metadata.generation;
            for count in [&mut status.ready_replicas, &mut status.available_replicas] {
                *count = Some(count.unwrap_or(0).min(size)).filter(|count| *count != 0);
            }
        }
    }

    fn all_become_available(&mut self) {
        for set in &mut self.sets {
            let size = set.spec.as_ref().unwrap().replicas.filter(|size| *size != 0);
            let status: &mut ReplicaSetStatus = set.status.get_or_insert_default();
            (status.ready_replicas, status.available_replicas) = (size, size);
        }
    }

    /// Runs until nothing is left to do, pods becoming available as they come.
    fn settle(&mut self) -> usize {
        self.all_become_available();
        for round in 0..100 {
            let plan = self.look();
            if plan.writes.is_empty() {
                return round;
            }
            self.carry_out(plan);
            self.all_become_available();
        }
        panic!("does not settle");
    }

    fn image(&mut self, image: &str) {
        let spec = self.deployment.spec.as_mut().unwrap();
        spec.template.spec.as_mut().unwrap().containers[0].image = Some(image.into());
        *self.deployment.metadata.generation.as_mut().unwrap() += 1;
        self.now += jiff::SignedDuration::from_secs(60);
    }

    fn replicas(&mut self, replicas: i32) {
        self.deployment.spec.as_mut().unwrap().replicas = Some(replicas);
        *self.deployment.metadata.generation.as_mut().unwrap() += 1;
    }

    fn sizes(&self) -> Vec<i32> {
        self.sets.iter().map(|set| set.spec.as_ref().unwrap().replicas.unwrap()).collect()
    }

    fn revisions(&self) -> Vec<i64> {
        self.sets.iter().map(revision::of).collect()
    }

    fn reason(&self, kind: &str) -> &str {
        self.deployment.status.as_ref().map_or("", |status| conditions::reason(status, kind))
    }

    fn progress(&self) -> &str {
        self.reason(conditions::PROGRESSING)
    }
}

#[test]
fn the_first_set_is_made_at_full_size() {
    let mut world = world(json!({}));
    let first = world.look();
    assert!(matches!(&first.writes[..], [Write::Create(_), Write::Status(_)]), "{first:?}");
    world.carry_out(first);
    assert_eq!((world.sizes(), world.progress()), (vec![3], conditions::NEW_SET_CREATED));
    assert_eq!(world.reason(conditions::AVAILABLE), "MinimumReplicasUnavailable");
    let set = &world.sets[0];
    let hash = &set.metadata.labels.as_ref().unwrap()["pod-template-hash"];
    assert_eq!(set.metadata.name.as_ref().unwrap(), &format!("web-{hash}"));
    assert_eq!(
        &set.spec.as_ref().unwrap().selector.match_labels.as_ref().unwrap()["pod-template-hash"],
        hash
    );
    world.carry_out(world.look());
    assert_eq!(world.progress(), conditions::SET_UPDATED);
    world.settle();
    assert_eq!(world.progress(), conditions::NEW_SET_AVAILABLE);
    assert_eq!(world.reason(conditions::AVAILABLE), "MinimumReplicasAvailable");
    assert_eq!(world.deployment.metadata.annotations.as_ref().unwrap()[revision::REVISION], "1");
    let status = world.deployment.status.as_ref().unwrap();
    assert_eq!((status.replicas, status.unavailable_replicas), (Some(3), None));
}

#[test]
fn a_rolling_update_goes_pod_by_pod() {
    let mut world = world(json!({}));
    world.settle();
    world.image("v2");
    let mut history = Vec::new();
    for _ in 0..20 {
        world.carry_out(world.look());
        if history.last() != Some(&world.sizes()) {
            history.push(world.sizes());
        }
        world.all_become_available();
    }
    let expected: Vec<Vec<i32>> =
        vec![vec![3, 1], vec![2, 1], vec![2, 2], vec![1, 2], vec![1, 3], vec![0, 3]];
    assert_eq!(history, expected);
    assert_eq!(world.revisions(), [1, 2]);
    assert_eq!(world.progress(), conditions::NEW_SET_AVAILABLE);
}

#[test]
fn going_back_uses_the_old_set_and_gives_it_a_new_revision() {
    let mut world = world(json!({}));
    world.settle();
    world.image("v2");
    world.settle();
    world.image("v1");
    world.settle();
    assert_eq!((world.sizes(), world.revisions()), (vec![3, 0], vec![3, 2]));
    let annotations = world.sets[0].metadata.annotations.as_ref().unwrap();
    assert_eq!(annotations["deployment.kubernetes.io/revision-history"], "1");
    assert_eq!(world.deployment.metadata.annotations.as_ref().unwrap()[revision::REVISION], "3");
}

#[test]
fn a_paused_deployment_scales_and_does_not_roll() {
    let mut world = world(json!({}));
    world.settle();
    world.deployment.spec.as_mut().unwrap().paused = Some(true);
    world.image("v2");
    world.replicas(5);
    world.settle();
    assert_eq!((world.sizes(), world.progress()), (vec![5], conditions::PAUSED));
    assert_eq!(world.look().look_again, None, "no deadline runs while paused");
    world.deployment.spec.as_mut().unwrap().paused = None;
    world.carry_out(world.look());
    assert_eq!(world.sizes(), [5, 1]);
    world.settle();
    assert_eq!((world.sizes(), world.progress()), (vec![0, 5], conditions::NEW_SET_AVAILABLE));
}

#[test]
fn scaling_in_the_middle_of_a_rollout_is_proportional() {
    let mut world = world(json!({"replicas": 10,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}}));
    world.settle();
    world.image("broken");
    for _ in 0..5 {
        world.carry_out(world.look());
    }
    assert_eq!(world.sizes(), [8, 5]);
    world.replicas(15);
    world.carry_out(world.look());
    assert_eq!(world.sizes(), [11, 7], "15 + 3, shared 8 to 5");
}

#[test]
fn recreate_waits_for_the_last_old_pod() {
    let mut world = world(json!({"strategy": {"type": "Recreate"}}));
    world.settle();
    world.with_pods = vec!["set-1".into()];
    world.image("v2");
    world.carry_out(world.look());
    assert_eq!(world.sizes(), [0]);
    world.carry_out(world.look());
    assert_eq!(world.sizes(), [0], "an old pod still stops");
    world.with_pods.clear();
    world.carry_out(world.look());
    assert_eq!(world.sizes(), [0, 3]);
    world.settle();
    assert_eq!(world.progress(), conditions::NEW_SET_AVAILABLE);
}

#[test]
fn a_rollout_that_stands_still_exceeds_its_deadline() {
    let mut world = world(json!({"progressDeadlineSeconds": 10}));
    world.settle();
    world.image("broken");
    for _ in 0..5 {
        world.carry_out(world.look());
    }
    assert_eq!(world.progress(), conditions::SET_UPDATED);
    assert_eq!(world.look().look_again.unwrap().as_secs(), 11);
    world.now += jiff::SignedDuration::from_secs(11);
    world.carry_out(world.look());
    assert_eq!(world.progress(), conditions::DEADLINE_EXCEEDED);
    assert_eq!(world.look().writes, []);
    world.settle();
    assert_eq!(world.progress(), conditions::NEW_SET_AVAILABLE);
}

#[test]
fn old_sets_are_kept_up_to_the_limit() {
    let mut world = world(json!({"revisionHistoryLimit": 2}));
    for image in ["v1", "v2", "v3", "v4", "v5"] {
        world.image(image);
        world.settle();
    }
    assert_eq!((world.revisions(), world.sizes()), (vec![3, 4, 5], vec![0, 0, 3]));
}

#[test]
fn a_settled_deployment_writes_nothing() {
    let mut world = world(json!({}));
    world.settle();
    let plan = world.look();
    assert_eq!((plan.writes, plan.look_again), (vec![], None));
}
