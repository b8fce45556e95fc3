//! The value of Block1 and Block2: number, "more" bit and size exponent (RFC 7959 §2.2).
#![deny(clippy::indexing_slicing)]

/// The largest size exponent: 1024 bytes.
pub(crate) const SZX_MAX: u8 = 6;
/// Block numbers have 20 bits.
pub(crate) const NUMBER_MAX: u32 = 0xf_ffff;

/// One block's place in a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// Number of the block, 20 bits.
    pub number: u32,
    /// More blocks follow.
    pub more: bool,
    /// Size exponent 0 to 6: 16 to 1024 bytes.
    pub szx: u8,
}

/// What is wrong with a Block option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadBlock {
    /// Longer than three bytes: an option of illegal length is an unknown one.
    Length,
    /// Size exponent 7 is reserved over UDP: 4.00.
    Reserved,
}

impl Block {
    /// The block that begins at `offset`; `None` when it does not begin a block of that size or needs more than
    /// 20 bits.
    pub(crate) fn at(offset: usize, more: bool, szx: u8) -> Option<Block> {
        let size = 16 << szx;
        let number = u32::try_from(offset / size).ok()?;
        (offset.is_multiple_of(size) && number <= NUMBER_MAX).then_some(Block { number, more, szx })
    }

    /// Reads an option value.
    pub(crate) fn decode(value: &[u8]) -> Result<Block, BadBlock> {
        if value.len() > 3 {
            return Err(BadBlock::Length);
        }
        let word = value.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
        let szx = (word & 7) as u8;
        if szx > SZX_MAX {
            return Err(BadBlock::Reserved);
        }
        Ok(Block { number: word >> 4, more: word & 8 != 0, szx })
    }

    /// The option value as a number, to be written in its shortest form.
    pub(crate) fn encode(self) -> u32 {
        self.number << 4 | u32::from(self.more) << 3 | u32::from(self.szx)
    }

    /// Bytes in a full block.
    pub fn size(self) -> usize {
        16 << self.szx
    }

    /// Where the block begins in the body.
    pub fn offset(self) -> usize {
        self.number as usize * self.size()
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test that is out of bounds fails, as it should.
mod tests {
    use super::*;

    #[test]
    fn values_go_both_ways() {
        let table: [(&[u8], Block); 6] = [
            (&[], Block { number: 0, more: false, szx: 0 }),
            (&[0x06], Block { number: 0, more: false, szx: 6 }),
            (&[0x0e], Block { number: 0, more: true, szx: 6 }),
            (&[0x5a], Block { number: 5, more: true, szx: 2 }),
            (&[0x12, 0x34], Block { number: 0x123, more: false, szx: 4 }),
            (&[0xff, 0xff, 0xf8], Block { number: NUMBER_MAX, more: true, szx: 0 }),
        ];
        for (wire, block) in table {
            assert_eq!(Block::decode(wire), Ok(block));
            let number = block.encode().to_be_bytes();
            assert_eq!(&number[number.len() - wire.len()..], wire);
        }
        assert_eq!(Block::decode(&[0x0f]), Err(BadBlock::Reserved));
        assert_eq!(Block::decode(&[0, 0, 0, 0]), Err(BadBlock::Length));
    }

    #[test]
    fn a_block_begins_at_a_multiple_of_its_size_and_has_a_number_of_20_bits() {
        assert_eq!(Block::at(2_048, true, 6), Some(Block { number: 2, more: true, szx: 6 }));
        assert_eq!(Block::at(2_047, true, 6), None);
        assert_eq!(Block::at(16 << 20, true, 0), None);
        assert_eq!(Block::at((16 << 20) - 16, true, 0).map(|block| block.number), Some(NUMBER_MAX));
    }
}
