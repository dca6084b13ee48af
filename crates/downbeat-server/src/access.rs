//! Who asks, and what they may do.
//!
//! A token comes as `Authorization: Bearer <token>`, or `JWT <token>` as older v1 clients write it;
//! the database knows its SHA-256. [`Caller`] is an extractor: a handler that takes one refuses an
//! anonymous request before anything else happens, and one that the caller may not make.
//!
//! ```text
//! method and path ─operations.tsv─▶ action ┐
//! token ─▶ user ─▶ roles on the organization, application, environment type ┴─▶ yes, 403 or 404
//! ```
//!
//! `downbeat_access` decides. The only way from a caller to rows of a tenant is [`Caller::scope`],
//! after that decision. Somebody who may not even know of an object is told that it is not there.

mod identity;
pub mod operations;

use std::{collections::BTreeMap, sync::Arc};

use aws_lc_rs::digest;
use axum::{
    extract::{FromRequestParts, MatchedPath, RawPathParams},
    http::{Method, header, request::Parts},
};
use downbeat_access::{Action, Object, Role, Roles, allows};
use downbeat_store::{AppScope, OrgScope, environment, user};

pub use self::identity::Identities;
use self::{identity::Identity, operations::Needs};
use crate::{AppState, Problem, Result, change::Change, problem::short, router::RequestId};

/// The role that may do everything in an organization.
pub const ADMINISTRATOR: &str = Role::Administrator.name();

/// The user who asks, for something that this user may do.
#[derive(Clone, Debug)]
pub struct Caller {
    identity: Arc<Identity>,
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
    /// The organization that the decision was about.
    org: Option<String>,
}

/// What the decision is about: the ids in the path.
#[derive(Debug, Default)]
struct Target {
    org: String,
    app: Option<String>,
    env: Option<String>,
}

impl Caller {
    /// Id of the user.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.identity.user.id
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &user::User {
        &self.identity.user
    }

    /// The strongest role on every object, by its path.
    #[must_use]
    pub fn roles(&self) -> BTreeMap<String, String> {
        let roles = self.identity.roles.iter();
        let named = roles.filter_map(|(object, roles)| {
            Some((object.clone(), strongest(*roles)?.name().to_owned()))
        });
        named.collect()
    }

    /// What the caller asks for.
    pub(crate) fn request(&self) -> &Asked {
        &self.request
    }

    /// The rows of the organization in the path: what was asked for may be done there.
    ///
    /// # Errors
    /// 404 for another organization than that of the path.
    pub fn scope(&self, org: &str) -> Result<OrgScope> {
        if self.request.org.as_deref() == Some(org) {
            return Ok(OrgScope::granted(org));
        }
        Err(Problem::not_found("organization", org))
    }

    /// [`Self::scope`], for operations that read.
    ///
    /// # Errors
    /// Those of [`Self::scope`].
    pub fn may_read(&self, org: &str) -> Result<OrgScope> {
        self.scope(org)
    }

    /// [`Self::scope`], for operations that change something.
    ///
    /// # Errors
    /// Those of [`Self::scope`].
    pub fn may_change(&self, org: &str) -> Result<OrgScope> {
        self.scope(org)
    }

    /// The organizations in which the caller may do this.
    pub fn orgs(&self, action: Action) -> impl Iterator<Item = OrgScope> {
        self.identity.roles.iter().filter_map(move |(object, roles)| {
            let org = object.strip_prefix("/orgs/")?;
            (!org.contains('/') && allows(*roles, action)).then(|| OrgScope::granted(org))
        })
    }

    /// Whether the caller may do this in the organization as a whole.
    #[must_use]
    pub fn may(&self, scope: &OrgScope, action: Action) -> bool {
        allows(self.held(&user::org_object(scope.org())), action)
    }

    /// Whether the caller may do this with an application, whatever its environments.
    #[must_use]
    pub fn may_with(&self, scope: &OrgScope, app: &str, action: Action) -> bool {
        allows(self.on_app(scope.org(), app), action)
    }

    /// Asks for leave to deploy to, create or delete an environment of a type.
    ///
    /// # Errors
    /// 403 when one of the two keys is missing.
    pub fn may_deploy(&self, scope: &AppScope, env_type: &str) -> Result<()> {
        let roles = self.on_app(scope.org(), scope.app());
        let roles = roles.and(self.on_type(scope.org(), env_type));
        if allows(roles, Action::Deploy) { Ok(()) } else { Err(refused(roles, Action::Deploy)) }
    }

    /// A transaction of this caller, audited in the log of the organization.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn change(&self, state: &AppState, scope: &OrgScope) -> Result<Change> {
        Change::begin(state, self, scope).await
    }

    fn held(&self, object: &str) -> Roles {
        self.identity.roles.get(object).copied().unwrap_or_default()
    }

    fn on_app(&self, org: &str, app: &str) -> Roles {
        let org = user::org_object(org);
        self.held(&org).and(self.held(&format!("{org}/apps/{app}")))
    }

    fn on_type(&self, org: &str, env_type: &str) -> Roles {
        self.held(&format!("{}/env-types/{env_type}", user::org_object(org)))
    }

    /// Decides whether the caller may do this with what the path names.
    async fn decide(&self, state: &AppState, action: Action, target: &Target) -> Result<()> {
        let Target { org, app, .. } = target;
        let mut roles = match app {
            Some(app) => self.on_app(org, app),
            None => self.held(&user::org_object(org)),
        };
        let is_decided = allows(roles, action) || !allows(roles, action.to_know());
        if !is_decided && action.is_about_types() {
            let types = env_types(state, target).await?;
            if types.iter().all(|kind| self.on_type(org, kind).has(Role::Deployer)) {
                roles = roles.with(Role::Deployer);
            }
        }
        if allows(roles, action) {
            return Ok(());
        }
        match app {
            _ if allows(roles, action.to_know()) => Err(refused(roles, action)),
            Some(app) if allows(roles, Action::ReadOrganization) => {
                Err(Problem::not_found("application", app))
            }
            _ => Err(Problem::not_found("organization", org)),
        }
    }
}

/// The types of the environments that a request is about; none when there are none.
async fn env_types(state: &AppState, target: &Target) -> Result<Vec<String>> {
    let Some(app) = &target.app else { return Ok(Vec::new()) };
    // Not the caller's scope yet: only the types are looked at.
    let scope = OrgScope::granted(&target.org).app(app);
    let mut conn = state.db.read().await?;
    let environments = match &target.env {
        Some(env) => environment::find(&mut conn, &scope.env(env)).await?.into_iter().collect(),
        None => environment::list(&mut conn, &scope).await?,
    };
    Ok(environments.into_iter().map(|environment| environment.kind).collect())
}

fn refused(roles: Roles, action: Action) -> Problem {
    let held: Vec<_> = roles.iter().map(|role| format!("`{}`", role.name())).collect();
    let held = if held.is_empty() { "none".to_owned() } else { held.join(", ") };
    let needed = match action {
        Action::Deploy => {
            "The roles `developer` or `owner` on the application and `deployer` on the type of \
             the environment are needed."
        }
        Action::DeleteApplication => {
            "The roles `owner` on the application and `deployer` on the types of all its \
             environments are needed."
        }
        Action::OwnApplication => "The role `owner` on the application is needed.",
        Action::ChangeApplication => {
            "The role `developer` or `owner` on the application is needed."
        }
        Action::CreateApplication | Action::ManageUsers => {
            "The role `manager` or `administrator` in the organization is needed."
        }
        Action::RegisterArtefact => {
            "The role `artefactContributor` or `administrator` in the organization is needed."
        }
        _ => "The role `administrator` in the organization is needed.",
    };
    let what = action.name();
    Problem::forbidden(format!("Your roles do not allow this ({what}); you have: {held}."))
        .with_hint(needed)
        .with_detail("action", what)
}

/// The role that says most, where there is one word only.
fn strongest(roles: Roles) -> Option<Role> {
    let order = [
        Role::Administrator,
        Role::Manager,
        Role::ArtefactContributor,
        Role::OrgViewer,
        Role::Member,
        Role::Owner,
        Role::Developer,
        Role::Viewer,
        Role::Deployer,
    ];
    order.into_iter().find(|role| roles.has(*role))
}

/// The names of the roles that there are on a kind of object.
pub(crate) fn role_names(object: Object) -> Vec<&'static str> {
    Role::ALL.into_iter().filter(|role| role.object() == object).map(Role::name).collect()
}

/// Leave to fill an organization that this process has just created.
pub(crate) fn founder(org: &str) -> OrgScope {
    OrgScope::granted(org)
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
        let identity = authenticate(state, bearer(parts)?).await?;
        tracing::Span::current().record("user", identity.user.id.as_str());
        let path = parts.uri.path().to_owned();
        let route = parts.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned());
        let needs = route.and_then(|route| operations::needs(&parts.method, &route));
        let id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let request = Asked { id, method: parts.method.clone(), path, org: None };
        let mut caller = Self { identity, request: Arc::new(request) };
        match needs {
            Some(Needs::Token) => {}
            Some(Needs::Action(action)) => {
                let target = target(parts, state).await?;
                caller.decide(state, action, &target).await?;
                Arc::make_mut(&mut caller.request).org = Some(target.org);
            }
            None => {
                return Err(Problem::forbidden(format!(
                    "Nobody may do this: `{}` is not in the table of operations.",
                    short(&caller.request.path)
                )));
            }
        }
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

/// The ids in the path that decide about access, decoded.
async fn target(parts: &mut Parts, state: &AppState) -> Result<Target> {
    let Ok(ids) = RawPathParams::from_request_parts(parts, state).await else {
        return Err(Problem::invalid("The path is not valid: an id in it is not UTF-8."));
    };
    let mut target = Target::default();
    for (name, id) in &ids {
        match name {
            "orgId" => id.clone_into(&mut target.org),
            "appId" => target.app = Some(id.to_owned()),
            "envId" => target.env = Some(id.to_owned()),
            _ => {}
        }
    }
    Ok(target)
}

async fn authenticate(state: &AppState, token: &str) -> Result<Arc<Identity>> {
    let identity = state.identities.find(&state.db, &token_hash(token)).await?;
    let Some(identity) = identity else {
        return Err(Problem::unauthenticated("The token is not known, or was revoked."));
    };
    if identity.expires_at.is_some_and(|end| end <= state.now()) {
        return Err(Problem::unauthenticated("The token has expired."));
    }
    Ok(identity)
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
