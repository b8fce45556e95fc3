//! Bodies that cost a decoder of contents the most for their length (hostile L27), by what they are full of.
//!
//! Each is cut to the octets asked for, so that what a decoder does can be compared between lengths. They were found by
//! trying: every format's smallest records, dearest numbers, longest names, deepest nests, most pieces; and all that
//! once with a fault at the very end, when everything before has been read for nothing.

/// A body and what it is full of.
#[derive(Clone, Debug)]
pub struct Body {
    /// What it is full of, for people.
    pub name: &'static str,
    /// So many octets as were asked for, or nearly.
    pub bytes: Vec<u8>,
}

/// Octets again and again, up to the length.
fn filled(length: usize, head: &[u8], unit: &[u8]) -> Vec<u8> {
    head.iter().chain(unit.iter().cycle()).copied().take(length).collect()
}

/// `begin`, as many numbered `unit`s with `between` as fit (and no more than `most`), `end`.
fn listed(length: usize, most: usize, parts: [&str; 3], unit: impl Fn(usize) -> String) -> Vec<u8> {
    let [begin, between, end] = parts;
    let mut text = begin.to_owned();
    for n in 0..most {
        let next = unit(n);
        if text.len() + next.len() + between.len() + end.len() > length {
            break;
        }
        if n > 0 {
            text.push_str(between);
        }
        text.push_str(&next);
    }
    (text + end).into_bytes()
}

/// The same in octets; `head` tells the count of what follows when it is asked again.
fn packed(
    length: usize,
    most: usize,
    head: impl Fn(usize) -> Vec<u8>,
    unit: impl Fn(usize) -> Vec<u8>,
) -> Vec<u8> {
    let mut rest = Vec::new();
    let mut count = 0;
    while count < most {
        let next = unit(count);
        if head(count + 1).len() + rest.len() + next.len() > length {
            break;
        }
        rest.extend(next);
        count += 1;
    }
    [head(count), rest].concat()
}

/// Records that a content may have ([`lwm2m::limits::ENTRIES_MAX`]).
const RECORDS: usize = 4_096;
/// Links that a list may have ([`lwm2m::limits::LINKS_MAX`]).
const LINKS: usize = 1_024;

/// Bodies of that length that are nothing whole in their own format.
pub fn unfinished(length: usize) -> Vec<Body> {
    FILLED.iter().map(|(name, head, unit)| Body { name, bytes: filled(length, head, unit) }).collect()
}

/// All bodies of that length.
pub fn bodies(length: usize) -> Vec<Body> {
    let mut out = unfinished(length);
    let mut put = |name, bytes| out.push(Body { name, bytes });
    senml_json(length, &mut put);
    lwm2m_json(length, &mut put);
    senml_cbor(length, &mut put);
    lwm2m_cbor(length, &mut put);
    single_cbor(length, &mut put);
    tlv(length, &mut put);
    links(length, &mut put);
    texts(length, &mut put);
    out
}

/// A head, and a unit repeated to the end: nothing of it is whole.
const FILLED: &[(&str, &[u8], &[u8])] = &[
    ("CBOR: open arrays", b"", &[0x9f]),
    ("CBOR: open maps", b"", &[0xbf]),
    ("CBOR: maps of 2^64 pairs", b"", &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ("CBOR: tags", b"", &[0xc1]),
    ("CBOR: texts of 4 GB", b"", &[0x7b, 0, 0, 0, 1, 0, 0, 0, 0]),
    ("CBOR: tags before a value", &[0x81, 0xa1, 0x02], &[0xc1]),
    ("CBOR: an unknown field of open arrays", &[0x81, 0xa1, 0x18, 0x63], &[0x9f]),
    ("JSON: open arrays", b"", b"["),
    ("JSON: open objects", b"", br#"{"a":"#),
    ("JSON: escapes without a text", b"", br#"\u0041"#),
    ("JSON: spaces", b"", b" "),
    ("JSON: lines", b"[", b"\n"),
    ("JSON: a text of escapes without end", br#"[{"vs":""#, br#"\u0041"#),
    ("JSON: empty texts", b"[", br#""","#),
    ("TLV: empty instances", b"", &[0x00, 0x00]),
    ("TLV: truncated instances", b"", &[0x08, 0x00, 0xff]),
    ("links: targets without end", b"", b"<"),
    ("links: spaces", b"", b" "),
    ("links: wide spaces", b"", "\u{3000}".as_bytes()),
    ("links: a link and spaces", b"</3>", b" "),
    ("links: commas", b"", b","),
    ("links: quotes", b"</3>;a=", b"\""),
    ("links: a quote of escapes without end", b"</3>;a=\"", b"\\\""),
];

fn senml_json(length: usize, put: &mut dyn FnMut(&'static str, Vec<u8>)) {
    let pack = |begin: &str, unit: &dyn Fn(usize) -> String| listed(length, RECORDS, [begin, ",", "]"], unit);
    let base = r#"[{"bn":"/3303/0/5700"},"#;
    put("SenML JSON: values, distinct names", pack("[", &|n| format!(r#"{{"n":"/3303/{n}/5700","v":1}}"#)));
    put("SenML JSON: values, one name", pack("[", &|_| r#"{"n":"/3/0/9","v":1}"#.into()));
    put(
        "SenML JSON: values below a base name",
        pack(r#"[{"bn":"/3303/0/"},"#, &|n| format!(r#"{{"n":"{n}","v":1}}"#)),
    );
    put("SenML JSON: values that are the base name", pack(base, &|_| r#"{"v":1}"#.into()));
    put("SenML JSON: values and times", pack(base, &|n| format!(r#"{{"v":1,"t":{n}}}"#)));
    put(
        "SenML JSON: values and times of 17 digits",
        pack(base, &|n| format!(r#"{{"v":1,"t":1.{:016}}}"#, n + 1)),
    );
    put("SenML JSON: times with exponents", pack(base, &|n| format!(r#"{{"v":1,"t":{n}e-9}}"#)));
    put("SenML JSON: fractions", pack(base, &|n| format!(r#"{{"v":0.{:03}}}"#, n + 1)));
    put("SenML JSON: short fractions", pack(base, &|_| r#"{"v":0.1}"#.into()));
    put("SenML JSON: exponents", pack(base, &|_| r#"{"v":1e5}"#.into()));
    put(
        "SenML JSON: numbers of 19 digits",
        pack(base, &|n| format!(r#"{{"v":{}}}"#, 9_000_000_000_000_000_000_u64 + n as u64)),
    );
    put("SenML JSON: numbers of 128 digits", pack(base, &|_| format!(r#"{{"v":{}}}"#, "9".repeat(128))));
    put("SenML JSON: fractions of 126 digits", pack(base, &|_| format!(r#"{{"v":0.{}}}"#, "7".repeat(126))));
    put("SenML JSON: doubles hard to round", pack(base, &|_| r#"{"v":2.2250738585072011e-308}"#.into()));
    put(
        "SenML JSON: a base value added to each",
        pack(r#"[{"bn":"/3303/0/5700","bv":1.5},"#, &|_| r#"{"v":0.1}"#.into()),
    );
    put(
        "SenML JSON: a long base value added to each",
        pack(&format!(r#"[{{"bn":"/3303/0/5700","bv":1.{}}},"#, "7".repeat(120)), &|_| r#"{"v":1e9}"#.into()),
    );
    put(
        "SenML JSON: a tiny base value added to each",
        pack(r#"[{"bn":"/3303/0/5700","bv":1e-30},"#, &|_| r#"{"v":7}"#.into()),
    );
    put("SenML JSON: a base value each", pack(base, &|n| format!(r#"{{"bv":{n}.5,"v":1}}"#)));
    put(
        "SenML JSON: a base sum added to each",
        pack(r#"[{"bn":"/3303/0/5700","bs":1.5},"#, &|_| r#"{"s":0.1}"#.into()),
    );
    put("SenML JSON: sums", pack(base, &|_| r#"{"s":1}"#.into()));
    put("SenML JSON: a base time each", pack(base, &|n| format!(r#"{{"bt":{n},"v":1}}"#)));
    put("SenML JSON: a base name each", pack("[", &|n| format!(r#"{{"bn":"/3303/{n}/5700","v":1}}"#)));
    put(
        "SenML JSON: everything in each",
        pack("[", &|n| {
            format!(
                r#"{{"bn":"/3303/{n}/","bt":1e9,"bv":0.1,"bs":0.1,"bver":10,"n":"5700","v":0.2,"t":0.3}}"#
            )
        }),
    );
    put(
        "SenML JSON: long base name, tiny records",
        pack(&format!(r#"[{{"bn":"/3303/0/5700/{}"}},"#, "0".repeat(480)), &|_| r#"{"v":1}"#.into()),
    );
    put("SenML JSON: a path in escapes", pack("[", &|_| r#"{"n":"\u002f3\u002f0\u002f9","v":1}"#.into()));
    put("SenML JSON: labels in escapes", pack(base, &|_| r#"{"\u0076":1}"#.into()));
    put("SenML JSON: texts", pack(base, &|_| r#"{"vs":"x"}"#.into()));
    put("SenML JSON: empty texts", pack(base, &|_| r#"{"vs":""}"#.into()));
    put("SenML JSON: texts that are numbers", pack(base, &|_| r#"{"vs":"0.1"}"#.into()));
    put("SenML JSON: texts of escapes", pack(base, &|_| r#"{"vs":"\n\t"}"#.into()));
    put(
        "SenML JSON: one text of escapes",
        pack(base, &|_| format!(r#"{{"vs":"{}"}}"#, r"\n".repeat(length / 2 - 40))),
    );
    put(
        "SenML JSON: one text of hex escapes",
        pack(base, &|_| format!(r#"{{"vs":"{}"}}"#, r"\u00e9".repeat(length / 6 - 20))),
    );
    put(
        "SenML JSON: one text of pairs",
        pack(base, &|_| format!(r#"{{"vs":"{}"}}"#, r"\ud83d\ude00".repeat(length / 12 - 20))),
    );
    put(
        "SenML JSON: one text of wide letters",
        pack(base, &|_| format!(r#"{{"vs":"{}"}}"#, "é".repeat(length / 2 - 40))),
    );
    put("SenML JSON: one long text", pack(base, &|_| format!(r#"{{"vs":"{}"}}"#, "1".repeat(length - 60))));
    put(
        "SenML JSON: one long base 64",
        pack(base, &|_| format!(r#"{{"vd":"{}"}}"#, "AAAA".repeat(length / 4 - 20))),
    );
    put("SenML JSON: base 64", pack(base, &|_| r#"{"vd":"AA"}"#.into()));
    put("SenML JSON: object links", pack(base, &|_| r#"{"vlo":"1:2"}"#.into()));
    put("SenML JSON: booleans", pack(base, &|_| r#"{"vb":true}"#.into()));
    put("SenML JSON: empty records", pack("[", &|_| "{}".into()));
    put("SenML JSON: records of a name", pack("[", &|n| format!(r#"{{"n":"/3/{n}"}}"#)));
    put("SenML JSON: records of null", pack(base, &|_| r#"{"v":null}"#.into()));
    put("SenML JSON: unknown labels, one each", pack(base, &|_| r#"{"x":0,"v":1}"#.into()));
    put("SenML JSON: unknown nests, one each", pack(base, &|_| r#"{"x":[[{}]],"v":1}"#.into()));
    put(
        "SenML JSON: one record of unknown labels",
        listed(length, length, ["[{", ",", "}]"], |n| format!(r#""{n}":0"#)),
    );
    put(
        "SenML JSON: one record of labels of one letter",
        listed(length, length, ["[{", ",", "}]"], |n| {
            format!(r#""{}":0"#, char::from(b'A' + (n.min(20)) as u8))
        }),
    );
    put(
        "SenML JSON: records of sixteen labels",
        pack("[", &|_| {
            let labels: Vec<String> = (0..16).map(|n| format!(r#""{}":0"#, char::from(b'A' + n))).collect();
            format!("{{{}}}", labels.join(","))
        }),
    );
    put(
        "SenML JSON: long unknown labels",
        pack("[", &|_| {
            let labels: Vec<String> = (0..16).map(|n| format!(r#""{}{n:02}":0"#, "a".repeat(250))).collect();
            format!("{{{}}}", labels.join(","))
        }),
    );
    put(
        "SenML JSON: an unknown label of arrays",
        listed(length, length, [r#"[{"x":["#, ",", "]}]"], |_| "[]".into()),
    );
    put(
        "SenML JSON: an unknown label of fractions",
        listed(length, length, [r#"[{"x":["#, ",", "]}]"], |_| "0.1".into()),
    );
    put(
        "SenML JSON: an unknown label of objects",
        listed(length, length, [r#"[{"x":["#, ",", "]}]"], |_| r#"{"":0}"#.into()),
    );
    put(
        "SenML JSON: nests as deep as allowed",
        listed(length, length, [r#"[{"x":["#, ",", "]}]"], |_| {
            format!("{}{}", "[".repeat(29), "]".repeat(29))
        }),
    );
    put("SenML JSON: names and values in spaces", pack("[", &|_| r#"{ "n" : "/3/0/9" , "v" : 1 }"#.into()));
    put(
        "SenML JSON: no path at the end",
        listed(length, RECORDS, [base, ",", r#",{"n":"x","v":1}]"#], |_| r#"{"v":1,"t":1}"#.into()),
    );
    put(
        "SenML JSON: cut at the end",
        listed(length, RECORDS, [base, ",", ",{"], |n| format!(r#"{{"v":1,"t":{n}}}"#)),
    );
    put("SenML JSON: one long number", pack(base, &|_| format!(r#"{{"v":{}}}"#, "9".repeat(length - 60))));
    put(
        "SenML JSON: one long exponent",
        pack(base, &|_| format!(r#"{{"v":1e{}}}"#, "9".repeat(length - 60))),
    );
    put(
        "SenML JSON: one long name",
        pack("[", &|_| format!(r#"{{"n":"{}","v":1}}"#, "/3".repeat(length / 2 - 20))),
    );
    put(
        "SenML JSON: one long name in escapes",
        pack("[", &|_| format!(r#"{{"n":"{}","v":1}}"#, r"\/3".repeat(length / 3 - 20))),
    );
}

fn lwm2m_json(length: usize, put: &mut dyn FnMut(&'static str, Vec<u8>)) {
    let list =
        |begin: &str, unit: &dyn Fn(usize) -> String| listed(length, RECORDS, [begin, ",", "]}"], unit);
    let base = r#"{"bn":"/3303/0/5700","e":["#;
    put("LwM2M JSON: values", list(r#"{"bn":"/3303/","e":["#, &|n| format!(r#"{{"n":"{n}/5700","v":1}}"#)));
    put("LwM2M JSON: values that are the base name", list(base, &|_| r#"{"v":1}"#.into()));
    put("LwM2M JSON: values and times", list(base, &|n| format!(r#"{{"v":1,"t":{n}}}"#)));
    put(
        "LwM2M JSON: values and times of 17 digits",
        list(base, &|n| format!(r#"{{"v":1,"t":1.{:016}}}"#, n + 1)),
    );
    put("LwM2M JSON: fractions", list(base, &|_| r#"{"v":0.1}"#.into()));
    put("LwM2M JSON: fractions with times", list(base, &|_| r#"{"v":0.1,"t":0.1}"#.into()));
    put("LwM2M JSON: exponents with times", list(base, &|_| r#"{"v":1e5,"t":1e5}"#.into()));
    put("LwM2M JSON: texts", list(base, &|_| r#"{"sv":"x"}"#.into()));
    put("LwM2M JSON: texts that are numbers, with times", list(base, &|_| r#"{"sv":"0.1","t":1}"#.into()));
    put("LwM2M JSON: object links", list(base, &|_| r#"{"ov":"1:2"}"#.into()));
    put("LwM2M JSON: booleans", list(base, &|_| r#"{"bv":true}"#.into()));
    put("LwM2M JSON: empty elements", list(base, &|_| "{}".into()));
    put("LwM2M JSON: unknown keys", list(base, &|_| r#"{"x":0,"v":1}"#.into()));
    put(
        "LwM2M JSON: one element of unknown keys",
        listed(length, length, [r#"{"e":[{"#, ",", "}]}"], |n| format!(r#""{n}":0"#)),
    );
    put(
        "LwM2M JSON: unknown keys of the document",
        listed(length, length, ["{", ",", "}"], |_| r#""":0"#.into()),
    );
    put("LwM2M JSON: names in escapes", list(r#"{"e":["#, &|_| r#"{"n":"\u0030","v":1}"#.into()));
    put(
        "LwM2M JSON: no path at the end",
        listed(length, RECORDS, [base, ",", r#",{"n":"x","v":1}]}"#], |_| r#"{"v":1,"t":1}"#.into()),
    );
    put("LwM2M JSON: no base name and names", list(r#"{"e":["#, &|_| r#"{"n":"/1/2/3","v":1}"#.into()));
    put(
        "LwM2M JSON: a fraction of one long number",
        list(base, &|_| format!(r#"{{"v":{}.1}}"#, "9".repeat(length - 60))),
    );
}

fn head(major: u8, count: usize) -> Vec<u8> {
    let major = major << 5;
    match count {
        0..24 => vec![major | count as u8],
        24..256 => vec![major | 24, count as u8],
        _ => vec![major | 25, (count >> 8) as u8, count as u8],
    }
}

fn senml_cbor(length: usize, put: &mut dyn FnMut(&'static str, Vec<u8>)) {
    let pack = |first: &[u8], unit: &dyn Fn(usize) -> Vec<u8>| {
        let more = usize::from(!first.is_empty());
        packed(length, RECORDS - more, |n| [&head(4, n + more), first].concat(), unit)
    };
    let base = b"\xa1\x21\x6c/3303/0/5700";
    let value = |value: &[u8]| [b"\xa1\x02", value].concat();
    put("SenML CBOR: empty records", pack(b"", &|_| vec![0xa0]));
    put("SenML CBOR: values", pack(base, &|_| value(&[1])));
    put(
        "SenML CBOR: values of 12 octets",
        pack(base, &|n| [b"\xa2\x02\x01\x06\x1b\0\0\0\x01\0\0", &(n as u16).to_be_bytes()[..]].concat()),
    );
    put(
        "SenML CBOR: values, distinct names",
        pack(b"", &|n| {
            let name = format!("/3303/{n}/0");
            [b"\xa2\x02\x01\x00", &head(3, name.len())[..], name.as_bytes()].concat()
        }),
    );
    put("SenML CBOR: values, one name", pack(b"", &|_| b"\xa2\x02\x01\x00\x66/3/0/9".to_vec()));
    put(
        "SenML CBOR: names below a base name",
        pack(b"\xa1\x21\x68/3303/0/", &|n| {
            let name = n.to_string();
            [b"\xa2\x02\x01\x00", &head(3, name.len())[..], name.as_bytes()].concat()
        }),
    );
    put(
        "SenML CBOR: times of double width",
        pack(base, &|_| b"\xa2\x02\x01\x06\xfb\x41\xd9\x54\xfc\x40\x20\x01\x23".to_vec()),
    );
    put("SenML CBOR: times of half width", pack(base, &|_| b"\xa2\x02\x01\x06\xf9\x3c\x01".to_vec()));
    put(
        "SenML CBOR: times that are tiny",
        pack(base, &|_| b"\xa2\x02\x01\x06\xfb\x00\x00\x00\x00\x00\x00\x00\x01".to_vec()),
    );
    put(
        "SenML CBOR: times as decimal fractions",
        pack(base, &|n| [b"\xa2\x02\x01\x06\xc4\x82\x22\x19", &(n as u16).to_be_bytes()[..]].concat()),
    );
    put("SenML CBOR: doubles", pack(base, &|_| value(b"\xfb\x3f\xb9\x99\x99\x99\x99\x99\x9a")));
    put("SenML CBOR: doubles that are tiny", pack(base, &|_| value(b"\xfb\x00\x00\x00\x00\x00\x00\x00\x01")));
    put("SenML CBOR: halves", pack(base, &|_| value(b"\xf9\x3c\x01")));
    put("SenML CBOR: decimal fractions", pack(base, &|_| value(b"\xc4\x82\x21\x19\x6a\xb3")));
    put(
        "SenML CBOR: decimal fractions far out",
        pack(base, &|_| value(b"\xc4\x82\x39\x01\x2b\x1b\xff\xff\xff\xff\xff\xff\xff\xff")),
    );
    put(
        "SenML CBOR: a base value added to each",
        pack(b"\xa2\x21\x6c/3303/0/5700\x24\xfb\x3f\xb9\x99\x99\x99\x99\x99\x9a", &|_| {
            value(b"\xf9\x3c\x01")
        }),
    );
    put(
        "SenML CBOR: a base value added to each decimal",
        pack(b"\xa2\x21\x6c/3303/0/5700\x24\xc4\x82\x38\x1f\x07", &|_| value(b"\xc4\x82\x21\x19\x6a\xb3")),
    );
    put(
        "SenML CBOR: a base value of 38 digits added to each",
        pack(b"\xa2\x21\x6c/3303/0/5700\x24\xfb\x7f\xef\xff\xff\xff\xff\xff\xff", &|_| {
            value(b"\xfb\x7f\xe0\x00\x00\x00\x00\x00\x00")
        }),
    );
    put(
        "SenML CBOR: a base value far out added to each",
        pack(b"\xa2\x21\x6c/3303/0/5700\x24\xfb\x7c\xef\xff\xff\xff\xff\xff\xff", &|_| {
            value(b"\xfb\x00\x00\x00\x00\x00\x00\x00\x01")
        }),
    );
    put(
        "SenML CBOR: a base time each",
        pack(base, &|_| b"\xa2\x02\x01\x22\xfb\x41\xd9\x54\xfc\x40\x20\x01\x23".to_vec()),
    );
    put(
        "SenML CBOR: texts in pieces of one",
        packed(
            length,
            1,
            |_| [b"\x81\xa2\x00\x66/3/0/0\x03\x7f".to_vec()].concat(),
            |_| [b"\x61a".repeat(length / 2 - 16), vec![0xff]].concat(),
        ),
    );
    put(
        "SenML CBOR: texts in pieces of none",
        packed(
            length,
            1,
            |_| b"\x81\xa2\x00\x66/3/0/0\x03\x7f".to_vec(),
            |_| [b"\x60".repeat(length - 24), vec![0xff]].concat(),
        ),
    );
    put(
        "SenML CBOR: octets in pieces of one",
        packed(
            length,
            1,
            |_| b"\x81\xa2\x00\x66/3/0/0\x08\x5f".to_vec(),
            |_| [b"\x41a".repeat(length / 2 - 16), vec![0xff]].concat(),
        ),
    );
    put(
        "SenML CBOR: one long text",
        packed(
            length,
            1,
            |_| b"\x81\xa2\x00\x66/3/0/0\x03".to_vec(),
            |_| [&head(3, length - 32)[..], &vec![b'1'; length - 32]].concat(),
        ),
    );
    put(
        "SenML CBOR: one long name",
        packed(
            length,
            1,
            |_| b"\x81\xa2\x02\x01\x00".to_vec(),
            |_| [&head(3, length - 32)[..], &vec![b'1'; length - 32]].concat(),
        ),
    );
    put(
        "SenML CBOR: many short texts in pieces",
        pack(base, &|_| b"\xa1\x03\x7f\x61a\x61b\x61c\x61d\xff".to_vec()),
    );
    put("SenML CBOR: texts that are numbers", pack(base, &|_| b"\xa1\x03\x630.1".to_vec()));
    put("SenML CBOR: object links", pack(base, &|_| b"\xa1\x63vlo\x631:2".to_vec()));
    put("SenML CBOR: values below tags", pack(base, &|_| b"\xa1\x02\xc0\xc0\xc0\x01".to_vec()));
    put(
        "SenML CBOR: one record of unknown fields",
        packed(
            length,
            length / 6,
            |n| [&b"\x81"[..], &head(5, n)].concat(),
            |n| [&b"\x1a"[..], &(n as u32 + 100).to_be_bytes(), b"\x01"].concat(),
        ),
    );
    put(
        "SenML CBOR: records of 64 unknown fields",
        pack(b"", &|_| {
            let fields: Vec<u8> = (0..64).flat_map(|n| [0x18, 100 + n, 0]).collect();
            [&head(5, 64)[..], &fields].concat()
        }),
    );
    put(
        "SenML CBOR: one record of unknown texts",
        packed(length, length / 4, |n| [&b"\x81"[..], &head(5, n)].concat(), |_| b"\x61a\x00".to_vec()),
    );
    put(
        "SenML CBOR: one record of empty texts",
        packed(length, length / 2, |n| [&b"\x81"[..], &head(5, n)].concat(), |_| b"\x60\x00".to_vec()),
    );
    put(
        "SenML CBOR: an unknown field of an array",
        packed(length, length, |n| [&b"\x81\xa1\x18\x63"[..], &head(4, n)].concat(), |_| vec![0]),
    );
    put(
        "SenML CBOR: an unknown field of empty maps",
        packed(length, length, |n| [&b"\x81\xa1\x18\x63"[..], &head(4, n)].concat(), |_| vec![0xa0]),
    );
    put(
        "SenML CBOR: an unknown field of empty texts",
        packed(length, length, |n| [&b"\x81\xa1\x18\x63"[..], &head(4, n)].concat(), |_| vec![0x60]),
    );
    put(
        "SenML CBOR: an unknown field of empty open texts",
        packed(
            length,
            length / 2,
            |n| [&b"\x81\xa1\x18\x63"[..], &head(4, n)].concat(),
            |_| vec![0x7f, 0xff],
        ),
    );
    put(
        "SenML CBOR: an unknown field of big numbers",
        packed(
            length,
            length,
            |n| [&b"\x81\xa1\x18\x63"[..], &head(4, n)].concat(),
            |_| vec![0x3b, 255, 255, 255, 255, 255, 255, 255, 255],
        ),
    );
    put(
        "SenML CBOR: an unknown field of decimal fractions",
        packed(
            length,
            length,
            |n| [&b"\x81\xa1\x18\x63"[..], &head(4, n)].concat(),
            |_| vec![0xc4, 0x82, 0x21, 0x01],
        ),
    );
    put(
        "SenML CBOR: an unknown field of times",
        packed(
            length,
            length,
            |n| [&b"\x81\xa1\x18\x63"[..], &head(4, n)].concat(),
            |_| vec![0xc1, 0xf9, 0x3c, 0x01],
        ),
    );
    put(
        "SenML CBOR: unknown nests as deep as allowed",
        packed(
            length,
            length,
            |n| [&b"\x81\xa1\x18\x63"[..], &head(4, n)].concat(),
            |_| [vec![0x81; 14], vec![0x80]].concat(),
        ),
    );
    put(
        "SenML CBOR: everything in each",
        pack(b"", &|n| {
            [b"\xa8\x21\x6c/3303/0/5700\x20\x0a\x22\xf9\x3c\x01\x24\xf9\x3c\x01\x25\xf9\x3c\x01\x00\x61/\x02\xf9\x3c\x01\x06\x19", &(n as u16).to_be_bytes()[..]].concat()
        }),
    );
    put("SenML CBOR: no path at the end", {
        let mut body = pack(base, &|_| b"\xa2\x02\x01\x06\xf9\x3c\x01".to_vec());
        body.truncate(body.len() - 1);
        body
    });
}

fn lwm2m_cbor(length: usize, put: &mut dyn FnMut(&'static str, Vec<u8>)) {
    let pairs = |before: &[u8], unit: &dyn Fn(usize) -> Vec<u8>| {
        packed(length, RECORDS - 2, |n| [before, &head(5, n)].concat(), unit)
    };
    let below = b"\xa1\x82\x19\x0c\xe7\x00";
    put("LwM2M CBOR: values", pairs(below, &|n| [&head(0, n)[..], &[1]].concat()));
    put("LwM2M CBOR: values, one name", pairs(below, &|_| b"\x19\x16\x44\x01".to_vec()));
    put(
        "LwM2M CBOR: values, whole keys",
        pairs(b"", &|n| [b"\x83\x19\x0c\xe7", &head(0, n)[..], b"\x19\x16\x44\x01"].concat()),
    );
    put(
        "LwM2M CBOR: values, keys without end",
        pairs(b"", &|n| [b"\x9f\x19\x0c\xe7", &head(0, n)[..], b"\x19\x16\x44\xff\x01"].concat()),
    );
    put(
        "LwM2M CBOR: instances",
        pairs(b"\xa1\x19\x0c\xe7", &|n| [&head(0, n)[..], b"\xa1\x19\x16\x44\x01"].concat()),
    );
    put("LwM2M CBOR: empty maps", pairs(b"\xa1\x19\x0c\xe7", &|n| [&head(0, n)[..], b"\xa0"].concat()));
    put(
        "LwM2M CBOR: doubles",
        pairs(below, &|_| b"\x19\x16\x44\xfb\x3f\xb9\x99\x99\x99\x99\x99\x9a".to_vec()),
    );
    put(
        "LwM2M CBOR: tiny doubles",
        pairs(below, &|_| b"\x19\x16\x44\xfb\x00\x00\x00\x00\x00\x00\x00\x01".to_vec()),
    );
    put("LwM2M CBOR: decimal fractions", pairs(below, &|_| b"\x19\x16\x44\xc4\x82\x21\x19\x6a\xb3".to_vec()));
    put("LwM2M CBOR: texts that are numbers", pairs(below, &|_| b"\x19\x16\x44\x630.1".to_vec()));
    put(
        "LwM2M CBOR: texts in pieces",
        pairs(below, &|_| b"\x19\x16\x44\x7f\x61a\x61b\x61c\x61d\xff".to_vec()),
    );
    put("LwM2M CBOR: an id too high at the end", {
        let mut body = pairs(below, &|_| b"\x19\x16\x44\x01".to_vec());
        body.truncate(body.len() - 3);
        body.extend(b"\xff\xff\x01");
        body
    });
}

fn single_cbor(length: usize, put: &mut dyn FnMut(&'static str, Vec<u8>)) {
    put("CBOR: a text in pieces of one", [b"\x7f", &b"\x61a".repeat(length / 2 - 1)[..], b"\xff"].concat());
    put("CBOR: a text in pieces of none", [b"\x7f", &b"\x60".repeat(length - 2)[..], b"\xff"].concat());
    put("CBOR: octets in pieces of one", [b"\x5f", &b"\x41a".repeat(length / 2 - 1)[..], b"\xff"].concat());
    put("CBOR: octets in pieces of none", [b"\x5f", &b"\x40".repeat(length - 2)[..], b"\xff"].concat());
    put("CBOR: a text of digits", [&head(3, length - 3)[..], &vec![b'1'; length - 3]].concat());
    put(
        "CBOR: a text of wide letters",
        [&head(3, length / 2 * 2 - 4)[..], "é".repeat(length / 2 - 2).as_bytes()].concat(),
    );
}

fn tlv(length: usize, put: &mut dyn FnMut(&'static str, Vec<u8>)) {
    let records = |unit: &dyn Fn(usize) -> Vec<u8>| packed(length, RECORDS, |_| Vec::new(), unit);
    let id = |n: usize| (n as u16).to_be_bytes();
    put("TLV: resources of no octet in 8 bits", filled(length, b"", &[0xc8, 0x00, 0x00]));
    put("TLV: resources of no octet", records(&|_| vec![0xc0, 0x00]));
    put("TLV: resources of one octet", records(&|_| vec![0xc1, 0x00, 0x01]));
    put("TLV: distinct resources", records(&|n| [&[0xe1], &id(n)[..], &[1]].concat()));
    put(
        "TLV: resources of 8 octets",
        records(&|n| [&[0xe8], &id(n)[..], b"\x08\x3f\xb9\x99\x99\x99\x99\x99\x9a"].concat()),
    );
    put("TLV: resources of 8 digits", records(&|n| [&[0xe8], &id(n)[..], b"\x0812345678"].concat()));
    put("TLV: resources of 11 octets", records(&|n| [&[0xe8], &id(n)[..], b"\x0b12345678901"].concat()));
    put("TLV: resource instances", records(&|n| [&[0x61], &id(n)[..], &[1]].concat()));
    put("TLV: empty multiple resources", filled(length, b"", &[0x80, 0x00]));
    put("TLV: multiple resources of one", records(&|n| [&[0xa4], &id(n)[..], b"\x61\x00\x00\x01"].concat()));
    put("TLV: instances of one", records(&|n| [&[0x24], &id(n)[..], b"\xe1\x16\x44\x01"].concat()));
    put(
        "TLV: instances of a multiple resource of one",
        records(&|n| [&[0x27], &id(n)[..], b"\xa4\x16\x44\x61\0\0\x01"].concat()),
    );
    put(
        "TLV: one long resource",
        [&[0xd8, 0x00], &(length as u32 - 5).to_be_bytes()[1..], &vec![b'1'; length - 5]].concat(),
    );
    put("TLV: one octet too many at the end", [records(&|_| vec![0xc1, 0x00, 0x01]), vec![0xc8]].concat());
}

fn links(length: usize, put: &mut dyn FnMut(&'static str, Vec<u8>)) {
    let list = |unit: &dyn Fn(usize) -> String| listed(length, LINKS, ["", ",", ""], unit);
    put("links: empty", filled(length, b"", b"<>,"));
    put("links: instances", list(&|n| format!("</3303/{n}>")));
    put("links: instances with versions", list(&|n| format!("</3303/{}>;ver=1.{n}", n % 512)));
    put("links: one target", list(&|n| format!("</3/0>;a{n}=\"{n},;\"")));
    put("links: attributes without value", list(&|_| format!("</3/0>{}", ";a".repeat(28))));
    put("links: attributes with spaces", list(&|_| format!("</3/0>{}", " ; a = b".repeat(6))));
    put("links: attributes with values", list(&|_| format!("</3/0>{}", ";a=b".repeat(13))));
    put("links: the root many times", list(&|_| format!("</>;rt=\"{}\"", "a ".repeat(25))));
    put(
        "links: the root with formats",
        list(&|_| format!("</>;rt=\"oma.lwm2m\";ct=\"{}\"", "1 ".repeat(15))),
    );
    put("links: attributes of escapes", list(&|_| format!("</3/0>;a=\"{}\"", "\\\"".repeat(25))));
    put("links: long links", list(&|_| format!("</3/0>;a=\"{}\"", "x".repeat(2_030))));
    put(
        "links: a link too long at the end",
        listed(length, length, ["", ",", ""], |_| format!("</3/0>;a=\"{}\"", "x".repeat(60_000))),
    );
    put("links: many quotes", list(&|_| format!("</3/0>{}", ";a=\"\"".repeat(10))));
    put("links: wide spaces before each", list(&|_| format!("{}</3/0>", "\u{3000}".repeat(18))));
    put("links: attributes alone", list(&|_| format!("a=b{}", ";a=b".repeat(14))));
    put("links: one quote without end", format!("</3/0>;a=\"{}", "x".repeat(length - 10)).into_bytes());
}

fn texts(length: usize, put: &mut dyn FnMut(&'static str, Vec<u8>)) {
    put("text: a long number", "9".repeat(length).into_bytes());
    put("text: letters", "A".repeat(length / 4 * 4).into_bytes());
    put("text: wide letters", "é".repeat(length / 2).into_bytes());
    put("text: not UTF-8 at the end", [&vec![b'1'; length - 1][..], &[0xff]].concat());
    put("text: spaces around", [&vec![b' '; length / 2][..], b"1", &vec![b' '; length / 2 - 1]].concat());
    put(
        "text: a fraction of 128 digits in spaces",
        [&vec![b' '; length - 128][..], b"0.", &[b'7'; 126]].concat(),
    );
}
