//! Real etcd: one member or a cluster, on loopback, in a folder that goes with it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use windlass::env::Clock;

use super::skip;

/// How long a member may take until it serves: one that does not has failed.
const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);
/// Ports are free when they are chosen; another may be quicker to take one.
const ATTEMPTS: usize = 5;

/// A cluster. Dropping it ends its processes, and nobody else's.
pub(crate) struct Etcd {
    members: Vec<Member>,
    program: PathBuf,
    config: Config,
    folder: tempfile::TempDir,
}

/// What a cluster is to be like.
#[derive(Clone)]
pub(crate) struct Config {
    members: usize,
    durable: bool,
    arguments: Vec<String>,
    tls: Option<Tls>,
    snapshot: Option<PathBuf>,
}

/// Files in PEM, for TLS towards clients.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Where given, clients must show a certificate that it vouches for.
    pub(crate) client_ca: Option<PathBuf>,
}

struct Member {
    name: String,
    ports: Ports,
    process: Option<Child>,
}

#[derive(Clone, Copy)]
struct Ports {
    client: u16,
    peer: u16,
    metrics: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self { members: 1, durable: false, arguments: Vec::new(), tls: None, snapshot: None }
    }
}

impl Config {
    /// A cluster of so many.
    pub(crate) fn members(mut self, count: usize) -> Self {
        self.members = count;
        self
    }

    /// One that syncs, as it does in earnest.
    pub(crate) fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// With more of etcd's flags.
    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// One member that begins with what a snapshot holds.
    pub(crate) fn snapshot(mut self, file: PathBuf) -> Self {
        self.snapshot = Some(file);
        self
    }

    /// Which speaks TLS with its clients.
    pub(crate) fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }
}

impl Etcd {
    /// The etcd to test with: what `WINDLASS_ETCD` names, or the one on the path. Where there is none,
    /// `test` is skipped.
    pub(crate) fn program(test: &str) -> Option<PathBuf> {
        let program = find("WINDLASS_ETCD", "etcd");
        if program.is_none() {
            skip(test, "there is no etcd: set WINDLASS_ETCD, or install etcd-server");
        }
        program
    }

    /// One member that serves; none where there is no etcd.
    pub(crate) async fn start(test: &str) -> Option<Self> {
        Self::start_with(test, Config::default()).await
    }

    /// A cluster that serves; none where there is no etcd.
    pub(crate) async fn start_with(test: &str, config: Config) -> Option<Self> {
        let program = Self::program(test)?;
        for _ in 0..ATTEMPTS {
            let folder = tempfile::tempdir().expect("a folder");
            let members = (0..config.members).map(|number| Member::new(format!("m{number}"))).collect();
            let mut etcd = Self { members, program: program.clone(), config: config.clone(), folder };
            if let Some(snapshot) = &config.snapshot {
                etcd.restore(snapshot);
            }
            for index in 0..config.members {
                etcd.spawn(index);
            }
            let mut serves = true;
            for index in 0..config.members {
                serves &= etcd.healthy(index).await;
            }
            if serves {
                return Some(etcd);
            }
            let log = etcd.log(0);
            assert!(log.contains("address already in use"), "etcd does not start: {log}");
        }
        panic!("no free ports in {ATTEMPTS} attempts");
    }

    /// Where clients find the members.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        (0..self.members.len()).map(|index| self.endpoint(index)).collect()
    }

    /// Where clients find one member.
    pub(crate) fn endpoint(&self, index: usize) -> String {
        let scheme = if self.config.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.members[index].ports.client)
    }

    /// A folder of its own.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process of a member, while it runs.
    pub(crate) fn pid(&self, index: usize) -> Option<u32> {
        self.members[index].process.as_ref().map(Child::id)
    }

    /// The member that leads, once one does.
    pub(crate) async fn leader(&self) -> usize {
        let leads = |index: &usize| {
            let metrics = http(self.members[*index].ports.metrics, "/metrics");
            metrics.is_some_and(|text| text.contains("\netcd_server_is_leader 1"))
        };
        wait("a leader", async || {
            let running = (0..self.members.len()).filter(|index| self.members[*index].process.is_some());
            running.into_iter().find(leads)
        })
        .await
    }

    /// Ends a member at once, as a crash does.
    pub(crate) fn kill(&mut self, index: usize) {
        if let Some(mut process) = self.members[index].process.take() {
            // One that has ended by itself cannot be killed, and need not be.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Holds a member still: it keeps its connections and answers nothing.
    pub(crate) fn pause(&self, index: usize) {
        self.signal(index, Signal::SIGSTOP);
    }

    /// Lets a member go on that was held.
    pub(crate) fn resume(&self, index: usize) {
        self.signal(index, Signal::SIGCONT);
    }

    fn signal(&self, index: usize, signal: Signal) {
        let pid = self.pid(index).expect("a member that runs").cast_signed();
        kill(Pid::from_raw(pid), signal).expect("a signal");
    }

    /// Starts a member that was ended, and waits until it serves.
    pub(crate) async fn restart(&mut self, index: usize) {
        self.respawn(&[index]).await;
    }

    /// Starts members that were ended, all at once, and waits until they serve.
    pub(crate) async fn respawn(&mut self, indices: &[usize]) {
        for index in indices {
            self.spawn(*index);
        }
        for index in indices {
            assert!(self.healthy(*index).await, "a member does not come back: {}", self.log(*index));
        }
    }

    /// What a member has said.
    pub(crate) fn log(&self, index: usize) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("{}.log", self.members[index].name)))
            .unwrap_or_default()
    }

    /// Makes the only member's data of a snapshot.
    fn restore(&self, snapshot: &Path) {
        let tool = find("WINDLASS_ETCDUTL", "etcdutl").or_else(|| find("WINDLASS_ETCDCTL", "etcdctl"));
        let [member] = &self.members[..] else { panic!("a snapshot is restored to one member") };
        let peer = format!("http://127.0.0.1:{}", member.ports.peer);
        let output = Command::new(tool.expect("etcdutl or etcdctl"))
            .env_clear()
            .args(["snapshot", "restore"])
            .arg(snapshot)
            .arg("--data-dir")
            .arg(self.folder.path().join(&member.name))
            .args(["--name", &member.name, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("{}={peer}", member.name)])
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn spawn(&mut self, index: usize) {
        let cluster: Vec<_> = self
            .members
            .iter()
            .map(|member| format!("{}=http://127.0.0.1:{}", member.name, member.ports.peer))
            .collect();
        let member = &self.members[index];
        let folder = self.folder.path();
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.join(format!("{}.log", member.name)))
            .expect("a log");
        let (client, peer) = (self.endpoint(index), format!("http://127.0.0.1:{}", member.ports.peer));
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .arg("--name")
            .arg(&member.name)
            .arg("--data-dir")
            .arg(folder.join(&member.name))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--listen-metrics-urls", &format!("http://127.0.0.1:{}", member.ports.metrics)])
            .args(["--initial-cluster", &cluster.join(",")])
            .args(["--logger", "zap", "--log-outputs", "stderr"]);
        if self.members.len() == 1 {
            // Nobody else to hear from.
            command.args(["--heartbeat-interval", "10", "--election-timeout", "100"]);
        }
        if !self.config.durable {
            command.arg("--unsafe-no-fsync");
        }
        if let Some(tls) = &self.config.tls {
            command.arg("--cert-file").arg(&tls.certificate).arg("--key-file").arg(&tls.key);
            if let Some(ca) = &tls.client_ca {
                command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(ca);
            }
        }
        command.args(&self.config.arguments);
        let process = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("etcd starts");
        self.members[index].process = Some(process);
    }

    /// Waits until a member serves; answers whether it does, for one may end instead.
    async fn healthy(&mut self, index: usize) -> bool {
        let member = &mut self.members[index];
        let port = member.ports.metrics;
        let process = member.process.as_mut().expect("a process");
        wait("etcd to serve", async || {
            if process.try_wait().expect("a status").is_some() {
                return Some(false);
            }
            http(port, "/health").is_some_and(|text| text.contains(r#""health":"true""#)).then_some(true)
        })
        .await
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for index in 0..self.members.len() {
            self.kill(index);
        }
    }
}

impl Member {
    fn new(name: String) -> Self {
        Self { name, ports: Ports::free(), process: None }
    }
}

impl Ports {
    fn free() -> Self {
        // All are held until all are known, so that they differ.
        let held: [_; 3] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let [client, peer, metrics] =
            held.each_ref().map(|held| held.local_addr().expect("an address").port());
        Self { client, peer, metrics }
    }
}

/// The program that a variable names, or the one on the path.
pub(crate) fn find(variable: &str, name: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
    })
}

/// Asks until there is an answer.
pub(crate) async fn wait<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let clock = Clock::system();
    let asked = clock
        .timeout(LIMIT, async {
            loop {
                if let Some(answer) = ask().await {
                    return answer;
                }
                clock.sleep(POLL).await;
            }
        })
        .await;
    asked.unwrap_or_else(|_| panic!("waited {LIMIT:?} for {what}"))
}

/// What a member says of itself over plain HTTP; none where it does not answer.
fn http(port: u16, path: &str) -> Option<String> {
    let address = ([127, 0, 0, 1], port).into();
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}
