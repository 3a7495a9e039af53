//! A container runtime of one's own: containers are functions of this program.
//!
//! The scheduler, the reconcilers and the node agent neither know nor care: a Deployment of two
//! replicas runs two of these functions, and one that returns is started again.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use clap::Parser;
use futures_util::StreamExt;
use windlass::api::cidr::Cidr;
use windlass::client::{Api, Event, WatchOptions};
use windlass::cluster::{Cluster, Machine, Machines, Simulated, StartError};
use windlass::env::{Env, Task};
use windlass::k8s_openapi::api::apps::v1::Deployment;
use windlass::runtime::{
    ContainerConfig, ContainerId, ContainerRuntime, ContainerState, ContainerStatus, Error, Result,
    RuntimeVersion, Sandbox, SandboxConfig, SandboxId, SandboxState, SandboxStatus,
};

/// A container runtime of one's own: containers are functions of this program.
#[derive(Parser)]
struct Args {
    /// How many replicas of the function run.
    #[arg(long, default_value_t = 2)]
    replicas: u16,
}

/// Runs "images" that are functions: `count` counts to a number, then waits to be stopped.
struct Functions {
    env: Env,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    made: u64,
    sandboxes: BTreeMap<SandboxId, SandboxStatus>,
    containers: BTreeMap<ContainerId, Container>,
}

struct Container {
    status: ContainerStatus,
    config: ContainerConfig,
    task: Option<Task<()>>,
}

impl Functions {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exited(&self, container: &mut Container, exit_code: i32, reason: &str) {
        if let ContainerState::Running { started_at } = container.status.state {
            let finished_at = self.env.clock.now();
            let (signal, message) = ((exit_code == 137).then_some(9), String::new());
            container.status.state = ContainerState::Exited {
                started_at,
                finished_at,
                exit_code,
                signal,
                reason: reason.into(),
                message,
            };
        }
        if let Some(task) = container.task.take() {
            task.abort();
        }
    }
}

fn unknown(what: &'static str, id: impl ToString) -> Error {
    Error::NotFound { what, id: id.to_string() }
}

async fn count(env: Env, to: u32) {
    for number in 1..=to {
        println!("{number}");
        env.clock.sleep(Duration::from_millis(1)).await;
    }
    std::future::pending::<()>().await;
}

#[async_trait]
impl ContainerRuntime for Functions {
    fn version(&self) -> RuntimeVersion {
        RuntimeVersion { name: "functions".into(), version: "0.1.0".into() }
    }

    async fn create_sandbox(&self, config: &SandboxConfig) -> Result<Sandbox> {
        let mut state = self.state();
        state.made += 1;
        let id = SandboxId(format!("sandbox-{}", state.made));
        let status = SandboxStatus {
            id: id.clone(),
            config: config.clone(),
            state: SandboxState::Created,
            created_at: self.env.clock.now(),
            addresses: Vec::new(),
        };
        state.sandboxes.insert(id.clone(), status);
        Ok(Sandbox { id, netns: None })
    }

    async fn start_sandbox(&self, id: &SandboxId, addresses: &[IpAddr]) -> Result<()> {
        let mut state = self.state();
        let sandbox = state.sandboxes.get_mut(id).ok_or_else(|| unknown("sandbox", id))?;
        (sandbox.state, sandbox.addresses) = (SandboxState::Ready, addresses.to_vec());
        Ok(())
    }

    async fn stop_sandbox(&self, id: &SandboxId) -> Result<()> {
        let mut state = self.state();
        if let Some(sandbox) = state.sandboxes.get_mut(id) {
            sandbox.state = SandboxState::NotReady;
        }
        for container in state.containers.values_mut().filter(|container| container.status.sandbox == *id) {
            self.exited(container, 137, "Error");
        }
        Ok(())
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<()> {
        self.stop_sandbox(id).await?;
        let mut state = self.state();
        state.sandboxes.remove(id);
        state.containers.retain(|_, container| container.status.sandbox != *id);
        Ok(())
    }

    async fn sandboxes(&self) -> Result<Vec<SandboxStatus>> {
        Ok(self.state().sandboxes.values().cloned().collect())
    }

    async fn create_container(&self, sandbox: &SandboxId, config: &ContainerConfig) -> Result<ContainerId> {
        if config.image != "count" {
            let why = "this program has no such function".to_owned();
            return Err(Error::ImageNotFound { reference: config.image.clone(), why });
        }
        let mut state = self.state();
        if !state.sandboxes.contains_key(sandbox) {
            return Err(unknown("sandbox", sandbox));
        }
        state.made += 1;
        let id = ContainerId(format!("container-{}", state.made));
        let status = ContainerStatus {
            id: id.clone(),
            sandbox: sandbox.clone(),
            name: config.name.clone(),
            attempt: config.attempt,
            state: ContainerState::Created,
            created_at: self.env.clock.now(),
            image: config.image.clone(),
            image_id: "functions://count".into(),
            labels: config.labels.clone(),
            annotations: config.annotations.clone(),
        };
        state.containers.insert(id.clone(), Container { status, config: config.clone(), task: None });
        Ok(id)
    }

    async fn start_container(&self, id: &ContainerId) -> Result<()> {
        let mut state = self.state();
        let container = state.containers.get_mut(id).ok_or_else(|| unknown("container", id))?;
        let to = container.config.args.first().and_then(|arg| arg.parse().ok()).unwrap_or(3);
        container.task = Some(self.env.tasks.spawn("function", count(self.env.clone(), to)));
        container.status.state = ContainerState::Running { started_at: self.env.clock.now() };
        Ok(())
    }

    async fn stop_container(&self, id: &ContainerId, _grace: Duration) -> Result<()> {
        // A function has nothing to say goodbye to: it ends where it stands.
        if let Some(container) = self.state().containers.get_mut(id) {
            self.exited(container, 0, "Completed");
        }
        Ok(())
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<()> {
        let mut state = self.state();
        let running =
            |container: &Container| matches!(container.status.state, ContainerState::Running { .. });
        if state.containers.get(id).is_some_and(running) {
            return Err(Error::StillRunning { id: id.to_string() });
        }
        state.containers.remove(id);
        Ok(())
    }

    async fn container(&self, id: &ContainerId) -> Result<ContainerStatus> {
        let state = self.state();
        state.containers.get(id).map(|found| found.status.clone()).ok_or_else(|| unknown("container", id))
    }

    async fn containers(&self) -> Result<Vec<ContainerStatus>> {
        Ok(self.state().containers.values().map(|container| container.status.clone()).collect())
    }
}

/// Nodes that run functions, on the simulated network.
struct FunctionMachines(Simulated);

#[async_trait]
impl Machines for FunctionMachines {
    async fn machine(&self, node: &str, env: &Env) -> std::result::Result<Machine, StartError> {
        let network = self.0.machine(node, env).await?.network;
        let runtime = Functions { env: env.clone(), state: Mutex::default() };
        Ok(Machine { runtime: Arc::new(runtime), network })
    }

    fn service_cidr(&self) -> Cidr {
        self.0.service_cidr()
    }

    async fn shutdown(&self) {
        self.0.shutdown().await;
    }
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let args = Args::parse();
    let cluster =
        Cluster::builder().nodes(1).machines(FunctionMachines(Simulated::default())).start().await?;
    let manifest = format!(
        r#"{{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {{"name": "count"}},
            "spec": {{"replicas": {}, "selector": {{"matchLabels": {{"app": "count"}}}},
                "template": {{"metadata": {{"labels": {{"app": "count"}}}},
                    "spec": {{"containers": [{{"name": "count", "image": "count", "args": ["3"]}}]}}}}}}}}"#,
        args.replicas
    );
    cluster.apply("count.json", &manifest).await?;

    let deployments = Api::<Deployment>::namespaced(cluster.client(), "default");
    let mut events = deployments.watch(WatchOptions::default()).await?;
    while let Some(event) = events.next().await {
        let (Event::Added(deployment) | Event::Modified(deployment)) = event? else { continue };
        let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
        if ready == i32::from(args.replicas) {
            println!("{ready} functions run");
            break;
        }
    }
    cluster.shutdown().await;
    Ok(())
}
