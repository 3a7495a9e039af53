//! kube-rs against the server in this process: no socket and no sleep.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::controller::Action;
use kube::runtime::{Controller, WatchStreamExt, watcher};
use kube::{Client, CustomResource, CustomResourceExt, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::client::Identity;
use windlass::server::ApiServer;

use crate::support::server;

fn client(server: &ApiServer) -> Client {
    Client::new(server.service(Identity::admin()), "default")
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
        data: Some([("k".to_owned(), value.to_owned())].into()),
        ..ConfigMap::default()
    }
}

#[tokio::test]
async fn objects_are_made_watched_patched_and_deleted() {
    let server = server().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client(&server));
    let mut events = Box::pin(watcher(api.clone(), watcher::Config::default()).applied_objects());
    api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let seen = loop {
        let seen = events.try_next().await.unwrap().unwrap();
        if seen.name_any() == "a" {
            break seen;
        }
    };
    assert_eq!(seen.data.unwrap()["k"], "1");
    let patch = json!({"data": {"k": "2"}});
    api.patch("a", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    assert_eq!(events.try_next().await.unwrap().unwrap().data.unwrap()["k"], "2");

    let twice = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap_err();
    assert!(
        matches!(twice, kube::Error::Api(status) if status.code == 409 && status.reason == "AlreadyExists")
    );
    let stale = ConfigMap {
        metadata: ObjectMeta { resource_version: Some("1".into()), ..config_map("a", "3").metadata },
        ..config_map("a", "3")
    };
    let conflict = api.replace("a", &PostParams::default(), &stale).await.unwrap_err();
    assert!(
        matches!(conflict, kube::Error::Api(status) if status.code == 409 && status.reason == "Conflict")
    );

    api.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(api.get_opt("a").await.unwrap().is_none());
    assert!(api.list(&ListParams::default().labels("x=y")).await.unwrap().items.is_empty());
    server.shutdown().await;
}

#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "example.com", version = "v1", kind = "Lamp", namespaced, status = "LampStatus")]
struct LampSpec {
    colour: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
struct LampStatus {
    shines: Option<String>,
}

async fn shine(lamp: Arc<Lamp>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let api: Api<Lamp> = Api::default_namespaced((*client).clone());
    let status = json!({"status": {"shines": lamp.spec.colour}});
    api.patch_status(&lamp.name_any(), &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(Action::await_change())
}

#[tokio::test]
async fn a_controller_reconciles_a_type_of_its_own() {
    let server = server().await;
    let client = client(&server);
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions.create(&PostParams::default(), &Lamp::crd()).await.unwrap();
    let established = kube::runtime::conditions::is_crd_established();
    let made = kube::runtime::wait::await_condition(definitions, "lamps.example.com", established);
    made.await.unwrap();

    let lamps: Api<Lamp> = Api::default_namespaced(client.clone());
    let retry = |_: Arc<Lamp>, error: &kube::Error, _: Arc<Client>| panic!("{error}");
    let mut reconciled = Box::pin(Controller::new(lamps.clone(), watcher::Config::default()).run(
        shine,
        retry,
        Arc::new(client),
    ));
    let spec = LampSpec { colour: "red".into() };
    lamps.create(&PostParams::default(), &Lamp::new("desk", spec)).await.unwrap();
    reconciled.next().await.expect("a controller that runs").expect("a lamp that shines");
    let desk = lamps.get_status("desk").await.unwrap();
    assert_eq!(desk.status.unwrap().shines.as_deref(), Some("red"));
    server.shutdown().await;
}
