//! The broker core of Turnstone: MQTT 3.1.1 semantics without sockets, clocks or files.
#![forbid(unsafe_code)]
