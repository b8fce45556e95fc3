//! The service session: it takes the command topics, publishes all answers and events, and hears the fates of
//! commands. It is durable, so that a QoS 1 command is never lost between its asker and its device's queue.
use super::{Lwm2mServer, SERVICE_LINK};
use crate::limits::{SERVICE_CREDIT, SERVICE_HELD_MAX, SERVICE_RETRY_MS, SERVICE_WINDOW};
use broker_core::frontend::Actions;
use broker_core::link::{
    CloseReason, Connect, ConnectWill, Credentials, FrontendId, MemoUpdate, Protocol, QueueQos0,
    SubscribeFilter, TakeoverWill,
};
use broker_core::topic::TopicFilter;
use broker_core::{FromBroker, Instant, LinkId, Message, Now, PacketId, QoS, SessionName, ToBroker};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    /// To be attached, at once or later.
    #[default]
    Off,
    /// Connect is with the broker.
    Connecting,
    /// Attached.
    Ready,
    /// The gateway stops.
    Over,
}

/// The service session's line to the broker.
#[derive(Debug)]
pub(super) struct Service {
    state: State,
    generation: u16,
    packet_id: PacketId,
    retry_at: Instant,
    /// Messages from before it was attached.
    held: Vec<ToBroker>,
}

impl Default for Service {
    fn default() -> Service {
        let first = PacketId::new(1).expect("one is no zero");
        Service {
            state: State::Off,
            generation: 0,
            packet_id: first,
            retry_at: Instant::ZERO,
            held: Vec::new(),
        }
    }
}

impl Service {
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        (self.state == State::Off).then_some(self.retry_at)
    }
}

impl Lwm2mServer {
    fn service_link(&self) -> LinkId {
        LinkId {
            slot: SERVICE_LINK,
            generation: self.service.generation,
            frontend: FrontendId::Lwm2m,
            worker: self.worker,
        }
    }

    /// Attaches the service session, if that is to be done now.
    pub(super) fn start_service(&mut self, now: Now, out: &mut Actions) {
        if self.service.state != State::Off || now.instant < self.service.retry_at {
            return;
        }
        self.service.state = State::Connecting;
        let connect = Connect {
            name: SessionName::Service(Arc::from("lwm2m")),
            protocol: Protocol::Lwm2m,
            clean: false,
            will: ConnectWill::None,
            will_is_session_state: true,
            takeover_will: TakeoverWill::Keep,
            window: SERVICE_WINDOW,
            credit: SERVICE_CREDIT,
            queue_qos0: QueueQos0::NEVER,
            credentials: Credentials::default(),
            keep_alive: 0,
        };
        out.request(self.service_link(), ToBroker::Connect(Box::new(connect)));
    }

    /// Whether answers can be published.
    pub(super) fn is_serving(&self) -> bool {
        self.service.state == State::Ready
    }

    /// A request on the service's link; it waits when the link is not attached yet.
    pub(super) fn service_request(&mut self, request: ToBroker, out: &mut Actions) {
        if self.service.state == State::Ready {
            out.request(self.service_link(), request);
        } else if self.service.held.len() < SERVICE_HELD_MAX {
            self.service.held.push(request);
        } else {
            self.counters.service_dropped += 1;
        }
    }

    /// Publishes a message of the gateway's.
    pub(super) fn publish(&mut self, topic: &str, payload: &[u8], qos: QoS, retain: bool, out: &mut Actions) {
        let packet_id = match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce | QoS::ExactlyOnce => {
                self.service.packet_id = self.service.packet_id.next();
                Some(self.service.packet_id)
            }
        };
        let message = Message::new(topic, payload, qos, retain);
        self.service_request(ToBroker::Publish { packet_id, dup: false, message }, out);
        if let (QoS::ExactlyOnce, Some(packet_id)) = (qos, packet_id) {
            // This line neither loses nor doubles, so the release need not wait for PUBREC.
            self.service_request(ToBroker::Pubrel(packet_id), out);
        }
    }

    pub(super) fn on_service_event(&mut self, now: Now, link: LinkId, event: FromBroker, out: &mut Actions) {
        if link != self.service_link() {
            self.counters.stale_events += 1;
            return;
        }
        match event {
            FromBroker::Connack { memo, .. } => self.on_service_attached(&memo, out),
            FromBroker::Publish(delivery) => self.on_command(now, delivery, out),
            FromBroker::Fate(fate) => self.on_fate(now, *fate, out),
            FromBroker::Refused(_) => self.service_lost(now),
            FromBroker::Closed(CloseReason::Shutdown) => self.service.state = State::Over,
            FromBroker::Closed(
                CloseReason::TakenOver
                | CloseReason::SleepExpired
                | CloseReason::Kicked
                | CloseReason::Protocol,
            ) => self.service_lost(now),
            FromBroker::Puback { .. }
            | FromBroker::Suback { .. }
            | FromBroker::Unsuback { .. }
            | FromBroker::MemoStored { .. }
            | FromBroker::PublishRefused { .. }
            | FromBroker::Pubrec { .. }
            | FromBroker::Pubrel(_)
            | FromBroker::Pubcomp(_)
            | FromBroker::Drained
            | FromBroker::WillUpdated { .. }
            | FromBroker::Restored(_) => {}
        }
    }

    /// Tries again in a while, on a new link.
    fn service_lost(&mut self, now: Now) {
        self.service.state = State::Off;
        self.service.generation = self.service.generation.wrapping_add(1);
        self.service.retry_at = now.instant + Duration::from_millis(SERVICE_RETRY_MS);
    }

    /// Subscribes to the command topics. The memo holds the filters of before, so that those of an earlier mount
    /// point are given up.
    fn on_service_attached(&mut self, memo: &[u8], out: &mut Actions) {
        self.service.state = State::Ready;
        let filters = self.config.topics.filters();
        let text = filters.iter().map(TopicFilter::as_str).collect::<Vec<_>>().join("\n");
        let before = std::str::from_utf8(memo).unwrap_or_default();
        let stale: Vec<TopicFilter> = before
            .lines()
            .filter_map(|line| TopicFilter::new(line).ok())
            .filter(|filter| !filters.contains(filter))
            .collect();
        if !stale.is_empty() {
            self.service_request(ToBroker::Unsubscribe { packet_id: 2, filters: stale }, out);
        }
        if before != text {
            let update = MemoUpdate::Replace(text.into_bytes().into());
            self.service_request(ToBroker::Memo { update, tag: 0 }, out);
        }
        let filters = filters
            .into_iter()
            .map(|filter| SubscribeFilter { filter: Ok(filter), qos: QoS::AtLeastOnce })
            .collect();
        self.service_request(ToBroker::Subscribe { packet_id: 1, filters }, out);
        for held in std::mem::take(&mut self.service.held) {
            self.service_request(held, out);
        }
    }
}
