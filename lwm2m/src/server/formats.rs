//! Which content format goes to which device: by its version and `ct` at first, then by what it answered to.
//!
//! Devices differ more than the specifications say (wakaama 1.1 answers 5.00 to a read without Accept and 4.06 to
//! any format but its own), so a request that was refused for its format is repeated in the next one, and what
//! worked is remembered, for reads and writes of one value and of many apart.
use crate::catalog::Version;
use crate::coap::Code;
use crate::content::ContentFormat;

/// What a format is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Read or observe a resource or resource instance.
    ReadOne,
    /// Read or observe more.
    ReadMany,
    /// Write a resource or resource instance.
    WriteOne {
        /// Its value is Opaque: octet-stream instead of text.
        opaque: bool,
    },
    /// Write more, or create.
    WriteMany,
    /// The list of paths, or values, of a composite operation.
    Composite,
}

/// A number in the Accept or Content-Format option; `None`: no option.
pub(crate) type Choice = Option<u16>;

/// The formats that a device is known to understand, four bits a use, and what it is known to lack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned(pub u32);

/// Formats as four bits: place in this list plus one.
const CODED: [Choice; 10] = [
    Some(ContentFormat::Tlv.number()),
    Some(ContentFormat::SenmlCbor.number()),
    Some(ContentFormat::SenmlJson.number()),
    Some(ContentFormat::Json.number()),
    Some(ContentFormat::LwM2mCbor.number()),
    Some(ContentFormat::Text.number()),
    Some(ContentFormat::Opaque.number()),
    Some(ContentFormat::Cbor.number()),
    Some(ContentFormat::LegacyTlv.number()),
    None,
];

/// The device has no FETCH or iPATCH.
const NO_COMPOSITE: u32 = 1 << 31;

impl Learned {
    const fn shift(what: Use) -> u32 {
        match what {
            Use::ReadOne => 0,
            Use::ReadMany => 4,
            Use::WriteOne { opaque: false } => 8,
            Use::WriteOne { opaque: true } => 12,
            Use::WriteMany => 16,
            Use::Composite => 20,
        }
    }

    /// What worked before.
    pub(crate) fn get(self, what: Use) -> Option<Choice> {
        let code = self.0 >> Learned::shift(what) & 0xf;
        CODED.get(usize::try_from(code).ok()?.checked_sub(1)?).copied()
    }

    /// Remembers what worked. Returns whether that is news.
    pub(crate) fn set(&mut self, what: Use, choice: Choice) -> bool {
        let Some(place) = CODED.iter().position(|coded| *coded == choice) else { return false };
        let before = self.0;
        let shift = Learned::shift(what);
        self.0 = self.0 & !(0xf << shift) | (place as u32 + 1) << shift;
        self.0 != before
    }

    /// Whether composite operations have to be split.
    pub(crate) fn lacks_composite(self) -> bool {
        self.0 & NO_COMPOSITE != 0
    }

    /// The device lacks composite operations.
    pub(crate) fn note_lacks_composite(&mut self) {
        self.0 |= NO_COMPOSITE;
    }
}

/// What to try, in order. `ct` is the device's own list.
pub(crate) fn choices(what: Use, version: Version, ct: &[u16], learned: Learned) -> Vec<Choice> {
    use ContentFormat::{Json, LwM2mCbor, Opaque, SenmlCbor, SenmlJson, Text, Tlv};
    let some = |format: ContentFormat| Some(format.number());
    let mut order: Vec<Choice> = learned.get(what).into_iter().collect();
    let named = [SenmlCbor, SenmlJson, LwM2mCbor, Tlv, Json].map(some);
    let named = named.into_iter().filter(|choice| choice.is_some_and(|number| ct.contains(&number)));
    let one = if matches!(what, Use::WriteOne { opaque: true }) { Opaque } else { Text };
    if version == Version::V1_0 {
        // LwM2M 1.0 §6.4: TLV is mandatory.
        match what {
            Use::ReadOne => order.extend([some(Tlv), None, some(Text), some(Json)]),
            Use::ReadMany => order.extend([some(Tlv), None, some(Json)]),
            Use::WriteOne { .. } => order.extend([some(Tlv), some(one), some(Json)]),
            Use::WriteMany => order.extend([some(Tlv), some(Json)]),
            Use::Composite => order.extend([some(SenmlCbor), some(SenmlJson)]),
        }
    } else {
        match what {
            Use::ReadOne => {
                order.extend(named);
                order.extend([some(SenmlCbor), some(SenmlJson), some(Tlv), some(Text), None]);
            }
            Use::ReadMany => {
                order.extend(named);
                order.extend([some(SenmlCbor), some(SenmlJson), some(Tlv), None]);
            }
            Use::WriteOne { .. } => {
                // 1.1.1 Core §7.4: text and octet-stream are mandatory for clients.
                order.push(some(one));
                order.extend(named);
                order.extend([some(SenmlCbor), some(SenmlJson), some(Tlv)]);
            }
            Use::WriteMany => {
                order.extend(named);
                order.extend([some(SenmlCbor), some(SenmlJson), some(Tlv)]);
            }
            Use::Composite => {
                let values = [some(SenmlCbor), some(SenmlJson), some(LwM2mCbor)];
                order.extend(named.filter(|choice| values.contains(choice)));
                order.extend([some(SenmlCbor), some(SenmlJson)]);
            }
        }
    }
    let mut unique: Vec<Choice> = Vec::with_capacity(order.len());
    for choice in order {
        if !unique.contains(&choice) {
            unique.push(choice);
        }
    }
    unique
}

/// Whether this answer may be about the format, so that the next one is worth a try. `proven`: this very format
/// worked before, so a vague code means something else.
pub(crate) fn is_about_format(what: Use, code: Code, proven: bool) -> bool {
    match code {
        Code::NOT_ACCEPTABLE | Code::UNSUPPORTED_CONTENT_FORMAT => true,
        Code::BAD_OPTION | Code::INTERNAL_SERVER_ERROR => match what {
            Use::ReadOne | Use::ReadMany | Use::Composite => !proven,
            // A write that failed inside of the device may have done something.
            Use::WriteOne { .. } | Use::WriteMany => code == Code::BAD_OPTION && !proven,
        },
        _ => false, // a number of a device, not an enum of ours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_ct_decide_the_first_choice() {
        let first = |what, version, ct: &[u16]| choices(what, version, ct, Learned::default())[0];
        for (what, version, ct, expected) in [
            (Use::ReadOne, Version::V1_0, &[][..], Some(11542)),
            (Use::ReadMany, Version::V1_0, &[110], Some(11542)),
            (Use::ReadMany, Version::V1_1, &[], Some(112)),
            (Use::ReadMany, Version::V1_1, &[110], Some(110)),
            (Use::ReadMany, Version::V1_1, &[11542, 110, 112], Some(112)),
            (Use::ReadMany, Version::V1_1, &[0, 11542], Some(11542)),
            (Use::ReadMany, Version::V1_2, &[11544], Some(11544)),
            (Use::WriteOne { opaque: false }, Version::V1_0, &[], Some(11542)),
            (Use::WriteOne { opaque: false }, Version::V1_1, &[110], Some(0)),
            (Use::WriteOne { opaque: true }, Version::V1_1, &[110], Some(42)),
            (Use::WriteMany, Version::V1_1, &[110], Some(110)),
            (Use::WriteMany, Version::V1_1, &[], Some(112)),
            (Use::Composite, Version::V1_1, &[11542, 110], Some(110)),
        ] {
            assert_eq!(first(what, version, ct), expected, "{what:?} {version} {ct:?}");
        }
    }

    #[test]
    fn what_worked_comes_first_and_nothing_twice() {
        let mut learned = Learned::default();
        assert_eq!(learned.get(Use::ReadOne), None);
        assert!(learned.set(Use::ReadOne, None));
        assert!(!learned.set(Use::ReadOne, None));
        assert!(learned.set(Use::ReadMany, Some(110)));
        assert_eq!((learned.get(Use::ReadOne), learned.get(Use::ReadMany)), (Some(None), Some(Some(110))));
        assert!(!learned.set(Use::ReadOne, Some(65_000)), "an unknown number is not remembered");
        let order = choices(Use::ReadOne, Version::V1_1, &[], learned);
        assert_eq!(order, [None, Some(112), Some(110), Some(11542), Some(0)]);
        let order = choices(Use::ReadMany, Version::V1_1, &[110], learned);
        assert_eq!(order, [Some(110), Some(112), Some(11542), None]);
        learned.note_lacks_composite();
        assert!(learned.lacks_composite() && learned.get(Use::ReadMany) == Some(Some(110)));
    }

    #[test]
    fn only_codes_about_the_format_lead_to_another_try() {
        for (what, code, proven, again) in [
            (Use::ReadOne, Code::NOT_ACCEPTABLE, true, true),
            (Use::ReadOne, Code::INTERNAL_SERVER_ERROR, false, true),
            (Use::ReadOne, Code::INTERNAL_SERVER_ERROR, true, false),
            (Use::ReadOne, Code::NOT_FOUND, false, false),
            (Use::WriteMany, Code::UNSUPPORTED_CONTENT_FORMAT, true, true),
            (Use::WriteMany, Code::INTERNAL_SERVER_ERROR, false, false),
        ] {
            assert_eq!(is_about_format(what, code, proven), again, "{what:?} {code} {proven}");
        }
    }
}
