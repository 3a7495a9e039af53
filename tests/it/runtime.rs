//! Both runtimes against the conformance suite, as an implementor outside of this crate runs it.

#[cfg(all(feature = "process", target_os = "linux"))]
mod process {
    use std::sync::Arc;

    use async_trait::async_trait;
    use windlass::env::Env;
    use windlass::runtime::conformance::{Command, Feature, Program, Subject};
    use windlass::runtime::process::{ProcessOptions, ProcessRuntime, ProgramImages};
    use windlass::runtime::{ContainerConfig, ContainerId, ContainerRuntime};

    struct Process {
        env: Env,
        runtime: Arc<ProcessRuntime>,
        dir: tempfile::TempDir,
    }

    fn subject() -> Arc<dyn Subject> {
        let (env, dir) = (Env::system(), tempfile::tempdir().unwrap());
        let options = ProcessOptions::new(dir.path().join("run"), env.clone(), ProgramImages::new());
        Arc::new(Process { env, runtime: Arc::new(ProcessRuntime::new(options).unwrap()), dir })
    }

    fn shell(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(str::to_owned).into()
    }

    #[async_trait]
    impl Subject for Process {
        fn runtime(&self) -> Arc<dyn ContainerRuntime> {
            self.runtime.clone()
        }

        fn env(&self) -> Env {
            self.env.clone()
        }

        fn has(&self, _feature: Feature) -> bool {
            true
        }

        fn container(&self, program: Program) -> ContainerConfig {
            let mut command = match program {
                // `wait` can be interrupted by the trap, a program in the foreground cannot.
                Program::Waits => shell("trap 'exit 0' TERM; echo ready; while :; do sleep 60 & wait; done"),
                Program::IgnoresTerm => shell("trap '' TERM; echo ready; while :; do sleep 60; done"),
                Program::Exits(code) => shell(&format!("exit {code}")),
                Program::KillsItself => shell("kill -9 $$"),
                Program::Prints => shell("echo one; echo two >&2; printf three"),
                Program::Reflects => shell(r#"for arg; do echo "$arg"; done; echo "$GREETING"; pwd"#),
                _ => vec!["/no/such/program".to_owned()],
            };
            if program == Program::Reflects {
                // What follows a script is its name, and then its arguments.
                command.push("sh".into());
            }
            ContainerConfig { image: "host".into(), command, ..ContainerConfig::default() }
        }

        fn command(&self, command: Command) -> Vec<String> {
            shell(match command {
                Command::Prints => "echo out; echo err >&2; exit 3",
                Command::Copies => "exec cat",
                _ => "exec sleep 600",
            })
        }

        async fn kill(&self, id: &ContainerId) {
            let pid = self.runtime.pid(id).expect("it runs");
            let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        }

        async fn shutdown(&self) {
            self.runtime.shutdown().await;
            assert_eq!(std::fs::read_dir(self.dir.path()).unwrap().count(), 0, "no file is left");
        }
    }

    windlass::runtime_conformance!(subject);
}

#[cfg(feature = "sim")]
mod sim {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use windlass::env::Env;
    use windlass::runtime::conformance::{Command, Feature, Program, Subject};
    use windlass::runtime::sim::{Answer, Delay, Life, OnTerm, Output, Script, Scripts, SimRuntime};
    use windlass::runtime::{ContainerConfig, ContainerId, ContainerRuntime, LogStreamKind};

    struct Simulated {
        env: Env,
        runtime: Arc<SimRuntime>,
    }

    fn subject() -> Arc<dyn Subject> {
        tokio::time::pause();
        let (env, scripts) = (Env::simulated(7), Scripts::new());
        let answering = Script::new()
            .says("ready")
            .answers(
                ["prints"],
                Answer { code: 3, stdout: "out\n".into(), stderr: "err\n".into(), ..Answer::default() },
            )
            .answers(["copies"], Answer { echo: true, ..Answer::default() })
            .answers(["hangs"], Answer { after: Duration::from_secs(1_000_000).into(), ..Answer::default() });
        let exits = |code| Script::new().life(Life::Exits { after: Delay::NONE, code });
        let print = |script: Script, stream, text: &str| {
            script.prints(Output { after: Duration::ZERO, every: None, stream, text: text.into() })
        };
        let prints = print(exits(0), LogStreamKind::Stdout, "one\n");
        let prints = print(prints, LogStreamKind::Stderr, "two\n");
        for (image, script) in [
            ("waits", answering.clone()),
            ("ignores", answering.on_term(OnTerm::Ignores)),
            ("exits-0", exits(0)),
            ("exits-3", exits(3)),
            ("killed", exits(137)),
            ("prints", print(prints, LogStreamKind::Stdout, "three")),
            ("cannot-start", Script::new().life(Life::CannotStart("it is not to be"))),
        ] {
            scripts.script(image, script.start(Duration::from_millis(20))).unwrap();
        }
        let runtime = Arc::new(SimRuntime::new("node-1", &env, scripts));
        Arc::new(Simulated { env, runtime })
    }

    #[async_trait]
    impl Subject for Simulated {
        fn runtime(&self) -> Arc<dyn ContainerRuntime> {
            self.runtime.clone()
        }

        fn env(&self) -> Env {
            self.env.clone()
        }

        fn has(&self, feature: Feature) -> bool {
            feature != Feature::Reflection
        }

        fn container(&self, program: Program) -> ContainerConfig {
            let image = match program {
                Program::Waits => "waits",
                Program::IgnoresTerm => "ignores",
                Program::Exits(0) => "exits-0",
                Program::Exits(3) => "exits-3",
                Program::KillsItself => "killed",
                Program::Prints => "prints",
                Program::CannotStart => "cannot-start",
                other => panic!("there is no script for {other:?}"),
            };
            ContainerConfig { image: image.into(), ..ContainerConfig::default() }
        }

        fn command(&self, command: Command) -> Vec<String> {
            let name = match command {
                Command::Prints => "prints",
                Command::Copies => "copies",
                _ => "hangs",
            };
            vec![name.into()]
        }

        async fn kill(&self, id: &ContainerId) {
            self.runtime.kill(id);
        }

        async fn shutdown(&self) {
            self.runtime.shutdown().await;
        }
    }

    windlass::runtime_conformance!(subject);
}
