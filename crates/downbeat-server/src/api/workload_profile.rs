//! `/orgs/{orgId}/workload-profiles`: what workloads may look like.
//!
//! A path names a profile of the organization by its id, or as `<org>/<id>`; the built-in ones only
//! as `humanitec/<id>` and `downbeat/<id>`. Each change makes a version, and the newest one counts.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use downbeat_api::{
    ErrorBody,
    workload_profile::{
        ChartReference, CreateWorkloadProfile, UpdateWorkloadProfile, WorkloadProfile,
        WorkloadProfileFeature, WorkloadProfileVersion,
    },
};
use downbeat_core::{
    Json as Value, JsonMap,
    id::Grammar,
    profile::{self, BUILT_IN, BuiltIn},
};
use downbeat_store::{
    AnyConnection, OrgScope, Tx,
    workload_profile::{self as store, Version, WorkloadProfile as Row},
    workload_profile_chart,
};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::common::{check_grammar, check_schema, flag};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path, Query},
    paging::{Pages, Paging},
    problem::short,
    state::new_id,
};

/// Version of the built-in profiles.
const BUILT_IN_VERSION: &str = "1.0.0";
/// When the built-in profiles were made, in seconds: they are older than every organization.
const BUILT_IN_SINCE: i64 = 1_577_836_800;
/// The version of a chart that stands for the newest one.
const LATEST: &str = "latest";
/// Most profiles of an organization.
const MOST_PROFILES: i64 = 500;
/// Most versions of a profile.
const MOST_VERSIONS: i64 = 1000;
/// Longest name of a version, in bytes.
const LONGEST_VERSION: usize = 100;
/// Longest text for people, in bytes.
const LONGEST_TEXT: usize = 10_000;

/// Operations of this noun.
#[expect(deprecated, reason = "v1 clients still call the old operation")]
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_features))
        .routes(routes!(list, create))
        .routes(routes!(get, put, delete))
        .routes(routes!(list_versions))
        .routes(routes!(get_latest_version))
}

/// Lists the features that profiles can put together.
#[utoipa::path(
    get, path = "/orgs/{orgId}/workload-profile-features",
    operation_id = "listWorkloadProfileFeatures", tag = "WorkloadProfileFeatures",
    responses((
        status = 200, body = Vec<WorkloadProfileFeature>, description = "The features, by id.",
    )),
)]
async fn list_features(
    caller: Caller,
    Path(org): Path<String>,
) -> Result<Json<Vec<WorkloadProfileFeature>>> {
    caller.scope(&org)?;
    let features = profile::features().map(|feature| WorkloadProfileFeature {
        org_id: "humanitec".to_owned(),
        id: feature.id.to_owned(),
        version: profile::VERSION.to_owned(),
        schema: feature.schema(),
    });
    Ok(Json(features.collect()))
}

/// Which profiles to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Lists those that are deprecated as well.
    #[serde(default, deserialize_with = "flag")]
    deprecated: bool,
}

/// Lists the profiles that workloads can have, those of the organization first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/workload-profiles", params(Filter, Pages),
    operation_id = "listWorkloadProfiles", tag = "WorkloadProfile",
    responses((
        status = 200, body = Vec<WorkloadProfile>, description = "The profiles.",
        headers(("Link" = String, description = "The next page, as `<…>; rel=\"next\"`.")),
    )),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Query(filter): Query<Filter>,
    paging: Paging,
) -> Result<Response> {
    let scope = caller.scope(&org)?;
    let rows = store::list(&mut *state.db.read().await?, &scope).await?.into_iter();
    let own = rows.map(|row| wire(&org, row));
    let is_shown = |profile: &WorkloadProfile| {
        let message = profile.deprecation_message.as_deref().unwrap_or_default();
        filter.deprecated || message.is_empty()
    };
    paging.answer(own.chain(BUILT_IN.into_iter().map(built_in)).filter(is_shown).collect())
}

/// Creates a profile.
#[utoipa::path(
    post, path = "/orgs/{orgId}/workload-profiles",
    operation_id = "createWorkloadProfile", tag = "WorkloadProfile",
    request_body = CreateWorkloadProfile,
    responses(
        (status = 201, body = WorkloadProfile, description = "The new profile."),
        (status = 409, body = ErrorBody, description = "The id is taken."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Body(new): Body<CreateWorkloadProfile>,
) -> Result<(StatusCode, Json<WorkloadProfile>)> {
    let scope = caller.scope(&org)?;
    check_grammar(Grammar::Class, "id of a workload profile", "/id", &new.id)?;
    let id = new.id;
    let asked = UpdateWorkloadProfile {
        description: new.description,
        deprecation_message: new.deprecation_message,
        spec_definition: new.spec_definition,
        version: new.version,
        workload_profile_chart: new.workload_profile_chart,
    };
    check(&asked)?;
    let now = state.now();
    let mut change = caller.change(&state, &scope).await?;
    if store::find(&mut change, &scope, &id).await?.is_some() {
        return Err(Problem::conflict(format!("The workload profile `{id}` exists already.")));
    }
    if store::count(&mut change, &scope).await? >= MOST_PROFILES {
        return Err(Problem::invalid(format!(
            "An organization has at most {MOST_PROFILES} workload profiles."
        ))
        .with_hint("Delete one that nothing uses."));
    }
    check_chart(&mut change, &scope, &asked.workload_profile_chart).await?;
    let deprecation_message = asked.deprecation_message.clone();
    let row = Row {
        deprecation_message,
        created_at: now,
        created_by: caller.id().to_owned(),
        newest: version(asked, id, 1, now, caller.id()),
    };
    store::create(&mut change, &scope, &row).await?;
    let answer = wire(&org, row);
    change.commit(StatusCode::CREATED, Effect::created(&answer)).await?;
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Shows a profile.
#[utoipa::path(
    get, path = "/orgs/{orgId}/workload-profiles/{profileQid}",
    operation_id = "getWorkloadProfile", tag = "WorkloadProfile",
    responses((status = 200, body = WorkloadProfile, description = "The profile.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, qid)): Path<(String, String)>,
) -> Result<Json<WorkloadProfile>> {
    let scope = caller.scope(&org)?;
    if let Some(known) = BuiltIn::find(&qid) {
        return Ok(Json(built_in(known)));
    }
    let row = store::find(&mut *state.db.read().await?, &scope, own_id(&org, &qid)).await?;
    row.map(|row| Json(wire(&org, row))).ok_or_else(|| missing(&qid))
}

/// Replaces a profile: it gets a new version, and keeps the ones before.
#[utoipa::path(
    put, path = "/orgs/{orgId}/workload-profiles/{profileQid}",
    operation_id = "updateWorkloadProfile", tag = "WorkloadProfile",
    request_body = UpdateWorkloadProfile,
    responses(
        (status = 200, body = WorkloadProfile, description = "The profile as it is now."),
        (status = 409, body = ErrorBody, description = "It has a version of this name."),
    ),
)]
async fn put(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, qid)): Path<(String, String)>,
    Body(asked): Body<UpdateWorkloadProfile>,
) -> Result<Json<WorkloadProfile>> {
    let scope = caller.scope(&org)?;
    check(&asked)?;
    let now = state.now();
    let mut change = caller.change(&state, &scope).await?;
    let before = find_own(&mut change, &scope, &qid).await?;
    let id = before.newest.profile_id.clone();
    if before.newest.number >= MOST_VERSIONS {
        return Err(Problem::invalid(format!(
            "A workload profile has at most {MOST_VERSIONS} versions."
        ))
        .with_hint("Delete the profile and create it again; its versions go along."));
    }
    if let Some(name) = given(asked.version.as_deref())
        && store::has_version(&mut change, &scope, &id, name).await?
    {
        let name = short(name);
        return Err(Problem::conflict(format!(
            "The workload profile `{id}` has a version `{name}` already."
        ))
        .with_hint("Raise `version`, or leave it out for a random one.")
        .at("/version", "taken"));
    }
    check_chart(&mut change, &scope, &asked.workload_profile_chart).await?;
    let after = Row {
        deprecation_message: asked.deprecation_message.clone(),
        newest: version(asked, id, before.newest.number + 1, now, caller.id()),
        ..before.clone()
    };
    store::update(&mut change, &scope, &after).await?;
    let (before, after) = (wire(&org, before), wire(&org, after));
    change.commit(StatusCode::OK, Effect::changed(&before, &after)).await?;
    Ok(Json(after))
}

/// Deletes a profile with all its versions. Workloads that name it cannot be deployed any more.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/workload-profiles/{profileQid}",
    operation_id = "deleteWorkloadProfile", tag = "WorkloadProfile",
    responses((status = 204, description = "The profile is gone.")),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, qid)): Path<(String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let row = find_own(&mut change, &scope, &qid).await?;
    store::delete(&mut change, &scope, &row.newest.profile_id).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&wire(&org, row))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the versions of a profile, newest first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/workload-profiles/{profileQid}/versions", params(Pages),
    operation_id = "listWorkloadProfileVersions", tag = "WorkloadProfile",
    responses((
        status = 200, body = Vec<WorkloadProfileVersion>, description = "The versions.",
        headers(("Link" = String, description = "The next page, as `<…>; rel=\"next\"`.")),
    )),
)]
async fn list_versions(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, qid)): Path<(String, String)>,
    paging: Paging,
) -> Result<Response> {
    let scope = caller.scope(&org)?;
    paging.answer(versions(&mut *state.db.read().await?, &scope, &qid).await?)
}

/// Shows the newest version of a profile.
#[utoipa::path(
    get, path = "/orgs/{orgId}/workload-profiles/{profileQid}/versions/latest",
    operation_id = "getLatestWorkloadProfileVersion", tag = "WorkloadProfile",
    responses((status = 200, body = WorkloadProfileVersion, description = "The version.")),
)]
#[deprecated = "v1 replaced it by `listWorkloadProfileVersions`"]
async fn get_latest_version(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, qid)): Path<(String, String)>,
) -> Result<Json<WorkloadProfileVersion>> {
    let scope = caller.scope(&org)?;
    if let Some(known) = BuiltIn::find(&qid) {
        return Ok(Json(built_in_version(known)));
    }
    let row = store::find(&mut *state.db.read().await?, &scope, own_id(&org, &qid)).await?;
    let row = row.ok_or_else(|| missing(&qid))?;
    Ok(Json(wire_version(&org, row.newest)))
}

async fn versions(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    qid: &str,
) -> Result<Vec<WorkloadProfileVersion>> {
    if let Some(known) = BuiltIn::find(qid) {
        return Ok(vec![built_in_version(known)]);
    }
    let rows = store::versions(conn, scope, own_id(scope.org(), qid)).await?;
    if rows.is_empty() {
        return Err(missing(qid));
    }
    Ok(rows.into_iter().map(|row| wire_version(scope.org(), row)).collect())
}

/// The id of a profile of the organization, with or without the organization in front.
fn own_id<'a>(org: &str, qid: &'a str) -> &'a str {
    qid.strip_prefix(org).and_then(|rest| rest.strip_prefix('/')).unwrap_or(qid)
}

fn missing(qid: &str) -> Problem {
    Problem::not_found("workload profile", qid)
}

/// The profile that is about to be changed.
async fn find_own(tx: &mut Tx, scope: &OrgScope, qid: &str) -> Result<Row> {
    if BuiltIn::find(qid).is_some() {
        return Err(Problem::forbidden(format!(
            "The workload profile `{qid}` is built in and cannot change."
        ))
        .with_hint("Create a profile of the organization with the same chart."));
    }
    store::find(tx, scope, own_id(scope.org(), qid)).await?.ok_or_else(|| missing(qid))
}

fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// Checks what a client says of a profile.
fn check(asked: &UpdateWorkloadProfile) -> Result<()> {
    for (at, text) in
        [("/description", &asked.description), ("/deprecation_message", &asked.deprecation_message)]
    {
        if text.as_ref().is_some_and(|text| text.len() > LONGEST_TEXT) {
            let rule = format!("at most {LONGEST_TEXT} bytes");
            return Err(
                Problem::invalid(format!("The text at `{at}` is too long: {rule}.")).at(at, &rule)
            );
        }
    }
    let version = asked.version.as_deref().unwrap_or_default();
    if version.len() > LONGEST_VERSION || version.contains(char::is_control) {
        let rule = format!("use at most {LONGEST_VERSION} bytes, and no control characters");
        let message = format!("`{}` is not valid as `version`: {rule}.", short(version));
        return Err(Problem::invalid(message).at("/version", &rule));
    }
    let definition = Value::Object(asked.spec_definition.clone());
    let found = profile::mistakes(&definition);
    if let Some(first) = found.first() {
        let list: Vec<Value> = found
            .iter()
            .map(|mistake| {
                serde_json::json!({
                    "path": format!("/spec_definition{}", mistake.at),
                    "message": mistake.message,
                    "hint": mistake.hint,
                })
            })
            .collect();
        let (at, message) = (short(&first.at), &first.message);
        let problem = Problem::invalid(format!("`/spec_definition{at}` is not valid: {message}."))
            .with_detail("errors", list);
        return Err(match &first.hint {
            Some(hint) => problem.with_hint(hint),
            None => problem,
        });
    }
    check_schema("/spec_definition", &asked.spec_definition)?;
    let schema = profile::spec_schema("", &definition);
    check_schema("/spec_definition", schema.as_object().unwrap_or(&JsonMap::new()))
}

/// Makes sure that the chart of a profile exists.
async fn check_chart(tx: &mut Tx, scope: &OrgScope, chart: &ChartReference) -> Result<()> {
    let ChartReference { id, version } = chart;
    let at = "/workload_profile_chart";
    if BuiltIn::find(id).is_some() {
        if version == LATEST || version == BUILT_IN_VERSION {
            return Ok(());
        }
        let version = short(version);
        return Err(Problem::invalid(format!("The chart `{id}` has no version `{version}`."))
            .with_hint(format!("Use `{LATEST}`."))
            .at(at, "no such version"));
    }
    let own = own_id(scope.org(), id);
    let wanted = workload_profile_chart::Wanted {
        id: Some(own),
        version: Some(version.as_str()).filter(|version| *version != LATEST),
    };
    let is_there = !own.is_empty()
        && !version.is_empty()
        && !workload_profile_chart::list(tx, scope, wanted).await?.is_empty();
    if is_there {
        return Ok(());
    }
    let (id, version) = (short(id), short(version));
    Err(Problem::invalid(format!("There is no chart `{id}` with the version `{version}`."))
        .with_hint(
            "Upload it with `POST …/workload-profile-chart-versions`, or use a built-in one such \
             as `humanitec/default-module` with the version `latest`.",
        )
        .at(at, "no such chart"))
}

fn version(
    asked: UpdateWorkloadProfile,
    profile_id: String,
    number: i64,
    now: Timestamp,
    by: &str,
) -> Version {
    let name = given(asked.version.as_deref()).map(str::to_owned);
    Version {
        profile_id,
        version: name.unwrap_or_else(|| Uuid::new_v4().to_string()),
        id: new_id(now),
        number,
        description: asked.description.unwrap_or_default(),
        spec_definition: Value::Object(asked.spec_definition),
        chart_id: asked.workload_profile_chart.id,
        chart_version: asked.workload_profile_chart.version,
        created_at: now,
        created_by: by.to_owned(),
    }
}

fn object(json: Value) -> JsonMap {
    match json {
        Value::Object(object) => object,
        _ => JsonMap::new(),
    }
}

fn wire(org: &str, row: Row) -> WorkloadProfile {
    let Row { deprecation_message, created_at, created_by, newest } = row;
    WorkloadProfile {
        org_id: org.to_owned(),
        spec_schema: profile::spec_schema(&newest.profile_id, &newest.spec_definition),
        id: newest.profile_id,
        version: newest.version,
        description: newest.description,
        deprecation_message,
        spec_definition: object(newest.spec_definition),
        workload_profile_chart: ChartReference {
            id: newest.chart_id,
            version: newest.chart_version,
        },
        created_at: created_at.into(),
        created_by,
        updated_at: newest.created_at.into(),
        updated_by: newest.created_by,
    }
}

fn wire_version(org: &str, row: Version) -> WorkloadProfileVersion {
    WorkloadProfileVersion {
        org_id: org.to_owned(),
        spec_schema: profile::spec_schema(&row.profile_id, &row.spec_definition),
        workload_profile_id: row.profile_id,
        id: row.id,
        version: row.version,
        description: row.description,
        spec_definition: object(row.spec_definition),
        workload_profile_chart: ChartReference { id: row.chart_id, version: row.chart_version },
        created_at: row.created_at.into(),
        created_by: row.created_by,
    }
}

/// A built-in profile, as if it were stored.
fn built_in(profile: BuiltIn) -> WorkloadProfile {
    let since = Timestamp::from_second(BUILT_IN_SINCE).unwrap_or_default();
    let row = Row {
        deprecation_message: None,
        created_at: since,
        created_by: profile.org.to_owned(),
        newest: Version {
            profile_id: profile.id.to_owned(),
            version: BUILT_IN_VERSION.to_owned(),
            id: format!("{}@{BUILT_IN_VERSION}", profile.qualified()),
            number: 1,
            description: profile.description.to_owned(),
            spec_definition: profile.definition(),
            chart_id: profile.qualified(),
            chart_version: LATEST.to_owned(),
            created_at: since,
            created_by: profile.org.to_owned(),
        },
    };
    wire(profile.org, row)
}

fn built_in_version(known: BuiltIn) -> WorkloadProfileVersion {
    let profile = built_in(known);
    WorkloadProfileVersion {
        id: format!("{}@{BUILT_IN_VERSION}", known.qualified()),
        org_id: profile.org_id,
        workload_profile_id: profile.id,
        version: profile.version,
        description: profile.description,
        spec_definition: profile.spec_definition,
        spec_schema: profile.spec_schema,
        workload_profile_chart: profile.workload_profile_chart,
        created_at: profile.created_at,
        created_by: profile.created_by,
    }
}
