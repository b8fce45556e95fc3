//! Reads JSON (RFC 8259) piece by piece, as the two JSON formats ask for it: no tree, texts borrowed where they have no
//! escapes, numbers in their own digits. What is passed over is checked for its grammar only.
//!
//! `serde_json` reads what people write; here thousands of tiny records come from strangers, and a number that keeps its
//! digits costs three allocations there.
#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;
use std::fmt;

use super::{ContentError, steps};
use crate::limits::EXCERPT_MAX;
use crate::value::Value;

/// Why a document is not read. Boxed: the way through without a fault is the one that must be fast.
#[derive(Debug)]
pub(super) enum Fault {
    /// No JSON, from this offset on.
    Json(usize),
    /// JSON of another shape, seen at this offset.
    Shape(String, usize),
    /// What was read is no content.
    Content(ContentError),
}

/// The outcome of reading.
pub(super) type Read<T> = Result<T, Box<Fault>>;

impl From<ContentError> for Box<Fault> {
    fn from(error: ContentError) -> Self {
        Box::new(Fault::Content(error))
    }
}

/// A place in a document.
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    /// Arrays and objects around this place, and how many there may be.
    depth: usize,
    depth_max: usize,
    /// Opened inside of what is passed over.
    opened: Vec<u8>,
    /// A number whose text is put in order.
    number: Vec<u8>,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8], depth_max: usize) -> Self {
        Reader { bytes, at: 0, depth: 0, depth_max, opened: Vec::new(), number: Vec::new() }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next octet that is no space.
    fn token(&mut self) -> Option<u8> {
        loop {
            steps::count(1);
            match self.peek() {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    /// No JSON: what was taken last is wrong.
    #[cold]
    fn wrong(&self) -> Box<Fault> {
        Box::new(Fault::Json(self.at))
    }

    /// No JSON: what comes next is wrong.
    #[cold]
    fn wrong_next(&self) -> Box<Fault> {
        Box::new(Fault::Json(self.bytes.len().min(self.at + 1)))
    }

    #[cold]
    fn shape(&self, what: String) -> Box<Fault> {
        Box::new(Fault::Shape(what, self.at))
    }

    /// A fault that was seen in an object; its place is the object's end when that comes next.
    #[cold]
    pub(super) fn fault_in_object(&mut self, what: impl fmt::Display) -> Box<Fault> {
        if self.token() == Some(b'}') {
            self.at += 1;
        }
        self.shape(what.to_string())
    }

    /// A fault of what was read last.
    #[cold]
    pub(super) fn fault_at_end(&self, what: &str) -> Box<Fault> {
        self.shape(what.to_owned())
    }

    /// The same in an array.
    #[cold]
    pub(super) fn fault_in_array(&mut self, what: impl fmt::Display) -> Box<Fault> {
        match self.token() {
            Some(b']') => self.at += 1,
            Some(b',') => {
                self.at += 1;
                self.token();
            }
            Some(_) | None => {}
        }
        self.shape(what.to_string())
    }

    fn deeper(&mut self) -> Read<()> {
        self.depth += 1;
        self.at += 1;
        if self.depth > self.depth_max {
            return Err(ContentError::TooDeep(self.depth_max).into());
        }
        Ok(())
    }

    fn open(&mut self, bracket: u8, expected: &str) -> Read<()> {
        match self.token() {
            Some(found) if found == bracket => self.deeper(),
            Some(_) => Err(self.other_type(expected)),
            None => Err(self.wrong_next()),
        }
    }

    /// Goes into an array.
    pub(super) fn array(&mut self, expected: &str) -> Read<()> {
        self.open(b'[', expected)
    }

    /// Goes into an object.
    pub(super) fn object(&mut self, expected: &str) -> Read<()> {
        self.open(b'{', expected)
    }

    fn close(&mut self) {
        self.at += 1;
        self.depth = self.depth.saturating_sub(1);
    }

    /// True when another element follows; false behind the end of the array. `first` is true at its begin.
    pub(super) fn element(&mut self, first: &mut bool) -> Read<bool> {
        let was_first = std::mem::replace(first, false);
        match self.token() {
            Some(b']') => {
                self.close();
                Ok(false)
            }
            Some(_) if was_first => Ok(true),
            Some(b',') => {
                self.at += 1;
                match self.token() {
                    Some(b']') | None => Err(self.wrong_next()),
                    Some(_) => Ok(true),
                }
            }
            Some(_) | None => Err(self.wrong_next()),
        }
    }

    /// The next key; `None` behind the end of the object. Its value follows after [`Reader::colon`]. What is no key that
    /// is looked for has to go through [`Reader::as_text`].
    pub(super) fn key(&mut self, first: &mut bool) -> Read<Option<Cow<'b, [u8]>>> {
        let was_first = std::mem::replace(first, false);
        let mut next = self.token();
        if next == Some(b'}') {
            self.close();
            return Ok(None);
        }
        if !was_first {
            if next != Some(b',') {
                return Err(self.wrong_next());
            }
            self.at += 1;
            next = self.token();
        }
        if next != Some(b'"') {
            return Err(self.wrong_next());
        }
        self.at += 1;
        self.octets().map(Some)
    }

    /// The text that was taken last, when it is UTF-8.
    pub(super) fn as_text(&self, octets: Cow<'b, [u8]>) -> Read<Cow<'b, str>> {
        let length = octets.len();
        match octets {
            Cow::Borrowed(octets) => match std::str::from_utf8(octets) {
                Ok(text) => Ok(Cow::Borrowed(text)),
                Err(error) => Err(self.not_utf8(length, &error)),
            },
            Cow::Owned(octets) => match String::from_utf8(octets) {
                Ok(text) => Ok(Cow::Owned(text)),
                Err(error) => Err(self.not_utf8(length, &error.utf8_error())),
            },
        }
    }

    /// The colon between key and value.
    pub(super) fn colon(&mut self) -> Read<()> {
        if self.token() != Some(b':') {
            return Err(self.wrong_next());
        }
        self.at += 1;
        Ok(())
    }

    /// The document ends here.
    pub(super) fn end(&mut self) -> Read<()> {
        if self.token().is_some() { Err(self.wrong_next()) } else { Ok(()) }
    }

    /// Takes `null`, when it is next.
    pub(super) fn null(&mut self) -> Read<bool> {
        if self.token() != Some(b'n') {
            return Ok(false);
        }
        self.word(b"null").map(|()| true)
    }

    /// Takes this word, whose first letter is next.
    fn word(&mut self, word: &[u8]) -> Read<()> {
        steps::count(word.len());
        for letter in word {
            let next = self.peek().ok_or_else(|| self.wrong())?;
            self.at += 1;
            if next != *letter {
                return Err(self.wrong());
            }
        }
        Ok(())
    }

    /// True or false.
    pub(super) fn boolean(&mut self) -> Read<bool> {
        match self.token() {
            Some(b't') => self.word(b"true").map(|()| true),
            Some(b'f') => self.word(b"false").map(|()| false),
            Some(_) => Err(self.other_type("a boolean")),
            None => Err(self.wrong_next()),
        }
    }

    /// A text, borrowed unless it has escapes.
    pub(super) fn text(&mut self) -> Read<Cow<'b, str>> {
        match self.token() {
            Some(b'"') => {
                self.at += 1;
                self.string()
            }
            Some(_) => Err(self.other_type("a string")),
            None => Err(self.wrong_next()),
        }
    }

    /// Goes to the next quote, backslash or control character, which is given; the octets before it too.
    fn run(&mut self) -> Read<(&'b [u8], u8)> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|octet| matches!(octet, b'"' | b'\\' | 0..0x20));
        let end = end.unwrap_or(rest.len());
        steps::count(end + 1);
        self.at += end;
        match (rest.get(..end), rest.get(end)) {
            (Some(run), Some(stop)) => Ok((run, *stop)),
            (Some(_) | None, Some(_) | None) => Err(self.wrong()),
        }
    }

    /// The text whose opening quote was taken.
    fn string(&mut self) -> Read<Cow<'b, str>> {
        let octets = self.octets()?;
        self.as_text(octets)
    }

    fn octets(&mut self) -> Read<Cow<'b, [u8]>> {
        let (run, stop) = self.run()?;
        self.at += 1;
        match stop {
            b'"' => Ok(Cow::Borrowed(run)),
            b'\\' => self.octets_with_escapes(run).map(Cow::Owned),
            _ => Err(self.wrong()), // a control character
        }
    }

    #[cold]
    fn not_utf8(&self, length: usize, error: &std::str::Utf8Error) -> Box<Fault> {
        Box::new(Fault::Json(self.at.saturating_sub(length - error.valid_up_to())))
    }

    /// The rest of a text behind its first backslash.
    fn octets_with_escapes(&mut self, run: &[u8]) -> Read<Vec<u8>> {
        let mut out = run.to_vec();
        loop {
            self.escape(&mut out)?;
            let (run, stop) = self.run()?;
            self.at += 1;
            out.extend_from_slice(run);
            match stop {
                b'"' => return Ok(out),
                b'\\' => {}
                _ => return Err(self.wrong()), // a control character
            }
        }
    }

    fn next(&mut self) -> Read<u8> {
        let next = self.peek().ok_or_else(|| self.wrong())?;
        self.at += 1;
        Ok(next)
    }

    /// One escape, behind its backslash.
    fn escape(&mut self, out: &mut Vec<u8>) -> Read<()> {
        out.push(match self.next()? {
            b'"' => b'"',
            b'\\' => b'\\',
            b'/' => b'/',
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let letter = self.unicode_escape()?;
                out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.wrong()), // any other octet
        });
        Ok(())
    }

    /// Four digits, or two times four for a letter beyond 16 bits (RFC 8259 §7). Half of a pair is no letter.
    fn unicode_escape(&mut self) -> Read<char> {
        let first = self.hex()?;
        let code = match first {
            0xD800..0xDC00 => {
                for expected in [b'\\', b'u'] {
                    if self.next()? != expected {
                        return Err(self.wrong());
                    }
                }
                match self.hex()? {
                    second @ 0xDC00..0xE000 => 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00),
                    _ => return Err(self.wrong()), // no second half
                }
            }
            _ => first, // a letter by itself, or a second half
        };
        char::from_u32(code).ok_or_else(|| self.wrong())
    }

    fn hex(&mut self) -> Read<u32> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some((digits, _)) = rest.split_first_chunk::<4>() else {
            self.at = self.bytes.len();
            return Err(self.wrong());
        };
        self.at += 4;
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        let code = digits.iter().try_fold(0, |code, octet| Some(code << 4 | digit(octet)?));
        code.ok_or_else(|| self.wrong())
    }

    /// Hands out the text of a number, without plus sign only where its exponent has none: "1E5" is "1e+5".
    pub(super) fn number<T>(&mut self, read: impl FnOnce(&[u8]) -> T) -> Read<T> {
        match self.token() {
            Some(b'-' | b'0'..=b'9') => {
                let (start, exponent) = (self.at, self.pass_number()?);
                let between = |start, end| self.bytes.get(start..end).unwrap_or_default();
                let Some(exponent) = exponent else { return Ok(read(between(start, self.at))) };
                let behind = between(exponent + 1, self.at);
                let sign: &[u8] =
                    if behind.starts_with(b"+") || behind.starts_with(b"-") { b"" } else { b"+" };
                self.number.clear();
                for part in [between(start, exponent), b"e", sign, behind] {
                    self.number.extend_from_slice(part);
                }
                Ok(read(&self.number))
            }
            Some(b'[') => {
                self.at += 1;
                Err(self.fault_in_array("invalid type: sequence, expected a JSON number"))
            }
            Some(b'{') => {
                self.at += 1;
                Err(self.fault_in_object("invalid type: map, expected a JSON number"))
            }
            Some(_) => Err(self.other_type("a JSON number")),
            None => Err(self.wrong_next()),
        }
    }

    /// A number as a value.
    pub(super) fn number_value(&mut self) -> Read<Value> {
        let number = self.number(Value::from_number_bytes)?;
        number.map_err(|error| self.fault_in_object(error))
    }

    /// A number of seconds, in milliseconds.
    pub(super) fn milliseconds(&mut self) -> Read<i64> {
        match self.number(Value::milliseconds_of)? {
            Ok(Some(milliseconds)) => Ok(milliseconds),
            Ok(None) => Err(self.fault_in_object("a time outside the range of 64 bits")),
            Err(error) => Err(self.fault_in_object(error)),
        }
    }

    fn digits(&mut self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(rest.len());
        steps::count(count + 1);
        self.at += count;
        count
    }

    /// Passes over a number; the place of its "e", if there is one.
    fn pass_number(&mut self) -> Read<Option<usize>> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.next()? {
            b'0' => {
                if self.peek().is_some_and(|next| next.is_ascii_digit()) {
                    return Err(self.wrong_next()); // one zero only
                }
            }
            b'1'..=b'9' => {
                self.digits();
            }
            _ => return Err(self.wrong()), // no digit
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.wrong_next());
            }
        }
        if !matches!(self.peek(), Some(b'e' | b'E')) {
            return Ok(None);
        }
        let exponent = self.at;
        self.at += 1;
        if matches!(self.peek(), Some(b'+' | b'-')) {
            self.at += 1;
        }
        if !self.next()?.is_ascii_digit() {
            return Err(self.wrong());
        }
        self.digits();
        Ok(Some(exponent))
    }

    /// Passes over any value.
    pub(super) fn skip(&mut self) -> Read<()> {
        self.opened.clear();
        loop {
            let mut is_new = false;
            match self.token() {
                Some(b'n') => self.word(b"null")?,
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'-' | b'0'..=b'9') => {
                    self.pass_number()?;
                }
                Some(b'"') => self.skip_string()?,
                Some(bracket @ (b'[' | b'{')) => {
                    self.opened.push(bracket);
                    self.deeper()?;
                    is_new = true;
                }
                Some(_) | None => return Err(self.wrong_next()),
            }
            if !self.go_on(is_new)? {
                return Ok(());
            }
        }
    }

    /// Behind a value that is passed over: closes what ends here, and goes to the next value. False when there is none.
    fn go_on(&mut self, mut is_new: bool) -> Read<bool> {
        loop {
            let Some(bracket) = self.opened.last().copied() else { return Ok(false) };
            match self.token() {
                Some(b',') if !is_new => {
                    self.at += 1;
                    break;
                }
                Some(b']') if bracket == b'[' => {}
                Some(b'}') if bracket == b'{' => {}
                Some(_) if is_new => break,
                Some(_) | None => return Err(self.wrong_next()),
            }
            self.close();
            self.opened.pop();
            is_new = false;
        }
        if self.opened.last() == Some(&b'{') {
            if self.token() != Some(b'"') {
                return Err(self.wrong_next());
            }
            self.skip_string()?;
            self.colon()?;
        }
        Ok(true)
    }

    /// Passes over the text whose opening quote is next. Only its grammar counts: some devices write units that are not
    /// UTF-8.
    fn skip_string(&mut self) -> Read<()> {
        self.at += 1;
        loop {
            match self.run()?.1 {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {
                    self.at += 1;
                    match self.next()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            self.hex()?;
                        }
                        _ => return Err(self.wrong()), // any other octet
                    }
                }
                _ => return Err(self.wrong()), // a control character
            }
        }
    }

    /// What is next is of another type than the one expected.
    #[cold]
    fn other_type(&mut self, expected: &str) -> Box<Fault> {
        match self.type_name() {
            Ok(found) => self.shape(format!("invalid type: {found}, expected {expected}")),
            Err(fault) => fault,
        }
    }

    fn type_name(&mut self) -> Read<String> {
        Ok(match self.peek() {
            Some(b'n') => {
                self.word(b"null")?;
                "null".to_owned()
            }
            Some(b't') => {
                self.word(b"true")?;
                "boolean `true`".to_owned()
            }
            Some(b'f') => {
                self.word(b"false")?;
                "boolean `false`".to_owned()
            }
            Some(b'-' | b'0'..=b'9') => self.number(|text| {
                let text = String::from_utf8_lossy(text);
                let short = text != "-0" && (text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok());
                if short { format!("integer `{text}`") } else { "number".to_owned() }
            })?,
            Some(b'"') => {
                let text = self.text()?;
                match text.char_indices().nth(EXCERPT_MAX) {
                    Some((end, _)) => format!("string {:?}…", text.get(..end).unwrap_or_default()),
                    None => format!("string {text:?}"),
                }
            }
            Some(b'[') => "sequence".to_owned(),
            Some(b'{') => "map".to_owned(),
            Some(_) | None => return Err(self.wrong_next()),
        })
    }
}

impl Fault {
    /// The reason, with lines and columns counted.
    pub(super) fn into_error(self, bytes: &[u8]) -> ContentError {
        let place = |at: usize| {
            let before = bytes.get(..at).unwrap_or(bytes);
            let line = 1 + before.iter().filter(|octet| **octet == b'\n').count();
            let start = before.iter().rposition(|octet| *octet == b'\n').map_or(0, |end| end + 1);
            (line, before.len() - start)
        };
        match self {
            Fault::Json(at) => {
                let (line, column) = place(at);
                ContentError::NotJson { line, column }
            }
            Fault::Shape(what, at) => {
                let (line, column) = place(at);
                ContentError::Shape(format!("{what} at line {line} column {column}"))
            }
            Fault::Content(error) => error,
        }
    }
}
