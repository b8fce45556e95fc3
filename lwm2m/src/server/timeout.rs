//! Timers: each device has one, armed for the nearer of its lifetime's end and the end of its awake window.
use super::Lwm2mServer;
use crate::device::{EndReason, Phase};
use crate::limits::TIMERS_PER_CALL;
use broker_core::frontend::Actions;
use broker_core::{Instant, Now};

impl Lwm2mServer {
    /// Arms the timer of a device for its nearest deadline.
    pub(super) fn arm(&mut self, slot: u32) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        let look = device.firmware.as_ref().map_or(Instant::FAR_FUTURE, |firmware| firmware.next_at);
        // What the device is too busy or too sleepy for is tried again when it is not.
        let look = if device.is_ready() && device.jobs.is_empty() { look } else { Instant::FAR_FUTURE };
        let deadline = device.expires.min(device.awake_until).min(look).as_millis();
        device.timer.set(&mut self.wheel, slot, deadline);
    }

    pub(super) fn on_timers(&mut self, now: Now, out: &mut Actions) {
        let mut due = std::mem::take(&mut self.due);
        let millis = now.instant.as_millis();
        // What is left over shows in `next_timeout`.
        let _all = self.wheel.expire(millis, TIMERS_PER_CALL, &mut due);
        for due in due.drain(..) {
            let slot = due.id;
            let Some(device) = self.devices.get_mut(slot) else { continue };
            if device.timer.fired(&mut self.wheel, due, millis) {
                self.on_deadline(now, slot, out);
            }
        }
        self.due = due;
    }

    fn on_deadline(&mut self, now: Now, slot: u32, out: &mut Actions) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        if matches!(device.phase, Phase::Ending(_)) {
            return;
        }
        if device.expires <= now.instant {
            self.counters.expired += 1;
            return self.end(now, slot, EndReason::Expired, None, out);
        }
        self.drive_firmware(now, slot, out);
        let Some(device) = self.devices.get_mut(slot) else { return };
        if device.awake_until <= now.instant {
            if device.jobs.is_empty() {
                self.fall_asleep(now, slot, out);
            } else {
                // The job's end tells whether it still listens.
                device.awake_until = now.instant + self.config.awake_window(&device.registration.endpoint);
            }
        }
        self.arm(slot);
    }
}
