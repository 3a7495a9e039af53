//! What is run: an image and a container's wishes become one command. Pure, but for looking
//! whether files exist.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::images::{Program, is_program};
use crate::runtime::{ContainerConfig, Error, Result};

/// Where programs are looked for unless the container says otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command, ready to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Launch {
    /// The program as it was named, and its arguments.
    pub(super) argv: Vec<String>,
    /// The whole environment.
    pub(super) env: BTreeMap<String, String>,
    /// Where it runs.
    pub(super) working_dir: PathBuf,
}

impl Launch {
    /// Puts a command together as CRI runtimes do: a command of the container's replaces the
    /// image's program and arguments; its arguments alone replace the image's arguments.
    pub(super) fn plan(
        program: &Program,
        config: &ContainerConfig,
        hostname: &str,
        own_dir: &Path,
    ) -> Result<Self> {
        let mut argv = config.command.clone();
        if argv.is_empty() {
            if program.path.as_os_str().is_empty() {
                return Err(Error::CannotRun { why: "no command specified".into() });
            }
            argv.push(program.path.to_string_lossy().into_owned());
            argv.extend(if config.args.is_empty() { program.args.clone() } else { config.args.clone() });
        } else {
            argv.extend(config.args.iter().cloned());
        }

        let working_dir = match (config.working_dir.as_str(), &program.working_dir) {
            ("", None) => own_dir.to_owned(),
            ("", Some(dir)) => dir.clone(),
            // An absolute path replaces what it is joined to.
            (dir, _) => own_dir.join(dir),
        };

        let defaults = [("PATH", PATH), ("HOME", &own_dir.to_string_lossy()), ("HOSTNAME", hostname)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let env = defaults.into_iter().chain(program.env.clone()).chain(config.env.clone()).collect();
        Ok(Self { argv, env, working_dir })
    }

    /// The same place and environment, for another command.
    pub(super) fn with_command(&self, command: &[String]) -> Result<Self> {
        if command.is_empty() {
            return Err(Error::CannotRun { why: "no command specified".into() });
        }
        Ok(Self { argv: command.to_vec(), ..self.clone() })
    }

    /// The command for the operating system, without streams.
    ///
    /// # Errors
    ///
    /// [`Error::CannotRun`] where program or directory do not exist; the text is what runc says.
    pub(super) fn command(&self) -> Result<std::process::Command> {
        let cannot = |why: String| Error::CannotRun { why };
        if !self.working_dir.is_dir() {
            return Err(cannot(format!(
                "chdir to cwd ({:?}) set in config.json failed: no such file or directory",
                self.working_dir
            )));
        }
        let name = &self.argv[0];
        let program = self.find().map_err(|why| cannot(format!("exec: {name:?}: {why}")))?;
        let mut command = std::process::Command::new(program);
        command.args(&self.argv[1..]).env_clear().envs(&self.env).current_dir(&self.working_dir);
        if self.env.iter().any(|(name, value)| name.contains(['=', '\0']) || value.contains('\0')) {
            return Err(cannot("invalid environment variable".into()));
        }
        Ok(command)
    }

    /// A name with a slash is a path (from the working directory); any other is looked for in the
    /// container's own `PATH`.
    fn find(&self) -> Result<PathBuf, String> {
        let name = &self.argv[0];
        if name.contains('/') {
            let path = self.working_dir.join(name);
            return is_program(&path).map(|()| path);
        }
        let path = self.env.get("PATH").map_or("", String::as_str);
        std::env::split_paths(path)
            .map(|dir| self.working_dir.join(dir).join(name))
            .find(|candidate| !name.is_empty() && is_program(candidate).is_ok())
            .ok_or_else(|| "executable file not found in $PATH".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    fn plan(program: &Program, command: &str, args: &str) -> Result<Launch> {
        let config =
            ContainerConfig { command: strings(command), args: strings(args), ..ContainerConfig::default() };
        Launch::plan(program, &config, "web-0", Path::new("/tmp"))
    }

    #[test]
    fn command_and_arguments_replace_the_images() {
        let image = Program::new("/bin/web").arg("--port").arg("80");
        for (command, args, argv) in [
            ("", "", "/bin/web --port 80"),
            ("", "--help", "/bin/web --help"),
            ("sleep", "", "sleep"),
            ("sleep", "5", "sleep 5"),
        ] {
            assert_eq!(plan(&image, command, args).unwrap().argv, strings(argv));
        }
        assert!(matches!(plan(&Program::default(), "", "5"), Err(Error::CannotRun { .. })));
    }

    #[test]
    fn the_environment_is_clean_and_the_containers_entry_wins() {
        let image = Program::new("/bin/web").env("A", "image").env("B", "image");
        let config = ContainerConfig {
            env: vec![("A".into(), "1".into()), ("A".into(), "2".into())],
            ..ContainerConfig::default()
        };
        let env = Launch::plan(&image, &config, "web-0", Path::new("/own")).unwrap().env;
        let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            env,
            [("A", "2"), ("B", "image"), ("HOME", "/own"), ("HOSTNAME", "web-0"), ("PATH", PATH)]
        );
    }

    #[test]
    fn what_does_not_exist_cannot_run() {
        let missing = plan(&Program::default(), "no-such-program", "").unwrap().command().unwrap_err();
        assert_eq!(
            missing.to_string(),
            "failed to start container: exec: \"no-such-program\": executable file not found in $PATH"
        );
        let mut elsewhere = plan(&Program::default(), "sh", "").unwrap();
        assert!(elsewhere.command().is_ok());
        elsewhere.working_dir = "/no/such/dir".into();
        assert!(elsewhere.command().unwrap_err().to_string().contains("/no/such/dir"));
    }
}
