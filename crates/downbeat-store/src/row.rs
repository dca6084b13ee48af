//! Reading and writing columns: TEXT, BIGINT and BLOB become what they mean.

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row as _, any::AnyRow};

use crate::{Error, Result};

/// Typed access to the columns of a row, by name.
pub(crate) trait Columns {
    /// A text.
    fn text(&self, column: &str) -> Result<String>;
    /// A text that may be missing.
    fn text_or_null(&self, column: &str) -> Result<Option<String>>;
    /// A number.
    fn number(&self, column: &str) -> Result<i64>;
    /// A flag, kept as 0 or 1.
    fn flag(&self, column: &str) -> Result<bool>;
    /// A point in time, kept as UTC microseconds.
    fn time(&self, column: &str) -> Result<Timestamp>;
    /// A point in time that may be missing.
    fn time_or_null(&self, column: &str) -> Result<Option<Timestamp>>;
    /// A document. `table` is for the error only.
    fn document<T: DeserializeOwned>(&self, table: &'static str, column: &'static str)
    -> Result<T>;
    /// A document that may be missing.
    fn document_or_null<T: DeserializeOwned>(
        &self,
        table: &'static str,
        column: &'static str,
    ) -> Result<Option<T>>;
}

impl Columns for AnyRow {
    fn text(&self, column: &str) -> Result<String> {
        Ok(self.try_get(column)?)
    }

    fn text_or_null(&self, column: &str) -> Result<Option<String>> {
        Ok(self.try_get(column)?)
    }

    fn number(&self, column: &str) -> Result<i64> {
        Ok(self.try_get(column)?)
    }

    fn flag(&self, column: &str) -> Result<bool> {
        Ok(self.number(column)? != 0)
    }

    fn time(&self, column: &str) -> Result<Timestamp> {
        timestamp(column, self.number(column)?)
    }

    fn time_or_null(&self, column: &str) -> Result<Option<Timestamp>> {
        let micros: Option<i64> = self.try_get(column)?;
        micros.map(|micros| timestamp(column, micros)).transpose()
    }

    fn document<T: DeserializeOwned>(
        &self,
        table: &'static str,
        column: &'static str,
    ) -> Result<T> {
        parse(&self.text(column)?, table, column)
    }

    fn document_or_null<T: DeserializeOwned>(
        &self,
        table: &'static str,
        column: &'static str,
    ) -> Result<Option<T>> {
        self.text_or_null(column)?.map(|text| parse(&text, table, column)).transpose()
    }
}

fn timestamp(column: &str, micros: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|error| {
        Error::Database(sqlx::Error::ColumnDecode {
            index: column.to_owned(),
            source: error.into(),
        })
    })
}

fn parse<T: DeserializeOwned>(text: &str, table: &'static str, column: &'static str) -> Result<T> {
    serde_json::from_str(text).map_err(|source| Error::Corrupt { table, column, source })
}

/// The text of a document to be stored.
pub(crate) fn written<T: Serialize>(
    value: &T,
    table: &'static str,
    column: &'static str,
) -> Result<String> {
    serde_json::to_string(value).map_err(|source| Error::Corrupt { table, column, source })
}
