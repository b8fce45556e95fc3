//! What decoding a hostile body takes of memory, counted octet by octet (hostile L27).
//!
//! A body that is nothing whole takes no more than 64 KiB. A body that lists thousands of values, which real devices send
//! too, is held as those values: the bound of their number bounds the memory, and an error answer keeps nothing of it.
#![allow(unsafe_code, reason = "an allocator that counts")]
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::mem::size_of;
use std::sync::OnceLock;

use lwm2m::catalog::{Catalog, DeviceModel, Version};
use lwm2m::content::{self, ContentFormat, Context, Entry, link};
use lwm2m::limits::ContentLimits;
use lwm2m::path::ObjectPath;
use lwm2m::registration::ObjectList;
use turnstone_tests::bodies::{self, Body};

const BYTES: usize = 64 << 10;
/// For what is nothing whole.
const UNFINISHED_MAX: usize = 64 << 10;
/// For the reason of an error.
const REASON_MAX: usize = 1 << 10;

/// What this thread has allocated.
#[derive(Clone, Copy)]
struct Count {
    held: usize,
    peak: usize,
    allocations: usize,
}

thread_local! {
    static COUNT: Cell<Count> = const { Cell::new(Count { held: 0, peak: 0, allocations: 0 }) };
}

/// Takes `more` and then gives `less` back. A thread that ends has no count any more.
fn count(more: usize, less: usize) {
    let _ = COUNT.try_with(|count| {
        let Count { held, peak, allocations } = count.get();
        let most = held.wrapping_add(more);
        let allocations = allocations + usize::from(more > 0);
        // What another thread allocated may be given back here: the count wraps, and differences stay right.
        let peak = if (most.wrapping_sub(peak) as isize) > 0 { most } else { peak };
        count.set(Count { held: most.wrapping_sub(less), peak, allocations });
    });
}

/// The system's, counted.
struct Counting;

// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // One that grows may be copied, and then both are there for a moment; one that shrinks stays.
        match size > layout.size() {
            true => count(size, layout.size()),
            false => count(0, layout.size() - size),
        }
        // SAFETY: as the caller promised.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that was held during the work beyond what was held before, the allocations, what is still held with the
/// outcome there, and whether that is an error.
struct Taken {
    peak: usize,
    allocations: usize,
    kept: usize,
    is_error: bool,
}

fn taken<T, E>(work: impl FnOnce() -> Result<T, E>) -> Taken {
    let before = COUNT.with(|count| {
        let now = count.get();
        count.set(Count { peak: now.held, ..now });
        now
    });
    let outcome = work();
    let after = COUNT.with(Cell::get);
    let taken = Taken {
        peak: after.peak.wrapping_sub(before.held),
        allocations: after.allocations - before.allocations,
        kept: after.held.wrapping_sub(before.held),
        is_error: outcome.is_err(),
    };
    drop(outcome);
    assert_eq!(COUNT.with(Cell::get).held, before.held, "all is given back with the outcome");
    taken
}

/// Every way of this body through a decoder of these formats.
fn ways(body: &[u8], formats: &[ContentFormat], mut each: impl FnMut(&str, &str, Taken)) {
    static CORE: OnceLock<Catalog> = OnceLock::new();
    let model = DeviceModel { catalog: CORE.get_or_init(Catalog::core), versions: &[], lwm2m: Version::V1_1 };
    let limits = ContentLimits::default();
    let cx = Context { model: &model, limits: &limits, now_unix_ms: 1_700_000_000_000, alternate_path: "" };
    for base in ["/", "/3303", "/3", "/3303/0/5700"] {
        let at = ObjectPath::parse_composite(base).expect("a path");
        for format in formats {
            each(format.name(), base, taken(|| content::decode(*format, at, body, &cx)));
        }
    }
    for format in formats {
        each(format.name(), "paths", taken(|| content::decode_paths(*format, body, &cx)));
    }
    if formats.contains(&ContentFormat::Link) {
        each("links", "discover", taken(|| link::decode(body, &limits)));
        each("links", "register", taken(|| ObjectList::parse(body, &limits)));
    }
}

/// Each decoder once.
const FORMATS: [ContentFormat; 9] = [
    ContentFormat::Text,
    ContentFormat::Link,
    ContentFormat::Opaque,
    ContentFormat::Cbor,
    ContentFormat::SenmlJson,
    ContentFormat::SenmlCbor,
    ContentFormat::Tlv,
    ContentFormat::Json,
    ContentFormat::LwM2mCbor,
];

/// The formats that a body is meant for, by its name.
fn own_formats(body: &Body) -> &'static [ContentFormat] {
    match body.name.split_once(':').expect("a name tells the format").0 {
        "CBOR" => &[ContentFormat::Cbor, ContentFormat::SenmlCbor, ContentFormat::LwM2mCbor],
        "JSON" => &[ContentFormat::SenmlJson, ContentFormat::Json],
        "TLV" => &[ContentFormat::Tlv],
        "links" => &[ContentFormat::Link],
        other => panic!("no format {other}"),
    }
}

#[test]
fn what_is_nothing_whole_takes_64_kib_at_most() {
    for body in bodies::unfinished(BYTES) {
        ways(&body.bytes, own_formats(&body), |format, base, taken| {
            // A quote that never ends is read as far as it goes, once.
            assert!(taken.peak <= UNFINISHED_MAX, "{} as {format} of {base}: {}", body.name, taken.peak);
        });
    }
}

#[test]
fn a_list_takes_its_values_and_an_error_keeps_its_reason_alone() {
    // A vector grows to twice its length, and while it is copied the old one is there; an element of LwM2M JSON has its
    // name beside what becomes an entry. Texts and octets are copied once, and twice while they are put together.
    let entry = size_of::<Entry>() + size_of::<usize>();
    let most = ContentLimits::default().entries_max * entry * 3 / 2 + 2 * BYTES;
    let mut worst = 0;
    for body in bodies::bodies(BYTES) {
        ways(&body.bytes, &FORMATS, |format, base, taken| {
            let what = || format!("{} as {format} of {base}", body.name);
            assert!(taken.peak <= most, "{}: {} octets", what(), taken.peak);
            assert!(taken.allocations <= body.bytes.len() / 2 + 64, "{}: {}", what(), taken.allocations);
            assert!(!taken.is_error || taken.kept <= REASON_MAX, "{}: {} kept", what(), taken.kept);
            worst = worst.max(taken.peak);
        });
    }
    assert!(worst > most / 2, "the count counts: {worst} octets at most");
}
