//! Managed fields on every write: who writes, which fields that makes theirs, and what applying does.
//!
//! The rules are pure and stand in [`api::managed`](crate::api::managed). Here is what a request adds: its
//! caller's name, the time, the version that it speaks, and which fields its path can write at all.
//! Order is Kubernetes': owners are worked out when a tree has its defaults, before admission and the
//! kind's strategy change it, so that nobody owns what these fill in.
//!
//! Sources: `handlers/create.go`, `update.go`, `patch.go` and `handlers/fieldmanager` of
//! `k8s.io/apiserver/pkg/endpoints` (1.36).

mod reset_fields;
mod served;

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use self::served::Served;
use super::ApiServer;
use super::registry::Call;
use super::tree::{at, metadata_mut};
use crate::api::managed::{Applied, Error, FieldManager, ManagedFields, OneVersion, Replicas, Schema};
use crate::api::{Resource, Status};
use crate::client::{Identity, WriteOptions};

/// The name under which the server itself writes.
pub(crate) const SERVER: &str = "kube-apiserver";

/// The longest name of a manager, in bytes.
const LONGEST_NAME: usize = 128;

const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// What a request does to the owners of objects of one kind.
pub(crate) struct Owners {
    versions: Served,
    subresource: String,
    who: String,
    now: Timestamp,
}

impl Owners {
    /// For the requests of this call.
    pub(crate) fn of(call: &Call<'_>, options: &WriteOptions) -> Self {
        Self {
            versions: Served::of(&call.server.scheme(), &call.asked, &call.row),
            subresource: call.target.subresource.clone().unwrap_or_default(),
            who: manager(options, call.identity),
            now: call.server.env().clock.now_seconds(),
        }
    }

    /// For what the server writes to objects of this row of its own accord.
    pub(crate) fn server(server: &ApiServer, row: &Arc<Resource>, subresource: &str) -> Self {
        Self {
            versions: Served::of(&server.scheme(), row, row),
            subresource: subresource.to_owned(),
            who: SERVER.to_owned(),
            now: server.env().clock.now_seconds(),
        }
    }

    /// Puts the owners of a new object into it; what the object says of them itself counts.
    pub(crate) fn create(&self, tree: &mut Value) {
        self.update(&Value::Null, tree);
    }

    /// Puts the owners of an object that is to be changed into it. Both trees are in the stored version.
    pub(crate) fn update(&self, live: &Value, new: &mut Value) {
        let before = ManagedFields::for_update(live, new, &self.subresource);
        let worked_out = self.manager(|manager| {
            let (live, new) = (self.versions.asked(live), self.versions.asked(new));
            manager.update(&live, &new, &before, &self.who, self.now)
        });
        worked_out.unwrap_or_else(|error| without(&error)).put(new);
    }

    /// What applying a configuration makes of an object: a tree of the version that was asked for, without
    /// defaults, and its owners. `live` is in the stored version, or null where there is no object.
    pub(crate) fn apply(&self, live: &Value, config: &Value, force: bool) -> Result<Applied, Status> {
        let before = ManagedFields::decode(at(live, &["metadata", "managedFields"]))
            .map_err(|why| Error::Failed(format!("failed to decode managed fields: {why}")).status())?;
        let nothing;
        let live = match live {
            Value::Null => {
                nothing = self.versions.nothing();
                Cow::Borrowed(&nothing)
            }
            live => self.versions.asked(live),
        };
        self.manager(|manager| manager.apply(&live, config, &before, &self.who, force, self.now))
            .map_err(|error| error.status())
    }

    fn manager<R>(&self, work: impl FnOnce(FieldManager<'_>) -> R) -> R {
        let asked = self.versions.asked_row();
        let api_version = asked.api_version();
        let mut manager =
            FieldManager::new(&self.versions, &api_version, &asked.kind).subresource(&self.subresource);
        for row in self.versions.rows() {
            if let Some(filter) = reset_fields::filter(row, &self.subresource) {
                manager = manager.filter(row.api_version(), filter);
            }
        }
        work(manager)
    }
}

/// What a request does to the owners of an object whose Scale it writes.
pub(crate) struct ScaleOwners {
    versions: OneVersion,
    replicas: Replicas,
    /// The version of the object that was asked for.
    api_version: String,
    who: String,
    now: Timestamp,
}

impl ScaleOwners {
    /// For the requests of this call, to an object whose versions keep their replicas so.
    pub(crate) fn of(call: &Call<'_>, options: &WriteOptions, replicas: Replicas) -> Self {
        Self {
            versions: OneVersion::new("autoscaling/v1", Schema::named(SCALE).unwrap_or_else(Schema::deduced)),
            replicas,
            api_version: call.asked.api_version(),
            who: manager(options, call.identity),
            now: call.server.env().clock.now_seconds(),
        }
    }

    /// The managed fields of an object whose Scale was `old` and is to be `new`.
    pub(crate) fn update(&self, object: &Value, old: &Value, new: &Value) -> ManagedFields {
        let (owners, scale) = self.scale(object);
        let scale = self
            .manager()
            .update(old, new, &scale, &self.who, self.now)
            .unwrap_or_else(|error| without(&error));
        self.replicas.to_object(&owners, &scale, &self.api_version)
    }

    /// What applying a Scale makes of that of an object, and the managed fields of the object then.
    pub(crate) fn apply(
        &self,
        object: &Value,
        old: &Value,
        config: &Value,
        force: bool,
    ) -> Result<Applied, Status> {
        let (owners, scale) = self.scale(object);
        let applied = self
            .manager()
            .apply(old, config, &scale, &self.who, force, self.now)
            .map_err(|error| error.status())?;
        let managed = self.replicas.to_object(&owners, &applied.managed, &self.api_version);
        Ok(Applied { tree: applied.tree, managed })
    }

    fn scale(&self, object: &Value) -> (ManagedFields, ManagedFields) {
        let owners = ManagedFields::decode(at(object, &["metadata", "managedFields"])).unwrap_or_default();
        let scale = self.replicas.to_scale(&owners);
        (owners, scale)
    }

    fn manager(&self) -> FieldManager<'_> {
        FieldManager::new(&self.versions, "autoscaling/v1", "Scale").subresource("scale")
    }
}

/// The rows in which the objects of a call are served.
pub(crate) fn versions(call: &Call<'_>) -> Vec<Arc<Resource>> {
    Served::of(&call.server.scheme(), &call.asked, &call.row).rows().cloned().collect()
}

/// Who manages the fields that a request writes: whom it names, or the program that sent it.
///
/// Source: `managerOrUserAgent` of `k8s.io/apiserver/pkg/endpoints/handlers` (1.36).
fn manager(options: &WriteOptions, identity: &Identity) -> String {
    if let Some(manager) = options.field_manager.as_deref().filter(|manager| !manager.is_empty()) {
        return manager.to_owned();
    }
    let mut name = String::new();
    let program = identity.agent.split('/').next().unwrap_or_default();
    for letter in program.chars().filter(|letter| !letter.is_control()) {
        if name.len() + letter.len_utf8() > LONGEST_NAME {
            break;
        }
        name.push(letter);
    }
    name
}

/// An object whose owners cannot be told has none, and is written all the same.
fn without(error: &Error) -> ManagedFields {
    tracing::warn!(%error, "failed to update managedFields");
    ManagedFields::new()
}

/// Takes the times of the old owners, where nothing but such times differs between two trees: then the write
/// is none.
///
/// Source: `IgnoreManagedFieldsTimestampsTransformer` of `k8s.io/apiserver/pkg/endpoints/handlers/fieldmanager`
/// (1.36).
pub(crate) fn keep_times(new: &mut Value, old: &Value) {
    const PATH: [&str; 2] = ["metadata", "managedFields"];
    let (Some(mine), Some(theirs)) = (at(new, &PATH), at(old, &PATH)) else { return };
    if mine == theirs || !same_but_for_owners(new, old) {
        return;
    }
    if let (Ok(mine), Ok(before)) = (ManagedFields::decode(Some(mine)), ManagedFields::decode(Some(theirs)))
        && mine.with_times_of(&before) == before
    {
        metadata_mut(new).insert("managedFields".into(), theirs.clone());
    }
}

fn same_but_for_owners(new: &Value, old: &Value) -> bool {
    let metadata = |tree| at(tree, &["metadata"]).and_then(Value::as_object);
    let counts = |name: &str| !matches!(name, "managedFields" | "resourceVersion");
    same_but(new.as_object(), old.as_object(), |name| name != "metadata")
        && same_but(metadata(new), metadata(old), counts)
}

/// Whether the entries that count are the same.
fn same_but(
    one: Option<&Map<String, Value>>,
    other: Option<&Map<String, Value>>,
    counts: impl Fn(&str) -> bool,
) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    let of = |map: &Map<String, Value>| map.keys().filter(|name| counts(name)).count();
    of(one) == of(other)
        && one.iter().filter(|(name, _)| counts(name)).all(|(name, value)| other.get(name) == Some(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_program_is_called_what_stands_before_the_first_slash() {
        let of = |agent: &str| manager(&WriteOptions::default(), &Identity::user("u").agent(agent));
        assert_eq!(of("kubectl/v1.37.0 (linux/amd64) kubernetes/abc"), "kubectl");
        assert_eq!(of("curl"), "curl");
        assert_eq!(of("a\u{7}b\n/1"), "ab");
        assert_eq!(of(""), "");
        assert_eq!(of(&"é".repeat(100)), "é".repeat(64));
        assert_eq!(of(&format!("a{}", "é".repeat(100))).len(), 127);
        let named = WriteOptions { field_manager: Some("me".into()), ..WriteOptions::default() };
        assert_eq!(manager(&named, &Identity::user("u").agent("curl/1")), "me");
    }

    #[test]
    fn times_alone_are_no_change() {
        let object = |time: &str, field: &str, data: &str| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "managedFields": [
                {"manager": "a", "operation": "Update", "apiVersion": "v1", "time": time,
                    "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {field: {}}}}]}, "data": {"k": data}})
        };
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
        let old = object(early, "f:k", "v");
        let kept = |mut new: Value| {
            keep_times(&mut new, &old);
            new
        };
        assert_eq!(kept(object(late, "f:k", "v")), old);
        for other in [object(late, "f:l", "v"), object(late, "f:k", "w")] {
            assert_eq!(kept(other.clone()), other);
        }
        let mut revised = old.clone();
        revised["metadata"]["resourceVersion"] = "7".into();
        let mut new = object(late, "f:k", "v");
        keep_times(&mut new, &revised);
        assert_eq!(new, old);
    }
}
