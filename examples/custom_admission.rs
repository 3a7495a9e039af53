//! Steps of admission of one's own: what a platform wants of every pod, in a few lines each.
//!
//! One step gives every pod the label of its team, which its namespace says; another refuses images that
//! come from nowhere in particular. Both see what Kubernetes' own steps see, in the same order.

use std::sync::Arc;

use async_trait::async_trait;
use clap::Parser;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use serde_json::json;
use windlass::api::{Resource, Status};
use windlass::client::{Api, Identity, Target};
use windlass::server::ApiServer;
use windlass::server::admission::{AdmissionChain, AdmissionPlugin, AdmissionRequest, Operation};
use windlass::store::MemoryStore;

/// Steps of admission of one's own.
#[derive(Parser)]
struct Args {
    /// The registry that images must come from.
    #[arg(long, default_value = "registry.example.com/")]
    registry: String,
}

/// Pods carry the label `team` of their namespace.
struct Team;

#[async_trait]
impl AdmissionPlugin for Team {
    fn name(&self) -> &str {
        "Team"
    }

    fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
        request.operation() == Operation::Create && request.concerns("", "pods", "")
    }

    async fn mutate(&self, request: &mut AdmissionRequest<'_>) -> Result<(), Status> {
        let namespace = Target::all(&Resource::of::<Namespace>()).name(request.namespace());
        let namespace = request.find(&namespace).await?;
        let team = namespace.as_ref().and_then(|namespace| namespace.labels().get("team")).map(str::to_owned);
        if let (Some(team), Some(pod)) = (team, request.object_mut()) {
            pod["metadata"]["labels"]["team"] = team.into();
        }
        Ok(())
    }
}

/// Images come from one registry.
struct Registry(String);

#[async_trait]
impl AdmissionPlugin for Registry {
    fn name(&self) -> &str {
        "Registry"
    }

    fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
        request.concerns("", "pods", "") && request.operation() != Operation::Delete
    }

    async fn validate(&self, request: &AdmissionRequest<'_>) -> Result<(), Status> {
        let Some(pod) = request.typed::<Pod>()? else { return Ok(()) };
        for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
            let image = container.image.as_deref().unwrap_or_default();
            if !image.starts_with(&self.0) {
                request.annotate(self, "refused-image", image);
                return Err(request.forbidden(&format!("image {image:?} is not from {}", self.0)));
            }
            if !image.contains('@') {
                request.warn(format!("image {image:?} is not pinned by its digest"));
            }
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Args::parse().registry;
    // Behind Kubernetes' own steps, and before what policies, webhooks and quota would see.
    let chain = AdmissionChain::default().with(Arc::new(Registry(registry.clone()))).with(Arc::new(Team));
    let server = ApiServer::builder().store(Arc::new(MemoryStore::new())).admission(chain).build().await?;
    let client = server.client(Identity::admin());

    let namespaces = Api::<Namespace>::all(client.clone());
    let shop = json!({"metadata": {"name": "shop", "labels": {"team": "blue"}}});
    namespaces.create(&serde_json::from_value(shop)?).await?;
    let pods = Api::<Pod>::namespaced(client, "shop");
    let pod = |name: &str, image: String| {
        serde_json::from_value(
            json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": image}]}}),
        )
    };
    let made = pods.create(&pod("web", format!("{registry}web:1"))?).await?;
    println!("web has the labels {:?}", made.metadata.labels.unwrap_or_default());
    let refused = pods.create(&pod("odd", "somewhere.example.org/odd".to_owned())?).await;
    println!("{}", refused.err().ok_or("it should have been refused")?);
    server.shutdown().await;
    Ok(())
}
