//! `/orgs/{orgId}/apps`: applications.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_access::{Action, Role};
use downbeat_api::{
    ErrorBody,
    application::{Application, CreateApplication, PatchApplication, Status},
    environment::EnvironmentBase,
};
use downbeat_core::id::Grammar;
use downbeat_store::{
    AnyConnection, AppScope,
    application::{self as store, Application as Row},
    commit,
    environment::{self, Environment},
    removal::{self, Asked},
    user,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{check_name, common::check_grammar, environment::Deletion};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    bootstrap::FIRST_ENVIRONMENT_TYPE,
    extract::{Body, Path},
};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, patch, delete))
}

/// The application, or 404.
///
/// # Errors
/// 404 when there is no such application.
pub async fn require(conn: &mut AnyConnection, scope: &AppScope) -> Result<Row> {
    let row = store::find(conn, scope).await?;
    row.ok_or_else(|| Problem::not_found("application", scope.app()))
}

/// The application that is about to be changed, or 404, or 409 while it is being deleted.
///
/// # Errors
/// 404 when there is no such application, 409 when it is being deleted.
pub async fn require_active(conn: &mut AnyConnection, scope: &AppScope) -> Result<Row> {
    let row = require(conn, scope).await?;
    if row.status == super::DELETING {
        return Err(Problem::conflict(format!(
            "The application `{}` is being deleted.",
            scope.app()
        )));
    }
    Ok(row)
}

/// Lists the applications.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps", operation_id = "listApplications", tag = "Application",
    responses((status = 200, body = Vec<Application>, description = "All applications, by id.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
) -> Result<Json<Vec<Application>>> {
    let scope = caller.may_read(&org)?;
    let mut conn = state.db.read().await?;
    let mut rows = store::list(&mut conn, &scope).await?;
    rows.retain(|row| caller.may_with(&scope, &row.id, Action::ReadApplication));
    let mut environments = environment::list_in_org(&mut conn, &scope).await?;
    let wired = rows.into_iter().map(|row| {
        let own = environments.extract_if(.., |environment| environment.app_id == row.id);
        let own: Vec<Environment> = own.collect();
        wire(&org, row, own)
    });
    Ok(Json(wired.collect()))
}

/// Creates an application, with a first environment unless told otherwise.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps", operation_id = "createApplication", tag = "Application",
    request_body = CreateApplication,
    responses(
        (status = 201, body = Application, description = "The new application."),
        (status = 409, body = ErrorBody, description = "The id is taken."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Body(new): Body<CreateApplication>,
) -> Result<(StatusCode, Json<Application>)> {
    let scope = caller.may_change(&org)?;
    check_grammar(Grammar::Application, "id of an application", "/id", &new.id)?;
    check_name(&new.name)?;
    let skip = new.skip_environment_creation.unwrap_or(false);
    let first = match new.env {
        Some(_) if skip => {
            return Err(Problem::invalid(
                "`env` and `skip_environment_creation` cannot be used together.",
            ));
        }
        None if skip => None,
        None => Some(EnvironmentBase {
            id: FIRST_ENVIRONMENT_TYPE.to_owned(),
            name: "Development".to_owned(),
            r#type: FIRST_ENVIRONMENT_TYPE.to_owned(),
        }),
        given => given,
    };

    let now = state.now();
    let app = scope.app(&new.id);
    let row = Row {
        id: new.id,
        name: new.name,
        created_at: now,
        created_by: caller.id().to_owned(),
        status: super::ACTIVE.to_owned(),
        status_changed_at: now,
    };
    let mut tx = state.db.write().await?;
    if store::find(&mut tx, &app).await?.is_some() {
        return Err(Problem::conflict(format!("The application `{}` exists already.", row.id)));
    }
    store::create(&mut tx, &scope, &row).await?;
    let owner = Role::Owner.name();
    user::set_role(&mut tx, &scope, &format!("/apps/{}", row.id), caller.id(), owner).await?;
    let mut environments = Vec::new();
    if let Some(EnvironmentBase { id, name, r#type }) = first {
        let new = super::environment::New { id, name, kind: r#type, from_deploy_id: None };
        environments.push(super::environment::add(&mut tx, &app, new, now, caller.id()).await?);
    }
    commit(tx).await?;
    Ok((StatusCode::CREATED, Json(wire(&org, row, environments))))
}

/// Shows an application.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}", operation_id = "getApplication", tag = "Application",
    responses((status = 200, body = Application, description = "The application.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
) -> Result<Json<Application>> {
    let scope = caller.may_read(&org)?.app(&app);
    let mut conn = state.db.read().await?;
    let row = require(&mut conn, &scope).await?;
    let environments = environment::list(&mut conn, &scope).await?;
    Ok(Json(wire(&org, row, environments)))
}

/// Renames an application.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/apps/{appId}",
    operation_id = "patchApplication", tag = "Application",
    request_body = PatchApplication,
    responses((status = 200, body = Application, description = "The application as it is now.")),
)]
async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
    Body(change): Body<PatchApplication>,
) -> Result<Json<Application>> {
    let scope = caller.may_change(&org)?.app(&app);
    check_name(&change.name)?;
    let mut tx = state.db.write().await?;
    let mut row = require_active(&mut tx, &scope).await?;
    store::rename(&mut tx, &scope, &change.name).await?;
    row.name = change.name;
    let environments = environment::list(&mut tx, &scope).await?;
    commit(tx).await?;
    Ok(Json(wire(&org, row, environments)))
}

/// Deletes an application with everything in it.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/apps/{appId}",
    operation_id = "deleteApplication", tag = "Application",
    responses(
        (status = 202, description = "The deletion goes on; repeat the call to ask for its end."),
        (status = 204, description = "The application is gone."),
        (status = 409, body = ErrorBody, description = "Something in it is still in use."),
    ),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
) -> Result<StatusCode> {
    let scope = caller.may_change(&org)?.app(&app);
    let mut tx = state.db.write().await?;
    require(&mut tx, &scope).await?;
    let environments = environment::list(&mut tx, &scope).await?;
    for row in &environments {
        let scope = scope.env(&row.id);
        let problem = super::environment::given_up(&mut tx, &scope, state.now()).await?;
        if let Some(problem) = problem {
            commit(tx).await?;
            state.wake.wake();
            return Err(problem);
        }
    }
    store::begin_delete(&mut tx, &scope, state.now()).await?;
    let reason = format!("the application {app} is deleted");
    let asked = Asked { by: caller.id(), reason: &reason, forced: false, at: state.now() };
    let mut deletion = Deletion::Done;
    for row in environments {
        let scope = scope.env(&row.id);
        if super::environment::remove(&mut tx, &scope, asked).await? == Deletion::UnderWay {
            deletion = Deletion::UnderWay;
        }
    }
    removal::end_application(&mut tx, &scope).await?;
    commit(tx).await?;
    state.wake.wake();
    Ok(deletion.status())
}

fn wire(org: &str, row: Row, environments: Vec<Environment>) -> Application {
    let base = |row: Environment| EnvironmentBase { id: row.id, name: row.name, r#type: row.kind };
    Application {
        id: row.id,
        name: row.name,
        org_id: org.to_owned(),
        created_at: row.created_at.into(),
        created_by: row.created_by,
        envs: environments.into_iter().map(base).collect(),
        status: status(&row.status),
        status_changed_at: row.status_changed_at.into(),
    }
}

/// The wire form of a status column.
pub(crate) fn status(column: &str) -> Status {
    if column == super::DELETING { Status::Deleting } else { Status::Active }
}
