//! The scheduler beside an API server: it sees and acts through a client, and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use windlass::api::{ObjectKey, status};
use windlass::client::{Client, Error, Identity, Informer, ListOptions, Request, Response};
use windlass::env::Clock;
use windlass::sched::{
    Cycle, Filter, NodeIndex, Permission, Permit, Plugin, Scheduler, SchedulerBuilder, Verdict,
};

use super::server_kit::*;

async fn node(kit: &Kit, name: &str, cpu: &str) {
    kit.create("", "nodes", json!({"metadata": {"name": name}})).await.unwrap();
    let amounts = json!({"cpu": cpu, "memory": "8Gi", "pods": "110"});
    let status = json!({"status": {"capacity": amounts, "allocatable": amounts}});
    kit.merge("", &format!("nodes/{name}/status"), status).await.unwrap();
}

fn asking(name: &str, cpu: &str) -> Value {
    let mut pod = pod(name);
    pod["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": cpu}});
    pod
}

fn builder(kit: &Kit) -> SchedulerBuilder {
    let client = kit.server.client(Identity::user("system:kube-scheduler"));
    Scheduler::builder().client(client).env(kit.server.env().clone())
}

/// Waits until the pods are as they should be; an hour of virtual time is more than any story takes.
async fn until(pods: &Informer<Pod>, holds: impl Fn(&[Arc<Pod>]) -> bool) {
    let mut changed = pods.changed_keys();
    let wait = async {
        while !holds(&pods.list()) {
            changed.recv().await.expect("the informer lives");
        }
    };
    let waited = Clock::system().timeout(Duration::from_secs(3600), wait).await;
    assert!(waited.is_ok(), "{:#?}", pods.list().iter().map(|pod| &pod.status).collect::<Vec<_>>());
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

fn condition<'a>(pod: &'a Pod, reason: &str) -> Option<&'a str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found =
        conditions.iter().find(|own| own.type_ == "PodScheduled" && own.reason.as_deref() == Some(reason));
    found?.message.as_deref()
}

/// Reasons and messages of the events about a pod, once there are so many.
async fn events(kit: &Kit, name: &str, count: usize) -> Vec<(String, String)> {
    for _ in 0..1000 {
        let list = kit.list("default", "events", ListOptions::default()).await.unwrap();
        let about: Vec<_> = list
            .items
            .iter()
            .map(shown)
            .filter(|event| event["involvedObject"]["name"] == name)
            .map(|event| {
                let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
                (text("reason"), text("message"))
            })
            .collect();
        if about.len() >= count {
            return about;
        }
        tokio::task::yield_now().await;
    }
    panic!("fewer than {count} events about {name}")
}

#[tokio::test(start_paused = true)]
async fn pods_are_bound_and_spread() {
    let kit = kit().await;
    for name in ["n1", "n2", "n3"] {
        node(&kit, name, "4").await;
    }
    let scheduler = builder(&kit).start().await;
    for index in 0..9 {
        kit.create("default", "pods", asking(&format!("p{index}"), "1")).await.unwrap();
    }
    until(scheduler.pods(), |pods| pods.len() == 9 && pods.iter().all(|pod| node_of(pod).is_some())).await;
    let mut spread = BTreeMap::new();
    for pod in scheduler.pods().list() {
        *spread.entry(node_of(&pod).unwrap().to_owned()).or_insert(0) += 1;
    }
    assert_eq!(spread.into_values().collect::<Vec<_>>(), [3, 3, 3]);
    let on = node_of(&scheduler.pods().get(&ObjectKey::new("default", "p0")).unwrap()).unwrap().to_owned();
    let said = events(&kit, "p0", 1).await;
    assert_eq!(said, [("Scheduled".to_owned(), format!("Successfully assigned default/p0 to {on}"))]);
    scheduler.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_fits_nowhere_says_why_and_is_placed_when_there_is_room() {
    let kit = kit().await;
    node(&kit, "small", "1").await;
    let scheduler = builder(&kit).start().await;
    kit.create("default", "pods", asking("big", "2")).await.unwrap();
    let why = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not \
               helpful for scheduling.";
    until(scheduler.pods(), |pods| pods.iter().any(|pod| condition(pod, "Unschedulable") == Some(why))).await;
    assert_eq!(events(&kit, "big", 1).await, [("FailedScheduling".to_owned(), why.to_owned())]);
    node(&kit, "large", "4").await;
    until(scheduler.pods(), |pods| pods.iter().any(|pod| node_of(pod) == Some("large"))).await;
    scheduler.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_leaves_makes_room() {
    let kit = kit().await;
    node(&kit, "n", "1").await;
    let scheduler = builder(&kit).start().await;
    kit.create("default", "pods", asking("first", "1")).await.unwrap();
    until(scheduler.pods(), |pods| pods.iter().any(|pod| node_of(pod) == Some("n"))).await;
    kit.create("default", "pods", asking("second", "1")).await.unwrap();
    until(scheduler.pods(), |pods| pods.iter().any(|pod| condition(pod, "Unschedulable").is_some())).await;
    let at_once = delete_options(|options| options.grace_period_seconds = Some(0));
    kit.delete_with("default", "pods/first", at_once).await.unwrap();
    until(scheduler.pods(), |pods| pods.iter().all(|pod| node_of(pod) == Some("n")) && pods.len() == 1).await;
    scheduler.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn pods_of_another_scheduler_are_left_alone() {
    let kit = kit().await;
    node(&kit, "n", "4").await;
    let scheduler = builder(&kit).name("mine").start().await;
    kit.create("default", "pods", asking("theirs", "1")).await.unwrap();
    let mut mine = asking("mine", "1");
    mine["spec"]["schedulerName"] = "mine".into();
    kit.create("default", "pods", mine).await.unwrap();
    until(scheduler.pods(), |pods| pods.iter().any(|pod| node_of(pod) == Some("n"))).await;
    assert_eq!(node_of(&scheduler.pods().get(&ObjectKey::new("default", "theirs")).unwrap()), None);
    scheduler.shutdown().await;
}

/// Lets pods only on nodes of one name, and only once somebody says so.
struct Picky;

impl Plugin for Picky {
    fn name(&self) -> &'static str {
        "Picky"
    }

    fn as_filter(&self) -> Option<&dyn Filter> {
        Some(self)
    }

    fn as_permit(&self) -> Option<&dyn Permit> {
        Some(self)
    }
}

impl Filter for Picky {
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let right = &**cycle.snapshot.name(node) == "right";
        Verdict::fits_or(right, || Verdict::unresolvable("node(s) were wrong"))
    }
}

impl Permit for Picky {
    fn permit(&self, _: &Cycle<'_>, _: NodeIndex) -> Permission {
        Permission::Wait(Duration::from_secs(30))
    }
}

#[tokio::test(start_paused = true)]
async fn a_plugin_filters_and_holds_back() {
    let kit = kit().await;
    node(&kit, "right", "4").await;
    node(&kit, "wrong", "4").await;
    let scheduler = builder(&kit).plugin(Picky).start().await;
    kit.create("default", "pods", asking("a", "1")).await.unwrap();
    // Nobody says so in time.
    let late = "0/2 nodes are available: timed out waiting for Picky.";
    until(scheduler.pods(), |pods| pods.iter().any(|pod| condition(pod, "Unschedulable") == Some(late)))
        .await;
    // Any change wakes it; this time it is allowed.
    node(&kit, "other", "4").await;
    let waiting = scheduler.waiting().clone();
    while waiting.uids().is_empty() {
        kit.server.env().clock.sleep(Duration::from_secs(1)).await;
    }
    for uid in waiting.uids() {
        waiting.allow(&uid, "Picky");
    }
    until(scheduler.pods(), |pods| pods.iter().any(|pod| node_of(pod) == Some("right"))).await;
    scheduler.shutdown().await;
}

/// Fails so many bindings, as a server that is going away would.
struct Failing {
    inner: Arc<dyn Client>,
    bindings: AtomicUsize,
}

#[async_trait]
impl Client for Failing {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        if let Request::Create { target, .. } = &request
            && target.subresource.as_deref() == Some("binding")
            && self
                .bindings
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
        {
            return Err(status::unavailable("going away").into());
        }
        self.inner.call(request).await
    }

    fn identity(&self) -> &Identity {
        self.inner.identity()
    }
}

#[tokio::test(start_paused = true)]
async fn a_binding_that_fails_is_tried_again_and_holds_no_room() {
    let kit = kit().await;
    node(&kit, "n", "1").await;
    let inner = kit.server.client(Identity::user("system:kube-scheduler"));
    let client = Arc::new(Failing { inner, bindings: AtomicUsize::new(2) });
    let scheduler = Scheduler::builder().client(client).env(kit.server.env().clone()).start().await;
    kit.create("default", "pods", asking("a", "1")).await.unwrap();
    until(scheduler.pods(), |pods| {
        pods.iter().any(|pod| {
            condition(pod, "SchedulerError") == Some("running Bind plugin \"DefaultBinder\": going away")
        })
    })
    .await;
    until(scheduler.pods(), |pods| pods.iter().any(|pod| node_of(pod) == Some("n"))).await;
    scheduler.shutdown().await;
}

#[test]
fn the_same_seed_places_the_same_and_another_does_not() {
    let placed = |seed| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let env = windlass::env::Env::simulated(seed);
            let kit = kit_with(|builder| builder.env(env)).await;
            for index in 0..5 {
                node(&kit, &format!("n{index}"), "64").await;
            }
            let scheduler = builder(&kit).start().await;
            for index in 0..40 {
                kit.create("default", "pods", pod(&format!("p{index:02}"))).await.unwrap();
            }
            until(scheduler.pods(), |pods| pods.len() == 40 && pods.iter().all(|pod| node_of(pod).is_some()))
                .await;
            let places: Vec<_> =
                scheduler.pods().list().iter().map(|pod| node_of(pod).unwrap().to_owned()).collect();
            scheduler.shutdown().await;
            places
        })
    };
    assert_eq!(placed(1), placed(1));
    assert_ne!(placed(1), placed(2));
}
