//! Facts about kube-scheduler's configuration, as tables.

use super::*;

mod args;
mod defaults;
mod expansion;
mod parsing;
mod validating;

/// A configuration with this behind its head.
fn parse(body: &str) -> Result<Configuration, ConfigError> {
    Configuration::parse(&document(body))
}

fn document(body: &str) -> String {
    format!("apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n{body}")
}

/// A configuration of one profile with these arguments.
fn with_args(plugin: &str, args: &str) -> String {
    document(&format!("profiles: [{{pluginConfig: [{{name: {plugin}, args: {args}}}]}}]"))
}

fn refused(body: &str) -> String {
    parse(body).unwrap_err().to_string()
}

fn enabled(plugins: &[(&str, i32)]) -> Vec<EnabledPlugin> {
    plugins.iter().map(|(name, weight)| EnabledPlugin::new(name, *weight)).collect()
}

fn set(plugins: &[(&str, i32)], disabled: &[&str]) -> PluginSet {
    PluginSet {
        enabled: enabled(plugins),
        disabled: disabled.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn gates(change: impl FnOnce(&mut FeatureGates)) -> FeatureGates {
    let mut gates = FeatureGates::default();
    change(&mut gates);
    gates
}
