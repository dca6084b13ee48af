//! Who asks, and what they may do.
//!
//! A token comes as `Authorization: Bearer <token>`, or `JWT <token>` as older v1 clients write it;
//! the database knows its SHA-256. [`Caller`] is an extractor: a handler that takes one refuses an
//! anonymous request before anything else happens. The only way from a caller to rows of a tenant
//! is [`Caller::scope`], or where the method of the request does not say what it does,
//! [`Caller::may_read`] and [`Caller::may_change`].
//!
//! | the caller has | reading | changing |
//! | --- | --- | --- |
//! | no role in the organization | 404 | 404 |
//! | role `administrator` | yes | yes |
//! | another role | yes | 403 |

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aws_lc_rs::digest;
use axum::{
    extract::FromRequestParts,
    http::{Method, header, request::Parts},
};
use downbeat_store::{OrgScope, token, user};

use crate::{AppState, Problem, Result, change::Change, router::RequestId};

/// The role that may do everything in an organization.
pub const ADMINISTRATOR: &str = "administrator";

/// Stands for an organization in the audit log where there is none.
const NO_ORGANIZATION: &str = "";

/// The user who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    user: user::User,
    roles: BTreeMap<String, String>,
    request: Arc<Asked>,
}

/// The request, as far as the audit log and the decision need it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Id of the request.
    pub id: String,
    /// HTTP method.
    pub method: Method,
    /// Path as it was sent.
    pub path: String,
}

impl Caller {
    /// Id of the user.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.user.id
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &user::User {
        &self.user
    }

    /// Roles by path of the object.
    #[must_use]
    pub fn roles(&self) -> &BTreeMap<String, String> {
        &self.roles
    }

    /// The organizations that the caller has a role in.
    pub fn orgs(&self) -> impl Iterator<Item = OrgScope> {
        self.roles.keys().filter_map(|object| {
            let org = object.strip_prefix("/orgs/")?;
            (!org.contains('/')).then(|| OrgScope::granted(org))
        })
    }

    /// The log for what the caller changes about themselves: that of the only organization they
    /// have a role in; of none, when there are several.
    pub(crate) fn own_log(&self) -> OrgScope {
        log_of(&self.roles)
    }

    /// What the caller asks for.
    pub(crate) fn request(&self) -> &Asked {
        &self.request
    }

    /// Leave to do in the organization what the caller asks for.
    ///
    /// # Errors
    /// 404 when the caller may not know of the organization, 403 when the caller may not do this.
    pub fn scope(&self, org: &str) -> Result<OrgScope> {
        if self.request.method.is_safe() { self.may_read(org) } else { self.may_change(org) }
    }

    /// A transaction of this caller, audited in the log of the organization.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn change(&self, state: &AppState, scope: &OrgScope) -> Result<Change> {
        Change::begin(state, self, scope).await
    }

    /// Leave to read what the organization has.
    ///
    /// # Errors
    /// 404 when the caller has no role in the organization, or there is no such organization.
    pub fn may_read(&self, org: &str) -> Result<OrgScope> {
        self.role(org)?;
        Ok(OrgScope::granted(org))
    }

    /// Leave to change what the organization has.
    ///
    /// # Errors
    /// As [`Self::may_read`], and 403 when the caller's role does not allow changes.
    pub fn may_change(&self, org: &str) -> Result<OrgScope> {
        let role = self.role(org)?;
        if role == ADMINISTRATOR {
            return Ok(OrgScope::granted(org));
        }
        Err(Problem::forbidden(format!("Your role `{role}` in `{org}` does not allow this."))
            .with_hint("An administrator of the organization can give you another role."))
    }

    fn role(&self, org: &str) -> Result<&str> {
        let role = self.roles.get(&user::org_object(org));
        role.map(String::as_str).ok_or_else(|| Problem::not_found("organization", org))
    }
}

/// Leave to fill an organization that this process has just created.
pub(crate) fn founder(org: &str) -> OrgScope {
    OrgScope::granted(org)
}

/// The log for changes to a user with these roles.
pub(crate) fn log_of(roles: &BTreeMap<String, String>) -> OrgScope {
    let orgs = roles.keys().filter_map(|object| object.strip_prefix("/orgs/"));
    let orgs: BTreeSet<&str> = orgs.filter_map(|rest| rest.split('/').next()).collect();
    match orgs.first() {
        Some(org) if orgs.len() == 1 => OrgScope::granted(org),
        _ => OrgScope::granted(NO_ORGANIZATION),
    }
}

/// What the database keeps of a token.
#[must_use]
pub fn token_hash(token: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, token.as_bytes()).as_ref().to_vec()
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self> {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let token = bearer(parts)?;
        let id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let path = parts.uri.path().to_owned();
        let asked = Asked { id, method: parts.method.clone(), path };
        let caller = authenticate(state, token, asked).await?;
        tracing::Span::current().record("user", caller.id());
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

async fn authenticate(state: &AppState, token: &str, request: Asked) -> Result<Caller> {
    let unknown = || Problem::unauthenticated("The token is not known, or was revoked.");
    let mut conn = state.db.read().await?;
    let token = token::by_hash(&mut conn, &token_hash(token)).await?.ok_or_else(unknown)?;
    if token.expires_at.is_some_and(|end| end <= state.now()) {
        return Err(Problem::unauthenticated("The token has expired."));
    }
    let user = user::find(&mut conn, &token.user_id).await?.ok_or_else(unknown)?;
    let roles = user::roles(&mut conn, &user.id).await?;
    Ok(Caller { user, roles, request: Arc::new(request) })
}

fn bearer(parts: &Parts) -> Result<&str> {
    let header = parts
        .headers
        .get(header::AUTHORIZATION)
        .ok_or_else(|| Problem::unauthenticated("The request has no `Authorization` header."))?;
    let malformed = || {
        Problem::unauthenticated("The `Authorization` header is not of the form `Bearer <token>`.")
    };
    let (scheme, token) =
        header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    let known = scheme.eq_ignore_ascii_case("Bearer") || scheme.eq_ignore_ascii_case("JWT");
    let token = token.trim();
    if known && !token.is_empty() { Ok(token) } else { Err(malformed()) }
}
