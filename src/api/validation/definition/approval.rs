//! Groups of Kubernetes' own need a word of its reviewers.
//!
//! Source: `pkg/apihelpers` of `k8s.io/apiextensions-apiserver` (1.36).

use crate::api::field::{Error, Path};
use crate::api::validation::at::At;
use crate::api::validation::checks::Errors;

const ANNOTATION: &str = "api-approved.kubernetes.io";

/// What the annotation of a definition in a protected group says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Approval {
    /// There is none.
    Missing,
    /// It is neither an address nor an excuse.
    Invalid,
    /// It says where the API was approved.
    Approved,
    /// It says why the API was not.
    Bypassed,
}

/// Whether an API is approved, and in which words; none where its group needs no approval.
pub(crate) fn approval(group: &str, annotation: &str) -> Option<(Approval, String)> {
    let protected = |group: &str| group == "k8s.io" || group.ends_with(".k8s.io");
    if !protected(group) && group != "kubernetes.io" && !group.ends_with(".kubernetes.io") {
        return None;
    }
    let see = "see https://github.com/kubernetes/enhancements/pull/1111";
    Some(if annotation.is_empty() {
        (Approval::Missing, format!("protected groups must have approval annotation {ANNOTATION:?}, {see}"))
    } else if annotation.starts_with("unapproved") {
        (Approval::Bypassed, format!("not approved: {annotation:?}"))
    } else if is_address(annotation) {
        (Approval::Approved, format!("approved in {annotation}"))
    } else {
        let why = format!(
            "protected groups must have approval annotation {ANNOTATION:?} with either a URL or a reason \
             starting with \"unapproved\", {see}"
        );
        (Approval::Invalid, why)
    })
}

/// An address with a scheme and a host.
fn is_address(text: &str) -> bool {
    text.parse::<http::Uri>()
        .is_ok_and(|uri| uri.scheme().is_some() && uri.host().is_some_and(|host| !host.is_empty()))
}

pub(super) fn check(definition: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let state = |definition: &At<'_>| {
        let (spec, metadata) = (definition.get("spec"), definition.get("metadata"));
        let annotation = metadata.get("annotations").key(ANNOTATION).text().to_owned();
        approval(spec.get("group").text(), &annotation).map(|state| (state, annotation))
    };
    let Some(((now, reason), annotation)) = state(definition) else { return };
    if old.and_then(state).is_some_and(|((before, _), _)| before == now) {
        return;
    }
    let path = Path::new("metadata").child("annotations").key(ANNOTATION);
    match now {
        Approval::Missing => errors.push(Error::required(&path, reason)),
        Approval::Invalid => errors.push(Error::invalid(&path, annotation, reason)),
        Approval::Approved | Approval::Bypassed => {}
    }
}
