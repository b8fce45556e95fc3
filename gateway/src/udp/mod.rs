//! UDP sockets of a worker: many datagrams a system call, replies from the address that was hit.
mod mmsg;
mod port;

pub(crate) use mmsg::Batch;
pub(crate) use port::{UdpCounters, UdpPort, bind};
