//! Tokens of users. Only a digest of a token is kept.

use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow};

use crate::{Result, Tx, row::Columns as _};

/// A row of `token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Id, unique for the user.
    pub id: String,
    /// Whose token it is.
    pub user_id: String,
    /// `static` or `session`.
    pub kind: String,
    /// Text for people.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Id of the user who made it.
    pub created_by: String,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

fn read(row: &AnyRow) -> Result<Token> {
    Ok(Token {
        id: row.text("id")?,
        user_id: row.text("user_id")?,
        kind: row.text("type")?,
        description: row.text("description")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        expires_at: row.time_or_null("expires_at")?,
    })
}

/// Adds a token, by its SHA-256.
///
/// # Errors
/// [`crate::Error::Conflict`] when the user has a token with this id, or does not exist.
pub async fn create(tx: &mut Tx, token: &Token, hash: &[u8]) -> Result<()> {
    tx.touch_identities();
    // Makes the token's row.
    sqlx::query(
        "INSERT INTO token (id, user_id, type, description, hash, created_at, created_by, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&token.id)
    .bind(&token.user_id)
    .bind(&token.kind)
    .bind(&token.description)
    .bind(hash)
    .bind(token.created_at.as_microsecond())
    .bind(&token.created_by)
    .bind(token.expires_at.map(Timestamp::as_microsecond))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The token with this SHA-256.
///
/// # Errors
/// When the database fails.
pub async fn by_hash(conn: &mut AnyConnection, hash: &[u8]) -> Result<Option<Token>> {
    // Which token has this digest?
    let row = sqlx::query(
        "SELECT id, user_id, type, description, created_at, created_by, expires_at
           FROM token WHERE hash = $1",
    )
    .bind(hash)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(read).transpose()
}

/// The tokens of a user, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, user: &str) -> Result<Vec<Token>> {
    // Which tokens does the user have?
    let rows = sqlx::query(
        "SELECT id, user_id, type, description, created_at, created_by, expires_at
           FROM token WHERE user_id = $1 ORDER BY created_at, id",
    )
    .bind(user)
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

/// One token of a user.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut AnyConnection, user: &str, id: &str) -> Result<Option<Token>> {
    // Does the user have a token with this id?
    let row = sqlx::query(
        "SELECT id, user_id, type, description, created_at, created_by, expires_at
           FROM token WHERE user_id = $1 AND id = $2",
    )
    .bind(user)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(read).transpose()
}

/// Revokes a token. Says whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, user: &str, id: &str) -> Result<bool> {
    tx.touch_identities();
    // The token is no longer valid.
    let done = sqlx::query("DELETE FROM token WHERE user_id = $1 AND id = $2")
        .bind(user)
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() > 0)
}
