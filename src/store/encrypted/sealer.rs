//! Sealing and opening of single values.
//!
//! A sealed value is
//!
//! ```text
//! windlass:enc:aes256gcm:v1:<key name>:  salt (32)  counter (8)  ciphertext  tag (16)
//! ```
//!
//! What AES-256-GCM may never do is use a nonce twice under one key, and a key that draws its 96-bit
//! nonces at random may seal only 2^32 values before that becomes likely enough to matter (NIST SP
//! 800-38D, 8.3). So no value is sealed under a configured key itself. Each sealer draws a salt of 256
//! bits when it is made, derives its own key from the configured one and the salt by HKDF-SHA256, and
//! counts its nonces: they repeat only if two salts do, and no count of writes forces a rotation.
//! Kubernetes derives keys so too (`value/encrypt/aes/aes_extended_nonce.go` of k8s.io/apiserver 1.36).
//!
//! The storage key is associated data: a sealed value that was moved to another key does not open.
//! What kube-apiserver sealed with its `aesgcm` provider and the same key opens as well; Kubernetes
//! authenticates the storage key in the same way (`aes.go` there).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use bytes::Bytes;
use hkdf::Hkdf;
use sha2::Sha256;

use super::keys::{EncryptionKey, EncryptionKeys};
use crate::env::{HashMap, Random};
use crate::store::{Error, Result};

const PREFIX: &[u8] = b"windlass:enc:aes256gcm:v1:";
const KUBERNETES_PREFIX: &[u8] = b"k8s:enc:";
const KUBERNETES_GCM_PREFIX: &[u8] = b"k8s:enc:aesgcm:v1:";
const SALT: usize = 32;
const COUNTER: usize = 8;
const NONCE: usize = 12;
const TAG: usize = 16;
/// Derived keys held at once, of other sealers' salts; a store has one per time that it was opened.
const DERIVED: usize = 4096;

pub(super) struct Sealer {
    keys: Vec<EncryptionKey>,
    unsealed: bool,
    /// Prefix and salt: how everything that this sealer seals begins.
    head: Vec<u8>,
    cipher: Aes256Gcm,
    counter: AtomicU64,
    derived: RwLock<HashMap<Sealed, Arc<Aes256Gcm>>>,
}

/// Who sealed a value: the position of the key, and the sealer's salt.
type Sealed = (usize, [u8; SALT]);

fn cipher(secret: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new_from_slice(secret).expect("32 bytes make a key")
}

fn derive(key: &EncryptionKey, salt: &[u8; SALT]) -> Aes256Gcm {
    let mut secret = [0; 32];
    let expanded = Hkdf::<Sha256>::new(Some(salt), &key.secret).expand(PREFIX, &mut secret);
    expanded.expect("HKDF makes 32 bytes");
    cipher(&secret)
}

fn nonce(counter: [u8; COUNTER]) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0; NONCE];
    nonce[NONCE - COUNTER..].copy_from_slice(&counter);
    nonce.into()
}

impl Sealer {
    pub(super) fn new(keys: EncryptionKeys) -> Self {
        let salt = keys.salt.unwrap_or_else(|| {
            let mut salt = [0; SALT];
            Random::fill_from_os(&mut salt);
            salt
        });
        let first = &keys.keys[0];
        let head = [PREFIX, first.name.as_bytes(), b":", &salt].concat();
        Self {
            head,
            cipher: derive(first, &salt),
            counter: AtomicU64::new(0),
            derived: RwLock::default(),
            unsealed: keys.unsealed,
            keys: keys.keys,
        }
    }

    pub(super) fn seal(&self, key: &[u8], value: &[u8]) -> Bytes {
        let counter = self.counter.fetch_add(1, Relaxed).to_be_bytes();
        let payload = Payload { msg: value, aad: key };
        let sealed = self.cipher.encrypt(&nonce(counter), payload).expect("a value is shorter than 64 GiB");
        let mut stored = Vec::with_capacity(self.head.len() + COUNTER + sealed.len());
        stored.extend_from_slice(&self.head);
        stored.extend_from_slice(&counter);
        stored.extend_from_slice(&sealed);
        stored.into()
    }

    /// Whether a stored value is sealed with the first key, in the way of this sealer.
    pub(super) fn is_current(&self, stored: &[u8]) -> bool {
        stored.starts_with(&self.head[..self.head.len() - SALT])
    }

    /// What a stored value holds.
    pub(super) fn open(&self, key: &[u8], stored: &Bytes) -> Result<Bytes> {
        let corrupt = |why: &str| Error::Corrupt {
            what: format!("the value of {}: {why}", String::from_utf8_lossy(key)).into(),
        };
        let named = |rest: &[u8]| {
            let end = rest.iter().position(|byte| *byte == b':').ok_or_else(|| corrupt("names no key"))?;
            let name = &rest[..end];
            let held = self.keys.iter().position(|key| key.name.as_bytes() == name).ok_or_else(|| {
                corrupt(&format!("sealed with {:?}, which is not here", String::from_utf8_lossy(name)))
            })?;
            Ok((held, end + 1))
        };
        let refused =
            || corrupt("does not open: damaged, moved from another key, or sealed with another secret");
        if let Some(rest) = stored.strip_prefix(PREFIX) {
            let (held, start) = named(rest)?;
            let rest = &rest[start..];
            let (salt, rest) = rest.split_first_chunk::<SALT>().ok_or_else(|| corrupt("cut short"))?;
            let (counter, sealed) =
                rest.split_first_chunk::<COUNTER>().ok_or_else(|| corrupt("cut short"))?;
            let opened =
                self.derived(held, salt).decrypt(&nonce(*counter), Payload { msg: sealed, aad: key });
            return opened.map(Bytes::from).map_err(|_| refused());
        }
        if let Some(rest) = stored.strip_prefix(KUBERNETES_GCM_PREFIX) {
            let (held, start) = named(rest)?;
            let rest = &rest[start..];
            let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or_else(|| corrupt("cut short"))?;
            let payload = Payload { msg: sealed, aad: key };
            let opened = cipher(&self.keys[held].secret).decrypt(&(*nonce).into(), payload);
            return opened.map(Bytes::from).map_err(|_| refused());
        }
        if stored.starts_with(KUBERNETES_PREFIX) {
            return Err(corrupt("sealed in a way that is not read here"));
        }
        if self.unsealed { Ok(stored.clone()) } else { Err(corrupt("not sealed")) }
    }

    fn derived(&self, held: usize, salt: &[u8; SALT]) -> Arc<Aes256Gcm> {
        let found = self.derived.read().unwrap_or_else(PoisonError::into_inner).get(&(held, *salt)).cloned();
        found.unwrap_or_else(|| {
            let made = Arc::new(derive(&self.keys[held], salt));
            let mut derived = self.derived.write().unwrap_or_else(PoisonError::into_inner);
            // Salts are read from the store: whoever can write there must not fill the memory here.
            if derived.len() >= DERIVED {
                derived.clear();
            }
            derived.insert((held, *salt), made.clone());
            made
        })
    }
}

/// How much longer a sealed value is, beside the key's name.
pub(super) const OVERHEAD: usize = PREFIX.len() + 1 + SALT + COUNTER + TAG;
