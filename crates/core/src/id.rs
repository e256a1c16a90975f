//! Ids of things that happen: a prefix that tells the kind, and a UUID of version 7 (RFC 9562) without hyphens, so that
//! they sort by time. They are made where there is a clock, and only parsed here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form {prefix}_<32 hex digits>")]
pub struct BadId {
    /// What was given.
    pub text: String,
    /// What ids of this kind begin with.
    pub prefix: &'static str,
}

fn parse(text: &str, prefix: &'static str) -> Result<String, BadId> {
    let bad = || BadId { text: text.to_owned(), prefix };
    let rest = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or_else(bad)?;
    let hex = rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if hex { Ok(text.to_owned()) } else { Err(bad()) }
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// From the 128 bits of a UUID.
            pub fn from_bits(bits: u128) -> Self {
                Self(format!(concat!($prefix, "_{:032x}"), bits))
            }

            /// The whole id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                parse(text, $prefix).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;

            fn try_from(text: String) -> Result<Self, BadId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id_type! {
    /// One preparation of one commit, or one making of one base.
    PreparationId, "prep"
}
id_type! {
    /// One instance: a base being prepared, or an artifact running.
    InstanceId, "inst"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_parsed_strictly() {
        let id = InstanceId::from_bits(7);
        assert_eq!(id.as_str().parse::<InstanceId>().unwrap(), id);
        for bad in ["", "inst_", "inst_../../x", "prep_00000000000000000000000000000007"] {
            assert!(bad.parse::<InstanceId>().is_err(), "{bad}");
        }
    }
}
