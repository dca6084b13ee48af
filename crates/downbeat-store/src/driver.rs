//! Drivers that an organization registered. The built-in ones are not rows.

use downbeat_core::Json;
use downbeat_engine::port::RegisteredDriver;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    OrgScope, Result, Tx,
    row::{Columns as _, written},
};

/// A registered driver.
#[derive(Clone, Debug)]
pub struct StoredDriver {
    /// Id within the organization, without the `<org>/` of a `driver_type`.
    pub id: String,
    /// The v1 object.
    pub content: Json,
}

/// What the engine needs to know of a driver.
#[must_use]
pub fn registered(driver: &StoredDriver) -> RegisteredDriver {
    let member = |name: &str| driver.content.get(name).cloned().unwrap_or_default();
    RegisteredDriver {
        target: member("target").as_str().unwrap_or_default().to_owned(),
        inputs_schema: member("inputs_schema"),
        account_types: serde_json::from_value(member("account_types")).unwrap_or_default(),
        template: member("template"),
    }
}

/// Stores a new driver.
///
/// # Errors
/// [`crate::Error::Conflict`] when the id is taken.
pub async fn create(tx: &mut Tx, scope: &OrgScope, driver: &StoredDriver) -> Result<()> {
    // A new driver.
    query("INSERT INTO resource_driver (org_id, id, content) VALUES ($1, $2, $3)")
        .bind(scope.org())
        .bind(&driver.id)
        .bind(written(&driver.content, "resource_driver", "content")?)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The driver of this id.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
) -> Result<Option<StoredDriver>> {
    // Which driver has this id?
    query("SELECT * FROM resource_driver WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(id)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// The drivers of an organization, by id.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<StoredDriver>> {
    // Which drivers did the organization register?
    query("SELECT * FROM resource_driver WHERE org_id = $1 ORDER BY id")
        .bind(scope.org())
        .fetch_all(conn)
        .await?
        .iter()
        .map(from_row)
        .collect()
}

/// Replaces the content of an existing driver.
///
/// # Errors
/// When the database fails.
pub async fn update(tx: &mut Tx, scope: &OrgScope, driver: &StoredDriver) -> Result<()> {
    // The new content of one driver.
    query("UPDATE resource_driver SET content = $3 WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(&driver.id)
        .bind(written(&driver.content, "resource_driver", "content")?)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Removes a driver; says whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &OrgScope, id: &str) -> Result<bool> {
    // One driver less.
    let done = query("DELETE FROM resource_driver WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() > 0)
}

fn from_row(row: &AnyRow) -> Result<StoredDriver> {
    Ok(StoredDriver { id: row.text("id")?, content: row.document("resource_driver", "content")? })
}
