//! Observations: one for each path at a device, with whoever asked for it on each answer topic.
//!
//! ```text
//!   Observe ─► asker noted with the observation ─► memo ─► notifications to every asker, with its own id and form
//!   Cancel  ─► asker forgotten; the device hears of it when the last one goes
//!   Register again, restart of ours ─► issued again under the same token, one after the other
//! ```
use super::job::{Job, Origin};
use super::responses::Outcome;
use super::{AutoObserve, Lwm2mServer};
use crate::coap::{IncomingResponse, Token};
use crate::command::{Answer, Asker, Channel, Command, Operation};
use crate::device::Observation;
use crate::limits::{ASKER_BYTES_MAX, OBSERVATIONS_PER_DEVICE_MAX};
use crate::path::ObjectPath;
use crate::registration::{SavedAsker, SavedObservation};
use broker_core::Now;
use broker_core::frontend::{Actions, Address};

/// Objects that are never observed without being asked for by name.
const CORE_OBJECTS: [u16; 9] = [0, 1, 2, 4, 5, 6, 7, 9, 15];

/// What an operation observes, or stops to observe.
fn observed_paths(operation: &Operation) -> Option<(Vec<ObjectPath>, bool)> {
    match operation {
        Operation::Observe { path } | Operation::CancelObserve { path } => Some((vec![*path], false)),
        Operation::ObserveComposite { paths } | Operation::CancelObserveComposite { paths } => {
            Some((paths.clone(), true))
        }
        Operation::Read { .. }
        | Operation::Discover { .. }
        | Operation::Write { .. }
        | Operation::WriteAttributes { .. }
        | Operation::Execute { .. }
        | Operation::Create { .. }
        | Operation::Delete { .. }
        | Operation::ReadComposite { .. }
        | Operation::WriteComposite { .. }
        | Operation::Deregister
        | Operation::Firmware(_) => None,
    }
}

fn is_cancel(operation: &Operation) -> bool {
    matches!(operation, Operation::CancelObserve { .. } | Operation::CancelObserveComposite { .. })
}

fn is_of(observation: &Observation, paths: &[ObjectPath], composite: bool) -> bool {
    observation.saved.composite == composite && observation.saved.paths == paths
}

fn is_on(asker: &SavedAsker, channel: Channel) -> bool {
    match asker {
        SavedAsker::Asker(asker) => asker.channel == channel,
        SavedAsker::Automatic | SavedAsker::Firmware => false,
    }
}

/// An asker as it is kept: what is too long to come back with every notification is cut to its id.
fn kept(asker: &Asker) -> Asker {
    let mut kept = Asker { data: None, ..asker.clone() };
    if kept.cost() > ASKER_BYTES_MAX {
        let (id, operation) = (kept.form.id_key(), kept.form.operation_key());
        kept.echo
            .retain(|(name, raw)| (&**name == id || &**name == operation) && raw.len() <= ASKER_BYTES_MAX);
    }
    kept
}

impl Lwm2mServer {
    /// The token of the observation that a command renews or cancels. A cancel leaves an observation alone that others
    /// asked for too.
    pub(super) fn observation_of(&self, slot: u32, command: &Command) -> Option<Token> {
        let (paths, composite) = observed_paths(&command.operation)?;
        let device = self.devices.get(slot)?;
        let observation = device.observations.iter().find(|o| is_of(o, &paths, composite))?;
        let others = observation.saved.askers.iter().any(|asker| !is_on(asker, command.asker.channel));
        if is_cancel(&command.operation) && (others || !observation.established) {
            return None;
        }
        Some(observation.saved.token).filter(|token| token.wire_len() > 0)
    }

    pub(super) fn observations_are_full(&self, slot: u32) -> bool {
        self.devices.get(slot).is_some_and(|device| device.observations.len() >= OBSERVATIONS_PER_DEVICE_MAX)
    }

    /// The first response to an Observe: the observation begins, and who asked for it is noted.
    pub(super) fn note_observed(
        &mut self,
        id: u32,
        response: &IncomingResponse<Address>,
        outcome: &mut Outcome,
    ) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let operation = &job.command.operation;
        if is_cancel(operation) {
            return;
        }
        let Some((paths, composite)) = observed_paths(operation) else { return };
        let automatic = job.origin == Origin::Observation;
        let asker = (!automatic).then(|| SavedAsker::Asker(kept(&job.command.asker)));
        let channel = job.command.asker.channel;
        let accept = job.attempt.choices.first().copied().flatten();
        let slot = job.device;
        let Some(device) = self.devices.get_mut(slot) else { return };
        let place = device.observations.iter().position(|o| is_of(o, &paths, composite));
        let Some(observed) = response.observed else {
            if outcome.code.is_success() && outcome.reason.is_none() {
                outcome.reason = Some("the device answered once and does not observe this".into());
            }
            job.token = None;
            if let Some(observation) = place.and_then(|place| device.observations.get_mut(place)) {
                // It was observed until now: the others who asked learn of the end by its being issued again.
                observation.established = false;
                if !automatic {
                    observation.saved.askers.retain(|other| !is_on(other, channel));
                }
            }
            device.observations.retain(|observation| !observation.saved.askers.is_empty());
            return;
        };
        job.token = Some(observed.token);
        let place = match place {
            Some(place) => place,
            None => {
                device.observations.push(Observation {
                    saved: SavedObservation {
                        paths,
                        composite,
                        token: observed.token,
                        accept,
                        askers: Vec::new(),
                    },
                    established: true,
                    sequence: observed.sequence,
                });
                device.observations.len() - 1
            }
        };
        let Some(observation) = device.observations.get_mut(place) else { return };
        observation.saved.token = observed.token;
        observation.saved.accept = accept;
        observation.established = true;
        observation.sequence = observed.sequence;
        if let Some(asker) = asker {
            observation.saved.askers.retain(|other| !is_on(other, channel));
            observation.saved.askers.push(asker);
        }
        self.own_observation(slot, &observed.token);
    }

    /// A job that observes or cancels is over: books and memo.
    pub(super) fn after_observe(&mut self, now: Now, job: &Job, out: &mut Actions) {
        let operation = &job.command.operation;
        let Some((paths, composite)) = observed_paths(operation) else { return };
        let channel = job.command.asker.channel;
        let Some(device) = self.devices.get_mut(job.device) else { return };
        let Some(place) = device.observations.iter().position(|o| is_of(o, &paths, composite)) else {
            return;
        };
        let mut forgotten = None;
        if is_cancel(operation)
            && let Some(observation) = device.observations.get_mut(place)
        {
            observation.saved.askers.retain(|other| !is_on(other, channel));
            if observation.saved.askers.is_empty() {
                // Also when the device did not hear it: its next notification is then rejected, which cancels.
                forgotten = Some(device.observations.remove(place).saved.token);
            }
        }
        if let Some(token) = forgotten {
            self.coap.forget_observation(now.instant, &token, &mut self.coap_out);
        }
        self.keep(job.device, out);
    }

    /// Adds what is to be observed without being asked.
    pub(super) fn plan_observations(&mut self, slot: u32) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        let objects = &device.registration.objects;
        let wanted: Vec<ObjectPath> = match &self.config.auto_observe {
            AutoObserve::Off => return,
            AutoObserve::All => objects
                .links
                .iter()
                .map(|link| link.path)
                .filter(|path| path.object_id().is_some_and(|id| !CORE_OBJECTS.contains(&id)))
                .collect(),
            AutoObserve::Paths(paths) => paths.iter().copied().filter(|path| objects.has(*path)).collect(),
        };
        for path in wanted {
            if device.observations.len() >= OBSERVATIONS_PER_DEVICE_MAX {
                break;
            }
            let known = device.observations.iter_mut().find(|o| is_of(o, &[path], false));
            match known {
                Some(known) if !known.saved.askers.contains(&SavedAsker::Automatic) => {
                    known.saved.askers.push(SavedAsker::Automatic);
                }
                Some(_) => {}
                None => device.observations.push(Observation {
                    saved: SavedObservation {
                        paths: vec![path],
                        composite: false,
                        token: Token::EMPTY,
                        accept: None,
                        askers: vec![SavedAsker::Automatic],
                    },
                    established: false,
                    sequence: 0,
                }),
            }
        }
    }

    /// Issues the first observation that the device does not hold, if none is being issued.
    pub(super) fn issue_observation(&mut self, now: Now, slot: u32, out: &mut Actions) {
        let Some(device) = self.devices.get(slot).filter(|device| device.is_ready()) else { return };
        let busy = |id: &u32| self.jobs.get(*id).is_some_and(|job| job.origin == Origin::Observation);
        if device.jobs.iter().any(busy) {
            return;
        }
        let Some(next) = device.observations.iter().find(|observation| !observation.established) else {
            return;
        };
        let operation = match (next.saved.paths.as_slice(), next.saved.composite) {
            ([path], false) => Operation::Observe { path: *path },
            (paths, _) => Operation::ObserveComposite { paths: paths.to_vec() },
        };
        let request_path = next.saved.paths.first().map(|path| path.to_string().into());
        let asker = Asker { request_path, ..Asker::nobody("observe") };
        let command = Command { asker, operation, ttl: None, timeout: None, accept: next.saved.accept };
        self.start_job(now, slot, Origin::Observation, command, out);
    }

    /// An observation was issued (again): everybody who waits for it hears its value, or that it is gone.
    pub(super) fn publish_issued(&mut self, now: Now, job: &Job, answer: Answer, out: &mut Actions) {
        let slot = job.device;
        let Some((paths, composite)) = observed_paths(&job.command.operation) else { return };
        let Some(device) = self.devices.get_mut(slot) else { return };
        let Some(place) = device.observations.iter().position(|o| is_of(o, &paths, composite)) else {
            return;
        };
        let Some(observation) = device.observations.get(place) else { return };
        let (askers, sequence) = (observation.saved.askers.clone(), observation.sequence);
        let held = observation.established && job.token.is_some();
        if !held {
            let token = device.observations.remove(place).saved.token;
            self.coap.forget_observation(now.instant, &token, &mut self.coap_out);
            self.keep(slot, out);
        }
        for asker in askers {
            let told = match asker {
                SavedAsker::Automatic => Answer { automatic: true, ..answer.clone() },
                SavedAsker::Firmware => {
                    self.on_firmware_told(now, slot, out);
                    continue;
                }
                SavedAsker::Asker(asker) => Answer { asker, sequence: Some(sequence), ..answer.clone() },
            };
            self.publish_reply(slot, &told.asker, told.is_notification(), &told.to_json(), out);
        }
        self.publish_answer_values(slot, &answer, out);
    }
}
