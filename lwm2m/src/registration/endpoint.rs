//! Endpoint client names: they become a topic level, so they are checked before anything is done with them.
use crate::limits::ENDPOINT_BYTES_MAX;

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    /// Empty, or longer than [`ENDPOINT_BYTES_MAX`].
    Length,
    /// It contains "/", "+" or "#", which topics are made of.
    TopicCharacter,
    /// A control character, or one that turns the direction of the text.
    Control,
    /// It begins with "$": such topics are the broker's.
    Dollar,
    /// "." or "..".
    Dots,
}

impl NameFault {
    /// The diagnostic text.
    pub const fn text(self) -> &'static str {
        match self {
            NameFault::Length => "ep: 1 to 255 bytes",
            NameFault::TopicCharacter => "ep: without / + #",
            NameFault::Control => "ep: without control characters",
            NameFault::Dollar => "ep: not beginning with $",
            NameFault::Dots => "ep: not . or ..",
        }
    }
}

/// Characters that change the direction or the lines of what follows them.
fn is_deceptive(c: char) -> bool {
    matches!(
        c,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    )
}

/// Checks a name.
///
/// # Errors
/// The first fault found.
pub fn check_endpoint_name(name: &str) -> Result<(), NameFault> {
    if name.is_empty() || name.len() > ENDPOINT_BYTES_MAX {
        return Err(NameFault::Length);
    }
    if name.contains(['/', '+', '#']) {
        return Err(NameFault::TopicCharacter);
    }
    if name.chars().any(|c| c.is_control() || is_deceptive(c)) {
        return Err(NameFault::Control);
    }
    if name.starts_with('$') {
        return Err(NameFault::Dollar);
    }
    if name == "." || name == ".." {
        return Err(NameFault::Dots);
    }
    Ok(())
}
