//! Floods and nonsense: nothing panics, memory stays under its bounds (L21, L24, P1, P3).
use proptest::prelude::*;

use super::*;
use crate::coap::{Code, Observe, Response};
use crate::limits::{PENDING_BODY_BYTES_MAX, REMEMBERED_BYTES_MAX};

#[test]
fn first_blocks_from_a_hundred_thousand_peers_stay_under_eight_mebibytes() {
    // L21
    let mut bench = Bench::new();
    let mut datagram = message(0, 2, 1, &[], &hex("B2 72 64 D1 03 0E FF"));
    datagram.extend([b'x'; 1_024]);
    for number in 0..100_000 {
        bench.out.clear();
        bench.endpoint.handle_datagram(at(0), Source::unicast(peer(number)), &datagram, &mut bench.out);
    }
    assert!(bench.endpoint.counters().pending_body_bytes <= PENDING_BODY_BYTES_MAX);
    let counters = bench.endpoint.counters();
    assert_eq!(counters.bodies_incoming as u64 + counters.bodies_shed, 100_000);
    assert!((6_000..8_192).contains(&counters.bodies_incoming), "{}", counters.bodies_incoming);
    assert!(counters.remembered_bytes <= REMEMBERED_BYTES_MAX);
    // The newest can go on, the oldest hears 4.08.
    let second = message(0, 2, 2, &[], &hex("B2 72 64 D1 03 16 FF 78"));
    assert!(bench.give(peer(99_999), &second).is_empty());
    assert_eq!(bench.asked().payload.len(), 1_025);
    assert_eq!(bench.give(peer(0), &second)[0][1], 0x88);
    bench.wait_until(600_000);
    let counters = bench.endpoint.counters();
    assert_eq!((counters.pending_body_bytes, counters.bodies_incoming, counters.peers), (0, 0, 0));
}

#[test]
fn a_flood_of_requests_from_forged_addresses_stays_under_its_bounds_and_drains() {
    let mut bench = Bench::new();
    for number in 0..220_000 {
        bench.out.clear();
        let datagram = message(0, 1, number as u16, &[1; 8], b"\xb2rd");
        bench.endpoint.handle_datagram(at(0), Source::unicast(peer(number)), &datagram, &mut bench.out);
        for event in bench.events() {
            if let Event::Request(request) = event {
                bench.respond(request.id, Response::new(Code::NOT_FOUND));
            }
        }
    }
    let counters = bench.endpoint.counters();
    assert!(counters.remembered_bytes <= REMEMBERED_BYTES_MAX);
    assert!(counters.remembered_evicted > 0);
    assert_eq!(counters.peers, counters.remembered);
    bench.wait_until(300_000);
    assert_eq!(bench.endpoint.counters().peers, 0);
}

#[test]
fn requests_that_nobody_answers_are_bounded() {
    let mut bench = Bench::new();
    for number in 0..20_000 {
        bench.give(peer(number), &message(0, 1, 1, &[], b"\xb2rd"));
    }
    let counters = bench.endpoint.counters();
    assert_eq!((counters.unanswered, counters.overloaded), (16_384, 3_616));
    bench.wait_until(400_000);
    let counters = bench.endpoint.counters();
    assert_eq!((counters.unanswered, counters.peers, counters.exchanges), (0, 0, 0));
}

#[test]
fn message_ids_and_tokens_cannot_be_foretold() {
    // L24: two hundred endpoints with neighbouring seeds.
    let mut mids = std::collections::HashSet::new();
    let mut tokens = std::collections::HashSet::new();
    for seed in 0..200_u8 {
        let mut bench = Bench::new();
        bench.endpoint = Endpoint::new(Config::default(), [seed; 32]);
        for number in 0..5 {
            let sent = bench.ask(peer(number), get("/1"), 1).remove(0);
            mids.insert(mid(&sent));
            tokens.insert(token(&sent).to_vec());
        }
    }
    assert_eq!(tokens.len(), 1_000);
    assert!(mids.len() > 950, "{}", mids.len());
}

/// Messages that are nearly right: they get further in than noise does.
fn nearly_coap() -> impl Strategy<Value = Vec<u8>> {
    let kind = 0..4_u8;
    let code = prop_oneof![0..8_u8, Just(0x45), Just(0x5f), Just(0x84), Just(0x8d), any::<u8>()];
    let option = prop_oneof![
        Just(hex("B2 72 64")),
        Just(hex("60")),
        Just(hex("61 01")),
        any::<u8>().prop_map(|value| vec![0xc1, value]),
        any::<u8>().prop_map(|value| vec![0xd1, 0x0a, value]),
        any::<u8>().prop_map(|value| vec![0xd1, 0x0e, value]),
        any::<u32>().prop_map(|value| [&[0xd4, 0x14][..], &value.to_be_bytes()].concat()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    let payload = proptest::collection::vec(any::<u8>(), 0..40);
    let options = proptest::collection::vec(option, 0..4);
    (kind, code, 0..6_u16, 0..4_usize, options, payload).prop_map(
        |(kind, code, mid, tkl, options, payload)| {
            let mut datagram = message(kind, code, mid, &[7; 8][..tkl], &options.concat());
            if !payload.is_empty() {
                datagram.push(0xff);
                datagram.extend(payload);
            }
            datagram
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_datagrams_do_no_harm(
        script in proptest::collection::vec(
            (0..3_u32, prop_oneof![nearly_coap(), proptest::collection::vec(any::<u8>(), 0..80)], 0..5_000_u64, 0..8_u8),
            0..80,
        )
    ) {
        let mut bench = Bench::new();
        let mut last = Vec::new();
        for (from, mut datagram, wait, what) in script {
            // Some are made to answer our last request: its message id and token.
            if what == 0 && last.len() >= 12 && datagram.len() >= 4 {
                let rest = datagram.split_off(4);
                datagram = message(2, datagram[1], mid(&last), token(&last), &rest);
            }
            if what == 1 {
                let request = get("/3/0").with_observe(Observe::Register(None)).with_payload(vec![0; 40]);
                let mut out = Output::default();
                let request = crate::coap::Request { szx: 0, ..request };
                let _ = bench.endpoint.request(at(bench.now), peer(from), request, 1, &mut out);
                if let Some((_, sent)) = out.outgoing().last() {
                    last = sent.to_vec();
                }
            }
            for sent in bench.give(peer(from), &datagram) {
                last = sent;
            }
            for event in bench.events() {
                if let Event::Request(request) = event
                    && what < 6
                {
                    let body = vec![0; usize::from(what) * 700];
                    bench.respond(request.id, Response::new(Code::CONTENT).with_payload(body));
                }
            }
            if what > 4 {
                bench.wait_until(bench.now + wait);
            }
        }
        bench.wait_until(bench.now + 5_000_000);
        let counters = bench.endpoint.counters();
        prop_assert_eq!(counters.peers, 0);
        prop_assert_eq!(counters.exchanges, 0);
        prop_assert_eq!(counters.unanswered, 0);
        prop_assert_eq!(counters.remembered_bytes, 0);
        prop_assert_eq!(counters.pending_body_bytes, 0);
        prop_assert_eq!(bench.endpoint.next_timeout(), None);
    }
}
