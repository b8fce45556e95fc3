//! Registration input as tables (hostile L12 to L17), and the memo there and back.
use super::parameters::LifetimeRule;
use super::*;
use crate::coap::Token;
use crate::command::{Asker, Channel, FirmwareSource, Form};
use crate::limits::ContentLimits;
use crate::server::firmware::{SavedFirmware, Stage};
use broker_core::frontend::{Address, ListenerId};
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};

const RULE: LifetimeRule = LifetimeRule { min_s: 1, max_s: 1_000, zero_is_infinite: true };

fn parse(arguments: &[&str]) -> Result<Parameters, Refusal> {
    Parameters::parse(arguments.iter().map(|argument| argument.as_bytes()), RULE)
}

#[test]
fn endpoint_names_that_could_not_be_a_topic_level_are_refused() {
    for name in
        ["urn:imei:123456789012345", "a", "ä€😀", "with space", "up", "x.y", "$x".trim_start_matches('$')]
    {
        assert_eq!(check_endpoint_name(name), Ok(()), "{name}");
    }
    for (name, fault) in [
        ("", NameFault::Length),
        (&"x".repeat(256), NameFault::Length),
        ("a/b", NameFault::TopicCharacter),
        ("+", NameFault::TopicCharacter),
        ("+/#", NameFault::TopicCharacter),
        ("a\0b", NameFault::Control),
        ("a\r\nb", NameFault::Control),
        ("a\u{7f}", NameFault::Control),
        ("a\u{85}", NameFault::Control),
        ("a\u{202e}b", NameFault::Control),
        ("a\u{2066}b", NameFault::Control),
        ("a\u{200f}", NameFault::Control),
        ("$SYS", NameFault::Dollar),
        (".", NameFault::Dots),
        ("..", NameFault::Dots),
    ] {
        assert_eq!(check_endpoint_name(name), Err(fault), "{name:?}");
    }
}

#[test]
fn lifetimes_are_digits_within_bounds() {
    let seconds = Lifetime::Seconds;
    for (text, lifetime) in [
        ("lt=300", Ok((seconds(300), 300))),
        ("lt=0", Ok((Lifetime::Infinite, 0))),
        ("lt=1000", Ok((seconds(1000), 1000))),
        ("lt=1001", Ok((seconds(1000), 1001))),
        ("lt=4294967296", Ok((seconds(1000), 4_294_967_296))),
        ("lt=100000000000000000000", Ok((seconds(1000), u64::MAX))),
        ("lt=-1", Err(())),
        ("lt=abc", Err(())),
        ("lt=", Err(())),
        ("lt=+5", Err(())),
        ("lt=5.0", Err(())),
        ("lt", Err(())),
    ] {
        let parsed = parse(&[text]).map(|parameters| parameters.lifetime.unwrap()).map_err(|_| ());
        assert_eq!(parsed, lifetime, "{text}");
    }
    assert_eq!(parse(&["ep=a"]).unwrap().lifetime, None);
    let short = LifetimeRule { min_s: 60, ..RULE };
    for (asked, granted) in [("1", 60), ("60", 60), ("61", 61), ("5000", 1_000)] {
        let argument = format!("lt={asked}");
        let parameters = Parameters::parse([argument.as_bytes()].into_iter(), short).expect(asked);
        assert_eq!(parameters.lifetime, Some((Lifetime::Seconds(granted), asked.parse().unwrap())));
    }
    assert_eq!(
        Parameters::parse([&b"lt=0"[..]].into_iter(), short).map(|p| p.lifetime),
        Ok(Some((Lifetime::Infinite, 0))),
        "0 is no short lifetime"
    );
    let rule = LifetimeRule { zero_is_infinite: false, ..RULE };
    let zero = Parameters::parse(std::iter::once(&b"lt=0"[..]), rule).unwrap();
    assert_eq!(zero.lifetime, Some((seconds(1000), 0)));
}

#[test]
fn versions_we_speak_are_taken_others_are_refused_by_their_shape() {
    let bad = Refusal::BadRequest("lwm2m: a version like 1.1");
    for (text, version) in [
        ("lwm2m=1", Ok(Some(Version::V1_0))),
        ("lwm2m=1.0", Ok(Some(Version::V1_0))),
        ("lwm2m=1.1", Ok(Some(Version::V1_1))),
        ("lwm2m=1.2", Ok(Some(Version::V1_2))),
        ("ep=a", Ok(None)),
        ("lwm2m=8.3", Err(Refusal::UnsupportedVersion)),
        ("lwm2m=1.3", Err(Refusal::UnsupportedVersion)),
        ("lwm2m=2.0", Err(Refusal::UnsupportedVersion)),
        ("lwm2m=2", Err(bad)),
        ("lwm2m=", Err(bad)),
        ("lwm2m=1.x", Err(bad)),
        ("lwm2m=1.0.0", Ok(Some(Version::V1_0))), // coap-node
        ("lwm2m=1.1.1", Ok(Some(Version::V1_1))),
        ("lwm2m=8.3.0", Err(Refusal::UnsupportedVersion)),
        ("lwm2m=1.1.", Err(bad)),
        ("lwm2m=1.1.x", Err(bad)),
        ("lwm2m=1.1.1.1", Err(bad)),
    ] {
        assert_eq!(parse(&[text]).map(|parameters| parameters.version), version, "{text}");
    }
}

#[test]
fn the_rest_of_the_query_is_kept_refused_or_dropped() {
    let all = parse(&["b=UQ", "Q", "sms=+331", "foo=bar", "imei=3", "device_id=B", "password=x", "Secret=y"])
        .unwrap();
    assert_eq!((all.binding.as_deref(), all.queue, all.sms.as_deref()), (Some("UQ"), true, Some("+331")));
    let names: Vec<&str> = all.extras.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["foo", "imei", "device_id"], "no secret, and nothing that changes who it is");
    assert!(all.wants_queue_mode());
    for (arguments, queue) in [
        (&["b=U"][..], false),
        (&["b=UQ"], true),
        (&["Q"], true),
        (&["apn=Ctnb"], true),
        (&["apn=other"], false),
    ] {
        assert_eq!(parse(arguments).unwrap().wants_queue_mode(), queue, "{arguments:?}");
    }
    for bad in [
        &["ep=a", "ep=a"][..],
        &["lt=1", "lt=2"],
        &["foo=1", "foo=2"],
        &["Q", "Q"],
        &["ep"],
        &["foo"],
        &["=x"],
        &["b=u"],
        &["b=UUUUUUUUU"],
    ] {
        assert!(matches!(parse(bad), Err(Refusal::BadRequest(_))), "{bad:?}");
    }
    let many: Vec<String> = (0..17).map(|n| format!("k{n}=v")).collect();
    assert!(parse(&many.iter().map(String::as_str).collect::<Vec<_>>()).is_err());
    assert!(parse(&[&format!("x={}", "y".repeat(129))]).is_err());
    let not_utf8 = Parameters::parse(std::iter::once(&b"ep=\xff\xfe"[..]), RULE); // hostile L13
    assert!(not_utf8.is_err());
}

fn list(text: &str) -> Result<ObjectList, Refusal> {
    ObjectList::parse(text.as_bytes(), &ContentLimits::default())
}

#[test]
fn object_lists_of_real_devices_are_read() {
    // Text; root; formats; paths with versions.
    for (text, root, formats, paths) in [
        ("</1/0>,</3/0>", "", &[][..], "/1/0 /3/0"),
        (
            r#"</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>,</3/0>,</31024>;ver=1.0,</31024/10>"#,
            "",
            &[110],
            "/1:1.1 /1/0 /3/0 /31024:1.0 /31024/10",
        ),
        (r#"</>;rt=oma.lwm2m;ct="110 112" , </3/0> , </5>;ver="1.1""#, "", &[110, 112], "/3/0 /5:1.1"),
        (r#"</lwm2m>;rt="oma.lwm2m",</lwm2m/1/0>,</lwm2m/3303/0>"#, "/lwm2m", &[], "/1/0 /3303/0"),
        (r#"</lwm2m>;rt="oma.lwm2m",</1/0>"#, "/lwm2m", &[], "/1/0"),
        (r#"</>;ct=11543,</3/0>,</sensors>;obs"#, "", &[11543], "/3/0"),
        ("</0/0>,</21/0>,</3/0>,</3/0>,</3/0/1>", "", &[], "/3/0"),
    ] {
        let list = list(text).unwrap();
        let shown: Vec<String> = list
            .links
            .iter()
            .map(|link| match link.version {
                Some(version) => format!("{}:{version}", link.path),
                None => link.path.to_string(),
            })
            .collect();
        assert_eq!((&*list.root, &*list.formats, &*shown.join(" ")), (root, formats, paths), "{text}");
    }
}

#[test]
fn object_lists_that_are_none_are_refused() {
    let many: Vec<String> = (0..10_000).map(|n| format!("</{n}/0>")).collect();
    let many = many.join(",");
    let long = format!("</3/0>;x=\"{}\"", "y".repeat(65_536));
    for (text, too_large) in [
        ("", false),
        (r#"</>;rt="oma.lwm2m""#, false),
        ("<<<>>>,,;;", false),
        ("</1/0", false),
        ("</99999999/1>", false),
        ("</3/65535>", false),
        ("</0/0>", false),
        (&many, true),
        (&long, true),
    ] {
        let refused = list(text).unwrap_err();
        assert_eq!(matches!(refused, Refusal::TooLarge(_)), too_large, "{}", &text[..text.len().min(40)]);
    }
}

#[test]
fn the_list_says_what_is_there() {
    let list = list("</1/0>,</3>,</3303/0>,</3303/1>,</3303/3>").unwrap();
    let path = |text| ObjectPath::parse(text).unwrap();
    for (text, has) in
        [("/1", true), ("/1/0", true), ("/1/1", false), ("/3", true), ("/3/0", true), ("/5", false)]
    {
        assert_eq!(list.has(path(text)), has, "{text}");
    }
    assert_eq!(list.free_instance(path("/3303")), 2);
    assert_eq!(list.free_instance(path("/6")), 0);
}

#[test]
fn an_update_changes_what_it_names() {
    let mut terms = Terms { version: Version::V1_1, queue: false, ..terms() };
    let before = terms.clone();
    assert_eq!(terms.updated(Parameters::default(), None), None);
    assert_eq!(terms.updated(parse(&["lt=300"]).unwrap(), Some(before.objects.clone())), None);
    terms = terms.updated(parse(&["lt=60", "foo=new", "Q"]).unwrap(), None).unwrap();
    assert_eq!((terms.lifetime, terms.queue), (Lifetime::Seconds(60), true));
    assert_eq!(terms.objects, before.objects);
    assert_eq!(terms.extras.iter().find(|(name, _)| &**name == "foo").unwrap().1, "new".into());
    terms.version = Version::V1_0;
    terms = terms.updated(parse(&["b=U"]).unwrap(), None).unwrap();
    assert!(!terms.queue, "in 1.0 the binding says it all");
}

#[test]
fn locations_are_ten_letters_or_digits() {
    for random in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
        let location = Location::from_random(random);
        assert_eq!(Location::from_bytes(location.as_bytes()), Some(location));
    }
    assert_ne!(Location::from_random(1), Location::from_random(2));
    for bad in
        [&b""[..], b"short", b"elevenchars", b"with/slash", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
    {
        assert_eq!(Location::from_bytes(bad), None);
    }
}

fn terms() -> Terms {
    Terms {
        version: Version::V1_2,
        version_is_short: true,
        lifetime: Lifetime::Seconds(300),
        lifetime_asked: 300,
        binding: Some("UQ".into()),
        queue: true,
        sms: Some("+331".into()),
        extras: vec![("foo".into(), "bar".into())].into(),
        objects: list(r#"</lw>;rt="oma.lwm2m";ct="110 112",</lw/3>;ver=1.2,</lw/3303/65534>"#)
            .unwrap()
            .into(),
    }
}

fn full() -> Memo {
    let asker = |channel, form| {
        SavedAsker::Asker(Asker {
            channel,
            form,
            echo: vec![("reqID".into(), "1e308".into()), ("msgType".into(), r#""observe""#.into())],
            request_path: Some("3/0/9".into()),
            data: None,
        })
    };
    let path = |text| ObjectPath::parse(text).unwrap();
    Memo {
        registration: Registration { endpoint: Arc::from("m1"), terms: Arc::new(terms()) },
        location: Location::from_random(77),
        address: Address {
            remote: SocketAddr::from(([0xfe80, 0, 0, 0, 0, 0, 0, 1], 56830)),
            local: Some(IpAddr::from([192, 0, 2, 1])),
            listener: ListenerId(3),
        },
        validated: true,
        learned: 0x8012_3456,
        observations: vec![
            SavedObservation {
                paths: vec![path("/3/0/9")],
                composite: false,
                token: Token::new(&[1, 2, 3, 4, 5, 6, 7, 8]).unwrap(),
                accept: Some(112),
                askers: vec![asker(Channel::Command, Form::A), asker(Channel::Downlink, Form::B)],
            },
            SavedObservation {
                paths: vec![ObjectPath::ROOT, path("/3/0/7/65534")],
                composite: true,
                token: Token::EMPTY,
                accept: None,
                askers: vec![SavedAsker::Automatic, SavedAsker::Firmware],
            },
        ],
        firmware: Some(SavedFirmware {
            asker: Asker::nobody("firmware"),
            source: FirmwareSource::File("meter-2.1.bin".into()),
            update: true,
            stage: Stage::Updating,
            token: Location::from_random(5),
            deadline_unix_ms: 1_700_000_000_000,
        }),
        host: None,
    }
}

#[test]
fn a_memo_comes_back_as_it_was_and_a_cut_one_not_at_all() {
    for memo in [full(), Memo { host: Some("2001:db8::7".into()), ..full() }] {
        let bytes = memo.encode();
        assert_eq!(Memo::decode(Arc::from("m1"), &bytes), Some(memo));
        for cut in 0..bytes.len() {
            assert_eq!(Memo::decode(Arc::from("m1"), &bytes[..cut]), None, "cut at {cut}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(Memo::decode(Arc::from("m1"), &longer), None);
        let mut newer = bytes;
        newer[0] = 3;
        assert_eq!(Memo::decode(Arc::from("m1"), &newer), None, "a format from the future");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut versioned = vec![1];
        versioned.extend(&bytes);
        for bytes in [&bytes, &versioned] {
            let _either = Memo::decode(Arc::from("x"), bytes);
            let _either = ObjectList::parse(bytes, &ContentLimits::default());
            let _either = Parameters::parse(bytes.split(|byte| *byte == 0), RULE);
        }
    }

    #[test]
    fn a_memo_with_one_wrong_byte_is_read_without_panic(at in 0usize..400, byte in any::<u8>()) {
        let mut bytes = full().encode();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _either = Memo::decode(Arc::from("x"), &bytes);
    }
}
