//! The cases: data first, then what each does.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::bench::{Bench, Ended, LONG, SHORT};
use super::{Case, Command, Feature, Program};
use crate::runtime::{
    ContainerConfig, ContainerId, ContainerState, Error, ExecRequest, LogLine, LogOptions, LogStreamKind,
    SandboxId, SandboxState,
};

pub(super) type Run = fn(Bench) -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! cases {
    ($($name:ident [$($need:ident),*] $sentence:literal)*) => {
        /// Every case.
        pub const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            sentence: $sentence,
            needs: &[$(Feature::$need),*],
            run: |bench| Box::pin($name(bench)),
        }),*];
    };
}

cases! {
    life_cycle [] "a container is created, runs, exits and is removed, and its status tells"
    exit_codes [] "exit codes are kept; a signal counts 128 more"
    failed_start [] "what cannot be started says so, and has ended"
    started_once [] "a container is started once"
    stop_asks_first [] "a container that ends when it is asked is not killed"
    stop_kills_after_the_grace [] "a container that takes no notice is killed when its time is up"
    stop_without_grace [] "without grace a container is killed at once"
    stop_and_remove_are_idempotent [] "stopping what is stopped and removing what is gone succeed"
    a_running_container_stays [] "a container that runs is not removed"
    sandbox_order [] "containers need a sandbox that exists and was started"
    stopped_sandbox [] "stopping a sandbox kills what is in it, and nothing starts there any more"
    removed_sandbox [] "removing a sandbox forgets what was in it"
    listing [] "what was created is listed, with what it was created from, until it is removed"
    unknown_image [Images] "an image that nobody has, and a name that is none, are told apart"
    pulled_image [Images] "an image that was pulled is there"
    events [Events] "creating, starting, ending and removing are told"
    killed_from_outside [Events, Kill] "a kill from outside is noticed"
    log_lines [Logs] "lines are kept by stream, and a line without an end stays one"
    log_tail_and_since [Logs] "the last lines, and the lines since a time"
    log_follow [Logs] "a follower sees what is printed, until the container ends"
    reflection [Logs, Reflection] "arguments, environment and working directory are the config's"
    exec_sync [Exec] "a command's output and exit code"
    exec_timeout [Exec] "a command that takes too long is ended"
    exec_streams [Exec] "a command's streams, with an end each"
    exec_needs_a_running_container [Exec] "nothing is run in what does not run"
}

fn no_container() -> ContainerId {
    ContainerId("no-such-container".into())
}

fn no_sandbox() -> SandboxId {
    SandboxId("no-such-sandbox".into())
}

async fn life_cycle(bench: Bench) {
    let sandbox = bench.sandbox("web").await;
    let config = bench.config(Program::Waits).await;
    let id = bench.runtime.create_container(&sandbox, &config).await.unwrap();
    let created = bench.status(&id).await;
    assert_eq!((&created.id, &created.sandbox, &created.state), (&id, &sandbox, &ContainerState::Created));
    assert_eq!((&created.name, &created.image), (&config.name, &config.image));
    assert_eq!(created.labels, config.labels);
    bench.runtime.start_container(&id).await.unwrap();
    let ContainerState::Running { started_at } = bench.status(&id).await.state else {
        panic!("it was started and does not run");
    };
    assert!(started_at >= created.created_at);
    bench.runtime.stop_container(&id, LONG).await.unwrap();
    let ContainerState::Exited { started_at: then, finished_at, .. } = bench.status(&id).await.state else {
        panic!("it was stopped and has not ended");
    };
    assert_eq!(then, started_at);
    assert!(finished_at >= started_at);
    bench.runtime.remove_container(&id).await.unwrap();
    assert!(matches!(bench.runtime.container(&id).await, Err(Error::NotFound { .. })));
}

async fn exit_codes(bench: Bench) {
    for (program, ended) in [
        (Program::Exits(0), Ended::new(0, None, "Completed")),
        (Program::Exits(3), Ended::new(3, None, "Error")),
        (Program::KillsItself, Ended::new(137, Some(9), "Error")),
    ] {
        let id = bench.start(program).await;
        assert_eq!(bench.ended(&id).await, ended, "{program:?}");
    }
}

async fn failed_start(bench: Bench) {
    let sandbox = bench.sandbox("web").await;
    let config = bench.config(Program::CannotStart).await;
    // A runtime may know when it creates the container, or find out when it starts it.
    match bench.runtime.create_container(&sandbox, &config).await {
        Err(error) => assert!(matches!(error, Error::CannotRun { .. }), "{error}"),
        Ok(id) => {
            let error = bench.runtime.start_container(&id).await.unwrap_err();
            assert!(matches!(error, Error::CannotRun { .. }), "{error}");
            assert_eq!(bench.ended(&id).await, Ended::new(128, None, "StartError"));
            bench.runtime.remove_container(&id).await.unwrap();
        }
    }
}

async fn started_once(bench: Bench) {
    let id = bench.start(Program::Exits(0)).await;
    bench.ended(&id).await;
    let again = bench.runtime.start_container(&id).await;
    assert!(matches!(again, Err(Error::WrongState { .. })), "{again:?}");
    let running = bench.start(Program::Waits).await;
    let again = bench.runtime.start_container(&running).await;
    assert!(matches!(again, Err(Error::WrongState { .. })), "{again:?}");
    let missing = bench.runtime.start_container(&no_container()).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
}

async fn stop_asks_first(bench: Bench) {
    let id = bench.start_and_wait(Program::Waits).await;
    bench.runtime.stop_container(&id, LONG).await.unwrap();
    assert_eq!(bench.ended(&id).await, Ended::new(0, None, "Completed"));
}

async fn stop_kills_after_the_grace(bench: Bench) {
    let id = bench.start_and_wait(Program::IgnoresTerm).await;
    let before = bench.env.clock.instant();
    bench.runtime.stop_container(&id, SHORT).await.unwrap();
    assert!(bench.env.clock.instant() - before >= SHORT);
    assert_eq!(bench.ended(&id).await, Ended::new(137, Some(9), "Error"));
}

async fn stop_without_grace(bench: Bench) {
    let id = bench.start_and_wait(Program::IgnoresTerm).await;
    bench.runtime.stop_container(&id, Duration::ZERO).await.unwrap();
    assert_eq!(bench.ended(&id).await, Ended::new(137, Some(9), "Error"));
}

async fn stop_and_remove_are_idempotent(bench: Bench) {
    let sandbox = bench.sandbox("web").await;
    let id = bench.create(&sandbox, Program::Waits).await;
    bench.runtime.start_container(&id).await.unwrap();
    for _ in 0..2 {
        bench.runtime.stop_container(&id, LONG).await.unwrap();
    }
    for _ in 0..2 {
        bench.runtime.remove_container(&id).await.unwrap();
    }
    for _ in 0..2 {
        bench.runtime.stop_sandbox(&sandbox).await.unwrap();
    }
    for _ in 0..2 {
        bench.runtime.remove_sandbox(&sandbox).await.unwrap();
    }
    bench.runtime.stop_container(&no_container(), LONG).await.unwrap();
    bench.runtime.remove_container(&no_container()).await.unwrap();
    bench.runtime.stop_sandbox(&no_sandbox()).await.unwrap();
    bench.runtime.remove_sandbox(&no_sandbox()).await.unwrap();
}

async fn a_running_container_stays(bench: Bench) {
    let id = bench.start(Program::Waits).await;
    let refused = bench.runtime.remove_container(&id).await;
    assert!(matches!(refused, Err(Error::StillRunning { .. })), "{refused:?}");
    assert!(matches!(bench.status(&id).await.state, ContainerState::Running { .. }));
}

async fn sandbox_order(bench: Bench) {
    let config = bench.config(Program::Waits).await;
    let missing = bench.runtime.create_container(&no_sandbox(), &config).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    let sandbox = bench.runtime.create_sandbox(&Bench::sandbox_config("web")).await.unwrap();
    let early = bench.runtime.create_container(&sandbox.id, &config).await;
    assert!(matches!(early, Err(Error::WrongState { .. })), "{early:?}");
}

async fn stopped_sandbox(bench: Bench) {
    let sandbox = bench.sandbox("web").await;
    let running = bench.create(&sandbox, Program::IgnoresTerm).await;
    let created = bench.create(&sandbox, Program::Waits).await;
    bench.runtime.start_container(&running).await.unwrap();
    bench.runtime.stop_sandbox(&sandbox).await.unwrap();
    assert_eq!(bench.ended(&running).await, Ended::new(137, Some(9), "Error"));
    let late = bench.runtime.start_container(&created).await;
    assert!(matches!(late, Err(Error::WrongState { .. })), "{late:?}");
    let config = bench.config(Program::Waits).await;
    let later = bench.runtime.create_container(&sandbox, &config).await;
    assert!(matches!(later, Err(Error::WrongState { .. })), "{later:?}");
    let sandboxes = bench.runtime.sandboxes().await.unwrap();
    assert_eq!(sandboxes.iter().map(|sandbox| sandbox.state).collect::<Vec<_>>(), [SandboxState::NotReady]);
}

async fn removed_sandbox(bench: Bench) {
    let sandbox = bench.sandbox("web").await;
    let id = bench.create(&sandbox, Program::Waits).await;
    bench.runtime.start_container(&id).await.unwrap();
    bench.runtime.remove_sandbox(&sandbox).await.unwrap();
    assert!(bench.runtime.sandboxes().await.unwrap().is_empty());
    assert!(bench.runtime.containers().await.unwrap().is_empty());
}

async fn listing(bench: Bench) {
    let (one, two) = (bench.sandbox("one").await, bench.sandbox("two").await);
    assert_ne!(one, two);
    let containers = [bench.create(&one, Program::Waits).await, bench.create(&two, Program::Waits).await];
    let mut sandboxes = bench.runtime.sandboxes().await.unwrap();
    sandboxes.sort_by(|a, b| a.config.name.cmp(&b.config.name));
    for (sandbox, (id, name)) in sandboxes.iter().zip([(&one, "one"), (&two, "two")]) {
        let config = Bench::sandbox_config(name);
        assert_eq!((&sandbox.id, &sandbox.config.uid), (id, &config.uid));
        assert_eq!((sandbox.state, &sandbox.config.labels), (SandboxState::Ready, &config.labels));
        assert_eq!(sandbox.addresses.len(), 1);
    }
    let mut listed: Vec<_> =
        bench.runtime.containers().await.unwrap().into_iter().map(|status| status.id).collect();
    listed.sort_unstable();
    let mut expected = containers.to_vec();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    bench.runtime.remove_container(&containers[0]).await.unwrap();
    bench.runtime.remove_sandbox(&one).await.unwrap();
    assert_eq!(bench.runtime.containers().await.unwrap().len(), 1);
    assert_eq!(bench.runtime.sandboxes().await.unwrap().len(), 1);
}

async fn unknown_image(bench: Bench) {
    let images = bench.runtime.images().unwrap();
    let sandbox = bench.sandbox("web").await;
    let unknown = "registry.invalid/no/such/image:v1";
    assert!(matches!(images.pull(unknown).await, Err(Error::ImageNotFound { .. })));
    assert!(matches!(images.image(unknown).await, Ok(None)));
    assert!(matches!(images.pull("Not:A:Name").await, Err(Error::InvalidImageName { .. })));
    for image in [unknown, "Not:A:Name"] {
        let config = ContainerConfig { image: image.into(), ..ContainerConfig::default() };
        let created = bench.runtime.create_container(&sandbox, &config).await;
        assert!(
            matches!(created, Err(Error::ImageNotFound { .. } | Error::InvalidImageName { .. })),
            "{created:?}"
        );
    }
    assert!(bench.runtime.containers().await.unwrap().is_empty());
}

async fn pulled_image(bench: Bench) {
    let images = bench.runtime.images().unwrap();
    let image = bench.subject.container(Program::Waits).image;
    let pulled = images.pull(&image).await.unwrap();
    assert!(!pulled.id.is_empty());
    assert_eq!(images.image(&image).await.unwrap(), Some(pulled));
}

async fn events(bench: Bench) {
    let sandbox = bench.sandbox("web").await;
    let mut events = bench.events();
    let id = bench.create(&sandbox, Program::Waits).await;
    let mut next = async || {
        let event = events.next().await.expect("events do not end");
        assert_eq!((&event.container, &event.sandbox), (&id, &sandbox));
        assert_eq!(event.pod_uid, "uid-web");
    };
    next().await;
    bench.runtime.start_container(&id).await.unwrap();
    next().await;
    bench.runtime.stop_container(&id, LONG).await.unwrap();
    next().await;
    bench.runtime.remove_container(&id).await.unwrap();
    next().await;
}

async fn killed_from_outside(bench: Bench) {
    let id = bench.start_and_wait(Program::Waits).await;
    let mut events = bench.events();
    bench.subject.kill(&id).await;
    assert_eq!(events.next().await.unwrap().container, id);
    assert_eq!(bench.ended(&id).await, Ended::new(137, Some(9), "Error"));
}

fn printed(lines: &[LogLine], stream: LogStreamKind) -> Vec<&str> {
    let own = lines.iter().filter(|line| line.stream == stream);
    own.map(|line| std::str::from_utf8(&line.line).expect("text")).collect()
}

async fn log_lines(bench: Bench) {
    let id = bench.start(Program::Prints).await;
    bench.ended(&id).await;
    let lines = bench.log(&id, LogOptions::default()).await;
    assert_eq!(printed(&lines, LogStreamKind::Stdout), ["one\n", "three"]);
    assert_eq!(printed(&lines, LogStreamKind::Stderr), ["two\n"]);
    assert!(lines.is_sorted_by_key(|line| line.time));
    let missing = bench.runtime.logs().unwrap().logs(&no_container(), LogOptions::default()).await;
    assert!(matches!(missing.err(), Some(Error::NotFound { .. })));
}

async fn log_tail_and_since(bench: Bench) {
    let id = bench.start(Program::Prints).await;
    bench.ended(&id).await;
    let all = bench.log(&id, LogOptions::default()).await;
    for tail in [0, 1, 2, 9] {
        let last = bench.log(&id, LogOptions { tail_lines: Some(tail), ..LogOptions::default() }).await;
        assert_eq!(last, all[all.len() - all.len().min(usize::try_from(tail).unwrap())..], "{tail}");
    }
    let end = all.last().unwrap().time;
    let since = |since| bench.log(&id, LogOptions { since: Some(since), ..LogOptions::default() });
    assert!(since(end).await.contains(all.last().unwrap()));
    assert!(since(end + Duration::from_secs(1)).await.is_empty());
}

async fn log_follow(bench: Bench) {
    let id = bench.start(Program::Waits).await;
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let mut lines = bench.runtime.logs().unwrap().logs(&id, options).await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap().line, "ready\n");
    bench.runtime.stop_container(&id, LONG).await.unwrap();
    assert!(lines.next().await.is_none(), "the log ends with the container");
}

async fn reflection(bench: Bench) {
    let sandbox = bench.sandbox("web").await;
    let mut config = bench.config(Program::Reflects).await;
    config.args.extend(["first argument".into(), "$HOME".into()]);
    config.env = vec![("GREETING".into(), "early".into()), ("GREETING".into(), "good day".into())];
    config.working_dir = "/".into();
    let id = bench.runtime.create_container(&sandbox, &config).await.unwrap();
    bench.runtime.start_container(&id).await.unwrap();
    assert_eq!(bench.ended(&id).await.exit_code, 0);
    let lines = bench.log(&id, LogOptions::default()).await;
    assert_eq!(printed(&lines, LogStreamKind::Stdout), ["first argument\n", "$HOME\n", "good day\n", "/\n"]);
}

async fn exec_sync(bench: Bench) {
    let id = bench.start_and_wait(Program::Waits).await;
    let exec = bench.runtime.exec().unwrap();
    let command = bench.subject.command(Command::Prints);
    let outcome = exec.exec_sync(&id, &command, Some(LONG)).await.unwrap();
    assert_eq!(
        (outcome.exit_code, &outcome.stdout[..], &outcome.stderr[..]),
        (3, &b"out\n"[..], &b"err\n"[..])
    );
    let empty = exec.exec_sync(&id, &[], None).await;
    assert!(matches!(empty, Err(Error::CannotRun { .. })), "{empty:?}");
}

async fn exec_timeout(bench: Bench) {
    let id = bench.start_and_wait(Program::Waits).await;
    let command = bench.subject.command(Command::Hangs);
    let late = bench.runtime.exec().unwrap().exec_sync(&id, &command, Some(SHORT)).await;
    assert!(matches!(late, Err(Error::Timeout)), "{late:?}");
    assert!(matches!(bench.status(&id).await.state, ContainerState::Running { .. }));
}

async fn exec_streams(bench: Bench) {
    let id = bench.start_and_wait(Program::Waits).await;
    let exec = bench.runtime.exec().unwrap();
    let request = |command| ExecRequest {
        command: bench.subject.command(command),
        stdin: command == Command::Copies,
        stdout: true,
        stderr: command == Command::Prints,
        tty: false,
    };
    let mut copies = exec.exec(&id, request(Command::Copies)).await.unwrap();
    assert!(copies.stderr.is_none());
    let (mut stdin, mut stdout) = (copies.stdin.take().unwrap(), copies.stdout.take().unwrap());
    stdin.write_all(b"hello").await.unwrap();
    stdin.flush().await.unwrap();
    let mut echo = [0; 5];
    stdout.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hello");
    drop(stdin);
    assert_eq!(stdout.read(&mut echo).await.unwrap(), 0);
    assert_eq!(copies.exit.await.unwrap(), 0);

    let mut prints = exec.exec(&id, request(Command::Prints)).await.unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    prints.stdout.take().unwrap().read_to_string(&mut out).await.unwrap();
    prints.stderr.take().unwrap().read_to_string(&mut err).await.unwrap();
    assert_eq!((out.as_str(), err.as_str(), prints.exit.await.unwrap()), ("out\n", "err\n", 3));
}

async fn exec_needs_a_running_container(bench: Bench) {
    let exec = bench.runtime.exec().unwrap();
    let command = bench.subject.command(Command::Prints);
    let missing = exec.exec_sync(&no_container(), &command, None).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    let id = bench.start(Program::Exits(0)).await;
    bench.ended(&id).await;
    let request = ExecRequest { command: command.clone(), stdout: true, ..ExecRequest::default() };
    assert!(matches!(exec.exec_sync(&id, &command, None).await, Err(Error::WrongState { .. })));
    assert!(matches!(exec.exec(&id, request).await.err(), Some(Error::WrongState { .. })));
}
