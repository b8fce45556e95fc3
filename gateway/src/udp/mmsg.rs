//! `recvmmsg` and `sendmmsg` with the control messages that a gateway needs: the local address that a datagram hit
//! (IP_PKTINFO, IPV6_PKTINFO), the kernel's drop count (SO_RXQ_OVFL), and source address and TTL of what is sent.
//!
//! The only unsafe code of this crate. Its invariants: every pointer in a `msghdr` points into a vector of
//! [`Batch`] that is neither moved nor resized between being set and the system call's return; lengths are those
//! of the vectors; control messages are read through libc's `CMSG_*` walk and copied out with `read_unaligned`.
#![allow(unsafe_code)]
use broker_core::frontend::{Actions, Address, DatagramOut, ListenerId};
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::RawFd;

/// Datagrams a system call takes or gives at most.
pub(crate) const BATCH: usize = 64;
/// Room for one datagram: the largest that UDP carries fits. Not a power of two, since the beginnings of all datagrams
/// of a batch would then fall into the same few lines of the processor's caches and push each other out.
const DATAGRAM_BYTES: usize = 65_536 + 5 * 64;
/// Room for the control messages of one datagram, aligned as `cmsghdr` wants it: source address and TTL or drop
/// count take at most 80 bytes.
const CONTROL_WORDS: usize = 16;

/// One received datagram.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    /// Who sent it, and what it hit.
    pub(crate) from: Address,
    /// The destination was a multicast or broadcast group.
    pub(crate) group: bool,
    /// The destination.
    pub(crate) hit: Option<IpAddr>,
    /// Index of the interface that it came in by; 0: not known.
    pub(crate) interface: u32,
    /// Its bytes.
    pub(crate) bytes: &'a [u8],
}

/// The vectors that the system calls work on. A worker has one to receive and one to send, for all of its sockets.
///
/// The receive room is 4 MiB of address space, of which only touched pages take memory. The default is empty: it
/// receives and sends nothing, and stands where another was taken out.
#[derive(Default)]
pub(crate) struct Batch {
    data: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    control: Vec<[u64; CONTROL_WORDS]>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Batch")
    }
}

/// What one receive call brought beside the datagrams themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReceiveReport {
    /// Datagrams taken from the socket: [`Batch::datagram`] 0 and up.
    pub(crate) datagrams: usize,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// The kernel's running count of datagrams dropped because the socket's buffer was full.
    pub(crate) kernel_drops: Option<u32>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        // SAFETY: all-zero bytes are valid values of these plain C structs (null pointers, zero lengths).
        let (name, header) = unsafe { (zeroed::<libc::sockaddr_storage>(), zeroed::<libc::mmsghdr>()) };
        Batch {
            data: vec![0; BATCH * DATAGRAM_BYTES],
            names: vec![name; BATCH],
            control: vec![[0; CONTROL_WORDS]; BATCH],
            vectors: vec![libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH],
            headers: vec![header; BATCH],
        }
    }

    /// Whether it was taken out ([`Batch::default`]).
    pub(crate) fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// Takes up to [`BATCH`] datagrams from `socket`.
    ///
    /// # Errors
    /// What `recvmmsg` reports; `WouldBlock` when there is nothing.
    pub(crate) fn receive(&mut self, socket: RawFd) -> io::Result<ReceiveReport> {
        for (((header, vector), (name, control)), data) in self
            .headers
            .iter_mut()
            .zip(&mut self.vectors)
            .zip(self.names.iter_mut().zip(&mut self.control))
            .zip(self.data.chunks_exact_mut(DATAGRAM_BYTES))
        {
            vector.iov_base = data.as_mut_ptr().cast();
            vector.iov_len = data.len();
            header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of::<[u64; CONTROL_WORDS]>() as _;
            header.msg_hdr.msg_flags = 0;
            header.msg_len = 0;
        }
        // SAFETY: the pointers of all `headers` were set above to distinct, live parts of this batch with their true
        // lengths; the call does not keep them. A null timeout means none.
        let count = unsafe {
            libc::recvmmsg(
                socket,
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        let filled = self.headers.get(..count).unwrap_or_default();
        Ok(ReceiveReport {
            datagrams: filled.len(),
            bytes: filled.iter().map(|header| u64::from(header.msg_len)).sum(),
            kernel_drops: filled.last().and_then(|last| read_control(&last.msg_hdr).drops),
        })
    }

    /// A datagram of the last [`Batch::receive`] that brought at least `index` + 1, `None` when it was cut or came
    /// without a usable sender.
    pub(crate) fn datagram(&self, index: usize, listener: ListenerId) -> Option<Received<'_>> {
        let (header, name) = (self.headers.get(index)?, self.names.get(index)?);
        let data = self.data.chunks_exact(DATAGRAM_BYTES).nth(index)?;
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let (remote, bytes) = (read_name(name)?, data.get(..header.msg_len as usize)?);
        let control = read_control(&header.msg_hdr);
        Some(Received {
            from: Address { remote, local: control.local, listener },
            group: control.group,
            hit: control.hit,
            interface: control.interface,
            bytes,
        })
    }

    /// Sends `datagrams`, whose bytes lie in `actions.wire`, from `socket`, at most [`BATCH`] of them; says how many
    /// the kernel took. The first may fail: then nothing was sent.
    ///
    /// # Errors
    /// What `sendmmsg` reports of the first datagram.
    pub(crate) fn send(
        &mut self,
        socket: RawFd,
        v6: bool,
        actions: &Actions,
        datagrams: &[&DatagramOut],
    ) -> io::Result<usize> {
        let mut count = 0;
        for ((((header, vector), name), control), datagram) in self
            .headers
            .iter_mut()
            .zip(&mut self.vectors)
            .zip(&mut self.names)
            .zip(&mut self.control)
            .zip(datagrams)
        {
            let bytes = actions.wire.get(datagram.bytes.clone()).unwrap_or_default();
            // sendmmsg only reads through this pointer; iovec has no const form.
            vector.iov_base = bytes.as_ptr().cast_mut().cast();
            vector.iov_len = bytes.len();
            header.msg_hdr.msg_namelen = write_name(name, datagram.to.remote, v6);
            header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of::<[u64; CONTROL_WORDS]>() as _;
            header.msg_hdr.msg_flags = 0;
            header.msg_len = 0;
            let used = write_control(&mut header.msg_hdr, control, datagram.to, datagram.ttl);
            header.msg_hdr.msg_controllen = used as _;
            if used == 0 {
                header.msg_hdr.msg_control = std::ptr::null_mut();
            }
            count += 1;
        }
        // SAFETY: the first `count` headers were set above to live memory: names and control blocks of this batch,
        // bytes of `actions.wire`, which is borrowed for the whole call. `count` ≤ BATCH = headers.len().
        let sent =
            unsafe { libc::sendmmsg(socket, self.headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

#[derive(Default)]
struct Control {
    local: Option<IpAddr>,
    group: bool,
    hit: Option<IpAddr>,
    interface: u32,
    drops: Option<u32>,
}

fn read_control(header: &libc::msghdr) -> Control {
    let mut control = Control::default();
    // SAFETY: the kernel filled `msg_control`/`msg_controllen` of this header, which point into a live control block;
    // CMSG_FIRSTHDR and CMSG_NXTHDR stay within them and end with null.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    // Each control message is at least a header long, so the block bounds the walk.
    while !next.is_null() {
        // SAFETY: `next` is non-null, so it points to a whole cmsghdr within the control block; its data is read only
        // when its length says that the whole value is there, and unaligned, since CMSG_DATA promises no alignment.
        unsafe {
            let message = &*next;
            let length = message.cmsg_len as usize;
            let data = libc::CMSG_DATA(next);
            let holds = |size: usize| length >= libc::CMSG_LEN(size as u32) as usize;
            match (message.cmsg_level, message.cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) if holds(size_of::<libc::in_pktinfo>()) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    let hit = Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr));
                    let own = Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr));
                    control.group = hit != own;
                    control.hit = Some(IpAddr::V4(hit));
                    control.interface = u32::try_from(info.ipi_ifindex).unwrap_or(0);
                    control.local = (!own.is_unspecified()).then_some(IpAddr::V4(own));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if holds(size_of::<libc::in6_pktinfo>()) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    let hit = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                    control.group = hit.is_multicast();
                    control.hit = Some(IpAddr::V6(hit));
                    control.interface = info.ipi6_ifindex as u32; // c_int with musl
                    control.local = (!control.group).then_some(IpAddr::V6(hit));
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) if holds(size_of::<u32>()) => {
                    control.drops = Some(data.cast::<u32>().read_unaligned());
                }
                (_, _) => {}
            }
            next = libc::CMSG_NXTHDR(header, next);
        }
    }
    control
}

fn read_name(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage, which is larger and stricter aligned, holds a sockaddr_in.
            let v4 = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(v4.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for sockaddr_in6.
            let v6 = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddr::V6(SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id)))
        }
        _ => None,
    }
}

/// Writes `address` in the family of the socket; says its length.
fn write_name(name: &mut libc::sockaddr_storage, address: SocketAddr, v6: bool) -> libc::socklen_t {
    match address {
        SocketAddr::V4(v4) if !v6 => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_storage is at least as large and as aligned as any sockaddr.
            unsafe { std::ptr::from_mut(name).cast::<libc::sockaddr_in>().write(raw) };
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => {
            let (ip, scope) = match address {
                SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 0),
                SocketAddr::V6(v6) => (*v6.ip(), v6.scope_id()),
            };
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: ip.octets() },
                sin6_scope_id: scope,
            };
            // SAFETY: as above.
            unsafe { std::ptr::from_mut(name).cast::<libc::sockaddr_in6>().write(raw) };
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

/// Writes source address and TTL as control messages; says how many bytes of `control` they take.
fn write_control(
    header: &mut libc::msghdr,
    control: &mut [u64; CONTROL_WORDS],
    to: Address,
    ttl: Option<u8>,
) -> usize {
    control.fill(0);
    let mut used = 0;
    // SAFETY: `header.msg_control` points to `control` with its whole length, so CMSG_FIRSTHDR is non-null and, with
    // at most one pktinfo (≤ 40 B with header) and one int (24 B with header) in 128 bytes, CMSG_NXTHDR finds room
    // for the second; the block was zeroed, which CMSG_NXTHDR needs. Data is written unaligned.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(header);
        // The kernel takes the interface of a group from IPv4's source address, and from IPv6's scope only where the
        // group is link-local.
        let interface = match to.remote {
            SocketAddr::V6(group) if group.ip().is_multicast() => group.scope_id(),
            SocketAddr::V4(_) | SocketAddr::V6(_) => 0,
        };
        let local = to.local.or((interface != 0).then_some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        match local {
            Some(IpAddr::V4(ip)) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from(ip).to_be() },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                used += put(next, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
                next = libc::CMSG_NXTHDR(header, next);
            }
            Some(IpAddr::V6(ip)) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: ip.octets() },
                    ipi6_ifindex: interface as _,
                };
                used += put(next, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
                next = libc::CMSG_NXTHDR(header, next);
            }
            None => {}
        }
        if let Some(ttl) = ttl
            && !next.is_null()
        {
            let v6 =
                libc::c_int::from((*header.msg_name.cast::<libc::sockaddr>()).sa_family) == libc::AF_INET6;
            let (level, kind) =
                if v6 { (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) } else { (libc::IPPROTO_IP, libc::IP_TTL) };
            used += put(next, level, kind, libc::c_int::from(ttl));
        }
    }
    used
}

/// Fills one control message; says the room that it takes.
///
/// # Safety
/// `message` points to room for a header and a `T` within a live control block.
unsafe fn put<T>(message: *mut libc::cmsghdr, level: libc::c_int, kind: libc::c_int, value: T) -> usize {
    let size = size_of::<T>() as u32;
    // SAFETY: the caller vouches for the room.
    unsafe {
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        (*message).cmsg_len = libc::CMSG_LEN(size) as _;
        libc::CMSG_DATA(message).cast::<T>().write_unaligned(value);
        libc::CMSG_SPACE(size) as usize
    }
}

/// Sets an integer socket option that socket2 does not know; says whether the kernel took it.
pub(crate) fn set_option(socket: RawFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> bool {
    // SAFETY: the pointer is to a live c_int, whose length is given.
    let result = unsafe {
        libc::setsockopt(
            socket,
            level,
            option,
            std::ptr::from_ref(&value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    result == 0
}

/// Numbers that SO_MEMINFO gives.
const MEMINFO_LENGTH: usize = libc::SK_MEMINFO_DROPS as usize + 1;

/// The kernel's running count of datagrams that `socket` had no room for, as it is now. `None`: an older kernel.
pub(crate) fn drops(socket: RawFd) -> Option<u32> {
    let mut info = [0u32; MEMINFO_LENGTH];
    let mut length = size_of::<[u32; MEMINFO_LENGTH]>() as libc::socklen_t;
    // SAFETY: the pointer is to a live array, whose length is given and which the call fills at most.
    let result = unsafe {
        libc::getsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            std::ptr::from_mut(&mut length),
        )
    };
    (result == 0 && length as usize == size_of::<[u32; MEMINFO_LENGTH]>())
        .then_some(info[libc::SK_MEMINFO_DROPS as usize])
}
