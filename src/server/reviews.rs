//! Reviews: questions to the authorizer in the form of objects that are never stored.

use serde_json::{Value, json};

use super::registry::{Call, check_namespace, decode};
use super::tree::{at, text, texts};
use super::{Attributes, Decision, Rule};
use crate::api::{Object, Resource, Status, status};
use crate::client::{Identity, Payload};

type Review = fn(&mut Call<'_>, Payload) -> Result<Object, Status>;

/// What answers a row's objects, if the row is a review.
pub(crate) fn of(row: &Resource) -> Option<Review> {
    match (&*row.group, &*row.kind) {
        ("authorization.k8s.io", "SelfSubjectAccessReview") => Some(self_access),
        ("authorization.k8s.io", "SubjectAccessReview" | "LocalSubjectAccessReview") => Some(access),
        ("authorization.k8s.io", "SelfSubjectRulesReview") => Some(rules),
        ("authentication.k8s.io", "SelfSubjectReview") => Some(self_review),
        _ => None,
    }
}

/// Whether the row is a review that belongs to no namespace.
pub(crate) fn is_review(row: &Resource) -> bool {
    of(row).is_some() || is_token_review(row)
}

fn self_access(call: &mut Call<'_>, payload: Payload) -> Result<Object, Status> {
    let mut tree = question(call, payload)?;
    let identity = call.identity.clone();
    decided(call, &mut tree, &identity)?;
    call.object(tree)
}

fn access(call: &mut Call<'_>, payload: Payload) -> Result<Object, Status> {
    let mut tree = question(call, payload)?;
    let texts_of = |path: &[&str]| texts(&tree, path).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let identity = Identity {
        user: text(&tree, &["spec", "user"]).to_owned(),
        uid: text(&tree, &["spec", "uid"]).to_owned(),
        groups: texts_of(&["spec", "groups"]),
        extra: at(&tree, &["spec", "extra"])
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(key, values)| (key.clone(), texts(values, &[]).into_iter().map(str::to_owned).collect()))
            .collect(),
        ..Identity::default()
    };
    decided(call, &mut tree, &identity)?;
    call.object(tree)
}

/// What is asked, if it is a question.
fn question(call: &mut Call<'_>, payload: Payload) -> Result<Value, Status> {
    let mut tree = decode(call, payload, None)?;
    check_namespace(call, &mut tree)?;
    let errors = call.server.validation().create_tree(&call.row, &tree);
    if errors.is_empty() { Ok(tree) } else { Err(call.invalid("", &errors)) }
}

fn decided(call: &Call<'_>, tree: &mut Value, identity: &Identity) -> Result<(), Status> {
    let attributes = asked(tree).ok_or_else(|| {
        status::bad_request("exactly one of nonResourceAttributes or resourceAttributes must be specified")
    })?;
    let answer = match call.server.authorize(identity, &attributes) {
        Decision::Allow => json!({"allowed": true}),
        Decision::Deny { reason } if reason.is_empty() => json!({"allowed": false}),
        Decision::Deny { reason } => json!({"allowed": false, "reason": reason}),
    };
    tree["status"] = answer;
    Ok(())
}

fn asked(tree: &Value) -> Option<Attributes> {
    let (resource, path) =
        (at(tree, &["spec", "resourceAttributes"]), at(tree, &["spec", "nonResourceAttributes"]));
    match (resource, path) {
        (Some(resource), None) => {
            let field = |name: &str| text(resource, &[name]).to_owned();
            Some(Attributes {
                verb: field("verb"),
                group: field("group"),
                version: Some(field("version")).filter(|said| !said.is_empty()).unwrap_or_else(|| "*".into()),
                resource: field("resource"),
                subresource: field("subresource"),
                namespace: field("namespace"),
                name: field("name"),
                ..Attributes::default()
            })
        }
        (None, Some(path)) => Some(Attributes::path(text(path, &["verb"]), text(path, &["path"]))),
        _ => None,
    }
}

fn rules(call: &mut Call<'_>, payload: Payload) -> Result<Object, Status> {
    let mut tree = decode(call, payload, None)?;
    let namespace = text(&tree, &["spec", "namespace"]).to_owned();
    if namespace.is_empty() {
        return Err(status::bad_request("no namespace on request"));
    }
    let rules = call.server.rules(call.identity, &namespace);
    let resources: Vec<Value> =
        rules.iter().filter(|rule| rule.paths.is_empty()).map(resource_rule).collect();
    let paths: Vec<Value> = rules
        .iter()
        .filter(|rule| !rule.paths.is_empty())
        .map(|rule| json!({"verbs": rule.verbs, "nonResourceURLs": rule.paths}))
        .collect();
    // The answer does not repeat the question.
    tree["metadata"] = json!({"creationTimestamp": null});
    tree["spec"] = json!({});
    tree["status"] = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false});
    call.object(tree)
}

fn resource_rule(rule: &Rule) -> Value {
    let mut shown = json!({"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources});
    if !rule.names.is_empty() {
        shown["resourceNames"] = json!(rule.names);
    }
    shown
}

fn self_review(call: &mut Call<'_>, payload: Payload) -> Result<Object, Status> {
    let mut tree = decode(call, payload, None)?;
    let now = call.server.env().clock.now_seconds().to_string();
    tree["metadata"] = json!({"creationTimestamp": now});
    tree["status"] = json!({"userInfo": user_info(call.identity)});
    call.object(tree)
}

/// Answers a TokenReview, which is the one review that has to look something up.
///
/// Source: `pkg/registry/authentication/tokenreview` (1.36).
pub(crate) async fn token(call: &mut Call<'_>, payload: Payload) -> Result<Object, Status> {
    let mut tree = decode(call, payload, None)?;
    let token = text(&tree, &["spec", "token"]);
    if token.is_empty() {
        return Err(status::bad_request("token is required for TokenReview in authentication"));
    }
    let audiences: Vec<String> =
        texts(&tree, &["spec", "audiences"]).into_iter().map(str::to_owned).collect();
    let answer = match call.server.review_token(token, &audiences).await {
        Ok(Some((identity, audiences))) => {
            json!({"authenticated": true, "user": user_info(&identity), "audiences": audiences})
        }
        Ok(None) => json!({"authenticated": false, "user": {}}),
        Err(error) => json!({"authenticated": false, "user": {}, "error": error.to_string()}),
    };
    tree["status"] = answer;
    call.object(tree)
}

/// Whether a row is that of TokenReviews.
pub(crate) fn is_token_review(row: &Resource) -> bool {
    row.group == "authentication.k8s.io" && row.kind == "TokenReview"
}

fn user_info(identity: &Identity) -> Value {
    let mut info = json!({"username": identity.user, "groups": identity.groups});
    if !identity.uid.is_empty() {
        info["uid"] = identity.uid.clone().into();
    }
    if !identity.extra.is_empty() {
        info["extra"] = json!(identity.extra);
    }
    info
}
