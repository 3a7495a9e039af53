//! What examples that ask a scheduler read: a snapshot of a cluster, and profiles.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use windlass::sched::config::{Configuration, Expanded, InTree, Point, ProfileConfig};
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
        configuration.expand(&InTree).map_err(|error| wrong(&error))?;
        if !configuration.extenders.is_empty() {
            return Err(wrong(&"extenders cannot be asked"));
        }
        let shares = configuration.profiles.iter().filter_map(|own| own.percentage_of_nodes_to_score);
        let mut shares = shares.chain([configuration.percentage_of_nodes_to_score]);
        if let Some(share) = shares.find(|share| !matches!(share, 0 | 100)) {
            return Err(wrong(&format!("percentageOfNodesToScore {share}: every node is scored")));
        }
        let mut profiles = BTreeMap::new();
        for own in &configuration.profiles {
            let profile = profile_of(own).map_err(|error| wrong(&error))?;
            profiles.insert(own.scheduler_name.clone(), profile);
        }
        Ok(Self(profiles))
    }

    /// The profile that a pod asks for; the only one where there is but one.
    #[allow(dead_code, reason = "not every example wants it")]
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
    const NOTHING: &str = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";
    let usual = Configuration::parse(NOTHING).expect("what says nothing is a configuration");
    let usual = usual.profiles.first().expect("the default one");
    if let Some(own) = config.args.iter().find(|own| !usual.args.contains(own)) {
        return Some(format!(
            "arguments of {} that are not the default ones cannot be taken over yet",
            own.plugin
        ));
    }
    let usual = usual.expand(&InTree).expect("the default one expands");
    let names = expanded.names();
    let other = Point::ALL.into_iter().find(|point| {
        let left = usual.at(*point).iter().filter(|name| names.contains(name.as_str()));
        // Scores are added up, in whatever order.
        let (mut left, mut own) = (left.collect::<Vec<_>>(), expanded.at(*point).iter().collect::<Vec<_>>());
        if *point == Point::Score {
            left.sort();
            own.sort();
        }
        left != own
    });
    other.map(|point| {
        let own = expanded.at(point).join(", ");
        format!("that the plugins at {point} are [{own}], and in this order, cannot be taken over yet")
    })
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
