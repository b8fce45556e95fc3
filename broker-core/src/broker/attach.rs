//! Beginnings and ends: Connect and its authentication, takeover, Disconnect, going offline, expiry, eviction, kick.
use super::Broker;
use super::ledger::Ledger;
use super::links::Links;
use super::session::{Flow, Identity, Remote, Session, Slot};
use crate::link::{
    Ask, CloseReason, Connect, ConnectWill, Credentials, Effects, Ending, FromBroker, LinkId, Notice,
    Protocol, RefuseReason, Resume, SessionName, TakeoverWill,
};
use crate::record::{Record, SessionId};
use crate::time::Instant;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// An attach that waits for the answer to its Authenticate.
#[derive(Debug)]
pub(super) enum PendingAttach {
    Connect(Box<Connect>),
    Resume(Box<Resume>),
}

/// A well mixed number from a seed and a count (splitmix64).
pub(super) fn mix(seed: u64, count: u64) -> u64 {
    let mut z = seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Broker {
    pub(super) fn on_connect(&mut self, link: LinkId, mut connect: Box<Connect>, out: &mut Effects) {
        if connect.name.as_str().is_empty() {
            match (&connect.name, connect.clean) {
                // A server may give a name to a client without one, if it starts clean ([MQTT-3.1.3-6]).
                (SessionName::Client(_), true) => connect.name = self.new_name(),
                // [MQTT-3.1.3-8]
                (SessionName::Client(_), false) | (SessionName::Endpoint(_) | SessionName::Service(_), _) => {
                    let remote = connect.credentials.remote;
                    return self.refuse(link, connect.name, RefuseReason::IdentifierRejected, remote, out);
                }
            }
        }
        let limits = &self.ledger.limits;
        let will_too_large = match &connect.will {
            ConnectWill::Set(will) => will.message.cost() > limits.will_bytes_max,
            ConnectWill::None | ConnectWill::KeepStored => false,
        };
        let reason = if connect.name.as_str().len() > limits.client_id_bytes_max
            || connect.keep_alive > limits.keep_alive_max
        {
            Some(RefuseReason::IdentifierRejected)
        } else if will_too_large {
            Some(RefuseReason::NotAuthorized)
        } else {
            None
        };
        if let Some(reason) = reason {
            let remote = connect.credentials.remote;
            return self.refuse(link, connect.name, reason, remote, out);
        }
        if self.authentication {
            let (name, credentials) = (connect.name.clone(), connect.credentials.clone());
            self.ask(link, name, credentials, PendingAttach::Connect(connect), out);
        } else {
            self.attach(link, *connect, out);
        }
    }

    fn new_name(&mut self) -> SessionName {
        loop {
            self.next_name += 1;
            let name =
                SessionName::Client(Arc::from(format!("auto-{:016x}", mix(!self.seed, self.next_name))));
            if self.sessions.find(&name).is_none() {
                return name;
            }
        }
    }

    /// Has the credentials checked before the attach goes on.
    pub(super) fn ask(
        &mut self,
        link: LinkId,
        name: SessionName,
        credentials: Credentials,
        pending: PendingAttach,
        out: &mut Effects,
    ) {
        if self.pending.len() + self.attached >= self.ledger.limits.connections_max {
            return self.refuse(link, name, RefuseReason::Busy, credentials.remote, out);
        }
        self.pending.insert(link, pending);
        out.asks.push(Ask::Authenticate { link, name, credentials });
    }

    pub(super) fn on_authenticated(
        &mut self,
        link: LinkId,
        answer: Result<(), RefuseReason>,
        out: &mut Effects,
    ) {
        // Nobody waits any more: the client has gone meanwhile.
        let Some(pending) = self.pending.remove(&link) else { return };
        match (pending, answer) {
            (PendingAttach::Connect(connect), Ok(())) => self.attach(link, *connect, out),
            (PendingAttach::Resume(resume), Ok(())) => self.resume(link, *resume, out),
            (PendingAttach::Connect(connect), Err(reason)) => {
                self.refuse(link, connect.name, reason, connect.credentials.remote, out);
            }
            (PendingAttach::Resume(resume), Err(reason)) => {
                self.refuse(link, resume.name, reason, resume.credentials.remote, out);
            }
        }
    }

    pub(super) fn refuse(
        &mut self,
        link: LinkId,
        name: SessionName,
        reason: RefuseReason,
        remote: Option<SocketAddr>,
        out: &mut Effects,
    ) {
        if let Some(slot) = self.links.session(link) {
            self.detach(slot, Ending::Abnormal, out);
        }
        self.links.end(link);
        self.ledger.counters.connects_refused += 1;
        out.notices.push(Notice::Refused { name, reason, remote });
        out.events.push((link, FromBroker::Refused(reason)));
    }

    /// Sees to it that `link` is free for the session in `slot` (or a new one), and that there is room for one more.
    pub(super) fn leave_for(&mut self, link: LinkId, slot: Option<Slot>, out: &mut Effects) -> bool {
        let own = self.links.session(link);
        let replaces =
            slot.and_then(|slot| self.sessions.get(slot)).is_some_and(|session| session.link.is_some());
        if !Links::acceptable(link)
            || (!replaces && own.is_none() && self.attached >= self.ledger.limits.connections_max)
        {
            return false;
        }
        if let Some(own) = own
            && Some(own) != slot
        {
            // Another name on the same link: the former client is gone without a word.
            self.detach(own, Ending::Abnormal, out);
        }
        true
    }

    fn attach(&mut self, link: LinkId, connect: Connect, out: &mut Effects) {
        let existing = self.sessions.find(&connect.name);
        if !self.leave_for(link, existing, out) {
            return self.refuse(link, connect.name, RefuseReason::Busy, connect.credentials.remote, out);
        }
        let kept = existing.and_then(|slot| self.take_over(link, slot, &connect, out));
        let slot = match kept {
            Some(slot) => slot,
            None => self.new_session(&connect),
        };
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let before = (session.protocol, session.queue_qos0, session.will_is_session_state);
        session.protocol = connect.protocol;
        session.clean = connect.clean;
        session.durable = !connect.clean;
        session.queue_qos0 = connect.queue_qos0;
        session.will_is_session_state = connect.will_is_session_state;
        session.keep_alive = connect.keep_alive;
        session.flow = Flow::Active;
        session.deadline = Instant::FAR_FUTURE;
        session.was_attached = false;
        session.since_unix_ms = self.ledger.now.unix_ms;
        session.take_link(link, connect.window, connect.credit, &connect.credentials);
        if session.records(&self.ledger) {
            let after = (session.protocol, session.queue_qos0, session.will_is_session_state);
            if kept.is_none() || before != after {
                out.records.push(session.opened());
            }
            out.records.push(Record::Attached { session: session.id });
        }
        match connect.will {
            ConnectWill::Set(will) => session.set_will(&self.ledger, out, Some(will)),
            ConnectWill::None => session.set_will(&self.ledger, out, None),
            ConnectWill::KeepStored => session.arm_will(),
        }
        for received in session.incoming.iter_mut().flat_map(|incoming| incoming.iter_mut()) {
            received.answer = false; // PUBCOMP is for who asks on this link
        }
        session.resend_all();
        let present = kept.is_some();
        out.events.push((link, session.connack(present)));
        out.notices.push(Notice::Attached {
            name: session.name.clone(),
            protocol: session.protocol,
            remote: connect.credentials.remote,
            session_present: present,
        });
        session.pump(&mut self.ledger, out);
        let own = session.name.is_own();
        self.links.attach(link, slot);
        self.count_attached(own);
        self.watch.note_link(slot);
    }

    pub(super) fn count_attached(&mut self, own: bool) {
        let counters = &mut self.ledger.counters;
        if own {
            self.attached_own += 1;
            return;
        }
        self.attached += 1;
        counters.connects += 1;
        counters.clients_maximum = counters.clients_maximum.max(self.attached as u64);
    }

    /// Ends what is there under this name as far as the newcomer demands. `None`: nothing of it is left, or goes on.
    fn take_over(&mut self, link: LinkId, slot: Slot, connect: &Connect, out: &mut Effects) -> Option<Slot> {
        let session = self.sessions.get_mut(slot)?;
        let was_active = session.link.is_some() && session.flow == Flow::Active;
        let mut will = None;
        let publishes = match connect.takeover_will {
            TakeoverWill::Publish => true,
            TakeoverWill::PublishIfClean => connect.clean,
            TakeoverWill::Keep => false,
        };
        if was_active && publishes {
            will = session.end_will(&self.ledger, out);
        }
        match session.link.take() {
            Some(old) => {
                *attached_of(&session.name, &mut self.attached, &mut self.attached_own) -= 1;
                if old != link {
                    self.links.end(old);
                    self.ledger.counters.takeovers += 1;
                    out.events.push((old, FromBroker::Closed(CloseReason::TakenOver))); // [MQTT-3.1.4-2]
                    let (name, remote) = (session.name.clone(), connect.credentials.remote);
                    out.notices.push(Notice::TakenOver { name, remote });
                }
            }
            None if session.flow == Flow::Offline => self.offline -= 1,
            None => {} // asleep since before a restart
        }
        session.ground_flight();
        session.flow = Flow::Active; // not counted as offline any more
        session.credit = 0; // what comes now waits for the new link
        let kept = !connect.clean && !session.clean;
        let will = self.allowed_will(slot, will);
        if !kept {
            self.end_session(slot, out); // [MQTT-3.1.2-6]
        }
        self.publish_will(will, out);
        kept.then_some(slot)
    }

    fn new_session(&mut self, connect: &Connect) -> Slot {
        let id = SessionId(self.next_session);
        self.next_session += 1;
        let first_packet_id = self.first_packet_id(connect.protocol, id);
        self.sessions.insert(Session::new(connect.name.clone(), id, connect.protocol, first_packet_id))
    }

    /// Where the packet ids of a session begin, and begin anew after a restart.
    pub(super) fn first_packet_id(&self, protocol: Protocol, id: SessionId) -> u16 {
        match protocol {
            // MQTT-SN: an id that a stranger cannot guess (its answer validates the address).
            Protocol::MqttSn => u16::try_from(mix(self.seed, id.0) & 0xffff).unwrap_or(1),
            Protocol::Mqtt | Protocol::Lwm2m | Protocol::Internal => 1,
        }
    }

    /// The link ends by its own wish, or since its client is lost.
    pub(super) fn detach(&mut self, slot: Slot, ending: Ending, out: &mut Effects) {
        self.end_attachment(slot, ending, None, out);
    }

    /// The attachment is over, badly: will, and Closed where there is a link.
    pub(super) fn lose(&mut self, slot: Slot, reason: Option<CloseReason>, out: &mut Effects) {
        self.end_attachment(slot, Ending::Abnormal, reason, out);
    }

    fn end_attachment(&mut self, slot: Slot, ending: Ending, close: Option<CloseReason>, out: &mut Effects) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        session.ground_flight();
        session.credit = 0;
        let will = session.end_will(&self.ledger, out);
        if let Some(link) = session.link.take() {
            *attached_of(&session.name, &mut self.attached, &mut self.attached_own) -= 1;
            self.links.end(link);
            out.notices.push(Notice::Detached { name: session.name.clone(), ending });
            if let Some(reason) = close {
                out.events.push((link, FromBroker::Closed(reason)));
            }
        }
        self.watch.note_link(slot);
        let clean = session.clean;
        let will = match ending {
            Ending::Clean => None, // [MQTT-3.14.4-3]
            Ending::Abnormal => self.allowed_will(slot, will),
        };
        if clean {
            self.end_session(slot, out);
        } else {
            self.go_offline(slot, out);
        }
        self.publish_will(will, out);
    }

    fn go_offline(&mut self, slot: Slot, out: &mut Effects) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        session.flow = Flow::Offline;
        session.sleep_ms = 0;
        session.since_unix_ms = self.ledger.now.unix_ms;
        if !session.queue_qos0.offline {
            session.drop_qos0(&mut self.ledger, out);
        }
        session.record_waiting(&self.ledger, out);
        if session.records(&self.ledger) {
            let (session, since_unix_ms) = (session.id, session.since_unix_ms);
            out.records.push(Record::Detached { session, since_unix_ms });
        }
        session.start_expiry(&mut self.ledger);
        session.replay_into_queue(&mut self.ledger);
        self.count_offline(slot);
        self.evict_offline(out);
    }

    /// A session that is offline already takes its place among those: at start.
    pub(super) fn restore_offline(&mut self, slot: Slot) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        session.start_expiry(&mut self.ledger);
        self.count_offline(slot);
    }

    fn count_offline(&mut self, slot: Slot) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        self.offline += 1;
        self.offline_places = self.offline_places.wrapping_add(1);
        session.offline_place = self.offline_places;
        self.offline_order.push_back((slot, session.id, self.offline_places));
    }

    /// Ends those longest offline while there are too many.
    pub(super) fn evict_offline(&mut self, out: &mut Effects) {
        while self.offline > self.ledger.limits.offline_sessions_max {
            let Some(oldest) = self.offline_order.pop_front() else { break };
            if self.is_offline_at(oldest) {
                self.ledger.counters.sessions_evicted += 1;
                self.end_session(oldest.0, out);
            }
        }
        if self.offline_order.len() > 2 * self.offline + 64 {
            // Most have come back: keep the list as long as what it stands for.
            let mut order = std::mem::take(&mut self.offline_order);
            order.retain(|place| self.is_offline_at(*place));
            self.offline_order = order;
        }
    }

    /// The session has not come back since it took this place.
    fn is_offline_at(&self, (slot, id, place): (Slot, SessionId, u32)) -> bool {
        self.sessions.get(slot).is_some_and(|session| {
            session.id == id && session.flow == Flow::Offline && session.offline_place == place
        })
    }

    /// An offline session's time is over.
    pub(super) fn expire_session(&mut self, slot: Slot, out: &mut Effects) {
        let Some(session) = self.sessions.get(slot) else { return };
        out.notices.push(Notice::SessionExpired { name: session.name.clone() });
        self.ledger.counters.sessions_expired += 1;
        self.end_session(slot, out);
    }

    /// The session and all that belongs to it is gone. It must have no link any more.
    pub(super) fn end_session(&mut self, slot: Slot, out: &mut Effects) {
        let Some(mut session) = self.sessions.remove(slot) else { return };
        if session.flow == Flow::Offline {
            self.offline -= 1;
        }
        session.drop_outgoing(&mut self.ledger, out);
        if let Some(incoming) = &mut session.incoming {
            incoming.drop_all(&mut self.ledger);
        }
        if session.records(&self.ledger) {
            out.records.push(Record::SessionEnded { session: session.id });
        }
        for held in std::mem::take(&mut session.subscriptions) {
            self.forget_subscription(slot, &held.filter);
        }
    }

    /// Ends the link of a session, as an administrator does: its will goes out. False: there is no such session with
    /// a link.
    pub fn kick(&mut self, now: crate::time::Now, name: &SessionName, out: &mut Effects) -> bool {
        self.ledger.now = now;
        let attached = self
            .sessions
            .find(name)
            .filter(|slot| self.sessions.get(*slot).is_some_and(|session| session.link.is_some()));
        if let Some(slot) = attached {
            self.lose(slot, Some(CloseReason::Kicked), out);
            self.finish_call(out);
        }
        attached.is_some()
    }

    /// Ends a session that has no link, with all that waits for it. False: there is none, or it has a link.
    pub fn close_offline(&mut self, now: crate::time::Now, name: &SessionName, out: &mut Effects) -> bool {
        self.ledger.now = now;
        let unattached = self
            .sessions
            .find(name)
            .filter(|slot| self.sessions.get(*slot).is_some_and(|session| session.link.is_none()));
        if let Some(slot) = unattached {
            self.end_session(slot, out);
            self.finish_call(out);
        }
        unattached.is_some()
    }

    /// The gateway stops: every link hears Closed, and what was cut into slices is done first.
    ///
    /// The will of an MQTT connection goes out: the connection ends without DISCONNECT ([MQTT-3.1.2-8]; Mosquitto
    /// does the same). Sessions whose will is their own (MQTT-SN) stay attached or asleep in the records, their wills
    /// armed: the restart gives them their full time again, a gateway's absence is nobody's death.
    pub fn shutdown(&mut self, now: crate::time::Now, out: &mut Effects) {
        self.ledger.now = now;
        self.finish_routing(out);
        let slots = self.sessions.slots();
        let mut wills = Vec::new();
        for slot in &slots {
            let Some(session) = self.sessions.get_mut(*slot) else { continue };
            if session.link.is_some() && !session.will_is_session_state && session.flow == Flow::Active {
                let will = session.end_will(&self.ledger, out);
                wills.extend(self.allowed_will(*slot, will));
            }
        }
        for will in wills {
            self.publish_will(Some(will), out);
        }
        self.finish_routing(out);
        for slot in slots {
            self.shut_down_link(slot, out);
        }
        for (link, _) in std::mem::take(&mut self.pending) {
            self.links.end(link);
            out.events.push((link, FromBroker::Closed(CloseReason::Shutdown)));
        }
        self.finish_call(out);
    }

    fn shut_down_link(&mut self, slot: Slot, out: &mut Effects) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let Some(link) = session.link.take() else { return };
        *attached_of(&session.name, &mut self.attached, &mut self.attached_own) -= 1;
        self.links.end(link);
        out.events.push((link, FromBroker::Closed(CloseReason::Shutdown)));
        session.ground_flight();
        let asleep = matches!(session.flow, Flow::Asleep | Flow::Draining);
        if asleep {
            session.flow = Flow::Asleep;
        } else if session.clean {
            self.end_session(slot, out);
        } else if session.will_is_session_state {
            // Recorded as attached; here it only waits for the end of the process.
            session.record_waiting(&self.ledger, out);
            session.flow = Flow::Offline;
            session.since_unix_ms = self.ledger.now.unix_ms;
            self.count_offline(slot);
        } else {
            self.go_offline(slot, out);
        }
    }
}

impl Session {
    /// The new link and who is behind it.
    pub(super) fn take_link(&mut self, link: LinkId, window: u16, credit: u32, credentials: &Credentials) {
        self.link = Some(link);
        self.window = window.max(1);
        self.credit = i32::try_from(credit).unwrap_or(i32::MAX);
        self.remote = Remote::new(credentials.remote);
        self.identity = (credentials.username.is_some() || credentials.proven.is_some()).then(|| {
            Box::new(Identity { username: credentials.username.clone(), proven: credentials.proven.clone() })
        });
    }

    pub(super) fn connack(&self, session_present: bool) -> FromBroker {
        FromBroker::Connack { session_present, memo: self.memo_bytes(), has_will: self.will.is_some() }
    }

    /// The session expiry counts from when it went offline.
    pub(super) fn start_expiry(&mut self, ledger: &mut Ledger) {
        let gone_for = ledger.now.unix_ms.saturating_sub(self.since_unix_ms);
        self.deadline = match ledger.limits.session_expiry {
            Some(expiry) => ledger.now.instant + expiry.saturating_sub(Duration::from_millis(gone_for)),
            None => Instant::FAR_FUTURE,
        };
        self.arm(ledger.now.instant, &mut ledger.timers);
    }
}

/// Which count an attached session of this name belongs to.
pub(super) fn attached_of<'a>(
    name: &SessionName,
    clients: &'a mut usize,
    own: &'a mut usize,
) -> &'a mut usize {
    if name.is_own() { own } else { clients }
}
