//! Artefacts: what pipelines have built, and its versions.

use downbeat_core::Json;
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    OrgScope, Result, Tx,
    row::{Columns as _, written},
};

/// A row of `artefact`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artefact {
    /// Its id.
    pub id: String,
    /// `container` or `workload`.
    pub kind: String,
    /// Name; of a container the image without tag and digest.
    pub name: String,
    /// When the first version came.
    pub created_at: Timestamp,
    /// Id of the user who registered it.
    pub created_by: String,
    /// When the newest version came, or one was changed.
    pub updated_at: Timestamp,
    /// Id of the user who did that.
    pub updated_by: String,
}

/// A version of an artefact, without what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtefactVersion {
    /// Its id.
    pub id: String,
    /// The artefact.
    pub artefact_id: String,
    /// 1, 2, ... within the artefact.
    pub number: i64,
    /// Whether lists leave it out.
    pub archived: bool,
    /// What the version is called.
    pub version: Option<String>,
    /// The branch or tag it was built from; empty when nobody said.
    pub git_ref: String,
    /// The commit it was built from; empty when nobody said.
    pub commit: String,
    /// Digest of a container image; empty when nobody said.
    pub digest: String,
    /// What the image is called in the operations before artefacts.
    pub image_id: String,
    /// Tags, as those operations have them.
    pub tags: Vec<String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Id of the user who registered it.
    pub created_by: String,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Id of the user who changed it.
    pub updated_by: String,
}

/// What a version of a workload holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The Score file and what came with it, as they were sent.
    pub content: Json,
    /// The modules and shared resources that it was converted to.
    pub deployment_set: Json,
}

/// A version and the artefact that it is of.
pub type Versioned = (Artefact, ArtefactVersion);

fn read(row: &AnyRow) -> Result<Artefact> {
    Ok(Artefact {
        id: row.text("id")?,
        kind: row.text("type")?,
        name: row.text("name")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        updated_at: row.time("updated_at")?,
        updated_by: row.text("updated_by")?,
    })
}

fn read_version(row: &AnyRow) -> Result<ArtefactVersion> {
    Ok(ArtefactVersion {
        id: row.text("id")?,
        artefact_id: row.text("artefact_id")?,
        number: row.number("number")?,
        archived: row.flag("archived")?,
        version: row.text_or_null("version")?,
        git_ref: row.text("git_ref")?,
        commit: row.text("commit_id")?,
        digest: row.text("digest")?,
        image_id: row.text("image_id")?,
        tags: row.document("artefact_version", "tags")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        updated_at: row.time("updated_at")?,
        updated_by: row.text("updated_by")?,
    })
}

fn read_both(row: &AnyRow) -> Result<Versioned> {
    let artefact = Artefact {
        id: row.text("artefact_id")?,
        kind: row.text("artefact_type")?,
        name: row.text("artefact_name")?,
        created_at: row.time("artefact_created_at")?,
        created_by: row.text("artefact_created_by")?,
        updated_at: row.time("artefact_updated_at")?,
        updated_by: row.text("artefact_updated_by")?,
    };
    Ok((artefact, read_version(row)?))
}

/// A statement for the columns that [`read_both`] reads: the large ones are left in the database.
macro_rules! select_both {
    ($rest:literal) => {
        concat!(
            "SELECT v.id, v.artefact_id, v.number, v.archived, v.version, v.git_ref, v.commit_id,
                    v.digest, v.image_id, v.tags, v.created_at, v.created_by, v.updated_at,
                    v.updated_by, a.type AS artefact_type, a.name AS artefact_name,
                    a.created_at AS artefact_created_at, a.created_by AS artefact_created_by,
                    a.updated_at AS artefact_updated_at, a.updated_by AS artefact_updated_by
               FROM artefact_version v JOIN artefact a ON a.id = v.artefact_id
              WHERE a.org_id = $1 AND ",
            $rest
        )
    };
}

/// Adds an artefact.
///
/// # Errors
/// [`crate::Error::Conflict`] when there is one of this type and name.
pub async fn create(tx: &mut Tx, scope: &OrgScope, new: &Artefact) -> Result<()> {
    // A new artefact.
    query(
        "INSERT INTO artefact
             (id, org_id, type, name, created_at, created_by, updated_at, updated_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&new.id)
    .bind(scope.org())
    .bind(&new.kind)
    .bind(&new.name)
    .bind(new.created_at.as_microsecond())
    .bind(&new.created_by)
    .bind(new.updated_at.as_microsecond())
    .bind(&new.updated_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Which artefacts to list. What is none matches all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Only of this type.
    pub kind: Option<&'a str>,
    /// Only of this name.
    pub name: Option<&'a str>,
    /// Archived versions as well; says nothing about artefacts.
    pub archived: bool,
}

/// The artefacts of an organization, by name and type.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    wanted: Wanted<'_>,
) -> Result<Vec<Artefact>> {
    // Which artefacts are there?
    query(
        "SELECT * FROM artefact
          WHERE org_id = $1 AND ($2 = '' OR type = $2) AND ($3 = '' OR name = $3)
          ORDER BY name, type",
    )
    .bind(scope.org())
    .bind(wanted.kind.unwrap_or_default())
    .bind(wanted.name.unwrap_or_default())
    .fetch_all(conn)
    .await?
    .iter()
    .map(read)
    .collect()
}

/// How many artefacts the organization has.
///
/// # Errors
/// When the database fails.
pub async fn count(conn: &mut AnyConnection, scope: &OrgScope) -> Result<i64> {
    // How many artefacts are there?
    let row = query("SELECT COUNT(*) AS count FROM artefact WHERE org_id = $1")
        .bind(scope.org())
        .fetch_one(conn)
        .await?;
    row.number("count")
}

/// The artefact with this id.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
) -> Result<Option<Artefact>> {
    // Which artefact has this id?
    query("SELECT * FROM artefact WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(id)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// The artefact of this type and name.
///
/// # Errors
/// When the database fails.
pub async fn find_named(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    kind: &str,
    name: &str,
) -> Result<Option<Artefact>> {
    // Which artefact is called so?
    query("SELECT * FROM artefact WHERE org_id = $1 AND type = $2 AND name = $3")
        .bind(scope.org())
        .bind(kind)
        .bind(name)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Removes an artefact with all its versions; says whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &OrgScope, id: &str) -> Result<bool> {
    // One artefact less; its versions go along.
    let done = query("DELETE FROM artefact WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Adds a version to an artefact of the organization. Its number is the next one.
///
/// # Errors
/// When the database fails.
pub async fn add_version(
    tx: &mut Tx,
    scope: &OrgScope,
    new: &ArtefactVersion,
    workload: Option<&Workload>,
) -> Result<()> {
    let text = |document: Option<&Json>, column| {
        document.map(|document| written(document, "artefact_version", column)).transpose()
    };
    // A new version.
    query(
        "INSERT INTO artefact_version
             (id, artefact_id, number, archived, version, git_ref, commit_id, digest, image_id,
              tags, content, deployment_set, created_at, created_by, updated_at, updated_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    )
    .bind(&new.id)
    .bind(&new.artefact_id)
    .bind(new.number)
    .bind(i64::from(new.archived))
    .bind(new.version.as_deref())
    .bind(&new.git_ref)
    .bind(&new.commit)
    .bind(&new.digest)
    .bind(&new.image_id)
    .bind(written(&new.tags, "artefact_version", "tags")?)
    .bind(text(workload.map(|workload| &workload.content), "content")?)
    .bind(text(workload.map(|workload| &workload.deployment_set), "deployment_set")?)
    .bind(new.created_at.as_microsecond())
    .bind(&new.created_by)
    .bind(new.updated_at.as_microsecond())
    .bind(&new.updated_by)
    .execute(&mut **tx)
    .await?;
    touch(tx, scope, new).await
}

/// Archives a version, or brings it back. `changed` is how it is from now on.
///
/// # Errors
/// When the database fails.
pub async fn archive(tx: &mut Tx, scope: &OrgScope, changed: &ArtefactVersion) -> Result<()> {
    // The version is left out of lists from now on, or is in them again.
    query(
        "UPDATE artefact_version SET archived = $3, updated_at = $4, updated_by = $5
          WHERE id = $1 AND artefact_id = $2",
    )
    .bind(&changed.id)
    .bind(&changed.artefact_id)
    .bind(i64::from(changed.archived))
    .bind(changed.updated_at.as_microsecond())
    .bind(&changed.updated_by)
    .execute(&mut **tx)
    .await?;
    touch(tx, scope, changed).await
}

async fn touch(tx: &mut Tx, scope: &OrgScope, version: &ArtefactVersion) -> Result<()> {
    // The artefact changed when its version did.
    query("UPDATE artefact SET updated_at = $3, updated_by = $4 WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(&version.artefact_id)
        .bind(version.updated_at.as_microsecond())
        .bind(&version.updated_by)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The number of the newest version of an artefact, and how many versions there are.
///
/// # Errors
/// When the database fails.
pub async fn newest_number(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    artefact_id: &str,
) -> Result<(i64, i64)> {
    // Where does the numbering of versions stand?
    let row = query(
        "SELECT COALESCE(MAX(v.number), 0) AS newest, COUNT(*) AS count
           FROM artefact_version v JOIN artefact a ON a.id = v.artefact_id
          WHERE a.org_id = $1 AND v.artefact_id = $2",
    )
    .bind(scope.org())
    .bind(artefact_id)
    .fetch_one(conn)
    .await?;
    Ok((row.number("newest")?, row.number("count")?))
}

/// The version with this id.
///
/// # Errors
/// When the database fails.
pub async fn find_version(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
) -> Result<Option<Versioned>> {
    // Which version has this id?
    query(select_both!("v.id = $2"))
        .bind(scope.org())
        .bind(id)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(read_both)
        .transpose()
}

/// What a version of a workload holds; nothing for a container.
///
/// # Errors
/// When the database fails.
pub async fn workload(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
) -> Result<Option<Workload>> {
    // What does the version hold?
    let row = query(
        "SELECT v.content, v.deployment_set
           FROM artefact_version v JOIN artefact a ON a.id = v.artefact_id
          WHERE a.org_id = $1 AND v.id = $2 AND v.content IS NOT NULL",
    )
    .bind(scope.org())
    .bind(id)
    .fetch_optional(conn)
    .await?;
    let read = |row: AnyRow| {
        Ok(Workload {
            content: row.document("artefact_version", "content")?,
            deployment_set: row.document("artefact_version", "deployment_set")?,
        })
    };
    row.map(read).transpose()
}

/// The versions of all artefacts, newest first.
///
/// # Errors
/// When the database fails.
pub async fn versions(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    wanted: Wanted<'_>,
) -> Result<Vec<Versioned>> {
    // Which versions are there?
    query(select_both!(
        "($2 = '' OR a.type = $2) AND ($3 = '' OR a.name = $3)
            AND (v.archived = 0 OR $4 = 1)
          ORDER BY v.created_at DESC, v.number DESC, v.id"
    ))
    .bind(scope.org())
    .bind(wanted.kind.unwrap_or_default())
    .bind(wanted.name.unwrap_or_default())
    .bind(i64::from(wanted.archived))
    .fetch_all(conn)
    .await?
    .iter()
    .map(read_both)
    .collect()
}

/// The versions of one artefact, newest first.
///
/// # Errors
/// When the database fails.
pub async fn versions_of(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    artefact_id: &str,
    archived: bool,
) -> Result<Vec<Versioned>> {
    // Which versions does the artefact have?
    query(select_both!(
        "a.id = $2 AND (v.archived = 0 OR $3 = 1)
          ORDER BY v.number DESC"
    ))
    .bind(scope.org())
    .bind(artefact_id)
    .bind(i64::from(archived))
    .fetch_all(conn)
    .await?
    .iter()
    .map(read_both)
    .collect()
}

/// The versions of container images that are not archived, oldest first; those of one image, or
/// all.
///
/// # Errors
/// When the database fails.
pub async fn images(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    image_id: Option<&str>,
) -> Result<Vec<Versioned>> {
    // Which builds of which images are there?
    query(select_both!(
        "a.type = 'container' AND v.archived = 0
            AND ($2 = '' OR v.image_id = $2)
          ORDER BY v.created_at, v.number, v.id"
    ))
    .bind(scope.org())
    .bind(image_id.unwrap_or_default())
    .fetch_all(conn)
    .await?
    .iter()
    .map(read_both)
    .collect()
}
