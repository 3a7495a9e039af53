use serde_json::json;

use super::story::{Tree, given, node, pod, world};
use crate::sched::reference::Plugin::ImageLocality;

const MEBIBYTE: i64 = 1 << 20;

/// A node with images that are named after their size.
fn has(name: &str, sizes: &[i64]) -> Tree {
    let image = |size: &i64| {
        json!({"names": [format!("gcr.io/{size}:latest"), format!("gcr.io/{size}:v1")],
                                    "sizeBytes": size * MEBIBYTE})
    };
    node(name).set("status.images", sizes.iter().map(image).collect::<Vec<_>>())
}

fn runs(sizes: &[i64]) -> Tree {
    sizes.iter().fold(pod("p"), |pod, size| {
        pod.with("containers", json!({"name": format!("c{size}"), "image": format!("gcr.io/{size}")}))
    })
}

#[test]
fn images_that_are_there_count_by_their_size_and_their_spread() {
    let empty = || node("none");
    let mounted = json!({"name": "v", "image": {"reference": "gcr.io/300"}});
    for (incoming, nodes, expected) in [
        (runs(&[40, 250]), vec![has("a", &[40, 300, 2000]), has("b", &[250, 10])], vec![0, 5]),
        (runs(&[40, 300]), vec![has("a", &[40, 300, 2000]), has("b", &[250, 10])], vec![7, 0]),
        (runs(&[10, 4000]), vec![has("a", &[4000, 30]), has("b", &[250, 10])], vec![100, 0]),
        (runs(&[10, 4000]), vec![has("a", &[4000, 30]), has("b", &[250, 10]), empty()], vec![66, 0, 0]),
        (
            runs(&[300, 600, 900]),
            vec![has("a", &[600, 40, 900]), has("b", &[300, 600, 900]), empty()],
            vec![32, 36, 0],
        ),
        (runs(&[30, 40]), vec![has("a", &[20, 30, 40]), has("b", &[4000, 30])], vec![1, 0]),
        (
            runs(&[30]).with("volumes", mounted),
            vec![has("a", &[40, 300, 2000]), has("b", &[4000, 30])],
            vec![12, 0],
        ),
        (
            runs(&[30]).with("initContainers", json!({"name": "i", "image": "gcr.io/300"})),
            vec![has("a", &[40, 300, 2000]), has("b", &[20, 30, 40])],
            vec![6, 0],
        ),
        (pod("p"), vec![has("a", &[40]), has("b", &[30])], vec![0, 0]),
    ] {
        let mut world = world([], []);
        world.nodes = nodes.iter().map(Tree::make).collect();
        assert_eq!(given(ImageLocality, &world, &incoming), Some(expected), "{}", incoming.0);
    }
}

#[test]
fn an_image_without_a_tag_is_the_latest() {
    for (image, there) in [
        ("root:80/600", "root:80/600:latest"),
        ("root/600:v1", "root/600:v1"),
        ("600", "600:latest"),
        ("a@sha256:1234", "a@sha256:1234"),
    ] {
        let images = json!([{"names": [there], "sizeBytes": 1000 * MEBIBYTE}]);
        let incoming = pod("p").with("containers", json!({"name": "c", "image": image}));
        let world = world([node("n").set("status.images", images)], []);
        assert_eq!(given(ImageLocality, &world, &incoming), Some(vec![100]), "{image}");
    }
}
