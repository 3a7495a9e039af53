use serde_json::{Value, json};

use super::story::{Tree, given_with, node, pod, world};
use crate::sched::reference::Plugin::NodeResourcesBalancedAllocation;
use crate::sched::reference::{ResourceWeight, Settings};

fn has(name: &str, cpu: i64, memory: i64, gpus: i64) -> Tree {
    let tree = node(name).gives(json!({"cpu": format!("{cpu}m"), "memory": memory}));
    if gpus > 0 { tree.gives(json!({"example.com/gpu": gpus})) } else { tree }
}

fn asks(cpu: i64, memory: i64) -> Value {
    json!({"cpu": format!("{cpu}m"), "memory": memory})
}

fn with_gpus(cpu: i64, memory: i64, gpus: i64) -> Value {
    json!({"cpu": format!("{cpu}m"), "memory": memory, "example.com/gpu": gpus})
}

#[test]
fn a_pod_goes_where_it_evens_out_what_is_used() {
    let two = || pod("p").asks(asks(1000, 2000)).asks(asks(2000, 3000));
    let on = |name: &str, node: &str, requests| pod(name).on(node).asks(requests);
    for (nodes, existing, incoming, expected) in [
        ([has("a", 4000, 10000, 0), has("b", 4000, 10000, 0)], vec![], pod("p"), None),
        ([has("a", 4000, 10000, 0), has("b", 4000, 10000, 0)], vec![], pod("p").asks(asks(0, 0)), None),
        ([has("a", 4000, 10000, 0), has("b", 6000, 10000, 0)], vec![], two(), Some([68, 75])),
        (
            [has("a", 10000, 20000, 0), has("b", 10000, 20000, 0)],
            vec![on("q", "a", asks(3000, 0)), on("r", "b", asks(3000, 5000))],
            two(),
            Some([73, 74]),
        ),
        (
            [has("a", 10000, 20000, 0), has("b", 10000, 50000, 0)],
            vec![on("q", "a", asks(3000, 0)), on("r", "b", asks(3000, 5000))],
            two(),
            Some([73, 70]),
        ),
        (
            [has("a", 3000, 5000, 0), has("b", 3000, 5000, 0)],
            vec![on("q", "a", asks(3000, 0))],
            pod("p").asks(asks(0, 5000)),
            Some([100, 50]),
        ),
        (
            [has("a", 6000, 10000, 0), has("b", 6000, 10000, 0)],
            vec![on("q", "a", asks(3000, 0)), on("r", "b", asks(3000, 5000))],
            pod("p").asks(asks(3000, 0)),
            Some([62, 62]),
        ),
        // A device counts where the pod asks for one.
        (
            [has("a", 3500, 40000, 8), has("b", 3500, 40000, 8)],
            vec![on("q", "a", with_gpus(3000, 5000, 3)), on("r", "b", asks(3000, 5000))],
            pod("p").asks(json!({"example.com/gpu": "1"})),
            Some([75, 76]),
        ),
        (
            [has("a", 3500, 40000, 8), has("b", 3500, 40000, 0)],
            vec![],
            pod("p").asks(asks(3000, 5000)),
            Some([56, 56]),
        ),
        // What the pod asks for as a whole counts here.
        (
            [has("a", 4000, 10000, 0), has("b", 6000, 10000, 0)],
            vec![],
            pod("p").set("spec.resources", json!({"requests": asks(3000, 5000)})),
            Some([68, 75]),
        ),
    ] {
        let mut world = world(nodes, []);
        world.pods = existing.iter().map(Tree::make).collect();
        let settings = Settings {
            balanced_resources: ["cpu", "memory", "example.com/gpu"].map(ResourceWeight::of).into(),
            ..Settings::default()
        };
        let given = given_with(NodeResourcesBalancedAllocation, &world, &settings, &incoming, &["a", "b"]);
        assert_eq!(given, expected.map(Vec::from), "{}", incoming.0);
    }
}
