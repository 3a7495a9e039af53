//! The lives of pods on a simulated machine, against a real API server, on virtual time.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};
use windlass::client::{Api, ClientExt, DeleteOptions, Patch, PatchType, Target};
use windlass::node::OnShutdown;
use windlass::runtime::sim::{Answer, Delay, Life, OnTerm, Script, Served};
use windlass::runtime::{ContainerRuntime, ContainerState};

use crate::node_kit::{Machine, is, phase, state};

fn crashes() -> Script {
    Script::new().life(Life::Exits { after: Delay::NONE, code: 1 })
}

fn done_after(seconds: u64) -> Script {
    Script::new().life(Life::Exits { after: Duration::from_secs(seconds).into(), code: 0 })
}

/// Serves port 80, and is ready so long after its start.
fn web(ready_after: u64) -> Script {
    let (open_after, ready_after) = (Duration::ZERO, Duration::from_secs(ready_after));
    Script::new().serves(Served { port: 80, open_after, ready_after })
}

fn grace(seconds: i64) -> DeleteOptions {
    let mut options = DeleteOptions::default();
    options.grace_period_seconds = Some(seconds);
    options
}

#[tokio::test(start_paused = true)]
async fn a_bound_pod_runs_and_a_deleted_one_leaves_nothing() {
    let machine = Machine::new([("web:1", Script::new())]).await;
    let _agent = machine.agent().await;
    let node = Api::<Node>::all(machine.client.clone()).get("n1").await.unwrap();
    let info = node.status.as_ref().unwrap().node_info.clone().unwrap();
    assert!(info.container_runtime_version.starts_with("windlass-sim://"));
    assert_eq!(node.metadata.labels.unwrap()["kubernetes.io/hostname"], "n1");

    machine.run("web", json!({"containers": [{"name": "app", "image": "web:1"}]})).await;
    let pod = machine.until("web", "ready", |pod| is(pod, "app", "ready")).await;
    let status = pod.status.clone().unwrap();
    assert_eq!((phase(&pod), status.pod_ip.as_deref()), ("Running", Some("10.1.0.2")));
    assert_eq!(status.host_ip.as_deref(), Some("10.1.0.1"));
    let container = &status.container_statuses.unwrap()[0];
    assert!(container.container_id.as_ref().unwrap().starts_with("windlass-sim://"));
    for kind in ["PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready", "PodScheduled"] {
        let conditions = status.conditions.as_ref().unwrap();
        assert!(conditions.iter().any(|one| one.type_ == kind && one.status == "True"), "{kind}");
    }
    let reasons: Vec<_> = machine.told("web").await.into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(reasons, ["Pulling", "Pulled", "Created", "Started"]);

    machine.pods().delete("web", grace(30)).await.unwrap();
    machine.gone("web").await;
    assert_eq!(machine.has().await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_renewed_every_ten_seconds() {
    let machine = Machine::new([]).await;
    let agent = machine.agent().await;
    machine.pass(1).await;
    let leases = Api::<Lease>::namespaced(machine.client.clone(), "kube-node-lease");
    let renewed = async || leases.get("n1").await.unwrap().spec.unwrap().renew_time.unwrap().0;
    let (first, _) = (renewed().await, machine.pass(100).await);
    let moved = renewed().await.duration_since(first).as_secs();
    assert!((90..=100).contains(&moved), "{moved}");
    agent.shutdown().await;
    let (last, _) = (renewed().await, machine.pass(60).await);
    assert_eq!(renewed().await, last, "an agent that is shut down says nothing more");
}

#[tokio::test(start_paused = true)]
async fn crashes_are_restarted_with_growing_pauses() {
    let machine = Machine::new([("bad", crashes())]).await;
    let _agent = machine.agent().await;
    machine.run("bad", json!({"containers": [{"name": "app", "image": "bad"}]})).await;
    let mut seconds = Vec::new();
    for restarts in 1..=6 {
        machine
            .until("bad", "restarted", |pod| pod.status.is_some() && state(pod, "app").1 >= restarts)
            .await;
        seconds.push(machine.second());
    }
    let pauses: Vec<_> = seconds.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses, [10, 20, 40, 80, 160]);
    let pod = machine.until("bad", "held back", |pod| is(pod, "app", "CrashLoopBackOff")).await;
    assert_eq!(phase(&pod), "Running");
    let told = machine.told("bad").await;
    let uid = pod.metadata.uid.unwrap();
    let message = format!("Back-off restarting failed container app in pod bad_default({uid})");
    assert!(told.contains(&("BackOff".into(), message)), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn init_containers_run_one_after_the_other() {
    let machine = Machine::new([("step", done_after(5)), ("web:1", Script::new())]).await;
    let _agent = machine.agent().await;
    let init = json!([{"name": "a", "image": "step"}, {"name": "b", "image": "step"}]);
    let spec = json!({"initContainers": init, "containers": [{"name": "app", "image": "web:1"}]});
    machine.run("ordered", spec).await;
    let pod = machine.until("ordered", "ready", |pod| is(pod, "app", "ready")).await;
    let status = pod.status.unwrap();
    let init: Vec<_> = status.init_container_statuses.unwrap();
    let ends: Vec<_> = init.iter().map(|one| one.state.clone().unwrap().terminated.unwrap()).collect();
    assert!(ends[0].finished_at <= ends[1].started_at);
    let started = status.container_statuses.unwrap()[0].state.clone().unwrap().running.unwrap().started_at;
    assert!(ends[1].finished_at <= started);
    assert!(machine.second() >= 10);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_ends_is_kept_for_its_logs_until_it_is_deleted() {
    let machine = Machine::new([("job", done_after(3))]).await;
    let _agent = machine.agent().await;
    let spec = json!({"restartPolicy": "Never", "containers": [{"name": "app", "image": "job"}]});
    machine.run("job", spec).await;
    let pod = machine.until("job", "succeeded", |pod| phase(pod) == "Succeeded").await;
    assert_eq!(state(&pod, "app"), ("exit 0".into(), 0));
    machine.pass(60).await;
    assert_eq!(machine.has().await, (1, 1));
    machine.pods().delete("job", grace(30)).await.unwrap();
    machine.gone("job").await;
    assert_eq!(machine.has().await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn readiness_follows_the_probe() {
    let machine = Machine::new([("web:1", web(7))]).await;
    let _agent = machine.agent().await;
    let probe = json!({"httpGet": {"path": "/", "port": 80}, "periodSeconds": 2});
    let start = machine.second();
    machine
        .run("web", json!({"containers": [{"name": "app", "image": "web:1", "readinessProbe": probe}]}))
        .await;
    machine.until("web", "ready", |pod| is(pod, "app", "ready")).await;
    let took = machine.second() - start;
    assert!((7..=9).contains(&took), "{took}");
    let told = machine.told("web").await;
    let message = "Readiness probe failed: HTTP probe failed with statuscode: 503";
    assert!(told.contains(&("Unhealthy".into(), message.into())), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_liveness_probe_restarts_the_container_after_its_startup() {
    let fails = Answer { code: 1, ..Answer::default() };
    let script = Script::new().answers(["check"], fails).answers(["up"], Answer::default());
    let machine = Machine::new([("sick", script)]).await;
    let _agent = machine.agent().await;
    let exec = |word: &str| json!({"exec": {"command": [word]}, "periodSeconds": 5, "failureThreshold": 2});
    let container = json!({
        "name": "app", "image": "sick", "startupProbe": exec("up"), "livenessProbe": exec("check"),
    });
    machine.run("sick", json!({"containers": [container]})).await;
    machine.until("sick", "restarted", |pod| pod.status.is_some() && state(pod, "app").1 == 1).await;
    let told = machine.told("sick").await;
    let message = "Container app failed liveness probe, will be restarted";
    assert!(told.contains(&("Killing".into(), message.into())), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_named_and_comes_to_be() {
    let machine = Machine::new([("web:1", Script::new())]).await;
    let _agent = machine.agent().await;
    let env = json!([{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "k"}}}]);
    machine.run("web", json!({"containers": [{"name": "app", "image": "web:1", "env": env}]})).await;
    let pod = machine.until("web", "refused", |pod| is(pod, "app", "CreateContainerConfigError")).await;
    let status = pod.status.unwrap().container_statuses.unwrap().remove(0);
    let waiting = status.state.unwrap().waiting.unwrap();
    assert_eq!(waiting.message.as_deref(), Some("configmap \"cfg\" not found"));
    machine.make("configmaps", json!({"metadata": {"name": "cfg"}, "data": {"k": "v"}})).await;
    machine.until("web", "ready", |pod| is(pod, "app", "ready")).await;
    let told = machine.told("web").await;
    assert!(told.contains(&("Failed".into(), "Error: configmap \"cfg\" not found".into())), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_not_there_is_tried_again() {
    let machine = Machine::new([]).await;
    let _agent = machine.agent().await;
    let names = json!([{"name": "app", "image": "nowhere"}]);
    machine.run("web", json!({"containers": names})).await;
    machine.until("web", "refused", |pod| is(pod, "app", "ErrImagePull")).await;
    let pod = machine.until("web", "held back", |pod| is(pod, "app", "ImagePullBackOff")).await;
    assert_eq!(phase(&pod), "Pending");
    let status = pod.status.unwrap().container_statuses.unwrap().remove(0);
    let message = status.state.unwrap().waiting.unwrap().message.unwrap();
    assert!(message.starts_with("Back-off pulling image \"nowhere\": ErrImagePull: "), "{message}");
    machine.pods().delete("web", grace(30)).await.unwrap();
    machine.gone("web").await;
    assert_eq!(machine.has().await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_hook_counts_as_grace_and_what_ignores_sigterm_is_killed() {
    let deaf = Script::new().on_term(OnTerm::Ignores);
    let machine = Machine::new([("polite", Script::new()), ("deaf", deaf)]).await;
    let _agent = machine.agent().await;
    // (image, preStop sleep, grace, seconds until it is gone)
    for (image, sleep, seconds, least) in
        [("polite", 5, 30, 5), ("deaf", 0, 20, 20), ("deaf", 6, 10, 10), ("deaf", 30, 4, 6)]
    {
        let hook = json!({"preStop": {"sleep": {"seconds": sleep}}});
        let mut container = json!({"name": "app", "image": image});
        if sleep > 0 {
            container["lifecycle"] = hook;
        }
        machine.run("p", json!({"containers": [container]})).await;
        machine.until("p", "ready", |pod| is(pod, "app", "ready")).await;
        let start = machine.second();
        machine.pods().delete("p", grace(seconds)).await.unwrap();
        machine.gone("p").await;
        let took = machine.second() - start;
        assert!((least..=least + 1).contains(&took), "{image} {sleep} {seconds}: {took}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_post_start_hook_ends_the_container() {
    let script = Script::new().answers(["no"], Answer { code: 3, ..Answer::default() });
    let machine = Machine::new([("web:1", script)]).await;
    let _agent = machine.agent().await;
    let hook = json!({"postStart": {"exec": {"command": ["no"]}}});
    machine.run("web", json!({"containers": [{"name": "app", "image": "web:1", "lifecycle": hook}]})).await;
    machine.until("web", "restarted", |pod| pod.status.is_some() && state(pod, "app").1 >= 2).await;
    let told = machine.told("web").await;
    assert!(told.contains(&("FailedPostStartHook".into(), "PostStartHook failed".into())), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pod_leaves_rotation_before_it_is_asked_to_end() {
    let machine = Machine::new([("web:1", web(0))]).await;
    let _agent = machine.agent().await;
    machine.make("services", json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})).await;
    let pod = machine.run("web", json!({"containers": [{"name": "app", "image": "web:1"}]})).await;
    machine.until("web", "ready", |pod| is(pod, "app", "ready")).await;
    let uid = pod.metadata.uid.unwrap();
    let slice = |ready: bool| {
        let target = json!({"kind": "Pod", "name": "web", "namespace": "default", "uid": uid});
        json!({
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.1.0.2"], "conditions": {"ready": ready}, "targetRef": target}],
        })
    };
    machine.make("endpointslices", slice(true)).await;
    machine.pods().delete("web", grace(30)).await.unwrap();
    machine.pass(3).await;
    let runs = async || {
        let all = machine.runtime.containers().await.unwrap();
        all.iter().any(|one| matches!(one.state, ContainerState::Running { .. }))
    };
    assert!(runs().await, "it is still in rotation");
    let slices =
        Api::<k8s_openapi::api::discovery::v1::EndpointSlice>::namespaced(machine.client.clone(), "default");
    slices.merge_patch("web-1", &slice(false)).await.unwrap();
    machine.env.clock.sleep(Duration::from_millis(400)).await;
    assert!(runs().await, "proxies need a moment");
    machine.env.clock.sleep(Duration::from_millis(200)).await;
    assert!(!runs().await);
    machine.gone("web").await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_restarts_adopts_what_runs_and_clears_what_nobody_wants() {
    let machine = Machine::new([("web:1", Script::new())]).await;
    let agent = machine.builder().on_shutdown(OnShutdown::LeavePods).start().await.unwrap();
    for name in ["stays", "goes"] {
        machine.run(name, json!({"containers": [{"name": "app", "image": "web:1"}]})).await;
        machine.until(name, "ready", |pod| is(pod, "app", "ready")).await;
    }
    let before = machine.pods().get("stays").await.unwrap();
    agent.shutdown().await;
    drop(agent);
    assert_eq!(machine.has().await, (2, 2), "pods run on without their agent");
    machine.pods().delete("goes", grace(0)).await.unwrap();

    let agent = machine.agent().await;
    machine.pass(10).await;
    let after = machine.pods().get("stays").await.unwrap();
    assert_eq!(state(&after, "app"), ("ready".into(), 0));
    let id = |pod: &k8s_openapi::api::core::v1::Pod| {
        pod.status.clone().unwrap().container_statuses.unwrap()[0].container_id.clone()
    };
    assert_eq!(id(&after), id(&before));
    assert_eq!(after.status, before.status, "nothing has changed");
    assert_eq!(machine.has().await, (1, 1), "what no pod claims goes");
    agent.shutdown().await;
    assert_eq!(machine.has().await, (0, 0), "by default an agent leaves nothing");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_mounts_what_cannot_be_mounted_waits_and_says_so() {
    let machine = Machine::new([("web:1", Script::new())]).await;
    let _agent = machine.agent().await;
    let container =
        json!({"name": "app", "image": "web:1", "volumeMounts": [{"name": "data", "mountPath": "/d"}]});
    machine
        .run("web", json!({"containers": [container], "volumes": [{"name": "data", "emptyDir": {}}]}))
        .await;
    machine.until("web", "refused", |pod| is(pod, "app", "CreateContainerConfigError")).await;
    machine.pass(600).await;
    assert_eq!(machine.has().await, (0, 0));
    assert!(
        machine
            .told("web")
            .await
            .iter()
            .any(|(reason, text)| reason == "FailedMount" && text.contains("\"data\""))
    );
}

#[tokio::test(start_paused = true)]
async fn a_container_killed_from_outside_comes_back() {
    let machine = Machine::new([("web:1", Script::new())]).await;
    let _agent = machine.agent().await;
    machine.run("web", json!({"containers": [{"name": "app", "image": "web:1"}]})).await;
    machine.until("web", "ready", |pod| is(pod, "app", "ready")).await;
    let id = machine.runtime.containers().await.unwrap()[0].id.clone();
    machine.runtime.kill(&id);
    let pod = machine.until("web", "back", |pod| state(pod, "app") == ("ready".into(), 1)).await;
    let status = pod.status.unwrap().container_statuses.unwrap().remove(0);
    assert_eq!(status.last_state.unwrap().terminated.unwrap().exit_code, 137);
}

#[tokio::test(start_paused = true)]
async fn a_resize_waits_for_room_and_restarts_what_wants_it() {
    let machine = Machine::new([("app", Script::new())]).await;
    let _agent = machine.agent().await;
    let spec = |cpu: &str| {
        json!({"terminationGracePeriodSeconds": 1, "containers": [{"name": "app", "image": "app",
            "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}},
            "resizePolicy": [{"resourceName": "memory", "restartPolicy": "RestartContainer"},
                {"resourceName": "cpu", "restartPolicy": "NotRequired"}]}]})
    };
    for name in ["one", "other"] {
        machine.run(name, spec("3")).await;
        machine.until(name, "ready", |pod| is(pod, "app", "ready")).await;
    }
    let resize = async |resources: Value| {
        let scheme = machine.server.scheme();
        let target =
            Target::all(scheme.of::<Pod>().unwrap()).namespace("default").name("one").subresource("resize");
        let patch = json!({"spec": {"containers": [{"name": "app", "resources": {"requests": resources}}]}});
        let patch = Patch { kind: PatchType::StrategicMerge, body: patch.to_string().into(), force: false };
        machine.client.patch(target, patch, Default::default()).await.unwrap();
    };
    let pending = |pod: &Pod| {
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().find(|one| one.type_ == "PodResizePending").and_then(|one| one.reason.clone())
    };
    let given = |pod: &Pod, name: &str| {
        let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
        status.allocated_resources.as_ref()?.get(name).map(|amount| amount.0.clone())
    };
    // The node has eight, and the other pod three of them.
    resize(json!({"cpu": "6"})).await;
    let waits = machine.until("one", "told to wait", |pod| pending(pod).is_some()).await;
    assert_eq!((pending(&waits).as_deref(), given(&waits, "cpu").as_deref()), (Some("Deferred"), Some("3")));
    machine.pods().delete("other", grace(0)).await.unwrap();
    let has = machine.until("one", "given", |pod| given(pod, "cpu").as_deref() == Some("6")).await;
    assert_eq!((pending(&has), state(&has, "app").1), (None, 0));
    resize(json!({"cpu": "9"})).await;
    let never = machine.until("one", "refused", |pod| pending(pod).is_some()).await;
    assert_eq!(pending(&never).as_deref(), Some("Infeasible"));
    resize(json!({"cpu": "6", "memory": "2Gi"})).await;
    let anew = machine.until("one", "started anew", |pod| state(pod, "app") == ("ready".into(), 1)).await;
    assert_eq!(given(&anew, "memory").as_deref(), Some("2Gi"));
}
