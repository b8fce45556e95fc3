//! Inputs that are too large or too regular to write down.

use turnstone_tests::fuzz::{mutate, seeds};
use turnstone_tests::notation::{framed, register};
use turnstone_tests::sim::rng::{Rng, seed};

/// The chunks to send for a `generate` step; `times` says how many of what.
pub(crate) fn chunks(name: &str, times: usize) -> Result<Vec<Vec<u8>>, String> {
    if let Some(number) = name.strip_prefix("sn mutations ") {
        return Ok(sn_mutations(number.parse().map_err(|_| "mutations without a number")?, times));
    }
    Ok(match name {
        // Every filter over {x, +} with `times` levels, 256 to a packet.
        "binary filters" => {
            let filters: Vec<String> = (0..1_usize << times).map(|bits| binary_filter(bits, times)).collect();
            filters.chunks(256).enumerate().map(|(index, some)| subscribe(index, some)).collect()
        }
        // The topic that all of those match, QoS 0.
        "binary topic" => vec![publish(0x30, &vec!["x"; times].join("/"), b"m")],
        // One SUBSCRIBE, or UNSUBSCRIBE, with `times` filters.
        "one subscribe" => vec![subscribe(0, &numbered(times))],
        "one unsubscribe" => {
            let filters = numbered(times);
            let body: Vec<u8> = filters.iter().flat_map(|filter| text(filter)).collect();
            vec![framed(0xA2, &[vec![0, 1], body].concat())]
        }
        // Packets with the same filter 256 times.
        "same filter" => (0..times).map(|index| subscribe(index, &vec!["same/filter".into(); 256])).collect(),
        // QoS 2 publishes, each with an id of its own.
        "open qos 2" => (0..times)
            .map(|index| {
                let body = [text("hostile/qos2"), id(index).to_vec(), b"x".to_vec()].concat();
                framed(0x34, &body)
            })
            .collect(),
        // Retained messages of 1 KiB on topics of their own, and their deletion.
        "retained" => numbered(times).iter().map(|topic| publish(0x31, topic, &[b'r'; 1024])).collect(),
        "retained deletes" => numbered(times).iter().map(|topic| publish(0x31, topic, b"")).collect(),
        // So many messages of 1000 octets, QoS 0, on the topic "fl".
        "flood" => (0..times).map(|_| publish(0x30, "fl", &[b'f'; 1000])).collect(),
        // MQTT-SN: REGISTERs of names of their own.
        "sn registers" => (0..times)
            .map(|index| [&[0x0B, 0x0A, 0, 0], &id(index)[..], format!("{index:05}").as_bytes()].concat())
            .collect(),
        // MQTT-SN: QoS 2 publishes on the short name "q2", each with an id of its own.
        "sn open qos 2" => {
            let head = [0x08, 0x0C, 0x42, b'q', b'2'];
            (0..times).map(|index| [&head[..], &id(index)[..], b"x"].concat()).collect()
        }
        // CoAP: Registers of as many endpoints; one with as many objects, whole or in blocks.
        "registers" => (0..times)
            .map(|index| register(u16::from_be_bytes(id(index)), &format!("ep=n{index}&lt=60"), b"</1/0>"))
            .collect(),
        // The first block of a body of its own each.
        "first blocks" => (0..times)
            .map(|index| {
                let head = register(u16::from_be_bytes(id(index)), &format!("ep=b{index}"), b"");
                [&head[..], &[0xC1, 0x0E, 0xFF], &[b'a'; 1024]].concat()
            })
            .collect(),
        "one register with objects" => vec![register(1, "ep=objects", &links(times))],
        "register with objects" => blocks(&links(times)),
        // Commands for LwM2M devices.
        "deep command" => {
            let payload = [br#"{"reqID":1,"msgType":"read","data":"#, "[".repeat(times).as_bytes()].concat();
            vec![publish(0x30, "lwm2m/l28/dn", &payload)]
        }
        "large command" => {
            let payload =
                format!(r#"{{"reqID":1,"msgType":"read","data":{{"path":"{}"}}}}"#, "3".repeat(300_000));
            vec![publish(0x30, "lwm2m/l28/dn", payload.as_bytes())]
        }
        "commands for l30" => (0..times)
            .map(|index| {
                let payload =
                    format!(r#"{{"reqID":{index},"msgType":"read","ttl":2,"data":{{"path":"/3/0/0"}}}}"#);
                publish(0x30, "lwm2m/l30/dn", payload.as_bytes())
            })
            .collect(),
        // MQTT-SN: CONNECTs of clients of their own, each behind a node id of its own.
        "sn nodes" => (0..times)
            .map(|index| {
                let name = format!("n{index:06}");
                let node = u32::try_from(index).unwrap_or(u32::MAX).to_be_bytes();
                let head = [0x0D, 0x04, 0x04, 0x01, 0x00, 0x3C];
                [&[0x07, 0xFE, 0x00], &node[..], &head[..], name.as_bytes()].concat()
            })
            .collect(),
        _ => return Err(format!("nothing is generated under the name {name:?}")),
    })
}

fn links(times: usize) -> Vec<u8> {
    (0..times).map(|index| format!("</{}/0>", 10_000 + index)).collect::<Vec<_>>().join(",").into_bytes()
}

/// A Register in blocks of 1 KiB.
fn blocks(body: &[u8]) -> Vec<Vec<u8>> {
    let last = body.len().div_ceil(1024) - 1;
    let one = |(number, block): (usize, &[u8])| {
        let value = u16::try_from(number << 4 | usize::from(number < last) << 3 | 6).expect("a few blocks");
        // Block1 27 behind Uri-Query 15; two bytes for every number, which is one more than needed for the first.
        let head = register(u16::from_be_bytes(id(number)), "ep=blocks", b"");
        [&head[..], &[0xC2], &value.to_be_bytes()[..], &[0xFF], block].concat()
    };
    body.chunks(1024).enumerate().map(one).collect()
}

/// Valid MQTT-SN datagrams, most of them changed a little: every `number` gives others. `TURNSTONE_MUTATIONS` asks for
/// more of them, `TURNSTONE_SEED` for those of another run.
fn sn_mutations(number: u64, times: usize) -> Vec<Vec<u8>> {
    let times = std::env::var("TURNSTONE_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(times);
    let first = seed(0x37);
    println!("mutations {number} with TURNSTONE_SEED={first}");
    let mut rng = Rng::new(first.wrapping_add(number << 32));
    let datagrams = seeds("sn_datagram");
    let one = |_| {
        let mut bytes = rng.pick(&datagrams).clone();
        for _ in 0..rng.below(4) {
            mutate(&mut rng, &mut bytes);
        }
        // Half of them with the right length, so that they get past the first door.
        if let (true, Ok(length), Some(first)) =
            (rng.percent(50), u8::try_from(bytes.len()), bytes.first_mut())
        {
            *first = length;
        }
        bytes
    };
    (0..times).map(one).collect()
}

fn binary_filter(bits: usize, levels: usize) -> String {
    let level = |index: usize| if bits >> index & 1 == 1 { "+" } else { "x" };
    (0..levels).map(level).collect::<Vec<_>>().join("/")
}

fn numbered(times: usize) -> Vec<String> {
    (0..times).map(|index| format!("hostile/n/{index}")).collect()
}

fn subscribe(index: usize, filters: &[String]) -> Vec<u8> {
    let body: Vec<u8> = filters.iter().flat_map(|filter| [text(filter), vec![0]].concat()).collect();
    framed(0x82, &[id(index).to_vec(), body].concat())
}

fn publish(first: u8, topic: &str, payload: &[u8]) -> Vec<u8> {
    framed(first, &[&text(topic)[..], payload].concat())
}

/// A packet id: 1 to 65 535, then again from 1.
fn id(index: usize) -> [u8; 2] {
    u16::try_from(index % 65_535 + 1).expect("at most 65 535").to_be_bytes()
}

fn text(value: &str) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("topics made here are short");
    [&length.to_be_bytes()[..], value.as_bytes()].concat()
}
