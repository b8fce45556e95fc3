//! Answers of devices: another format, another part, or the final answer to a command.
use super::{Lwm2mServer, formats};
use crate::coap::{Code, IncomingResponse, Options};
use crate::command::{Answer, Asker, Content, Item, Operation, PathFailure};
use crate::content::{self, ContentError, ContentFormat, Entry, link};
use crate::limits::{DIAGNOSTIC_BYTES_MAX, RAW_BYTES_MAX, excerpt};
use crate::path::ObjectPath;
use crate::value::base64;
use broker_core::Now;
use broker_core::frontend::{Actions, Address};
use coap_lite::CoapOption;

/// What a response brought, before it is somebody's answer.
pub(super) struct Outcome {
    pub(super) code: Code,
    pub(super) content: Content,
    pub(super) location: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) raw: Option<String>,
}

impl Outcome {
    fn new(code: Code) -> Outcome {
        Outcome { code, content: Content::None, location: None, reason: None, raw: None }
    }

    pub(super) fn answer(self, asker: Asker) -> Answer {
        let Outcome { code, content, location, reason, raw } = self;
        Answer { content, location, reason, raw, ..Answer::new(asker, code) }
    }
}

impl Lwm2mServer {
    pub(super) fn on_response(&mut self, now: Now, response: IncomingResponse<Address>, out: &mut Actions) {
        let Some(id) = self.jobs.by_tag(response.tag) else { return };
        let Some(job) = self.jobs.get_mut(id) else { return };
        job.exchange = None;
        let slot = job.device;
        if let Some(device) = self.devices.get_mut(slot) {
            device.validated = true; // it has answered to a token that only it could see
        }
        if self.try_next_format(now, id, response.code, out) {
            return;
        }
        let lacks = matches!(response.code, Code::METHOD_NOT_ALLOWED | Code::NOT_IMPLEMENTED);
        if lacks && self.split_job(now, id, out) {
            return;
        }
        self.remember_format(slot, id, response.code);
        let Some(job) = self.jobs.get(id) else { return };
        let base = job.attempt.base;
        let accepted = job.attempt.choices.first().copied().flatten();
        let split_at = job.split.as_ref().map(|split| split.at);
        let operation = job.command.operation.clone();
        let asker = job.command.asker.clone();
        let mut outcome = self.outcome(now, slot, &operation, base, accepted, &response);
        if split_at.is_some() {
            return self.on_part(now, id, outcome, out);
        }
        self.note_observed(id, &response, &mut outcome);
        self.finish_job(now, id, outcome.answer(asker), out);
    }

    /// Repeats the step in the next format when this answer may be about the format.
    fn try_next_format(&mut self, now: Now, id: u32, code: Code, out: &mut Actions) -> bool {
        let Some(job) = self.jobs.get_mut(id) else { return false };
        let attempt = &mut job.attempt;
        let Some(what) = attempt.what else { return false };
        if attempt.choices.len() < 2 || !formats::is_about_format(what, code, attempt.proven) {
            return false;
        }
        attempt.choices.remove(0);
        attempt.proven = false;
        self.counters.format_retries += 1;
        self.send_step(now, id, out);
        true
    }

    fn remember_format(&mut self, slot: u32, id: u32, code: Code) {
        let Some(attempt) = self.jobs.get(id).map(|job| &job.attempt) else { return };
        if let (Some(what), Some(choice)) = (attempt.what, attempt.choices.first())
            && code.is_success()
            && let Some(device) = self.devices.get_mut(slot)
        {
            device.learned.set(what, *choice); // goes into the memo with the next change of it
        }
    }

    /// One part of a split operation is done.
    fn on_part(&mut self, now: Now, id: u32, outcome: Outcome, out: &mut Actions) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let path = job.attempt.base;
        if let Some(split) = &mut job.split {
            if !outcome.code.is_success() {
                split.failures.push(PathFailure { path, code: outcome.code });
            }
            if let Content::Values(items) = outcome.content {
                split.items.extend(items);
            }
        }
        if self.next_part(now, id, out) {
            return;
        }
        let Some(job) = self.jobs.get_mut(id) else { return };
        let asker = job.command.asker.clone();
        let reads = matches!(job.command.operation, Operation::ReadComposite { .. });
        let parts = job.split.as_ref().map_or(0, |split| split.at);
        let Some(split) = job.split.take() else { return };
        let success = if reads { Code::CONTENT } else { Code::CHANGED };
        let code = match split.failures.first() {
            Some(first) if split.failures.len() >= parts => first.code,
            Some(_) | None => success,
        };
        let content = if reads && code.is_success() { Content::Values(split.items) } else { Content::None };
        let answer = Answer { content, split: Some(split.failures), ..Answer::new(asker, code) };
        self.finish_job(now, id, answer, out);
    }

    /// What a response says about this operation.
    fn outcome(
        &mut self,
        now: Now,
        slot: u32,
        operation: &Operation,
        base: ObjectPath,
        accepted: Option<u16>,
        response: &IncomingResponse<Address>,
    ) -> Outcome {
        let code = response.code;
        if !code.is_success() {
            return Outcome {
                reason: diagnostic(&response.options, &response.payload),
                ..Outcome::new(code)
            };
        }
        match operation {
            // It was about the observation, and some devices send no value back.
            Operation::CancelObserve { .. } | Operation::CancelObserveComposite { .. }
                if response.payload.is_empty() =>
            {
                Outcome::new(Code::CONTENT)
            }
            Operation::Read { .. }
            | Operation::Observe { .. }
            | Operation::CancelObserve { .. }
            | Operation::ReadComposite { .. }
            | Operation::ObserveComposite { .. }
            | Operation::CancelObserveComposite { .. } => {
                self.values(now, slot, base, accepted, code, &response.options, &response.payload)
            }
            Operation::Discover { .. } => self.links(code, &response.payload),
            // EMQX's devices answer a write with 2.05: without a payload that means "no".
            Operation::Write { .. } if code == Code::CONTENT => {
                let empty = response.payload.is_empty();
                Outcome::new(if empty { Code::METHOD_NOT_ALLOWED } else { Code::CHANGED })
            }
            Operation::Create { object, instance, entries } => {
                let root = self.devices.get(slot).map(|device| device.registration.objects.root.clone());
                let told = location(&response.options, root.as_deref());
                // A device need not tell an id that it was given; the asker hears of it all the same.
                let alone = entries.iter().all(|entry| entry.path.instance_id() == *instance);
                let given = instance.filter(|_| code == Code::CREATED && alone);
                let known = given.and_then(|id| object.child(id).ok()).map(|path| path.to_string());
                Outcome { location: told.or(known), ..Outcome::new(code) }
            }
            Operation::Write { .. }
            | Operation::WriteComposite { .. }
            | Operation::WriteAttributes { .. }
            | Operation::Execute { .. }
            | Operation::Delete { .. }
            | Operation::Deregister
            | Operation::Firmware(_) => Outcome::new(code),
        }
    }

    /// The values of a response or notification.
    #[allow(clippy::too_many_arguments)] // The parts of one message.
    pub(super) fn values(
        &mut self,
        now: Now,
        slot: u32,
        base: ObjectPath,
        accepted: Option<u16>,
        code: Code,
        options: &Options,
        payload: &[u8],
    ) -> Outcome {
        let decode = |number: u16| {
            let format = ContentFormat::from_number(number)?;
            let decoded = self.with_context(now, slot, |cx| content::decode(format, base, payload, cx));
            decoded.unwrap_or(Ok(Vec::new()))
        };
        let decoded = match options.content_format() {
            Some(number) => decode(number),
            None if payload.is_empty() => Err(ContentError::Shape("an answer with nothing in it".into())),
            None => {
                // Nothing is said (RFC 7252 §5.5.1): what was asked for, if it is that; else text for one value and
                // TLV for many, as LwM2M 1.0 does. A text may begin like TLV of a resource instance.
                let plain = if base.depth() >= 3 { ContentFormat::Text } else { ContentFormat::Tlv }.number();
                let asked = accepted.filter(|number| {
                    let tlv = *number == ContentFormat::Tlv.number();
                    !(tlv && base.depth() == 3 && payload.first().is_some_and(|byte| byte >> 6 < 2))
                });
                let first = decode(asked.unwrap_or(plain));
                first.or_else(|error| decode(plain).map_err(|_| error))
            }
        };
        match decoded {
            Ok(entries) => {
                // 2.04 is tolerated for an observation (1.1.1 Transport §6.4.5): values are content.
                let code = if code == Code::CHANGED { Code::CONTENT } else { code };
                Outcome { content: Content::Values(self.items(slot, entries)), ..Outcome::new(code) }
            }
            Err(error) => {
                self.counters.undecodable += 1;
                let raw = (payload.len() <= RAW_BYTES_MAX).then(|| base64::encode(payload));
                Outcome { reason: Some(error.to_string()), raw, ..Outcome::new(Code::BAD_REQUEST) }
            }
        }
    }

    fn links(&mut self, code: Code, payload: &[u8]) -> Outcome {
        match link::decode(payload, &self.limits) {
            Ok(links) => {
                let text = String::from_utf8_lossy(payload).into_owned();
                let links = links.iter().map(link::Link::without_bare_attributes).collect();
                Outcome { content: Content::Links { text, links }, ..Outcome::new(code) }
            }
            Err(error) => {
                self.counters.undecodable += 1;
                let raw = (payload.len() <= RAW_BYTES_MAX).then(|| base64::encode(payload));
                Outcome { reason: Some(error.to_string()), raw, ..Outcome::new(Code::BAD_REQUEST) }
            }
        }
    }

    /// Values as they are shown: with their type where no model gave them one, with details where those are wanted.
    pub(super) fn items(&self, slot: u32, entries: Vec<Entry>) -> Vec<Item> {
        let device = self.devices.get(slot);
        let versions = Self::versions(device);
        let model = self.model(device, &versions);
        let one = |entry: Entry| {
            let ids = entry.path.object_id().zip(entry.path.resource_id());
            let known = ids.and_then(|(object, resource)| {
                self.catalog.resource(object, Some(model.version(object)), resource)
            });
            let details = self.config.content_details;
            let modelled = known.and_then(|resource| resource.data_type());
            Item {
                data_type: match modelled {
                    Some(data_type) => details.then_some(data_type),
                    None => Some(entry.value.data_type()),
                },
                name: known.filter(|_| details).map(|resource| resource.name().into()),
                units: known
                    .filter(|resource| details && !resource.units().is_empty())
                    .map(|resource| resource.units().into()),
                entry,
            }
        };
        entries.into_iter().map(one).collect()
    }
}

/// The diagnostic text of an error (RFC 7252 §5.5.2), fit to be shown.
pub(super) fn diagnostic(options: &Options, payload: &[u8]) -> Option<String> {
    if payload.is_empty() || options.content_format().is_some_and(|format| format != 0) {
        return None;
    }
    let cut = payload.get(..DIAGNOSTIC_BYTES_MAX).unwrap_or(payload);
    let text = String::from_utf8_lossy(cut);
    Some(excerpt_of(&text))
}

fn excerpt_of(text: &str) -> String {
    let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if shown.trim().is_empty() { excerpt(&shown) } else { shown.trim().to_owned() }
}

/// Where a new instance is, without the alternate path.
fn location(options: &Options, root: Option<&str>) -> Option<String> {
    let segments: Vec<String> = options
        .all(CoapOption::LocationPath)
        .map(|segment| String::from_utf8_lossy(segment).into_owned())
        .collect();
    if segments.is_empty() {
        return None;
    }
    // Some devices put the whole path into one option.
    let whole = format!("/{}", segments.join("/").trim_start_matches('/'));
    let root = root.unwrap_or_default();
    let own = whole.strip_prefix(root).filter(|rest| rest.starts_with('/')).unwrap_or(&whole);
    Some(own.to_owned())
}
