//! `/orgs/{orgId}/apps/{appId}/pipelines`: pipelines and their versions.
//!
//! A pipeline is the YAML text that was sent, kept and answered byte for byte; what the text says
//! is read once, when it comes. Every application has a built-in pipeline besides, `default`,
//! which is no row and cannot be changed.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use downbeat_access::Action;
use downbeat_api::pipeline::{Pipeline, PipelineVersion};
use downbeat_core::{
    Code, Json as Value,
    id::{Grammar, sha256_hex},
    pipeline::{self as document, Pipeline as Document},
};
use downbeat_store::{
    AnyConnection, AppScope,
    application::Application,
    pipeline::{self as store, Pipeline as Row, Version},
};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    application,
    common::{check_grammar, flag},
};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::{Effect, SYSTEM},
    extract::{self, Path, Query, accepts},
    paging::{Pages, Paging},
    problem::short,
    state::new_id,
};

/// Id of the built-in pipeline of every application.
pub(super) const DEFAULT_ID: &str = "default";
/// Version of the built-in pipeline. Changes with its text.
const DEFAULT_VERSION: &str = "0d2f1c3e-5b4a-5978-8a6b-000000000001";
/// How the text is called when it is read back.
const DOCUMENT: &str = "application/x.humanitec-pipelines-v1.0+yaml";
/// Most pipelines of an application.
const MOST_PIPELINES: i64 = 500;
/// Most versions of a pipeline.
const MOST_VERSIONS: i64 = 10_000;

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_in_org))
        .routes(routes!(list, create))
        .routes(routes!(get, patch, delete))
        .routes(routes!(versions))
        .routes(routes!(schema))
        .routes(routes!(latest_schema))
}

/// The filters of a list: pairs of a query, as they were sent.
type Pairs = Vec<(String, String)>;

/// The filters of the lists, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described")]
struct Filter {
    /// Only those with this trigger.
    #[param(nullable = false)]
    trigger: Option<String>,
    /// Only those whose metadata say this: `metadata[key]=value`.
    #[param(
        nullable = false, style = DeepObject,
        value_type = Option<std::collections::BTreeMap<String, String>>,
    )]
    metadata: Option<String>,
}

/// The filter of the organization's list, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described")]
struct AppFilter {
    /// Only those of these applications.
    #[param(nullable = false)]
    app: Option<Vec<String>>,
}

/// Whether the filters let a pipeline through.
fn passes(pairs: &Pairs, row: &Row) -> bool {
    let given = |wanted: &str| {
        let pairs = pairs.iter().filter(move |(name, value)| name == wanted && !value.is_empty());
        pairs.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    let apps = given("app");
    let metadata = row.version.metadata.as_ref();
    let has = |key: &str, value: &str| {
        metadata.is_some_and(|all| all.get(key).is_some_and(|known| known == value))
    };
    (apps.is_empty() || apps.contains(&row.app_id.as_str()))
        && given("trigger")
            .iter()
            .all(|wanted| row.version.trigger_types.iter().any(|t| t == wanted))
        && pairs.iter().all(|(name, value)| {
            let key = name.strip_prefix("metadata[").and_then(|name| name.strip_suffix(']'));
            key.is_none_or(|key| has(key, value))
        })
}

/// Lists the pipelines of all applications that the caller may see.
#[utoipa::path(
    get, path = "/orgs/{orgId}/pipelines", params(AppFilter, Filter, Pages),
    operation_id = "listPipelinesInOrg", tag = "Pipelines",
    responses((status = 200, body = Vec<Pipeline>, description = "By application and id.")),
)]
async fn list_in_org(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Query(pairs): Query<Pairs>,
    paging: Paging,
) -> Result<Response> {
    let scope = caller.scope(&org)?;
    let mut conn = state.db.read().await?;
    let mut rows = store::list_in_org(&mut conn, &scope).await?;
    for app in downbeat_store::application::list(&mut conn, &scope).await? {
        rows.push(built_in(&app));
    }
    rows.retain(|row| {
        caller.may_with(&scope, &row.app_id, Action::ReadApplication) && passes(&pairs, row)
    });
    rows.sort_by(|a, b| (&a.app_id, &a.id).cmp(&(&b.app_id, &b.id)));
    paging.answer(rows.into_iter().map(|row| wire(&org, row)).collect())
}

/// Lists the pipelines of an application, the built-in one among them.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/pipelines", params(Filter, Pages),
    operation_id = "listPipelines", tag = "Pipelines",
    responses((status = 200, body = Vec<Pipeline>, description = "The pipelines, by id.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
    Query(mut pairs): Query<Pairs>,
    paging: Paging,
) -> Result<Response> {
    let scope = caller.scope(&org)?.app(&app);
    let mut conn = state.db.read().await?;
    let application = application::require(&mut conn, &scope).await?;
    pairs.retain(|(name, _)| name != "app");
    let mut rows = store::list(&mut conn, &scope).await?;
    rows.push(built_in(&application));
    rows.retain(|row| passes(&pairs, row));
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    paging.answer(rows.into_iter().map(|row| wire(&org, row)).collect())
}

/// What to do with a document.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct How {
    /// Checks the request and keeps nothing.
    #[serde(default, deserialize_with = "flag")]
    dry_run: bool,
}

/// Creates a pipeline from its document.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/pipelines", params(How),
    operation_id = "createPipeline", tag = "Pipelines",
    request_body(content = Object, content_type = "application/x-yaml"),
    responses(
        (status = 201, body = Pipeline, description = "The pipeline.", headers(("Etag" = String))),
        (status = 204, description = "It could be created."),
        (status = 409, body = downbeat_api::ErrorBody, description = "The id is taken."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
    Query(how): Query<How>,
    request: Request,
) -> Result<Response> {
    let scope = caller.scope(&org)?.app(&app);
    let (text, said) = read(request, &state).await?;
    let mut change = caller.change(&state, scope.in_org()).await?;
    application::require_active(&mut change, &scope).await?;
    check_roles(&caller, &scope, &said)?;
    let id = said.id.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
    check_grammar(Grammar::Plain, "id of a pipeline", "/id", &id)?;
    if id == DEFAULT_ID || store::find(&mut change, &scope, &id, None).await?.is_some() {
        return Err(Problem::conflict(format!("The pipeline `{id}` exists already."))
            .with_hint("Choose another `id` in the document, or change the pipeline."));
    }
    if store::count(&mut change, &scope).await? >= MOST_PIPELINES {
        return Err(Problem::invalid(format!(
            "An application has at most {MOST_PIPELINES} pipelines."
        ))
        .with_hint("Delete those that are not needed any more."));
    }
    if how.dry_run {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let now = state.now();
    let version = Version {
        id: new_id(now),
        number: 1,
        name: said.name,
        metadata: said.metadata,
        trigger_types: said.triggers,
        created_at: now,
        created_by: caller.id().to_owned(),
    };
    let row = Row { app_id: app, id, created_at: now, version };
    store::create(&mut change, &scope, &row, &text).await?;
    let pipeline = wire(&org, row);
    change.commit(StatusCode::CREATED, Effect::created(&pipeline)).await?;
    Ok(tagged(StatusCode::CREATED, pipeline))
}

/// Which version to show.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Id of the version; the newest when it is left out.
    version: Option<String>,
}

/// Shows a pipeline.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/pipelines/{pipelineId}", params(Which),
    operation_id = "getPipeline", tag = "Pipelines",
    responses(
        (status = 200, body = Pipeline, description = "The pipeline.", headers(("Etag" = String))),
    ),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    Query(which): Query<Which>,
) -> Result<Response> {
    let scope = caller.scope(&org)?.app(&app);
    let mut conn = state.db.read().await?;
    let row = find(&mut conn, &scope, &id, which.version).await?;
    Ok(tagged(StatusCode::OK, wire(&org, row)))
}

/// Replaces the document of a pipeline: a new version.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/apps/{appId}/pipelines/{pipelineId}",
    params(How, ("If-Match" = Option<String>, Header, description = "The etag to expect.")),
    operation_id = "updatePipeline", tag = "Pipelines",
    request_body(content = Object, content_type = "application/x-yaml"),
    responses(
        (
            status = 200, body = Pipeline, description = "The pipeline as it is now.",
            headers(("Etag" = String)),
        ),
        (status = 204, description = "It could be changed."),
        (status = 409, body = downbeat_api::ErrorBody, description = "It cannot be changed."),
        (status = 412, body = downbeat_api::ErrorBody, description = "It has another etag."),
    ),
)]
async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    Query(how): Query<How>,
    request: Request,
) -> Result<Response> {
    let scope = caller.scope(&org)?.app(&app);
    let headers = request.headers().clone();
    let (text, said) = read(request, &state).await?;
    let mut change = caller.change(&state, scope.in_org()).await?;
    let row = changeable(&mut change, &scope, &id).await?;
    check_match(&headers, &row)?;
    check_roles(&caller, &scope, &said)?;
    if said.id.as_ref().is_some_and(|said| *said != id) {
        let message = format!("The document is that of another pipeline than `{}`.", short(&id));
        return Err(Problem::invalid(message)
            .with_hint("The id of a pipeline does not change: leave `id` out, or keep it.")
            .at("/id", "another id"));
    }
    if row.version.number >= MOST_VERSIONS {
        return Err(Problem::invalid(format!("A pipeline has at most {MOST_VERSIONS} versions."))
            .with_hint("Delete the pipeline and create it again."));
    }
    if how.dry_run {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let now = state.now();
    let version = Version {
        id: new_id(now),
        number: row.version.number + 1,
        name: said.name,
        metadata: said.metadata,
        trigger_types: said.triggers,
        created_at: now,
        created_by: caller.id().to_owned(),
    };
    let after = Row { version, ..row.clone() };
    store::update(&mut change, &scope, &after, &text).await?;
    let (before, after) = (wire(&org, row), wire(&org, after));
    change.commit(StatusCode::OK, Effect::changed(&before, &after)).await?;
    Ok(tagged(StatusCode::OK, after))
}

/// Deletes a pipeline with its versions and criteria.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/apps/{appId}/pipelines/{pipelineId}",
    params(("If-Match" = Option<String>, Header, description = "The etag to expect.")),
    operation_id = "deletePipeline", tag = "Pipelines",
    responses(
        (status = 204, description = "The pipeline is gone."),
        (status = 409, body = downbeat_api::ErrorBody, description = "It cannot be deleted."),
        (status = 412, body = downbeat_api::ErrorBody, description = "It has another etag."),
    ),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?.app(&app);
    let mut change = caller.change(&state, scope.in_org()).await?;
    let row = changeable(&mut change, &scope, &id).await?;
    check_match(&headers, &row)?;
    store::delete(&mut change, &scope, &id).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&wire(&org, row))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the versions of a pipeline, newest first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/pipelines/{pipelineId}/versions", params(Pages),
    operation_id = "listPipelineVersions", tag = "Pipelines",
    responses((status = 200, body = Vec<PipelineVersion>, description = "The versions.")),
)]
async fn versions(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    paging: Paging,
) -> Result<Response> {
    let scope = caller.scope(&org)?.app(&app);
    let mut conn = state.db.read().await?;
    let newest = find(&mut conn, &scope, &id, None).await?;
    let rows = if id == DEFAULT_ID {
        vec![newest]
    } else {
        store::versions(&mut conn, &scope, &id).await?
    };
    let versions = rows.into_iter().map(|row| PipelineVersion {
        id: row.version.id,
        org_id: org.clone(),
        app_id: row.app_id,
        pipeline_id: row.id,
        created_by: row.version.created_by,
        created_at: row.version.created_at.into(),
    });
    paging.answer(versions.collect())
}

/// Shows the document of a pipeline, as it was sent; as JSON for those who accept nothing else.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/pipelines/{pipelineId}/schema", params(Which),
    operation_id = "getPipelineDefinition", tag = "Pipelines",
    responses((
        status = 200, description = "The document.",
        content(
            (Object = "application/x.humanitec-pipelines-v1.0+yaml"),
            (Object = "application/json"),
        ),
    )),
)]
async fn schema(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Response> {
    let scope = caller.scope(&org)?.app(&app);
    let mut conn = state.db.read().await?;
    let row = find(&mut conn, &scope, &id, which.version).await?;
    let text = if id == DEFAULT_ID {
        document::DEFAULT.to_owned()
    } else {
        let text = store::content(&mut conn, &scope, &row.version.id).await?;
        text.ok_or_else(|| Problem::not_found("pipeline version", &row.version.id))?
    };
    if accepts(&headers, "application/json") && !accepts(&headers, DOCUMENT) {
        return Ok(Json(document::to_json(&text)).into_response());
    }
    Ok(([(header::CONTENT_TYPE, DOCUMENT)], text).into_response())
}

/// Shows the JSON Schema of the document.
#[utoipa::path(
    get, path = "/orgs/{orgId}/pipeline-schemas/latest",
    operation_id = "getLatestPipelineDefinitionSchema", tag = "Pipelines",
    responses((status = 200, body = Object, description = "The schema.")),
)]
async fn latest_schema(caller: Caller, Path(org): Path<String>) -> Result<Json<Value>> {
    caller.scope(&org)?;
    let schema = serde_json::from_str(document::SCHEMA);
    schema.map(Json).map_err(|error| Problem::internal(&error))
}

/// The document in a request, and what it says.
async fn read(request: Request, state: &AppState) -> Result<(String, Document)> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !kind.is_empty() && !kind.ends_with("yaml") && !kind.ends_with("json") {
        let message = "The request body is declared to be something else than YAML.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::Invalid, message)
            .with_hint("Send the header `Content-Type: application/x-yaml`."));
    }
    let bytes = extract::bytes(request, state).await?;
    if bytes.trim_ascii().is_empty() {
        return Err(Problem::unprocessable("The request body is empty; YAML is expected."));
    }
    let text = String::from_utf8(bytes.to_vec())
        .map_err(|_| Problem::invalid("The pipeline is not valid: it is not UTF-8."))?;
    // Not every database can keep it.
    if text.contains('\0') {
        return Err(Problem::invalid("The pipeline is not valid: it holds a null character."));
    }
    match document::read(&text) {
        Ok(said) => Ok((text, said)),
        Err(mistakes) => {
            let first = mistakes.first().map_or_else(String::new, |first| {
                let place = format!("line {}, column {}", first.line, first.column);
                format!(": {} ({place})", first.message)
            });
            let all = mistakes.iter().map(|one| {
                json!({
                    "path": one.path, "message": one.message,
                    "line": one.line, "column": one.column,
                })
            });
            Err(Problem::invalid(format!("The pipeline is not valid{first}."))
                .with_hint("`GET /orgs/{orgId}/pipeline-schemas/latest` is its schema.")
                .with_detail("errors", Value::Array(all.collect())))
        }
    }
}

/// Nobody writes a pipeline that may do what they may not.
fn check_roles(caller: &Caller, scope: &AppScope, said: &Document) -> Result<()> {
    let action = match said.application_role.as_deref() {
        Some("owner") => Some(Action::OwnApplication),
        Some("developer") => Some(Action::ChangeApplication),
        _ => None,
    };
    if action.is_some_and(|action| !caller.may_with(scope.in_org(), scope.app(), action)) {
        let message = "The pipeline asks for a role on the application that you do not have.";
        return Err(Problem::forbidden(message).at("/permissions/application", "not yours to give"));
    }
    said.env_types.iter().try_for_each(|env_type| caller.may_deploy(scope, env_type))
}

/// A pipeline in a version, or as it is now.
pub(super) async fn find(
    conn: &mut AnyConnection,
    scope: &AppScope,
    id: &str,
    version: Option<String>,
) -> Result<Row> {
    let application = application::require(&mut *conn, scope).await?;
    let version = version.filter(|version| !version.is_empty());
    let row = if id == DEFAULT_ID {
        Some(built_in(&application))
            .filter(|row| version.as_ref().is_none_or(|version| *version == row.version.id))
    } else {
        store::find(conn, scope, id, version.as_deref()).await?
    };
    row.ok_or_else(|| match version {
        Some(version) => Problem::not_found("version of the pipeline", &version),
        None => Problem::not_found("pipeline", id),
    })
}

/// A pipeline that is about to be changed.
pub(super) async fn changeable(
    conn: &mut AnyConnection,
    scope: &AppScope,
    id: &str,
) -> Result<Row> {
    application::require_active(&mut *conn, scope).await?;
    let row = find(conn, scope, id, None).await?;
    if id == DEFAULT_ID {
        return Err(Problem::conflict("The pipeline `default` is built in and stays as it is.")
            .with_hint("Create a pipeline of your own, and a criteria that leads to it."));
    }
    Ok(row)
}

/// The pipeline that an application has from the beginning: it takes what no criteria matches.
fn built_in(application: &Application) -> Row {
    let said = document::read(document::DEFAULT).unwrap_or_default();
    let version = Version {
        id: DEFAULT_VERSION.to_owned(),
        number: 1,
        name: said.name,
        metadata: said.metadata,
        trigger_types: said.triggers,
        created_at: application.created_at,
        created_by: SYSTEM.to_owned(),
    };
    Row {
        app_id: application.id.clone(),
        id: DEFAULT_ID.to_owned(),
        created_at: application.created_at,
        version,
    }
}

fn etag(row: &Row) -> String {
    let mut tag = sha256_hex(row.version.id.as_bytes());
    tag.truncate(16);
    tag
}

/// Compares `If-Match` with the pipeline: its etag with or without quotes, one of a list, or `*`.
fn check_match(headers: &HeaderMap, row: &Row) -> Result<()> {
    let wanted = headers.get_all(header::IF_MATCH).iter();
    let wanted = wanted.map(|tag| tag.to_str().unwrap_or("-")).collect::<Vec<_>>().join(",");
    let etag = etag(row);
    let is_it = |tag: &str| {
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        tag == "*" || tag == etag
    };
    if wanted.trim().is_empty() || wanted.split(',').any(is_it) {
        return Ok(());
    }
    let message = format!("The pipeline `{}` has been changed: its etag is `{etag}`.", row.id);
    Err(Problem::new(StatusCode::PRECONDITION_FAILED, Code::PreconditionFailed, message)
        .with_hint("Read it again, then repeat the request with that etag in `If-Match`."))
}

/// An answer with its etag in the header as well.
fn tagged(status: StatusCode, pipeline: Pipeline) -> Response {
    let etag = HeaderValue::try_from(pipeline.etag.as_str());
    let mut response = (status, Json(pipeline)).into_response();
    if let Ok(etag) = etag {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

fn wire(org: &str, row: Row) -> Pipeline {
    Pipeline {
        etag: etag(&row),
        id: row.id,
        org_id: org.to_owned(),
        app_id: row.app_id,
        name: row.version.name,
        status: "active".to_owned(),
        version: row.version.id,
        created_at: row.created_at.into(),
        trigger_types: row.version.trigger_types,
        metadata: row.version.metadata,
    }
}
