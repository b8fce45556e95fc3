//! [`Few`]: a list that is empty for nearly every device, eight bytes then.
use std::ops::{Deref, DerefMut};

/// A boxed list, or nothing.
#[derive(Clone, Debug)]
#[allow(clippy::box_collection, reason = "the point of it: eight bytes instead of twenty-four")]
pub(crate) struct Few<T>(Option<Box<Vec<T>>>);

impl<T> Few<T> {
    pub(crate) const fn new() -> Few<T> {
        Few(None)
    }

    pub(crate) fn push(&mut self, item: T) {
        self.0.get_or_insert_default().push(item);
    }

    /// Takes the item at a place out.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn remove(&mut self, place: usize) -> T {
        let item = self.0.as_mut().expect("the place was found in this list").remove(place);
        self.tidy();
        item
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.retain_mut(|item| keep(item));
    }

    pub(crate) fn retain_mut(&mut self, keep: impl FnMut(&mut T) -> bool) {
        if let Some(items) = &mut self.0 {
            items.retain_mut(keep);
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        if self.is_empty() {
            self.0 = None;
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few::new()
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_deref_mut().map_or(&mut [], Vec::as_mut_slice)
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Few<T> {
        let items: Vec<T> = items.into_iter().collect();
        Few((!items.is_empty()).then(|| Box::new(items)))
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.map(|items| *items).unwrap_or_default().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_holds_no_memory() {
        let mut few: Few<u32> = Few::new();
        assert_eq!((size_of::<Few<u32>>(), few.len(), few.first_mut()), (8, 0, None));
        few.push(1);
        few.push(2);
        few.push(3);
        assert_eq!((few.remove(0), &few[..]), (1, &[2, 3][..]));
        few.retain(|n| *n == 3);
        assert_eq!(few.clone().into_iter().collect::<Vec<_>>(), [3]);
        few.retain_mut(|_| false);
        assert!(few.0.is_none());
        assert!([0; 0].into_iter().collect::<Few<i32>>().0.is_none());
    }
}
