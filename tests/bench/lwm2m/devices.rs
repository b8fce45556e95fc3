//! The devices of the load generator: one UDP socket speaks for all of them, each from an address of its own in
//! 127.0.0.0/8 (IP_PKTINFO both ways), with CoAP written by hand.
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// What a meter registers.
pub(crate) const LINKS: &[u8] =
    b"</>;rt=\"oma.lwm2m\";ct=\"110 112 11542\",</1/0>,</3/0>,</4/0>,</5/0>,</3303/0>,</3305/0>";
/// Answers that may be missing.
const WINDOW: usize = 64;
const PATIENCE: Duration = Duration::from_secs(10);

/// A message to a device.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// Which device.
    pub(crate) device: usize,
    pub(crate) code: u8,
    pub(crate) mid: u16,
    pub(crate) token: Vec<u8>,
    /// Number and value of each option.
    pub(crate) options: Vec<(u16, Vec<u8>)>,
}

/// All devices.
pub(crate) struct Devices {
    socket: OwnedFd,
    to: SocketAddrV4,
    mids: Vec<u16>,
    /// Where each one is registered.
    pub(crate) locations: Vec<Vec<u8>>,
    buffer: Vec<u8>,
}

/// A CoAP message in the making.
pub(crate) struct Draft {
    pub(crate) bytes: Vec<u8>,
    last: u16,
}

impl Draft {
    /// `first`: version, type and token length.
    pub(crate) fn new(kind: u8, code: u8, mid: u16, token: &[u8]) -> Draft {
        let mut bytes = vec![0x40 | kind << 4 | token.len() as u8, code];
        bytes.extend_from_slice(&mid.to_be_bytes());
        bytes.extend_from_slice(token);
        Draft { bytes, last: 0 }
    }

    pub(crate) fn option(mut self, number: u16, value: &[u8]) -> Draft {
        let delta = (number - self.last) as u8; // options here are close to each other
        self.last = number;
        let length = value.len();
        if length < 13 {
            self.bytes.push(delta << 4 | length as u8);
        } else {
            self.bytes.extend_from_slice(&[delta << 4 | 13, (length - 13) as u8]);
        }
        self.bytes.extend_from_slice(value);
        self
    }

    pub(crate) fn payload(mut self, payload: &[u8]) -> Vec<u8> {
        self.bytes.push(0xff);
        self.bytes.extend_from_slice(payload);
        self.bytes
    }
}

impl Devices {
    /// So many devices that talk to one server.
    pub(crate) fn new(count: usize, to: SocketAddr) -> io::Result<Devices> {
        let SocketAddr::V4(to) = to else { return Err(io::Error::other("IPv4 only")) };
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
        socket.set_recv_buffer_size(4 << 20)?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let on: libc::c_int = 1;
        // SAFETY: the option takes an int, whose address and size are given; the descriptor is open.
        let set = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_IP,
                libc::IP_PKTINFO,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor comes out of its owner and has no other.
        let socket = unsafe { OwnedFd::from_raw_fd(std::os::fd::IntoRawFd::into_raw_fd(socket)) };
        Ok(Devices {
            socket,
            to,
            mids: (0..count).map(|n| (n * 7919) as u16).collect(),
            locations: vec![Vec::new(); count],
            buffer: vec![0; 65536],
        })
    }

    /// How long [`Devices::receive`] waits.
    pub(crate) fn set_patience(&self, wait: Duration) -> io::Result<()> {
        socket2::SockRef::from(&self.socket).set_read_timeout(Some(wait))
    }

    /// The name of a device.
    pub(crate) fn name(device: usize) -> String {
        format!("meter-{device:07}")
    }

    pub(crate) fn mid(&mut self, device: usize) -> u16 {
        self.mids[device] = self.mids[device].wrapping_add(1);
        self.mids[device]
    }

    fn address(device: usize) -> Ipv4Addr {
        Ipv4Addr::from(0x7f01_0000 + device as u32 + 1)
    }

    /// Sends a datagram from a device's address.
    pub(crate) fn send(&self, device: usize, bytes: &[u8]) -> io::Result<()> {
        let to = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: self.to.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from(*self.to.ip()).to_be() },
            sin_zero: [0; 8],
        };
        let source = libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr { s_addr: u32::from(Devices::address(device)).to_be() },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        let mut control = [0u64; 8];
        let mut vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        // SAFETY: every pointer in the header is of a local that outlives the call; `control` is aligned and large
        // enough for one header and its pktinfo.
        let sent = unsafe {
            let mut header: libc::msghdr = std::mem::zeroed();
            header.msg_name = (&raw const to).cast_mut().cast();
            header.msg_namelen = size_of_val(&to) as libc::socklen_t;
            header.msg_iov = &raw mut vector;
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = libc::CMSG_SPACE(size_of_val(&source) as u32) as usize;
            let first = libc::CMSG_FIRSTHDR(&raw const header);
            (*first).cmsg_level = libc::IPPROTO_IP;
            (*first).cmsg_type = libc::IP_PKTINFO;
            (*first).cmsg_len = libc::CMSG_LEN(size_of_val(&source) as u32) as usize;
            libc::CMSG_DATA(first).cast::<libc::in_pktinfo>().write_unaligned(source);
            libc::sendmsg(self.socket.as_raw_fd(), &raw const header, 0)
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The next message to any device; `None` when nothing comes.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Heard>> {
        let mut control = [0u64; 8];
        let mut vector =
            libc::iovec { iov_base: self.buffer.as_mut_ptr().cast(), iov_len: self.buffer.len() };
        // SAFETY: as for sending; the kernel writes at most the lengths given.
        let (length, local) = unsafe {
            let mut header: libc::msghdr = std::mem::zeroed();
            header.msg_iov = &raw mut vector;
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = size_of_val(&control);
            let length = libc::recvmsg(self.socket.as_raw_fd(), &raw mut header, 0);
            let mut local = 0;
            let mut at = libc::CMSG_FIRSTHDR(&raw const header);
            while !at.is_null() {
                if (*at).cmsg_level == libc::IPPROTO_IP && (*at).cmsg_type == libc::IP_PKTINFO {
                    let info = libc::CMSG_DATA(at).cast::<libc::in_pktinfo>().read_unaligned();
                    local = u32::from_be(info.ipi_addr.s_addr);
                }
                at = libc::CMSG_NXTHDR(&raw const header, at);
            }
            (length, local)
        };
        if length < 0 {
            let error = io::Error::last_os_error();
            let quiet = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut, io::ErrorKind::Interrupted];
            return if quiet.contains(&error.kind()) { Ok(None) } else { Err(error) };
        }
        let device = (local.wrapping_sub(0x7f01_0001)) as usize;
        let bytes = &self.buffer[..length as usize];
        // A floor's answer is no CoAP.
        let unread = || Heard { device, code: 0, mid: 0, token: Vec::new(), options: Vec::new() };
        Ok(Some(parse(device, bytes).unwrap_or_else(unread)))
    }

    /// POST /rd.
    pub(crate) fn register(&mut self, device: usize) -> Vec<u8> {
        let mid = self.mid(device);
        Draft::new(0, 0x02, mid, &(device as u32).to_be_bytes())
            .option(11, b"rd")
            .option(12, &[40])
            .option(15, format!("ep={}", Devices::name(device)).as_bytes())
            .option(15, b"lt=86400")
            .option(15, b"lwm2m=1.1")
            .option(15, b"b=U")
            .payload(LINKS)
    }

    /// POST (Update) or DELETE (De-register) of a location.
    pub(crate) fn at_location(&mut self, device: usize, code: u8) -> Vec<u8> {
        let mid = self.mid(device);
        let location = self.locations[device].clone();
        Draft::new(0, code, mid, &(device as u32).to_be_bytes()).option(11, b"rd").option(11, &location).bytes
    }

    /// Sends a request of each device in turn and waits for all answers, a window at a time. Their code must be this.
    pub(crate) fn ask(
        &mut self,
        devices: impl Iterator<Item = usize>,
        mut request: impl FnMut(&mut Devices, usize) -> Vec<u8>,
        expected: Option<u8>,
    ) -> io::Result<usize> {
        let (mut sent, mut answered, mut devices) = (0, 0, devices.peekable());
        let begun = Instant::now();
        let mut last = begun;
        while devices.peek().is_some() || answered < sent {
            while sent - answered < WINDOW
                && let Some(device) = devices.next()
            {
                let bytes = request(self, device);
                self.send(device, &bytes)?;
                sent += 1;
            }
            let Some(heard) = self.receive()? else {
                if last.elapsed() > PATIENCE {
                    return Err(io::Error::other(format!("{answered} of {sent} requests answered")));
                }
                continue;
            };
            last = Instant::now();
            answered += 1;
            if expected.is_some_and(|code| code != heard.code) {
                return Err(io::Error::other(format!("answered {:#04x}", heard.code)));
            }
            if heard.code == 0x41 {
                let location = heard.options.iter().filter(|(number, _)| *number == 8).nth(1);
                self.locations[heard.device] = location.map(|(_, value)| value.clone()).unwrap_or_default();
            }
        }
        Ok(sent)
    }

    /// Registers these devices.
    pub(crate) fn register_all(&mut self, devices: std::ops::Range<usize>) -> io::Result<usize> {
        self.ask(devices, Devices::register, Some(0x41))
    }
}

fn parse(device: usize, bytes: &[u8]) -> Option<Heard> {
    let tokens = usize::from(bytes.first()? & 15);
    let mut rest = bytes.get(4 + tokens..)?;
    let (mut number, mut options) = (0, Vec::new());
    while let Some((&first, after)) = rest.split_first() {
        if first == 0xff {
            break;
        }
        rest = after;
        let mut extended = |nibble: u8| -> Option<usize> {
            match nibble {
                13 => {
                    let (&more, after) = rest.split_first()?;
                    rest = after;
                    Some(usize::from(more) + 13)
                }
                14 => {
                    let (more, after) = rest.split_at_checked(2)?;
                    rest = after;
                    Some(usize::from(u16::from_be_bytes([more[0], more[1]])) + 269)
                }
                small => Some(usize::from(small)),
            }
        };
        let (delta, length) = (extended(first >> 4)?, extended(first & 15)?);
        number += delta as u16;
        let (value, after) = rest.split_at_checked(length)?;
        options.push((number, value.to_vec()));
        rest = after;
    }
    Some(Heard {
        device,
        code: *bytes.get(1)?,
        mid: u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]),
        token: bytes.get(4..4 + tokens)?.to_vec(),
        options,
    })
}
