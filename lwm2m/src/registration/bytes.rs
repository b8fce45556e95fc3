//! A little binary writer and reader: length-prefixed, bounded, total.

/// Writes fields one behind the other.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// A number in as many bytes as it needs: seven bits each, the last one without the highest bit.
    pub(super) fn number(&mut self, value: impl Into<u64>) {
        let mut rest = value.into();
        while rest > 0x7f {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.number(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    pub(super) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    pub(super) fn optional(&mut self, value: Option<&str>) {
        self.u8(u8::from(value.is_some()));
        if let Some(value) = value {
            self.text(value);
        }
    }

    pub(super) fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Writer, &T)) {
        self.number(items.len() as u64);
        items.iter().for_each(|item| write(self, item));
    }
}

/// Reads them back; `None` at the first that is not there.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            2..=u8::MAX => None,
        }
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A number that fits into `T`, in its only form.
    pub(super) fn number<T: TryFrom<u64>>(&mut self) -> Option<T> {
        let mut value = 0_u64;
        for place in 0..10 {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << (7 * place);
            if shifted >> (7 * place) != bits {
                return None;
            }
            value |= shifted;
            if byte < 0x80 {
                return if byte == 0 && place > 0 { None } else { T::try_from(value).ok() };
            }
        }
        None
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(super) fn optional(&mut self) -> Option<Option<&'a str>> {
        if self.bool()? { self.text().map(Some) } else { Some(None) }
    }

    /// A list; nothing is reserved for a length that the bytes cannot hold.
    pub(super) fn list<T>(&mut self, mut read: impl FnMut(&mut Reader<'a>) -> Option<T>) -> Option<Vec<T>> {
        let count: usize = self.number()?;
        let mut items = Vec::with_capacity(count.min(self.0.len()));
        for _ in 0..count {
            items.push(read(self)?);
        }
        Some(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_as_many_bytes_as_they_need_and_have_one_form() {
        for (value, length) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u64::MAX, 10)] {
            let mut w = Writer::default();
            w.number(value);
            assert_eq!(w.0.len(), length, "{value}");
            assert_eq!(Reader(&w.0).number(), Some(value));
            let cut = w.0.get(..length - 1).expect("one less");
            assert_eq!(Reader(cut).number::<u64>(), None);
        }
        assert_eq!(Reader(&[0x80, 0x02]).number::<u8>(), None, "256");
        assert_eq!(Reader(&[0xff, 0x01]).number(), Some(255_u8));
        assert_eq!(Reader(&[0x81, 0x00]).number::<u64>(), None, "a longer form of 1");
        assert_eq!(Reader(&[0xff; 11]).number::<u64>(), None);
        let beyond = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(Reader(&beyond).number::<u64>(), None, "2^64 and more");
    }

    #[test]
    fn nothing_is_reserved_for_a_length_that_is_not_there() {
        let mut huge = Writer::default();
        huge.number(u64::MAX);
        assert_eq!(Reader(&huge.0).list(Reader::u8), None);
        assert_eq!(Reader(&huge.0).bytes(), None);
    }
}
