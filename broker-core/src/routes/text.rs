//! A short text inside its owner, so that comparing it costs no further cache miss.

/// Up to `N` bytes inline, more on the heap. Always valid UTF-8, since it is made from `str`.
pub(super) enum Text<const N: usize> {
    Short { len: u8, bytes: [u8; N] },
    Long(Box<str>),
}

impl<const N: usize> Text<N> {
    pub(super) fn new(text: &str) -> Self {
        let mut bytes = [0; N];
        match (u8::try_from(text.len()), bytes.get_mut(..text.len())) {
            (Ok(len), Some(room)) => {
                room.copy_from_slice(text.as_bytes());
                Text::Short { len, bytes }
            }
            (Ok(_) | Err(_), _) => Text::Long(Box::from(text)),
        }
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        match self {
            Text::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Text::Long(text) => text.as_bytes(),
        }
    }

    #[inline]
    pub(super) fn is(&self, text: &str) -> bool {
        self.as_bytes() == text.as_bytes()
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Text::Short { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Text::Long(text) => text,
        }
    }
}
