//! Resource definitions: their versions, their criteria, and the index that matches them.
//!
//! ```text
//! definition ──active_version_id──▶ definition_version (one row for every change, never edited)
//!     └────── criteria (0..n), each unique for its type in the organization
//! ```
//!
//! Whatever changes what matches calls [`touch`] in the same transaction, so that [`Indexes`] knows
//! when to load again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use downbeat_core::{Criteria, Definition, SecretRef, builtin, definition::Body, matching::Index};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    OrgScope, Result, Tx,
    row::{Columns as _, written},
};

/// A definition without its content.
#[derive(Clone, Debug)]
pub struct StoredDefinition {
    /// Id within the organization.
    pub id: String,
    /// Resource type that it makes.
    pub resource_type: String,
    /// Version in use.
    pub active_version_id: String,
    /// Whether it is deleted.
    pub is_deleted: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it.
    pub created_by: String,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: String,
}

/// What a version says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// What matching and the graph read.
    #[serde(flatten)]
    pub body: Body,
    /// Secret inputs with placeholders: the graph reads their text in `body`, everybody else is
    /// shown the reference of the sealed copy. By JSON pointer into `driver_inputs.secret_refs`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sealed: BTreeMap<String, SecretRef>,
}

/// One version of a definition.
#[derive(Clone, Debug)]
pub struct Version {
    /// Id, a UUID.
    pub id: String,
    /// Definition.
    pub def_id: String,
    /// `created`, `updated` or `deleted`.
    pub action: String,
    /// Whether it waits to be promoted.
    pub proposed: bool,
    /// Whether it cannot be used for a new resource.
    pub archived: bool,
    /// What it says.
    pub content: Content,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
}

/// A definition with the content of its active version and its criteria.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The definition.
    pub definition: StoredDefinition,
    /// Content of the active version.
    pub content: Content,
    /// Its criteria, in the order they were made.
    pub criteria: Vec<Criteria>,
}

/// Stores a new definition with its first version, or brings a deleted one back under the same id.
///
/// # Errors
/// [`crate::Error::Conflict`] when a definition of this id exists that is not deleted.
pub async fn create(
    tx: &mut Tx,
    scope: &OrgScope,
    definition: &StoredDefinition,
    version: &Version,
) -> Result<()> {
    // Makes way for the new definition if the old one of this id is deleted.
    query("DELETE FROM definition WHERE org_id = $1 AND id = $2 AND is_deleted = 1")
        .bind(scope.org())
        .bind(&definition.id)
        .execute(&mut **tx)
        .await?;
    // Makes the definition's row.
    query(
        "INSERT INTO definition
             (org_id, id, type, active_version_id, is_deleted, created_at, created_by, updated_at,
              updated_by)
             VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8)",
    )
    .bind(scope.org())
    .bind(&definition.id)
    .bind(&definition.resource_type)
    .bind(&definition.active_version_id)
    .bind(definition.created_at.as_microsecond())
    .bind(&definition.created_by)
    .bind(definition.updated_at.as_microsecond())
    .bind(&definition.updated_by)
    .execute(&mut **tx)
    .await?;
    add_version(tx, scope, version).await?;
    touch(tx, scope).await
}

/// The definition of this id, deleted or not.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut AnyConnection, scope: &OrgScope, id: &str) -> Result<Option<Whole>> {
    // What is this definition, and what does its active version say?
    let row = query(
        "SELECT d.*, v.content FROM definition d
           JOIN definition_version v ON v.id = d.active_version_id
          WHERE d.org_id = $1 AND d.id = $2",
    )
    .bind(scope.org())
    .bind(id)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    // When does it apply?
    let criteria = query("SELECT * FROM criteria WHERE org_id = $1 AND def_id = $2 ORDER BY id")
        .bind(scope.org())
        .bind(id)
        .fetch_all(conn)
        .await?;
    Ok(Some(Whole {
        definition: read_definition(&row)?,
        content: row.document("definition_version", "content")?,
        criteria: criteria.iter().map(read_criteria).collect::<Result<_>>()?,
    }))
}

/// All definitions of an organization, by id, deleted ones included.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<Whole>> {
    // When do the definitions apply?
    let rows = query("SELECT * FROM criteria WHERE org_id = $1 ORDER BY id")
        .bind(scope.org())
        .fetch_all(&mut *conn)
        .await?;
    let mut criteria: BTreeMap<String, Vec<Criteria>> = BTreeMap::new();
    for row in &rows {
        criteria.entry(row.text("def_id")?).or_default().push(read_criteria(row)?);
    }
    // What are the definitions, and what do their active versions say?
    query(
        "SELECT d.*, v.content FROM definition d
           JOIN definition_version v ON v.id = d.active_version_id
          WHERE d.org_id = $1 ORDER BY d.id",
    )
    .bind(scope.org())
    .fetch_all(conn)
    .await?
    .iter()
    .map(|row| {
        let definition = read_definition(row)?;
        let criteria = criteria.remove(&definition.id).unwrap_or_default();
        Ok(Whole { definition, content: row.document("definition_version", "content")?, criteria })
    })
    .collect()
}

/// Adds a version; [`activate`] puts it into use. Of the old versions, the newest fifty stay and
/// those that are in use.
///
/// # Errors
/// When the database fails.
pub async fn add_version(tx: &mut Tx, scope: &OrgScope, version: &Version) -> Result<()> {
    // Makes the version's row.
    query(
        "INSERT INTO definition_version
             (id, org_id, def_id, action, proposed, archived, content, created_at, created_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&version.id)
    .bind(scope.org())
    .bind(&version.def_id)
    .bind(&version.action)
    .bind(i64::from(version.proposed))
    .bind(i64::from(version.archived))
    .bind(written(&version.content, "definition_version", "content")?)
    .bind(version.created_at.as_microsecond())
    .bind(&version.created_by)
    .execute(&mut **tx)
    .await?;
    // Forgets old versions: the newest fifty stay, and those that are in use.
    query(
        "DELETE FROM definition_version
          WHERE org_id = $1 AND def_id = $2
            AND id NOT IN (SELECT id FROM definition_version
                            WHERE org_id = $1 AND def_id = $2
                            ORDER BY created_at DESC, id DESC LIMIT 50)
            AND id NOT IN (SELECT active_version_id FROM definition
                            WHERE org_id = $1 AND id = $2)
            AND id NOT IN (SELECT def_version_id FROM active_resource
                            WHERE org_id = $1 AND def_id = $2)
            AND id NOT IN (SELECT target_def_version_id FROM active_resource
                            WHERE org_id = $1 AND target_def_version_id IS NOT NULL)",
    )
    .bind(scope.org())
    .bind(&version.def_id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Puts a version into use.
///
/// # Errors
/// When the database fails.
pub async fn activate(
    tx: &mut Tx,
    scope: &OrgScope,
    id: &str,
    version: &str,
    now: Timestamp,
    user: &str,
) -> Result<()> {
    // The definition says from now on what this version says.
    query(
        "UPDATE definition SET active_version_id = $3, updated_at = $4, updated_by = $5
          WHERE org_id = $1 AND id = $2",
    )
    .bind(scope.org())
    .bind(id)
    .bind(version)
    .bind(now.as_microsecond())
    .bind(user)
    .execute(&mut **tx)
    .await?;
    // It waits no longer.
    query(
        "UPDATE definition_version SET proposed = 0 WHERE org_id = $1 AND def_id = $2 AND id = $3",
    )
    .bind(scope.org())
    .bind(id)
    .bind(version)
    .execute(&mut **tx)
    .await?;
    touch(tx, scope).await
}

/// Archives a version or brings it back.
///
/// # Errors
/// When the database fails.
pub async fn archive(
    tx: &mut Tx,
    scope: &OrgScope,
    id: &str,
    version: &str,
    archived: bool,
) -> Result<()> {
    // May the version be used for new resources?
    query(
        "UPDATE definition_version SET archived = $4 WHERE org_id = $1 AND def_id = $2 AND id = $3",
    )
    .bind(scope.org())
    .bind(id)
    .bind(version)
    .bind(i64::from(archived))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The versions of a definition, newest first.
///
/// # Errors
/// When the database fails.
pub async fn versions(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
) -> Result<Vec<Version>> {
    // How did the definition come to be what it is?
    query(
        "SELECT * FROM definition_version WHERE org_id = $1 AND def_id = $2
          ORDER BY created_at DESC, id DESC",
    )
    .bind(scope.org())
    .bind(id)
    .fetch_all(conn)
    .await?
    .iter()
    .map(read_version)
    .collect()
}

/// One version of a definition.
///
/// # Errors
/// When the database fails.
pub async fn find_version(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
    version: &str,
) -> Result<Option<Version>> {
    // What does this version say?
    query("SELECT * FROM definition_version WHERE org_id = $1 AND def_id = $2 AND id = $3")
        .bind(scope.org())
        .bind(id)
        .bind(version)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(read_version)
        .transpose()
}

/// Marks a definition as deleted and removes its criteria, so that nothing matches it any more.
/// Its versions stay for the resources that were made from them.
///
/// # Errors
/// When the database fails.
pub async fn delete(
    tx: &mut Tx,
    scope: &OrgScope,
    id: &str,
    now: Timestamp,
    user: &str,
) -> Result<()> {
    // The definition is deleted from now on.
    query(
        "UPDATE definition SET is_deleted = 1, updated_at = $3, updated_by = $4
          WHERE org_id = $1 AND id = $2",
    )
    .bind(scope.org())
    .bind(id)
    .bind(now.as_microsecond())
    .bind(user)
    .execute(&mut **tx)
    .await?;
    // It matches nothing.
    query("DELETE FROM criteria WHERE org_id = $1 AND def_id = $2")
        .bind(scope.org())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    touch(tx, scope).await
}

/// Adds a criteria to a definition of this type.
///
/// # Errors
/// [`crate::Error::Conflict`] when the type has this criteria already, see [`twin`].
pub async fn add_criteria(
    tx: &mut Tx,
    scope: &OrgScope,
    def_id: &str,
    resource_type: &str,
    criteria: &Criteria,
) -> Result<()> {
    let or_empty = |field: &Option<String>| field.clone().unwrap_or_default();
    // Makes the criteria's row.
    query(
        "INSERT INTO criteria
             (id, org_id, def_id, type, class, res_id, env_id, app_id, env_type)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&criteria.id)
    .bind(scope.org())
    .bind(def_id)
    .bind(resource_type)
    .bind(criteria.class())
    .bind(or_empty(&criteria.res_id))
    .bind(or_empty(&criteria.env_id))
    .bind(or_empty(&criteria.app_id))
    .bind(or_empty(&criteria.env_type))
    .execute(&mut **tx)
    .await?;
    touch(tx, scope).await
}

/// Id of the definition that has an equal criteria for this type, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn twin(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    resource_type: &str,
    criteria: &Criteria,
) -> Result<Option<String>> {
    let or_empty = |field: &Option<String>| field.clone().unwrap_or_default();
    // Who has this criteria already?
    query(
        "SELECT def_id FROM criteria
          WHERE org_id = $1 AND type = $2 AND class = $3 AND res_id = $4 AND env_id = $5
            AND app_id = $6 AND env_type = $7",
    )
    .bind(scope.org())
    .bind(resource_type)
    .bind(criteria.class())
    .bind(or_empty(&criteria.res_id))
    .bind(or_empty(&criteria.env_id))
    .bind(or_empty(&criteria.app_id))
    .bind(or_empty(&criteria.env_type))
    .fetch_optional(conn)
    .await?
    .map(|row| row.text("def_id"))
    .transpose()
}

/// Removes a criteria of a definition.
///
/// # Errors
/// When the database fails.
pub async fn delete_criteria(tx: &mut Tx, scope: &OrgScope, def_id: &str, id: &str) -> Result<()> {
    // One criteria less.
    query("DELETE FROM criteria WHERE org_id = $1 AND def_id = $2 AND id = $3")
        .bind(scope.org())
        .bind(def_id)
        .bind(id)
        .execute(&mut **tx)
        .await?;
    touch(tx, scope).await
}

/// The index of all definitions of an organization, for matching.
///
/// # Errors
/// When the database fails.
pub async fn load_index(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Index> {
    Ok(index(list(conn, scope).await?))
}

/// The index of these definitions and the built-in ones; deleted ones match nothing.
#[must_use]
pub fn index(definitions: Vec<Whole>) -> Index {
    let mut index = Index::default();
    for Whole { definition: stored, content, criteria } in definitions {
        if stored.is_deleted {
            continue;
        }
        let (id, version) = (&stored.id, &stored.active_version_id);
        let definition = Definition::new(id, version, &stored.resource_type, content.body);
        let definition = Arc::new(definition);
        for criteria in criteria {
            // The table's unique key refuses what `insert` would refuse.
            if let Err(tie) = index.insert(&definition, criteria) {
                tracing::error!(%tie, "Two matching criteria are equal; the second one is ignored.");
            }
        }
    }
    // Fails only when they are there already.
    let _ = builtin::add_to(&mut index);
    index
}

/// A version of a definition, ready for the graph.
///
/// # Errors
/// When the database fails.
pub async fn load_version(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
    version: &str,
) -> Result<Option<Definition>> {
    let Some(whole) = find(&mut *conn, scope, id).await? else { return Ok(None) };
    let found = find_version(conn, scope, id, version).await?;
    Ok(found.map(|found| {
        Definition::new(id, version, &whole.definition.resource_type, found.content.body)
    }))
}

/// Counts a change of an organization's definitions.
///
/// # Errors
/// When the database fails.
pub async fn touch(tx: &mut Tx, scope: &OrgScope) -> Result<()> {
    // One more change.
    query(
        "INSERT INTO installation (key, value) VALUES ($1, '1')
             ON CONFLICT (key)
             DO UPDATE SET value = CAST(CAST(installation.value AS BIGINT) + 1 AS TEXT)",
    )
    .bind(counter(scope))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// How often the definitions of an organization changed.
///
/// # Errors
/// When the database fails.
pub async fn changes(conn: &mut AnyConnection, scope: &OrgScope) -> Result<String> {
    // Did anything change since the index was loaded?
    let row = query("SELECT value FROM installation WHERE key = $1")
        .bind(counter(scope))
        .fetch_optional(conn)
        .await?;
    row.map_or_else(|| Ok(String::new()), |row| row.text("value"))
}

fn counter(scope: &OrgScope) -> String {
    format!("definitions:{}", scope.org())
}

/// The indexes of organizations, loaded again only after a change. Cheap to share.
#[derive(Debug, Default)]
pub struct Indexes {
    loaded: Mutex<HashMap<String, (String, Arc<Index>)>>,
}

impl Indexes {
    /// The index as it is now, seen through `conn`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load(&self, conn: &mut AnyConnection, scope: &OrgScope) -> Result<Arc<Index>> {
        // The counter is read first: a change in between makes the next call load once more.
        let now = changes(&mut *conn, scope).await?;
        if let Some((then, index)) = self.lock().get(scope.org())
            && *then == now
        {
            return Ok(Arc::clone(index));
        }
        let index = Arc::new(load_index(conn, scope).await?);
        self.lock().insert(scope.org().to_owned(), (now, Arc::clone(&index)));
        Ok(index)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (String, Arc<Index>)>> {
        // The map is never left half changed.
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_definition(row: &AnyRow) -> Result<StoredDefinition> {
    Ok(StoredDefinition {
        id: row.text("id")?,
        resource_type: row.text("type")?,
        active_version_id: row.text("active_version_id")?,
        is_deleted: row.flag("is_deleted")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        updated_at: row.time("updated_at")?,
        updated_by: row.text("updated_by")?,
    })
}

fn read_version(row: &AnyRow) -> Result<Version> {
    Ok(Version {
        id: row.text("id")?,
        def_id: row.text("def_id")?,
        action: row.text("action")?,
        proposed: row.flag("proposed")?,
        archived: row.flag("archived")?,
        content: row.document("definition_version", "content")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
    })
}

fn read_criteria(row: &AnyRow) -> Result<Criteria> {
    let set = |column: &str| -> Result<Option<String>> {
        Ok(Some(row.text(column)?).filter(|text| !text.is_empty()))
    };
    Ok(Criteria {
        id: row.text("id")?,
        res_id: set("res_id")?,
        env_id: set("env_id")?,
        app_id: set("app_id")?,
        env_type: set("env_type")?,
        class: set("class")?,
    })
}

#[cfg(test)]
mod tests {
    use downbeat_core::{ResourceKey, matching::Context};

    use super::*;
    use crate::{
        Db, commit,
        organization::{self, Organization},
    };

    fn dns(version: &str, now: Timestamp) -> (StoredDefinition, Version) {
        let definition = StoredDefinition {
            id: "any-dns".to_owned(),
            resource_type: "dns".to_owned(),
            active_version_id: version.to_owned(),
            is_deleted: false,
            created_at: now,
            created_by: "u".to_owned(),
            updated_at: now,
            updated_by: "u".to_owned(),
        };
        let version = Version {
            id: version.to_owned(),
            def_id: definition.id.clone(),
            action: "created".to_owned(),
            proposed: false,
            archived: false,
            content: Content::default(),
            created_at: now,
            created_by: "u".to_owned(),
        };
        (definition, version)
    }

    #[tokio::test]
    async fn an_index_is_loaded_again_only_after_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(&directory.path().join("test.db")).await.unwrap();
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let scope = OrgScope::granted("acme");
        let indexes = Indexes::default();
        let load = async || indexes.load(&mut db.read().await.unwrap(), &scope).await.unwrap();
        let version = |index: &Index| {
            let context = Context { org: "acme", app: "a", env: "e", env_type: "t" };
            let found = index.find(&ResourceKey::new("dns", "", "shared.d"), &context);
            found.map(|entry| entry.definition.version_id.to_string())
        };

        let mut tx = db.write().await.unwrap();
        let org = Organization {
            id: "acme".to_owned(),
            name: "Acme".to_owned(),
            created_at: now,
            created_by: "u".to_owned(),
        };
        organization::create(&mut tx, &org).await.unwrap();
        let (definition, first) = dns("v1", now);
        create(&mut tx, &scope, &definition, &first).await.unwrap();
        let any = Criteria { id: "c1".to_owned(), ..Criteria::default() };
        add_criteria(&mut tx, &scope, "any-dns", "dns", &any).await.unwrap();
        commit(tx).await.unwrap();
        let loaded = load().await;
        assert_eq!(version(&loaded).as_deref(), Some("v1"));
        assert!(Arc::ptr_eq(&loaded, &load().await));

        let mut tx = db.write().await.unwrap();
        let (_, second) = dns("v2", now);
        add_version(&mut tx, &scope, &second).await.unwrap();
        activate(&mut tx, &scope, "any-dns", "v2", now, "u").await.unwrap();
        commit(tx).await.unwrap();
        assert_eq!(version(&*load().await).as_deref(), Some("v2"));

        let mut tx = db.write().await.unwrap();
        delete(&mut tx, &scope, "any-dns", now, "u").await.unwrap();
        commit(tx).await.unwrap();
        assert_eq!(version(&*load().await), None);

        // What is rolled back does not count.
        let mut tx = db.write().await.unwrap();
        let (definition, third) = dns("v3", now);
        create(&mut tx, &scope, &definition, &third).await.unwrap();
        drop(tx);
        assert_eq!(version(&*load().await), None);
    }
}
