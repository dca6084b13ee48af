//! Users, and their roles on objects.
//!
//! An object of a role is a path as v1 writes it: `/orgs/acme`, `/orgs/acme/apps/shop`,
//! `/orgs/acme/env-types/production`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow};

use crate::{OrgScope, Result, Tx, row::Columns as _};

/// A row of `user_account`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Id.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// `user` for a person, `service` for a program.
    pub kind: String,
    /// E-mail address.
    pub email: Option<String>,
    /// When the account was made.
    pub created_at: Timestamp,
}

/// A user with the role in an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user: User,
    /// The role in the organization.
    pub role: String,
}

fn read(row: &AnyRow) -> Result<User> {
    Ok(User {
        id: row.text("id")?,
        name: row.text("name")?,
        kind: row.text("type")?,
        email: row.text_or_null("email")?,
        created_at: row.time("created_at")?,
    })
}

fn read_member(row: &AnyRow) -> Result<Member> {
    Ok(Member { user: read(row)?, role: row.text("role")? })
}

/// The path of an organization in `role.object`.
#[must_use]
pub fn org_object(org: &str) -> String {
    format!("/orgs/{org}")
}

/// Adds a user.
///
/// # Errors
/// [`crate::Error::Conflict`] when the id is taken.
pub async fn create(tx: &mut Tx, user: &User) -> Result<()> {
    tx.touch_identities();
    // Makes the user's row.
    sqlx::query(
        "INSERT INTO user_account (id, name, type, email, created_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&user.id)
    .bind(&user.name)
    .bind(&user.kind)
    .bind(user.email.as_deref())
    .bind(user.created_at.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The user with this id, of whatever organization. Callers check who may know.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut AnyConnection, id: &str) -> Result<Option<User>> {
    // Which user has this id?
    let row =
        sqlx::query("SELECT id, name, type, email, created_at FROM user_account WHERE id = $1")
            .bind(id)
            .fetch_optional(conn)
            .await?;
    row.as_ref().map(read).transpose()
}

/// All roles of a user, by object.
///
/// # Errors
/// When the database fails.
pub async fn roles(conn: &mut AnyConnection, id: &str) -> Result<BTreeMap<String, String>> {
    // Which roles does the user have, and on what?
    let rows = sqlx::query("SELECT object, role FROM role WHERE user_id = $1")
        .bind(id)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok((row.text("object")?, row.text("role")?))).collect()
}

/// Everybody with a role in the organization, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn members(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<Member>> {
    // Who has a role in the organization?
    let rows = sqlx::query(
        "SELECT u.id, u.name, u.type, u.email, u.created_at, r.role
           FROM role r JOIN user_account u ON u.id = r.user_id
          WHERE r.object = $1
          ORDER BY u.created_at, u.id",
    )
    .bind(org_object(scope.org()))
    .fetch_all(conn)
    .await?;
    rows.iter().map(read_member).collect()
}

/// One member of the organization.
///
/// # Errors
/// When the database fails.
pub async fn member(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
) -> Result<Option<Member>> {
    // What role does the user have in the organization?
    let row = sqlx::query(
        "SELECT u.id, u.name, u.type, u.email, u.created_at, r.role
           FROM role r JOIN user_account u ON u.id = r.user_id
          WHERE r.object = $1 AND u.id = $2",
    )
    .bind(org_object(scope.org()))
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(read_member).transpose()
}

/// Gives the user a role in the organization; an earlier one is replaced.
///
/// # Errors
/// [`crate::Error::Conflict`] when the user does not exist.
pub async fn set_role(tx: &mut Tx, scope: &OrgScope, id: &str, role: &str) -> Result<()> {
    tx.touch_identities();
    // From now on, the user has this role in the organization.
    sqlx::query(
        "INSERT INTO role (object, user_id, role) VALUES ($1, $2, $3)
             ON CONFLICT (object, user_id) DO UPDATE SET role = excluded.role",
    )
    .bind(org_object(scope.org()))
    .bind(id)
    .bind(role)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes all roles of the user on the organization and on everything in it.
///
/// # Errors
/// When the database fails.
pub async fn remove_roles(tx: &mut Tx, scope: &OrgScope, id: &str) -> Result<()> {
    tx.touch_identities();
    let object = org_object(scope.org());
    // Ends every role of the user in the organization. Ids hold no `%` and no `_`.
    sqlx::query("DELETE FROM role WHERE user_id = $1 AND (object = $2 OR object LIKE $3)")
        .bind(id)
        .bind(&object)
        .bind(format!("{object}/%"))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Takes all roles that anybody has on an object that is going away, and on everything below it.
///
/// # Errors
/// When the database fails.
pub async fn remove_roles_on(tx: &mut Tx, scope: &OrgScope, below: &str) -> Result<()> {
    tx.touch_identities();
    let object = format!("{}{below}", org_object(scope.org()));
    // Ends every role on the object. Ids hold no `%` and no `_`.
    sqlx::query("DELETE FROM role WHERE object = $1 OR object LIKE $2")
        .bind(&object)
        .bind(format!("{object}/%"))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Removes a user with all roles and tokens.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<()> {
    tx.touch_identities();
    // Removes the user; roles and tokens go with the row.
    sqlx::query("DELETE FROM user_account WHERE id = $1").bind(id).execute(&mut **tx).await?;
    Ok(())
}
