//! What holds of every apply to a server, whatever is applied: in process, and through HTTP.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use windlass::client::Error;

use super::apply_kit::*;
use super::server_kit::*;

/// A part of a Deployment: maps, a list by key, a number.
#[derive(Clone, Debug)]
struct Part {
    labels: Vec<(char, u8)>,
    replicas: Option<u8>,
    containers: Vec<Container>,
}

/// Name, image, and variables with their values.
type Container = (char, u8, Vec<(char, u8)>);

fn entries(names: &'static str) -> impl Strategy<Value = Vec<(char, u8)>> {
    let names: Vec<char> = names.chars().collect();
    let most = names.len();
    (proptest::sample::subsequence(names, 0..=most), proptest::collection::vec(0u8..2, most))
        .prop_map(|(names, values)| names.into_iter().zip(values).collect())
}

fn part(
    labels: &'static str,
    containers: &'static str,
    variables: &'static str,
) -> impl Strategy<Value = Part> {
    let containers: Vec<char> = containers.chars().collect();
    let most = containers.len();
    let container = (0u8..2, entries(variables));
    (
        entries(labels),
        proptest::option::of(1u8..4),
        proptest::sample::subsequence(containers, 0..=most),
        proptest::collection::vec(container, most),
    )
        .prop_map(|(labels, replicas, names, rest)| Part {
            labels,
            replicas,
            containers: names.into_iter().zip(rest).map(|(name, (image, env))| (name, image, env)).collect(),
        })
}

impl Part {
    /// The configuration: what every Deployment must have, and this part.
    fn config(&self, name: &str) -> Value {
        let mut config = deployment(name);
        config["spec"].as_object_mut().unwrap().remove("replicas");
        if let Some(replicas) = self.replicas {
            config["spec"]["replicas"] = replicas.into();
        }
        for (label, value) in &self.labels {
            config["metadata"]["labels"][label.to_string()] = value.to_string().into();
        }
        let containers = config["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
        for (name, image, variables) in &self.containers {
            let env: Vec<_> = variables
                .iter()
                .map(|(name, value)| json!({"name": name.to_string(), "value": value.to_string()}))
                .collect();
            containers.push(json!({"name": name.to_string(), "image": format!("i{image}"), "env": env}));
        }
        config
    }
}

/// The scalars of a configuration, each with the steps that FieldsV1 has for it, and as conflicts name it.
fn leaves(tree: &Value, steps: &[String], shown: &str, out: &mut Vec<(Vec<String>, String, Value)>) {
    match tree {
        Value::Object(fields) => {
            for (name, value) in fields {
                // The selector is a whole.
                let steps = [steps, &[format!("f:{name}")]].concat();
                let shown = format!("{shown}.{name}");
                match name.as_str() {
                    "apiVersion" | "kind" => {}
                    "selector" => out.push((steps, shown, value.clone())),
                    _ => leaves(value, &steps, &shown, out),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                let steps = [steps, &[format!("k:{}", json!({"name": item["name"]}))]].concat();
                leaves(item, &steps, &format!("{shown}[name={}]", item["name"]), out);
            }
        }
        scalar => out.push((steps.to_vec(), shown.to_owned(), scalar.clone())),
    }
}

/// What stands where the steps lead.
fn found<'t>(tree: &'t Value, steps: &[String]) -> Option<&'t Value> {
    steps.iter().try_fold(tree, |value, step| match step.split_once(':') {
        Some(("f", name)) => value.get(name),
        Some((_, key)) => {
            let key: Value = serde_json::from_str(key).unwrap();
            value.as_array()?.iter().find(|item| item["name"] == key["name"])
        }
        None => None,
    })
}

/// The conflicts that an apply must name: fields with another value that others own.
fn expected(live: &Value, config: &Value, who: &str) -> BTreeSet<(String, String)> {
    let mut fields = Vec::new();
    leaves(config, &[], "", &mut fields);
    let entries = live["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let mut out = BTreeSet::new();
    for (steps, shown, value) in fields.iter().filter(|(steps, ..)| steps[..] != ["f:metadata", "f:name"]) {
        if found(live, steps) == Some(value) {
            continue;
        }
        for entry in entries.iter().filter(|entry| entry["manager"] != who) {
            let owns = steps.iter().try_fold(&entry["fieldsV1"], |fields, step| fields.get(step)).is_some();
            if owns {
                out.insert((entry["manager"].to_string(), shown.clone()));
            }
        }
    }
    out
}

/// The object without what differs between two that were written alike.
fn content(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in ["name", "uid", "resourceVersion", "generation", "creationTimestamp"] {
        metadata.remove(field);
    }
    let mut entries = metadata["managedFields"].as_array().cloned().unwrap_or_default();
    entries.sort_by_key(|entry| entry["manager"].to_string());
    // Who applies what is there already is noted without a time, as in Kubernetes.
    for entry in &mut entries {
        entry.as_object_mut().unwrap().remove("time");
    }
    metadata.insert("managedFields".into(), entries.into());
    object
}

/// The server of a whole property.
struct World {
    runtime: tokio::runtime::Runtime,
    kit: Kit,
    objects: std::cell::Cell<usize>,
}

impl World {
    fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let kit = runtime.block_on(kit());
        Self { runtime, kit, objects: std::cell::Cell::new(0) }
    }

    fn now<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    fn name(&self) -> String {
        self.objects.set(self.objects.get() + 1);
        format!("web{}", self.objects.get())
    }

    fn apply(&self, who: &str, part: &Part, name: &str, over: Over) -> Result<Value, Error> {
        let path = format!("deployments/{name}");
        // The selector is the same for all, whatever the object is called.
        let config = serde_json::from_str(
            &part.config("same").to_string().replace(r#""name":"same""#, &format!(r#""name":"{name}""#)),
        )
        .unwrap();
        let apply = self.kit.apply(who, "default", &path);
        let apply = if over.force { apply.force() } else { apply };
        self.now(if over.http { apply.over_http() } else { apply }.send(config))
    }
}

#[derive(Clone, Copy, Debug)]
struct Over {
    http: bool,
    force: bool,
}

fn run(test: impl Fn(&World, (Part, Part, Part, bool)) -> Result<(), TestCaseError>) {
    let world = World::new();
    let parts = (part("ab", "xy", "EF"), part("bc", "yz", "FG"), part("ab", "xy", "EF"), any::<bool>());
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner.run(&parts, |parts| test(&world, parts)).unwrap();
}

#[test]
fn applying_again_changes_nothing() {
    run(|world, (one, two, _, http)| {
        let name = world.name();
        let over = Over { http, force: true };
        world.apply("one", &one, &name, over).unwrap();
        let after = world.apply("two", &two, &name, over).unwrap();
        prop_assert_eq!(&world.apply("two", &two, &name, over).unwrap(), &after);
        prop_assert_eq!(
            &world.apply("two", &two, &name, Over { http: !http, force: false }).unwrap(),
            &after
        );
        Ok(())
    });
}

#[test]
fn a_conflict_names_exactly_what_others_own_and_would_lose() {
    run(|world, (one, two, three, http)| {
        let name = world.name();
        let over = Over { http, force: true };
        world.apply("one", &one, &name, over).unwrap();
        let live = world.apply("three", &three, &name, over).unwrap();
        let wanted = expected(&live, &two.config("same"), "two");
        let applied = world.apply("two", &two, &name, Over { http, force: false });
        if wanted.is_empty() {
            let applied = applied.unwrap();
            let mut fields = Vec::new();
            leaves(&two.config("same"), &[], "", &mut fields);
            for (steps, shown, value) in fields.iter().filter(|(_, shown, _)| shown != ".metadata.name") {
                prop_assert_eq!(found(&applied, steps), Some(value), "{}", shown);
            }
        } else {
            let named: BTreeSet<_> = conflicts(applied).into_iter().collect();
            prop_assert_eq!(named, wanted);
            prop_assert_eq!(
                world.now(world.kit.get("default", &format!("deployments/{name}"))).unwrap(),
                live
            );
        }
        Ok(())
    });
}

#[test]
fn appliers_that_do_not_conflict_commute() {
    run(|world, (one, mut two, _, http)| {
        // What both apply is the same.
        two.replicas = one.replicas;
        two.labels.retain(|(label, _)| *label != 'b');
        two.containers.retain(|(name, ..)| *name != 'y');
        let over = Over { http, force: false };
        let (name, other) = (world.name(), world.name());
        world.apply("one", &one, &name, over).unwrap();
        let first = world.apply("two", &two, &name, over).unwrap();
        world.apply("two", &two, &other, over).unwrap();
        let second = world.apply("one", &one, &other, over).unwrap();
        let sorted = |object: &Value| {
            let mut object = content(object);
            // Items stand in the order in which they came.
            let containers = object["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
            containers.sort_by_key(|container| container["name"].to_string());
            object
        };
        prop_assert_eq!(sorted(&first), sorted(&second));
        Ok(())
    });
}

#[test]
fn who_gives_up_what_they_applied_takes_nothing_else_along() {
    run(|world, (one, mut two, three, http)| {
        let over = Over { http, force: true };
        let name = world.name();
        let path = format!("deployments/{name}");
        // An annotation that nobody owns, and a label that is an updater's.
        world.apply("one", &one, &name, over).unwrap();
        let unowned = json!({"metadata": {"annotations": {"nobody": "1"}, "managedFields": [{}]}});
        world.now(world.kit.merge_as("editor", "default", &path, unowned)).unwrap();
        let owners = json!([{"manager": "one", "operation": "Apply", "apiVersion": "apps/v1",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": {"f:none": {}}}}}]);
        let label = json!({"metadata": {"labels": {"editor": "1"}, "managedFields": owners}});
        world.now(world.kit.merge_as("editor", "default", &path, label)).unwrap();
        let before = world.now(world.kit.get("default", &path)).unwrap();
        world.apply("two", &two, &name, over).unwrap();
        world.apply("two", &three, &name, over).unwrap();
        two.labels.clear();
        two.containers.clear();
        two.replicas = None;
        let after = world.apply("two", &two, &name, over).unwrap();
        prop_assert_eq!(&after["metadata"]["annotations"]["nobody"], "1");
        prop_assert_eq!(&after["metadata"]["labels"]["editor"], "1");
        // What stood there, and was not applied since, stands there still.
        for (label, value) in before["metadata"]["labels"].as_object().unwrap() {
            let applied = ["a", "b", "c"].contains(&label.as_str());
            prop_assert!(applied || &after["metadata"]["labels"][label] == value, "{}", label);
        }
        let names = |object: &Value| -> BTreeSet<String> {
            let containers = object["spec"]["template"]["spec"]["containers"].as_array().unwrap();
            containers.iter().map(|container| container["name"].to_string()).collect()
        };
        let theirs: BTreeSet<String> =
            three.containers.iter().map(|(name, ..)| format!("{:?}", name.to_string())).collect();
        for name in names(&before).difference(&theirs) {
            prop_assert!(
                names(&after).contains(name) || ["\"x\"", "\"y\"", "\"z\""].contains(&name.as_str())
            );
        }
        Ok(())
    });
}
