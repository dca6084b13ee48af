//! `/orgs/{orgId}/apps/{appId}/users` and `/orgs/{orgId}/env-types/{envType}/users`: who has a role
//! on an application, and who may deploy to environments of a type.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_access::{Object, Role};
use downbeat_api::user::{NewRole, PatchRole, UserRole};
use downbeat_store::{OrgScope, application, environment_type, user as store};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::user::{Filter, wire};
use crate::{
    AppState, Problem, Result,
    access::{Caller, role_names},
    change::{Change, Effect},
    extract::{Body, Path, Query},
    problem::short,
};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_in_app, create_in_app))
        .routes(routes!(get_in_app, patch_in_app, delete_in_app))
        .routes(routes!(list_in_type, create_in_type))
        .routes(routes!(get_in_type, patch_in_type, delete_in_type))
}

/// What the role is on.
struct Place {
    scope: OrgScope,
    object: Object,
    id: String,
}

impl Place {
    fn app(scope: OrgScope, id: String) -> Self {
        Self { scope, object: Object::Application, id }
    }

    fn env_type(scope: OrgScope, id: String) -> Self {
        Self { scope, object: Object::EnvironmentType, id }
    }

    /// Its path below the organization.
    fn below(&self) -> String {
        match self.object {
            Object::EnvironmentType => format!("/env-types/{}", self.id),
            _ => format!("/apps/{}", self.id),
        }
    }

    async fn require(&self, conn: &mut downbeat_store::AnyConnection) -> Result<()> {
        let (what, is_there) = match self.object {
            Object::EnvironmentType => (
                "environment type",
                environment_type::find(conn, &self.scope, &self.id).await?.is_some(),
            ),
            _ => {
                let app = self.scope.app(&self.id);
                ("application", application::find(conn, &app).await?.is_some())
            }
        };
        if is_there { Ok(()) } else { Err(Problem::not_found(what, &self.id)) }
    }

    fn check(&self, role: &str) -> Result<()> {
        if Role::parse(self.object, role).is_some() {
            return Ok(());
        }
        let roles = role_names(self.object).join("`, `");
        Err(Problem::invalid(format!("`{}` is not a role here; use `{roles}`.", short(role)))
            .at("/role", "not a role on this kind of object"))
    }
}

/// Lists who has a role on the application.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/users", operation_id = "listUserRolesInApp",
    tag = "UserRole", params(Filter),
    responses((status = 200, body = Vec<UserRole>, description = "All users, oldest first.")),
)]
async fn list_in_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<UserRole>>> {
    list(&state, &Place::app(caller.scope(&org)?, app), &filter).await
}

/// Gives a user or a group a role on the application.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/users", operation_id = "createUserRoleInApp",
    tag = "UserRole", request_body = NewRole,
    responses((status = 200, body = UserRole, description = "The user with the role.")),
)]
async fn create_in_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
    Body(new): Body<NewRole>,
) -> Result<Json<UserRole>> {
    create(&state, &caller, &Place::app(caller.scope(&org)?, app), new).await
}

/// Shows the role of a user on the application.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/users/{userId}", operation_id = "getUserRoleInApp",
    tag = "UserRole",
    responses((status = 200, body = UserRole, description = "The user with the role.")),
)]
async fn get_in_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
) -> Result<Json<UserRole>> {
    get(&state, &Place::app(caller.scope(&org)?, app), &id).await
}

/// Gives a user another role on the application.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/apps/{appId}/users/{userId}",
    operation_id = "updateUserRoleInApp", tag = "UserRole", request_body = PatchRole,
    responses((status = 200, body = UserRole, description = "The user with the new role.")),
)]
async fn patch_in_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    Body(patch): Body<PatchRole>,
) -> Result<Json<UserRole>> {
    change(&state, &caller, &Place::app(caller.scope(&org)?, app), &id, patch).await
}

/// Takes the role of a user on the application.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/apps/{appId}/users/{userId}",
    operation_id = "deleteUserRoleInApp", tag = "UserRole",
    responses((status = 204, description = "The user has no role here any more.")),
)]
async fn delete_in_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
) -> Result<StatusCode> {
    delete(&state, &caller, &Place::app(caller.scope(&org)?, app), &id).await
}

/// Lists who may deploy to environments of the type.
#[utoipa::path(
    get, path = "/orgs/{orgId}/env-types/{envType}/users", operation_id = "listUserRolesInEnvType",
    tag = "UserRole", params(Filter),
    responses((status = 200, body = Vec<UserRole>, description = "All users, oldest first.")),
)]
async fn list_in_type(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, kind)): Path<(String, String)>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<UserRole>>> {
    list(&state, &Place::env_type(caller.scope(&org)?, kind), &filter).await
}

/// Gives a user or a group a role on the environment type.
#[utoipa::path(
    post, path = "/orgs/{orgId}/env-types/{envType}/users",
    operation_id = "createUserRoleInEnvType", tag = "UserRole", request_body = NewRole,
    responses((status = 200, body = UserRole, description = "The user with the role.")),
)]
async fn create_in_type(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, kind)): Path<(String, String)>,
    Body(new): Body<NewRole>,
) -> Result<Json<UserRole>> {
    create(&state, &caller, &Place::env_type(caller.scope(&org)?, kind), new).await
}

/// Shows the role of a user on the environment type.
#[utoipa::path(
    get, path = "/orgs/{orgId}/env-types/{envType}/users/{userId}",
    operation_id = "getUserRoleInEnvType", tag = "UserRole",
    responses((status = 200, body = UserRole, description = "The user with the role.")),
)]
async fn get_in_type(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, kind, id)): Path<(String, String, String)>,
) -> Result<Json<UserRole>> {
    get(&state, &Place::env_type(caller.scope(&org)?, kind), &id).await
}

/// Gives a user another role on the environment type.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/env-types/{envType}/users/{userId}",
    operation_id = "updateUserRoleInEnvType", tag = "UserRole", request_body = PatchRole,
    responses((status = 200, body = UserRole, description = "The user with the new role.")),
)]
async fn patch_in_type(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, kind, id)): Path<(String, String, String)>,
    Body(patch): Body<PatchRole>,
) -> Result<Json<UserRole>> {
    change(&state, &caller, &Place::env_type(caller.scope(&org)?, kind), &id, patch).await
}

/// Takes the role of a user on the environment type.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/env-types/{envType}/users/{userId}",
    operation_id = "deleteUserRoleInEnvType", tag = "UserRole",
    responses((status = 204, description = "The user has no role here any more.")),
)]
async fn delete_in_type(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, kind, id)): Path<(String, String, String)>,
) -> Result<StatusCode> {
    delete(&state, &caller, &Place::env_type(caller.scope(&org)?, kind), &id).await
}

async fn list(state: &AppState, place: &Place, filter: &Filter) -> Result<Json<Vec<UserRole>>> {
    let mut conn = state.db.read().await?;
    place.require(&mut conn).await?;
    let members = store::members(&mut conn, &place.scope, &place.below()).await?;
    Ok(Json(members.into_iter().filter(|member| filter.admits(member)).map(wire).collect()))
}

async fn create(
    state: &AppState,
    caller: &Caller,
    place: &Place,
    new: NewRole,
) -> Result<Json<UserRole>> {
    place.check(&new.role)?;
    let mut change = caller.change(state, &place.scope).await?;
    place.require(&mut change).await?;
    let Some(mut member) = store::member(&mut change, &place.scope, "", &new.id).await? else {
        return Err(Problem::not_found("user", &new.id)
            .with_hint("A user needs a role in the organization first."));
    };
    let before = store::member(&mut change, &place.scope, &place.below(), &new.id).await?;
    store::set_role(&mut change, &place.scope, &place.below(), &new.id, &new.role).await?;
    member.role = new.role;
    let answer = wire(member);
    let effect = match before.map(wire) {
        Some(before) => Effect::changed(&before, &answer),
        None => Effect::created(&answer),
    };
    change.commit(StatusCode::OK, effect).await?;
    Ok(Json(answer))
}

async fn get(state: &AppState, place: &Place, id: &str) -> Result<Json<UserRole>> {
    let mut conn = state.db.read().await?;
    place.require(&mut conn).await?;
    let member = store::member(&mut conn, &place.scope, &place.below(), id).await?;
    member.map(wire).map(Json).ok_or_else(|| Problem::not_found("user", id))
}

async fn change(
    state: &AppState,
    caller: &Caller,
    place: &Place,
    id: &str,
    patch: PatchRole,
) -> Result<Json<UserRole>> {
    place.check(&patch.role)?;
    let mut change = caller.change(state, &place.scope).await?;
    let before = require(&mut change, place, id).await?;
    store::set_role(&mut change, &place.scope, &place.below(), id, &patch.role).await?;
    let after = UserRole { role: patch.role, ..before.clone() };
    change.commit(StatusCode::OK, Effect::changed(&before, &after)).await?;
    Ok(Json(after))
}

async fn delete(state: &AppState, caller: &Caller, place: &Place, id: &str) -> Result<StatusCode> {
    let mut change = caller.change(state, &place.scope).await?;
    let before = require(&mut change, place, id).await?;
    store::remove_role(&mut change, &place.scope, &place.below(), id).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&before)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn require(change: &mut Change, place: &Place, id: &str) -> Result<UserRole> {
    place.require(change).await?;
    let member = store::member(change, &place.scope, &place.below(), id).await?;
    member.map(wire).ok_or_else(|| Problem::not_found("user", id))
}
