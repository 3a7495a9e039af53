//! Containers as processes of this machine.
//!
//! A container is a process group: its program is the first process, and whatever that starts
//! belongs to it, until the first process ends and takes the rest along. It has a working directory
//! of its own, an environment with nothing in it but what the pod asks for, and its output is kept
//! in rotated files of CRI's format.
//!
//! # What this does not isolate
//!
//! Nothing, to be plain. There are no namespaces and no cgroups: a container sees the files, the
//! network and the processes of the machine, runs as the user who runs this program, and no limit
//! on CPU or memory holds it. A pod's own address keeps it from other pods only if its program
//! listens on that address and not on all. A process that leaves its group (`setsid`) escapes, and
//! is nobody's afterwards. Run what you trust.
//!
//! # Who ends what
//!
//! Containers end with the runtime: [`ProcessRuntime::shutdown`] leaves no process and no file, and
//! dropping the runtime (or ending its task group) kills every group at once. Nothing can be done
//! when this process itself is killed with SIGKILL: then containers live on, and a later runtime
//! does not know them.
//!
//! # Images
//!
//! There are none, but there are names for programs: see [`ProgramImages`].

mod container;
mod exec;
mod group;
mod images;
mod launch;
mod line;
mod log;
mod stdin;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::Signal;
use tokio::io::AsyncWrite;

pub use images::{Program, ProgramImages};
pub use log::LogLimits;

use self::container::{Container, Parts};
use self::launch::Launch;
use self::log::Log;
use super::{
    Attach, ContainerConfig, ContainerId, ContainerRuntime, ContainerStatus, Error, EventHub, EventStream,
    Events, Exec, Images, LogOptions, LogStream, Logs, Result, RuntimeVersion, Sandbox, SandboxConfig,
    SandboxId, SandboxState, SandboxStatus,
};
use crate::env::{Env, Stream};

/// What a [`ProcessRuntime`] is made from.
#[derive(Clone, Debug)]
pub struct ProcessOptions {
    /// Where containers get their directories; made where it does not exist. Runtimes that live at
    /// the same time need one each.
    pub root: PathBuf,
    /// Time, chance and tasks.
    pub env: Env,
    /// The images that it knows.
    pub images: ProgramImages,
    /// How much of a container's output is kept.
    pub logs: LogLimits,
}

impl ProcessOptions {
    /// A runtime with directories below `root`, and the default [`LogLimits`].
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, env: Env, images: ProgramImages) -> Self {
        Self { root: root.into(), env, images, logs: LogLimits::default() }
    }
}

/// Runs containers as processes of this machine. They end with it.
pub struct ProcessRuntime {
    env: Env,
    root: PathBuf,
    made_root: bool,
    images: ProgramImages,
    logs: LogLimits,
    events: EventHub,
    ids: Stream,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    closed: bool,
    sandboxes: BTreeMap<SandboxId, SandboxStatus>,
    containers: BTreeMap<ContainerId, Arc<Container>>,
}

impl ProcessRuntime {
    /// Makes a runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] where its directory cannot be made.
    pub fn new(options: ProcessOptions) -> Result<Self> {
        let ProcessOptions { root, env, images, logs } = options;
        let made_root = !root.exists();
        make_dir(&root)?;
        // Programs are run in another directory than this process.
        let root = std::path::absolute(&root).map_err(failed("making a directory"))?;
        let ids = env.random.stream(&format!("runtime/process/{}", root.display()));
        Ok(Self {
            env: env.child(),
            root,
            made_root,
            images,
            logs,
            events: EventHub::new(),
            ids,
            tables: Mutex::default(),
        })
    }

    /// The id of a container's first process, while it runs.
    #[must_use]
    pub fn pid(&self, id: &ContainerId) -> Option<u32> {
        self.find(id).ok()?.group.leader()
    }

    /// Kills everything, and waits until no process, task or file of this runtime is left. What is
    /// created afterwards fails.
    pub async fn shutdown(&self) {
        let containers: Vec<_> = {
            let mut tables = self.tables();
            tables.closed = true;
            tables.sandboxes.clear();
            std::mem::take(&mut tables.containers).into_values().collect()
        };
        for container in &containers {
            container.group.signal(Signal::SIGKILL);
        }
        for container in &containers {
            container.ended().await;
            self.events.publish(&container.event());
        }
        self.env.tasks.shutdown().await;
        self.remove_files();
    }

    fn remove_files(&self) {
        // Best effort: what cannot be removed is in a directory that its owner knows.
        let _ = std::fs::remove_dir_all(self.root.join("containers"));
        if self.made_root {
            let _ = std::fs::remove_dir(&self.root);
        }
    }

    fn env(&self) -> &Env {
        &self.env
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &ContainerId) -> Result<Arc<Container>> {
        let found = self.tables().containers.get(id).cloned();
        found.ok_or_else(|| Error::NotFound { what: "container", id: id.0.clone() })
    }

    fn new_id(&self) -> String {
        let mut bytes = [0; 32];
        self.ids.fill(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn containers_of(&self, sandbox: &SandboxId) -> Vec<Arc<Container>> {
        self.tables().containers.values().filter(|container| container.sandbox == *sandbox).cloned().collect()
    }

    fn forget(&self, container: &Container) {
        self.tables().containers.remove(&container.id);
        container.log.end();
        let _ = std::fs::remove_dir_all(&container.dir);
        self.events.publish(&container.event());
    }
}

impl Drop for ProcessRuntime {
    fn drop(&mut self) {
        for container in self.tables().containers.values() {
            container.group.signal(Signal::SIGKILL);
        }
        self.env.tasks.cancel();
        self.remove_files();
    }
}

#[async_trait]
impl ContainerRuntime for ProcessRuntime {
    fn version(&self) -> RuntimeVersion {
        RuntimeVersion { name: "windlass-process".into(), version: env!("CARGO_PKG_VERSION").into() }
    }

    async fn create_sandbox(&self, config: &SandboxConfig) -> Result<Sandbox> {
        let id = SandboxId(self.new_id());
        let status = SandboxStatus {
            id: id.clone(),
            config: config.clone(),
            state: SandboxState::Created,
            created_at: self.env.clock.now(),
            addresses: Vec::new(),
        };
        let mut tables = self.tables();
        if tables.closed {
            return Err(closed());
        }
        tables.sandboxes.insert(id.clone(), status);
        Ok(Sandbox { id, netns: None })
    }

    async fn start_sandbox(&self, id: &SandboxId, addresses: &[IpAddr]) -> Result<()> {
        let mut tables = self.tables();
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
        if let Some(sandbox) = self.tables().sandboxes.get_mut(id) {
            // From here on nothing is created or started in it.
            sandbox.state = SandboxState::NotReady;
        }
        let containers = self.containers_of(id);
        for container in &containers {
            container.group.signal(Signal::SIGKILL);
        }
        for container in &containers {
            container.ended().await;
        }
        Ok(())
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<()> {
        self.stop_sandbox(id).await?;
        for container in self.containers_of(id) {
            self.forget(&container);
        }
        self.tables().sandboxes.remove(id);
        Ok(())
    }

    async fn sandboxes(&self) -> Result<Vec<SandboxStatus>> {
        Ok(self.tables().sandboxes.values().cloned().collect())
    }

    async fn create_container(&self, sandbox: &SandboxId, config: &ContainerConfig) -> Result<ContainerId> {
        let program = self.images.resolve(&config.image)?;
        let (hostname, pod_uid) = {
            let tables = self.tables();
            let owner = tables.sandboxes.get(sandbox).ok_or_else(|| no_sandbox(sandbox))?;
            if owner.state != SandboxState::Ready {
                return Err(wrong_sandbox(sandbox, "not started"));
            }
            let SandboxConfig { hostname, name, uid, .. } = &owner.config;
            (if hostname.is_empty() { name } else { hostname }.clone(), uid.clone())
        };
        let id = ContainerId(self.new_id());
        let dir = self.root.join("containers").join(&id.0);
        let work = dir.join("work");
        let launch = Launch::plan(&program, config, &hostname, &work)?;
        let logs = dir.join("logs");
        make_dir(&work)?;
        make_dir(&logs)?;
        let container = Arc::new(Container::new(Parts {
            id: id.clone(),
            sandbox: sandbox.clone(),
            pod_uid,
            config: config.clone(),
            image_id: program.id(),
            launch,
            created_at: self.env.clock.now(),
            dir: dir.clone(),
            log: Log::new(logs, self.logs),
        }));
        let mut tables = self.tables();
        // The sandbox may have gone meanwhile, and its containers with it.
        if !tables.sandboxes.get(sandbox).is_some_and(|owner| owner.state == SandboxState::Ready) {
            drop(tables);
            let _ = std::fs::remove_dir_all(&dir);
            return Err(wrong_sandbox(sandbox, "stopped"));
        }
        tables.containers.insert(id.clone(), Arc::clone(&container));
        drop(tables);
        self.events.publish(&container.event());
        Ok(id)
    }

    async fn start_container(&self, id: &ContainerId) -> Result<()> {
        let container = self.find(id)?;
        // Held while starting, so that whoever stops the sandbox finds either no such container to
        // be started any more, or one that runs and can be killed.
        let tables = self.tables();
        let sandbox = tables.sandboxes.get(&container.sandbox);
        if !sandbox.is_some_and(|sandbox| sandbox.state == SandboxState::Ready) {
            return Err(wrong_sandbox(&container.sandbox, "stopped"));
        }
        container.start(&self.env, &self.events)
    }

    async fn stop_container(&self, id: &ContainerId, grace: Duration) -> Result<()> {
        match self.find(id) {
            Ok(container) => container.stop(&self.env, grace).await,
            Err(_gone) => {}
        }
        Ok(())
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<()> {
        let Ok(container) = self.find(id) else { return Ok(()) };
        if container.is_running() {
            return Err(Error::StillRunning { id: id.0.clone() });
        }
        self.forget(&container);
        Ok(())
    }

    async fn container(&self, id: &ContainerId) -> Result<ContainerStatus> {
        Ok(self.find(id)?.status())
    }

    async fn containers(&self) -> Result<Vec<ContainerStatus>> {
        Ok(self.tables().containers.values().map(|container| container.status()).collect())
    }

    fn images(&self) -> Option<&dyn Images> {
        Some(&self.images)
    }

    fn exec(&self) -> Option<&dyn Exec> {
        Some(self)
    }

    fn attach(&self) -> Option<&dyn Attach> {
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
impl Attach for ProcessRuntime {
    async fn stdin(&self, id: &ContainerId) -> Result<Pin<Box<dyn AsyncWrite + Send>>> {
        self.find(id)?.typist()
    }
}

#[async_trait]
impl Logs for ProcessRuntime {
    async fn logs(&self, id: &ContainerId, options: LogOptions) -> Result<LogStream> {
        Ok(self.find(id)?.log.read(options))
    }
}

impl Events for ProcessRuntime {
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

fn closed() -> Error {
    Error::Failed { operation: "creating a sandbox", source: "the runtime has been shut down".into() }
}

fn failed(operation: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Failed { operation, source: source.into() }
}

fn make_dir(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(failed("making a directory"))
}
