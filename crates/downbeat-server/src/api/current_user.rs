//! `GET /current-user`: who am I?

use axum::Json;
use downbeat_api::user::CurrentUser;
use downbeat_core::JsonMap;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{AppState, access::Caller};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get))
}

/// Shows the user who asks, with all roles.
#[utoipa::path(
    get, path = "/current-user", operation_id = "getCurrentUser", tag = "UserProfile",
    responses((status = 200, body = CurrentUser, description = "The user who asks.")),
)]
async fn get(caller: Caller) -> Json<CurrentUser> {
    let user = caller.user().clone();
    Json(CurrentUser {
        id: user.id,
        name: user.name,
        email: user.email,
        r#type: user.kind,
        created_at: user.created_at.into(),
        properties: JsonMap::new(),
        roles: caller.roles(),
    })
}
