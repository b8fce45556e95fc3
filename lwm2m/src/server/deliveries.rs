//! Commands as they come out of a device's queue, one at a time: the acknowledgement of one brings the next.
use super::Lwm2mServer;
use super::job::Origin;
use crate::coap::Code;
use crate::command::Answer;
use broker_core::frontend::Actions;
use broker_core::link::{DELIVERY_OVERHEAD, Delivery};
use broker_core::{Now, PacketId, ToBroker};

impl Lwm2mServer {
    pub(super) fn on_delivery(&mut self, now: Now, slot: u32, delivery: Delivery, out: &mut Actions) {
        let cost = u32::try_from(delivery.message.cost() + DELIVERY_OVERHEAD).unwrap_or(u32::MAX);
        let Some(packet_id) = delivery.packet_id else {
            return self.request(slot, ToBroker::Credit { bytes: cost }, out); // nothing of ours has QoS 0
        };
        let message = &delivery.message;
        let Some((_, channel)) = self.config.topics.parse(message.topic()) else {
            return self.done(slot, packet_id, cost, out);
        };
        match self.read_command(Some(slot), channel, message.payload()) {
            Ok(command) if delivery.dup && !command.operation.may_repeat() => {
                // It was on its way before a restart of the gateway or the device, and may have run.
                let reason = "the command was interrupted; it may have run";
                let answer = Answer::failed(command.asker, Code::GATEWAY_TIMEOUT, reason);
                self.finish_command(now, slot, &answer, out);
                self.done(slot, packet_id, cost, out);
            }
            Ok(command) => {
                self.command_event(now, slot, &command.asker, "sent", out);
                self.start_job(now, slot, Origin::Queued { packet_id, cost }, command, out);
            }
            Err(answer) => {
                // The object definitions have changed while it waited.
                self.finish_command(now, slot, &answer, out);
                self.done(slot, packet_id, cost, out);
            }
        }
    }

    /// A delivery is dealt with: the next may come.
    pub(super) fn done(&mut self, slot: u32, packet_id: PacketId, cost: u32, out: &mut Actions) {
        self.request(slot, ToBroker::Puback(packet_id), out);
        self.request(slot, ToBroker::Credit { bytes: cost }, out);
    }

    /// Publishes a command's final answer with its event.
    pub(super) fn finish_command(&mut self, now: Now, slot: u32, answer: &Answer, out: &mut Actions) {
        self.publish_answer(slot, answer, out);
        self.command_event(now, slot, &answer.asker, "answered", out);
    }
}
