//! Whole ways of pods that wait for their volumes. The stories play whoever binds volumes and makes them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::VolumeBinding;
use super::fake_server::FakeServer;
use crate::env::Env;
use crate::sched::Scheduler;
use crate::sched::config::VolumeBindingArgs;

const SELECTED: &str = "volume.kubernetes.io/selected-node";
const BOUND: &str = "pv.kubernetes.io/bind-completed";

/// A server and a scheduler.
struct Stage {
    server: Arc<FakeServer>,
    scheduler: Scheduler,
    env: Env,
}

impl Stage {
    /// A node, a class that makes nothing and one that does, and a claim to each.
    async fn set(limit: i64) -> Self {
        let server = FakeServer::new();
        let allocatable = json!({"cpu": "64", "memory": "64Gi", "pods": "1000"});
        let node = json!({"metadata": {"labels": {"disk": "ssd"}}, "spec": {}, "status": {"allocatable": allocatable}});
        server.put("nodes", "", "n", node);
        for (name, provisioner) in [("local", "kubernetes.io/no-provisioner"), ("made", "csi.example.com")] {
            let mode = "WaitForFirstConsumer";
            let class = json!({"provisioner": provisioner, "volumeBindingMode": mode});
            server.put("storageclasses", "", name, class);
            Self::claim(&server, name, name);
        }
        let env = Env::simulated(7);
        let plugin = VolumeBinding::new(&VolumeBindingArgs { bind_timeout_seconds: limit, shape: None });
        let builder = Scheduler::builder().client(server.clone()).env(env.clone()).plugin(plugin);
        Self { server, scheduler: builder.start().await, env }
    }

    fn claim(server: &FakeServer, name: &str, class: &str) {
        let spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": class,
                          "resources": {"requests": {"storage": "1Gi"}}});
        server.put(
            "persistentvolumeclaims",
            "ns",
            name,
            json!({"metadata": {"annotations": {}}, "spec": spec}),
        );
    }

    fn run(&self, name: &str, claims: &[&str]) {
        let volume = |claim: &&str| json!({"name": claim, "persistentVolumeClaim": {"claimName": claim}});
        let volumes: Vec<_> = claims.iter().map(volume).collect();
        let spec =
            json!({"containers": [{"name": "c"}], "volumes": volumes, "schedulerName": "default-scheduler"});
        self.server.put("pods", "ns", name, json!({"metadata": {}, "spec": spec}));
    }

    /// A volume for nodes with a disk of a kind.
    fn volume(&self, name: &str, disk: &str) {
        let term = json!({"matchExpressions": [{"key": "disk", "operator": "In", "values": [disk]}]});
        let spec = json!({
            "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "local",
            "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
        });
        let tree = json!({"metadata": {}, "spec": spec, "status": {"phase": "Available"}});
        self.server.put("persistentvolumes", "", name, tree);
    }

    /// Binds a claim to a volume, as whoever binds them does in the end.
    fn bind(&self, claim: &str, volume: &str) {
        self.server.change("persistentvolumeclaims", "ns", claim, |claim| {
            claim["metadata"]["annotations"][BOUND] = "yes".into();
            claim["spec"]["volumeName"] = volume.into();
        });
    }

    /// Waits until an object is as it should be; an hour of virtual time is more than any story takes.
    async fn until(
        &self,
        plural: &str,
        namespace: &str,
        name: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        for _ in 0..36_000 {
            let object = self.server.get(plural, namespace, name);
            if holds(&object) {
                return object;
            }
            self.pass(Duration::from_millis(100)).await;
        }
        panic!("{:#}", self.server.get(plural, namespace, name))
    }

    async fn pass(&self, time: Duration) {
        self.env.clock.sleep(time).await;
    }

    async fn placed(&self, pod: &str) {
        self.until("pods", "ns", pod, has_node).await;
    }

    /// Waits until the condition of a pod says something.
    async fn said(&self, pod: &str, why: &str) {
        let says = |pod: &Value| pod["status"]["conditions"][0]["message"] == why;
        self.until("pods", "ns", pod, says).await;
    }

    async fn selected(&self, claim: &str) {
        let selected = |claim: &Value| claim["metadata"]["annotations"][SELECTED] == "n";
        self.until("persistentvolumeclaims", "ns", claim, selected).await;
    }

    async fn kept(&self, volume: &str) -> Value {
        let kept = |volume: &Value| volume["spec"]["claimRef"].is_object();
        self.until("persistentvolumes", "", volume, kept).await
    }
}

fn has_node(pod: &Value) -> bool {
    pod["spec"]["nodeName"] == "n"
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_kept_for_a_claim_and_the_pod_is_bound_when_both_are() {
    let stage = Stage::set(600).await;
    stage.volume("elsewhere", "hdd");
    stage.volume("here", "ssd");
    let watches = stage.server.watches();
    stage.run("p", &["local"]);
    let kept = stage.kept("here").await;
    assert_eq!(kept["spec"]["claimRef"]["name"], "local");
    assert_eq!(kept["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"], "yes");
    // Time passes, and the pod waits.
    stage.pass(Duration::from_secs(60)).await;
    assert!(!has_node(&stage.server.get("pods", "ns", "p")));
    assert!(stage.server.watches() > watches);
    stage.bind("local", "here");
    stage.placed("p").await;
    // Nobody is followed any more for its sake.
    assert_eq!(stage.server.watches(), watches);
    assert!(stage.server.get("persistentvolumes", "", "elsewhere")["spec"]["claimRef"].is_null());
    stage.scheduler.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_made_for_the_node_that_was_selected() {
    let stage = Stage::set(600).await;
    stage.run("p", &["made"]);
    stage.selected("made").await;
    // The claim may be seen bound before the volume itself is.
    stage.bind("made", "new");
    stage.pass(Duration::from_secs(60)).await;
    assert!(!has_node(&stage.server.get("pods", "ns", "p")));
    stage.volume("new", "ssd");
    stage.placed("p").await;
    stage.scheduler.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn who_cannot_make_a_volume_says_so_and_the_pod_is_tried_again() {
    let stage = Stage::set(600).await;
    stage.run("p", &["made"]);
    stage.selected("made").await;
    stage.server.change("persistentvolumeclaims", "ns", "made", |claim| {
        claim["metadata"]["annotations"] = json!({"other": "kept"});
    });
    let why =
        "running PreBind plugin \"VolumeBinding\": binding volumes: provisioning failed for PVC \"made\"";
    stage.said("p", why).await;
    // It is selected anew, and this time all goes well.
    stage.selected("made").await;
    stage.volume("new", "ssd");
    stage.bind("made", "new");
    stage.placed("p").await;
    stage.scheduler.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_is_made_elsewhere_or_taken_away_is_no_use() {
    let stage = Stage::set(600).await;
    stage.run("p", &["made"]);
    stage.selected("made").await;
    stage.volume("far", "hdd");
    stage.bind("made", "far");
    let far = "running PreBind plugin \"VolumeBinding\": binding volumes: pv \"far\" node affinity doesn't match node \
               \"n\": no matching NodeSelectorTerms";
    stage.said("p", far).await;
    stage.volume("here", "ssd");
    stage.run("q", &["local"]);
    stage.kept("here").await;
    stage.server.change("persistentvolumes", "", "here", |volume| volume["spec"]["claimRef"] = Value::Null);
    let reset =
        "running PreBind plugin \"VolumeBinding\": binding volumes: ClaimRef got reset for pv \"here\"";
    stage.said("q", reset).await;
    stage.scheduler.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn volumes_may_take_only_so_long() {
    let stage = Stage::set(30).await;
    stage.run("p", &["made"]);
    let why = "running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded";
    stage.said("p", why).await;
    stage.scheduler.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn more_pods_may_wait_for_volumes_than_may_be_bound_at_a_time() {
    let stage = Stage::set(600).await;
    for number in 0..100 {
        let claim = format!("c{number}");
        Stage::claim(&stage.server, &claim, "made");
        stage.run(&format!("waits-{number}"), &[&claim]);
    }
    for number in 0..100 {
        stage.selected(&format!("c{number}")).await;
    }
    stage.run("p", &[]);
    stage.placed("p").await;
    stage.scheduler.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_goes_waits_no_longer_and_its_like_has_what_was_kept() {
    let stage = Stage::set(600).await;
    stage.volume("here", "ssd");
    let watches = stage.server.watches();
    stage.run("p", &["local"]);
    stage.kept("here").await;
    stage.pass(Duration::from_secs(1)).await;
    stage.server.delete("pods", "ns", "p");
    stage.pass(Duration::from_secs(1)).await;
    assert_eq!(stage.server.watches(), watches);
    stage.run("p", &["local"]);
    stage.pass(Duration::from_secs(60)).await;
    stage.bind("local", "here");
    stage.placed("p").await;
    stage.scheduler.shutdown().await;
}
