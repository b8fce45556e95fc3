//! Publishes without a session, QoS −1 (MQTT-SN §6.8): one link of the gateway's own, with its own identity.

use std::sync::Arc;
use std::time::Duration;

use broker_core::frontend::Actions;
use broker_core::link::{
    Connect as Attach, ConnectWill, Credentials, FrontendId, Protocol, QueueQos0, TakeoverWill,
};
use broker_core::{Instant, LinkId, Message as AppMessage, Now, QoS, SessionName, ToBroker};

use super::on_publish::inline_topic;
use super::{SnGateway, Turn};
use crate::config::Config;
use crate::limits::{LINK_CREDIT, WINDOW};
use crate::mountpoint::Mounted;
use crate::topics::short_name;
use crate::wire::{Publish, Qos, TopicIdType};

/// Slot of the link: no client's.
pub(super) const LINK_SLOT: u32 = 0;
/// After a refusal, the broker is asked again no sooner.
const RETRY: Duration = Duration::from_secs(30);

/// The link for publishes without a session.
#[derive(Debug, Default)]
pub(super) struct MinusOne {
    state: LinkState,
    generation: u16,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum LinkState {
    /// Not asked for yet.
    #[default]
    Idle,
    /// Asked for.
    Connecting,
    /// Publishes may go.
    Up,
    /// Refused; asked for again from then on.
    Refused(Instant),
}

impl MinusOne {
    pub(super) fn next_timeout(&self, config: &Config) -> Option<Instant> {
        match self.state {
            LinkState::Idle if config.qos_minus_one => Some(Instant::ZERO),
            LinkState::Refused(until) if config.qos_minus_one => Some(until),
            LinkState::Idle | LinkState::Refused(_) | LinkState::Connecting | LinkState::Up => None,
        }
    }
}

impl SnGateway {
    fn minus_one_link(&self) -> LinkId {
        LinkId {
            slot: LINK_SLOT,
            generation: self.minus_one.generation,
            frontend: FrontendId::MqttSn,
            worker: self.worker,
        }
    }

    pub(super) fn is_minus_one(&self, link: LinkId) -> bool {
        link.slot == LINK_SLOT
    }

    /// Asks for the link if there is none and it is wanted.
    pub(super) fn attach_minus_one(&mut self, now: Now, out: &mut Actions) {
        let due = match self.minus_one.state {
            LinkState::Idle => true,
            LinkState::Refused(until) => until <= now.instant,
            LinkState::Connecting | LinkState::Up => false,
        };
        if !due || !self.config.qos_minus_one {
            return;
        }
        self.minus_one.generation = self.minus_one.generation.wrapping_add(1);
        self.minus_one.state = LinkState::Connecting;
        // A client by kind, so that the ACL judges it; by its U+0000 a name that no client can take.
        let name: Arc<str> = Arc::from(format!("\0mqtt-sn qos -1 worker {}", self.worker));
        let attach = Attach {
            name: SessionName::Client(name),
            protocol: Protocol::MqttSn,
            clean: true,
            will: ConnectWill::None,
            will_is_session_state: false,
            takeover_will: TakeoverWill::Keep,
            window: WINDOW,
            credit: LINK_CREDIT,
            queue_qos0: QueueQos0::NEVER,
            credentials: Credentials {
                username: self.config.username.clone(),
                password: self.config.password.clone(),
                proven: None,
                remote: None,
            },
            keep_alive: 0,
        };
        out.request(self.minus_one_link(), ToBroker::Connect(Box::new(attach)));
    }

    /// The broker's word about that link.
    pub(super) fn minus_one_changed(&mut self, link: LinkId, up: bool, now: Now) {
        if link.generation != self.minus_one.generation {
            return;
        }
        self.minus_one.state = if up { LinkState::Up } else { LinkState::Refused(now.instant + RETRY) };
    }

    pub(super) fn on_publish_minus_one(&mut self, turn: &mut Turn<'_>, publish: Publish<'_>) {
        let topic = match publish.qos {
            Qos::MinusOne if self.config.qos_minus_one => {
                self.sessionless_topic(&publish).and_then(|(topic, data)| {
                    let nobody = Mounted { client: None, host: turn.peer.address.remote.ip() };
                    Some((self.config.mountpoint.mounted(nobody, &topic)?.into_owned(), data))
                })
            }
            Qos::MinusOne | Qos::AtMostOnce | Qos::AtLeastOnce | Qos::ExactlyOnce => None,
        };
        self.attach_minus_one(turn.now, turn.out);
        match (topic, self.minus_one.state) {
            (Some((topic, data)), LinkState::Up | LinkState::Connecting) => {
                self.counters.minus_one_accepted += 1;
                let message = AppMessage::new(&topic, data, QoS::AtMostOnce, publish.retain);
                let request = ToBroker::Publish { packet_id: None, dup: false, message };
                turn.out.request(self.minus_one_link(), request);
            }
            // §6.8: nobody waits for an answer.
            (Some(_), LinkState::Idle | LinkState::Refused(_)) | (None, _) => {
                self.counters.minus_one_dropped += 1;
            }
        }
    }

    fn sessionless_topic<'a>(&self, publish: &Publish<'a>) -> Option<(Arc<str>, &'a [u8])> {
        let id = publish.topic_id;
        match publish.topic_id_type {
            TopicIdType::Predefined => {
                let name = self.config.predefined.topic(None, id)?;
                Some((Arc::clone(name), publish.data))
            }
            TopicIdType::Short => {
                let pair = id.to_be_bytes();
                Some((Arc::from(short_name(&pair)?), publish.data))
            }
            TopicIdType::Normal if self.config.inline_topic_names => {
                let (name, data) = inline_topic(id, publish.data)?;
                Some((Arc::from(name), data))
            }
            TopicIdType::Normal | TopicIdType::Reserved => None,
        }
    }
}
