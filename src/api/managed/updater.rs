//! What a write does to the owners of an object's fields.
//!
//! Who changes a field takes it from all others; who applies a value that is there already shares it; and
//! who no longer applies a field gives it up, so that it goes if nobody else owns it. Follows
//! structured-merge-diff 6 (`merge/update.go`).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::compare::Comparison;
use super::conflict::Conflicts;
use super::entries::{Manager, Owned};
use super::error::Error;
use super::filter::Filter;
use super::schema::Schema;
use super::set::FieldSet;
use super::value;
use super::versions::Versions;

pub(super) type Owners = BTreeMap<Manager, Owned>;

/// The rules, for objects of one kind that are written in one version.
#[derive(Clone, Copy)]
pub(super) struct Updater<'a> {
    pub(super) versions: &'a dyn Versions,
    pub(super) api_version: &'a str,
    pub(super) filters: &'a BTreeMap<String, Filter>,
}

/// What a write does to the fields of an object, in one version.
struct Changes {
    /// What it changes or adds.
    changed: FieldSet,
    removed: FieldSet,
}

/// What an apply did.
pub(super) struct Outcome {
    /// The new object; none where it is as it was.
    pub(super) tree: Option<Value>,
    pub(super) owners: Owners,
}

pub(super) fn failed(what: &str) -> impl Fn(String) -> Error + '_ {
    move |why| Error::Failed(format!("{what}: {why}"))
}

impl<'a> Updater<'a> {
    /// The owners after a write, and what the writer changed or added. The writer itself is none of the
    /// owners here: what it owned before is taken from it too, to be given back by the caller.
    pub(super) fn update(
        &self,
        live: &Value,
        new: &Value,
        owners: &Owners,
    ) -> Result<(Owners, FieldSet), Error> {
        let mut owners = self.adapted(owners);
        let changed = self.settle(live, new, &mut owners, None, true)?;
        Ok((owners, self.filtered(changed)))
    }

    /// Merges a configuration into the live object.
    pub(super) fn apply(
        &self,
        live: &Value,
        config: &Value,
        owners: &Owners,
        manager: &Manager,
        force: bool,
    ) -> Result<Outcome, Error> {
        let schema = self.schema()?;
        let mut owners = self.adapted(owners);
        let merged = schema
            .merge(live, config)
            .map_err(|error| failed("failed to merge config")(error.to_string()))?;
        let fields =
            schema.fields(config).map_err(|error| failed("failed to get field set")(error.to_string()))?;
        let last = owners.remove(manager);
        let owned = Owned {
            api_version: self.api_version.to_owned(),
            fields: self.filtered(fields),
            time: last.as_ref().and_then(|last| last.time),
        };
        owners.insert(manager.clone(), owned);
        let new = match last.filter(|last| !last.fields.is_empty()) {
            None => merged,
            Some(last) => self
                .prune(merged, &owners, &last)
                .map_err(|error| failed("failed to prune fields")(error.to_string()))?,
        };
        self.settle(live, &new, &mut owners, Some(manager), force)?;
        Ok(Outcome { tree: (!value::equal(live, &new)).then_some(new), owners })
    }

    /// Takes from each owner but the writer what the write changes, and tells what that is. Without force,
    /// it is a conflict.
    fn settle(
        &self,
        live: &Value,
        new: &Value,
        owners: &mut Owners,
        writer: Option<&Manager>,
        force: bool,
    ) -> Result<FieldSet, Error> {
        let first = self.changes(self.schema()?, self.api_version, live, new)?;
        let mut changes = BTreeMap::from([(self.api_version.to_owned(), first)]);
        let mut conflicts: BTreeMap<Manager, FieldSet> = BTreeMap::new();
        let others: Vec<Manager> =
            owners.keys().filter(|manager| Some(*manager) != writer).cloned().collect();
        for manager in others {
            let version = owners[&manager].api_version.clone();
            if !changes.contains_key(&version) {
                let convert = |tree| self.converted(tree, self.api_version, &version);
                let found = match (self.versions.schema(&version), convert(live)?, convert(new)?) {
                    (Some(schema), Some(live), Some(new)) => self.changes(schema, &version, &live, &new)?,
                    // Nobody can say any more what such an entry means.
                    _ => {
                        owners.remove(&manager);
                        continue;
                    }
                };
                changes.insert(version.clone(), found);
            }
            let taken = owners[&manager].fields.intersection(&changes[&version].changed);
            if !taken.is_empty() {
                conflicts.insert(manager, taken);
            }
        }
        if !force && !conflicts.is_empty() {
            return Err(Error::Conflict(Conflicts::new(
                conflicts.iter().map(|(manager, fields)| (manager, fields.clone())),
            )));
        }
        for (manager, owned) in owners.iter_mut().filter(|(manager, _)| Some(*manager) != writer) {
            if let Some(taken) = conflicts.get(manager) {
                owned.fields.subtract(taken);
            }
            if let Some(changes) = changes.get(&owned.api_version) {
                owned.fields.subtract(&changes.removed);
            }
        }
        owners.retain(|_, owned| !owned.fields.is_empty());
        Ok(changes.remove(self.api_version).map(|changes| changes.changed).unwrap_or_default())
    }

    /// Removes what the writer applied last and does not apply now, unless somebody else owns it.
    fn prune(&self, merged: Value, owners: &Owners, last: &Owned) -> Result<Value, Error> {
        let version = last.api_version.as_str();
        let Some(schema) = self.versions.schema(version) else { return Ok(merged) };
        let Some(merged) = self.converted(&merged, self.api_version, version)? else { return Ok(merged) };
        let last = schema.with_named_fields(&last.fields);
        let pruned = schema.remove(&merged, &last);
        let (pruned, at) = self.add_back_owned(&merged, pruned, version, owners)?;
        let pruned = match self.converted(&pruned, at, version)? {
            Some(pruned) => pruned.into_owned(),
            None => return Ok(merged.into_owned()),
        };
        // What goes was owned by the writer and is not owned by nobody.
        let gone = named(schema, &merged)?.difference(&named(schema, &pruned)?);
        let kept = schema.remove(&merged, &gone.intersection(&last));
        match self.converted(&kept, version, self.api_version)? {
            Some(kept) => Ok(kept.into_owned()),
            None => Err(Error::Failed(format!("no corresponding type for {}", self.api_version))),
        }
    }

    /// Adds back what was removed although somebody owns it, the writer's new configuration included.
    /// The answer is in the version that it names.
    fn add_back_owned<'v>(
        &self,
        merged: &Value,
        pruned: Value,
        version: &'v str,
        owners: &'v Owners,
    ) -> Result<(Value, &'v str), Error> {
        let mut managed: BTreeMap<&str, FieldSet> = BTreeMap::new();
        for owned in owners.values() {
            let fields = managed.entry(&owned.api_version).or_default();
            *fields = fields.union(&owned.fields);
        }
        // The version at hand first: what is missing there may be needed to convert.
        let mut versions: Vec<_> = managed.into_iter().collect();
        versions.sort_by_key(|(other, _)| *other != version);
        let (mut merged, mut pruned, mut at) = (Cow::Borrowed(merged), pruned, version);
        for (version, managed) in versions {
            let Some(schema) = self.versions.schema(version) else { continue };
            let (Some(whole), Some(part)) =
                (self.converted(&merged, at, version)?, self.converted(&pruned, at, version)?)
            else {
                continue;
            };
            let kept = named(schema, &part)?.union(&schema.with_named_fields(&managed));
            let removed = named(schema, &whole)?.difference(&kept);
            pruned = schema.remove(&whole, &removed);
            merged = Cow::Owned(whole.into_owned());
            at = version;
        }
        Ok((pruned, at))
    }

    /// The owners' fields as the types of today have them. Entries of versions that are gone are gone.
    fn adapted(&self, owners: &Owners) -> Owners {
        let adapted = |(manager, owned): (&Manager, &Owned)| {
            let schema = self.versions.schema(&owned.api_version)?;
            let mut owned = owned.clone();
            schema.adapt_to(&mut owned.fields);
            Some((manager.clone(), owned))
        };
        owners.iter().filter_map(adapted).collect()
    }

    fn schema(&self) -> Result<&'a Schema, Error> {
        self.versions
            .schema(self.api_version)
            .ok_or_else(|| Error::Failed(format!("no corresponding type for {}", self.api_version)))
    }

    /// A tree in another version; none where that is not served.
    fn converted<'t>(&self, tree: &'t Value, from: &str, to: &str) -> Result<Option<Cow<'t, Value>>, Error> {
        if from == to {
            return Ok(Some(Cow::Borrowed(tree)));
        }
        if self.versions.schema(to).is_none() {
            return Ok(None);
        }
        let converted = self.versions.convert(tree, from, to);
        converted.map(|tree| Some(Cow::Owned(tree))).map_err(failed("failed to convert object"))
    }

    fn changes(&self, schema: &Schema, version: &str, live: &Value, new: &Value) -> Result<Changes, Error> {
        let Comparison { removed, modified, added } = schema
            .compare(live, new)
            .map_err(|error| failed("failed to compare objects")(error.to_string()))?
            .filtered(self.filters.get(version));
        Ok(Changes { changed: modified.joined(added), removed })
    }

    fn filtered(&self, fields: FieldSet) -> FieldSet {
        match self.filters.get(self.api_version) {
            Some(filter) => filter.keep(fields),
            None => fields,
        }
    }
}

/// The fields of a tree, with the named fields above them.
fn named(schema: &Schema, tree: &Value) -> Result<FieldSet, Error> {
    let fields =
        schema.fields(tree).map_err(|error| failed("failed to create field set")(error.to_string()))?;
    Ok(schema.with_named_fields(&fields))
}
