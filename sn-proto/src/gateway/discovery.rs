//! ADVERTISE, SEARCHGW and GWINFO (MQTT-SN §6.1): who is told of us, and where to.

use std::net::SocketAddr;

use broker_core::Now;
use broker_core::frontend::{Actions, Address};
use broker_core::link::Notice;

use super::{SnGateway, Turn, send_with};
use crate::discovery::{GroupAnswer, Heard};
use crate::wire::{Advertise, Envelope, GwInfo, Message, SearchGw};

/// Largest radius that the encapsulation can say (two bits).
const RADIUS_MAX: u8 = 3;

impl SnGateway {
    pub(super) fn on_searchgw(&mut self, turn: &mut Turn<'_>, search: SearchGw) {
        let heard_on = turn.peer.address.listener;
        let group = self.config.groups.iter().find(|group| turn.peer.group && group.heard_on == heard_on);
        let answer = if turn.peer.group {
            self.discovery.group_answer(turn.now.instant, heard_on, group.is_some())
        } else {
            GroupAnswer::Searcher
        };
        let gateway_id = self.config.gateway_id;
        let info = Message::GwInfo(GwInfo { gateway_id, gateway_address: b"" });
        let remote = turn.peer.address.remote;
        match (answer, group) {
            (GroupAnswer::Silence, _) => self.counters.searches_left += 1,
            (GroupAnswer::Searcher, _) | (GroupAnswer::Group, None) => {
                if !self.limiter.answer(turn.now.instant, remote.ip()) {
                    self.counters.answers_suppressed += 1;
                    return;
                }
                self.counters.searches_answered += 1;
                // A group's listener only listens: the answer leaves from the service port, which is what the
                // searcher takes for our address.
                let to = match group {
                    Some(group) => Address { remote, ..group.to },
                    None => turn.peer.address,
                };
                // Behind a forwarder the searcher's broadcast has the radius of its own.
                let radius = if search.radius == 0 { turn.radius } else { search.radius.min(RADIUS_MAX) };
                let envelope = turn.node.map(|node_id| Envelope { radius, node_id });
                send_with(turn.out, to, None, envelope, info);
                self.note_search(turn, to, None);
            }
            (GroupAnswer::Group, Some(group)) => {
                self.counters.searches_answered += 1;
                // §5.4.3: with the radius of the search; a TTL of 0 would never leave the host.
                let ttl = if search.radius == 0 { group.ttl } else { Some(search.radius) };
                send_with(turn.out, group.to, ttl, None, info);
                let to = group.to;
                self.note_search(turn, to, Some(to.remote));
            }
        }
    }

    fn note_search(&self, turn: &mut Turn<'_>, way: Address, group: Option<SocketAddr>) {
        turn.out.notices.push(Notice::Searched {
            remote: turn.peer.address.remote,
            gateway_id: self.config.gateway_id,
            listener: way.listener,
            local: way.local,
            group,
        });
    }

    pub(super) fn on_advertise(&mut self, turn: &mut Turn<'_>, advertise: Advertise) {
        self.hear(turn, advertise.gateway_id, Some(advertise.duration));
    }

    pub(super) fn on_gwinfo(&mut self, turn: &mut Turn<'_>, info: GwInfo<'_>) {
        // With an address it is another client's, which remembers the gateway: no sign of its life (§6.1).
        if info.gateway_address.is_empty() {
            self.hear(turn, info.gateway_id, None);
        }
    }

    fn hear(&mut self, turn: &mut Turn<'_>, gateway_id: u8, duration: Option<u16>) {
        // Gateways broadcast (§6.1). A datagram to us alone is nothing to believe: it may come from anywhere, and
        // would keep a gateway in stand-by for good.
        if !turn.peer.group && turn.node.is_none() {
            self.counters.out_of_place += 1;
            return;
        }
        let Heard { same_id, stood_down } = self.discovery.heard(turn.now.instant, gateway_id, duration);
        if same_id {
            self.counters.same_gateway_id += 1;
            turn.out.notices.push(Notice::Peer {
                remote: Some(turn.peer.address.remote),
                name: None,
                text: format!("another gateway with our own gateway id {gateway_id}").into(),
            });
        }
        if stood_down {
            turn.out.notices.push(Notice::Standby { gateway_id, active: false });
        }
    }

    /// ADVERTISE to every group and forwarder, when it is time.
    pub(super) fn advertise(&mut self, now: Now, out: &mut Actions) {
        if self.discovery.take_over(now.instant) {
            self.counters.standby_takeovers += 1;
            if let Some(gateway_id) = self.config.standby_for {
                out.notices.push(Notice::Standby { gateway_id, active: true });
            }
        }
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
        let sent = self.config.groups.len() + self.config.advertise_to_forwarders.len();
        self.counters.advertises += sent as u64;
    }
}
