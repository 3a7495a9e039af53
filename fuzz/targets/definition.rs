//! Definitions of any schema, and objects of them: what is taken is kept, and reads back as it was answered.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use windlass::api::GroupVersionResource;
use windlass::client::{Client, ClientExt, Error, Identity, Payload, Target, WriteOptions};
use windlass::server::ApiServer;
use windlass::store::MemoryStore;

/// So many definitions, and the server is another.
const DEFINITIONS: usize = 500;

struct World {
    runtime: Runtime,
    server: ApiServer,
    made: usize,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

impl World {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let server = ApiServer::builder().store(Arc::new(MemoryStore::new())).build();
        let server = runtime.block_on(server).expect("a server");
        Self { runtime, server, made: 0 }
    }

    /// Whether the schema was taken.
    fn define(&mut self, schema: Value, object: Value) -> bool {
        if self.made == DEFINITIONS {
            self.runtime.block_on(self.server.shutdown());
            *self = Self::new();
        }
        self.made += 1;
        let client = self.server.client(Identity::admin());
        self.runtime.block_on(tried(client.as_ref(), self.made, schema, object))
    }
}

fn definition(number: usize, schema: Value) -> Value {
    let (plural, kind) = (format!("kinds{number}"), format!("Kind{number}"));
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.example.com")},
        "spec": {"group": "example.com", "scope": "Cluster", "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}]},
    })
}

fn at(group: &str, plural: &str) -> Target {
    Target {
        resource: GroupVersionResource::gvr(group, "v1", plural),
        namespace: None,
        name: None,
        subresource: None,
    }
}

async fn tried(client: &dyn Client, number: usize, schema: Value, mut object: Value) -> bool {
    let definitions = at("apiextensions.k8s.io", "customresourcedefinitions");
    let made =
        client.create(definitions, Payload::Tree(definition(number, schema)), WriteOptions::default()).await;
    if let Err(error) = made {
        refused(&error);
        return false;
    }
    object["apiVersion"] = "example.com/v1".into();
    object["kind"] = format!("Kind{number}").into();
    object["metadata"] = json!({"name": "a"});
    let objects = at("example.com", &format!("kinds{number}"));
    match client.create(objects.clone(), Payload::Tree(object), WriteOptions::default()).await {
        Err(error) => refused(&error),
        Ok(made) => {
            let read = client.get(objects.clone().name("a")).await.expect("it is there");
            assert_eq!(read.tree(), made.expect("an object").tree());
            let again = client
                .update(objects.name("a"), Payload::Tree((*read.tree()).clone()), WriteOptions::default())
                .await;
            match again {
                Err(error) => refused(&error),
                Ok(again) => assert_eq!(again.tree()["metadata"], read.tree()["metadata"]),
            }
        }
    }
    true
}

/// Whatever is refused is the caller's fault.
fn refused(error: &Error) {
    let text = format!("{error:?}");
    assert!(!text.contains("code: 500"), "{text}");
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some([schema, object]) = windlass_fuzz::parts(data) else { return Corpus::Reject };
    let (Some(schema), Some(object)) = (windlass_fuzz::object(schema), windlass_fuzz::object(object)) else {
        return Corpus::Reject;
    };
    WORLD.with_borrow_mut(|world| world.define(schema, object));
    Corpus::Keep
});
