//! What becomes of a Service's pods, as tables.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::decide::{Write, plan};
use super::endpoints::desired;

fn service(spec: Value) -> Service {
    let mut whole = json!({"selector": {"app": "web"}, "clusterIP": "10.0.0.1", "ipFamilies": ["IPv4"],
        "ports": [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}]});
    for (key, value) in spec.as_object().unwrap() {
        whole[key] = value.clone();
    }
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "s", "labels": {"team": "a"}},
        "spec": whole,
    }))
    .unwrap()
}

fn pod(number: usize) -> Value {
    json!({
        "metadata": {"name": format!("web-{number:03}"), "namespace": "default", "uid": format!("u{number}"),
            "labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [
            {"name": "c", "ports": [{"name": "web", "containerPort": 8080, "protocol": "TCP"}]}]},
        "status": {"phase": "Running", "podIP": format!("10.1.0.{number}"),
            "podIPs": [{"ip": format!("10.1.0.{number}")}],
            "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

fn pods(values: impl IntoIterator<Item = Value>) -> Vec<Arc<Pod>> {
    values.into_iter().map(|value| Arc::new(serde_json::from_value(value).unwrap())).collect()
}

fn look(service: &Service, pods: &[Arc<Pod>], slices: &[Arc<EndpointSlice>]) -> Vec<Write> {
    plan(service, desired(service, pods, |_| None), slices)
}

/// Carries writes out; made slices are named in their order.
fn carry_out(writes: Vec<Write>, slices: &mut Vec<Arc<EndpointSlice>>) -> (usize, usize, usize) {
    let mut counts = (0, 0, 0);
    for write in writes {
        match write {
            Write::Create(mut slice) => {
                slice.metadata.name = Some(format!("web-{}", slices.len() + counts.0 + 100));
                slices.push(Arc::new(slice));
                counts.0 += 1;
            }
            Write::Update(slice) => {
                let old = slices.iter_mut().find(|old| old.metadata.name == slice.metadata.name);
                *old.unwrap() = Arc::new(slice);
                counts.1 += 1;
            }
            Write::Delete(slice) => {
                slices.retain(|old| old.metadata.name != slice.metadata.name);
                counts.2 += 1;
            }
        }
    }
    counts
}

fn sizes(slices: &[Arc<EndpointSlice>]) -> Vec<usize> {
    slices.iter().map(|slice| slice.endpoints.as_ref().unwrap().len()).collect()
}

#[test]
fn a_pods_state_is_its_endpoints_conditions() {
    let leaving = |mut pod: Value| {
        pod["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z".into();
        pod
    };
    let not_ready = |mut pod: Value| {
        pod["status"]["conditions"][0]["status"] = "False".into();
        pod
    };
    for (name, pod, publish, expected) in [
        ("ready", pod(1), false, (true, true, false)),
        ("not ready", not_ready(pod(1)), false, (false, false, false)),
        ("not ready, published", not_ready(pod(1)), true, (true, false, false)),
        ("leaving, still serving", leaving(pod(1)), false, (false, true, true)),
        ("leaving, published", leaving(pod(1)), true, (true, true, true)),
    ] {
        let service = service(json!({"publishNotReadyAddresses": publish}));
        let writes = look(&service, &pods([pod]), &[]);
        let [Write::Create(slice)] = &writes[..] else { panic!("{name}: {writes:?}") };
        let conditions = slice.endpoints.as_ref().unwrap()[0].conditions.clone().unwrap();
        let found = (conditions.ready.unwrap(), conditions.serving.unwrap(), conditions.terminating.unwrap());
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn pods_that_have_ended_or_have_no_address_are_no_endpoints() {
    let mut ended = pod(1);
    ended["status"]["phase"] = "Succeeded".into();
    let mut homeless = pod(2);
    homeless["status"] = json!({"phase": "Pending"});
    let mut slices = Vec::new();
    let pods = pods([ended, homeless]);
    carry_out(look(&service(json!({})), &pods, &[]), &mut slices);
    assert_eq!(sizes(&slices), [0], "a placeholder says that there is nobody");
    assert_eq!(look(&service(json!({})), &pods, &slices), []);
}

#[test]
fn a_slice_names_its_service_and_its_pods() {
    let writes = look(&service(json!({"clusterIP": "None"})), &pods([pod(1)]), &[]);
    let [Write::Create(slice)] = &writes[..] else { panic!("{writes:?}") };
    let labels = slice.metadata.labels.as_ref().unwrap();
    let found: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        found,
        [
            "endpointslice.kubernetes.io/managed-by=endpointslice-controller.k8s.io",
            "kubernetes.io/service-name=web",
            "service.kubernetes.io/headless=",
            "team=a",
        ]
    );
    let port = &slice.ports.as_ref().unwrap()[0];
    assert_eq!((port.name.as_deref(), port.port), (Some("http"), Some(8080)));
    let endpoint = &slice.endpoints.as_ref().unwrap()[0];
    assert_eq!((endpoint.addresses[0].as_str(), endpoint.node_name.as_deref()), ("10.1.0.1", Some("n1")));
    assert_eq!(endpoint.target_ref.as_ref().unwrap().name.as_deref(), Some("web-001"));
    assert_eq!(slice.metadata.owner_references.as_ref().unwrap()[0].uid, "s");
}

#[test]
fn pods_that_answer_a_port_name_differently_have_slices_of_their_own() {
    let mut other = pod(2);
    other["spec"]["containers"][0]["ports"][0]["containerPort"] = 9090.into();
    let mut slices = Vec::new();
    carry_out(look(&service(json!({})), &pods([pod(1), other.clone()]), &[]), &mut slices);
    assert_eq!(sizes(&slices), [1, 1]);
    let counts = carry_out(look(&service(json!({})), &pods([pod(1)]), &slices), &mut slices.clone());
    assert_eq!(counts, (0, 0, 1));
}

#[test]
fn changes_touch_as_few_slices_as_may_be() {
    let service = service(json!({}));
    let mut slices = Vec::new();
    let all = |numbers: std::ops::Range<usize>| pods(numbers.map(pod));
    let counts = carry_out(look(&service, &all(1..231), &[]), &mut slices);
    assert_eq!((counts, sizes(&slices)), ((3, 0, 0), vec![100, 100, 30]));
    assert_eq!(look(&service, &all(1..231), &slices), [], "nothing changed");
    // Ten new ones fit where there is room, and the full slices stay untouched.
    let counts = carry_out(look(&service, &all(1..241), &slices), &mut slices);
    assert_eq!((counts, sizes(&slices)), ((0, 1, 0), vec![100, 100, 40]));
    // Five of the first slice go; five new ones take their place, since that slice changes anyway.
    let counts = carry_out(look(&service, &all(6..246), &slices), &mut slices);
    assert_eq!((counts, sizes(&slices)), ((0, 1, 0), vec![100, 100, 40]));
    // A pod that becomes unready changes its own slice only.
    let mut some: Vec<_> = (6..246).map(pod).collect();
    some[0]["status"]["conditions"][0]["status"] = "False".into();
    let counts = carry_out(look(&service, &pods(some), &slices), &mut slices);
    assert_eq!(counts, (0, 1, 0));
    // All but a few of the last slice go.
    let counts = carry_out(look(&service, &all(230..235), &slices), &mut slices);
    assert_eq!((counts, sizes(&slices)), ((0, 1, 2), vec![5]));
}

#[test]
fn a_service_that_changes_its_ports_keeps_its_slice() {
    let mut slices = Vec::new();
    carry_out(look(&service(json!({})), &pods([pod(1)]), &[]), &mut slices);
    let changed = service(json!({"ports": [{"name": "http", "port": 80, "targetPort": 81}]}));
    let counts = carry_out(look(&changed, &pods([pod(1)]), &slices), &mut slices);
    assert_eq!((counts, slices[0].ports.as_ref().unwrap()[0].port), ((0, 1, 0), Some(81)));
}

#[test]
fn each_address_family_has_slices_of_its_own() {
    let mut dual = pod(1);
    dual["status"]["podIPs"] = json!([{"ip": "10.1.0.1"}, {"ip": "fd00::1"}]);
    let mut slices = Vec::new();
    carry_out(look(&service(json!({"ipFamilies": ["IPv4", "IPv6"]})), &pods([dual]), &[]), &mut slices);
    let types: Vec<_> = slices.iter().map(|slice| slice.address_type.as_str()).collect();
    assert_eq!(types, ["IPv4", "IPv6"]);
}
