//! Link format: lists as real devices send them, and hostile ones.

use super::*;

fn links(text: &str) -> Vec<Link<'_>> {
    decode(text.as_bytes(), &ContentLimits::default()).unwrap()
}

fn refused(text: &str) -> String {
    decode(text.as_bytes(), &ContentLimits::default()).unwrap_err().to_string()
}

#[test]
fn registrations_of_real_clients_are_read() {
    let wakaama =
        links(r#"</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>,</2/0>,</3/0>,</31024>;ver=1.0,</31024/10>"#);
    assert_eq!(wakaama.len(), 7);
    let root = &wakaama[0];
    assert!(root.is_lwm2m_root());
    assert_eq!((root.target(), root.content_formats()), ("/", vec![110]));
    assert_eq!(root.place(""), Ok(Target::Root));
    assert_eq!(wakaama[1].value("ver").as_deref(), Some("1.1"));
    assert_eq!(wakaama[6].place(""), Ok(Target::Object(ObjectPath::parse("/31024/10").unwrap())));

    let anjay = links(r#"</1/1>,</2>,</3/0>,</10>;ver="1.1",</10/0>"#);
    assert!(!anjay.iter().any(Link::is_lwm2m_root));
    assert_eq!(anjay[3].value("ver").as_deref(), Some("1.1"));

    let prefixed = links(r#"</lwm2m>;rt="oma.lwm2m";ct="110 112 60", </lwm2m/1/0> , </lwm2m/3/0>,</3303>"#);
    assert_eq!(prefixed[0].content_formats(), [110, 112, 60]);
    assert_eq!(prefixed[0].place("/lwm2m"), Ok(Target::Root));
    assert_eq!(prefixed[1].place("/lwm2m"), Ok(Target::Object(ObjectPath::parse("/1/0").unwrap())));
    assert_eq!(prefixed[1].as_str(), "</lwm2m/1/0>");
    assert_eq!(prefixed[3].place("/lwm2m"), Ok(Target::Object(ObjectPath::object(3303))));
}

#[test]
fn discover_answers_keep_every_link_as_it_came() {
    let text =
        r#"</3/0/7>;dim=8;pmin=10;pmax=60;gt=50;lt=42.2,</3/0/8>;dim="2";title="a, b; c=\"d\"",</3/0/9>;obs"#;
    let list = links(text);
    assert_eq!(
        list.iter().map(Link::as_str).collect::<Vec<_>>(),
        [
            "</3/0/7>;dim=8;pmin=10;pmax=60;gt=50;lt=42.2",
            r#"</3/0/8>;dim="2";title="a, b; c=\"d\"""#,
            "</3/0/9>;obs",
        ]
    );
    assert_eq!(list[0].value("lt").as_deref(), Some("42.2"));
    assert_eq!(list[1].value("dim").as_deref(), Some("2"));
    assert_eq!(list[1].value("title").as_deref(), Some("a, b; c=\"d\""));
    assert_eq!(list[2].attribute("obs"), Some(Attribute { name: "obs", raw_value: None }));
    assert_eq!(list[2].without_bare_attributes(), "</3/0/9>");
    assert_eq!(list[1].without_bare_attributes(), list[1].as_str());
    assert_eq!(encode(&list), text);
}

#[test]
fn bootstrap_discovery_begins_with_a_bare_attribute() {
    let list = links(r#"lwm2m="1.0",</0/0>;ssid=101,</1>"#);
    assert_eq!(list[0].target(), "");
    assert_eq!(list[0].value("lwm2m").as_deref(), Some("1.0"));
    assert_eq!(list[0].place(""), Ok(Target::Other));
    assert_eq!(list[1].value("ssid").as_deref(), Some("101"));
    assert_eq!(links("</>;lwm2m=1.1,</0/0>")[0].value("lwm2m").as_deref(), Some("1.1"));
}

#[test]
fn an_empty_list_has_no_links() {
    assert!(links("").is_empty());
    assert!(links(" \r\n").is_empty());
}

#[test]
fn targets_that_are_no_paths_are_told_apart() {
    let place = |text: &'static str| links(text)[0].place("");
    assert_eq!(place("</sensors/temp>"), Ok(Target::Other));
    assert_eq!(place("<3/0>"), Ok(Target::Object(ObjectPath::parse("/3/0").unwrap())));
    for text in ["</99999999/1>", "</3/65535>", "</3/0/1/2/3>", "</03>"] {
        assert!(links(text)[0].place("").is_err(), "{text}");
    }
}

#[test]
fn hostile_lists_are_refused_with_a_reason() {
    // L17 of the hostile list.
    assert_eq!(refused("<<<>>>,,;;"), "byte 1: a link without \">\"");
    assert_eq!(refused("</1/0"), "byte 1: a link without \">\"");
    assert_eq!(refused("</1/0>,,</2>"), "byte 7: a link or an attribute is missing");
    assert_eq!(refused("</1/0>,"), "byte 7: a link or an attribute is missing");
    assert_eq!(refused("</1/0>;;"), "byte 7: a link or an attribute is missing");
    assert_eq!(refused("</1/0>;=1"), "byte 7: a link or an attribute is missing");
    assert_eq!(refused("</1/0></2/0>"), "byte 6: a \",\" belongs between links");
    assert_eq!(refused("</1/0>;a=\"x"), "byte 9: a quote without its end");
    assert_eq!(refused("</1/0>;a=x\"y\""), "byte 10: a \",\" belongs between links");
    assert_eq!(refused(&format!("</1/0>;a={}", "x".repeat(65_536))), "more than 2048 bytes");
    assert_eq!(refused(&["</1/0>"; 10_000].join(",")), "more than 1024 items");
    assert_eq!(refused(&format!("</1/0>{}", ";a".repeat(100))), "more than 32 items");
    let bad = decode(b"</\xff>", &ContentLimits::default()).unwrap_err();
    assert_eq!(bad.to_string(), "byte 2: not UTF-8");
}
