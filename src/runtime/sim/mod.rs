//! Simulated containers: scripts played on virtual time.
//!
//! A [`SimRuntime`] is one machine. What its containers do (how long they take to start, when they
//! exit, what they print, how they take SIGTERM, what a command in them answers) is a [`Script`]
//! per image. Nothing happens but by the clock and the streams of its [`Env`], so a
//! cluster of thousands of such machines replays from a seed. The machine itself can
//! [`crash`](SimRuntime::crash) and [`restart`](SimRuntime::restart).

mod container;
mod exec;
mod log;
mod script;
mod serve;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

pub use script::{Answer, Delay, Life, OnTerm, Output, Pull, Script, Scripts, Served};

use self::container::{Container, Signal, State};
use self::log::Log;
use super::{
    ContainerConfig, ContainerId, ContainerRuntime, ContainerState, ContainerStatus, Error, EventHub,
    EventStream, Events, Exec, ImageReference, ImageStatus, Images, LogOptions, LogStream, Logs, Result,
    RuntimeVersion, Sandbox, SandboxConfig, SandboxId, SandboxState, SandboxStatus,
};
use crate::env::{Env, Stream};

/// One simulated machine.
pub struct SimRuntime {
    env: Env,
    scripts: Scripts,
    events: EventHub,
    ids: Stream,
    chance: Stream,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    down: bool,
    pulled: BTreeSet<ImageReference>,
    sandboxes: BTreeMap<SandboxId, SandboxStatus>,
    containers: BTreeMap<ContainerId, Arc<Container>>,
}

impl SimRuntime {
    /// A machine of this name; what is random about it follows from the name and the seed.
    #[must_use]
    pub fn new(machine: &str, env: &Env, scripts: Scripts) -> Self {
        Self {
            ids: env.random.stream(&format!("{machine} runtime/sim/ids")),
            chance: env.random.stream(&format!("{machine} runtime/sim/chance")),
            env: env.child(),
            scripts,
            events: EventHub::new(),
            tables: Mutex::default(),
        }
    }

    /// The machine goes down: every container is cut off, nobody is told, and every call fails.
    pub fn crash(&self) {
        let mut tables = self.tables();
        tables.down = true;
        for sandbox in tables.sandboxes.values_mut() {
            sandbox.state = SandboxState::NotReady;
        }
        let now = self.env.clock.now();
        for container in tables.containers.values() {
            container.lose(now);
        }
    }

    /// The machine is back, with what it had on its disk: images, and the records of what ran.
    pub fn restart(&self) {
        let mut tables = self.tables();
        tables.down = false;
        let events: Vec<_> = tables.containers.values().map(|container| container.event()).collect();
        drop(tables);
        for event in &events {
            self.events.publish(event);
        }
    }

    /// Kills a container from outside of its pod, as `kill -9` on the machine would.
    pub fn kill(&self, id: &ContainerId) {
        if let Ok(container) = self.find("kill", id) {
            container.signal(Signal::Kill);
        }
    }

    /// Kills everything, and waits until no task of this machine is left.
    pub async fn shutdown(&self) {
        self.crash();
        self.env.tasks.shutdown().await;
    }

    fn env(&self) -> &Env {
        &self.env
    }

    fn chance(&self) -> &Stream {
        &self.chance
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self, operation: &'static str) -> Result<MutexGuard<'_, Tables>> {
        let tables = self.tables();
        if tables.down {
            return Err(Error::Failed { operation, source: "the machine is down".into() });
        }
        Ok(tables)
    }

    fn find(&self, operation: &'static str, id: &ContainerId) -> Result<Arc<Container>> {
        let found = self.up(operation)?.containers.get(id).cloned();
        found.ok_or_else(|| Error::NotFound { what: "container", id: id.0.clone() })
    }

    fn new_id(&self) -> String {
        let mut bytes = [0; 32];
        self.ids.fill(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Drop for SimRuntime {
    fn drop(&mut self) {
        self.env.tasks.cancel();
    }
}

#[async_trait]
impl ContainerRuntime for SimRuntime {
    fn version(&self) -> RuntimeVersion {
        RuntimeVersion { name: "windlass-sim".into(), version: env!("CARGO_PKG_VERSION").into() }
    }

    async fn create_sandbox(&self, config: &SandboxConfig) -> Result<Sandbox> {
        let mut tables = self.up("creating a sandbox")?;
        let id = SandboxId(self.new_id());
        let status = SandboxStatus {
            id: id.clone(),
            config: config.clone(),
            state: SandboxState::Created,
            created_at: self.env.clock.now(),
            addresses: Vec::new(),
        };
        tables.sandboxes.insert(id.clone(), status);
        Ok(Sandbox { id, netns: None })
    }

    async fn start_sandbox(&self, id: &SandboxId, addresses: &[IpAddr]) -> Result<()> {
        let mut tables = self.up("starting a sandbox")?;
        let sandbox = tables.sandboxes.get_mut(id).ok_or_else(|| no_sandbox(id))?;
        match sandbox.state {
            SandboxState::Created => {
                sandbox.state = SandboxState::Ready;
                sandbox.addresses = addresses.to_vec();
                Ok(())
            }
            SandboxState::Ready => Err(wrong_sandbox(id, "started")),
            SandboxState::NotReady => Err(wrong_sandbox(id, "stopped")),
        }
    }

    async fn stop_sandbox(&self, id: &SandboxId) -> Result<()> {
        let containers: Vec<_> = {
            let mut tables = self.up("stopping a sandbox")?;
            if let Some(sandbox) = tables.sandboxes.get_mut(id) {
                sandbox.state = SandboxState::NotReady;
            }
            tables.containers.values().filter(|container| container.sandbox == *id).cloned().collect()
        };
        for container in &containers {
            container.signal(Signal::Kill);
        }
        for container in &containers {
            container.ended().await;
        }
        Ok(())
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<()> {
        self.stop_sandbox(id).await?;
        let mut tables = self.up("removing a sandbox")?;
        let gone: Vec<_> =
            tables.containers.values().filter(|container| container.sandbox == *id).cloned().collect();
        for container in &gone {
            tables.containers.remove(&container.id);
        }
        tables.sandboxes.remove(id);
        drop(tables);
        for container in &gone {
            container.log.end();
            self.events.publish(&container.event());
        }
        Ok(())
    }

    async fn sandboxes(&self) -> Result<Vec<SandboxStatus>> {
        Ok(self.up("listing sandboxes")?.sandboxes.values().cloned().collect())
    }

    async fn create_container(&self, sandbox: &SandboxId, config: &ContainerConfig) -> Result<ContainerId> {
        let (image, script) = self.scripts.resolve(&config.image)?;
        let mut tables = self.up("creating a container")?;
        if !tables.pulled.contains(&image) {
            let why = "it has not been pulled to this machine".to_owned();
            return Err(Error::ImageNotFound { reference: config.image.clone(), why });
        }
        let owner = tables.sandboxes.get(sandbox).ok_or_else(|| no_sandbox(sandbox))?;
        if owner.state != SandboxState::Ready {
            return Err(wrong_sandbox(sandbox, "not started"));
        }
        let id = ContainerId(self.new_id());
        let container = Arc::new(Container {
            id: id.clone(),
            sandbox: sandbox.clone(),
            pod_uid: owner.config.uid.clone(),
            config: config.clone(),
            image_id: format!("sim://{image}"),
            script,
            created_at: self.env.clock.now(),
            log: Arc::new(Log::default()),
            state: Mutex::new(State {
                shown: ContainerState::Created,
                claimed: false,
                since: None,
                signals: None,
            }),
            changed: Notify::new(),
        });
        tables.containers.insert(id.clone(), Arc::clone(&container));
        drop(tables);
        self.events.publish(&container.event());
        Ok(id)
    }

    async fn start_container(&self, id: &ContainerId) -> Result<()> {
        const STARTING: &str = "starting a container";
        let container = self.find(STARTING, id)?;
        container.claim()?;
        self.env.clock.sleep(container.script.start.draw(&self.chance)).await;
        // The machine, the sandbox or the container may have gone meanwhile.
        let tables = self.up(STARTING)?;
        let sandbox = tables.sandboxes.get(&container.sandbox);
        if !sandbox.is_some_and(|sandbox| sandbox.state == SandboxState::Ready) {
            return Err(wrong_sandbox(&container.sandbox, "stopped"));
        }
        if !tables.containers.contains_key(id) {
            return Err(Error::NotFound { what: "container", id: id.0.clone() });
        }
        container.start(&self.env, &self.chance, &self.events)
    }

    async fn stop_container(&self, id: &ContainerId, grace: Duration) -> Result<()> {
        match self.find("stopping a container", id) {
            Ok(container) => container.stop(&self.env, grace).await,
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<()> {
        let mut tables = self.up("removing a container")?;
        let Some(container) = tables.containers.get(id).cloned() else { return Ok(()) };
        if container.is_running() {
            return Err(Error::StillRunning { id: id.0.clone() });
        }
        tables.containers.remove(id);
        drop(tables);
        container.log.end();
        self.events.publish(&container.event());
        Ok(())
    }

    async fn container(&self, id: &ContainerId) -> Result<ContainerStatus> {
        Ok(self.find("looking at a container", id)?.status())
    }

    async fn containers(&self) -> Result<Vec<ContainerStatus>> {
        let tables = self.up("listing containers")?;
        Ok(tables.containers.values().map(|container| container.status()).collect())
    }

    fn images(&self) -> Option<&dyn Images> {
        Some(self)
    }

    fn exec(&self) -> Option<&dyn Exec> {
        Some(self)
    }

    fn logs(&self) -> Option<&dyn Logs> {
        Some(self)
    }

    fn events(&self) -> Option<&dyn Events> {
        Some(self)
    }
}

#[async_trait]
impl Images for SimRuntime {
    async fn image(&self, reference: &str) -> Result<Option<ImageStatus>> {
        let name = ImageReference::parse(reference)?;
        Ok(self.up("looking for an image")?.pulled.contains(&name).then(|| image_status(&name)))
    }

    async fn pull(&self, reference: &str) -> Result<ImageStatus> {
        let (name, script) = self.scripts.resolve(reference)?;
        drop(self.up("pulling an image")?);
        match script.pull {
            Pull::Takes(delay) => self.env.clock.sleep(delay.draw(&self.chance)).await,
            Pull::Fails(delay, why) => {
                self.env.clock.sleep(delay.draw(&self.chance)).await;
                return Err(Error::Failed { operation: "pulling an image", source: why.into() });
            }
        }
        let status = image_status(&name);
        self.up("pulling an image")?.pulled.insert(name);
        Ok(status)
    }
}

fn image_status(name: &ImageReference) -> ImageStatus {
    ImageStatus { id: format!("sim://{name}"), size_bytes: 0 }
}

#[async_trait]
impl Logs for SimRuntime {
    async fn logs(&self, id: &ContainerId, options: LogOptions) -> Result<LogStream> {
        Ok(self.find("reading logs", id)?.log.read(&options))
    }
}

impl Events for SimRuntime {
    fn subscribe(&self) -> EventStream {
        self.events.subscribe()
    }
}

fn no_sandbox(id: &SandboxId) -> Error {
    Error::NotFound { what: "sandbox", id: id.0.clone() }
}

fn wrong_sandbox(id: &SandboxId, state: &'static str) -> Error {
    Error::WrongState { what: "sandbox", id: id.0.clone(), state }
}
