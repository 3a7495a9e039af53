//! The whole configuration.

use jiff::SignedDuration;

use super::reader::{self, Fields, Record};
use super::{
    ClientConnection, ConfigError, Extender, FeatureGates, LeaderElection, ProfileConfig, args, document,
    profile,
};
use crate::sched::DEFAULT_NAME;

/// What a scheduler is to do. The default is what kube-scheduler does without a configuration.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Configuration {
    /// How much is done at once.
    pub parallelism: i32,
    /// Whether one scheduler of several leads.
    pub leader_election: LeaderElection,
    /// How to speak to the API server.
    pub client_connection: ClientConnection,
    /// Whether to serve profiles of the process.
    pub enable_profiling: bool,
    /// Whether these tell of contention, too.
    pub enable_contention_profiling: bool,
    /// How many of the nodes must be found to fit before the search ends, in percent; 0 for a number that
    /// follows from how many there are.
    pub percentage_of_nodes_to_score: i32,
    /// How long a pod waits that did not fit, at first. Whole seconds.
    pub pod_initial_backoff: SignedDuration,
    /// How long it waits at most.
    pub pod_max_backoff: SignedDuration,
    /// The profiles, each with a name of its own.
    pub profiles: Vec<ProfileConfig>,
    /// Services that have a say in all profiles.
    pub extenders: Vec<Extender>,
    /// Whether to observe nothing until leading.
    pub delay_cache_until_active: bool,
}

impl Default for Configuration {
    fn default() -> Self {
        let gates = FeatureGates::default();
        let written: Written = reader::empty(&gates);
        Self { profiles: vec![ProfileConfig::new(DEFAULT_NAME, &gates)], ..written.configuration }
    }
}

impl Configuration {
    /// Reads a configuration, YAML or JSON, with the features of 1.36. Of YAML the first document counts.
    ///
    /// # Errors
    ///
    /// When it is malformed, of another version or kind, has fields that are unknown or stand twice, or is
    /// not valid.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::parse_with(text, &FeatureGates::default())
    }

    /// The same, with these features.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), and when it sets what needs a feature that is off.
    pub fn parse_with(text: &str, gates: &FeatureGates) -> Result<Self, ConfigError> {
        let (node, duplicates) = document::read(text)?;
        let head = document::Head::of(&node)?.known(text, args::is_kind)?;
        if head.kind != document::KIND {
            return Err(ConfigError::NoConfiguration { kind: head.kind, version: head.version });
        }
        let (written, unknown) = reader::read::<Written>(&node, gates).map_err(ConfigError::Type)?;
        let mut problems: Vec<String> = duplicates.into_iter().chain(unknown).collect();
        let configuration = written.complete(gates, &mut problems)?;
        if !problems.is_empty() {
            return Err(ConfigError::Strict(problems));
        }
        configuration.validate(gates)?;
        Ok(configuration)
    }
}

/// A configuration as it is written: its profiles are not complete.
struct Written {
    /// All but the profiles.
    configuration: Configuration,
    profiles: Vec<profile::Written>,
}

impl Written {
    fn complete(
        mut self,
        gates: &FeatureGates,
        problems: &mut Vec<String>,
    ) -> Result<Configuration, ConfigError> {
        match &mut *self.profiles {
            [] => self.configuration.profiles.push(ProfileConfig::new(DEFAULT_NAME, gates)),
            [only] => only.name_if_unnamed(DEFAULT_NAME),
            _ => {}
        }
        for (place, profile) in self.profiles.into_iter().enumerate() {
            self.configuration.profiles.push(profile.complete(place, gates, problems)?);
        }
        Ok(self.configuration)
    }
}

impl Record for Written {
    const GO: &'static str = "v1.KubeSchedulerConfiguration";

    /// Source: `SetDefaults_KubeSchedulerConfiguration` of `pkg/scheduler/apis/config/v1/defaults.go` (1.36).
    fn read(fields: &mut Fields<'_>) -> Self {
        fields.head();
        let debugging = "DebuggingConfiguration";
        let enable_profiling = fields.embedded(debugging, "enableProfiling").unwrap_or(true);
        let contention = fields.embedded(debugging, "enableContentionProfiling");
        let mut backoff =
            |name, default| SignedDuration::from_secs(fields.get::<i64>(name).unwrap_or(default));
        let (initial, most) = (backoff("podInitialBackoffSeconds", 1), backoff("podMaxBackoffSeconds", 10));
        let gates = *fields.gates();
        let configuration = Configuration {
            parallelism: fields.get("parallelism").unwrap_or(16),
            leader_election: fields.get("leaderElection").unwrap_or_else(|| reader::empty(&gates)),
            client_connection: fields.get("clientConnection").unwrap_or_else(|| reader::empty(&gates)),
            enable_profiling,
            enable_contention_profiling: contention.unwrap_or(enable_profiling),
            percentage_of_nodes_to_score: fields.plain("percentageOfNodesToScore"),
            pod_initial_backoff: initial,
            pod_max_backoff: most,
            profiles: Vec::new(),
            extenders: fields.plain("extenders"),
            delay_cache_until_active: fields.plain("delayCacheUntilActive"),
        };
        Self { configuration, profiles: fields.plain("profiles") }
    }
}
