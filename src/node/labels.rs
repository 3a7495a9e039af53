//! The labels that tell a runtime's things from one another, as kubelet sets them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};

/// The uid of the pod that a sandbox or container belongs to.
pub(super) const POD_UID: &str = "io.kubernetes.pod.uid";
const POD_NAME: &str = "io.kubernetes.pod.name";
const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
const CONTAINER_NAME: &str = "io.kubernetes.container.name";
const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";

fn identity(pod: &Pod) -> [(String, String); 3] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let metadata = &pod.metadata;
    [
        (POD_NAME.to_owned(), text(&metadata.name)),
        (POD_NAMESPACE.to_owned(), text(&metadata.namespace)),
        (POD_UID.to_owned(), text(&metadata.uid)),
    ]
}

/// The labels of a pod's sandbox: the pod's own, and who it is.
pub(super) fn sandbox(pod: &Pod) -> BTreeMap<String, String> {
    let own = pod.metadata.labels.clone().unwrap_or_default();
    own.into_iter().chain(identity(pod)).collect()
}

/// The labels of a container.
pub(super) fn container(pod: &Pod, name: &str) -> BTreeMap<String, String> {
    let name = (CONTAINER_NAME.to_owned(), name.to_owned());
    identity(pod).into_iter().chain([name]).collect()
}

/// The annotations of a container.
pub(super) fn annotations(container: &Container, attempt: u32) -> BTreeMap<String, String> {
    let text = |text: &Option<String>, default: &str| text.clone().unwrap_or_else(|| default.to_owned());
    BTreeMap::from([
        (RESTART_COUNT.to_owned(), attempt.to_string()),
        (
            "io.kubernetes.container.terminationMessagePath".to_owned(),
            text(&container.termination_message_path, "/dev/termination-log"),
        ),
        (
            "io.kubernetes.container.terminationMessagePolicy".to_owned(),
            text(&container.termination_message_policy, "File"),
        ),
    ])
}
