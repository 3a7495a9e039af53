//! Images of a runtime that has none: programs of this machine under the names of images.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::runtime::{Error, ImageReference, ImageStatus, Images, Result};

/// What an image's name stands for: a program of this machine, with the defaults that an image
/// would have brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The program's file, as an absolute path. Empty: the container must name its command.
    pub path: PathBuf,
    /// Arguments, where the container has neither command nor arguments.
    pub args: Vec<String>,
    /// Environment, below the container's own.
    pub env: Vec<(String, String)>,
    /// Where to run it; a directory of the container's own where none is given.
    pub working_dir: Option<PathBuf>,
}

impl Program {
    /// The program in this file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// One default argument more.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// One default variable more.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// What an image's id is here.
    pub(super) fn id(&self) -> String {
        if self.path.as_os_str().is_empty() {
            return ProgramImages::HOST.to_owned();
        }
        format!("file://{}", self.path.display())
    }
}

/// The images that a [`ProcessRuntime`](super::ProcessRuntime) knows. Clones share them, and they
/// may change while it runs.
///
/// A container's image is looked up so:
///
/// - an absolute path, such as `/bin/sleep`, is that program;
/// - `host` is no program at all: the container must name its command;
/// - anything else is the name of an image, and must have been given a program with
///   [`program`](Self::program). `web`, `web:latest` and `docker.io/library/web` are one name.
#[derive(Clone, Debug, Default)]
pub struct ProgramImages(Arc<Mutex<BTreeMap<ImageReference, Program>>>);

impl ProgramImages {
    /// The image that stands for no program: the container must name its command.
    pub const HOST: &str = "host";

    /// Knows no names yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a name a program; what it had before is replaced for containers to come.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidImageName`] where `reference` cannot name an image.
    pub fn program(&self, reference: &str, program: Program) -> Result<()> {
        let reference = ImageReference::parse(reference)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(reference, program);
        Ok(())
    }

    /// Looks an image up.
    ///
    /// # Errors
    ///
    /// [`Error::ImageNotFound`] and [`Error::InvalidImageName`].
    pub fn resolve(&self, reference: &str) -> Result<Program> {
        if reference == Self::HOST {
            return Ok(Program::default());
        }
        let missing = |why: String| Error::ImageNotFound { reference: reference.to_owned(), why };
        if reference.starts_with('/') {
            return match is_program(Path::new(reference)) {
                Ok(()) => Ok(Program::new(reference)),
                Err(why) => Err(missing(format!("looked for a program of this machine at that path: {why}"))),
            };
        }
        let name = ImageReference::parse(reference)?;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let program = known.get(&name).cloned().ok_or_else(|| {
            let names: Vec<_> = known.keys().map(ToString::to_string).collect();
            let names = if names.is_empty() { "it is empty".to_owned() } else { names.join(", ") };
            missing(format!("looked for {name} in the registry of programs ({names}); nothing is pulled"))
        })?;
        if program.path.as_os_str().is_empty() {
            return Ok(program);
        }
        is_program(&program.path)
            .map_err(|why| missing(format!("its program is {}: {why}", program.path.display())))?;
        Ok(program)
    }
}

/// Whether a file can be run, or why it cannot.
pub(super) fn is_program(path: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        _ => error.to_string(),
    })?;
    if !metadata.is_file() {
        return Err("is not a file".into());
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err("permission denied".into());
    }
    Ok(())
}

#[async_trait]
impl Images for ProgramImages {
    async fn image(&self, reference: &str) -> Result<Option<ImageStatus>> {
        match self.pull(reference).await {
            Ok(status) => Ok(Some(status)),
            Err(Error::ImageNotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn pull(&self, reference: &str) -> Result<ImageStatus> {
        let program = self.resolve(reference)?;
        let size_bytes = std::fs::metadata(&program.path).map_or(0, |metadata| metadata.len());
        Ok(ImageStatus { id: program.id(), size_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_paths_and_the_host() {
        let images = ProgramImages::new();
        images.program("example.org/web:v1", Program::new("/bin/sh").arg("-c")).unwrap();
        assert_eq!(images.resolve("example.org/web:v1").unwrap().args, ["-c"]);
        assert_eq!(images.resolve("/bin/sh").unwrap(), Program::new("/bin/sh"));
        assert_eq!(images.resolve("host").unwrap(), Program::default());
        images.program("short", Program::new("/bin/sh")).unwrap();
        assert!(images.resolve("docker.io/library/short:latest").is_ok());
    }

    #[test]
    fn what_cannot_be_found_says_where_it_was_looked_for() {
        let images = ProgramImages::new();
        images.program("web:v1", Program::new("/no/such/file")).unwrap();
        for (reference, part) in [
            ("web:v2", "docker.io/library/web:v2 in the registry of programs (docker.io/library/web:v1)"),
            ("web:v1", "/no/such/file: no such file or directory"),
            ("/no/such/program", "at that path: no such file or directory"),
            ("/etc", "is not a file"),
            ("/etc/passwd", "permission denied"),
        ] {
            let error = images.resolve(reference).unwrap_err();
            assert!(matches!(error, Error::ImageNotFound { .. }), "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(matches!(images.resolve("Web:"), Err(Error::InvalidImageName { .. })));
        assert!(images.program("a b", Program::default()).is_err());
    }
}
