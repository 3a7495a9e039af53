//! What selectors of devices speak of: `device`, with how large each part of it may be.
//!
//! Source: `cel/compile.go` of `k8s.io/dynamic-resource-allocation` (1.36). `DRAConsumableCapacity` is on, and
//! `DRAListTypeAttributes` off: attributes are scalars. What has been stored may ask for `includes` all the same.

use std::sync::LazyLock;

use super::functions::Special;
use super::schema::Declaration;
use super::types::Type;
use super::{Environment, Program, TypedError};

const MAX_DOMAIN: i64 = 63;
const MAX_IDENTIFIER: i64 = 32;
const MAX_DRIVER: i64 = 63;
const MAX_VALUE: i64 = 64;
/// The most attributes, and the most capacities, of a device.
const MOST: i64 = 32;

static DEVICE: LazyLock<Declaration> = LazyLock::new(|| {
    let text = |most| Declaration::simple(Type::String, most);
    // What an attribute's value is shows when it is looked at; all that is known is how large.
    let value = Declaration::simple(Type::Any, MAX_VALUE);
    let amount = Declaration::simple(Type::Object("kubernetes.Quantity".into()), 0);
    let by_name = |values: Declaration, selects_values: bool| {
        let inner = Declaration::map(text(MAX_IDENTIFIER), values, MOST, selects_values);
        Declaration::map(text(MAX_DOMAIN), inner, MOST, false)
    };
    Declaration::record(
        "kubernetes.DRADevice",
        [
            ("driver", text(MAX_DRIVER)),
            ("allowMultipleAllocations", Declaration::simple(Type::Bool, 1)),
            ("attributes", by_name(value, true)),
            ("capacity", by_name(amount, false)),
        ],
    )
});

impl Environment {
    /// The environment of selectors of devices; of those that are `stored`, what any version may have stored.
    #[must_use]
    pub fn for_devices(minor: u32, stored: bool) -> Self {
        // Only what is stored may speak of what is not served yet.
        let special = if stored { Special::StoredSelectors } else { Special::Selectors };
        Self::with(minor, special).with_declared("device", &DEVICE).with_root(&DEVICE)
    }

    /// Compiles a selector, which must be a truth value, or an attribute that may be one.
    ///
    /// # Errors
    /// What is wrong with it, as Kubernetes words it below the expression's path.
    pub fn compile_selector(&self, text: &str) -> Result<Program, TypedError> {
        self.compile_where(text, |kind| match kind {
            Type::Bool | Type::Any => Ok(()),
            kind => Err(format!("must evaluate to bool or the unknown type, not {}", kind.declared())),
        })
    }
}
