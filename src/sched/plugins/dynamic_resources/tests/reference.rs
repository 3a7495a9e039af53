//! Any world of devices and claims, judged by the rules as they are written down elsewhere.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::env::Random;
use crate::sched::framework::Profile;
use crate::sched::reference::{self, Judgement, NodeJudgement, Settings, World};
use crate::sched::{Decision, decide};

const NODES: [&str; 3] = ["n0", "n1", "n2"];

/// A device: where it is, what it is like, what it uses of counters.
fn device() -> impl Strategy<Value = Value> {
    let attributes = prop_oneof![
        Just(json!({})),
        (0i64..2).prop_map(|numa| json!({"numa": {"int": numa}})),
        (0i64..2, 0..2).prop_map(
            |(numa, kind)| json!({"d.com/numa": {"int": numa}, "kind": {"string": format!("k{kind}")}})
        ),
    ];
    let taints = prop_oneof![
        6 => Just(json!([])),
        1 => Just(json!([{"key": "t", "value": "v", "effect": "NoSchedule"}])),
        1 => Just(json!([{"key": "t", "effect": "NoExecute"}])),
        1 => Just(json!([{"key": "t", "effect": "None"}])),
    ];
    let counters = prop_oneof![4 => Just(0i64), 2 => 1i64..6];
    let reach = prop_oneof![
        (0..3usize).prop_map(|node| json!({"nodeName": NODES[node]})),
        Just(json!({"allNodes": true})),
        Just(json!({"nodeSelector": selector("zone", &["z0"])})),
        Just(json!({})),
    ];
    (0..5u8, attributes, taints, counters, reach, 0..8u8).prop_map(|(name, attributes, taints, counters, reach, late)| {
        let mut tree = json!({"name": format!("g{name}"), "attributes": attributes, "taints": taints, "reach": reach});
        if counters > 0 {
            tree["consumesCounters"] =
                json!([{"counterSet": "s", "counters": {"c": {"value": counters.to_string()}}}]);
        }
        if late == 0 {
            tree["bindingConditions"] = json!(["ready"]);
        }
        tree
    })
}

fn selector(key: &str, values: &[&str]) -> Value {
    json!({"nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": "In", "values": values}]}]})
}

/// A slice, of one of a few pools.
fn any_slice() -> impl Strategy<Value = Value> {
    let pool = (0..2u8, 0..3u8, prop_oneof![5 => Just(1i64), 1 => Just(2)]);
    let content = prop_oneof![
        5 => prop::collection::vec(device(), 0..4).prop_map(|devices| json!({"devices": devices})),
        1 => (3i64..9).prop_map(|amount| json!({"sharedCounters": [{"name": "s", "counters": {"c": {"value": amount.to_string()}}}]})),
    ];
    (pool, content, 0..6u8).prop_map(|((driver, pool, generation), mut spec, reach)| {
        spec["driver"] = ["d.com", "e.com"][usize::from(driver)].into();
        spec["pool"] = json!({"name": format!("p{pool}"), "generation": generation});
        match reach {
            0..3 => spec["nodeName"] = NODES[usize::from(reach)].into(),
            3 => spec["allNodes"] = true.into(),
            4 => spec["nodeSelector"] = selector("zone", &["z0", "z1"]),
            _ => spec["perDeviceNodeSelection"] = true.into(),
        }
        let by_device = reach == 5;
        for device in spec["devices"].as_array_mut().into_iter().flatten() {
            let reach = device.as_object_mut().unwrap().remove("reach").unwrap();
            for (key, value) in reach.as_object().into_iter().flatten().filter(|_| by_device) {
                device[key] = value.clone();
            }
        }
        spec
    })
}

fn tolerations() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => Just(json!([])),
        1 => Just(json!([{"operator": "Exists"}])),
        1 => Just(json!([{"key": "t", "operator": "Equal", "value": "v", "effect": "NoSchedule"}])),
    ]
}

fn asked() -> impl Strategy<Value = Value> {
    let mode = prop_oneof![
        6 => (1i64..4).prop_map(|count| json!({"allocationMode": "ExactCount", "count": count})),
        1 => Just(json!({"allocationMode": "All"})),
        1 => Just(json!({"allocationMode": "ExactCount", "count": 17})),
    ];
    let class = prop_oneof![60 => Just("gpu"), 1 => Just("unknown")];
    (mode, class, tolerations()).prop_map(|(mut tree, class, tolerations)| {
        tree["deviceClassName"] = class.into();
        tree["tolerations"] = tolerations;
        tree
    })
}

fn request(name: &'static str) -> impl Strategy<Value = Value> {
    let exactly = (asked(), 0..6u8).prop_map(move |(mut exactly, admin)| {
        if admin == 0 {
            exactly["adminAccess"] = true.into();
        }
        json!({"name": name, "exactly": exactly})
    });
    let list = prop::collection::vec(asked(), 1..4).prop_map(move |mut list| {
        for (one, own) in list.iter_mut().zip(["x", "y", "z"]) {
            one["name"] = own.into();
        }
        json!({"name": name, "firstAvailable": list})
    });
    prop_oneof![30 => exactly, 20 => list, 1 => Just(json!({"name": name}))]
}

fn constraint() -> impl Strategy<Value = Value> {
    let requests = prop_oneof![3 => Just(json!([])), 1 => Just(json!(["r"])), 1 => Just(json!(["r", "s/x"]))];
    let rule = prop_oneof![
        3 => prop_oneof![Just("d.com/numa"), Just("d.com/kind")].prop_map(|name| json!({"matchAttribute": name})),
        2 => Just(json!({"distinctAttribute": "d.com/numa"})),
        1 => Just(json!({"distinctAttribute": "d.com/none"})),
    ];
    (requests, rule).prop_map(|(requests, mut tree)| {
        tree["requests"] = requests;
        tree
    })
}

/// What a claim asks for, and what it has.
fn any_claim() -> impl Strategy<Value = Value> {
    let requests = prop_oneof![
        request("r").prop_map(|one| vec![one]),
        (request("r"), request("s")).prop_map(|(one, other)| vec![one, other]),
        (request("r"), request("s"), request("t")).prop_map(|(one, other, third)| vec![one, other, third]),
    ];
    let has = prop_oneof![
        3 => Just(Value::Null),
        1 => (0..2u8, 0..3u8, 0..5u8, 0..3usize, 0..5u8).prop_map(|(driver, pool, device, node, admin)| {
            let driver = ["d.com", "e.com"][usize::from(driver)];
            let mut result = json!({"request": "r", "driver": driver,
                                    "pool": format!("p{pool}"), "device": format!("g{device}")});
            if admin == 0 {
                result["adminAccess"] = true.into();
            }
            let mut allocation = json!({"devices": {"results": [result]}});
            if admin < 4 {
                allocation["nodeSelector"] = selector("name", &[NODES[node]]);
            }
            allocation
        }),
    ];
    let users = prop::collection::vec(prop_oneof![Just("p"), Just("q"), Just("r")], 0..3);
    (requests, prop::collection::vec(constraint(), 0..2), has, users).prop_map(
        |(requests, constraints, has, users)| {
            let mut tree = json!({"spec": {"devices": {"requests": requests, "constraints": constraints}}});
            if !has.is_null() {
                let users: Value = users
                    .iter()
                    .map(|name| json!({"resource": "pods", "name": name, "uid": format!("uid-{name}")}))
                    .collect();
                tree["status"] = json!({"allocation": has, "reservedFor": users});
            }
            tree
        },
    )
}

fn worlds() -> impl Strategy<Value = (Vec<Value>, Vec<Value>, Vec<usize>)> {
    let slices = prop::collection::vec(any_slice(), 2..9);
    let claims = prop::collection::vec(any_claim(), 1..5);
    (slices, claims, prop::collection::vec(0..60usize, 0..4))
}

/// The world as the reference and as the scheduler have it.
fn both(slices: Vec<Value>, claims: Vec<Value>) -> (World, Scene) {
    let mut scene = Scene::of(&[]);
    let classes = scene.snapshot.catalog().all::<DeviceClass>().cloned().collect();
    let mut world = World { device_classes: classes, ..World::default() };
    for (at, name) in NODES.iter().enumerate() {
        let node = node(name).label("name", name).label("zone", &format!("z{at}")).make();
        scene.snapshot.set_node(node.clone());
        world.nodes.push(node);
    }
    // Slices of a pool say alike how many there are; of one pool, one is always missing.
    let id = |spec: &Value| (spec["driver"].to_string(), spec["pool"].to_string());
    let ids: Vec<_> = slices.iter().map(id).collect();
    for (number, mut spec) in slices.into_iter().enumerate() {
        let count = ids.iter().filter(|own| **own == ids[number]).count();
        let missing = spec["driver"] == "e.com" && spec["pool"]["name"] == "p2";
        spec["pool"]["resourceSliceCount"] = (count + usize::from(missing)).into();
        let slice = make::<ResourceSlice>(json!({"metadata": {"name": format!("s{number}")}, "spec": spec}));
        world.resource_slices.push(slice.clone());
        scene.snapshot.set_object(slice);
    }
    for (number, mut tree) in claims.into_iter().enumerate() {
        let name = format!("c{number}");
        tree["metadata"] =
            json!({"name": name, "namespace": "ns", "uid": format!("uid-{name}"), "resourceVersion": "1"});
        let claim = make::<ResourceClaim>(tree);
        world.resource_claims.push(claim.clone());
        scene.snapshot.set_object(claim);
    }
    (world, scene)
}

/// One of so many claims, or, rarely, one that is not there.
fn named_claim(number: usize, claims: usize) -> String {
    format!("c{}", if number == 0 { claims } else { number % claims })
}

/// Decides, and says what a whole attempt comes to.
fn decided(scene: &mut Scene, info: &PodInfo) -> Decision {
    let plugin = std::mem::take(&mut scene.plugin);
    let profile = Profile::empty().weighted(plugin, 2);
    let draw = Random::seeded(7).stream("draw");
    decide(&profile, &mut Cycle::new(info, &scene.snapshot), &draw)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever devices there are and whatever is asked for: nodes are judged, scored and told of as the rules say.
    #[test]
    fn nodes_are_judged_as_the_rules_say((slices, claims, uses_these) in worlds()) {
        let (world, mut scene) = both(slices, claims);
        let names: Vec<_> = uses_these.iter().map(|number| named_claim(*number, world.resource_claims.len())).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let story = uses("p", &names);
        let settings = Settings { plugins: vec![(reference::Plugin::DynamicResources, 2)], ..Settings::default() };
        let judged = reference::judge(&world, &settings, &story.clone().make());
        let said = scene.said(story.clone());
        match &judged {
            Judgement::Waiting { message, .. } => {
                prop_assert_eq!(said, vec![format!("pod: {message}")]);
                return Ok(());
            }
            Judgement::Refused { reason, .. } => prop_assert_eq!(&said, &vec![format!("pod: {reason}")]),
            Judgement::Failed { message, .. } => {
                let told = |own: &String| own.strip_prefix("pod: ").unwrap_or(own).strip_prefix("error: ").is_some_and(|own| message.ends_with(own));
                prop_assert!(said.iter().any(told), "{:?} lacks {:?}", said, message);
                return Ok(());
            }
            Judgement::Unschedulable { nodes, .. } | Judgement::Schedulable { nodes, .. } => {
                let expected: Vec<_> = nodes.values().map(|node| match node {
                    NodeJudgement::Rejected { reasons, unresolvable: true, .. } => reasons.join(", "),
                    NodeJudgement::Fits { .. } => "fits".to_owned(),
                    other => panic!("{other:?}"),
                }).collect();
                let said = if said == ["skip"] { vec!["fits".to_owned(); 3] } else { said };
                prop_assert_eq!(said, expected);
            }
            other => panic!("{other:?}"),
        }
        let info = scene.snapshot.read(story.make());
        match (decided(&mut scene, &info), &judged) {
            (Decision::Place(node), Judgement::Schedulable { best, .. }) => {
                prop_assert!(best.contains(&**scene.snapshot.name(node)), "{:?}", best);
            }
            (Decision::Reject(diagnosis), Judgement::Unschedulable { condition, .. } | Judgement::Refused { condition, .. }) => {
                prop_assert_eq!(&diagnosis.message(), condition);
            }
            (decision, _) => prop_assert!(false, "{:?} of {:?}", decision, judged),
        }
    }

    /// What claims are given is there, is theirs alone, is as many as they asked for, and can be used where they go.
    #[test]
    fn what_is_given_is_free_and_enough((slices, claims, uses_these) in worlds()) {
        let (world, mut scene) = both(slices, claims);
        let names: Vec<_> = uses_these.iter().map(|number| named_claim(*number, world.resource_claims.len())).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let info = scene.snapshot.read(uses("p", &names).make());
        let Ok(Some(attempt)) = Attempt::prepare(&scene.plugin, &info, &scene.snapshot) else { return Ok(()) };
        for node in scene.snapshot.nodes() {
            let Ok(found) = attempt.on_node(&scene.plugin, &info, &scene.snapshot, *node) else { continue };
            let mut given = found.given.iter();
            let mut taken: BTreeMap<_, usize> = BTreeMap::new();
            for claim in attempt.claims() {
                let Some(allocation) = super::super::claims::allocation(claim).or_else(|| given.next()) else { panic!() };
                let is_new = super::super::claims::allocation(claim).is_none();
                for result in results(allocation).iter().filter(|result| result.admin_access != Some(true)) {
                    let id = (&result.driver, &result.pool, &result.device);
                    *taken.entry(id).or_default() += 1;
                    let of_pool = |slice: &&Arc<ResourceSlice>| slice.spec.driver == result.driver && slice.spec.pool.name == result.pool;
                    let there = world.resource_slices.iter().filter(of_pool).flat_map(|slice| slice.spec.devices.iter().flatten());
                    prop_assert!(!is_new || there.into_iter().any(|device| device.name == result.device));
                    let others = world.resource_claims.iter().filter(|other| !Arc::ptr_eq(other, claim)).filter_map(|other| super::super::claims::allocation(other));
                    let has = others.flat_map(results).any(|other| other.admin_access != Some(true) && (&other.driver, &other.pool, &other.device) == id);
                    prop_assert!(!is_new || !has, "{:?} is another's", id);
                }
                if !is_new {
                    continue;
                }
                if let Some(selector) = &allocation.node_selector {
                    let selector = crate::api::predicates::NodeRequirements::of_selector(selector).unwrap();
                    prop_assert!(selector.matches(scene.snapshot.name(*node), scene.snapshot.labels(*node)));
                }
                for request in claim.spec.devices.iter().flat_map(|devices| devices.requests.iter().flatten()) {
                    let own = results(allocation).iter().filter(|result| result.request.split('/').next() == Some(request.name.as_str()));
                    let own: Vec<_> = own.collect();
                    let counts: Vec<_> = match &request.exactly {
                        Some(exactly) => vec![(exactly.allocation_mode.clone(), exactly.count)],
                        None => request.first_available.iter().flatten().filter(|one| own.iter().any(|result| result.request.ends_with(&format!("/{}", one.name)))).map(|one| (one.allocation_mode.clone(), one.count)).collect(),
                    };
                    prop_assert_eq!(counts.len(), 1);
                    match &counts[0] {
                        (Some(mode), Some(count)) if mode == "ExactCount" => prop_assert_eq!(own.len() as i64, *count),
                        _ => prop_assert!(!own.is_empty()),
                    }
                }
            }
            prop_assert!(attempt.claims().any(|claim| super::super::claims::allocation(claim).is_some()) || taken.values().all(|times| *times == 1), "{:?}", taken);
        }
    }
}
