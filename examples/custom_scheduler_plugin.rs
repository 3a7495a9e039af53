//! A scheduler plugin of one's own: nodes have a colour, and a pod goes only to nodes of the colour
//! that it asks for, to the least crowded of them first.

use clap::Parser;
use futures_util::StreamExt;
use serde_json::json;
use windlass::client::{Api, Event, WatchOptions};
use windlass::cluster::{Cluster, NodeSpec, Simulated};
use windlass::k8s_openapi::api::core::v1::Pod;
use windlass::sched::{Cycle, Filter, NodeIndex, Plugin, Score, Verdict};

const COLOUR: &str = "windlass.example/colour";

/// A scheduler plugin of one's own.
#[derive(Parser)]
struct Args {
    /// The colour that the pods ask for; there is a red node and there are two blue ones.
    #[arg(long, default_value = "blue")]
    colour: String,
    /// How many pods there are.
    #[arg(long, default_value_t = 4)]
    pods: usize,
}

/// Keeps pods on nodes of their colour.
struct Colour;

impl Plugin for Colour {
    fn name(&self) -> &'static str {
        "Colour"
    }

    fn as_filter(&self) -> Option<&dyn Filter> {
        Some(self)
    }

    fn as_score(&self) -> Option<&dyn Score> {
        Some(self)
    }
}

impl Filter for Colour {
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let wanted = cycle.pod.pod.metadata.annotations.as_ref().and_then(|all| all.get(COLOUR));
        let fits = wanted.is_none() || wanted == cycle.snapshot.labels(node).get(COLOUR);
        Verdict::fits_or(fits, || Verdict::unresolvable("node(s) had another colour"))
    }
}

impl Score for Colour {
    fn score(&self, cycle: &Cycle<'_>, node: NodeIndex) -> i64 {
        100 - i64::try_from(cycle.snapshot.pods(node).count()).unwrap_or(100).min(100)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let args = Args::parse();
    let cluster = Cluster::builder()
        .machines(Simulated::default())
        .node(NodeSpec::new("red").label(COLOUR, "red"))
        .node(NodeSpec::new("blue-1").label(COLOUR, "blue"))
        .node(NodeSpec::new("blue-2").label(COLOUR, "blue"))
        .scheduler(|scheduler| scheduler.plugin(Colour))
        .start()
        .await?;
    for number in 1..=args.pods {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("pod-{number}"), "annotations": {COLOUR: args.colour}},
            "spec": {"containers": [{"name": "c", "image": "any"}]},
        });
        cluster.apply("pod.json", &pod.to_string()).await?;
    }

    let mut events =
        Api::<Pod>::namespaced(cluster.client(), "default").watch(WatchOptions::default()).await?;
    let mut told = std::collections::BTreeSet::new();
    while told.len() < args.pods {
        let Some(event) = events.next().await else { break };
        let (Event::Added(pod) | Event::Modified(pod)) = event? else { continue };
        let name = pod.metadata.name.clone().unwrap_or_default();
        if told.contains(&name) {
            continue;
        }
        if let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()) {
            println!("{name} goes to {node}");
            told.insert(name);
            continue;
        }
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        if let Some(why) =
            conditions.into_iter().flatten().find(|condition| condition.type_ == "PodScheduled")
        {
            println!("{name} goes nowhere: {}", why.message.as_deref().unwrap_or_default());
            told.insert(name);
        }
    }
    cluster.shutdown().await;
    Ok(())
}
