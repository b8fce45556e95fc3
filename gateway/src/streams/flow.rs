//! Reading and writing the streams of a worker.
use super::entry::Flags;
use super::{READ_BYTES, Requests, SCRATCH_BYTES, STRANGER_READ_BYTES, Streams};
use crate::stats::Stats;
use crate::timers::Key;
use broker_core::Now;
use broker_core::frontend::StreamConnection;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

/// Sent bytes at the front of an out-buffer are cut off from this size on; below, moving the rest is not worth it.
const COMPACT_BYTES: usize = 64 << 10;
/// Writes for one flush of one stream: each takes what the socket has room for.
const WRITES_MAX: usize = 64;

impl Streams {
    /// The next stream of the ready list.
    pub(crate) fn next_ready(&mut self) -> Option<Key> {
        let key = self.ready.pop_front()?;
        if let Some(entry) = self.live(key) {
            entry.flags.clear(Flags::IN_READY);
        }
        Some(key)
    }

    /// Streams on the ready list.
    pub(crate) fn ready_len(&self) -> usize {
        self.ready.len()
    }

    /// Reads once from a stream and handles what came. Says how many bytes that was. What is left in the socket keeps
    /// the stream on the ready list.
    pub(crate) fn read(&mut self, now: Now, key: Key, requests: &mut Requests, stats: &mut Stats) -> usize {
        let Streams { entries, out, scratch, pool, output_bytes_max, .. } = self;
        let Some(entry) = entries.get_mut(key.0 as usize).filter(|e| e.generation == key.1) else { return 0 };
        if entry.flags.has(Flags::CLOSING) || entry.connection.is_held() {
            return 0; // Asked again when the broker has answered.
        }
        let io = entry.io.get_or_insert_with(|| pool.pop().unwrap_or_default());
        if io.output.len() - io.sent > *output_bytes_max {
            return 0; // Its client does not read: asked again when it has.
        }
        let mut bytes = 0;
        let mut ended = false;
        if entry.flags.has(Flags::HELD) {
            entry.flags.clear(Flags::HELD);
            let taken = entry.connection.handle_bytes(now, &io.input, &mut io.output, out);
            io.input.drain(..taken.min(io.input.len()));
            bytes = taken;
        } else if entry.flags.has(Flags::READABLE) {
            let limit = if entry.connection.is_stranger() { STRANGER_READ_BYTES } else { READ_BYTES };
            let waiting = io.input.len();
            let in_scratch = waiting + limit <= SCRATCH_BYTES;
            let buffer = if in_scratch {
                if let Some(front) = scratch.get_mut(..waiting) {
                    front.copy_from_slice(&io.input);
                }
                &mut scratch[..waiting + limit]
            } else {
                // A large packet: it grows with what arrives.
                io.input.resize(waiting + limit, 0);
                &mut io.input[..]
            };
            let result = entry.stream.read(buffer.get_mut(waiting..).unwrap_or_default());
            let count = match &result {
                Ok(count) => *count,
                Err(_) => 0,
            };
            match result {
                Ok(0) => ended = true,
                Ok(_) if count < limit && !entry.flags.has(Flags::HUNG_UP) => {
                    entry.flags.clear(Flags::READABLE)
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => entry.flags.clear(Flags::READABLE),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => ended = true,
            }
            if in_scratch {
                let data = scratch.get(..waiting + count).unwrap_or_default();
                if count > 0 {
                    let taken = entry.connection.handle_bytes(now, data, &mut io.output, out);
                    let rest = data.get(taken..).unwrap_or_default();
                    if !(waiting == 0 && rest.is_empty()) {
                        io.input.clear();
                        io.input.extend_from_slice(rest);
                    }
                }
            } else {
                io.input.truncate(waiting + count);
                if count > 0 {
                    let taken = entry.connection.handle_bytes(now, &io.input, &mut io.output, out);
                    io.input.drain(..taken.min(io.input.len()));
                }
            }
            bytes = count;
            stats.stream_bytes_received += count as u64;
        }
        if entry.connection.is_held() {
            entry.flags.set(Flags::HELD);
        }
        if ended {
            entry.connection.handle_closed(now, out);
            self.after(now, key, requests);
            self.remove(key);
            return bytes;
        }
        let again = entry.flags.has(Flags::READABLE);
        let written = io.output.len() > io.sent;
        if io.is_empty()
            && let Some(io) = entry.io.take()
        {
            self.recycle(io);
        }
        self.after(now, key, requests);
        if written {
            self.make_dirty(key);
        }
        if again {
            self.make_ready(key);
        }
        bytes
    }

    /// Writes the out-buffers of all streams on the dirty list.
    pub(crate) fn flush_dirty(&mut self, now: Now, requests: &mut Requests, stats: &mut Stats) {
        let mut keys = std::mem::replace(&mut self.dirty, std::mem::take(&mut self.flushing));
        for key in keys.drain(..) {
            self.flush(now, key, requests, stats);
        }
        self.flushing = keys;
    }

    /// Writes the out-buffer of one stream as far as the socket takes it.
    pub(super) fn flush(&mut self, now: Now, key: Key, requests: &mut Requests, stats: &mut Stats) {
        let Some(entry) = self.entries.get_mut(key.0 as usize).filter(|e| e.generation == key.1) else {
            return;
        };
        entry.flags.clear(Flags::DIRTY);
        let closing = entry.flags.has(Flags::CLOSING);
        let Some(io) = entry.io.as_mut() else {
            if closing {
                self.finish(key);
            }
            return;
        };
        if entry.flags.has(Flags::BLOCKED) {
            return;
        }
        let before = io.output.len() - io.sent;
        let mut flushed = 0;
        let mut lost = false;
        let mut blocked = false;
        for _ in 0..WRITES_MAX {
            let Some(rest) = io.output.get(io.sent..).filter(|rest| !rest.is_empty()) else { break };
            match entry.stream.write(rest) {
                Ok(0) => lost = true,
                Ok(count) => {
                    io.sent += count;
                    flushed += count;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => blocked = true,
                Err(_) => lost = true,
            }
            break;
        }
        stats.stream_bytes_sent += flushed as u64;
        let done = io.sent == io.output.len();
        if done {
            io.output.clear();
            io.sent = 0;
        } else if io.sent >= COMPACT_BYTES {
            io.output.drain(..io.sent);
            io.sent = 0;
        }
        let paused = before > self.output_bytes_max;
        let again = paused && entry.flags.has(Flags::READABLE) && !lost;
        if blocked {
            entry.flags.set(Flags::BLOCKED);
            self.blocked += 1;
        }
        if flushed > 0 {
            entry.connection.handle_flushed(now, flushed, &mut self.out);
        }
        if lost {
            entry.connection.handle_closed(now, &mut self.out);
        } else if done
            && io.is_empty()
            && let Some(io) = entry.io.take()
        {
            self.recycle(io);
        }
        if !self.out.requests.is_empty() {
            let link = self.link(key);
            requests.extend(self.out.requests.drain(..).map(|request| (link, request)));
        }
        if lost {
            self.remove(key);
        } else if done && closing {
            self.finish(key);
        } else if !done && !blocked {
            self.make_dirty(key); // The bound on writes was hit.
        } else if again {
            self.make_ready(key);
        }
    }

    /// Closes a stream whose last byte is written.
    fn finish(&mut self, key: Key) {
        let Streams { entries, scratch, .. } = self;
        if let Some(entry) = entries.get_mut(key.0 as usize).filter(|e| e.generation == key.1) {
            // Closing a socket with unread input resets it, and the client may lose the CONNACK that says why. One
            // read takes what has come; errors no longer matter.
            let _ = entry.stream.shutdown(Shutdown::Write);
            let _ = entry.stream.read(scratch);
        }
        self.remove(key);
    }

    /// Stops reading for good and closes every stream as soon as its out-buffer is written.
    pub(crate) fn drain(&mut self) {
        let keys: Vec<Key> = self
            .entries
            .iter()
            .filter_map(|(slot, entry)| Some((u32::try_from(slot).ok()?, entry.generation)))
            .collect();
        self.ready.clear();
        for key in keys {
            if let Some(entry) = self.live(key) {
                entry.flags.set(Flags::CLOSING);
            }
            self.make_dirty(key);
        }
    }
}
