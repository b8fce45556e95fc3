//! The memo: the front-end's private, durable part of a session. The broker keeps it and does not look inside.
use super::Broker;
use super::session::Slot;
use crate::link::{Effects, FromBroker, LinkId, MemoUpdate};
use crate::record::Record;
use bytes::Bytes;
use std::ops::Deref;

/// Up to this many bytes a memo has no room to spare: most devices have a topic or two for ever.
const EXACT_MAX: usize = 256;

/// The bytes of a memo, 16 octets where they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Memo {
    /// As many as there are, or none.
    Exact(Box<[u8]>),
    /// With room to grow.
    #[expect(clippy::box_collection, reason = "24 bytes here would be 24 in every session")]
    Roomy(Box<Vec<u8>>),
}

impl Default for Memo {
    fn default() -> Memo {
        Memo::Exact(Box::default())
    }
}

impl Deref for Memo {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Memo::Exact(bytes) => bytes,
            Memo::Roomy(bytes) => bytes,
        }
    }
}

impl Memo {
    /// A memo of these bytes.
    pub(super) fn new(bytes: &[u8]) -> Memo {
        Memo::Exact(bytes.into())
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        match self {
            Memo::Roomy(all) => all.extend_from_slice(bytes),
            Memo::Exact(before) => {
                let all = [&**before, bytes].concat();
                *self =
                    if all.len() <= EXACT_MAX { Memo::Exact(all.into()) } else { Memo::Roomy(Box::new(all)) };
            }
        }
    }

    /// Writes the memo anew, in its old place if that has just as much room.
    fn replace(&mut self, bytes: &[u8]) {
        match self {
            Memo::Exact(all) if all.len() == bytes.len() => all.copy_from_slice(bytes),
            Memo::Exact(_) | Memo::Roomy(_) => *self = Memo::new(bytes),
        }
    }
}

impl Broker {
    pub(super) fn on_memo(
        &mut self,
        slot: Slot,
        link: LinkId,
        update: MemoUpdate,
        tag: u64,
        out: &mut Effects,
    ) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let size = match &update {
            MemoUpdate::Append(bytes) => session.memo.len() + bytes.len(),
            MemoUpdate::Replace(bytes) => bytes.len(),
        };
        let accepted = size <= self.ledger.limits.memo_bytes_max;
        if accepted {
            let records = session.records(&self.ledger);
            let (memo, session) = (&mut session.memo, session.id);
            match update {
                MemoUpdate::Append(bytes) => {
                    memo.append(&bytes);
                    if records {
                        out.records.push(Record::MemoAppended { session, bytes });
                    }
                }
                MemoUpdate::Replace(bytes) if records => {
                    memo.replace(&bytes);
                    out.records.push(Record::MemoReplaced { session, bytes });
                }
                // Moved, as nobody else holds the bytes.
                MemoUpdate::Replace(bytes) => *memo = Memo::Exact(Vec::from(bytes).into()),
            }
        } else {
            self.ledger.counters.memo_refused += 1;
        }
        out.events.push((link, FromBroker::MemoStored { tag, accepted }));
    }
}

impl super::session::Session {
    /// The memo as it goes out with Connack.
    pub(super) fn memo_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.memo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_is_what_was_written_and_takes_no_room_that_it_does_not_need() {
        assert_eq!(size_of::<Memo>(), 16);
        let mut memo = Memo::default();
        let mut model = Vec::new();
        for n in 0..200_u8 {
            memo.append(&[n, n, n]);
            model.extend_from_slice(&[n, n, n]);
            assert_eq!(*memo, *model);
            assert_eq!(matches!(memo, Memo::Exact(_)), model.len() <= EXACT_MAX, "{}", model.len());
        }
        for whole in [&b"four"[..], b"five", b"", b"longer"] {
            memo.replace(whole);
            assert_eq!(memo, Memo::new(whole));
        }
    }
}
