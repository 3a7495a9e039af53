//! Ranges of keys.

use bytes::Bytes;

/// Keys from `start` up to but without `end`; to the last key where there is no `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key.
    pub start: Bytes,
    /// The key behind the last; none for no bound.
    pub end: Option<Bytes>,
}

impl KeyRange {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self { start: Bytes::new(), end: None }
    }

    /// One key.
    #[must_use]
    pub fn single(key: impl Into<Bytes>) -> Self {
        let start = key.into();
        let end = Bytes::from([&start[..], &[0]].concat());
        Self { start, end: Some(end) }
    }

    /// Keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let start = prefix.into();
        let end = start.iter().rposition(|byte| *byte < 0xff).map(|last| {
            let mut end = start[..=last].to_vec();
            end[last] += 1;
            Bytes::from(end)
        });
        Self { start, end }
    }

    /// Keys from `start` up to but without `end`.
    #[must_use]
    pub fn between(start: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        Self { start: start.into(), end: Some(end.into()) }
    }

    /// Whether the range holds a key.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= &self.start[..] && self.end.as_ref().is_none_or(|end| key < &end[..])
    }

    /// The one key that the range holds, if it is made by [`KeyRange::single`].
    #[must_use]
    pub fn as_single(&self) -> Option<&Bytes> {
        let end = self.end.as_ref()?;
        (end.len() == self.start.len() + 1 && end.ends_with(&[0]) && end.starts_with(&self.start))
            .then_some(&self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_behind_their_last_key() {
        assert_eq!(KeyRange::prefix("/a/").end.unwrap(), "/a0");
        assert_eq!(KeyRange::prefix(vec![b'a', 0xff]).end.unwrap(), "b");
        assert_eq!(KeyRange::prefix(vec![0xff]).end, None);
        assert!(KeyRange::prefix("/a/").contains(b"/a/\xff"));
        assert!(!KeyRange::prefix("/a/").contains(b"/a"));
        assert!(KeyRange::all().contains(b""));
    }

    #[test]
    fn a_single_key_is_recognised() {
        assert_eq!(KeyRange::single("a").as_single().unwrap(), "a");
        assert!(KeyRange::single("a").contains(b"a"));
        assert!(!KeyRange::single("a").contains(b"aa"));
        assert_eq!(KeyRange::prefix("a").as_single(), None);
    }
}
