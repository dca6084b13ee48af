//! The audit log: what was changed, by whom, and how it was before and after.
//!
//! An entry is written in the transaction of the change, so there is none without the other. The
//! entries of an organization are a chain: each carries a hash over what it says and the hash of
//! the one before. Whoever alters, drops or inserts one has to rewrite all later ones; a hash that
//! was noted elsewhere gives that away ([`verify`], [`find_hash`]).
//!
//! A [`Document`] takes part in the chain by its own hash, so it can be left out later without
//! breaking the chain; nothing else of an entry ever changes.

use downbeat_core::{Json, id::sha256_hex};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, any::AnyRow};

use crate::{
    OrgScope, Result, Tx,
    row::{Columns as _, written},
};

/// A JSON document of an entry, as the text that is stored: either in full, or left out, which
/// leaves its [`Digest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document(String);

/// What stays of a document that is left out. No object of the API has exactly these members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// SHA-256 of the text, lower-case hex.
    pub sha256: String,
    /// Length of the text.
    pub bytes: usize,
}

impl Document {
    /// The document in full.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn of(value: &impl Serialize) -> Result<Self> {
        written(value, "audit_entry", "before or after").map(Self)
    }

    /// Length of the text, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The document with nothing left of it but its digest.
    ///
    /// # Errors
    /// When the digest cannot be written as JSON.
    pub fn left_out(&self) -> Result<Self> {
        Self::of(&self.digest())
    }

    /// Whether there is nothing left of it but its digest.
    #[must_use]
    pub fn is_left_out(&self) -> bool {
        serde_json::from_str::<Digest>(&self.0).is_ok()
    }

    /// The document as JSON; null when it is damaged.
    #[must_use]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    fn digest(&self) -> Digest {
        serde_json::from_str(&self.0).unwrap_or_else(|_| Digest {
            sha256: sha256_hex(self.0.as_bytes()),
            bytes: self.0.len(),
        })
    }
}

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// Id of the user who asked for it.
    pub user_id: String,
    /// Id of the request, as the log has it; empty when there was none.
    pub request_id: String,
    /// HTTP method.
    pub method: String,
    /// Path as it was sent, without the query.
    pub path: String,
    /// Status of the answer.
    pub status: u16,
    /// How the API showed the object before; none when it was made.
    pub before: Option<Document>,
    /// How the API shows the object now; none when it is gone.
    pub after: Option<Document>,
}

/// A row of `audit_entry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Id of the organization; empty for what belongs to none.
    pub org_id: String,
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
        before: row.text_or_null("before")?.map(Document),
        after: row.text_or_null("after")?.map(Document),
    };
    let (org_id, number) = (row.text("org_id")?, row.number("number")?);
    Ok(Entry { org_id, number, change, hash: row.text("hash")? })
}

/// Adds a change to the log of an organization.
///
/// # Errors
/// When the database fails.
pub async fn append(tx: &mut Tx, scope: &OrgScope, change: &Change) -> Result<()> {
    // Which entry is the end of the chain?
    let last = sqlx::query(
        "SELECT number, hash FROM audit_entry WHERE org_id = $1 ORDER BY number DESC LIMIT 1",
    )
    .bind(scope.org())
    .fetch_optional(&mut **tx)
    .await?;
    let (number, previous) = match last {
        Some(row) => (row.number("number")? + 1, row.text("hash")?),
        None => (1, String::new()),
    };
    let text = |document: &Option<Document>| document.as_ref().map(|Document(text)| text.clone());
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
    .bind(text(&change.before))
    .bind(text(&change.after))
    .bind(hash(scope.org(), number, change, &previous)?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Which entries to list.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Not before this time.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
    /// Only entries with smaller numbers.
    pub below: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

/// The entries of an organization, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    wanted: Wanted,
) -> Result<Vec<Entry>> {
    // What was changed in this time?
    let rows = sqlx::query(
        "SELECT * FROM audit_entry
             WHERE org_id = $1 AND number < $2 AND at >= $3 AND at < $4
             ORDER BY number DESC LIMIT $5",
    )
    .bind(scope.org())
    .bind(wanted.below.unwrap_or(i64::MAX))
    .bind(wanted.from.map_or(i64::MIN, Timestamp::as_microsecond))
    .bind(wanted.to.map_or(i64::MAX, Timestamp::as_microsecond))
    .bind(wanted.limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

/// The entries that a request wrote, in the log of whatever organization: what did it change?
///
/// # Errors
/// When the database fails.
pub async fn of_request(conn: &mut AnyConnection, request_id: &str) -> Result<Vec<Entry>> {
    // What did this request change?
    let rows = sqlx::query("SELECT * FROM audit_entry WHERE request_id = $1 ORDER BY number")
        .bind(request_id)
        .fetch_all(conn)
        .await?;
    rows.iter().map(read).collect()
}

/// Leaves documents out of the log of an organization, for good. Only their digests stay, so the
/// chain holds.
///
/// # Errors
/// When the database fails.
pub async fn leave_out(
    tx: &mut Tx,
    scope: &OrgScope,
    goes: impl Fn(&Change, &Document) -> bool,
) -> Result<()> {
    let mut last = 0;
    loop {
        // Which entries follow that have documents?
        let rows = sqlx::query(
            "SELECT * FROM audit_entry
                 WHERE org_id = $1 AND number > $2 AND (before IS NOT NULL OR after IS NOT NULL)
                 ORDER BY number LIMIT $3",
        )
        .bind(scope.org())
        .bind(last)
        .bind(PAGE)
        .fetch_all(&mut **tx)
        .await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            let Entry { number, change, .. } = read(row)?;
            last = number;
            let kept = |document: &Option<Document>| -> Result<Option<Document>> {
                let Some(document) = document else { return Ok(None) };
                Ok(Some(if goes(&change, document) {
                    document.left_out()?
                } else {
                    document.clone()
                }))
            };
            let (before, after) = (kept(&change.before)?, kept(&change.after)?);
            if (&before, &after) == (&change.before, &change.after) {
                continue;
            }
            // What is left of the entry's documents?
            sqlx::query(
                "UPDATE audit_entry SET before = $1, after = $2 WHERE org_id = $3 AND number = $4",
            )
            .bind(before.map(|Document(text)| text))
            .bind(after.map(|Document(text)| text))
            .bind(scope.org())
            .bind(number)
            .execute(&mut **tx)
            .await?;
        }
    }
}

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The entry with this number is not there, although it has to be.
    Missing(i64),
    /// What this entry says is not what was written, or it was not written after the one before.
    Altered(i64),
}

/// The chain of an organization, walked from its start up to the first flaw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many sound entries there are.
    pub entries: i64,
    /// How many of them have a document that was left out.
    pub left_out: i64,
    /// Hash of the last sound one; empty without any.
    pub head: String,
    /// The first thing that is wrong.
    pub flaw: Option<Flaw>,
}

/// Entries that are read at once.
const PAGE: i64 = 500;

/// The organizations that have to have a chain, and whoever else has one; empty stands for what
/// belongs to no organization. For those who have the database itself.
///
/// # Errors
/// When the database fails.
pub async fn chains(conn: &mut AnyConnection) -> Result<Vec<String>> {
    // Whose logs are there, or should be?
    let rows = sqlx::query(
        "SELECT id AS org_id FROM organization UNION SELECT org_id FROM audit_entry ORDER BY 1",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.text("org_id")).collect()
}

/// Walks a chain. One without entries lacks the first. For those who have the database itself.
///
/// # Errors
/// When the database fails.
pub async fn verify(conn: &mut AnyConnection, org: &str) -> Result<Verified> {
    let mut verified = Verified::default();
    let mut last = i64::MIN;
    loop {
        // Which entries follow?
        let rows = sqlx::query(
            "SELECT * FROM audit_entry WHERE org_id = $1 AND number > $2 ORDER BY number LIMIT $3",
        )
        .bind(org)
        .bind(last)
        .bind(PAGE)
        .fetch_all(&mut *conn)
        .await?;
        if rows.is_empty() {
            if verified.entries == 0 {
                verified.flaw = Some(Flaw::Missing(1));
            }
            return Ok(verified);
        }
        for row in &rows {
            let expected = verified.entries + 1;
            // Columns that cannot be read any more were altered as well.
            let number = row.number("number").unwrap_or(expected);
            if number > expected {
                verified.flaw = Some(Flaw::Missing(expected));
                return Ok(verified);
            }
            let sound = |entry: &Entry| -> Result<bool> {
                let hash = hash(org, expected, &entry.change, &verified.head)?;
                Ok(entry.number == expected && entry.hash == hash)
            };
            let entry = match read(row) {
                Ok(entry) if sound(&entry)? => entry,
                _ => {
                    verified.flaw = Some(Flaw::Altered(number));
                    return Ok(verified);
                }
            };
            let documents = [&entry.change.before, &entry.change.after];
            if documents.into_iter().flatten().any(Document::is_left_out) {
                verified.left_out += 1;
            }
            verified.entries = expected;
            verified.head = entry.hash;
            last = expected;
        }
    }
}

/// The organization and the number of the entry with this hash. For those who have the database
/// itself.
///
/// # Errors
/// When the database fails.
pub async fn find_hash(conn: &mut AnyConnection, hash: &str) -> Result<Option<(String, i64)>> {
    // Is there an entry with this hash?
    let row = sqlx::query("SELECT org_id, number FROM audit_entry WHERE hash = $1")
        .bind(hash)
        .fetch_optional(conn)
        .await?;
    row.map(|row| Ok((row.text("org_id")?, row.number("number")?))).transpose()
}

/// The hash of an entry: SHA-256 over a JSON list of the hash before it and all that it says, with
/// the digests of its documents. `docs/design/audit.md` writes it out.
fn hash(org: &str, number: i64, change: &Change, previous: &str) -> Result<String> {
    let digest = |document: &Option<Document>| document.as_ref().map(Document::digest);
    let content = (
        previous,
        org,
        number,
        change.at.as_microsecond(),
        (&change.user_id, &change.request_id, &change.method, &change.path, change.status),
        (digest(&change.before), digest(&change.after)),
    );
    Ok(sha256_hex(written(&content, "audit_entry", "hash")?.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Db, commit};

    /// `docs/design/audit.md` promises this form: others may have written programs that check it.
    #[tokio::test]
    async fn hashes_are_as_they_are_described() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(&directory.path().join("test.db")).await.unwrap();
        let scope = OrgScope::granted("acme");
        let document = Document("{\"id\":\"qa\",\"description\":\"Tests\"}".to_owned());
        let change = |second: i64, id: &str, (method, path, status): (&str, &str, u16)| Change {
            at: Timestamp::from_second(1_769_860_800 + second).unwrap(),
            user_id: "ada".to_owned(),
            request_id: id.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            status,
            before: None,
            after: None,
        };
        let mut tx = db.write().await.unwrap();
        let made = change(0, "r-1", ("POST", "/orgs/acme/env-types", 201));
        let made = Change { after: Some(document.clone()), ..made };
        append(&mut tx, &scope, &made).await.unwrap();
        let gone = change(1, "r-2", ("DELETE", "/orgs/acme/env-types/qa", 204));
        let gone = Change { before: Some(document), ..gone };
        append(&mut tx, &scope, &gone).await.unwrap();
        commit(tx).await.unwrap();

        let mut conn = db.read().await.unwrap();
        let all = Wanted { from: None, to: None, below: None, limit: 10 };
        let entries = list(&mut conn, &scope, all).await.unwrap();
        assert_eq!([&entries[0].change, &entries[1].change], [&gone, &made]);
        // Made with another program.
        assert_eq!(
            [entries[1].hash.as_str(), entries[0].hash.as_str()],
            [
                "b2c85b187a71b38c6321568487106f1e37fd65edfb1f2b81a2eeea6f984ca8df",
                "ffc595369f76ef75ce5e17505fbb8a6c4663109c1a68a88efdb7eba1e34d5273",
            ]
        );
        let found = find_hash(&mut conn, &entries[0].hash).await.unwrap();
        assert_eq!(found, Some(("acme".to_owned(), 2)));
        drop(conn);

        // Without its documents the chain is the same.
        let mut tx = db.write().await.unwrap();
        leave_out(&mut tx, &scope, |change, _| change.status == 201).await.unwrap();
        commit(tx).await.unwrap();
        let mut conn = db.read().await.unwrap();
        let verified = verify(&mut conn, "acme").await.unwrap();
        let expected =
            Verified { entries: 2, left_out: 1, head: entries[0].hash.clone(), flaw: None };
        assert_eq!(verified, expected);
        assert_eq!(verify(&mut conn, "none").await.unwrap().flaw, Some(Flaw::Missing(1)));
    }
}
