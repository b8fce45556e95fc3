//! Long random runs of all verbs over several clients, with crashes: what was acknowledged is there, whatever the
//! moment; QoS 2 comes once; order holds; the records give back the durable state after every single commit.
//!
//! The clients are honest MQTT and MQTT-SN clients that lose their links, sleep, forget to acknowledge, and repeat
//! what was not acknowledged. A crash keeps the commits and loses everything else, and with it, sometimes, the
//! events of the last commit.
use super::super::attach::mix;
use super::*;
use std::collections::{BTreeSet, VecDeque};

const STEPS: usize = 400;
const SEEDS: u64 = 60;
const FILTERS: [&str; 12] =
    ["t/1", "t/2", "t/+", "#", "$share/g/t/+", "u", "t/1", "t/2", "t/+", "#", "+/1", "u/#"];
const TOPICS: [&str; 3] = ["t/1", "t/2", "u"];

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

use bytes::Bytes;

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
        let client = &mut self.clients[at];
        let text = text_of(&delivery.message);
        client.credit_owed += (delivery.message.cost() + DELIVERY_OVERHEAD) as u32;
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
        let old = client.subscribed_at.get(from).is_some_and(|sent| number <= *sent);
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

    fn connect(&mut self, at: usize) {
        let seed = self.seed;
        let with_will = self.dice.chance(40);
        let (window, credit) = (1 + self.dice.below(4) as u16, [100, 100_000][self.dice.below(2)]);
        let client = &mut self.clients[at];
        client.generation += 1;
        client.connected = true;
        client.asleep = false;
        client.owed.clear();
        client.credit_owed = 0;
        if client.clean {
            // What a clean client had is gone with its next CONNECT at the latest.
            self.forget(at);
        }
        let client = &self.clients[at];
        let base =
            if client.sn { connect_sn(&client.id, client.clean) } else { connect(&client.id, client.clean) };
        let will = match with_will {
            true => ConnectWill::Set(will(
                "u",
                &format!("will {seed}"),
                self.dice.pick(&[Q0, Q1, Q2]),
                self.dice.chance(30),
            )),
            false if base.will_is_session_state && !client.clean => ConnectWill::KeepStored,
            false => ConnectWill::None,
        };
        let window = if client.sn { 1 } else { window };
        self.say(at, ToBroker::Connect(Box::new(Connect { will, window, credit, ..base })));
        self.send_again(at);
    }

    /// What was not acknowledged is sent again, in its order.
    fn send_again(&mut self, at: usize) {
        let again: Vec<(PacketId, Message, bool)> = self.clients[at]
            .sending
            .iter()
            .map(|sending| (sending.packet_id, sending.message.clone(), sending.released))
            .collect();
        for (packet_id, message, released) in again {
            if released {
                self.first_release(at, packet_id);
                self.say(at, ToBroker::Pubrel(packet_id));
            } else {
                if message.qos() == Q1 {
                    self.candidates_of(at, &message);
                }
                self.say(at, ToBroker::Publish { packet_id: Some(packet_id), dup: true, message });
            }
        }
    }

    /// Who must have this message once it is acknowledged: who subscribes now, and until then.
    fn candidates_of(&mut self, _publisher: usize, message: &Message) {
        let wants = |client: &Client| {
            client.session
                && client.filters.iter().any(|(filter, qos)| {
                    !filter.starts_with('$')
                        && *qos != Q0
                        && message.qos() != Q0
                        && TopicFilter::new(filter).unwrap().matches(message.topic_name())
                })
        };
        let who = (0..self.clients.len()).filter(|at| wants(&self.clients[*at])).collect();
        self.candidates.insert(text_of(message), who);
    }

    fn publish(&mut self, at: usize) {
        let (qos, retain) = (self.dice.pick(&[Q0, Q1, Q2]), self.dice.chance(20));
        let topic = self.dice.pick(&TOPICS);
        let client = &mut self.clients[at];
        if client.sending.len() >= 4 {
            return;
        }
        client.sent += 1;
        let text = format!("{}:{}", client.id, client.sent);
        let empty = retain && client.sent.is_multiple_of(3) && qos == Q0; // deletes the retained message
        let message = Message::new(topic, if empty { b"" } else { text.as_bytes() }, qos, retain);
        let packet_id = (qos != Q0).then_some(client.next_packet_id);
        if let Some(packet_id) = packet_id {
            client.next_packet_id = packet_id.next();
            client.sending.push_back(Sending {
                packet_id,
                message: message.clone(),
                released: false,
                routed: false,
            });
        }
        if qos == Q1 {
            self.candidates_of(at, &message);
        }
        let breaks = self.dice.chance(8);
        self.deaf = breaks.then_some(at);
        self.say(at, ToBroker::Publish { packet_id, dup: false, message });
        self.deaf = None;
        if breaks {
            self.disconnect(at);
        }
    }

    /// The client sends the next acknowledgement that it owes.
    fn acknowledge(&mut self, at: usize) {
        let Some(request) = self.clients[at].owed.pop_front() else { return };
        let park = self.clients[at].sn && self.dice.chance(10);
        let request = match request {
            ToBroker::Puback(packet_id) | ToBroker::Pubrec(packet_id) if park => {
                // Its acknowledgement never arrives: the front-end gives up.
                self.clients[at].parked_once = true;
                ToBroker::Park(packet_id)
            }
            other => other,
        };
        match &request {
            ToBroker::Puback(packet_id) | ToBroker::Pubrec(packet_id) => self.not_expected(at, *packet_id),
            ToBroker::Pubrel(packet_id) => {
                self.first_release(at, *packet_id);
            }
            _other => {}
        }
        self.say(at, request);
    }

    /// The first PUBREL routes a message; a repeated one does not.
    fn first_release(&mut self, at: usize, packet_id: PacketId) {
        let mut sending = self.clients[at].sending.iter_mut();
        let Some(sending) = sending.find(|sending| sending.packet_id == packet_id && !sending.routed) else {
            return;
        };
        sending.routed = true;
        let message = sending.message.clone();
        self.candidates_of(at, &message);
    }

    /// The client has the delivery of this id: the broker may forget it.
    fn not_expected(&mut self, at: usize, packet_id: PacketId) {
        let snapshot = self.broker.snapshot_of(&name(&self.clients[at].id));
        let held = snapshot.held.values().find(|held| held.packet_id == Some(packet_id));
        if let Some(message) = held.and_then(|held| held.message.as_ref()) {
            let text = text_of(message);
            // Another copy of the same message may be held: by a repeat of the publisher.
            self.clients[at].expected.remove(&text);
            if let Some(candidates) = self.candidates.get_mut(&text) {
                candidates.remove(&at);
            }
        }
    }

    fn crash(&mut self) {
        self.crashes += 1;
        self.broker = Broker::restore(self.limits.clone(), self.seed, self.now, self.records.iter().cloned());
        self.broker.set_recording(true);
        let mut out = Effects::default();
        self.broker.restored_events(&mut out);
        self.records.append(&mut out.records);
        for at in 0..self.clients.len() {
            let client = &mut self.clients[at];
            client.connected = false;
            client.owed.clear();
            client.generation += 1;
            client.memo = None;
            if client.clean && !client.asleep {
                self.forget(at);
            }
        }
        // Acknowledgements under way are lost: publishers ask again, and the expectation is made anew.
        self.candidates.clear();
        let restored = Broker::restore(self.limits.clone(), 9, self.now, self.records.iter().cloned());
        assert_eq!(restored.snapshot(), self.broker.snapshot(), "seed {}: a second crash", self.seed);
        // A memo whose event was lost may be stored or not: take the broker's word.
        for client in &mut self.clients {
            if client.session {
                client.stored_memo = self.broker.snapshot_of(&name(&client.id)).memo;
            }
        }
    }

    fn subscribe(&mut self, at: usize) {
        let (filter, qos) = (self.dice.pick(&FILTERS), self.dice.pick(&[Q0, Q1, Q2]));
        // A lower QoS than before takes away what was promised to no message yet.
        for candidates in self.candidates.values_mut() {
            candidates.remove(&at);
        }
        let sent = self.clients.iter().map(|client| client.sent).collect();
        self.clients[at].subscribed_at = sent;
        self.clients[at].shared_once |= filter.starts_with('$');
        self.clients[at].filters.insert(filter, qos);
        let filters = vec![SubscribeFilter { filter: TopicFilter::new(filter), qos }];
        self.say(at, ToBroker::Subscribe { packet_id: 1, filters });
    }

    fn unsubscribe(&mut self, at: usize) {
        let filter = self.dice.pick(&FILTERS);
        for candidates in self.candidates.values_mut() {
            candidates.remove(&at);
        }
        self.clients[at].filters.remove(filter);
        self.say(
            at,
            ToBroker::Unsubscribe { packet_id: 1, filters: vec![TopicFilter::new(filter).unwrap()] },
        );
    }

    fn enqueue(&mut self, at: usize) {
        let to = self.dice.below(self.clients.len());
        let tag = self.next_tag;
        self.next_tag += 1;
        self.fates.insert(tag, 0);
        let qos = self.dice.pick(&[Q0, Q1, Q2]);
        let expires = self.dice.chance(50).then(|| Duration::from_secs(1 + self.dice.below(60) as u64));
        let message = Message::new("cmd", format!("cmd {tag}").as_bytes(), qos, false);
        let session = name(&self.clients[to].id);
        let enqueue = Enqueue { session, message, expires, tag, acknowledges: None };
        self.say(at, ToBroker::Enqueue(Box::new(enqueue)));
    }

    fn memo(&mut self, at: usize) {
        let bytes = Bytes::from(format!("m{}", self.dice.below(1000)));
        let mut whole = self.clients[at].stored_memo.clone();
        let update = if self.dice.chance(50) && whole.len() < 100 {
            whole.extend_from_slice(&bytes);
            MemoUpdate::Append(bytes)
        } else {
            whole = bytes.to_vec();
            MemoUpdate::Replace(bytes)
        };
        self.clients[at].memo = Some(Bytes::from(whole));
        self.say(at, ToBroker::Memo { update, tag: 0 });
    }

    fn step(&mut self) {
        let at = self.dice.below(self.clients.len());
        if self.dice.chance(2) {
            return self.crash_somewhere(at);
        }
        if self.dice.chance(5) {
            let seconds = self.dice.below(40) as u64;
            return self.pass(Duration::from_secs(seconds));
        }
        if self.dice.chance(15) {
            let budget = 1 + self.dice.below(5);
            return self.call(false, |broker, now, out| {
                broker.deliver(now, budget, out);
            });
        }
        let client = &self.clients[at];
        if !client.connected {
            return match client.asleep && self.dice.chance(50) {
                true => self.resume(at),
                false => self.connect(at),
            };
        }
        let asleep = client.asleep;
        match self.dice.below(100) {
            0..=29 => self.publish(at),
            30..=64 => self.acknowledge(at),
            65..=74 => {
                let bytes = std::mem::take(&mut self.clients[at].credit_owed);
                self.say(at, ToBroker::Credit { bytes });
            }
            75..=80 => self.subscribe(at),
            81..=82 => self.unsubscribe(at),
            83..=84 => self.memo(at),
            85..=87 => self.enqueue(at),
            88..=89 if self.clients[at].sn => {
                let update = match self.dice.below(3) {
                    0 => WillUpdate::Replace(will("u", "will new", Q1, false)),
                    1 => WillUpdate::Payload(Bytes::from_static(b"will other")),
                    _ => WillUpdate::Delete,
                };
                self.say(at, ToBroker::Will(update));
            }
            90..=93 if self.clients[at].sn && !asleep => {
                // What it owes it will not say before it wakes.
                self.clients[at].owed.retain(|owed| matches!(owed, ToBroker::Pubrel(_)));
                self.clients[at].asleep = true;
                self.say(at, ToBroker::Pause { duration: Some(Duration::from_secs(100)) });
            }
            90..=92 if asleep => {
                let max = self.dice.below(5) as u32;
                self.say(at, ToBroker::Drain { max });
            }
            94 if asleep => {
                self.clients[at].asleep = false;
                self.say(at, ToBroker::Wake);
            }
            95..=99 => self.disconnect(at),
            _ => {}
        }
    }

    /// The process dies: between two calls, or within one, after its commit and before its events.
    fn crash_somewhere(&mut self, at: usize) {
        if self.clients[at].connected && self.dice.chance(70) {
            if let Some(request) = self.clients[at].owed.pop_front() {
                match &request {
                    ToBroker::Puback(packet_id) | ToBroker::Pubrec(packet_id) => {
                        self.not_expected(at, *packet_id)
                    }
                    ToBroker::Pubrel(packet_id) => self.first_release(at, *packet_id),
                    _other => {}
                }
                let link = self.link(at);
                self.call(true, |broker, now, out| broker.handle(now, link, request, out));
            } else {
                self.call(true, |broker, now, out| {
                    broker.deliver(now, 2, out);
                });
            }
        }
        self.crash();
    }

    fn disconnect(&mut self, at: usize) {
        let ending = if self.dice.chance(50) { Ending::Clean } else { Ending::Abnormal };
        self.clients[at].connected = false;
        self.clients[at].asleep = false;
        if self.clients[at].clean {
            self.forget(at);
        }
        let link = self.link(at);
        self.clients[at].owed.clear();
        self.call(false, |broker, now, out| broker.handle(now, link, ToBroker::Disconnect(ending), out));
    }

    fn resume(&mut self, at: usize) {
        let client = &mut self.clients[at];
        client.generation += 1;
        client.connected = true;
        client.owed.clear();
        let request =
            Resume { name: name(&client.id), window: 1, credit: 1000, credentials: Credentials::default() };
        let (clean, link) = (client.clean, self.link(at));
        // The Connack of a Resume always says that the session is there.
        self.clients[at].clean = false;
        self.call_resume(link, request, at, clean);
    }

    fn call_resume(&mut self, link: LinkId, request: Resume, at: usize, clean: bool) {
        self.clients[at].asleep = true;
        self.call(false, |broker, now, out| {
            broker.handle(now, link, ToBroker::Resume(Box::new(request)), out)
        });
        self.clients[at].clean = clean;
        self.send_again(at);
    }

    fn pass(&mut self, time: Duration) {
        // Message by message: an expired one is no longer expected, whoever is asked.
        self.now.instant = self.now.instant + time;
        self.now.unix_ms += time.as_millis() as u64;
        for _ in 0..100 {
            let due = self.broker.next_timeout().is_some_and(|at| at <= self.now.instant);
            if !due {
                return;
            }
            // Sleepers without a link end unseen: the model learns it from the broker.
            let asleep: Vec<usize> = (0..self.clients.len())
                .filter(|at| self.clients[*at].asleep && !self.clients[*at].connected)
                .collect();
            let broker = &mut self.broker;
            let mut out = Effects::default();
            broker.handle_timeout(self.now, &mut out);
            for at in asleep {
                let view = self.broker.session(&name(&self.clients[at].id));
                if view.as_ref().is_none_or(|view| view.status == crate::broker::LinkStatus::Offline) {
                    self.clients[at].asleep = false;
                    if view.is_none() {
                        self.forget(at);
                    }
                }
            }
            let after = self.broker.snapshot();
            self.records.append(&mut out.records);
            for (link, event) in out.events {
                self.hear(link, event);
            }
            let restored = Broker::restore(self.limits.clone(), 9, self.now, self.records.iter().cloned());
            assert_eq!(restored.snapshot(), after, "seed {}: after a timeout", self.seed);
        }
        panic!("seed {}: timeouts do not end", self.seed);
    }

    /// Everyone comes back and acknowledges all: then nothing is left, and nothing was lost on the way.
    fn settle(&mut self) {
        for at in 0..self.clients.len() {
            if self.clients[at].connected && self.clients[at].asleep {
                self.clients[at].asleep = false;
                self.say(at, ToBroker::Wake);
            }
            if !self.clients[at].connected {
                self.connect(at);
            }
        }
        for round in 0..2000 {
            let mut idle = true;
            while self.broker.has_work() {
                self.call(false, |broker, now, out| {
                    broker.deliver(now, 100, out);
                });
            }
            for at in 0..self.clients.len() {
                let bytes = std::mem::take(&mut self.clients[at].credit_owed);
                if bytes > 0 {
                    idle = false;
                    self.say(at, ToBroker::Credit { bytes });
                }
                if !self.clients[at].owed.is_empty() {
                    idle = false;
                    self.acknowledge(at);
                }
            }
            if idle {
                break;
            }
            assert!(round < 1999, "seed {}: never idle", self.seed);
        }
        for client in &self.clients {
            assert!(
                client.sending.is_empty(),
                "seed {}: {} waits for {:?}",
                self.seed,
                client.id,
                client.sending
            );
            if !client.parked_once {
                assert!(
                    client.expected.is_empty(),
                    "seed {}: {} never got {:?}",
                    self.seed,
                    client.id,
                    client.expected
                );
                let view = self.broker.session(&name(&client.id)).expect("connected");
                assert_eq!(
                    (view.queued, view.in_flight, view.unreleased),
                    (0, 0, 0),
                    "seed {}: {}",
                    self.seed,
                    client.id
                );
            }
        }
        if self.clients.iter().all(|client| !client.parked_once) {
            let status = self.broker.status();
            assert_eq!((status.held_messages, status.held_bytes), (0, 0), "seed {}", self.seed);
        }
        if self.crashes == 0 && self.clients.iter().all(|client| !client.parked_once) {
            for (tag, told) in &self.fates {
                assert!(*told <= 1, "seed {}: tag {tag}", self.seed);
            }
        }
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
