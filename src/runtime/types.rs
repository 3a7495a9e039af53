//! Plain structs after CRI.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}
id!(
    /// The id of a sandbox, chosen by its runtime.
    SandboxId
);
id!(
    /// The id of a container, chosen by its runtime.
    ContainerId
);

/// Name and version of a runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeVersion {
    /// Such as `containerd`; nodes report `name://version`.
    pub name: String,
    /// Such as `2.1.4`.
    pub version: String,
}

/// Who gives sandboxes their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkOwner {
    /// The network provider, between `create_sandbox` and `start_sandbox`.
    Provider,
    /// The runtime itself; its statuses report the addresses.
    Runtime,
}

/// What a sandbox is to be.
#[derive(Clone, Debug, Default)]
pub struct SandboxConfig {
    /// The pod's name.
    pub name: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's uid.
    pub uid: String,
    /// How often a sandbox was made for this pod before.
    pub attempt: u32,
    /// Host name inside.
    pub hostname: String,
    /// Whether the pod shares the machine's network.
    pub host_network: bool,
    /// Ports of the pod that the machine answers too.
    pub ports: Vec<PortMapping>,
    /// The pod's labels.
    pub labels: BTreeMap<String, String>,
    /// The pod's annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A port of a sandbox that its machine answers too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortMapping {
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// The port inside.
    pub container_port: u16,
    /// The port of the machine.
    pub host_port: u16,
    /// The address of the machine; any where none is given.
    pub host_ip: Option<IpAddr>,
}

/// A sandbox that was made, for the network to attach to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// Its id.
    pub id: SandboxId,
    /// The network namespace, where the runtime makes one.
    pub netns: Option<PathBuf>,
}

/// How a sandbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxState {
    /// Made, not started.
    Created,
    /// Started: containers can run in it.
    Ready,
    /// Stopped, or dead.
    NotReady,
}

/// A sandbox as it is.
#[derive(Clone, Debug)]
pub struct SandboxStatus {
    /// Its id.
    pub id: SandboxId,
    /// What it was made from.
    pub config: SandboxConfig,
    /// How it is.
    pub state: SandboxState,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its addresses, the primary one first.
    pub addresses: Vec<IpAddr>,
}

/// What a container is to be.
#[derive(Clone, Debug, Default)]
pub struct ContainerConfig {
    /// The container's name in its pod.
    pub name: String,
    /// How often the container was started before.
    pub attempt: u32,
    /// The image's reference, as the pod has it.
    pub image: String,
    /// What to run instead of the image's entry point; the image's own where empty.
    pub command: Vec<String>,
    /// Its arguments; the image's own where this and `command` are empty.
    pub args: Vec<String>,
    /// Where to run it; the image's own where empty.
    pub working_dir: String,
    /// Environment, in order; a later entry wins.
    pub env: Vec<(String, String)>,
    /// Whether standard input stays open.
    pub stdin: bool,
    /// Whether standard input ends with the first who has typed into it.
    pub stdin_once: bool,
    /// Whether it runs on a terminal.
    pub tty: bool,
    /// The container's labels.
    pub labels: BTreeMap<String, String>,
    /// The container's annotations.
    pub annotations: BTreeMap<String, String>,
}

/// How a container is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, not started.
    Created,
    /// Running since then.
    Running {
        /// When it was started.
        started_at: Timestamp,
    },
    /// It has ended.
    Exited {
        /// When it was started.
        started_at: Timestamp,
        /// When it ended.
        finished_at: Timestamp,
        /// Its exit code; 128 and the signal's number where a signal ended it.
        exit_code: i32,
        /// The signal that ended it, if one did.
        signal: Option<i32>,
        /// `Completed`, `Error`, `OOMKilled`, or what the runtime says.
        reason: String,
        /// What is known besides.
        message: String,
    },
}

/// A container as it is.
#[derive(Clone, Debug)]
pub struct ContainerStatus {
    /// Its id.
    pub id: ContainerId,
    /// Its sandbox.
    pub sandbox: SandboxId,
    /// Its name in its pod.
    pub name: String,
    /// How often it was started before.
    pub attempt: u32,
    /// How it is.
    pub state: ContainerState,
    /// When it was made.
    pub created_at: Timestamp,
    /// The image's reference, as the pod had it.
    pub image: String,
    /// What the reference stood for.
    pub image_id: String,
    /// The container's labels.
    pub labels: BTreeMap<String, String>,
    /// The container's annotations.
    pub annotations: BTreeMap<String, String>,
}

/// An image that is present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageStatus {
    /// What the reference stands for.
    pub id: String,
    /// Size.
    pub size_bytes: u64,
}

/// What a command printed, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecOutcome {
    /// Exit code; 128 and the signal's number where a signal ended it.
    pub exit_code: i32,
    /// Standard output.
    pub stdout: Bytes,
    /// Standard error.
    pub stderr: Bytes,
}

/// A command to run with streams.
#[derive(Clone, Debug, Default)]
pub struct ExecRequest {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Whether standard input is wanted.
    pub stdin: bool,
    /// Whether standard output is wanted.
    pub stdout: bool,
    /// Whether standard error is wanted; not with a terminal.
    pub stderr: bool,
    /// Whether it runs on a terminal.
    pub tty: bool,
}

/// A command that runs with streams.
pub struct ExecSession {
    /// Standard input, where wanted.
    pub stdin: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    /// Standard output, where wanted.
    pub stdout: Option<Pin<Box<dyn AsyncRead + Send>>>,
    /// Standard error, where wanted.
    pub stderr: Option<Pin<Box<dyn AsyncRead + Send>>>,
    /// Changes the size of the terminal (columns, rows), where there is one.
    pub resize: Option<Box<dyn Fn(u16, u16) + Send + Sync>>,
    /// The exit code, when it has ended.
    pub exit: Pin<Box<dyn Future<Output = super::Result<i32>> + Send>>,
}

/// Which log lines.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// Go on with those to come, until the container ends.
    pub follow: bool,
    /// Only the last so many.
    pub tail_lines: Option<u64>,
    /// Only those since then.
    pub since: Option<Timestamp>,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was printed.
    pub time: Timestamp,
    /// Where it was printed.
    pub stream: LogStreamKind,
    /// The line with its line feed, if it had one.
    pub line: Bytes,
}

/// Where a container prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStreamKind {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A container was created, started, exited or removed: look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerEvent {
    /// Its sandbox.
    pub sandbox: SandboxId,
    /// The uid of the sandbox's pod.
    pub pod_uid: String,
    /// The container.
    pub container: ContainerId,
}
