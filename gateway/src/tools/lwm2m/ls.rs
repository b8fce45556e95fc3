//! `turnstone lwm2m ls`: the devices, from their retained status.
use std::collections::BTreeMap;

use broker_core::QoS;
use serde_json::{Value as Json, json};

use super::args::LsArgs;
use crate::exit::Exit;
use crate::tools::interrupt::Interrupt;
use crate::tools::mqtt::status::collect_retained;
use crate::tools::terminal::{line, table, utc, write_out};
use crate::tools::{Outcome, terminal};

pub(super) fn ls(arguments: LsArgs) -> Outcome {
    let mut broker = arguments.common.broker.clone();
    broker.apply_url()?;
    let mut client = broker.connect(&Interrupt::watch())?;
    let mount = arguments.common.mount.trim_end_matches('/');
    client.subscribe_all(&[(&format!("{mount}/+/status"), QoS::AtMostOnce)])?;
    let found = collect_retained(&mut client)?;
    client.disconnect();
    let mut devices = devices(mount, &found);
    devices.retain(|device| !arguments.online || device.status == "online");
    if arguments.common.json {
        for device in &devices {
            line(&terminal::json(&device.to_json()))?;
        }
    } else if devices.is_empty() {
        eprintln!("no device has registered; `turnstone sim lwm2m` makes some");
    } else {
        write_out(table(&rows(&devices)).as_bytes())?;
    }
    Ok(Exit::Ok)
}

/// A device by its status.
#[derive(Debug, PartialEq, Eq)]
struct Device {
    endpoint: String,
    status: String,
    since: Option<u64>,
    reason: String,
}

impl Device {
    fn to_json(&self) -> Json {
        json!({"endpoint": self.endpoint, "status": self.status, "time": self.since, "reason": self.reason})
    }
}

fn devices(mount: &str, found: &BTreeMap<String, Vec<u8>>) -> Vec<Device> {
    let begin = format!("{mount}/");
    found
        .iter()
        .filter_map(|(topic, payload)| {
            let endpoint = topic.strip_prefix(&begin)?.strip_suffix("/status")?;
            let json = serde_json::from_slice::<Json>(payload).ok()?;
            let text = |key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
            Some(Device {
                endpoint: endpoint.to_owned(),
                status: text("status"),
                since: json.get("time").and_then(Json::as_u64),
                reason: text("reason"),
            })
        })
        .collect()
}

fn rows(devices: &[Device]) -> Vec<Vec<String>> {
    let head = ["ENDPOINT", "STATUS", "SINCE", "REASON"].map(str::to_owned).to_vec();
    let all = devices.iter().map(|device| {
        let since = device.since.map(utc).unwrap_or_default();
        vec![device.endpoint.clone(), device.status.clone(), since, device.reason.clone()]
    });
    std::iter::once(head).chain(all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_come_from_their_status() {
        let found: BTreeMap<String, Vec<u8>> = [
            ("lwm2m/m1/status", &br#"{"status":"online","time":1700000000000}"#[..]),
            ("lwm2m/m2/status", br#"{"status":"offline","time":1,"reason":"expired"}"#),
            ("lwm2m/broken/status", b"{oops"),
            ("other/m3/status", b"{}"),
        ]
        .map(|(topic, payload)| (topic.to_owned(), payload.to_vec()))
        .into();
        let devices = devices("lwm2m", &found);
        assert_eq!(
            table(&rows(&devices)),
            "ENDPOINT  STATUS   SINCE                     REASON\nm1        online   2023-11-14T22:13:20.000Z\nm2        offline  1970-01-01T00:00:00.001Z  expired\n"
        );
    }
}
