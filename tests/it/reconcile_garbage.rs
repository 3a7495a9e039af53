//! Garbage collection and namespace deletion over a real API server.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use serde_json::json;
use windlass::client::{Api, DeleteOptions, Error, PropagationPolicy};

use super::reconcile_kit::*;

fn options(propagation: PropagationPolicy) -> DeleteOptions {
    let mut options = DeleteOptions::default();
    options.propagation = Some(propagation);
    options
}

#[tokio::test(start_paused = true)]
async fn what_a_deployment_made_goes_with_it() {
    for propagation in [PropagationPolicy::Background, PropagationPolicy::Foreground] {
        let world = world().await;
        world.run_pods();
        let (deployments, pods) = (world.api::<Deployment>(), world.api::<Pod>());
        world.create(&deployments, deployment("web", 3, "v1")).await;
        world.until(&pods, "three pods", |pods| pods.len() == 3).await;
        deployments.delete("web", options(propagation)).await.unwrap();
        world.until(&deployments, "no deployment", <[_]>::is_empty).await;
        if propagation == PropagationPolicy::Foreground {
            let left = world.api::<ReplicaSet>().list(Default::default()).await.unwrap().items;
            assert!(left.is_empty(), "the deployment went last: {left:?}");
        }
        world.until(&world.api::<ReplicaSet>(), "no set", <[_]>::is_empty).await;
        world.until(&pods, "no pod", <[_]>::is_empty).await;
    }
}

#[tokio::test(start_paused = true)]
async fn orphans_stay_and_are_adopted_again() {
    let world = world().await;
    world.run_pods();
    let (deployments, sets, pods) =
        (world.api::<Deployment>(), world.api::<ReplicaSet>(), world.api::<Pod>());
    world.create(&deployments, deployment("web", 2, "v1")).await;
    let before = world.until(&pods, "two pods", |pods| pods.len() == 2).await;
    deployments.delete("web", options(PropagationPolicy::Orphan)).await.unwrap();
    world.until(&deployments, "no deployment", <[_]>::is_empty).await;
    let set = sets.list(Default::default()).await.unwrap().items.remove(0);
    assert!(set.metadata.owner_references.unwrap_or_default().is_empty(), "its owner is taken out");
    world.create(&deployments, deployment("web", 2, "v1")).await;
    world
        .until(&sets, "adopted", |sets| {
            sets.len() == 1 && !sets[0].metadata.owner_references.clone().unwrap_or_default().is_empty()
        })
        .await;
    let after = pods.list(Default::default()).await.unwrap().items;
    let uids = |pods: &[Pod]| pods.iter().map(|pod| pod.metadata.uid.clone()).collect::<Vec<_>>();
    assert_eq!(uids(&before), uids(&after));
}

#[tokio::test(start_paused = true)]
async fn an_object_lives_while_one_of_its_owners_does() {
    let world = world().await;
    let maps = world.api::<ConfigMap>();
    let make = |name: &str| json!({"metadata": {"name": name}});
    let one = world.create(&maps, make("one")).await;
    let two = world.create(&maps, make("two")).await;
    let owner = |map: &ConfigMap| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": map.metadata.name, "uid": map.metadata.uid});
    let owned = json!({"metadata": {"name": "owned", "ownerReferences": [owner(&one), owner(&two)]}});
    world.create(&maps, owned).await;
    maps.delete("one", DeleteOptions::default()).await.unwrap();
    world
        .until(&maps, "one owner is taken out", |maps| {
            maps.iter().any(|map| {
                let owners = map.metadata.owner_references.as_deref().unwrap_or_default();
                map.metadata.name.as_deref() == Some("owned") && owners.len() == 1 && owners[0].name == "two"
            })
        })
        .await;
    maps.delete("two", DeleteOptions::default()).await.unwrap();
    world
        .until(&maps, "nobody owns it", |maps| {
            maps.iter().all(|map| map.metadata.name.as_deref() != Some("owned"))
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_namesake_is_no_owner() {
    let world = world().await;
    let maps = world.api::<ConfigMap>();
    world.create(&maps, json!({"metadata": {"name": "owner"}})).await;
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "another-uid"});
    world.create(&maps, json!({"metadata": {"name": "owned", "ownerReferences": [owner]}})).await;
    world
        .until(&maps, "collected", |maps| {
            maps.iter().all(|map| map.metadata.name.as_deref() != Some("owned"))
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_namespace_is_emptied_before_it_goes() {
    let world = world().await;
    world.run_pods();
    let namespaces = world.all::<Namespace>();
    world.create(&namespaces, json!({"metadata": {"name": "team"}})).await;
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), "team");
    world.until(&accounts, "a service account", |accounts| accounts.len() == 1).await;
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), "team");
    let found = world.until(&maps, "the authority's certificate", |maps| maps.len() == 1).await;
    assert_eq!(found[0].metadata.name.as_deref(), Some("kube-root-ca.crt"));
    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), "team");
    world.create(&deployments, deployment("web", 2, "v1")).await;
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), "team");
    world.until(&pods, "two pods", |pods| pods.len() == 2).await;
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/hold"]}});
    world.create(&maps, held).await;

    namespaces.delete("team", DeleteOptions::default()).await.unwrap();
    let found = world
        .until(&namespaces, "what is left is told", |namespaces| {
            let team =
                namespaces.iter().find(|found| found.metadata.name.as_deref() == Some("team")).unwrap();
            team.status.iter().flat_map(|status| status.conditions.iter().flatten()).any(|condition| {
                condition.type_ == "NamespaceFinalizersRemaining" && condition.status == "True"
            })
        })
        .await;
    let team = found.iter().find(|found| found.metadata.name.as_deref() == Some("team")).unwrap();
    let conditions = team.status.as_ref().unwrap().conditions.as_ref().unwrap();
    let remaining =
        conditions.iter().find(|condition| condition.type_ == "NamespaceContentRemaining").unwrap();
    assert_eq!(
        remaining.message.as_deref(),
        Some("Some resources are remaining: configmaps. has 1 resource instances")
    );
    assert!(pods.list(Default::default()).await.unwrap().items.is_empty());

    maps.merge_patch("held", &json!({"metadata": {"finalizers": null}})).await.unwrap();
    world
        .until(&namespaces, "gone", |namespaces| {
            namespaces.iter().all(|namespace| namespace.metadata.name.as_deref() != Some("team"))
        })
        .await;
    let gone = world.client.clone();
    let refused = Api::<ConfigMap>::namespaced(gone, "team").get("held").await;
    assert!(matches!(refused, Err(Error::NotFound(_))), "{refused:?}");
}
