//! Worlds with volumes of every sort.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::Metadata;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::worlds::{Worlds, read};
use super::{Bench, WORLDS};
use crate::sched::reference::{Judgement, NodeJudgement, World, judge};
use crate::sched::volumes::key_of;
use crate::sched::{Catalogued, Cycle, Decision, PodInfo, PreFiltered, Profile, Snapshot, Verdict};

const ZONE: &str = "topology.kubernetes.io/zone";
const REGION: &str = "topology.kubernetes.io/region";
const OLD_ZONE: &str = "failure-domain.beta.kubernetes.io/zone";
const CLASSES: [&str; 9] = ["wait", "wait", "zoned", "local", "now", "modeless", "ebs", "file", "gone"];
const DRIVERS: [&str; 3] = ["csi.example.com", "csi.example.com", "ebs.csi.aws.com"];
const NODES: u64 = 5;
/// So many claims and volumes there are, at most.
const CLAIMS: u64 = 8;
/// How many pods are decided in each world.
const PODS: u64 = 20;

/// Draws storage.
struct Storage<'a> {
    worlds: &'a Worlds,
    /// Whether most of it is in order, so that pods come to nodes and differ by what they want, and not by what is
    /// wrong with it.
    calm: bool,
}

impl Storage<'_> {
    fn below(&self, bound: u64) -> u64 {
        self.worlds.below(bound)
    }

    fn one_in(&self, chances: u64) -> bool {
        self.worlds.one_in(chances)
    }

    /// Whether something is out of order.
    fn odd(&self, chances: u64) -> bool {
        self.one_in(if self.calm { 20 * chances } else { chances })
    }

    fn one<'a>(&self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }

    fn node(&self, number: u64) -> Value {
        let mut labels = json!({"kubernetes.io/hostname": format!("n{number}")});
        for (label, values) in
            [(ZONE, ["a", "b"]), (OLD_ZONE, ["a", "b"]), (REGION, ["r", "s"]), ("disk", ["ssd", "hdd"])]
        {
            if self.one_in(2) {
                labels[label] = self.one(&values).into();
            }
        }
        let name = format!("n{number}");
        json!({"metadata": {"name": name, "uid": name, "labels": labels}, "spec": {},
               "status": {"allocatable": {"pods": "110"}}})
    }

    fn csi_node(&self, number: u64) -> Value {
        let driver = |name: &str| {
            let least = u64::from(self.calm);
            let count = if self.one_in(6) { Value::Null } else { (least + self.below(3)).into() };
            json!({"name": name, "nodeID": "x", "topologyKeys": null, "allocatable": {"count": count}})
        };
        let mut drivers: Vec<_> =
            ["csi.example.com", "ebs.csi.aws.com", "disk.csi.azure.com"].map(driver).into();
        drivers.truncate(if self.calm { 2 } else { self.below(4) as usize });
        json!({"metadata": {"name": format!("n{number}")}, "spec": {"drivers": drivers}})
    }

    fn class(&self, name: &str) -> Value {
        let provisioner = match name {
            "local" => "kubernetes.io/no-provisioner",
            "ebs" => "kubernetes.io/aws-ebs",
            "file" => "kubernetes.io/azure-file",
            _ => "csi.example.com",
        };
        let mode = match name {
            "now" => json!("Immediate"),
            "modeless" => Value::Null,
            _ => json!("WaitForFirstConsumer"),
        };
        let terms = match name {
            "zoned" => {
                json!([{"matchLabelExpressions": [{"key": ZONE, "values": [self.one(&["a", "b"])]}]}, {}])
            }
            _ => Value::Null,
        };
        json!({"metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": mode,
               "allowedTopologies": terms})
    }

    fn class_name(&self) -> &'static str {
        let classes: &[&'static str] = if self.calm { &["wait", "zoned", "ebs"] } else { &CLASSES };
        classes[self.below(classes.len() as u64) as usize]
    }

    fn size(&self) -> String {
        format!("{}Gi", 1 + self.below(4))
    }

    fn requirement(&self) -> Value {
        let hosts = || (0..NODES).filter(|_| self.one_in(2)).map(|number| format!("n{number}"));
        match self.below(if self.calm { 4 } else { 5 }) {
            0 => json!({"key": ZONE, "operator": "In", "values": [self.one(&["a", "b"])]}),
            1 => json!({"key": "disk", "operator": "Exists"}),
            2 => json!({"key": "disk", "operator": "NotIn", "values": ["ssd"]}),
            3 => {
                json!({"key": "kubernetes.io/hostname", "operator": "In", "values": hosts().collect::<Vec<_>>()})
            }
            _ => json!({"key": "disk", "operator": "Odd"}),
        }
    }

    fn term(&self) -> Value {
        let mut term = json!({});
        if !self.odd(6) {
            term["matchExpressions"] = (0..=self.below(2)).map(|_| self.requirement()).collect();
        }
        if self.odd(6) {
            let values = if self.one_in(3) { json!(["n0", "n1"]) } else { json!(["n0"]) };
            term["matchFields"] = json!([{"key": "metadata.name", "operator": "In", "values": values}]);
        }
        term
    }

    fn volume(&self, number: u64) -> Value {
        let handle = format!("h{}", if self.odd(2) { self.below(5) } else { 10 + number });
        let kind = if self.odd(2) { self.below(9) } else { 8 };
        let mut spec = match kind {
            0 => json!({"awsElasticBlockStore": {"volumeID": handle}}),
            1 => json!({"awsElasticBlockStore": {"volumeID": self.one(&["aws://z/vol-1", "aws://z/x"])}}),
            2 => {
                json!({"azureDisk": {"diskName": "d", "diskURI": handle, "kind": self.one(&["Managed", "Shared"])}})
            }
            3 => json!({"hostPath": {"path": "/x"}}),
            4 => json!({"gcePersistentDisk": {"pdName": handle}}),
            _ => json!({"csi": {"driver": self.one(&DRIVERS), "volumeHandle": handle}}),
        };
        spec["capacity"] = json!({"storage": self.size()});
        spec["accessModes"] = json!([self.one(&["ReadWriteOnce", "ReadWriteMany"]), "ReadOnlyMany"]);
        spec["storageClassName"] = self.class_name().into();
        if self.one_in(4) {
            let claim = self.below(CLAIMS);
            let uid =
                [format!("c{claim}"), "other".to_owned(), String::new()][self.below(3) as usize].clone();
            spec["claimRef"] = json!({"namespace": "ns", "name": format!("c{claim}"), "uid": uid});
        }
        if self.one_in(3) {
            let terms: Vec<_> = (0..=self.below(2)).map(|_| self.term()).collect();
            spec["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": terms}});
        }
        if self.odd(8) {
            spec["volumeMode"] = "Block".into();
        }
        if self.odd(8) {
            spec["volumeAttributesClassName"] = self.one(&["fast", ""]).into();
        }
        let mut meta = json!({"name": format!("p{number}"), "labels": {}});
        for (label, values) in [
            (ZONE, if self.calm { &["a", "b"][..] } else { &["a", "a__b", "b", "a__ "] }),
            (OLD_ZONE, ["a", "b"].as_slice()),
            (REGION, ["r", "r__s"].as_slice()),
        ] {
            if self.one_in(if label == ZONE { 4 } else { 8 }) {
                meta["labels"][label] = self.one(values).into();
            }
        }
        if self.one_in(4) {
            meta["labels"]["kind"] = "good".into();
        }
        if self.odd(12) {
            meta["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        let phase = if self.odd(4) { "Pending" } else { "Available" };
        json!({"metadata": meta, "spec": spec, "status": {"phase": phase}})
    }

    /// A claim; one that was made for a pod has its name, and may say that it is another's.
    fn claim(&self, name: &str, of: Option<&str>) -> Value {
        let bound = if self.calm { !self.one_in(3) } else { self.one_in(2) };
        let mut meta = json!({"name": name, "namespace": "ns", "uid": name, "annotations": {}});
        if let Some(pod) = of {
            let uid = if self.odd(5) { "other" } else { pod };
            meta["ownerReferences"] =
                json!([{"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid, "controller": true}]);
        }
        let mut spec = json!({
            "accessModes": [self.one(&["ReadWriteOnce", "ReadWriteOnce", "ReadOnlyMany", "ReadWriteOncePod"])],
            "storageClassName": self.class_name(),
            "resources": {},
        });
        if !self.odd(6) {
            spec["resources"] = json!({"requests": {"storage": self.size()}});
        }
        if bound {
            spec["volumeName"] = format!("p{}", self.below(CLAIMS + u64::from(!self.calm))).into();
            if !self.odd(8) {
                meta["annotations"]["pv.kubernetes.io/bind-completed"] = "yes".into();
            }
        }
        if self.one_in(8) {
            meta["annotations"]["volume.kubernetes.io/selected-node"] =
                format!("n{}", self.below(NODES)).into();
        }
        if self.odd(16) {
            meta["annotations"]["volume.beta.kubernetes.io/storage-class"] = self.one(&["wait", ""]).into();
        }
        if self.odd(10) {
            let operator = self.one(&["In", "In", "Odd"]);
            spec["selector"] =
                json!({"matchExpressions": [{"key": "kind", "operator": operator, "values": ["good"]}]});
        }
        if self.odd(10) {
            spec["volumeMode"] = "Block".into();
        }
        if self.odd(10) {
            spec["volumeAttributesClassName"] = "fast".into();
        }
        if self.odd(20) {
            meta["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        let phase = if self.odd(20) { "Lost" } else { "Pending" };
        json!({"metadata": meta, "spec": spec, "status": {"phase": phase}})
    }

    /// A pod, with volumes of its own and of claims.
    fn pod(&self, name: &str) -> Value {
        let source = |number: u64| {
            let disk = self.one(&["h0", "h1"]);
            let read_only = self.one_in(2);
            let kind = if self.calm && !self.one_in(6) { 15 } else { self.below(16) };
            let mut volume = match kind {
                0 => json!({"gcePersistentDisk": {"pdName": disk, "readOnly": read_only}}),
                1 => json!({"awsElasticBlockStore": {"volumeID": disk}}),
                2 => json!({"iscsi": {"targetPortal": "", "lun": 0, "iqn": disk, "readOnly": read_only}}),
                3 => json!({"rbd": {"monitors": ["a", disk], "image": "i", "readOnly": read_only}}),
                4 => json!({"emptyDir": {}}),
                5 => json!({"azureFile": {"secretName": "s", "shareName": "s"}}),
                6 if self.one_in(3) => json!({"awsElasticBlockStore": {"volumeID": "aws://z/x"}}),
                7 | 8 => json!({"ephemeral": {"volumeClaimTemplate": {"spec": {}}}}),
                _ => {
                    let claim = match self.below(CLAIMS + u64::from(!self.calm)) {
                        claim if claim < CLAIMS || self.one_in(4) => format!("c{claim}"),
                        _ if self.one_in(8) => String::new(),
                        _ => "c0".to_owned(),
                    };
                    json!({"persistentVolumeClaim": {"claimName": claim}})
                }
            };
            volume["name"] =
                if volume["ephemeral"].is_object() { "e".into() } else { format!("v{number}").into() };
            volume
        };
        let namespace = if self.odd(20) { "other" } else { "ns" };
        let count = if self.calm { 1 + self.below(5) / 4 } else { self.below(4) };
        let volumes: Vec<_> = (0..count).map(source).collect();
        json!({"metadata": {"name": name, "namespace": namespace, "uid": name},
               "spec": {"containers": [], "volumes": volumes}, "status": {}})
    }

    fn attachment(&self, number: u64) -> Value {
        let source = if self.one_in(6) {
            json!({})
        } else {
            json!({"persistentVolumeName": format!("p{}", self.below(CLAIMS + 1))})
        };
        let attacher = if self.odd(8) { "" } else { self.one(&DRIVERS) };
        json!({"metadata": {"name": format!("va{number}")},
               "spec": {"attacher": attacher, "nodeName": format!("n{}", self.below(NODES)), "source": source}})
    }

    fn driver(&self) -> Value {
        json!({"metadata": {"name": "csi.example.com"}, "spec": {"storageCapacity": self.one_in(2)}})
    }

    fn capacity(&self, number: u64) -> Value {
        let topology = match self.below(4) {
            0 => Value::Null,
            1 => json!({"matchExpressions": [{"key": "disk", "operator": self.one(&["Exists", "Odd"])}]}),
            _ => json!({"matchLabels": {ZONE: self.one(&["a", "b"])}}),
        };
        let mut capacity = json!({"metadata": {"name": format!("cap{number}"), "namespace": "ns"},
               "nodeTopology": topology, "storageClassName": self.one(&["wait", "zoned"])});
        if !self.one_in(6) {
            capacity["capacity"] = self.size().into();
        }
        if self.one_in(4) {
            capacity["maximumVolumeSize"] = self.size().into();
        }
        capacity
    }

    fn world(&self) -> World {
        fn some<T: serde::de::DeserializeOwned>(draws: impl Iterator<Item = Option<Value>>) -> Vec<Arc<T>> {
            draws.flatten().map(|tree| Arc::new(read(&tree))).collect()
        }
        let mostly = |tree: Value| (!self.odd(6)).then_some(tree);
        let own_claims = (0..PODS).map(|number| format!("q{number:02}"));
        let own_claims = own_claims.filter(|_| !self.one_in(3)).collect::<Vec<_>>();
        let claims = (0..CLAIMS).map(|number| mostly(self.claim(&format!("c{number}"), None)));
        let own_claims = own_claims.iter().map(|pod| Some(self.claim(&format!("{pod}-e"), Some(pod))));
        World {
            nodes: some((0..NODES).map(|number| Some(self.node(number)))),
            pods: some((0..self.below(10)).map(|number| {
                let mut pod = self.pod(&format!("a{number}"));
                pod["spec"]["nodeName"] = format!("n{}", self.below(NODES + 1)).into();
                Some(pod)
            })),
            storage_classes: some(CLASSES[1..8].iter().map(|name| mostly(self.class(name)))),
            persistent_volumes: some((0..CLAIMS).map(|number| mostly(self.volume(number)))),
            persistent_volume_claims: some(claims.chain(own_claims)),
            csi_nodes: some((0..NODES).map(|number| mostly(self.csi_node(number)))),
            csi_drivers: some([mostly(self.driver())].into_iter()),
            csi_storage_capacities: some((0..self.below(4)).map(|number| Some(self.capacity(number)))),
            volume_attachments: some((0..self.below(5)).map(|number| Some(self.attachment(number)))),
            ..World::default()
        }
    }

    /// Something about storage changes, comes or goes.
    fn change(&self, bench: &mut Bench) {
        let number = self.below(CLAIMS);
        let gone = self.odd(3);
        let Bench { world, snapshot, .. } = bench;
        match self.below(8) {
            0 => put(&mut world.persistent_volumes, snapshot, self.volume(number), gone),
            1 => put(
                &mut world.persistent_volume_claims,
                snapshot,
                self.claim(&format!("c{number}"), None),
                gone,
            ),
            2 => put(&mut world.storage_classes, snapshot, self.class(self.one(&CLASSES[..8])), gone),
            3 => put(&mut world.csi_nodes, snapshot, self.csi_node(number % NODES), gone),
            4 => put(&mut world.csi_drivers, snapshot, self.driver(), gone),
            5 => put(&mut world.csi_storage_capacities, snapshot, self.capacity(number % 4), gone),
            6 => put(&mut world.volume_attachments, snapshot, self.attachment(number % 5), gone),
            _ => {
                let node = Arc::new(read(&self.node(number % NODES)));
                world.nodes[(number % NODES) as usize] = Arc::clone(&node);
                snapshot.set_node(node);
            }
        }
    }
}

/// Puts an object in both, in the place of the one of its name, or takes that out of both.
fn put<K: Catalogued>(list: &mut Vec<Arc<K>>, snapshot: &mut Snapshot, tree: Value, gone: bool) {
    let object: Arc<K> = Arc::new(read(&tree));
    let key = key_of(object.metadata());
    let at = list.binary_search_by_key(&key, |own| key_of(own.metadata()));
    match at {
        Ok(at) if gone => {
            list.remove(at);
            snapshot.remove_object::<K>(&key.namespace, &key.name);
        }
        Ok(at) => {
            list[at] = object.clone();
            snapshot.set_object(object);
        }
        Err(_) if gone => {}
        Err(at) => {
            list.insert(at, object.clone());
            snapshot.set_object(object);
        }
    }
}

/// Who rejects which node, and how; nothing where the pod is refused as a whole.
fn looked(
    profile: &Profile,
    snapshot: &Snapshot,
    pod: &PodInfo,
) -> Option<BTreeMap<String, Option<(&'static str, Verdict)>>> {
    let mut cycle = Cycle::new(pod, snapshot);
    let mut skipped = Vec::new();
    for (name, plugin) in profile.pre_filters() {
        match plugin.pre_filter(&mut cycle) {
            PreFiltered::Run => {}
            PreFiltered::Skip => skipped.push(name),
            PreFiltered::Only(_) | PreFiltered::Reject(_) => return None,
        }
    }
    let filters: Vec<_> = profile.filters().filter(|(name, _)| !skipped.contains(name)).collect();
    let of_node = |node| {
        filters.iter().find_map(|(name, filter)| {
            let verdict = filter.filter(&cycle, node);
            (!verdict.fits()).then_some((*name, verdict))
        })
    };
    let nodes = snapshot.nodes().iter();
    Some(nodes.map(|node| (snapshot.name(*node).to_string(), of_node(*node))).collect())
}

/// Holds both against each other for each node, and notes what was said.
fn hold_nodes(bench: &mut Bench, pod: &Arc<Pod>, said: &mut BTreeSet<String>) {
    let nodes = match judge(&bench.world, &bench.settings, pod) {
        Judgement::Schedulable { nodes, .. } | Judgement::Unschedulable { nodes, .. } => nodes,
        Judgement::Refused { reason, .. } => {
            said.insert(reason);
            return;
        }
        Judgement::Failed { message, .. } => {
            said.insert(message);
            return;
        }
        judgement => panic!("no such pod is drawn: {judgement:?}"),
    };
    let info = bench.snapshot.read(pod.clone());
    let own = looked(&bench.profile, &bench.snapshot, &info).expect("no plugin refuses the pod as a whole");
    for (name, theirs) in nodes {
        let theirs = match theirs {
            NodeJudgement::Rejected { plugin, reasons, unresolvable } => {
                said.extend(reasons.iter().cloned());
                let reasons = reasons.into_iter().map(Into::into).collect();
                let verdict = if unresolvable {
                    Verdict::Unresolvable(reasons)
                } else {
                    Verdict::Unschedulable(reasons)
                };
                Some((plugin.name(), verdict))
            }
            _ => None,
        };
        assert_eq!(own[&name], theirs, "{name}");
    }
}

/// Asks boards again: from the second time on there is one, and it may be another pod's.
fn hold_boards(bench: &mut Bench, pod: &Arc<Pod>, best: &[String]) {
    let info = bench.snapshot.read(pod.clone());
    for _ in 0..4 {
        match bench.boards.decide(&bench.profile, &bench.snapshot, &info, &bench.draw) {
            Decision::Place(node) => {
                let name = bench.snapshot.name(node);
                assert!(best.iter().any(|best| **best == **name), "{name} of {best:?}");
            }
            _ => assert!(best.is_empty(), "none of {best:?}"),
        }
    }
}

/// What came of the pods of a world: how many had a node, and how many boards there were.
fn hold(seed: u64, said: &mut BTreeSet<String>) -> (usize, usize) {
    let worlds = Worlds::seeded(seed);
    let storage = Storage { worlds: &worlds, calm: seed.is_multiple_of(2) };
    let mut world = storage.world();
    world.persistent_volume_claims.sort_by_key(|claim| key_of(&claim.metadata));
    let sorted = |metas: Vec<&ObjectMeta>| metas.is_sorted_by_key(|meta| key_of(meta));
    assert!(sorted(world.persistent_volumes.iter().map(|one| one.metadata()).collect()));
    world.storage_classes.sort_by_key(|class| key_of(&class.metadata));
    let mut bench = Bench::new(world);
    let mut placed = 0;
    let kinds: Vec<_> = (0..4).map(|number| storage.pod(&format!("kind-{number}"))).collect();
    for number in 0..PODS {
        let mut pod =
            if storage.one_in(3) { storage.pod("") } else { kinds[storage.below(4) as usize].clone() };
        let name = format!("q{number:02}");
        pod["metadata"]["name"] = name.as_str().into();
        pod["metadata"]["uid"] = name.as_str().into();
        let made: Arc<Pod> = Arc::new(read(&pod));
        hold_nodes(&mut bench, &made, said);
        let best = bench.hold(&made);
        hold_boards(&mut bench, &made, &best);
        placed += usize::from(!best.is_empty());
        if let Some(node) =
            best.get(storage.below(best.len().max(1) as u64) as usize).filter(|_| storage.one_in(2))
        {
            pod["spec"]["nodeName"] = node.as_str().into();
            let made: Arc<Pod> = Arc::new(read(&pod));
            bench.world.pods.push(made.clone());
            let info = Arc::new(bench.snapshot.read(made));
            bench.snapshot.place(info, node);
        } else if storage.one_in(4) && !bench.world.pods.is_empty() {
            let gone = storage.below(bench.world.pods.len() as u64) as usize;
            let gone = bench.world.pods.remove(gone);
            bench.snapshot.unplace(gone.metadata.uid.as_deref().unwrap_or_default());
        }
        if storage.one_in(2) {
            storage.change(&mut bench);
        }
    }
    (placed, bench.boards.len())
}

/// Part of every text that volumes can give rise to.
const TEXTS: [&str; 19] = [
    "node(s) had no available disk",
    "with ReadWriteOncePod access mode already in-use by another pod",
    "node(s) exceed max volume count",
    "node(s) didn't match PersistentVolume's node affinity",
    "node(s) didn't find available persistent volumes to bind",
    "node(s) did not have enough free storage",
    "bound to non-existent pv(s)",
    "node(s) had no available volume zone",
    "pod has unbound immediate PersistentVolumeClaims",
    "persistentvolumeclaim \"c1\" not found",
    "is being deleted",
    "bound to non-existent persistentvolume",
    "waiting for ephemeral volume controller",
    "(pod is not owner)",
    "\"NodeVolumeLimits\" filter plugin: PersistentVolumeClaim had no name",
    "from inline to csi",
    "VolumeBindingMode not set",
    "error creating internal label selector for claim",
    "persistentvolume \"p",
];

#[test]
fn every_verdict_on_volumes_is_the_references() {
    let worlds = std::env::var("WINDLASS_WORLDS").map_or(WORLDS, |worlds| worlds.parse().expect("a number"));
    let first = std::env::var("WINDLASS_WORLD").map_or(0, |seed| seed.parse().expect("a number"));
    let (mut placed, mut boards, mut said) = (0, 0, BTreeSet::new());
    for seed in first..first + worlds {
        let held = std::panic::catch_unwind(|| {
            let mut said = BTreeSet::new();
            (hold(seed, &mut said), said)
        });
        let Ok((counts, texts)) = held else {
            panic!("the world of seed {seed}: WINDLASS_WORLD={seed} WINDLASS_WORLDS=1 tells it alone");
        };
        (placed, boards) = (placed + counts.0, boards + counts.1);
        said.extend(texts);
    }
    // It would say nothing if no pod ever came to a node, none ever shared, or nothing ever went wrong.
    if worlds >= WORLDS {
        assert!(placed as u64 > worlds && boards as u64 > worlds, "{placed} and {boards} of {worlds}");
        for text in TEXTS {
            assert!(said.iter().any(|one| one.contains(text)), "nobody said {text:?}");
        }
    }
}
