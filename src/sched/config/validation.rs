//! What a configuration may not say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Args, ConfigError, Configuration, FeatureGates, Point, ProfileConfig, document, extender};
use super::{EnabledPlugin, PluginSet};
use crate::api::field::{Error, Path};

/// Plugins that are gone.
const REMOVED: [&str; 4] = ["AzureDiskLimits", "CinderLimits", "EBSLimits", "GCEPDLimits"];

/// The points at which these are looked for, in the order in which a profile documents them.
const LOOKED_AT: [Point; 12] = [
    Point::PreEnqueue,
    Point::QueueSort,
    Point::PreFilter,
    Point::Filter,
    Point::PostFilter,
    Point::PreScore,
    Point::Score,
    Point::Reserve,
    Point::Permit,
    Point::PreBind,
    Point::Bind,
    Point::PostBind,
];

impl Configuration {
    /// Whether it is valid, where these features are on. What is parsed has been asked already.
    ///
    /// Source: `pkg/scheduler/apis/config/validation/validation.go` and `validation_pluginargs.go` (1.36).
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`], with all that is wrong.
    pub fn validate(&self, gates: &FeatureGates) -> Result<(), ConfigError> {
        let mut errors = Vec::new();
        self.client_connection.validate(&Path::new("clientConnection"), &mut errors);
        self.leader_election.validate(&Path::new("leaderElection"), &mut errors);
        if self.parallelism <= 0 {
            let detail = "should be an integer value greater than zero";
            errors.push(Error::invalid(&Path::new("parallelism"), self.parallelism, detail));
        }
        validate_profiles(&self.profiles, &Path::new("profiles"), gates, &mut errors);
        percentage(self.percentage_of_nodes_to_score, &Path::root(), &mut errors);
        let (initial, most) = (self.pod_initial_backoff.as_secs(), self.pod_max_backoff.as_secs());
        if initial <= 0 {
            let path = Path::new("podInitialBackoffSeconds");
            errors.push(Error::invalid(&path, initial, "must be greater than 0"));
        }
        if most < initial {
            let detail = "must be greater than or equal to PodInitialBackoffSeconds";
            errors.push(Error::invalid(&Path::new("podMaxBackoffSeconds"), most, detail));
        }
        extender::validate(&self.extenders, &Path::new("extenders"), &mut errors);
        if errors.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(errors)) }
    }
}

fn percentage(percentage: i32, parent: &Path, errors: &mut Vec<Error>) {
    if !(0..=100).contains(&percentage) {
        let path = parent.child("percentageOfNodesToScore");
        errors.push(Error::invalid(&path, percentage, "not in valid range [0-100]"));
    }
}

fn validate_profiles(profiles: &[ProfileConfig], path: &Path, gates: &FeatureGates, errors: &mut Vec<Error>) {
    let Some((first, others)) = profiles.split_first() else {
        errors.push(Error::required(path, ""));
        return;
    };
    let mut names = BTreeSet::new();
    for (index, profile) in profiles.iter().enumerate() {
        let path = path.index(index);
        validate_profile(profile, &path, gates, errors);
        if !names.insert(&profile.scheduler_name) {
            // What Kubernetes means to show is the other's path, and shows as nothing.
            errors.push(Error::duplicate(&path.child("schedulerName"), json!({})));
        }
    }
    validate_queue_sort(first, others, path, errors);
}

fn validate_profile(profile: &ProfileConfig, path: &Path, gates: &FeatureGates, errors: &mut Vec<Error>) {
    if profile.scheduler_name.is_empty() {
        errors.push(Error::required(&path.child("schedulerName"), ""));
    }
    percentage(profile.percentage_of_nodes_to_score.unwrap_or(0), path, errors);
    for point in LOOKED_AT {
        let path = path.child("plugins").child(point.field()).child("enabled");
        for (index, plugin) in profile.plugins[point].enabled.iter().enumerate() {
            errors.extend(removed(&plugin.name, &path.index(index)));
        }
    }
    let mut seen = BTreeMap::new();
    for (index, own) in profile.args.iter().enumerate() {
        let path = path.child("pluginConfig").index(index);
        if seen.insert(&own.plugin, ()).is_some() {
            errors.push(Error::duplicate(&path, own.plugin.clone()));
        }
        let wanted = Args::default_of(&own.plugin, gates);
        let args = path.child("args");
        match (removed(&own.plugin, &path), wanted) {
            (Some(error), _) => errors.push(error),
            (None, Some(wanted)) if wanted.plugin() != own.args.plugin() => {
                errors.push(Error::invalid(&args, shown(&own.args), "has to match plugin args"));
            }
            (None, Some(_)) => own.args.validate(&args, gates, errors),
            (None, None) => {}
        }
    }
}

/// That a plugin is gone, if it is. The version in which is Kubernetes' own slip: it means another `v1`.
fn removed(plugin: &str, path: &Path) -> Option<Error> {
    let detail = format!(
        "was invalid in version \"v1\" (KubeSchedulerConfiguration is version {:?})",
        document::VERSION
    );
    REMOVED.contains(&plugin).then(|| Error::invalid(path, plugin, detail))
}

/// Arguments in an error: as they were given, or else whose they are.
fn shown(args: &Args) -> Value {
    match (args, args.plugin()) {
        (Args::Other(value), _) => value.clone(),
        (_, plugin) => format!("{}Args", plugin.unwrap_or_default()).into(),
    }
}

/// All profiles share one queue, so they must sort it the same.
fn validate_queue_sort(
    first: &ProfileConfig,
    others: &[ProfileConfig],
    path: &Path,
    errors: &mut Vec<Error>,
) {
    let canon = &first.plugins[Point::QueueSort];
    if canon.enabled.len() > 1 {
        let path = path.index(0).child("plugins").child("queueSort").child("Enabled");
        errors.push(Error::invalid(&path, canon.enabled.len(), "only one queue sort plugin can be enabled"));
    }
    let sorter = canon.enabled.first().map(|plugin| &plugin.name);
    // Of two that are given for it the last counts.
    let args = first.args.iter().rfind(|own| Some(&own.plugin) == sorter).map(|own| &own.args);
    for (index, profile) in (1..).zip(others) {
        let path = path.index(index);
        let own = &profile.plugins[Point::QueueSort];
        if own != canon {
            let detail = format!("{}: must be the same for all profiles", go_json(own));
            errors.push(Error::unshown(&path.child("plugins").child("queueSort"), detail));
        }
        for own in profile.args.iter().filter(|own| Some(&own.plugin) == sorter) {
            if Some(&own.args) != args {
                let path = path.child("pluginConfig").child("args");
                errors.push(Error::invalid(
                    &path,
                    shown(&own.args),
                    "queueSort must be the same for all profiles",
                ));
            }
        }
    }
}

/// A set as Go shows it, in the order of its fields.
fn go_json(set: &PluginSet) -> String {
    let list = |plugins: Vec<String>| {
        if plugins.is_empty() { "null".to_owned() } else { format!("[{}]", plugins.join(",")) }
    };
    let plugin = |name: &str, weight: i32| format!(r#"{{"Name":{},"Weight":{weight}}}"#, Value::from(name));
    let enabled = set.enabled.iter().map(|EnabledPlugin { name, weight }| plugin(name, *weight)).collect();
    let disabled = set.disabled.iter().map(|name| plugin(name, 0)).collect();
    format!(r#"{{"Enabled":{},"Disabled":{}}}"#, list(enabled), list(disabled))
}
