//! Which secrets a pod may refer to, where its account limits them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::references::{containers, items};
use crate::server::tree::text;

/// Why a pod may not refer to what it does; none where it may.
pub(super) fn pod(account: &Value, pod: &Value) -> Option<String> {
    let (mountable, name) = (names(account, "secrets"), account_name(account));
    for volume in items(pod, &["spec", "volumes"]).filter(|volume| volume.get("secret").is_some()) {
        let secret = text(volume, &["secret", "secretName"]);
        if !mountable.contains(secret) {
            return Some(format!(
                "volume with secret.secretName=\"{secret}\" is not allowed because service account {name} does \
                 not reference that secret"
            ));
        }
    }
    let lists = [("initContainers", "init container"), ("containers", "container")];
    let refused = lists.iter().find_map(|(list, what)| environment(account, pod, list, what));
    if refused.is_some() {
        return refused;
    }
    let pullable = names(account, "imagePullSecrets");
    items(pod, &["spec", "imagePullSecrets"]).enumerate().find_map(|(index, secret)| {
        let secret = text(secret, &["name"]);
        (!pullable.contains(secret)).then(|| {
            format!(
                "imagePullSecrets[{index}].name=\"{secret}\" is not allowed because service account {name} does \
                 not reference that imagePullSecret"
            )
        })
    })
}

/// The same for the containers that are added to a pod that runs.
pub(super) fn ephemeral(account: &Value, pod: &Value) -> Option<String> {
    environment(account, pod, "ephemeralContainers", "ephemeral container")
}

fn environment(account: &Value, pod: &Value, list: &str, what: &str) -> Option<String> {
    let (mountable, account) = (names(account, "secrets"), account_name(account));
    let refused = |container: &Value, with: String, secret: &str| {
        (!secret.is_empty() && !mountable.contains(secret)).then(|| {
            format!(
                "{what} {} with {with} referencing secret.secretName=\"{secret}\" is not allowed because service \
                 account {account} does not reference that secret",
                text(container, &["name"])
            )
        })
    };
    containers(pod, list).find_map(|container| {
        let single = items(container, &["env"]).find_map(|env| {
            let with = format!("envVar {}", text(env, &["name"]));
            refused(container, with, text(env, &["valueFrom", "secretKeyRef", "name"]))
        });
        single.or_else(|| {
            items(container, &["envFrom"])
                .find_map(|from| refused(container, "envFrom".into(), text(from, &["secretRef", "name"])))
        })
    })
}

fn names<'a>(account: &'a Value, list: &str) -> BTreeSet<&'a str> {
    items(account, &[list]).map(|secret| text(secret, &["name"])).collect()
}

fn account_name(account: &Value) -> &str {
    text(account, &["metadata", "name"])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_account_lists() {
        let account = json!({"metadata": {"name": "robot"}, "secrets": [{"name": "mine"}],
            "imagePullSecrets": [{"name": "pull"}]});
        let why = |spec: Value| pod(&account, &json!({"spec": spec}));
        let env = |name: &str| json!([{"name": "c", "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": name}}}]}]);
        assert_eq!(
            why(json!({"volumes": [{"secret": {"secretName": "mine"}}], "containers": env("mine"),
            "imagePullSecrets": [{"name": "pull"}]})),
            None
        );
        let cases = [
            (
                json!({"volumes": [{"secret": {"secretName": "other"}}]}),
                "volume with secret.secretName=\"other\" is not allowed because service account robot does not \
                 reference that secret",
            ),
            (
                json!({"containers": env("other")}),
                "container c with envVar E referencing secret.secretName=\"other\" is not allowed because service \
                 account robot does not reference that secret",
            ),
            (
                json!({"initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "other"}}]}]}),
                "init container i with envFrom referencing secret.secretName=\"other\" is not allowed because \
                 service account robot does not reference that secret",
            ),
            (
                json!({"imagePullSecrets": [{"name": "pull"}, {"name": "mine"}]}),
                "imagePullSecrets[1].name=\"mine\" is not allowed because service account robot does not \
                 reference that imagePullSecret",
            ),
        ];
        for (spec, expected) in cases {
            assert_eq!(why(spec).as_deref(), Some(expected));
        }
        let added = json!({"spec": {"ephemeralContainers": env("other")}});
        assert!(ephemeral(&account, &added).unwrap().starts_with("ephemeral container c with envVar E"));
    }
}
