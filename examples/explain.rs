//! Why pods wait: what the scheduler says of every pod without a node, offline, of any cluster.
//!
//! ```text
//! kubectl get -o json nodes,pods,namespaces,services,rc,rs,sts -A > cluster.json
//! explain --snapshot cluster.json
//! ```

#[path = "support/scheduler_profiles.rs"]
mod scheduler_profiles;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use scheduler_profiles::Profiles;
use windlass::sched::{Explanation, Scene, explain};

/// Says of every pod without a node which node a scheduler would take, and why, or why none.
#[derive(Debug, Parser)]
struct Arguments {
    /// A list of objects, as `kubectl get -o json` or `-o yaml` prints it; several are read as one.
    #[arg(long, required = true, value_name = "FILE")]
    snapshot: Vec<PathBuf>,
    /// A KubeSchedulerConfiguration; kube-scheduler's defaults where none is given.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Table,
    Json,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(printed) => {
            print!("{printed}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<String, String> {
    let profiles = Profiles::read(arguments.config.as_deref())?;
    let scene = scheduler_profiles::scene(&arguments.snapshot)?;
    let explanations = explained(&profiles, &scene)?;
    Ok(match arguments.output {
        Output::Json => format!("{}\n", serde_json::json!({ "pods": explanations })),
        Output::Table if explanations.is_empty() => "No pod waits for a node.\n".into(),
        Output::Table => explanations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    })
}

fn explained(profiles: &Profiles, scene: &Scene) -> Result<Vec<Explanation>, String> {
    let explained = |pod: &_| Ok(explain(profiles.of(pod)?, &scene.snapshot, pod));
    scene.pending.iter().map(|pod| explained(&**pod)).collect()
}
