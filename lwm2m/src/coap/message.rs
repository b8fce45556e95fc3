//! Codes, options and the way onto the wire: the only module that touches `coap_lite::Packet`.
//!
//! [`Options`] hides what is odd about the packet type (a cleared option leaves an empty list, numbers are
//! decoded with allocation, unknown response codes lose their number) and knows which options a request may
//! carry (RFC 7252 §5.4, §5.10; RFC 7959 §2.1; RFC 9175).
#![deny(clippy::indexing_slicing)]

use std::collections::LinkedList;
use std::fmt;

use coap_lite::{CoapOption, MessageClass, Packet, RequestType, ResponseType};

use super::check::Kind;
use super::token::Token;

/// Option number of Echo (RFC 9175 §2.2.1).
pub const ECHO: CoapOption = CoapOption::Unknown(252);
/// Option number of Request-Tag (RFC 9175 §3.2).
pub const REQUEST_TAG: CoapOption = CoapOption::Unknown(292);

/// A message code, `class.detail` (RFC 7252 §3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u8);

#[allow(missing_docs)] // The names are those of the registry (RFC 7252 §12.1).
impl Code {
    pub const EMPTY: Code = Code::new(0, 0);
    pub const GET: Code = Code::new(0, 1);
    pub const POST: Code = Code::new(0, 2);
    pub const PUT: Code = Code::new(0, 3);
    pub const DELETE: Code = Code::new(0, 4);
    pub const FETCH: Code = Code::new(0, 5);
    pub const PATCH: Code = Code::new(0, 6);
    pub const IPATCH: Code = Code::new(0, 7);
    pub const CREATED: Code = Code::new(2, 1);
    pub const DELETED: Code = Code::new(2, 2);
    pub const VALID: Code = Code::new(2, 3);
    pub const CHANGED: Code = Code::new(2, 4);
    pub const CONTENT: Code = Code::new(2, 5);
    pub const CONTINUE: Code = Code::new(2, 31);
    pub const BAD_REQUEST: Code = Code::new(4, 0);
    pub const UNAUTHORIZED: Code = Code::new(4, 1);
    pub const BAD_OPTION: Code = Code::new(4, 2);
    pub const FORBIDDEN: Code = Code::new(4, 3);
    pub const NOT_FOUND: Code = Code::new(4, 4);
    pub const METHOD_NOT_ALLOWED: Code = Code::new(4, 5);
    pub const NOT_ACCEPTABLE: Code = Code::new(4, 6);
    pub const REQUEST_ENTITY_INCOMPLETE: Code = Code::new(4, 8);
    pub const CONFLICT: Code = Code::new(4, 9);
    pub const PRECONDITION_FAILED: Code = Code::new(4, 12);
    pub const REQUEST_ENTITY_TOO_LARGE: Code = Code::new(4, 13);
    pub const UNSUPPORTED_CONTENT_FORMAT: Code = Code::new(4, 15);
    pub const TOO_MANY_REQUESTS: Code = Code::new(4, 29);
    pub const INTERNAL_SERVER_ERROR: Code = Code::new(5, 0);
    pub const NOT_IMPLEMENTED: Code = Code::new(5, 1);
    pub const SERVICE_UNAVAILABLE: Code = Code::new(5, 3);
    pub const GATEWAY_TIMEOUT: Code = Code::new(5, 4);
    pub const PROXYING_NOT_SUPPORTED: Code = Code::new(5, 5);
}

impl Code {
    /// The code `class.detail`.
    pub const fn new(class: u8, detail: u8) -> Code {
        Code(class << 5 | detail & 0x1f)
    }

    /// 0 request, 2 success, 4 client error, 5 server error.
    pub const fn class(self) -> u8 {
        self.0 >> 5
    }

    /// The two digits behind the point.
    pub const fn detail(self) -> u8 {
        self.0 & 0x1f
    }

    /// Whether this is a response of class 2.
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }

    /// Whether this is a response of class 4 or 5.
    pub const fn is_error(self) -> bool {
        matches!(self.class(), 4 | 5)
    }

    /// Whether this is one of the seven methods that exist.
    pub const fn is_known_method(self) -> bool {
        matches!(self.0, 1..=7)
    }

    /// GET and FETCH change nothing, so a body that does not fit may be asked for again and again.
    pub const fn is_safe_method(self) -> bool {
        matches!(self, Code::GET | Code::FETCH)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.class(), self.detail())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<RequestType> for Code {
    fn from(method: RequestType) -> Code {
        Code(MessageClass::Request(method).into())
    }
}

impl From<ResponseType> for Code {
    fn from(response: ResponseType) -> Code {
        Code(MessageClass::Response(response).into())
    }
}

/// The options of a message.
#[derive(Clone, Default, PartialEq)]
pub struct Options {
    packet: Packet,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Options {
    /// No options.
    pub fn new() -> Options {
        Options::default()
    }

    /// Adds a value; options may repeat.
    pub fn add(&mut self, option: CoapOption, value: impl Into<Vec<u8>>) {
        self.packet.add_option(option, value.into());
    }

    /// Adds a value and hands the options on.
    #[must_use]
    pub fn with(mut self, option: CoapOption, value: impl Into<Vec<u8>>) -> Options {
        self.add(option, value);
        self
    }

    /// Adds the segments of a path such as `/3/0/9`; empty segments are left out.
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Options {
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            self.add(CoapOption::UriPath, segment);
        }
        self
    }

    /// Sets an option to one number, in the shortest form (RFC 7252 §3.2).
    pub fn set_uint(&mut self, option: CoapOption, value: u32) {
        let bytes = value.to_be_bytes();
        let skip = (value.leading_zeros() / 8) as usize;
        let short = bytes.get(skip..).unwrap_or_default().to_vec();
        self.packet.set_option(option, LinkedList::from([short]));
    }

    /// Sets an option to one number and hands the options on.
    #[must_use]
    pub fn with_uint(mut self, option: CoapOption, value: u32) -> Options {
        self.set_uint(option, value);
        self
    }

    /// Sets an option to one value.
    pub fn set(&mut self, option: CoapOption, value: impl Into<Vec<u8>>) {
        self.packet.set_option(option, LinkedList::from([value.into()]));
    }

    /// Takes all values of an option away.
    pub fn remove(&mut self, option: CoapOption) {
        if self.has(option) {
            self.packet.set_option(option, LinkedList::new());
        }
    }

    /// All values of an option, in order.
    pub fn all(&self, option: CoapOption) -> impl Iterator<Item = &[u8]> {
        self.packet.get_option(option).into_iter().flatten().map(Vec::as_slice)
    }

    /// The first value of an option.
    pub fn first(&self, option: CoapOption) -> Option<&[u8]> {
        self.all(option).next()
    }

    /// Whether the option is there.
    pub fn has(&self, option: CoapOption) -> bool {
        self.first(option).is_some()
    }

    /// The first value of an option as a number; `None` when absent or longer than four bytes.
    pub fn uint(&self, option: CoapOption) -> Option<u32> {
        let value = self.first(option)?;
        if value.len() > 4 {
            return None;
        }
        Some(value.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }

    /// The segments of Uri-Path.
    pub fn path(&self) -> impl Iterator<Item = &[u8]> {
        self.all(CoapOption::UriPath)
    }

    /// The arguments of Uri-Query.
    pub fn query(&self) -> impl Iterator<Item = &[u8]> {
        self.all(CoapOption::UriQuery)
    }

    /// The number of Content-Format.
    pub fn content_format(&self) -> Option<u16> {
        self.uint(CoapOption::ContentFormat).and_then(|number| u16::try_from(number).ok())
    }

    /// The number of Accept.
    pub fn accept(&self) -> Option<u16> {
        self.uint(CoapOption::Accept).and_then(|number| u16::try_from(number).ok())
    }

    /// Every option as number and value, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.packet
            .options()
            .flat_map(|(number, values)| values.iter().map(|value| (*number, value.as_slice())))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The options and the payload of a datagram that passed the check.
    pub(crate) fn decode(datagram: &[u8]) -> Option<(Options, Vec<u8>)> {
        let mut packet = Packet::from_bytes(datagram).ok()?;
        let payload = std::mem::take(&mut packet.payload);
        Some((Options { packet }, payload))
    }

    /// The message with these options; `None` when it would not fit a datagram.
    pub(crate) fn encode(
        mut self,
        kind: Kind,
        code: Code,
        mid: u16,
        token: Token,
        payload: &[u8],
    ) -> Option<Vec<u8>> {
        self.packet.header.set_version(1);
        self.packet.header.set_type(kind.into());
        self.packet.header.code = code.0.into();
        self.packet.header.message_id = mid;
        self.packet.set_token(token.as_bytes().to_vec());
        let mut datagram = self.packet.to_bytes().ok()?;
        if !payload.is_empty() {
            datagram.reserve_exact(payload.len() + 1);
            datagram.push(0xff);
            datagram.extend_from_slice(payload);
        }
        Some(datagram)
    }

    /// The first critical option that a request must not have here, with the code that says so: unknown, too
    /// long or too often (RFC 7252 §5.4.1, §5.4.3, §5.4.5).
    pub(crate) fn request_fault(&self) -> Option<Code> {
        self.fault(&REQUEST_OPTIONS)
    }

    /// As [`Options::request_fault`] for a response.
    pub(crate) fn response_fault(&self) -> Option<Code> {
        self.fault(&RESPONSE_OPTIONS)
    }

    fn fault(&self, known: &[Known]) -> Option<Code> {
        if self.has(CoapOption::ProxyUri) || self.has(CoapOption::ProxyScheme) {
            // RFC 7252 §5.10.2: we forward for nobody.
            return Some(Code::PROXYING_NOT_SUPPORTED);
        }
        let mut previous = None;
        for (number, value) in self.iter() {
            let repeated = previous.replace(number) == Some(number);
            let fits = known.iter().any(|option| {
                option.number == number
                    && (option.shortest..=option.longest).contains(&value.len())
                    && (option.repeatable || !repeated)
            });
            if number % 2 == 1 && !fits {
                return Some(Code::BAD_OPTION);
            }
        }
        None
    }

    /// Makes elective options that have a bad length or a repetition invisible, as §5.4.1 wants.
    pub(crate) fn drop_unfit_electives(&mut self) {
        for option in ELECTIVES {
            let unfit = |value: &[u8]| !(option.shortest..=option.longest).contains(&value.len());
            let name = CoapOption::from(option.number);
            if self.first(name).is_some_and(unfit) {
                self.remove(name);
            }
        }
    }
}

/// A known option: number, bounds of its length, whether it may repeat.
struct Known {
    number: u16,
    shortest: usize,
    longest: usize,
    repeatable: bool,
}

const fn known(number: u16, shortest: usize, longest: usize, repeatable: bool) -> Known {
    Known { number, shortest, longest, repeatable }
}

/// Critical options of requests: If-Match, Uri-Host, If-None-Match, Uri-Port, Uri-Path, Uri-Query, Accept,
/// Block2, Block1.
const REQUEST_OPTIONS: [Known; 9] = [
    known(1, 0, 8, true),
    known(3, 1, 255, false),
    known(5, 0, 0, false),
    known(7, 0, 2, false),
    known(11, 0, 255, true),
    known(15, 0, 255, true),
    known(17, 0, 2, false),
    known(23, 0, 3, false),
    known(27, 0, 3, false),
];

/// Critical options of responses: Block2, Block1.
const RESPONSE_OPTIONS: [Known; 2] = [known(23, 0, 3, false), known(27, 0, 3, false)];

/// Elective options with a length worth checking: ETag, Observe, Content-Format, Max-Age, Size2, Size1, Echo.
const ELECTIVES: [Known; 7] = [
    known(4, 1, 8, true),
    known(6, 0, 3, false),
    known(12, 0, 2, false),
    known(14, 0, 4, false),
    known(28, 0, 4, false),
    known(60, 0, 4, false),
    known(252, 1, 40, false),
];

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test that is out of bounds fails, as it should.
mod tests {
    use super::*;

    #[test]
    fn numbers_take_their_shortest_form() {
        let table: [(u32, &[u8]); 6] = [
            (0, &[]),
            (1, &[1]),
            (255, &[255]),
            (256, &[1, 0]),
            (86_400, &[1, 0x51, 0x80]),
            (u32::MAX, &[255; 4]),
        ];
        for (value, wire) in table {
            let options = Options::new().with_uint(CoapOption::MaxAge, value);
            assert_eq!(options.first(CoapOption::MaxAge), Some(wire));
            assert_eq!(options.uint(CoapOption::MaxAge), Some(value));
        }
        assert_eq!(Options::new().with(CoapOption::MaxAge, vec![0; 5]).uint(CoapOption::MaxAge), None);
    }

    #[test]
    fn a_message_goes_to_the_wire_and_back() {
        let options = Options::new()
            .with_path("/rd/5a")
            .with(CoapOption::UriQuery, "ep=x")
            .with_uint(CoapOption::ContentFormat, 40);
        let token = Token::new(&[0xaa]).unwrap();
        let wire = options.clone().encode(Kind::Confirmable, Code::POST, 0x1234, token, b"hi").unwrap();
        assert_eq!(wire, b"\x41\x02\x12\x34\xaa\xb2rd\x025a\x11\x28\x34ep=x\xffhi");
        let (decoded, payload) = Options::decode(&wire).unwrap();
        assert_eq!(decoded.iter().collect::<Vec<_>>(), options.iter().collect::<Vec<_>>());
        assert_eq!(payload, b"hi");
        assert_eq!(decoded.path().collect::<Vec<_>>(), [&b"rd"[..], b"5a"]);
        assert_eq!(decoded.content_format(), Some(40));
    }

    #[test]
    fn a_removed_option_leaves_no_trace() {
        let mut options = Options::new().with_path("/a");
        options.remove(CoapOption::UriPath);
        options.remove(CoapOption::Accept);
        assert!(options.is_empty());
        let wire = options.encode(Kind::Confirmable, Code::GET, 1, Token::EMPTY, b"").unwrap();
        assert_eq!(wire, [0x40, 1, 0, 1]);
    }

    #[test]
    fn critical_options_are_known_of_legal_length_and_not_repeated() {
        let fault = |options: Options| options.request_fault();
        let bad = Some(Code::BAD_OPTION);
        assert_eq!(fault(Options::new().with_path("/rd").with(CoapOption::UriHost, "x")), None);
        assert_eq!(fault(Options::new().with(CoapOption::Oscore, "x")), bad);
        assert_eq!(fault(Options::new().with(CoapOption::Unknown(19), vec![8])), bad);
        assert_eq!(fault(Options::new().with(CoapOption::Block1, vec![0; 4])), bad);
        assert_eq!(fault(Options::new().with(CoapOption::Block1, [0]).with(CoapOption::Block1, [0])), bad);
        assert_eq!(fault(Options::new().with(CoapOption::UriPath, vec![b'a'; 256])), bad);
        assert_eq!(fault(Options::new().with(CoapOption::Accept, vec![0; 3])), bad);
        assert_eq!(fault(Options::new().with(CoapOption::Unknown(2_000), vec![0; 300])), None);
        assert_eq!(fault(Options::new().with(REQUEST_TAG, [1, 2])), None);
        assert_eq!(fault(Options::new().with(CoapOption::ProxyUri, "coap://x")), Some(Code::new(5, 5)));
        assert_eq!(fault(Options::new().with(CoapOption::ProxyScheme, "coap")), Some(Code::new(5, 5)));
    }

    #[test]
    fn elective_options_of_bad_length_are_ignored() {
        let mut options = Options::new().with(ECHO, vec![0; 41]).with(CoapOption::Observe, vec![0; 4]);
        options.add(CoapOption::ContentFormat, [40]);
        options.drop_unfit_electives();
        assert_eq!(options.iter().collect::<Vec<_>>(), [(12, &[40][..])]);
    }

    #[test]
    fn codes_read_as_the_specification_writes_them() {
        assert_eq!(Code::CONTENT.to_string(), "2.05");
        assert_eq!(Code(0x84), Code::NOT_FOUND);
        assert_eq!(Code::from(RequestType::IPatch), Code::IPATCH);
        assert_eq!(Code::from(ResponseType::Continue), Code::CONTINUE);
        assert!(Code::new(0, 8).class() == 0 && !Code::new(0, 8).is_known_method());
    }
}
