//! What one run of a reconciler wrote, so that the next run of its key waits until the caches
//! have seen it.
//!
//! Kubernetes' controllers count "expectations": so many creations, so many deletions to come.
//! Revisions make that unnecessary. A write answers with the revision at which it happened, and an
//! informer knows the revision that it has reached; a run may start when the second is not below
//! the first. Only a deletion that leaves nothing behind is answered without a revision: there the
//! cache must have lost the object, or see it deleted.
//!
//! The recording client notes writes in a task-local, so that a reconciler just writes: whatever
//! it awaits inside its own run is seen, and what it spawns is not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::api::{ObjectKey, Revision};
use crate::client::{Client, Error, Identity, Request, Response, Target};

tokio::task_local! {
    static WRITES: Arc<Mutex<Writes>>;
}

/// Group and plural name: what informers and writes are matched by.
pub(super) type ResourceName = (String, String);

/// What one run wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Writes {
    /// The last revision, by resource.
    pub(super) revisions: BTreeMap<ResourceName, Revision>,
    /// What was deleted.
    pub(super) deleted: Vec<Deletion>,
}

/// An object that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deletion {
    pub(super) resource: ResourceName,
    pub(super) key: ObjectKey,
    /// Empty where the caller did not say which object of that name it meant.
    pub(super) uid: String,
}

impl Writes {
    fn wrote(&mut self, resource: ResourceName, revision: Revision) {
        if revision != Revision::NONE {
            let last = self.revisions.entry(resource).or_default();
            *last = revision.max(*last);
        }
    }
}

/// Runs a future, and tells what was written through a [`Recording`] client meanwhile.
pub(super) async fn recorded<F: Future>(future: F) -> (F::Output, Writes) {
    let writes = Arc::new(Mutex::new(Writes::default()));
    let output = WRITES.scope(writes.clone(), future).await;
    let writes = std::mem::take(&mut *writes.lock().unwrap_or_else(PoisonError::into_inner));
    (output, writes)
}

/// A client that notes what is written through it.
pub(super) struct Recording(pub(super) Arc<dyn Client>);

enum Kind {
    Read,
    Write(ResourceName),
    Delete(Deletion),
}

fn kind(request: &Request) -> Kind {
    let name = |target: &Target| (target.resource.group.clone(), target.resource.resource.clone());
    match request {
        Request::Create { target, options, .. }
        | Request::Update { target, options, .. }
        | Request::Patch { target, options, .. }
            if !options.dry_run =>
        {
            Kind::Write(name(target))
        }
        Request::Delete { target, options } if !options.dry_run && target.subresource.is_none() => {
            Kind::Delete(Deletion {
                resource: name(target),
                key: ObjectKey::new(
                    target.namespace.clone().unwrap_or_default(),
                    target.name.clone().unwrap_or_default(),
                ),
                uid: options.preconditions.uid.clone().unwrap_or_default(),
            })
        }
        _ => Kind::Read,
    }
}

#[async_trait]
impl Client for Recording {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        let kind = kind(&request);
        let response = self.0.call(request).await?;
        // Outside a run there is nobody to tell.
        let _ = WRITES.try_with(|writes| {
            let mut writes = writes.lock().unwrap_or_else(PoisonError::into_inner);
            match (kind, &response) {
                (Kind::Write(resource), Response::Object(object)) => {
                    writes.wrote(resource, object.revision());
                }
                (Kind::Delete(mut deletion), response) => {
                    if let Response::Object(object) = response {
                        object.uid().clone_into(&mut deletion.uid);
                    }
                    writes.deleted.push(deletion);
                }
                _ => {}
            }
        });
        Ok(response)
    }

    fn identity(&self) -> &Identity {
        self.0.identity()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;
    use crate::api::{Object, Resource, Status};
    use crate::client::{DeleteOptions, GetOptions, Payload, WriteOptions};

    /// Answers every write with the object, each at a revision of its own, and deletes at once.
    struct FakeClient {
        revision: AtomicU64,
        identity: Identity,
    }

    #[async_trait]
    impl Client for FakeClient {
        async fn call(&self, request: Request) -> Result<Response, Error> {
            if matches!(request, Request::Delete { .. }) {
                return Ok(Response::Status(Box::new(Status::success())));
            }
            let revision = Revision(self.revision.fetch_add(1, Ordering::SeqCst));
            let row = Arc::new(Resource::of::<ConfigMap>());
            Ok(Response::Object(Object::from_tree(row, revision, json!({"metadata": {"name": "a"}}))?))
        }

        fn identity(&self) -> &Identity {
            &self.identity
        }
    }

    #[tokio::test]
    async fn writes_of_a_run_are_noted_and_reads_are_not() {
        let fake = FakeClient { revision: AtomicU64::new(7), identity: Identity::admin() };
        let client = Recording(Arc::new(fake));
        let target = Target::all(&Resource::of::<ConfigMap>()).namespace("default");
        let name = (String::new(), "configmaps".to_owned());
        let create = || {
            let object = Payload::Tree(json!({"metadata": {"name": "a"}}));
            Request::Create { target: target.clone(), object, options: WriteOptions::default() }
        };
        let ((), writes) = recorded(async {
            client
                .call(Request::Get { target: target.clone().name("a"), options: GetOptions::default() })
                .await
                .unwrap();
        })
        .await;
        assert_eq!(writes, Writes::default());
        let ((), writes) = recorded(async {
            client.call(create()).await.unwrap();
            client.call(create()).await.unwrap();
            let target = target.clone().name("b");
            client.call(Request::Delete { target, options: DeleteOptions::default() }).await.unwrap();
        })
        .await;
        assert_eq!(writes.revisions, BTreeMap::from([(name.clone(), Revision(9))]));
        let key = ObjectKey::new("default", "b");
        assert_eq!(writes.deleted, [Deletion { resource: name, key, uid: String::new() }]);
        client.call(create()).await.unwrap();
    }
}
