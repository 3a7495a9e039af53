//! CustomResourceDefinitions: each makes rows, and takes them along with its objects when it goes.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;

use super::registry::{Call, Next, Paths, delete_object, modify, store_error};
use super::tree::{at, finalizers, map_mut, set_finalizers, text, texts};
use super::{ApiServer, convert};
use crate::api::{
    Column, ColumnValue, GroupVersionKind, Object, ObjectKey, Resource, Revision, Scheme, Scope,
    SelectableField, Status, Subresource,
};
use crate::client::{DeleteOptions, Identity, Target};
use crate::store;
use crate::store::cached::{ListQuery, ObjectEvent, WatchQuery};

/// What holds a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// How long after a failure the definitions are looked at again.
const RETRY: Duration = Duration::from_secs(1);

/// The rows that a definition makes: none until its names are accepted.
pub(crate) fn rows(tree: &Value) -> Vec<Resource> {
    let established = at(tree, &["status", "conditions"]).and_then(Value::as_array).is_some_and(|list| {
        list.iter().any(|condition| condition["type"] == "Established" && condition["status"] == "True")
    });
    if !established {
        return Vec::new();
    }
    let versions = at(tree, &["spec", "versions"]).and_then(Value::as_array).into_iter().flatten();
    versions.filter(|version| version["served"] == true).map(|version| row(tree, version)).collect()
}

fn row(tree: &Value, version: &Value) -> Resource {
    let own = |path: &[&str]| text(tree, path).to_owned();
    let list = |path: &[&str]| texts(tree, path).into_iter().map(|text| text.to_owned().into()).collect();
    let group = own(&["spec", "group"]);
    let scope = if text(tree, &["spec", "scope"]) == "Cluster" { Scope::Cluster } else { Scope::Namespaced };
    let name = text(version, &["name"]).to_owned();
    let kind = own(&["spec", "names", "kind"]);
    let plural = own(&["spec", "names", "plural"]);
    let mut row = Resource::new(group.clone(), name.clone(), kind.clone(), plural.clone(), scope);
    row.storage = format!("{group}/{plural}").into();
    row.singular = own(&["spec", "names", "singular"]).into();
    row.short_names = list(&["spec", "names", "shortNames"]);
    row.categories = list(&["spec", "names", "categories"]);
    let verbs = || ["get", "patch", "update"].map(Into::into).into();
    if at(version, &["subresources", "status"]).is_some() {
        let kind = GroupVersionKind::gvk(&group, &name, &kind);
        row.subresources.push(Subresource { name: "status".into(), kind, verbs: verbs() });
    }
    if at(version, &["subresources", "scale"]).is_some() {
        let kind = GroupVersionKind::gvk("autoscaling", "v1", "Scale");
        row.subresources.push(Subresource { name: "scale".into(), kind, verbs: verbs() });
    }
    let columns = at(version, &["additionalPrinterColumns"]).and_then(Value::as_array).into_iter().flatten();
    row.columns = columns
        .map(|column| {
            let own = |field: &str| text(column, &[field]).to_owned();
            Column {
                name: own("name").into(),
                kind: own("type").into(),
                format: own("format").into(),
                description: own("description").into(),
                priority: column["priority"]
                    .as_i64()
                    .and_then(|number| i32::try_from(number).ok())
                    .unwrap_or(0),
                value: ColumnValue::Path(own("jsonPath").into()),
            }
        })
        .collect();
    let fields = at(version, &["selectableFields"]).and_then(Value::as_array).into_iter().flatten();
    row.selectable = fields
        .map(|field| SelectableField::new(text(field, &["jsonPath"]).trim_start_matches('.').to_owned()))
        .collect();
    row
}

/// Where a custom resource keeps its replicas.
pub(crate) async fn scale_paths(server: &ApiServer, row: &Resource) -> Result<Option<Paths>, Status> {
    let Some(definition) = find(server, row).await? else { return Ok(None) };
    let tree = definition.tree();
    let versions = at(&tree, &["spec", "versions"]).and_then(Value::as_array).into_iter().flatten();
    let mut scales = versions.filter(|version| version["name"] == *row.version);
    let Some(scale) = scales.next().and_then(|version| at(version, &["subresources", "scale"])) else {
        return Ok(None);
    };
    let path = |field: &str| text(scale, &[field]).trim_start_matches('.').to_owned();
    Ok(Some(Paths {
        spec: path("specReplicasPath"),
        status: path("statusReplicasPath"),
        selector: Some(path("labelSelectorPath")).filter(|path| !path.is_empty()),
    }))
}

async fn find(server: &ApiServer, row: &Resource) -> Result<Option<Object>, Status> {
    let Some(definitions) = definitions_row(server) else { return Ok(None) };
    let key = ObjectKey::new("", row.qualified());
    server.cached().get(&definitions, &key).await.map_err(|error| store_error(&error))
}

fn definitions_row(server: &ApiServer) -> Option<Arc<Resource>> {
    server.row("apiextensions.k8s.io", "v1", "customresourcedefinitions")
}

pub(crate) fn is_definition(row: &Resource) -> bool {
    row.group == "apiextensions.k8s.io" && row.kind == "CustomResourceDefinition"
}

impl ApiServer {
    /// Serves what a definition says, or no longer.
    pub(crate) fn install(&self, definition: &Object, gone: bool) {
        let fresh = if gone { Vec::new() } else { rows(&definition.tree()) };
        self.replace_rows(definition.name(), definition.revision(), definition.is_deleting() && !gone, fresh);
    }

    /// Makes these the rows of a definition; what is older than what is known changes nothing.
    fn replace_rows(&self, name: &str, revision: Revision, terminating: bool, fresh: Vec<Resource>) {
        let mut guard = self.0.served.write().unwrap_or_else(PoisonError::into_inner);
        let served = &mut *guard;
        let known = served.definitions.entry(name.to_owned()).or_default();
        if known.revision >= revision {
            return;
        }
        let wanted: Vec<_> = fresh.iter().map(Resource::gvr).collect();
        let old = std::mem::replace(&mut known.rows, wanted);
        known.revision = revision;
        known.terminating = terminating;
        let mut scheme: Scheme = (*served.scheme).clone();
        let mut ended = Vec::new();
        for gvr in old {
            if !known.rows.contains(&gvr) {
                ended.extend(scheme.resource(&gvr).cloned());
            }
            scheme = scheme.without(&gvr);
        }
        for row in fresh {
            scheme = scheme.with(row);
        }
        served.scheme = Arc::new(scheme);
        drop(guard);
        for row in ended {
            self.cached().forget(&row);
        }
    }

    /// Takes note of a definition that this server has written.
    pub(crate) fn definition_stored(&self, definition: &Object, gone: bool) {
        self.install(definition, gone);
        if definition.is_deleting() && !gone {
            self.clean_up(definition.name().to_owned());
        }
    }

    /// Whether the definition of a custom resource is going.
    pub(crate) fn is_terminating(&self, row: &Resource) -> bool {
        let served = self.0.served.read().unwrap_or_else(PoisonError::into_inner);
        row.schema.is_none()
            && served.definitions.get(&row.qualified()).is_some_and(|known| known.terminating)
    }

    /// Serves the definitions that exist, and follows those that others write to the same store.
    pub(crate) async fn follow_definitions(&self) -> Result<(), Status> {
        let Some(row) = definitions_row(self) else { return Ok(()) };
        let mut loaded = match self.load_definitions(&row).await {
            // One that cannot be read keeps all from being served until it is repaired, and nothing else.
            Err(store::Error::Unreadable { .. }) => None,
            loaded => Some(loaded.map_err(|error| store_error(&error))?),
        };
        let server = self.downgrade();
        let cached = self.cached().clone();
        self.env().tasks.spawn("definitions", async move {
            loop {
                let query = WatchQuery { from: loaded, ..WatchQuery::default() };
                if loaded.is_some()
                    && let Ok(mut watch) = cached.watch(&row, &query).await
                {
                    while let Some(Ok(event)) = watch.next().await {
                        let Some(server) = server.upgrade() else { return };
                        match event {
                            ObjectEvent::Added(object) | ObjectEvent::Modified(object) => {
                                server.install(&object, false);
                            }
                            ObjectEvent::Deleted(object) => server.install(&object, true),
                            ObjectEvent::Bookmark { .. } => {}
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
        let page = self.cached().list(row, &ListQuery::default()).await?;
        let known: Vec<String> = {
            let served = self.0.served.read().unwrap_or_else(PoisonError::into_inner);
            served.definitions.keys().cloned().collect()
        };
        for name in known {
            if !page.items.iter().any(|definition| definition.name() == name) {
                self.replace_rows(&name, page.revision, false, Vec::new());
            }
        }
        for definition in &page.items {
            self.definition_stored(definition, false);
        }
        Ok(page.revision)
    }

    /// Deletes the objects of a definition that is going, and lets it go when none is left.
    pub(crate) fn clean_up(&self, name: String) {
        let server = self.downgrade();
        self.env().tasks.spawn("custom resource cleanup", async move {
            let Some(server) = server.upgrade() else { return };
            if let Err(status) = remove_all(&server, &name).await {
                tracing::warn!(definition = name, error = status.message, "objects are left");
            }
        });
    }
}

/// Deletes every object of a definition, waits until finalizers have let them go, and takes the
/// definition's own finalizer away.
async fn remove_all(server: &ApiServer, name: &str) -> Result<(), Status> {
    let Some(definitions) = definitions_row(server) else { return Ok(()) };
    let key = ObjectKey::new("", name);
    let found = server.cached().get(&definitions, &key).await.map_err(|error| store_error(&error))?;
    let Some(definition) = found else { return Ok(()) };
    let admin = Identity::user("system:apiserver").group("system:masters");
    let tree = definition.tree();
    if let Some(version) = tree["spec"]["versions"].get(0) {
        let row = convert::stored(&server.scheme(), &Arc::new(row(&tree, version)));
        let page =
            server.cached().list(&row, &ListQuery::default()).await.map_err(|error| store_error(&error))?;
        let mut left = page.items.len();
        let query = WatchQuery { from: Some(page.revision), ..WatchQuery::default() };
        let mut watch = server.cached().watch(&row, &query).await.map_err(|error| store_error(&error))?;
        for item in &page.items {
            let target = Target::all(&row).namespace(item.key().namespace.clone()).name(item.name());
            let mut call = Call::new(server, &admin, row.clone(), &target);
            match delete_object(&mut call, &DeleteOptions::default()).await {
                Ok(_) => {}
                Err(status) if status.code == 404 => {}
                Err(status) => return Err(status),
            }
        }
        while left > 0 {
            match watch.next().await {
                Some(Ok(ObjectEvent::Deleted(_))) => left -= 1,
                Some(Ok(ObjectEvent::Added(_))) => left += 1,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(store_error(&error)),
                None => break,
            }
        }
    }
    let target = Target::all(&definitions).name(name);
    let mut call = Call::new(server, &admin, definitions.clone(), &target);
    let done = modify(&mut call, false, |call, current| {
        let mut tree = (*current.tree()).clone();
        let kept: Vec<String> =
            finalizers(&tree).into_iter().filter(|own| *own != CLEANUP).map(str::to_owned).collect();
        let last = kept.is_empty();
        set_finalizers(&mut tree, kept);
        let object = Box::new(call.object(tree)?);
        Ok(if last { Next::Finish(object) } else { Next::Put(object) })
    });
    match done.await {
        Ok(_) => Ok(()),
        Err(status) if status.code == 404 => Ok(()),
        Err(status) => Err(status),
    }
}

/// A definition that is to be deleted: it waits for its objects.
pub(crate) fn mark_terminating(tree: &mut Value, now: &str) {
    let mut held: Vec<String> = finalizers(tree).into_iter().map(str::to_owned).collect();
    if !held.iter().any(|own| own == CLEANUP) {
        held.push(CLEANUP.into());
    }
    set_finalizers(tree, held);
    let status = map_mut(tree, "status");
    let list = status.entry("conditions").or_insert_with(|| Value::Array(Vec::new()));
    if let Some(list) = list.as_array_mut() {
        list.retain(|condition| condition["type"] != "Terminating");
        list.push(serde_json::json!({
            "type": "Terminating",
            "status": "True",
            "reason": "InstanceDeletionPending",
            "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
            "lastTransitionTime": now,
        }));
    }
}

/// What is known of a definition: as of when, and its rows.
#[derive(Debug, Default)]
pub(crate) struct Known {
    revision: Revision,
    terminating: bool,
    rows: Vec<crate::api::GroupVersionResource>,
}
