//! Pod templates: when two are the same, and what their hash is.

use k8s_openapi::api::core::v1::PodTemplateSpec;

/// The label that tells the pods of one ReplicaSet of a Deployment from those of the others.
pub(super) const HASH_LABEL: &str = "pod-template-hash";

/// Whether two templates are the same but for the hash label.
pub(super) fn same(one: &PodTemplateSpec, other: &PodTemplateSpec) -> bool {
    bare(one) == bare(other)
}

/// The template without its hash label; an empty map counts as none.
fn bare(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    if let Some(metadata) = &mut template.metadata {
        if let Some(labels) = &mut metadata.labels {
            labels.remove(HASH_LABEL);
        }
        metadata.labels.take_if(|labels| labels.is_empty());
        metadata.annotations.take_if(|annotations| annotations.is_empty());
        metadata.creation_timestamp = None;
    }
    template.metadata.take_if(|metadata| *metadata == Default::default());
    template
}

/// A hash of the template, and of how often this hash has collided: FNV-1 over its canonical JSON,
/// its decimal digits spelled with letters that make no words.
///
/// Kubernetes hashes a Go dump of the template instead; its hashes differ, and nothing compares the
/// two: a ReplicaSet is found by its template, never by its hash.
pub(super) fn hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let canonical = serde_json::to_value(bare(template)).unwrap_or_default().to_string();
    let mut bytes = canonical.into_bytes();
    if let Some(collisions) = collisions {
        bytes.extend(collisions.to_le_bytes());
    }
    let hash =
        bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(*byte));
    hash.to_string().bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(image: &str, labels: serde_json::Value) -> PodTemplateSpec {
        serde_json::from_value(json!({
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": image}]},
        }))
        .unwrap()
    }

    #[test]
    fn the_hash_label_does_not_tell_templates_apart() {
        let plain = template("a", json!({"app": "web"}));
        let labelled = template("a", json!({"app": "web", HASH_LABEL: "xyz"}));
        assert!(same(&plain, &labelled));
        assert!(!same(&plain, &template("b", json!({"app": "web"}))));
        assert_eq!(hash(&plain, None), hash(&labelled, None));
    }

    #[test]
    fn the_hash_is_stable_and_moves_on_after_a_collision() {
        let plain = template("a", json!({"app": "web"}));
        let first = hash(&plain, None);
        assert_eq!(first, hash(&plain.clone(), None));
        assert_ne!(first, hash(&plain, Some(1)));
        assert_ne!(hash(&plain, Some(1)), hash(&plain, Some(2)));
        assert!(first.len() <= 10 && first.chars().all(|letter| letter.is_ascii_alphanumeric()), "{first}");
    }
}
