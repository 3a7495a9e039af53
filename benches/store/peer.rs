//! The peer: a real etcd of one member, started for the run on a disk of this machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running etcd; dropping it ends it and removes its data.
pub(crate) struct Etcd {
    child: Child,
    pub(crate) address: SocketAddr,
    _data: tempfile::TempDir,
}

/// The etcd to run: what `WINDLASS_ETCD` names, or the one on the path.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::var_os("WINDLASS_ETCD").map(PathBuf::from).or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("etcd")).find(|file| file.is_file())
    })
}

impl Etcd {
    /// Starts etcd with its own defaults, fsync among them; says so and answers none where there is no
    /// etcd.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = program() else {
            println!("SKIPPED etcd: there is none on the path; WINDLASS_ETCD may name it");
            return None;
        };
        let data = tempfile::tempdir().expect("a folder");
        let free =
            || TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let (address, peers) = (free(), free());
        let (client, peer) = (format!("http://{address}"), format!("http://{peers}"));
        let child = Command::new(program)
            .args(["--name", "peer", "--data-dir"])
            .arg(data.path().join("data"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("peer={peer}"), "--quota-backend-bytes", "8589934592"])
            .args(["--log-level", "error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd starts");
        let etcd = Self { child, address, _data: data };
        for _ in 0..200 {
            if etcd.is_healthy() {
                return Some(etcd);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("etcd did not become healthy within ten seconds");
    }

    fn is_healthy(&self) -> bool {
        let Ok(mut socket) = TcpStream::connect(self.address) else { return false };
        let mut answer = String::new();
        socket.write_all(b"GET /health HTTP/1.0\r\n\r\n").is_ok()
            && socket.read_to_string(&mut answer).is_ok()
            && answer.contains("\"true\"")
    }

    /// What the process holds in memory, in bytes.
    pub(crate) fn resident(&self) -> f64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap_or_default();
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4096.0
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
