//! The container runtime: sandboxes, containers, images, in our own plain structs after CRI.
//!
//! [`ContainerRuntime`] is the trait that runtimes implement. The border to the network is explicit:
//! a sandbox is created, the network is attached to it, and only then is it started with its
//! addresses. A runtime that owns its network (as CRI runtimes do) says so and reports them.

pub mod conformance;
mod error;
mod events;
#[cfg(all(feature = "process", target_os = "linux"))]
pub mod process;
mod reference;
#[cfg(feature = "sim")]
pub mod sim;
mod types;

use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;
use tokio::io::AsyncWrite;

pub use error::Error;
pub use events::EventHub;
pub use reference::ImageReference;
pub use types::{
    ContainerConfig, ContainerEvent, ContainerId, ContainerState, ContainerStatus, ExecOutcome, ExecRequest,
    ExecSession, ImageStatus, LogLine, LogOptions, LogStreamKind, NetworkOwner, PortMapping, RuntimeVersion,
    Sandbox, SandboxConfig, SandboxId, SandboxState, SandboxStatus,
};

/// What a runtime's methods answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Events of containers as they happen.
pub type EventStream = Pin<Box<dyn Stream<Item = ContainerEvent> + Send>>;

/// Log lines, oldest first.
pub type LogStream = Pin<Box<dyn Stream<Item = Result<LogLine>> + Send>>;

/// Runs containers in sandboxes.
///
/// # Contract
///
/// - A sandbox is what the containers of a pod share. It is created, then (by the network
///   provider) attached, then started with its addresses; containers are created in it only
///   afterwards. Stopping a sandbox kills every container in it; removing it also forgets them.
/// - A container is created, started once, and exits once. Its exit is remembered until it is
///   removed. Removing one that runs fails with [`Error::StillRunning`].
/// - What was created is listed until it is removed, by any instance of the runtime on the same
///   machine, unless the runtime says that its containers end with it.
///
/// # Ordering
///
/// Events of one container come in order. A container that was seen to exit stays so.
///
/// # Idempotence
///
/// Stopping what is stopped and removing what is gone succeed. Creating is not idempotent.
///
/// # Cancel safety
///
/// A call that is dropped may or may not have happened; `sandboxes` and `containers` tell. What
/// was created by a call whose answer was lost can be found by its labels and removed.
///
/// # Errors
///
/// See [`Error`]: what a caller branches on is a variant.
#[async_trait]
pub trait ContainerRuntime: Send + Sync + 'static {
    /// Name and version.
    fn version(&self) -> RuntimeVersion;

    /// Who gives sandboxes their addresses.
    fn network_owner(&self) -> NetworkOwner {
        NetworkOwner::Provider
    }

    /// Makes a sandbox, without a network.
    async fn create_sandbox(&self, config: &SandboxConfig) -> Result<Sandbox>;

    /// Starts a sandbox that has these addresses. A runtime that owns its network is given none
    /// and reports them in the status.
    async fn start_sandbox(&self, id: &SandboxId, addresses: &[IpAddr]) -> Result<()>;

    /// Kills whatever runs in a sandbox.
    async fn stop_sandbox(&self, id: &SandboxId) -> Result<()>;

    /// Stops and forgets a sandbox with its containers.
    async fn remove_sandbox(&self, id: &SandboxId) -> Result<()>;

    /// Every sandbox.
    async fn sandboxes(&self) -> Result<Vec<SandboxStatus>>;

    /// Makes a container in a started sandbox.
    async fn create_container(&self, sandbox: &SandboxId, config: &ContainerConfig) -> Result<ContainerId>;

    /// Starts a container.
    async fn start_container(&self, id: &ContainerId) -> Result<()>;

    /// Asks a container to end (SIGTERM, or what its image says), waits for at most `grace`, then
    /// kills it; answers when it has exited.
    async fn stop_container(&self, id: &ContainerId, grace: Duration) -> Result<()>;

    /// Forgets a container that does not run.
    async fn remove_container(&self, id: &ContainerId) -> Result<()>;

    /// One container.
    async fn container(&self, id: &ContainerId) -> Result<ContainerStatus>;

    /// Every container.
    async fn containers(&self) -> Result<Vec<ContainerStatus>>;

    /// Pulling and looking up images, for runtimes that have them. Without, every image is taken
    /// as present and `create_container` says what is wrong with it.
    fn images(&self) -> Option<&dyn Images> {
        None
    }

    /// Running commands in containers.
    fn exec(&self) -> Option<&dyn Exec> {
        None
    }

    /// Typing into containers.
    fn attach(&self) -> Option<&dyn Attach> {
        None
    }

    /// What containers print.
    fn logs(&self) -> Option<&dyn Logs> {
        None
    }

    /// Events as they happen. Without, the node agent lists containers from time to time.
    fn events(&self) -> Option<&dyn Events> {
        None
    }
}

/// Images, an optional ability of a runtime.
#[async_trait]
pub trait Images: Send + Sync {
    /// The image of this reference, if it is present.
    async fn image(&self, reference: &str) -> Result<Option<ImageStatus>>;

    /// Fetches an image.
    ///
    /// # Errors
    ///
    /// [`Error::ImageNotFound`] and [`Error::InvalidImageName`] among others.
    async fn pull(&self, reference: &str) -> Result<ImageStatus>;
}

/// Running commands in containers, an optional ability of a runtime.
#[async_trait]
pub trait Exec: Send + Sync {
    /// Runs a command and collects what it prints, for at most `timeout` (none: no limit).
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when it took longer; the command is killed.
    async fn exec_sync(
        &self,
        id: &ContainerId,
        command: &[String],
        timeout: Option<Duration>,
    ) -> Result<ExecOutcome>;

    /// Runs a command with streams. Dropping the session's streams closes them; dropping the
    /// session kills the command.
    async fn exec(&self, id: &ContainerId, request: ExecRequest) -> Result<ExecSession>;
}

/// Typing into containers that run, an optional ability of a runtime. What they print is their log's.
#[async_trait]
pub trait Attach: Send + Sync {
    /// The standard input of a container that was made with one. What several write is mixed, each write
    /// whole. Shutting it down ends the container's input where the container was made so
    /// ([`ContainerConfig::stdin_once`]) and is nothing otherwise, as dropping it is.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`] when the container does not run, or has no input.
    async fn stdin(&self, id: &ContainerId) -> Result<Pin<Box<dyn AsyncWrite + Send>>>;
}

/// What containers print, an optional ability of a runtime.
#[async_trait]
pub trait Logs: Send + Sync {
    /// The lines of a container, and with `options.follow` those to come until it ends.
    async fn logs(&self, id: &ContainerId, options: LogOptions) -> Result<LogStream>;
}

/// Events, an optional ability of a runtime.
pub trait Events: Send + Sync {
    /// What happens from now on. Equal events that wait for the same receiver may be one, so that
    /// a slow receiver misses none. The stream ends with the runtime, or when a runtime that
    /// cannot keep up says so by ending it: list, and subscribe again.
    fn subscribe(&self) -> EventStream;
}
