//! Bodies of 64 KiB that would cost the most, through every decoder of values and of links.
use lwm2m::catalog::{Catalog, DeviceModel, Version};
use lwm2m::content::{self, ContentFormat, Context, link};
use lwm2m::limits::ContentLimits;
use lwm2m::path::ObjectPath;
use lwm2m::registration::ObjectList;
use std::hint::black_box;
use std::time::Instant;

const BYTES: usize = 64 << 10;

fn filled(unit: &[u8]) -> Vec<u8> {
    unit.iter().copied().cycle().take(BYTES).collect()
}

/// `begin`, as many numbered `unit`s as fit, `end`.
fn listed(begin: &str, unit: impl Fn(usize) -> String, end: &str, most: usize) -> Vec<u8> {
    let mut text = begin.to_owned();
    for n in 0..most {
        let next = unit(n);
        if text.len() + next.len() + end.len() + 1 > BYTES {
            break;
        }
        if n > 0 {
            text.push(',');
        }
        text.push_str(&next);
    }
    (text + end).into_bytes()
}

fn bodies() -> Vec<Vec<u8>> {
    let number = "9".repeat(BYTES - 40);
    vec![
        filled(&[0x9f]),
        filled(&[0xbf]),
        filled(&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        filled(&[0xc1]),
        filled(&[0x7b, 0, 0, 0, 1, 0, 0, 0, 0]),
        filled(&[0x00, 0x00]),
        filled(&[0x08, 0x00, 0xff]),
        filled(&[0xc8, 0x00, 0x00]),
        filled(b"["),
        filled(br#"{"a":"#),
        filled(br#"\u0041"#),
        format!(r#"[{{"n":"/3/0/9","v":{number}}}]"#).into_bytes(),
        format!(r#"[{{"n":"/3/0/9","v":1e{number}}}]"#).into_bytes(),
        format!(r#"{{"bn":"/3/0/9","e":[{{"v":{number}.{}}}]}}"#, 1).into_bytes(),
        number.clone().into_bytes(),
        listed("[", |n| format!(r#"{{"n":"/3303/{n}/5700","v":1}}"#), "]", 4096),
        listed("[", |_| r#"{"n":"/3/0/9","v":1}"#.to_owned(), "]", 4096),
        listed(r#"{"bn":"/3303/","e":["#, |n| format!(r#"{{"n":"{n}/5700","v":1}}"#), "]}", 4096),
        listed("", |n| format!("</3303/{n}>"), "", 1_024),
        listed("", |n| format!("</3303/{}>;ver=1.{n}", n % 512), "", 1_024),
        listed("", |n| format!("</3/0>;a{n}=\"{n},;\""), "", 4_096),
    ]
}

/// Microseconds of the worst one, the best of several tries each: what it costs, not what else the machine does.
pub(crate) fn worst() -> f64 {
    let catalog = Catalog::core();
    let model = DeviceModel { catalog: &catalog, versions: &[], lwm2m: Version::V1_1 };
    let limits = ContentLimits::default();
    let cx = Context { model: &model, limits: &limits, now_unix_ms: 1_700_000_000_000, alternate_path: "" };
    let mut worst: f64 = 0.0;
    for body in bodies() {
        for base in [ObjectPath::ROOT, ObjectPath::object(3303)] {
            for format in ContentFormat::ALL {
                worst = worst.max(best(|| drop(black_box(content::decode(format, base, &body, &cx)))));
            }
        }
        worst = worst.max(best(|| drop(black_box(link::decode(&body, &limits)))));
        worst = worst.max(best(|| drop(black_box(ObjectList::parse(&body, &limits)))));
    }
    worst
}

fn best(work: impl Fn()) -> f64 {
    let once = || {
        let begun = Instant::now();
        work();
        begun.elapsed().as_secs_f64() * 1e6
    };
    (0..5).map(|_| once()).fold(f64::MAX, f64::min)
}
