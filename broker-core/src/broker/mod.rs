//! [`Broker`]: sessions, routes, retained messages and wills behind one door.
//!
//! Requests come in through [`Broker::handle`]; records and events go out through [`Effects`]. All work that a
//! request leads to is done in the call, but for fan-outs and retained messages that exceed a slice: those go on in
//! [`Broker::deliver`].
//!
//! | request | file |
//! |---|---|
//! | Connect, Authenticated, Disconnect | `attach.rs` |
//! | Publish, Pubrel | `publish.rs`, then `route.rs` |
//! | Puback, Pubrec, Pubcomp, Reject, Park | `inflight.rs` |
//! | Credit | `queue.rs` |
//! | Subscribe, Unsubscribe | `subscribe.rs`, then `replay.rs` |
//! | Pause, Drain, Wake, Resume | `sleep.rs` |
//! | Will | `will.rs` |
//! | Memo | `memo.rs` |
//! | Enqueue | `enqueue.rs` |
mod attach;
mod enqueue;
mod inflight;
mod ledger;
mod links;
mod memo;
mod outgoing;
mod publish;
mod queue;
mod replay;
mod restore;
mod retain;
mod route;
mod session;
mod sleep;
mod snapshot;
mod subscribe;
mod timers;
mod views;
mod watch;
mod will;

#[cfg(test)]
mod tests;

pub use snapshot::{SessionSnapshot, Snapshot};
pub use views::{BrokerStatus, LinkStatus, SessionView};

use crate::acl::Acl;
use crate::counters::Counters;
use crate::limits::Limits;
use crate::link::{CloseReason, Effects, Ending, FromBroker, LinkId, ToBroker};
use crate::message::Message;
use crate::record::SessionId;
use crate::routes::{Matches, Routes};
use crate::sys::SysTree;
use crate::time::Now;
use attach::{PendingAttach, mix};
use ledger::Ledger;
use links::{LinkState, Links};
use retain::RetainedStore;
use route::{Answer, Publication, Work};
use session::{Flow, Session, Sessions, Slot};
use std::collections::{BTreeMap, VecDeque};
use watch::Watch;

/// The broker: owns all sessions.
pub struct Broker {
    sessions: Sessions,
    links: Links,
    ledger: Ledger,
    routes: Routes,
    /// Who matches the topic at hand; kept to reuse its memory.
    matches: Matches,
    retained: RetainedStore,
    work: Work,
    /// Attachments that wait for the answer to an Authenticate.
    pending: BTreeMap<LinkId, PendingAttach>,
    /// Credentials are asked about; else everyone may attach.
    authentication: bool,
    seed: u64,
    next_session: u64,
    next_name: u64,
    attached: usize,
    /// Attached sessions of the gateway itself.
    attached_own: usize,
    offline: usize,
    /// Offline sessions, the longest gone first. May hold sessions that have come back since.
    offline_order: VecDeque<(Slot, SessionId, u32)>,
    offline_places: u32,
    /// Stored sessions that did not survive the restart: their end is yet to be recorded.
    not_restored: Vec<SessionId>,
    sys: SysTree,
    watch: Watch,
}

impl Broker {
    /// A broker without sessions. `seed` feeds hashing and random ids; the same seed and the same calls give the same
    /// effects.
    pub fn new(limits: Limits, seed: u64) -> Broker {
        Broker {
            sessions: Sessions::new(seed),
            links: Links::default(),
            routes: Routes::new(mix(seed, 0)),
            matches: Matches::new(),
            retained: RetainedStore::new(&limits),
            ledger: Ledger::new(limits),
            work: Work::default(),
            pending: BTreeMap::new(),
            authentication: false,
            seed,
            next_session: 1,
            next_name: 0,
            attached: 0,
            attached_own: 0,
            offline: 0,
            offline_order: VecDeque::new(),
            offline_places: 0,
            not_restored: Vec::new(),
            sys: SysTree::default(),
            watch: Watch::default(),
        }
    }

    pub(crate) fn sys_tree(&mut self) -> &mut SysTree {
        &mut self.sys
    }

    /// Handles one request of a front-end. Its records and events are added to `out`.
    pub fn handle(&mut self, now: Now, link: LinkId, request: ToBroker, out: &mut Effects) {
        self.ledger.now = now;
        match self.links.state(link) {
            LinkState::Attached(slot) => self.dispatch(slot, link, request, out),
            LinkState::Over => {
                // A link that is over stays over; its slot comes back with another generation.
                self.ledger.counters.stale_requests += 1;
            }
            LinkState::Unknown => self.first_request(link, request, out),
        }
        self.finish_call(out);
    }

    fn first_request(&mut self, link: LinkId, request: ToBroker, out: &mut Effects) {
        match request {
            ToBroker::Connect(connect) => self.on_connect(link, connect, out),
            ToBroker::Resume(resume) => self.on_resume(link, resume, out),
            ToBroker::Authenticated(answer) => self.on_authenticated(link, answer, out),
            ToBroker::Disconnect(_) => {
                // Gone before it was attached.
                if self.pending.remove(&link).is_some() {
                    self.links.end(link);
                }
            }
            ToBroker::Credit { .. } => {}
            ToBroker::Publish { .. }
            | ToBroker::Puback(_)
            | ToBroker::Pubrec(_)
            | ToBroker::Pubrel(_)
            | ToBroker::Pubcomp(_)
            | ToBroker::Reject(_)
            | ToBroker::Park(_)
            | ToBroker::Unsent(_)
            | ToBroker::Subscribe { .. }
            | ToBroker::Unsubscribe { .. }
            | ToBroker::Pause { .. }
            | ToBroker::Drain { .. }
            | ToBroker::Wake
            | ToBroker::Clean(_)
            | ToBroker::Will(_)
            | ToBroker::Memo { .. }
            | ToBroker::Enqueue(_) => self.close_protocol(link, out),
        }
    }

    fn dispatch(&mut self, slot: Slot, link: LinkId, request: ToBroker, out: &mut Effects) {
        match request {
            ToBroker::Publish { packet_id, dup: _, message } => {
                self.on_publish(slot, link, packet_id, message, out);
            }
            ToBroker::Pubrel(packet_id) => self.on_pubrel(slot, link, packet_id, out),
            ToBroker::Connect(connect) => self.on_connect(link, connect, out),
            ToBroker::Resume(resume) => self.on_resume(link, resume, out),
            ToBroker::Authenticated(answer) => self.on_authenticated(link, answer, out),
            ToBroker::Subscribe { packet_id, filters } => {
                self.on_subscribe(slot, link, packet_id, filters, out);
            }
            ToBroker::Unsubscribe { packet_id, filters } => {
                self.on_unsubscribe(slot, link, packet_id, &filters, out);
            }
            ToBroker::Disconnect(ending) => {
                self.pending.remove(&link);
                self.detach(slot, ending, out);
            }
            ToBroker::Pause { duration } => self.on_pause(slot, duration, out),
            ToBroker::Will(update) => self.on_will(slot, link, update, out),
            ToBroker::Memo { update, tag } => self.on_memo(slot, link, update, tag, out),
            ToBroker::Enqueue(enqueue) => self.on_enqueue(slot, *enqueue, out),
            ToBroker::Puback(id) => self.with(slot, |session, ledger| session.on_puback(ledger, out, id)),
            ToBroker::Pubrec(id) => self.with(slot, |session, ledger| session.on_pubrec(ledger, out, id)),
            ToBroker::Pubcomp(id) => self.with(slot, |session, ledger| session.on_pubcomp(ledger, out, id)),
            ToBroker::Reject(id) => self.with(slot, |session, ledger| session.on_reject(ledger, out, id)),
            ToBroker::Park(id) => self.with(slot, |session, ledger| session.on_park(ledger, out, id)),
            ToBroker::Unsent(id) => self.with(slot, |session, ledger| session.on_unsent(ledger, out, id)),
            ToBroker::Credit { bytes } => {
                self.with(slot, |session, ledger| session.on_credit(ledger, out, bytes))
            }
            ToBroker::Drain { max } => self.with(slot, |session, ledger| session.on_drain(ledger, out, max)),
            ToBroker::Wake => self.with(slot, |session, ledger| session.on_wake(ledger, out)),
            ToBroker::Clean(clean) => self.with(slot, |session, ledger| session.on_clean(ledger, out, clean)),
        }
    }

    /// Does what concerns one session only.
    #[inline]
    fn with(&mut self, slot: Slot, change: impl FnOnce(&mut Session, &mut Ledger)) {
        if let Some(session) = self.sessions.get_mut(slot) {
            change(session, &mut self.ledger);
        }
    }

    /// The link broke the contract.
    fn close_protocol(&mut self, link: LinkId, out: &mut Effects) {
        self.ledger.counters.protocol_closes += 1;
        self.pending.remove(&link);
        if let Some(slot) = self.links.session(link) {
            self.detach(slot, Ending::Abnormal, out);
        }
        self.links.end(link);
        out.events.push((link, FromBroker::Closed(CloseReason::Protocol)));
    }

    /// Goes on with fan-outs and retained messages that were cut into slices: at most `budget` deliveries. True when
    /// there is more; the driver calls again after other work had its turn.
    pub fn deliver(&mut self, now: Now, budget: usize, out: &mut Effects) -> bool {
        self.ledger.now = now;
        let left = self.go_on_routing(budget, out);
        self.go_on_replaying(left, out);
        self.finish_call(out);
        self.has_work()
    }

    /// Whether [`Broker::deliver`] has something to do.
    pub fn has_work(&self) -> bool {
        !self.work.is_empty() || !self.ledger.replays_ready.is_empty()
    }

    /// Publishes a message of the broker's own, or of the gateway's: no ACL, no acknowledgement.
    pub fn publish(&mut self, now: Now, message: Message, out: &mut Effects) {
        self.ledger.now = now;
        self.submit(Publication { message, answer: Answer::None }, out);
        self.finish_call(out);
    }

    /// What every call ends with.
    #[inline]
    fn finish_call(&mut self, out: &mut Effects) {
        if !self.ledger.fates.is_empty() {
            self.tell_fates(out);
        }
    }

    /// Whether durable changes are recorded. Off, no work is done for them. To be set before the first request.
    pub fn set_recording(&mut self, recording: bool) {
        self.ledger.recording = recording;
    }

    /// Whether credentials are to be checked: every attach then leads to an [`crate::link::Ask`].
    pub fn set_authentication(&mut self, authentication: bool) {
        self.authentication = authentication;
    }

    /// The access rules in force.
    pub fn acl(&self) -> &Acl {
        &self.ledger.acl
    }

    /// New access rules. They hold for what is published, subscribed and delivered from now on, messages already
    /// queued included.
    pub fn set_acl(&mut self, acl: Acl) {
        self.ledger.acl = acl;
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.ledger.limits
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.ledger.counters
    }

    /// New limits, after a reload. What exceeds them already stays until it goes by itself; a new session expiry
    /// counts for the sessions that are offline now, from when they went.
    pub fn set_limits(&mut self, now: Now, limits: Limits, out: &mut Effects) {
        self.ledger.now = now;
        let expiry_changed = limits.session_expiry != self.ledger.limits.session_expiry;
        self.retained.set_limits(&limits);
        self.ledger.limits = limits;
        if expiry_changed {
            for slot in self.sessions.slots() {
                let Some(session) = self.sessions.get_mut(slot) else { continue };
                if session.flow == Flow::Offline {
                    session.start_expiry(&mut self.ledger);
                }
            }
        }
        self.evict_offline(out);
        self.finish_call(out);
    }
}
