use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sched::testing::{node, pod};

impl Snapshot {
    fn put(&mut self, name: &str, cpu: &str, on: &str) {
        let info = Arc::new(self.read(pod(name).cpu(cpu).port(80).make()));
        self.place(info, on);
    }
}

#[test]
fn what_is_placed_counts_and_what_leaves_does_not() {
    let mut snapshot = Snapshot::new();
    snapshot.set_node(node("n").cpu("4").make());
    let n = snapshot.find("n").unwrap();
    snapshot.put("a", "1", "n");
    snapshot.put("b", "500m", "n");
    assert_eq!(snapshot.requested(ResourceId::CPU, n), 1500);
    assert_eq!(snapshot.requested(ResourceId::PODS, n), 2);
    // Both take the same port: it is free again only when both are gone.
    snapshot.unplace("uid-a");
    assert_eq!(snapshot.ports(n).count(), 1);
    snapshot.unplace("uid-b");
    assert_eq!((snapshot.ports(n).count(), snapshot.requested(ResourceId::CPU, n)), (0, 0));
    assert_eq!(snapshot.allocatable(ResourceId::CPU, n), 4000);
}

#[test]
fn pods_may_come_before_their_node_and_stay_after_it() {
    let mut snapshot = Snapshot::new();
    snapshot.put("a", "1", "n");
    assert!(snapshot.nodes().is_empty() && snapshot.find("n").is_none());
    snapshot.set_node(node("n").cpu("4").make());
    assert_eq!(snapshot.requested(ResourceId::CPU, snapshot.find("n").unwrap()), 1000);
    snapshot.remove_node("n");
    assert!(snapshot.nodes().is_empty());
    snapshot.set_node(node("n").cpu("4").make());
    assert_eq!(snapshot.requested(ResourceId::CPU, snapshot.find("n").unwrap()), 1000);
}

#[test]
fn a_row_is_used_again_without_a_trace() {
    let mut snapshot = Snapshot::new();
    snapshot.set_node(
        node("a").cpu("4").gives("example.com/gpu", "2").cordoned().taint("t", "NoSchedule").make(),
    );
    let old = snapshot.find("a").unwrap();
    snapshot.remove_node("a");
    snapshot.set_node(node("b").memory("1Gi").make());
    let b = snapshot.find("b").unwrap();
    assert_eq!(b, old);
    let gpu = snapshot.resources.id("example.com/gpu");
    assert_eq!((snapshot.allocatable(ResourceId::CPU, b), snapshot.allocatable(gpu, b)), (0, 0));
    assert!(!snapshot.is_unschedulable(b) && snapshot.taint_sets()[snapshot.taint_set(b)].is_empty());
}

#[test]
fn sets_of_taints_are_shared_and_forgotten() {
    let mut snapshot = Snapshot::new();
    for round in 0..200 {
        for name in ["a", "b"] {
            snapshot.set_node(node(name).taint(&format!("t{round}"), "NoSchedule").make());
        }
        let [a, b] = ["a", "b"].map(|name| snapshot.taint_set(snapshot.find(name).unwrap()));
        assert_eq!(a, b);
        assert_eq!(snapshot.taint_sets()[a][0].key, format!("t{round}"));
    }
    assert!(snapshot.taint_sets().len() < 30);
}

#[test]
fn a_node_changes_with_what_is_behind_the_claims_of_its_pods() {
    fn read<T: serde::de::DeserializeOwned>(tree: serde_json::Value) -> Arc<T> {
        Arc::new(serde_json::from_value(tree).unwrap())
    }
    use k8s_openapi::api::core::v1::PersistentVolumeClaim;
    use k8s_openapi::api::storage::v1::{StorageClass, VolumeAttachment};
    let mut snapshot = Snapshot::new();
    snapshot.set_node(node("n").make());
    let volumes = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]);
    let info = Arc::new(snapshot.read(pod("a").set("volumes", volumes).make()));
    snapshot.place(info, "n");
    let n = snapshot.find("n").unwrap();
    // What changed since the last time, and how many volumes of the driver there are.
    let mut since = snapshot.changes().end();
    let mut seen = |snapshot: &Snapshot| {
        let changed: Vec<_> = snapshot.changes().since(since).map(|change| change.object).collect();
        since = snapshot.changes().end();
        (changed, snapshot.attached(n).map_or(0, |here| here.count("d")))
    };
    let claim = |name: &str, volume: &str| -> Arc<PersistentVolumeClaim> {
        read(json!({"metadata": {"name": name, "namespace": "ns"},
                    "spec": {"volumeName": volume, "storageClassName": "s"}}))
    };
    let volume = |handle: &str| -> Arc<PersistentVolume> {
        read(json!({"metadata": {"name": "v"}, "spec": {"csi": {"driver": "d", "volumeHandle": handle}}}))
    };
    let attachment = |volume: &str| -> Arc<VolumeAttachment> {
        read(json!({"metadata": {"name": "va"}, "spec": {"attacher": "d", "nodeName": "n",
                    "source": {"persistentVolumeName": volume}}}))
    };
    snapshot.set_object(claim("c", "v"));
    assert_eq!(seen(&snapshot), (vec![], 0));
    snapshot.set_object::<StorageClass>(read(json!({"metadata": {"name": "s"}, "provisioner": "d"})));
    assert_eq!(seen(&snapshot), (vec![false], 1));
    snapshot.set_object(volume("h"));
    assert_eq!(seen(&snapshot), (vec![false], 1));
    // Neither somebody else's claim nor the same volume once more is anything new.
    snapshot.set_object(claim("other", "v"));
    snapshot.set_object(volume("h"));
    assert_eq!(seen(&snapshot), (vec![], 1));
    snapshot.set_object(attachment("v"));
    assert_eq!(seen(&snapshot), (vec![false], 1));
    snapshot.unplace("uid-a");
    assert_eq!(seen(&snapshot), (vec![false], 1));
    snapshot.remove_object::<VolumeAttachment>("", "va");
    assert_eq!(seen(&snapshot), (vec![false], 0));
}

#[derive(Clone, Debug)]
enum Step {
    Node(u8, u8),
    NodeGone(u8),
    Place(u8, u8, u8),
    Unplace(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0u8..4, 1u8..9).prop_map(|(node, cpu)| Step::Node(node, cpu)),
        (0u8..4).prop_map(Step::NodeGone),
        (0u8..6, 1u8..4, 0u8..4).prop_map(|(pod, cpu, node)| Step::Place(pod, cpu, node)),
        (0u8..6).prop_map(Step::Unplace),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, the columns say what counting from nothing would say.
    #[test]
    fn columns_are_what_counting_gives(steps in steps()) {
        let mut snapshot = Snapshot::new();
        let mut nodes = BTreeMap::new();
        let mut pods = BTreeMap::new();
        for step in steps {
            match step {
                Step::Node(name, cpu) => {
                    snapshot.set_node(node(&format!("n{name}")).cpu(&cpu.to_string()).make());
                    nodes.insert(name, i64::from(cpu));
                }
                Step::NodeGone(name) => {
                    snapshot.remove_node(&format!("n{name}"));
                    nodes.remove(&name);
                }
                Step::Place(name, cpu, on) => {
                    snapshot.put(&format!("p{name}"), &cpu.to_string(), &format!("n{on}"));
                    pods.insert(name, (i64::from(cpu), on));
                }
                Step::Unplace(name) => {
                    snapshot.unplace(&format!("uid-p{name}"));
                    pods.remove(&name);
                }
            }
        }
        prop_assert_eq!(snapshot.nodes().len(), nodes.len());
        for (name, cpu) in nodes {
            let index = snapshot.find(&format!("n{name}")).unwrap();
            let here = || pods.values().filter(|(_, on)| *on == name).map(|(cpu, _)| cpu);
            prop_assert_eq!(snapshot.allocatable(ResourceId::CPU, index), cpu * 1000);
            prop_assert_eq!(snapshot.requested(ResourceId::CPU, index), here().sum::<i64>() * 1000);
            prop_assert_eq!(snapshot.requested(ResourceId::PODS, index), here().count() as i64);
            prop_assert_eq!(snapshot.pods(index).count(), here().count());
        }
    }
}
