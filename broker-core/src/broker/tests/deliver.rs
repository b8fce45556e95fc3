//! Publishing, queueing, in-flight.
use super::*;

#[test]
fn each_qos_runs_its_exchange() {
    let mut house = House::new();
    house.client(1, "s");
    house.client(2, "p");
    house.subscribe(1, "t/#", Q2);
    house.publish(2, "t/0", "a", Q0);
    assert_eq!(house.messages(1), ["t/0=a/0"]);
    assert_eq!(house.heard(2), []);

    house.publish(2, "t/1", "b", Q1);
    assert_eq!(house.heard(2), [FromBroker::Puback { packet_id: pid(1), outcome: PublishOutcome::Accepted }]);
    let events = house.heard(1);
    assert_eq!(events.iter().filter_map(shown).collect::<Vec<_>>(), ["t/1=b/1"]);
    house.say(1, ToBroker::Puback(packet_ids(&events)[0]));

    house.publish(2, "t/2", "c", Q2);
    assert_eq!(house.heard(2), [FromBroker::Pubrec { packet_id: pid(1), outcome: PublishOutcome::Accepted }]);
    assert_eq!(house.heard(1), [], "routed at PUBREL");
    house.say(2, ToBroker::Pubrel(pid(1)));
    assert_eq!(house.heard(2), [FromBroker::Pubcomp(pid(1))]);
    let events = house.heard(1);
    assert_eq!(events.iter().filter_map(shown).collect::<Vec<_>>(), ["t/2=c/2"]);
    let id = packet_ids(&events)[0];
    house.say(1, ToBroker::Pubrec(id));
    assert_eq!(house.heard(1), [FromBroker::Pubrel(id)]);
    house.say(1, ToBroker::Pubcomp(id));
    assert_eq!(house.heard(1), []);
    assert_eq!(house.broker.status().held_messages, 0);
    assert_eq!(house.broker.counters().acks_unexpected, 0);
}
