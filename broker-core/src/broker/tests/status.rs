//! Lists, numbers, `$SYS`.
use super::*;
use crate::counters::IoCounters;
use crate::retained::RetainedCursor;

#[test]
fn lists_can_be_read_in_pages() {
    let mut house = House::new();
    for slot in 0..10 {
        house.client(slot, &format!("c{slot}"));
        house.subscribe(slot, "t", Q1);
        house.publish_flags(slot, &format!("r/{slot}"), "x", Q0, true);
    }
    house.disconnect(3, Ending::Clean);
    let mut seen = Vec::new();
    let mut place = 0;
    loop {
        let page: Vec<_> = house.broker.sessions(place).take(4).collect();
        let Some(last) = page.last() else { break };
        place = last.place;
        seen.extend(page.into_iter().map(|view| view.name.as_str().to_owned()));
    }
    assert_eq!(seen, ["c0", "c1", "c2", "c4", "c5", "c6", "c7", "c8", "c9"]);
    assert_eq!(house.broker.subscriptions(0).count(), 9);
    assert_eq!(house.broker.subscriptions(0).next(), Some((&name("c0"), "t", Q1)));
    let (mut cursor, mut topics) = (RetainedCursor::default(), Vec::new());
    while !house.broker.retained(&mut cursor, 3, |message, _| topics.push(message.topic().to_owned())) {}
    assert_eq!(topics.len(), 10);
    let view = house.broker.session(&name("c0")).unwrap();
    assert_eq!((view.status, view.keep_alive, view.clean), (crate::broker::LinkStatus::Active, 60, true));
}

fn sys(house: &mut House, seconds: u64, io: &IoCounters) -> BTreeMap<String, String> {
    house.broker.publish_sys(
        house.now,
        "turnstone version 1",
        Duration::from_secs(seconds),
        io,
        &mut house.out,
    );
    house.sort_out();
    house
        .heard(99)
        .iter()
        .filter_map(|event| match event {
            FromBroker::Publish(delivery) => Some((
                delivery.message.topic().to_owned(),
                String::from_utf8(delivery.message.payload().to_vec()).unwrap(),
            )),
            _other => None,
        })
        .collect()
}

#[test]
fn sys_has_mosquittos_names_and_only_changes_are_published() {
    let mut house = House::new();
    house.connect(99, connect("watcher", true));
    house.subscribe(99, "$SYS/#", Q0);
    house.connect(1, connect("gone", false));
    house.subscribe(1, "$share/g/t", Q1);
    house.disconnect(1, Ending::Clean);
    house.client(2, "p");
    house.publish_flags(2, "t", "12345", Q1, true);
    let mut io = IoCounters { bytes_received: 100, bytes_sent: 50, ..IoCounters::default() };
    io.packet_received(3);
    io.packet_sent(4);
    let first = sys(&mut house, 10, &io);
    for (topic, value) in [
        ("version", "turnstone version 1"),
        ("uptime", "10 seconds"),
        ("clients/total", "3"),
        ("clients/connected", "2"),
        ("clients/active", "2"),
        ("clients/disconnected", "1"),
        ("clients/inactive", "1"),
        ("clients/maximum", "2"),
        ("clients/expired", "0"),
        ("messages/received", "1"),
        ("messages/sent", "1"),
        ("messages/stored", "2"),
        ("store/messages/count", "2"),
        ("store/messages/bytes", "12"),
        ("publish/messages/received", "1"),
        ("publish/messages/sent", "0"),
        ("publish/messages/dropped", "0"),
        ("publish/bytes/received", "5"),
        ("publish/bytes/sent", "0"),
        ("bytes/received", "100"),
        ("bytes/sent", "50"),
        ("subscriptions/count", "2"),
        ("shared_subscriptions/count", "1"),
        ("retained messages/count", "1"),
        ("load/messages/received/1min", "0.00"),
        ("load/connections/15min", "0.00"),
        ("metrics/packets/received", "1"),
        ("metrics/packets/connect", "0"),
        ("metrics/packets/publish/received", "1"),
        ("metrics/packets/puback/sent", "1"),
        ("metrics/messages/qos1/received", "1"),
        ("metrics/bytes/received", "100"),
    ] {
        let found = first.get(&format!("$SYS/broker/{topic}")).map(String::as_str);
        if topic.starts_with("load/") {
            assert!(found.is_some_and(|load| load.parse::<f64>().is_ok()), "{topic} {found:?}");
        } else {
            assert_eq!(found, Some(value), "{topic}");
        }
    }
    assert!(!first.contains_key("$SYS/broker/heap/current"), "only where it is known");
    house.pass(Duration::from_secs(10));
    let second = sys(&mut house, 20, &io);
    assert_eq!(second.get("$SYS/broker/uptime").map(String::as_str), Some("20 seconds"));
    assert!(!second.contains_key("$SYS/broker/version"));
    assert!(!second.contains_key("$SYS/broker/bytes/received"));
    house.client(3, "late");
    house.subscribe(3, "$SYS/broker/version", Q0);
    assert_eq!(house.messages(3), ["$SYS/broker/version=turnstone version 1/0 retain"]);
    house.assert_durable();
    assert!(!format!("{:?}", house.commits).contains("$SYS/broker/version"), "said anew after a restart");
}

#[test]
fn the_heap_is_told_where_it_is_known() {
    let mut house = House::new();
    house.client(99, "watcher");
    house.subscribe(99, "$SYS/broker/heap/#", Q0);
    let io = IoCounters { heap_current: Some(7), heap_maximum: Some(9), ..IoCounters::default() };
    let told = sys(&mut house, 1, &io);
    assert_eq!(told.into_values().collect::<Vec<_>>(), ["7", "9"]);
}

#[test]
fn without_recording_there_are_no_records() {
    let mut house = House::new();
    house.broker.set_recording(false);
    house.connect(1, connect_sn("a", false));
    house.subscribe(1, "t", Q2);
    house.publish_flags(1, "t", "x", Q2, true);
    house.say(1, ToBroker::Pubrel(pid(1)));
    house.pause(1, 10);
    house.pass(Duration::from_secs(20));
    assert!(house.commits.is_empty(), "{:?}", house.commits);
}

#[test]
fn sessions_of_the_gateway_itself_are_no_clients() {
    let mut house = House::new();
    house.client(1, "real");
    for (slot, own) in [(2, name("\0qos -1")), (3, SessionName::Service("lwm2m".into()))] {
        house.say(slot, ToBroker::Connect(Box::new(Connect { name: own, ..connect("", true) })));
    }
    let status = house.broker.status();
    assert_eq!((status.attached, status.disconnected), (1, 0));
    assert_eq!(house.broker.counters().clients_maximum, 1);
    house.disconnect(2, Ending::Clean);
    house.disconnect(1, Ending::Clean);
    assert_eq!((house.broker.status().attached, house.broker.status().disconnected), (0, 0));
}
