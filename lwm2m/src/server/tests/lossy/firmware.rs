//! A mebibyte of firmware by push and by pull, a tenth of all datagrams lost each way.
use super::super::firmware::{COMMAND, Meter, UPDATED, image, reboot, world_with};
use super::super::world::{Device, Does, Seen, World};
use super::Dice;
use coap_lite::{CoapOption, RequestType};
use std::collections::HashMap;
use std::time::Duration;

const MEBIBYTE: usize = 1 << 20;
const LOSS: u64 = 10;

/// A device whose requests and answers get lost. It answers what comes twice as it did the first time.
struct Lossy {
    meter: Meter,
    dice: Dice,
    answered: HashMap<u16, super::super::world::Reply>,
    lost: u32,
}

impl Lossy {
    fn new(delivery: u8, seed: u64) -> Lossy {
        let meter = Meter::delivering(delivery);
        Lossy { meter, dice: Dice::new(seed), answered: HashMap::new(), lost: 0 }
    }

    fn loses(&mut self) -> bool {
        let lost = self.dice.percent(LOSS);
        self.lost += u32::from(lost);
        lost
    }

    fn on(&mut self, seen: &Seen) -> Does {
        if self.loses() {
            return Does::Silence; // the request
        }
        let mid = seen.packet.header.message_id;
        let reply = match self.answered.get(&mid) {
            Some(reply) => reply.clone(),
            None => match self.meter.on(seen) {
                Does::Answer(reply) => reply,
                other => return other,
            },
        };
        self.answered.insert(mid, reply.clone());
        if self.loses() { Does::Silence } else { Does::Answer(reply) } // the answer
    }

    fn run(&mut self, world: &mut World, device: &mut Device, seconds: u64, done: impl Fn(&Meter) -> bool) {
        for _ in 0..seconds {
            device.serve(world, |seen| self.on(seen));
            if done(&self.meter) {
                return;
            }
            world.pass(Duration::from_secs(1));
        }
        panic!("{} bytes after {seconds} s", self.meter.package.len());
    }
}

fn updated_once(world: &mut World) {
    let answers = world.on("lwm2m/m1/up/resp");
    assert_eq!(answers.iter().filter(|answer| *answer == UPDATED).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.contains(r#""firmware""#)).count(), 1, "{answers:?}");
}

#[test]
fn a_mebibyte_is_pushed_whole_though_a_tenth_is_lost_each_way() {
    for seed in 1..=3 {
        let (mut world, mut device) = world_with(MEBIBYTE);
        let mut lossy = Lossy::new(1, seed);
        world.publish("lwm2m/m1/dn", COMMAND);
        lossy.run(&mut world, &mut device, 6_000, |meter| meter.executed == 1);
        assert!(lossy.meter.package == image(MEBIBYTE), "seed {seed}");
        assert!(lossy.lost > 150, "a tenth of more than two thousand datagrams: {}", lossy.lost);
        assert_eq!(lossy.meter.executed, 1);
        world.pass(Duration::from_secs(60));
        world.inbox(device.at);
        reboot(&mut world, &mut device, &mut lossy.meter, 1);
        updated_once(&mut world);
    }
}

/// Fetches a URI of ours block by block over the same network.
fn fetch(world: &mut World, device: &mut Device, lossy: &mut Lossy, uri: &str) -> Vec<u8> {
    let path = uri.strip_prefix("coap://192.0.2.1:5683").expect("our own address");
    let mut body = Vec::new();
    let mut etag = None;
    for number in 0..2_000u32 {
        let mut packet = device.packet(RequestType::Get, path, &[], b"");
        let block = number << 4 | 6;
        let value = block.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        packet.add_option(CoapOption::Block2, value);
        let mut answer = None;
        for attempt in 0..5 {
            if !lossy.loses() {
                let came = device.send(world, &packet); // again with the same message id: the same answer again
                answer = (!lossy.loses()).then_some(came);
            }
            if answer.is_some() {
                break;
            }
            world.pass(Duration::from_secs(2 << attempt));
        }
        // A block that was never answered is asked for again, as a new request.
        let answer = answer.unwrap_or_else(|| device.send(world, &packet));
        assert_eq!(answer.code(), "2.05", "block {number}");
        let tag = answer.packet.get_option(CoapOption::ETag).cloned();
        assert_eq!(etag.get_or_insert_with(|| tag.clone()), &tag, "one representation");
        body.extend_from_slice(&answer.packet.payload);
        if answer.number(CoapOption::Block2).unwrap_or(0) & 8 == 0 {
            return body;
        }
    }
    panic!("without end");
}

#[test]
fn a_mebibyte_is_pulled_whole_though_a_tenth_is_lost_each_way() {
    for seed in 1..=3 {
        let (mut world, mut device) = world_with(MEBIBYTE);
        let mut lossy = Lossy::new(0, seed);
        world.publish("lwm2m/m1/dn", COMMAND);
        lossy.run(&mut world, &mut device, 300, |meter| meter.uri.starts_with("coap://"));
        let uri = lossy.meter.uri.clone();
        assert!(fetch(&mut world, &mut device, &mut lossy, &uri) == image(MEBIBYTE), "seed {seed}");
        assert!(lossy.lost > 150, "{}", lossy.lost);
        lossy.meter.state = 2;
        lossy.run(&mut world, &mut device, 600, |meter| meter.executed == 1);
        reboot(&mut world, &mut device, &mut lossy.meter, 1);
        updated_once(&mut world);
    }
}
