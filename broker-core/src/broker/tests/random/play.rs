//! What the clients of the random runs do: one step each, as the dice have it.
use super::*;

const FILTERS: [&str; 12] =
    ["t/1", "t/2", "t/+", "#", "$share/g/t/+", "u", "t/1", "t/2", "t/+", "#", "+/1", "u/#"];
const TOPICS: [&str; 3] = ["t/1", "t/2", "u"];

impl World {
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

    pub(super) fn step(&mut self) {
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
    pub(super) fn settle(&mut self) {
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
