//! Bodies of 64 KiB that cost the most, through every decoder of values and of links.
use lwm2m::catalog::{Catalog, DeviceModel, Version};
use lwm2m::content::{self, ContentFormat, Context, link};
use lwm2m::limits::ContentLimits;
use lwm2m::path::ObjectPath;
use lwm2m::registration::ObjectList;
use std::hint::black_box;
use std::time::Instant;
use turnstone_tests::bodies::bodies;

const BYTES: usize = 64 << 10;

/// A cheap body is not tried again.
const CHEAP_US: f64 = 100.0;

/// Microseconds of the worst one, the best of several tries each: what it costs, not what else the machine does.
pub(crate) fn worst() -> f64 {
    let catalog = Catalog::core();
    let model = DeviceModel { catalog: &catalog, versions: &[], lwm2m: Version::V1_1 };
    let limits = ContentLimits::default();
    let cx = Context { model: &model, limits: &limits, now_unix_ms: 1_700_000_000_000, alternate_path: "" };
    let mut worst: (f64, String) = (0.0, String::new());
    for body in bodies(BYTES) {
        let bytes = &body.bytes;
        let mut note = |way: &str, time: f64| {
            if time > worst.0 {
                worst = (time, format!("{} as {way}", body.name));
            }
        };
        for base in ["/", "/3303", "/3", "/3303/0/5700"] {
            let at = ObjectPath::parse_composite(base).expect("a path");
            for format in ContentFormat::ALL {
                note(format.name(), best(|| drop(black_box(content::decode(format, at, bytes, &cx)))));
            }
        }
        for format in [ContentFormat::SenmlJson, ContentFormat::SenmlCbor, ContentFormat::LwM2mCbor] {
            note("paths", best(|| drop(black_box(content::decode_paths(format, bytes, &cx)))));
        }
        note("discovered links", best(|| drop(black_box(link::decode(bytes, &limits)))));
        note("registered links", best(|| drop(black_box(ObjectList::parse(bytes, &limits)))));
    }
    eprintln!("worst: {}", worst.1);
    worst.0
}

fn best(work: impl Fn()) -> f64 {
    let once = || {
        let begun = Instant::now();
        work();
        begun.elapsed().as_secs_f64() * 1e6
    };
    match once() {
        cheap if cheap < CHEAP_US => cheap,
        first => (0..15).map(|_| once()).fold(first, f64::min),
    }
}
