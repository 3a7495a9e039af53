//! Making and changing objects.

use serde_json::{Value, json};
use windlass::client::{PatchType, WriteOptions};

use super::server_kit::*;

#[tokio::test(start_paused = true)]
async fn a_new_object_is_given_what_only_the_server_knows() {
    let kit = kit().await;
    let mut sent = config_map("a");
    sent["metadata"]["uid"] = "mine".into();
    sent["metadata"]["creationTimestamp"] = "1999-01-01T00:00:00Z".into();
    sent["metadata"]["generation"] = 9.into();
    let made = kit.create("default", "configmaps", sent).await.unwrap();
    let metadata = &made["metadata"];
    assert_eq!(metadata["namespace"], "default");
    assert_eq!(metadata["creationTimestamp"], "2020-01-01T00:00:00Z");
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert!(metadata.get("generation").is_none(), "a ConfigMap keeps no generation");
    assert!(metadata["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(kit.get("default", "configmaps/a").await.unwrap(), made);
}

#[tokio::test(start_paused = true)]
async fn names_are_made_up_from_generate_name() {
    let kit = kit().await;
    let sent = json!({"metadata": {"generateName": "job-"}});
    let one = kit.create("default", "configmaps", sent.clone()).await.unwrap();
    let two = kit.create("default", "configmaps", sent).await.unwrap();
    let name = one["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("job-") && name.len() == 9, "{name}");
    assert_ne!(one["metadata"]["name"], two["metadata"]["name"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_made_is_refused_as_kubernetes_words_it() {
    let kit = kit().await;
    kit.create("default", "configmaps", config_map("a")).await.unwrap();
    let before = kit.revision().await;
    let refused = |namespace: &'static str, tree: Value| {
        let kit = &kit;
        async move { status_of(kit.create(namespace, "configmaps", tree).await) }
    };
    for (namespace, tree, code, reason, message) in [
        ("default", config_map("a"), 409, "AlreadyExists", r#"configmaps "a" already exists"#),
        ("nowhere", config_map("b"), 404, "NotFound", r#"namespaces "nowhere" not found"#),
        (
            "default",
            json!({"metadata": {"name": "b", "namespace": "other"}}),
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            "default",
            json!({"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "b"}}),
            400,
            "BadRequest",
            "the API version in the data (v2) does not match the expected API version (v1)",
        ),
        (
            "default",
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}}),
            400,
            "BadRequest",
            "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to \
             (core.ConfigMap): unknown conversion",
        ),
        (
            "default",
            json!({"apiVersion": "v1", "kind": "Widget", "metadata": {"name": "b"}}),
            400,
            "BadRequest",
            "Widget in version \"v1\" cannot be handled as a ConfigMap: no kind \"Widget\" is registered \
             for version \"v1\"",
        ),
        (
            "default",
            json!({"metadata": {}}),
            422,
            "Invalid",
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
        ),
        (
            "default",
            json!({"metadata": {"name": "b", "resourceVersion": "5"}}),
            500,
            "",
            "resourceVersion should not be set on objects to be created",
        ),
    ] {
        let status = refused(namespace, tree).await;
        assert_eq!((status.code, status.reason.as_str(), status.message.as_str()), (code, reason, message));
    }
    assert_eq!(kit.revision().await, before, "nothing was written");
}

#[tokio::test(start_paused = true)]
async fn an_update_needs_the_newest_revision_or_none() {
    let kit = kit().await;
    let first = kit.create("default", "configmaps", config_map("a")).await.unwrap();
    let mut changed = first.clone();
    changed["data"]["k"] = "w".into();
    let second = kit.update("default", "configmaps/a", changed.clone()).await.unwrap();
    assert_eq!(second["data"]["k"], "w");
    assert_eq!(second["metadata"]["uid"], first["metadata"]["uid"]);
    let stale = status_of(kit.update("default", "configmaps/a", changed).await);
    assert_eq!((stale.code, stale.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        stale.message,
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply \
         your changes to the latest version and try again"
    );
    let unconditional = kit.update("default", "configmaps/a", config_map("a")).await.unwrap();
    assert_eq!(unconditional["data"]["k"], "v");
}

#[tokio::test(start_paused = true)]
async fn an_update_that_changes_nothing_makes_no_revision() {
    let kit = kit().await;
    let made = kit.create("default", "configmaps", config_map("a")).await.unwrap();
    let before = kit.revision().await;
    assert_eq!(kit.update("default", "configmaps/a", made.clone()).await.unwrap(), made);
    assert_eq!(kit.merge("default", "configmaps/a", json!({"data": {"k": "v"}})).await.unwrap(), made);
    assert_eq!(kit.revision().await, before);
}

#[tokio::test(start_paused = true)]
async fn generation_counts_changes_of_the_specification_alone() {
    let kit = kit().await;
    let made = kit.create("default", "deployments", deployment("web")).await.unwrap();
    assert_eq!(made["metadata"]["generation"], 1);
    let labelled =
        kit.merge("default", "deployments/web", json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
    assert_eq!(labelled["metadata"]["generation"], 1);
    let scaled = kit.merge("default", "deployments/web", json!({"spec": {"replicas": 5}})).await.unwrap();
    assert_eq!(scaled["metadata"]["generation"], 2);
    let status = json!({"status": {"replicas": 5, "observedGeneration": 2}, "spec": {"replicas": 9}});
    let told = kit.merge("default", "deployments/web/status", status).await.unwrap();
    assert_eq!((&told["metadata"]["generation"], &told["spec"]["replicas"]), (&json!(2), &json!(5)));
    assert_eq!(told["status"]["replicas"], 5);
    let main = kit.merge("default", "deployments/web", json!({"status": {"replicas": 0}})).await.unwrap();
    assert_eq!(main["status"]["replicas"], 5, "the status is written at its own path");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_answers_and_stores_nothing() {
    let kit = kit().await;
    let before = kit.revision().await;
    let made = kit.create_with("default", "configmaps", config_map("a"), dry_run()).await.unwrap();
    assert!(made["metadata"]["uid"].is_string() && made["metadata"].get("resourceVersion").is_none());
    kit.create("default", "configmaps", config_map("b")).await.unwrap();
    let patched = kit
        .patch("default", "configmaps/b", PatchType::Merge, json!({"data": {"k": "w"}}), dry_run())
        .await
        .unwrap();
    assert_eq!(patched["data"]["k"], "w");
    let again = status_of(kit.create_with("default", "configmaps", config_map("b"), dry_run()).await);
    assert_eq!(again.code, 409);
    let delete = delete_options(|options| options.dry_run = true);
    kit.delete_with("default", "configmaps/b", delete).await.unwrap();
    assert_eq!(kit.get("default", "configmaps/b").await.unwrap()["data"]["k"], "v");
    assert_eq!(kit.revision().await.0, before.0 + 1);
    assert_eq!(kit.names("default", "configmaps").await, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn strict_decoding_refuses_what_warning_drops() {
    let kit = kit().await;
    let mut sent = deployment("web");
    sent["spec"]["replcas"] = 3.into();
    let refused = status_of(kit.create_with("default", "deployments", sent.clone(), strict()).await);
    assert_eq!((refused.code, refused.reason.as_str()), (400, "BadRequest"));
    assert_eq!(
        refused.message,
        "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown \
         field \"spec.replcas\""
    );
    let made = kit.create_with("default", "deployments", sent, WriteOptions::default()).await.unwrap();
    assert!(made["spec"].get("replcas").is_none());
}

#[tokio::test(start_paused = true)]
async fn the_three_patches() {
    let kit = kit().await;
    kit.create("default", "deployments", deployment("web")).await.unwrap();
    let patch = |kind, patch| kit.patch("default", "deployments/web", kind, patch, WriteOptions::default());
    let image = |tree: &Value| tree["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let containers =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}}});
    let merged = patch(PatchType::StrategicMerge, containers).await.unwrap();
    assert_eq!(image(&merged), "app:2");
    assert_eq!(merged["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"], "Always");
    let path = "/spec/template/spec/containers/0/image";
    let tested = json!([{"op": "test", "path": path, "value": "app:2"},
        {"op": "replace", "path": path, "value": "app:3"}]);
    assert_eq!(image(&patch(PatchType::Json, tested.clone()).await.unwrap()), "app:3");
    let failed = status_of(patch(PatchType::Json, tested).await);
    assert_eq!((failed.code, failed.reason.as_str()), (422, "Invalid"));
    let malformed = status_of(patch(PatchType::Merge, json!([1])).await);
    assert_eq!((malformed.code, malformed.reason.as_str()), (400, "BadRequest"));
    let renamed = status_of(patch(PatchType::Merge, json!({"metadata": {"name": "other"}})).await);
    assert_eq!(
        (renamed.code, renamed.message.as_str()),
        (400, "the name of the object (other) does not match the name on the URL (web)")
    );
    let mistyped = status_of(patch(PatchType::Merge, json!({"spec": {"replicas": "many"}})).await);
    assert_eq!(mistyped.code, 400, "{mistyped}");
    let unmanaged = status_of(patch(PatchType::Apply, deployment("web")).await);
    assert_eq!((unmanaged.code, unmanaged.reason.as_str()), (422, "Invalid"));
    assert_eq!(image(&kit.get("default", "deployments/web").await.unwrap()), "app:3");
}

#[tokio::test(start_paused = true)]
async fn what_is_invalid_is_told_field_by_field() {
    let kit = kit().await;
    kit.create("default", "deployments", deployment("web")).await.unwrap();
    let before = kit.revision().await;
    let negative = json!({"spec": {"replicas": -1}});
    let refused = status_of(kit.merge("default", "deployments/web", negative).await);
    assert_eq!((refused.code, refused.reason.as_str()), (422, "Invalid"));
    assert_eq!(
        refused.message,
        "Deployment.apps \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal \
         to 0"
    );
    let cause = &refused.details.unwrap().causes[0];
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldValueInvalid", "spec.replicas"));
    let mut far = service("far");
    far["spec"]["ports"][0]["port"] = 99_999.into();
    let refused = status_of(kit.create("default", "services", far).await);
    assert!(
        refused
            .message
            .contains("spec.ports[0].port: Invalid value: 99999: must be between 1 and 65535, inclusive"),
        "{refused}"
    );
    let capital = status_of(kit.create("default", "configmaps", config_map("Web")).await);
    assert!(
        capital.message.starts_with("ConfigMap \"Web\" is invalid: metadata.name: Invalid value: \"Web\": ")
    );
    assert_eq!(kit.revision().await, before, "nothing was written, and nothing else is harmed");
    assert_eq!(kit.get("default", "deployments/web").await.unwrap()["spec"]["replicas"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_no_segment_of_a_path_is_refused() {
    let kit = kit().await;
    for (name, why) in [
        (".", "may not be '.'"),
        ("..", "may not be '..'"),
        ("a%b", "may not contain '%'"),
        ("a/b", "may not contain '/'"),
    ] {
        let target = kit.at("default", "configmaps").name(name);
        let refused = status_of(windlass::client::ClientExt::get(&*kit.client, target).await);
        let message = format!("Name parameter invalid: {name:?}: {why}");
        assert_eq!((refused.code, refused.message), (400, message));
    }
}
