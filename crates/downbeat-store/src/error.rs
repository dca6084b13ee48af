//! What can go wrong in the store, by what the caller can do about it.

/// Result of a store function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row with this key exists already, or a row still refers to the one to be removed.
    #[error("the row conflicts with another one")]
    Conflict,
    /// The caller's lease is over: another owner works on this deployment.
    #[error("the lease on the deployment is lost")]
    Fenced,
    /// A document in a column cannot be read: written by a newer version, or damaged.
    #[error("column {column} of {table} holds a document that cannot be read")]
    Corrupt {
        /// Table of the column.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What the reader said.
        #[source]
        source: serde_json::Error,
    },
    /// The database cannot be opened.
    #[error("the database {path} cannot be opened")]
    Open {
        /// File or URL, without credentials.
        path: String,
        /// What the driver said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database)
                if database.is_unique_violation() || database.is_foreign_key_violation() =>
            {
                Self::Conflict
            }
            _ => Self::Database(error),
        }
    }
}
