//! LimitRanges: one without a name is called by its uid.

use super::{DEFAULT, Strategy};
use crate::server::tree::{metadata_mut, text};

pub(super) const LIMIT_RANGE: Strategy = Strategy {
    create_on_update: true,
    create: |_, tree| {
        if text(tree, &["metadata", "name"]).is_empty() {
            let uid = text(tree, &["metadata", "uid"]).to_owned();
            metadata_mut(tree).insert("name".into(), uid.into());
        }
    },
    ..DEFAULT
};
