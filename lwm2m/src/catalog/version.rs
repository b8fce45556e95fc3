//! Versions of objects and of LwM2M itself: two numbers.

use std::fmt;

/// A version `major.minor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Changes here break readers.
    pub major: u16,
    /// Changes here add things.
    pub minor: u16,
}

impl Version {
    /// 1.0, which a missing version stands for.
    pub const V1_0: Version = Version::new(1, 0);
    /// 1.1.
    pub const V1_1: Version = Version::new(1, 1);
    /// 1.2.
    pub const V1_2: Version = Version::new(1, 2);

    /// `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Version { major, minor }
    }

    /// Reads "1.1" or "1" (which is 1.0): ASCII digits without sign. `None` for anything else.
    pub fn parse(text: &str) -> Option<Version> {
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse::<u16>().ok()).flatten()
        };
        match text.split_once('.') {
            Some((major, minor)) => Some(Version::new(number(major)?, number(minor)?)),
            None => Some(Version::new(number(text)?, 0)),
        }
    }

    /// The version of an object that a device means when it registers the object without `ver`: that of the
    /// core objects of its own LwM2M version, 1.0 for every other object (1.1.1 Core §7.2.2).
    pub const fn of_unversioned_object(object: u16, lwm2m: Version) -> Version {
        let minor = match (lwm2m.major, lwm2m.minor) {
            (1, 1) => match object {
                0 | 1 | 3 => 1,
                4 => 2,
                _ => 0, // every other object id
            },
            (1, 2..) => match object {
                0 | 1 | 3 => 2,
                2 | 5 => 1,
                4 => 3,
                21 => return Version::new(2, 0),
                _ => 0, // every other object id
            },
            _ => 0, // 1.0, and versions that no registration is accepted with
        };
        Version::new(1, minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_one_or_two_numbers() {
        assert_eq!(Version::parse("1.1"), Some(Version::V1_1));
        assert_eq!(Version::parse("1"), Some(Version::V1_0));
        assert_eq!(Version::parse("2.13"), Some(Version::new(2, 13)));
        for text in ["", ".", "1.", ".1", "1.1.1", "+1", "1.-1", "a", "99999", " 1.0"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
        assert!(Version::new(2, 0) > Version::new(1, 9));
    }

    #[test]
    fn objects_without_version_have_that_of_the_device() {
        let of = |object, lwm2m| Version::of_unversioned_object(object, lwm2m).to_string();
        assert_eq!(of(3, Version::V1_0), "1.0");
        assert_eq!(of(3, Version::V1_1), "1.1");
        assert_eq!(of(4, Version::V1_1), "1.2");
        assert_eq!(of(4, Version::V1_2), "1.3");
        assert_eq!(of(3303, Version::V1_2), "1.0");
    }
}
