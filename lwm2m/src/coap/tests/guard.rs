//! What strangers can make us send: amplification, budgets, Echo, probing (RFC 9175 §2, RFC 7252 §11.3).
use super::*;
use crate::coap::{Code, Failure, Options, Request, Response};

#[test]
fn nobody_gets_more_than_three_times_what_came_from_his_address() {
    // A forged address sends whatever it likes; the application answers as loudly as it can and asks back.
    for seed in 0..200_u64 {
        let mut random = crate::coap::token::Secrets::new([seed as u8; 32]);
        let mut bench = Bench::new();
        let victim = peer(1);
        let (mut received, mut sent, mut asked) = (0_usize, 0_usize, 0_usize);
        for step in 0..60_u16 {
            let path = vec![b'a'; random.between(0, 12) as usize];
            let mut rest = vec![0xb0 | path.len() as u8];
            rest.extend(&path);
            let kind = random.between(0, 1) as u8;
            let method = random.between(0, 7) as u8;
            let mid = if random.between(0, 3) == 0 { step / 2 } else { step };
            let datagram = message(kind, method, mid, &[1; 8][..random.between(0, 8) as usize], &rest);
            received += datagram.len();
            let replies = bench.give(victim, &datagram);
            sent += replies.iter().map(Vec::len).sum::<usize>();
            for event in bench.events() {
                let Event::Request(request) = event else { continue };
                let length = random.between(0, 2_000) as usize;
                let code = if random.between(0, 1) == 0 { Code::CONTENT } else { Code::BAD_REQUEST };
                if random.between(0, 3) > 0 {
                    let answer = Response::new(code).with_payload(vec![b'x'; length]);
                    let reply = bench.respond(request.id, answer);
                    sent += reply.iter().map(Vec::len).sum::<usize>();
                    if code.is_error() {
                        assert!(reply.iter().all(|r| r.len() <= datagram.len()), "seed {seed}");
                    }
                }
            }
            if random.between(0, 5) == 0 {
                let mut out = Output::default();
                let request = Request { trusted: false, ..get("/3/0") }.with_payload(vec![1; 200]);
                asked +=
                    usize::from(bench.endpoint.request(at(bench.now), victim, request, 1, &mut out).is_ok());
                sent += out.outgoing().map(|(_, datagram)| datagram.len()).sum::<usize>();
            }
            let later = bench.now + random.between(0, 4_000);
            sent += bench.wait_until(later).iter().map(|(_, datagram)| datagram.len()).sum::<usize>();
            // A probe of four bytes, sent up to five times for a request of ours, is the one thing unpaid.
            assert!(sent <= 3 * received + 20 * asked, "seed {seed}, step {step}: {sent} for {received}");
        }
    }
}

#[test]
fn an_address_that_answered_a_request_of_ours_is_served_in_full() {
    let mut bench = Bench::new();
    let first = bench.ask(peer(1), get("/3"), 1).remove(0);
    assert!(!bench.endpoint.is_validated(&peer(1)));
    bench.give(peer(1), &message(2, 0x45, mid(&first), token(&first), &[]));
    assert!(bench.endpoint.is_validated(&peer(1)));
    bench.give(peer(1), &message(0, 1, 1, &[], &[]));
    let request = bench.asked();
    assert!(request.validated);
    assert_eq!(
        bench.respond(request.id, Response::new(Code::CONTENT).with_payload(vec![0; 900]))[0].len(),
        905
    );
}

#[test]
fn dtls_and_trust_need_no_echo() {
    let mut bench = Bench::new();
    let proven = Source { peer: peer(1), group: false, proven: true };
    bench.give_from(proven, &message(0, 1, 1, &[], &[]));
    let request = bench.asked();
    assert!(request.validated);
    assert_eq!(
        bench.respond(request.id, Response::new(Code::CONTENT).with_payload(vec![0; 900]))[0].len(),
        905
    );
    bench.give(peer(2), &message(0, 1, 1, &[], &[]));
    let request = bench.asked();
    assert!(!request.validated);
    let trusted = Response { trusted: true, ..Response::new(Code::CONTENT).with_payload(vec![0; 900]) };
    assert_eq!(bench.respond(request.id, trusted)[0].len(), 905);
    let mut open = Bench::with(Config { amplification_guard: false, ..Config::default() });
    open.give(peer(1), &message(0, 1, 1, &[], &[]));
    let id = open.asked().id;
    assert_eq!(open.respond(id, Response::new(Code::CONTENT).with_payload(vec![0; 900]))[0].len(), 905);
}

#[test]
fn an_error_keeps_its_text_where_the_request_paid_for_it() {
    let mut bench = Bench::new();
    let long = [&[0xbc][..], &[b'p'; 12]].concat();
    bench.give(peer(1), &message(0, 1, 1, &[], &long));
    let id = bench.asked().id;
    let reply = bench.respond(id, Response::diagnostic(Code::BAD_REQUEST, "too bad"));
    assert_eq!(reply, [[&hex("60 80 00 01 FF")[..], b"too bad"].concat()]);
    bench.give(peer(1), &message(0, 1, 2, &[], &long));
    let id = bench.asked().id;
    let reply = bench.respond(id, Response::diagnostic(Code::BAD_REQUEST, "far too bad for this"));
    assert_eq!(reply, [hex("60 80 00 02")]);
}

#[test]
fn a_request_to_an_address_that_earned_too_little_asks_first_whether_anyone_is_there() {
    let write = || Request { method: Code::PUT, trusted: false, ..get("/3/0") }.with_payload(vec![0; 500]);
    // A short Update from a new address, then a long write that waited for it.
    let mut bench = Bench::new();
    bench.give(peer(1), &message(0, 2, 1, &[], b"\xb2rd\x03abc"));
    let id = bench.asked().id;
    bench.respond(id, Response::new(Code::CHANGED));
    let probe = bench.ask(peer(1), write(), 9).remove(0);
    assert_eq!((probe.len(), probe[0], probe[1]), (4, 0x40, 0));
    let sent = bench.give(peer(1), &message(3, 0, mid(&probe), &[], &[]));
    assert_eq!(sent.len(), 1);
    assert!(sent[0].len() > 500);
    assert!(bench.endpoint.is_validated(&peer(1)));
    // Nobody there: the request fails as any other.
    let mut bench = Bench::new();
    bench.ask(peer(1), write(), 9);
    let sent = bench.wait_until(100_000);
    assert!(sent.iter().all(|(_, datagram)| datagram.len() == 4));
    assert!(matches!(&bench.events()[..], [Event::Failed { reason: Failure::Timeout, tag: 9, .. }]));
}

#[test]
fn error_replies_are_limited_by_prefix_and_in_all_but_not_for_known_peers() {
    let mut bench = Bench::new();
    let ping = hex("40 00 00 01");
    let resets: usize = (0..100).map(|_| bench.give(peer(1), &ping).len()).sum();
    assert_eq!(resets, 10);
    assert_eq!(bench.endpoint.counters().replies_withheld, 90);
    let resets: usize = (0..5_000_u32).map(|n| bench.give(peer(n * 256), &ping).len()).sum();
    assert_eq!(resets, 990);
    let request = bench.ask(peer(1), get("/1"), 1).remove(0);
    bench.give(peer(1), &message(2, 0x45, mid(&request), token(&request), &[]));
    let resets: usize = (0..100).map(|_| bench.give(peer(1), &ping).len()).sum();
    assert_eq!(resets, 100);
}

#[test]
fn the_cached_answer_to_a_stranger_is_paid_for_like_the_first() {
    let mut bench = Bench::new();
    let question = message(0, 1, 1, &[], &[0xb8, 1, 2, 3, 4, 5, 6, 7, 8]);
    bench.give(peer(1), &question);
    let id = bench.asked().id;
    let reply = bench.respond(id, Response::new(Code::CONTENT).with_payload(vec![0; 30]));
    assert_eq!(reply[0].len(), 35);
    for _ in 0..1_000 {
        assert_eq!(bench.give(peer(1), &question), reply);
    }
}

#[test]
fn an_old_or_foreign_echo_is_worth_nothing() {
    let mut bench = Bench::new();
    let question = |mid, echo: &[u8]| {
        let mut rest = b"\xb2xx".to_vec();
        if !echo.is_empty() {
            rest.extend([0xd8, 0xe4]);
            rest.extend(echo);
        }
        message(0, 1, mid, &[], &rest)
    };
    let big = || Response::new(Code::CONTENT).with_payload(vec![0; 500]);
    bench.give(peer(1), &question(1, &[]));
    let id = bench.asked().id;
    let challenge = bench.respond(id, big()).remove(0);
    let echo = challenge[6..].to_vec();
    bench.give(peer(2), &question(1, &echo));
    assert!(!bench.asked().validated);
    bench.now = 120_000;
    bench.give(peer(1), &question(2, &echo));
    assert!(!bench.asked().validated);
    bench.now = 119_999;
    bench.give(peer(1), &question(3, &echo));
    assert!(bench.asked().validated);
}

#[test]
fn options_of_an_error_go_before_the_code_does() {
    let mut bench = Bench::new();
    bench.give(peer(1), &message(0, 1, 1, &[], &[]));
    let id = bench.asked().id;
    let options = Options::new().with_uint(coap_lite::CoapOption::MaxAge, 600);
    let reply = bench.respond(id, Response::new(Code::SERVICE_UNAVAILABLE).with_options(options));
    assert_eq!(reply, [hex("60 A3 00 01")]);
}
