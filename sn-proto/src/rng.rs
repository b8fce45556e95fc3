//! Drawn numbers from a seed that the driver gives: MsgIds and topic id offsets that a stranger cannot guess.

/// SplitMix64. Not for keys; good enough where a guess costs the guesser a datagram each.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next 16 bits.
    pub fn next_u16(&mut self) -> u16 {
        u16::try_from(self.draw() >> 48).unwrap_or(0)
    }
}
