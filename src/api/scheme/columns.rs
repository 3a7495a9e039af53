//! Printer columns.

use crate::api::Column;

pub(super) fn of(_group: &str, _kind: &str) -> Vec<Column> {
    Vec::new()
}
