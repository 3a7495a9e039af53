//! Why a configuration is refused.

use super::document::GROUP;
use crate::api::field;

/// Why a configuration is refused, in kube-scheduler's words.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It is no YAML, no JSON, or no object with a version and a kind.
    #[error("{0}")]
    Syntax(String),
    /// It does not say its kind, or not its version.
    #[error("Object '{field}' is missing in '{text}'")]
    Missing {
        /// Which of the two.
        field: &'static str,
        /// All that was read.
        text: String,
    },
    /// It has another version or kind.
    #[error(
        "no kind {kind:?} is registered for version {version:?} in scheme \
         \"pkg/scheduler/apis/config/scheme/scheme.go:29\""
    )]
    NotRegistered {
        /// The kind.
        kind: String,
        /// Group and version.
        version: String,
    },
    /// It has the right version, and is no configuration but a plugin's arguments.
    #[error("couldn't decode as KubeSchedulerConfiguration, got {version}, Kind={kind}: ")]
    NoConfiguration {
        /// The kind.
        kind: String,
        /// Group and version.
        version: String,
    },
    /// A value of another type than its field's; worded as Go's decoder words it.
    #[error("{0}")]
    Type(String),
    /// Fields that are unknown, or there twice; each with its path.
    #[error("strict decoding error: {}", .0.join(", "))]
    Strict(Vec<String>),
    /// A plugin's arguments cannot be decoded.
    #[error(
        "decoding .profiles[{profile}].pluginConfig[{index}]: decoding args for plugin {plugin}: {source}"
    )]
    Args {
        /// Which profile.
        profile: usize,
        /// Which of its arguments.
        index: usize,
        /// The plugin.
        plugin: String,
        /// Why not.
        source: Box<ConfigError>,
    },
    /// A plugin's arguments say that they are another's.
    #[error(
        "decoding .profiles[{profile}].pluginConfig[{index}]: args for plugin {plugin} were not of type \
         {plugin}Args.{GROUP}, got {kind}.{GROUP}"
    )]
    ArgsKind {
        /// Which profile.
        profile: usize,
        /// Which of its arguments.
        index: usize,
        /// The plugin.
        plugin: String,
        /// What kind they say they are.
        kind: String,
    },
    /// Fields with values that they cannot have: all of them.
    #[error("{}", aggregate(.0))]
    Invalid(Vec<field::Error>),
}

/// Errors as one: each once, and in brackets if there are several.
///
/// Source: `k8s.io/apimachinery/pkg/util/errors/errors.go` (1.36).
fn aggregate(errors: &[field::Error]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for error in errors {
        let text = error.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match &*texts {
        [one] => one.clone(),
        texts => format!("[{}]", texts.join(", ")),
    }
}
