//! Whole clusters: from one manifest to running pods and back to nothing.

use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Event as CoreEvent, Pod};
use serde_json::json;
use windlass::client::{Api, Client, Event, ListOptions, Typed, WatchOptions};
use windlass::cluster::{Cluster, ClusterBuilder, NodeSpec, Simulated, StartError};
use windlass::env::Env;
use windlass::{kube_core, sim};

use std::sync::Arc;

fn simulated(env: &Env, nodes: usize) -> ClusterBuilder {
    Cluster::builder().nodes(nodes).machines(Simulated::default()).env(env.clone())
}

fn web(replicas: i32) -> String {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            },
        },
    })
    .to_string()
}

/// Waits until an object is as it should be; `None` is for one that is not there.
pub(crate) async fn until<K>(env: &Env, api: &Api<K>, name: &str, holds: impl Fn(Option<&K>) -> bool)
where
    K: Typed + kube_core::Resource<DynamicType = ()>,
{
    let watching = async {
        let mut events = api.watch(WatchOptions::default()).await.unwrap();
        while !holds(api.get_opt(name).await.unwrap().as_ref()) {
            events.next().await.expect("the watch goes on").unwrap();
        }
    };
    let limit = Duration::from_secs(3600);
    env.clock
        .timeout(limit, watching)
        .await
        .unwrap_or_else(|_| panic!("{name} is not as it should be after an hour"));
}

fn complete(deployment: Option<&Deployment>, replicas: i32) -> bool {
    let Some(deployment) = deployment else { return false };
    let Some(status) = &deployment.status else { return false };
    let counts = [status.replicas, status.updated_replicas, status.available_replicas];
    // An absent count is zero.
    status.observed_generation == deployment.metadata.generation
        && counts.iter().all(|count| count.unwrap_or(0) == replicas)
}

async fn pods(client: &Arc<dyn Client>) -> Vec<Pod> {
    Api::<Pod>::namespaced(client.clone(), "default").list(ListOptions::default()).await.unwrap().items
}

#[test]
fn a_deployment_runs_scales_rolls_over_and_back_and_goes() {
    sim::run(1, async |env| {
        let cluster = simulated(&env, 3).start().await.unwrap();
        let client = cluster.client();
        let deployments = Api::<Deployment>::namespaced(client.clone(), "default");

        cluster.apply("web.json", &web(3)).await.unwrap();
        until(&env, &deployments, "web", |found| complete(found, 3)).await;
        let running = pods(&client).await;
        assert_eq!(running.len(), 3);
        let status = |pod: &Pod| pod.status.clone().unwrap();
        assert!(
            running
                .iter()
                .all(|pod| status(pod).phase.as_deref() == Some("Running") && status(pod).pod_ip.is_some())
        );

        deployments.merge_patch("web", &json!({"spec": {"replicas": 10}})).await.unwrap();
        until(&env, &deployments, "web", |found| complete(found, 10)).await;

        let image = |tag: &str| json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": tag}]}}}});
        deployments.strategic_merge_patch("web", &image("web:2")).await.unwrap();
        until(&env, &deployments, "web", |found| complete(found, 10)).await;
        deployments.strategic_merge_patch("web", &image("web:1")).await.unwrap();
        until(&env, &deployments, "web", |found| complete(found, 10)).await;
        let sets = Api::<ReplicaSet>::namespaced(client.clone(), "default")
            .list(ListOptions::default())
            .await
            .unwrap();
        assert_eq!(sets.items.len(), 2, "going back takes up the old ReplicaSet");

        cluster.delete("web.json", &web(3)).await.unwrap();
        let all = Api::<Pod>::namespaced(client.clone(), "default");
        for pod in pods(&client).await {
            until(&env, &all, pod.metadata.name.as_deref().unwrap(), |found| found.is_none()).await;
        }
        cluster.shutdown().await;
    });
}

#[test]
fn a_pod_that_fits_nowhere_says_why() {
    sim::run(2, async |env| {
        let small = NodeSpec::new("small").capacity(500, 1 << 30);
        let cluster = simulated(&env, 0).node(small).start().await.unwrap();
        let client = cluster.client();
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "big"}, "spec": {"containers": [
            {"name": "c", "image": "i", "resources": {"requests": {"cpu": "2"}}}]}});
        cluster.apply("big.json", &pod.to_string()).await.unwrap();
        let api = Api::<Pod>::namespaced(client.clone(), "default");
        let unschedulable = |pod: Option<&Pod>| {
            let conditions =
                pod.and_then(|pod| pod.status.as_ref()).and_then(|status| status.conditions.as_ref());
            conditions.into_iter().flatten().any(|condition| {
                condition.type_ == "PodScheduled"
                    && condition.reason.as_deref() == Some("Unschedulable")
                    && condition
                        .message
                        .as_deref()
                        .unwrap_or_default()
                        .starts_with("0/1 nodes are available: 1 Insufficient cpu.")
            })
        };
        until(&env, &api, "big", unschedulable).await;

        let events = Api::<CoreEvent>::namespaced(client, "default");
        let mut seen = events.watch(WatchOptions::default()).await.unwrap();
        let failed = async {
            loop {
                let event = seen.next().await.unwrap().unwrap();
                if let Event::Added(event) | Event::Modified(event) = event
                    && event.reason.as_deref() == Some("FailedScheduling")
                {
                    break event;
                }
            }
        };
        let failed = env.clock.timeout(Duration::from_secs(60), failed).await.unwrap();
        assert_eq!(failed.involved_object.name.as_deref(), Some("big"));

        // Room appears, and the pod takes it.
        cluster.add_node(NodeSpec::new("large").capacity(4000, 8 << 30)).await.unwrap();
        until(&env, &api, "big", |pod| {
            pod.and_then(|pod| pod.spec.as_ref()).and_then(|spec| spec.node_name.as_deref()) == Some("large")
        })
        .await;
        cluster.shutdown().await;
    });
}

#[test]
fn a_lost_nodes_pods_come_up_elsewhere() {
    sim::run(3, async |env| {
        let cluster = simulated(&env, 2).start().await.unwrap();
        let deployments = Api::<Deployment>::namespaced(cluster.client(), "default");
        cluster.apply("web.json", &web(4)).await.unwrap();
        until(&env, &deployments, "web", |found| complete(found, 4)).await;

        assert!(cluster.stop_node("node-1").await);
        until(&env, &deployments, "web", |found| !complete(found, 4)).await;
        until(&env, &deployments, "web", |found| complete(found, 4)).await;
        let on = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
        let living = pods(&cluster.client()).await;
        let elsewhere =
            living.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none() && on(pod) == "node-2");
        assert_eq!(elsewhere.count(), 4);
        cluster.shutdown().await;
    });
}

#[test]
fn a_manifest_is_applied_whole_or_its_fault_is_named() {
    sim::run(4, async |env| {
        let cluster = Cluster::builder().env(env).start().await.unwrap();
        let fault = cluster.apply("broken.yaml", "a: b\n---\nkind: [\n").await.unwrap_err().to_string();
        assert!(fault.contains("broken.yaml"), "{fault}");
        let two = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Nonsense\nmetadata: {name: b}\n";
        let fault = cluster.apply("two.yaml", two).await.unwrap_err().to_string();
        assert_eq!(fault, r#"two.yaml: document 2, line 5: no matches for kind "Nonsense" in version "v1""#);
        let config_maps =
            Api::<k8s_openapi::api::core::v1::ConfigMap>::namespaced(cluster.client(), "default");
        assert!(config_maps.get_opt("a").await.unwrap().is_none(), "nothing was applied");
        cluster.shutdown().await;
    });
}

#[test]
fn nodes_need_machines() {
    sim::run(5, async |env| {
        let refused = Cluster::builder().nodes(1).env(env).start().await.unwrap_err();
        assert!(matches!(refused, StartError::NoMachines));
    });
}
