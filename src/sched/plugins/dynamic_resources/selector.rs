//! Selectors of devices, in CEL.
//!
//! Source: `selectorsMatch` of `allocator_incubating.go`, and `cel/cache.go` of `k8s.io/dynamic-resource-allocation`
//! (1.36). Here, too, few expressions are in use at a time, and what was compiled is kept.

use k8s_openapi::api::resource::v1::Device;

/// Compiled selectors.
#[derive(Debug, Default)]
pub(super) struct Selectors {
    #[cfg(feature = "cel")]
    programs: compiled::Programs,
}

impl Selectors {
    /// Whether an expression holds of a device.
    ///
    /// # Errors
    ///
    /// What is wrong with it, or what went wrong. Without the feature `cel` there is nothing that could tell.
    #[cfg(feature = "cel")]
    pub(super) fn hold(&self, expression: &str, driver: &str, device: &Device) -> Result<bool, String> {
        let program = self.programs.get(expression);
        let program = program.as_ref().as_ref().map_err(|error| format!("CEL compile error: {error}"))?;
        program.selects(driver, device).map_err(|error| format!("CEL runtime error: {error}"))
    }

    #[cfg(not(feature = "cel"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(super) fn hold(&self, _: &str, _: &str, _: &Device) -> Result<bool, String> {
        Err("CEL cannot be evaluated: windlass was built without the feature \"cel\"".to_owned())
    }
}

#[cfg(feature = "cel")]
mod compiled {
    use std::collections::BTreeMap;
    use std::sync::{Arc, LazyLock, Mutex, PoisonError};

    use crate::api::cel::{Environment, Program};

    type Compiled = Arc<Result<Program, String>>;

    /// How many are kept.
    const KEPT: usize = 64;

    /// What may be stored may be from any version.
    static ENVIRONMENT: LazyLock<Environment> = LazyLock::new(|| Environment::for_devices(36, true));

    #[derive(Debug, Default)]
    pub(super) struct Programs(Mutex<BTreeMap<String, Compiled>>);

    impl Programs {
        pub(super) fn get(&self, expression: &str) -> Compiled {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(program) = kept.get(expression) {
                return program.clone();
            }
            let program =
                Arc::new(ENVIRONMENT.compile_selector(expression).map_err(|error| error.to_string()));
            if kept.len() == KEPT {
                kept.clear();
            }
            kept.insert(expression.to_owned(), program.clone());
            program
        }
    }
}
