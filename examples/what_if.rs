//! What would happen if: nodes come or go, more pods come, and all that wait are placed. Offline, of any cluster.
//!
//! ```text
//! what_if --snapshot cluster.json --drain node-1 --drain node-2
//! what_if --snapshot cluster.json --fits web.yaml
//! what_if --snapshot cluster.json --shape small.yaml --shape large.yaml
//! ```

#[path = "support/scheduler_profiles.rs"]
mod scheduler_profiles;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use scheduler_profiles::Profiles;
use windlass::k8s_openapi::api::core::v1::Node;
use windlass::sched::{Quality, Scene, WhatIf};

/// Tries changes on a copy of a cluster, and says what they would do. Nothing touches the cluster.
#[derive(Debug, Parser)]
struct Arguments {
    /// A list of objects, as `kubectl get -o json` or `-o yaml` prints it; several are read as one.
    #[arg(long, required = true, value_name = "FILE")]
    snapshot: Vec<PathBuf>,
    /// A KubeSchedulerConfiguration with one profile; kube-scheduler's defaults where none is given.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Nodes to drain.
    #[arg(long, value_name = "NODE")]
    drain: Vec<String>,
    /// Nodes to take away.
    #[arg(long, value_name = "NODE")]
    remove: Vec<String>,
    /// Nodes to add, as manifests.
    #[arg(long, value_name = "FILE")]
    add: Vec<PathBuf>,
    /// How many of each added node.
    #[arg(long, default_value_t = 1)]
    times: usize,
    /// Pods of which to say how many more fit, after all that.
    #[arg(long, value_name = "FILE")]
    fits: Vec<PathBuf>,
    /// Shapes of nodes of which to say how many would make all waiting pods fit, after all that.
    #[arg(long, value_name = "FILE")]
    shape: Vec<PathBuf>,
    /// What is left to chance follows from it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// As many pods as are counted at most.
const MANY: usize = 1_000_000;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<String, String> {
    let profile = Profiles::read(arguments.config.as_deref())?.only()?;
    let scene = scheduler_profiles::scene(&arguments.snapshot)?;
    let before = WhatIf::of(&scene, profile, arguments.seed);
    let mut after = before.fork();
    for path in &arguments.add {
        nodes(path)?.iter().for_each(|node| drop(after.add_nodes(node, arguments.times)));
    }
    for name in &arguments.remove {
        after.remove_node(name).then_some(()).ok_or_else(|| format!("there is no node {name:?}"))?;
    }
    for name in &arguments.drain {
        after.drain(name).then_some(()).ok_or_else(|| format!("there is no node {name:?}"))?;
    }
    let unplaced = after.fork();
    let placed = after.place();
    let mut report = after.compare(&before).to_string();
    let mut line = |text: String| writeln!(report, "{text}").map_err(|error| error.to_string());
    line(String::new())?;
    for left in &placed.left {
        line(format!("{} fits nowhere: {}", left.pod, left.message))?;
    }
    for path in &arguments.fits {
        for pod in pods(path)?.pending {
            let fits = after.fits(&pod.pod, MANY);
            let why = fits.message.map(|message| format!("; then {message}")).unwrap_or_default();
            line(format!("{} more of {} fit{why}", fits.count, pod.key))?;
        }
    }
    if !arguments.shape.is_empty() {
        let shapes: Vec<Node> =
            arguments.shape.iter().map(|path| nodes(path)).collect::<Result<Vec<_>, _>>()?.concat();
        let found = unplaced.shapes(&shapes);
        let counts =
            found.counts.iter().zip(&shapes).map(|(count, shape)| format!("{count} x {}", named(shape)));
        line(match found.quality {
            Quality::Impossible => "No number of these nodes makes all pods fit:".into(),
            Quality::AtLeast(least) => format!(
                "All pods fit with {} (fewer than {least} nodes cannot do)",
                counts.collect::<Vec<_>>().join(", ")
            ),
            _ => format!("All pods fit with {}, and not with fewer", counts.collect::<Vec<_>>().join(", ")),
        })?;
        for left in &found.left {
            line(format!("  {}: {}", left.pod, left.message))?;
        }
    }
    Ok(report)
}

fn pods(path: &Path) -> Result<Scene, String> {
    let scene = scheduler_profiles::scene(&[path.to_owned()])?;
    match scene.pending.is_empty() {
        true => Err(format!("{}: there is no pod without a node", path.display())),
        false => Ok(scene),
    }
}

fn nodes(path: &Path) -> Result<Vec<Node>, String> {
    let scene = scheduler_profiles::scene(&[path.to_owned()])?;
    let nodes = scene.snapshot.nodes().iter().map(|node| (**scene.snapshot.node(*node)).clone());
    match nodes.collect::<Vec<_>>() {
        nodes if nodes.is_empty() => Err(format!("{}: there is no node", path.display())),
        nodes => Ok(nodes),
    }
}

fn named(node: &Node) -> &str {
    node.metadata.name.as_deref().unwrap_or_default()
}
