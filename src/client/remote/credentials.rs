//! The bearer token, fixed or from a file that somebody rotates.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

use crate::env::Clock;

/// How long what was read from a file is used (client-go's period).
const FRESH: Duration = Duration::from_secs(60);

/// Where the bearer token comes from.
pub(super) enum Token {
    None,
    Fixed(HeaderValue),
    File { path: PathBuf, last: Mutex<Option<(Instant, HeaderValue)>> },
}

impl Token {
    pub(super) fn fixed(token: &str) -> io::Result<Self> {
        header(token).map(Self::Fixed)
    }

    pub(super) fn file(path: PathBuf) -> Self {
        Self::File { path, last: Mutex::new(None) }
    }

    /// What `Authorization` is to say.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, and never could.
    pub(super) fn header(&self, clock: &Clock) -> io::Result<Option<HeaderValue>> {
        match self {
            Self::None => Ok(None),
            Self::Fixed(value) => Ok(Some(value.clone())),
            Self::File { path, last } => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                let now = clock.instant();
                if let Some((read, value)) = &*last
                    && now.duration_since(*read) < FRESH
                {
                    return Ok(Some(value.clone()));
                }
                match (std::fs::read_to_string(path).and_then(|text| header(text.trim())), &mut *last) {
                    (Ok(value), slot) => {
                        *slot = Some((now, value.clone()));
                        Ok(Some(value))
                    }
                    // What was good a minute ago may still be.
                    (Err(error), Some((_, value))) => {
                        tracing::warn!(%error, path = %path.display(), "cannot read the token again");
                        Ok(Some(value.clone()))
                    }
                    (Err(error), None) => {
                        Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
                    }
                }
            }
        }
    }
}

fn header(token: &str) -> io::Result<HeaderValue> {
    if token.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the token is empty"));
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the token is no header value"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tokens_file_is_read_again_each_minute_and_its_loss_is_borne() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let (clock, token) = (Clock::simulated(), Token::file(path.clone()));
        let said = || token.header(&clock).map(|value| value.unwrap().to_str().unwrap().to_owned());
        assert_eq!(said().unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&path, "one\n").unwrap();
        assert_eq!(said().unwrap(), "Bearer one");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(said().unwrap(), "Bearer one");
        clock.sleep(FRESH).await;
        assert_eq!(said().unwrap(), "Bearer two");
        std::fs::remove_file(&path).unwrap();
        clock.sleep(FRESH).await;
        assert_eq!(said().unwrap(), "Bearer two");
    }
}
