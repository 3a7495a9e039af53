//! The keys that values are sealed with.

use std::fmt;

/// A key of 256 bits, with a name by which values say what they are sealed with.
#[derive(Clone)]
pub struct EncryptionKey {
    pub(super) name: String,
    pub(super) secret: [u8; 32],
}

impl EncryptionKey {
    /// A key. A name means one secret for ever: a new secret wants a new name.
    ///
    /// # Panics
    ///
    /// Where the name is empty or has a colon in it, which ends it in a sealed value.
    #[must_use]
    pub fn new(name: impl Into<String>, secret: [u8; 32]) -> Self {
        let name = name.into();
        assert!(!name.is_empty() && !name.contains(':'), "{name:?} does not name a key");
        Self { name, secret }
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The keys of a store: the first seals, all open.
#[derive(Clone, Debug)]
pub struct EncryptionKeys {
    pub(super) keys: Vec<EncryptionKey>,
    pub(super) unsealed: bool,
    pub(super) salt: Option<[u8; 32]>,
}

impl EncryptionKeys {
    /// Keys of which there is one so far: it seals what is written.
    #[must_use]
    pub fn new(first: EncryptionKey) -> Self {
        Self { keys: vec![first], unsealed: false, salt: None }
    }

    /// One key more, to open what was sealed with it.
    ///
    /// # Panics
    ///
    /// Where there is a key of this name already.
    #[must_use]
    pub fn and(mut self, key: EncryptionKey) -> Self {
        assert!(self.keys.iter().all(|held| held.name != key.name), "there are two keys {:?}", key.name);
        self.keys.push(key);
        self
    }

    /// Whether values that are not sealed are served too, as while a store is being moved to
    /// encryption. Whoever can write below the store can then plant any value.
    #[must_use]
    pub fn unsealed(mut self, served: bool) -> Self {
        self.unsealed = served;
        self
    }

    /// Seals from this salt on instead of from one of the operating system's, so that the same writes
    /// store the same bytes: for simulations. With one key and one salt only one [`super::Encrypted`]
    /// may ever write: two would use a nonce twice, which gives the values away.
    #[must_use]
    pub fn salt(mut self, salt: [u8; 32]) -> Self {
        self.salt = Some(salt);
        self
    }
}
