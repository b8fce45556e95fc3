//! The memo: the front-end's private, durable part of a session. The broker keeps it and does not look inside.
use super::Broker;
use super::session::Slot;
use crate::link::{Effects, FromBroker, LinkId, MemoUpdate};
use crate::record::Record;
use bytes::Bytes;

/// Up to this many bytes a memo has no room to spare: most devices have a topic or two for ever.
const MEMO_EXACT: usize = 256;

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
        let held = session.memo.as_ref().map_or(0, |memo| memo.len());
        let size = match &update {
            MemoUpdate::Append(bytes) => held + bytes.len(),
            MemoUpdate::Replace(bytes) => bytes.len(),
        };
        let accepted = size <= self.ledger.limits.memo_bytes_max;
        if accepted {
            let records = session.records(&self.ledger);
            let memo = session.memo.get_or_insert_with(Default::default);
            let session = session.id;
            let record = match update {
                MemoUpdate::Append(bytes) => {
                    if size <= MEMO_EXACT {
                        memo.reserve_exact(bytes.len());
                    }
                    memo.extend_from_slice(&bytes);
                    Record::MemoAppended { session, bytes }
                }
                MemoUpdate::Replace(bytes) => {
                    memo.clear();
                    memo.shrink_to(bytes.len());
                    memo.reserve_exact(bytes.len());
                    memo.extend_from_slice(&bytes);
                    Record::MemoReplaced { session, bytes }
                }
            };
            if records {
                out.records.push(record);
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
        self.memo.as_ref().map_or_else(Bytes::new, |memo| Bytes::copy_from_slice(memo))
    }
}
