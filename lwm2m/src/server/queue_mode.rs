//! Queue mode (1.1.1 Transport §6.5): when a device listens, and what its link is told.
//!
//! ```text
//!            any message: Wake, "awake"
//!   asleep ───────────────────────────► awake ── nothing heard for the awake window, or no ACK at all ──► asleep: Pause
//! ```
//! A paused link keeps its messages; what was in flight goes back to the head of the queue.
use super::Lwm2mServer;
use crate::limits::DEVICE_CREDIT;
use broker_core::frontend::Actions;
use broker_core::{Instant, Now, ToBroker};

impl Lwm2mServer {
    /// The device has been heard: with queue mode it listens for a while from now on.
    pub(super) fn on_heard(&mut self, now: Now, slot: u32, out: &mut Actions) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        if !device.registration.queue {
            device.awake_until = Instant::FAR_FUTURE;
            return;
        }
        device.awake_until = now.instant + self.config.awake_window(&device.registration.endpoint);
        if device.asleep && self.is_registered(slot) {
            self.wake(now, slot, out);
        }
        self.arm(slot);
    }

    fn wake(&mut self, now: Now, slot: u32, out: &mut Actions) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        device.asleep = false;
        self.resume(slot, out);
        self.presence_event(now, slot, "awake", out);
        self.issue_observation(now, slot, out);
        self.look_at_firmware(now, slot, out);
    }

    /// The device does not listen any more.
    pub(super) fn fall_asleep(&mut self, now: Now, slot: u32, out: &mut Actions) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        if device.asleep {
            return;
        }
        device.asleep = true;
        device.awake_until = Instant::FAR_FUTURE;
        self.pause(slot, out);
        self.presence_event(now, slot, "asleep", out);
    }

    /// A registration or update has been answered: the state of the device is as after any message of its.
    pub(super) fn settle(&mut self, now: Now, slot: u32, out: &mut Actions) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        if !device.registration.queue {
            device.awake_until = Instant::FAR_FUTURE;
            if device.asleep {
                self.wake(now, slot, out); // it has given queue mode up
            }
        } else if device.awake_until == Instant::FAR_FUTURE && !device.asleep {
            device.awake_until = now.instant + self.config.awake_window(&device.registration.endpoint);
        }
        self.arm(slot);
    }

    /// The device has come back: a firmware update goes on from what it says now.
    pub(super) fn look_at_firmware(&mut self, now: Now, slot: u32, out: &mut Actions) {
        if let Some(firmware) = self.devices.get_mut(slot).and_then(|device| device.firmware.as_mut()) {
            firmware.next_at = now.instant;
            self.drive_firmware(now, slot, out);
        }
    }

    /// Nothing is delivered from now on.
    pub(super) fn pause(&mut self, slot: u32, out: &mut Actions) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        if !device.paused {
            device.paused = true;
            self.request(slot, ToBroker::Pause { duration: None }, out);
        }
    }

    /// Commands are delivered from now on, if the device listens.
    pub(super) fn resume(&mut self, slot: u32, out: &mut Actions) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        let (paused, granted) = (device.paused, device.granted);
        if device.asleep {
            return;
        }
        device.paused = false;
        device.granted = true;
        if paused {
            self.request(slot, ToBroker::Wake, out);
        }
        if !granted {
            self.request(slot, ToBroker::Credit { bytes: DEVICE_CREDIT }, out);
        }
    }
}
