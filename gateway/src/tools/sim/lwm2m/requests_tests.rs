//! Requests to a device's desk, answer by answer.
use super::super::profile::{Profile, objects};
use super::*;
use crate::tools::sim::rng::Rng;
use lwm2m::value::Value;

struct Bench {
    catalog: Catalog,
    tree: Tree,
    attributes: Attributes,
}

impl Bench {
    fn new(profile: Profile) -> Bench {
        Bench {
            catalog: Catalog::core(),
            tree: objects(profile, 7, 300, &mut Rng::new(1)),
            attributes: Attributes::default(),
        }
    }

    fn ask(&mut self, method: Code, options: Options, payload: &[u8]) -> (Response, Vec<Effect>) {
        let mut desk = Desk {
            catalog: &self.catalog,
            tree: &mut self.tree,
            attributes: &mut self.attributes,
            effects: Vec::new(),
        };
        let response = desk.answer(method, &options, payload);
        (response, desk.effects)
    }

    fn code(&mut self, method: Code, path: &str, payload: &[u8]) -> Code {
        self.ask(method, Options::new().with_path(path), payload).0.code
    }
}

fn with_format(path: &str, format: ContentFormat) -> Options {
    Options::new().with_path(path).with_uint(CoapOption::ContentFormat, format.number().into())
}

#[test]
fn reads_come_in_the_format_that_fits_or_was_asked_for() {
    let mut bench = Bench::new(Profile::Meter);
    let (response, _) = bench.ask(Code::GET, Options::new().with_path("/3/0/0"), b"");
    assert_eq!((response.code, &response.payload[..]), (Code::CONTENT, &b"turnstone sim"[..]));
    assert_eq!(response.options.content_format(), Some(0));
    let (response, _) = bench.ask(Code::GET, Options::new().with_path("/3/0"), b"");
    assert_eq!(response.options.content_format(), Some(11542));
    let senml = Options::new().with_path("/3").with_uint(CoapOption::Accept, 110);
    let (response, _) = bench.ask(Code::GET, senml, b"");
    let json: serde_json::Value = serde_json::from_slice(&response.payload).expect("SenML JSON");
    assert!(json.to_string().contains("turnstone sim"), "{json}");
    assert_eq!(bench.code(Code::GET, "/3/0/99", b""), Code::NOT_FOUND);
    assert_eq!(bench.code(Code::GET, "/9", b""), Code::NOT_FOUND);
    assert_eq!(bench.code(Code::GET, "/3/0/4", b""), Code::METHOD_NOT_ALLOWED);
    assert_eq!(bench.code(Code::GET, "/5/0/0", b""), Code::METHOD_NOT_ALLOWED);
    assert_eq!(bench.code(Code::GET, "/3/x", b""), Code::NOT_FOUND);
    let strange = Options::new().with_path("/3/0").with_uint(CoapOption::Accept, 65000);
    assert_eq!(bench.ask(Code::GET, strange, b"").0.code, Code::NOT_ACCEPTABLE);
}

#[test]
fn writes_are_checked_before_anything_changes() {
    let mut bench = Bench::new(Profile::Light);
    let text = |path: &str| with_format(path, ContentFormat::Text);
    let (response, effects) = bench.ask(Code::PUT, text("/3311/0/5850"), b"1");
    assert_eq!(response.code, Code::CHANGED);
    assert_eq!(effects, [Effect::Written(vec![path(&[3311, 0, 5850])])]);
    assert_eq!(bench.tree.get(3311, 0, 5850), Some(&Value::Boolean(true)));
    for (at, payload, code) in [
        ("/3/0/0", &b"x"[..], Code::METHOD_NOT_ALLOWED),
        ("/3311/0/5851", b"bright", Code::BAD_REQUEST),
        ("/3311/1/5851", b"1", Code::NOT_FOUND),
        ("/3311/0/1", b"1", Code::NOT_FOUND),
    ] {
        assert_eq!(bench.ask(Code::PUT, text(at), payload).0.code, code, "{at}");
    }
    // C2 xx: two resources of /3/0 in TLV, the second one read-only.
    let tlv = with_format("/3/0", ContentFormat::Tlv);
    let (response, _) = bench.ask(Code::POST, tlv, b"\xc6\x0e+01:00\xc1\x00x");
    assert_eq!(response.code, Code::METHOD_NOT_ALLOWED);
    assert_eq!(bench.tree.get(3, 0, 14), Some(&Value::String("+00:00".to_owned())));
    let tlv = with_format("/3/0", ContentFormat::Tlv);
    assert_eq!(bench.ask(Code::POST, tlv, b"\xc6\x0e+01:00").0.code, Code::CHANGED);
    assert_eq!(bench.tree.get(3, 0, 14), Some(&Value::String("+01:00".to_owned())));
    let strange = Options::new().with_path("/3/0/14").with_uint(CoapOption::ContentFormat, 65000);
    assert_eq!(bench.ask(Code::PUT, strange, b"x").0.code, Code::UNSUPPORTED_CONTENT_FORMAT);
}

#[test]
fn executing_has_effects_and_only_where_it_may() {
    let mut bench = Bench::new(Profile::Meter);
    let mut run = |path: &str| bench.ask(Code::POST, Options::new().with_path(path), b"");
    assert_eq!(run("/3/0/4").1, [Effect::Reboot]);
    assert_eq!(run("/1/0/8").1, [Effect::Update]);
    assert_eq!(run("/3303/0/5605").0.code, Code::CHANGED);
    assert_eq!(run("/5/0/2").0.code, Code::METHOD_NOT_ALLOWED, "nothing was downloaded");
    assert_eq!(run("/3/7/4").0.code, Code::NOT_FOUND);
}

#[test]
fn instances_come_and_go() {
    let mut bench = Bench::new(Profile::Meter);
    // 00 record of instance 5 with 5701 "K".
    let (response, effects) =
        bench.ask(Code::POST, with_format("/3303", ContentFormat::Tlv), b"\x04\x05\xe1\x16\x45K");
    assert_eq!((response.code, response.options.has(CoapOption::LocationPath)), (Code::CREATED, false));
    assert!(effects.contains(&Effect::Instances));
    assert_eq!(bench.tree.get(3303, 5, 5701), Some(&Value::String("K".to_owned())));
    let (response, _) = bench.ask(Code::POST, Options::new().with_path("/3303"), b"");
    let location: Vec<&[u8]> = response.options.all(CoapOption::LocationPath).collect();
    assert_eq!(location, [&b"3303"[..], b"1"]);
    let again = bench.ask(Code::POST, with_format("/3303", ContentFormat::Tlv), b"\x04\x05\xe1\x16\x45K");
    assert_eq!(again.0.code, Code::BAD_REQUEST, "it is there already");
    assert_eq!(bench.code(Code::DELETE, "/3303/5", b""), Code::DELETED);
    assert_eq!(bench.code(Code::DELETE, "/3303/5", b""), Code::NOT_FOUND);
    assert_eq!(bench.code(Code::DELETE, "/3/0", b""), Code::METHOD_NOT_ALLOWED);
    assert_eq!(bench.code(Code::POST, "/3", b""), Code::METHOD_NOT_ALLOWED);
    for _ in 0..INSTANCES_MAX {
        bench.code(Code::POST, "/3303", b"");
    }
    assert_eq!(bench.tree.instances_of(3303).count(), INSTANCES_MAX);
}

#[test]
fn discover_names_values_executables_and_attributes() {
    let mut bench = Bench::new(Profile::Meter);
    let mut query = Options::new().with_path("/3303/0/5700");
    query.add(CoapOption::UriQuery, "pmin=5");
    assert_eq!(bench.ask(Code::PUT, query, b"").0.code, Code::CHANGED);
    let mut links = |path: &str| {
        let options = Options::new().with_path(path).with_uint(CoapOption::Accept, 40);
        String::from_utf8(bench.ask(Code::GET, options, b"").0.payload.to_vec()).expect("text")
    };
    let sensor = links("/3303");
    for link in ["</3303>", "</3303/0>", "</3303/0/5605>", "</3303/0/5700>;pmin=5"] {
        assert!(sensor.split(',').any(|found| found == link), "{link} in {sensor}");
    }
    assert_eq!(links("/3/0/7"), "</3/0/7>;dim=1");
    assert_eq!(links("/3/0/4"), "</3/0/4>");
}

#[test]
fn composite_requests_name_their_paths() {
    let mut bench = Bench::new(Profile::Meter);
    let json = with_format("", ContentFormat::SenmlJson);
    let (response, _) =
        bench.ask(Code::FETCH, json.clone(), br#"[{"n":"/3/0/0"},{"n":"/3303/0/5701"},{"n":"/9/0/0"}]"#);
    assert_eq!(response.code, Code::CONTENT);
    let text = String::from_utf8(response.payload.to_vec()).expect("text");
    assert!(text.contains("turnstone sim") && text.contains("Cel"), "{text}");
    let write = br#"[{"n":"/3/0/14","vs":"+02:00"},{"n":"/1/0/1","v":99}]"#;
    assert_eq!(bench.ask(Code::IPATCH, json.clone(), write).0.code, Code::CHANGED);
    assert_eq!(bench.tree.integer(1, 0, 1), Some(99));
    let half = br#"[{"n":"/1/0/1","v":5},{"n":"/3/0/0","vs":"x"}]"#;
    assert_eq!(bench.ask(Code::IPATCH, json, half).0.code, Code::METHOD_NOT_ALLOWED);
    assert_eq!(bench.tree.integer(1, 0, 1), Some(99), "all or nothing");
}
