//! Users, and their roles on objects.
//!
//! An object of a role is a path as v1 writes it: `/orgs/acme`, `/orgs/acme/apps/shop`,
//! `/orgs/acme/env-types/production`.

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

/// A user with the role on an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user: User,
    /// The role on the object.
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

/// The path of an object in an organization, as `role.object` has it.
fn object(scope: &OrgScope, below: &str) -> String {
    format!("{}{below}", org_object(scope.org()))
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

/// All roles of a user and of the groups that the user is in: object and role.
///
/// # Errors
/// When the database fails.
pub async fn roles(conn: &mut AnyConnection, id: &str) -> Result<Vec<(String, String)>> {
    // Which roles does the user have, alone or as member of a group, and on what?
    let rows = sqlx::query(
        "SELECT object, role FROM role
          WHERE user_id = $1
             OR user_id IN (SELECT group_id FROM group_member WHERE user_id = $1)",
    )
    .bind(id)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.text("object")?, row.text("role")?))).collect()
}

/// Everybody with a role on an object, oldest first. The object is named by its path below the
/// organization: empty for the organization itself, `/apps/shop`, `/env-types/production`.
///
/// # Errors
/// When the database fails.
pub async fn members(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    below: &str,
) -> Result<Vec<Member>> {
    // Who has a role on the object?
    let rows = sqlx::query(
        "SELECT u.id, u.name, u.type, u.email, u.created_at, r.role
           FROM role r JOIN user_account u ON u.id = r.user_id
          WHERE r.object = $1
          ORDER BY u.created_at, u.id",
    )
    .bind(object(scope, below))
    .fetch_all(conn)
    .await?;
    rows.iter().map(read_member).collect()
}

/// One member of an object, named as for [`members`].
///
/// # Errors
/// When the database fails.
pub async fn member(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    below: &str,
    id: &str,
) -> Result<Option<Member>> {
    // What role does the user have on the object?
    let row = sqlx::query(
        "SELECT u.id, u.name, u.type, u.email, u.created_at, r.role
           FROM role r JOIN user_account u ON u.id = r.user_id
          WHERE r.object = $1 AND u.id = $2",
    )
    .bind(object(scope, below))
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(read_member).transpose()
}

/// Gives the user a role on an object, named as for [`members`]; an earlier one is replaced.
///
/// # Errors
/// [`crate::Error::Conflict`] when the user does not exist.
pub async fn set_role(
    tx: &mut Tx,
    scope: &OrgScope,
    below: &str,
    id: &str,
    role: &str,
) -> Result<()> {
    tx.touch_identities();
    // From now on, the user has this role on the object.
    sqlx::query(
        "INSERT INTO role (object, user_id, role) VALUES ($1, $2, $3)
             ON CONFLICT (object, user_id) DO UPDATE SET role = excluded.role",
    )
    .bind(object(scope, below))
    .bind(id)
    .bind(role)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes the role of a user on one object, named as for [`members`]. Says whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn remove_role(tx: &mut Tx, scope: &OrgScope, below: &str, id: &str) -> Result<bool> {
    tx.touch_identities();
    // Ends the role on this object.
    let done = sqlx::query("DELETE FROM role WHERE object = $1 AND user_id = $2")
        .bind(object(scope, below))
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() > 0)
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
    let object = object(scope, below);
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
