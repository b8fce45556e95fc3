//! Observations, the client's side (RFC 7641).
use coap_lite::CoapOption;

use super::*;
use crate::coap::check::Kind;
use crate::coap::{Code, Notification, Observe, Options, Response, Token};

/// Starts an observation at a scripted device, first number 10.
fn observe(bench: &mut Bench) -> Token {
    let request = bench.ask(peer(1), get("/3303/0").with_observe(Observe::Register(None)), 42).remove(0);
    assert!(request.ends_with(&hex("60 54 33 33 30 33 01 30")), "{request:x?}");
    let own = Token::new(token(&request)).unwrap();
    bench.give(peer(1), &message(2, 0x45, mid(&request), token(&request), &hex("61 0A FF 61")));
    match &bench.events()[..] {
        [Event::Response(response)] => {
            let observed = response.observed.expect("an observation");
            assert_eq!((observed.token, observed.sequence, response.tag), (own, 10, 42));
        }
        other => panic!("{other:?}"),
    }
    own
}

fn notify(
    bench: &mut Bench,
    kind: Kind,
    mid: u16,
    token: Token,
    sequence: u32,
    payload: &[u8],
) -> Vec<Vec<u8>> {
    let options = Options::new().with_uint(CoapOption::Observe, sequence);
    bench.give(peer(1), &options.encode(kind, Code::CONTENT, mid, token, payload).unwrap())
}

fn notifications(bench: &mut Bench) -> Vec<Notification<SocketAddr>> {
    let events = bench.events().into_iter();
    events
        .map(|event| match event {
            Event::Notification(notification) => notification,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn notifications_are_acknowledged_and_delivered_in_order_only() {
    // L25
    let mut bench = Bench::new();
    let own = observe(&mut bench);
    let script: [(u32, bool); 8] = [
        (11, true),
        (13, true),
        (12, false),
        (13, false),
        (0xff_ffff, false),
        (13 + (1 << 23) - 1, true),
        (0xff_ffff, true),
        (0, true),
    ];
    for (step, (sequence, fresh)) in script.into_iter().enumerate() {
        let id = 0x5000 + step as u16;
        let ack = notify(&mut bench, Kind::Confirmable, id, own, sequence, b"x");
        assert_eq!(ack, [message(2, 0, id, &[], &[])], "acknowledged in any case");
        let delivered = notifications(&mut bench);
        assert_eq!(delivered.len(), usize::from(fresh), "step {step}");
        if let Some(notification) = delivered.first() {
            assert_eq!(
                (notification.sequence, notification.tag, notification.max_age_s),
                (Some(sequence), 42, 60)
            );
        }
    }
    assert!(notify(&mut bench, Kind::NonConfirmable, 1, own, 1, b"x").is_empty());
    assert_eq!(notifications(&mut bench).len(), 1);
    // After 128 s everything is new.
    bench.now = 128_001;
    notify(&mut bench, Kind::NonConfirmable, 2, own, 0, b"x");
    assert_eq!(notifications(&mut bench).len(), 1);
    assert_eq!(bench.endpoint.counters().notifications_stale, 3);
}

#[test]
fn an_observation_outlives_idle_time_without_peer_state() {
    let mut bench = Bench::new();
    let own = observe(&mut bench);
    bench.wait_until(10_000_000);
    assert_eq!(bench.endpoint.counters().peers, 0);
    assert_eq!(notify(&mut bench, Kind::Confirmable, 1, own, 11, b"x").len(), 1);
    assert_eq!(notifications(&mut bench).len(), 1);
    assert_eq!(bench.endpoint.counters().peers, 0, "nothing is kept for a notification");
}

#[test]
fn ten_thousand_notifications_a_second_are_cut() {
    let mut bench = Bench::new();
    let own = observe(&mut bench);
    let mut delivered = 0;
    for sequence in 0..10_000_u32 {
        notify(&mut bench, Kind::NonConfirmable, sequence as u16, own, 11 + sequence, b"x");
        delivered += notifications(&mut bench).len();
    }
    assert_eq!(delivered, 100);
    assert_eq!(bench.endpoint.counters().notifications_dropped, 9_900);
    assert_eq!(bench.endpoint.counters().remembered, 1, "the guard of our own message ids");
}

#[test]
fn a_notification_nobody_asked_for_is_reset() {
    let mut bench = Bench::new();
    let own = observe(&mut bench);
    assert!(bench.endpoint.forget_observation(at(0), &own, &mut Output::default()));
    for (kind, id) in [(Kind::Confirmable, 5), (Kind::NonConfirmable, 6)] {
        assert_eq!(notify(&mut bench, kind, id, own, 11, b"x"), [message(3, 0, id, &[], &[])]);
    }
    assert!(bench.events().is_empty());
    // From another address, the token helps nothing.
    let mut bench = Bench::new();
    let own = observe(&mut bench);
    let options = Options::new().with_uint(CoapOption::Observe, 11);
    let forged = options.encode(Kind::Confirmable, Code::CONTENT, 9, own, b"x").unwrap();
    assert_eq!(bench.give(peer(2), &forged), [hex("70 00 00 09")]);
    assert!(bench.events().is_empty());
    assert!(bench.endpoint.move_observation(&own, peer(2)));
    assert_eq!(bench.give(peer(2), &forged), [hex("60 00 00 09")]);
    assert_eq!(notifications(&mut bench).len(), 1);
}

#[test]
fn cancelling_uses_the_token_of_the_observation_and_notifications_meanwhile_are_told_apart() {
    let mut bench = Bench::new();
    let own = observe(&mut bench);
    let cancel = bench.ask(peer(1), get("/3303/0").with_observe(Observe::Cancel(own)), 43).remove(0);
    assert_eq!(token(&cancel), own.as_bytes());
    assert!(cancel.ends_with(&hex("61 01 54 33 33 30 33 01 30")));
    // A notification that was on its way.
    assert_eq!(notify(&mut bench, Kind::Confirmable, 1, own, 11, b"x"), [hex("60 00 00 01")]);
    assert_eq!(notifications(&mut bench).len(), 1);
    bench.give(peer(1), &message(2, 0x45, mid(&cancel), own.as_bytes(), b"\xff\x61"));
    assert!(matches!(&bench.events()[..], [Event::Response(r)] if r.tag == 43 && r.observed.is_none()));
    assert_eq!(notify(&mut bench, Kind::Confirmable, 2, own, 12, b"x"), [hex("70 00 00 02")]);
    assert_eq!(bench.endpoint.counters().observations, 0);
}

#[test]
fn an_error_or_a_response_without_observe_ends_the_observation() {
    for (code, rest) in [(0x84, ""), (0x45, "FF 61")] {
        let mut bench = Bench::new();
        let own = observe(&mut bench);
        bench.give(peer(1), &message(0, code, 7, own.as_bytes(), &hex(rest)));
        assert!(matches!(&bench.events()[..], [Event::ObservationEnded(last)] if last.code == Code(code)));
        assert_eq!(bench.endpoint.counters().observations, 0);
        assert_eq!(notify(&mut bench, Kind::Confirmable, 8, own, 11, b"x"), [hex("70 00 00 08")]);
    }
}

#[test]
fn a_device_that_does_not_take_the_observation_just_answers() {
    let mut bench = Bench::new();
    let request = bench.ask(peer(1), get("/3").with_observe(Observe::Register(None)), 1).remove(0);
    bench.give(peer(1), &message(2, 0x45, mid(&request), token(&request), b"\xff\x61"));
    assert!(matches!(&bench.events()[..], [Event::Response(r)] if r.observed.is_none()));
    assert_eq!(bench.endpoint.counters().observations, 0);
}

#[test]
fn a_notification_may_come_before_the_first_response() {
    let mut bench = Bench::new();
    let request = bench.ask(peer(1), get("/3").with_observe(Observe::Register(None)), 1).remove(0);
    let own = Token::new(token(&request)).unwrap();
    assert_eq!(notify(&mut bench, Kind::Confirmable, 1, own, 5, b"b"), [hex("60 00 00 01")]);
    assert!(
        matches!(&bench.events()[..], [Event::Response(r)] if r.observed.is_some_and(|o| o.sequence == 5))
    );
    // The first response, overtaken, answers nothing any more.
    assert!(
        bench.give(peer(1), &message(2, 0x45, mid(&request), own.as_bytes(), &hex("61 04 FF 61"))).is_empty()
    );
    assert!(bench.events().is_empty());
}

#[test]
fn later_blocks_of_a_notification_are_plain_requests_and_a_newer_notification_supersedes_them() {
    let mut bench = Bench::new();
    let own = observe(&mut bench);
    let block0 = |sequence: u32, fill: u8| {
        Options::new()
            .with_uint(CoapOption::Observe, sequence)
            .with_uint(CoapOption::Block2, 0x08)
            .with(CoapOption::ETag, [fill])
            .with_uint(CoapOption::ContentFormat, 112)
            .encode(Kind::NonConfirmable, Code::CONTENT, sequence as u16, own, &[fill; 16])
            .unwrap()
    };
    let follow = bench.give(peer(1), &block0(11, 1)).remove(0);
    assert!(follow.ends_with(&hex("B4 33 33 30 33 01 30 C1 10")), "no Observe: {follow:x?}");
    assert_ne!(token(&follow), own.as_bytes());
    // A newer one comes while the second block is on its way.
    assert!(bench.give(peer(1), &block0(12, 2)).is_empty() || bench.sent().len() == 1);
    let follow = match bench.sent().pop() {
        Some(next) => next,
        None => panic!("the second block of the new one is asked for at once"),
    };
    let last = Options::new().with_uint(CoapOption::Block2, 0x10).with(CoapOption::ETag, [2]).encode(
        Kind::Acknowledgement,
        Code::CONTENT,
        mid(&follow),
        Token::new(token(&follow)).unwrap(),
        &[2; 4],
    );
    bench.give(peer(1), &last.unwrap());
    let delivered = notifications(&mut bench);
    assert_eq!(delivered.len(), 1);
    assert_eq!((delivered[0].sequence, &delivered[0].payload[..]), (Some(12), &[2; 20][..]));
    assert_eq!(delivered[0].options.content_format(), Some(112));
    assert_eq!(bench.endpoint.counters().pending_body_bytes, 0);
}

#[test]
fn a_first_response_in_blocks_begins_the_observation_and_gives_the_whole_body() {
    let mut bench = Bench::new();
    let first = bench.ask(peer(1), get("/3").with_observe(Observe::Register(None)), 1).remove(0);
    let rest = [&hex("61 05 D1 04 08 FF")[..], &[1; 16]].concat();
    let second = bench.give(peer(1), &message(2, 0x45, mid(&first), token(&first), &rest)).remove(0);
    assert!(second.ends_with(&hex("B1 33 C1 10")), "no Observe: {second:x?}");
    let own = Token::new(token(&first)).unwrap();
    // A notification during the transfer is delivered by itself.
    notify(&mut bench, Kind::NonConfirmable, 3, own, 6, b"n");
    assert_eq!(notifications(&mut bench).len(), 1);
    bench.give(peer(1), &message(2, 0x45, mid(&second), token(&second), &hex("D1 0A 10 FF 02")));
    match &bench.events()[..] {
        [Event::Response(response)] => {
            assert_eq!(response.payload.len(), 17);
            assert_eq!(response.observed.map(|o| (o.token, o.sequence)), Some((own, 5)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_restored_observation_takes_whatever_number_comes_first() {
    let mut bench = Bench::new();
    let own = Token::new(&[9; 8]).unwrap();
    bench.endpoint.restore_observation(peer(1), own, 77, &get("/3303/0"));
    assert_eq!(notify(&mut bench, Kind::Confirmable, 1, own, 3, b"x").len(), 1);
    assert_eq!(notifications(&mut bench).first().map(|n| n.tag), Some(77));
    notify(&mut bench, Kind::Confirmable, 2, own, 2, b"x");
    assert!(notifications(&mut bench).is_empty());
}

#[test]
fn two_endpoints_observe_each_other_over_a_bad_network() {
    // The device counts up; whatever is lost, doubled or overtaken, what arrives only ever goes up.
    for seed in 0..30 {
        let mut sim = sim::Sim::new(seed);
        (sim.loss, sim.doubled, sim.delay) = (10, 20, (10, 9_000));
        let device = sim.node(Config::default(), |request| {
            assert_eq!(request.options.uint(CoapOption::Observe), Some(0));
            let options = Options::new().with_uint(CoapOption::Observe, 0xff_fff0);
            (0, Response::new(Code::CONTENT).with_options(options))
        });
        let client = sim.client();
        sim.ask(client, device, get("/3303/0").with_observe(Observe::Register(None)), 1);
        sim.run_until(100_000);
        let Some(request) = sim.nodes[device].requests.first() else { continue };
        let (to, own) = (request.peer, request.token);
        for count in 1..=40_u32 {
            let options = Options::new().with_uint(CoapOption::Observe, (0xff_fff0 + count) & 0xff_ffff);
            let answer =
                Response::new(Code::CONTENT).with_options(options).with_payload(count.to_be_bytes().to_vec());
            let answer = Response { trusted: true, ..answer };
            let sent = sim.with(device, |endpoint, now, out| {
                endpoint.notify(now, to, own, count % 5 == 0, answer, out)
            });
            assert!(sent, "seed {seed}");
            sim.run_until(100_000 + u64::from(count) * 1_000);
        }
        sim.run_until(1_000_000);
        let values: Vec<u32> = sim.nodes[client]
            .events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Notification(n) => Some(u32::from_be_bytes(n.payload[..].try_into().unwrap())),
                _ => None,
            })
            .collect();
        assert!(values.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: {values:?}");
        let observed = |event: &Event<_>| matches!(event, Event::Response(r) if r.observed.is_some());
        if sim.nodes[client].events.iter().any(|(_, event)| observed(event)) {
            assert!(values.len() >= 10 && values.last() == Some(&40), "seed {seed}: {values:?}");
        }
    }
}

#[test]
fn a_notification_of_ours_that_is_rejected_ends_the_observer() {
    let mut bench = Bench::new();
    let own = Token::new(&[1, 2]).unwrap();
    let answer = || Response { trusted: true, ..Response::new(Code::CONTENT) };
    assert!(bench.endpoint.notify(at(0), peer(1), own, true, answer(), &mut bench.out));
    let sent = bench.sent().remove(0);
    assert_eq!((sent[0], sent[1]), (0x42, 0x45));
    bench.give(peer(1), &message(3, 0, mid(&sent), &[], &[]));
    assert!(matches!(bench.events()[..], [Event::NotificationUnwanted { token, .. }] if token == own));
    let mut bench = Bench::new();
    assert!(bench.endpoint.notify(at(0), peer(1), own, true, answer(), &mut bench.out));
    bench.wait_until(100_000);
    assert!(matches!(bench.events()[..], [Event::NotificationUnwanted { .. }]));
}
