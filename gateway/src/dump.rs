//! SIGUSR2: the subscriptions and the retained messages in the log, as Mosquitto does, but bounded.
use broker_core::Broker;
use tracing::info;

/// Lines of each list.
const LINES_MAX: usize = 1000;
/// Bytes of a payload that are shown.
const PAYLOAD_SHOWN: usize = 64;

pub(crate) fn subscriptions(broker: &Broker) {
    let mut shown = 0;
    for (name, filter, qos) in broker.subscriptions(0).take(LINES_MAX) {
        info!("subscription: {name:?} {filter:?} QoS {}", qos as u8);
        shown += 1;
    }
    rest("subscriptions", shown, broker.status().subscriptions);
}

pub(crate) fn retained(broker: &Broker) {
    let (mut shown, mut own) = (0, 0);
    broker.retained(
        &mut broker_core::retained::RetainedCursor::default(),
        LINES_MAX,
        |message, since_unix_ms| {
            if message.topic().starts_with("$SYS/") {
                own += 1;
                return;
            }
            shown += 1;
            let payload = message.payload();
            let start = payload.get(..PAYLOAD_SHOWN).unwrap_or(payload);
            info!(
                "retained: {:?} QoS {} since {since_unix_ms}, {} bytes: {:?}",
                message.topic(),
                message.qos() as u8,
                payload.len(),
                String::from_utf8_lossy(start)
            );
        },
    );
    rest("retained messages beside $SYS", shown, broker.status().retained.saturating_sub(own));
}

fn rest(what: &str, shown: usize, all: usize) {
    if all > shown {
        info!("{} more {what} not shown", all - shown);
    } else {
        info!("{all} {what} in all");
    }
}
