//! `/orgs/{orgId}/workload-profile-chart-versions`: Helm charts that profiles can name.
//!
//! They are kept as they were sent. Nothing renders them yet: a deployment of a workload whose
//! profile names one ends with DEP-009.

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use downbeat_api::{
    ErrorBody,
    workload_profile::{ChartUpload, ChartVersion},
};
use downbeat_store::workload_profile_chart::{self as store, ChartVersion as Row, Wanted};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    chart,
    extract::{Path, Query},
    form::Form,
    paging::{Pages, Paging},
};

/// Most versions of charts that an organization keeps.
const MOST: i64 = 1000;

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create))
}

/// Which versions to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only those of this chart.
    id: Option<String>,
    /// Only this version.
    version: Option<String>,
}

/// Lists the versions of charts that the organization has uploaded, by chart, newest first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/workload-profile-chart-versions", params(Filter, Pages),
    operation_id = "listWorkloadProfileChartVersions", tag = "WorkloadProfile",
    responses((
        status = 200, body = Vec<ChartVersion>, description = "The versions.",
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
    let wanted = Wanted { id: filter.id.as_deref(), version: filter.version.as_deref() };
    let rows = store::list(&mut *state.db.read().await?, &scope, wanted).await?;
    paging.answer(rows.into_iter().map(|row| wire(&org, row)).collect())
}

/// Uploads a version of a chart; which one it is, the chart says itself.
#[utoipa::path(
    post, path = "/orgs/{orgId}/workload-profile-chart-versions",
    operation_id = "createWorkloadProfileChartVersion", tag = "WorkloadProfile",
    request_body(content = ChartUpload, content_type = "multipart/form-data"),
    responses(
        (status = 201, body = ChartVersion, description = "The version."),
        (
            status = 409, body = ErrorBody,
            description = "The chart has this version already, or a newer one.",
        ),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<ChartVersion>)> {
    let scope = caller.scope(&org)?;
    let form = Form::read(request, &state).await?;
    let archive = form.part("file")?.clone();
    let (archive, read) = tokio::task::spawn_blocking(move || {
        let read = chart::read(&archive);
        (archive, read)
    })
    .await
    .map_err(|error| Problem::internal(&error))?;
    let chart = read.map_err(|why| {
        Problem::invalid(format!("The part `file` is not a chart: {why}."))
            .with_hint("Send what `helm package` makes, or `tar -czf` of the folder of a chart.")
            .at("file", "not a chart")
    })?;
    let (name, version) = (chart.name, chart.version);
    let mut change = caller.change(&state, &scope).await?;
    let of_chart = Wanted { id: Some(&name), version: None };
    let known = store::list(&mut change, &scope, of_chart).await?;
    if known.iter().any(|row| row.version == version) {
        return Err(Problem::conflict(format!(
            "The chart `{name}` has the version `{version}` already."
        ))
        .with_hint("Raise `version` in `Chart.yaml`."));
    }
    if let Some(newer) = known.iter().find(|row| !chart::may_follow(&version, &row.version)) {
        return Err(Problem::conflict(format!(
            "The chart `{name}` has the version `{}`, which is newer than `{version}`.",
            newer.version
        ))
        .with_hint("Raise `version` in `Chart.yaml`."));
    }
    if store::count(&mut change, &scope).await? >= MOST {
        return Err(Problem::invalid(format!(
            "An organization keeps at most {MOST} versions of charts."
        ))
        .with_hint(
            "Have profiles name versions that are there; \
             `GET …/workload-profile-chart-versions` lists them.",
        ));
    }
    let row = Row {
        id: name,
        version,
        number: known.first().map_or(1, |newest| newest.number + 1),
        created_at: state.now(),
        created_by: caller.id().to_owned(),
    };
    store::create(&mut change, &scope, &row, &archive).await?;
    let answer = wire(&org, row);
    change.commit(StatusCode::CREATED, Effect::created(&answer)).await?;
    Ok((StatusCode::CREATED, Json(answer)))
}

fn wire(org: &str, row: Row) -> ChartVersion {
    ChartVersion {
        org_id: org.to_owned(),
        id: row.id,
        version: row.version,
        created_at: row.created_at.into(),
        created_by: row.created_by,
    }
}
