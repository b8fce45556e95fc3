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

/// What the worst body costs, in microseconds, and which it is: the best of several tries each, as that is what it
/// costs and not what else the machine does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Worst {
    micros: f64,
    name: String,
}

impl Worst {
    /// Says which it is, and gives the microseconds.
    pub(crate) fn told(self) -> f64 {
        eprintln!("worst: {}", self.name);
        self.micros
    }
}

/// The worst of those that are refused, and of those that are taken: thousands of legal values.
pub(crate) fn worst() -> [Worst; 2] {
    let catalog = Catalog::core();
    let model = DeviceModel { catalog: &catalog, versions: &[], lwm2m: Version::V1_1 };
    let limits = ContentLimits::default();
    let cx = Context { model: &model, limits: &limits, now_unix_ms: 1_700_000_000_000, alternate_path: "" };
    let mut worst = [Worst::default(), Worst::default()];
    for body in bodies(BYTES) {
        let bytes = &body.bytes;
        let [refused, taken] = &mut worst;
        let mut note = |way: &str, (is_taken, micros): (bool, f64)| {
            let worst = if is_taken { &mut *taken } else { &mut *refused };
            if micros > worst.micros {
                *worst = Worst { micros, name: format!("{} as {way}", body.name) };
            }
        };
        for base in ["/", "/3303", "/3", "/3303/0/5700"] {
            let at = ObjectPath::parse_composite(base).expect("a path");
            for format in ContentFormat::ALL {
                note(format.name(), best(|| black_box(content::decode(format, at, bytes, &cx)).is_ok()));
            }
        }
        for format in [ContentFormat::SenmlJson, ContentFormat::SenmlCbor, ContentFormat::LwM2mCbor] {
            note("paths", best(|| black_box(content::decode_paths(format, bytes, &cx)).is_ok()));
        }
        note("discovered links", best(|| black_box(link::decode(bytes, &limits)).is_ok()));
        note("registered links", best(|| black_box(ObjectList::parse(bytes, &limits)).is_ok()));
    }
    worst
}

/// Whether the work ended well, and its microseconds.
fn best(work: impl Fn() -> bool) -> (bool, f64) {
    let once = || {
        let begun = Instant::now();
        let taken = work();
        (taken, begun.elapsed().as_secs_f64() * 1e6)
    };
    match once() {
        (taken, cheap) if cheap < CHEAP_US => (taken, cheap),
        (taken, first) => (taken, (0..15).map(|_| once().1).fold(first, f64::min)),
    }
}
