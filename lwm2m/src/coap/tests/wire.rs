//! Datagrams and the exact bytes that they get: L01 to L11, L18, L20.
use super::*;
use crate::coap::{Code, Options, Response};

/// Gives a datagram to a fresh endpoint whose application answers 4.04 to everything.
fn reaction(datagram: &str) -> Vec<Vec<u8>> {
    let mut bench = Bench::new();
    let mut sent = bench.give(peer(1), &hex(datagram));
    for event in bench.events() {
        if let Event::Request(request) = event {
            sent.extend(
                bench.respond(request.id, Response::diagnostic(Code::NOT_FOUND, "no such thing here")),
            );
        }
    }
    sent
}

#[test]
fn each_datagram_gets_the_bytes_that_the_specification_asks_for() {
    let table: [(&str, &str, &[&str]); 39] = [
        ("L01", "", &[]),
        ("L01", "40", &[]),
        ("L01", "40 01 00", &[]),
        ("L02", "00 01 00 01", &[]),
        ("L02", "C0 01 00 01", &[]),
        ("L03", "4F 01 00 01 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F", &["70 00 00 01"]),
        ("L03", "48 01 00 01 01 02", &["70 00 00 01"]),
        ("L04", "40 00 00 01", &["70 00 00 01"]),
        ("L04", "41 00 00 01 AA", &["70 00 00 01"]),
        ("L04", "50 00 00 01", &[]),
        ("L05", "40 01 00 01 FF", &["70 00 00 01"]),
        ("L05", "40 01 00 01 F0", &["70 00 00 01"]),
        ("L05", "40 01 00 01 0F", &["70 00 00 01"]),
        ("L05", "40 01 00 01 E0 00", &["70 00 00 01"]),
        ("L05", "40 01 00 01 BE FF FF", &["70 00 00 01"]),
        ("L05 NON", "50 01 00 01 FF", &[]),
        ("L06", "40 01 00 01 E0 FF FF E0 FF FF", &["70 00 00 01"]),
        ("L07", "40 20 00 01", &["70 00 00 01"]),
        ("L07", "40 FF 00 01", &["70 00 00 01"]),
        ("L07", "60 45 00 01", &[]),
        ("L07", "70 00 00 01", &[]),
        ("L07", "60 00 00 01", &[]),
        ("L08", "40 01 00 01 91 78", &["60 82 00 01"]),
        ("L08", "42 01 00 01 AB CD 91 78", &["62 82 00 01 AB CD"]),
        ("L08 NON", "50 01 00 01 91 78", &[]),
        ("L09", "40 01 00 01", &["60 84 00 01"]),
        ("L09 with room for no text", "40 01 00 01 BB 2E 77 65 6C 6C 2D 6B 6E 6F 77 6E", &["60 84 00 01"]),
        ("L11", "44 02 E6 E2 E2 E6 81 67 B2 72 64 11", &["70 00 E6 E2"]),
        ("proxy", "40 01 00 01 D1 16 78", &["60 A5 00 01"]),
        ("unknown method", "41 1F 00 01 AA", &["61 85 00 01 AA"]),
        ("unknown elective", "40 01 00 01 E1 06 C3 78", &["60 84 00 01"]),
        ("response to nobody", "41 45 00 01 AA", &["70 00 00 01"]),
        ("response to nobody, NON", "51 45 00 01 AA", &["70 00 00 01"]),
        // L20 on POST /rd: SZX 7, a number out of nowhere, four bytes, block 5 first, 4 GB announced.
        ("L20", "40 02 00 01 B2 72 64 D1 03 0F", &["60 80 00 01"]),
        (
            "L20",
            "40 02 00 01 B2 72 64 D3 03 FF FF F8 FF 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61",
            &["60 88 00 01 D3 0E FF FF F8"],
        ),
        ("L20", "40 02 00 01 B2 72 64 D4 03 00 00 00 08", &["60 82 00 01"]),
        (
            "L20",
            "40 02 00 01 B2 72 64 D1 03 58 FF 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61",
            &["60 88 00 01 D1 0E 58"],
        ),
        (
            "L20",
            "40 02 00 01 B2 72 64 D1 03 08 D4 14 FF FF FF FF FF 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61",
            &["60 8D 00 01 D1 0E 08 D3 14 01 00 00"],
        ),
        ("block too short", "40 02 00 01 B2 72 64 D1 03 08 FF 61", &["60 80 00 01 D1 0E 08"]),
    ];
    for (name, datagram, expected) in table {
        let expected: Vec<Vec<u8>> = expected.iter().map(|text| hex(text)).collect();
        assert_eq!(reaction(datagram), expected, "{name}: {datagram}");
    }
}

#[test]
fn a_stranger_gets_discovery_only_as_far_as_its_request_pays() {
    // L09: 21 bytes in, at most 63 out without an Echo.
    let discovery = hex("40 01 00 01 BB 2E 77 65 6C 6C 2D 6B 6E 6F 77 6E 04 63 6F 72 65");
    let mut bench = Bench::new();
    let links = |length: usize| Response::new(Code::CONTENT).with_payload(vec![b'l'; length]);
    bench.give(peer(1), &discovery);
    let id = bench.asked().id;
    assert_eq!(bench.respond(id, links(58))[0].len(), 63);
    let mut bench = Bench::new();
    bench.give(peer(1), &discovery);
    let id = bench.asked().id;
    let challenge = bench.respond(id, links(59)).remove(0);
    assert_eq!(challenge.len(), 14);
    assert_eq!(challenge[..6], hex("60 81 00 01 D8 EF"));
    // The value back, and everything is served.
    let again =
        [&hex("40 01 00 02 BB 2E 77 65 6C 6C 2D 6B 6E 6F 77 6E 04 63 6F 72 65 D8 E4")[..], &challenge[6..]];
    bench.give(peer(1), &again.concat());
    let request = bench.asked();
    assert!(request.validated);
    assert_eq!(bench.respond(request.id, links(1_000))[0].len(), 1_005);
    // Four bytes pay for no Echo.
    let mut bench = Bench::new();
    bench.give(peer(1), &hex("40 01 00 01"));
    let id = bench.asked().id;
    assert_eq!(bench.respond(id, links(59)), [hex("60 81 00 01")]);
}

#[test]
fn a_group_hears_nothing_unless_discovery_is_switched_on() {
    // L10
    let discovery = hex("50 01 00 01 BB 2E 77 65 6C 6C 2D 6B 6E 6F 77 6E 04 63 6F 72 65");
    let group = Source { peer: peer(1), group: true, proven: false };
    let mut bench = Bench::new();
    for datagram in
        ["40 01 00 01", "50 01 00 01", "40 00 00 01", "40 01 00 01 FF", "40 20 00 01", "51 45 00 01 AA"]
    {
        assert!(bench.give_from(group, &hex(datagram)).is_empty(), "{datagram}");
    }
    assert!(bench.give_from(group, &discovery).is_empty());
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.counters().peers, 0);

    let mut bench = Bench::with(Config { answer_group_discovery: true, ..Config::default() });
    assert!(bench.give_from(group, &hex("50 01 00 01")).is_empty());
    assert!(bench.events().is_empty());
    bench.give_from(group, &discovery);
    let request = bench.asked();
    assert!(request.group);
    let links = Response::new(Code::CONTENT).with_payload("</rd>;rt=core.rd");
    assert!(bench.respond(request.id, links).is_empty());
    let sent = bench.wait_until(5_000);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1[..2], [0x50, 0x45]);
    let error = hex("50 01 00 02 BB 2E 77 65 6C 6C 2D 6B 6E 6F 77 6E 04 63 6F 72 65");
    bench.give_from(group, &error);
    let id = bench.asked().id;
    assert!(bench.respond(id, Response::new(Code::NOT_FOUND)).is_empty());
    assert!(bench.wait_until(20_000).is_empty());
}

#[test]
fn the_same_register_twenty_times_is_one_request_and_twenty_equal_answers() {
    // L18
    let register = hex("44 02 12 34 01 02 03 04 B2 72 64 11 28 34 65 70 3D 78 FF 3C 2F 3E");
    let mut bench = Bench::new();
    assert!(bench.give(peer(1), &register).is_empty());
    let id = bench.asked().id;
    let options = Options::new()
        .with(coap_lite::CoapOption::LocationPath, "rd")
        .with(coap_lite::CoapOption::LocationPath, "aB3");
    let first = bench.respond(id, Response::new(Code::CREATED).with_options(options));
    assert_eq!(first, [hex("64 41 12 34 01 02 03 04 82 72 64 03 61 42 33")]);
    for _ in 0..19 {
        bench.now += 1_000;
        assert_eq!(bench.give(peer(1), &register), first);
        assert!(bench.events().is_empty());
    }
    assert_eq!(bench.endpoint.counters().duplicates, 19);
    assert_eq!(bench.endpoint.counters().remembered, 1);
}

#[test]
fn a_device_that_lost_its_memory_may_use_a_message_id_again() {
    let mut bench = Bench::new();
    for ep in [b'x', b'y'] {
        let mut register = hex("40 02 00 00 B2 72 64 44 65 70 3D");
        register.push(ep);
        bench.give(peer(1), &register);
        let id = bench.asked().id;
        assert_eq!(bench.respond(id, Response::new(Code::CREATED)), [hex("60 41 00 00")]);
    }
}

#[test]
fn a_million_malformed_registers_leave_nothing_behind() {
    // L11
    let mut bench = Bench::new();
    let datagram = hex("44 02 E6 E2 E2 E6 81 67 B2 72 64 11");
    let mut resets = 0;
    for _ in 0..1_000_000 {
        bench.out.clear();
        bench.endpoint.handle_datagram(at(0), Source::unicast(peer(1)), &datagram, &mut bench.out);
        resets += bench.out.datagrams.len();
    }
    let counters = bench.endpoint.counters();
    assert_eq!(resets, 10, "the budget of a prefix");
    assert_eq!((counters.peers, counters.remembered, counters.remembered_bytes), (0, 0, 0));
    assert_eq!(counters.malformed.values().sum::<u64>(), 1_000_000);
}

#[test]
fn non_confirmable_and_tokenless_requests_are_served() {
    let mut bench = Bench::new();
    bench.give(peer(1), &hex("50 02 00 01 B2 64 70 FF 5B 5D"));
    let request = bench.asked();
    assert_eq!((request.confirmable, request.token.as_bytes()), (false, &[][..]));
    assert_eq!(&request.payload[..], b"[]");
    let answer = bench.respond(request.id, Response::new(Code::CHANGED)).remove(0);
    assert_eq!(answer[..2], [0x50, 0x44]);
    assert!(bench.give(peer(1), &hex("50 02 00 01 B2 64 70 FF 5B 5D")).is_empty());
    assert!(bench.events().is_empty());
    bench.give(peer(1), &hex("40 02 00 02 B2 64 70 FF 5B 5D"));
    let id = bench.asked().id;
    assert_eq!(bench.respond(id, Response::new(Code::CHANGED)), [hex("60 44 00 02")]);
}
