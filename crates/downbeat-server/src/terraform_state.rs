//! The states of infrastructure code, as Terraform's `http` backend reads and writes them.
//!
//! An extension of ours, not part of v1, and not in the OpenAPI document: the only clients are the
//! runs that our own driver starts. Each has the key of one resource ([`RunKeys`]) as the password
//! of HTTP basic authentication, and reaches the state of that resource only. The user name says
//! who it is; it is kept with the lock, so that a run can tell the lock of an earlier run of ours
//! from that of somebody else.
//!
//! [`RunKeys`]: downbeat_engine::RunKeys

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use downbeat_core::{Code, Json as Value, JsonMap, Secret};
use downbeat_engine::StateError;
use serde::Deserialize;

use crate::{
    AppState, Problem,
    extract::{Path, Query, bytes_within},
};

/// Largest state, in bytes.
const STATE_BYTES: usize = 64 * 1024 * 1024;
/// Largest description of a lock, in bytes.
const LOCK_BYTES: usize = 64 * 1024;

/// The member of a lock's description that says who holds it: the user name of the holder.
pub const LOCKED_BY: &str = "LockedBy";

/// The routes.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/terraform/state/{guresid}", get(read).post(write).delete(remove))
        .route("/terraform/state/{guresid}/lock", put(lock).delete(unlock))
}

/// What Terraform adds to the address when it writes.
#[derive(Debug, Deserialize)]
struct WriteQuery {
    #[serde(rename = "ID")]
    lock: Option<String>,
}

async fn read(
    State(state): State<AppState>,
    Path(guresid): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let _user = authenticate(&state, &guresid, &headers).ok_or_else(denied)?;
    match state.states.read(&guresid).await.map_err(refused)? {
        Some(found) => {
            let json = HeaderValue::from_static("application/json");
            Ok(([(header::CONTENT_TYPE, json)], found.expose().to_owned()).into_response())
        }
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

async fn write(
    State(state): State<AppState>,
    Path(guresid): Path<String>,
    Query(query): Query<WriteQuery>,
    request: Request,
) -> Result<Response, Response> {
    let _user = authenticate(&state, &guresid, request.headers()).ok_or_else(denied)?;
    let body = bytes_within(request, STATE_BYTES, state.limits.body_time).await;
    let body = body.map_err(IntoResponse::into_response)?;
    let text = String::from_utf8(body.to_vec()).ok();
    let text = text.filter(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    let new = text.map(Secret::new).ok_or_else(|| {
        Problem::unprocessable("The request body is not a state, which is JSON.").into_response()
    })?;
    let lock = query.lock.as_deref().filter(|lock| !lock.is_empty());
    state.states.write(&guresid, lock, &new).await.map_err(refused)?;
    Ok(StatusCode::OK.into_response())
}

async fn remove(
    State(state): State<AppState>,
    Path(guresid): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let user = authenticate(&state, &guresid, &headers).ok_or_else(denied)?;
    // Not while somebody works on it.
    let id = format!("remove-{}", crate::state::new_id(state.now()));
    let about = serde_json::json!({ "ID": id, "Operation": "Remove", LOCKED_BY: user });
    state.states.lock(&guresid, &id, &about.to_string()).await.map_err(refused)?;
    state.states.remove(&guresid).await.map_err(refused)?;
    Ok(StatusCode::OK.into_response())
}

async fn lock(
    State(state): State<AppState>,
    Path(guresid): Path<String>,
    request: Request,
) -> Result<Response, Response> {
    let user = authenticate(&state, &guresid, request.headers()).ok_or_else(denied)?;
    let mut about = about(request, &state).await?.unwrap_or_default();
    let Some(id) = id_of(&about) else {
        return Err(Problem::invalid("The lock has no `ID`.").into_response());
    };
    about.insert(LOCKED_BY.to_owned(), Value::String(user));
    let about = Value::Object(about).to_string();
    state.states.lock(&guresid, &id, &about).await.map_err(refused)?;
    Ok(StatusCode::OK.into_response())
}

/// Without a description (`terraform force-unlock`), whoever holds the lock loses it.
async fn unlock(
    State(state): State<AppState>,
    Path(guresid): Path<String>,
    request: Request,
) -> Result<Response, Response> {
    let _user = authenticate(&state, &guresid, request.headers()).ok_or_else(denied)?;
    let id = about(request, &state).await?.as_ref().and_then(id_of);
    state.states.unlock(&guresid, id.as_deref()).await.map_err(refused)?;
    Ok(StatusCode::OK.into_response())
}

fn id_of(about: &JsonMap) -> Option<String> {
    let id = about.get("ID").and_then(Value::as_str)?;
    (!id.is_empty()).then(|| id.to_owned())
}

/// What the body says about a lock; nothing when it is empty.
async fn about(request: Request, state: &AppState) -> Result<Option<JsonMap>, Response> {
    let body = bytes_within(request, LOCK_BYTES, state.limits.body_time).await;
    let body = body.map_err(IntoResponse::into_response)?;
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&body).map(Some).map_err(|_| {
        Problem::unprocessable("The request body is not the description of a lock.").into_response()
    })
}

/// The user name of a caller who has the key of the resource.
fn authenticate(state: &AppState, guresid: &str, headers: &HeaderMap) -> Option<String> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = given.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = Secret::new(String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?);
    let (user, key) = text.expose().split_once(':')?;
    state.run_keys.is_valid(guresid, key).then(|| user.to_owned())
}

/// What all others are told.
fn denied() -> Response {
    let message = "This needs the key of a run of Terraform.";
    let problem = Problem::new(StatusCode::UNAUTHORIZED, Code::Unauthenticated, message);
    let mut response = problem.into_response();
    let scheme = HeaderValue::from_static("Basic realm=\"terraform state\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    response
}

fn refused(error: StateError) -> Response {
    match error {
        // What Terraform expects: the description of the lock, as its holder gave it.
        StateError::Locked { holder } => match serde_json::from_str::<Value>(&holder) {
            Ok(holder) => (StatusCode::LOCKED, Json(holder)).into_response(),
            Err(_) => Problem::conflict("The lock is not held any more.").into_response(),
        },
        error @ StateError::Failed(_) => Problem::internal(&error).into_response(),
    }
}
