//! Two connections that have become one.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::env::Clock;

/// How long one direction may go on once the other has ended: who is gone takes nothing any more, and
/// whoever is still there is not held.
const PARTING: Duration = Duration::from_secs(5);

/// Carries bytes in both directions, as they are. It ends when both directions have, or a moment after the
/// first of them.
pub(crate) async fn relay<A, B>(one: A, other: B, clock: &Clock)
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let (mut from_one, mut to_one) = tokio::io::split(one);
    let (mut from_other, mut to_other) = tokio::io::split(other);
    let there = async {
        // An end without goodbye is how such streams mostly end; what has come is passed on either way.
        let copied = tokio::io::copy(&mut from_one, &mut to_other).await;
        let _ = to_other.shutdown().await;
        copied
    };
    let back = async {
        let copied = tokio::io::copy(&mut from_other, &mut to_one).await;
        let _ = to_one.shutdown().await;
        copied
    };
    let (mut there, mut back) = (std::pin::pin!(there), std::pin::pin!(back));
    let last = crate::select! {
        _ = &mut there => clock.timeout(PARTING, back).await,
        _ = &mut back => clock.timeout(PARTING, there).await,
    };
    tracing::trace!(?last, "an upgraded connection ended");
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;
    use crate::env::Env;

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_before_an_end_arrives_and_nobody_is_held_for_ever() {
        let env = Env::simulated(1);
        let (mut caller, near) = duplex(16);
        let (far, mut backend) = duplex(16);
        let clock = env.clock.clone();
        let started = clock.instant();
        env.tasks.spawn("relay", async move { relay(near, far, &clock).await });
        caller.write_all(b"hello").await.unwrap();
        caller.shutdown().await.unwrap();
        let mut text = String::new();
        backend.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
        backend.write_all(b"bye").await.unwrap();
        let mut three = [0; 3];
        caller.read_exact(&mut three).await.unwrap();
        assert_eq!(&three, b"bye", "half of it goes on");
        // The backend never ends, and is left.
        env.tasks.idle().await;
        assert_eq!((env.clock.instant() - started).as_secs(), 5);
    }
}
