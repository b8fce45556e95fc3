//! SUBSCRIBE and UNSUBSCRIBE.
use super::Broker;
use super::session::{Slot, Subscription};
use crate::link::{Effects, FromBroker, LinkId, SubscribeFilter};
use crate::message::QoS;
use crate::record::Record;
use crate::routes::SessionKey;
use crate::topic::TopicFilter;

impl Broker {
    /// Each filter is granted or refused for itself ([MQTT-3.8.4-5]); then SUBACK, then the retained messages, also
    /// for a filter that was there before ([MQTT-3.8.4-3]).
    pub(super) fn on_subscribe(
        &mut self,
        slot: Slot,
        link: LinkId,
        packet_id: u16,
        filters: Vec<SubscribeFilter>,
        out: &mut Effects,
    ) {
        let per_packet = self.ledger.limits.filters_per_packet_max;
        let mut granted = Vec::with_capacity(filters.len());
        let mut new = Vec::with_capacity(filters.len());
        for (at, SubscribeFilter { filter, qos }) in filters.into_iter().enumerate() {
            let filter = filter
                .ok()
                .filter(|_| at < per_packet)
                .filter(|filter| self.subscribe(slot, filter, qos, out));
            granted.push(filter.is_some().then_some(qos));
            match filter {
                Some(filter) => new.push((filter, qos)),
                None => self.ledger.counters.subscribes_refused += 1,
            }
        }
        out.events.push((link, FromBroker::Suback { packet_id, granted }));
        let mut budget = self.ledger.limits.slice_deliveries;
        for (filter, qos) in new {
            // Interpretation: a shared subscription gets no retained messages, as MQTT 5 §4.8.2 has it.
            if filter.as_filter().group().is_none() {
                self.start_replay(slot, filter, qos, &mut budget, out);
            }
        }
    }

    /// Takes one subscription in. False: refused.
    fn subscribe(&mut self, slot: Slot, filter: &TopicFilter, qos: QoS, out: &mut Effects) -> bool {
        let Some(session) = self.sessions.get_mut(slot) else { return false };
        if !self.ledger.acl.may_subscribe(&session.name, session.username(), session.is_local(), filter)
            || !self.watch.has_room(slot, filter)
        {
            return false;
        }
        let records = session.records(&self.ledger);
        match session.find_subscription(filter.as_str()) {
            Ok(at) => {
                if let Some(held) = session.subscriptions.get_mut(at) {
                    held.qos = qos;
                }
            }
            Err(at) => {
                if session.subscriptions.len() >= self.ledger.limits.subscriptions_max {
                    return false;
                }
                if session.subscriptions.is_empty() {
                    session.subscriptions.reserve_exact(1); // most devices have one
                }
                session.subscriptions.insert(at, Subscription { filter: filter.clone(), qos });
            }
        }
        if records {
            let filter = Box::from(filter.as_str());
            out.records.push(Record::Subscribed { session: session.id, filter, qos });
        }
        self.routes.subscribe(filter.as_filter(), SessionKey(slot), qos);
        self.watch.note(slot, filter);
        true
    }

    /// UNSUBACK comes in any case ([MQTT-3.10.4-5]); what is queued already is still delivered.
    pub(super) fn on_unsubscribe(
        &mut self,
        slot: Slot,
        link: LinkId,
        packet_id: u16,
        filters: &[TopicFilter],
        out: &mut Effects,
    ) {
        for filter in filters {
            let Some(session) = self.sessions.get_mut(slot) else { return };
            let Ok(at) = session.find_subscription(filter.as_str()) else { continue };
            session.subscriptions.remove(at);
            if session.records(&self.ledger) {
                let filter = Box::from(filter.as_str());
                out.records.push(Record::Unsubscribed { session: session.id, filter });
            }
            self.forget_subscription(slot, filter);
        }
        out.events.push((link, FromBroker::Unsuback { packet_id }));
    }

    /// A subscription that its session no longer has leaves the routes.
    pub(super) fn forget_subscription(&mut self, slot: Slot, filter: &TopicFilter) {
        self.routes.unsubscribe(filter.as_filter(), SessionKey(slot));
        self.stop_replay(slot, filter);
        self.watch.note_end(filter);
    }
}
