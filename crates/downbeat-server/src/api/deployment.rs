//! `/orgs/{orgId}/apps/{appId}/envs/{envId}/deploys`: deployments.
//!
//! Creating one is a row in `pending` and a signal: the engine does the rest. The checks come in
//! the order of v1: environment, pause, deployment under way, what the request names, the delta.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::deployment::{
    Delivery, Deployment, DeploymentError, DeploymentProgress, DeploymentRequest, NodeError,
    NodeProgress, PipelineReferenceRequest,
};
use downbeat_core::{DeploymentSet, Json as Value};
use downbeat_store::{
    AnyConnection, EnvScope, Tx, delta,
    deployment::{self as store, Deployment as Row},
    environment::Environment as EnvironmentRow,
    removal,
    set::{self, StoredSet},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    common::{flag, new_hex},
    environment,
    set::apply_to,
};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path, Query},
};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get))
        .routes(routes!(errors))
        .routes(routes!(progress))
}

/// Which deployments to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Lists only deployments of this pipeline run: `<pipeline id>,<run id>`.
    #[serde(rename = "pipelineRunId")]
    pipeline_run_id: Option<String>,
}

/// Lists the deployments of an environment, newest first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/deploys", params(Filter),
    operation_id = "listDeployments", tag = "Deployment",
    responses((status = 200, body = Vec<Deployment>, description = "The deployments.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<Deployment>>> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut conn = state.db.read().await?;
    environment::require(&mut conn, &scope).await?;
    let rows = store::list(&mut conn, &scope).await?.into_iter().map(wire);
    let Some(wanted) = filter.pipeline_run_id.filter(|wanted| !wanted.is_empty()) else {
        return Ok(Json(rows.collect()));
    };
    let of_run = |deployment: &Deployment| {
        deployment
            .pipeline
            .as_ref()
            .is_some_and(|pipeline| format!("{},{}", pipeline.id, pipeline.run_id) == wanted)
    };
    Ok(Json(rows.filter(of_run).collect()))
}

/// How to deploy.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct How {
    /// When it has succeeded, frees the resources that it does not need (an extension of v1).
    #[serde(default, deserialize_with = "flag")]
    prune: bool,
}

/// Deploys: a delta on top of the environment's base, a set, or the base once more.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/deploys",
    params(How), operation_id = "createDeployment", tag = "Deployment",
    request_body = DeploymentRequest,
    responses(
        (status = 201, body = Deployment, description = "The deployment; it runs on its own."),
        (
            status = 409, body = downbeat_api::ErrorBody,
            description = "A deployment of the environment is under way.",
        ),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
    Query(how): Query<How>,
    Body(request): Body<DeploymentRequest>,
) -> Result<(StatusCode, Json<Deployment>)> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let now = state.now();
    let mut change = caller.change(&state, scope.in_app().in_org()).await?;
    let environment = environment::require_active(&mut change, &scope).await?;
    ready(&mut change, &scope, &environment).await?;
    let mode = mode(request.mode.as_deref())?;
    let content = target_set(&mut change, &scope, &environment, &request).await?;
    let requested = request.value_set_version_id.as_deref();
    let value_set_version_id = value_set_version(&mut change, &scope, requested).await?;
    let set_id = set::put(&mut change, scope.in_app(), &content, now).await?;
    let pipeline =
        request.pipeline.filter(|pipeline| *pipeline != PipelineReferenceRequest::default());
    let mut row = Row {
        id: new_hex(16),
        number: 0,
        env_id: env,
        env_type: environment.kind,
        from_id: environment.from_deploy_id.unwrap_or_default(),
        delta_id: given(request.delta_id),
        set_id,
        value_set_version_id,
        comment: request.comment.unwrap_or_default(),
        mode,
        pipeline: pipeline.and_then(|pipeline| serde_json::to_value(pipeline).ok()),
        status: store::PENDING.to_owned(),
        status_changed_at: now,
        phase: "read".to_owned(),
        created_at: now,
        created_by: caller.id().to_owned(),
        graph_id: None,
        delivery: None,
    };
    row.number = match store::create(&mut change, &scope, &row, how.prune).await {
        Err(downbeat_store::Error::Conflict) => return Err(under_way(&scope, "another one")),
        result => result?,
    };
    let deployment = wire(row);
    change.commit(StatusCode::CREATED, Effect::created(&deployment)).await?;
    state.wake.wake();
    Ok((StatusCode::CREATED, Json(deployment)))
}

/// Shows a deployment.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/deploys/{deployId}",
    operation_id = "getDeployment", tag = "Deployment",
    responses((status = 200, body = Deployment, description = "The deployment.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, id)): Path<(String, String, String, String)>,
) -> Result<Json<Deployment>> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let row = find(&mut *state.db.read().await?, &scope, &id).await?;
    Ok(Json(wire(row)))
}

/// Lists what went wrong in a deployment.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/deploys/{deployId}/errors",
    operation_id = "listDeploymentErrors", tag = "Deployment",
    responses((status = 200, body = Vec<DeploymentError>, description = "The errors, if any.")),
)]
async fn errors(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, id)): Path<(String, String, String, String)>,
) -> Result<Json<Vec<DeploymentError>>> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut conn = state.db.read().await?;
    let deployment = find(&mut conn, &scope, &id).await?;
    let errors = store::errors(&mut conn, &deployment).await?;
    let errors = errors.into_iter().map(|error| DeploymentError {
        scope: error.scope,
        object_id: error.object_id,
        code: error.code,
        error_type: error.error_type,
        summary: error.summary,
        message: error.message,
    });
    Ok(Json(errors.collect()))
}

/// Shows how far a deployment is, node by node.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/deploys/{deployId}/progress",
    operation_id = "getDeploymentProgress", tag = "Deployment",
    responses((status = 200, body = DeploymentProgress, description = "How far it is.")),
    extensions(("x-downbeat-extension" = json!(true))),
)]
async fn progress(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, id)): Path<(String, String, String, String)>,
) -> Result<Json<DeploymentProgress>> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut conn = state.db.read().await?;
    let deployment = find(&mut conn, &scope, &id).await?;
    let nodes = store::progress(&mut conn, &deployment).await?;
    let nodes = nodes.into_iter().map(|node| NodeProgress {
        id: node.res_id,
        r#type: node.resource_type,
        class: node.class,
        guresid: node.guresid,
        def_id: node.def_id,
        driver_type: node.driver_type,
        status: node.state,
        attempt: node.attempt,
        started_at: node.started_at.map(Into::into),
        finished_at: node.finished_at.map(Into::into),
        error: node.error.map(|error| NodeError {
            code: text(&error, "code"),
            message: text(&error, "message"),
        }),
    });
    Ok(Json(DeploymentProgress {
        deployment_id: deployment.id,
        status: deployment.status,
        phase: deployment.phase,
        nodes: nodes.collect(),
        delivery: deployment.delivery.as_ref().and_then(|json| Delivery::deserialize(json).ok()),
    }))
}

fn text(json: &Value, member: &str) -> String {
    json.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}

async fn find(conn: &mut AnyConnection, scope: &EnvScope, id: &str) -> Result<Row> {
    environment::require(&mut *conn, scope).await?;
    store::find(conn, scope, id).await?.ok_or_else(|| Problem::not_found("deployment", id))
}

/// Makes sure that the environment can take a deployment now.
async fn ready(tx: &mut Tx, scope: &EnvScope, environment: &EnvironmentRow) -> Result<()> {
    let env = scope.env();
    if environment.paused {
        return Err(Problem::invalid(format!("The environment `{env}` is paused."))
            .with_hint("Resume it with `PUT …/runtime/paused` `false`, then deploy."));
    }
    if let Some(id) = store::under_way(&mut *tx, scope).await? {
        return Err(under_way(scope, &format!("`{id}`")));
    }
    let open = removal::open(&mut *tx, scope).await?;
    let pending = open.iter().find(|removal| removal.state == "pending");
    let given_up = open.iter().find(|removal| removal.state == "given up");
    if let (Some(_), Some(left)) = (pending, given_up) {
        // What is pending may wait for it.
        return Err(Problem::conflict(format!(
            "Resources of the environment `{env}` are being deleted, and `{}` cannot be freed: {}",
            left.key,
            left.why()
        ))
        .with_hint(format!(
            "Delete the resource again to have it tried again, or end its removal and leave the \
             real thing alone: `DELETE …/resources/removals/{}`.",
            left.id
        )));
    }
    match pending {
        Some(removal) => Err(Problem::conflict(format!(
            "The resource `{}` of the environment `{env}` is being deleted.",
            removal.key
        ))
        .with_hint("Wait until it is gone, then deploy again.")),
        None => Ok(()),
    }
}

fn under_way(scope: &EnvScope, deployment: &str) -> Problem {
    Problem::conflict(format!(
        "The environment `{}` has a deployment under way: {deployment}.",
        scope.env()
    ))
    .with_hint("Wait until it has ended, then deploy again.")
}

fn mode(requested: Option<&str>) -> Result<String> {
    match requested {
        None | Some("") => Ok("full".to_owned()),
        Some(mode @ ("full" | "incremental")) => Ok(mode.to_owned()),
        Some(mode) => {
            let rule = "use `full` or `incremental`";
            let mode = crate::problem::short(mode);
            Err(Problem::invalid(format!("`{mode}` is not a deployment mode: {rule}."))
                .at("/mode", rule))
        }
    }
}

/// What the request asks to deploy.
async fn target_set(
    tx: &mut Tx,
    scope: &EnvScope,
    environment: &EnvironmentRow,
    request: &DeploymentRequest,
) -> Result<DeploymentSet> {
    let app = scope.in_app();
    if let Some(id) = given(request.delta_id.clone()) {
        let delta = delta::find(&mut *tx, app, &id).await?.ok_or_else(|| unknown("delta", &id))?;
        return apply_to(&base(tx, scope, environment).await?, &delta.content);
    }
    if let Some(id) = given(request.set_id.clone()) {
        let set = set::find(&mut *tx, app, &id).await?.ok_or_else(|| unknown("set", &id))?;
        return Ok(set.content);
    }
    Ok(base(tx, scope, environment).await?.content)
}

/// The version of the shared values to freeze: the given one, or the newest.
async fn value_set_version(
    tx: &mut Tx,
    scope: &EnvScope,
    requested: Option<&str>,
) -> Result<Option<String>> {
    /// How v1 spells "the newest version".
    const NEWEST: &str = "00000000-0000-0000-0000-000000000000";
    let id = requested.filter(|id| !id.is_empty() && *id != NEWEST);
    let found = store::value_set_version(tx, scope, id).await?;
    match (id, found) {
        (Some(id), None) => Err(unknown("value set version", id)),
        (_, found) => Ok(found),
    }
}

/// The set that the next deployment starts from: that of the base, or the empty one.
async fn base(tx: &mut Tx, scope: &EnvScope, environment: &EnvironmentRow) -> Result<StoredSet> {
    let app = scope.in_app();
    let from = environment.from_deploy_id.as_deref().filter(|id| !id.is_empty());
    let id = match from {
        None => "0".to_owned(),
        Some(id) => {
            let deployment = store::find_in_app(&mut *tx, app, id).await?;
            deployment.ok_or_else(|| unknown("deployment", id))?.set_id
        }
    };
    set::find(tx, app, &id).await?.ok_or_else(|| unknown("set", &id))
}

fn given(id: Option<String>) -> Option<String> {
    id.filter(|id| !id.is_empty())
}

/// 400: the request names something that is not there.
fn unknown(what: &str, id: &str) -> Problem {
    let id = crate::problem::short(id);
    Problem::invalid(format!("The request names the {what} `{id}`, which does not exist."))
}

/// A deployment as it is shown.
pub(crate) fn wire(row: Row) -> Deployment {
    Deployment {
        id: row.id,
        env_id: row.env_id,
        from_id: row.from_id,
        delta_id: row.delta_id,
        set_id: row.set_id,
        value_set_version_id: row.value_set_version_id,
        comment: row.comment,
        status: row.status,
        status_changed_at: row.status_changed_at.into(),
        created_at: row.created_at.into(),
        created_by: row.created_by,
        pipeline: row.pipeline.and_then(|pipeline| serde_json::from_value(pipeline).ok()),
        dependency_graph_id: row.graph_id,
        export_file: String::new(),
        export_status: String::new(),
        mode: Some(row.mode),
    }
}
