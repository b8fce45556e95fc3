//! Bodies of 64 KiB that cost the most, through every decoder of values and of links.
use lwm2m::catalog::{Catalog, DeviceModel, Version};
use lwm2m::content::{self, ContentFormat, Context, link};
use lwm2m::limits::ContentLimits;
use lwm2m::path::ObjectPath;
use lwm2m::registration::ObjectList;
use std::hint::black_box;
use std::time::Instant;
use turnstone_tests::bodies::{Body, bodies, unfinished};

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

/// The worst of these bodies through every decoder.
fn worst_of(bodies: &[Body]) -> Worst {
    let catalog = Catalog::core();
    let model = DeviceModel { catalog: &catalog, versions: &[], lwm2m: Version::V1_1 };
    let limits = ContentLimits::default();
    let cx = Context { model: &model, limits: &limits, now_unix_ms: 1_700_000_000_000, alternate_path: "" };
    let mut worst = Worst::default();
    for body in bodies {
        let bytes = &body.bytes;
        let mut note = |way: &str, micros: f64| {
            if micros > worst.micros {
                worst = Worst { micros, name: format!("{} as {way}", body.name) };
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
    worst
}

/// The worst of what is nothing whole: what hostile L27 names.
pub(crate) fn nothing_whole() -> Worst {
    worst_of(&unfinished(BYTES))
}

/// The worst of all, with bodies of thousands of values, legal but for their end or altogether.
pub(crate) fn of_all() -> Worst {
    worst_of(&bodies(BYTES))
}

/// Microseconds.
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
