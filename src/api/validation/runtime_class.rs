//! Runtime classes.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/node/validation` (1.36).

use std::collections::BTreeSet;

use serde_json::json;

use super::at::At;
use super::checks::{self, Errors};
use super::pod;
use crate::api::field::Error;
use crate::api::names;

pub(super) fn object(class: &At<'_>, errors: &mut Errors) {
    checks::present_and_named(&class.get("handler"), names::dns1123_label, errors);
    // What a pod costs besides is judged, and named, as the limits of a container are.
    let fixed = &class.value()["overhead"]["podFixed"];
    let as_limits = json!({"overhead": {"limits": fixed}});
    pod::requirements(&At::root(&as_limits).get("overhead"), errors);
    let scheduling = class.get("scheduling");
    checks::labels(&scheduling.get("nodeSelector"), errors);
    let tolerations = scheduling.get("tolerations");
    pod::tolerations(&tolerations, errors);
    let mut seen = BTreeSet::new();
    for toleration in tolerations.items() {
        let key = ["key", "operator", "value", "effect"]
            .map(|field| toleration.value()[field].as_str().unwrap_or_default().to_owned());
        if !seen.insert(key) {
            errors.push(Error::duplicate(&toleration.path(), toleration.value().clone()));
        }
    }
}

pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    checks::immutable(&new.get("handler"), &old.get("handler"), errors);
}
