//! `/orgs/{orgId}/users`: who has a role in the organization.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::user::{CreateServiceUser, PatchRole, User, UserRole};
use downbeat_store::{
    AnyConnection, OrgScope, commit,
    user::{self as store, Member, User as Row},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::check_name;
use crate::{
    AppState, Problem, Result,
    access::{ADMINISTRATOR, Caller},
    extract::{Body, Path, Query},
    state::new_id,
};

/// Roles in an organization.
const ROLES: [&str; 5] = [ADMINISTRATOR, "manager", "member", "artefactContributor", "orgViewer"];
/// Kind of a program's account.
const SERVICE: &str = "service";

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, patch, delete))
}

/// Which users to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only `user` (people and programs) or only `group`.
    #[param(nullable = false)]
    r#type: Option<String>,
}

impl Filter {
    /// Whether this one is asked for.
    pub(super) fn admits(&self, member: &Member) -> bool {
        let groups = self.r#type.as_deref() == Some("group");
        self.r#type.is_none() || (member.user.kind == "group") == groups
    }
}

/// Lists the users with a role in the organization.
#[utoipa::path(
    get, path = "/orgs/{orgId}/users", operation_id = "listUserRolesInOrg", tag = "UserRole",
    params(Filter),
    responses((status = 200, body = Vec<UserRole>, description = "All users, oldest first.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<UserRole>>> {
    let scope = caller.may_read(&org)?;
    let members = store::members(&mut *state.db.read().await?, &scope, "").await?;
    Ok(Json(members.into_iter().filter(|member| filter.admits(member)).map(wire).collect()))
}

/// Creates a service user with a role in the organization.
#[utoipa::path(
    post, path = "/orgs/{orgId}/users", operation_id = "createServiceUserInOrg",
    tag = "UserProfile",
    request_body = CreateServiceUser,
    responses((status = 200, body = User, description = "The new user.")),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Body(new): Body<CreateServiceUser>,
) -> Result<Json<User>> {
    let scope = caller.may_change(&org)?;
    check_name(&new.name)?;
    check_role(&new.role)?;
    let now = state.now();
    let row = Row {
        id: new_id(now),
        name: new.name,
        kind: SERVICE.to_owned(),
        email: new.email.filter(|email| !email.is_empty()),
        created_at: now,
    };
    let mut tx = state.db.write().await?;
    store::create(&mut tx, &row).await?;
    store::set_role(&mut tx, &scope, "", &row.id, &new.role).await?;
    commit(tx).await?;
    Ok(Json(User {
        id: row.id,
        name: row.name,
        email: row.email,
        r#type: row.kind,
        created_at: row.created_at.into(),
    }))
}

/// Shows a user's role in the organization. As in v1, a user without one is answered 403.
#[utoipa::path(
    get, path = "/orgs/{orgId}/users/{userId}", operation_id = "getUserRoleInOrg",
    tag = "UserRole",
    responses((status = 200, body = UserRole, description = "The user.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<Json<UserRole>> {
    let scope = caller.may_read(&org)?;
    let member = store::member(&mut *state.db.read().await?, &scope, "", &id).await?;
    let unknown = || {
        let id = crate::problem::short(&id);
        Problem::forbidden(format!("No user with id `{id}` has a role in `{org}`."))
    };
    member.map(wire).map(Json).ok_or_else(unknown)
}

/// Gives a user another role in the organization.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/users/{userId}", operation_id = "updateUserRoleInOrg",
    tag = "UserRole",
    request_body = PatchRole,
    responses((status = 200, body = UserRole, description = "The user with the new role.")),
)]
async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Body(change): Body<PatchRole>,
) -> Result<Json<UserRole>> {
    let scope = caller.may_change(&org)?;
    check_role(&change.role)?;
    let mut tx = state.db.write().await?;
    let mut member = require(&mut tx, &scope, &id).await?;
    if change.role != ADMINISTRATOR {
        keep_an_administrator(&mut tx, &scope, &member).await?;
    }
    store::set_role(&mut tx, &scope, "", &id, &change.role).await?;
    commit(tx).await?;
    member.role = change.role;
    Ok(Json(wire(member)))
}

/// Removes a user from the organization. A service user is gone altogether.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/users/{userId}", operation_id = "deleteUserRoleInOrg",
    tag = "UserRole",
    responses((status = 204, description = "The user has no role any more.")),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let scope = caller.may_change(&org)?;
    let mut tx = state.db.write().await?;
    let member = require(&mut tx, &scope, &id).await?;
    keep_an_administrator(&mut tx, &scope, &member).await?;
    store::remove_roles(&mut tx, &scope, &id).await?;
    if member.user.kind == SERVICE {
        store::delete(&mut tx, &id).await?;
    }
    commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn require(conn: &mut AnyConnection, scope: &OrgScope, id: &str) -> Result<Member> {
    store::member(conn, scope, "", id).await?.ok_or_else(|| Problem::not_found("user", id))
}

/// An organization whose last human administrator goes could not be administered any more.
async fn keep_an_administrator(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    leaving: &Member,
) -> Result<()> {
    let rules = |member: &Member| member.role == ADMINISTRATOR && member.user.kind == "user";
    let members = store::members(conn, scope, "").await?;
    let others = members.iter().any(|member| rules(member) && member.user.id != leaving.user.id);
    if others || !rules(leaving) {
        return Ok(());
    }
    let name = &leaving.user.name;
    Err(Problem::invalid(format!("`{name}` is the last administrator of `{}`.", scope.org()))
        .with_hint("Give another user the role `administrator` first."))
}

fn check_role(role: &str) -> Result<()> {
    if ROLES.contains(&role) {
        return Ok(());
    }
    let roles = ROLES.join("`, `");
    let role = crate::problem::short(role);
    Err(Problem::invalid(format!("`{role}` is not a role in an organization; use `{roles}`."))
        .at("/role", "not a role in an organization"))
}

pub(super) fn wire(member: Member) -> UserRole {
    UserRole {
        id: member.user.id,
        name: member.user.name,
        email: member.user.email,
        r#type: member.user.kind,
        created_at: member.user.created_at.into(),
        role: member.role,
    }
}
