//! Object 5 of a simulated device: how it takes its image, and how installing it ends.
use std::time::Instant;

use clap::ValueEnum;
use lwm2m::coap::{Code, Observe, Options, Request};
use lwm2m::value::Value;

use super::device::{BODY_BYTES_MAX, Lwm2mDevice, PULL};
use super::objects::Tree;

/// How a device takes its image (resource 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Delivery {
    /// It fetches it
    Pull,
    /// It is sent it
    Push,
    /// Either way
    Both,
}

/// How a device deals with firmware.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirmwareHabits {
    pub(crate) delivery: Delivery,
    /// Its result after installing: 1 is success.
    pub(crate) result: u8,
}

impl FirmwareHabits {
    pub(super) fn describe(self, tree: &mut Tree) {
        let delivery = match self.delivery {
            Delivery::Pull => 0,
            Delivery::Push => 1,
            Delivery::Both => 2,
        };
        tree.set(5, 0, 9, Value::Integer(delivery));
    }
}

impl Lwm2mDevice {
    pub(super) fn set_firmware(&mut self, state: i64, result: i64) {
        self.tree.set(5, 0, 3, Value::Integer(state));
        self.tree.set(5, 0, 5, Value::Integer(result));
    }

    /// A package was written as a whole; an empty one starts over (1.0 §E.6).
    pub(super) fn on_package(&mut self) {
        let empty = match self.tree.get(5, 0, 0) {
            Some(Value::Opaque(bytes)) => bytes.is_empty() || &bytes[..] == b"\0",
            Some(_) | None => true,
        };
        self.tree.clear(5, 0, 0);
        self.set_firmware(if empty { 0 } else { 2 }, 0);
    }

    /// A package is to be fetched. Whatever host the address names, it is the gateway that is asked.
    pub(super) fn on_package_uri(&mut self, now: Instant) {
        let uri = match self.tree.get(5, 0, 1) {
            Some(Value::String(uri)) => uri.clone(),
            Some(_) | None => String::new(),
        };
        if uri.is_empty() {
            return self.set_firmware(0, 0);
        }
        let Some(rest) = uri.strip_prefix("coap://") else { return self.set_firmware(0, 9) };
        let Some((_, place)) = rest.split_once('/') else { return self.set_firmware(0, 7) };
        let request = Request {
            body_bytes_max: BODY_BYTES_MAX,
            observe: Observe::No,
            ..Request::new(Code::GET, Options::new().with_path(place))
        };
        if self.request(now, request, PULL) {
            self.set_firmware(1, 0);
        } else {
            self.set_firmware(0, 4);
        }
    }

    /// The server has answered a fetch.
    pub(super) fn on_pulled(&mut self, good: bool) {
        // It may have been told to stop meanwhile.
        if self.tree.integer(5, 0, 3) == Some(1) {
            self.set_firmware(if good { 2 } else { 0 }, if good { 0 } else { 7 });
        }
    }

    /// The server has not answered a fetch.
    pub(super) fn on_pull_failed(&mut self) {
        if self.tree.integer(5, 0, 3) == Some(1) {
            self.set_firmware(0, 4);
        }
    }

    /// Installing is over.
    pub(super) fn on_installed(&mut self) {
        let result = self.habits.firmware.result;
        self.set_firmware(0, result.into());
        if result == 1 {
            self.tree.set(3, 0, 3, Value::String(format!("2.0+{}", self.number)));
        }
    }
}
