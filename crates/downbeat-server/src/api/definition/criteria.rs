//! Matching criteria of a definition.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::definition::{
    CreateMatchingCriteria, MatchingCriteria, ResourceDefinitionChange,
};
use downbeat_core::{Criteria, matching};
use downbeat_store::{
    OrgScope, Tx,
    definition::{self as store, Whole},
};
use jiff::{SignedDuration, Timestamp};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Force, changes, find};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path, Query},
    state::new_id,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create, put)).routes(routes!(delete))
}

/// Adds a matching criteria to a definition.
#[utoipa::path(
    post, path = "/orgs/{orgId}/resources/defs/{defId}/criteria",
    operation_id = "createResourceDefinitionCriteria", tag = "MatchingCriteria",
    request_body = CreateMatchingCriteria,
    responses(
        (status = 200, body = MatchingCriteria, description = "The new criteria."),
        (
            status = 409, body = downbeat_api::ErrorBody,
            description = "A definition of the same type has this criteria.",
        ),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, def)): Path<(String, String)>,
    Body(new): Body<CreateMatchingCriteria>,
) -> Result<Json<MatchingCriteria>> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let resource_type = find(&mut change, &scope, &def, false).await?.definition.resource_type;
    let criteria = read(new, new_id(state.now()));
    add(&mut change, &scope, &def, &resource_type, &criteria).await?;
    let criteria = wire(criteria);
    change.commit(StatusCode::OK, Effect::created(&criteria)).await?;
    Ok(Json(criteria))
}

/// Replaces all matching criteria of a definition. Those that stay keep their ids.
#[utoipa::path(
    put, path = "/orgs/{orgId}/resources/defs/{defId}/criteria",
    operation_id = "updateResourceDefinitionCriteria", tag = "MatchingCriteria",
    request_body = Vec<CreateMatchingCriteria>,
    responses(
        (status = 200, body = Vec<MatchingCriteria>, description = "The criteria."),
        (
            status = 409, body = downbeat_api::ErrorBody,
            description = "A definition of the same type has one of them.",
        ),
    ),
)]
async fn put(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, def)): Path<(String, String)>,
    Body(wanted): Body<Vec<CreateMatchingCriteria>>,
) -> Result<Json<Vec<MatchingCriteria>>> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let Whole { definition, criteria: mut known, .. } =
        find(&mut change, &scope, &def, false).await?;
    let before: Vec<_> = known.iter().cloned().map(wire).collect();
    let mut kept = Vec::new();
    let mut new = Vec::new();
    for wanted in wanted {
        let wanted = read(wanted, String::new());
        match known.iter().position(|known| says_the_same(known, &wanted)) {
            Some(at) => kept.push(known.swap_remove(at)),
            None => new.push(wanted),
        }
    }
    for gone in &known {
        store::delete_criteria(&mut change, &scope, &def, &gone.id).await?;
    }
    let now = state.now();
    for (place, mut criteria) in (0..).zip(new) {
        criteria.id = id(now, place);
        add(&mut change, &scope, &def, &definition.resource_type, &criteria).await?;
        kept.push(criteria);
    }
    let after: Vec<_> = kept.into_iter().map(wire).collect();
    change.commit(StatusCode::OK, Effect::changed(&before, &after)).await?;
    Ok(Json(after))
}

/// Removes a matching criteria.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/resources/defs/{defId}/criteria/{criteriaId}", params(Force),
    operation_id = "deleteResourceDefinitionCriteria", tag = "MatchingCriteria",
    responses(
        (status = 204, description = "The criteria is gone."),
        (
            status = 409, body = Vec<ResourceDefinitionChange>,
            description = "These resources would match another definition, or none.",
        ),
    ),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, def, id)): Path<(String, String, String)>,
    Query(Force { force }): Query<Force>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let whole = find(&mut change, &scope, &def, false).await?;
    let criteria = whole.criteria.into_iter().find(|criteria| criteria.id == id);
    let criteria = criteria.ok_or_else(|| Problem::not_found("matching criteria", &id))?;
    if !force {
        changes::refuse(&mut change, &scope, &def, Some(&id)).await?;
    }
    store::delete_criteria(&mut change, &scope, &def, &id).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&wire(criteria))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds a criteria unless a definition of the same type has it.
pub(super) async fn add(
    tx: &mut Tx,
    scope: &OrgScope,
    def: &str,
    resource_type: &str,
    criteria: &Criteria,
) -> Result<()> {
    if let Some(other) = store::twin(&mut *tx, scope, resource_type, criteria).await? {
        let criteria = matching::describe(criteria);
        return Err(Problem::conflict(format!(
            "The definition `{other}` of type `{resource_type}` has the same matching criteria \
             ({criteria})."
        ))
        .with_hint("Make one of the two more specific, or remove it.")
        .with_detail("def_id", other));
    }
    Ok(store::add_criteria(tx, scope, def, resource_type, criteria).await?)
}

/// An id for one of several criteria that are made at the same time. Criteria are shown in the order
/// of their ids, which sort by millisecond: each is given its own.
pub(super) fn id(now: Timestamp, place: i64) -> String {
    new_id(now.checked_add(SignedDuration::from_millis(place)).unwrap_or(now))
}

/// A criteria of a request: what is empty counts as absent.
pub(super) fn read(new: CreateMatchingCriteria, id: String) -> Criteria {
    let set = |field: Option<String>| field.filter(|text| !text.is_empty());
    Criteria {
        id,
        res_id: set(new.res_id),
        env_id: set(new.env_id),
        app_id: set(new.app_id),
        env_type: set(new.env_type),
        class: set(new.class),
    }
}

fn says_the_same(a: &Criteria, b: &Criteria) -> bool {
    a.class() == b.class()
        && (&a.res_id, &a.env_id, &a.app_id, &a.env_type)
            == (&b.res_id, &b.env_id, &b.app_id, &b.env_type)
}

pub(super) fn wire(criteria: Criteria) -> MatchingCriteria {
    MatchingCriteria {
        class: criteria.class().to_owned(),
        id: criteria.id,
        env_type: criteria.env_type,
        app_id: criteria.app_id,
        env_id: criteria.env_id,
        res_id: criteria.res_id,
    }
}
