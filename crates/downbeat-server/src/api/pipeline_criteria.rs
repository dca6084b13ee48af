//! `…/pipelines/{pipelineId}/criteria`: which requests for a deployment go to which pipeline.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use downbeat_api::pipeline::{CreatePipelineCriteria, PipelineCriteria};
use downbeat_core::{Json as Value, JsonMap, id::Grammar};
use downbeat_store::{
    AnyConnection, AppScope,
    pipeline_criteria::{self as store, PipelineCriteria as Row},
};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{application, common::check_grammar, pipeline};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path, Query},
    paging::{Pages, Paging},
    problem::short,
    state::new_id,
};

/// The only trigger that criteria are about.
const TRIGGER: &str = "deployment_request";
/// Most criteria of an application.
const MOST: usize = 1000;

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(create)).routes(routes!(get, delete))
}

/// The filters of the list, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described")]
struct Filter {
    /// Only those of this pipeline.
    #[param(nullable = false)]
    pipeline: Option<String>,
    /// Only those with these members: `match[env_type]=development`.
    #[param(
        nullable = false, style = DeepObject,
        value_type = Option<std::collections::BTreeMap<String, String>>,
    )]
    r#match: Option<String>,
}

/// Lists the criteria of all pipelines of an application, oldest first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/pipeline-criteria", params(Filter, Pages),
    operation_id = "listPipelineCriteriaInApp", tag = "Pipelines",
    responses((status = 200, body = Vec<PipelineCriteria>, description = "The criteria.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
    Query(pairs): Query<Vec<(String, String)>>,
    paging: Paging,
) -> Result<Response> {
    let scope = caller.scope(&org)?.app(&app);
    let mut conn = state.db.read().await?;
    application::require(&mut conn, &scope).await?;
    let rows = store::list(&mut conn, &scope).await?.into_iter();
    let passes = |row: &PipelineCriteria| {
        pairs.iter().filter(|(_, value)| !value.is_empty()).all(|(name, value)| {
            let found = match name.as_str() {
                "pipeline" => Some(row.pipeline_id.as_str()),
                "match[trigger]" => Some(row.trigger.as_str()),
                "match[app_id]" => Some(row.app_id.as_str()),
                "match[env_type]" => row.env_type.as_deref(),
                "match[env_id]" => row.env_id.as_deref(),
                "match[deployment_type]" => row.deployment_type.as_deref(),
                _ => return !name.starts_with("match["),
            };
            found == Some(value.as_str())
        })
    };
    paging.answer(rows.map(|row| wire(&app, row)).filter(passes).collect())
}

/// Adds a criteria to a pipeline.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/pipelines/{pipelineId}/criteria",
    operation_id = "createPipelineCriteria", tag = "Pipelines",
    request_body = CreatePipelineCriteria,
    responses(
        (status = 201, body = PipelineCriteria, description = "The criteria."),
        (
            status = 409, body = downbeat_api::ErrorBody,
            description = "A criteria of the application matches the same.",
        ),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    Body(new): Body<CreatePipelineCriteria>,
) -> Result<(StatusCode, Json<PipelineCriteria>)> {
    let scope = caller.scope(&org)?.app(&app);
    let mut change = caller.change(&state, scope.in_org()).await?;
    let pipeline = pipeline::changeable(&mut change, &scope, &id).await?;
    let now = state.now();
    let mut row = read(new, &app)?;
    row.id = new_id(now);
    row.pipeline_id = id;
    row.pipeline_name = pipeline.version.name;
    row.created_at = now;
    caller.id().clone_into(&mut row.created_by);
    let known = store::list(&mut change, &scope).await?;
    let matches = |row: &Row| {
        let parts = [&row.trigger, &row.env_type, &row.env_id, &row.deployment_type];
        parts.map(Clone::clone)
    };
    if let Some(other) = known.iter().find(|known| matches(known) == matches(&row)) {
        return Err(Problem::conflict(format!(
            "The pipeline `{}` has the same criteria: `{}`.",
            other.pipeline_id, other.id
        ))
        .with_hint("Make one of the two more specific, or delete it."));
    }
    if known.len() >= MOST {
        return Err(Problem::invalid(format!("An application has at most {MOST} criteria."))
            .with_hint("Delete those that are not needed any more."));
    }
    store::create(&mut change, &scope, &row).await?;
    let criteria = wire(&app, row);
    change.commit(StatusCode::CREATED, Effect::created(&criteria)).await?;
    Ok((StatusCode::CREATED, Json(criteria)))
}

/// Shows a criteria.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/pipelines/{pipelineId}/criteria/{criteriaId}",
    operation_id = "getPipelineCriteria", tag = "Pipelines",
    responses((status = 200, body = PipelineCriteria, description = "The criteria.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, pipeline, id)): Path<(String, String, String, String)>,
) -> Result<Json<PipelineCriteria>> {
    let scope = caller.scope(&org)?.app(&app);
    let mut conn = state.db.read().await?;
    let row = find(&mut conn, &scope, &pipeline, &id).await?;
    Ok(Json(wire(&app, row)))
}

/// Removes a criteria.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/apps/{appId}/pipelines/{pipelineId}/criteria/{criteriaId}",
    operation_id = "deletePipelineCriteria", tag = "Pipelines",
    responses((status = 204, description = "The criteria is gone.")),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, pipeline, id)): Path<(String, String, String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?.app(&app);
    let mut change = caller.change(&state, scope.in_org()).await?;
    let row = find(&mut change, &scope, &pipeline, &id).await?;
    store::delete(&mut change, &scope, &id).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&wire(&app, row))).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn find(conn: &mut AnyConnection, scope: &AppScope, pipeline: &str, id: &str) -> Result<Row> {
    pipeline::find(&mut *conn, scope, pipeline, None).await?;
    let row = store::find(conn, scope, pipeline, id).await?;
    row.ok_or_else(|| Problem::not_found("pipeline criteria", id))
}

/// A criteria of a request. What is empty counts as absent; what matches anything is kept as it was
/// written, and matches like what is absent.
fn read(new: CreatePipelineCriteria, app: &str) -> Result<Row> {
    if new.trigger != TRIGGER {
        let rule = format!("use `{TRIGGER}`");
        let message = format!("`{}` is not a trigger with criteria: {rule}.", short(&new.trigger));
        return Err(Problem::invalid(message).at("/trigger", &rule));
    }
    let mut said = JsonMap::new();
    let mut set = |name: &str, text: Option<String>| {
        let text = text.filter(|text| !text.is_empty());
        if let Some(text) = &text {
            said.insert(name.to_owned(), Value::from(text.as_str()));
        }
        text.unwrap_or_default()
    };
    let env_type = set("env_type", new.env_type);
    let env_id = set("env_id", new.env_id);
    let deployment_type = set("deployment_type", new.deployment_type);
    if new.app_id.is_some_and(|named| !named.is_empty() && named != app) {
        let message = format!("A criteria of this pipeline is about the application `{app}`.");
        return Err(Problem::invalid(message)
            .with_hint("Leave `app_id` out.")
            .at("/app_id", "another application"));
    }
    let env_type = if env_type == "*" { String::new() } else { env_type };
    if !env_type.is_empty() {
        check_grammar(Grammar::Plain, "id of an environment type", "/env_type", &env_type)?;
    }
    if !env_id.is_empty() {
        check_grammar(Grammar::Application, "id of an environment", "/env_id", &env_id)?;
    }
    let deployment_type = match deployment_type.as_str() {
        "" | "deploy" | "redeploy" => deployment_type,
        "re-deploy" => "redeploy".to_owned(),
        other => {
            let rule = "use `deploy` or `redeploy`";
            let message = format!("`{}` is not a type of deployments: {rule}.", short(other));
            return Err(Problem::invalid(message).at("/deployment_type", rule));
        }
    };
    Ok(Row {
        id: String::new(),
        pipeline_id: String::new(),
        pipeline_name: String::new(),
        trigger: new.trigger,
        env_type,
        env_id,
        deployment_type,
        said,
        created_at: jiff::Timestamp::UNIX_EPOCH,
        created_by: String::new(),
    })
}

fn wire(app: &str, row: Row) -> PipelineCriteria {
    let said = |name: &str| row.said.get(name).and_then(Value::as_str).map(str::to_owned);
    PipelineCriteria {
        env_type: said("env_type"),
        env_id: said("env_id"),
        deployment_type: said("deployment_type"),
        app_id: app.to_owned(),
        trigger: row.trigger,
        id: row.id,
        pipeline_id: row.pipeline_id,
        pipeline_name: row.pipeline_name,
    }
}
