//! [`Hub`]: where requests and events of all front-ends meet the broker.
//!
//! Front-ends and the broker answer each other over a work list, never by recursion, until nobody has anything to
//! say or the budget of the round is used up; what is left goes on in the next round.
//!
//! ```text
//! streams ─┐                    ┌─► records (commit) ─┐
//! datagram ┼─ requests ─► broker┤                      ├─► events ─► streams, front-ends ─► requests …
//! fronts  ─┘                    └─► events (held) ─────┘
//! ```
use crate::fronts::{Front, FrontSettings};
use crate::stats::Stats;
use crate::streams::{Requests, Streams};
use crate::trace::{self, Traces};
use crate::udp::{BATCH, Batch, Groups, Received, Refreshed, Speaker, UdpPort};
use broker_core::frontend::{Actions, DatagramOut, Frontend, Peer};
use broker_core::link::{Ask, FrontendId, Notice};
use broker_core::{Broker, Effects, FromBroker, Instant, LinkId, Now, ToBroker};
use std::net::{IpAddr, SocketAddr};

/// Events collected before they are handed out: a bound on their memory, and near enough to the caches.
const EVENTS_AT_ONCE: usize = 256;
/// Turns of request and answer in one round.
const TURNS_MAX: usize = 64;
/// Datagrams collected before they are sent.
const DATAGRAMS_AT_ONCE: usize = 256;
/// Front-ends there are, by [`FrontendId`] as number.
const FRONTENDS: usize = 4;

/// The broker, the datagram front-ends, and all that travels between them.
pub(crate) struct Hub {
    pub(crate) broker: Broker,
    effects: Effects,
    events: Vec<(LinkId, FromBroker)>,
    /// Events for links of colleagues, by their number.
    abroad: Vec<Vec<(LinkId, FromBroker)>>,
    pub(crate) requests: Requests,
    fronts: [Option<Front>; FRONTENDS],
    pub(crate) ports: Vec<UdpPort>,
    pub(crate) groups: Groups,
    actions: Actions,
    /// Datagrams that came, and those that go: what came is read while answers leave.
    incoming: Batch,
    outgoing: Batch,
    traces: Traces,
    /// Log lines of the broker and the front-ends.
    pub(crate) notices: Vec<Notice>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("requests", &self.requests.len()).finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub for as many workers as there are, itself number 0.
    pub(crate) fn new(mut broker: Broker, workers: usize, groups: Groups) -> Self {
        // No store is there to take records.
        broker.set_recording(false);
        broker.set_watch(trace::PREFIX);
        Hub {
            broker,
            effects: Effects::default(),
            events: Vec::new(),
            abroad: vec![Vec::new(); workers],
            requests: Requests::new(),
            fronts: [const { None }; FRONTENDS],
            ports: Vec::new(),
            groups,
            actions: Actions::default(),
            incoming: Batch::new(),
            outgoing: Batch::new(),
            traces: Traces::default(),
            notices: Vec::new(),
        }
    }

    /// Gives a protocol its front-end.
    pub(crate) fn set_front(&mut self, front: Front) {
        if let Some(place) = self.fronts.get_mut(front.id() as usize) {
            *place = Some(front);
        }
    }

    /// Whether this protocol has its front-end.
    pub(crate) fn has_front(&self, id: FrontendId) -> bool {
        matches!(self.fronts.get(id as usize), Some(Some(_)))
    }

    /// The front-ends there are.
    pub(crate) fn fronts(&self) -> impl Iterator<Item = &Front> {
        self.fronts.iter().flatten()
    }

    /// New settings for the front-ends.
    pub(crate) fn handle_config(&mut self, now: Now, settings: &FrontSettings) {
        for front in self.fronts.iter_mut().flatten() {
            front.handle_config(now, settings);
        }
    }

    /// Whether requests, or slices of a large delivery, wait for their turn.
    pub(crate) fn has_work(&self) -> bool {
        !self.requests.is_empty() || self.broker.has_work()
    }

    /// Whether a UDP socket may have more to read.
    pub(crate) fn has_datagrams(&self) -> bool {
        self.ports.iter().any(|port| port.readable) || self.groups.has_datagrams()
    }

    /// Lets requests and answers go back and forth until it is quiet, within the round's budget.
    pub(crate) fn settle(&mut self, now: Now, streams: &mut Streams, stats: &mut Stats) {
        for _ in 0..TURNS_MAX {
            while let Some((link, request)) = self.requests.pop_front() {
                self.broker.handle(now, link, request, &mut self.effects);
                if self.effects.events.len() >= EVENTS_AT_ONCE {
                    break;
                }
            }
            // Before the SUBACK leaves: whoever has it misses nothing.
            if let Some(read) = self.broker.watched() {
                self.follow(now, read, stats);
            }
            if !self.hand_out(now, streams, stats) && self.requests.is_empty() {
                break;
            }
        }
    }

    /// Who reads traces has changed.
    #[cold]
    fn follow(&mut self, now: Now, read: Vec<Box<str>>, stats: &mut Stats) {
        let fronts = self.fronts.iter_mut().flatten();
        for message in self.traces.follow(now, read, fronts, stats) {
            self.broker.publish(now, message, &mut self.effects);
        }
    }

    /// Publishes what was seen of those who are traced.
    #[cold]
    fn publish_traces(&mut self, now: Now, stats: &mut Stats) {
        for front in self.fronts.iter_mut().flatten() {
            for message in self.traces.take(now, front, stats) {
                self.broker.publish(now, message, &mut self.effects);
            }
        }
    }

    /// Goes on with a large delivery: one slice.
    pub(crate) fn deliver(&mut self, now: Now, slice: usize, streams: &mut Streams, stats: &mut Stats) {
        self.broker.deliver(now, slice, &mut self.effects);
        self.hand_out(now, streams, stats);
        self.settle(now, streams, stats);
    }

    /// Commits the records of the calls before, then hands out what those calls have said. False: nothing was said.
    fn hand_out(&mut self, now: Now, streams: &mut Streams, stats: &mut Stats) -> bool {
        if self.effects.is_empty() {
            return false;
        }
        // Commit before send: a store takes `records` here and everything below waits for it, in this order.
        self.effects.records.clear();
        for ask in self.effects.asks.drain(..) {
            match ask {
                // No password file yet, and authentication is off: whoever asks is let in.
                Ask::Authenticate { link, .. } => {
                    self.requests.push_back((link, ToBroker::Authenticated(Ok(()))));
                }
            }
        }
        self.notices.append(&mut self.effects.notices);
        std::mem::swap(&mut self.events, &mut self.effects.events);
        let mut events = std::mem::take(&mut self.events);
        for (link, event) in &mut events {
            let link = *link;
            match link.frontend {
                FrontendId::Mqtt if link.worker == 0 => {
                    streams.handle_event(now, link, event, &mut self.requests, stats);
                }
                FrontendId::Mqtt => {
                    let event = std::mem::replace(event, FromBroker::Drained);
                    match self.abroad.get_mut(usize::from(link.worker)) {
                        Some(batch) => batch.push((link, event)),
                        None => stats.stale_events += 1,
                    }
                }
                FrontendId::MqttSn | FrontendId::Lwm2m | FrontendId::Internal => {
                    let event = std::mem::replace(event, FromBroker::Drained);
                    self.tell_front(now, link, event, stats);
                }
            }
        }
        // Together, and not one by one among the writing: see `Connection::handle_delivery`.
        events.clear();
        self.events = events;
        true
    }

    /// The events for this colleague's links since the last call.
    pub(crate) fn take_abroad(&mut self, worker: u8) -> Option<Vec<(LinkId, FromBroker)>> {
        let batch = self.abroad.get_mut(usize::from(worker)).filter(|batch| !batch.is_empty())?;
        Some(std::mem::take(batch))
    }

    fn tell_front(&mut self, now: Now, link: LinkId, event: FromBroker, stats: &mut Stats) {
        match self.fronts.get_mut(link.frontend as usize) {
            Some(Some(front)) => front.handle_event(now, link, event, &mut self.actions),
            Some(None) | None => stats.stale_events += 1,
        }
        self.collect(now, stats);
    }

    /// Takes up what a front-end wants after a call.
    fn collect(&mut self, now: Now, stats: &mut Stats) {
        if self.traces.is_on() {
            self.publish_traces(now, stats);
        }
        self.requests.extend(self.actions.requests.drain(..));
        self.notices.append(&mut self.actions.notices);
        if self.actions.datagrams.len() >= DATAGRAMS_AT_ONCE {
            self.flush_datagrams(stats);
        }
    }

    /// Takes one batch of datagrams from each UDP socket that has some, and handles them.
    pub(crate) fn receive(&mut self, now: Now, streams: &mut Streams, stats: &mut Stats) {
        for index in 0..self.ports.len() {
            let Some(port) = self.ports.get_mut(index).filter(|port| port.readable) else { continue };
            let (frontend, listener) = (port.frontend, port.listener);
            let mut batch = std::mem::take(&mut self.incoming);
            let count = port.fill(&mut batch, &mut stats.udp);
            let mut waiting = Waiting::NOBODY;
            for place in 0..count {
                let Some(received) = batch.datagram(place, listener) else {
                    stats.udp.unusable += 1;
                    continue;
                };
                // What a peer has asked for is done before it is heard again: what it sends behind a CONNECT finds
                // the connection, and what it sent before a DISCONNECT is answered.
                if waiting.meets(received.from.remote) {
                    self.collect(now, stats);
                    self.settle(now, streams, stats);
                    waiting.count = 0;
                    waiting.meets(received.from.remote);
                }
                self.handle_datagram(now, frontend, &received, stats);
            }
            self.incoming = batch;
            self.collect(now, stats);
            self.settle(now, streams, stats);
        }
        if self.groups.has_datagrams()
            && let Some(Some(front)) = self.fronts.get_mut(FrontendId::MqttSn as usize)
        {
            let actions = &mut self.actions;
            self.groups.receive(&mut self.incoming, &mut stats.udp, |peer, bytes| {
                front.handle_datagram(now, peer, bytes, actions);
            });
            self.collect(now, stats);
            self.settle(now, streams, stats);
        }
    }

    fn handle_datagram(
        &mut self,
        now: Now,
        frontend: FrontendId,
        received: &Received<'_>,
        stats: &mut Stats,
    ) {
        // Nobody may speak this protocol yet: read and forgotten.
        let Some(Some(front)) = self.fronts.get_mut(frontend as usize) else { return };
        let mut address = received.from;
        if received.group {
            match self.groups.speaker(received) {
                Speaker::Own => {
                    stats.udp.own_heard += 1;
                    return;
                }
                Speaker::Other(heard_on) => address.listener = heard_on,
                Speaker::Unknown => {}
            }
        }
        let peer = Peer { address, group: received.group, identity: None };
        front.handle_datagram(now, &peer, received.bytes, &mut self.actions);
    }

    /// Looks whether interfaces have come or gone, and tells MQTT-SN where its groups are.
    pub(crate) fn refresh_groups(&mut self, now: Now) {
        let Refreshed { groups, announce } = self.groups.refresh(now.instant, &self.ports);
        let Some(Some(Front::Sn(gateway))) = self.fronts.get_mut(FrontendId::MqttSn as usize) else { return };
        if let Some(groups) = groups {
            gateway.set_groups(now, groups);
        }
        if announce {
            gateway.announce(now);
        }
    }

    /// Asks the kernel what it has dropped.
    pub(crate) fn count_drops(&mut self, stats: &mut Stats) {
        self.ports.iter_mut().for_each(|port| port.count_drops(&mut stats.udp));
        self.groups.count_drops(&mut stats.udp);
    }

    /// Sends the datagrams that the front-ends have written.
    pub(crate) fn flush_datagrams(&mut self, stats: &mut Stats) {
        if self.actions.datagrams.is_empty() {
            return;
        }
        for port in &mut self.ports {
            let mine: Vec<&DatagramOut> = self
                .actions
                .datagrams
                .iter()
                .filter(|datagram| datagram.to.listener == port.listener)
                .collect();
            if !mine.is_empty() {
                port.send(&mut self.outgoing, &mut stats.udp, &self.actions, &mine);
                for (to, error) in port.group_failures.drain(..) {
                    self.groups.send_failed(to, &error);
                }
            }
        }
        self.actions.wire.clear();
        self.actions.datagrams.clear();
    }

    /// When the broker or a front-end has a deadline.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let fronts = self.fronts.iter().flatten().filter_map(|front| front.next_timeout());
        fronts.chain(self.broker.next_timeout()).min()
    }

    /// Handles the deadlines that have come.
    pub(crate) fn handle_timeout(&mut self, now: Now, streams: &mut Streams, stats: &mut Stats) {
        for index in 0..FRONTENDS {
            if let Some(Some(front)) = self.fronts.get_mut(index)
                && front.next_timeout().is_some_and(|deadline| deadline <= now.instant)
            {
                front.handle_timeout(now, &mut self.actions);
                self.collect(now, stats);
            }
        }
        if self.broker.next_timeout().is_some_and(|deadline| deadline <= now.instant) {
            self.broker.handle_timeout(now, &mut self.effects);
        }
        self.hand_out(now, streams, stats);
        self.settle(now, streams, stats);
    }

    /// Lets the broker say something of its own accord (`$SYS`, new limits).
    pub(crate) fn with_broker(
        &mut self,
        now: Now,
        streams: &mut Streams,
        stats: &mut Stats,
        call: impl FnOnce(&mut Broker, &mut Effects),
    ) {
        call(&mut self.broker, &mut self.effects);
        self.hand_out(now, streams, stats);
        self.settle(now, streams, stats);
    }

    /// Forgets what a call that panicked has left half-said.
    pub(crate) fn after_panic(&mut self) {
        self.effects.clear();
        self.events.clear();
        self.actions.clear();
        if self.incoming.is_empty() {
            self.incoming = Batch::new();
        }
    }
}

/// Peers of a batch that were heard and whose requests wait for the broker. Two that share a mark only cost a turn.
struct Waiting {
    marks: [u64; BATCH],
    count: usize,
}

impl Waiting {
    const NOBODY: Waiting = Waiting { marks: [0; BATCH], count: 0 };

    /// Whether this peer is among them; if not, it is from now on.
    fn meets(&mut self, peer: SocketAddr) -> bool {
        let ip = match peer.ip() {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => {
                let bits = ip.to_bits();
                (bits >> 64) as u64 ^ bits as u64
            }
        };
        let mark = ip.rotate_left(16) ^ u64::from(peer.port());
        if self.marks.iter().take(self.count).any(|known| *known == mark) {
            return true;
        }
        if let Some(place) = self.marks.get_mut(self.count) {
            *place = mark;
            self.count += 1;
        }
        false
    }
}
