//! Rules in CEL, asked of objects.

#[cfg(feature = "cel")]
mod ask;
#[cfg(feature = "cel")]
mod compile;

use crate::api::field::Error;

#[cfg(feature = "cel")]
pub(super) use ask::Asking;
#[cfg(feature = "cel")]
pub(in crate::api) use compile::Rules;
#[cfg(not(feature = "cel"))]
pub(super) use without::Asking;
#[cfg(not(feature = "cel"))]
pub(in crate::api) use without::Rules;

/// What rules say of an object.
#[derive(Debug, Default)]
pub(in crate::api) struct Judged {
    pub(in crate::api) errors: Vec<Error>,
    pub(in crate::api) warnings: Vec<String>,
}

#[cfg(not(feature = "cel"))]
mod without {
    use serde_json::Value;

    use super::Judged;
    use crate::api::field::{Error, Path};
    use crate::api::structural::schema::Schema;

    /// Nobody who could be asked.
    pub(in crate::api::structural) struct Asking;

    impl Asking {
        pub(in crate::api::structural) fn new() -> Self {
            Self
        }

        pub(in crate::api::structural) fn ask_default(
            &mut self,
            _: &Schema,
            _: &Value,
            _: bool,
            _: &Path,
            _: &Value,
        ) -> Vec<Error> {
            Vec::new()
        }
    }

    /// There are none where the language is not built in.
    #[derive(Debug)]
    pub(in crate::api) enum Rules {}

    impl Rules {
        pub(in crate::api::structural) fn of(_: &Schema, _: &Value) -> Option<Self> {
            None
        }

        pub(in crate::api) fn judge(&self, _: &Schema, _: &Value, _: Option<&Value>) -> Judged {
            match *self {}
        }
    }
}
