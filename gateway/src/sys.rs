//! The few things that need `unsafe` beside the datagram batches: resource limits, and watching the workers' poll.
#![allow(unsafe_code)]
use mio::Poll;
use std::io;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How many files the process may open: now, and at most.
pub(crate) fn descriptor_limit() -> Option<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit, which the call fills.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    (result == 0).then_some((limit.rlim_cur, limit.rlim_max))
}

/// Sets how many files the process may open; says how many that are then.
pub(crate) fn set_descriptor_limit(soft: u64, hard: u64) -> u64 {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the pointer is to a live rlimit, which the call only reads.
    let _ = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    descriptor_limit().map_or(0, |(soft, _)| soft)
}

/// Lets tokio wait for a poll of ours: it is readable when one of its sockets has an event.
///
/// # Errors
/// When the system refuses to watch it.
pub(crate) fn watch(poll: Poll) -> io::Result<AsyncFd<Poll>> {
    // SAFETY: a `Poll` owns its descriptor: it is open from its making until it is dropped, and `as_raw_fd` gives the
    // same number all the while. `AsyncFd` owns the `Poll` from here on.
    Ok(unsafe { AsyncFd::register_with_interest(poll, Interest::READABLE)? })
}
