//! The network between a device and the server.
use super::{Dice, millis};
use broker_core::Instant;
use broker_core::frontend::Address;

/// Shares in per cent.
#[derive(Clone, Copy)]
pub(super) struct Weather {
    pub(super) loss: u64,
    pub(super) copies: u64,
    /// Datagrams that arrive so late that others overtake them.
    pub(super) late: u64,
}

impl Weather {
    pub(super) const FAIR: Weather = Weather { loss: 0, copies: 0, late: 0 };
    pub(super) const ROUGH: Weather = Weather { loss: 20, copies: 5, late: 10 };
}

pub(super) enum Datagram {
    ToServer { from: Address, bytes: Vec<u8> },
    ToDevice { to: Address, bytes: Vec<u8> },
}

pub(super) struct Air {
    pub(super) weather: Weather,
    dice: Dice,
    flying: Vec<(Instant, u64, Datagram)>,
    count: u64,
}

impl Air {
    pub(super) fn new(weather: Weather, seed: u64) -> Air {
        Air { weather, dice: Dice::new(seed ^ 0xA1), flying: Vec::new(), count: 0 }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.flying.iter().map(|(at, _, _)| *at).min()
    }

    pub(super) fn up(&mut self, now: Instant, datagram: (Address, Vec<u8>)) {
        let (from, bytes) = datagram;
        self.fly(now, &|| Datagram::ToServer { from, bytes: bytes.clone() });
    }

    pub(super) fn down(&mut self, now: Instant, to: Address, bytes: Vec<u8>) {
        self.fly(now, &|| Datagram::ToDevice { to, bytes: bytes.clone() });
    }

    fn fly(&mut self, now: Instant, make: &dyn Fn() -> Datagram) {
        if self.dice.percent(self.weather.loss) {
            return;
        }
        for _ in 0..1 + u64::from(self.dice.percent(self.weather.copies)) {
            let late = self.dice.percent(self.weather.late);
            let delay = 20 + self.dice.below(30) + if late { 200 + self.dice.below(3_000) } else { 0 };
            self.count += 1;
            self.flying.push((millis(now, delay), self.count, make()));
        }
    }

    /// The next datagram that has arrived.
    pub(super) fn due(&mut self, now: Instant) -> Option<Datagram> {
        let (place, _) = self
            .flying
            .iter()
            .enumerate()
            .filter(|(_, (at, _, _))| *at <= now)
            .min_by_key(|(_, (at, count, _))| (*at, *count))?;
        Some(self.flying.swap_remove(place).2)
    }
}
