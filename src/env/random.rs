//! Random numbers: named streams of one seed.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A seed, and the streams that follow from it by name.
///
/// Two streams of different names are independent: a draw from one never moves another, so that
/// a new consumer of chance does not change what the old ones see.
#[derive(Clone, Copy, Debug)]
pub struct Random {
    seed: u64,
}

impl Random {
    /// Streams that follow from `seed`.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed }
    }

    /// Streams that follow from a seed of the operating system's.
    #[must_use]
    #[allow(clippy::disallowed_types, reason = "this module is the door to chance")]
    pub fn from_os() -> Self {
        use std::hash::BuildHasher;
        Self { seed: std::hash::RandomState::new().hash_one(std::process::id()) }
    }

    /// Fills `bytes` from the operating system's generator for cryptography, which no seed governs:
    /// for what must be unique or secret, and nothing else. The streams here are neither.
    ///
    /// # Panics
    ///
    /// When the operating system has no such generator to offer.
    #[cfg(feature = "encryption")]
    pub fn fill_from_os(bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system offers random numbers");
    }

    /// The seed, to be printed where a run must be repeatable.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The stream of this name, from its start.
    #[must_use]
    pub fn stream(&self, name: &str) -> Stream {
        let mut hasher = rustc_hash::FxHasher::default();
        name.hash(&mut hasher);
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&hasher.finish().to_le_bytes());
        for (slot, byte) in key[16..].iter_mut().zip(name.bytes()) {
            *slot = byte;
        }
        Stream(Arc::new(Mutex::new(ChaCha8Rng::from_seed(key))))
    }
}

/// One stream of random numbers. Clones share it.
#[derive(Clone, Debug)]
pub struct Stream(Arc<Mutex<ChaCha8Rng>>);

impl Stream {
    /// The next 64 bits.
    #[must_use]
    pub fn next_u64(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }

    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }

    /// A number in `0..bound`; 0 where `bound` is 0.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        // The high half of a 128-bit product maps 64 random bits onto the range.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `[0, 1)`.
    #[must_use]
    pub fn unit(&self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// `base` lengthened by a random part of at most `factor` of itself, as Kubernetes' `wait.Jitter`.
    #[must_use]
    pub fn jitter(&self, base: Duration, factor: f64) -> Duration {
        base.mul_f64(1.0 + self.unit() * factor)
    }

    /// A random (version 4) UUID in its usual spelling.
    #[must_use]
    pub fn uuid(&self) -> String {
        let mut b = [0u8; 16];
        self.fill(&mut b);
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        let mut text = String::with_capacity(36);
        for (at, byte) in b.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            for half in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(half)]));
            }
        }
        text
    }

    /// `length` characters of the alphabet that Kubernetes appends to generated names: letters
    /// and digits without vowels and look-alikes (`k8s.io/apimachinery/pkg/util/rand`).
    #[must_use]
    pub fn suffix(&self, length: usize) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..length).map(|_| char::from(ALPHABET[self.below(ALPHABET.len() as u64) as usize])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_follows_from_seed_and_name_alone() {
        let draw = |seed, name: &str| Random::seeded(seed).stream(name).next_u64();
        assert_eq!(draw(1, "uid"), draw(1, "uid"));
        assert_ne!(draw(1, "uid"), draw(2, "uid"));
        assert_ne!(draw(1, "uid"), draw(1, "names"));
    }

    #[test]
    fn shapes() {
        let stream = Random::seeded(7).stream("shapes");
        let uuid = stream.uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.as_bytes()[14], b'4');
        assert_eq!(stream.suffix(5).len(), 5);
        assert!((0..1000).all(|_| stream.below(3) < 3 && stream.unit() < 1.0));
        assert_eq!(stream.below(0), 0);
    }
}
