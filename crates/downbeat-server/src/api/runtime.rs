//! `…/envs/{envId}/runtime`: what runs.
//!
//! All targets are Git repositories: there is no connection to a cluster. What is known is said in
//! the shapes of v1: no workload can be seen. What only a cluster could say or do is refused with
//! DEP-010. An environment that nothing was deployed to has no logs, and that is an answer.

mod connectivity;

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use downbeat_api::runtime::{EnvironmentRuntime, LogEntry, RuntimeInfo, RuntimeInfoV2};
use downbeat_core::{Code, Json as Value, suggest};
use downbeat_store::{
    AnyConnection, EnvScope, active_resource, deployment,
    environment::{self as store, Environment},
    set,
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{application, environment};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path, Query, accepts},
    problem::short,
};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(get))
        .routes(routes!(list))
        .routes(routes!(pause))
        .routes(routes!(scale))
        .routes(routes!(logs))
        .merge(connectivity::routes())
}

/// The newer form of what runs.
const V2: &str = "application/v2+json";
/// Most environments of one request.
const MOST: usize = 5;

/// Shows what runs in an environment. `Accept: application/v2+json` asks for the newer form.
///
/// Nothing can be seen of what is delivered to a Git repository.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/runtime",
    operation_id = "getRuntime", tag = "RuntimeInfo",
    responses((
        status = 200, description = "What runs.",
        content((RuntimeInfo = "application/json"), (RuntimeInfoV2 = "application/v2+json")),
    )),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut conn = state.db.read().await?;
    environment::require(&mut conn, &scope).await?;
    let namespace = namespace(&mut conn, &scope).await?;
    if !accepts(&headers, V2) {
        return Ok(Json(RuntimeInfo { namespace, modules: BTreeMap::new() }).into_response());
    }
    let info = RuntimeInfoV2 { namespace, modules: BTreeMap::new() };
    Ok(([(header::CONTENT_TYPE, V2)], Json(info)).into_response())
}

/// The namespace of the environment, once a deployment has made it; empty before.
async fn namespace(conn: &mut AnyConnection, scope: &EnvScope) -> Result<String> {
    let rows = active_resource::list(conn, scope).await?;
    let row = rows.iter().find(|row| row.resource_type == "k8s-namespace");
    let name = row.and_then(|row| row.resource.get("namespace")).and_then(Value::as_str);
    Ok(name.unwrap_or_default().to_owned())
}

/// Which environments to show.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described: it is read as often as it stands there")]
struct Which {
    /// Id of an environment; up to five times.
    #[param(required = false)]
    id: Vec<String>,
}

/// Shows what runs in several environments of an application, in short.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/runtime", params(Which),
    operation_id = "listRuntime", tag = "RuntimeInfo",
    responses((status = 200, body = Vec<EnvironmentRuntime>, description = "What runs in each.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<Vec<EnvironmentRuntime>>> {
    let scope = caller.scope(&org)?.app(&app);
    let ids = parameters.into_iter().filter(|(name, id)| name == "id" && !id.is_empty());
    let ids: Vec<String> = ids.map(|(_, id)| id).collect();
    if ids.is_empty() || ids.len() > MOST {
        let rule = format!("name 1 to {MOST} environments, each as `id=…`");
        let count = ids.len();
        return Err(Problem::invalid(format!("{count} environments are asked for: {rule}."))
            .at("id", &rule));
    }
    let mut conn = state.db.read().await?;
    application::require(&mut conn, &scope).await?;
    let mut environments = Vec::with_capacity(ids.len());
    for id in ids {
        let found = store::find(&mut conn, &scope.env(&id)).await?;
        environments.push(match found {
            Some(Environment { paused, .. }) => {
                EnvironmentRuntime { id, paused, status: Some("Unknown".to_owned()), error: None }
            }
            None => {
                let id = short(&id);
                let error = format!("Environment {org}/{app}/{id} does not exist");
                EnvironmentRuntime { id, paused: false, status: None, error: Some(error) }
            }
        });
    }
    Ok(Json(environments))
}

/// Pauses the workloads of an environment, or resumes them.
#[utoipa::path(
    put, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/runtime/paused",
    operation_id = "updatePaused", tag = "EnvironmentPausedInfo",
    request_body = bool,
    responses((status = 204, description = "The environment is paused, or runs.")),
)]
async fn pause(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
    Body(paused): Body<bool>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut change = caller.change(&state, scope.in_app().in_org()).await?;
    let before = environment::require_active(&mut change, &scope).await?;
    store::pause(&mut change, &scope, paused).await?;
    let effect = Effect::changed(&before.paused, &paused);
    change.commit(StatusCode::NO_CONTENT, effect).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Scales workloads of an environment, where there is a connection to its cluster.
///
/// There is none to what is delivered to a Git repository: it is refused.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/runtime/replicas",
    operation_id = "patchReplicas", tag = "Replicas",
    request_body = BTreeMap<String, i64>,
    responses((status = 204, description = "The workloads are scaled.")),
)]
async fn scale(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
    Body(replicas): Body<BTreeMap<String, i64>>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut conn = state.db.read().await?;
    let environment = environment::require(&mut conn, &scope).await?;
    if environment.paused {
        return Err(Problem::invalid(format!("The environment `{env}` is paused."))
            .with_hint("Resume it with `PUT …/runtime/paused` `false`."));
    }
    let known = workloads(&mut conn, &scope, &environment).await?;
    for (workload, count) in &replicas {
        if !known.contains(workload) {
            let shown = short(workload);
            let problem = Problem::invalid(format!(
                "The workload `{shown}` is not deployed to the environment `{env}`."
            ))
            .at(workload, "not deployed");
            let nearest = suggest::nearest(workload, known.iter().map(String::as_str));
            return Err(match nearest {
                Some(nearest) => problem.with_hint(format!("Did you mean `{nearest}`?")),
                None => problem,
            });
        }
        if i32::try_from(*count).is_ok_and(|count| count >= 0) {
            continue;
        }
        let rule = "use a number from 0 on";
        return Err(Problem::invalid(format!("{count} is not a number of replicas: {rule}."))
            .at(workload, rule));
    }
    Err(no_cluster(format!(
        "The workloads of the environment `{env}` cannot be scaled: there is no connection to its \
         cluster."
    ))
    .with_hint("Set `replicas` in the spec of the workload, and deploy."))
}

/// The workloads of the last deployment.
async fn workloads(
    conn: &mut AnyConnection,
    scope: &EnvScope,
    environment: &Environment,
) -> Result<Vec<String>> {
    let Some(id) = &environment.last_deploy_id else { return Ok(Vec::new()) };
    let app = scope.in_app();
    let Some(deployment) = deployment::find_in_app(conn, app, id).await? else {
        return Ok(Vec::new());
    };
    let set = set::find(conn, app, &deployment.set_id).await?;
    Ok(set.map(|set| set.content.modules.into_keys().collect()).unwrap_or_default())
}

/// Which lines to show.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described: there is nothing to choose from yet")]
struct Lines {
    /// Only those of this workload.
    workload_id: Option<String>,
    /// Only those of this container.
    container_id: Option<String>,
    /// Only those of this deployment.
    deployment_id: Option<String>,
    /// Only those of this time and later.
    timestamp_from: Option<String>,
    /// Only those until this time.
    timestamp_to: Option<String>,
    /// Largest number of lines.
    limit: Option<String>,
    /// Oldest first.
    #[param(value_type = Option<bool>)]
    asc: Option<String>,
    /// The other way round.
    #[param(value_type = Option<bool>)]
    invert: Option<String>,
}

/// Shows what the containers of an environment wrote, where there is a connection to its cluster.
///
/// There is none to what is delivered to a Git repository: once something was deployed, it is
/// refused.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/logs", params(Lines),
    operation_id = "getLogs", tag = "Logs",
    responses((status = 200, body = Vec<LogEntry>, description = "The lines.")),
)]
async fn logs(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
) -> Result<Json<Vec<LogEntry>>> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let environment = environment::require(&mut *state.db.read().await?, &scope).await?;
    if environment.last_deploy_id.is_none() {
        return Ok(Json(Vec::new()));
    }
    Err(no_cluster(format!(
        "The logs of the environment `{env}` are in its cluster, to which there is no connection."
    ))
    .with_hint("Look with `kubectl logs`, or in the log system of the platform."))
}

/// 400: only a cluster could do this.
fn no_cluster(message: String) -> Problem {
    Problem::invalid(message).with_code(Code::NoCluster)
}
