//! `/orgs/{orgId}/apps/{appId}/envs`: environments.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::{
    ErrorBody,
    environment::{CreateEnvironment, Environment, PatchEnvironment},
};
use downbeat_core::{builtin, id::Grammar};
use downbeat_store::{
    AnyConnection, AppScope, EnvScope, Tx, active_resource, commit, deployment,
    environment::{self as store, Environment as Row},
    environment_type,
    removal::{self, Asked},
};
use jiff::Timestamp;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{application, check_name, common::check_grammar};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    bootstrap::FIRST_ENVIRONMENT_TYPE,
    extract::{Body, Path},
};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, patch, delete))
        .routes(routes!(rebase))
}

/// The environment, or 404 for it or for its application.
///
/// # Errors
/// 404 when there is no such environment.
pub async fn require(conn: &mut AnyConnection, scope: &EnvScope) -> Result<Row> {
    application::require(conn, scope.in_app()).await?;
    let row = store::find(conn, scope).await?;
    row.ok_or_else(|| Problem::not_found("environment", scope.env()))
}

/// The environment that is about to be changed.
///
/// # Errors
/// 404 when there is no such environment, 409 when it or its application is being deleted.
pub async fn require_active(conn: &mut AnyConnection, scope: &EnvScope) -> Result<Row> {
    application::require_active(conn, scope.in_app()).await?;
    let row = require(conn, scope).await?;
    if row.status == super::DELETING {
        return Err(Problem::conflict(format!(
            "The environment `{}` is being deleted.",
            scope.env()
        )));
    }
    Ok(row)
}

/// What a new environment is made of.
pub(super) struct New {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) from_deploy_id: Option<String>,
}

/// Checks and stores a new environment.
pub(super) async fn add(
    tx: &mut Tx,
    scope: &AppScope,
    new: New,
    now: Timestamp,
    by: &str,
) -> Result<Row> {
    check_grammar(Grammar::Application, "id of an environment", "/id", &new.id)?;
    check_name(&new.name)?;
    if environment_type::find(tx, scope.in_org(), &new.kind).await?.is_none() {
        let kind = crate::problem::short(&new.kind);
        return Err(Problem::invalid(format!("There is no environment type with id `{kind}`."))
            .at("/type", "not the id of an environment type"));
    }
    if let Some(deployment) = &new.from_deploy_id {
        require_base(tx, scope, deployment).await?;
    }
    if store::find(tx, &scope.env(&new.id)).await?.is_some() {
        return Err(Problem::conflict(format!("The environment `{}` exists already.", new.id)));
    }
    let row = Row {
        app_id: scope.app().to_owned(),
        id: new.id,
        name: new.name,
        kind: new.kind,
        created_at: now,
        created_by: by.to_owned(),
        from_deploy_id: new.from_deploy_id,
        last_deploy_id: None,
        paused: false,
        status: super::ACTIVE.to_owned(),
        status_changed_at: now,
    };
    store::create(tx, scope, &row).await?;
    Ok(row)
}

/// How far a deletion got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletion {
    /// It is gone.
    Done,
    /// A worker is at it.
    UnderWay,
}

impl Deletion {
    /// The answer; whoever gets 202 repeats the call.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Done => StatusCode::NO_CONTENT,
            Self::UnderWay => StatusCode::ACCEPTED,
        }
    }
}

/// Deletes an environment: what it runs leaves the target, drivers free what they made, then it is
/// forgotten. Asked again, it says what could not be freed, and has it tried again.
pub(super) async fn remove(tx: &mut Tx, scope: &EnvScope, asked: Asked<'_>) -> Result<Deletion> {
    let env = scope.env();
    if store::is_deploying(tx, scope).await? {
        return Err(Problem::conflict(format!(
            "The environment `{env}` cannot be deleted while a deployment is under way."
        )));
    }
    let is_new = store::find(tx, scope).await?.is_some_and(|row| row.status != super::DELETING);
    if is_new {
        let resources = active_resource::list(tx, scope).await?;
        store::begin_delete(tx, scope, asked.at).await?;
        removal::ask_to_clear(tx, scope, &resources, asked).await?;
        for resource in resources {
            if !builtin::changes_nothing(&resource.driver_type) {
                removal::ask(tx, scope, &resource.key(), asked).await?;
            }
        }
        // No deployment will come that what is held could wait for.
        removal::release_all(tx, scope, asked.at).await?;
    }
    let open = removal::open(tx, scope).await?;
    if open.is_empty() {
        store::delete(tx, scope).await?;
        return Ok(Deletion::Done);
    }
    Ok(Deletion::UnderWay)
}

/// What of a deletion could not be done, after many attempts: the answer that says so. It is tried
/// again all the same.
pub(super) async fn given_up(
    tx: &mut Tx,
    scope: &EnvScope,
    now: Timestamp,
) -> Result<Option<Problem>> {
    let deleting = store::find(tx, scope).await?.is_some_and(|row| row.status == super::DELETING);
    if !deleting {
        return Ok(None);
    }
    let open = removal::open(tx, scope).await?.into_iter();
    let left: Vec<_> = open.filter(|row| row.state == "given up").collect();
    let Some(first) = left.first() else { return Ok(None) };
    let (env, count) = (scope.env(), left.len());
    let message = format!(
        "{count} of the resources of the environment `{env}` cannot be freed; the first is \
         `{}`: {}",
        first.key,
        first.why()
    );
    removal::try_again(tx, scope, now).await?;
    let left: Vec<_> = left.into_iter().map(super::active_resource::removal).collect();
    Ok(Some(
        Problem::conflict(message)
            .with_hint(
                "It is tried again from now on. To leave a real thing alone, end its removal with \
                 `DELETE …/resources/removals/{id}`.",
            )
            .with_detail("left", serde_json::to_value(left).unwrap_or_default()),
    ))
}

/// A deployment of any environment of the application can be a base.
async fn require_base(conn: &mut AnyConnection, scope: &AppScope, id: &str) -> Result<()> {
    if deployment::find_in_app(conn, scope, id).await?.is_some() {
        return Ok(());
    }
    let (app, id) = (scope.app(), crate::problem::short(id));
    Err(Problem::invalid(format!("The application `{app}` has no deployment with id `{id}`.")))
}

/// Lists the environments.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs",
    operation_id = "listEnvironments", tag = "Environment",
    responses((status = 200, body = Vec<Environment>, description = "All environments, by id.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
) -> Result<Json<Vec<Environment>>> {
    let scope = caller.may_read(&org)?.app(&app);
    let mut conn = state.db.read().await?;
    application::require(&mut conn, &scope).await?;
    let mut environments = Vec::new();
    for row in store::list(&mut conn, &scope).await? {
        environments.push(wire(&mut conn, &scope, row).await?);
    }
    Ok(Json(environments))
}

/// Creates an environment, empty or as a copy of what a deployment deployed.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/envs",
    operation_id = "createEnvironment", tag = "Environment",
    request_body = CreateEnvironment,
    responses(
        (status = 201, body = Environment, description = "The new environment."),
        (status = 409, body = ErrorBody, description = "The id is taken."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
    Body(new): Body<CreateEnvironment>,
) -> Result<(StatusCode, Json<Environment>)> {
    let scope = caller.may_change(&org)?.app(&app);
    let new = New {
        id: new.id,
        name: new.name,
        kind: new.r#type.unwrap_or_else(|| FIRST_ENVIRONMENT_TYPE.to_owned()),
        from_deploy_id: new.from_deploy_id.filter(|id| !id.is_empty()),
    };
    let mut tx = state.db.write().await?;
    application::require_active(&mut tx, &scope).await?;
    caller.may_deploy(&scope, &new.kind)?;
    let row = add(&mut tx, &scope, new, state.now(), caller.id()).await?;
    let environment = wire(&mut tx, &scope, row).await?;
    commit(tx).await?;
    Ok((StatusCode::CREATED, Json(environment)))
}

/// Shows an environment.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}",
    operation_id = "getEnvironment", tag = "Environment",
    responses((status = 200, body = Environment, description = "The environment.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
) -> Result<Json<Environment>> {
    let scope = caller.may_read(&org)?.app(&app);
    let mut conn = state.db.read().await?;
    let row = require(&mut conn, &scope.env(&env)).await?;
    Ok(Json(wire(&mut conn, &scope, row).await?))
}

/// Renames an environment.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}",
    operation_id = "updateEnvironment", tag = "Environment",
    request_body = PatchEnvironment,
    responses((status = 200, body = Environment, description = "The environment as it is now.")),
)]
async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
    Body(change): Body<PatchEnvironment>,
) -> Result<Json<Environment>> {
    let scope = caller.may_change(&org)?.app(&app);
    let mut tx = state.db.write().await?;
    let mut row = require_active(&mut tx, &scope.env(&env)).await?;
    if let Some(name) = change.name {
        check_name(&name)?;
        store::rename(&mut tx, &scope.env(&env), &name).await?;
        row.name = name;
    }
    let environment = wire(&mut tx, &scope, row).await?;
    commit(tx).await?;
    Ok(Json(environment))
}

/// Deletes an environment, unless it is the only one.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}",
    operation_id = "deleteEnvironment", tag = "Environment",
    responses(
        (status = 202, description = "The deletion goes on; repeat the call to ask for its end."),
        (status = 204, description = "The environment is gone."),
        (status = 409, body = ErrorBody, description = "Something in it is still in use."),
    ),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
) -> Result<StatusCode> {
    let scope = caller.may_change(&org)?.app(&app);
    let mut tx = state.db.write().await?;
    require(&mut tx, &scope.env(&env)).await?;
    if let Some(problem) = given_up(&mut tx, &scope.env(&env), state.now()).await? {
        commit(tx).await?;
        state.wake.wake();
        return Err(problem);
    }
    if store::list(&mut tx, &scope).await?.len() == 1 {
        return Err(Problem::invalid(format!(
            "`{env}` is the last environment of the application `{app}`."
        ))
        .with_hint("Delete the application, or create another environment first."));
    }
    let reason = format!("the environment {env} is deleted");
    let asked = Asked { by: caller.id(), reason: &reason, forced: false, at: state.now() };
    let deletion = remove(&mut tx, &scope.env(&env), asked).await?;
    commit(tx).await?;
    state.wake.wake();
    Ok(deletion.status())
}

/// Makes a deployment the base of the next one.
#[utoipa::path(
    put, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/from_deploy_id",
    operation_id = "rebaseEnvironment", tag = "Environment",
    request_body = String,
    responses((status = 204, description = "The next deployment starts from the given one.")),
)]
async fn rebase(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
    Body(deployment): Body<String>,
) -> Result<StatusCode> {
    let scope = caller.may_change(&org)?.app(&app);
    let mut tx = state.db.write().await?;
    require_active(&mut tx, &scope.env(&env)).await?;
    require_base(&mut tx, &scope, &deployment).await?;
    store::rebase(&mut tx, &scope.env(&env), &deployment).await?;
    commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn wire(conn: &mut AnyConnection, scope: &AppScope, row: Row) -> Result<Environment> {
    let from_deploy = match &row.from_deploy_id {
        Some(id) => deployment::find_in_app(conn, scope, id).await?,
        None => None,
    };
    let last_deploy = match &row.last_deploy_id {
        Some(id) if row.from_deploy_id.as_ref() == Some(id) => from_deploy.clone(),
        Some(id) => deployment::find_in_app(conn, scope, id).await?,
        None => None,
    };
    Ok(Environment {
        id: row.id,
        name: row.name,
        r#type: row.kind,
        created_at: row.created_at.into(),
        created_by: row.created_by,
        from_deploy: from_deploy.map(super::deployment::wire),
        last_deploy: last_deploy.map(super::deployment::wire),
        status: application::status(&row.status),
        status_changed_at: row.status_changed_at.into(),
    })
}
