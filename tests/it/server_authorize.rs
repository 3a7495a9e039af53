//! Who may do what, and how to ask.

use serde_json::{Value, json};
use windlass::client::Identity;

use super::server_kit::*;

#[tokio::test(start_paused = true)]
async fn who_may_not_is_told_what() {
    let kit = kit().await;
    let jane = kit.acting_as(Identity::user("jane"));
    let refused = status_of(jane.list("default", "pods", list_options(|_| {})).await.map(|_| ()));
    assert_eq!((refused.code, refused.reason.as_str()), (403, "Forbidden"));
    assert_eq!(
        refused.message,
        "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \
         \"default\""
    );
    let refused = status_of(jane.create("default", "deployments", deployment("web")).await);
    assert_eq!(
        refused.message,
        "deployments.apps is forbidden: User \"jane\" cannot create resource \"deployments\" in API group \
         \"apps\" in the namespace \"default\""
    );
    assert!(kit.names("default", "deployments").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_touches_its_own() {
    let kit = kit().await;
    let node = kit.acting_as(Identity::node("n1"));
    node.create("", "nodes", json!({"metadata": {"name": "n1"}, "status": {"capacity": {"cpu": "4"}}}))
        .await
        .unwrap();
    let registered = kit.get("", "nodes/n1").await.unwrap();
    assert_eq!(registered["status"]["capacity"]["cpu"], "4", "an agent registers with its status");
    let refused = status_of(node.create("", "nodes", json!({"metadata": {"name": "n2"}})).await);
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (403, "nodes \"n2\" is forbidden: node \"n1\" is not allowed to modify node \"n2\"")
    );
    for (name, on) in [("mine", "n1"), ("theirs", "n2")] {
        let mut made = pod(name);
        made["spec"]["nodeName"] = on.into();
        kit.create("default", "pods", made).await.unwrap();
    }
    let running = json!({"status": {"phase": "Running"}});
    node.merge("default", "pods/mine/status", running.clone()).await.unwrap();
    let refused = status_of(node.merge("default", "pods/theirs/status", running).await);
    assert_eq!(
        refused.message,
        "pods \"theirs\" is forbidden: node \"n1\" can only update pod status for pods with spec.nodeName \
         set to itself"
    );
    let refused = status_of(node.delete("default", "pods/theirs").await);
    assert_eq!(refused.code, 403);
    let lease = json!({"metadata": {"name": "n1"}, "spec": {"holderIdentity": "n1"}});
    node.create("kube-node-lease", "leases", lease.clone()).await.unwrap();
    assert_eq!(status_of(node.create("default", "leases", lease).await).code, 403);
    let other = json!({"metadata": {"name": "n2"}});
    assert_eq!(status_of(node.create("kube-node-lease", "leases", other).await).code, 403);
}

async fn can(kit: &Kit, attributes: Value) -> Value {
    let asked = json!({"spec": {"resourceAttributes": attributes}});
    kit.create("", "selfsubjectaccessreviews", asked).await.unwrap()["status"]["allowed"].clone()
}

#[tokio::test(start_paused = true)]
async fn everybody_may_ask_what_they_may() {
    let kit = kit().await;
    let scheduler = kit.acting_as(Identity::user("system:kube-scheduler"));
    let bind = json!({"verb": "create", "resource": "pods", "subresource": "binding", "namespace": "x"});
    assert_eq!(can(&scheduler, bind.clone()).await, true);
    assert_eq!(can(&kit.acting_as(Identity::user("jane")), bind.clone()).await, false);
    let other = json!({"spec": {"user": "system:kube-scheduler", "resourceAttributes": bind}});
    assert_eq!(
        kit.create("", "subjectaccessreviews", other.clone()).await.unwrap()["status"]["allowed"],
        true
    );
    let jane = kit.acting_as(Identity::user("jane"));
    assert_eq!(status_of(jane.create("", "subjectaccessreviews", other).await).code, 403);
    let path = json!({"spec": {"nonResourceAttributes": {"verb": "get", "path": "/apis"}}});
    assert_eq!(jane.create("", "selfsubjectaccessreviews", path).await.unwrap()["status"]["allowed"], true);
    let who = jane.create("", "selfsubjectreviews", json!({})).await.unwrap();
    assert_eq!(who["status"]["userInfo"]["username"], "jane");
    let rules = scheduler
        .create("", "selfsubjectrulesreviews", json!({"spec": {"namespace": "default"}}))
        .await
        .unwrap();
    let rules = rules["status"]["resourceRules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["resources"].as_array().unwrap().contains(&json!("pods/binding"))));
    let nobody = kit.acting_as(Identity::anonymous());
    assert_eq!(status_of(nobody.create("", "selfsubjectaccessreviews", json!({})).await).code, 403);
}

#[tokio::test(start_paused = true)]
async fn a_service_account_gets_a_token_for_a_time() {
    let kit = kit().await;
    kit.create("default", "serviceaccounts", json!({"metadata": {"name": "robot"}})).await.unwrap();
    let asked = json!({"spec": {"expirationSeconds": 600, "audiences": []}});
    let given = kit.create("default", "serviceaccounts/robot/token", asked).await.unwrap();
    let token = given["status"]["token"].as_str().unwrap();
    assert_eq!(given["status"]["expirationTimestamp"], "2020-01-01T00:10:00Z");
    let who = kit.server.authenticate_token(token).await.unwrap().unwrap();
    assert_eq!(who.user, "system:serviceaccount:default:robot");
    assert!(who.in_group("system:serviceaccounts:default"));
    let review = kit.create("", "tokenreviews", json!({"spec": {"token": token}})).await.unwrap();
    assert_eq!(review["status"]["authenticated"], true);
    // Clocks may differ by a minute.
    kit.server.env().clock.sleep(std::time::Duration::from_secs(661)).await;
    let late = kit.server.authenticate_token(token).await.unwrap_err();
    assert_eq!(late.to_string(), "service account token has expired");
    assert_eq!(kit.server.authenticate_token("made-up").await, Ok(None));
}
