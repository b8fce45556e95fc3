//! Bodies in blocks, both ways, over good and bad networks (RFC 7959).
use bytes::Bytes;
use coap_lite::CoapOption;

use super::sim::Sim;
use super::*;
use crate::coap::{Code, Failure, Options, Request, Response};

fn body(length: usize) -> Bytes {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

fn put(path: &str, payload: Bytes) -> Request {
    Request { method: Code::PUT, ..get(path) }.with_payload(payload)
}

/// The response with tag 1 has this code and body; says no more than needed when it has not.
fn assert_body(sim: &Sim, node: usize, code: Code, body: &[u8]) {
    match sim.response(node, 1) {
        Some((got, payload)) => assert!((got, payload) == (code, body), "{got}, {} bytes", payload.len()),
        None => panic!("seed {}: {:?}", sim.seed, sim.nodes[node].events.last()),
    }
}

/// A request that takes `body_bytes_max` back.
fn get_up_to(path: &str, body_bytes_max: usize) -> Request {
    Request { body_bytes_max, ..get(path) }
}

#[test]
fn a_mebibyte_goes_up_by_block1_at_ten_per_cent_loss() {
    for seed in [1, 2, 3] {
        let mut sim = Sim::new(seed);
        (sim.loss, sim.doubled, sim.delay) = (10, 2, (20, 60));
        let config = Config { body_bytes_max: 4 << 20, ..Config::default() };
        let device = sim.node(config, |_| (0, Response::new(Code::CHANGED)));
        let client = sim.client();
        let image = body(1 << 20);
        sim.ask(client, device, put("/5/0/0", image.clone()), 7);
        sim.run_until(40_000_000);
        assert_eq!(sim.response(client, 7), Some((Code::CHANGED, &[][..])), "seed {seed}");
        assert_eq!(sim.nodes[device].requests.len(), 1, "seed {seed}");
        assert!(sim.nodes[device].requests[0].payload == image, "seed {seed}");
        let sent: Vec<usize> = sim.nodes[client]
            .events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Progress { sent, total, .. } => {
                    assert_eq!(*total, 1 << 20);
                    Some(*sent)
                }
                _ => None,
            })
            .collect();
        assert_eq!(sent, (1..1_024).map(|block| block * 1_024).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn a_read_of_200_kib_comes_by_block2_with_the_limit_raised_and_fails_at_the_default() {
    for seed in [1, 2, 3] {
        let mut sim = Sim::new(seed);
        (sim.loss, sim.doubled, sim.delay) = (10, 5, (20, 400));
        let big = body(200 << 10);
        let answer = big.clone();
        // A device guards nobody: it answers repeated requests again, too.
        let config = Config { amplification_guard: false, ..Config::default() };
        let device =
            sim.node(config, move |_| (0, Response::new(Code::CONTENT).with_payload(answer.clone())));
        let client = sim.client();
        sim.ask(client, device, get_up_to("/3/0", 256 << 10), 1);
        sim.run_until(40_000_000);
        assert_body(&sim, client, Code::CONTENT, &big);
        sim.ask(client, device, get("/3/0"), 2);
        sim.run_until(80_000_000);
        let failed =
            |event: &Event<_>| matches!(event, Event::Failed { reason: Failure::TooLarge, tag: 2, .. });
        assert!(sim.nodes[client].events.iter().any(|(_, event)| failed(event)), "seed {seed}");
        assert_eq!(sim.nodes[client].endpoint.counters().pending_body_bytes, 0);
    }
}

#[test]
fn a_firmware_image_is_pulled_from_a_shared_body_after_one_echo() {
    // The device pulls; it is unknown to the server, so the first block costs one round for the Echo.
    let image = body(600_000);
    let shared = image.clone();
    let mut sim = Sim::new(9);
    sim.loss = 5;
    let server = sim.node(Config::default(), move |request| {
        assert_eq!(request.options.path().next(), Some(&b"fw"[..]));
        let etag = Options::new().with(CoapOption::ETag, [1]);
        (0, Response::new(Code::CONTENT).with_options(etag).with_payload(shared.clone()))
    });
    let device = sim.client();
    sim.ask(device, server, get_up_to("/fw/a1", 1 << 20), 1);
    sim.run_until(40_000_000);
    assert_body(&sim, device, Code::CONTENT, &image);
    assert_eq!(sim.nodes[server].endpoint.counters().challenges, 1);
}

#[test]
fn a_large_answer_to_a_post_is_kept_so_that_the_post_runs_once() {
    let mut sim = Sim::new(4);
    (sim.loss, sim.doubled) = (10, 10);
    let answer = body(5_000);
    let given = answer.clone();
    let server = sim.node(Config { body_bytes_max: 10_000, ..Config::default() }, move |_| {
        (0, Response { trusted: true, ..Response::new(Code::CHANGED).with_payload(given.clone()) })
    });
    let client = sim.client();
    sim.ask(client, server, Request { method: Code::POST, ..get("/x") }.with_payload(body(3_000)), 1);
    sim.run_until(3_000_000);
    assert_body(&sim, client, Code::CHANGED, &answer);
    assert_eq!(sim.nodes[server].requests.len(), 1);
    assert_eq!(sim.nodes[server].requests[0].payload, body(3_000));
    assert_eq!(sim.nodes[server].endpoint.counters().pending_body_bytes, 0);
}

#[test]
fn later_blocks_of_a_fetch_repeat_its_body() {
    let answer = body(3_000);
    let given = answer.clone();
    let mut sim = Sim::new(4);
    let server = sim.node(Config::default(), move |request| {
        assert_eq!(&request.payload[..], b"paths");
        (0, Response { trusted: true, ..Response::new(Code::CONTENT).with_payload(given.clone()) })
    });
    let client = sim.client();
    sim.ask(client, server, Request { method: Code::FETCH, ..get("/") }.with_payload("paths"), 1);
    sim.run_until(100_000);
    assert_body(&sim, client, Code::CONTENT, &answer);
}

#[test]
fn a_body_over_the_limit_gets_4_13_with_the_limit() {
    let mut sim = Sim::new(4);
    let server = sim.node(Config::default(), |_| (0, Response::new(Code::CHANGED)));
    let client = sim.client();
    sim.ask(client, server, put("/x", body((64 << 10) + 1)), 1);
    sim.ask(client, server, put("/x", body(64 << 10)), 2);
    sim.run_until(100_000);
    assert_eq!(sim.response(client, 1).map(|(code, _)| code), Some(Code::REQUEST_ENTITY_TOO_LARGE));
    assert_eq!(sim.response(client, 2).map(|(code, _)| code), Some(Code::CHANGED));
    assert_eq!(sim.nodes[server].requests.len(), 1);
}

#[test]
fn other_requests_run_between_the_blocks_but_no_second_upload() {
    let mut sim = Sim::new(4);
    let device = sim.node(Config::default(), |_| (0, Response::new(Code::CHANGED)));
    let client = sim.client();
    sim.ask(client, device, put("/5/0/0", body(20_000)), 1);
    sim.ask(client, device, put("/5/1/0", body(20_000)), 2);
    sim.ask(client, device, get("/3/0/9"), 3);
    sim.run_until(100_000);
    let order: Vec<Vec<u8>> =
        sim.nodes[device].requests.iter().map(|r| r.options.path().collect::<Vec<_>>().concat()).collect();
    assert_eq!(order, [&b"309"[..], b"500", b"510"]);
    for tag in 1..=3 {
        assert_eq!(sim.ends(client, tag), 1);
    }
}

/// What a scripted device says to each block, as options and payload after the code.
fn scripted(bench: &mut Bench, request: &[u8], code: u8, rest: &str) -> Vec<Vec<u8>> {
    let answer = message(2, code, mid(request), token(request), &hex(rest));
    bench.give(peer(1), &answer)
}

#[test]
fn an_upload_goes_on_with_the_smaller_blocks_that_the_device_asks_for() {
    let mut bench = Bench::new();
    let first = bench.ask(peer(1), put("/5", body(2_000)), 1).remove(0);
    // Uri-Path 5, Block1 0/1/1024, Size1 2000.
    assert_eq!(first[12..24], hex("B1 35 D1 03 0E D2 14 07 D0 FF 00 07"));
    let second = scripted(&mut bench, &first, 0x5f, "D1 0E 0A").remove(0);
    // Number 16 of 64 bytes.
    assert_eq!(second[12..19], hex("B1 35 D2 03 01 0A FF"));
    assert_eq!(second[19..], body(2_000)[1_024..1_088]);
    assert_ne!(token(&first), token(&second));
}

#[test]
fn a_single_write_refused_with_a_size_is_tried_again_in_blocks() {
    let mut bench = Bench::new();
    let first = bench.ask(peer(1), put("/5", body(500)), 1).remove(0);
    assert_eq!(first[12..15], hex("B1 35 FF"));
    let second = scripted(&mut bench, &first, 0x8d, "D1 0E 02").remove(0);
    assert_eq!(second[12..22], hex("B1 35 D1 03 0A D2 14 01 F4 FF"));
    assert_eq!(second.len(), 22 + 64);
}

#[test]
fn an_upload_starts_again_once_on_4_08() {
    let mut bench = Bench::new();
    let first = bench.ask(peer(1), put("/5", body(3_000)), 1).remove(0);
    let second = scripted(&mut bench, &first, 0x5f, "D1 0E 0E").remove(0);
    let again = scripted(&mut bench, &second, 0x88, "").remove(0);
    assert_eq!(again[12..17], hex("B1 35 D1 03 0E"));
    bench.events();
    assert!(scripted(&mut bench, &again, 0x88, "").is_empty());
    assert!(matches!(&bench.events()[..], [Event::Response(r)] if r.code == Code::REQUEST_ENTITY_INCOMPLETE));
}

#[test]
fn an_endless_or_changing_answer_is_given_up() {
    // L22: endless.
    let mut bench = Bench::new();
    let mut request = bench.ask(peer(1), get("/3"), 1).remove(0);
    let mut number = 0_u32;
    let reason = loop {
        let mut options = Options::new();
        options.set_uint(CoapOption::Block2, number << 4 | 0xe);
        let answer = options
            .encode(
                crate::coap::check::Kind::Acknowledgement,
                Code::CONTENT,
                mid(&request),
                crate::coap::Token::new(token(&request)).unwrap(),
                &[0; 1_024],
            )
            .unwrap();
        match bench.give(peer(1), &answer).pop() {
            Some(next) => request = next,
            None => break bench.events(),
        }
        number += 1;
        assert!(number < 100);
    };
    assert!(matches!(&reason[..], [Event::Failed { reason: Failure::TooLarge, .. }]));
    assert_eq!(number, 63, "64 KiB and no end");
    // L22: another ETag, twice.
    let mut bench = Bench::new();
    let first = bench.ask(peer(1), get("/3"), 1).remove(0);
    let block = " FF 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61";
    let second = scripted(&mut bench, &first, 0x45, &format!("41 01 D1 06 08 {block}")).remove(0);
    assert!(second.ends_with(&hex("C1 10")), "{second:x?}");
    let third = scripted(&mut bench, &second, 0x45, &format!("41 02 D1 06 18 {block}")).remove(0);
    assert!(third.ends_with(&hex("B1 33 C0")), "begins anew: {third:x?}");
    let fourth = scripted(&mut bench, &third, 0x45, &format!("41 02 D1 06 08 {block}")).remove(0);
    assert!(scripted(&mut bench, &fourth, 0x45, &format!("41 03 D1 06 18 {block}")).is_empty());
    assert!(matches!(&bench.events()[..], [Event::Failed { reason: Failure::Changed, .. }]));
    // A size exponent of 7, and a block from the middle.
    for options in ["D1 0A 0F", "D1 0A 18"] {
        let mut bench = Bench::new();
        let first = bench.ask(peer(1), get("/3"), 1).remove(0);
        assert!(scripted(&mut bench, &first, 0x45, &format!("{options} {block}")).is_empty());
        assert!(matches!(&bench.events()[..], [Event::Failed { reason: Failure::BadBlock, .. }]));
    }
}

#[test]
fn a_block_of_our_answer_can_be_asked_for_in_any_size() {
    let mut bench = Bench::new();
    let answer = body(100);
    let mut blocks = Vec::new();
    for number in 0..5_u16 {
        let option = [0xb1, b'x', 0xc1, (number as u8) << 4 | 1];
        let option = if number < 4 { option } else { [0xb1, b'x', 0xc1, 4 << 4 | 1] };
        bench.give(peer(1), &message(0, 1, number, &[], &option));
        let id = bench.asked().id;
        let response =
            Response { trusted: true, ..Response::new(Code::CONTENT).with_payload(answer.clone()) };
        blocks.push(bench.respond(id, response).remove(0));
    }
    assert_eq!(blocks[4], hex("60 80 00 04"), "behind the end");
    let etag = &blocks[0][5..13];
    // ETag, Block2 0/1/32, Size2 100 in the first block only.
    assert_eq!(blocks[0][13..19], hex("D1 06 09 51 64 FF"));
    assert_eq!(blocks[3][4..17], [&[0x48], etag, &hex("D1 06 31 FF")].concat());
    let all: Vec<u8> = [&blocks[0][19..], &blocks[1][17..], &blocks[2][17..], &blocks[3][17..]].concat();
    assert_eq!(all, answer);
}

#[test]
fn two_uploads_of_one_peer_do_not_mix_when_path_or_tag_differ() {
    // RFC 9175 §3.3: Request-Tag is part of what names a body.
    let mut bench = Bench::new();
    let block = |mid, tag: &str, value: &str, fill: u8, length: usize| {
        let mut rest = hex(&format!("B1 78 D1 03 {value} {tag}"));
        rest.push(0xff);
        rest.extend(vec![fill; length]);
        message(0, 2, mid, &[], &rest)
    };
    let one = "D1 FC 01"; // 27 + 13 + 252 = 292
    let two = "D1 FC 02";
    assert_eq!(bench.give(peer(1), &block(1, one, "08", 1, 16))[0][1], 0x5f);
    assert_eq!(bench.give(peer(1), &block(2, two, "08", 2, 16))[0][1], 0x5f);
    assert!(bench.give(peer(1), &block(3, one, "10", 1, 4)).is_empty());
    assert_eq!(&bench.asked().payload[..], [1; 20]);
    assert!(bench.give(peer(1), &block(4, two, "10", 2, 4)).is_empty());
    assert_eq!(&bench.asked().payload[..], [2; 20]);
}

#[test]
fn the_answer_to_the_last_block_names_it() {
    let mut bench = Bench::new();
    let first = message(0, 2, 1, &[9], &[&hex("B1 78 D1 03 08 FF")[..], &[1; 16]].concat());
    assert_eq!(bench.give(peer(1), &first), [hex("61 5F 00 01 09 D1 0E 08")]);
    assert_eq!(bench.give(peer(1), &first), [hex("61 5F 00 01 09 D1 0E 08")], "a copy changes nothing");
    bench.give(peer(1), &message(0, 2, 2, &[9], &[&hex("B1 78 D1 03 10 FF")[..], &[2; 3]].concat()));
    let request = bench.asked();
    assert_eq!(request.payload.len(), 19);
    assert_eq!(bench.endpoint.counters().pending_body_bytes, 0, "a whole body is not held any more");
    assert_eq!(bench.respond(request.id, Response::new(Code::CHANGED)), [hex("61 44 00 02 09 D1 0E 10")]);
}

/// One block of a POST to /rd: number, more and size as they stand in the option, and how long it is.
fn post_block(bench: &mut Bench, mid: u16, block: &[u8], length: usize) -> Vec<Vec<u8>> {
    let options = [&[0xb2, b'r', b'd', 0xd0 | block.len() as u8, 27 - 11 - 13], block, &[0xff]].concat();
    bench.give(peer(1), &message(0, 0x02, mid, &[1], &[options, vec![b'x'; length]].concat()))
}

#[test]
fn blocks_of_ours_are_never_larger_than_the_setting_either_way() {
    let config = Config { szx: 2, body_bytes_max: 4_096, ..Config::default() };
    let mut bench = Bench::with(config);
    let options = |datagram: &[u8]| Options::decode(datagram).expect("a message");
    // What we ask for, and what we bring.
    let asked = bench.ask(peer(9), get("/3/0"), 1);
    assert_eq!(options(&asked[0]).0.uint(CoapOption::Block2), Some(2), "0/_/64");
    let mut bench = Bench::with(Config { szx: 2, ..Config::default() });
    let sent = bench.ask(peer(9), put("/5/0/0", body(300)), 1);
    let (sent, payload) = options(&sent[0]);
    assert_eq!((sent.uint(CoapOption::Block1), payload.len()), (Some(0x0a), 64));
    assert_eq!(sent.uint(CoapOption::Block2), None);
    // What we answer, however large the blocks that are asked for.
    for (asked, number) in [(&b""[..], 0), (&[0xc1, 0x06], 0), (&[0xc1, 0x16], 16)] {
        let request = [b"\xb2fw", asked].concat();
        bench.now += 1;
        bench.give(peer(2), &message(0, 1, 7 + number as u16 + asked.len() as u16, &[], &request));
        let id = bench.asked().id;
        let answer = Response { trusted: true, ..Response::new(Code::CONTENT).with_payload(body(2_000)) };
        let (answer, payload) = options(&bench.respond(id, answer)[0]);
        assert_eq!(answer.uint(CoapOption::Block2), Some(number << 4 | 0x0a), "{asked:?}");
        assert_eq!(payload, &body(2_000)[number as usize * 64..][..64]);
    }
    // What is brought to us in larger ones: they are taken, and the next are to be smaller.
    let first = post_block(&mut bench, 50, &[0x0e], 1_024);
    assert_eq!(first[0][1], 0x5f, "2.31");
    assert_eq!(options(&first[0]).0.uint(CoapOption::Block1), Some(0x0a));
    let second = post_block(&mut bench, 51, &[0x01, 0x0a], 64);
    assert_eq!(options(&second[0]).0.uint(CoapOption::Block1), Some(0x010a), "16/M/64");
    post_block(&mut bench, 52, &[0x01, 0x12], 3);
    assert_eq!(bench.asked().payload.len(), 1_024 + 64 + 3);
}

#[test]
fn a_body_goes_both_ways_in_small_blocks_at_ten_per_cent_loss() {
    let small = Config { szx: 0, ..Config::default() };
    let mut sim = Sim::new(4);
    (sim.loss, sim.doubled, sim.delay) = (10, 2, (20, 60));
    let image = body(3_000);
    let answer = image.clone();
    let device = sim.node(Config::default(), move |_| {
        (0, Response { trusted: true, ..Response::new(Code::CONTENT).with_payload(answer.clone()) })
    });
    let client = sim.node(small, |_| (0, Response::new(Code::NOT_FOUND)));
    sim.ask(client, device, put("/5/0/0", image.clone()), 1);
    sim.run_until(10_000_000);
    assert_body(&sim, client, Code::CONTENT, &image);
    assert!(sim.nodes[device].requests[0].payload == image);
    // 188 blocks there; a PUT says nothing of the size that may come back, so that the first is a large one.
    assert!(sim.datagrams >= 2 * (188 + 1 + 123), "{} datagrams", sim.datagrams);
}
