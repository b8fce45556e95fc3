//! The runs: first without, then with loss.
use super::profile::{PROFILES, Profile};
use super::{Dice, House, Weather};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// All final answers by their id, and all notifications in the order heard.
#[derive(Default)]
struct Told {
    answers: BTreeMap<u64, Vec<Json>>,
    notifications: Vec<Json>,
    registered: usize,
    /// Its lifetime was over while its Updates were lost: all that it had here has ended.
    expired: bool,
}

impl Told {
    fn listen(&mut self, house: &mut House) {
        for heard in house.world.heard() {
            let json: Json = serde_json::from_str(&heard.payload).expect("everything said is JSON");
            match heard.topic.as_str() {
                "lwm2m/dev/response" => {
                    let id = json["CmdID"].as_u64().or(json["reqID"].as_u64()).expect("a command's answer");
                    self.answers.entry(id).or_default().push(json);
                }
                "lwm2m/dev/up/resp" => match json["reqID"].as_u64() {
                    Some(id) => self.answers.entry(id).or_default().push(json),
                    None => assert!(json["msgType"] == "register" || json["msgType"] == "update", "{json}"),
                },
                "lwm2m/dev/up/notify" => self.notifications.push(json),
                "lwm2m/dev/event" => {
                    self.registered += usize::from(json["event"] == "registered");
                    self.expired |= json["event"] == "expired";
                }
                _ => assert_eq!(heard.topic, "lwm2m/dev/status"),
            }
        }
    }

    /// The one answer to a command: "2.05" or form A's "Result"/"Error".
    fn one(&self, id: u64) -> &Json {
        let answers = self.answers.get(&id).unwrap_or_else(|| panic!("no answer to {id}"));
        assert_eq!(answers.len(), 1, "exactly one final answer to {id}: {answers:?}");
        &answers[0]
    }

    fn succeeded(&self, id: u64) -> bool {
        let answer = self.one(id);
        answer["data"]["code"]
            .as_str()
            .map_or_else(|| answer.get("Result").is_some(), |code| code.starts_with('2'))
    }
}

/// Commands of both forms on both topics.
fn command(house: &mut House, id: u64, kind: u64) {
    let (topic, text) = match kind {
        0 => ("command", format!(r#"{{"CmdID":{id},"Command":"Read","BaseName":"/3/0/0"}}"#)),
        1 => ("dn/dm", format!(r#"{{"reqID":{id},"msgType":"read","data":{{"path":"/3/0"}}}}"#)),
        2 => (
            "dn",
            format!(r#"{{"reqID":{id},"msgType":"write","data":{{"path":"/3/0/14","value":"w{id}x"}}}}"#),
        ),
        3 => (
            "command",
            format!(
                r#"{{"CmdID":{id},"Command":"Write","Value":{{"bn":"/3/0","e":[{{"n":"14","sv":"w{id}x"}}]}}}}"#
            ),
        ),
        4 => (
            "command",
            format!(r#"{{"CmdID":{id},"Command":"Execute","BaseName":"/3/0/4","Arguments":"0='{id}'"}}"#),
        ),
        5 => ("dn", format!(r#"{{"reqID":{id},"msgType":"discover","data":{{"path":"/3/0"}}}}"#)),
        6 => (
            "dn",
            format!(
                r#"{{"reqID":{id},"msgType":"write-attr","data":{{"path":"/3/0/9","pmin":1,"pmax":""}}}}"#
            ),
        ),
        7 => (
            "dn",
            format!(
                r#"{{"reqID":{id},"msgType":"read-composite","timeout":20,"data":{{"paths":["/3/0/0","/3/0/9"]}}}}"#
            ),
        ),
        8 => ("command", format!(r#"{{"CmdID":{id},"Command":"Read","BaseName":"/4/0/0"}}"#)),
        9 => ("command", format!(r#"{{"reqID":{id},"msgType":"read","data":{{"path":"/9/0"}}}}"#)),
        10 => ("dn", format!(r#"{{"reqID":{id},"msgType":"observe","data":{{"path":"/3/0/9"}}}}"#)),
        _ => (
            "dn",
            format!(r#"{{"reqID":{id},"msgType":"execute","data":{{"path":"/3/0/4","args":"0='{id}'"}}}}"#),
        ),
    };
    house.world.publish(&format!("lwm2m/dev/{topic}"), &text);
}

/// What a device that nothing is lost for must have answered.
fn check_fair(told: &Told, profile: Profile, id: u64, kind: u64) {
    let answer = told.one(id);
    match kind {
        0 => assert_eq!(answer["Result"]["e"][0]["sv"], "ACME", "{profile:?} {answer}"),
        1 => {
            assert_eq!(answer["data"]["code"], "2.05", "{profile:?} {answer}");
            let paths: Vec<&str> = answer["data"]["content"]
                .as_array()
                .unwrap()
                .iter()
                .map(|i| i["path"].as_str().unwrap())
                .collect();
            assert_eq!(paths, ["/3/0/0", "/3/0/9", "/3/0/14"], "{profile:?}");
        }
        2..=4 | 6 | 11 => assert!(told.succeeded(id), "{profile:?} {answer}"),
        5 => assert_eq!(answer["data"]["content"][0], "</3/0>;pmin=10", "{profile:?} {answer}"),
        7 => {
            assert_eq!(answer["data"]["code"], "2.05", "{profile:?} {answer}");
            let split = answer["data"]["split"] == true;
            assert_eq!(
                split,
                !matches!(profile, Profile::Anjay11 | Profile::Anjay12),
                "{profile:?} {answer}"
            );
        }
        8 => assert_eq!(answer["Error"], "Bad Gateway", "{profile:?} {answer}"),
        9 => assert_eq!(answer["data"]["code"], "4.04", "{profile:?} {answer}"),
        _ => assert_eq!(answer["data"]["content"][0]["path"], "/3/0/9", "{profile:?} {answer}"), // 10
    }
}

/// Twenty commands at any moment, the battery falling meanwhile, a reboot, a new port, and a De-register at the end.
fn run(profile: Profile, weather: Weather, seed: u64) {
    let mut house = House::new(profile, weather, seed);
    let mut dice = Dice::new(seed);
    let mut told = Told::default();
    house.until("registered", 300 * SECOND, |house| house.radio.is_registered());
    let mut kinds = vec![10];
    kinds.extend((0..19).map(|_| dice.below(11)).map(|kind| if kind == 10 { 11 } else { kind }));
    let reboot = 8 + dice.below(4) as usize;
    let rebind = 13 + dice.below(4) as usize;
    for (place, kind) in kinds.iter().enumerate() {
        command(&mut house, place as u64, *kind);
        house.pass(Duration::from_millis(dice.below(5_000)));
        let now = house.world.now.instant;
        house.radio.battery(now, 1 + dice.below(20) as u8);
        if place == reboot {
            house.radio.reboot(now);
        }
        if place == rebind && house.radio.is_registered() {
            house.radio.rebind(now);
        }
        told.listen(&mut house);
    }
    // Each step of a command may take 93 s and a response timeout; there are twenty of them, some with more steps.
    for _ in 0..400 {
        house.pass(10 * SECOND);
        told.listen(&mut house);
        if told.answers.len() == kinds.len() {
            break;
        }
    }
    house.pass(300 * SECOND);
    told.listen(&mut house);
    for (id, kind) in kinds.iter().enumerate() {
        let id = id as u64;
        told.one(id);
        // What was under way when the device moved may have run; it is answered so.
        if weather.loss == 0 && id as usize > rebind + 2 {
            check_fair(&told, profile, id, *kind);
        }
        let text = format!("w{id}x");
        let ran =
            house.radio.store.executed.iter().filter(|arguments| **arguments == format!("0='{id}'")).count();
        match kind {
            2 | 3 if told.succeeded(id) => {
                assert!(
                    house.radio.store.written.contains(&text),
                    "{profile:?} seed {seed}: {text} is not there"
                );
            }
            4 | 11 => {
                assert!(ran <= 1, "{profile:?} seed {seed}: {id} ran {ran} times");
                assert!(ran == 1 || !told.succeeded(id), "{profile:?} seed {seed}: {id} did not run");
            }
            _ => {}
        }
    }
    check_end(&mut house, &mut told, profile, seed);
}

/// The end state: registered once more, observed as before, nothing left to do, and gone after a De-register.
fn check_end(house: &mut House, told: &mut Told, profile: Profile, seed: u64) {
    house.until("registered in the end", 600 * SECOND, |house| house.radio.is_registered());
    assert_eq!(house.world.server.devices(), 1);
    let asked_for = told.succeeded(0);
    house.air.weather = Weather::FAIR;
    house.pass(200 * SECOND);
    told.listen(house);
    if asked_for && !house.radio.gave_up && !told.expired {
        // The observation outlived reboot and move, or its asker was told that it is gone.
        let gone =
            told.notifications.iter().any(|json| !json["data"]["code"].as_str().unwrap().starts_with('2'));
        assert!(house.radio.observes() == 1 || gone, "{profile:?} seed {seed}: {:?}", house.radio);
        let now = house.world.now.instant;
        house.radio.battery(now, 21);
        house.pass(5 * SECOND);
        told.listen(house);
        let last = told.notifications.last().map(|json| json["data"]["content"][0]["value"].clone());
        assert!(gone || last == Some(Json::from(21)), "{profile:?} seed {seed}: {last:?}");
    }
    let sequences: Vec<u64> = told.notifications.iter().filter_map(|json| json["seqNum"].as_u64()).collect();
    // A reboot begins anew at a low number; otherwise they only rise.
    let falls = sequences.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert!(falls <= told.registered, "{profile:?} seed {seed}: {sequences:?}");
    assert!(told.notifications.iter().all(|json| json["reqID"] == 0), "with the id of its asker");
    house.radio.leave();
    house.pass(100 * SECOND);
    assert_eq!(house.world.server.devices(), 0, "{profile:?} seed {seed}");
    house.pass(300 * SECOND);
    let coap = house.world.server.coap_counters();
    assert_eq!((coap.peers, coap.observations), (0, 0), "{profile:?} seed {seed}: nothing is left behind");
}

#[test]
fn captured_clients_are_served_over_a_good_network() {
    for profile in PROFILES {
        for seed in 1..=10 {
            run(profile, Weather::FAIR, seed);
        }
    }
}

/// 20 % loss each way, 5 % copies, 10 % overtaken.
#[test]
fn captured_clients_are_served_over_a_bad_network() {
    for profile in PROFILES {
        for seed in 1..=40 {
            run(profile, Weather::ROUGH, seed);
        }
    }
}
