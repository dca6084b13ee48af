//! `…/apps/{appId}/webhooks`: what is told to others when something happens to an application.
//! Webhooks are checked and kept here; nothing is sent yet.
//!
//! Headers often hold a token. They are sealed, shown to those who may see the application as v1
//! shows them, and masked in the audit log.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::webhook::{Event, Trigger, TriggerRequest, Webhook, WebhookBody, WebhookRequest};
use downbeat_core::{Json as Value, JsonMap, Secret, SecretRef, id::Grammar};
use downbeat_store::{
    AnyConnection, AppScope, Tx, secret,
    webhook::{self as store, Webhook as Row},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{application, common::check_grammar};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path},
    problem::short,
    state::{Version, new_id},
};

/// Most webhooks of an application.
const MOST: usize = 100;
/// Longest address, in bytes.
const LONGEST_URL: usize = 2048;
/// Longest headers and longest payload, in bytes of JSON.
const LONGEST: usize = 64 * 1024;
/// What every event says.
const COMMON: [&str; 5] = ["event", "org_id", "app_id", "triggered_at", "triggered_by"];
/// What an event about an environment says beside.
const ENVIRONMENT: [&str; 3] = ["env_id", "name", "type"];
/// What an event about a deployment says beside.
const DEPLOYMENT: [&str; 6] = ["env_id", "deploy_id", "delta_id", "set_id", "comment", "status"];
/// All events (spec 10 section 5).
const EVENTS: [(&str, &str, &[&str]); 4] = [
    ("environment", "created", &ENVIRONMENT),
    ("environment", "deleted", &ENVIRONMENT),
    ("deployment", "started", &DEPLOYMENT),
    ("deployment", "finished", &DEPLOYMENT),
];

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, patch, delete))
        .routes(routes!(delete_all))
        .routes(routes!(list_events))
}

/// Lists the events that can trigger webhooks.
#[utoipa::path(
    get, path = "/orgs/{orgId}/events", operation_id = "listEvents", tag = "Event",
    responses((status = 200, body = Vec<Event>, description = "The events.")),
)]
async fn list_events(caller: Caller, Path(org): Path<String>) -> Result<Json<Vec<Event>>> {
    caller.scope(&org)?;
    let shown = |(scope, kind, own): &(&str, &str, &[&str])| Event {
        scope: (*scope).to_owned(),
        r#type: (*kind).to_owned(),
        properties: COMMON.iter().chain(*own).map(|&name| name.to_owned()).collect(),
    };
    Ok(Json(EVENTS.iter().map(shown).collect()))
}

/// Lists the webhooks of an application, oldest first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/webhooks",
    operation_id = "listWebhooks", tag = "Webhook",
    responses((status = 200, body = Vec<Webhook>, description = "The webhooks.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
) -> Result<Json<Vec<Webhook>>> {
    let scope = caller.scope(&org)?.app(&app);
    let rows = {
        let mut conn = state.db.read().await?;
        application::require(&mut conn, &scope).await?;
        store::list(&mut conn, &scope).await?
    };
    let mut shown = Vec::with_capacity(rows.len());
    for row in rows {
        shown.push(wire(&state, &scope, &row).await?);
    }
    Ok(Json(shown))
}

/// Adds a webhook to an application.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/webhooks",
    operation_id = "createWebhook", tag = "Webhook", request_body = WebhookRequest,
    responses(
        (status = 201, body = Webhook, description = "The webhook."),
        (status = 409, body = downbeat_api::ErrorBody, description = "The id is taken."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
    Body(new): Body<WebhookRequest>,
) -> Result<(StatusCode, Json<Webhook>)> {
    let scope = caller.scope(&org)?.app(&app);
    if let Some(id) = &new.id {
        check_grammar(Grammar::Definition, "id of a webhook", "/id", id)?;
    }
    if new.url.is_none() {
        return Err(Problem::invalid("`url` is missing.").at("/url", "is missing"));
    }
    check(&new)?;
    let mut change = caller.change(&state, scope.in_org()).await?;
    application::require_active(&mut change, &scope).await?;
    let rows = store::list(&mut change, &scope).await?;
    let now = state.now();
    let id = new.id.clone().unwrap_or_else(|| new_id(now));
    if rows.iter().any(|row| row.id == id) {
        return Err(Problem::conflict(format!("The webhook `{id}` exists already.")));
    }
    if rows.len() >= MOST {
        return Err(Problem::invalid(format!("An application has at most {MOST} webhooks."))
            .with_hint("Delete those that are not needed any more."));
    }
    let body = merged(nothing(), new);
    let headers = seal(&state, &mut change, &scope, &id, &body.headers).await?;
    let row = Row {
        webhook: kept(&body)?,
        headers,
        id: id.clone(),
        created_at: now,
        created_by: caller.id().to_owned(),
    };
    store::create(&mut change, &scope, &row).await?;
    let created_by = row.created_by;
    let webhook = Webhook { id, body, created_at: now.into(), created_by };
    change.commit(StatusCode::CREATED, Effect::created(&masked(&webhook))).await?;
    Ok((StatusCode::CREATED, Json(webhook)))
}

/// Shows a webhook.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/webhooks/{jobId}",
    operation_id = "getWebhook", tag = "Webhook",
    responses((status = 200, body = Webhook, description = "The webhook.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
) -> Result<Json<Webhook>> {
    let scope = caller.scope(&org)?.app(&app);
    let row = require(&mut *state.db.read().await?, &scope, &id).await?;
    wire(&state, &scope, &row).await.map(Json)
}

/// Changes a webhook; what is absent stays.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/apps/{appId}/webhooks/{jobId}",
    operation_id = "patchWebhook", tag = "Webhook", request_body = WebhookRequest,
    responses((status = 200, body = WebhookBody, description = "The webhook as it is now.")),
)]
async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    Body(new): Body<WebhookRequest>,
) -> Result<Json<WebhookBody>> {
    let scope = caller.scope(&org)?.app(&app);
    if new.id.as_ref().is_some_and(|other| *other != id) {
        return Err(Problem::invalid("The id of a webhook cannot change.")
            .at("/id", "not the id in the path"));
    }
    check(&new)?;
    let mut change = caller.change(&state, scope.in_org()).await?;
    let mut row = require(&mut change, &scope, &id).await?;
    let before = wire(&state, &scope, &row).await?;
    let after = Webhook { body: merged(before.body.clone(), new), ..before.clone() };
    row.headers = seal(&state, &mut change, &scope, &id, &after.body.headers).await?;
    row.webhook = kept(&after.body)?;
    store::update(&mut change, &scope, &row).await?;
    let effect = Effect::changed(&masked(&before), &masked(&after));
    change.commit(StatusCode::OK, effect).await?;
    Ok(Json(after.body))
}

/// Removes a webhook.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/apps/{appId}/webhooks/{jobId}",
    operation_id = "deleteWebhook", tag = "Webhook",
    responses((status = 204, description = "The webhook is gone.")),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?.app(&app);
    let mut change = caller.change(&state, scope.in_org()).await?;
    let row = require(&mut change, &scope, &id).await?;
    let before = wire(&state, &scope, &row).await?;
    remove(&mut change, &scope, &id).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&masked(&before))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes all webhooks of an application.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/apps/{appId}/jobs", operation_id = "deleteJobs", tag = "Webhook",
    responses((status = 204, description = "The webhooks are gone.")),
)]
async fn delete_all(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?.app(&app);
    let mut change = caller.change(&state, scope.in_org()).await?;
    application::require(&mut change, &scope).await?;
    let mut before = Vec::new();
    for row in store::list(&mut change, &scope).await? {
        remove(&mut change, &scope, &row.id).await?;
        before.push(row.id);
    }
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&before)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn require(conn: &mut AnyConnection, scope: &AppScope, id: &str) -> Result<Row> {
    application::require(&mut *conn, scope).await?;
    let found = store::find(conn, scope, id).await?;
    found.ok_or_else(|| Problem::not_found("webhook", id))
}

async fn remove(tx: &mut Tx, scope: &AppScope, id: &str) -> Result<()> {
    store::delete(tx, scope, id).await?;
    secret::forget(tx, &key(scope, id)).await?;
    Ok(())
}

fn check(new: &WebhookRequest) -> Result<()> {
    if let Some(url) = &new.url {
        let host = url.strip_prefix("https://").unwrap_or(url);
        let is_bad = host.is_empty()
            || host.starts_with('/')
            || host.contains("://")
            || url.len() > LONGEST_URL
            || url.contains(|c: char| c.is_whitespace() || c.is_control());
        if is_bad {
            let rule = format!("an https address of at most {LONGEST_URL} bytes");
            return Err(
                Problem::invalid(format!("`url` is not valid: use {rule}.")).at("/url", &rule)
            );
        }
    }
    for (number, trigger) in new.triggers.iter().flatten().enumerate() {
        let is_known = EVENTS
            .iter()
            .any(|(scope, kind, _)| trigger.scope == *scope && trigger.r#type == *kind);
        if number >= EVENTS.len() || !is_known {
            let TriggerRequest { scope, r#type } = trigger;
            let message = format!("No event `{}.{}` is left.", short(scope), short(r#type));
            return Err(Problem::invalid(message)
                .with_hint("`GET …/events` lists the events; each can be named once.")
                .at(&format!("/triggers/{number}"), "not an event"));
        }
    }
    let payload = new.payload.as_ref().and_then(Option::as_ref);
    for (name, members) in [("headers", new.headers.as_ref()), ("payload", payload)] {
        let length = members.map_or(0, |members| Value::Object(members.clone()).to_string().len());
        if length > LONGEST {
            let rule = format!("at most {LONGEST} bytes of JSON");
            return Err(Problem::invalid(format!("`{name}` is too long: use {rule}."))
                .at(&format!("/{name}"), &rule));
        }
    }
    Ok(())
}

fn nothing() -> WebhookBody {
    WebhookBody {
        url: String::new(),
        triggers: Vec::new(),
        headers: JsonMap::new(),
        payload: None,
        disabled: false,
    }
}

fn merged(old: WebhookBody, new: WebhookRequest) -> WebhookBody {
    let trigger = |one: TriggerRequest| Trigger { scope: one.scope, r#type: one.r#type };
    let triggers = new.triggers.map(|all| all.into_iter().map(trigger).collect());
    WebhookBody {
        url: new.url.unwrap_or(old.url),
        triggers: triggers.unwrap_or(old.triggers),
        headers: new.headers.unwrap_or(old.headers),
        payload: new.payload.unwrap_or(old.payload),
        disabled: new.disabled.unwrap_or(old.disabled),
    }
}

/// What the audit log may show.
fn masked(webhook: &Webhook) -> Webhook {
    let mut shown = webhook.clone();
    for value in shown.body.headers.values_mut() {
        *value = "***".into();
    }
    shown
}

fn kept(body: &WebhookBody) -> Result<JsonMap> {
    let plain = WebhookBody { headers: JsonMap::new(), ..body.clone() };
    match serde_json::to_value(plain) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Problem::failed()),
        Err(error) => Err(Problem::internal(&error)),
    }
}

fn key(scope: &AppScope, id: &str) -> String {
    format!("orgs/{}/apps/{}/webhooks/{id}", scope.org(), scope.app())
}

async fn seal(
    state: &AppState,
    tx: &mut Tx,
    scope: &AppScope,
    id: &str,
    headers: &JsonMap,
) -> Result<SecretRef> {
    let secret = Secret::new(Value::Object(headers.clone()).to_string());
    Ok(state.vault.seal(tx, &key(scope, id), &secret, Version::Reuse).await?)
}

async fn wire(state: &AppState, scope: &AppScope, row: &Row) -> Result<Webhook> {
    let body: WebhookBody = serde_json::from_value(Value::Object(row.webhook.clone()))
        .map_err(|error| Problem::internal(&error))?;
    let secret = state.vault.open(scope.org(), &row.headers).await?;
    // The error of a reader could quote what it read.
    let headers = serde_json::from_str(secret.expose()).map_err(|_| Problem::failed())?;
    Ok(Webhook {
        id: row.id.clone(),
        body: WebhookBody { headers, ..body },
        created_at: row.created_at.into(),
        created_by: row.created_by.clone(),
    })
}
