//! `/users/{userId}/tokens`: tokens of users.
//!
//! A user sees and revokes the own tokens; an administrator also manages those of the service users
//! of the organization. Whoever may not is answered 403, so nothing is told about who exists.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_access::Action;
use downbeat_api::{
    ErrorBody,
    token::{CreateToken, NewToken, TokenInfo},
};
use downbeat_store::{
    AnyConnection, commit,
    token::{self as store, Token as Row},
    user,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    AppState, Problem, Result,
    access::{Caller, token_hash},
    bootstrap::new_token,
    extract::{Body, Path},
    problem::short,
};

/// The only kind of token that can be asked for.
const STATIC: &str = "static";
/// Longest id of a token.
const LONGEST_ID: usize = 100;

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, delete))
}

/// Lists the tokens of a user.
#[utoipa::path(
    get, path = "/users/{userId}/tokens", operation_id = "listUserTokens", tag = "TokenInfo",
    responses((status = 200, body = Vec<TokenInfo>, description = "All tokens, oldest first.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(user): Path<String>,
) -> Result<Json<Vec<TokenInfo>>> {
    let mut conn = state.db.read().await?;
    allow(&mut conn, &caller, &user).await?;
    Ok(Json(store::list(&mut conn, &user).await?.into_iter().map(wire).collect()))
}

/// Makes a token for a service user. It is shown in this answer only.
#[utoipa::path(
    post, path = "/users/{userId}/tokens", operation_id = "createUserToken", tag = "TokenInfo",
    request_body = CreateToken,
    responses(
        (status = 200, body = NewToken, description = "The new token."),
        (status = 409, body = ErrorBody, description = "The user has a token with this id."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path(user): Path<String>,
    Body(new): Body<CreateToken>,
) -> Result<Json<NewToken>> {
    let mut tx = state.db.write().await?;
    let owner = allow(&mut tx, &caller, &user).await?;
    if new.id.trim().is_empty() || new.id.len() > LONGEST_ID {
        return Err(Problem::invalid(format!(
            "The id of a token has 1 to {LONGEST_ID} characters."
        )));
    }
    if new.r#type != STATIC {
        let kind = short(&new.r#type);
        return Err(Problem::invalid(format!("Tokens of type `{kind}` cannot be made.")));
    }
    if owner.kind != "service" {
        return Err(Problem::invalid("Only service users can have static tokens."));
    }
    let now = state.now();
    if new.expires_at.is_some_and(|end| end.0 <= now && end.0.as_second() > YEAR_ONE_ENDS) {
        return Err(Problem::invalid("`expires_at` is in the past."));
    }
    if store::find(&mut tx, &user, &new.id).await?.is_some() {
        let id = short(&new.id);
        return Err(Problem::conflict(format!("The user has a token with id `{id}` already.")));
    }
    let row = Row {
        id: new.id,
        user_id: user,
        kind: STATIC.to_owned(),
        description: new.description.unwrap_or_default(),
        created_at: now,
        created_by: caller.id().to_owned(),
        expires_at: new.expires_at.map(|end| end.0).filter(|end| end.as_second() > YEAR_ONE_ENDS),
    };
    let token = new_token()?;
    store::create(&mut tx, &row, &token_hash(token.expose())).await?;
    commit(tx).await?;
    Ok(Json(NewToken { token: token.expose().to_owned(), r#type: row.kind }))
}

/// Shows a token, without the secret part.
#[utoipa::path(
    get, path = "/users/{userId}/tokens/{tokenId}", operation_id = "getUserToken",
    tag = "TokenInfo",
    responses((status = 200, body = TokenInfo, description = "The token.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((user, id)): Path<(String, String)>,
) -> Result<Json<TokenInfo>> {
    let mut conn = state.db.read().await?;
    allow(&mut conn, &caller, &user).await?;
    let row = store::find(&mut conn, &user, &id).await?;
    row.map(wire).map(Json).ok_or_else(|| Problem::not_found("token", &id))
}

/// Revokes a token at once.
#[utoipa::path(
    delete, path = "/users/{userId}/tokens/{tokenId}", operation_id = "deleteUserToken",
    tag = "TokenInfo",
    responses((status = 204, description = "The token is not valid any more.")),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((user, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let mut tx = state.db.write().await?;
    allow(&mut tx, &caller, &user).await?;
    if !store::delete(&mut tx, &user, &id).await? {
        return Err(Problem::not_found("token", &id));
    }
    commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Go clients write "never" as the first second of year 1.
const YEAR_ONE_ENDS: i64 = -62_104_060_800;

async fn allow(conn: &mut AnyConnection, caller: &Caller, id: &str) -> Result<user::User> {
    if caller.id() == id {
        return Ok(caller.user().clone());
    }
    for scope in caller.orgs(Action::ChangePlatform) {
        if let Some(member) = user::member(conn, &scope, "", id).await?
            && member.user.kind == "service"
        {
            return Ok(member.user);
        }
    }
    Err(Problem::forbidden(format!("You may not manage the tokens of the user `{}`.", short(id))))
}

fn wire(row: Row) -> TokenInfo {
    TokenInfo {
        id: row.id,
        r#type: row.kind,
        description: row.description,
        created_at: row.created_at.into(),
        created_by: row.created_by,
        expires_at: row.expires_at.map(Into::into),
    }
}
