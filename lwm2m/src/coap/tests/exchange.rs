//! Reliability: retransmission, NSTART, separate responses, duplicates, time-outs (RFC 7252 §4, §5.2).
use super::sim::Sim;
use super::*;
use crate::coap::{Code, Failure, Observe, Options, Request, RequestError, Response, Token};

fn failure(event: &Event<SocketAddr>) -> Option<Failure> {
    match event {
        Event::Failed { reason, .. } => Some(*reason),
        _ => None,
    }
}

#[test]
fn a_request_is_repeated_four_times_at_doubling_intervals_and_then_fails() {
    let mut bench = Bench::new();
    let first = bench.ask(peer(1), get("/3/0"), 5).remove(0);
    assert_eq!(first[..2], [0x48, 0x01]);
    let sent = bench.wait_until(100_000);
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|(_, datagram)| *datagram == first));
    let timeout = sent[0].0;
    assert!((2_000..=3_000).contains(&timeout), "{timeout}");
    let times: Vec<u64> = sent.iter().map(|(when, _)| *when).collect();
    assert_eq!(times, [timeout, 3 * timeout, 7 * timeout, 15 * timeout]);
    assert_eq!(bench.events().iter().filter_map(failure).collect::<Vec<_>>(), [Failure::Timeout]);

    let mut bench = Bench::new();
    bench.ask(peer(1), get("/3/0"), 5);
    bench.wait_until(31 * timeout - 1);
    assert!(bench.events().is_empty());
    bench.wait_until(31 * timeout);
    assert_eq!(bench.events().len(), 1);
    assert!(31 * timeout <= 93_000, "MAX_TRANSMIT_WAIT");
}

#[test]
fn one_request_is_outstanding_per_peer_and_an_empty_acknowledgement_lets_the_next_go() {
    let mut bench = Bench::new();
    let first = bench.ask(peer(1), get("/1"), 1).remove(0);
    assert!(bench.ask(peer(1), get("/2"), 2).is_empty());
    assert!(bench.ask(peer(1), get("/3"), 3).is_empty());
    assert_eq!(bench.ask(peer(2), get("/1"), 4).len(), 1, "another peer is not held up");
    // The first is acknowledged, so the second goes; its answer lets the third go.
    let second = bench.give(peer(1), &message(2, 0, mid(&first), &[], &[])).remove(0);
    assert!(matches!(bench.events()[..], [Event::Acked { tag: 1, .. }]));
    let third = bench.give(peer(1), &message(2, 0x45, mid(&second), token(&second), b"\xffb"));
    assert_eq!(third.len(), 1);
    assert!(matches!(&bench.events()[..], [Event::Response(response)] if response.tag == 2));
    // The separate response to the first comes late and is acknowledged.
    let ack = bench.give(peer(1), &message(0, 0x45, 0x7777, token(&first), b"\xffa"));
    assert_eq!(ack, [hex("60 00 77 77")]);
    assert!(matches!(&bench.events()[..], [Event::Response(response)] if response.tag == 1));
}

#[test]
fn a_full_queue_is_told_to_the_caller() {
    let mut bench = Bench::new();
    for tag in 0..16 {
        bench.ask(peer(1), get("/1"), tag);
    }
    let mut out = Output::default();
    let refused = bench.endpoint.request(at(0), peer(1), get("/1"), 99, &mut out);
    assert_eq!(refused, Err(RequestError::PeerQueueFull));
    let no_method = Request::new(Code::CONTENT, Options::new());
    assert_eq!(bench.endpoint.request(at(0), peer(2), no_method, 1, &mut out), Err(RequestError::NotAMethod));
    let endless = get("/1").with_payload(vec![0; (16 << 20) + 1]);
    let endless = Request { szx: 0, ..endless };
    assert_eq!(bench.endpoint.request(at(0), peer(2), endless, 1, &mut out), Err(RequestError::TooLarge));
    // Each of the sixteen ends once.
    bench.wait_until(3_000_000);
    let failed = bench.events().iter().filter_map(failure).count();
    assert_eq!(failed, 16);
    assert_eq!(bench.endpoint.counters().exchanges, 0);
}

#[test]
fn an_acknowledgement_without_a_response_fails_after_its_own_time() {
    // wakaama: FETCH gets an empty Acknowledgement and then nothing.
    let mut bench = Bench::new();
    let fetch = Request { trusted: true, ..Request::new(Code::FETCH, Options::new()) };
    let first = bench.ask(peer(1), fetch, 1).remove(0);
    bench.now = 500;
    bench.give(peer(1), &message(2, 0, mid(&first), &[], &[]));
    assert!(bench.wait_until(60_499).is_empty());
    assert!(bench.events().is_empty());
    bench.wait_until(60_500);
    assert_eq!(bench.events().iter().filter_map(failure).collect::<Vec<_>>(), [Failure::ResponseTimeout]);
    // What comes now is nobody's.
    assert_eq!(bench.give(peer(1), &message(0, 0x45, 9, token(&first), &[])), [hex("70 00 00 09")]);
}

#[test]
fn a_reset_ends_a_request_and_a_forged_one_does_not() {
    // L24
    let mut bench = Bench::new();
    let first = bench.ask(peer(1), get("/1"), 1).remove(0);
    let wrong = mid(&first).wrapping_add(1);
    assert!(bench.give(peer(1), &message(3, 0, wrong, &[], &[])).is_empty());
    assert!(bench.give(peer(2), &message(3, 0, mid(&first), &[], &[])).is_empty());
    assert!(bench.give(peer(2), &message(2, 0, mid(&first), &[], &[])).is_empty());
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.counters().stray, 3);
    bench.give(peer(1), &message(3, 0, mid(&first), &[], &[]));
    assert_eq!(bench.events().iter().filter_map(failure).collect::<Vec<_>>(), [Failure::Reset]);
}

#[test]
fn a_response_needs_address_token_and_message_id() {
    // L23
    let mut bench = Bench::new();
    let first = bench.ask(peer(1), get("/1"), 1).remove(0);
    let good = token(&first).to_vec();
    let mut bad = good.clone();
    bad[7] ^= 1;
    assert!(bench.give(peer(1), &message(2, 0x45, mid(&first), &bad, b"\xffx")).is_empty());
    assert!(bench.give(peer(1), &message(2, 0x45, mid(&first).wrapping_add(1), &good, b"\xffx")).is_empty());
    assert!(bench.give(peer(1), &message(2, 0x45, mid(&first), &good[..7], b"\xffx")).is_empty());
    assert!(bench.give(peer(2), &message(2, 0x45, mid(&first), &good, b"\xffx")).is_empty());
    assert_eq!(bench.give(peer(2), &message(0, 0x45, 3, &good, b"\xffx")), [hex("70 00 00 03")]);
    assert_eq!(bench.give(peer(1), &message(0, 0x45, 4, &bad, b"\xffx")), [hex("70 00 00 04")]);
    assert!(bench.events().is_empty());
    bench.give(peer(1), &message(2, 0x45, mid(&first), &good, b"\xffx"));
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn a_separate_response_counts_even_if_the_acknowledgement_was_lost() {
    let mut bench = Bench::new();
    let first = bench.ask(peer(1), get("/1"), 1).remove(0);
    let separate = message(0, 0x45, 0x0101, token(&first), b"\xffx");
    assert_eq!(bench.give(peer(1), &separate), [hex("60 00 01 01")]);
    assert_eq!(bench.events().len(), 1);
    // Our acknowledgement was lost: the copy is acknowledged again and not delivered.
    bench.now = 2_000;
    assert_eq!(bench.give(peer(1), &separate), [hex("60 00 01 01")]);
    assert!(bench.events().is_empty());
    assert!(bench.wait_until(100_000).is_empty(), "no retransmission of an answered request");
}

#[test]
fn an_unknown_critical_option_in_a_response_fails_the_request() {
    let mut bench = Bench::new();
    let first = bench.ask(peer(1), get("/1"), 1).remove(0);
    bench.give(peer(1), &message(2, 0x45, mid(&first), token(&first), &hex("91 78 FF 78")));
    assert_eq!(bench.events().iter().filter_map(failure).collect::<Vec<_>>(), [Failure::BadOption]);
}

#[test]
fn a_late_answer_goes_separately_and_is_repeated_until_acknowledged() {
    let mut bench = Bench::new();
    let question = message(0, 1, 0x0101, &[0xaa], &[&b"\xb2rd"[..], b"\x11\x00"].concat());
    assert!(bench.give(peer(1), &question).is_empty());
    let id = bench.asked().id;
    assert_eq!(bench.wait_until(999), []);
    assert_eq!(bench.wait_until(1_000), [(1_000, hex("60 00 01 01"))]);
    let separate = bench.respond(id, Response::new(Code::CONTENT).with_payload("x")).remove(0);
    assert_eq!((separate[0], separate[1], token(&separate)), (0x41, 0x45, &[0xaa][..]));
    // The question again gets the empty Acknowledgement again.
    assert_eq!(bench.give(peer(1), &question), [hex("60 00 01 01")]);
    assert!(bench.events().is_empty());
    let again = bench.wait_until(5_000);
    assert_eq!(again.first().map(|(_, datagram)| datagram), Some(&separate));
    assert!(bench.give(peer(1), &message(2, 0, mid(&separate), &[], &[])).is_empty());
    assert!(bench.wait_until(200_000).is_empty());
    assert_eq!(bench.endpoint.counters().exchanges, 0);
}

#[test]
fn a_repeated_question_is_acknowledged_at_once() {
    let mut bench = Bench::new();
    let question = message(0, 1, 0x0101, &[0xaa], b"\xb2rd");
    bench.give(peer(1), &question);
    let id = bench.asked().id;
    bench.now = 700;
    assert_eq!(bench.give(peer(1), &question), [hex("60 00 01 01")]);
    assert!(bench.wait_until(3_000).is_empty(), "acknowledged once is enough");
    let separate = bench.respond(id, Response::new(Code::CHANGED)).remove(0);
    assert_eq!(separate[0], 0x41);
}

#[test]
fn a_rejected_separate_response_is_not_repeated() {
    let mut bench = Bench::new();
    bench.give(peer(1), &message(0, 1, 1, &[0xaa], b"\xb2rd"));
    let id = bench.asked().id;
    bench.wait_until(1_000);
    let separate = bench.respond(id, Response::new(Code::CHANGED)).remove(0);
    bench.give(peer(1), &message(3, 0, mid(&separate), &[], &[]));
    assert!(bench.wait_until(200_000).is_empty());
    assert_eq!(bench.endpoint.counters().separate_lost, 1);
}

#[test]
fn a_request_that_nobody_answers_gets_5_03_in_the_end() {
    let mut bench = Bench::new();
    bench.give(peer(1), &message(0, 1, 1, &[0xaa], b"\xb2rd"));
    let id = bench.asked().id;
    let sent = bench.wait_until(60_000);
    assert_eq!(sent[0], (1_000, hex("60 00 00 01")));
    assert_eq!((sent[1].0, sent[1].1[1]), (60_000, 0xa3));
    let mut out = Output::default();
    assert!(!bench.endpoint.respond(at(60_001), id, Response::new(Code::CONTENT), &mut out));
    assert_eq!(bench.endpoint.counters().never_answered, 1);
}

#[test]
fn a_peer_that_asks_faster_than_we_answer_is_told_so() {
    let mut bench = Bench::new();
    for mid in 0..16 {
        assert!(bench.give(peer(1), &message(0, 1, mid, &[], b"\xb2rd")).is_empty());
        bench.asked();
    }
    assert_eq!(bench.give(peer(1), &message(0, 1, 16, &[], b"\xb2rd")), [hex("60 A3 00 10")]);
    assert_eq!(bench.endpoint.counters().overloaded, 1);
}

#[test]
fn no_message_id_comes_twice_within_the_exchange_lifetime() {
    let mut bench = Bench::new();
    let mut last_use = std::collections::HashMap::new();
    for round in 0..1_000_u64 {
        let sent = bench.ask(peer(1), get("/1"), round).remove(0);
        let before = last_use.insert(mid(&sent), bench.now);
        assert!(before.is_none_or(|before| bench.now - before >= 247_000));
        bench.give(peer(1), &message(2, 0x45, mid(&sent), token(&sent), &[]));
        bench.wait_until(bench.now + 1_000);
    }
}

#[test]
fn an_idle_peer_leaves_nothing_behind() {
    let mut bench = Bench::new();
    bench.give(peer(1), &message(0, 1, 1, &[], b"\xb2rd"));
    let id = bench.asked().id;
    bench.respond(id, Response::new(Code::CHANGED));
    let sent = bench.ask(peer(2), get("/1"), 1).remove(0);
    bench.give(peer(2), &message(2, 0x45, mid(&sent), token(&sent), &[]));
    bench.wait_until(246_000);
    assert_eq!(bench.endpoint.counters().peers, 2);
    bench.wait_until(249_000);
    let counters = bench.endpoint.counters();
    assert_eq!((counters.peers, counters.remembered, counters.remembered_bytes), (0, 0, 0));
    assert_eq!(bench.endpoint.next_timeout(), None);
}

#[test]
fn a_cancelled_request_says_nothing_and_an_abandoned_peer_fails_all() {
    let mut bench = Bench::new();
    let mut out = Output::default();
    let id = bench.endpoint.request(at(0), peer(1), get("/1"), 1, &mut out).unwrap();
    bench.ask(peer(1), get("/2"), 2);
    bench.ask(peer(1), get("/3"), 3);
    bench.out.clear();
    bench.endpoint.cancel(at(0), id, &mut bench.out);
    assert_eq!(bench.sent().len(), 1, "the next one goes");
    assert!(bench.events().is_empty());
    bench.out.clear();
    bench.endpoint.abandon(&peer(1), &mut bench.out);
    assert!(bench.sent().is_empty());
    let failed: Vec<_> = bench.events().iter().filter_map(failure).collect();
    assert_eq!(failed, [Failure::Abandoned; 2]);
    assert!(bench.wait_until(200_000).is_empty());
}

#[test]
fn a_non_confirmable_request_waits_for_its_response_only() {
    let mut bench = Bench::new();
    let first = bench.ask(peer(1), Request { confirmable: false, ..get("/1") }, 1).remove(0);
    assert_eq!(first[0], 0x58);
    bench.give(peer(1), &message(1, 0x45, 77, token(&first), b"\xffx"));
    assert_eq!(bench.events().len(), 1);
    bench.ask(peer(1), Request { confirmable: false, ..get("/1") }, 2);
    assert!(bench.wait_until(60_000).is_empty(), "never repeated");
    assert_eq!(bench.events().iter().filter_map(failure).collect::<Vec<_>>(), [Failure::ResponseTimeout]);
}

#[test]
fn a_device_that_wants_an_echo_gets_it() {
    // RFC 9175 §2.3
    let mut bench = Bench::new();
    let first = bench.ask(peer(1), get("/1"), 1).remove(0);
    let challenge = message(2, 0x81, mid(&first), token(&first), &hex("D3 EF 01 02 03"));
    let second = bench.give(peer(1), &challenge).remove(0);
    assert!(second.ends_with(&hex("B1 31 D3 E4 01 02 03")), "{second:x?}");
    assert_ne!(token(&first), token(&second));
    // Twice is an answer.
    bench.give(peer(1), &message(2, 0x81, mid(&second), token(&second), &hex("D3 EF 01 02 04")));
    assert!(
        matches!(&bench.events()[..], [Event::Response(response)] if response.code == Code::UNAUTHORIZED)
    );
}

#[test]
fn requests_run_exactly_once_over_a_bad_network() {
    for seed in 0..40 {
        let mut sim = Sim::new(seed);
        (sim.loss, sim.doubled, sim.delay) = (20, 20, (10, 3_000));
        // Every third answer takes longer than the piggyback window.
        let mut count = 0;
        let server = sim.node(Config::default(), move |request| {
            count += 1;
            let delay = if count % 3 == 0 { 2_500 } else { 0 };
            (delay, Response::new(Code::CHANGED).with_payload(request.payload.clone()))
        });
        let client = sim.client();
        for tag in 0..10_u64 {
            let body = tag.to_be_bytes().to_vec();
            let request = Request { method: Code::POST, ..get("/x") }.with_payload(body);
            sim.ask(client, server, request, tag);
        }
        sim.run_until(3_000_000);
        for tag in 0..10_u64 {
            assert_eq!(sim.ends(client, tag), 1, "seed {seed}, request {tag}");
            if let Some((code, payload)) = sim.response(client, tag) {
                assert_eq!((code, payload), (Code::CHANGED, &tag.to_be_bytes()[..]), "seed {seed}");
            }
            let runs =
                sim.nodes[server].requests.iter().filter(|r| r.payload[..] == tag.to_be_bytes()).count();
            assert!(runs <= 1, "seed {seed}: request {tag} ran {runs} times");
        }
        let answered = (0..10).filter(|tag| sim.response(client, *tag).is_some()).count();
        assert!(answered >= 5, "seed {seed}: only {answered} answered");
        for node in &sim.nodes {
            let counters = node.endpoint.counters();
            assert_eq!((counters.peers, counters.exchanges, counters.unanswered), (0, 0, 0), "seed {seed}");
        }
    }
}

#[test]
fn tokens_have_eight_bytes_and_an_observation_keeps_the_one_it_is_given() {
    let mut bench = Bench::new();
    let own = Token::new(&[1, 2, 3]).unwrap();
    let first = bench.ask(peer(1), get("/1").with_observe(Observe::Register(Some(own))), 1).remove(0);
    assert_eq!(token(&first), [1, 2, 3]);
    let second = bench.ask(peer(2), get("/1").with_observe(Observe::Register(None)), 1).remove(0);
    assert_eq!(token(&second).len(), 8);
}
