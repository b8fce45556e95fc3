//! Block2 (RFC 7959 §2.4): bodies cut into blocks for peers, and bodies fetched block by block.
#![deny(clippy::indexing_slicing)]

use std::ops::Range;

use coap_lite::CoapOption;

use super::block::Block;
use super::event::Failure;
use super::message::{Code, Options};
use super::pool::Ticket;

/// How an answer is cut.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    /// It goes whole, without Block2.
    Whole,
    /// This block of it.
    Part(Block, Range<usize>),
    /// The block asked for lies behind the end.
    Behind,
}

/// Cuts a body of `total` bytes for a request with this Block2, into blocks of at most 16 << `szx` bytes.
pub(crate) fn cut(total: usize, asked: Option<Block>, szx: u8) -> Cut {
    let asked = match asked {
        None if total <= 16 << szx => return Cut::Whole,
        None => Block { number: 0, more: false, szx },
        // §2.4: smaller blocks than asked for may come; the same place has a larger number then.
        Some(asked) if asked.szx > szx => match Block::at(asked.offset(), asked.more, szx) {
            Some(smaller) => smaller,
            None => asked, // it has no such number
        },
        Some(asked) => asked,
    };
    let start = asked.offset();
    if start >= total && asked.number > 0 {
        return Cut::Behind;
    }
    let end = total.min(start + asked.size());
    // §2.3: the "more" bit means nothing in a request.
    Cut::Part(Block { more: end < total, ..asked }, start..end)
}

/// A response body on its way in.
#[derive(Debug)]
pub(crate) struct Download {
    body: Vec<u8>,
    etag: Option<Box<[u8]>>,
    size: Option<u32>,
    szx: u8,
    limit: usize,
    restarted: bool,
    /// Code of the first response.
    pub(crate) code: Code,
    /// Options of the first response.
    pub(crate) options: Options,
    /// Its place in the account of unfinished bodies.
    pub(crate) ticket: Option<Ticket>,
}

/// What a block of a response did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fetched {
    /// Ask for the current block.
    Next,
    /// The body is whole.
    Complete,
    /// It cannot be had.
    Failed(Failure),
}

impl Download {
    /// An empty body; the first response goes through [`Download::on_block`] as all others. Later blocks are asked
    /// for with at most this size exponent.
    pub(crate) fn new(code: Code, options: Options, limit: usize, szx: u8) -> Download {
        Download {
            body: Vec::new(),
            etag: None,
            size: None,
            szx,
            limit,
            restarted: false,
            code,
            options,
            ticket: None,
        }
    }

    /// Bytes of memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.body.capacity()
    }

    /// The block to ask for next; `None` when there are no numbers left.
    pub(crate) fn next_block(&self) -> Option<Block> {
        Block::at(self.body.len(), false, self.szx)
    }

    /// The whole body.
    pub(crate) fn into_body(self) -> (Code, Options, Vec<u8>) {
        (self.code, self.options, self.body)
    }

    /// Takes a block of a success response.
    pub(crate) fn on_block(&mut self, block: Option<Block>, options: &Options, payload: &[u8]) -> Fetched {
        let Some(block) = block else { return Fetched::Failed(Failure::BadBlock) };
        let etag = options.first(CoapOption::ETag);
        let size = options.uint(CoapOption::Size2);
        if self.body.is_empty() {
            self.etag = etag.map(Box::from);
            self.size = size;
            self.szx = self.szx.min(block.szx);
        } else if etag != self.etag.as_deref() || (size.is_some() && self.size.is_some() && size != self.size)
        {
            return self.restart();
        }
        if block.offset() != self.body.len() || payload.len() > block.size() {
            return Fetched::Failed(Failure::BadBlock);
        }
        if block.more && payload.len() != block.size() {
            return Fetched::Failed(Failure::BadBlock);
        }
        let announced = size.map_or(0, |size| size as usize);
        if self.body.len() + payload.len() > self.limit || announced > self.limit {
            return Fetched::Failed(Failure::TooLarge);
        }
        self.body.extend_from_slice(payload);
        if !block.more {
            return Fetched::Complete;
        }
        if self.body.len() >= self.limit {
            return Fetched::Failed(Failure::TooLarge);
        }
        // §2.4: the peer may answer with smaller blocks than asked for; those are asked for from now on.
        self.szx = self.szx.min(block.szx);
        match self.next_block() {
            Some(_) => Fetched::Next,
            None => Fetched::Failed(Failure::TooLarge),
        }
    }

    /// §2.4: blocks of another representation do not go together. Once is bad luck, twice is given up.
    fn restart(&mut self) -> Fetched {
        if self.restarted {
            return Fetched::Failed(Failure::Changed);
        }
        self.restarted = true;
        self.body.clear();
        Fetched::Next
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test that is out of bounds fails, as it should.
mod tests {
    use super::super::block::SZX_MAX;
    use super::*;

    fn block(number: u32, more: bool, szx: u8) -> Option<Block> {
        Some(Block { number, more, szx })
    }

    fn tagged(etag: u8) -> Options {
        Options::new().with(CoapOption::ETag, [etag])
    }

    #[test]
    fn an_answer_is_cut_as_asked() {
        let part = |number, more, szx, range| Cut::Part(Block { number, more, szx }, range);
        assert_eq!(cut(1_024, None, SZX_MAX), Cut::Whole);
        assert_eq!(cut(1_025, None, SZX_MAX), part(0, true, 6, 0..1_024));
        assert_eq!(cut(1_025, block(1, false, 6), SZX_MAX), part(1, false, 6, 1_024..1_025));
        assert_eq!(cut(40, block(1, true, 0), SZX_MAX), part(1, true, 0, 16..32));
        assert_eq!(cut(40, block(2, false, 0), SZX_MAX), part(2, false, 0, 32..40));
        assert_eq!(cut(40, block(3, false, 0), SZX_MAX), Cut::Behind);
        assert_eq!(cut(0, block(0, false, 4), SZX_MAX), part(0, false, 4, 0..0));
        assert_eq!(cut(32, block(2, false, 0), SZX_MAX), Cut::Behind);
        // Never in larger blocks than ours.
        assert_eq!(cut(64, None, 2), Cut::Whole);
        assert_eq!(cut(65, None, 2), part(0, true, 2, 0..64));
        assert_eq!(cut(2_000, block(1, false, 6), 2), part(16, true, 2, 1_024..1_088));
        assert_eq!(cut(2_000, block(1, false, 0), 2), part(1, true, 0, 16..32));
    }

    #[test]
    fn later_blocks_are_asked_for_in_our_size() {
        let mut download = Download::new(Code::CONTENT, Options::new(), 9_999, 2);
        assert_eq!(download.on_block(block(0, true, 6), &Options::new(), &[0; 1_024]), Fetched::Next);
        assert_eq!(download.next_block(), block(16, false, 2));
    }

    #[test]
    fn a_body_is_fetched_with_the_size_of_the_peer() {
        let mut download = Download::new(Code::CONTENT, Options::new(), 1_000, SZX_MAX);
        assert_eq!(download.on_block(block(0, true, 1), &tagged(1), &[1; 32]), Fetched::Next);
        assert_eq!(download.next_block(), block(1, false, 1));
        assert_eq!(download.on_block(block(2, true, 0), &tagged(1), &[2; 16]), Fetched::Next);
        assert_eq!(download.next_block(), block(3, false, 0));
        assert_eq!(download.on_block(block(3, false, 0), &tagged(1), &[3; 2]), Fetched::Complete);
        assert_eq!(download.into_body().2.len(), 50);
    }

    #[test]
    fn a_change_begins_anew_once() {
        let mut download = Download::new(Code::CONTENT, Options::new(), 1_000, SZX_MAX);
        assert_eq!(download.on_block(block(0, true, 0), &tagged(1), &[1; 16]), Fetched::Next);
        assert_eq!(download.on_block(block(1, true, 0), &tagged(2), &[1; 16]), Fetched::Next);
        assert_eq!(download.next_block(), block(0, false, 0));
        assert_eq!(download.on_block(block(0, true, 0), &tagged(2), &[2; 16]), Fetched::Next);
        let changed = Fetched::Failed(Failure::Changed);
        assert_eq!(download.on_block(block(1, false, 0), &tagged(3), &[2; 16]), changed);
        let sized = |size| Options::new().with_uint(CoapOption::Size2, size);
        let mut download = Download::new(Code::CONTENT, Options::new(), 1_000, SZX_MAX);
        assert_eq!(download.on_block(block(0, true, 0), &sized(40), &[1; 16]), Fetched::Next);
        assert_eq!(download.on_block(block(1, true, 0), &sized(41), &[1; 16]), Fetched::Next);
        assert_eq!(download.next_block(), block(0, false, 0));
    }

    #[test]
    fn an_endless_body_stops_at_the_limit() {
        let mut download = Download::new(Code::CONTENT, Options::new(), 64, SZX_MAX);
        let results: Vec<Fetched> = (0..9)
            .map(|number| download.on_block(block(number, true, 0), &Options::new(), &[0; 16]))
            .take_while(|fetched| *fetched == Fetched::Next)
            .collect();
        assert_eq!(results.len(), 3);
        let announced = Options::new().with_uint(CoapOption::Size2, 65);
        let mut download = Download::new(Code::CONTENT, Options::new(), 64, SZX_MAX);
        let too_large = Fetched::Failed(Failure::TooLarge);
        assert_eq!(download.on_block(block(0, true, 0), &announced, &[0; 16]), too_large);
        let mut exact = Download::new(Code::CONTENT, Options::new(), 32, SZX_MAX);
        assert_eq!(exact.on_block(block(0, true, 0), &Options::new(), &[0; 16]), Fetched::Next);
        assert_eq!(exact.on_block(block(1, false, 0), &Options::new(), &[0; 16]), Fetched::Complete);
    }

    #[test]
    fn blocks_that_do_not_follow_each_other_are_refused() {
        let bad = Fetched::Failed(Failure::BadBlock);
        let first = |answer, length: usize| {
            let mut download = Download::new(Code::CONTENT, Options::new(), 999, SZX_MAX);
            download.on_block(answer, &Options::new(), &vec![0; length])
        };
        assert_eq!(first(block(1, true, 0), 16), bad);
        assert_eq!(first(block(0, true, 0), 15), bad);
        assert_eq!(first(block(0, false, 0), 17), bad);
        assert_eq!(first(None, 16), bad);
    }
}
