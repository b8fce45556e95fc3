//! DISCONNECT (MQTT-SN §6.12, §6.14): the end of a connection, or the beginning of a sleep.

use std::sync::Arc;
use std::time::Duration;

use broker_core::ToBroker;
use broker_core::frontend::Actions;
use broker_core::link::{CloseReason, Ending};

use super::{SnGateway, Turn};
use crate::client::{Legacy, State};
use crate::wire::Message;

impl SnGateway {
    pub(super) fn on_disconnect(&mut self, slot: u32, turn: &mut Turn<'_>, duration: Option<u16>) {
        turn.reply(Message::Disconnect(None));
        let Some(client) = self.clients.get_mut(slot) else { return };
        let seconds = match duration {
            Some(seconds) if seconds > 0 && client.state != State::Connecting => seconds,
            // Deviation: Duration 0 is no sleep; the Paho gateway takes it so too.
            Some(_) | None => return self.end(slot, Ending::Clean, turn.out),
        };
        client.sleep = seconds;
        client.handshake = None;
        self.note_place(slot, turn.out);
        self.fall_asleep(slot, turn.out);
    }

    /// The sleep timer begins anew, in the broker, which publishes the will when it ends.
    pub(super) fn fall_asleep(&mut self, slot: u32, out: &mut Actions) {
        self.ground(slot, out);
        self.clients.set_state(slot, State::Asleep);
        let Some(client) = self.clients.get(slot) else { return };
        // Without a known duration (its memo was lost), until it comes back.
        let duration = (client.sleep > 0).then(|| sleep_limit(client.sleep));
        self.request(slot, ToBroker::Pause { duration }, out);
    }

    /// The client does not listen any more. What was in flight comes again from the broker, with DUP if it has left, when
    /// it does.
    pub(super) fn ground(&mut self, slot: u32, out: &mut Actions) {
        self.tell_unsent(slot, out);
        let Some(client) = self.clients.get_mut(slot) else { return };
        client.drained = false;
        let Some(outgoing) = client.outgoing.take() else { return };
        if outgoing.register.is_some_and(|register| register.waiting.is_some()) {
            self.counters.register_busy += 1; // QoS 0, and its REGACK did not come in time
        }
        let deferred = outgoing.deferred.as_ref().map_or(0, super::deliver::cost);
        let bytes = outgoing.held_credit.saturating_add(deferred);
        if bytes > 0 {
            self.request(slot, ToBroker::Credit { bytes }, out);
        }
    }

    /// A sleeper was heard with something else than PINGREQ: it stays asleep, its timer begins anew.
    pub(super) fn note_sleeper(&mut self, slot: u32, out: &mut Actions) {
        if self.clients.get(slot).is_some_and(|client| client.state == State::Asleep && client.linked) {
            self.fall_asleep(slot, out);
        }
    }

    /// The broker has ended the link.
    pub(super) fn broker_closed(&mut self, slot: u32, reason: CloseReason, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        client.linked = false;
        let told = match (reason, client.state) {
            // A sleeper does not listen, and hears of it when it comes back.
            (_, State::Asleep) => false,
            (CloseReason::SleepExpired, _) => false,
            // It finds the gateway again, and its session with it.
            (CloseReason::Shutdown, _) => false,
            (
                CloseReason::TakenOver | CloseReason::Kicked | CloseReason::Protocol,
                State::Handshake | State::Connecting | State::Active | State::Awake,
            ) => true,
        };
        if reason == CloseReason::TakenOver {
            let unsent = client.unsent_packets().next();
            let (name, zero_packet) = (Arc::clone(&client.name), client.zero_packet);
            self.legacy = Some(Legacy { name, unsent, zero_packet });
        }
        if reason == CloseReason::SleepExpired {
            self.counters.sleeps_expired += 1;
        }
        if told {
            self.tell(slot, Message::Disconnect(None), out);
        }
        self.forget(slot);
    }
}

/// How long a sleeper may stay away: its Duration and a tolerance of half of it, but not more than room for five
/// PINGREQs 15 s apart, and not less than the tenth that the specification wants (§7.2).
pub(super) fn sleep_limit(seconds: u16) -> Duration {
    let duration = Duration::from_secs(u64::from(seconds));
    let tenth = duration / 10;
    let half = duration / 2;
    duration + tenth.max(half.min(Duration::from_secs(75)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tolerance_of_a_sleep_is_between_a_tenth_and_a_half() {
        let limit = |seconds| sleep_limit(seconds).as_secs_f32();
        assert_eq!(limit(1), 1.5);
        assert_eq!(limit(60), 90.0);
        assert_eq!(limit(150), 225.0);
        assert_eq!(limit(600), 675.0);
        assert_eq!(limit(750), 825.0);
        assert_eq!(limit(43_200), 47_520.0);
    }
}
