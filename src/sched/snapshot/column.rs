//! A column that copies share until one of them changes it, a part at a time.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// How many rows a part has: a change of a shared column copies so many.
const ROWS: usize = 256;

/// Values by row. Reads go through one more pointer than those of a `Vec`; a copy of a hundred thousand rows copies
/// four hundred pointers.
#[derive(Clone, Debug)]
pub(super) struct Column<T> {
    parts: Vec<Arc<[T; ROWS]>>,
    len: usize,
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self { parts: Vec::new(), len: 0 }
    }
}

impl<T: Clone + Default> Column<T> {
    /// So many rows that say nothing.
    pub(super) fn blank(len: usize) -> Self {
        let mut column = Self::default();
        column.grow(len);
        column
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, row: usize) -> Option<&T> {
        (row < self.len).then(|| &self[row])
    }

    /// Rows that say nothing, until there are so many.
    pub(super) fn grow(&mut self, len: usize) {
        while self.parts.len() * ROWS < len {
            self.parts.push(Arc::new(std::array::from_fn(|_| T::default())));
        }
        self.len = self.len.max(len);
    }

    pub(super) fn push(&mut self, value: T) {
        let row = self.len;
        self.grow(row + 1);
        self[row] = value;
    }
}

impl<T> Index<usize> for Column<T> {
    type Output = T;

    fn index(&self, row: usize) -> &T {
        &self.parts[row / ROWS][row % ROWS]
    }
}

impl<T: Clone> IndexMut<usize> for Column<T> {
    fn index_mut(&mut self, row: usize) -> &mut T {
        &mut Arc::make_mut(&mut self.parts[row / ROWS])[row % ROWS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_copy_copies_one_part_and_is_nobody_elses() {
        let mut origin = Column::default();
        (0..1000).for_each(|row| origin.push(row));
        let mut copy = origin.clone();
        copy[700] = -1;
        copy.push(-2);
        origin[3] = -3;
        assert_eq!((origin[700], copy[700], origin[3], copy[3]), (700, -1, -3, 3));
        assert_eq!(
            (origin.len(), copy.len(), origin.get(1000), copy.get(1000)),
            (1000, 1001, None, Some(&-2))
        );
        let shared = origin.parts.iter().zip(&copy.parts).filter(|(own, other)| Arc::ptr_eq(own, other));
        assert_eq!(shared.count(), 1);
    }
}
