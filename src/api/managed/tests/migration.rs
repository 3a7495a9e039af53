//! From `kubectl apply` on the client's side to the server's.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::api::managed::*;

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn deployment(label: &str, replicas: u32, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": label}},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": label}},
            "template": {"metadata": {"labels": {"app": label}}, "spec": {"containers": [
                {"name": "c", "image": image},
            ]}},
        },
    })
}

fn annotated(mut tree: Value, last: &str) -> Value {
    tree["metadata"]["annotations"] = json!({ANNOTATION: last});
    tree
}

fn apply(live: &Value, config: &Value, who: &str) -> Result<Applied, Error> {
    let schema = Schema::named("io.k8s.api.apps.v1.Deployment").unwrap();
    let versions = OneVersion::new("apps/v1", schema);
    let manager = FieldManager::new(&versions, "apps/v1", "Deployment");
    let now = Timestamp::from_second(1).unwrap();
    let managed =
        manager.update(&Value::Null, live, &ManagedFields::new(), "kubectl-client-side-apply", now).unwrap();
    manager.apply(live, config, &managed, who, false, now)
}

fn conflicts(result: Result<Applied, Error>) -> Vec<String> {
    match result {
        Ok(_) => Vec::new(),
        Err(Error::Conflict(conflicts)) => {
            conflicts.fields().paths().iter().map(|path| path_text(path)).collect()
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn kubectl_takes_over_what_it_applied_and_nobody_changed() {
    let last = deployment("a", 3, "i:1").to_string();
    let live = annotated(deployment("a", 3, "i:1"), &last);
    let applied = apply(&live, &deployment("b", 4, "i:2"), "kubectl").unwrap();
    assert_eq!(applied.tree["spec"], deployment("b", 4, "i:2")["spec"]);
    assert_eq!(applied.tree["metadata"]["labels"]["app"], "b");

    // The annotation follows.
    let text = applied.tree["metadata"]["annotations"][ANNOTATION].as_str().unwrap();
    assert!(text.ends_with("}\n"));
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), deployment("b", 4, "i:2"));
}

#[test]
fn what_is_not_as_it_was_applied_is_in_conflict() {
    let last = deployment("a", 3, "i:1").to_string();
    // Scaled, and with another image, since.
    let live = annotated(deployment("a", 100, "i:2"), &last);
    assert_eq!(
        conflicts(apply(&live, &deployment("b", 333, "i:3"), "kubectl")),
        [".spec.replicas", r#".spec.template.spec.containers[name="c"].image"#]
    );
    // To leave it as it is, is none.
    assert!(conflicts(apply(&live, &deployment("b", 100, "i:2"), "kubectl")).is_empty());
}

#[test]
fn others_and_annotations_that_cannot_be_read_take_over_nothing() {
    let all = conflicts(apply(&deployment("a", 3, "i:1"), &deployment("a", 4, "i:1"), "kubectl"));
    assert_eq!(all, [".spec.replicas"]);
    let last = deployment("a", 3, "i:1");
    let live = annotated(deployment("a", 3, "i:1"), &last.to_string());
    assert_eq!(conflicts(apply(&live, &deployment("a", 4, "i:1"), "else")), all);
    let mut older = last;
    older["apiVersion"] = "apps/v1beta1".into();
    for text in ["", "not json", &older.to_string(), r#"{"apiVersion":"apps/v1","spec":{"wrong":1}}"#] {
        let live = annotated(deployment("a", 3, "i:1"), text);
        assert_eq!(conflicts(apply(&live, &deployment("a", 4, "i:1"), "kubectl")), all, "{text}");
    }
}

#[test]
fn the_annotation_is_kept_current_by_kubectl_alone() {
    let live = annotated(deployment("a", 3, "i:1"), "something");
    let of = |applied: &Applied| applied.tree["metadata"]["annotations"][ANNOTATION].clone();
    let config = annotated(deployment("a", 3, "i:1"), "something");
    let applied = apply(&live, &config, "kubectl").unwrap();
    // Without itself, and with Go's escapes.
    let mut without = deployment("a", 3, "i:1");
    without["metadata"]["annotations"] = json!({});
    assert_eq!(of(&applied), Value::from(without.to_string() + "\n"));
    assert_eq!(of(&apply(&live, &config, "else").unwrap()), "something");

    let applied = apply(&live, &deployment("a", 3, "i:1"), "kubectl").unwrap();
    assert_eq!(of(&applied), Value::from(deployment("a", 3, "i:1").to_string() + "\n"));

    // There is none where there was none.
    let applied = apply(&deployment("a", 3, "i:1"), &deployment("a", 3, "i:1"), "kubectl").unwrap();
    assert_eq!(of(&applied), Value::Null);

    // One that is too large goes.
    let mut config = deployment("a", 3, "i:1");
    config["metadata"]["annotations"] = json!({"large": "x".repeat(200 * 1024)});
    let applied = apply(&live, &config, "kubectl").unwrap();
    assert_eq!(of(&applied), Value::Null);
    assert!(applied.tree["metadata"]["annotations"]["large"].is_string());

    let mut config = deployment("a", 3, "i:1");
    config["metadata"]["annotations"] = json!({"text": "a<b>&c"});
    let applied = apply(&live, &config, "kubectl").unwrap();
    assert!(of(&applied).as_str().unwrap().contains(r"a\u003cb\u003e\u0026c"));
}
