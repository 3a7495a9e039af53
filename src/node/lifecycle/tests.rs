//! Lives of pods, step by step: what is observed, what is decided, what is shown.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::{Value, json};

use super::*;
use crate::runtime::{
    ContainerId, ContainerState, ContainerStatus, SandboxConfig, SandboxId, SandboxState, SandboxStatus,
};

/// A pod, its machine, and the agent's notes; every step is one line of a story.
struct World {
    pod: Pod,
    now: Timestamp,
    sandbox: Option<SandboxStatus>,
    containers: Vec<ContainerStatus>,
    notes: Notes,
    status: PodStatus,
    made: usize,
}

fn pod(spec: Value) -> World {
    let mut spec = spec;
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            container["image"] = "img".into();
        }
    }
    if spec["initContainers"].is_null() {
        spec.as_object_mut().unwrap().remove("initContainers");
    }
    let metadata = json!({"name": "p", "namespace": "default", "uid": "u1", "generation": 1});
    World {
        pod: serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap(),
        now: Timestamp::from_second(1_000_000).unwrap(),
        sandbox: None,
        containers: Vec::new(),
        notes: Notes::default(),
        status: PodStatus::default(),
        made: 0,
    }
}

impl World {
    fn decide(&self) -> Decision {
        decide(&Observed {
            pod: &self.pod,
            now: self.now,
            sandbox: self.sandbox.as_ref(),
            containers: &self.containers,
            notes: &self.notes,
        })
    }

    /// The actions, as words.
    fn does(&self) -> Vec<String> {
        let word = |action: &Action| match action {
            Action::CreateSandbox { attempt } => format!("sandbox {attempt}"),
            Action::StopSandbox { .. } => "stop sandbox".into(),
            Action::RemoveSandbox { .. } => "remove sandbox".into(),
            Action::StartContainer { name, attempt, .. } => format!("start {name} {attempt}"),
            Action::AbandonStart => "abandon".into(),
            Action::StopContainer { name, grace, .. } => format!("stop {name} in {}", grace.as_secs()),
            Action::RemoveContainer { id } => format!("remove {id}"),
            Action::Drain => "drain".into(),
            Action::Fail { reason, .. } => format!("fail {reason}"),
            Action::DeleteObject => "delete".into(),
            Action::Forget => "forget".into(),
        };
        self.decide().actions.iter().map(word).collect()
    }

    /// Does what sandboxes and containers need, as a machine that always works.
    fn act(&mut self) -> Vec<String> {
        let (words, decision) = (self.does(), self.decide());
        for action in decision.actions {
            match action {
                Action::CreateSandbox { attempt } => {
                    self.sandbox = Some(SandboxStatus {
                        id: SandboxId(format!("s{attempt}")),
                        config: SandboxConfig { attempt, ..SandboxConfig::default() },
                        state: SandboxState::Ready,
                        created_at: self.now,
                        addresses: vec!["10.0.0.7".parse().unwrap()],
                    });
                }
                Action::StopSandbox { .. } => self.sandbox.as_mut().unwrap().state = SandboxState::NotReady,
                Action::RemoveSandbox { .. } => self.sandbox = None,
                Action::StartContainer { name, attempt, after } => {
                    if let Some(after) = after {
                        self.notes.backoff.raise(&name, after, self.now);
                    }
                    self.made += 1;
                    self.containers.push(ContainerStatus {
                        id: ContainerId(format!("c{}", self.made)),
                        sandbox: self.sandbox.as_ref().unwrap().id.clone(),
                        name,
                        attempt,
                        state: ContainerState::Running { started_at: self.now },
                        created_at: self.now,
                        image: "img".into(),
                        image_id: "sha256:1".into(),
                        labels: BTreeMap::new(),
                        annotations: BTreeMap::new(),
                    });
                }
                Action::StopContainer { id, grace, .. } => {
                    let deadline = self.now + SignedDuration::try_from(grace).unwrap();
                    self.notes.stopping.insert(id, Stopping { deadline });
                    self.notes.ending_since.get_or_insert(self.now);
                }
                Action::RemoveContainer { id } => self.containers.retain(|one| one.id != id),
                Action::Drain => self.notes.drained = true,
                Action::Fail { reason, message } => self.notes.end = Some(End::Failed { reason, message }),
                Action::AbandonStart | Action::DeleteObject | Action::Forget => {}
            }
        }
        words
    }

    fn exits(&mut self, name: &str, exit_code: i32) {
        let now = self.now;
        let one = self.containers.iter_mut().filter(|one| one.name == name).max_by_key(|one| one.attempt);
        let one = one.unwrap();
        self.notes.stopping.remove(&one.id);
        one.state = ContainerState::Exited {
            started_at: now,
            finished_at: now,
            exit_code,
            signal: None,
            reason: if exit_code == 0 { "Completed" } else { "Error" }.into(),
            message: String::new(),
        };
    }

    fn later(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    fn delete(&mut self, grace: i64) {
        let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.now);
        self.pod.metadata.deletion_timestamp = Some(time);
        self.pod.metadata.deletion_grace_period_seconds = Some(grace);
    }

    fn verdict(&mut self, name: &str, set: impl FnOnce(&mut Verdicts)) {
        let one =
            self.containers.iter().filter(|one| one.name == name).max_by_key(|one| one.attempt).unwrap();
        set(self.notes.verdicts.entry(one.id.clone()).or_default());
    }

    fn shows(&mut self) -> PodStatus {
        let machine = Machine { runtime: "sim".into(), address: "10.0.0.1".parse().unwrap() };
        let observed = Observed {
            pod: &self.pod,
            now: self.now,
            sandbox: self.sandbox.as_ref(),
            containers: &self.containers,
            notes: &self.notes,
        };
        self.status = compose(&observed, &machine, &self.status, self.decide().ending);
        self.status.clone()
    }

    /// The phase, and each container's state in a word.
    fn looks(&mut self) -> String {
        let status = self.shows();
        let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
        let words: Vec<_> = all
            .map(|one| {
                let state = one.state.clone().unwrap();
                let word = match (state.waiting, state.running, state.terminated) {
                    (Some(waiting), ..) => waiting.reason.unwrap_or_default(),
                    (_, Some(_), _) if one.ready => "ready".into(),
                    (_, Some(_), _) => "running".into(),
                    (.., Some(end)) => format!("exit {}", end.exit_code),
                    _ => "?".into(),
                };
                format!("{}={word}", one.name)
            })
            .collect();
        format!("{} {}", status.phase.unwrap(), words.join(" "))
    }

    fn condition(&self, kind: &str) -> (String, String) {
        let all = self.status.conditions.iter().flatten();
        let one = all.into_iter().find(|one| one.type_ == kind).unwrap();
        (one.status.clone(), one.message.clone().unwrap_or_default())
    }
}

#[test]
fn init_containers_run_in_order_and_then_the_others() {
    let mut w = pod(json!({
        "initContainers": [{"name": "one"}, {"name": "two"}],
        "containers": [{"name": "app"}, {"name": "side"}],
    }));
    assert_eq!(
        w.looks(),
        "Pending one=PodInitializing two=PodInitializing app=PodInitializing side=PodInitializing"
    );
    assert_eq!(w.act(), ["sandbox 0"]);
    assert_eq!(w.act(), ["start one 0"]);
    assert_eq!(w.act(), [""; 0], "the next waits for the first");
    assert_eq!(w.looks(), "Pending one=running two=PodInitializing app=PodInitializing side=PodInitializing");
    assert_eq!(w.condition("Initialized").1, "containers with incomplete status: [one two]");
    w.exits("one", 0);
    assert_eq!(w.act(), ["start two 0"]);
    w.exits("two", 0);
    assert_eq!(w.act(), ["start app 0"], "one at a time");
    assert_eq!(w.act(), ["start side 0"]);
    assert_eq!(w.looks(), "Running one=exit 0 two=exit 0 app=ready side=ready");
    for kind in ["Initialized", "Ready", "ContainersReady", "PodReadyToStartContainers", "PodScheduled"] {
        assert_eq!(w.condition(kind).0, "True", "{kind}");
    }
}

#[test]
fn a_failed_init_container_is_tried_again_unless_the_policy_is_never() {
    for (policy, expected) in
        [("Always", "start init 1"), ("OnFailure", "start init 1"), ("Never", "stop sandbox")]
    {
        let mut w = pod(json!({
            "restartPolicy": policy, "initContainers": [{"name": "init"}], "containers": [{"name": "app"}],
        }));
        w.act();
        w.act();
        w.exits("init", 3);
        assert_eq!(w.does(), [expected], "{policy}");
        let phase = if policy == "Never" { "Failed" } else { "Pending" };
        assert!(w.looks().starts_with(phase), "{policy}: {}", w.looks());
    }
}

#[test]
fn sidecars_start_before_and_stop_after() {
    let mut w = pod(json!({
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 30,
        "initContainers": [
            {"name": "mesh", "restartPolicy": "Always", "startupProbe": {"exec": {"command": ["x"]}}},
            {"name": "logs", "restartPolicy": "Always"},
        ],
        "containers": [{"name": "job"}],
    }));
    w.act();
    assert_eq!(w.act(), ["start mesh 0"]);
    assert_eq!(w.act(), [""; 0], "the next waits for its startup probe");
    w.verdict("mesh", |verdicts| verdicts.startup = Some(Verdict::Success));
    assert_eq!(w.act(), ["start logs 0"]);
    assert_eq!(w.act(), ["start job 0"]);
    assert_eq!(w.looks(), "Running mesh=ready logs=ready job=ready");
    w.exits("mesh", 1);
    assert_eq!(w.act(), ["start mesh 1"], "a sidecar always comes back");
    w.verdict("mesh", |verdicts| verdicts.startup = Some(Verdict::Success));
    w.exits("job", 0);
    assert_eq!(w.act(), ["stop logs in 30"], "sidecars end in reverse");
    assert_eq!(w.act(), [""; 0]);
    w.exits("logs", 0);
    w.later(4);
    assert_eq!(w.act(), ["stop mesh in 26"], "what is left of the grace");
    w.exits("mesh", 143);
    assert_eq!(w.act(), ["stop sandbox"]);
    assert_eq!(w.looks(), "Succeeded mesh=exit 143 logs=exit 0 job=exit 0");
}

#[test]
fn crashes_back_off_from_ten_seconds_and_ten_good_minutes_forgive() {
    let mut w = pod(json!({"containers": [{"name": "app"}]}));
    w.act();
    w.act();
    w.exits("app", 1);
    assert_eq!(w.looks(), "Running app=exit 1");
    assert_eq!(w.act(), ["start app 1"], "the first time at once");
    for (seconds, text) in
        [(10, "10s"), (20, "20s"), (40, "40s"), (80, "1m20s"), (160, "2m40s"), (300, "5m0s")]
    {
        w.exits("app", 1);
        assert!(w.act().iter().all(|did| did.starts_with("remove")), "only what nobody asks for goes");
        assert_eq!(w.looks(), "Running app=CrashLoopBackOff");
        let status = w.shows().container_statuses.unwrap().remove(0);
        let waiting = status.state.unwrap().waiting.unwrap();
        let message = format!("back-off {text} restarting failed container=app pod=p_default(u1)");
        assert_eq!(waiting.message, Some(message));
        assert_eq!(status.last_state.unwrap().terminated.unwrap().exit_code, 1);
        assert_eq!(w.decide().wake, Some(w.now + SignedDuration::from_secs(seconds)));
        w.later(seconds);
        assert_eq!(w.act().last().unwrap(), &format!("start app {}", w.made - 1));
    }
    w.later(601);
    w.exits("app", 1);
    w.act();
    w.exits("app", 1);
    assert_eq!(w.decide().wake, Some(w.now + SignedDuration::from_secs(10)));
}

#[test]
fn restart_policies() {
    for (policy, code, does, looks) in [
        ("Always", 0, "start app 1", "Running app=exit 0"),
        ("OnFailure", 0, "stop sandbox", "Succeeded app=exit 0"),
        ("OnFailure", 1, "start app 1", "Running app=exit 1"),
        ("Never", 0, "stop sandbox", "Succeeded app=exit 0"),
        ("Never", 1, "stop sandbox", "Failed app=exit 1"),
    ] {
        let mut w = pod(json!({"restartPolicy": policy, "containers": [{"name": "app"}]}));
        w.act();
        w.act();
        w.exits("app", code);
        assert_eq!((w.does(), w.looks()), (vec![does.to_owned()], looks.to_owned()), "{policy} {code}");
    }
}

#[test]
fn a_containers_own_rules_come_before_the_pods_policy() {
    let rules = json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]);
    for (code, restarts) in [(42, true), (1, false)] {
        let w = pod(json!({
            "restartPolicy": "Always",
            "containers": [{"name": "app", "restartPolicy": "Never", "restartPolicyRules": rules}],
        }));
        let spec = w.pod.spec.as_ref().unwrap();
        assert_eq!(should_restart(spec, &spec.containers[0], code), restarts, "{code}");
    }
}

#[test]
fn a_failed_liveness_probe_restarts_with_its_own_grace() {
    let probe = json!({"exec": {"command": ["x"]}, "terminationGracePeriodSeconds": 7});
    let mut w = pod(json!({
        "terminationGracePeriodSeconds": 30, "restartPolicy": "OnFailure",
        "containers": [{"name": "app", "livenessProbe": probe}],
    }));
    w.act();
    w.act();
    w.verdict("app", |verdicts| verdicts.liveness = Some(Verdict::Failure));
    let Action::StopContainer { reason, id, .. } = w.decide().actions[0].clone() else { panic!() };
    let message = "Container app failed liveness probe, will be restarted".to_owned();
    assert_eq!(reason, Reason::Probe { message, restart: true });
    assert_eq!(w.act(), ["stop app in 7"]);
    assert_eq!(w.act(), [""; 0], "asked once");
    w.notes.renewed.insert(id);
    w.exits("app", 0);
    assert_eq!(w.act(), ["start app 1"], "even where it ended well");
}

#[test]
fn readiness_is_shown_and_gates_hold_it_back() {
    let mut w = pod(json!({
        "readinessGates": [{"conditionType": "example.com/ok"}],
        "containers": [{"name": "app", "readinessProbe": {"exec": {"command": ["x"]}}}],
    }));
    w.act();
    w.act();
    assert_eq!(w.looks(), "Running app=running");
    assert_eq!(w.condition("Ready"), ("False".into(), "containers with unready status: [app]".into()));
    w.verdict("app", |verdicts| verdicts.readiness = Some(Verdict::Success));
    assert_eq!(w.looks(), "Running app=ready");
    assert_eq!(w.condition("ContainersReady").0, "True");
    assert_eq!(
        w.condition("Ready").1,
        "corresponding condition of pod readiness gate \"example.com/ok\" does not exist."
    );
    let conditions = json!([{"type": "example.com/ok", "status": "True"}]);
    w.pod.status = Some(serde_json::from_value(json!({"conditions": conditions})).unwrap());
    w.shows();
    assert_eq!(w.condition("Ready").0, "True");
    assert_eq!(w.condition("example.com/ok").0, "True", "others' conditions are kept");
}

#[test]
fn a_deleted_pod_drains_stops_goes_and_is_deleted_last() {
    let mut w = pod(json!({"terminationGracePeriodSeconds": 30, "containers": [{"name": "app"}]}));
    w.act();
    w.act();
    w.delete(30);
    assert_eq!(w.act(), ["drain"]);
    assert_eq!(w.act(), ["stop app in 30"]);
    assert_eq!(w.act(), [""; 0]);
    w.delete(5);
    assert_eq!(w.act(), ["stop app in 5"], "a second delete with less grace is heard");
    w.exits("app", 143);
    assert_eq!(w.act(), ["stop sandbox"]);
    assert_eq!(w.looks(), "Failed app=exit 143");
    assert_eq!(w.act(), ["remove sandbox"]);
    assert_eq!(w.act(), [""; 0], "the status comes first");
    w.notes.reported = true;
    assert_eq!(w.act(), ["delete"]);
}

#[test]
fn a_pod_that_is_deleted_while_it_starts_gives_up_starting() {
    let mut w = pod(json!({"containers": [{"name": "app"}]}));
    w.act();
    w.notes.starting = Some("app".into());
    w.delete(30);
    assert_eq!(w.does(), ["abandon"]);
    w.notes.starting = None;
    assert_eq!(w.does(), ["stop sandbox"], "there was nothing to drain");
}

#[test]
fn too_long_active_is_failed_as_a_whole() {
    let mut w = pod(json!({"activeDeadlineSeconds": 60, "containers": [{"name": "app"}]}));
    w.act();
    w.act();
    w.pod.status = Some(w.shows());
    assert_eq!(w.decide().wake, Some(w.now + SignedDuration::from_secs(60)));
    w.later(60);
    assert_eq!(w.act(), ["fail DeadlineExceeded"]);
    assert_eq!(w.act(), ["stop app in 2"]);
    w.exits("app", 137);
    assert_eq!(w.looks(), "Failed app=exit 137");
    assert_eq!(w.status.reason.as_deref(), Some("DeadlineExceeded"));
}

#[test]
fn what_cannot_start_waits_with_its_reason_and_is_tried_again() {
    let mut w = pod(json!({"containers": [{"name": "app"}]}));
    w.act();
    let retry = w.now + SignedDuration::from_secs(10);
    let failure = Failure {
        reason: "ErrImagePull".into(),
        subject: "img".into(),
        message: "no such image".into(),
        at: w.now,
        retry,
    };
    w.notes.failures.insert("app".into(), failure);
    assert_eq!(w.looks(), "Pending app=ErrImagePull");
    let shown = w.now + SignedDuration::from_secs(3);
    assert_eq!((w.does().len(), w.decide().wake), (0, Some(shown)), "first it is shown as it is");
    w.later(5);
    assert_eq!((w.does().len(), w.decide().wake), (0, Some(retry)));
    assert_eq!(w.looks(), "Pending app=ImagePullBackOff");
    let waiting = w.shows().container_statuses.unwrap().remove(0).state.unwrap().waiting.unwrap();
    assert_eq!(
        waiting.message.as_deref(),
        Some("Back-off pulling image \"img\": ErrImagePull: no such image")
    );
    w.later(5);
    assert_eq!(w.does(), ["start app 0"]);
}

#[test]
fn a_dead_sandbox_is_replaced_and_initialization_starts_over() {
    let mut w = pod(json!({"initContainers": [{"name": "init"}], "containers": [{"name": "app"}]}));
    w.act();
    w.act();
    w.exits("init", 0);
    w.act();
    w.exits("app", 137);
    w.sandbox.as_mut().unwrap().state = SandboxState::NotReady;
    assert_eq!(w.act(), ["remove sandbox"]);
    assert_eq!(w.act(), ["sandbox 1"]);
    assert_eq!(w.act(), ["start init 1"]);
    w.exits("init", 0);
    assert_eq!(w.act(), ["start app 1"]);
}

#[test]
fn an_object_that_vanished_takes_its_containers_with_it() {
    let mut w = pod(json!({"containers": [{"name": "app"}]}));
    w.act();
    w.act();
    w.notes.end = Some(End::Gone);
    assert_eq!(w.act(), ["stop app in 2"], "nobody is asked to drain");
    w.exits("app", 143);
    assert_eq!(w.act(), ["stop sandbox"]);
    assert_eq!(w.act(), ["remove sandbox"]);
    assert_eq!(w.act(), ["forget"]);
}

#[test]
fn an_ephemeral_container_runs_once_and_holds_up_nobody() {
    let mut w = pod(json!({"containers": [{"name": "app"}], "restartPolicy": "Always"}));
    w.act();
    assert_eq!(w.act(), ["start app 0"]);
    let added = json!([{"name": "look", "image": "img"}]);
    w.pod.spec.as_mut().unwrap().ephemeral_containers = serde_json::from_value(added).unwrap();
    assert_eq!(w.act(), ["start look 0"]);
    assert_eq!(w.looks(), "Running app=ready");
    let shown = w.shows().ephemeral_container_statuses.unwrap();
    assert!(shown[0].state.as_ref().unwrap().running.is_some() && !shown[0].ready);
    w.exits("look", 1);
    assert_eq!(w.act(), [""; 0], "it never starts again");
    assert_eq!(w.looks(), "Running app=ready");
    // Another agent that finds no trace of it but in the status leaves it alone, too.
    w.containers.retain(|one| one.name != "look");
    w.pod.status = Some(w.shows());
    assert_eq!(w.act(), [""; 0]);
}

#[test]
fn an_ephemeral_container_goes_with_its_pod() {
    let mut w = pod(json!({"containers": [{"name": "app"}],
        "ephemeralContainers": [{"name": "look", "image": "img"}]}));
    assert_eq!(w.act(), ["sandbox 0"]);
    assert_eq!(w.act(), ["start look 0"], "it waits for nobody");
    assert_eq!(w.act(), ["start app 0"]);
    w.delete(7);
    assert_eq!(w.act(), ["drain"]);
    assert_eq!(w.act(), ["stop app in 7", "stop look in 7"]);
    w.exits("app", 0);
    assert_eq!(w.act(), [""; 0], "the other still runs");
    w.exits("look", 0);
    assert_eq!(w.act(), ["stop sandbox"]);
}

#[test]
fn a_pod_shows_what_it_was_given_and_why_it_gets_no_more() {
    let mut w = pod(json!({"containers": [{"name": "app", "resources": {"requests": {"cpu": "9"}}}]}));
    let given = json!({"app": {"requests": {"cpu": "1"}}});
    w.notes.allocated = serde_json::from_value(given).unwrap();
    w.notes.resize = Some(Pending::Deferred("no room".into()));
    w.act();
    w.act();
    let shown = w.shows();
    let container = &shown.container_statuses.unwrap()[0];
    assert_eq!(serde_json::to_value(&container.allocated_resources).unwrap(), json!({"cpu": "1"}));
    assert_eq!(w.condition("PodResizePending"), ("True".into(), "no room".into()));
    w.notes.resize = None;
    let conditions = w.shows().conditions.unwrap();
    assert!(conditions.iter().all(|one| one.type_ != "PodResizePending"));
}
