//! Custom resources in several versions: the same but for their name, or converted by a webhook.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use windlass::api::{GroupVersionResource, Object};
use windlass::client::{
    ClientExt, Error, ListOptions, Patch, PatchType, Payload, Target, WatchEvent, WebhookClient,
    WebhookTarget, WriteOptions,
};
use windlass::store::{MemoryStore, ObjectStore as _};

use super::server_kit::*;

fn definition(conversion: Value) -> Value {
    let version = |name: &str, field: &str, storage: bool| {
        json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": {"type": "object",
            "properties": {"spec": {"type": "object", "properties": {
                field: {"type": "string"}, "n": {"type": "integer", "default": 1}}}}}},
            "selectableFields": [{"jsonPath": format!(".spec.{field}")}]})
    };
    json!({
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [version("v1", "host", true), version("v2", "address", false)],
            "conversion": conversion,
        },
    })
}

fn by_webhook() -> Value {
    definition(json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://converter.example.com/convert"}}}))
}

fn target(kit: &Kit, version: &str, name: &str) -> Target {
    let scheme = kit.server.scheme();
    let row =
        scheme.resource(&GroupVersionResource::gvr("example.com", version, "things")).expect("it is served");
    let target = Target::all(row).namespace("default");
    if name.is_empty() { target } else { target.name(name) }
}

fn thing(version: &str, name: &str, field: &str, value: &str) -> Payload {
    Payload::Tree(json!({"apiVersion": format!("example.com/{version}"), "kind": "Thing",
        "metadata": {"name": name}, "spec": {field: value}}))
}

async fn create(kit: &Kit, version: &str, payload: Payload) -> Result<Value, Error> {
    let made = kit.client.create(target(kit, version, ""), payload, WriteOptions::default()).await?;
    Ok(shown(&made.expect("an object")))
}

async fn merge(kit: &Kit, version: &str, name: &str, patch: Value) -> Result<Value, Error> {
    let patch = Patch { kind: PatchType::Merge, body: patch.to_string().into(), force: false };
    Ok(shown(&kit.client.patch(target(kit, version, name), patch, WriteOptions::default()).await?))
}

async fn stored(store: &MemoryStore, name: &str) -> Value {
    let key = format!("/registry/example.com/things/default/{name}");
    serde_json::from_slice(&store.get(key.as_bytes()).await.unwrap().expect("it is stored").value).unwrap()
}

/// A webhook that calls `host` of v1 `address` in v2, and may be told to do otherwise.
#[derive(Default)]
struct Converter {
    asked: Mutex<Vec<Value>>,
    answer: Mutex<Option<Answer>>,
}

type Answer = Box<dyn Fn(Value) -> Result<(u16, Value), String> + Send>;

impl Converter {
    /// Answers so, whatever would be right.
    fn instead(&self, answer: impl Fn(Value) -> Result<(u16, Value), String> + Send + 'static) {
        *self.answer.lock().unwrap() = Some(Box::new(answer));
    }

    fn rightly(&self) {
        *self.answer.lock().unwrap() = None;
    }

    fn calls(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// What is done to what a webhook would rightly answer.
type Change = &'static (dyn Fn(&mut Value) + Sync);

fn convert(mut review: Value) -> Value {
    let wanted = review["request"]["desiredAPIVersion"].clone();
    let (from, to) = if wanted == "example.com/v2" { ("host", "address") } else { ("address", "host") };
    let mut objects = review["request"]["objects"].take();
    for object in objects.as_array_mut().unwrap() {
        object["apiVersion"] = wanted.clone();
        if let Some(value) = object["spec"].as_object_mut().and_then(|spec| spec.remove(from)) {
            object["spec"][to] = value;
        }
    }
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": {
        "uid": review["request"]["uid"], "result": {"status": "Success"}, "convertedObjects": objects}})
}

#[async_trait]
impl WebhookClient for Converter {
    async fn post(&self, target: &WebhookTarget, body: Bytes) -> Result<(u16, Bytes), String> {
        assert_eq!(target.url, "https://converter.example.com/convert");
        let review: Value = serde_json::from_slice(&body).unwrap();
        self.asked.lock().unwrap().push(review.clone());
        let answer = match &*self.answer.lock().unwrap() {
            Some(answer) => answer(convert(review))?,
            None => (200, convert(review)),
        };
        Ok((answer.0, answer.1.to_string().into()))
    }
}

async fn converted() -> (Arc<Converter>, MemoryStore, Kit) {
    let (converter, store) = (Arc::new(Converter::default()), MemoryStore::new());
    let kit = kit_with(|builder| builder.store(Arc::new(store.clone())).webhooks(converter.clone())).await;
    kit.create("", "customresourcedefinitions", by_webhook()).await.unwrap();
    (converter, store, kit)
}

#[tokio::test(start_paused = true)]
async fn versions_that_are_the_same_are_stored_in_one_and_read_in_each() {
    let store = MemoryStore::new();
    let kit = kit_with(|builder| builder.store(Arc::new(store.clone()))).await;
    kit.create("", "customresourcedefinitions", definition(json!({"strategy": "None"}))).await.unwrap();
    let made = create(&kit, "v2", thing("v2", "a", "address", "x")).await.unwrap();
    assert_eq!((&made["apiVersion"], &made["spec"]), (&json!("example.com/v2"), &json!({"n": 1})));
    // Stored in the other version, it keeps what that one declares, and the answer is what is stored.
    let kept = stored(&store, "a").await;
    assert_eq!((&kept["apiVersion"], &kept["spec"]), (&json!("example.com/v1"), &json!({"n": 1})));
    create(&kit, "v1", thing("v1", "b", "host", "y")).await.unwrap();
    let list = kit.client.list(target(&kit, "v2", ""), ListOptions::default()).await.unwrap();
    let versions: Vec<_> = list.items.iter().map(|item| shown(item)["apiVersion"].clone()).collect();
    assert_eq!(versions, [json!("example.com/v2"), json!("example.com/v2")]);
    // Another storage version: what is written from now on is stored in it, even if nothing else changes.
    let change = json!([
        {"op": "replace", "path": "/spec/versions/0/storage", "value": false},
        {"op": "replace", "path": "/spec/versions/1/storage", "value": true},
    ]);
    let name = "customresourcedefinitions/things.example.com";
    let moved = kit.patch("", name, PatchType::Json, change, WriteOptions::default()).await.unwrap();
    assert_eq!(moved["status"]["storedVersions"], json!(["v1", "v2"]));
    assert_eq!(stored(&store, "b").await["apiVersion"], "example.com/v1");
    let read = shown(&kit.client.get(target(&kit, "v1", "b")).await.unwrap());
    assert_eq!(read["spec"], json!({"host": "y", "n": 1}), "as it was stored");
    let before = kit.client.get(target(&kit, "v1", "b")).await.unwrap().revision();
    let after = merge(&kit, "v1", "b", json!({})).await.unwrap();
    assert_ne!(after["metadata"]["resourceVersion"], before.to_string());
    assert_eq!(stored(&store, "b").await["apiVersion"], "example.com/v2");
    let again = merge(&kit, "v1", "b", json!({})).await.unwrap();
    assert_eq!(again["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"]);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_not_served_may_store_and_a_deprecated_one_warns() {
    let kit = kit().await;
    let mut tree = definition(json!({"strategy": "None"}));
    tree["spec"]["versions"][0]["served"] = false.into();
    tree["spec"]["versions"][1]["deprecated"] = true.into();
    kit.create("", "customresourcedefinitions", tree).await.unwrap();
    let path = "/apis/example.com/v2/namespaces/default/things";
    let body = json!({"metadata": {"name": "a"}, "spec": {"n": 2}});
    let made = crate::support::write(&kit.server, http::Method::POST, path, &body).await;
    assert_eq!(made.code, 201);
    assert_eq!(made.headers["warning"], "299 - \"example.com/v2 Thing is deprecated\"");
    let missing = crate::support::get(&kit.server, &format!("{path}/none"), &[]).await;
    assert_eq!((missing.code.as_u16(), &missing.headers["warning"]), (404, &made.headers["warning"]));
    let unserved = crate::support::get(&kit.server, &path.replace("v2", "v1"), &[]).await;
    assert_eq!(unserved.code, 404);
    kit.delete("", "customresourcedefinitions/things.example.com").await.unwrap();
    kit.server.env().clock.sleep(Duration::from_secs(1)).await;
    assert!(kit.server.scheme().iter().all(|row| row.plural != "things"));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_converts_what_is_written_read_and_watched() {
    let (converter, store, kit) = converted().await;
    create(&kit, "v1", thing("v1", "a", "host", "x")).await.unwrap();
    assert_eq!(converter.calls(), 0, "what is stored as it is written needs no webhook");
    let mut watch = kit.client.watch(target(&kit, "v2", ""), watch_options(|_| {})).await.unwrap();
    let Some(Ok(WatchEvent::Added(seen))) = watch.next().await else { panic!("it is there") };
    assert_eq!(shown(&seen)["spec"], json!({"address": "x", "n": 1}));
    create(&kit, "v2", thing("v2", "b", "address", "y")).await.unwrap();
    assert_eq!(stored(&store, "b").await["spec"], json!({"host": "y", "n": 1}));
    let Some(Ok(WatchEvent::Added(seen))) = watch.next().await else { panic!("it is new") };
    assert_eq!((seen.name(), &shown(&seen)["spec"]["address"]), ("b", &json!("y")));
    let changed = merge(&kit, "v2", "a", json!({"spec": {"address": "z"}})).await.unwrap();
    assert_eq!((&changed["spec"]["address"], &changed["metadata"]["generation"]), (&json!("z"), &json!(2)));
    assert_eq!(shown(&kit.client.get(target(&kit, "v1", "a")).await.unwrap())["spec"]["host"], "z");
    // A list is one question, however many there are.
    let before = converter.calls();
    let list = kit.client.list(target(&kit, "v2", ""), ListOptions::default()).await.unwrap();
    let addresses: Vec<_> = list.items.iter().map(|item| shown(item)["spec"]["address"].clone()).collect();
    assert_eq!((addresses, converter.calls()), (vec![json!("z"), json!("y")], before + 1));
    // A field that only the other version has selects what it is there.
    let by = |field: &str| list_options(|options| options.fields = field.parse().unwrap());
    let names = async |version: &str, field: &str| {
        let list = kit.client.list(target(&kit, version, ""), by(field)).await.unwrap();
        list.items.iter().map(|item: &Object| item.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("v1", "spec.host=y").await, ["b"]);
    assert_eq!(names("v2", "spec.address=y").await, ["b"]);
    assert_eq!(names("v2", "spec.address!=y").await, ["a"]);
    let at = kit.revision().await;
    let chosen = watch_options(|options| {
        options.fields = "spec.address=z".parse().unwrap();
        options.resource_version = Some(at);
    });
    let mut chosen = kit.client.watch(target(&kit, "v2", ""), chosen).await.unwrap();
    merge(&kit, "v1", "b", json!({"spec": {"host": "z"}})).await.unwrap();
    merge(&kit, "v1", "a", json!({"spec": {"n": 5}})).await.unwrap();
    merge(&kit, "v1", "b", json!({"spec": {"host": "y"}})).await.unwrap();
    assert!(matches!(chosen.next().await, Some(Ok(WatchEvent::Added(object))) if object.name() == "b"));
    assert!(matches!(chosen.next().await, Some(Ok(WatchEvent::Modified(object))) if object.name() == "a"));
    assert!(matches!(chosen.next().await, Some(Ok(WatchEvent::Deleted(object))) if object.name() == "b"));
    kit.client.delete(target(&kit, "v2", "a"), delete_options(|_| {})).await.unwrap();
    assert_eq!(names("v2", "").await, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_webhook_does_wrong_is_said() {
    let (converter, _, kit) = converted().await;
    create(&kit, "v1", thing("v1", "a", "host", "x")).await.unwrap();
    let uid = shown(&kit.client.get(target(&kit, "v1", "a")).await.unwrap())["metadata"]["uid"].clone();
    let uid = uid.as_str().unwrap();
    let read = async || status_of(kit.client.get(target(&kit, "v2", "a")).await);
    let failed = "conversion webhook for example.com/v1, Kind=Thing failed: ";
    let returned = "conversion webhook for example.com/v1, Kind=Thing returned ";
    let post = "Post \"https://converter.example.com/convert?timeout=30s\"";
    type Case = (Answer, String);
    let answer = |change: Change| -> Answer {
        Box::new(move |mut review| {
            change(&mut review);
            Ok((200, review))
        })
    };
    let cases: Vec<Case> = vec![
        (
            Box::new(|_| Err("dial tcp 10.0.0.1:443: connect: connection refused".to_owned())),
            format!("{failed}{post}: dial tcp 10.0.0.1:443: connect: connection refused"),
        ),
        (
            Box::new(|_| Ok((500, json!("oops")))),
            format!(
                "{failed}an error on the server (\"\\\"oops\\\"\") has prevented the request from succeeding"
            ),
        ),
        (
            Box::new(|_| Ok((404, json!({})))),
            format!("{failed}the server could not find the requested resource"),
        ),
        (
            answer(&|review| review["kind"] = "Other".into()),
            format!(
                "{failed}expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got \
                 apiextensions.k8s.io/v1, Kind=Other"
            ),
        ),
        (
            answer(&|review| {
                review["response"]["result"] = json!({"status": "Failure", "message": "no idea"})
            }),
            format!("{failed}no idea"),
        ),
        (
            answer(&|review| review["response"]["result"] = json!({})),
            format!("{failed}response.result.status was '', not 'Success'"),
        ),
        (answer(&|review| review["response"] = Value::Null), format!("{failed}no response provided")),
        (
            answer(&|review| review["response"]["convertedObjects"] = json!([])),
            format!("{returned}0 objects, expected 1"),
        ),
    ];
    for (wrong, sentence) in cases {
        converter.instead(wrong);
        let status = read().await;
        assert_eq!((status.code, status.message), (500, sentence));
    }
    let cases: [(Change, String); 7] = [
        (
            &|object| object["apiVersion"] = "example.com/v1".into(),
            "object at index 0: invalid groupVersion (expected example.com/v2, received example.com/v1)"
                .into(),
        ),
        (
            &|object| object["kind"] = "Other".into(),
            "object at index 0: invalid kind (expected Thing, received Other)".into(),
        ),
        (&|object| object["metadata"]["name"] = "b".into(), "object: must have the same name: a != b".into()),
        (
            &|object| object["metadata"]["uid"] = "b".into(),
            format!("object: must have the same UID: {uid} != b"),
        ),
        (
            &|object| object["metadata"]["labels"] = json!({"a": 1}),
            "metadata: metadata.labels[a] must be a string in converted object".into(),
        ),
        (
            &|object| object["metadata"]["labels"] = json!([]),
            "metadata: invalid metadata.labels in converted object".into(),
        ),
        (
            &|object| *object = json!({"apiVersion": "example.com/v2", "kind": "Thing", "metadata": "x"}),
            "object: must have the same name: a != ".into(),
        ),
    ];
    for (change, sentence) in cases {
        converter.instead(move |mut review| {
            object_of(&mut review, change);
            Ok((200, review))
        });
        let status = read().await;
        assert_eq!((status.code, status.message), (500, format!("{returned}invalid {sentence}")));
    }
    // Labels and annotations may change; all other metadata are the original's.
    converter.instead(|mut review| {
        object_of(&mut review, &|object| {
            object["metadata"]["labels"] = json!({"by": "webhook"});
            object["metadata"]["finalizers"] = json!(["example.com/own"]);
        });
        Ok((200, review))
    });
    let read = shown(&kit.client.get(target(&kit, "v2", "a")).await.unwrap());
    assert_eq!(
        (&read["metadata"]["labels"], read["metadata"].get("finalizers")),
        (&json!({"by": "webhook"}), None)
    );
    // A list fails as a whole, and a watch ends with why.
    converter.instead(|_| Err("gone".to_owned()));
    let listed = kit.client.list(target(&kit, "v2", ""), ListOptions::default()).await;
    assert_eq!(status_of(listed.map(|_| ())).code, 500);
    let mut watch = kit.client.watch(target(&kit, "v2", ""), watch_options(|_| {})).await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap_err().into_status().code, 500);
    assert!(watch.next().await.is_none());
    assert_eq!(status_of(create(&kit, "v2", thing("v2", "b", "address", "x")).await).code, 500);
    converter.rightly();
    create(&kit, "v2", thing("v2", "b", "address", "x")).await.unwrap();
}

fn object_of(review: &mut Value, change: &dyn Fn(&mut Value)) {
    change(&mut review["response"]["convertedObjects"][0]);
}

/// A webhook that never answers.
struct Silent;

#[async_trait]
impl WebhookClient for Silent {
    async fn post(&self, _: &WebhookTarget, _: Bytes) -> Result<(u16, Bytes), String> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_says_nothing_is_waited_for_half_a_minute() {
    let kit = kit_with(|builder| builder.webhooks(Arc::new(Silent))).await;
    kit.create("", "customresourcedefinitions", by_webhook()).await.unwrap();
    let start = kit.server.env().clock.instant();
    let status = status_of(create(&kit, "v2", thing("v2", "a", "address", "x")).await);
    assert_eq!(
        (status.code, &*status.message),
        (
            500,
            "conversion webhook for example.com/v2, Kind=Thing failed: Post \
             \"https://converter.example.com/convert?timeout=30s\": context deadline exceeded (Client.Timeout \
             exceeded while awaiting headers)"
        )
    );
    assert_eq!(kit.server.env().clock.instant() - start, Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_behind_a_service_is_found_by_its_address() {
    #[derive(Default)]
    struct Noted(Mutex<Vec<WebhookTarget>>);
    #[async_trait]
    impl WebhookClient for Noted {
        async fn post(&self, target: &WebhookTarget, body: Bytes) -> Result<(u16, Bytes), String> {
            self.0.lock().unwrap().push(target.clone());
            Ok((200, convert(serde_json::from_slice(&body).unwrap()).to_string().into()))
        }
    }
    let noted = Arc::new(Noted::default());
    let kit = kit_with(|builder| builder.webhooks(noted.clone())).await;
    let mut tree = by_webhook();
    tree["spec"]["conversion"]["webhook"]["clientConfig"] =
        json!({"service": {"namespace": "default", "name": "converter", "path": "/convert"}});
    kit.create("", "customresourcedefinitions", tree).await.unwrap();
    let missing = status_of(create(&kit, "v2", thing("v2", "a", "address", "x")).await);
    assert!(missing.message.ends_with("failed: service \"converter\" not found"), "{missing}");
    let service = json!({"metadata": {"name": "converter"}, "spec": {"ports": [{"port": 443}]}});
    let service = kit.create("default", "services", service).await.unwrap();
    create(&kit, "v2", thing("v2", "a", "address", "x")).await.unwrap();
    let asked = noted.0.lock().unwrap();
    assert_eq!(asked[0].url, "https://converter.default.svc:443/convert");
    let address = format!("{}:443", service["spec"]["clusterIP"].as_str().unwrap());
    assert_eq!(asked[0].address.as_deref(), Some(&*address));
}
