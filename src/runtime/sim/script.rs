//! What simulated containers do: a script per image.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::env::Stream;
use crate::runtime::{Error, ImageReference, LogStreamKind, Result};

/// How long something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// Always so long.
    Exactly(Duration),
    /// Something from the first up to the second, drawn from the runtime's stream.
    Between(Duration, Duration),
}

impl Delay {
    /// No time at all.
    pub const NONE: Self = Self::Exactly(Duration::ZERO);

    pub(super) fn draw(self, stream: &Stream) -> Duration {
        match self {
            Self::Exactly(duration) => duration,
            Self::Between(least, most) => {
                let width = u64::try_from(most.saturating_sub(least).as_nanos()).unwrap_or(u64::MAX);
                least + Duration::from_nanos(stream.below(width))
            }
        }
    }
}

impl Default for Delay {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<Duration> for Delay {
    fn from(duration: Duration) -> Self {
        Self::Exactly(duration)
    }
}

/// How a container's life goes unless it is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs until it is stopped.
    Forever,
    /// It ends by itself.
    Exits {
        /// So long after its start.
        after: Delay,
        /// With this code. 128 and a signal's number stand for that signal.
        code: i32,
    },
    /// It cannot be started at all, for this reason.
    CannotStart(&'static str),
}

/// What a container does when it is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTerm {
    /// It ends.
    Exits {
        /// So long after it was asked.
        after: Delay,
        /// With this code.
        code: i32,
    },
    /// Nothing: only a kill ends it.
    Ignores,
}

/// How fetching an image goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// It arrives after so long.
    Takes(Delay),
    /// It fails after so long, with this text.
    Fails(Delay, &'static str),
}

/// Something that a container prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// So long after its start.
    pub after: Duration,
    /// And again and again, so far apart.
    pub every: Option<Duration>,
    /// Where.
    pub stream: LogStreamKind,
    /// What, with its line feed.
    pub text: String,
}

/// What a command in a container answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// It takes so long.
    pub after: Delay,
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: Bytes,
    /// Standard error.
    pub stderr: Bytes,
    /// Whether it copies standard input to standard output, until the input ends.
    pub echo: bool,
}

/// A port on which a container answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The port.
    pub port: u16,
    /// It answers at all so long after the container's start.
    pub open_after: Duration,
    /// Until so long after the start, HTTP requests are answered with 503; then with 200.
    pub ready_after: Duration,
}

/// What the containers of an image do. Starts as: is fetched and started at once, runs until it is
/// asked to end, and then ends at once with 0.
#[derive(Clone, Debug)]
pub struct Script {
    pub(super) pull: Pull,
    pub(super) start: Delay,
    pub(super) lives: Vec<Life>,
    pub(super) on_term: OnTerm,
    pub(super) output: Vec<Output>,
    pub(super) answers: BTreeMap<Vec<String>, Answer>,
    pub(super) served: Vec<Served>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            pull: Pull::Takes(Delay::NONE),
            start: Delay::NONE,
            lives: vec![Life::Forever],
            on_term: OnTerm::Exits { after: Delay::NONE, code: 0 },
            output: Vec::new(),
            answers: BTreeMap::new(),
            served: Vec::new(),
        }
    }
}

impl Script {
    /// The script that a script starts as.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How fetching the image goes.
    #[must_use]
    pub fn pull(mut self, pull: Pull) -> Self {
        self.pull = pull;
        self
    }

    /// How long starting takes.
    #[must_use]
    pub fn start(mut self, delay: impl Into<Delay>) -> Self {
        self.start = delay.into();
        self
    }

    /// Every container lives so.
    #[must_use]
    pub fn life(self, life: Life) -> Self {
        self.lives([life])
    }

    /// A pod's first container of this image lives so, the one that replaces it so, and so on; the
    /// last stands for all that follow. A crash loop that heals is two exits and `Forever`.
    #[must_use]
    pub fn lives(mut self, lives: impl IntoIterator<Item = Life>) -> Self {
        self.lives = lives.into_iter().collect();
        self
    }

    /// What it does when it is asked to end.
    #[must_use]
    pub fn on_term(mut self, on_term: OnTerm) -> Self {
        self.on_term = on_term;
        self
    }

    /// It prints this.
    #[must_use]
    pub fn prints(mut self, output: Output) -> Self {
        self.output.push(output);
        self
    }

    /// It prints a line as it starts.
    #[must_use]
    pub fn says(self, line: &str) -> Self {
        let text = format!("{line}\n");
        self.prints(Output { after: Duration::ZERO, every: None, stream: LogStreamKind::Stdout, text })
    }

    /// A command run in it answers this. Any other command is not found there.
    #[must_use]
    pub fn answers<S: Into<String>>(mut self, command: impl IntoIterator<Item = S>, answer: Answer) -> Self {
        self.answers.insert(command.into_iter().map(Into::into).collect(), answer);
        self
    }

    /// It serves HTTP.
    #[must_use]
    pub fn serves(mut self, served: Served) -> Self {
        self.served.push(served);
        self
    }

    pub(super) fn life_of(&self, attempt: u32) -> Life {
        let index = usize::try_from(attempt).unwrap_or(usize::MAX);
        self.lives.get(index).or(self.lives.last()).copied().unwrap_or(Life::Forever)
    }
}

/// The images that simulated machines know. Clones share them, and they may change while
/// containers run.
#[derive(Clone, Debug, Default)]
pub struct Scripts(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    scripts: BTreeMap<ImageReference, Arc<Script>>,
    any: Option<Arc<Script>>,
}

impl Scripts {
    /// Knows no images.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Knows every image, and all do the same.
    #[must_use]
    pub fn any(script: Script) -> Self {
        let known = Known { any: Some(Arc::new(script)), ..Known::default() };
        Self(Arc::new(Mutex::new(known)))
    }

    /// Gives an image a script, for containers to come.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidImageName`] where `reference` cannot name an image.
    pub fn script(&self, reference: &str, script: Script) -> Result<()> {
        let reference = ImageReference::parse(reference)?;
        self.known().scripts.insert(reference, Arc::new(script));
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The image's normal name, and its script.
    pub(super) fn resolve(&self, reference: &str) -> Result<(ImageReference, Arc<Script>)> {
        let name = ImageReference::parse(reference)?;
        let known = self.known();
        match known.scripts.get(&name).or(known.any.as_ref()).cloned() {
            Some(script) => Ok((name, script)),
            None => Err(Error::ImageNotFound {
                reference: reference.to_owned(),
                why: format!("no script is known for {name}"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Random;

    #[test]
    fn each_attempt_has_its_life_and_the_last_stands_for_the_rest() {
        let crash = Life::Exits { after: Delay::NONE, code: 1 };
        let script = Script::new().lives([crash, crash, Life::Forever]);
        let lives: Vec<_> = (0..5).map(|attempt| script.life_of(attempt)).collect();
        assert_eq!(lives, [crash, crash, Life::Forever, Life::Forever, Life::Forever]);
        assert_eq!(Script::new().lives([]).life_of(0), Life::Forever);
    }

    #[test]
    fn delays_are_drawn_from_their_range() {
        let stream = Random::seeded(3).stream("delays");
        let (least, most) = (Duration::from_secs(1), Duration::from_secs(2));
        let drawn: Vec<_> = (0..100).map(|_| Delay::Between(least, most).draw(&stream)).collect();
        assert!(drawn.iter().all(|delay| (least..most).contains(delay)));
        assert_eq!(Delay::Between(most, least).draw(&stream), most, "an empty range is its start");
    }
}
