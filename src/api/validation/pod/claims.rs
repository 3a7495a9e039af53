//! The devices that a pod claims, and which of them its containers get.

use std::collections::BTreeSet;

use super::Rules;
use crate::api::field::{Error, Path};
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

/// The claims of a pod. Answers their names.
pub(super) fn all<'a>(claims: &At<'a>, rules: &Rules<'_>, errors: &mut Errors) -> BTreeSet<&'a str> {
    let mut names_seen = BTreeSet::new();
    for claim in claims.items() {
        if rules.is_mirror() {
            errors.push(Error::forbidden(&Path::new("[]"), "static pods do not support resource claims"));
            continue;
        }
        let name = claim.get("name");
        if checks::present(&name, errors) {
            if names_seen.insert(name.text().to_owned()) {
                checks::named(&name, names::dns1123_label, errors);
            } else {
                errors.push(name.duplicate());
            }
        }
        match (claim.has("resourceClaimName"), claim.has("resourceClaimTemplateName")) {
            (true, true) => errors.push(claim.invalid(
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            )),
            (false, false) => errors
                .push(claim.invalid("must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")),
            _ => {}
        }
        for field in ["resourceClaimName", "resourceClaimTemplateName"] {
            let reference = claim.get(field);
            if reference.is_set() {
                checks::named(&reference, names::dns1123_subdomain, errors);
            }
        }
    }
    let names = claims.value().as_array().into_iter().flatten().filter_map(|claim| claim["name"].as_str());
    names.filter(|name| !name.is_empty()).collect()
}

/// The claims of a container: each must be one of the pod's, as a whole or request by request.
pub(super) fn of_container(claims: &At<'_>, known: &BTreeSet<&str>, errors: &mut Errors) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for claim in claims.items() {
        let (name, request) = (claim.text_of("name"), claim.get("request"));
        if name.is_empty() {
            errors.push(claim.required(""));
            continue;
        }
        let twice = |key: &str| Error::duplicate(&claim.path(), key);
        if seen.contains(name) {
            errors.push(twice(name));
        } else {
            let mut key = name.to_owned();
            if !request.text().is_empty() {
                checks::named(&request, names::dns1123_label, errors);
                key = format!("{name}/{}", request.text());
            }
            if seen.contains(&key) {
                errors.push(twice(&key));
            } else if request.text().is_empty() {
                let parts = seen.iter().filter(|key| key.split_once('/').is_some_and(|(of, _)| of == name));
                parts.for_each(|_| errors.push(twice(name)));
            }
            seen.insert(key);
        }
        if !known.contains(name) {
            let detail = if known.is_empty() {
                "must be one of the names in pod.spec.resourceClaims which is empty".to_owned()
            } else {
                let known: Vec<_> = known.iter().copied().collect();
                format!("must be one of the names in pod.spec.resourceClaims: {}", known.join(", "))
            };
            errors.push(Error { detail, ..Error::not_found(&claim.path(), name) });
        }
    }
}
