//! What decoding costs, counted and not measured (hostile L27): no body of strangers makes a decoder do more than so many
//! steps for an octet, however long it is.

use super::*;
use crate::catalog::{Catalog, DeviceModel, Version};
use crate::limits::ContentLimits;

#[path = "../../../tests/src/bodies.rs"]
#[allow(unreachable_pub, reason = "the tests' own crate exports it")]
#[allow(dead_code, reason = "some of it is for the count of memory")]
mod bodies;

/// Most steps for one octet of a body, and some to begin with. The most is taken by SenML CBOR with records of 64 unknown
/// labels, three octets each, that are compared with those before them.
const STEPS_PER_OCTET_MAX: u64 = 16;
const STEPS_TO_BEGIN: u64 = 4_096;

/// Twice the octets may take twice the steps, with this much on top, in percent, and one look at every octet: a body that
/// hits a bound only when it is long is looked through once more for the reason.
const GROWTH_SLACK: u64 = 15;

/// The dearest ways through the decoders: every format at places where its values are wanted, and lists of links.
fn ways(catalog: &Catalog, bytes: &[u8]) -> Vec<(String, u64)> {
    let model = DeviceModel { catalog, versions: &[], lwm2m: Version::V1_1 };
    let limits = ContentLimits::default();
    let cx = Context { model: &model, limits: &limits, now_unix_ms: 1_700_000_000_000, alternate_path: "" };
    let mut out = Vec::new();
    for (format, base) in [
        (ContentFormat::Text, "/3303/0/5700"),
        (ContentFormat::Opaque, "/3303/0/5700"),
        (ContentFormat::Cbor, "/3303/0/5700"),
        (ContentFormat::SenmlJson, "/"),
        (ContentFormat::SenmlCbor, "/"),
        (ContentFormat::Tlv, "/3"),
        (ContentFormat::Tlv, "/3303"),
        (ContentFormat::Tlv, "/3303/0/5700"),
        (ContentFormat::Json, "/3303"),
        (ContentFormat::LwM2mCbor, "/"),
    ] {
        let at = ObjectPath::parse_composite(base).unwrap();
        let steps = steps::of(|| drop(decode(format, at, bytes, &cx)));
        out.push((format!("{} of {base}", format.name()), steps));
    }
    for format in [ContentFormat::SenmlJson, ContentFormat::SenmlCbor, ContentFormat::LwM2mCbor] {
        let steps = steps::of(|| drop(decode_paths(format, bytes, &cx)));
        out.push((format!("paths in {}", format.name()), steps));
    }
    let list = || drop(crate::registration::ObjectList::parse(bytes, &limits));
    out.push(("object list".to_owned(), steps::of(list)));
    out
}

#[test]
fn steps_grow_with_the_octets_of_a_hostile_body_and_stay_few_for_each() {
    let catalog = Catalog::core();
    let lengths = [16 << 10, 32 << 10, 64 << 10];
    let [short, middle, long] = lengths.map(bodies::bodies);
    let mut worst = (0, String::new());
    for ((short, middle), long) in short.iter().zip(&middle).zip(&long) {
        let [a, b, c] = [short, middle, long].map(|body| ways(&catalog, &body.bytes));
        for (((way, a), (_, b)), (_, c)) in a.iter().zip(&b).zip(&c) {
            for (before, after, octets) in [(a, b, lengths[1]), (b, c, lengths[2])] {
                let allowed = 2 * before * (100 + GROWTH_SLACK) / 100 + octets as u64 + STEPS_TO_BEGIN;
                assert!(*after <= allowed, "{} through {way}: {a}, {b}, {c} steps", long.name);
            }
            let allowed = STEPS_PER_OCTET_MAX * long.bytes.len() as u64 + STEPS_TO_BEGIN;
            assert!(*c <= allowed, "{} through {way}: {c} steps for {} octets", long.name, long.bytes.len());
            worst = worst.max((*c, format!("{} through {way}", long.name)));
        }
    }
    // The count counts: the dearest body takes more steps than it has octets.
    assert!(worst.0 > lengths[2] as u64, "{worst:?}");
}

#[test]
fn every_format_is_read_by_some_body_to_its_end() {
    let catalog = Catalog::core();
    let model = DeviceModel { catalog: &catalog, versions: &[], lwm2m: Version::V1_1 };
    let limits = ContentLimits::default();
    let cx = Context { model: &model, limits: &limits, now_unix_ms: 1_700_000_000_000, alternate_path: "" };
    let bodies = bodies::bodies(64 << 10);
    for format in ContentFormat::ALL {
        let most = |base: &str| {
            let at = ObjectPath::parse_composite(base).unwrap();
            let read = bodies.iter().filter_map(|body| decode(format, at, &body.bytes, &cx).ok());
            read.map(|entries| entries.len()).max().unwrap_or(0)
        };
        let most = ["/", "/3303", "/3", "/3303/0/5700"].into_iter().map(most).max().unwrap_or(0);
        let (single, links) = (format.is_single_value(), format == ContentFormat::Link);
        let expected = if links {
            0..1
        } else if single {
            1..2
        } else {
            3_900..limits.entries_max + 1
        };
        assert!(expected.contains(&most), "{}: {most} values", format.name());
    }
    let links =
        bodies.iter().filter_map(|body| link::decode(&body.bytes, &limits).ok()).map(|links| links.len());
    assert_eq!(links.max(), Some(limits.links_max));
}
