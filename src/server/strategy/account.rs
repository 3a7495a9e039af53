//! ServiceAccounts: of the secrets that their pods may mount, the name is all that is kept.

use serde_json::{Value, json};

use super::{DEFAULT, Strategy};

pub(super) const SERVICE_ACCOUNT: Strategy = Strategy {
    answers_deleted: true,
    create: |_, tree| keep_names(tree),
    update: |_, new, _| keep_names(new),
    ..DEFAULT
};

fn keep_names(account: &mut Value) {
    let secrets = account.get_mut("secrets").and_then(Value::as_array_mut);
    for secret in secrets.into_iter().flatten() {
        *secret = secret.get("name").map_or_else(|| json!({}), |name| json!({"name": name}));
    }
}
