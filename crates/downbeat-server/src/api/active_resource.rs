//! `/orgs/{orgId}/apps/{appId}/envs/{envId}/resources`: what exists because it was deployed.
//!
//! The path names a resource by `{type}` or `{type}.{class}` and its id.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::active_resource::{ActiveResource, PinActiveResource, Removal, RemovalError};
use downbeat_core::{Code, builtin, module::DEFAULT_CLASS};
use downbeat_store::{
    AnyConnection, EnvScope,
    active_resource::{self as store, ActiveResource as Row},
    definition, deployment, driver,
    removal::{self as removals, Asked, Left, StoredRemoval},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{common::flag, environment};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path, Query},
};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(delete))
        .routes(routes!(pin))
        .routes(routes!(list_removals))
        .routes(routes!(end_removal))
}

/// Which resources to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Lists only what is (`true`) or is not (`false`) scheduled for deletion.
    scheduled_deletion: Option<String>,
}

/// Lists the resources of an environment.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/resources", params(Filter),
    operation_id = "listActiveResources", tag = "ActiveResource",
    responses((status = 200, body = Vec<ActiveResource>, description = "The resources.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<ActiveResource>>> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut conn = state.db.read().await?;
    environment::require(&mut conn, &scope).await?;
    let wanted = filter.scheduled_deletion.filter(|text| !text.is_empty());
    let wanted = wanted.map(|text| text.eq_ignore_ascii_case("true"));
    let rows = store::list(&mut conn, &scope).await?.into_iter();
    let rows = rows.filter(|row| wanted.is_none_or(|wanted| wanted == row.scheduled_deletion));
    Ok(Json(rows.map(|row| wire(&org, row)).collect()))
}

/// What to do with a resource.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct How {
    /// Forgets the resource and leaves the real thing alone.
    #[serde(default, deserialize_with = "flag")]
    detach: bool,
    /// Deletes a resource even though the last deployment needs it.
    #[serde(default, deserialize_with = "flag")]
    force: bool,
    /// Why, for the record (an extension of v1).
    #[serde(default)]
    reason: String,
}

/// Deletes a resource, or forgets it.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/resources/{type}/{resId}",
    params(How), operation_id = "deleteActiveResource", tag = "ActiveResource",
    responses(
        (status = 202, description = "The resource is being deleted; repeat the call."),
        (status = 204, description = "The resource is gone, or forgotten."),
        (
            status = 409, body = downbeat_api::ErrorBody,
            description = "The resource is part of the last deployment, or one is under way.",
        ),
    ),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, kind, id)): Path<(String, String, String, String, String)>,
    Query(How { detach, force, reason }): Query<How>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut change = caller.change(&state, scope.in_app().in_org()).await?;
    let row = find(&mut change, &scope, &kind, &id).await?;
    let key = row.key();
    if let Some(deployment) = deployment::under_way(&mut change, &scope).await? {
        return Err(Problem::conflict(format!(
            "The environment `{env}` has a deployment under way: `{deployment}`."
        ))
        .with_hint("Wait until it has ended, then delete the resource."));
    }
    let needed = store::is_needed(&mut change, &scope, &row.guresid).await?;
    if needed && !force && !detach {
        return Err(Problem::conflict(format!(
            "The resource `{key}` is part of the last deployment of `{env}`."
        ))
        .with_hint(
            "Deploy a set that does not need it, or send `force=true`; `detach=true` forgets \
             the resource and leaves the real thing alone.",
        ));
    }
    let reason = check_reason(&reason)?;
    let asked = Asked { by: caller.id(), reason, forced: needed && force, at: state.now() };
    let pure = builtin::changes_nothing(&row.driver_type);
    if detach || pure {
        let left = if pure { Left::Forgotten } else { Left::Detached };
        removals::forget(&mut change, &scope, &row, left, asked).await?;
        removals::end_environment(&mut change, &scope).await?;
        change.commit(StatusCode::NO_CONTENT, Effect::deleted(&wire(&org, row))).await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    if !can_run(&mut change, &scope, &row.driver_type).await? {
        return Err(Problem::invalid(format!(
            "The driver `{}`, which made `{key}`, cannot run here.",
            row.driver_type
        ))
        .with_code(Code::UnknownDriver)
        .with_hint(
            "Send `detach=true` to forget the resource, and delete the real thing by hand.",
        ));
    }
    let open = removals::open(&mut change, &scope).await?.into_iter();
    let open = open
        .filter(|one| one.guresid == row.guresid)
        .find(|one| one.driver_type == row.driver_type);
    let is_asked_for = open.as_ref().is_some_and(|one| one.state == "pending");
    if is_asked_for && row.scheduled_deletion {
        state.wake.wake();
        return Ok(StatusCode::ACCEPTED);
    }
    let given_up = open.filter(|one| one.state == "given up");
    let status = if given_up.is_some() { StatusCode::CONFLICT } else { StatusCode::ACCEPTED };
    removals::ask(&mut change, &scope, &key, asked).await?;
    let now = find(&mut change, &scope, &kind, &id).await?;
    let effect = Effect::changed(&wire(&org, row), &wire(&org, now));
    change.commit(status, effect).await?;
    state.wake.wake();
    let Some(given_up) = given_up else { return Ok(status) };
    let why = given_up.why();
    Err(Problem::conflict(format!("The resource `{key}` could not be freed: {why}"))
        .with_hint("It is tried again from now on. `detach=true` leaves the real thing alone."))
}

/// Ends a removal and leaves the real thing alone (an extension of v1).
#[utoipa::path(
    delete, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/resources/removals/{removalId}",
    operation_id = "endRemoval", tag = "ActiveResource",
    responses(
        (status = 204, description = "The removal is over; the real thing stays."),
        (
            status = 409, body = downbeat_api::ErrorBody,
            description = "It is over already, or a worker is at it.",
        ),
    ),
    extensions(("x-downbeat-extension" = json!(true))),
)]
async fn end_removal(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, id)): Path<(String, String, String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut change = caller.change(&state, scope.in_app().in_org()).await?;
    environment::require(&mut change, &scope).await?;
    let before = find_removal(&mut change, &scope, &id).await?;
    let asked = Asked { by: caller.id(), reason: "", forced: false, at: state.now() };
    if !removals::detach(&mut change, &scope, &id, asked).await? {
        return Err(Problem::conflict(format!(
            "The removal `{id}` is over already, or a worker is at it."
        ))
        .with_hint("Look at it with `GET …/resources/removals`, then repeat the call."));
    }
    let after = find_removal(&mut change, &scope, &id).await?;
    removals::end_environment(&mut change, &scope).await?;
    let effect = Effect::changed(&removal(before), &removal(after));
    change.commit(StatusCode::NO_CONTENT, effect).await?;
    state.wake.wake();
    Ok(StatusCode::NO_CONTENT)
}

async fn find_removal(
    conn: &mut AnyConnection,
    scope: &EnvScope,
    id: &str,
) -> Result<StoredRemoval> {
    let known = removals::list(conn, scope).await?.into_iter().find(|one| one.id == id);
    known.ok_or_else(|| Problem::not_found("removal", id))
}

/// Longest reason that is kept.
const REASON: usize = 1000;

fn check_reason(reason: &str) -> Result<&str> {
    let reason = reason.trim();
    if reason.len() > REASON {
        let rule = format!("at most {REASON} bytes");
        return Err(Problem::invalid("The reason is too long.").at("reason", &rule));
    }
    Ok(reason)
}

/// Whether a driver can be asked to make a resource, or to free what it made.
pub(super) async fn can_run(
    conn: &mut AnyConnection,
    scope: &EnvScope,
    driver_type: &str,
) -> Result<bool> {
    if builtin::runs_here(driver_type) {
        return Ok(true);
    }
    let Some(id) = driver_type.strip_prefix(&format!("{}/", scope.org())) else { return Ok(false) };
    Ok(driver::find(conn, scope.in_app().in_org(), id).await?.is_some())
}

/// Lists what was and what is to be freed (an extension of v1).
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/resources/removals",
    operation_id = "listRemovals", tag = "ActiveResource",
    responses((status = 200, body = Vec<Removal>, description = "The removals, newest first.")),
    extensions(("x-downbeat-extension" = json!(true))),
)]
async fn list_removals(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
) -> Result<Json<Vec<Removal>>> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut conn = state.db.read().await?;
    environment::require(&mut conn, &scope).await?;
    let rows = removals::list(&mut conn, &scope).await?;
    Ok(Json(rows.into_iter().map(removal).collect()))
}

/// A removal as it is shown.
pub(super) fn removal(row: StoredRemoval) -> Removal {
    let text = |name: &str| {
        let error = row.error.as_ref()?;
        Some(error.get(name)?.as_str()?.to_owned())
    };
    Removal {
        error: text("code").map(|code| RemovalError {
            code,
            message: text("message").unwrap_or_default(),
            hint: text("hint"),
        }),
        id: row.id,
        r#type: row.key.resource_type.to_string(),
        class: row.key.class.to_string(),
        res_id: row.key.id.to_string(),
        gu_res_id: row.guresid,
        driver_type: row.driver_type,
        forced: row.is_forced,
        reason: row.reason,
        requested_by: row.requested_by,
        requested_at: row.requested_at.into(),
        state: row.state,
        attempts: row.attempt,
        changed_at: row.changed_at.into(),
    }
}

/// Pins a resource to a version of its definition, or takes the pin away.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/resources/{type}/{resId}/actions/pin",
    operation_id = "pinActiveResource", tag = "ActiveResource",
    request_body = PinActiveResource,
    responses((status = 200, body = ActiveResource, description = "The resource as it is now.")),
)]
async fn pin(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, kind, id)): Path<(String, String, String, String, String)>,
    Body(request): Body<PinActiveResource>,
) -> Result<Json<ActiveResource>> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut change = caller.change(&state, scope.in_app().in_org()).await?;
    let row = find(&mut change, &scope, &kind, &id).await?;
    let version = request.target_def_version_id.filter(|id| !id.is_empty());
    if let Some(version) = &version {
        let in_org = scope.in_app().in_org();
        let found = definition::find_version(&mut change, in_org, &row.def_id, version).await?;
        let def = &row.def_id;
        let refuse = |message| Err(Problem::invalid(message).at("/target_def_version_id", "no"));
        match found {
            None => return refuse(format!("The definition `{def}` has no version `{version}`.")),
            Some(found) if found.archived => {
                return refuse(format!("The version `{version}` of `{def}` is archived."));
            }
            Some(_) => {}
        }
    }
    store::pin(&mut change, &scope, &row.key(), version.as_deref()).await?;
    let before = wire(&org, row);
    let mut after = before.clone();
    after.target_def_version_id = version;
    change.commit(StatusCode::OK, Effect::changed(&before, &after)).await?;
    Ok(Json(after))
}

/// The resource that the path names. Without a class it is the one of class `default`, or the only
/// one.
async fn find(conn: &mut AnyConnection, scope: &EnvScope, kind: &str, id: &str) -> Result<Row> {
    environment::require(&mut *conn, scope).await?;
    let (resource_type, class) = match kind.split_once('.') {
        Some((resource_type, class)) => (resource_type, Some(class)),
        None => (kind, None),
    };
    let rows = store::list(conn, scope).await?.into_iter();
    let mut rows: Vec<Row> =
        rows.filter(|row| row.resource_type == resource_type && row.res_id == id).collect();
    let wanted = class.unwrap_or(DEFAULT_CLASS);
    let at = rows.iter().position(|row| row.class == wanted);
    let only = (class.is_none() && rows.len() == 1).then_some(0);
    match at.or(only) {
        Some(at) => Ok(rows.swap_remove(at)),
        None => Err(Problem::not_found("active resource", &format!("{kind}#{id}"))),
    }
}

/// A resource as it is shown.
pub(super) fn wire(org: &str, row: Row) -> ActiveResource {
    let set = |text: String| Some(text).filter(|text| !text.is_empty());
    ActiveResource {
        org_id: org.to_owned(),
        app_id: row.app_id,
        env_id: row.env_id,
        env_type: row.env_type,
        res_id: row.res_id,
        gu_res_id: row.guresid,
        r#type: row.resource_type,
        class: row.class,
        def_id: row.def_id,
        def_version_id: row.def_version_id,
        target_def_version_id: row.target_def_version_id,
        criteria_id: set(row.criteria_id),
        driver_type: row.driver_type,
        driver_account: set(row.driver_account),
        deploy_id: row.deploy_id,
        resource: row.resource,
        secret_refs: row.secret_refs,
        status: row.status,
        scheduled_deletion: row.scheduled_deletion,
        updated_at: row.updated_at.into(),
    }
}
