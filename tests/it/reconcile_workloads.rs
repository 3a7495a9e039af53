//! Deployments, ReplicaSets and EndpointSlices over a real API server.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Event, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::json;
use windlass::client::DeleteOptions;

use super::reconcile_kit::*;

fn condition<'a>(deployment: &'a Deployment, kind: &str) -> Option<&'a str> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind)?.reason.as_deref()
}

fn is_rolled_out(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().unwrap().replicas;
    deployment.status.as_ref().is_some_and(|status| {
        status.observed_generation == deployment.metadata.generation
            && status.updated_replicas == wanted
            && status.replicas == wanted
            && status.available_replicas == wanted
    }) && condition(deployment, "Progressing") == Some("NewReplicaSetAvailable")
}

fn revision(deployment: &Deployment) -> &str {
    &deployment.metadata.annotations.as_ref().unwrap()["deployment.kubernetes.io/revision"]
}

#[tokio::test(start_paused = true)]
async fn a_deployment_is_rolled_out_updated_and_rolled_back() {
    let world = world().await;
    world.run_pods();
    let deployments = world.api::<Deployment>();
    world.create(&deployments, deployment("web", 3, "v1")).await;
    let rolled = |deployments: &[Deployment]| is_rolled_out(&deployments[0]);
    let found = world.until(&deployments, "rolled out", rolled).await;
    assert_eq!(
        (revision(&found[0]), condition(&found[0], "Available")),
        ("1", Some("MinimumReplicasAvailable"))
    );
    let first = world.api::<ReplicaSet>().list(Default::default()).await.unwrap().items.remove(0);
    let first = first.metadata.name.unwrap();

    let image = |image: &str| json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}});
    deployments.strategic_merge_patch("web", &image("v2")).await.unwrap();
    let found = world.until(&deployments, "updated", rolled).await;
    assert_eq!(revision(&found[0]), "2");
    let pods = world.until(&world.api::<Pod>(), "only new pods", |pods| pods.len() == 3).await;
    assert!(pods.iter().all(|pod| pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some("v2")));

    deployments.strategic_merge_patch("web", &image("v1")).await.unwrap();
    let found = world.until(&deployments, "rolled back", rolled).await;
    assert_eq!(revision(&found[0]), "3");
    let sets = world.api::<ReplicaSet>().list(Default::default()).await.unwrap().items;
    assert_eq!(sets.len(), 2, "the old set is used again");
    let again = sets.iter().find(|set| set.metadata.name.as_ref() == Some(&first)).unwrap();
    let annotations = again.metadata.annotations.as_ref().unwrap();
    assert_eq!(annotations["deployment.kubernetes.io/revision-history"], "1");
    assert_eq!(again.spec.as_ref().unwrap().replicas, Some(3));

    let scaled = format!("Scaled up replica set {first} from 0 to 3");
    world
        .until(&world.api::<Event>(), "the event of the first scaling", |events| {
            events.iter().any(|event| {
                event.reason.as_deref() == Some("ScalingReplicaSet")
                    && event.message.as_ref() == Some(&scaled)
            })
        })
        .await;
    world.manager.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_makes_no_progress_says_so() {
    let world = world().await;
    world.run_pods();
    let deployments = world.api::<Deployment>();
    let mut stuck = deployment("web", 2, "broken");
    stuck["spec"]["progressDeadlineSeconds"] = 30.into();
    world.create(&deployments, stuck).await;
    let start = world.env.clock.instant();
    let found = world
        .until(&deployments, "deadline exceeded", |deployments| {
            condition(&deployments[0], "Progressing") == Some("ProgressDeadlineExceeded")
        })
        .await;
    let waited = (world.env.clock.instant() - start).as_secs();
    assert!((30..=33).contains(&waited), "after {waited} s");
    assert_eq!(condition(&found[0], "Available"), Some("MinimumReplicasUnavailable"));
}

#[tokio::test(start_paused = true)]
async fn lost_pods_are_replaced_and_the_size_is_followed() {
    let world = world().await;
    world.run_pods();
    let (deployments, pods) = (world.api::<Deployment>(), world.api::<Pod>());
    world.create(&deployments, deployment("web", 3, "v1")).await;
    let found = world.until(&pods, "three pods", |pods| pods.len() == 3).await;
    let lost = found[0].metadata.name.clone().unwrap();
    pods.delete(&lost, DeleteOptions::default()).await.unwrap();
    world
        .until(&pods, "another pod in its place", |pods| {
            pods.len() == 3 && pods.iter().all(|pod| pod.metadata.name.as_ref() != Some(&lost))
        })
        .await;
    for size in [10, 1, 0, 2] {
        deployments.merge_patch("web", &json!({"spec": {"replicas": size}})).await.unwrap();
        world.until(&pods, "the new size", |pods| pods.len() == usize::try_from(size).unwrap()).await;
    }
    world.until(&deployments, "settled", |deployments| is_rolled_out(&deployments[0])).await;
}

#[tokio::test(start_paused = true)]
async fn a_set_adopts_orphans_and_lets_go_of_what_no_longer_matches() {
    let world = world().await;
    world.run_pods();
    let (sets, pods) = (world.api::<ReplicaSet>(), world.api::<Pod>());
    let mut orphan = template("web", "v1");
    orphan["metadata"]["name"] = "orphan".into();
    world.create(&pods, orphan).await;
    let set = json!({"metadata": {"name": "web"}, "spec": {"replicas": 2,
        "selector": {"matchLabels": {"app": "web"}}, "template": template("web", "v1")}});
    world.create(&sets, set).await;
    let owned = |pod: &Pod| pod.metadata.owner_references.iter().flatten().any(|owner| owner.name == "web");
    world.until(&pods, "one adopted, one made", |pods| pods.len() == 2 && pods.iter().all(owned)).await;

    pods.merge_patch("orphan", &json!({"metadata": {"labels": {"app": "other"}}})).await.unwrap();
    let found = world
        .until(&pods, "released and replaced", |pods| {
            pods.len() == 3 && pods.iter().filter(|pod| owned(pod)).count() == 2
        })
        .await;
    let released = found.iter().find(|pod| pod.metadata.name.as_deref() == Some("orphan")).unwrap();
    assert!(!owned(released));
    world
        .until(&sets, "counted", |sets| {
            sets[0].status.as_ref().is_some_and(|status| status.ready_replicas == Some(2))
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn endpoints_follow_the_pods_of_a_service() {
    let world = world().await;
    world.run_pods();
    let (deployments, pods) = (world.api::<Deployment>(), world.api::<Pod>());
    let (services, slices) = (world.api::<Service>(), world.api::<EndpointSlice>());
    let service = json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"},
        "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}});
    world.create(&services, service).await;
    let count = |slices: &[EndpointSlice], ready: bool| {
        let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
        let is_ready = |endpoint: &&k8s_openapi::api::discovery::v1::Endpoint| {
            endpoint.conditions.as_ref().unwrap().ready == Some(ready)
        };
        endpoints.filter(is_ready).count()
    };
    let found = world.until(&slices, "an empty slice", |slices| slices.len() == 1).await;
    assert_eq!(count(&found, true), 0);
    world.create(&deployments, deployment("web", 3, "v1")).await;
    let found = world.until(&slices, "three endpoints", |slices| count(slices, true) == 3).await;
    assert_eq!(found.len(), 1, "the placeholder is used");
    assert_eq!(found[0].ports.as_ref().unwrap()[0].port, Some(8080));
    assert!(found[0].metadata.name.as_ref().unwrap().starts_with("web-"));

    let name = pods.list(Default::default()).await.unwrap().items.remove(0).metadata.name.unwrap();
    let unready = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    pods.merge_patch_status(&name, &unready).await.unwrap();
    world
        .until(&slices, "one endpoint not ready", |slices| {
            count(slices, true) == 2 && count(slices, false) == 1
        })
        .await;

    services.delete("web", DeleteOptions::default()).await.unwrap();
    world.until(&slices, "slices collected with their service", <[_]>::is_empty).await;
}
