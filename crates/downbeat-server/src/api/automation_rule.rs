//! `…/envs/{envId}/rules`: what an environment does with new versions of artefacts. Rules are kept
//! and checked here.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::automation_rule::{AutomationRule, Rule};
use downbeat_core::Json as Value;
use downbeat_store::{
    AnyConnection, EnvScope,
    automation_rule::{self as store, AutomationRule as Row},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::environment;
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path},
    problem::short,
    state::new_id,
};

/// Most rules of an environment.
const MOST: usize = 500;
/// Most names in a filter.
const MOST_NAMES: usize = 1000;
/// Longest name in a filter, and longest expression, in bytes.
const LONGEST: usize = 1024;

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, put, delete))
}

/// Lists the rules of an environment, oldest first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/rules",
    operation_id = "listAutomationRules", tag = "AutomationRule",
    responses((status = 200, body = Vec<AutomationRule>, description = "The rules.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
) -> Result<Json<Vec<AutomationRule>>> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut conn = state.db.read().await?;
    environment::require(&mut conn, &scope).await?;
    let rows = store::list(&mut conn, &scope).await?;
    Ok(Json(rows.into_iter().map(wire).collect::<Result<_>>()?))
}

/// Adds a rule to an environment.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/rules",
    operation_id = "createAutomationRule", tag = "AutomationRule", request_body = Rule,
    responses((status = 201, body = AutomationRule, description = "The rule.")),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
    Body(new): Body<Rule>,
) -> Result<(StatusCode, Json<AutomationRule>)> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    check(&new)?;
    let mut change = caller.change(&state, scope.in_app().in_org()).await?;
    environment::require_active(&mut change, &scope).await?;
    if store::list(&mut change, &scope).await?.len() >= MOST {
        return Err(Problem::invalid(format!("An environment has at most {MOST} rules."))
            .with_hint("Delete those that are not needed any more."));
    }
    let now = state.now();
    let row = Row { id: new_id(now), rule: kept(&new)?, created_at: now, updated_at: now };
    store::create(&mut change, &scope, &row).await?;
    let rule = wire(row)?;
    change.commit(StatusCode::CREATED, Effect::created(&rule)).await?;
    Ok((StatusCode::CREATED, Json(rule)))
}

/// Shows a rule.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/rules/{ruleId}",
    operation_id = "getAutomationRule", tag = "AutomationRule",
    responses((status = 200, body = AutomationRule, description = "The rule.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, id)): Path<(String, String, String, String)>,
) -> Result<Json<AutomationRule>> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut conn = state.db.read().await?;
    wire(require(&mut conn, &scope, &id).await?).map(Json)
}

/// Replaces a rule.
#[utoipa::path(
    put, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/rules/{ruleId}",
    operation_id = "updateAutomationRule", tag = "AutomationRule", request_body = Rule,
    responses((status = 200, body = AutomationRule, description = "The rule.")),
)]
async fn put(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, id)): Path<(String, String, String, String)>,
    Body(new): Body<Rule>,
) -> Result<Json<AutomationRule>> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    check(&new)?;
    let mut change = caller.change(&state, scope.in_app().in_org()).await?;
    let before = require(&mut change, &scope, &id).await?;
    let row = Row { rule: kept(&new)?, updated_at: state.now(), ..before.clone() };
    store::update(&mut change, &scope, &row).await?;
    let (before, after) = (wire(before)?, wire(row)?);
    change.commit(StatusCode::OK, Effect::changed(&before, &after)).await?;
    Ok(Json(after))
}

/// Removes a rule.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/rules/{ruleId}",
    operation_id = "deleteAutomationRule", tag = "AutomationRule",
    responses((status = 204, description = "The rule is gone.")),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, id)): Path<(String, String, String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut change = caller.change(&state, scope.in_app().in_org()).await?;
    let before = wire(require(&mut change, &scope, &id).await?)?;
    store::delete(&mut change, &scope, &id).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&before)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn require(conn: &mut AnyConnection, scope: &EnvScope, id: &str) -> Result<Row> {
    environment::require(&mut *conn, scope).await?;
    let row = store::find(conn, scope, id).await?;
    row.ok_or_else(|| Problem::not_found("automation rule", id))
}

fn check(rule: &Rule) -> Result<()> {
    if rule.r#type != "update" {
        let message = format!("`{}` is not a type of rules: use `update`.", short(&rule.r#type));
        return Err(Problem::invalid(message).at("/type", "use `update`"));
    }
    if !matches!(rule.update_to.as_str(), "" | "branch" | "tag") {
        let message = format!("`{}` cannot be updated to.", short(&rule.update_to));
        return Err(Problem::invalid(message).at("/update_to", "use `branch` or `tag`"));
    }
    let is_old = !rule.update_to.is_empty() || !rule.r#match.is_empty();
    for (clash, old, new) in [
        (is_old && !rule.match_ref.is_empty(), "match` and `update_to", "match_ref"),
        (
            !rule.images_filter.is_empty() && !rule.artefacts_filter.is_empty(),
            "images_filter",
            "artefacts_filter",
        ),
        (
            rule.exclude_images_filter && rule.exclude_artefacts_filter,
            "exclude_images_filter",
            "exclude_artefacts_filter",
        ),
    ] {
        if clash {
            let message = format!("`{old}` and `{new}` say the same in an old and a new way.");
            return Err(Problem::invalid(message)
                .with_hint(format!("Use `{new}` only."))
                .at(&format!("/{new}"), "not together with the deprecated members"));
        }
    }
    for (member, names) in
        [("artefacts_filter", &rule.artefacts_filter), ("images_filter", &rule.images_filter)]
    {
        if names.len() > MOST_NAMES || names.iter().any(|name| name.len() > LONGEST) {
            let rule = format!("at most {MOST_NAMES} names of at most {LONGEST} bytes");
            let message = format!("`{member}` is too large: {rule}.");
            return Err(Problem::invalid(message).at(&format!("/{member}"), &rule));
        }
    }
    for (member, text) in [("match_ref", &rule.match_ref), ("match", &rule.r#match)] {
        let place = format!("/{member}");
        if text.len() > LONGEST {
            let rule = format!("at most {LONGEST} bytes");
            return Err(
                Problem::invalid(format!("`{member}` is too long: {rule}.")).at(&place, &rule)
            );
        }
        if let Err(error) = regex::Regex::new(text) {
            let message = format!("`{member}` is not a regular expression: {error}");
            return Err(Problem::invalid(message).at(&place, "not a regular expression"));
        }
    }
    Ok(())
}

fn kept(rule: &Rule) -> Result<downbeat_core::JsonMap> {
    match serde_json::to_value(rule) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Problem::failed()),
        Err(error) => Err(Problem::internal(&error)),
    }
}

fn wire(row: Row) -> Result<AutomationRule> {
    let rule = serde_json::from_value(Value::Object(row.rule));
    let rule: Rule = rule.map_err(|error| Problem::internal(&error))?;
    Ok(AutomationRule {
        id: row.id,
        r#type: rule.r#type,
        active: rule.active,
        artefacts_filter: rule.artefacts_filter,
        exclude_artefacts_filter: rule.exclude_artefacts_filter,
        match_ref: rule.match_ref,
        images_filter: rule.images_filter,
        exclude_images_filter: rule.exclude_images_filter,
        update_to: rule.update_to,
        r#match: rule.r#match,
        created_at: row.created_at.into(),
        updated_at: row.updated_at.into(),
    })
}
