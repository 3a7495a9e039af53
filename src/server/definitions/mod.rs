//! CustomResourceDefinitions: each makes rows, and takes them along with its objects when it goes.
//!
//! What is known of a definition follows from its newest revision alone, whoever wrote it: this server,
//! which knows at once, or somebody else over the same store, whom a watch tells of. A definition that
//! cannot be served, because it cannot be read or its schema cannot be compiled, keeps its own resources
//! from being served and no others; who asks for them is told why.
//!
//! Definitions are written one at a time, so that two never get the same name. Custom resources are made
//! beside one another, and the removal of a definition's objects waits for those that are being made.

mod cleanup;
mod names;
mod rows;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::sync::{MutexGuard, OwnedRwLockReadGuard, RwLock};

use self::rows::Rows;
use super::ApiServer;
use super::registry::{Call, Next, modify};
use super::tree::{at, text};
use crate::api::{GroupVersionResource, Object, Resource, Revision, Scheme, Status, status};
use crate::client::{Identity, Target};
use crate::store;
use crate::store::cached::{ListQuery, ObjectEvent, WatchQuery};

pub(crate) use cleanup::mark_terminating;
pub(crate) use names::{Names, settle};

/// How long after a failure the definitions are looked at again.
const RETRY: Duration = Duration::from_secs(1);

/// What is known of a definition: as of when, and what follows from it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    revision: Revision,
    terminating: bool,
    /// What the rows were made of.
    origin: Option<Value>,
    rows: Vec<GroupVersionResource>,
    /// The row in whose version objects are stored.
    stored: Option<Arc<Resource>>,
    names: Names,
    group: String,
    /// Whether the definition waits for a name.
    waits: bool,
    /// Why it is not served.
    broken: Option<String>,
    /// The webhook that converts objects, as the definition has it.
    webhook: Option<Arc<Value>>,
    /// Held by those who make objects, and by who removes them all.
    gate: Arc<RwLock<()>>,
    /// Whether its objects are being removed.
    cleaning: bool,
}

pub(crate) fn is_definition(row: &Resource) -> bool {
    row.group == "apiextensions.k8s.io" && row.kind == "CustomResourceDefinition"
}

fn definitions_row(server: &ApiServer) -> Option<Arc<Resource>> {
    server.row("apiextensions.k8s.io", "v1", "customresourcedefinitions")
}

/// What the rows of a definition follow from.
fn origin(tree: &Value) -> Value {
    let part = |path: &[&str]| at(tree, path).cloned().unwrap_or_default();
    Value::Array(vec![part(&["spec"]), part(&["status", "acceptedNames"]), rows::is_established(tree).into()])
}

/// What the server does by itself, it does as this.
fn own_identity() -> Identity {
    Identity::user("system:apiserver").group("system:masters")
}

impl ApiServer {
    /// Serves what a definition says, or no longer.
    fn install(&self, definition: &Object, gone: bool) {
        let tree = definition.tree();
        let mut guard = self.0.served.write().unwrap_or_else(PoisonError::into_inner);
        let served = &mut *guard;
        let known = served.definitions.entry(definition.name().to_owned()).or_default();
        if known.revision >= definition.revision() {
            return;
        }
        known.revision = definition.revision();
        known.terminating = definition.is_deleting() && !gone;
        known.names = if gone { Names::default() } else { Names::accepted(&tree) };
        known.group = text(&tree, &["spec", "group"]).to_owned();
        let accepted = rows::condition(&tree, "NamesAccepted");
        known.waits = !gone && accepted.is_none_or(|condition| condition["status"] != "True");
        let origin = origin(&tree);
        if !gone && known.origin.as_ref() == Some(&origin) {
            return;
        }
        known.origin = (!gone).then_some(origin);
        let webhook = at(&tree, &["spec", "conversion", "webhook"])
            .filter(|_| text(&tree, &["spec", "conversion", "strategy"]) == "Webhook");
        known.webhook = webhook.filter(|_| !gone).cloned().map(Arc::new);
        let made = if gone { Ok(Rows::default()) } else { rows::rows(&tree) };
        known.broken = made.as_ref().err().cloned();
        if let Some(why) = &known.broken {
            tracing::warn!(definition = definition.name(), why, "a definition is not served");
        }
        let ended = known.replace(&mut served.scheme, made.unwrap_or_default());
        drop(guard);
        for row in ended {
            self.cached().forget(&row);
        }
    }

    /// A definition that cannot be read: its own resources are not served until it can be.
    fn install_broken(&self, name: &str, revision: Revision, why: String) {
        let mut guard = self.0.served.write().unwrap_or_else(PoisonError::into_inner);
        let served = &mut *guard;
        let known = served.definitions.entry(name.to_owned()).or_default();
        if known.revision >= revision {
            return;
        }
        tracing::warn!(definition = name, why, "a definition cannot be read");
        (known.revision, known.origin, known.broken) = (revision, None, Some(why));
        let ended = known.replace(&mut served.scheme, Rows::default());
        drop(guard);
        for row in ended {
            self.cached().forget(&row);
        }
    }

    /// Takes note of a definition that this server has written, or that it has heard of.
    pub(crate) fn definition_stored(&self, definition: &Object, gone: bool) {
        let before = self.known(definition.name(), |known| known.names.clone());
        self.install(definition, gone);
        if definition.is_deleting() && !gone {
            self.clean_up(definition.name());
        }
        let tree = definition.tree();
        let settled = gone || rows::condition(&tree, "NamesAccepted").is_some();
        let freed = before.is_some_and(|before| gone || before != Names::accepted(&tree));
        if freed || !settled {
            self.settle_group(text(&tree, &["spec", "group"]).to_owned());
        }
    }

    fn known<T>(&self, name: &str, look: impl FnOnce(&Known) -> T) -> Option<T> {
        let served = self.0.served.read().unwrap_or_else(PoisonError::into_inner);
        served.definitions.get(name).map(look)
    }

    /// Alone with the definitions, for as long as the guard is held.
    pub(crate) async fn alone_with_definitions(&self) -> MutexGuard<'_, ()> {
        self.0.naming.lock().await
    }

    /// The names that others than `name` have in a group.
    pub(crate) fn taken_names(&self, group: &str, name: &str) -> Names {
        let served = self.0.served.read().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Names::built_in(&served.scheme, group);
        for (other, known) in &served.definitions {
            if other != name && known.group == group {
                taken.extend(&known.names);
            }
        }
        taken
    }

    /// The row in whose version the objects of this one are stored.
    pub(crate) fn stored_row(&self, row: &Arc<Resource>) -> Arc<Resource> {
        if row.custom.is_none() {
            return row.clone();
        }
        self.known(&row.qualified(), |known| known.stored.clone()).flatten().unwrap_or_else(|| row.clone())
    }

    /// The webhook that converts the objects of a row, as its definition has it.
    pub(crate) fn conversion_webhook(&self, row: &Resource) -> Option<Arc<Value>> {
        self.known(&row.qualified(), |known| known.webhook.clone()).flatten()
    }

    /// Why a resource is not served: because there is none, or its definition cannot be.
    pub(crate) fn unserved(&self, resource: &GroupVersionResource) -> Status {
        let name = format!("{}.{}", resource.resource, resource.group);
        match self.known(&name, |known| known.broken.clone()).flatten() {
            Some(why) => status::internal(format!("error resolving resource: {why}")),
            None => status::no_such_resource(),
        }
    }

    /// Holds back the removal of a definition's objects while one is made; refuses where they are being
    /// removed.
    ///
    /// Source: `forbidCreateAdmission` of `k8s.io/apiextensions-apiserver/pkg/apiserver` (1.36).
    pub(crate) async fn may_create(
        &self,
        row: &Resource,
        name: &str,
    ) -> Result<Option<OwnedRwLockReadGuard<()>>, Status> {
        if row.custom.is_none() {
            return Ok(None);
        }
        let gate = self.known(&row.qualified(), |known| known.gate.clone());
        let Some(gate) = gate else { return Ok(None) };
        let guard = gate.read_owned().await;
        if self.known(&row.qualified(), |known| known.terminating) == Some(true) {
            let why = "create not allowed while custom resource definition is terminating";
            return Err(status::forbidden(&row.group, &row.plural, name, why));
        }
        Ok(Some(guard))
    }

    /// Serves the definitions that exist, and follows those that others write to the same store.
    pub(crate) async fn follow_definitions(&self) -> Result<(), Status> {
        let Some(row) = definitions_row(self) else { return Ok(()) };
        let loaded = self.load_definitions(&row).await;
        let mut loaded = Some(loaded.map_err(|error| super::registry::store_error(&error))?);
        let server = self.downgrade();
        let cached = self.cached().clone();
        self.env().tasks.spawn("definitions", async move {
            loop {
                let query = WatchQuery { from: loaded, ..WatchQuery::default() };
                if loaded.is_some()
                    && let Ok(mut watch) = cached.watch(&row, &query).await
                {
                    while let Some(event) = watch.next().await {
                        let Some(server) = server.upgrade() else { return };
                        match event {
                            Ok(ObjectEvent::Added(object) | ObjectEvent::Modified(object)) => {
                                server.definition_stored(&object, false);
                            }
                            Ok(ObjectEvent::Deleted(object)) => server.definition_stored(&object, true),
                            Ok(ObjectEvent::Bookmark { .. }) => {}
                            Err(_) => break,
                        }
                    }
                }
                // What the watch missed, a look at everything finds.
                let Some(server) = server.upgrade() else { return };
                let clock = server.env().clock.clone();
                loaded = server.load_definitions(&row).await.ok();
                if loaded.is_none() {
                    drop(server);
                    clock.sleep(RETRY).await;
                }
            }
        });
        Ok(())
    }

    /// Serves the definitions that exist now, and no others.
    async fn load_definitions(&self, row: &Arc<Resource>) -> Result<Revision, store::Error> {
        let (revision, definitions, broken) = self.read_definitions(row).await?;
        let known: Vec<String> = {
            let served = self.0.served.read().unwrap_or_else(PoisonError::into_inner);
            served.definitions.keys().cloned().collect()
        };
        for (name, why) in &broken {
            self.install_broken(name, revision, why.clone());
        }
        for name in known {
            let is_there = definitions.iter().any(|definition| definition.name() == name)
                || broken.iter().any(|(other, _)| *other == name);
            if !is_there {
                self.forget_definition(&name, revision);
            }
        }
        for definition in &definitions {
            self.definition_stored(definition, false);
        }
        Ok(revision)
    }

    /// Every definition that can be read, and the names of those that cannot, with why.
    #[allow(clippy::type_complexity, reason = "it is taken apart where it is made")]
    async fn read_definitions(
        &self,
        row: &Arc<Resource>,
    ) -> Result<(Revision, Vec<Object>, Vec<(String, String)>), store::Error> {
        let (mut found, mut broken) = (Vec::new(), Vec::new());
        let mut query = ListQuery::default();
        // Pages are of one revision each; what happens between them is told from here on.
        let revision = self.cached().store().revision().await?;
        loop {
            match self.cached().list(row, &query).await {
                Ok(page) => {
                    found.extend(page.items);
                    query.start = page.next;
                    if query.start.is_none() {
                        return Ok((revision, found, broken));
                    }
                }
                // One after another from here, so that what cannot be read stands alone.
                Err(store::Error::Unreadable { .. }) if query.limit != Some(1) => query.limit = Some(1),
                Err(store::Error::Unreadable { values, more }) => {
                    let Some(value) = values.first() else {
                        return Err(store::Error::Unreadable { values, more });
                    };
                    let name = value.object.name.clone();
                    query.start = Some(format!("{name}\0"));
                    broken.push((name, value.defect.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A definition that is there no longer.
    fn forget_definition(&self, name: &str, revision: Revision) {
        let mut guard = self.0.served.write().unwrap_or_else(PoisonError::into_inner);
        let served = &mut *guard;
        let Some(known) = served.definitions.get_mut(name) else { return };
        if known.revision >= revision {
            return;
        }
        let ended = known.replace(&mut served.scheme, Rows::default());
        *known = Known { revision, ..Known::default() };
        drop(guard);
        for row in ended {
            self.cached().forget(&row);
        }
    }

    /// Gives the names of a group that are free to those that wait for them.
    fn settle_group(&self, group: String) {
        let server = self.downgrade();
        self.env().tasks.spawn("names of definitions", async move {
            let Some(server) = server.upgrade() else { return };
            let _alone = server.alone_with_definitions().await;
            let waiting: Vec<String> = {
                let served = server.0.served.read().unwrap_or_else(PoisonError::into_inner);
                let waits = |known: &Known| known.waits && known.group == group && !known.terminating;
                let waiting = served.definitions.iter().filter(|(_, known)| waits(known));
                waiting.map(|(name, _)| name.clone()).collect()
            };
            for name in waiting {
                match settle_one(&server, &name).await {
                    Ok(()) => {}
                    Err(status) if status.code == 404 => {}
                    Err(status) => {
                        tracing::warn!(
                            definition = name,
                            error = status.message,
                            "its names are not settled"
                        );
                    }
                }
            }
        });
    }
}

async fn settle_one(server: &ApiServer, name: &str) -> Result<(), Status> {
    let Some(definitions) = definitions_row(server) else { return Ok(()) };
    let target = Target::all(&definitions).name(name);
    let identity = own_identity();
    let mut call = Call::new(server, &identity, definitions.clone(), &target);
    let settled = modify(&mut call, false, |call, current| {
        let mut tree = (*current.tree()).clone();
        let taken = server.taken_names(text(&tree, &["spec", "group"]), current.name());
        settle(&mut tree, &taken, &server.env().clock.now_seconds().to_string());
        let object = call.object(tree)?;
        Ok(if object.body() == current.body() { Next::Keep } else { Next::Put(Box::new(object)) })
    });
    settled.await.map(|_| ())
}

impl Known {
    /// Makes these the definition's rows; those that are no longer served, or otherwise.
    fn replace(&mut self, scheme: &mut Arc<Scheme>, rows: Rows) -> Vec<Arc<Resource>> {
        let fresh: Vec<_> = rows.served.iter().map(Resource::gvr).collect();
        let old = std::mem::replace(&mut self.rows, fresh);
        let mut ended: Vec<_> = self.stored.take().into_iter().collect();
        let mut next = Scheme::clone(scheme);
        for gvr in old {
            ended.extend(next.resource(&gvr).cloned());
            next = next.without(&gvr);
        }
        for row in rows.served {
            next = next.with(row);
        }
        // The row that is served, where it is.
        self.stored = rows.stored.map(|row| {
            let served = next.resource(&row.gvr()).cloned();
            served.unwrap_or_else(|| Arc::new(row))
        });
        *scheme = Arc::new(next);
        ended
    }
}
