//! Service addresses and node ports.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::server_kit::*;

fn with(mut service: Value, spec: Value) -> Value {
    for (field, value) in spec.as_object().unwrap() {
        service["spec"][field] = value.clone();
    }
    service
}

#[tokio::test(start_paused = true)]
async fn the_servers_own_service_has_the_first_address() {
    let kit = kit().await;
    let own = kit.get("default", "services/kubernetes").await.unwrap();
    assert_eq!(own["spec"]["clusterIP"], "10.96.0.1");
    assert_eq!(own["spec"]["ports"][0]["targetPort"], 6443);
}

#[tokio::test(start_paused = true)]
async fn an_address_is_given_with_the_service_and_goes_with_it() {
    let kit = kit().await;
    let made = kit.create("default", "services", service("web")).await.unwrap();
    let address = made["spec"]["clusterIP"].as_str().unwrap().to_owned();
    assert_eq!(made["spec"]["clusterIPs"], json!([address]));
    assert_eq!(
        (&made["spec"]["ipFamilies"], &made["spec"]["ipFamilyPolicy"]),
        (&json!(["IPv4"]), &json!("SingleStack"))
    );
    let held = kit.get("", &format!("ipaddresses/{address}")).await.unwrap();
    assert_eq!(held["spec"]["parentRef"]["name"], "web");
    let same = with(service("other"), json!({"clusterIP": address}));
    let refused = status_of(kit.create("default", "services", same.clone()).await);
    assert_eq!((refused.code, refused.reason.as_str()), (422, "Invalid"));
    assert_eq!(
        refused.message,
        format!(
            "Service \"other\" is invalid: spec.clusterIPs: Invalid value: [\"{address}\"]: failed to allocate \
             IP {address}: provided IP is already allocated"
        )
    );
    kit.delete("default", "services/web").await.unwrap();
    assert_eq!(status_of(kit.get("", &format!("ipaddresses/{address}")).await).code, 404);
    assert_eq!(kit.create("default", "services", same).await.unwrap()["spec"]["clusterIP"], address);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_made_holds_nothing() {
    let kit = kit().await;
    let asked = with(service("web"), json!({"clusterIP": "10.96.0.77"}));
    kit.create_with("default", "services", asked.clone(), dry_run()).await.unwrap();
    kit.create("default", "services", service("taken")).await.unwrap();
    let mut loser = asked.clone();
    loser["metadata"]["name"] = "taken".into();
    assert_eq!(status_of(kit.create("default", "services", loser).await).code, 409);
    assert_eq!(status_of(kit.get("", "ipaddresses/10.96.0.77").await).code, 404);
    kit.create("default", "services", asked).await.unwrap();
    let far = with(service("far"), json!({"clusterIP": "192.168.0.1"}));
    let refused = status_of(kit.create("default", "services", far).await);
    assert!(
        refused.message.contains(
            "failed to allocate IP 192.168.0.1: the provided IP (192.168.0.1) is not in the valid range. The \
             range of valid IPs is 10.96.0.0/12"
        ),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn some_services_have_no_address() {
    let kit = kit().await;
    let headless = with(service("headless"), json!({"clusterIP": "None"}));
    let made = kit.create("default", "services", headless).await.unwrap();
    assert_eq!((&made["spec"]["clusterIP"], &made["spec"]["clusterIPs"]), (&json!("None"), &json!(["None"])));
    let external =
        json!({"metadata": {"name": "external"}, "spec": {"type": "ExternalName", "externalName": "a.b"}});
    let made = kit.create("default", "services", external).await.unwrap();
    assert!(made["spec"].get("clusterIP").is_none() && made["spec"].get("clusterIPs").is_none());
    assert_eq!(kit.names("", "ipaddresses").await, ["10.96.0.1"]);
}

#[tokio::test(start_paused = true)]
async fn node_ports_follow_the_type() {
    let kit = kit().await;
    let open = with(service("web"), json!({"type": "NodePort"}));
    let made = kit.create("default", "services", open).await.unwrap();
    let port = made["spec"]["ports"][0]["nodePort"].as_i64().unwrap();
    assert!((30_000..=32_767).contains(&port));
    let kept =
        kit.merge("default", "services/web", json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
    assert_eq!(kept["spec"]["ports"][0]["nodePort"], port);
    let same = with(service("other"), json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]}));
    let refused = status_of(kit.create("default", "services", same.clone()).await);
    assert_eq!(
        refused.message,
        format!(
            "Service \"other\" is invalid: spec.ports[0].nodePort: Invalid value: {port}: provided port is \
             already allocated"
        )
    );
    let low = with(service("low"), json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}));
    let refused = status_of(kit.create("default", "services", low).await);
    assert!(refused.message.contains(
        "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of \
         valid ports is 30000-32767"
    ));
    let closed = kit.merge("default", "services/web", json!({"spec": {"type": "ClusterIP"}})).await.unwrap();
    assert!(closed["spec"]["ports"][0].get("nodePort").is_none());
    assert_eq!(closed["spec"]["clusterIP"], made["spec"]["clusterIP"]);
    kit.create("default", "services", same).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn many_at_once_never_share_an_address_and_a_full_range_says_so() {
    let kit = kit_with(|builder| builder.service_cidr("10.0.0.0/28".parse().unwrap())).await;
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let asking = kit.acting_as(windlass::client::Identity::admin());
            let name = format!("s{number}");
            kit.server.env().tasks.spawn("create", async move {
                asking
                    .create("default", "services", service(&name))
                    .await
                    .map_err(|error| error.into_status())
            })
        })
        .collect();
    let (mut addresses, mut refused) = (BTreeSet::new(), 0);
    for task in tasks {
        match task.join().await.unwrap() {
            Ok(made) => assert!(addresses.insert(made["spec"]["clusterIP"].to_string())),
            Err(status) => {
                assert_eq!(
                    status.message,
                    "Internal error occurred: failed to allocate a serviceIP: range is full"
                );
                refused += 1;
            }
        }
    }
    // Of 14 usable addresses the server's own service has one.
    assert_eq!((addresses.len(), refused), (13, 3));
    kit.delete("default", "services/kubernetes").await.unwrap();
    kit.create("default", "services", service("late")).await.unwrap();
}
