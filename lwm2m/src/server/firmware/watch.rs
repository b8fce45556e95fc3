//! Hearing of a device's progress instead of asking for it, and stopping an update.
use super::load::reset;
use super::{Stage, resource};
use crate::catalog::Version;
use crate::coap::{Code, Token};
use crate::command::{Answer, Command, Operation};
use crate::device::Observation;
use crate::limits::{FIRMWARE_POLL_MS, FIRMWARE_WATCHED_POLL_MS, OBSERVATIONS_PER_DEVICE_MAX};
use crate::registration::{SavedAsker, SavedObservation};
use crate::server::Lwm2mServer;
use crate::server::job::Origin;
use broker_core::Now;
use broker_core::frontend::Actions;

/// State and result.
const WATCHED: [u16; 2] = [3, 5];
/// The result of an update that was cancelled (object 5 from 1.1 on).
const CANCELLED: u8 = 10;

impl Lwm2mServer {
    /// Observes state and result, once for an update. Returns whether the device is being asked for that now.
    pub(super) fn watch_firmware(&mut self, now: Now, slot: u32, out: &mut Actions) -> bool {
        let Some(device) = self.devices.get_mut(slot) else { return false };
        let Some(firmware) = device.firmware.as_mut() else { return false };
        if std::mem::replace(&mut firmware.watched, true) {
            return false;
        }
        for path in WATCHED.map(resource) {
            let full = device.observations.len() >= OBSERVATIONS_PER_DEVICE_MAX;
            let known =
                device.observations.iter_mut().find(|o| !o.saved.composite && o.saved.paths == [path]);
            match known {
                Some(known) if known.saved.askers.contains(&SavedAsker::Firmware) => {}
                Some(known) => known.saved.askers.push(SavedAsker::Firmware),
                None if full => {} // it is asked instead
                None => device.observations.push(Observation {
                    saved: SavedObservation {
                        paths: vec![path],
                        composite: false,
                        token: Token::EMPTY,
                        accept: None,
                        askers: vec![SavedAsker::Firmware],
                    },
                    established: false,
                    sequence: 0,
                }),
            }
        }
        self.issue_observation(now, slot, out);
        self.is_busy_for_firmware(slot)
    }

    /// A step of the update runs, or an observation is being begun: one after the other.
    pub(super) fn is_busy_for_firmware(&self, slot: u32) -> bool {
        let Some(device) = self.devices.get(slot) else { return false };
        let own = |id: &u32| {
            self.jobs.get(*id).is_some_and(|job| matches!(job.origin, Origin::Firmware | Origin::Observation))
        };
        device.jobs.iter().any(own)
    }

    /// The device tells when something changes; what it says is looked at together.
    pub(in crate::server) fn on_firmware_told(&mut self, now: Now, slot: u32, out: &mut Actions) {
        if let Some(firmware) = self.devices.get_mut(slot).and_then(|device| device.firmware.as_mut()) {
            firmware.next_at = now.instant;
            self.drive_firmware(now, slot, out);
            self.arm(slot);
        }
    }

    /// How long until a device is asked that says nothing by itself, milliseconds.
    pub(super) fn firmware_poll_ms(&self, slot: u32) -> u64 {
        let Some(device) = self.devices.get(slot) else { return FIRMWARE_POLL_MS };
        let told = device.observations.iter().filter(|observation| {
            observation.established && observation.saved.askers.contains(&SavedAsker::Firmware)
        });
        if told.count() == WATCHED.len() { FIRMWARE_WATCHED_POLL_MS } else { FIRMWARE_POLL_MS }
    }

    /// The update is over: what only it observed is not observed any more.
    pub(super) fn unwatch_firmware(&mut self, now: Now, slot: u32) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        let mut forgotten: Vec<Token> = Vec::new();
        device.observations.retain_mut(|observation| {
            let before = observation.saved.askers.len();
            observation.saved.askers.retain(|asker| *asker != SavedAsker::Firmware);
            let over = observation.saved.askers.is_empty() && before > 0;
            if over {
                forgotten.push(observation.saved.token);
            }
            !over
        });
        // Its next notification is rejected, which cancels (RFC 7641 §3.6).
        for token in forgotten {
            self.coap.forget_observation(now.instant, &token, &mut self.coap_out);
        }
    }

    /// A command to stop the update: what is under way of it ends, and the device is told.
    pub(in crate::server) fn cancel_firmware(
        &mut self,
        now: Now,
        slot: u32,
        origin: Origin,
        command: Command,
        out: &mut Actions,
    ) {
        let Some(device) = self.devices.get(slot) else { return };
        let stage = device.firmware.as_ref().map(|firmware| (firmware.saved.stage, firmware.push_only));
        let answer = match stage {
            None => {
                let reason = "no firmware update of this device runs";
                Answer::failed(command.asker, Code::NOT_FOUND, reason)
            }
            Some((Stage::Begin, _)) => {
                self.drop_firmware_jobs(now, slot);
                self.end_cancelled(now, slot, out);
                Answer { firmware: Some((0, CANCELLED)), ..Answer::new(command.asker, Code::CHANGED) }
            }
            Some((Stage::Loading | Stage::Updating, push_only)) => {
                // The device takes one request at a time: the image would hold this one up.
                self.drop_firmware_jobs(now, slot);
                let versions = Self::versions(self.devices.get(slot));
                let can_cancel = versions.iter().any(|(id, version)| *id == 5 && *version >= Version::V1_1);
                let operation = if can_cancel {
                    Operation::Execute { path: resource(10), arguments: String::new() }
                } else {
                    reset(push_only)
                };
                let id = self.insert_job(slot, origin, Command { operation, ..command });
                if let Some(firmware) = self.devices.get_mut(slot).and_then(|device| device.firmware.as_mut())
                {
                    firmware.cancelling = Some(id);
                }
                return self.begin_job(now, id, out);
            }
        };
        self.finish_command(now, slot, &answer, out);
        if let Origin::Queued { packet_id, cost } = origin {
            self.done(slot, packet_id, cost, out);
        }
    }

    /// The device has answered the order to stop. Without its consent the update goes on.
    pub(in crate::server) fn on_cancel_answer(
        &mut self,
        now: Now,
        slot: u32,
        answer: Answer,
        out: &mut Actions,
    ) -> Answer {
        if let Some(firmware) = self.devices.get_mut(slot).and_then(|device| device.firmware.as_mut()) {
            firmware.cancelling = None;
            firmware.next_at = now.instant;
        }
        if answer.code.is_success() {
            self.end_cancelled(now, slot, out);
            return Answer { firmware: Some((0, CANCELLED)), ..Answer::new(answer.asker, Code::CHANGED) };
        }
        let reason = answer.reason.clone().unwrap_or_else(|| "the device goes on with its update".into());
        Answer { reason: Some(reason), ..answer }
    }

    fn end_cancelled(&mut self, now: Now, slot: u32, out: &mut Actions) {
        if let Some(firmware) = self.devices.get_mut(slot).and_then(|device| device.firmware.as_mut()) {
            firmware.seen = (0, CANCELLED);
        }
        self.end_firmware(now, slot, Code::INTERNAL_SERVER_ERROR, Some("cancelled by a command"), out);
    }

    fn drop_firmware_jobs(&mut self, now: Now, slot: u32) {
        let ids = self.devices.get(slot).map(|device| device.jobs.clone()).unwrap_or_default();
        for id in ids {
            let Some(job) = self.jobs.get(id).filter(|job| job.origin == Origin::Firmware) else { continue };
            if let Some(exchange) = job.exchange {
                self.coap.cancel(now.instant, exchange, &mut self.coap_out);
            }
            self.take_job(id);
        }
    }
}
