//! Roles and who has them. Whether somebody may give what a role allows is the authorizer's to judge.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/rbac/validation` (1.36).

use super::at::At;
use super::checks::{self, Errors};
use crate::api::names;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn object(kind: &str, object: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    match kind {
        "Role" => rules(object, true, errors),
        "ClusterRole" => {
            rules(object, false, errors);
            aggregation(object, old, errors);
        }
        "RoleBinding" => binding(object, true, errors),
        "ClusterRoleBinding" => binding(object, false, errors),
        _ => {}
    }
}

pub(super) fn update(kind: &str, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (role, before) = (new.get("roleRef"), old.get("roleRef"));
    if kind.ends_with("Binding") && !checks::same(role.value(), before.value()) {
        errors.push(role.invalid("cannot change roleRef"));
    }
}

fn rules(role: &At<'_>, namespaced: bool, errors: &mut Errors) {
    for rule in role.get("rules").items() {
        let (verbs, urls) = (rule.get("verbs"), rule.get("nonResourceURLs"));
        let (groups, resources) = (rule.get("apiGroups"), rule.get("resources"));
        if verbs.len() == 0 {
            errors.push(verbs.required("verbs must contain at least one value"));
        }
        if urls.len() > 0 {
            if namespaced {
                errors.push(urls.invalid("namespaced rules cannot apply to non-resource URLs"));
            }
            if groups.len() + resources.len() + rule.get("resourceNames").len() > 0 {
                errors
                    .push(urls.invalid("rules cannot apply to both regular resources and non-resource URLs"));
            }
            continue;
        }
        if groups.len() == 0 {
            errors.push(groups.required("resource rules must supply at least one api group"));
        }
        if resources.len() == 0 {
            errors.push(resources.required("resource rules must supply at least one resource"));
        }
    }
}

/// The roles that a role is made of. Values that were wrong before may stay so.
fn aggregation(role: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let rule = role.get("aggregationRule");
    if !rule.is_set() {
        return;
    }
    let was_wrong = old.is_some_and(|old| {
        let mut wrong = Vec::new();
        let rule = old.get("aggregationRule");
        rule.get("clusterRoleSelectors").items().for_each(|at| checks::label_selector(&at, &mut wrong));
        !wrong.is_empty()
    });
    let selectors = rule.get("clusterRoleSelectors");
    if selectors.len() == 0 {
        errors.push(
            selectors.required("at least one clusterRoleSelector required if aggregationRule is non-nil"),
        );
    }
    for selector in selectors.items() {
        let before = errors.len();
        checks::label_selector_with(&selector, was_wrong, errors);
        if errors.len() > before {
            errors.push(selector.invalid("invalid label selector."));
        }
    }
}

fn binding(binding: &At<'_>, namespaced: bool, errors: &mut Errors) {
    let role = binding.get("roleRef");
    let (group, kind, name) = (role.get("apiGroup"), role.get("kind"), role.get("name"));
    if group.text() != GROUP {
        errors.push(group.not_supported(&[GROUP]));
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&kind.text()) {
        errors.push(kind.not_supported(kinds));
    }
    checks::present_and_named(&name, names::path_segment, errors);
    for subject in binding.get("subjects").items() {
        self::subject(&subject, namespaced, errors);
    }
}

fn subject(subject: &At<'_>, namespaced: bool, errors: &mut Errors) {
    let (kind, name) = (subject.get("kind"), subject.get("name"));
    let (group, namespace) = (subject.get("apiGroup"), subject.get("namespace"));
    checks::present(&name, errors);
    match kind.text() {
        "ServiceAccount" => {
            checks::named_if_set(&name, names::dns1123_subdomain, errors);
            if !group.text().is_empty() {
                errors.push(group.not_supported(&[""]));
            }
            if !namespaced && namespace.text().is_empty() {
                errors.push(namespace.required(""));
            }
        }
        "User" | "Group" => {
            if group.text() != GROUP {
                errors.push(group.not_supported(&[GROUP]));
            }
        }
        _ => errors.push(kind.not_supported(&["ServiceAccount", "User", "Group"])),
    }
}
