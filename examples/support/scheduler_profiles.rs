//! What examples that ask a scheduler read: a snapshot of a cluster, and profiles.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use windlass::sched::config::{Configuration, Expanded, InTree, Point, ProfileConfig, Registry};
use windlass::sched::{DEFAULT_NAME, PodInfo, Profile, Scene};

/// Profiles by name. Without a configuration, one that is every pod's.
pub(crate) struct Profiles(BTreeMap<String, Profile>);

impl Profiles {
    pub(crate) fn read(config: Option<&Path>) -> Result<Self, String> {
        let Some(path) = config else {
            return Ok(Self(BTreeMap::from([(DEFAULT_NAME.to_owned(), Profile::default())])));
        };
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let configuration = Configuration::parse(&text(path)?).map_err(|error| wrong(&error))?;
        let mut profiles = BTreeMap::new();
        for own in &configuration.profiles {
            let profile = profile_of(own).map_err(|error| wrong(&error))?;
            profiles.insert(own.scheduler_name.clone(), profile);
        }
        Ok(Self(profiles))
    }

    #[allow(dead_code, reason = "not every example wants it")]
    /// The profile that a pod asks for; the only one where there is but one.
    pub(crate) fn of(&self, pod: &PodInfo) -> Result<&Profile, String> {
        let name = pod.spec().and_then(|spec| spec.scheduler_name.as_deref()).unwrap_or(DEFAULT_NAME);
        match self.0.get(name) {
            Some(profile) => Ok(profile),
            None if self.0.len() == 1 => Ok(self.0.values().next().expect("there is one")),
            None => Err(format!("pod {}: the configuration has no profile {name:?}", pod.key)),
        }
    }

    /// The profile, where there is but one.
    #[allow(dead_code, reason = "not every example wants it")]
    pub(crate) fn only(self) -> Result<Profile, String> {
        let count = self.0.len();
        let only = self.0.into_values().next().filter(|_| count == 1);
        only.ok_or_else(|| format!("the configuration has {count} profiles; one is needed"))
    }
}

/// A profile as the configuration says: which plugins take part, in which order, with what weight.
fn profile_of(config: &ProfileConfig) -> Result<Profile, String> {
    let expanded = config.expand(&InTree).map_err(|error| error.to_string())?;
    not_taken_over(config, &expanded).map_or(Ok(()), Err)?;
    let known = Profile::default();
    let names = expanded.names();
    let mut profile = known.clone();
    for name in known.names().filter(|name| !names.contains(name)) {
        profile = profile.without(name);
    }
    Ok(weighted(profile, &expanded))
}

/// What a configuration says that a profile cannot be told yet; better none than another.
fn not_taken_over(config: &ProfileConfig, expanded: &Expanded) -> Option<String> {
    const NOTHING: &str = "{apiVersion: kubescheduler.config.k8s.io/v1, kind: KubeSchedulerConfiguration}";
    let usual = Configuration::parse(NOTHING).ok()?;
    let usual = &usual.profiles.first()?.args;
    if let Some(own) = config.args.iter().find(|own| !usual.contains(own)) {
        return Some(format!(
            "arguments of {} that are not the default ones cannot be taken over yet",
            own.plugin
        ));
    }
    let names = expanded.names();
    let missing = names.iter().find_map(|name| {
        let stands = |point: &Point| InTree.points(name).is_some_and(|points| points.contains(*point));
        let absent = |point: &Point| !expanded.at(*point).iter().any(|own| own == name);
        Point::ALL.into_iter().find(|point| stands(point) && absent(point)).map(|point| (name, point))
    });
    missing.map(|(name, point)| format!("that {name} is disabled at {point} alone cannot be taken over yet"))
}

/// The same plugins with the weights of their scores.
fn weighted(profile: Profile, expanded: &Expanded) -> Profile {
    let scorers = expanded.at(Point::Score).iter();
    scorers.fold(profile, |profile, name| match expanded.score_weight(name) {
        Some(weight) => profile.reweighted(name, weight),
        None => profile,
    })
}

/// All files as one scene.
pub(crate) fn scene(paths: &[PathBuf]) -> Result<Scene, String> {
    let mut scene = Scene::default();
    for path in paths {
        scene.add(&path.display().to_string(), &text(path)?).map_err(|error| error.to_string())?;
    }
    Ok(scene)
}

fn text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
