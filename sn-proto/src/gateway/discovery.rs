//! ADVERTISE, SEARCHGW and GWINFO (MQTT-SN §6.1): who is told of us, and where to.

use broker_core::Now;
use broker_core::frontend::Actions;
use broker_core::link::Notice;

use super::{SnGateway, Turn, send_with};
use crate::discovery::GroupAnswer;
use crate::wire::{Advertise, Envelope, GwInfo, Message, SearchGw};

/// Largest radius that the encapsulation can say (two bits).
const RADIUS_MAX: u8 = 3;

impl SnGateway {
    pub(super) fn on_searchgw(&mut self, turn: &mut Turn<'_>, search: SearchGw) {
        let info = Message::GwInfo(GwInfo { gateway_id: self.config.gateway_id, gateway_address: b"" });
        let answer = if turn.peer.group {
            self.discovery.group_answer(turn.now.instant)
        } else {
            GroupAnswer::Searcher
        };
        match answer {
            GroupAnswer::Silence => {}
            GroupAnswer::Searcher => {
                if !self.limiter.answer(turn.now.instant, turn.peer.address.remote.ip()) {
                    self.counters.answers_suppressed += 1;
                    return;
                }
                self.counters.searches_answered += 1;
                // Behind a forwarder the searcher's broadcast has the radius of its own.
                let radius = if search.radius == 0 { turn.radius } else { search.radius.min(RADIUS_MAX) };
                let envelope = turn.node.map(|node_id| Envelope { radius, node_id });
                send_with(turn.out, turn.peer.address, None, envelope, info);
            }
            GroupAnswer::Group => {
                self.counters.searches_answered += 1;
                let family = turn.peer.address.remote.is_ipv4();
                for group in self.config.groups.iter().filter(|it| it.to.remote.is_ipv4() == family) {
                    // §5.4.3: with the radius of the search; a TTL of 0 would never leave the host.
                    let ttl = if search.radius == 0 { group.ttl } else { Some(search.radius) };
                    send_with(turn.out, group.to, ttl, None, info);
                }
            }
        }
    }

    pub(super) fn on_advertise(&mut self, turn: &mut Turn<'_>, advertise: Advertise) {
        if self.discovery.heard(turn.now.instant, advertise.gateway_id, Some(advertise.duration)) {
            self.counters.same_gateway_id += 1;
            turn.out.notices.push(Notice::Peer {
                remote: Some(turn.peer.address.remote),
                name: None,
                text: format!("advertises our own gateway id {}", advertise.gateway_id).into(),
            });
        }
    }

    pub(super) fn on_gwinfo(&mut self, turn: &mut Turn<'_>, info: GwInfo<'_>) {
        self.discovery.heard(turn.now.instant, info.gateway_id, None);
    }

    /// ADVERTISE to every group and forwarder, when it is time.
    pub(super) fn advertise(&mut self, now: Now, out: &mut Actions) {
        if !self.discovery.advertise_due(now.instant) {
            return;
        }
        let advertise = Message::Advertise(Advertise {
            gateway_id: self.config.gateway_id,
            duration: self.config.advertise_duration,
        });
        for group in &self.config.groups {
            send_with(out, group.to, group.ttl, None, advertise);
        }
        for forwarder in &self.config.advertise_to_forwarders {
            let envelope = Some(Envelope { radius: 0, node_id: b"" });
            send_with(out, *forwarder, None, envelope, advertise);
        }
    }
}
