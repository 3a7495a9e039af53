//! The way to a value, written out only where something is wrong there.

use crate::api::field::Path;

/// A place in an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trail<'a> {
    parent: Option<&'a Trail<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root(&'a Path),
    Field(&'a str),
    Key(&'a str),
    Index(usize),
}

impl<'a> Trail<'a> {
    /// Where the walk begins.
    pub(super) fn root(path: &'a Path) -> Self {
        Self { parent: None, step: Step::Root(path) }
    }

    /// A field that the schema names.
    pub(super) fn field<'b>(&'b self, name: &'b str) -> Trail<'b> {
        Trail { parent: Some(self), step: Step::Field(name) }
    }

    /// An entry of a map.
    pub(super) fn key<'b>(&'b self, key: &'b str) -> Trail<'b> {
        Trail { parent: Some(self), step: Step::Key(key) }
    }

    /// An item of a list.
    pub(super) fn index<'b>(&'b self, index: usize) -> Trail<'b> {
        Trail { parent: Some(self), step: Step::Index(index) }
    }

    /// Whether this is where the walk began.
    pub(super) fn is_root(&self) -> bool {
        self.parent.is_none()
    }

    /// The path, as errors name fields.
    pub(super) fn path(&self) -> Path {
        let parent = || self.parent.map_or_else(Path::root, Trail::path);
        match self.step {
            Step::Root(path) => path.clone(),
            Step::Field(name) => parent().child(name),
            Step::Key(key) => parent().key(key),
            Step::Index(index) => parent().index(index),
        }
    }

    /// The path from where the walk began, as the validation of values writes it: keys are fields there.
    pub(super) fn dotted(&self) -> String {
        let parent = || self.parent.map(Trail::dotted).unwrap_or_default();
        match self.step {
            Step::Root(_) => String::new(),
            Step::Field(name) if self.parent.is_some_and(Trail::is_root) => name.to_owned(),
            Step::Field(name) | Step::Key(name) => format!("{}.{name}", parent()),
            Step::Index(index) => format!("{}[{index}]", parent()),
        }
    }

    /// Where the walk began.
    pub(super) fn start(&self) -> &Path {
        match self.step {
            Step::Root(path) => path,
            _ => self.parent.expect("only a root has no parent").start(),
        }
    }
}
