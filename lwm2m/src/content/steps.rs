//! A count of what the decoders do, for the test that shows it to grow with the length of a content and no faster
//! (hostile L27). Outside of tests nothing is counted and nothing is left of it.
//!
//! A step is an octet looked at, an item made, a comparison or a copied octet.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// So many steps were done.
#[cfg(test)]
pub(crate) fn count(steps: usize) {
    STEPS.with(|all| all.set(all.get() + steps as u64));
}

/// So many steps were done.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn count(_steps: usize) {}

/// The steps of `work`.
#[cfg(test)]
pub(crate) fn of(work: impl FnOnce()) -> u64 {
    let before = STEPS.with(std::cell::Cell::get);
    work();
    STEPS.with(std::cell::Cell::get) - before
}
