//! A profile: what pods of one scheduler name get.

use super::args::{self, Read};
use super::node::Node;
use super::reader::{Fields, Record};
use super::{Args, ConfigError, FeatureGates, PluginArgs, Plugins};

/// A profile: what pods of one scheduler name get.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileConfig {
    /// Pods with this `spec.schedulerName` are its own.
    pub scheduler_name: String,
    /// How many of the nodes must be found to fit before the search ends, in percent; the configuration's own
    /// number where there is none.
    pub percentage_of_nodes_to_score: Option<i32>,
    /// The default plugins, and what the profile says of them and others.
    pub plugins: Plugins,
    /// Arguments: first those that the profile gives, in its order, then those that other enabled plugins have
    /// by default.
    pub args: Vec<PluginArgs>,
}

impl ProfileConfig {
    /// A profile of this name with the default plugins.
    #[must_use]
    pub fn new(scheduler_name: &str, gates: &FeatureGates) -> Self {
        let mut profile = Self {
            scheduler_name: scheduler_name.to_owned(),
            percentage_of_nodes_to_score: None,
            plugins: Plugins::default_set(gates),
            args: Vec::new(),
        };
        profile.complete_args(gates);
        profile
    }

    /// The arguments of a plugin; none where the profile gives none and the plugin has none by default.
    #[must_use]
    pub fn args_of(&self, plugin: &str) -> Option<&Args> {
        self.args.iter().find(|own| own.plugin == plugin).map(|own| &own.args)
    }

    /// Gives the default arguments to enabled plugins that have none, by name.
    fn complete_args(&mut self, gates: &FeatureGates) {
        let missing: Vec<_> = self
            .plugins
            .names()
            .into_iter()
            .filter(|name| self.args_of(name).is_none())
            .filter_map(|name| {
                Some(PluginArgs { plugin: name.to_owned(), args: Args::default_of(name, gates)? })
            })
            .collect();
        self.args.extend(missing);
    }
}

/// A profile as it is written: nothing is merged, and arguments are not read.
pub(super) struct Written {
    scheduler_name: Option<String>,
    percentage_of_nodes_to_score: Option<i32>,
    plugins: Plugins,
    args: Vec<WrittenArgs>,
}

struct WrittenArgs {
    plugin: String,
    args: Option<Node>,
}

impl Written {
    /// The profile of this place among `count`. What strict decoding objects to in its arguments is added to
    /// `problems`.
    ///
    /// Source: `setDefaults_KubeSchedulerProfile` of `pkg/scheduler/apis/config/v1/defaults.go` (1.36).
    pub(super) fn complete(
        self,
        place: usize,
        gates: &FeatureGates,
        problems: &mut Vec<String>,
    ) -> Result<ProfileConfig, ConfigError> {
        let mut args = Vec::new();
        for (index, WrittenArgs { plugin, args: node }) in self.args.into_iter().enumerate() {
            match args::read(&plugin, node.as_ref(), gates) {
                Ok(Read::Args(read, own)) => {
                    if !own.is_empty() {
                        problems.push(format!(
                            "decoding .profiles[{place}].pluginConfig[{index}]: strict decoding error: decoding \
                             args for plugin {plugin}: {}",
                            ConfigError::Strict(own)
                        ));
                    }
                    args.push(PluginArgs { plugin, args: read });
                }
                Ok(Read::Foreign(kind)) => {
                    return Err(ConfigError::ArgsKind { profile: place, index, plugin, kind });
                }
                Err(error) => {
                    return Err(ConfigError::Args { profile: place, index, plugin, source: Box::new(error) });
                }
            }
        }
        let mut profile = ProfileConfig {
            scheduler_name: self.scheduler_name.unwrap_or_default(),
            percentage_of_nodes_to_score: self.percentage_of_nodes_to_score,
            plugins: Plugins::default_set(gates).merge(&self.plugins),
            args,
        };
        profile.complete_args(gates);
        Ok(profile)
    }

    /// A profile that is alone has a name by default; others must say theirs.
    pub(super) fn name_if_unnamed(&mut self, name: &str) {
        self.scheduler_name.get_or_insert_with(|| name.to_owned());
    }
}

impl Record for Written {
    const GO: &'static str = "v1.KubeSchedulerProfile";

    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            scheduler_name: fields.get("schedulerName"),
            percentage_of_nodes_to_score: fields.get("percentageOfNodesToScore"),
            plugins: fields.plain("plugins"),
            args: fields.plain("pluginConfig"),
        }
    }
}

impl Record for WrittenArgs {
    const GO: &'static str = "v1.PluginConfig";

    fn read(fields: &mut Fields<'_>) -> Self {
        Self { plugin: fields.plain("name"), args: fields.raw("args") }
    }
}
