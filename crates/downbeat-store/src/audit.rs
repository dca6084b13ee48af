//! The audit log: what was changed, by whom, and how it was before and after.
//!
//! An entry is written in the transaction of the change, so there is none without the other. The
//! entries of an organization are a chain: each carries a hash over its content and the hash of
//! the one before. Whoever alters, drops or inserts one has to rewrite all later ones; a hash that
//! was noted elsewhere gives that away ([`verify`]).

use downbeat_core::{Json, id::sha256_hex, json};
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow};

use crate::{
    OrgScope, Result, Tx,
    row::{Columns as _, written},
};

/// A change that succeeded.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// Id of the user who asked for it.
    pub user_id: String,
    /// Id of the request, as the log has it.
    pub request_id: String,
    /// HTTP method.
    pub method: String,
    /// Path as it was sent, without the query.
    pub path: String,
    /// Status of the answer.
    pub status: u16,
    /// How the API showed the object before; none when it was made.
    pub before: Option<Json>,
    /// How the API shows the object now; none when it is gone.
    pub after: Option<Json>,
}

/// A row of `audit_entry`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// 1, 2, ... within the organization.
    pub number: i64,
    /// What happened.
    pub change: Change,
    /// Hash over this entry and the one before.
    pub hash: String,
}

fn read(row: &AnyRow) -> Result<Entry> {
    let change = Change {
        at: row.time("at")?,
        user_id: row.text("user_id")?,
        request_id: row.text("request_id")?,
        method: row.text("method")?,
        path: row.text("path")?,
        status: u16::try_from(row.number("status")?).unwrap_or(0),
        before: row.document_or_null("audit_entry", "before")?,
        after: row.document_or_null("audit_entry", "after")?,
    };
    Ok(Entry { number: row.number("number")?, change, hash: row.text("hash")? })
}

/// Adds a change to the log of an organization.
///
/// # Errors
/// When the database fails.
pub async fn append(tx: &mut Tx, scope: &OrgScope, change: &Change) -> Result<()> {
    let last = head(tx, scope).await?;
    let (number, previous) = last.map_or((1, String::new()), |(number, hash)| (number + 1, hash));
    let text = |document: &Option<Json>, column| {
        document.as_ref().map(|json| written(json, "audit_entry", column)).transpose()
    };
    // Adds an entry to the end of the chain.
    sqlx::query(
        "INSERT INTO audit_entry (org_id, number, at, user_id, request_id, method, path, status,
                                  before, after, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(scope.org())
    .bind(number)
    .bind(change.at.as_microsecond())
    .bind(&change.user_id)
    .bind(&change.request_id)
    .bind(&change.method)
    .bind(&change.path)
    .bind(i64::from(change.status))
    .bind(text(&change.before, "before")?)
    .bind(text(&change.after, "after")?)
    .bind(hash(scope.org(), number, change, &previous)?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Number and hash of the newest entry.
///
/// # Errors
/// When the database fails.
pub async fn head(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Option<(i64, String)>> {
    // Which entry is the end of the chain?
    let row = sqlx::query(
        "SELECT number, hash FROM audit_entry WHERE org_id = $1 ORDER BY number DESC LIMIT 1",
    )
    .bind(scope.org())
    .fetch_optional(conn)
    .await?;
    row.map(|row| Ok((row.number("number")?, row.text("hash")?))).transpose()
}

/// The entries in `[from, to)`, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    (from, to): (Timestamp, Timestamp),
    limit: i64,
    offset: i64,
) -> Result<Vec<Entry>> {
    // What was changed in this time?
    let rows = sqlx::query(
        "SELECT * FROM audit_entry
             WHERE org_id = $1 AND at >= $2 AND at < $3
             ORDER BY number DESC LIMIT $4 OFFSET $5",
    )
    .bind(scope.org())
    .bind(from.as_microsecond())
    .bind(to.as_microsecond())
    .bind(limit)
    .bind(offset)
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The entry with this number is not there, although later ones are.
    Missing(i64),
    /// The content of this entry, or of one before it, is not what it was.
    Altered(i64),
}

/// The chain of an organization, walked from its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many entries there are.
    pub entries: i64,
    /// Hash of the newest one; empty without any.
    pub head: String,
    /// The first thing that is wrong.
    pub flaw: Option<Flaw>,
}

/// Entries that are read at once.
const PAGE: i64 = 500;

/// Walks the whole chain of an organization.
///
/// # Errors
/// When the database fails.
pub async fn verify(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Verified> {
    let mut verified = Verified::default();
    loop {
        // Which entries follow?
        let rows = sqlx::query(
            "SELECT * FROM audit_entry WHERE org_id = $1 AND number > $2 ORDER BY number LIMIT $3",
        )
        .bind(scope.org())
        .bind(verified.entries)
        .bind(PAGE)
        .fetch_all(&mut *conn)
        .await?;
        if rows.is_empty() {
            return Ok(verified);
        }
        for row in &rows {
            let number = row.number("number")?;
            let expected = verified.entries + 1;
            if number != expected {
                verified.flaw = Some(Flaw::Missing(expected));
                return Ok(verified);
            }
            // Columns that cannot be read any more were altered as well.
            let entry = read(row).ok();
            let is_sound = match &entry {
                Some(entry) => {
                    entry.hash == hash(scope.org(), number, &entry.change, &verified.head)?
                }
                None => false,
            };
            let Some(entry) = entry.filter(|_| is_sound) else {
                verified.flaw = Some(Flaw::Altered(number));
                return Ok(verified);
            };
            verified.entries = number;
            verified.head = entry.hash;
        }
    }
}

/// The hash of an entry: SHA-256 over the canonical JSON
/// list of all that it says and the hash before it.
fn hash(org: &str, number: i64, change: &Change, previous: &str) -> Result<String> {
    let content = (
        previous,
        org,
        number,
        change.at.as_microsecond(),
        (&change.user_id, &change.request_id, &change.method, &change.path, change.status),
        (&change.before, &change.after),
    );
    Ok(sha256_hex(json::canonical(&content).as_bytes()))
}
