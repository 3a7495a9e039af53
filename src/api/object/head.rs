//! What everybody asks of an object, without taking it apart each time.
//!
//! A head copies next to nothing: it says where in the body a text stands. Only what is escaped there
//! is kept beside it.

use std::fmt;
use std::ops::{Index, Range};

use super::ObjectKey;
use crate::api::Resource;

/// What everybody asks of an object, read out once.
pub(super) struct Head {
    pub(super) key: ObjectKey,
    pub(super) generation: i64,
    pub(super) deleting: bool,
    /// Where in the body `metadata`'s first field stands, if it has any field, or its closing brace.
    pub(super) splice: u32,
    /// Where the list of managed fields stands, if there is one.
    pub(super) managed: Span,
    /// The uid; the row's selectable fields, in its order; each label's key and value.
    pub(super) texts: Box<[Span]>,
    /// Texts that are escaped in the body.
    pub(super) owned: Box<[Box<str>]>,
}

/// Where a text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    pub(super) const EMPTY: Self = Self { start: 0, len: 0 };
    /// What an absent field counts as.
    pub(super) const DEFAULT: Self = Self { start: u32::MAX, len: 0 };

    pub(super) fn of(range: Range<usize>) -> Option<Self> {
        Some(Self { start: u32::try_from(range.start).ok()?, len: u32::try_from(range.len()).ok()? })
    }

    /// The bytes that it means.
    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }

    pub(super) fn owned(index: usize) -> Option<Self> {
        Some(Self { start: u32::try_from(index).ok()?, len: u32::MAX })
    }

    /// The text; none for the default.
    pub(super) fn read<'a>(self, body: &'a [u8], owned: &'a [Box<str>]) -> Option<&'a str> {
        match self {
            Self::DEFAULT => None,
            Self { start, len: u32::MAX } => owned.get(start as usize).map(AsRef::as_ref),
            Self { start, len } => {
                std::str::from_utf8(body.get(start as usize..start as usize + len as usize)?).ok()
            }
        }
    }
}

impl Head {
    fn text<'a>(&'a self, at: usize, body: &'a [u8]) -> Option<&'a str> {
        self.texts.get(at)?.read(body, &self.owned)
    }

    pub(super) fn uid<'a>(&'a self, body: &'a [u8]) -> &'a str {
        self.text(0, body).unwrap_or_default()
    }

    /// The value of the row's selectable field at this position.
    pub(super) fn field<'a>(
        &'a self,
        resource: &'a Resource,
        position: usize,
        body: &'a [u8],
    ) -> Option<&'a str> {
        let field = resource.selectable.get(position)?;
        Some(self.text(1 + position, body).unwrap_or(&field.default))
    }

    pub(super) fn labels<'a>(&'a self, resource: &Resource, body: &'a [u8]) -> Labels<'a> {
        Labels { spans: &self.texts[1 + resource.selectable.len()..], body, owned: &self.owned }
    }
}

/// An object's labels, by key.
#[derive(Clone, Copy)]
pub struct Labels<'a> {
    /// Key, value, key, value.
    spans: &'a [Span],
    body: &'a [u8],
    owned: &'a [Box<str>],
}

impl<'a> Labels<'a> {
    /// The value of a label.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.iter().find(|(held, _)| *held == key).map(|(_, value)| value)
    }

    /// Each label with its value.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let Self { spans, body, owned } = self;
        let read = move |span: Span| span.read(body, owned).unwrap_or_default();
        spans.chunks_exact(2).map(move |pair| (read(pair[0]), read(pair[1])))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len() / 2
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

/// # Panics
///
/// Where there is no such label.
impl Index<&str> for Labels<'_> {
    type Output = str;

    fn index(&self, key: &str) -> &str {
        self.get(key).unwrap_or_else(|| panic!("no label {key:?}"))
    }
}

impl fmt::Debug for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
