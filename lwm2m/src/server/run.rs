//! Running jobs: from a command to its request, over other formats and split operations, to its end.
use super::job::{Attempt, Job, Origin, Split};
use super::requests::{Target, format_use};
use super::{Lwm2mServer, formats};
use crate::catalog::Version;
use crate::coap::{Code, Failure, Request};
use crate::command::{Answer, Command, FirmwareOrder, Operation, WriteMode};
use crate::content::{ContentFormat, Context};
use broker_core::Now;
use broker_core::frontend::Actions;

/// What the present step of a job does.
fn step(job: &Job) -> Operation {
    let operation = &job.command.operation;
    let part = job.split.as_ref().and_then(|split| part(operation, split.at));
    part.unwrap_or_else(|| operation.clone())
}

/// A part of an operation that is split; `None` behind the last one, and for what cannot be split.
fn part(operation: &Operation, at: usize) -> Option<Operation> {
    match operation {
        Operation::ReadComposite { paths } => {
            paths.get(at).map(|path| Operation::Read { path: *path, query: None })
        }
        Operation::WriteComposite { entries, .. } => entries.get(at).map(|entry| Operation::Write {
            path: entry.path,
            mode: WriteMode::Replace,
            entries: vec![entry.clone()],
        }),
        Operation::Read { .. }
        | Operation::Discover { .. }
        | Operation::Write { .. }
        | Operation::WriteAttributes { .. }
        | Operation::Execute { .. }
        | Operation::Create { .. }
        | Operation::Delete { .. }
        | Operation::Observe { .. }
        | Operation::CancelObserve { .. }
        | Operation::ObserveComposite { .. }
        | Operation::CancelObserveComposite { .. }
        | Operation::Deregister
        | Operation::Firmware(_) => None,
    }
}

impl Lwm2mServer {
    /// Calls `use_it` with what decoding and encoding for this device depends on; `None` when there is no such device.
    pub(super) fn with_context<T>(
        &self,
        now: Now,
        slot: u32,
        use_it: impl FnOnce(&Context<'_>) -> T,
    ) -> Option<T> {
        let device = self.devices.get(slot)?;
        let versions = Self::versions(Some(device));
        let model = self.model(Some(device), &versions);
        let cx = Context {
            model: &model,
            limits: &self.limits,
            now_unix_ms: now.unix_ms,
            alternate_path: &device.registration.objects.root,
        };
        Some(use_it(&cx))
    }

    /// Begins to do what a command says.
    pub(super) fn start_job(
        &mut self,
        now: Now,
        slot: u32,
        origin: Origin,
        command: Command,
        out: &mut Actions,
    ) {
        if let Operation::Firmware(order) = &command.operation {
            return match order {
                FirmwareOrder::Load { .. } => self.start_firmware(now, slot, origin, &command, out),
                FirmwareOrder::Cancel => self.cancel_firmware(now, slot, origin, command, out),
            };
        }
        let id = self.insert_job(slot, origin, command);
        self.begin_job(now, id, out);
    }

    /// Puts a job among those of its device.
    pub(super) fn insert_job(&mut self, slot: u32, origin: Origin, command: Command) -> u32 {
        let token = self.observation_of(slot, &command);
        let job = Job {
            device: slot,
            serial: 0,
            origin,
            command,
            exchange: None,
            attempt: Attempt::none(),
            split: None,
            token,
        };
        let id = self.jobs.insert(job);
        if let Some(device) = self.devices.get_mut(slot) {
            device.jobs.push(id);
        }
        id
    }

    /// Begins a job, or ends it at once where that can be said.
    pub(super) fn begin_job(&mut self, now: Now, id: u32, out: &mut Actions) {
        if let Some(answer) = self.cannot_begin(id) {
            return self.finish_job(now, id, answer, out);
        }
        self.split_if_known(id);
        self.begin_step(now, id, out);
    }

    /// A firmware command leaves the queue at once: it has a place of its own in the memo.
    fn start_firmware(&mut self, now: Now, slot: u32, origin: Origin, command: &Command, out: &mut Actions) {
        match self.begin_firmware(now, slot, command, out) {
            Ok(()) => self.drive_firmware(now, slot, out),
            Err(answer) => self.finish_command(now, slot, &answer, out),
        }
        if let Origin::Queued { packet_id, cost } = origin {
            self.done(slot, packet_id, cost, out);
        }
    }

    /// What can be said without asking the device.
    fn cannot_begin(&self, id: u32) -> Option<Answer> {
        let job = self.jobs.get(id)?;
        let failed = |code, reason: &str| Some(Answer::failed(job.command.asker.clone(), code, reason));
        match &job.command.operation {
            Operation::Observe { .. } | Operation::ObserveComposite { .. }
                if job.token.is_none() && self.observations_are_full(job.device) =>
            {
                failed(Code::SERVICE_UNAVAILABLE, "too many observations of this device")
            }
            Operation::Read { .. }
            | Operation::Discover { .. }
            | Operation::Write { .. }
            | Operation::WriteAttributes { .. }
            | Operation::Execute { .. }
            | Operation::Create { .. }
            | Operation::Delete { .. }
            | Operation::Observe { .. }
            | Operation::CancelObserve { .. }
            | Operation::ReadComposite { .. }
            | Operation::WriteComposite { .. }
            | Operation::ObserveComposite { .. }
            | Operation::CancelObserveComposite { .. }
            | Operation::Firmware(_)
            | Operation::Deregister => None,
        }
    }

    /// A device that lacks composite operations is not asked again, and one of LwM2M 1.0, which has none, never.
    fn split_if_known(&mut self, id: u32) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let lacks = self.devices.get(job.device).is_some_and(|device| {
            device.learned.lacks_composite() || device.registration.version == Version::V1_0
        });
        if lacks && may_split(&job.command.operation) {
            job.split = Some(Split::default());
        }
    }

    /// Begins a step: which formats there are, and the first of them.
    fn begin_step(&mut self, now: Now, id: u32, out: &mut Actions) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let Some(device) = self.devices.get(job.device) else { return };
        let operation = step(job);
        let registration = &device.registration;
        let what = format_use(&operation, registration.version);
        let reads = what.is_some_and(|what| {
            matches!(what, formats::Use::ReadOne | formats::Use::ReadMany | formats::Use::Composite)
        });
        let mut choices = match (what, job.command.accept) {
            (Some(_), Some(accept)) if reads => vec![Some(accept)],
            (Some(what), _) => {
                formats::choices(what, registration.version, &registration.objects.formats, device.learned)
            }
            (None, _) => vec![None],
        };
        if let Operation::Create { instance: None, .. } = operation {
            // Only TLV leaves the id to the device.
            let tlv = Some(ContentFormat::Tlv.number());
            choices.retain(|choice| *choice != tlv);
            choices.insert(0, tlv);
        }
        let proven = what.is_some_and(|what| device.learned.get(what) == choices.first().copied());
        let base = match &operation {
            Operation::Create { object, .. } => *object,
            other => other.path(),
        };
        job.attempt = Attempt { what, choices, proven, base };
        self.send_step(now, id, out);
    }

    /// Sends the request of the present step in the first format that can carry it.
    pub(super) fn send_step(&mut self, now: Now, id: u32, out: &mut Actions) {
        match self.compose(now, id) {
            Ok(request) => {
                let Some(job) = self.jobs.get(id) else { return };
                let Some(address) = self.devices.get(job.device).map(|device| device.address()) else {
                    return;
                };
                let tag = self.jobs.tag(id);
                match self.coap.request(now.instant, address, request, tag, &mut self.coap_out) {
                    Ok(exchange) => {
                        if let Some(job) = self.jobs.get_mut(id) {
                            job.exchange = Some(exchange);
                        }
                    }
                    Err(error) => self.fail_job(now, id, Code::SERVICE_UNAVAILABLE, &error.to_string(), out),
                }
            }
            Err(reason) => self.fail_job(now, id, Code::BAD_REQUEST, &reason, out),
        }
    }

    fn compose(&mut self, now: Now, id: u32) -> Result<Request, String> {
        let gone = || "the job is gone".to_owned();
        let job = self.jobs.get(id).ok_or_else(gone)?;
        let operation = step(job);
        let (slot, token) = (job.device, job.token);
        let choices = job.attempt.choices.clone();
        let timeout =
            job.command.timeout.map_or(self.config.response_timeout_ms, |s| s.saturating_mul(1_000));
        let composed = self.with_context(now, slot, |cx| {
            let device = self.devices.get(slot).ok_or_else(gone)?;
            let mut first_error = None;
            for (skipped, choice) in choices.iter().enumerate() {
                let target = Target { cx, device, choice: *choice, token };
                match target.compose(&operation) {
                    Ok(request) => return Ok((skipped, request)),
                    Err(error) => first_error = first_error.or(Some(error)),
                }
            }
            Err(first_error.unwrap_or_else(gone))
        });
        let (skipped, request) = composed.ok_or_else(gone)??;
        if let Some(job) = self.jobs.get_mut(id) {
            job.attempt.choices.drain(..skipped);
            job.attempt.proven &= skipped == 0;
        }
        Ok(Request { response_timeout_ms: timeout, body_bytes_max: self.config.body_bytes_max, ..request })
    }

    /// Goes on with the next part of a split operation; `false` when there is none.
    pub(super) fn next_part(&mut self, now: Now, id: u32, out: &mut Actions) -> bool {
        let Some(job) = self.jobs.get_mut(id) else { return false };
        let Some(split) = &mut job.split else { return false };
        split.at += 1;
        if part(&job.command.operation, split.at).is_none() {
            return false;
        }
        self.begin_step(now, id, out);
        true
    }

    /// The device has no FETCH or iPATCH: what can be done in single operations is. `false` when it cannot.
    pub(super) fn split_job(&mut self, now: Now, id: u32, out: &mut Actions) -> bool {
        let Some(job) = self.jobs.get_mut(id) else { return false };
        if job.split.is_some() || !may_split(&job.command.operation) {
            return false;
        }
        job.split = Some(Split::default());
        if let Some(device) = self.devices.get_mut(job.device) {
            device.learned.note_lacks_composite();
        }
        self.begin_step(now, id, out);
        true
    }

    /// Ends a job with a code and a text of ours.
    pub(super) fn fail_job(&mut self, now: Now, id: u32, code: Code, reason: &str, out: &mut Actions) {
        let Some(job) = self.jobs.get(id) else { return };
        let answer = Answer::failed(job.command.asker.clone(), code, reason);
        self.finish_job(now, id, answer, out);
    }

    /// Takes a job out of its device's list.
    pub(super) fn take_job(&mut self, id: u32) -> Option<Job> {
        let job = self.jobs.remove(id)?;
        if let Some(device) = self.devices.get_mut(job.device) {
            device.jobs.retain(|other| *other != id);
            if let Some(firmware) = &mut device.firmware {
                firmware.cancelling = firmware.cancelling.filter(|other| *other != id);
            }
        }
        Some(job)
    }

    /// Ends a job with its answer.
    pub(super) fn finish_job(&mut self, now: Now, id: u32, answer: Answer, out: &mut Actions) {
        let cancels = self.jobs.get(id).and_then(|job| self.devices.get(job.device)).is_some_and(|device| {
            device.firmware.as_ref().is_some_and(|firmware| firmware.cancelling == Some(id))
        });
        let Some(job) = self.take_job(id) else { return };
        let slot = job.device;
        let answer = Answer { composite: job.command.operation.is_composite(), ..answer };
        let answer = if cancels { self.on_cancel_answer(now, slot, answer, out) } else { answer };
        self.after_observe(now, &job, out);
        match job.origin {
            Origin::Queued { packet_id, cost } => {
                self.finish_command(now, slot, &answer, out);
                self.publish_answer_values(slot, &answer, out);
                self.done(slot, packet_id, cost, out);
            }
            Origin::Direct => {
                self.finish_command(now, slot, &answer, out);
                self.publish_answer_values(slot, &answer, out);
            }
            Origin::Observation => self.publish_issued(now, &job, answer, out),
            Origin::Firmware => self.on_firmware_answer(now, slot, &job.command.operation, &answer, out),
        }
        self.issue_observation(now, slot, out);
        if cancels || job.origin == Origin::Observation {
            self.drive_firmware(now, slot, out);
        }
    }

    /// A request came to its end without an answer.
    pub(super) fn on_failed(&mut self, now: Now, tag: u64, reason: Failure, out: &mut Actions) {
        let Some(id) = self.jobs.by_tag(tag) else { return };
        let Some(job) = self.jobs.get_mut(id) else { return };
        job.exchange = None;
        let slot = job.device;
        let sleeper = self.devices.get(slot).is_some_and(|device| device.registration.queue);
        if reason == Failure::Timeout && sleeper {
            return self.on_silence(now, id, slot, out);
        }
        // wakaama acknowledges FETCH and never answers it.
        if reason == Failure::ResponseTimeout && self.split_job(now, id, out) {
            return;
        }
        let (code, text, emqx) = match reason {
            Failure::Timeout => {
                (Code::GATEWAY_TIMEOUT, "no acknowledgement after all retransmissions", Some("coap_timeout"))
            }
            Failure::ResponseTimeout => {
                (Code::GATEWAY_TIMEOUT, "acknowledged, but not answered in time", Some("coap_timeout"))
            }
            Failure::Reset => (Code::new(5, 2), "the device rejected the request (RST)", Some("coap_reset")),
            Failure::TooLarge => {
                (Code::REQUEST_ENTITY_TOO_LARGE, "the answer is larger than lwm2m.max_body_size", None)
            }
            Failure::Changed => {
                (Code::INTERNAL_SERVER_ERROR, "the value changed while its blocks were fetched", None)
            }
            Failure::BadBlock => {
                (Code::INTERNAL_SERVER_ERROR, "the device broke the block-wise transfer", None)
            }
            Failure::BadOption => {
                (Code::INTERNAL_SERVER_ERROR, "the answer has an option that must be understood", None)
            }
            Failure::Overloaded => (Code::SERVICE_UNAVAILABLE, "too many unfinished transfers", None),
            Failure::MessageIdsExhausted => {
                (Code::SERVICE_UNAVAILABLE, "too many messages to this device", None)
            }
            Failure::Encoding => (Code::BAD_REQUEST, "the request does not fit a datagram", None),
            Failure::Abandoned => (Code::GATEWAY_TIMEOUT, "the device went away", None),
        };
        if let (true, Some(kind)) = (self.config.emqx_compat, emqx)
            && self.finish_as_emqx(now, id, kind, out)
        {
            return;
        }
        self.fail_job(now, id, code, text, out);
    }

    /// A device with queue mode gave no sign at all: it sleeps. What may be repeated waits for it at the head of its
    /// queue; what may have run is answered.
    fn on_silence(&mut self, now: Now, id: u32, slot: u32, out: &mut Actions) {
        let Some(job) = self.jobs.get(id) else { return };
        let queued = matches!(job.origin, Origin::Queued { .. });
        if matches!(job.origin, Origin::Observation | Origin::Firmware) {
            self.take_job(id); // not established: issued again when it wakes
        } else if queued && job.command.operation.may_repeat() {
            let asker = job.command.asker.clone();
            self.take_job(id);
            self.fall_asleep(now, slot, out);
            return self.command_event(now, slot, &asker, "queued", out);
        } else {
            let reason = "the device sleeps; the command may have run";
            self.fail_job(now, id, Code::GATEWAY_TIMEOUT, reason, out);
        }
        self.fall_asleep(now, slot, out);
    }

    /// EMQX's message in place of an answer; `false` when the form has none.
    fn finish_as_emqx(&mut self, now: Now, id: u32, kind: &str, out: &mut Actions) -> bool {
        let Some(job) = self.jobs.get(id) else { return false };
        if matches!(job.origin, Origin::Observation | Origin::Firmware) {
            return false;
        }
        let asker = job.command.asker.clone();
        let Some(text) = Answer::emqx_message(&asker, kind) else { return false };
        let slot = job.device;
        let Some(job) = self.take_job(id) else { return false };
        self.after_observe(now, &job, out);
        self.counters.answers += 1;
        self.publish_reply(slot, &asker, false, &text, out);
        self.command_event(now, slot, &asker, "answered", out);
        if let Origin::Queued { packet_id, cost } = job.origin {
            self.done(slot, packet_id, cost, out);
        }
        true
    }

    /// A request was acknowledged; its answer comes later. EMQX's clients hear of that.
    pub(super) fn on_acked(&mut self, tag: u64, out: &mut Actions) {
        let Some(job) = self.jobs.by_tag(tag).and_then(|id| self.jobs.get(id)) else { return };
        if !self.config.emqx_compat || matches!(job.origin, Origin::Observation | Origin::Firmware) {
            return;
        }
        let asker = job.command.asker.clone();
        let slot = job.device;
        if let Some(text) = Answer::emqx_message(&asker, "ack") {
            self.publish_reply(slot, &asker, false, &text, out);
        }
    }

    /// Stops what is being done with a device. Commands of its queue stay there, those past it are answered.
    pub(super) fn drop_jobs(&mut self, now: Now, slot: u32, out: &mut Actions) {
        let ids = self.devices.get(slot).map(|device| device.jobs.clone()).unwrap_or_default();
        for id in ids {
            let Some(job) = self.jobs.get(id) else { continue };
            if let Some(exchange) = job.exchange {
                self.coap.cancel(now.instant, exchange, &mut self.coap_out);
            }
            match job.origin {
                Origin::Direct => {
                    self.fail_job(
                        now,
                        id,
                        Code::GATEWAY_TIMEOUT,
                        "the device registered anew or went away",
                        out,
                    );
                }
                Origin::Queued { .. } | Origin::Observation | Origin::Firmware => {
                    self.take_job(id);
                }
            }
        }
    }

    /// The device is elsewhere now: what is being done begins again there.
    pub(super) fn restart_jobs(&mut self, now: Now, slot: u32, out: &mut Actions) {
        if self.devices.get(slot).is_some_and(|device| !device.jobs.is_empty()) {
            self.drop_jobs(now, slot, out);
            self.pause(slot, out);
            self.resume(slot, out);
        }
    }
}

fn may_split(operation: &Operation) -> bool {
    match operation {
        Operation::ReadComposite { .. } | Operation::WriteComposite { atomic: false, .. } => true,
        Operation::WriteComposite { atomic: true, .. }
        | Operation::Read { .. }
        | Operation::Discover { .. }
        | Operation::Write { .. }
        | Operation::WriteAttributes { .. }
        | Operation::Execute { .. }
        | Operation::Create { .. }
        | Operation::Delete { .. }
        | Operation::Observe { .. }
        | Operation::CancelObserve { .. }
        | Operation::ObserveComposite { .. }
        | Operation::CancelObserveComposite { .. }
        | Operation::Deregister
        | Operation::Firmware(_) => false,
    }
}
