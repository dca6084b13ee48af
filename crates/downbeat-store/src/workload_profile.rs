//! Workload profiles of an organization, and their versions. The built-in ones are not rows.

use std::collections::BTreeSet;

use downbeat_core::{
    Json,
    profile::{Own, Profiles},
};
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    OrgScope, Result, Tx,
    row::{Columns as _, written},
};

/// A version of a profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Id of the profile within the organization.
    pub profile_id: String,
    /// How the version is called.
    pub version: String,
    /// Its own id.
    pub id: String,
    /// 1, 2, ... within the profile.
    pub number: i64,
    /// Text for people.
    pub description: String,
    /// What a spec may say.
    pub spec_definition: Json,
    /// Id of the chart.
    pub chart_id: String,
    /// Version of the chart, as it was written.
    pub chart_version: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Id of the user who made it.
    pub created_by: String,
}

/// A profile as its newest version is.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadProfile {
    /// Says that it is deprecated; none when nobody said anything.
    pub deprecation_message: Option<String>,
    /// When it was first made.
    pub created_at: Timestamp,
    /// Id of the user who made it.
    pub created_by: String,
    /// The newest version; it was made when the profile last changed.
    pub newest: Version,
}

fn read_version(row: &AnyRow) -> Result<Version> {
    Ok(Version {
        profile_id: row.text("profile_id")?,
        version: row.text("version")?,
        id: row.text("id")?,
        number: row.number("number")?,
        description: row.text("description")?,
        spec_definition: row.document("workload_profile_version", "spec_definition")?,
        chart_id: row.text("chart_id")?,
        chart_version: row.text("chart_version")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
    })
}

fn read(row: &AnyRow) -> Result<WorkloadProfile> {
    Ok(WorkloadProfile {
        deprecation_message: row.text_or_null("deprecation_message")?,
        created_at: row.time("first_created_at")?,
        created_by: row.text("first_created_by")?,
        newest: read_version(row)?,
    })
}

/// Adds a profile with its first version.
///
/// # Errors
/// [`crate::Error::Conflict`] when the id is taken.
pub async fn create(tx: &mut Tx, scope: &OrgScope, new: &WorkloadProfile) -> Result<()> {
    // A new profile.
    query(
        "INSERT INTO workload_profile
             (org_id, id, deprecation_message, version, created_at, created_by, updated_at,
              updated_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(scope.org())
    .bind(&new.newest.profile_id)
    .bind(new.deprecation_message.as_deref())
    .bind(&new.newest.version)
    .bind(new.created_at.as_microsecond())
    .bind(&new.created_by)
    .bind(new.newest.created_at.as_microsecond())
    .bind(&new.newest.created_by)
    .execute(&mut **tx)
    .await?;
    add_version(tx, scope, &new.newest).await
}

/// Gives a profile that exists a newer version.
///
/// # Errors
/// [`crate::Error::Conflict`] when it has a version of this name.
pub async fn update(tx: &mut Tx, scope: &OrgScope, profile: &WorkloadProfile) -> Result<()> {
    add_version(tx, scope, &profile.newest).await?;
    // Which version counts from now on.
    query(
        "UPDATE workload_profile
            SET deprecation_message = $3, version = $4, updated_at = $5, updated_by = $6
          WHERE org_id = $1 AND id = $2",
    )
    .bind(scope.org())
    .bind(&profile.newest.profile_id)
    .bind(profile.deprecation_message.as_deref())
    .bind(&profile.newest.version)
    .bind(profile.newest.created_at.as_microsecond())
    .bind(&profile.newest.created_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn add_version(tx: &mut Tx, scope: &OrgScope, version: &Version) -> Result<()> {
    // A new version of the profile.
    query(
        "INSERT INTO workload_profile_version
             (org_id, profile_id, version, id, number, description, spec_definition, chart_id,
              chart_version, created_at, created_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(scope.org())
    .bind(&version.profile_id)
    .bind(&version.version)
    .bind(&version.id)
    .bind(version.number)
    .bind(&version.description)
    .bind(written(&version.spec_definition, "workload_profile_version", "spec_definition")?)
    .bind(&version.chart_id)
    .bind(&version.chart_version)
    .bind(version.created_at.as_microsecond())
    .bind(&version.created_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The profiles of an organization, by id.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<WorkloadProfile>> {
    // Which profiles does the organization have, each as its newest version is?
    query(
        "SELECT v.*, p.deprecation_message, p.created_at AS first_created_at,
                p.created_by AS first_created_by
           FROM workload_profile p
           JOIN workload_profile_version v
             ON v.org_id = p.org_id AND v.profile_id = p.id AND v.version = p.version
          WHERE p.org_id = $1 ORDER BY p.id",
    )
    .bind(scope.org())
    .fetch_all(conn)
    .await?
    .iter()
    .map(read)
    .collect()
}

/// One profile, as its newest version is.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
) -> Result<Option<WorkloadProfile>> {
    // Which profile has this id?
    query(
        "SELECT v.*, p.deprecation_message, p.created_at AS first_created_at,
                p.created_by AS first_created_by
           FROM workload_profile p
           JOIN workload_profile_version v
             ON v.org_id = p.org_id AND v.profile_id = p.id AND v.version = p.version
          WHERE p.org_id = $1 AND p.id = $2",
    )
    .bind(scope.org())
    .bind(id)
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(read)
    .transpose()
}

/// How many profiles the organization has.
///
/// # Errors
/// When the database fails.
pub async fn count(conn: &mut AnyConnection, scope: &OrgScope) -> Result<i64> {
    // How many profiles are there?
    let row = query("SELECT COUNT(*) AS count FROM workload_profile WHERE org_id = $1")
        .bind(scope.org())
        .fetch_one(conn)
        .await?;
    row.number("count")
}

/// The versions of a profile, newest first.
///
/// # Errors
/// When the database fails.
pub async fn versions(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
) -> Result<Vec<Version>> {
    // Which versions does the profile have?
    query(
        "SELECT * FROM workload_profile_version
          WHERE org_id = $1 AND profile_id = $2 ORDER BY number DESC",
    )
    .bind(scope.org())
    .bind(id)
    .fetch_all(conn)
    .await?
    .iter()
    .map(read_version)
    .collect()
}

/// Whether the profile ever had a version of this name.
///
/// # Errors
/// When the database fails.
pub async fn has_version(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
    version: &str,
) -> Result<bool> {
    // Is there a version of this name?
    let row = query(
        "SELECT 1 FROM workload_profile_version
          WHERE org_id = $1 AND profile_id = $2 AND version = $3",
    )
    .bind(scope.org())
    .bind(id)
    .bind(version)
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}

/// Removes a profile with all its versions; says whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &OrgScope, id: &str) -> Result<bool> {
    // One profile less; its versions go along.
    let done = query("DELETE FROM workload_profile WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Those of the organization's profiles that modules name, by qualified id (`<org>/<id>`).
///
/// # Errors
/// When the database fails.
pub async fn named(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    names: impl Iterator<Item = &str>,
) -> Result<Profiles> {
    let own = |name: &str| {
        let id = name.strip_prefix(scope.org())?.strip_prefix('/')?;
        Some((name.to_owned(), id.to_owned()))
    };
    let wanted: BTreeSet<(String, String)> = names.filter_map(own).collect();
    let mut profiles = Profiles::new();
    for (name, id) in wanted {
        if let Some(WorkloadProfile { newest, .. }) = find(conn, scope, &id).await? {
            profiles.insert(name, Own::new(&id, &newest.chart_id, &newest.spec_definition));
        }
    }
    Ok(profiles)
}
