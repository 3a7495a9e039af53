//! kube-rs against a control plane in this process: no socket, no Docker, ready in milliseconds.
//!
//! An operator written with `kube::runtime::Controller` reconciles a custom resource, exactly as it
//! would in production; only the client is made differently.

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::runtime::controller::Action;
use kube::runtime::{Controller, watcher};
use kube::{Client, CustomResource, CustomResourceExt, Resource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass::client::Identity;
use windlass::cluster::Cluster;

/// kube-rs against a control plane in this process.
#[derive(Parser)]
struct Args {
    /// Whom to greet.
    #[arg(long, default_value = "world")]
    whom: String,
}

/// A greeting that is to be written down.
#[derive(CustomResource, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[kube(group = "example.windlass.dev", version = "v1", kind = "Greeting", namespaced)]
struct GreetingSpec {
    whom: String,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Writes the greeting into a ConfigMap that the Greeting owns.
async fn reconcile(greeting: Arc<Greeting>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let namespace = greeting.namespace().unwrap_or_default();
    let config_maps = Api::<ConfigMap>::namespaced(Client::clone(&client), &namespace);
    let name = greeting.name_any();
    if config_maps.get_opt(&name).await?.is_none() {
        let written = ConfigMap {
            metadata: ObjectMeta {
                name: Some(name),
                owner_references: greeting.controller_owner_ref(&()).map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            data: Some([("greeting".to_owned(), format!("hello, {}", greeting.spec.whom))].into()),
            ..ConfigMap::default()
        };
        config_maps.create(&PostParams::default(), &written).await?;
    }
    Ok(Action::await_change())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args = Args::parse();
    let cluster = Cluster::builder().start().await?;
    // The one line that differs from production.
    let client = Client::new(cluster.server().service(Identity::admin()), "default");

    Api::<CustomResourceDefinition>::all(client.clone())
        .create(&PostParams::default(), &Greeting::crd())
        .await?;
    let greetings = Api::<Greeting>::default_namespaced(client.clone());
    let controller = Controller::new(greetings.clone(), watcher::Config::default())
        .owns(Api::<ConfigMap>::default_namespaced(client.clone()), watcher::Config::default())
        .run(reconcile, |_, _, _| Action::requeue(Duration::from_secs(1)), Arc::new(client.clone()))
        .for_each(|_| std::future::ready(()));
    let tasks = windlass::env::Tasks::new();
    tasks.spawn("controller", controller);

    let greeting = Greeting::new("first", GreetingSpec { whom: args.whom });
    greetings.create(&PostParams::default(), &greeting).await?;
    let config_maps = Api::<ConfigMap>::default_namespaced(client);
    let written = kube::runtime::wait::await_condition(config_maps, "first", |found: Option<&ConfigMap>| {
        found.is_some()
    });
    let written = written.await?.ok_or("it went away")?;
    println!("{}", written.data.unwrap_or_default()["greeting"]);

    tasks.shutdown().await;
    cluster.shutdown().await;
    Ok(())
}
