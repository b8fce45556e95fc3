//! Block1 (RFC 7959 §2.5): bodies that peers send us, and bodies that we send.
#![deny(clippy::indexing_slicing)]

use std::hash::Hash;
use std::ops::Range;

use hashbrown::HashMap;

use super::block::{Block, SZX_MAX};
use super::message::Code;
use super::pool::{BodyKey, Ticket};
use super::sip::SipKey;

/// A request body on its way in.
#[derive(Debug)]
pub(crate) struct Gathering {
    body: Vec<u8>,
    last: Block,
    pub(crate) ticket: Ticket,
}

/// What a block of a request did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Gathered {
    /// Taken; 2.31. The number is what the body holds now.
    Continue(usize),
    /// The body is whole.
    Complete(Vec<u8>),
    /// A block is missing: 4.08.
    Missing,
    /// A block that is not as long as it must be: 4.00.
    WrongLength,
    /// Beyond the limit: 4.13.
    TooLarge,
}

/// All request bodies on their way in.
#[derive(Debug)]
pub(crate) struct Gatherings<P> {
    by_key: HashMap<BodyKey<P>, Gathering, SipKey>,
}

impl<P: Copy + Eq + Hash> Gatherings<P> {
    pub(crate) fn new(key: SipKey) -> Gatherings<P> {
        Gatherings { by_key: HashMap::with_hasher(key) }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Takes a block. A body that ends here, well or badly, is out of the table when this returns; its ticket is
    /// pushed to `released`.
    pub(crate) fn on_block(
        &mut self,
        key: BodyKey<P>,
        block: Block,
        payload: &[u8],
        limit: usize,
        fresh_ticket: impl FnOnce(usize) -> Ticket,
        released: &mut Option<Ticket>,
    ) -> Gathered {
        let right_length =
            if block.more { payload.len() == block.size() } else { payload.len() <= block.size() };
        if block.number == 0 {
            // §2.5: number 0 begins anew, whatever was there.
            *released = self.remove(&key);
            return match (right_length, block.more) {
                (false, _) => Gathered::WrongLength,
                (true, _) if payload.len() > limit => Gathered::TooLarge,
                (true, false) => Gathered::Complete(payload.to_vec()),
                (true, true) => {
                    let ticket = fresh_ticket(payload.len());
                    self.by_key.insert(key, Gathering { body: payload.to_vec(), last: block, ticket });
                    Gathered::Continue(payload.len())
                }
            };
        }
        let Some(gathering) = self.by_key.get_mut(&key) else { return Gathered::Missing };
        if block == gathering.last {
            // The last block again, under another message id: the device lost our 2.31.
            return Gathered::Continue(gathering.body.len());
        }
        let verdict = if block.offset() != gathering.body.len() {
            Gathered::Missing
        } else if !right_length {
            Gathered::WrongLength
        } else if gathering.body.len() + payload.len() > limit {
            Gathered::TooLarge
        } else {
            gathering.body.extend_from_slice(payload);
            gathering.last = block;
            if block.more {
                return Gathered::Continue(gathering.body.capacity());
            }
            Gathered::Complete(std::mem::take(&mut gathering.body))
        };
        *released = self.remove(&key);
        verdict
    }

    /// The ticket of a body that is on its way.
    pub(crate) fn ticket_mut(&mut self, key: &BodyKey<P>) -> Option<&mut Ticket> {
        self.by_key.get_mut(key).map(|gathering| &mut gathering.ticket)
    }

    /// Gives a body up.
    pub(crate) fn remove(&mut self, key: &BodyKey<P>) -> Option<Ticket> {
        let gathering = self.by_key.remove(key)?;
        if self.by_key.capacity() > 4 * self.by_key.len() + 1_024 {
            self.by_key.shrink_to(2 * self.by_key.len());
        }
        Some(gathering.ticket)
    }
}

/// A request body on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Upload {
    szx: u8,
    offset: usize,
    total: usize,
    blockwise: bool,
    restarted: bool,
}

/// What a response does to an upload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum UploadStep {
    /// Send the block that is current now.
    Send,
    /// The response is the final one.
    Final,
    /// The peer broke the protocol, or the body has no numbers for such small blocks.
    Broken,
}

impl Upload {
    /// A body of `total` bytes, in blocks only if it does not fit one.
    pub(crate) fn new(total: usize, szx: u8) -> Upload {
        let szx = szx.min(SZX_MAX);
        Upload { szx, offset: 0, total, blockwise: total > 16 << szx, restarted: false }
    }

    /// Whether it needs several blocks.
    pub(crate) fn is_blockwise(&self) -> bool {
        self.blockwise
    }

    /// The block to send, with its bytes; `None` for the option when the body goes whole.
    pub(crate) fn current(&self) -> (Option<Block>, Range<usize>) {
        if !self.blockwise {
            return (None, 0..self.total);
        }
        let end = self.end();
        (Block::at(self.offset, end < self.total, self.szx), self.offset..end)
    }

    /// Whether every block of this body has a number.
    pub(crate) fn is_possible(&self) -> bool {
        let last = self.total.saturating_sub(1) >> (self.szx + 4) << (self.szx + 4);
        !self.blockwise || Block::at(last, false, self.szx).is_some()
    }

    /// Bytes that the peer has.
    pub(crate) fn sent(&self) -> usize {
        self.offset
    }

    fn end(&self) -> usize {
        self.total.min(self.offset + (16 << self.szx))
    }

    /// Moves on by a response.
    pub(crate) fn on_response(&mut self, code: Code, block: Option<Block>) -> UploadStep {
        if code == Code::REQUEST_ENTITY_TOO_LARGE {
            return self.with_smaller_blocks(block);
        }
        if !self.blockwise {
            return UploadStep::Final;
        }
        if code == Code::REQUEST_ENTITY_INCOMPLETE && !self.restarted {
            // §2.9.2: the peer lost a block (a reboot); begin again once.
            self.restarted = true;
            self.offset = 0;
            return UploadStep::Send;
        }
        if !code.is_success() {
            return UploadStep::Final;
        }
        let last = self.end() == self.total;
        match (last, code == Code::CONTINUE) {
            (true, true) => UploadStep::Broken,
            (true, false) => UploadStep::Final,
            (false, _) => self.advance(block),
        }
    }

    /// §2.9.3: 4.13 may tell the size that the peer wants.
    fn with_smaller_blocks(&mut self, hint: Option<Block>) -> UploadStep {
        let Some(hint) = hint else { return UploadStep::Final };
        let smaller = if self.blockwise { hint.szx < self.szx } else { self.total > hint.size() };
        if !smaller {
            return UploadStep::Final;
        }
        *self = Upload { szx: hint.szx, offset: 0, blockwise: true, ..*self };
        if self.is_possible() { UploadStep::Send } else { UploadStep::Broken }
    }

    fn advance(&mut self, block: Option<Block>) -> UploadStep {
        // A success before the end without Block1: the peer took the first block for the whole.
        let Some(block) = block else { return UploadStep::Broken };
        let ours = self.offset >> (self.szx + 4);
        if block.number as usize != ours && block.offset() != self.offset {
            return UploadStep::Broken;
        }
        self.offset = self.end();
        // §2.5: a smaller size in the response is used from the next block on.
        self.szx = self.szx.min(block.szx);
        if self.is_possible() { UploadStep::Send } else { UploadStep::Broken }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test that is out of bounds fails, as it should.
mod tests {
    use super::*;

    fn block(number: u32, more: bool, szx: u8) -> Block {
        Block { number, more, szx }
    }

    fn gather(blocks: &[(Block, usize)], limit: usize) -> Vec<Gathered> {
        let mut gatherings = Gatherings::new(SipKey::new(1, 2));
        let mut pool = super::super::pool::Pool::<u8>::new();
        let key = BodyKey { peer: 1_u8, hash: 2 };
        let mut released = None;
        blocks
            .iter()
            .map(|(block, length)| {
                let ticket = |bytes| {
                    let holder = super::super::pool::Holder::Gathering(key);
                    pool.hold(broker_core::time::Instant::ZERO, None, holder, bytes)
                };
                gatherings.on_block(key, *block, &vec![7; *length], limit, ticket, &mut released)
            })
            .collect()
    }

    #[test]
    fn blocks_in_order_make_a_body() {
        let last = gather(&[(block(0, true, 0), 16), (block(1, true, 0), 16), (block(2, false, 0), 3)], 99);
        assert_eq!(last.last(), Some(&Gathered::Complete(vec![7; 35])));
        assert_eq!(gather(&[(block(0, false, 6), 5)], 99), [Gathered::Complete(vec![7; 5])]);
    }

    #[test]
    fn a_block_again_is_taken_once_and_number_0_begins_anew() {
        let all = gather(
            &[
                (block(0, true, 0), 16),
                (block(1, true, 0), 16),
                (block(1, true, 0), 16),
                (block(0, true, 0), 16),
                (block(1, false, 0), 1),
            ],
            99,
        );
        assert_eq!(all.last(), Some(&Gathered::Complete(vec![7; 17])));
    }

    #[test]
    fn the_size_may_shrink_on_the_way() {
        let all = gather(&[(block(0, true, 2), 64), (block(4, true, 0), 16), (block(5, false, 0), 1)], 99);
        assert_eq!(all.last(), Some(&Gathered::Complete(vec![7; 81])));
    }

    #[test]
    fn gaps_wrong_lengths_and_too_much_end_the_body() {
        let first = (block(0, true, 0), 16);
        let table = [
            (vec![(block(5, true, 0), 16)], Gathered::Missing),
            (vec![(block(0xf_ffff, true, 0), 16)], Gathered::Missing),
            (vec![first, (block(2, true, 0), 16)], Gathered::Missing),
            (vec![first, (block(1, true, 0), 15)], Gathered::WrongLength),
            (vec![(block(0, true, 0), 17)], Gathered::WrongLength),
            (vec![(block(0, false, 0), 17)], Gathered::WrongLength),
            (vec![first, (block(1, true, 0), 16), (block(2, true, 0), 16)], Gathered::TooLarge),
            (vec![first, (block(2, true, 0), 16), (block(1, true, 0), 16)], Gathered::Missing),
        ];
        for (blocks, expected) in table {
            assert_eq!(gather(&blocks, 40).last(), Some(&expected), "{blocks:?}");
        }
    }

    #[test]
    fn an_upload_walks_through_its_blocks() {
        let mut upload = Upload::new(2_100, 6);
        assert_eq!(upload.current(), (Some(block(0, true, 6)), 0..1_024));
        assert_eq!(upload.on_response(Code::CONTINUE, Some(block(0, true, 6))), UploadStep::Send);
        assert_eq!(upload.current(), (Some(block(1, true, 6)), 1_024..2_048));
        assert_eq!(upload.on_response(Code::CONTINUE, Some(block(1, true, 6))), UploadStep::Send);
        assert_eq!(upload.current(), (Some(block(2, false, 6)), 2_048..2_100));
        assert_eq!(upload.on_response(Code::CHANGED, Some(block(2, false, 6))), UploadStep::Final);
        assert_eq!(Upload::new(1_024, 6).current(), (None, 0..1_024));
    }

    #[test]
    fn an_upload_falls_back_to_the_size_that_the_peer_wants() {
        let mut upload = Upload::new(2_000, 6);
        assert_eq!(upload.on_response(Code::CONTINUE, Some(block(0, true, 2))), UploadStep::Send);
        assert_eq!(upload.current(), (Some(block(16, true, 2)), 1_024..1_088));
        let mut upload = Upload::new(2_000, 6);
        let too_large = Code::REQUEST_ENTITY_TOO_LARGE;
        assert_eq!(upload.on_response(too_large, Some(block(0, true, 2))), UploadStep::Send);
        assert_eq!(upload.current(), (Some(block(0, true, 2)), 0..64));
        assert_eq!(upload.on_response(too_large, Some(block(0, true, 2))), UploadStep::Final);
        let mut whole = Upload::new(500, 6);
        assert_eq!(whole.on_response(too_large, Some(block(0, true, 4))), UploadStep::Send);
        assert_eq!(whole.current(), (Some(block(0, true, 4)), 0..256));
        let mut whole = Upload::new(500, 6);
        assert_eq!(whole.on_response(too_large, None), UploadStep::Final);
    }

    #[test]
    fn an_upload_begins_again_once_when_the_peer_lost_it() {
        let mut upload = Upload::new(40, 0);
        assert_eq!(upload.on_response(Code::CONTINUE, Some(block(0, true, 0))), UploadStep::Send);
        let incomplete = Code::REQUEST_ENTITY_INCOMPLETE;
        assert_eq!(upload.on_response(incomplete, None), UploadStep::Send);
        assert_eq!(upload.current().1, 0..16);
        assert_eq!(upload.on_response(incomplete, None), UploadStep::Final);
    }

    #[test]
    fn an_upload_ends_when_the_peer_breaks_the_protocol() {
        assert_eq!(Upload::new(40, 0).on_response(Code::CHANGED, None), UploadStep::Broken);
        assert_eq!(
            Upload::new(40, 0).on_response(Code::CONTINUE, Some(block(7, true, 0))),
            UploadStep::Broken
        );
        assert_eq!(Upload::new(40, 0).on_response(Code::NOT_FOUND, None), UploadStep::Final);
        let mut end = Upload::new(17, 0);
        assert_eq!(end.on_response(Code::CONTINUE, Some(block(0, true, 0))), UploadStep::Send);
        assert_eq!(end.on_response(Code::CONTINUE, Some(block(1, false, 0))), UploadStep::Broken);
        assert!(!Upload::new((16 << 20) + 1, 0).is_possible());
        assert!(Upload::new(16 << 20, 0).is_possible());
    }
}
