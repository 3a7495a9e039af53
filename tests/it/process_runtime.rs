//! What is particular to containers that are processes: who dies with whom, and what is left.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use futures_util::StreamExt;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use windlass::env::Env;
use windlass::runtime::process::{LogLimits, ProcessOptions, ProcessRuntime, Program, ProgramImages};
use windlass::runtime::{
    ContainerConfig, ContainerId, ContainerRuntime, ContainerState, Error, ExecRequest, LogOptions,
    SandboxConfig,
};

const LONG: Duration = Duration::from_secs(30);

struct Bench {
    dir: tempfile::TempDir,
    env: Env,
    images: ProgramImages,
    runtime: Option<ProcessRuntime>,
}

impl Bench {
    fn new() -> Self {
        Self::with_logs(LogLimits::default())
    }

    fn with_logs(logs: LogLimits) -> Self {
        let (dir, env, images) = (tempfile::tempdir().unwrap(), Env::system(), ProgramImages::new());
        let mut options = ProcessOptions::new(dir.path().join("run"), env.clone(), images.clone());
        options.logs = logs;
        let runtime = Some(ProcessRuntime::new(options).unwrap());
        Self { dir, env, images, runtime }
    }

    fn runtime(&self) -> &ProcessRuntime {
        self.runtime.as_ref().unwrap()
    }

    async fn create(&self, config: ContainerConfig) -> Result<ContainerId, Error> {
        let config_of_sandbox = SandboxConfig { name: "pod".into(), ..SandboxConfig::default() };
        let sandbox = self.runtime().create_sandbox(&config_of_sandbox).await?;
        self.runtime().start_sandbox(&sandbox.id, &[]).await?;
        self.runtime().create_container(&sandbox.id, &config).await
    }

    async fn start(&self, script: &str) -> ContainerId {
        let command = ["/bin/sh", "-c", script].map(str::to_owned).into();
        let config = ContainerConfig { image: "host".into(), command, ..ContainerConfig::default() };
        let id = self.create(config).await.unwrap();
        self.runtime().start_container(&id).await.unwrap();
        id
    }

    /// The first line that a container prints, as a number.
    async fn first_number(&self, id: &ContainerId) -> i32 {
        let options = LogOptions { follow: true, ..LogOptions::default() };
        let mut lines = self.runtime().logs().unwrap().logs(id, options).await.unwrap();
        let line = lines.next().await.unwrap().unwrap().line;
        std::str::from_utf8(&line).unwrap().trim().parse().unwrap()
    }

    async fn exit_code(&self, id: &ContainerId) -> i32 {
        let mut events = self.runtime().events().unwrap().subscribe();
        loop {
            if let ContainerState::Exited { exit_code, .. } =
                self.runtime().container(id).await.unwrap().state
            {
                return exit_code;
            }
            events.next().await.unwrap();
        }
    }

    /// Waits until a process is gone, or nobody's but its parent's: a zombie has nothing left.
    async fn gone(&self, pid: i32) {
        let stat = format!("/proc/{pid}/stat");
        let alive = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        let watch = async {
            while alive() {
                tokio::task::yield_now().await;
            }
        };
        self.env.clock.timeout(LONG, watch).await.unwrap_or_else(|_| panic!("{pid} is still there"));
    }
}

/// Starts a child in the background, tells its process id and waits for it.
const PARENT: &str = "sleep 600 & echo $!; wait";

#[tokio::test]
async fn stopping_takes_grandchildren_along() {
    let bench = Bench::new();
    let id = bench.start(&format!("trap '' TERM; {PARENT}")).await;
    let child = bench.first_number(&id).await;
    assert!(kill(Pid::from_raw(child), None).is_ok());
    bench.runtime().stop_container(&id, Duration::from_millis(50)).await.unwrap();
    assert_eq!(bench.exit_code(&id).await, 137);
    bench.gone(child).await;
}

#[tokio::test]
async fn what_a_program_leaves_behind_goes_with_it() {
    let bench = Bench::new();
    let id = bench.start("sleep 600 & echo $!; exit 5").await;
    let child = bench.first_number(&id).await;
    assert_eq!(bench.exit_code(&id).await, 5);
    bench.gone(child).await;
}

#[tokio::test]
async fn dropping_the_runtime_kills_every_group() {
    let mut bench = Bench::new();
    let id = bench.start(PARENT).await;
    let child = bench.first_number(&id).await;
    let leader = bench.runtime().pid(&id).unwrap().cast_signed();
    drop(bench.runtime.take());
    bench.gone(child).await;
    bench.gone(leader).await;
}

#[tokio::test]
async fn ending_the_task_group_kills_every_group() {
    let bench = Bench::new();
    let id = bench.start(PARENT).await;
    let child = bench.first_number(&id).await;
    bench.env.tasks.shutdown().await;
    bench.gone(child).await;
}

#[tokio::test]
async fn shutdown_leaves_no_process_and_no_file_and_refuses_what_comes_after() {
    let bench = Bench::new();
    let (running, ended) = (bench.start(PARENT).await, bench.start("exit 0").await);
    let child = bench.first_number(&running).await;
    bench.exit_code(&ended).await;
    bench.runtime().shutdown().await;
    bench.gone(child).await;
    assert_eq!(std::fs::read_dir(bench.dir.path()).unwrap().count(), 0);
    assert!(bench.runtime().create_sandbox(&SandboxConfig::default()).await.is_err());
    bench.runtime().shutdown().await;
}

#[tokio::test]
async fn a_root_that_was_there_stays() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), "x").unwrap();
    let options = ProcessOptions::new(dir.path(), Env::system(), ProgramImages::new());
    ProcessRuntime::new(options).unwrap().shutdown().await;
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["mine"]);
}

#[tokio::test]
async fn an_image_is_a_program_with_its_defaults() {
    let bench = Bench::new();
    let program = bench.dir.path().join("greet");
    std::fs::write(&program, "#!/bin/sh\necho \"$GREETING $1 from $(basename \"$PWD\") as $HOSTNAME\"\n")
        .unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let image = Program::new(&program).arg("world").env("GREETING", "hello");
    bench.images.program("example.org/greet:v1", image).unwrap();
    for (args, expected) in
        [(vec![], "hello world from work as pod\n"), (vec!["you".to_owned()], "hello you from work as pod\n")]
    {
        let config =
            ContainerConfig { image: "example.org/greet:v1".into(), args, ..ContainerConfig::default() };
        let id = bench.create(config).await.unwrap();
        bench.runtime().start_container(&id).await.unwrap();
        assert_eq!(bench.exit_code(&id).await, 0);
        let mut lines = bench.runtime().logs().unwrap().logs(&id, LogOptions::default()).await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap().line, expected);
    }
}

#[tokio::test]
async fn nothing_of_this_process_is_in_the_environment() {
    let bench = Bench::new();
    let id = bench.start("env | cut -d= -f1 | sort").await;
    bench.exit_code(&id).await;
    let lines = bench.runtime().logs().unwrap().logs(&id, LogOptions::default()).await.unwrap();
    let names: Vec<_> =
        lines.map(|line| String::from_utf8(line.unwrap().line.into()).unwrap()).collect().await;
    // `PWD` is the shell's own doing.
    assert_eq!(names.concat(), "HOME\nHOSTNAME\nPATH\nPWD\n");
}

#[tokio::test]
async fn logs_are_files_in_cris_format_and_rotate() {
    let bench = Bench::with_logs(LogLimits { file_bytes: 4096, files: 3 });
    let id = bench.start("i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done").await;
    assert_eq!(bench.exit_code(&id).await, 0);
    let dir = bench.dir.path().join("run/containers").join(&id.0).join("logs");
    let mut files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort_unstable();
    assert!(files.len() <= 3, "{files:?}");
    let last = std::fs::read_to_string(files.last().unwrap()).unwrap();
    let (time, rest) = last.lines().last().unwrap().split_once(' ').unwrap();
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    assert_eq!(rest, "stdout F line 999");
}

#[tokio::test]
async fn dropping_a_session_kills_its_command_and_stopping_kills_commands_too() {
    let bench = Bench::new();
    let id = bench.start("echo 0; exec sleep 600").await;
    bench.first_number(&id).await;
    let command: Vec<String> = ["/bin/sh", "-c", "echo $$; exec sleep 600"].map(str::to_owned).into();
    let exec = bench.runtime().exec().unwrap();
    let request = ExecRequest { command, stdout: true, ..ExecRequest::default() };
    let mut pids = Vec::new();
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let mut session = exec.exec(&id, request.clone()).await.unwrap();
        let mut stdout = tokio::io::BufReader::new(session.stdout.take().unwrap());
        let mut line = String::new();
        tokio::io::AsyncBufReadExt::read_line(&mut stdout, &mut line).await.unwrap();
        pids.push(line.trim().parse::<i32>().unwrap());
        sessions.push((session, stdout));
    }
    drop(sessions.remove(0));
    bench.gone(pids[0]).await;
    assert!(kill(Pid::from_raw(pids[1]), None).is_ok());
    bench.runtime().stop_container(&id, LONG).await.unwrap();
    bench.gone(pids[1]).await;
    let (session, _stdout) = sessions.remove(0);
    // The whole group was asked to end, and `sleep` does.
    assert_eq!(session.exit.await.unwrap(), 143);
    let tty = ExecRequest { tty: true, ..request };
    assert!(exec.exec(&id, tty).await.is_err());
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let bench = Bench::new();
    let config = ContainerConfig {
        image: "/bin/true".into(),
        working_dir: "/no/such/directory".into(),
        ..ContainerConfig::default()
    };
    let id = bench.create(config).await.unwrap();
    let error = bench.runtime().start_container(&id).await.unwrap_err();
    assert!(error.to_string().contains("/no/such/directory"), "{error}");
}
