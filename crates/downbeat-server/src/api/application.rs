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
    change::Effect,
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
    let scope = caller.scope(&org)?;
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
    let scope = caller.scope(&org)?;
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
    let mut change = caller.change(&state, &scope).await?;
    if store::find(&mut change, &app).await?.is_some() {
        return Err(Problem::conflict(format!("The application `{}` exists already.", row.id)));
    }
    store::create(&mut change, &scope, &row).await?;
    let owner = Role::Owner.name();
    user::set_role(&mut change, &scope, &format!("/apps/{}", row.id), caller.id(), owner).await?;
    let mut environments = Vec::new();
    if let Some(EnvironmentBase { id, name, r#type }) = first {
        let new = super::environment::New { id, name, kind: r#type, from_deploy_id: None };
        environments.push(super::environment::add(&mut change, &app, new, now, caller.id()).await?);
    }
    let application = wire(&org, row, environments);
    change.commit(StatusCode::CREATED, Effect::created(&application)).await?;
    Ok((StatusCode::CREATED, Json(application)))
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
    let scope = caller.scope(&org)?.app(&app);
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
    Body(patch): Body<PatchApplication>,
) -> Result<Json<Application>> {
    let scope = caller.scope(&org)?.app(&app);
    check_name(&patch.name)?;
    let mut change = caller.change(&state, scope.in_org()).await?;
    let row = require_active(&mut change, &scope).await?;
    store::rename(&mut change, &scope, &patch.name).await?;
    let before = wire(&org, row, environment::list(&mut change, &scope).await?);
    let mut after = before.clone();
    after.name = patch.name;
    change.commit(StatusCode::OK, Effect::changed(&before, &after)).await?;
    Ok(Json(after))
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
    let scope = caller.scope(&org)?.app(&app);
    let mut change = caller.change(&state, scope.in_org()).await?;
    let row = require(&mut change, &scope).await?;
    let is_new = row.status != super::DELETING;
    let environments = environment::list(&mut change, &scope).await?;
    let before = wire(&org, row, environments.clone());
    for row in &environments {
        let scope = scope.env(&row.id);
        let problem = super::environment::given_up(&mut change, &scope, state.now()).await?;
        if let Some(problem) = problem {
            change.commit(problem.status(), Effect::changed(&before, &before)).await?;
            state.wake.wake();
            return Err(problem);
        }
    }
    store::begin_delete(&mut change, &scope, state.now()).await?;
    let reason = format!("the application {app} is deleted");
    let asked = Asked { by: caller.id(), reason: &reason, forced: false, at: state.now() };
    let mut each = Vec::new();
    for row in environments {
        each.push(super::environment::remove(&mut change, &scope.env(&row.id), asked).await?);
    }
    let deletion = Deletion::of_all(&each, is_new);
    removal::end_application(&mut change, &scope).await?;
    match deletion {
        Deletion::Done => {
            change.commit(deletion.status(), Effect::deleted(&before)).await?;
        }
        Deletion::Begun => {
            let row = require(&mut change, &scope).await?;
            let after = wire(&org, row, environment::list(&mut change, &scope).await?);
            change.commit(deletion.status(), Effect::changed(&before, &after)).await?;
        }
        Deletion::UnderWay => {}
    }
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
