//! Which versions of the built-in groups are served: what `--runtime-config` is to a kube-apiserver.
//!
//! Stable versions are on and all others off, until a key says otherwise. Keys are applied from the
//! widest to the narrowest: `api/all`, `api/ga`, `api/beta`, `api/alpha`, then `<group>/<version>`, then
//! `<group>/<version>/<resource>`.
//!
//! Source: `MergeAPIResourceConfigs` of `k8s.io/apiserver/pkg/server/resourceconfig` (1.36).

use std::collections::BTreeMap;
use std::str::FromStr;

use super::Resource;
use super::resource::Maturity;

/// Which versions of the built-in groups are served.
///
/// ```
/// use windlass::api::{RuntimeConfig, Scheme};
///
/// let config: RuntimeConfig = "api/beta=true,resource.k8s.io/v1beta1=false".parse().unwrap();
/// let scheme = Scheme::builtin_with(&config);
/// assert!(scheme.api_kind("resource.k8s.io/v1beta2", "ResourceClaim").is_some());
/// assert!(scheme.api_kind("resource.k8s.io/v1beta1", "ResourceClaim").is_none());
/// assert!(Scheme::builtin().api_kind("resource.k8s.io/v1beta2", "ResourceClaim").is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeConfig {
    keys: BTreeMap<String, bool>,
}

/// A setting that switches nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeConfigError {
    /// The key names neither a set of versions nor a version nor a resource.
    #[error("runtime-config invalid key {0}")]
    Key(String),
    /// The value is no truth value.
    #[error("invalid value {key}={value}")]
    Value {
        /// The key.
        key: String,
        /// What stood behind it.
        value: String,
    },
}

impl RuntimeConfig {
    /// The same, with this key switched on or off. A later word on a key replaces an earlier one.
    ///
    /// # Errors
    ///
    /// See [`RuntimeConfigError::Key`].
    pub fn with(mut self, key: &str, on: bool) -> Result<Self, RuntimeConfigError> {
        let parts: Vec<_> = key.split('/').collect();
        let named = match parts[..] {
            ["api", set] => matches!(set, "all" | "ga" | "beta" | "alpha" | "v1"),
            [group, version] => !group.is_empty() && !version.is_empty(),
            [group, version, resource] => {
                !group.is_empty() && !version.is_empty() && resource == resource.to_lowercase()
            }
            _ => false,
        };
        if !named {
            return Err(RuntimeConfigError::Key(key.to_owned()));
        }
        self.keys.insert(key.to_owned(), on);
        Ok(self)
    }

    /// Whether a row is served.
    #[must_use]
    pub fn serves(&self, row: &Resource) -> bool {
        let maturity = row.maturity();
        let set = match maturity {
            Maturity::Stable => "api/ga",
            Maturity::Beta => "api/beta",
            Maturity::Alpha => "api/alpha",
        };
        // The core group has a path of its own.
        let group = if row.group.is_empty() { "api" } else { &row.group };
        let version = format!("{group}/{}", row.version);
        let resource = format!("{version}/{}", row.plural);
        let said = [&*resource, &*version, set, "api/all"].into_iter().find_map(|key| self.keys.get(key));
        said.copied().unwrap_or(maturity == Maturity::Stable)
    }
}

/// `key=value,key=value`; a key alone is on.
impl FromStr for RuntimeConfig {
    type Err = RuntimeConfigError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).try_fold(
            Self::default(),
            |config, word| {
                let (key, value) = word.split_once('=').unwrap_or((word, "true"));
                let on = match value {
                    "1" | "t" | "T" | "true" | "TRUE" | "True" | "" => true,
                    "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
                    _ => {
                        return Err(RuntimeConfigError::Value { key: key.into(), value: value.into() });
                    }
                };
                config.with(key, on)
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Scheme;

    fn versions(config: &str) -> usize {
        Scheme::builtin_with(&config.parse().unwrap()).iter().count()
    }

    #[test]
    fn what_is_not_stable_is_off() {
        let stable = Scheme::builtin().iter().count();
        assert_eq!(versions(""), stable);
        assert_eq!(versions("api/beta=false,api/ga"), stable);
        assert_eq!(versions("api/beta,api/alpha"), stable + 27);
        assert_eq!(versions("api/all"), stable + 27);
        assert_eq!(versions("api/all=false"), 0);
    }

    #[test]
    fn the_narrowest_key_decides() {
        let stable = Scheme::builtin().iter().count();
        assert_eq!(versions("resource.k8s.io/v1beta1=true"), stable + 4);
        assert_eq!(versions("api/alpha=true,scheduling.k8s.io/v1alpha2=false"), stable + 27 - 18 - 2);
        let one = "resource.k8s.io/v1beta2/devicetaintrules=true";
        assert_eq!(versions(one), stable + 1);
        assert_eq!(versions(&format!("{one},resource.k8s.io/v1beta2=false")), stable + 1);
        assert_eq!(versions("api/v1=false,apps/v1=false"), stable - 17 - 5);
    }

    #[test]
    fn what_switches_nothing_is_refused() {
        for (text, why) in [
            ("beta=true", "runtime-config invalid key beta"),
            ("api/gamma=true", "runtime-config invalid key api/gamma"),
            ("a/b/c/d=true", "runtime-config invalid key a/b/c/d"),
            ("apps/v1/Deployments=true", "runtime-config invalid key apps/v1/Deployments"),
            ("api/beta=maybe", "invalid value api/beta=maybe"),
        ] {
            assert_eq!(text.parse::<RuntimeConfig>().unwrap_err().to_string(), why);
        }
    }
}
