//! Who may be called what, and what a definition's conditions say of it.
//!
//! In Kubernetes five controllers write the status of a definition, one after another. Here it is worked out
//! with the write that it follows from, one definition at a time, so that a definition is served at once and
//! two never get the same name; and again for those that wait for a name, once it is free.
//!
//! Sources: `pkg/controller/{status,establish,nonstructuralschema,apiapproval}` of
//! `k8s.io/apiextensions-apiserver` (1.36).

use serde_json::{Map, Value, json};

use super::rows::condition;
use crate::api::field::Path;
use crate::api::validation::definition::{Approval, approval, is_ca_bundle};
use crate::api::{Scheme, structural};
use crate::server::tree::{at, map_mut, text, texts};

/// The names that the definitions of a group have been given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Plural, singular and short names, which are looked for together.
    resources: Vec<String>,
    /// Kind, and kind of lists.
    kinds: Vec<String>,
}

impl Names {
    /// Those that a definition has been given.
    pub(super) fn accepted(tree: &Value) -> Self {
        let own = |field: &str| text(tree, &["status", "acceptedNames", field]).to_owned();
        let short = texts(tree, &["status", "acceptedNames", "shortNames"]);
        let resources = [own("plural"), own("singular")];
        Self {
            resources: resources.into_iter().chain(short.into_iter().map(str::to_owned)).collect(),
            kinds: vec![own("kind"), own("listKind")],
        }
    }

    /// Those of the built-in resources of a group.
    pub(crate) fn built_in(scheme: &Scheme, group: &str) -> Self {
        let mut names = Self::default();
        for row in scheme.iter().filter(|row| row.group == group && row.schema.is_some()) {
            names.resources.extend([row.plural.to_string(), row.singular.to_string()]);
            names.resources.extend(row.short_names.iter().map(ToString::to_string));
            names.kinds.extend([row.kind.to_string(), row.list_kind().into_owned()]);
        }
        names
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        self.resources.extend(other.resources.iter().cloned());
        self.kinds.extend(other.kinds.iter().cloned());
    }
}

/// Gives a definition the names that nobody else has, and says in its conditions how it stands.
pub(crate) fn settle(tree: &mut Value, taken: &Names, now: &str) {
    let (names, conflict) = accept(tree, taken);
    map_mut(tree, "status").insert("acceptedNames".into(), Value::Object(names));
    let accepted = match &conflict {
        None => Condition::new("NamesAccepted", true, "NoConflicts", "no conflicts found"),
        Some((reason, message)) => Condition::new("NamesAccepted", false, reason, message),
    };
    let free = accepted.status;
    set(tree, accepted, now);
    establish(tree, free, now);
    structure(tree, now);
    let annotation = text(tree, &["metadata", "annotations", "api-approved.kubernetes.io"]).to_owned();
    if let Some((state, message)) = approval(text(tree, &["spec", "group"]), &annotation) {
        let reason = match state {
            Approval::Missing => "MissingAnnotation",
            Approval::Invalid => "InvalidAnnotation",
            Approval::Approved => "ApprovedAnnotation",
            Approval::Bypassed => "UnapprovedAnnotation",
        };
        let holds = state == Approval::Approved;
        set(tree, Condition::new("KubernetesAPIApprovalPolicyConformant", holds, reason, &message), now);
    }
}

/// The accepted names, and the last name that is somebody else's.
fn accept(tree: &Value, taken: &Names) -> (Map<String, Value>, Option<(&'static str, String)>) {
    let wanted = |field: &str| text(tree, &["spec", "names", field]).to_owned();
    let before = at(tree, &["status", "acceptedNames"]).and_then(Value::as_object).cloned();
    let mut names = before.unwrap_or_default();
    let mut conflict = None;
    let in_use = |name: &str| format!("{name:?} is already in use");
    let fresh =
        |name: &str, own: &str, taken: &[String]| name == own || !taken.iter().any(|other| other == name);
    let own = |names: &Map<String, Value>, field: &str| {
        names.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut one = |names: &mut Map<String, Value>, field: &str, reason, taken: &[String]| {
        let name = wanted(field);
        if fresh(&name, &own(names, field), taken) {
            names.insert(field.to_owned(), name.into());
        } else {
            conflict = Some((reason, in_use(&name)));
        }
    };
    one(&mut names, "plural", "PluralConflict", &taken.resources);
    one(&mut names, "singular", "SingularConflict", &taken.resources);
    one(&mut names, "kind", "KindConflict", &taken.kinds);
    one(&mut names, "listKind", "ListKindConflict", &taken.kinds);
    let short = texts(tree, &["spec", "names", "shortNames"]);
    let held: Vec<String> =
        texts(tree, &["status", "acceptedNames", "shortNames"]).into_iter().map(str::to_owned).collect();
    let lost: Vec<String> = short
        .iter()
        .filter(|name| !held.iter().any(|own| own == *name) && !fresh(name, "", &taken.resources))
        .map(|name| in_use(name))
        .collect();
    match lost.as_slice() {
        [] => put_list(&mut names, "shortNames", &short),
        [one] => conflict = conflict.or(Some(("ShortNamesConflict", one.clone()))),
        many => {
            conflict = conflict.or_else(|| Some(("ShortNamesConflict", format!("[{}]", many.join(", ")))));
        }
    }
    put_list(&mut names, "categories", &texts(tree, &["spec", "names", "categories"]));
    for field in ["plural", "kind"] {
        names.entry(field).or_insert_with(|| "".into());
    }
    names.retain(|field, value| matches!(field.as_str(), "plural" | "kind") || value != "");
    (names, conflict)
}

fn put_list(names: &mut Map<String, Value>, field: &str, list: &[&str]) {
    if list.is_empty() {
        names.remove(field);
    } else {
        names.insert(field.to_owned(), json!(list));
    }
}

/// Once established, a definition stays it.
fn establish(tree: &mut Value, names_accepted: bool, now: &str) {
    let established = condition(tree, "Established").is_some_and(|condition| condition["status"] == "True");
    if established {
        return;
    }
    let webhook = at(tree, &["spec", "conversion", "webhook", "clientConfig"]);
    let bundle = webhook.and_then(|client| at(client, &["caBundle"])).and_then(Value::as_str);
    let broken = bundle.is_some_and(|bundle| !bundle.is_empty() && !is_ca_bundle(bundle));
    let (holds, reason, message) = if !names_accepted {
        (false, "NotAccepted", "not all names are accepted")
    } else if broken {
        (false, "InvalidCABundle", "The conversion webhook CABundle is invalid")
    } else {
        (true, "InitialNamesAccepted", "the initial names have been accepted")
    };
    set(tree, Condition::new("Established", holds, reason, message), now);
}

/// What keeps the schemas from being structural, which only an old definition may have.
fn structure(tree: &mut Value, now: &str) {
    let mut wrong = Vec::new();
    if tree["spec"]["preserveUnknownFields"] == true {
        wrong.push("spec.preserveUnknownFields: Invalid value: true: must be false".to_owned());
    }
    let mut failed = None;
    for (index, version) in tree["spec"]["versions"].as_array().into_iter().flatten().enumerate() {
        let Some(schema) = at(version, &["schema", "openAPIV3Schema"]) else { continue };
        if let Err(error) = structural::unsupported(schema) {
            let name = text(version, &["name"]);
            failed = Some(format!("failed to check validation schema for version {name}: {error}"));
            break;
        }
        let path = Path::new("spec").child("versions").index(index).child("schema").child("openAPIV3Schema");
        wrong.extend(structural::check(&path, schema).iter().map(ToString::to_string));
    }
    const KIND: &str = "NonStructuralSchema";
    if let Some(why) = failed {
        set(tree, Condition { known: false, ..Condition::new(KIND, false, "StructuralError", &why) }, now);
    } else if wrong.is_empty() {
        remove(tree, KIND);
    } else {
        let message = if let [one] = &*wrong { one.clone() } else { format!("[{}]", wrong.join(", ")) };
        set(tree, Condition::new(KIND, true, "Violations", &message), now);
    }
}

/// A condition of a definition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition<'a> {
    kind: &'a str,
    status: bool,
    /// Otherwise the status is neither.
    known: bool,
    reason: &'a str,
    message: &'a str,
}

impl<'a> Condition<'a> {
    pub(super) fn new(kind: &'a str, status: bool, reason: &'a str, message: &'a str) -> Self {
        Self { kind, status, known: true, reason, message }
    }
}

/// Sets a condition; the time of its last transition stays where its status does.
///
/// Source: `SetCRDCondition` of `k8s.io/apiextensions-apiserver/pkg/apihelpers` (1.36).
pub(super) fn set(tree: &mut Value, new: Condition<'_>, now: &str) {
    let status = match (new.known, new.status) {
        (false, _) => "Unknown",
        (true, true) => "True",
        (true, false) => "False",
    };
    let old = condition(tree, new.kind);
    let since = old.filter(|old| old["status"] == status).map(|old| old["lastTransitionTime"].clone());
    let fresh = json!({
        "type": new.kind,
        "status": status,
        "reason": new.reason,
        "message": new.message,
        "lastTransitionTime": since.filter(Value::is_string).unwrap_or_else(|| now.into()),
    });
    let list = map_mut(tree, "status").entry("conditions").or_insert_with(|| json!([]));
    if !list.is_array() {
        *list = json!([]);
    }
    let list = list.as_array_mut().expect("it was just made one");
    match list.iter_mut().find(|own| own["type"] == new.kind) {
        Some(own) => *own = fresh,
        None => list.push(fresh),
    }
}

fn remove(tree: &mut Value, kind: &str) {
    let list = tree.get_mut("status").and_then(|status| status.get_mut("conditions"));
    if let Some(list) = list.and_then(Value::as_array_mut) {
        list.retain(|own| own["type"] != kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Value {
        json!({"spec": {"group": "example.com", "names": {"plural": "as", "singular": "a", "kind": "A",
            "listKind": "AList", "shortNames": ["x"], "categories": ["all"]}, "versions": []}})
    }

    fn said(tree: &Value) -> Vec<(&str, &str, &str)> {
        let list = tree["status"]["conditions"].as_array().unwrap();
        let text = |condition: &'_ Value, field: &str| condition[field].as_str().unwrap().to_owned();
        list.iter()
            .map(|condition| {
                let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
                (
                    leak(text(condition, "type")),
                    leak(text(condition, "status")),
                    leak(text(condition, "reason")),
                )
            })
            .collect()
    }

    #[test]
    fn names_that_nobody_has_are_given_and_stay() {
        let mut tree = definition();
        settle(&mut tree, &Names::default(), "1");
        assert_eq!(tree["status"]["acceptedNames"], tree["spec"]["names"]);
        let both =
            [("NamesAccepted", "True", "NoConflicts"), ("Established", "True", "InitialNamesAccepted")];
        assert_eq!(said(&tree), both);
        // Its own names are no conflict, and nothing new is no change.
        let own = Names::accepted(&tree);
        let before = tree.clone();
        settle(&mut tree, &own, "2");
        assert_eq!(tree, before);
    }

    #[test]
    fn a_name_that_is_taken_is_not_given_and_the_others_are() {
        let mut first = definition();
        settle(&mut first, &Names::default(), "1");
        let taken = Names::accepted(&first);
        for (field, value, reason) in [
            ("plural", json!("as"), "PluralConflict"),
            ("singular", json!("x"), "SingularConflict"),
            ("kind", json!("AList"), "KindConflict"),
            ("listKind", json!("A"), "ListKindConflict"),
            ("shortNames", json!(["q", "a"]), "ShortNamesConflict"),
        ] {
            let mut tree = json!({"spec": {"group": "example.com", "names": {"plural": "bs", "singular": "b",
                "kind": "B", "listKind": "BList"}, "versions": []}});
            tree["spec"]["names"][field] = value;
            settle(&mut tree, &taken, "1");
            let wanted = [("NamesAccepted", "False", reason), ("Established", "False", "NotAccepted")];
            assert_eq!(said(&tree), wanted);
            let accepted = &tree["status"]["acceptedNames"];
            let lost = accepted.get(field).filter(|value| *value != "");
            assert_eq!(lost, None, "{field}");
            settle(&mut tree, &Names::default(), "2");
            assert_eq!(tree["status"]["acceptedNames"], tree["spec"]["names"]);
            assert_eq!(tree["status"]["conditions"][1]["lastTransitionTime"], "2");
        }
    }

    #[test]
    fn an_established_definition_stays_it_and_loses_no_name() {
        let mut tree = definition();
        settle(&mut tree, &Names::default(), "1");
        tree["spec"]["names"]["shortNames"] = json!(["y"]);
        let taken = Names { resources: vec!["y".into()], kinds: Vec::new() };
        settle(&mut tree, &taken, "2");
        assert_eq!(tree["status"]["acceptedNames"]["shortNames"], json!(["x"]));
        let wanted = [
            ("NamesAccepted", "False", "ShortNamesConflict"),
            ("Established", "True", "InitialNamesAccepted"),
        ];
        assert_eq!(said(&tree), wanted);
    }

    #[test]
    fn groups_of_kubernetes_and_loose_schemas_are_told() {
        let mut tree = definition();
        tree["spec"]["group"] = "example.k8s.io".into();
        tree["metadata"]["annotations"]["api-approved.kubernetes.io"] = "unapproved, a test".into();
        tree["spec"]["versions"] = json!([{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object",
            "properties": {"a": {}}}}}]);
        settle(&mut tree, &Names::default(), "1");
        let conditions = said(&tree);
        assert_eq!(conditions[2], ("NonStructuralSchema", "True", "Violations"));
        assert_eq!(conditions[3], ("KubernetesAPIApprovalPolicyConformant", "False", "UnapprovedAnnotation"));
        tree["spec"]["versions"] = json!([]);
        settle(&mut tree, &Names::default(), "1");
        assert_eq!(said(&tree).len(), 3);
    }
}
