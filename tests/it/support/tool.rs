//! A real client program, as the administrator of some server.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use windlass::env::Clock;

use super::skip;

/// How long one run may take: programs bound themselves, and this is for when they fail to.
const LIMIT: Duration = Duration::from_secs(180);

/// A program with a home of its own.
pub(crate) struct Tool {
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(&'static str, OsString)>,
    home: tempfile::TempDir,
}

impl Tool {
    /// What `variable` names, or the program of this name on the path. Where there is none, `test` is skipped.
    pub(crate) fn find(test: &str, variable: &str, name: &str) -> Option<Self> {
        let named = std::env::var_os(variable).map(PathBuf::from);
        let program = named.or_else(|| {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
        });
        let Some(program) = program else {
            skip(test, &format!("there is no {name}: set {variable}"));
            return None;
        };
        let home = tempfile::tempdir().expect("a folder");
        Some(Self { program, arguments: Vec::new(), variables: Vec::new(), home })
    }

    /// What comes before the arguments of every run.
    pub(crate) fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// What every run finds in its environment.
    pub(crate) fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
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
            .args(&self.arguments)
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", self.home.path().join("config"))
            .env("HOME", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// How a run ends that has this to read.
    pub(crate) async fn output(&self, arguments: &[&str], input: &str) -> Output {
        let program = self.program.display();
        let mut child = self.command(arguments).spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        let mut stdin = child.stdin.take().expect("stdin");
        let feed = async {
            // One that has heard enough need not read the rest.
            let _ = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
        };
        let ended = Clock::system()
            .timeout(LIMIT, async { tokio::join!(feed, child.wait_with_output()).1 })
            .await
            .unwrap_or_else(|_| panic!("{program} {arguments:?} goes on after {LIMIT:?}"));
        ended.expect("it ends")
    }

    /// What it prints; it must succeed.
    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        self.feed(arguments, "").await
    }

    /// The same, with something to read.
    pub(crate) async fn feed(&self, arguments: &[&str], input: &str) -> String {
        let output = self.output(arguments, input).await;
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{} {arguments:?}: {stdout}{stderr}", self.program.display());
        stdout
    }

    /// What it complains of; it must fail.
    pub(crate) async fn fail(&self, arguments: &[&str], input: &str) -> String {
        let output = self.output(arguments, input).await;
        let stdout = text(&output.stdout);
        assert!(!output.status.success(), "{} {arguments:?} succeeded: {stdout}", self.program.display());
        text(&output.stderr)
    }

    /// An object or a list, of a program that prints them with `-o json`.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let text = self.run(&[arguments, &["-o", "json"]].concat()).await;
        serde_json::from_str(&text).expect("JSON")
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
