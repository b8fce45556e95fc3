//! Long random runs of all verbs over several clients, with crashes: what was acknowledged is there, whatever the
//! moment; QoS 2 comes once; order holds; the records give back the durable state after every single commit.
//!
//! The clients are honest MQTT and MQTT-SN clients that lose their links, sleep, forget to acknowledge, and repeat
//! what was not acknowledged. A crash keeps the commits and loses everything else, and with it, sometimes, the
//! events of the last commit.
mod play;

use super::super::attach::mix;
use super::*;
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};

const STEPS: usize = 400;
const SEEDS: u64 = 60;
struct Dice {
    seed: u64,
    count: u64,
}

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.count += 1;
        (mix(self.seed, self.count) % n as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// A message's name: `<publisher>:<number>`.
type Text = String;

#[derive(Debug)]
struct Sending {
    packet_id: PacketId,
    message: Message,
    released: bool,
    /// PUBREL was sent once.
    routed: bool,
}

/// A client and what it knows.
struct Client {
    id: String,
    sn: bool,
    clean: bool,
    generation: u16,
    connected: bool,
    asleep: bool,
    parked_once: bool,
    /// It was in a shared group: second copies come by that way.
    shared_once: bool,
    /// Acknowledgements not sent yet.
    owed: VecDeque<ToBroker>,
    credit_owed: u32,
    /// QoS 2 ids received and not released.
    unreleased: BTreeSet<PacketId>,
    /// What it received, first copies only.
    got: BTreeSet<Text>,
    order: BTreeMap<(String, String, QoS, QoS), usize>,
    /// What every publisher had sent when this client subscribed last. An older message may come late: routed before
    /// the subscription, and again behind newer ones when its publisher repeats it.
    subscribed_at: Vec<usize>,
    got_qos2: BTreeSet<Text>,
    sending: VecDeque<Sending>,
    next_packet_id: PacketId,
    sent: usize,
    filters: BTreeMap<&'static str, QoS>,
    /// Acknowledged to their publishers, not acknowledged by this client: the broker must have them.
    expected: BTreeSet<Text>,
    /// In the model's view there is a session.
    session: bool,
    memo: Option<Bytes>,
    stored_memo: Vec<u8>,
}

struct World {
    seed: u64,
    dice: Dice,
    broker: Broker,
    now: Now,
    clients: Vec<Client>,
    records: Vec<Record>,
    /// Who will have to have a message once it is acknowledged.
    candidates: BTreeMap<Text, BTreeSet<usize>>,
    fates: BTreeMap<u64, usize>,
    next_tag: u64,
    crashes: usize,
    /// A client whose link broke just now: it hears nothing of this call.
    deaf: Option<usize>,
    limits: Limits,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice { seed, count: 0 };
        let limits = Limits {
            slice_deliveries: 1 + dice.below(4),
            backlog_max: 1 + dice.below(8),
            overlapping_each: false,
            ..Limits::default()
        };
        let mut broker = Broker::new(limits.clone(), seed);
        broker.set_recording(true);
        let client = |(at, (sn, clean)): (usize, (bool, bool))| Client {
            id: format!("c{at}"),
            sn,
            clean,
            generation: 0,
            connected: false,
            asleep: false,
            parked_once: false,
            shared_once: false,
            owed: VecDeque::new(),
            credit_owed: 0,
            unreleased: BTreeSet::new(),
            got: BTreeSet::new(),
            order: BTreeMap::new(),
            subscribed_at: Vec::new(),
            got_qos2: BTreeSet::new(),
            sending: VecDeque::new(),
            next_packet_id: pid(1),
            sent: 0,
            filters: BTreeMap::new(),
            expected: BTreeSet::new(),
            session: false,
            memo: None,
            stored_memo: Vec::new(),
        };
        let kinds =
            [(false, false), (false, false), (false, true), (true, false), (true, true), (false, false)];
        World {
            seed,
            dice,
            broker,
            now: Now::new(Instant::from_millis(5_000_000_000), 1_700_000_000_000),
            clients: kinds.into_iter().enumerate().map(client).collect(),
            records: Vec::new(),
            candidates: BTreeMap::new(),
            fates: BTreeMap::new(),
            next_tag: 1,
            crashes: 0,
            deaf: None,
            limits,
        }
    }

    fn link(&self, at: usize) -> LinkId {
        LinkId { generation: self.clients[at].generation, ..link(at as u32) }
    }

    /// One call of the broker, its commit, the checks of the cut behind it, and its events. `lost`: the process dies
    /// after the commit, before any event leaves.
    fn call(&mut self, lost: bool, call: impl FnOnce(&mut Broker, Now, &mut Effects)) {
        let mut out = Effects::default();
        let before = self.broker.snapshot();
        call(&mut self.broker, self.now, &mut out);
        let after = self.broker.snapshot();
        if out.records.is_empty() {
            assert_eq!(before, after, "seed {}: a durable change without a record", self.seed);
        } else {
            self.records.append(&mut out.records);
            let restored = Broker::restore(self.limits.clone(), 9, self.now, self.records.iter().cloned());
            assert_eq!(restored.snapshot(), after, "seed {}: replayed (left), live (right)", self.seed);
        }
        if lost {
            return;
        }
        for (link, event) in out.events {
            self.hear(link, event);
        }
        self.check_acknowledged(&after);
    }

    fn say(&mut self, at: usize, request: ToBroker) {
        let link = self.link(at);
        self.call(false, |broker, now, out| broker.handle(now, link, request, out));
    }

    /// All that was acknowledged is in the durable state.
    fn check_acknowledged(&self, durable: &crate::broker::Snapshot) {
        for client in &self.clients {
            let lasting = client.session && (!client.clean || client.asleep);
            let stored = durable.sessions.get(&name(&client.id));
            assert_eq!(stored.is_some(), lasting, "seed {}: session of {}", self.seed, client.id);
            let Some(stored) = stored else { continue };
            let held: BTreeSet<&[u8]> =
                stored.held.values().filter_map(|held| Some(held.message.as_ref()?.payload())).collect();
            for text in &client.expected {
                assert!(held.contains(text.as_bytes()), "seed {}: {} lost {text}", self.seed, client.id);
            }
            let filters: BTreeMap<&str, QoS> =
                stored.subscriptions.iter().map(|(filter, qos)| (filter.as_str(), *qos)).collect();
            assert_eq!(filters, client.filters, "seed {}: subscriptions of {}", self.seed, client.id);
            assert_eq!(stored.memo, client.stored_memo, "seed {}: memo of {}", self.seed, client.id);
        }
    }

    fn hear(&mut self, link: LinkId, event: FromBroker) {
        let at = link.slot as usize;
        if self.link(at) != link || self.deaf == Some(at) {
            return;
        }
        let seed = self.seed;
        let client = &mut self.clients[at];
        match event {
            FromBroker::Publish(delivery) => self.receive(at, delivery),
            FromBroker::Puback { packet_id, outcome } => {
                assert_eq!(outcome, PublishOutcome::Accepted);
                if let Some(at) = client.sending.iter().position(|sending| sending.packet_id == packet_id) {
                    let text = text_of(&client.sending.remove(at).expect("found").message);
                    self.acknowledged(&text);
                }
            }
            FromBroker::Pubrec { packet_id, outcome } => {
                assert_eq!(outcome, PublishOutcome::Accepted);
                if let Some(sending) =
                    client.sending.iter_mut().find(|sending| sending.packet_id == packet_id)
                {
                    sending.released = true;
                    client.owed.push_back(ToBroker::Pubrel(packet_id));
                }
            }
            FromBroker::Pubcomp(packet_id) => {
                if let Some(at) = client.sending.iter().position(|sending| sending.packet_id == packet_id) {
                    let text = text_of(&client.sending.remove(at).expect("found").message);
                    self.acknowledged(&text);
                }
            }
            FromBroker::Pubrel(packet_id) => {
                client.unreleased.remove(&packet_id);
                client.owed.push_back(ToBroker::Pubcomp(packet_id));
            }
            FromBroker::Connack { session_present, memo, .. } => {
                assert_eq!(session_present, client.session && !client.clean, "seed {seed}: {}", client.id);
                assert_eq!(memo[..], if session_present { client.stored_memo.clone() } else { Vec::new() });
                if !session_present {
                    self.forget(at);
                }
                self.clients[at].session = true;
            }
            FromBroker::Closed(reason) => {
                client.connected = false;
                client.asleep = false;
                match reason {
                    CloseReason::SleepExpired | CloseReason::Kicked if client.clean => self.forget(at),
                    CloseReason::SleepExpired | CloseReason::Kicked => {}
                    CloseReason::TakenOver | CloseReason::Shutdown | CloseReason::Protocol => {
                        panic!("seed {seed}: {reason:?}")
                    }
                }
            }
            FromBroker::MemoStored { accepted, .. } => {
                assert!(accepted);
                client.stored_memo = client.memo.take().expect("asked for").to_vec();
            }
            FromBroker::Fate(fate) => {
                let told = self.fates.get_mut(&fate.tag).expect("an Enqueue was made");
                *told += 1;
                assert_eq!(*told, 1, "seed {seed}: {fate:?} told twice");
            }
            FromBroker::Suback { granted, .. } => assert!(granted.iter().all(Option::is_some)),
            FromBroker::Unsuback { .. } | FromBroker::Drained | FromBroker::WillUpdated { .. } => {}
            FromBroker::Refused(_) | FromBroker::PublishRefused { .. } | FromBroker::Restored(_) => {
                panic!("seed {seed}: {event:?}")
            }
        }
    }

    fn receive(&mut self, at: usize, delivery: Delivery) {
        let seed = self.seed;
        let held_up = self.dice.chance(10);
        let client = &mut self.clients[at];
        let text = text_of(&delivery.message);
        client.credit_owed += (delivery.message.cost() + DELIVERY_OVERHEAD) as u32;
        if let (true, true, Some(packet_id)) = (held_up && client.sn, !delivery.dup, delivery.packet_id) {
            // It never leaves the front-end, whose REGISTER is not answered.
            client.parked_once = true;
            client.owed.extend([ToBroker::Unsent(packet_id), ToBroker::Park(packet_id)]);
            return;
        }
        let mut first_copy = true;
        match (delivery.qos, delivery.packet_id) {
            (Q0, None) => {}
            (Q1, Some(packet_id)) => client.owed.push_back(ToBroker::Puback(packet_id)),
            (Q2, Some(packet_id)) => {
                first_copy = client.unreleased.insert(packet_id);
                assert!(first_copy || delivery.dup, "seed {seed}: id {packet_id:?} used again in flight");
                client.owed.push_back(ToBroker::Pubrec(packet_id));
                if first_copy && !delivery.retain && !client.shared_once && !text.starts_with("will") {
                    assert!(
                        client.got_qos2.insert(text.clone()),
                        "seed {seed}: {} got {text} twice",
                        client.id
                    );
                }
            }
            (qos, packet_id) => panic!("seed {seed}: {qos:?} with {packet_id:?}"),
        }
        if delivery.retain
            || text.starts_with("will")
            || text.starts_with("cmd")
            || text.is_empty()
            || !first_copy
        {
            return;
        }
        // Order, per publisher, topic and QoS, of first copies ([MQTT-4.6.0-5], [MQTT-4.6.0-6]).
        let (publisher, number) = text.split_once(':').expect("our own texts");
        let number: usize = number.parse().expect("our own texts");
        let new = client.got.insert(format!("{text} {:?}", delivery.qos));
        let from: usize = publisher[1..].parse().expect("our own names");
        // At QoS 0 the first copy may have been lost, and a repeat of the publisher's then comes behind newer ones.
        let repeat = delivery.qos == Q0 && delivery.message.qos() == Q1;
        let old = repeat || client.subscribed_at.get(from).is_some_and(|sent| number <= *sent);
        if new && !client.parked_once && !client.shared_once && !old {
            let key = (
                publisher.to_owned(),
                delivery.message.topic().to_owned(),
                delivery.message.qos(),
                delivery.qos,
            );
            let last = client.order.insert(key, number).unwrap_or(0);
            assert!(last < number, "seed {seed}: {} got {text} after {last}", client.id);
        }
    }

    /// The publisher has its ack.
    fn acknowledged(&mut self, text: &Text) {
        for at in self.candidates.remove(text).unwrap_or_default() {
            self.clients[at].expected.insert(text.clone());
        }
    }

    /// The session is gone.
    fn forget(&mut self, at: usize) {
        for candidates in self.candidates.values_mut() {
            candidates.remove(&at);
        }
        let client = &mut self.clients[at];
        client.session = false;
        client.unreleased.clear();
        client.sending.clear();
        client.filters.clear();
        client.expected.clear();
        client.stored_memo.clear();
        client.got_qos2.clear();
        client.owed.clear();
        client.order.clear();
        client.got.clear();
    }
}

fn text_of(message: &Message) -> Text {
    String::from_utf8(message.payload().to_vec()).expect("our own texts")
}

#[test]
fn whatever_was_acknowledged_survives_a_crash_at_any_commit() {
    let mut crashes = 0;
    for seed in 1..=SEEDS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.settle();
        crashes += world.crashes;
        assert!(
            world.clients.iter().map(|client| client.got.len()).sum::<usize>() > 0,
            "seed {seed}: a dull run"
        );
    }
    assert!(crashes as u64 > SEEDS, "{crashes} crashes in all");
}
