//! Firmware of a device, object 5 (versions 1.0 to 1.2): from one command to one answer, over its reboots and ours.
//!
//! ```text
//!            state ≠ 0: reset                  state 2            /5/0/2            state 0, result 1
//!   Begin ─────────────────► Loading ─────────────────► (Execute) ───────► Updating ─────────────────► answered
//!     │  state 0             │  ▲ state 0 again: from block 0                  │ result 2 … 10
//!     └──────────────────────┘  └─ push: PUT /5/0/0 by Block1                  └──────────────────────► answered
//!                                  pull: PUT /5/0/1, the device fetches /fw/<token>
//! ```
//! After anything that interrupts (a reboot, an answer that did not come, a restart of ours) the device's state and
//! result say how it goes on; `decide` is that table. The command leaves the device's queue as soon as it is in the
//! memo, so that other commands go on meanwhile. State and result are observed; they are asked for only where the
//! device does not tell.
//!
//! | file | what |
//! |---|---|
//! | `images.rs` | images in use |
//! | `load.rs` | the image on its way |
//! | `watch.rs` | the device's own word on how it goes, and cancelling |
mod images;
mod load;
mod watch;

use super::Lwm2mServer;
use super::job::Origin;
use crate::coap::Code;
use crate::command::{Answer, Asker, Command, Content, FirmwareOrder, FirmwareSource, Item, Operation};
use crate::limits::{FIRMWARE_DEADLINE_MS, FIRMWARE_POLL_MS, FIRMWARE_RETRY_MS, FIRMWARE_TRIES_MAX};
use crate::path::ObjectPath;
use crate::registration::Location;
use crate::value::Value;
use broker_core::frontend::Actions;
use broker_core::{Instant, Now};
use serde_json::json;
use std::time::Duration;

pub(in crate::server) use images::Store;
pub use images::{ImageFault, Images};
use load::reset;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was asked of the device yet.
    Begin = 0,
    /// The image is on its way.
    Loading = 1,
    /// The device was told to install it.
    Updating = 2,
}

impl Stage {
    /// The stage of its number in a memo.
    pub fn from_u8(number: u8) -> Option<Stage> {
        match number {
            0 => Some(Stage::Begin),
            1 => Some(Stage::Loading),
            2 => Some(Stage::Updating),
            3..=u8::MAX => None,
        }
    }
}

/// A firmware update as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedFirmware {
    /// Who gets the answer.
    pub asker: Asker,
    /// What is installed.
    pub source: FirmwareSource,
    /// Install it, too.
    pub update: bool,
    /// How far it is.
    pub stage: Stage,
    /// The name under which the device fetches its image.
    pub token: Location,
    /// When it is given up, milliseconds since 1970.
    pub deadline_unix_ms: u64,
}

/// A firmware update that runs.
#[derive(Clone, Debug)]
pub(crate) struct Firmware {
    pub(crate) saved: SavedFirmware,
    /// When the device is looked at next.
    pub(crate) next_at: Instant,
    /// Times that it had to begin anew.
    tries: u8,
    /// Last percentage told.
    percent: Option<u8>,
    /// What the device said last: state and result.
    seen: (u8, u8),
    /// The image is held in the store.
    held: bool,
    /// State and result are observed, or that was tried.
    watched: bool,
    /// The device takes its image in no other way than by being sent it.
    push_only: bool,
    /// The job that tells the device to stop.
    pub(crate) cancelling: Option<u32>,
}

impl Firmware {
    pub(crate) fn restored(saved: SavedFirmware, now: Now) -> Firmware {
        Firmware {
            saved,
            next_at: now.instant,
            tries: 0,
            percent: None,
            seen: (0, 0),
            held: false,
            watched: false,
            push_only: false,
            cancelling: None,
        }
    }
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Bring the device to state 0.
    Reset,
    /// Send the image, or tell where it is.
    Load,
    /// Look again later.
    Wait,
    /// Tell the device to install.
    Execute,
    /// All is done.
    Done,
    /// It failed.
    Fail,
}

/// The table: our stage against the device's state (0 idle, 1 downloading, 2 downloaded, 3 updating) and result (0
/// none, 1 success, 11 deferred, others errors).
fn decide(stage: Stage, update: bool, by_itself: bool, state: u8, result: u8) -> Next {
    let failed = result >= 2 && result != 11;
    match (stage, state) {
        (Stage::Begin, 0) => Next::Load,
        (Stage::Begin, _) => Next::Reset,
        (Stage::Loading, 0) if failed => Next::Fail,
        (Stage::Loading, 0) => Next::Load,
        (Stage::Loading, 2) if failed => Next::Fail,
        (Stage::Loading, 2) if !update => Next::Done,
        (Stage::Loading, 2) if by_itself => Next::Wait,
        (Stage::Loading, 2) => Next::Execute,
        (Stage::Loading, _) => Next::Wait, // 1, 3, or a number from the future
        (Stage::Updating, 0) if result == 1 => Next::Done,
        (Stage::Updating, 0) => Next::Fail,
        (Stage::Updating, 2) if failed => Next::Fail,
        // The order did not arrive: it is only legal here, so it may be given again. Deferred: the user decides.
        (Stage::Updating, 2) if result != 11 && !by_itself => Next::Execute,
        (Stage::Updating, _) => Next::Wait,
    }
}

fn resource(id: u16) -> ObjectPath {
    ObjectPath::from_ids(&[5, 0, id]).expect("a path of the firmware object")
}

fn instance() -> ObjectPath {
    ObjectPath::from_ids(&[5, 0]).expect("a path of the firmware object")
}

fn number(items: &[Item], id: u16) -> Option<i64> {
    let value = &items.iter().find(|item| item.entry.path == resource(id))?.entry.value;
    match value {
        Value::Integer(number) => Some(*number),
        Value::Boolean(flag) => Some(i64::from(*flag)),
        other => other.to_text().parse().ok(), // a device that types it otherwise
    }
}

impl Lwm2mServer {
    /// Where firmware images come from.
    pub fn set_images(&mut self, images: Box<dyn Images>) {
        self.images.set_source(images);
    }

    /// Takes a firmware command over from the device's queue. `Err`: its answer.
    pub(super) fn begin_firmware(
        &mut self,
        now: Now,
        slot: u32,
        command: &Command,
        out: &mut Actions,
    ) -> Result<(), Box<Answer>> {
        let Operation::Firmware(FirmwareOrder::Load { source, update }) = &command.operation else {
            return Ok(());
        };
        let asker = command.asker.clone();
        if self.devices.get(slot).is_none_or(|device| device.firmware.is_some()) {
            return Err(Box::new(Answer::failed(
                asker,
                Code::CONFLICT,
                "another firmware update of this device runs",
            )));
        }
        if let FirmwareSource::File(name) = source
            && let Err(fault) = self.images.acquire(name)
        {
            let (code, reason) = fault.answer();
            return Err(Box::new(Answer::failed(asker, code, reason)));
        }
        let token = Location::from_random(self.coap.random());
        let saved = SavedFirmware {
            asker: Asker { data: None, ..asker },
            source: source.clone(),
            update: *update,
            stage: Stage::Begin,
            token,
            deadline_unix_ms: now.unix_ms + FIRMWARE_DEADLINE_MS,
        };
        if let Some(device) = self.devices.get_mut(slot) {
            device.firmware = Some(Box::new(Firmware { held: true, ..Firmware::restored(saved, now) }));
        }
        self.keep(slot, out);
        Ok(())
    }

    /// Looks at the device, if that is due and nothing of it is under way.
    pub(super) fn drive_firmware(&mut self, now: Now, slot: u32, out: &mut Actions) {
        let Some(device) = self.devices.get(slot).filter(|device| device.is_ready()) else { return };
        let Some(firmware) = &device.firmware else { return };
        let waits = firmware.cancelling.is_some() || firmware.next_at > now.instant;
        if waits || self.is_busy_for_firmware(slot) {
            return;
        }
        if firmware.saved.deadline_unix_ms <= now.unix_ms {
            let reason = "given up: the device did not come to an end in time";
            return self.end_firmware(now, slot, Code::GATEWAY_TIMEOUT, Some(reason), out);
        }
        let read = Operation::Read { path: instance(), query: None };
        self.firmware_job(now, slot, read, out);
    }

    fn firmware_job(&mut self, now: Now, slot: u32, operation: Operation, out: &mut Actions) {
        // A device that is busy with itself is looked at again anyway; nobody waits for this very answer.
        let command =
            Command { asker: Asker::nobody("firmware"), operation, ttl: None, timeout: None, accept: None };
        self.start_job(now, slot, Origin::Firmware, command, out);
    }

    /// A step has ended.
    pub(super) fn on_firmware_answer(
        &mut self,
        now: Now,
        slot: u32,
        operation: &Operation,
        answer: &Answer,
        out: &mut Actions,
    ) {
        let Some(firmware) = self.devices.get_mut(slot).and_then(|device| device.firmware.as_mut()) else {
            return;
        };
        let wait = |ms| now.instant + Duration::from_millis(ms);
        let silent = answer.code == Code::GATEWAY_TIMEOUT;
        match (operation, &answer.content) {
            (Operation::Read { .. }, Content::Values(items)) => {
                let items = items.clone();
                return self.on_firmware_seen(now, slot, &items, out);
            }
            (Operation::Read { .. }, _) if silent => firmware.next_at = wait(FIRMWARE_RETRY_MS), // it reboots
            (Operation::Read { .. }, _) => {
                let reason = format!("/5/0 cannot be read: {}", answer.code);
                return self.end_firmware(now, slot, Code::INTERNAL_SERVER_ERROR, Some(&reason), out);
            }
            // Refused, and the device's result will not say why.
            (Operation::Write { .. }, _) if !silent && answer.code.is_error() => {
                let again =
                    answer.code == Code::REQUEST_ENTITY_INCOMPLETE && firmware.tries < FIRMWARE_TRIES_MAX;
                if !again {
                    let said = answer.reason.as_deref().unwrap_or_default();
                    let reason = format!("the device refused the image: {} {said}", answer.code);
                    return self.end_firmware(
                        now,
                        slot,
                        Code::INTERNAL_SERVER_ERROR,
                        Some(reason.trim()),
                        out,
                    );
                }
                firmware.next_at = wait(FIRMWARE_POLL_MS);
            }
            (Operation::Execute { .. }, _) if !silent && answer.code.is_error() => {
                firmware.next_at = wait(FIRMWARE_POLL_MS); // its state says what it means by that
            }
            _ => firmware.next_at = wait(if silent { FIRMWARE_RETRY_MS } else { FIRMWARE_POLL_MS / 5 }),
        }
        self.arm(slot);
    }

    fn on_firmware_seen(&mut self, now: Now, slot: u32, items: &[Item], out: &mut Actions) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        let Some(firmware) = &mut device.firmware else { return };
        let octet = |id| number(items, id).and_then(|number| u8::try_from(number).ok());
        let (Some(state), Some(result)) = (octet(3), octet(5)) else {
            let reason = "/5/0 has no state or no result";
            return self.end_firmware(now, slot, Code::INTERNAL_SERVER_ERROR, Some(reason), out);
        };
        firmware.seen = (state, result);
        firmware.push_only = number(items, 9) == Some(1);
        let (stage, push_only, update) = (firmware.saved.stage, firmware.push_only, firmware.saved.update);
        let by_itself = number(items, 14) == Some(1); // 1.2: it installs without being told
        if self.watch_firmware(now, slot, out) {
            return; // looked at again when the device has answered
        }
        if stage == Stage::Loading {
            self.admit_fetcher(slot);
        }
        match decide(stage, update, by_itself, state, result) {
            Next::Reset => {
                self.again(now, slot, Some(reset(push_only)), out);
            }
            Next::Load => match self.loading(slot, items) {
                Ok(load) => {
                    self.set_stage(slot, Stage::Loading, out);
                    self.firmware_event(now, slot, "downloading", Some(0), out);
                    self.again(now, slot, Some(load), out);
                }
                Err(reason) => self.end_firmware(now, slot, Code::INTERNAL_SERVER_ERROR, Some(&reason), out),
            },
            Next::Execute => {
                if stage == Stage::Loading {
                    self.firmware_event(now, slot, "downloaded", Some(100), out);
                }
                // The stage first: a restart in between looks before it gives the order again.
                self.set_stage(slot, Stage::Updating, out);
                self.firmware_event(now, slot, "updating", None, out);
                let execute = Operation::Execute { path: resource(2), arguments: String::new() };
                self.again(now, slot, Some(execute), out);
            }
            Next::Wait => {
                if by_itself && state == 2 {
                    self.set_stage(slot, Stage::Updating, out);
                }
                self.again(now, slot, None, out);
            }
            Next::Done => self.end_firmware(now, slot, Code::CHANGED, None, out),
            Next::Fail => {
                let reason = failure(result);
                self.end_firmware(now, slot, Code::INTERNAL_SERVER_ERROR, Some(reason), out);
            }
        }
    }

    fn set_stage(&mut self, slot: u32, stage: Stage, out: &mut Actions) {
        let Some(firmware) = self.devices.get_mut(slot).and_then(|device| device.firmware.as_mut()) else {
            return;
        };
        if firmware.saved.stage != stage {
            firmware.saved.stage = stage;
            firmware.tries = 0;
            self.keep(slot, out);
        }
    }

    /// Does a step, or looks again later. Steps that have to be done over and over end the update.
    fn again(&mut self, now: Now, slot: u32, step: Option<Operation>, out: &mut Actions) {
        let poll = self.firmware_poll_ms(slot);
        let Some(firmware) = self.devices.get_mut(slot).and_then(|device| device.firmware.as_mut()) else {
            return;
        };
        let Some(step) = step else {
            firmware.next_at = now.instant + Duration::from_millis(poll);
            return self.arm(slot);
        };
        firmware.tries += 1;
        if firmware.tries > FIRMWARE_TRIES_MAX {
            let reason = "given up: the device begins anew again and again";
            return self.end_firmware(now, slot, Code::INTERNAL_SERVER_ERROR, Some(reason), out);
        }
        self.firmware_job(now, slot, step, out);
    }

    /// Bytes of the image have arrived at the device.
    pub(super) fn on_progress(&mut self, now: Now, tag: u64, sent: usize, total: usize, out: &mut Actions) {
        let job = self.jobs.by_tag(tag).and_then(|id| self.jobs.get(id));
        if let Some(slot) = job.filter(|job| job.origin == Origin::Firmware).map(|job| job.device) {
            self.tell_progress(now, slot, sent, total, out);
        }
    }

    fn tell_progress(&mut self, now: Now, slot: u32, sent: usize, total: usize, out: &mut Actions) {
        let percent = (sent.saturating_mul(100) / total.max(1)).min(100) as u8 / 10 * 10;
        let Some(firmware) = self.devices.get_mut(slot).and_then(|device| device.firmware.as_mut()) else {
            return;
        };
        if percent > 0 && firmware.percent != Some(percent) {
            firmware.percent = Some(percent);
            self.firmware_event(now, slot, "downloading", Some(percent), out);
        }
    }

    /// The answer, and the end.
    pub(super) fn end_firmware(
        &mut self,
        now: Now,
        slot: u32,
        code: Code,
        reason: Option<&str>,
        out: &mut Actions,
    ) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        let Some(firmware) = device.firmware.take() else { return };
        if let (FirmwareSource::File(name), true) = (&firmware.saved.source, firmware.held) {
            self.images.release(name);
        }
        self.images.dismiss(firmware.saved.token);
        self.unwatch_firmware(now, slot);
        self.keep(slot, out);
        let (state, result) = firmware.seen;
        let asker = firmware.saved.asker;
        let answer = Answer { reason: reason.map(str::to_owned), ..Answer::new(asker, code) };
        let answer = if code == Code::NOT_FOUND {
            Answer { error: Some("Not Registered"), ..answer }
        } else {
            Answer { firmware: Some((state, result)), ..answer }
        };
        self.publish_answer(slot, &answer, out);
        let word = match (code, firmware.saved.update) {
            (Code::CHANGED, true) => "updated",
            (Code::CHANGED, false) => "downloaded",
            _ if firmware.seen == (0, 10) => "cancelled",
            _ => "failed", // any error
        };
        self.publish_firmware_event(now, slot, &answer.asker, word, None, out);
    }

    fn firmware_event(&mut self, now: Now, slot: u32, state: &str, percent: Option<u8>, out: &mut Actions) {
        let firmware = self.devices.get(slot).and_then(|device| device.firmware.as_ref());
        let Some(asker) = firmware.map(|firmware| firmware.saved.asker.clone()) else { return };
        self.publish_firmware_event(now, slot, &asker, state, percent, out);
    }

    fn publish_firmware_event(
        &mut self,
        now: Now,
        slot: u32,
        asker: &Asker,
        state: &str,
        percent: Option<u8>,
        out: &mut Actions,
    ) {
        let Some(device) = self.devices.get(slot) else { return };
        let (ep, id) = (json!(&*device.registration.endpoint), asker.id());
        let percent = percent.map(|percent| format!(r#","percent":{percent}"#)).unwrap_or_default();
        let time = now.unix_ms;
        let event =
            format!(r#"{{"event":"firmware","ep":{ep},"time":{time},"id":{id},"state":"{state}"{percent}}}"#);
        self.publish_event(slot, &event, out);
    }
}

/// The device's result in words (registry, object 5 resource 5).
fn failure(result: u8) -> &'static str {
    match result {
        2 => "not enough flash memory",
        3 => "not enough RAM",
        4 => "connection lost during the download",
        5 => "integrity check failed",
        6 => "unsupported package type",
        7 => "invalid URI",
        8 => "update failed",
        9 => "unsupported protocol",
        10 => "cancelled",
        _ => "the device is idle again without a result",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_and_result_say_what_comes_next() {
        use Next::{Done, Execute, Fail, Load, Reset, Wait};
        use Stage::{Begin, Loading, Updating};
        for (stage, update, by_itself, state, result, next) in [
            (Begin, true, false, 0, 0, Load),
            (Begin, true, false, 0, 8, Load),
            (Begin, true, false, 1, 0, Reset),
            (Begin, true, false, 2, 0, Reset),
            (Loading, true, false, 0, 0, Load),
            (Loading, true, false, 0, 1, Load),
            (Loading, true, false, 0, 5, Fail),
            (Loading, true, false, 1, 0, Wait),
            (Loading, true, false, 2, 0, Execute),
            (Loading, false, false, 2, 0, Done),
            (Loading, true, true, 2, 0, Wait),
            (Updating, true, false, 3, 0, Wait),
            (Updating, true, false, 0, 1, Done),
            (Updating, true, false, 0, 8, Fail),
            (Updating, true, false, 2, 8, Fail),
            (Updating, true, false, 2, 11, Wait),
            (Updating, true, false, 2, 0, Execute),
            (Updating, true, true, 2, 0, Wait),
            (Updating, true, false, 0, 0, Fail),
        ] {
            assert_eq!(decide(stage, update, by_itself, state, result), next, "{stage:?} {state} {result}");
        }
    }
}
