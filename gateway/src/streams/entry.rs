//! [`Entry`]: what an idle connection costs, and [`Io`]: what a busy one has beside it.
use crate::peers::PeerId;
use broker_core::mqtt::Connection;
use mio::net::TcpStream;

/// One connection.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) stream: TcpStream,
    pub(super) connection: Connection,
    /// Present only while there is something to read or write.
    pub(super) io: Option<Box<Io>>,
    pub(super) peer: PeerId,
    /// Tick of the timer that counts; 0 for none.
    pub(super) armed: u32,
    pub(super) port: u16,
    pub(super) generation: u16,
    pub(super) flags: Flags,
}

impl Entry {
    pub(super) fn new(
        stream: TcpStream,
        connection: Connection,
        peer: PeerId,
        port: u16,
        generation: u16,
    ) -> Self {
        Entry { stream, connection, io: None, peer, armed: 0, port, generation, flags: Flags::default() }
    }
}

/// Buffers of a connection, taken from a pool.
#[derive(Debug, Default)]
pub(super) struct Io {
    /// The part of a packet that has come, or what a held connection has not taken yet.
    pub(super) input: Vec<u8>,
    /// What waits for the socket.
    pub(super) output: Vec<u8>,
    /// How much of `output` the socket has.
    pub(super) sent: usize,
}

impl Io {
    pub(super) fn is_empty(&self) -> bool {
        self.input.is_empty() && self.output.is_empty()
    }

    /// Empties it; keeps no buffer beyond `bytes_max`.
    pub(super) fn reset(&mut self, bytes_max: usize) {
        for buffer in [&mut self.input, &mut self.output] {
            buffer.clear();
            if buffer.capacity() > bytes_max {
                *buffer = Vec::new();
            }
        }
        self.sent = 0;
    }
}

/// What is the matter with a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    /// The socket may have more to read.
    pub(super) const READABLE: u8 = 1;
    /// It is on the ready list.
    pub(super) const IN_READY: u8 = 2;
    /// It is on the dirty list.
    pub(super) const DIRTY: u8 = 4;
    /// The socket takes no more until it says so.
    pub(super) const BLOCKED: u8 = 8;
    /// We closed it; what is written still goes out.
    pub(super) const CLOSING: u8 = 16;
    /// The other side has closed or reset it: read until the end.
    pub(super) const HUNG_UP: u8 = 32;
    /// Its input waits for the broker's answer to CONNECT.
    pub(super) const HELD: u8 = 64;

    pub(super) fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    pub(super) fn set(&mut self, flag: u8) {
        self.0 |= flag;
    }

    pub(super) fn clear(&mut self, flag: u8) {
        self.0 &= !flag;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<Connection>() <= 80, "{}", size_of::<Connection>());
        assert!(size_of::<Entry>() <= 112, "{}", size_of::<Entry>());
    }
}
