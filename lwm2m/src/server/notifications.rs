//! Notifications of devices, to everyone who asked.
use super::Lwm2mServer;
use super::responses::{Outcome, diagnostic};
use crate::coap::{Code, Notification, Token};
use crate::command::{Answer, Asker, Content};
use crate::path::ObjectPath;
use crate::registration::SavedAsker;
use broker_core::Now;
use broker_core::frontend::{Actions, Address};

/// Marks the tag of an observation that names its device's slot.
const OWNER: u64 = 1 << 63;

impl Lwm2mServer {
    pub(super) fn on_notification(
        &mut self,
        now: Now,
        notification: Notification<Address>,
        out: &mut Actions,
    ) {
        let Some((slot, place)) = self.observation_at(&notification) else { return };
        let Some(device) = self.devices.get_mut(slot) else { return };
        device.validated = true;
        let Some(observation) = device.observations.get_mut(place) else { return };
        let sequence = notification.sequence.unwrap_or(observation.sequence);
        observation.sequence = sequence;
        let (accept, base) =
            (observation.saved.accept, base_of(&observation.saved.paths, observation.saved.composite));
        let Notification { code, options, payload, .. } = &notification;
        let outcome = self.values(now, slot, base, accept, *code, options, payload);
        self.tell_observers(now, slot, place, sequence, outcome, out);
    }

    /// The device gave an observation up: everyone who asked hears its last message.
    pub(super) fn on_observation_ended(
        &mut self,
        now: Now,
        notification: Notification<Address>,
        out: &mut Actions,
    ) {
        let Some((slot, place)) = self.observation_at(&notification) else { return };
        let Some(device) = self.devices.get(slot) else { return };
        let Some(observation) = device.observations.get(place) else { return };
        let sequence = observation.sequence;
        let (accept, base) =
            (observation.saved.accept, base_of(&observation.saved.paths, observation.saved.composite));
        let Notification { code, options, payload, .. } = &notification;
        let outcome = if code.is_success() {
            let mut last = self.values(now, slot, base, accept, *code, options, payload);
            last.reason.get_or_insert_with(|| "the device has ended this observation".into());
            last
        } else {
            Outcome {
                code: *code,
                content: Content::None,
                location: None,
                reason: diagnostic(options, payload),
                raw: None,
            }
        };
        self.tell_observers(now, slot, place, sequence, outcome, out);
        if let Some(device) = self.devices.get_mut(slot) {
            device.observations.remove(place);
        }
        self.keep(slot, out);
    }

    /// The device of an observation is told by its token: several devices may be behind one address.
    pub(super) fn observation_at(&self, notification: &Notification<Address>) -> Option<(u32, usize)> {
        let owner = (notification.tag & OWNER != 0).then_some(notification.tag as u32);
        let there = self.devices.at(&notification.peer);
        owner.into_iter().chain(there).find_map(|slot| {
            let observations = &self.devices.get(slot)?.observations;
            let place = observations.iter().position(|o| o.saved.token == notification.token)?;
            Some((slot, place))
        })
    }

    /// Notes whose observation a token is.
    pub(super) fn own_observation(&mut self, slot: u32, token: &Token) {
        self.coap.tag_observation(token, OWNER | u64::from(slot));
    }

    fn tell_observers(
        &mut self,
        now: Now,
        slot: u32,
        place: usize,
        sequence: u32,
        outcome: Outcome,
        out: &mut Actions,
    ) {
        let Some(device) = self.devices.get(slot) else { return };
        let Some(observation) = device.observations.get(place) else { return };
        let composite = observation.saved.composite;
        let path = observation.saved.paths.first().copied().unwrap_or(ObjectPath::ROOT);
        let askers = observation.saved.askers.clone();
        let answer =
            Answer { sequence: Some(sequence), composite, ..outcome.answer(Asker::nobody("notify")) };
        for asker in askers {
            let told = match asker {
                SavedAsker::Firmware => {
                    self.on_firmware_told(now, slot, out);
                    continue;
                }
                SavedAsker::Automatic => {
                    let asker = Asker { request_path: Some(path.to_string().into()), ..answer.asker.clone() };
                    Answer { asker, automatic: true, ..answer.clone() }
                }
                SavedAsker::Asker(asker) => Answer { asker, ..answer.clone() },
            };
            self.counters.notifications += 1;
            self.publish_reply(slot, &told.asker, told.is_notification(), &told.to_json(), out);
        }
        if answer.code == Code::CONTENT {
            self.publish_answer_values(slot, &answer, out);
        }
    }
}

/// Where the values of an observation must lie.
fn base_of(paths: &[ObjectPath], composite: bool) -> ObjectPath {
    match paths {
        [path] if !composite => *path,
        _ => ObjectPath::ROOT, // anywhere
    }
}
