//! [`Outgoing`]: what is on its way to one device: the queue, what is in flight, the burst of a sleeper. Also the two
//! ends of a message's stay: dropping it, and telling its fate.
use super::inflight::Flight;
use super::ledger::Ledger;
use super::publish::Incoming;
use super::queue::{Queue, Waiting};
use super::replay::Replay;
use super::session::{Flow, Session};
use crate::link::{DropReason, Effects, Fate, MessageFate, SessionName};
use crate::message::{Message, QoS};
use crate::record::{QueueSeq, Record};
use crate::time::Instant;
use std::collections::VecDeque;

/// Who put a message into the queue by Enqueue, and wants to know what becomes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    pub(super) by: SessionName,
    pub(super) tag: u64,
}

/// The burst of a sleeper that woke.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Burst {
    /// Messages queued before this one belong to it; newcomers wait for the next.
    pub(super) mark: u64,
    /// How many may still go.
    pub(super) left: u32,
}

/// What is on its way to one device.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) queue: Queue,
    pub(super) flight: Flight,
    pub(super) burst: Burst,
    /// The earliest expiry of a message in it; may be too early, never too late.
    pub(super) first_expiry: Instant,
    /// Subscriptions whose retained messages are still to come.
    pub(super) replays: VecDeque<Replay>,
}

impl Default for Outgoing {
    fn default() -> Self {
        Outgoing {
            queue: Queue::default(),
            flight: Flight::default(),
            burst: Burst::default(),
            first_expiry: Instant::FAR_FUTURE,
            replays: VecDeque::new(),
        }
    }
}

impl Outgoing {
    /// Nothing is on its way: the session can do without it.
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.flight.is_empty() && self.replays.is_empty()
    }

    /// As new, but for room for a few messages, which whoever uses it next will need.
    fn clear(&mut self) {
        self.queue.shrink();
        self.flight.clear();
        self.burst = Burst::default();
        self.first_expiry = Instant::FAR_FUTURE;
        self.replays = VecDeque::new();
    }

    /// Messages that wait, given-up ones included.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len() + self.flight.parked()
    }

    /// Their bytes.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.queue.bytes() + self.flight.parked_bytes()
    }
}

/// Empty [`Outgoing`]s and [`Incoming`]s for whoever needs the next one: idle sessions hold none, and busy ones do not allocate for
/// each message. Last in, first out, so that a few of them serve all, and stay in the caches.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "boxes change hands whole, without a copy of what is in them")]
pub(super) struct Spares {
    outgoing: Vec<Box<Outgoing>>,
    incoming: Vec<Box<Incoming>>,
}

/// More are given back to the system: as many as sessions have messages on their way within one round.
const SPARES_MAX: usize = 256;

impl Spares {
    fn take(&mut self) -> Box<Outgoing> {
        self.outgoing.pop().unwrap_or_default()
    }

    fn put(&mut self, mut spare: Box<Outgoing>) {
        if self.outgoing.len() < SPARES_MAX {
            spare.clear();
            self.outgoing.push(spare);
        }
    }

    pub(super) fn take_incoming(&mut self) -> Box<Incoming> {
        self.incoming.pop().unwrap_or_default()
    }

    /// Takes an empty one.
    pub(super) fn put_incoming(&mut self, spare: Box<Incoming>) {
        if self.incoming.len() < SPARES_MAX {
            self.incoming.push(spare);
        }
    }
}

impl Session {
    /// What carries messages to the device, made when first needed.
    #[inline]
    pub(super) fn outgoing_mut(&mut self, ledger: &mut Ledger) -> &mut Outgoing {
        self.outgoing.get_or_insert_with(|| ledger.spares.take())
    }

    /// Gives the memory back of what carries messages, when none is on its way. To be called where one may have been
    /// the last.
    #[inline]
    pub(super) fn tidy_outgoing(&mut self, ledger: &mut Ledger) {
        if let Some(idle) = self.outgoing.take_if(|outgoing| outgoing.is_idle()) {
            ledger.spares.put(idle);
        }
    }

    /// A message is gone from the queue or from flight: books, record, fate.
    pub(super) fn gone(&self, ledger: &mut Ledger, out: &mut Effects, gone: Gone, fate: MessageFate) {
        if let Some(message) = &gone.message {
            ledger.let_go(message.cost());
        }
        if gone.recorded && ledger.recording {
            out.records.push(Record::Removed { session: self.id, seq: QueueSeq(gone.seq) });
        }
        if let MessageFate::Dropped(reason) = fate {
            ledger.counters.drops.add(reason);
        } else if fate == MessageFate::Expired {
            ledger.counters.drops.add(DropReason::Expired);
        }
        self.tell(ledger, gone.asked, gone.message, fate);
    }

    /// Tells the asker, if there is one, what became of its message.
    pub(super) fn tell(
        &self,
        ledger: &mut Ledger,
        asked: Option<Box<Asked>>,
        message: Option<Message>,
        fate: MessageFate,
    ) {
        if let (Some(asked), Some(message)) = (asked, message) {
            let told = Fate { tag: asked.tag, session: self.name.clone(), message, fate };
            ledger.fates.push((asked.by, told));
        }
    }

    /// Drops everything on its way: the session ends.
    pub(super) fn drop_outgoing(&mut self, ledger: &mut Ledger, out: &mut Effects) {
        let Some(mut outgoing) = self.outgoing.take() else { return };
        // SessionEnded says it all; single records are not needed.
        let unrecorded = |mut gone: Gone| {
            gone.recorded = false;
            gone
        };
        let fate = MessageFate::Dropped(DropReason::SessionEnded);
        for flying in outgoing.flight.take_all() {
            // What PUBREC has come for was delivered: its end is no loss.
            let fate = if flying.released { MessageFate::Delivered } else { fate };
            self.gone(ledger, out, unrecorded(flying.into()), fate);
        }
        while let Some(waiting) = outgoing.queue.pop() {
            self.gone(ledger, out, unrecorded(waiting.into()), fate);
        }
    }

    /// Drops the QoS 0 messages that wait: an offline (or sleeping) session that keeps none. What was put there by
    /// Enqueue stays: somebody waits for its fate.
    pub(super) fn drop_qos0(&mut self, ledger: &mut Ledger, out: &mut Effects) {
        let Some(outgoing) = &mut self.outgoing else { return };
        let mut dropped = outgoing.queue.take_qos0(|waiting| waiting.asked.is_none());
        for waiting in dropped.drain(..) {
            self.gone(ledger, out, waiting.into(), MessageFate::Dropped(DropReason::Offline));
        }
        self.tidy_outgoing(ledger);
    }

    /// Messages whose time is over end, unless they are with the device.
    pub(super) fn expire_messages(&mut self, ledger: &mut Ledger, out: &mut Effects) {
        let now = ledger.now.instant;
        let Some(outgoing) = &mut self.outgoing else { return };
        let mut expired: Vec<Gone> = outgoing.flight.take_expired(now).into_iter().map(Gone::from).collect();
        expired.extend(outgoing.queue.take_expired(now).into_iter().map(Gone::from));
        outgoing.first_expiry = outgoing.queue.first_expiry().min(outgoing.flight.first_expiry(now));
        for gone in expired {
            self.gone(ledger, out, gone, MessageFate::Expired);
        }
        self.pump(ledger, out); // the end of a burst may have waited for them
    }

    /// What waits is to be recorded from now on (the session became durable, or went offline with QoS 0 messages that
    /// only waited for credit), in the order of the queue.
    pub(super) fn record_waiting(&mut self, ledger: &Ledger, out: &mut Effects) {
        if !self.records(ledger) {
            return;
        }
        let id = self.id;
        let Some(outgoing) = &mut self.outgoing else { return };
        outgoing.flight.record_all(id, ledger, out);
        outgoing.queue.record_all(id, ledger, out);
    }

    /// Whether QoS 0 messages that have to wait are recorded: those that wait for credit will be gone in a moment.
    pub(super) fn records_qos0(&self) -> bool {
        self.flow != Flow::Active
    }
}

/// A message that leaves the queue or flight for good.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) seq: u64,
    pub(super) message: Option<Message>,
    pub(super) asked: Option<Box<Asked>>,
    pub(super) recorded: bool,
}

impl From<Waiting> for Gone {
    fn from(waiting: Waiting) -> Gone {
        Gone {
            seq: waiting.seq,
            message: Some(waiting.message),
            asked: waiting.asked,
            recorded: waiting.recorded,
        }
    }
}

/// The record of a message that waits.
pub(super) fn queued_record(
    session: crate::record::SessionId,
    seq: u64,
    content: (&Message, QoS, bool),
    expires_unix_ms: u64,
    asked: Option<&Asked>,
) -> Record {
    let (message, qos, retain) = content;
    Record::Queued {
        session,
        seq: QueueSeq(seq),
        message: message.clone(),
        qos,
        retain,
        expires_unix_ms,
        asked: asked.map(|asked| (asked.by.clone(), asked.tag)),
    }
}
