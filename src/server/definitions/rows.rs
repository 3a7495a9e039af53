//! From a definition to rows of the scheme.

use std::sync::Arc;

use serde_json::Value;

use crate::api::structural::Version;
use crate::api::{
    Column, ColumnValue, Deprecation, GroupVersionKind, Resource, Scope, SelectableField, Subresource,
};
use crate::server::tree::{at, text, texts};

/// The rows that a definition makes.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Those of the versions that are served.
    pub(super) served: Vec<Resource>,
    /// The one of the version in which objects are stored, served or not.
    pub(super) stored: Option<Resource>,
}

/// The rows that a definition makes: none until its names are accepted.
///
/// Fails where a version of the definition cannot be served, with why: then none is.
pub(super) fn rows(tree: &Value) -> Result<Rows, String> {
    let mut rows = Rows::default();
    if !is_established(tree) {
        return Ok(rows);
    }
    let versions = at(tree, &["spec", "versions"]).and_then(Value::as_array).into_iter().flatten();
    for version in versions {
        let name = text(version, &["name"]);
        let known = Version::of(tree, name).map_err(|error| format!("version {name:?}: {error}"))?;
        let row = row(tree, version, known);
        if version["storage"] == true {
            rows.stored = Some(row.clone());
        }
        if version["served"] == true {
            rows.served.push(row);
        }
    }
    if rows.stored.is_none() {
        return Err("there is no storage version".to_owned());
    }
    Ok(rows)
}

pub(super) fn is_established(tree: &Value) -> bool {
    condition(tree, "Established").is_some_and(|condition| condition["status"] == "True")
}

pub(super) fn condition<'a>(tree: &'a Value, kind: &str) -> Option<&'a Value> {
    let list = at(tree, &["status", "conditions"])?.as_array()?;
    list.iter().find(|condition| condition["type"] == kind)
}

fn row(tree: &Value, version: &Value, known: Version) -> Resource {
    let own = |path: &[&str]| text(tree, path).to_owned();
    let accepted = |field: &str| {
        let texts = texts(tree, &["status", "acceptedNames", field]);
        texts.into_iter().map(|text| text.to_owned().into()).collect()
    };
    let group = own(&["spec", "group"]);
    let scope = if text(tree, &["spec", "scope"]) == "Cluster" { Scope::Cluster } else { Scope::Namespaced };
    let name = text(version, &["name"]).to_owned();
    let kind = own(&["spec", "names", "kind"]);
    let plural = own(&["spec", "names", "plural"]);
    let mut row = Resource::new(group.clone(), name.clone(), kind.clone(), plural.clone(), scope);
    row.storage = format!("{group}/{plural}").into();
    row.singular = own(&["status", "acceptedNames", "singular"]).into();
    row.short_names = accepted("shortNames");
    row.categories = accepted("categories");
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
    row.columns = columns.map(column).collect();
    let fields = at(version, &["selectableFields"]).and_then(Value::as_array).into_iter().flatten();
    row.selectable = fields
        .map(|field| SelectableField::new(text(field, &["jsonPath"]).trim_start_matches('.').to_owned()))
        .collect();
    let told = |warning: &String| Deprecation { warning: warning.clone().into(), removed_release: "".into() };
    row.deprecation = known.deprecation.as_ref().map(told);
    row.custom = Some(Arc::new(known));
    row
}

fn column(column: &Value) -> Column {
    let own = |field: &str| text(column, &[field]).to_owned();
    let path = own("jsonPath");
    let described = match own("description") {
        text if text.is_empty() => {
            format!("Custom resource definition column (in JSONPath format): {path}")
        }
        text => text,
    };
    Column {
        name: own("name").into(),
        kind: own("type").into(),
        format: own("format").into(),
        description: described.into(),
        priority: column["priority"].as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or(0),
        value: ColumnValue::Path(path.into()),
    }
}
