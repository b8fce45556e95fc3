//! The normative statements of MQTT 3.1.1 (its appendix B), in our words, and who can break them.
//!
//! A spec test carries the statement's number in its name: `mqtt_3_1_0_2_second_connect_closes` is evidence for
//! [MQTT-3.1.0-2]. The index test lists the statements that a server can break and that have no such test.

/// Who can break a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Breaker {
    /// A server, alone or as one of both ends.
    Server,
    /// Only a client.
    Client,
    /// Only an end that speaks MQTT over WebSocket.
    WebSocket,
}

/// One normative statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Statement {
    /// Number without the prefix, such as `3.1.0-2`.
    pub id: &'static str,
    /// Who can break it.
    pub breaker: Breaker,
    /// What it demands.
    pub demand: &'static str,
}

impl Statement {
    /// The prefix of its tests' names, such as `mqtt_3_1_0_2_`.
    pub fn test_prefix(&self) -> String {
        format!("mqtt_{}_", self.id.replace(['.', '-'], "_"))
    }
}

const fn s(id: &'static str, demand: &'static str) -> Statement {
    Statement { id, breaker: Breaker::Server, demand }
}

const fn c(id: &'static str, demand: &'static str) -> Statement {
    Statement { id, breaker: Breaker::Client, demand }
}

const fn w(id: &'static str, demand: &'static str) -> Statement {
    Statement { id, breaker: Breaker::WebSocket, demand }
}

/// All of them, in the order of the specification.
pub const STATEMENTS: &[Statement] = &[
    s("1.5.3-1", "ill-formed UTF-8 or surrogates in a string close the connection"),
    s("1.5.3-2", "U+0000 in a string closes the connection"),
    s("1.5.3-3", "EF BB BF is U+FEFF and is never stripped"),
    s("2.2.2-1", "reserved flag bits are sent with their listed values"),
    s("2.2.2-2", "invalid flags close the connection"),
    s("2.3.1-1", "SUBSCRIBE, UNSUBSCRIBE and PUBLISH with QoS > 0 carry a packet id other than 0"),
    c("2.3.1-2", "a client gives each new packet an unused id"),
    c("2.3.1-3", "a client repeats a packet under the same id"),
    s("2.3.1-4", "a server gives each new QoS > 0 PUBLISH an unused id"),
    s("2.3.1-5", "a QoS 0 PUBLISH has no packet id"),
    s("2.3.1-6", "PUBACK, PUBREC and PUBREL carry the id of their PUBLISH"),
    s("2.3.1-7", "SUBACK and UNSUBACK carry the id of their request"),
    s("3.1.0-1", "the first packet of a client is CONNECT, anything else closes"),
    s("3.1.0-2", "a second CONNECT closes the connection"),
    s("3.1.2-1", "a wrong protocol name is not served under this specification"),
    s("3.1.2-2", "an unsupported protocol level gets CONNACK 1 and a close"),
    s("3.1.2-3", "the reserved connect flag is checked"),
    s("3.1.2-4", "CleanSession 0 resumes the stored session or makes one"),
    s("3.1.2-5", "QoS 1 and 2 messages are kept for an offline CleanSession 0 client"),
    s("3.1.2-6", "CleanSession 1 discards the previous session, and its own at the end"),
    s("3.1.2-7", "retained messages outlive the session that published them"),
    s("3.1.2-8", "the will is published when the connection ends without DISCONNECT"),
    s("3.1.2-9", "with the will flag, will topic and message are in the payload and used"),
    s("3.1.2-10", "a will is removed once published or on DISCONNECT"),
    s("3.1.2-11", "without the will flag, will QoS and retain are 0 and the fields are absent"),
    s("3.1.2-12", "without the will flag no will is published"),
    s("3.1.2-13", "without the will flag will QoS is 0"),
    s("3.1.2-14", "will QoS 3 is refused"),
    s("3.1.2-15", "without the will flag will retain is 0"),
    s("3.1.2-16", "a will without retain is published non-retained"),
    s("3.1.2-17", "a will with retain is published retained"),
    s("3.1.2-18", "without the user name flag there is no user name"),
    s("3.1.2-19", "with the user name flag there is a user name"),
    s("3.1.2-20", "without the password flag there is no password"),
    s("3.1.2-21", "with the password flag there is a password"),
    s("3.1.2-22", "a password needs a user name"),
    c("3.1.2-23", "a client keeps its keep-alive"),
    s("3.1.2-24", "silence of one and a half keep-alive periods ends the connection"),
    s("3.1.3-1", "payload fields come in the listed order"),
    s("3.1.3-2", "the ClientId names the session"),
    s("3.1.3-3", "the ClientId is the first payload field and present"),
    s("3.1.3-4", "the ClientId is UTF-8"),
    s("3.1.3-5", "ClientIds of 1 to 23 letters and digits are allowed"),
    s("3.1.3-6", "a zero-length ClientId gets a unique one"),
    c("3.1.3-7", "a client with a zero-length ClientId sets CleanSession 1"),
    s("3.1.3-8", "a zero-length ClientId with CleanSession 0 gets CONNACK 2 and a close"),
    s("3.1.3-9", "a refused ClientId gets CONNACK 2 and a close"),
    s("3.1.3-10", "the will topic is UTF-8"),
    s("3.1.3-11", "the user name is UTF-8"),
    s("3.1.4-1", "an invalid CONNECT is closed without CONNACK"),
    s("3.1.4-2", "a second connection of one ClientId ends the first"),
    s("3.1.4-3", "CleanSession is processed as described"),
    s("3.1.4-4", "a valid CONNECT gets CONNACK 0"),
    s("3.1.4-5", "nothing after a refused CONNECT is processed"),
    s("3.2.0-1", "the first packet of a server is CONNACK"),
    s("3.2.2-1", "CleanSession 1 has session present 0"),
    s("3.2.2-2", "CleanSession 0 with a stored session has session present 1"),
    s("3.2.2-3", "CleanSession 0 without one has session present 0"),
    s("3.2.2-4", "a refusal has session present 0"),
    s("3.2.2-5", "a refusal closes the connection"),
    s("3.2.2-6", "where no return code fits the connection closes without CONNACK"),
    s("3.3.1-1", "a re-delivery has DUP 1"),
    s("3.3.1-2", "QoS 0 has DUP 0"),
    s("3.3.1-3", "the outgoing DUP does not come from the incoming one"),
    s("3.3.1-4", "QoS 3 closes the connection"),
    s("3.3.1-5", "RETAIN 1 stores the message for new subscribers"),
    s("3.3.1-6", "a new subscription gets the last retained message"),
    s("3.3.1-7", "a QoS 0 retained message replaces the stored one"),
    s("3.3.1-8", "a retained message sent for a new subscription has RETAIN 1"),
    s("3.3.1-9", "a message for an established subscription has RETAIN 0"),
    s("3.3.1-10", "an empty retained message is delivered and removes the stored one"),
    s("3.3.1-11", "an empty retained message is not stored"),
    s("3.3.1-12", "RETAIN 0 neither stores nor replaces"),
    s("3.3.2-1", "the topic name is the first field and UTF-8"),
    s("3.3.2-2", "a topic name with a wildcard closes the connection"),
    s("3.3.2-3", "a delivered topic name matches the subscription's filter"),
    s("3.3.4-1", "a PUBLISH is answered as its QoS says"),
    s("3.3.5-1", "overlapping subscriptions deliver at the highest QoS"),
    s("3.3.5-2", "an unauthorised PUBLISH is acknowledged or closes the connection"),
    s("3.6.1-1", "PUBREL flags other than 2 close the connection"),
    s("3.8.1-1", "SUBSCRIBE flags other than 2 close the connection"),
    s("3.8.3-1", "filters in SUBSCRIBE are UTF-8"),
    s("3.8.3-2", "wildcard filters are supported or refused"),
    s("3.8.3-3", "SUBSCRIBE without a filter is a violation"),
    s("3.8.3-4", "reserved bits or QoS 3 in SUBSCRIBE close the connection"),
    s("3.8.4-1", "SUBSCRIBE is answered by SUBACK"),
    s("3.8.4-2", "SUBACK has the id of its SUBSCRIBE"),
    s("3.8.4-3", "an identical filter replaces the subscription and sends retained messages again"),
    s("3.8.4-4", "several filters count as several SUBSCRIBEs with one SUBACK"),
    s("3.8.4-5", "SUBACK has a code for each filter"),
    s("3.8.4-6", "a delivery has the lower of published and granted QoS"),
    s("3.9.3-1", "codes in SUBACK stand in the order of the filters"),
    s("3.9.3-2", "SUBACK codes are 0, 1, 2 or 128"),
    s("3.10.1-1", "UNSUBSCRIBE flags other than 2 close the connection"),
    s("3.10.3-1", "filters in UNSUBSCRIBE are UTF-8"),
    s("3.10.3-2", "UNSUBSCRIBE without a filter is a violation"),
    s("3.10.4-1", "UNSUBSCRIBE removes exactly the same filter"),
    s("3.10.4-2", "no new message is added for a removed subscription"),
    s("3.10.4-3", "deliveries under way are completed after UNSUBSCRIBE"),
    s("3.10.4-4", "UNSUBACK has the id of its UNSUBSCRIBE"),
    s("3.10.4-5", "UNSUBACK comes even when nothing was removed"),
    s("3.10.4-6", "several filters count as several UNSUBSCRIBEs with one UNSUBACK"),
    s("3.12.4-1", "PINGREQ is answered by PINGRESP"),
    s("3.14.1-1", "DISCONNECT with flags closes as a violation"),
    c("3.14.4-1", "a client closes after DISCONNECT"),
    c("3.14.4-2", "a client sends nothing after DISCONNECT"),
    s("3.14.4-3", "DISCONNECT discards the will"),
    s("4.1.0-1", "session state is kept while the connection lasts"),
    s("4.1.0-2", "a session lasts at least as long as its connection"),
    s("4.2.0-1", "the transport is an ordered, lossless stream"),
    s("4.3.1-1", "QoS 0 is sent once with DUP 0"),
    s("4.3.2-1", "QoS 1 sender: unused id, resent until PUBACK"),
    s("4.3.2-2", "QoS 1 receiver: PUBACK, and a new message after it"),
    s("4.3.3-1", "QoS 2 sender: PUBLISH, PUBREL with the same id, nothing reused before PUBCOMP"),
    s("4.3.3-2", "QoS 2 receiver: PUBREC, routed once, PUBCOMP"),
    s("4.4.0-1", "unacknowledged PUBLISH and PUBREL are sent again at reconnect with their ids"),
    s("4.5.0-1", "a message is added to the session of every matching client"),
    c("4.5.0-2", "a client acknowledges whatever it thinks of the message"),
    s("4.6.0-1", "PUBLISH packets are resent in their order"),
    s("4.6.0-2", "PUBACKs come in the order of the PUBLISHes"),
    s("4.6.0-3", "PUBRECs come in the order of the PUBLISHes"),
    s("4.6.0-4", "PUBRELs come in the order of the PUBRECs"),
    s("4.6.0-5", "every topic is ordered by default"),
    s("4.6.0-6", "messages of one publisher, topic and QoS arrive in their order"),
    s("4.7.1-1", "wildcards live in filters, not in topic names"),
    s("4.7.1-2", "the multi-level wildcard stands last and alone in its level"),
    s("4.7.1-3", "the single-level wildcard stands alone in its level"),
    s("4.7.2-1", "topics with a leading $ do not match a leading wildcard"),
    s("4.7.3-1", "topics and filters have at least one character"),
    s("4.7.3-2", "topics and filters have no U+0000"),
    s("4.7.3-3", "topics and filters have at most 65535 bytes"),
    s("4.7.3-4", "topics are compared without normalisation"),
    s("4.8.0-1", "a protocol violation closes the connection that broke it"),
    s("4.8.0-2", "an internal transient error closes the connection"),
    w("6.0.0-1", "MQTT rides in binary WebSocket frames"),
    w("6.0.0-2", "packets need not align with frames"),
    w("6.0.0-3", "a client offers the subprotocol mqtt"),
    w("6.0.0-4", "a server answers the subprotocol mqtt"),
    s("7.0.0-1", "a program that is server and client conforms as both"),
    s("7.1.1-1", "a server keeps every server statement"),
    s("7.1.1-2", "a server needs no extension outside the specification"),
    c("7.1.2-1", "a client keeps every client statement"),
    c("7.1.2-2", "a client needs no extension outside the specification"),
];
