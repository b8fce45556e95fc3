//! One UDP socket that speaks for many addresses of 127.0.0.0/8: `recvmmsg`, `sendmmsg` and IP_PKTINFO.
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// Datagrams of one system call.
const BATCH: usize = 64;
/// Longest datagram taken.
const ROOM: usize = 2048;
/// Buffer asked for: what 100 000 devices are sent at once must not be lost on our side.
const SOCKET_BYTES: libc::c_int = 64 << 20;
const CONTROL_WORDS: usize = 8;

/// The socket and what came in.
pub(crate) struct Inbox {
    socket: UdpSocket,
    data: Vec<u8>,
    names: Vec<libc::sockaddr_in>,
    control: Vec<[u64; CONTROL_WORDS]>,
}

/// What goes out.
pub(crate) struct Outbox {
    fd: RawFd,
    wire: Vec<u8>,
    queued: Vec<Queued>,
    control: Vec<[u64; CONTROL_WORDS]>,
}

struct Queued {
    from: Ipv4Addr,
    to: SocketAddrV4,
    end: usize,
}

/// A bound socket.
pub(crate) fn bind(address: SocketAddrV4) -> io::Result<(Inbox, Outbox)> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    let fd = socket.as_raw_fd();
    for option in [libc::SO_RCVBUFFORCE, libc::SO_SNDBUFFORCE] {
        if !set_option(fd, libc::SOL_SOCKET, option, SOCKET_BYTES) {
            eprintln!("not allowed to enlarge socket buffers: datagrams may be lost");
        }
    }
    if !set_option(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1) {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all-zero bytes are a valid sockaddr_in.
    let name = unsafe { zeroed::<libc::sockaddr_in>() };
    let inbox = Inbox {
        socket,
        data: vec![0; BATCH * ROOM],
        names: vec![name; BATCH],
        control: vec![[0; CONTROL_WORDS]; BATCH],
    };
    let outbox =
        Outbox { fd, wire: Vec::new(), queued: Vec::new(), control: vec![[0; CONTROL_WORDS]; BATCH] };
    Ok((inbox, outbox))
}

impl Inbox {
    /// For polling.
    pub(crate) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Its address.
    pub(crate) fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// Hands out what is there, one batch at most: address that was hit, sender, bytes. Says how many.
    pub(crate) fn receive(
        &mut self,
        mut each: impl FnMut(Ipv4Addr, SocketAddrV4, &[u8]),
    ) -> io::Result<usize> {
        // SAFETY: all-zero bytes are valid values of these plain C structs.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        let mut vectors: [libc::iovec; BATCH] = unsafe { zeroed() };
        for ((((header, vector), name), control), data) in headers
            .iter_mut()
            .zip(&mut vectors)
            .zip(&mut self.names)
            .zip(&mut self.control)
            .zip(self.data.chunks_exact_mut(ROOM))
        {
            vector.iov_base = data.as_mut_ptr().cast();
            vector.iov_len = ROOM;
            header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of::<[u64; CONTROL_WORDS]>() as _;
        }
        // SAFETY: BATCH headers that point to distinct live buffers of the lengths given; not kept by the call.
        let count = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        };
        for ((header, name), data) in
            headers.iter().zip(&self.names).zip(self.data.chunks_exact(ROOM)).take(count)
        {
            let remote = SocketAddrV4::new(
                Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr)),
                u16::from_be(name.sin_port),
            );
            each(hit(&header.msg_hdr), remote, &data[..header.msg_len as usize]);
        }
        Ok(count)
    }
}

/// The address that a datagram was sent to.
fn hit(header: &libc::msghdr) -> Ipv4Addr {
    // SAFETY: the kernel filled this header's control block, which is alive; the only option set is IP_PKTINFO, and
    // its length is checked before it is read, unaligned.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        if message.is_null()
            || (*message).cmsg_type != libc::IP_PKTINFO
            || ((*message).cmsg_len as usize) < size_of::<libc::in_pktinfo>()
        {
            return Ipv4Addr::UNSPECIFIED;
        }
        let info = libc::CMSG_DATA(message).cast::<libc::in_pktinfo>().read_unaligned();
        Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr))
    }
}

impl Outbox {
    /// Queues a datagram. `from` is one of this machine's addresses, or unspecified.
    pub(crate) fn queue(&mut self, from: Ipv4Addr, to: SocketAddrV4, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.wire);
        self.queued.push(Queued { from, to, end: self.wire.len() });
    }

    /// Sends all that is queued; waits for the socket where it must.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.queued.len() {
            let begin = sent.checked_sub(1).map_or(0, |last| self.queued[last].end);
            match self.send(sent, begin) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait(&[(self.fd, libc::POLLOUT)], Duration::from_millis(100));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.queued.clear();
        self.wire.clear();
        Ok(())
    }

    fn send(&mut self, first: usize, begin: usize) -> io::Result<usize> {
        // SAFETY: all-zero bytes are valid values of these plain C structs.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        let mut vectors: [libc::iovec; BATCH] = unsafe { zeroed() };
        let mut names: [libc::sockaddr_in; BATCH] = unsafe { zeroed() };
        let mut begin = begin;
        let mut count = 0;
        for ((((header, vector), name), control), queued) in headers
            .iter_mut()
            .zip(&mut vectors)
            .zip(&mut names)
            .zip(&mut self.control)
            .zip(&self.queued[first..])
        {
            let bytes = &self.wire[begin..queued.end];
            begin = queued.end;
            name.sin_family = libc::AF_INET as libc::sa_family_t;
            name.sin_port = queued.to.port().to_be();
            name.sin_addr.s_addr = u32::from(*queued.to.ip()).to_be();
            vector.iov_base = bytes.as_ptr().cast_mut().cast();
            vector.iov_len = bytes.len();
            header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            if !queued.from.is_unspecified() {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from(queued.from).to_be() },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                header.msg_hdr.msg_control = control.as_mut_ptr().cast();
                // SAFETY: the block holds CONTROL_WORDS * 8 bytes, enough for one header and one in_pktinfo.
                unsafe {
                    header.msg_hdr.msg_controllen =
                        libc::CMSG_SPACE(size_of::<libc::in_pktinfo>() as u32) as _;
                    let message = libc::CMSG_FIRSTHDR(&raw const header.msg_hdr);
                    (*message).cmsg_level = libc::IPPROTO_IP;
                    (*message).cmsg_type = libc::IP_PKTINFO;
                    (*message).cmsg_len = libc::CMSG_LEN(size_of::<libc::in_pktinfo>() as u32) as _;
                    libc::CMSG_DATA(message).cast::<libc::in_pktinfo>().write_unaligned(info);
                }
            }
            count += 1;
        }
        // SAFETY: the first `count` headers point to live buffers; the call only reads them.
        let sent = unsafe { libc::sendmmsg(self.fd, headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Waits until one of `files` is ready, or for `limit`.
pub(crate) fn wait(files: &[(RawFd, libc::c_short)], limit: Duration) {
    let mut polled: Vec<libc::pollfd> =
        files.iter().map(|&(fd, events)| libc::pollfd { fd, events, revents: 0 }).collect();
    let millis = libc::c_int::try_from(limit.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: a live array with its length.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, millis) };
}

fn set_option(fd: RawFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> bool {
    // SAFETY: a pointer to a live c_int with its length.
    unsafe {
        libc::setsockopt(
            fd,
            level,
            option,
            std::ptr::from_ref(&value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        ) == 0
    }
}

/// Datagrams that the kernel dropped at the UDP socket on `port`, from `/proc/net/udp`.
pub(crate) fn kernel_drops(port: u16) -> io::Result<u64> {
    let table = std::fs::read_to_string("/proc/net/udp")?;
    let local = format!(":{port:04X}");
    let drops = table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace();
        words.nth(1).filter(|address| address.ends_with(&local))?;
        words.last()?.parse::<u64>().ok()
    });
    Ok(drops.sum())
}
