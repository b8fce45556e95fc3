//! What the kinds of devices have, and how their values move.
use clap::ValueEnum;
use lwm2m::value::Value;

use super::objects::Tree;
use crate::tools::sim::rng::Rng;
use crate::tools::terminal::unix_ms;

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Temperature (3303) and power (3305)
    Meter,
    /// Light control (3311)
    Light,
    /// Location (6), sent by the device itself
    Tracker,
    /// A meter in queue mode: asleep but for a while after each update
    Queue,
}

impl Profile {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Profile::Meter => "meter",
            Profile::Light => "light",
            Profile::Tracker => "tracker",
            Profile::Queue => "queue",
        }
    }

    pub(super) fn is_queue_mode(self) -> bool {
        match self {
            Profile::Queue => true,
            Profile::Meter | Profile::Light | Profile::Tracker => false,
        }
    }
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn float(value: f64) -> Value {
    Value::Float(((value * 100.0).round() / 100.0).into())
}

fn now_s() -> i64 {
    i64::try_from(unix_ms() / 1000).unwrap_or(i64::MAX)
}

/// The objects of a new device.
pub(super) fn objects(profile: Profile, number: u32, lifetime_s: u32, rng: &mut Rng) -> Tree {
    let mut tree = Tree::default();
    tree.set(1, 0, 0, Value::Integer(123));
    tree.set(1, 0, 1, Value::Integer(lifetime_s.into()));
    tree.set(1, 0, 6, Value::Boolean(true));
    tree.set(1, 0, 7, text(if profile.is_queue_mode() { "UQ" } else { "U" }));
    tree.set(3, 0, 0, text("turnstone sim"));
    tree.set(3, 0, 1, text(profile.name()));
    tree.set(3, 0, 2, text(&format!("{number:08}")));
    tree.set(3, 0, 3, text("1.0"));
    tree.set_one(3, 0, 6, 0, Value::Integer(1));
    tree.set_one(3, 0, 7, 0, Value::Integer(3800));
    tree.set(3, 0, 9, Value::Integer(97));
    tree.set_one(3, 0, 11, 0, Value::Integer(0));
    tree.set(3, 0, 13, Value::Time(now_s()));
    tree.set(3, 0, 14, text("+00:00"));
    tree.set(3, 0, 16, text(if profile.is_queue_mode() { "UQ" } else { "U" }));
    tree.set(4, 0, 0, Value::Integer(21));
    tree.set_one(4, 0, 1, 0, Value::Integer(21));
    tree.set(4, 0, 2, Value::Integer(-70));
    tree.set_one(4, 0, 4, 0, text("127.0.0.1"));
    tree.set(5, 0, 1, text(""));
    tree.set(5, 0, 3, Value::Integer(0));
    tree.set(5, 0, 5, Value::Integer(0));
    tree.set_one(5, 0, 8, 0, Value::Integer(0));
    tree.set(5, 0, 9, Value::Integer(2));
    match profile {
        Profile::Meter | Profile::Queue => {
            let temperature = 18.0 + 6.0 * rng.unit();
            tree.set(3303, 0, 5700, float(temperature));
            tree.set(3303, 0, 5601, float(temperature));
            tree.set(3303, 0, 5602, float(temperature));
            tree.set(3303, 0, 5701, text("Cel"));
            tree.set(3305, 0, 5800, float(200.0 + 800.0 * rng.unit()));
            tree.set(3305, 0, 5805, float(1000.0 * rng.unit()));
        }
        Profile::Light => {
            tree.set(3311, 0, 5850, Value::Boolean(rng.chance(0.5)));
            tree.set(3311, 0, 5851, Value::Integer(100));
            tree.set(3311, 0, 5852, Value::Integer(0));
            tree.set(3311, 0, 5706, text("warm white"));
        }
        Profile::Tracker => {
            tree.set(6, 0, 0, Value::Float((52.0 + rng.unit()).into()));
            tree.set(6, 0, 1, Value::Float((13.0 + rng.unit()).into()));
            tree.set(6, 0, 2, Value::Float(34.0.into()));
            tree.set(6, 0, 5, Value::Time(now_s()));
            tree.set(6, 0, 6, float(0.0));
        }
    }
    tree
}

/// Lets an interval of `seconds` pass in the device's world.
pub(super) fn drift(profile: Profile, tree: &mut Tree, rng: &mut Rng, seconds: f64) {
    tree.set(3, 0, 13, Value::Time(now_s()));
    let signal = -70 + i64::try_from(rng.next() % 11).unwrap_or(0) - 5;
    tree.set(4, 0, 2, Value::Integer(signal));
    if rng.chance(0.05) {
        let battery = tree.integer(3, 0, 9).unwrap_or(100);
        tree.set(3, 0, 9, Value::Integer(if battery <= 5 { 100 } else { battery - 1 }));
    }
    match profile {
        Profile::Meter | Profile::Queue => {
            let temperature = number(tree, 3303, 5700) + rng.unit() - 0.5;
            tree.set(3303, 0, 5700, float(temperature));
            let (low, high) = (number(tree, 3303, 5601), number(tree, 3303, 5602));
            tree.set(3303, 0, 5601, float(temperature.min(low)));
            tree.set(3303, 0, 5602, float(temperature.max(high)));
            let power = (number(tree, 3305, 5800) + 50.0 * (rng.unit() - 0.5)).max(0.0);
            tree.set(3305, 0, 5800, float(power));
            let energy = number(tree, 3305, 5805) + power * seconds / 3600.0;
            tree.set(3305, 0, 5805, float(energy));
        }
        Profile::Light => {
            if tree.get(3311, 0, 5850) == Some(&Value::Boolean(true)) {
                let on = tree.integer(3311, 0, 5852).unwrap_or(0) + seconds.round() as i64;
                tree.set(3311, 0, 5852, Value::Integer(on));
            }
        }
        Profile::Tracker => {
            let mut step = |resource| {
                let degrees = number(tree, 6, resource) + (rng.unit() - 0.5) * 0.001;
                tree.set(6, 0, resource, Value::Float(((degrees * 1e6).round() / 1e6).into()));
            };
            step(0);
            step(1);
            tree.set(6, 0, 5, Value::Time(now_s()));
            tree.set(6, 0, 6, float(20.0 * rng.unit()));
        }
    }
}

fn number(tree: &Tree, object: u16, resource: u16) -> f64 {
    match tree.get(object, 0, resource) {
        Some(Value::Float(value)) => value.to_f64(),
        Some(_) | None => 0.0,
    }
}

/// Resets the least and the greatest measured value of a sensor (resource 5605).
pub(super) fn reset_extremes(tree: &mut Tree, object: u16, instance: u16) {
    if let Some(value) = tree.get(object, instance, 5700).cloned() {
        tree.set(object, instance, 5601, value.clone());
        tree.set(object, instance, 5602, value);
    }
}
