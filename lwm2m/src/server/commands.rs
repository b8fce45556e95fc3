//! Commands as they arrive on the service session: checked at once, then put into the queue of their device.
//!
//! The asker's acknowledgement means that the service session has the command; putting it into the device's session
//! acknowledges it there in the same commit. Each command gets exactly one final answer: here, by its fate, or by the
//! job that runs it.
use super::Lwm2mServer;
use super::job::Origin;
use super::topics::{Leaf, Place};
use crate::catalog::Model;
use crate::coap::Code;
use crate::command::{self, Answer, Asker, Channel, Command, Operation};
use crate::device::{EndReason, Phase};
use crate::limits::DIRECT_JOBS_MAX;
use broker_core::frontend::Actions;
use broker_core::link::{DELIVERY_OVERHEAD, Delivery, DropReason, Enqueue, Fate, MessageFate};
use broker_core::{Message, Now, PacketId, QoS, SessionName, ToBroker};
use std::time::Duration;

impl Lwm2mServer {
    /// Reads a command with the resource types of this device.
    pub(super) fn read_command(
        &self,
        slot: Option<u32>,
        channel: Channel,
        payload: &[u8],
    ) -> Result<Command, Box<Answer>> {
        let device = slot.and_then(|slot| self.devices.get(slot));
        let versions = Self::versions(device);
        let model = self.model(device, &versions);
        command::read(channel, payload, &|path| model.data_type(path.object_id()?, path.resource_id()?))
    }

    /// A message on one of the command topics.
    pub(super) fn on_command(&mut self, now: Now, delivery: Delivery, out: &mut Actions) {
        let bytes = u32::try_from(delivery.message.cost() + DELIVERY_OVERHEAD).unwrap_or(u32::MAX);
        let packet_id = delivery.packet_id;
        let acknowledged = self.take_command(now, &delivery, out);
        if let (Some(packet_id), false) = (packet_id, acknowledged) {
            self.service_request(ToBroker::Puback(packet_id), out);
        }
        self.service_request(ToBroker::Credit { bytes }, out);
    }

    /// Says whether the delivery was acknowledged on the way.
    fn take_command(&mut self, now: Now, delivery: &Delivery, out: &mut Actions) -> bool {
        let message = &delivery.message;
        let Some((place, channel)) = self.config.topics.parse(message.topic()) else { return false };
        if delivery.retain {
            // Found when subscribing: it would run at every start.
            self.counters.commands_retained += 1;
            return false;
        }
        if message.retain() && message.payload().is_empty() {
            self.counters.commands_retained += 1; // it clears a retained command and is none
            return false;
        }
        self.counters.commands += 1;
        if message.retain() {
            let asker = command::asker(channel, message.payload());
            let answer = Answer::failed(asker, Code::BAD_REQUEST, "retained commands are not run");
            self.refuse_command(place, &answer, out);
            return false;
        }
        let slot = self.at_place(place);
        if slot.is_none() && self.config.transparent {
            return false; // whoever has the endpoint answers, also what cannot be read
        }
        let command = match self.read_command(slot, channel, message.payload()) {
            Ok(command) => command,
            Err(answer) => {
                self.refuse_command(place, &answer, out);
                return false;
            }
        };
        match slot {
            Some(slot) => self.accept_command(now, slot, command, message, delivery.packet_id, out),
            None => {
                let answer = Answer::not_registered(command.asker, "no such endpoint is registered");
                self.refuse_command(place, &answer, out);
                false
            }
        }
    }

    fn accept_command(
        &mut self,
        now: Now,
        slot: u32,
        command: Command,
        message: &Message,
        packet_id: Option<PacketId>,
        out: &mut Actions,
    ) -> bool {
        let Some(device) = self.devices.get_mut(slot) else { return false };
        let endpoint = device.registration.endpoint.clone();
        if command.operation == Operation::Deregister {
            self.end(now, slot, EndReason::Commanded, None, out);
            self.publish_answer(slot, &Answer::new(command.asker, Code::DELETED), out);
            return false;
        }
        if command.ttl == Some(0) {
            if !device.is_ready() {
                let answer =
                    Answer::failed(command.asker, Code::GATEWAY_TIMEOUT, "the device sleeps, and TTL is 0");
                self.counters.commands_refused += 1;
                self.publish_answer(slot, &answer, out);
            } else if device.jobs.len() >= DIRECT_JOBS_MAX {
                let answer =
                    Answer::failed(command.asker, Code::SERVICE_UNAVAILABLE, "too many commands at once");
                self.counters.commands_refused += 1;
                self.publish_answer(slot, &answer, out);
            } else {
                self.start_job(now, slot, Origin::Direct, command, out);
            }
            return false;
        }
        device.waiting = device.waiting.saturating_add(1);
        let waits = device.waiting > 1 || !device.is_ready();
        let ttl = command.ttl.unwrap_or(self.config.command_ttl_s);
        let enqueue = Enqueue {
            session: SessionName::Endpoint(endpoint),
            // Of QoS 1 whatever the asker chose: it waits, and is gone when it is answered.
            message: Message::new(message.topic(), message.payload(), QoS::AtLeastOnce, false),
            expires: Some(Duration::from_secs(ttl)),
            tag: 0,
            acknowledges: packet_id,
        };
        if waits {
            self.command_event(now, slot, &command.asker, "queued", out);
        }
        self.service_request(ToBroker::Enqueue(Box::new(enqueue)), out);
        packet_id.is_some()
    }

    fn refuse_command(&mut self, place: Place<'_>, answer: &Answer, out: &mut Actions) {
        self.counters.commands_refused += 1;
        self.publish_answer_at(place, answer, out);
    }

    /// What became of a command in its device's queue.
    pub(super) fn on_fate(&mut self, now: Now, fate: Fate, out: &mut Actions) {
        let slot = self.devices.by_name(fate.session.as_str());
        if let Some(device) = slot.and_then(|slot| self.devices.get_mut(slot)) {
            device.waiting = device.waiting.saturating_sub(1);
        }
        let Some((place, channel)) = self.config.topics.parse(fate.message.topic()) else { return };
        let asker = |fate: &Fate| command::asker(channel, fate.message.payload());
        let (answer, state) = match fate.fate {
            MessageFate::Delivered => return, // its job has answered it
            MessageFate::Expired => {
                let reason = "its time was over before the device could be reached";
                (Answer::failed(asker(&fate), Code::GATEWAY_TIMEOUT, reason), "expired")
            }
            MessageFate::NoSession | MessageFate::Dropped(DropReason::SessionEnded) => {
                let reason = "the registration ended before the command could be run";
                (Answer::not_registered(asker(&fate), reason), "dropped")
            }
            MessageFate::Dropped(
                reason @ (DropReason::QueueFull
                | DropReason::TooLarge
                | DropReason::Memory
                | DropReason::Denied
                | DropReason::Expired
                | DropReason::NoSubscriber
                | DropReason::Offline
                | DropReason::Rejected
                | DropReason::GivenUp
                | DropReason::RetainedFull),
            ) => {
                let reason = match reason {
                    DropReason::QueueFull => "the device's queue is full",
                    DropReason::TooLarge => "the command is larger than the device's queue",
                    DropReason::Memory => "the gateway's memory for queues is full",
                    DropReason::Denied
                    | DropReason::Expired
                    | DropReason::NoSubscriber
                    | DropReason::Offline
                    | DropReason::Rejected
                    | DropReason::GivenUp
                    | DropReason::SessionEnded
                    | DropReason::RetainedFull => "the command was dropped",
                };
                (Answer::failed(asker(&fate), Code::SERVICE_UNAVAILABLE, reason), "dropped")
            }
        };
        if let Some(slot) = slot {
            self.command_event(now, slot, &answer.asker, state, out);
        }
        self.publish_answer_at(place, &answer, out);
    }

    /// Publishes the final answer to a command.
    pub(super) fn publish_answer(&mut self, slot: u32, answer: &Answer, out: &mut Actions) {
        self.counters.answers += 1;
        self.publish_reply(slot, &answer.asker, answer.is_notification(), &answer.to_json(), out);
    }

    /// The same where no device needs to be: in the place that the command's own topic names.
    fn publish_answer_at(&mut self, place: Place<'_>, answer: &Answer, out: &mut Actions) {
        self.counters.answers += 1;
        let leaf = self.reply_leaf(&answer.asker, answer.is_notification());
        if leaf.name.is_empty() {
            return;
        }
        let (topic, qos) = (self.config.topics.of(place, &leaf.name), leaf.qos);
        self.publish(&topic, answer.to_json().as_bytes(), qos, false, out);
    }

    /// Publishes something for an asker, on the topic that its own topic leads to.
    pub(super) fn publish_reply(
        &mut self,
        slot: u32,
        asker: &Asker,
        notification: bool,
        json: &str,
        out: &mut Actions,
    ) {
        let leaf = self.reply_leaf(asker, notification);
        let (Some(topic), qos) = (self.topic(slot, leaf), leaf.qos) else { return };
        self.publish(&topic, json.as_bytes(), qos, false, out);
    }

    fn reply_leaf(&self, asker: &Asker, notification: bool) -> &Leaf {
        let topics = &self.config.topics;
        match (asker.channel, notification) {
            (Channel::Command, _) => &topics.response,
            (Channel::Downlink, false) => &topics.uplink,
            (Channel::Downlink, true) => &topics.notify,
        }
    }

    /// Whether a device may be found by commands.
    pub(super) fn is_registered(&self, slot: u32) -> bool {
        self.devices.get(slot).is_some_and(|device| match device.phase {
            Phase::Registered | Phase::Storing(_) => true,
            Phase::Attaching(_) | Phase::Restoring | Phase::Ending(_) => false,
        })
    }
}
