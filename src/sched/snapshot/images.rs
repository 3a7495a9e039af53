//! The images that nodes have, as small numbers: thousands of nodes share them.
//!
//! Source: `addNodeImageStates` of `pkg/scheduler/backend/cache/cache.go` (1.36).

use k8s_openapi::api::core::v1::ContainerImage;

use crate::env::HashMap;

/// An image that some node has. The number may be another's once no node has it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId(u32);

/// The images that nodes have, by every name that a node knows them by.
#[derive(Clone, Debug, Default)]
pub(super) struct Images {
    ids: HashMap<Box<str>, ImageId>,
    /// By number.
    states: Vec<State>,
    free: Vec<ImageId>,
}

#[derive(Clone, Debug)]
struct State {
    name: Box<str>,
    /// In bytes, as the first node said that had it.
    size: i64,
    nodes: u32,
}

impl Images {
    pub(super) fn find(&self, name: &str) -> Option<ImageId> {
        self.ids.get(name).copied()
    }

    /// Its size in bytes, and how many nodes have it.
    pub(super) fn spread(&self, image: ImageId) -> (i64, u32) {
        let state = &self.states[image.0 as usize];
        (state.size, state.nodes)
    }

    /// Notes that a node that had `old` has these images now; returns them in the order of their numbers.
    pub(super) fn change(&mut self, old: &[ImageId], new: &[ContainerImage]) -> Vec<ImageId> {
        // A size is forgotten with the last node that has the image, were it to have it again at once.
        for image in old {
            self.give_back(*image);
        }
        let mut own = Vec::new();
        for image in new {
            for name in image.names.iter().flatten() {
                let id = self.id(name, image.size_bytes.unwrap_or(0));
                if !own.contains(&id) {
                    self.states[id.0 as usize].nodes += 1;
                    own.push(id);
                }
            }
        }
        own.sort_unstable();
        own
    }

    fn id(&mut self, name: &str, size: i64) -> ImageId {
        if let Some(id) = self.find(name) {
            return id;
        }
        let state = State { name: name.into(), size, nodes: 0 };
        let id = match self.free.pop() {
            Some(id) => {
                self.states[id.0 as usize] = state;
                id
            }
            None => {
                self.states.push(state);
                ImageId(u32::try_from(self.states.len() - 1).expect("fewer than four billion images"))
            }
        };
        self.ids.insert(name.into(), id);
        id
    }

    fn give_back(&mut self, image: ImageId) {
        let state = &mut self.states[image.0 as usize];
        state.nodes -= 1;
        if state.nodes == 0 {
            self.ids.remove(&state.name);
            self.free.push(image);
        }
    }
}
