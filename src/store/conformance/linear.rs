//! Whether what concurrent clients were answered is what one store could have answered, one call at a
//! time, each between its call and its answer.
//!
//! The search is Wing and Gong's, with Lowe's memory of what has been tried: of the calls that may be
//! next (nobody else had answered before they were called) it takes one whose answer is what the
//! [`State`] answers, and goes on; where there is none it takes back its last choice. Answers tell
//! their revision, and a revision is one state. So a call that changes nothing and whose answer fits
//! can be taken at once, and never need be taken back; and of the calls that write, at most one that
//! was answered fits. Only commits whose answers were lost branch the search: each may have happened
//! at any time since, or not at all. Where the [`Truth`] is known, a commit must have done what it says
//! of its revision.

use super::checks::Truth;
use super::model::State;
use crate::env::HashSet;
use crate::store::{Committed, Event, KeyRange, ListOptions, Page, Revision, Txn};

/// What a client asked for.
#[derive(Clone, Debug)]
pub enum Request {
    /// A commit, which names no lease and reads no past.
    Commit(Txn),
    /// A list of the newest state.
    List(KeyRange, ListOptions),
}

/// What it was answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The commit happened, one way or the other.
    Committed(Committed),
    /// What the list found.
    Page(Page),
    /// Nothing: whether it happened, nobody knows.
    Lost,
}

/// One call of one client.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Who called.
    pub client: usize,
    /// When, by a counter that all clients share and that each draws from at each call and answer.
    pub called: u64,
    /// When it was answered, or its answer lost.
    pub answered: u64,
    /// What was asked for.
    pub request: Request,
    /// What was answered.
    pub answer: Answer,
}

impl Operation {
    fn is_lost(&self) -> bool {
        matches!(self.answer, Answer::Lost)
    }
}

/// Calls that have been placed, as bits.
type Placed = Vec<u64>;

struct Search<'a> {
    calls: &'a [Operation],
    truth: Option<&'a Truth>,
    tried: HashSet<(Placed, State)>,
    /// The most calls that were ever placed, and which could not be next then.
    furthest: (usize, String),
}

/// Finds an order for what clients were answered by a store that was empty.
///
/// # Errors
///
/// There is none; the text says how far it went, and which calls fit nowhere then.
pub fn linearizable(calls: &[Operation], truth: Option<&Truth>) -> Result<(), String> {
    // A list whose answer was lost has done nothing.
    let counts = |call: &&Operation| !(call.is_lost() && matches!(call.request, Request::List(..)));
    let mut calls: Vec<_> = calls.iter().filter(counts).cloned().collect();
    calls.sort_by_key(|call| call.called);
    let mut search = Search { calls: &calls, truth, tried: HashSet::default(), furthest: (0, String::new()) };
    match search.place(State::empty(), vec![0; calls.len().div_ceil(64)]) {
        true => Ok(()),
        false => Err(format!(
            "{} of {} calls in order, then none of: {}",
            search.furthest.0,
            calls.len(),
            search.furthest.1
        )),
    }
}

/// What a call does to a state, if that answers as the call was answered.
enum Fit {
    No,
    Changes(State),
    ChangesNothing,
}

impl Search<'_> {
    fn is_placed(placed: &Placed, call: usize) -> bool {
        placed[call / 64] >> (call % 64) & 1 == 1
    }

    /// The calls that may be next: called before any other that waits was answered. None when only
    /// calls wait whose answers were lost.
    fn next(&self, placed: &Placed) -> Option<Vec<usize>> {
        let waiting = || (0..self.calls.len()).filter(|call| !Self::is_placed(placed, *call));
        let answered = waiting().filter(|call| !self.calls[*call].is_lost());
        let bound = answered.map(|call| self.calls[call].answered).min()?;
        Some(waiting().take_while(|call| self.calls[*call].called < bound).collect())
    }

    fn place(&mut self, mut state: State, mut placed: Placed) -> bool {
        loop {
            let next = match self.next(&placed) {
                Some(next) => next,
                None if self.explains_all(&state) => return true,
                None => (0..self.calls.len()).filter(|call| !Self::is_placed(&placed, *call)).collect(),
            };
            let mut choices = Vec::new();
            let mut quiet = false;
            for call in &next {
                match self.fit(&state, &self.calls[*call]) {
                    Fit::No => {}
                    Fit::Changes(after) => choices.push((*call, after)),
                    Fit::ChangesNothing if self.calls[*call].is_lost() => {}
                    Fit::ChangesNothing => {
                        placed[call / 64] |= 1 << (call % 64);
                        quiet = true;
                    }
                }
            }
            if quiet {
                continue;
            }
            let count = placed.iter().map(|bits| bits.count_ones() as usize).sum();
            if self.furthest.1.is_empty() || count > self.furthest.0 {
                let stuck: Vec<_> = next.iter().map(|call| format!("{:?}", self.calls[*call])).collect();
                self.furthest = (count, format!("{} at revision {}", stuck.join("; "), state.revision));
            }
            // What was answered comes first: a lost commit is seldom the one.
            choices.sort_by_key(|(call, _)| self.calls[*call].is_lost());
            let Some((last, others)) = choices.split_last() else { return false };
            for (call, after) in others {
                let mut with = placed.clone();
                with[call / 64] |= 1 << (call % 64);
                if self.tried.insert((with.clone(), after.clone())) && self.place(after.clone(), with) {
                    return true;
                }
            }
            // The last choice needs no way back.
            placed[last.0 / 64] |= 1 << (last.0 % 64);
            state = last.1.clone();
            if !self.tried.insert((placed.clone(), state.clone())) {
                return false;
            }
        }
    }

    /// Whether everything that is known to have happened has been placed.
    fn explains_all(&self, state: &State) -> bool {
        let newest = self.truth.and_then(|truth| Some(truth.batches().last()?.revision));
        newest.is_none_or(|newest| newest <= state.revision)
    }

    fn fit(&self, state: &State, call: &Operation) -> Fit {
        match (&call.request, &call.answer) {
            (Request::List(range, options), Answer::Page(page)) => match state.page(range, *options) == *page
            {
                true => Fit::ChangesNothing,
                false => Fit::No,
            },
            (Request::Commit(txn), answer) => {
                let mut after = state.clone();
                match after.commit(txn, |_| false, |range, options| Ok(state.page(range, options))) {
                    Err(_) => Fit::No,
                    Ok((committed, events)) => match answer {
                        Answer::Committed(answered) if *answered != committed => Fit::No,
                        _ if events.is_empty() => Fit::ChangesNothing,
                        _ if self.happened(after.revision, &events) => Fit::Changes(after),
                        _ => Fit::No,
                    },
                }
            }
            _ => Fit::No,
        }
    }

    fn happened(&self, revision: Revision, events: &[Event]) -> bool {
        let Some(truth) = self.truth else { return true };
        let at = truth.batches().binary_search_by_key(&revision, |batch| batch.revision);
        at.is_ok_and(|at| {
            let told = truth.batches()[at].events.iter().map(|event| (event.kind, &event.kv));
            told.eq(events.iter().map(|event| (event.kind, &event.kv)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Compare, Op};

    /// Calls of clients, answered by a store that does them in the order of the list, at times that the
    /// list says.
    struct Story {
        state: State,
        calls: Vec<Operation>,
    }

    impl Story {
        fn new() -> Self {
            Self { state: State::empty(), calls: Vec::new() }
        }

        fn push(&mut self, times: (u64, u64), request: Request, answer: Answer) {
            let client = self.calls.len();
            self.calls.push(Operation { client, called: times.0, answered: times.1, request, answer });
        }

        fn commit(mut self, times: (u64, u64), txn: Txn) -> Self {
            let (committed, _) = self.state.commit(&txn, |_| false, |_, _| unreachable!()).unwrap();
            self.push(times, Request::Commit(txn), Answer::Committed(committed));
            self
        }

        fn put(self, times: (u64, u64), value: &'static str) -> Self {
            self.commit(times, Txn::new().then(Op::put("/a", value)))
        }

        /// A commit whose answer is lost, and which happened or did not.
        fn lost(mut self, times: (u64, u64), value: &'static str, happened: bool) -> Self {
            let txn = Txn::new().then(Op::put("/a", value));
            if happened {
                self.state.commit(&txn, |_| false, |_, _| unreachable!()).unwrap();
            }
            self.push(times, Request::Commit(txn), Answer::Lost);
            self
        }

        fn read(mut self, times: (u64, u64)) -> Self {
            let page = self.state.page(&KeyRange::all(), ListOptions::default());
            self.push(times, Request::List(KeyRange::all(), ListOptions::default()), Answer::Page(page));
            self
        }

        fn holds(&self) -> bool {
            linearizable(&self.calls, None).is_ok()
        }
    }

    #[test]
    fn what_happens_one_by_one_is_in_order() {
        assert!(Story::new().put((1, 2), "1").read((3, 4)).put((5, 6), "2").read((7, 8)).holds());
    }

    #[test]
    fn calls_that_overlap_may_happen_in_any_order() {
        assert!(Story::new().read((2, 5)).put((1, 6), "1").read((3, 4)).holds());
        assert!(Story::new().put((3, 9), "1").put((1, 10), "2").read((4, 5)).read((6, 11)).holds());
    }

    #[test]
    fn a_stale_read_is_found() {
        // The read happens, by what it answers, before a put that was answered before it was asked.
        assert!(!Story::new().read((3, 4)).put((1, 2), "1").holds());
    }

    #[test]
    fn a_lost_update_is_found() {
        let create = |value: &'static str| Txn::new().when(Compare::missing("/a")).then(Op::put("/a", value));
        let one = Story::new().commit((1, 4), create("1"));
        let mut both = one.calls.clone();
        // Another creator of the same key is told that it succeeded as well.
        both.push(Operation {
            client: 9,
            called: 2,
            answered: 3,
            request: Request::Commit(create("2")),
            ..both[0].clone()
        });
        assert!(one.holds() && linearizable(&both, None).is_err());
    }

    #[test]
    fn a_write_that_is_lost_after_it_was_acknowledged_is_found() {
        let mut story = Story::new().put((1, 2), "1");
        story.state = State::empty();
        assert!(!story.read((3, 4)).holds());
    }

    #[test]
    fn a_read_that_goes_back_is_found() {
        let story = Story::new().read((2, 3)).put((1, 10), "1").read((4, 5));
        assert!(story.holds());
        let mut back = story.calls;
        // The two reads in the other order, one behind the other.
        (back[0].called, back[0].answered, back[2].called, back[2].answered) = (4, 5, 2, 3);
        assert!(linearizable(&back, None).is_err());
    }

    #[test]
    fn a_lost_commit_may_have_happened_or_not() {
        assert!(Story::new().lost((1, 2), "1", false).read((3, 4)).put((5, 6), "2").holds());
        assert!(Story::new().lost((1, 2), "1", true).read((3, 4)).put((5, 6), "2").holds());
        // It may still happen after its answer was lost.
        assert!(Story::new().read((3, 4)).lost((1, 2), "1", true).read((5, 6)).holds());
        // But not before it was called, and not come and go.
        assert!(!Story::new().lost((3, 4), "1", true).read((1, 2)).holds());
        let mut story = Story::new().lost((1, 2), "1", true).read((3, 4));
        story.state = State::empty();
        assert!(!story.read((5, 6)).holds());
    }

    #[test]
    fn many_lost_commits_are_searched_in_no_time() {
        let mut story = Story::new();
        for number in 0..60 {
            let start = 10 * number;
            story = story.lost((start, start + 1), "lost", number % 3 == 0).put((start + 2, start + 3), "x");
        }
        assert!(story.read((1000, 1001)).holds());
        let mut wrong = story_with_lost(12);
        wrong.state = State::empty();
        assert!(!wrong.read((1000, 1001)).holds(), "and what is wrong among them is found");
    }

    fn story_with_lost(count: u64) -> Story {
        let lost = (0..count).fold(Story::new(), |story, at| story.lost((at, at + 1), "lost", at % 2 == 0));
        lost.put((100, 101), "x")
    }

    #[test]
    fn what_nobody_asked_for_is_found_where_the_truth_is_known() {
        let story = Story::new().put((1, 2), "1");
        let mut state = State::empty();
        let mut batches = Vec::new();
        for value in ["1", "phantom"] {
            let txn = Txn::new().then(Op::put("/a", value));
            let (committed, events) = state.commit(&txn, |_| false, |_, _| unreachable!()).unwrap();
            batches.push(crate::store::WatchBatch { revision: committed.revision, events: events.into() });
        }
        assert!(linearizable(&story.calls, Some(&Truth::new(batches[..1].to_vec()))).is_ok());
        assert!(linearizable(&story.calls, Some(&Truth::new(batches.clone()))).is_err());
        assert!(linearizable(&story.put((3, 4), "2").calls, Some(&Truth::new(batches))).is_err());
    }
}
