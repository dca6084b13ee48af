//! Points in time, as v1 writes them.

use std::{borrow::Cow, fmt, str::FromStr};

use jiff::{Timestamp, fmt::temporal::DateTimePrinter};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

/// A point in time: RFC 3339 in UTC with three fraction digits, or none for a whole second.
///
/// Reading accepts any offset and any number of digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.0.subsec_millisecond() == 0 { 0 } else { 3 };
        let printer = DateTimePrinter::new().precision(Some(digits));
        f.write_str(&printer.timestamp_to_string(&self.0))
    }
}

impl FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Timestamp>().map(Self::from)
    }
}

/// Cuts to the millisecond, so that what was just made equals what is read later.
impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        let milliseconds = timestamp.as_microsecond().div_euclid(1000);
        Self(Timestamp::from_millisecond(milliseconds).unwrap_or(timestamp))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            serde::de::Error::custom(format_args!(
                "`{text}` is not a point in time such as 2026-01-31T12:00:00Z"
            ))
        })
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .pattern(Some(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z$"))
            .into()
    }
}

impl ToSchema for Time {}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn writes_at_most_three_digits() {
        let check = |read: &str, written: &str| {
            assert_eq!(read.parse::<Time>().unwrap().to_string(), written);
        };
        check("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z");
        check("2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.500Z");
        check("2026-01-31T12:00:00.123999999Z", "2026-01-31T12:00:00.123Z");
        check("2026-01-31T12:00:00.000001Z", "2026-01-31T12:00:00Z");
        check("2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00Z");
    }
}
