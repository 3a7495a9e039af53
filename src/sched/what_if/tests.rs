use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sched::ResourceId;
use crate::sched::testing::{NodeStory, PodStory, node, pod};

const ZONE: &str = "topology.kubernetes.io/zone";

fn what_if(nodes: impl IntoIterator<Item = NodeStory>, pods: impl IntoIterator<Item = PodStory>) -> WhatIf {
    let mut own = WhatIf::of(&Scene::default(), Profile::default(), 1);
    nodes.into_iter().for_each(|node| own.add_node(node.make()));
    pods.into_iter().for_each(|pod| own.add_pod(pod.make()));
    own
}

fn big(name: &str) -> NodeStory {
    node(name).cpu("4").memory("8Gi")
}

fn many(count: usize, cpu: &str) -> Vec<PodStory> {
    (0..count).map(|number| pod(&format!("p{number}")).cpu(cpu)).collect()
}

fn of_daemon_set(name: &str) -> Pod {
    let mut pod = (*pod(name).on("a").make()).clone();
    let owner =
        json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": true}]);
    pod.metadata.owner_references = Some(serde_json::from_value(owner).unwrap());
    pod
}

#[test]
fn a_drained_node_keeps_its_own_pods_and_the_others_move() {
    let mut after = what_if([big("a"), big("b")], [pod("x").cpu("1").on("a"), pod("y").cpu("1").on("b")]);
    after.add_pod(Arc::new(of_daemon_set("d")));
    let before = after.fork();
    assert!(after.drain("a") && !after.drain("nowhere"));
    assert_eq!(after.place(), Placed { placed: 1, left: vec![] });
    let comparison = after.compare(&before);
    let moved = Moved { pod: "ns/x".into(), from: Some("a".into()), to: Some("b".into()) };
    assert_eq!((&*comparison.moved, &*comparison.evicted), (&[moved][..], &[][..]));
    assert!(after.snapshot().placed("uid-d").is_some());
    assert!(after.remove_node("a") && after.snapshot().placed("uid-d").is_none());
    assert_eq!(after.compare(&before).gone, ["ns/d"]);
    // Nowhere else to go.
    assert!(after.remove_node("b"));
    assert_eq!(after.place().left[0].message, "no nodes available to schedule pods");
    assert_eq!(after.compare(&before).evicted.len(), 2);
}

#[test]
fn pods_wait_for_those_that_they_want_to_be_near() {
    let near = json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": "late"}}}]}});
    let first = pod("first").priority(9).set("affinity", near);
    let mut own =
        what_if([big("a").label(ZONE, "z")], [first, pod("late").app("late"), pod("huge").cpu("9")]);
    let placed = own.place();
    assert_eq!((placed.placed, placed.left.len()), (2, 1));
    assert!(placed.left[0].message.starts_with("0/1 nodes are available: 1 Insufficient cpu."));
    assert_eq!(own.pending().len(), 1);
    assert!(own.change_pod("ns", "huge", |pod| {
        let container = &mut pod.spec.as_mut().unwrap().containers[0];
        container.resources = None;
    }));
    assert_eq!(own.place().placed, 1);
    assert!(own.remove_pod("ns", "huge") && !own.remove_pod("ns", "huge"));
}

#[test]
fn as_many_pods_fit_as_find_a_node_one_after_the_other() {
    let own = what_if([big("a"), big("b"), big("c").cordoned()], many(1, "500m"));
    let fits = own.fits(&pod("w").cpu("1500m").make(), 1000);
    assert_eq!(fits.count, 4);
    assert!(
        fits.message
            .unwrap()
            .starts_with("0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient")
    );
    assert_eq!(own.fits(&pod("w").make(), 7), Fits { count: 7, message: None });
    assert_eq!(own.fits(&pod("w").make(), 1000).count, 220);
    let gated = pod("w").set("schedulingGates", json!([{"name": "g"}]));
    assert_eq!(own.fits(&gated.make(), 10).count, 0);
    assert!(own.snapshot().placed("what-if-0").is_none() && own.pending().len() == 1);
}

fn shape(name: &str, cpu: &str) -> Node {
    (*node(name).cpu(cpu).memory("8Gi").make()).clone()
}

#[test]
fn the_fewest_nodes_of_one_shape_are_found() {
    let own = what_if([big("a")], many(11, "1500m"));
    // Two a node: one of the old, and five of the new with ten pods, less the two on the old one.
    let found = own.shapes(&[shape("s", "4")]);
    assert_eq!((&*found.counts, found.quality), (&[5][..], Quality::Exact));
    let found = own.shapes(&[shape("s", "1")]);
    assert_eq!((found.quality, found.left.len()), (Quality::Impossible, 9));
    assert_eq!(what_if([big("a")], many(2, "1")).shapes(&[]).quality, Quality::Exact);
    assert_eq!(own.shapes(&[]).quality, Quality::Impossible);
}

#[test]
fn of_several_shapes_the_answer_says_how_good_it_is() {
    let own = what_if([], many(5, "2"));
    let found = own.shapes(&[shape("small", "2"), shape("large", "8")]);
    // Ten CPUs: two nodes at the least, and two will do.
    assert_eq!((found.counts.iter().sum::<usize>(), found.quality), (2, Quality::Exact));
    let own = what_if([], many(3, "3"));
    let found = own.shapes(&[shape("small", "3"), shape("large", "4")]);
    assert_eq!((found.counts.iter().sum::<usize>(), found.quality), (3, Quality::Exact));
    let own = what_if([], many(4, "3"));
    let found = own.shapes(&[shape("small", "3"), shape("large", "5")]);
    assert_eq!((found.counts.iter().sum::<usize>(), found.quality), (4, Quality::AtLeast(3)));
}

#[test]
fn use_and_spread_are_compared() {
    let before = what_if([big("a").label(ZONE, "x"), big("b").label(ZONE, "y")], many(4, "1"));
    let mut after = before.fork();
    after.place();
    let comparison = after.compare(&before);
    let cpu = comparison.resources.iter().find(|own| own.resource == "cpu").unwrap();
    assert_eq!((cpu.before.requested, cpu.after.requested, cpu.after.allocatable), (0, 4000, 8000));
    assert_eq!((cpu.before.unused_nodes, cpu.after.percent, cpu.after.quartiles), (2, 50.0, [50.0; 5]));
    assert_eq!((comparison.spread[0].before, comparison.spread[0].after), ([0, 0, 2], [2, 2, 2]));
    assert_eq!(comparison.placed.len(), 4);
    let text = comparison.to_string();
    assert!(text.contains("cpu") && text.contains("4 pod(s) placed"), "{text}");
}

#[derive(Clone, Debug)]
enum Step {
    Node(u8, u8),
    NodeGone(u8),
    Place(u8, u8, u8),
    Unplace(u8),
    Label(u8),
    Service(u8),
    Fork,
    Swap,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0u8..6, 1u8..9).prop_map(|(node, cpu)| Step::Node(node, cpu)),
        1 => (0u8..6).prop_map(Step::NodeGone),
        4 => (0u8..12, 1u8..4, 0u8..6).prop_map(|(pod, cpu, node)| Step::Place(pod, cpu, node)),
        2 => (0u8..12).prop_map(Step::Unplace),
        1 => (0u8..3).prop_map(Step::Label),
        1 => (0u8..3).prop_map(Step::Service),
        1 => Just(Step::Fork),
        2 => Just(Step::Swap),
    ];
    prop::collection::vec(step, 0..60)
}

/// What a snapshot was told, to be told anew.
#[derive(Clone, Debug, Default)]
struct Told {
    nodes: BTreeMap<u8, u8>,
    pods: BTreeMap<u8, (u8, u8)>,
    label: Option<u8>,
    service: Option<u8>,
}

fn node_of(name: u8, cpu: u8) -> Arc<Node> {
    let story = node(&format!("n{name}")).cpu(&cpu.to_string()).label(ZONE, &format!("z{}", name % 2));
    if cpu.is_multiple_of(3) { story.taint(&format!("t{cpu}"), "NoSchedule").make() } else { story.make() }
}

fn pod_of(name: u8, cpu: u8) -> Arc<Pod> {
    let story = pod(&format!("p{name}")).cpu(&cpu.to_string()).app(["a", "b"][usize::from(name % 2)]);
    if name.is_multiple_of(4) { story.port(80).asks("example.com/gpu", "1").make() } else { story.make() }
}

impl Told {
    fn tell(&mut self, step: &Step, snapshot: &mut Snapshot) {
        match *step {
            Step::Node(name, cpu) => {
                snapshot.set_node(node_of(name, cpu));
                self.nodes.insert(name, cpu);
            }
            Step::NodeGone(name) => {
                snapshot.remove_node(&format!("n{name}"));
                self.nodes.remove(&name);
            }
            Step::Place(name, cpu, on) => {
                let info = Arc::new(snapshot.read(pod_of(name, cpu)));
                snapshot.place(info, &format!("n{on}"));
                self.pods.insert(name, (cpu, on));
            }
            Step::Unplace(name) => {
                snapshot.unplace(&format!("uid-p{name}"));
                self.pods.remove(&name);
            }
            Step::Label(team) => {
                snapshot.set_namespace("ns", BTreeMap::from([("team".into(), team.to_string())]));
                self.label = Some(team);
            }
            Step::Service(number) => {
                let selector =
                    BTreeMap::from([("app".to_owned(), ["a", "b", "c"][usize::from(number)].to_owned())]);
                snapshot.set_service("ns", "web", Some(&selector));
                self.service = Some(number);
            }
            Step::Fork | Step::Swap => {}
        }
    }

    /// The same from nothing.
    fn rebuilt(&self) -> Snapshot {
        let (mut snapshot, mut told) = (Snapshot::new(), Self::default());
        let nodes = self.nodes.iter().map(|(name, cpu)| Step::Node(*name, *cpu));
        let pods = self.pods.iter().map(|(name, (cpu, on))| Step::Place(*name, *cpu, *on));
        let rest = self.label.map(Step::Label).into_iter().chain(self.service.map(Step::Service));
        nodes.chain(pods).chain(rest).for_each(|step| told.tell(&step, &mut snapshot));
        snapshot
    }
}

/// All that can be read of a snapshot, by name.
fn shown(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let kinds = |node| {
        let kinds = snapshot.kinds(node).map(|(_, kind, pods)| format!("{kind:?} {pods}"));
        let mut kinds: Vec<_> = kinds.collect();
        kinds.sort();
        kinds
    };
    let taints = |node| snapshot.taint_sets()[snapshot.taint_set(node)].clone();
    let amounts = |node| {
        let of = |(id, name): (ResourceId, &str)| {
            let amounts = [snapshot.allocatable(id, node), snapshot.requested(id, node)];
            (amounts != [0, 0]).then(|| format!("{name} {amounts:?}"))
        };
        snapshot.resources().iter().filter_map(of).collect::<std::collections::BTreeSet<_>>()
    };
    let one = |node| {
        let pods: Vec<_> =
            snapshot.pods(node).map(|pod| (&pod.uid, snapshot.placed(&pod.uid).unwrap().0)).collect();
        let ports: Vec<_> = snapshot.ports(node).collect();
        format!(
            "{:?} {:?} {pods:?} {ports:?} {:?} {:?} {:?} {}",
            snapshot.node(node),
            amounts(node),
            kinds(node),
            taints(node),
            snapshot.assumed_use(node),
            snapshot.is_unschedulable(node),
        )
    };
    let nodes = snapshot.nodes().iter().map(|node| (snapshot.name(*node).to_string(), one(*node)));
    let placed = (0..12).map(|pod| {
        let uid = format!("uid-p{pod}");
        let place = snapshot.placed(&uid).map(|(node, pod)| format!("{node} {:?}", pod.requests.len()));
        (uid, format!("{place:?}"))
    });
    let info = crate::sched::PodInfo::read(pod("x").app("a").make(), &mut snapshot.resources().clone());
    let around = format!("{:?} {:?}", snapshot.namespace_labels("ns"), snapshot.default_selector(&info));
    nodes.chain(placed).chain([("around".to_owned(), around)]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A fork and its origin are each what they would be had they been told everything alone.
    #[test]
    fn forks_leave_each_other_alone(steps in steps()) {
        let mut forks = vec![(Snapshot::new(), Told::default())];
        for step in steps {
            match step {
                Step::Fork if forks.len() < 5 => forks.push(forks[0].clone()),
                Step::Swap => forks.rotate_left(1),
                step => {
                    let (snapshot, told) = &mut forks[0];
                    told.tell(&step, snapshot);
                }
            }
        }
        for (snapshot, told) in &forks {
            prop_assert_eq!(shown(snapshot), shown(&told.rebuilt()));
        }
    }
}
