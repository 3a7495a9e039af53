//! Server-side apply: who owns what, what is refused, what goes.
//!
//! Source of many cases: `test/integration/apiserver/apply` of Kubernetes (1.36).

use std::time::Duration;

use serde_json::{Value, json};
use windlass::client::{FieldValidation, Identity, PatchType};
use windlass::server::{Attributes, Authorizer, Opinion};

use super::apply_kit::*;
use super::server_kit::*;

async fn second(kit: &Kit) {
    kit.server.env().clock.sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_made_and_what_is_there_is_changed() {
    let kit = kit().await;
    let made = kit.apply("one", "default", "pods/a").send(pod("a")).await.unwrap();
    assert_eq!(made["status"]["phase"], "Pending");
    assert_eq!(made["spec"]["restartPolicy"], "Always");
    assert_eq!(
        owners_of(&made),
        [
            r#"Apply one {"f:spec":{"f:containers":{"k:{\"name\":\"main\"}":{".":{},"f:image":{},"f:name":{}}}}}"#
        ]
    );
    assert_eq!(kit.get("default", "pods/a").await.unwrap(), made);
    // Another who applies the same shares it.
    let shared = kit.apply("two", "default", "pods/a").send(pod("a")).await.unwrap();
    assert_eq!(shared["metadata"]["uid"], made["metadata"]["uid"]);
    let fields = &owners_of(&made)[0]["Apply one".len()..];
    assert_eq!(owners_of(&shared), [format!("Apply two{fields}"), format!("Apply one{fields}")]);
}

#[tokio::test(start_paused = true)]
async fn the_same_again_is_no_write_however_it_is_said() {
    let kit = kit().await;
    let mut config = deployment("web");
    config["metadata"]["creationTimestamp"] = Value::Null;
    config["metadata"]["resourceVersion"] = Value::Null;
    config["spec"]["template"]["spec"]["containers"][0]["resources"] =
        json!({"limits": {"cpu": "1000m", "memory": "1024Mi"}});
    let made = kit.apply("one", "default", "deployments/web").send(config.clone()).await.unwrap();
    assert_eq!(made["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"], "1");
    second(&kit).await;
    let again = kit.apply("one", "default", "deployments/web").send(config).await.unwrap();
    assert_eq!(again, made);
    // Nor is it one to put it back as it was read, nor to patch in what is there.
    second(&kit).await;
    let put = kit.update_with("default", "deployments/web", made.clone(), by("three")).await.unwrap();
    assert_eq!(put, made);
    let same = json!({"spec": {"replicas": 3}});
    assert_eq!(kit.merge_as("three", "default", "deployments/web", same).await.unwrap(), made);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_names_each_field_and_whose_it_is() {
    let kit = kit().await;
    kit.apply("one", "default", "configmaps/a").send(data("a", json!({"x": "1", "y": "1"}))).await.unwrap();
    kit.merge_as("patcher", "default", "configmaps/a", json!({"data": {"z": "1"}})).await.unwrap();
    let wanted = data("a", json!({"x": "2", "y": "1", "z": "2"}));
    let refused = kit.apply("two", "default", "configmaps/a").send(wanted.clone()).await;
    let said = status_of(refused).message;
    assert_eq!(
        said,
        "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.x\nconflicts with \"patcher\" using \
         v1:\n- .data.z"
    );
    let refused = kit.apply("two", "default", "configmaps/a").send(wanted.clone()).await;
    assert_eq!(conflicts(refused), pairs(&[("\"one\"", ".data.x"), ("\"patcher\" using v1", ".data.z")]));
    // Nothing has changed by it; forced, both are taken, and what is the same is shared.
    assert_eq!(kit.get("default", "configmaps/a").await.unwrap()["data"]["x"], "1");
    let forced = kit.apply("two", "default", "configmaps/a").force().send(wanted).await.unwrap();
    assert_eq!(forced["data"], json!({"x": "2", "y": "1", "z": "2"}));
    assert_eq!(
        owners_of(&forced),
        [r#"Apply one {"f:data":{"f:y":{}}}"#, r#"Apply two {"f:data":{"f:x":{},"f:y":{},"f:z":{}}}"#,]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_applied_goes_unless_somebody_else_has_it() {
    let kit = kit().await;
    let apply = |who: &'static str, config: Value| {
        let kit = &kit;
        async move { kit.apply(who, "default", "configmaps/a").send(data("a", config)).await.unwrap() }
    };
    apply("one", json!({"own": "1", "shared": "1", "taken": "1"})).await;
    apply("two", json!({"shared": "1"})).await;
    kit.merge_as("editor", "default", "configmaps/a", json!({"data": {"taken": "2", "theirs": "1"}}))
        .await
        .unwrap();
    let left = apply("one", json!({})).await;
    assert_eq!(left["data"], json!({"shared": "1", "taken": "2", "theirs": "1"}));
    let left = apply("two", json!({})).await;
    assert_eq!(left["data"], json!({"taken": "2", "theirs": "1"}));
    // A field with a default comes back with that, and belongs to nobody.
    kit.apply("one", "default", "deployments/web").send(deployment("web")).await.unwrap();
    let mut config = deployment("web");
    config["spec"].as_object_mut().unwrap().remove("replicas");
    let defaulted = kit.apply("one", "default", "deployments/web").send(config).await.unwrap();
    assert_eq!(defaulted["spec"]["replicas"], 1);
    assert!(!owners_of(&defaulted)[0].contains("replicas"), "{:?}", owners_of(&defaulted));
}

#[tokio::test(start_paused = true)]
async fn items_of_a_list_are_applied_by_their_keys() {
    let kit = kit().await;
    let ports = |ports: &[(&str, u16)]| {
        let mut config = service("web");
        config["spec"]["ports"] =
            ports.iter().map(|(name, port)| json!({"name": name, "port": port, "protocol": "TCP"})).collect();
        config
    };
    let (http, https) = (("http", 80), ("https", 443));
    kit.apply("one", "default", "services/web").send(ports(&[http, https])).await.unwrap();
    let two = kit.apply("two", "default", "services/web").send(ports(&[https, ("admin", 9)])).await.unwrap();
    let numbers = |service: &Value| -> Vec<Value> {
        service["spec"]["ports"].as_array().unwrap().iter().map(|port| port["port"].clone()).collect()
    };
    assert_eq!(numbers(&two), [json!(80), json!(443), json!(9)]);
    // The key's default counts where it is left out.
    let mut config = ports(&[http]);
    config["spec"]["ports"][0].as_object_mut().unwrap().remove("protocol");
    let one = kit.apply("one", "default", "services/web").send(config).await.unwrap();
    assert_eq!(numbers(&one), [json!(80), json!(443), json!(9)]);
    let two = kit.apply("two", "default", "services/web").send(ports(&[("admin", 9)])).await.unwrap();
    assert_eq!(numbers(&two), [json!(80), json!(9)]);
    let twice = kit.apply("one", "default", "services/web").send(ports(&[http, ("again", 80)])).await;
    let status = status_of(twice);
    assert_eq!((status.code, status.reason.as_str()), (500, ""));
    assert_eq!(
        status.message,
        "failed to create typed patch object (/web; /v1, Kind=Service): .spec.ports: duplicate entries for key \
         [port=80,protocol=\"TCP\"]"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_applied_must_be_of_the_kind_and_name_and_declared() {
    let kit = kit().await;
    let cases = [
        (json!({}), 400, "invalid object type: /, Kind="),
        (
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}}),
            400,
            "invalid object type: apps/v1, Kind=Deployment",
        ),
        (data("b", json!({})), 400, "the name of the object (b) does not match the name on the URL (a)"),
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "other"}}),
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "managedFields": []}}),
            400,
            "metadata.managedFields must be nil",
        ),
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "date": {}}),
            500,
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .date: field not declared in schema",
        ),
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": 1}}),
            500,
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .data.k: expected string, got \
             &value.valueUnstructured{Value:1}",
        ),
    ];
    for made in [false, true] {
        if made {
            kit.create("default", "configmaps", config_map("a")).await.unwrap();
        }
        for (config, code, message) in &cases {
            let status = status_of(kit.apply("one", "default", "configmaps/a").send(config.clone()).await);
            assert_eq!((status.code, status.message.as_str()), (*code, *message), "made: {made}");
        }
    }
    assert_eq!(kit.names("default", "configmaps").await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn who_applies_must_say_who_they_are() {
    let kit = kit().await;
    let nameless = kit
        .apply("", "default", "configmaps/a")
        .options(|options| options.field_manager = None)
        .send(config_map("a"))
        .await;
    let status = status_of(nameless);
    assert_eq!(
        (status.code, status.message.as_str()),
        (
            422,
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
        )
    );
    let long = "x".repeat(129);
    let status = status_of(kit.apply(&long, "default", "configmaps/a").send(config_map("a")).await);
    assert_eq!(
        status.message,
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than 128 bytes"
    );
    let status = status_of(kit.create_with("default", "configmaps", config_map("a"), by("a\nb")).await);
    assert_eq!((status.code, status.details.unwrap().causes[0].field.as_str()), (422, "fieldManager"));
    assert!(kit.names("default", "configmaps").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn yaml_is_read_with_its_faults() {
    let kit = kit().await;
    let yaml = |name: &str| {
        format!("# a comment\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n  k: one\n")
    };
    let made = kit.apply("one", "default", "configmaps/a").text(yaml("a")).await.unwrap();
    assert_eq!(made["data"], json!({"k": "one"}));
    let status = status_of(kit.apply("one", "default", "configmaps/a").text("a: [".into()).await);
    assert_eq!((status.code, status.reason.as_str()), (400, "BadRequest"));
    assert!(status.message.starts_with("error decoding YAML: error converting YAML to JSON: yaml: line "));
    let status = status_of(kit.apply("one", "default", "configmaps/a").text("- 1".into()).await);
    assert!(status.message.ends_with("cannot unmarshal array into Go value of type map[string]interface {}"));
    // A key that stands twice is the request's end only where that is wished.
    let twice = yaml("b") + "  k: two\n";
    let strict = kit
        .apply("one", "default", "configmaps/b")
        .options(|options| options.field_validation = Some(FieldValidation::Strict))
        .text(twice.clone())
        .await;
    assert_eq!(
        status_of(strict).message,
        "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 7: key \"k\" \
         already set in map"
    );
    assert!(kit.get("default", "configmaps/b").await.is_err());
    kit.apply("one", "default", "configmaps/b").text(twice).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_says_what_would_be_and_stores_nothing() {
    let kit = kit().await;
    let dry = |who: &'static str| kit.apply(who, "default", "configmaps/a").options(|o| o.dry_run = true);
    let made = dry("one").send(config_map("a")).await.unwrap();
    assert_eq!(owners_of(&made), [r#"Apply one {"f:data":{"f:k":{}}}"#]);
    assert!(kit.get("default", "configmaps/a").await.is_err());
    let stored = kit.apply("one", "default", "configmaps/a").send(config_map("a")).await.unwrap();
    let changed = data("a", json!({"k": "w"}));
    assert_eq!(conflicts(dry("two").send(changed.clone()).await), pairs(&[("\"one\"", ".data.k")]));
    let told = dry("two").force().send(changed).await.unwrap();
    assert_eq!(owners_of(&told), [r#"Apply two {"f:data":{"f:k":{}}}"#]);
    assert_eq!(kit.get("default", "configmaps/a").await.unwrap(), stored);
}

#[tokio::test(start_paused = true)]
async fn a_revision_or_a_uid_that_is_applied_is_a_condition() {
    let kit = kit().await;
    let mut config = config_map("a");
    config["metadata"]["uid"] = "88e00824-7f0e-11e8-94a1-c8d3ffb15800".into();
    let status = status_of(kit.apply("one", "default", "configmaps/a").send(config.clone()).await);
    assert_eq!(
        (status.code, status.message.as_str()),
        (
            409,
            "Operation cannot be fulfilled on configmaps \"a\": uid mismatch: the provided object specified uid \
             88e00824-7f0e-11e8-94a1-c8d3ffb15800, and no existing object was found"
        )
    );
    let made = kit.apply("one", "default", "configmaps/a").send(config_map("a")).await.unwrap();
    let status = status_of(kit.apply("one", "default", "configmaps/a").send(config.clone()).await);
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    assert_eq!(
        status.message,
        "ConfigMap \"a\" is invalid: metadata.uid: Invalid value: \"88e00824-7f0e-11e8-94a1-c8d3ffb15800\": field \
         is immutable"
    );
    config["metadata"]["uid"] = made["metadata"]["uid"].clone();
    config["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
    config["data"]["k"] = "w".into();
    let changed = kit.apply("one", "default", "configmaps/a").send(config.clone()).await.unwrap();
    assert_eq!(changed["data"]["k"], "w");
    config["data"]["k"] = "x".into();
    let status = status_of(kit.apply("one", "default", "configmaps/a").send(config).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert!(status.message.contains("the object has been modified"), "{}", status.message);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_going_is_changed_and_not_made_anew() {
    let kit = kit().await;
    let mut config = config_map("a");
    config["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let made = kit.apply("one", "default", "configmaps/a").send(config.clone()).await.unwrap();
    kit.delete("default", "configmaps/a").await.unwrap();
    config["data"]["k"] = "w".into();
    let changed = kit.apply("one", "default", "configmaps/a").send(config.clone()).await.unwrap();
    assert_eq!(changed["metadata"]["uid"], made["metadata"]["uid"]);
    assert!(changed["metadata"]["deletionTimestamp"].is_string());
    // Who applies the finalizer no longer lets the object go.
    kit.apply("one", "default", "configmaps/a").send(config_map("a")).await.unwrap();
    assert!(kit.get("default", "configmaps/a").await.is_err());
    let anew = kit.apply("one", "default", "configmaps/a").send(config_map("a")).await.unwrap();
    assert_ne!(anew["metadata"]["uid"], made["metadata"]["uid"]);
}

/// Lets everybody do anything but create.
#[derive(Debug)]
struct NoCreates;

impl Authorizer for NoCreates {
    fn authorize(&self, identity: &Identity, attributes: &Attributes) -> Opinion {
        match attributes.verb.as_str() {
            "create" if !identity.in_group("system:masters") => Opinion::Deny { reason: String::new() },
            _ => Opinion::Allow,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_makes_by_applying_must_be_allowed_to_create() {
    let kit = kit_with(|builder| builder.authorizer(std::sync::Arc::new(NoCreates))).await;
    let user = kit.acting_as(Identity::user("user-a"));
    let status = status_of(user.apply("one", "default", "configmaps/a").send(config_map("a")).await);
    assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
    assert!(
        status.message.starts_with(
            "configmaps \"a\" is forbidden: User \"user-a\" cannot create resource \"configmaps\" in API group \
             \"\" in the namespace \"default\""
        ),
        "{}",
        status.message
    );
    kit.create("default", "configmaps", config_map("a")).await.unwrap();
    user.apply("one", "default", "configmaps/a").send(config_map("a")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_applies_nothing_owns_nothing() {
    let kit = kit().await;
    let bare =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}});
    let made = kit.apply("one", "default", "configmaps/a").send(bare.clone()).await.unwrap();
    assert_eq!(made["metadata"].get("managedFields"), None);
    let again = kit.apply("one", "default", "configmaps/a").send(bare).await.unwrap();
    assert_eq!(again, made);
}

#[tokio::test(start_paused = true)]
async fn a_field_can_be_handed_over_to_who_updates_it() {
    let kit = kit().await;
    kit.apply("one", "default", "deployments/web").send(deployment("web")).await.unwrap();
    kit.merge_as("scaler", "default", "deployments/web", json!({"spec": {"replicas": 5}})).await.unwrap();
    // The field is the scaler's; applying the rest leaves it alone, applying it is a conflict.
    let refused = kit.apply("one", "default", "deployments/web").send(deployment("web")).await;
    assert_eq!(conflicts(refused), pairs(&[("\"scaler\" using apps/v1", ".spec.replicas")]));
    let mut config = deployment("web");
    config["spec"].as_object_mut().unwrap().remove("replicas");
    let kept = kit.apply("one", "default", "deployments/web").send(config).await.unwrap();
    assert_eq!(kept["spec"]["replicas"], 5);
    // Who applies what is there shares it, and can then give it up.
    let mut five = deployment("web");
    five["spec"]["replicas"] = 5.into();
    kit.apply("one", "default", "deployments/web").send(five).await.unwrap();
    let owners = kit.owners("default", "deployments/web").await;
    assert!(owners.iter().filter(|line| line.contains("f:replicas")).count() == 2, "{owners:?}");
}

#[tokio::test(start_paused = true)]
async fn an_item_that_its_applier_drops_goes_with_what_others_put_into_it() {
    let kit = kit().await;
    let config = |names: &[&str]| {
        let mut config = deployment("web");
        config["spec"]["template"]["spec"]["containers"] =
            names.iter().map(|name| json!({"name": name, "image": "app"})).collect();
        config
    };
    kit.apply("one", "default", "deployments/web").send(config(&["main", "side"])).await.unwrap();
    let env = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "side", "env": [{"name": "K", "value": "v"}]}]}}}});
    kit.patch("default", "deployments/web", PatchType::StrategicMerge, env, by("injector")).await.unwrap();
    let left = kit.apply("one", "default", "deployments/web").send(config(&["main"])).await.unwrap();
    let containers = left["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    assert!(!owners_of(&left).iter().any(|line| line.contains("injector")), "{:?}", owners_of(&left));
}

#[tokio::test(start_paused = true)]
async fn many_at_once_each_keep_their_part() {
    let kit = kit().await;
    let writers = (0..20).map(|number| {
        let kit = &kit;
        async move {
            let who = format!("writer-{number:02}");
            for round in 0..3 {
                let config = data("a", json!({ format!("k{number:02}"): round.to_string() }));
                kit.apply(&who, "default", "configmaps/a").send(config).await.unwrap();
            }
        }
    });
    futures_util::future::join_all(writers).await;
    let all = kit.get("default", "configmaps/a").await.unwrap();
    assert_eq!(all["data"].as_object().unwrap().len(), 20);
    assert!(all["data"].as_object().unwrap().values().all(|value| value == "2"));
    assert_eq!(owners_of(&all).len(), 20);
}
