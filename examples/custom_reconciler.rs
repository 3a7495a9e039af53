//! A reconciler of one's own: every namespace with the label `windlass.example/welcome` gets a
//! ConfigMap that says so, and gets it back when somebody deletes it.

use async_trait::async_trait;
use clap::Parser;
use futures_util::StreamExt;
use serde_json::json;
use windlass::api::ObjectKey;
use windlass::client::{Api, DeleteOptions, Error as ClientError, Event, Informer, WatchOptions};
use windlass::cluster::Cluster;
use windlass::k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use windlass::kube_core::ResourceExt;
use windlass::reconcile::{Action, Controller, Error, Reconciler};

const LABEL: &str = "windlass.example/welcome";
const NAME: &str = "welcome";

/// A reconciler of one's own.
#[derive(Parser)]
struct Args {
    /// The namespace to welcome.
    #[arg(long, default_value = "harbour")]
    namespace: String,
}

/// Its key is a namespace.
struct Welcome {
    namespaces: Informer<Namespace>,
    config_maps: Api<ConfigMap>,
}

#[async_trait]
impl Reconciler for Welcome {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, Error> {
        let wanted = self.namespaces.get(key).and_then(|namespace| namespace.labels().get(LABEL).cloned());
        let Some(words) = wanted else { return Ok(Action::Done) };
        let config_maps = self.config_maps.within(&key.name);
        if config_maps.get_opt(NAME).await?.is_none() {
            let written =
                serde_json::from_value(json!({"metadata": {"name": NAME}, "data": {"words": words}}));
            config_maps.create(&written.map_err(Error::other)?).await?;
        }
        Ok(Action::Done)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let args = Args::parse();
    let cluster = Cluster::builder().start().await?;
    let (client, env) = (cluster.client(), cluster.env().child());

    let namespaces = Informer::<Namespace>::builder(client.clone()).start(&env);
    let config_maps = Informer::<ConfigMap>::builder(client.clone()).start(&env);
    let controller = Controller::builder("welcome", client.clone(), &env)
        .watch(&namespaces, |namespace| vec![ObjectKey::new("", namespace.name_any())])
        .watch(&config_maps, |config_map| {
            vec![ObjectKey::new("", config_map.namespace().unwrap_or_default())]
        })
        .start(|client| Welcome { namespaces: namespaces.clone(), config_maps: Api::all(client) });

    let manifest = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": args.namespace, "labels": {LABEL: "ahoy"}}});
    cluster.apply("namespace.json", &manifest.to_string()).await?;

    let welcomes = Api::<ConfigMap>::namespaced(client, &args.namespace);
    let mut events = welcomes.watch(WatchOptions::default()).await?;
    let mut written = 0;
    while let Some(event) = events.next().await {
        let Event::Added(config_map) = event? else { continue };
        if config_map.name_any() != NAME {
            continue;
        }
        written += 1;
        println!("{}/{NAME}: {}", args.namespace, config_map.data.clone().unwrap_or_default()["words"]);
        if written == 2 {
            break;
        }
        println!("deleting it");
        match welcomes.delete(NAME, DeleteOptions::default()).await {
            Ok(_) | Err(ClientError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    controller.shutdown().await;
    cluster.shutdown().await;
    Ok(())
}
