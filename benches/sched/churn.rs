//! What happens while pods are measured.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use windlass::client::{Client, ClientExt, DeleteOptions, Target};

use crate::progress::Progress;
use crate::templates;
use crate::workload::Churn;
use crate::world::{create, target};

/// Where its pods are.
pub(crate) const NAMESPACE: &str = "churn";

/// Lets it happen, each time that so many more of `count` pods of a namespace are bound. Returns how many pods came.
pub(crate) async fn happen(
    churn: Churn,
    client: Arc<dyn Client>,
    progress: Progress,
    namespace: &'static str,
    count: usize,
) -> usize {
    let pods = target::<Pod>(NAMESPACE);
    let (mut made, mut standing) = (0, Vec::new());
    for bound in (0..count).step_by(churn.every()) {
        if progress.reached(namespace, bound).await.is_err() {
            break;
        }
        match churn {
            Churn::Preemptor { .. } => drop(create(&*client, &pods, templates::high_priority()).await),
            Churn::NeverFits { .. } => drop(create(&*client, &pods, templates::never_fits()).await),
            Churn::Mixed { .. } if standing.is_empty() => standing = come(&*client, &pods).await,
            Churn::Mixed { .. } => {
                for target in standing.drain(..) {
                    client.delete(target, DeleteOptions::default()).await.expect("it is there");
                }
                continue;
            }
        }
        made += 1;
    }
    made
}

/// Makes a node, a pod and a service.
async fn come(client: &dyn Client, pods: &Target) -> Vec<Target> {
    let mut standing = Vec::new();
    for (target, tree) in [
        (target::<Node>(""), templates::churning_node()),
        (pods.clone(), templates::never_fits()),
        (target::<Service>(NAMESPACE), templates::churning_service()),
    ] {
        let name = create(client, &target, tree).await.name().to_owned();
        standing.push(target.name(name));
    }
    standing
}
