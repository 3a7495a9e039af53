//! Containers that are added to a running pod: they stay as they are, and they stay.
//!
//! Source: `ValidatePodEphemeralContainersUpdate` of `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).

use super::{MIRROR, Rules, annotations};
use crate::api::field::{Error, Path};
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

/// A pod against the one that it is to replace, where only containers have been added.
pub(in crate::api::validation) fn update(pod: &At<'_>, before: &At<'_>, errors: &mut Errors) {
    let old_annotations = before.get("metadata");
    let old_annotations = old_annotations.get("annotations");
    if old_annotations.has(MIRROR) {
        *errors = vec![Error::forbidden(&Path::new("[]"), "static pods do not support ephemeral containers")];
        return;
    }
    super::whole(pod, &Rules::pod(pod, Some(before)), errors);
    annotations::update(&pod.get("metadata").get("annotations"), &old_annotations, errors);
    let (spec, old) = (pod.get("spec"), before.get("spec"));
    let containers = spec.get("ephemeralContainers");
    for container in old.get("ephemeralContainers").items() {
        let name = container.text_of("name");
        match containers.items().rfind(|own| own.text_of("name") == name) {
            None => errors.push(
                containers.forbidden(format!("existing ephemeral containers {name:?} may not be removed\n")),
            ),
            Some(own) if !checks::same(own.value(), container.value()) => {
                let changed = super::changed(own.value(), container.value());
                errors.push(containers.forbidden(format!(
                    "existing ephemeral containers {name:?} may not be changed\n{changed}"
                )));
            }
            Some(_) => {}
        }
    }
}
