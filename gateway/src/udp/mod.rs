//! UDP sockets of a worker: many datagrams a system call, replies from the address that was hit, multicast groups.
mod groups;
pub(crate) mod interfaces;
mod mmsg;
mod port;

pub(crate) use groups::{GroupSettings, Groups, Refreshed, Speaker};
pub(crate) use mmsg::{BATCH, Batch, Received};
pub(crate) use port::{UdpCounters, UdpPort, bind, shortfall};
