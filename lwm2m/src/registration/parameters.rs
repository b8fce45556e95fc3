//! The Uri-Query of Register and Update (1.1.1 Core tables 6.2.1-1 and 6.2.2-1, Transport §6.4.3).
use super::{Lifetime, Refusal};
use crate::catalog::Version;
use crate::limits::{EXTRA_BYTES_MAX, EXTRA_PARAMETERS_MAX, LIFETIME_DEFAULT_S};

/// Parameters that would put a secret into a topic.
const SECRETS: [&str; 4] = ["password", "secret", "private_key", "access_token"];

/// What the query said. What is absent is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// `ep`, unchecked but for UTF-8.
    pub endpoint: Option<Box<str>>,
    /// `lt`: within our bounds, and as asked for.
    pub lifetime: Option<(Lifetime, u64)>,
    /// `lwm2m`, one that we speak.
    pub version: Option<Version>,
    /// It was "1", without a minor number.
    pub version_is_short: bool,
    /// `b`.
    pub binding: Option<Box<str>>,
    /// `Q` was there.
    pub queue: bool,
    /// `sms`.
    pub sms: Option<Box<str>>,
    /// All others but secrets.
    pub extras: Vec<(Box<str>, Box<str>)>,
}

/// Bounds of lifetimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifetimeRule {
    /// Seconds; shorter ones, but for 0, are raised.
    pub min_s: u32,
    /// Seconds; longer ones are cut.
    pub max_s: u32,
    /// 0 means "never"; otherwise it means `max_s`.
    pub zero_is_infinite: bool,
}

impl Parameters {
    /// Reads the arguments of Uri-Query.
    ///
    /// # Errors
    /// When an argument is malformed or comes twice, or the version is not one of ours.
    pub fn parse<'a>(
        arguments: impl Iterator<Item = &'a [u8]>,
        rule: LifetimeRule,
    ) -> Result<Parameters, Refusal> {
        let mut parameters = Parameters::default();
        let mut seen: Vec<&str> = Vec::with_capacity(8);
        for argument in arguments {
            let argument =
                std::str::from_utf8(argument).map_err(|_| Refusal::BadRequest("a parameter is not UTF-8"))?;
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (argument, None),
            };
            if seen.contains(&name) {
                return Err(Refusal::BadRequest("a parameter comes twice"));
            }
            seen.push(name);
            parameters.take(name, value, rule)?;
        }
        Ok(parameters)
    }

    /// Whether an Update with these parameters only keeps a registration alive.
    pub fn says_nothing(&self) -> bool {
        let Parameters { endpoint: _, lifetime, version: _, version_is_short: _, .. } = self;
        let Parameters { binding, queue, sms, extras, .. } = self;
        lifetime.is_none() && binding.is_none() && !queue && sms.is_none() && extras.is_empty()
    }

    /// Whether a Register with these parameters means queue mode. EMQX also knows some networks by their `apn`.
    pub fn wants_queue_mode(&self) -> bool {
        const SLEEPY: [&str; 4] = ["Ctnb", "psmA.eDRX0.ctnb", "psmC.eDRX0.ctnb", "psmF.eDRXC.ctnb"];
        let binding = self.binding.as_deref().unwrap_or("U");
        let apn = self.extras.iter().any(|(name, value)| &**name == "apn" && SLEEPY.contains(&&**value));
        // Interpretation: a Q in `b` counts in every version, `Q` alone too: who sends it, means it.
        self.queue || binding.contains('Q') || apn
    }

    fn take(&mut self, name: &str, value: Option<&str>, rule: LifetimeRule) -> Result<(), Refusal> {
        let Some(value) = value else {
            if name == "Q" {
                self.queue = true;
                return Ok(());
            }
            return Err(Refusal::BadRequest("a parameter without ="));
        };
        match name {
            "ep" => self.endpoint = Some(value.into()),
            "lt" => self.lifetime = Some(lifetime(value, rule)?),
            "lwm2m" => {
                self.version = Some(version(value)?);
                self.version_is_short = !value.contains('.');
            }
            "b" => {
                if value.len() > 8 || !value.bytes().all(|letter| letter.is_ascii_uppercase()) {
                    return Err(Refusal::BadRequest("b: letters of U M H T S N Q"));
                }
                self.binding = Some(value.into());
            }
            "Q" => self.queue = true, // Interpretation: "Q=" and "Q=true" say the same as "Q"
            "sms" => {
                if value.len() > EXTRA_BYTES_MAX {
                    return Err(Refusal::BadRequest("sms: too long"));
                }
                self.sms = Some(value.into());
            }
            _ => self.take_other(name, value)?, // a name of somebody's own
        }
        Ok(())
    }

    fn take_other(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        if self.extras.len() >= EXTRA_PARAMETERS_MAX {
            return Err(Refusal::BadRequest("too many parameters"));
        }
        if name.is_empty() || name.len() > EXTRA_BYTES_MAX || value.len() > EXTRA_BYTES_MAX {
            return Err(Refusal::BadRequest("a parameter is empty or too long"));
        }
        let secret = SECRETS.iter().any(|secret| secret.eq_ignore_ascii_case(name));
        // Names of the event's own members are not for devices to write.
        if !secret && name != "objectList" && name != "alternatePath" {
            self.extras.push((name.into(), value.into()));
        }
        Ok(())
    }
}

impl LifetimeRule {
    /// What is granted of so many seconds; the maximum is stronger than the minimum.
    fn grant(self, seconds: u32) -> Lifetime {
        Lifetime::Seconds(seconds.max(self.min_s).min(self.max_s).max(1))
    }
}

/// Digits only; what is out of our bounds is brought into them, 0 is as the operator decided (hostile L14).
fn lifetime(text: &str, rule: LifetimeRule) -> Result<(Lifetime, u64), Refusal> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::BadRequest("lt: seconds"));
    }
    let asked: u64 = text.parse().unwrap_or(u64::MAX); // more digits than u64 has
    let granted = match u32::try_from(asked) {
        Ok(0) if rule.zero_is_infinite => return Ok((Lifetime::Infinite, 0)),
        Ok(0) | Err(_) => rule.max_s,
        Ok(seconds) => seconds,
    };
    Ok((rule.grant(granted), asked))
}

/// The lifetime of a Register without `lt`.
pub(crate) fn default_lifetime(rule: LifetimeRule) -> (Lifetime, u64) {
    (rule.grant(LIFETIME_DEFAULT_S), u64::from(LIFETIME_DEFAULT_S))
}

fn version(text: &str) -> Result<Version, Refusal> {
    let malformed = Refusal::BadRequest("lwm2m: a version like 1.1");
    // Interpretation: the parameter is x.y (1.1.1 Core §6.2.1), but devices also say which edition of the text they
    // follow: coap-node "1.0.0", after the titles of the specifications (1.0.2, 1.1.1). That says nothing more.
    let (text, edition) = match text.match_indices('.').nth(1) {
        Some((at, _)) => text.split_at(at),
        None => (text, ""),
    };
    let digits = edition.strip_prefix('.').map_or("0", |digits| digits);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(malformed);
    }
    let version = Version::parse(text).ok_or(malformed)?;
    match version {
        Version::V1_0 | Version::V1_1 | Version::V1_2 => Ok(version),
        Version { .. } if text.contains('.') => Err(Refusal::UnsupportedVersion),
        Version { .. } => Err(malformed), // "2": no x.y
    }
}
