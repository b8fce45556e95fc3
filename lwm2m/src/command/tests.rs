//! Commands read and answers printed, as tables: the examples of both generations, EMQX's and its clients' habits,
//! and what hostile senders try (L28).
use super::*;
use crate::coap::Code;
use crate::value::{Decimal, Value};
use bytes::Bytes;

fn path(text: &str) -> ObjectPath {
    ObjectPath::parse(text).unwrap()
}

fn entry(at: &str, value: impl Into<Value>) -> Entry {
    Entry::new(path(at), value.into())
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Integer(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Float(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::String(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Boolean(value)
    }
}

/// A little of the core objects, so that the tests show whose type counts.
fn types(path: ObjectPath) -> Option<DataType> {
    match (path.object_id()?, path.resource_id()?) {
        (3, 0 | 14) => Some(DataType::String),
        (3, 13) => Some(DataType::Time),
        (3, 7) | (3, 9) | (1, 1) => Some(DataType::Integer),
        (1, 6) => Some(DataType::Boolean),
        (3303, 5700) | (6, 1) => Some(DataType::Float),
        (19, 0) => Some(DataType::Opaque),
        _ => None,
    }
}

fn command(channel: Channel, payload: &str) -> Command {
    read(channel, payload.as_bytes(), &types)
        .unwrap_or_else(|answer| panic!("{payload}: {}", answer.to_json()))
}

fn refusal(channel: Channel, payload: &str) -> String {
    match read(channel, payload.as_bytes(), &types) {
        Ok(command) => panic!("{payload}: {command:?}"),
        Err(answer) => answer.to_json(),
    }
}

fn write(at: &str, mode: WriteMode, entries: Vec<Entry>) -> Operation {
    Operation::Write { path: path(at), mode, entries }
}

fn set(name: &'static str, value: &str) -> AttributeChange {
    AttributeChange { name, value: Some(value.into()) }
}

fn unset(name: &'static str) -> AttributeChange {
    AttributeChange { name, value: None }
}

use WriteMode::{Replace, Update};

#[test]
fn every_command_of_form_a_is_read() {
    let read = |at: &str| Operation::Read { path: path(at), query: None };
    let table = [
        (r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}"#, read("/3/0/0")),
        (r#"{"CmdID":1,"Command":"Read","BaseName":"3/0/"}"#, read("/3/0")),
        (
            r#"{"CmdID":3,"Command":"Write","Value":{"bn":"/3/0/13","e":[{"v":12345}]}}"#,
            write("/3/0/13", Replace, vec![Entry::new(path("/3/0/13"), Value::Time(12345))]),
        ),
        (
            r#"{"CmdID":4,"Command":"Write","Value":{"bn":"/3/0/7","e":[{"n":"0","v":3800},{"n":"1","v":5000}]}}"#,
            write("/3/0/7", Replace, vec![entry("/3/0/7/0", 3800), entry("/3/0/7/1", 5000)]),
        ),
        (
            r#"{"CmdID":5,"Command":"Write","Value":{"bn":"/3/0","e":[{"n":"14","sv":"+01:00"},{"n":"7/0","v":3800}]}}"#,
            write("/3/0", Update, vec![entry("/3/0/14", "+01:00"), entry("/3/0/7/0", 3800)]),
        ),
        (
            r#"{"CmdID":6,"Command":"Write","Value":{"bn":"/3","e":[{"n":"0/9","v":5},{"n":"0/7/1","v":5000}]}}"#,
            write("/3", Update, vec![entry("/3/0/9", 5), entry("/3/0/7/1", 5000)]),
        ),
        (
            r#"{"CmdID":7,"Command":"Execute","BaseName":"/3/0/4","Arguments":"2,7"}"#,
            Operation::Execute { path: path("/3/0/4"), arguments: "2,7".into() },
        ),
        (
            r#"{"CmdID":7,"Command":"Execute","BaseName":"/3/0/4"}"#,
            Operation::Execute { path: path("/3/0/4"), arguments: String::new() },
        ),
        (
            r#"{"CmdID":8,"Command":"Discover","BaseName":"/3/0/7"}"#,
            Operation::Discover { path: path("/3/0/7"), query: None },
        ),
        (
            r#"{"CmdID":9,"Command":"Write-Attributes","BaseName":"/3/0/9","Value":"pmin=5&pmax=60&lt=20"}"#,
            Operation::WriteAttributes {
                path: path("/3/0/9"),
                attributes: vec![set("pmin", "5"), set("pmax", "60"), set("lt", "20")],
            },
        ),
        (
            r#"{"CmdID":10,"Command":"Observe","BaseName":"/3/0/10"}"#,
            Operation::Observe { path: path("/3/0/10") },
        ),
        (
            r#"{"CmdID":20,"Command":"Write","Mode":"replace","Value":{"bn":"/3/0","e":[{"n":"14","sv":"+01:00"}]}}"#,
            write("/3/0", Replace, vec![entry("/3/0/14", "+01:00")]),
        ),
        (
            r#"{"CmdID":21,"Command":"Write-Attributes","BaseName":"/3/0/9","Value":"pmin=5&pmax"}"#,
            Operation::WriteAttributes {
                path: path("/3/0/9"),
                attributes: vec![set("pmin", "5"), unset("pmax")],
            },
        ),
        (
            r#"{"CmdID":22,"Command":"Create","Value":{"bn":"/3303","e":[{"n":"1/5700","v":1.5}]}}"#,
            Operation::Create {
                object: path("/3303"),
                instance: Some(1),
                entries: vec![entry("/3303/1/5700", 1.5)],
            },
        ),
        (
            r#"{"CmdID":22,"Command":"Create","WithoutID":true,"Value":{"bn":"/3303","e":[{"n":"5700","v":1.5}]}}"#,
            Operation::Create {
                object: path("/3303"),
                instance: None,
                entries: vec![entry("/3303/0/5700", 1.5)],
            },
        ),
        (
            r#"{"CmdID":22,"Command":"Create","BaseName":"/5"}"#,
            Operation::Create { object: path("/5"), instance: None, entries: vec![] },
        ),
        (
            r#"{"CmdID":23,"Command":"Delete","BaseName":"/3303/1"}"#,
            Operation::Delete { path: path("/3303/1") },
        ),
        (
            r#"{"CmdID":24,"Command":"Cancel-Observe","BaseName":"/3/0/10"}"#,
            Operation::CancelObserve { path: path("/3/0/10") },
        ),
        (
            r#"{"CmdID":25,"Command":"Read-Composite","BaseNames":["/3/0/0","/1/0/1"]}"#,
            Operation::ReadComposite { paths: vec![path("/3/0/0"), path("/1/0/1")] },
        ),
        (
            r#"{"CmdID":26,"Command":"Write-Composite","Value":{"bn":"/","e":[{"n":"3/0/14","sv":"+01:00"}]}}"#,
            Operation::WriteComposite { entries: vec![entry("/3/0/14", "+01:00")], atomic: true },
        ),
        (
            r#"{"CmdID":27,"Command":"Observe-Composite","BaseNames":["/3/0/9"]}"#,
            Operation::ObserveComposite { paths: vec![path("/3/0/9")] },
        ),
        (
            r#"{"CmdID":27,"Command":"Cancel-Observe-Composite","BaseNames":["/3/0/9"]}"#,
            Operation::CancelObserveComposite { paths: vec![path("/3/0/9")] },
        ),
        (r#"{"CmdID":28,"Command":"Deregister"}"#, Operation::Deregister),
        (
            r#"{"CmdID":29,"Command":"Firmware","File":"meter-2.1.bin"}"#,
            Operation::Firmware(FirmwareOrder::Load {
                source: FirmwareSource::File("meter-2.1.bin".into()),
                update: true,
            }),
        ),
    ];
    for (payload, operation) in table {
        let command = command(Channel::Command, payload);
        assert_eq!(command.operation, operation, "{payload}");
        assert_eq!(command.asker.form, Form::A);
    }
}

#[test]
fn every_command_of_form_b_is_read() {
    let read =
        |at: &str, query: Option<&str>| Operation::Read { path: path(at), query: query.map(str::to_owned) };
    let table = [
        (r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#, read("/3/0/0", None)),
        (r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0?a=b"}}"#, read("/3/0/0", Some("a=b"))),
        (r#"{"reqID":1,"msgType":"read","data":{"basePath":"3/0"}}"#, read("/3/0", None)),
        (
            r#"{"reqID":2,"msgType":"discover","data":{"path":"/3/0"}}"#,
            Operation::Discover { path: path("/3/0"), query: None },
        ),
        (
            r#"{"reqID":3,"msgType":"write","data":{"path":"/3/0/9","type":"Integer","value":12345}}"#,
            write("/3/0/9", Replace, vec![entry("/3/0/9", 12345)]),
        ),
        (
            r#"{"reqID":3,"msgType":"write","data":{"path":"/3/0/9","value":"12345"}}"#,
            write("/3/0/9", Replace, vec![entry("/3/0/9", 12345)]),
        ),
        (
            r#"{"reqID":4,"msgType":"write","data":{"basePath":"/3/0","content":[{"path":"9","type":"Integer","value":12345},
               {"path":"14","type":"String","value":"+01:00"},{"path":"6/0","type":"Integer","value":1}]}}"#,
            write(
                "/3/0",
                Update,
                vec![entry("/3/0/9", 12345), entry("/3/0/14", "+01:00"), entry("/3/0/6/0", 1)],
            ),
        ),
        (
            r#"{"reqID":5,"encoding":"hex","msgType":"write","data":{"path":"/19/0/0/0","type":"Opaque","value":"00ff"}}"#,
            write(
                "/19/0/0/0",
                Replace,
                vec![Entry::new(path("/19/0/0/0"), Value::Opaque(Bytes::from_static(&[0, 255])))],
            ),
        ),
        (
            r#"{"reqID":6,"msgType":"write-attr","data":{"path":"/3/0/9","pmin":"1","pmax":"5","gt":null,"lt":"20","st":null}}"#,
            Operation::WriteAttributes {
                path: path("/3/0/9"),
                attributes: vec![set("pmin", "1"), set("pmax", "5"), set("lt", "20")],
            },
        ),
        (
            r#"{"reqID":7,"msgType":"execute","data":{"path":"/3/0/4","args":"0='x',1"}}"#,
            Operation::Execute { path: path("/3/0/4"), arguments: "0='x',1".into() },
        ),
        (
            r#"{"reqID":7,"msgType":"execute","data":{"path":"/3/0/4","args":"undefined"}}"#,
            Operation::Execute { path: path("/3/0/4"), arguments: String::new() },
        ),
        (
            r#"{"reqID":8,"msgType":"create","data":{"basePath":"/3303","content":[{"path":"1/5700","type":"Float","value":1.5}]}}"#,
            Operation::Create {
                object: path("/3303"),
                instance: Some(1),
                entries: vec![entry("/3303/1/5700", 1.5)],
            },
        ),
        (
            r#"{"reqID":8,"msgType":"create","data":{"basePath":"/5","content":[]}}"#,
            Operation::Create { object: path("/5"), instance: None, entries: vec![] },
        ),
        (
            r#"{"reqID":9,"msgType":"delete","data":{"path":"/3303/1"}}"#,
            Operation::Delete { path: path("/3303/1") },
        ),
        (
            r#"{"reqID":10,"msgType":"observe","data":{"path":"/3/0/9"}}"#,
            Operation::Observe { path: path("/3/0/9") },
        ),
        (
            r#"{"reqID":11,"msgType":"cancel-observe","data":{"path":"/3/0/9"}}"#,
            Operation::CancelObserve { path: path("/3/0/9") },
        ),
        (
            r#"{"reqID":20,"msgType":"write","data":{"basePath":"/3/0","mode":"replace","content":[{"path":"14","value":"+01:00"}]}}"#,
            write("/3/0", Replace, vec![entry("/3/0/14", "+01:00")]),
        ),
        (
            r#"{"reqID":21,"msgType":"write","data":{"path":"/3/0/7/1","type":"Integer","value":5000}}"#,
            write("/3/0/7/1", Replace, vec![entry("/3/0/7/1", 5000)]),
        ),
        (
            r#"{"reqID":22,"msgType":"write-attr","data":{"path":"/3/0/9","pmin":5,"pmax":"","st":null}}"#,
            Operation::WriteAttributes {
                path: path("/3/0/9"),
                attributes: vec![set("pmin", "5"), unset("pmax")],
            },
        ),
        (
            r#"{"reqID":23,"msgType":"create","data":{"basePath":"/3303","withoutId":true,"content":[{"path":"5700","value":1.5}]}}"#,
            Operation::Create {
                object: path("/3303"),
                instance: None,
                entries: vec![entry("/3303/0/5700", 1.5)],
            },
        ),
        (
            r#"{"reqID":24,"msgType":"read-composite","data":{"paths":["/3/0/0","/3303/0/5700"]}}"#,
            Operation::ReadComposite { paths: vec![path("/3/0/0"), path("/3303/0/5700")] },
        ),
        (
            r#"{"reqID":25,"msgType":"write-composite","data":{"content":[{"path":"/3/0/14","value":"+01:00"},{"path":"/1/0/1","value":60}]}}"#,
            Operation::WriteComposite {
                entries: vec![entry("/3/0/14", "+01:00"), entry("/1/0/1", 60)],
                atomic: true,
            },
        ),
        (
            r#"{"reqID":25,"msgType":"write-composite","data":{"atomic":false,"content":[{"path":"/1/0/1","value":60}]}}"#,
            Operation::WriteComposite { entries: vec![entry("/1/0/1", 60)], atomic: false },
        ),
        (
            r#"{"reqID":26,"msgType":"observe-composite","data":{"paths":["/3/0/9","/"]}}"#,
            Operation::ObserveComposite { paths: vec![path("/3/0/9"), ObjectPath::ROOT] },
        ),
        (
            r#"{"reqID":27,"msgType":"cancel-observe-composite","data":{"paths":["/3/0/9"]}}"#,
            Operation::CancelObserveComposite { paths: vec![path("/3/0/9")] },
        ),
        (r#"{"reqID":28,"msgType":"deregister","data":{}}"#, Operation::Deregister),
        (
            r#"{"reqID":29,"msgType":"firmware","data":{"uri":"coap://[2001:db8::1]/fw","update":false}}"#,
            Operation::Firmware(FirmwareOrder::Load {
                source: FirmwareSource::Uri("coap://[2001:db8::1]/fw".into()),
                update: false,
            }),
        ),
        // What the PyPI client emqxlwm2m sends, to the letter.
        (
            r#"{"reqID":4711,"msgType":"write","data":{"path":"/1/0/1","type":"Integer","value":60}}"#,
            write("/1/0/1", Replace, vec![entry("/1/0/1", 60)]),
        ),
        (
            r#"{"reqID":1,"msgType":"write","data":{"path":"/1/0/6","type":"Boolean","value":"true"}}"#,
            write("/1/0/6", Replace, vec![entry("/1/0/6", true)]),
        ),
        (
            r#"{"reqID":2,"msgType":"write","data":{"basePath":"6/0/","content":[{"path":"1","type":"Float","value":2.5}]}}"#,
            write("/6/0", Update, vec![entry("/6/0/1", 2.5)]),
        ),
        (
            r#"{"reqID":3,"msgType":"write-attr","data":{"path":"/3/0/9","pmin":"60","pmax":null,"gt":null,"lt":null,"st":"5.5"}}"#,
            Operation::WriteAttributes {
                path: path("/3/0/9"),
                attributes: vec![set("pmin", "60"), set("st", "5.5")],
            },
        ),
        (
            r#"{"reqID":4,"msgType":"execute","data":{"path":"/3/0/4","args":""}}"#,
            Operation::Execute { path: path("/3/0/4"), arguments: String::new() },
        ),
        (
            r#"{"reqID":5,"msgType":"create","data":{"basePath":"/3303","content":[{"path":"/1/5700","type":"Float","value":1.5}]}}"#,
            Operation::Create {
                object: path("/3303"),
                instance: Some(1),
                entries: vec![entry("/3303/1/5700", 1.5)],
            },
        ),
        // It derives the type from Python's: 2 for a Float comes as Integer, and the catalog wins.
        (
            r#"{"reqID":6,"msgType":"write","data":{"path":"/3303/0/5700","type":"Integer","value":2}}"#,
            write("/3303/0/5700", Replace, vec![entry("/3303/0/5700", 2.0)]),
        ),
    ];
    for (payload, operation) in table {
        for channel in [Channel::Downlink, Channel::Command] {
            let command = command(channel, payload);
            assert_eq!(command.operation, operation, "{payload}");
            assert_eq!((command.asker.form, command.asker.channel), (Form::B, channel));
        }
    }
}

#[test]
fn without_a_model_the_given_type_counts_then_the_json_value() {
    for (value, written) in [
        (Value::Unsigned(7), r#""type":"Unsigned Integer","value":7"#),
        (Value::Integer(7), r#""value":7"#),
        (Value::Float(7.5.into()), r#""value":7.5"#),
        (Value::String("7".into()), r#""value":"7""#),
        (Value::Objlnk(66, 0), r#""type":"Objlnk","value":"66:0""#),
        (
            Value::Float(Decimal::parse("0.1000000000000000055511151231257827").unwrap().into()),
            r#""value":0.1000000000000000055511151231257827"#,
        ),
    ] {
        let payload = format!(r#"{{"reqID":1,"msgType":"write","data":{{"path":"/9999/0/1",{written}}}}}"#);
        let at = path("/9999/0/1");
        let expected = Operation::Write { path: at, mode: Replace, entries: vec![Entry::new(at, value)] };
        assert_eq!(command(Channel::Downlink, &payload).operation, expected, "{payload}");
    }
}

#[test]
fn the_later_of_two_values_for_one_place_wins() {
    let payload = r#"{"reqID":4,"msgType":"write","data":{"basePath":"/3/0/7","content":[
        {"path":"0","value":1},{"path":"1","value":2},{"path":"0","value":3}]}}"#;
    let expected = write("/3/0/7", Replace, vec![entry("/3/0/7/0", 3), entry("/3/0/7/1", 2)]);
    assert_eq!(command(Channel::Downlink, payload).operation, expected);
}

#[test]
fn options_stand_outside_of_the_operation_in_both_forms() {
    let b = command(
        Channel::Downlink,
        r#"{"reqID":30,"msgType":"read","ttl":600,"timeout":20,"accept":112,"data":{"path":"/3/0"}}"#,
    );
    assert_eq!((b.ttl, b.timeout, b.accept), (Some(600), Some(20), Some(112)));
    let emqx = command(
        Channel::Downlink,
        r#"{"reqID":30,"mheaders":{"ttl":7200},"msgType":"read","data":{"path":"/3/0"}}"#,
    );
    assert_eq!((emqx.ttl, emqx.timeout, emqx.accept), (Some(7200), None, None));
    let a = command(
        Channel::Command,
        r#"{"CmdID":1,"Command":"Read","BaseName":"/3","TTL":0,"Timeout":5,"Accept":110}"#,
    );
    assert_eq!((a.ttl, a.timeout, a.accept), (Some(0), Some(5), Some(110)));
}

/// Topic, payload, the whole answer.
const REFUSED: &[(Channel, &str, &str)] = &[
    (
        Channel::Command,
        "{oops",
        r#"{"CmdID":null,"Command":null,"Error":"Bad Request","Reason":"not JSON: line 1, column 2"}"#,
    ),
    (
        Channel::Command,
        "[]",
        r#"{"CmdID":null,"Command":null,"Error":"Bad Request","Reason":"not a JSON object"}"#,
    ),
    (
        Channel::Command,
        "7",
        r#"{"CmdID":null,"Command":null,"Error":"Bad Request","Reason":"not a JSON object"}"#,
    ),
    (
        Channel::Command,
        "",
        r#"{"CmdID":null,"Command":null,"Error":"Bad Request","Reason":"not JSON: line 1, column 0"}"#,
    ),
    (
        Channel::Command,
        "{}",
        r#"{"CmdID":null,"Command":null,"Error":"Bad Request","Reason":"neither Command nor msgType"}"#,
    ),
    (
        Channel::Command,
        r#"{"CmdID":1,"Command":"Read","msgType":"read"}"#,
        r#"{"CmdID":1,"Command":"Read","Error":"Bad Request","Reason":"both Command and msgType: use one"}"#,
    ),
    (
        Channel::Command,
        r#"{"CmdID":7,"Command":"Frobnicate"}"#,
        r#"{"CmdID":7,"Command":"Frobnicate","Error":"Bad Command","Reason":"unknown Command; known: Read, Write, Execute, Discover, Write-Attributes, Create, Delete, Observe, Cancel-Observe, Read-Composite, Write-Composite, Observe-Composite, Cancel-Observe-Composite, Deregister, Firmware"}"#,
    ),
    (
        Channel::Command,
        r#"{"CmdID":8,"Command":"Read","BaseName":"/3/x"}"#,
        r#"{"CmdID":8,"Command":"Read","Error":"Bad Request","Reason":"BaseName \"/3/x\": \"x\" is not a number 0–65534"}"#,
    ),
    (
        Channel::Command,
        r#"{"CmdID":8,"Command":"read","BaseName":"/3/0"}"#,
        r#"{"CmdID":8,"Command":"read","Error":"Bad Command","Reason":"unknown Command; known: Read, Write, Execute, Discover, Write-Attributes, Create, Delete, Observe, Cancel-Observe, Read-Composite, Write-Composite, Observe-Composite, Cancel-Observe-Composite, Deregister, Firmware"}"#,
    ),
    (
        Channel::Command,
        r#"{"CmdID":9,"Command":7}"#,
        r#"{"CmdID":9,"Command":7,"Error":"Bad Request","Reason":"Command is not a text"}"#,
    ),
    (
        Channel::Downlink,
        "{oops",
        r#"{"reqID":null,"msgType":null,"data":{"reqPath":null,"code":"4.00","codeMsg":"bad_request","reason":"not JSON: line 1, column 2"}}"#,
    ),
    (
        Channel::Downlink,
        r#"{"reqID":1,"msgType":"frobnicate","data":{}}"#,
        r#"{"reqID":1,"msgType":"frobnicate","data":{"reqPath":null,"code":"4.00","codeMsg":"bad_request","reason":"unknown msgType; known: read, write, execute, discover, write-attr, create, delete, observe, cancel-observe, read-composite, write-composite, observe-composite, cancel-observe-composite, deregister, firmware"}}"#,
    ),
    (
        Channel::Downlink,
        r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0"}"#,
        r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0","msgType":null,"data":{"reqPath":null,"code":"4.00","codeMsg":"bad_request","reason":"msgType is missing or not a text"}}"#,
    ),
    (
        Channel::Downlink,
        r#"{"reqID":2,"msgType":"read","data":{"path":"3//?x"}}"#,
        r#"{"reqID":2,"msgType":"read","data":{"reqPath":"3//","code":"4.00","codeMsg":"bad_request","reason":"path \"3//\": \"\" is not a number 0–65534"}}"#,
    ),
    (
        Channel::Downlink,
        r#"{"reqID":3,"msgType":"write-attr","data":{"path":"/3/0/9","speed":1}}"#,
        r#"{"reqID":3,"msgType":"write-attr","data":{"reqPath":"/3/0/9","code":"4.00","codeMsg":"bad_request","reason":"unknown attribute \"speed\"; known: pmin, pmax, gt, lt, st, epmin, epmax, edge, con, hqmax"}}"#,
    ),
    (
        Channel::Downlink,
        r#"{"reqID":5,"encoding":"hex","msgType":"write","data":{"path":"/19/0/0/0","value":"0"}}"#,
        r#"{"reqID":5,"encoding":"hex","msgType":"write","data":{"reqPath":"/19/0/0/0","code":"4.00","codeMsg":"bad_request","reason":"/19/0/0/0: hex \"0\" is not Opaque (base 64)"}}"#,
    ),
];

#[test]
fn what_cannot_be_read_is_answered_in_its_form() {
    for (channel, payload, answer) in REFUSED {
        assert_eq!(refusal(*channel, payload), *answer, "{payload}");
    }
}

#[test]
fn a_value_of_form_a_that_is_no_object_is_told_so() {
    for value in [r#""+01:00""#, "7", "[]"] {
        let payload = format!(r#"{{"CmdID":20,"Command":"Write","BaseName":"/3/0/14","Value":{value}}}"#);
        let told = r#"{"CmdID":20,"Command":"Write","Error":"Bad Request","Reason":"Value is not an object with bn and e"}"#;
        assert_eq!(refusal(Channel::Command, &payload), told, "{value}");
    }
}

#[test]
fn reasons_name_the_member_and_the_fault() {
    let b = |name: &str, data: &str| format!(r#"{{"reqID":1,"msgType":"{name}","data":{data}}}"#);
    for (payload, reason) in [
        (b("read", "{}"), "path is missing"),
        (b("read", "[]"), "data is not an object"),
        (b("read", r#"{"path":7}"#), "path is not a text"),
        (
            b("write", r#"{"path":"/3/0"}"#),
            "path /3/0 is no resource: name one, or use basePath with content",
        ),
        (b("write", r#"{"path":"/3/0/9"}"#), "/3/0/9: value is missing"),
        (b("write", r#"{"path":"/3/0/9","value":"abc"}"#), r#"/3/0/9: \"abc\" is not an Integer"#),
        (b("write", r#"{"path":"/3/0/9","value":null}"#), "/3/0/9: null is not an Integer"),
        (
            b("write", r#"{"path":"/3/0/9","value":1.5}"#),
            "/3/0/9: 1.5 is not a whole number, as Integer needs",
        ),
        (
            b("write", r#"{"path":"/77/0/1","type":"Intejer","value":1}"#),
            r#"/77/0/1: unknown type \"Intejer\"; known: String, Integer, Unsigned Integer, Float, Boolean, Opaque, Time, Objlnk, Corelnk"#,
        ),
        (b("write", r#"{"basePath":"/3/0","content":[]}"#), "content is empty"),
        (b("write", r#"{"basePath":"/3/0","content":[{"value":1}]}"#), "content[0].path /3/0 is no resource"),
        (
            b("write", r#"{"basePath":"/3/0","content":[{"path":"7/1/2","value":1}]}"#),
            r#"content[0].path \"7/1/2\": a path has at most 4 numbers"#,
        ),
        (
            b("write", r#"{"basePath":"/3/0","mode":"merge","content":[{"path":"9","value":1}]}"#),
            r#"mode is \"replace\" or \"update\""#,
        ),
        (b("write-attr", r#"{"path":"/3/0/9","gt":null}"#), "no attribute is named"),
        (b("write-attr", r#"{"path":"/3/0/9","pmin":-1}"#), r#"pmin \"-1\" is not a whole number from 0 on"#),
        (b("write-attr", r#"{"path":"/3/0/9","gt":"inf"}"#), r#"gt \"inf\" is not a number"#),
        (b("write-attr", r#"{"path":"/3/0/9","con":2}"#), r#"con \"2\" is not 0 or 1"#),
        (b("execute", r#"{"path":"/3/0"}"#), "path /3/0: only a resource can be executed"),
        (
            b("delete", r#"{"path":"/3"}"#),
            "path /3: only an object instance (or a resource instance) can be deleted",
        ),
        (
            b("create", r#"{"basePath":"/3/0/1"}"#),
            "basePath /3/0/1: Create takes an object, or an instance of one",
        ),
        (b("read-composite", r#"{"paths":[]}"#), "paths has 0 paths: 1 to 4096 are possible"),
        (
            b("firmware", r#"{"file":"../passwd"}"#),
            r#"file \"../passwd\" is not a plain file name in lwm2m.firmware_dir"#,
        ),
        (b("firmware", r#"{"uri":"nonsense"}"#), "uri is no URI of at most 255 bytes"),
        (b("firmware", "{}"), "one of file and uri is needed, as a text"),
    ] {
        let answer = refusal(Channel::Downlink, &payload);
        let expected = format!(r#""codeMsg":"bad_request","reason":"{reason}"}}}}"#);
        assert!(answer.ends_with(&expected), "{payload}\n{answer}\n{expected}");
    }
    let outside = [
        (r#""ttl":-1"#, "ttl is not a whole number of seconds from 0 to 31536000"),
        (r#""timeout":0"#, "timeout is not a whole number of seconds from 1 to 31536000"),
        (r#""accept":65536"#, "accept is not a Content-Format number from 0 to 65535"),
        (r#""mheaders":7"#, "mheaders is not an object"),
        (r#""mheaders":{"ttl":"x"}"#, "mheaders.ttl is not a whole number of seconds from 0 to 31536000"),
    ];
    for (member, reason) in outside {
        let payload = format!(r#"{{"reqID":1,"msgType":"read",{member},"data":{{"path":"/3"}}}}"#);
        assert!(refusal(Channel::Downlink, &payload).contains(reason), "{payload}");
    }
}

/// L28: one answer with a reason on the same channel, whatever comes; quickly, and without growing.
#[test]
fn hostile_commands_get_one_short_answer() {
    let deep = "[".repeat(200_000);
    let deep_member = format!(r#"{{"reqID":1,"msgType":"read","data":{{"path":{deep}}}}}"#);
    let huge = format!(r#"{{"reqID":"{}"}}"#, "x".repeat(10_000_000));
    let many: String = (0..1000).map(|n| format!(r#""k{n}":1,"#)).collect();
    let many = format!(r#"{{{many}"reqID":1,"msgType":"read","data":{{"path":"/3"}}}}"#);
    let paths = ["//", "/3/../0", "/-1", "/65536", "/3/0/1/2/3", "/３/0", "", "/3 /0", "/03"];
    let payloads: Vec<Vec<u8>> = [deep, deep_member, huge, many]
        .into_iter()
        .chain(paths.map(|p| format!(r#"{{"reqID":1,"msgType":"read","data":{{"path":"{p}"}}}}"#)))
        .chain([
            r#"{"reqID":1,"msgType":"notify","data":{}}"#.to_owned(),
            r#"{"reqID":1,"msgType":"\ud800","data":{}}"#.to_owned(),
            r#"{"reqID":1,"msgType":"read","data":{"path":"\ud800"}}"#.to_owned(),
            r#"{"reqID":1e308,"msgType":"x"}"#.to_owned(),
            "nul".to_owned(),
            r#"{"reqID":1,"msgType":"read","data":{"path":"/3"}} trailing"#.to_owned(),
        ])
        .map(String::into_bytes)
        .chain([vec![0xff; 16], vec![0; 1000], b"{\"a\":\"\xed\xa0\x80\"}".to_vec()])
        .collect();
    for payload in payloads {
        for channel in [Channel::Command, Channel::Downlink] {
            let answer = read(channel, &payload, &types).expect_err("a refusal");
            let text = answer.to_json();
            assert!(text.len() < 1024, "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
            assert!(answer.reason.is_some(), "{text}");
            assert_eq!(answer.asker.channel, channel);
        }
    }
}

#[test]
fn ids_come_back_to_the_letter() {
    for id in [
        "1e308",
        "18446744073709551616",
        r#""a""#,
        "null",
        "1.0",
        r#"{"a": [1,  2]}"#,
        r#""\u00e9\n""#,
        "-0.0e+1",
    ] {
        let payload = format!(r#"{{"reqID": {id} ,"msgType":"read","data":{{"path":"/3/0"}}}}"#);
        let b = command(Channel::Downlink, &payload);
        let answer = Answer::new(b.asker.clone(), Code::CHANGED).to_json();
        let expected = format!(
            r#"{{"reqID":{id},"msgType":"read","data":{{"reqPath":"/3/0","code":"2.04","codeMsg":"changed"}}}}"#
        );
        assert_eq!(answer, expected);
        assert_eq!(b.asker.id(), id);
        let payload = format!(r#"{{"CmdID": {id} ,"Command":"Read","BaseName":"/3/0"}}"#);
        let a = command(Channel::Command, &payload);
        let answer = Answer::new(a.asker, Code::CHANGED).to_json();
        assert_eq!(answer, format!(r#"{{"CmdID":{id},"Command":"Read","Result":"Changed"}}"#));
    }
    let absent = command(Channel::Downlink, r#"{"msgType":"read","data":{"path":"/3/0"}}"#);
    let answer = Answer::new(absent.asker, Code::CHANGED).to_json();
    assert_eq!(answer, r#"{"msgType":"read","data":{"reqPath":"/3/0","code":"2.04","codeMsg":"changed"}}"#);
}

#[test]
fn form_b_echoes_every_other_member_in_its_order() {
    let payload = r#"{"imei":"3","reqID":1,"encoding":"plain","data":{"path":"/3/0"},"msgType":"read","cacheID":[1, 2],"imei":"4"}"#;
    let asker = command(Channel::Downlink, payload).asker;
    assert_eq!(
        Answer::new(asker.clone(), Code::NOT_FOUND).to_json(),
        r#"{"imei":"4","reqID":1,"encoding":"plain","msgType":"read","cacheID":[1, 2],"data":{"reqPath":"/3/0","code":"4.04","codeMsg":"not_found"}}"#
    );
    assert_eq!(
        Answer::emqx_message(&asker, "ack").unwrap(),
        r#"{"imei":"4","reqID":1,"encoding":"plain","msgType":"ack","cacheID":[1, 2],"data":{"path":"/3/0"}}"#
    );
    let a = command(Channel::Command, r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0"}"#).asker;
    assert_eq!(Answer::emqx_message(&a, "ack"), None);
}

fn answer_to(channel: Channel, payload: &str, code: Code, entries: &[(&str, Value)]) -> Answer {
    let command = command(channel, payload);
    let items = entries.iter().map(|(at, value)| Item::from(Entry::new(path(at), value.clone()))).collect();
    Answer {
        content: Content::Values(items),
        composite: command.operation.is_composite(),
        ..Answer::new(command.asker, code)
    }
}

#[test]
fn values_are_shown_as_each_form_shows_them() {
    let a = |base: &str| format!(r#"{{"CmdID":2,"Command":"Read","BaseName":"{base}"}}"#);
    let b = |base: &str| format!(r#"{{"reqID":1,"msgType":"read","data":{{"path":"{base}"}}}}"#);
    let int = Value::Integer;
    let link = Value::Objlnk(66, 0);
    let opaque = Value::Opaque(Bytes::from_static(&[0, 255]));
    // Asked path, values, form A's Result, form B's content.
    type Row<'a> = (&'a str, Vec<(&'a str, Value)>, &'a str, &'a str);
    let table: Vec<Row<'_>> = vec![
        (
            "/3/0/0",
            vec![("/3/0/0", "ACME".into())],
            r#"{"bn":"/3/0/0","e":[{"sv":"ACME"}]}"#,
            r#"[{"path":"/3/0/0","value":"ACME"}]"#,
        ),
        (
            "/3/0",
            vec![("/3/0/0", "ACME".into()), ("/3/0/6/0", int(1)), ("/3/0/13", Value::Time(1367491215))],
            r#"{"bn":"/3/0","e":[{"n":"0","sv":"ACME"},{"n":"6/0","v":1},{"n":"13","v":1367491215}]}"#,
            r#"[{"path":"/3/0/0","value":"ACME"},{"path":"/3/0/6/0","value":1},{"path":"/3/0/13","value":1367491215}]"#,
        ),
        (
            "/2",
            vec![("/2/0/0", int(1)), ("/2/0/2/127", int(7)), ("/2/2/0", int(3))],
            r#"{"bn":"/2","e":[{"n":"0/0","v":1},{"n":"0/2/127","v":7},{"n":"2/0","v":3}]}"#,
            r#"[{"path":"/2/0/0","value":1},{"path":"/2/0/2/127","value":7},{"path":"/2/2/0","value":3}]"#,
        ),
        // An object with one instance: the base is the instance. A multiple resource: so it is there.
        (
            "/3",
            vec![("/3/0/0", "x".into()), ("/3/0/9", int(5))],
            r#"{"bn":"/3/0","e":[{"n":"0","sv":"x"},{"n":"9","v":5}]}"#,
            r#"[{"path":"/3/0/0","value":"x"},{"path":"/3/0/9","value":5}]"#,
        ),
        (
            "/3/0/7",
            vec![("/3/0/7/0", int(3800))],
            r#"{"bn":"/3/0","e":[{"n":"7/0","v":3800}]}"#,
            r#"[{"path":"/3/0/7/0","value":3800}]"#,
        ),
        (
            "/9/0",
            vec![("/9/0/1", true.into()), ("/9/0/2", link), ("/9/0/3", opaque), ("/9/0/4", f64::NAN.into())],
            r#"{"bn":"/9/0","e":[{"n":"1","bv":true},{"n":"2","ov":"66:0"},{"n":"3","sv":"AP8="},{"n":"4","v":"NaN"}]}"#,
            r#"[{"path":"/9/0/1","value":true},{"path":"/9/0/2","value":"66:0"},{"path":"/9/0/3","value":"AP8="},{"path":"/9/0/4","value":"NaN"}]"#,
        ),
        ("/9/0", vec![], r#"{"bn":"/","e":[]}"#, "[]"),
    ];
    for (asked, values, result, content) in table {
        let answer = answer_to(Channel::Command, &a(asked), Code::CONTENT, &values).to_json();
        assert_eq!(answer, format!(r#"{{"CmdID":2,"Command":"Read","Result":{result}}}"#));
        let answer = answer_to(Channel::Downlink, &b(asked), Code::CONTENT, &values).to_json();
        let data = format!(r#""reqPath":"{asked}","code":"2.05","codeMsg":"content","content":{content}"#);
        assert_eq!(answer, format!(r#"{{"reqID":1,"msgType":"read","data":{{{data}}}}}"#));
    }
}

#[test]
fn composite_answers_name_the_root() {
    let values = [("/3/0/0", Value::from("ACME")), ("/1/0/1", Value::Integer(60))];
    let payload = r#"{"CmdID":25,"Command":"Read-Composite","BaseNames":["/3/0/0","/1/0/1"]}"#;
    assert_eq!(
        answer_to(Channel::Command, payload, Code::CONTENT, &values).to_json(),
        r#"{"CmdID":25,"Command":"Read-Composite","Result":{"bn":"/","e":[{"n":"3/0/0","sv":"ACME"},{"n":"1/0/1","v":60}]}}"#
    );
    let payload = r#"{"reqID":24,"msgType":"read-composite","data":{"paths":["/3/0/0","/9/0"]}}"#;
    let split = Answer {
        split: Some(vec![PathFailure { path: path("/9/0"), code: Code::NOT_FOUND }]),
        ..answer_to(Channel::Downlink, payload, Code::CONTENT, &values[..1])
    };
    assert_eq!(
        split.to_json(),
        r#"{"reqID":24,"msgType":"read-composite","data":{"reqPath":"/","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/0","value":"ACME"}],"split":true,"errors":[{"path":"/9/0","code":"4.04","codeMsg":"not_found"}]}}"#
    );
}

#[test]
fn notifications_rename_the_message_in_form_b_and_repeat_the_command_in_form_a() {
    let values = [("/3/0/9", Value::Integer(100))];
    let payload = r#"{"reqID":10,"cacheID":1e1,"msgType":"observe","data":{"path":"/3/0/9"}}"#;
    let notify =
        Answer { sequence: Some(12), ..answer_to(Channel::Downlink, payload, Code::CONTENT, &values) };
    assert!(notify.is_notification());
    assert_eq!(
        notify.to_json(),
        r#"{"reqID":10,"cacheID":1e1,"msgType":"notify","seqNum":12,"data":{"reqPath":"/3/0/9","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/9","value":100}]}}"#
    );
    let payload = r#"{"CmdID":10,"Command":"Observe","BaseName":"/3/0/9"}"#;
    let notify =
        Answer { sequence: Some(12), ..answer_to(Channel::Command, payload, Code::CONTENT, &values) };
    assert!(!notify.is_notification());
    assert_eq!(
        notify.to_json(),
        r#"{"CmdID":10,"Command":"Observe","Result":{"bn":"/3/0/9","e":[{"v":100}]}}"#
    );
    let automatic = Answer { automatic: true, ..Answer::new(Asker::nobody("observe"), Code::CONTENT) };
    assert_eq!(
        automatic.to_json(),
        r#"{"msgType":"observe","is_auto_observe":true,"data":{"reqPath":null,"code":"2.05","codeMsg":"content"}}"#
    );
}

#[test]
fn the_other_answers_have_their_members() {
    let a = |payload| command(Channel::Command, payload).asker;
    let b = |payload| command(Channel::Downlink, payload).asker;
    let create_a = r#"{"CmdID":22,"Command":"Create","Value":{"bn":"/3303","e":[{"n":"1/5700","v":1.5}]}}"#;
    let created = |asker| Answer { location: Some("/3303/1".into()), ..Answer::new(asker, Code::CREATED) };
    let create_b = r#"{"reqID":8,"msgType":"create","data":{"basePath":"/3303","content":[]}}"#;
    let discover_a = r#"{"CmdID":8,"Command":"Discover","BaseName":"/3/0/7"}"#;
    let discover_b = r#"{"reqID":2,"msgType":"discover","data":{"path":"/3/0"}}"#;
    let links = |asker| Answer {
        content: Content::Links { text: "</3/0/7>;dim=8;obs".into(), links: vec!["</3/0/7>;dim=8".into()] },
        ..Answer::new(asker, Code::CONTENT)
    };
    let firmware = |asker, code| Answer { firmware: Some((0, 1)), ..Answer::new(asker, code) };
    let firmware_a = r#"{"CmdID":29,"Command":"Firmware","File":"m"}"#;
    let firmware_b = r#"{"reqID":29,"msgType":"firmware","data":{"file":"m"}}"#;
    let read_a = r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0"}"#;
    let read_b = r#"{"reqID":9,"msgType":"read","data":{"path":"/9/0"}}"#;
    for (answer, text) in [
        (created(a(create_a)), r#"{"CmdID":22,"Command":"Create","Result":"Created","Location":"/3303/1"}"#),
        (
            created(b(create_b)),
            r#"{"reqID":8,"msgType":"create","data":{"reqPath":"/3303","code":"2.01","codeMsg":"created","location":"/3303/1"}}"#,
        ),
        (links(a(discover_a)), r#"{"CmdID":8,"Command":"Discover","Result":"</3/0/7>;dim=8;obs"}"#),
        (
            links(b(discover_b)),
            r#"{"reqID":2,"msgType":"discover","data":{"reqPath":"/3/0","code":"2.05","codeMsg":"content","content":["</3/0/7>;dim=8"]}}"#,
        ),
        (
            firmware(a(firmware_a), Code::CHANGED),
            r#"{"CmdID":29,"Command":"Firmware","Result":{"State":0,"UpdateResult":1}}"#,
        ),
        (
            firmware(b(firmware_b), Code::CHANGED),
            r#"{"reqID":29,"msgType":"firmware","data":{"reqPath":"/5/0","code":"2.04","codeMsg":"changed","state":0,"result":1}}"#,
        ),
        (
            Answer { raw: Some("AP8=".into()), ..Answer::failed(b(read_b), Code::BAD_REQUEST, "no") },
            r#"{"reqID":9,"msgType":"read","data":{"reqPath":"/9/0","code":"4.00","codeMsg":"bad_request","raw":"AP8=","reason":"no"}}"#,
        ),
        (
            Answer::failed(b(read_b), Code::NOT_FOUND, "no such object"),
            r#"{"reqID":9,"msgType":"read","data":{"reqPath":"/9/0","code":"4.04","codeMsg":"not_found","reason":"no such object"}}"#,
        ),
        (Answer::not_registered(a(read_a), ""), r#"{"CmdID":1,"Command":"Read","Error":"Not Registered"}"#),
        (Answer::new(a(read_a), Code::new(4, 29)), r#"{"CmdID":1,"Command":"Read","Error":"4.29"}"#),
        (
            Answer::new(b(read_b), Code::new(4, 29)),
            r#"{"reqID":9,"msgType":"read","data":{"reqPath":"/9/0","code":"4.29","codeMsg":"unknown"}}"#,
        ),
    ] {
        assert_eq!(answer.to_json(), text);
    }
}

#[test]
fn every_code_has_its_names_in_both_forms() {
    for (code, b, a) in [
        ((4, 0), "bad_request", "Bad Request"),
        ((4, 1), "unauthorized", "Unauthorized"),
        ((4, 2), "bad_option", "Bad Option"),
        ((4, 3), "forbidden", "Forbidden"),
        ((4, 4), "not_found", "Not Found"),
        ((4, 5), "method_not_allowed", "Method Not Allowed"),
        ((4, 6), "not_acceptable", "Not Acceptable"),
        ((4, 8), "request_entity_incomplete", "Request Entity Incomplete"),
        ((4, 9), "conflict", "Conflict"),
        ((4, 12), "precondition_failed", "Precondition Failed"),
        ((4, 13), "request_entity_too_large", "Request Entity Too Large"),
        ((4, 15), "unsupported_content_format", "Unsupported Content Format"),
        ((4, 22), "unprocessable_entity", "Unprocessable Entity"),
        ((5, 0), "internal_server_error", "Internal Server Error"),
        ((5, 1), "not_implemented", "Not Implemented"),
        ((5, 2), "bad_gateway", "Bad Gateway"),
        ((5, 3), "service_unavailable", "Service Unavailable"),
        ((5, 4), "gateway_timeout", "Timeout"),
        ((5, 5), "proxying_not_supported", "Proxying Not Supported"),
        ((4, 29), "unknown", "4.29"),
    ] {
        let code = Code::new(code.0, code.1);
        assert_eq!(code_message(code), b);
        let asker = command(Channel::Command, r#"{"CmdID":1,"Command":"Read","BaseName":"/3"}"#).asker;
        let expected = format!(r#"{{"CmdID":1,"Command":"Read","Error":"{a}"}}"#);
        assert_eq!(Answer::new(asker, code).to_json(), expected);
    }
}

#[test]
fn times_stand_in_milliseconds_in_b_and_in_seconds_in_a() {
    let at = |time| Entry { time: Some(time), ..entry("/3/0/9", 5) };
    for (time, a, b) in [
        (1_700_000_000_000, "1700000000", "1700000000000"),
        (1_700_000_000_500, "1700000000.5", "1700000000500"),
        (-1_500, "-1.5", "-1500"),
    ] {
        let shown = |channel, payload| {
            let asker = command(channel, payload).asker;
            let content = Content::Values(vec![at(time).into()]);
            Answer { content, ..Answer::new(asker, Code::CONTENT) }.to_json()
        };
        let text = shown(Channel::Command, r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/9"}"#);
        assert!(text.contains(&format!(r#"{{"v":5,"t":{a}}}"#)), "{text}");
        let text = shown(Channel::Downlink, r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/9"}}"#);
        assert!(text.contains(&format!(r#""value":5,"time":{b}}}"#)), "{text}");
    }
}

#[test]
fn details_stand_beside_the_value() {
    let item = Item {
        data_type: Some(DataType::Float),
        name: Some("Sensor Value".into()),
        units: Some("Cel".into()),
        ..entry("/3303/0/5700", 21.5).into()
    };
    let asker = command(Channel::Downlink, r#"{"msgType":"read","data":{"path":"/3303"}}"#).asker;
    let answer = Answer { content: Content::Values(vec![item]), ..Answer::new(asker, Code::CONTENT) };
    assert!(answer.to_json().contains(
        r#"[{"path":"/3303/0/5700","value":21.5,"name":"Sensor Value","type":"Float","units":"Cel"}]"#
    ));
}

#[test]
fn execute_arguments_follow_their_grammar() {
    let read_it = |arguments: &str| {
        let arguments = serde_json::Value::from(arguments);
        let text =
            format!(r#"{{"reqID":7,"msgType":"execute","data":{{"path":"/3/0/4","args":{arguments}}}}}"#);
        read(Channel::Downlink, text.as_bytes(), &|_| None)
    };
    for good in ["", "0", "2,7", "0='x',1", "0=''", "9='http://a/?b=c,d'", "1='é',0='='"] {
        assert!(read_it(good).is_ok(), "{good}");
    }
    for (bad, rest) in [
        ("10", "10"),
        ("x", "x"),
        ("0,", ""),
        (",0", ",0"),
        ("0 ,1", "0 ,1"),
        ("0=x", "0=x"),
        ("1,0='x", "0='x"),
        ("1,0='x'y", "0='x'y"),
        ("0='a\u{7}b'", "0='a"),
    ] {
        let answer = read_it(bad).expect_err(bad);
        let reason = answer.reason.unwrap_or_default();
        assert!(
            reason.starts_with(&format!("args: \"{rest}")) && reason.contains("0='on',5"),
            "{bad}: {reason}"
        );
    }
}

#[test]
fn of_many_values_the_last_one_of_each_place_holds_in_the_order_of_the_first() {
    // As many as a command may have, the second half naming the places of the first half again.
    let items: Vec<String> =
        (0..4096).map(|n| format!(r#"{{"path":"{}","type":"Integer","value":{n}}}"#, n % 2048)).collect();
    let text = format!(
        r#"{{"reqID":7,"msgType":"write","data":{{"basePath":"/9999/0","content":[{}]}}}}"#,
        items.join(",")
    );
    let command = read(Channel::Downlink, text.as_bytes(), &|_| None).expect("a command");
    let Operation::Write { entries, .. } = command.operation else { panic!("a write") };
    let values: Vec<(String, String)> =
        entries.iter().map(|entry| (entry.path.to_string(), entry.value.to_text())).collect();
    let expected: Vec<(String, String)> =
        (0..2048).map(|n| (format!("/9999/0/{n}"), (n + 2048).to_string())).collect();
    assert_eq!(values, expected);
}
