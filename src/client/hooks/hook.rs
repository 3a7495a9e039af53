//! A hook: what is to happen, to which calls, and how often it did.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::calls::About;
use super::watch::Interrupt;
use super::{Calls, Gate, Hooks, Inner};
use crate::api::{Status, status};

/// What is to happen.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Fail(Box<Status>),
    Lose(Box<Status>),
    Delay(Duration),
    DelayUpTo(Duration),
    Hold,
}

/// What is to happen to which calls, or to which watches' events.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) events: bool,
    calls: Calls,
    action: Action,
    pub(super) gate: Gate,
    seen: AtomicU64,
    struck: AtomicU64,
}

impl Rule {
    /// What it does to this one, which it counts; nothing, mostly.
    pub(super) fn strikes(&self, about: &About) -> Option<Action> {
        if !self.calls.cover(about) {
            return None;
        }
        let before = self.seen.fetch_add(1, Ordering::Relaxed);
        if !self.calls.cover_place(before) {
            return None;
        }
        self.struck.fetch_add(1, Ordering::Relaxed);
        Some(self.action.clone())
    }

    pub(super) fn open(&self) {
        self.gate.open();
    }
}

/// What is to happen to some calls. See [`Hooks::on`].
#[must_use = "nothing happens before it is said what"]
#[derive(Debug)]
pub struct On<'a> {
    hooks: &'a Hooks,
    calls: Calls,
}

impl<'a> On<'a> {
    pub(super) fn new(hooks: &'a Hooks, calls: Calls) -> Self {
        Self { hooks, calls }
    }

    /// They fail with this, before anything happens.
    pub fn fail(self, status: Status) -> Hook {
        self.hooks.hang(self.calls, Action::Fail(Box::new(status)), false)
    }

    /// They happen, and then the caller is told this: as when the answer is lost on its way.
    pub fn lose(self, status: Status) -> Hook {
        self.hooks.hang(self.calls, Action::Lose(Box::new(status)), false)
    }

    /// They begin later by this time.
    pub fn delay(self, time: Duration) -> Hook {
        self.hooks.hang(self.calls, Action::Delay(time), false)
    }

    /// They begin later by up to this time, as chance has it.
    pub fn delay_up_to(self, longest: Duration) -> Hook {
        self.hooks.hang(self.calls, Action::DelayUpTo(longest), false)
    }

    /// They do not begin before they are let go: [`Hook::release`].
    pub fn hold(self) -> Hook {
        self.hooks.hang(self.calls, Action::Hold, false)
    }
}

/// What is to happen to some watches. See [`Hooks::events`].
///
/// A watch's own events stay in their order, so what is delayed or held is overtaken by what other watches
/// deliver: that is how clients see changes of two resources in another order than that in which they happened.
#[must_use = "nothing happens before it is said what"]
#[derive(Debug)]
pub struct Events<'a> {
    hooks: &'a Hooks,
    calls: Calls,
}

impl<'a> Events<'a> {
    pub(super) fn new(hooks: &'a Hooks, calls: Calls) -> Self {
        Self { hooks, calls }
    }

    /// Each event comes later by this time, behind the one before it.
    pub fn delay(self, time: Duration) -> Hook {
        self.hooks.hang(self.calls, Action::Delay(time), true)
    }

    /// Each event comes later by up to this time, as chance has it.
    pub fn delay_up_to(self, longest: Duration) -> Hook {
        self.hooks.hang(self.calls, Action::DelayUpTo(longest), true)
    }

    /// No event comes before it is let go: [`Hook::release`].
    pub fn hold(self) -> Hook {
        self.hooks.hang(self.calls, Action::Hold, true)
    }

    /// Ends the watches that are open now, as when the history that they stand at has been compacted: with 410,
    /// `Expired`. Their clients must list again. Answers how many there were.
    pub fn expire(self) -> usize {
        let why = "The resourceVersion for the provided watch is too old.";
        self.hooks.interrupt(&self.calls, &Interrupt::Fail(Box::new(status::expired(why))))
    }

    /// Ends the watches that are open now, without an error, as when their time is over. Their clients may go on
    /// from where they stood. Answers how many there were.
    pub fn disconnect(self) -> usize {
        self.hooks.interrupt(&self.calls, &Interrupt::End)
    }
}

/// A hook that hangs. It goes on hanging when this is dropped.
#[derive(Clone)]
pub struct Hook {
    rule: Arc<Rule>,
    hooks: Weak<Inner>,
}

impl Hook {
    /// How often it has struck.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.rule.struck.load(Ordering::Relaxed)
    }

    /// What it holds waits at this gate.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.rule.gate
    }

    /// Lets one go of what it holds, or the next that comes.
    pub fn release_one(&self) {
        self.rule.gate.open_once();
    }

    /// Lets all go that it holds, and takes it down.
    pub fn release(&self) {
        self.remove();
    }

    /// Takes it down; what it holds goes on.
    pub fn remove(&self) {
        if let Some(inner) = self.hooks.upgrade() {
            Hooks(inner).rules().retain(|rule| !Arc::ptr_eq(rule, &self.rule));
        }
        self.rule.open();
    }
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.rule.fmt(f)
    }
}

impl Hooks {
    fn hang(&self, calls: Calls, action: Action, events: bool) -> Hook {
        let rule = Arc::new(Rule {
            events,
            calls,
            action,
            gate: Gate::default(),
            seen: AtomicU64::new(0),
            struck: AtomicU64::new(0),
        });
        self.rules().push(rule.clone());
        Hook { rule, hooks: Arc::downgrade(&self.0) }
    }
}
