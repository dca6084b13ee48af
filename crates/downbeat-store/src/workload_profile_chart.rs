//! Helm charts that an organization has uploaded for its workload profiles.

use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{OrgScope, Result, Tx, row::Columns as _};

/// A version of a chart, without its archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartVersion {
    /// Name of the chart, as it says itself.
    pub id: String,
    /// Version of the chart, as it says itself.
    pub version: String,
    /// 1, 2, ... within the chart.
    pub number: i64,
    /// When it was uploaded.
    pub created_at: Timestamp,
    /// Id of the user who uploaded it.
    pub created_by: String,
}

fn read(row: &AnyRow) -> Result<ChartVersion> {
    Ok(ChartVersion {
        id: row.text("id")?,
        version: row.text("version")?,
        number: row.number("number")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
    })
}

/// Keeps a version of a chart, with its archive.
///
/// # Errors
/// [`crate::Error::Conflict`] when the chart has this version.
pub async fn create(
    tx: &mut Tx,
    scope: &OrgScope,
    new: &ChartVersion,
    archive: &[u8],
) -> Result<()> {
    // A new version of a chart.
    query(
        "INSERT INTO workload_profile_chart
             (org_id, id, version, number, archive, created_at, created_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(scope.org())
    .bind(&new.id)
    .bind(&new.version)
    .bind(new.number)
    .bind(archive)
    .bind(new.created_at.as_microsecond())
    .bind(&new.created_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Which versions to list. What is none matches all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Only of this chart.
    pub id: Option<&'a str>,
    /// Only this version.
    pub version: Option<&'a str>,
}

/// Versions of charts, by chart, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    wanted: Wanted<'_>,
) -> Result<Vec<ChartVersion>> {
    // Which versions of which charts are there?
    query(
        "SELECT id, version, number, created_at, created_by FROM workload_profile_chart
          WHERE org_id = $1 AND ($2 = '' OR id = $2) AND ($3 = '' OR version = $3)
          ORDER BY id, number DESC",
    )
    .bind(scope.org())
    .bind(wanted.id.unwrap_or_default())
    .bind(wanted.version.unwrap_or_default())
    .fetch_all(conn)
    .await?
    .iter()
    .map(read)
    .collect()
}

/// How many versions of charts the organization has.
///
/// # Errors
/// When the database fails.
pub async fn count(conn: &mut AnyConnection, scope: &OrgScope) -> Result<i64> {
    // How many versions are kept?
    let row = query("SELECT COUNT(*) AS count FROM workload_profile_chart WHERE org_id = $1")
        .bind(scope.org())
        .fetch_one(conn)
        .await?;
    row.number("count")
}
