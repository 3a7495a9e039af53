//! Unmodified kubectl, as the administrator of some server.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use windlass::env::Clock;

use super::skip;

/// How long one kubectl may take: they bound themselves, and this is for when they fail to.
const LIMIT: Duration = Duration::from_secs(180);

/// kubectl with a home of its own.
pub(crate) struct Kubectl {
    program: PathBuf,
    home: tempfile::TempDir,
}

impl Kubectl {
    /// The kubectl to test with: what `WINDLASS_KUBECTL` names, or the one on the path. Where there
    /// is none, `test` is skipped.
    pub(crate) fn find(test: &str) -> Option<Self> {
        let named = std::env::var_os("WINDLASS_KUBECTL").map(PathBuf::from);
        let program = named.or_else(|| {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|file| file.is_file())
        });
        let Some(program) = program else {
            skip(test, "there is no kubectl: set WINDLASS_KUBECTL");
            return None;
        };
        Some(Self { program, home: tempfile::tempdir().expect("a folder") })
    }

    /// Leads it to a server.
    pub(crate) fn configure(&self, kubeconfig: &str) {
        std::fs::write(self.home.path().join("config"), kubeconfig).expect("a file");
    }

    /// A folder of its own.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", self.home.path().join("config"))
            .env("HOME", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// How a command ends that has this to read.
    pub(crate) async fn output(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.command(arguments).spawn().expect("kubectl starts");
        let mut stdin = child.stdin.take().expect("stdin");
        let feed = async {
            // One that has heard enough need not read the rest.
            let _ = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
        };
        let ended = Clock::system()
            .timeout(LIMIT, async { tokio::join!(feed, child.wait_with_output()).1 })
            .await
            .unwrap_or_else(|_| panic!("kubectl {arguments:?} goes on after {LIMIT:?}"));
        ended.expect("kubectl ends")
    }

    /// What kubectl prints; it must succeed.
    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        self.feed(arguments, "").await
    }

    /// The same, with something to read.
    pub(crate) async fn feed(&self, arguments: &[&str], input: &str) -> String {
        let output = self.output(arguments, input).await;
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "kubectl {arguments:?}: {stdout}{stderr}");
        stdout
    }

    /// What kubectl complains of; it must fail.
    pub(crate) async fn fail(&self, arguments: &[&str], input: &str) -> String {
        let output = self.output(arguments, input).await;
        assert!(!output.status.success(), "kubectl {arguments:?} succeeded: {}", text(&output.stdout));
        text(&output.stderr)
    }

    /// An object or a list.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let text = self.run(&[arguments, &["-o", "json"]].concat()).await;
        serde_json::from_str(&text).expect("JSON")
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
