//! A typed client of the API.
//!
//! [`Client::send`] reaches every operation; the methods below it are shorter words for common
//! ones. Ids are put into paths with [`path`], which encodes what would end a segment.

mod deploying;
mod resources;

use std::{pin::Pin, sync::Arc};

use downbeat_core::{Json, JsonMap};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
pub use reqwest::Method;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{
    ErrorBody,
    application::{Application, CreateApplication, PatchApplication},
    environment::{CreateEnvironment, Environment, PatchEnvironment},
    environment_type::{CreateEnvironmentType, EnvironmentType, PatchEnvironmentType},
    health::Health,
    organization::Organization,
    token::{CreateToken, NewToken, TokenInfo},
    user::{CreateServiceUser, CurrentUser, User, UserRole},
    value::{CreateValue, PatchValue, PutValue, SharedValue, ValueSetVersion},
};

/// Result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with a call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused the request, and said why.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Code of the error, for example `API-404`; empty when the server gave none.
        code: String,
        /// One line for people.
        message: String,
        /// More about the case; empty when the server gave nothing.
        details: JsonMap,
    },
    /// The server could not be reached, or the connection broke.
    #[error("the server cannot be reached")]
    Transport(#[source] reqwest::Error),
    /// The answer is not what the operation answers.
    #[error("the server answered something else than `{expected}`")]
    Unexpected {
        /// Name of the type that was expected.
        expected: &'static str,
        /// What the reader said.
        #[source]
        source: serde_json::Error,
    },
}

impl Error {
    /// HTTP status of a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Transport(_) | Self::Unexpected { .. } => None,
        }
    }
}

/// A request and its answer, for whoever wants to look on.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Method of the request.
    pub method: Method,
    /// Path of the request, with the query.
    pub path: String,
    /// Status of the answer.
    pub status: u16,
    /// Headers of the answer, with lower-case names.
    pub headers: Vec<(String, String)>,
    /// Body of the answer.
    pub body: Vec<u8>,
}

impl Exchange {
    /// A header of the answer.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What an observer does with an exchange; the caller waits for it.
pub type Observation<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

type Observer = Arc<dyn Fn(&Exchange) -> Observation<'_> + Send + Sync>;

/// A client of one server, as one user. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    accept: Option<String>,
    if_match: Option<String>,
    observer: Option<Observer>,
}

impl Client {
    /// A client of the server at `base`, for example `https://downbeat.example/`, with a path prefix
    /// if it has one.
    ///
    /// # Errors
    /// When TLS cannot be set up on this machine.
    pub fn new(base: &str, token: Option<&str>) -> Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().build().map_err(Error::Transport)?,
            base: base.trim_end_matches('/').to_owned(),
            token: token.map(ToOwned::to_owned),
            accept: None,
            if_match: None,
            observer: None,
        })
    }

    /// Calls `observer` with every exchange.
    #[must_use]
    pub fn observed(
        mut self,
        observer: impl Fn(&Exchange) -> Observation<'_> + Send + Sync + 'static,
    ) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Asks for answers of this media type, where an operation has several.
    #[must_use]
    pub fn accepting(mut self, media_type: &str) -> Self {
        self.accept = Some(media_type.to_owned());
        self
    }

    /// Has the server refuse what is asked for unless the object has this etag.
    #[must_use]
    pub fn expecting(mut self, etag: &str) -> Self {
        self.if_match = Some(etag.to_owned());
        self
    }

    /// Sends a request and reads the answer, whatever its status. `body` is sent as it is, declared
    /// to be `content_type`.
    ///
    /// # Errors
    /// [`Error::Transport`] only.
    pub async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Exchange> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(media_type) = &self.accept {
            request = request.header("accept", media_type);
        }
        if let Some(etag) = &self.if_match {
            request = request.header("if-match", etag);
        }
        if let Some((content_type, body)) = body {
            request = request.header("content-type", content_type).body(body);
        }
        let answer = request.send().await.map_err(Error::Transport)?;
        let header = |(name, value): (&reqwest::header::HeaderName, _)| {
            let value: &reqwest::header::HeaderValue = value;
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let exchange = Exchange {
            method,
            path: path.to_owned(),
            status: answer.status().as_u16(),
            headers: answer.headers().iter().map(header).collect(),
            body: answer.bytes().await.map_err(Error::Transport)?.into(),
        };
        if let Some(observer) = &self.observer {
            observer(&exchange).await;
        }
        Ok(exchange)
    }

    /// Calls an operation. Without an answer body, `T` is `()`.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses, or answers something else than a `T`.
    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Json>,
    ) -> Result<T> {
        let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
        let exchange = self.exchange(method, path, body).await?;
        if !(200..300).contains(&exchange.status) {
            return Err(refusal(&exchange));
        }
        let body: &[u8] = if exchange.body.is_empty() { b"null" } else { &exchange.body };
        serde_json::from_slice(body)
            .map_err(|source| Error::Unexpected { expected: std::any::type_name::<T>(), source })
    }

    async fn get<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T> {
        self.send(Method::GET, &path(segments), None).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &(impl Serialize + Sync),
    ) -> Result<T> {
        self.send(Method::POST, &path(segments), Some(json!(body))).await
    }

    async fn put<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &(impl Serialize + Sync),
    ) -> Result<T> {
        self.send(Method::PUT, &path(segments), Some(json!(body))).await
    }

    async fn patch<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &(impl Serialize + Sync),
    ) -> Result<T> {
        self.send(Method::PATCH, &path(segments), Some(json!(body))).await
    }

    async fn delete(&self, segments: &[&str]) -> Result<()> {
        self.send(Method::DELETE, &path(segments), None).await
    }
}

/// Shorter words for common operations.
#[expect(clippy::missing_errors_doc, reason = "each fails as `send` does")]
impl Client {
    /// Is the server there?
    pub async fn health(&self) -> Result<Health> {
        self.get(&["health"]).await
    }

    /// Who am I?
    pub async fn current_user(&self) -> Result<CurrentUser> {
        self.get(&["current-user"]).await
    }

    /// Lists the organizations that I have a role in.
    pub async fn organizations(&self) -> Result<Vec<Organization>> {
        self.get(&["orgs"]).await
    }

    /// Shows an organization.
    pub async fn organization(&self, org: &str) -> Result<Organization> {
        self.get(&["orgs", org]).await
    }

    /// Lists who has a role in an organization.
    pub async fn users(&self, org: &str) -> Result<Vec<UserRole>> {
        self.get(&["orgs", org, "users"]).await
    }

    /// Creates a service user.
    pub async fn create_service_user(&self, org: &str, new: &CreateServiceUser) -> Result<User> {
        self.post(&["orgs", org, "users"], new).await
    }

    /// Removes a user from an organization.
    pub async fn delete_user(&self, org: &str, user: &str) -> Result<()> {
        self.delete(&["orgs", org, "users", user]).await
    }

    /// Lists the tokens of a user.
    pub async fn tokens(&self, user: &str) -> Result<Vec<TokenInfo>> {
        self.get(&["users", user, "tokens"]).await
    }

    /// Makes a token.
    pub async fn create_token(&self, user: &str, new: &CreateToken) -> Result<NewToken> {
        self.post(&["users", user, "tokens"], new).await
    }

    /// Revokes a token.
    pub async fn delete_token(&self, user: &str, token: &str) -> Result<()> {
        self.delete(&["users", user, "tokens", token]).await
    }

    /// Lists environment types.
    pub async fn environment_types(&self, org: &str) -> Result<Vec<EnvironmentType>> {
        self.get(&["orgs", org, "env-types"]).await
    }

    /// Creates an environment type.
    pub async fn create_environment_type(
        &self,
        org: &str,
        new: &CreateEnvironmentType,
    ) -> Result<EnvironmentType> {
        self.post(&["orgs", org, "env-types"], new).await
    }

    /// Changes an environment type.
    pub async fn patch_environment_type(
        &self,
        org: &str,
        id: &str,
        change: &PatchEnvironmentType,
    ) -> Result<EnvironmentType> {
        self.patch(&["orgs", org, "env-types", id], change).await
    }

    /// Deletes an environment type.
    pub async fn delete_environment_type(&self, org: &str, id: &str) -> Result<()> {
        self.delete(&["orgs", org, "env-types", id]).await
    }

    /// Lists applications.
    pub async fn applications(&self, org: &str) -> Result<Vec<Application>> {
        self.get(&["orgs", org, "apps"]).await
    }

    /// Creates an application.
    pub async fn create_application(
        &self,
        org: &str,
        new: &CreateApplication,
    ) -> Result<Application> {
        self.post(&["orgs", org, "apps"], new).await
    }

    /// Shows an application.
    pub async fn application(&self, org: &str, app: &str) -> Result<Application> {
        self.get(&["orgs", org, "apps", app]).await
    }

    /// Changes an application.
    pub async fn patch_application(
        &self,
        org: &str,
        app: &str,
        change: &PatchApplication,
    ) -> Result<Application> {
        self.patch(&["orgs", org, "apps", app], change).await
    }

    /// Deletes an application.
    pub async fn delete_application(&self, org: &str, app: &str) -> Result<()> {
        self.delete(&["orgs", org, "apps", app]).await
    }

    /// Lists environments.
    pub async fn environments(&self, org: &str, app: &str) -> Result<Vec<Environment>> {
        self.get(&["orgs", org, "apps", app, "envs"]).await
    }

    /// Creates an environment.
    pub async fn create_environment(
        &self,
        org: &str,
        app: &str,
        new: &CreateEnvironment,
    ) -> Result<Environment> {
        self.post(&["orgs", org, "apps", app, "envs"], new).await
    }

    /// Shows an environment.
    pub async fn environment(&self, org: &str, app: &str, env: &str) -> Result<Environment> {
        self.get(&["orgs", org, "apps", app, "envs", env]).await
    }

    /// Changes an environment.
    pub async fn patch_environment(
        &self,
        org: &str,
        app: &str,
        env: &str,
        change: &PatchEnvironment,
    ) -> Result<Environment> {
        self.patch(&["orgs", org, "apps", app, "envs", env], change).await
    }

    /// Deletes an environment.
    pub async fn delete_environment(&self, org: &str, app: &str, env: &str) -> Result<()> {
        self.delete(&["orgs", org, "apps", app, "envs", env]).await
    }

    /// Makes a deployment the base of the next one.
    pub async fn rebase_environment(
        &self,
        org: &str,
        app: &str,
        env: &str,
        deployment: &str,
    ) -> Result<()> {
        self.put(&["orgs", org, "apps", app, "envs", env, "from_deploy_id"], &deployment).await
    }

    /// Pauses an environment, or resumes it.
    pub async fn pause_environment(
        &self,
        org: &str,
        app: &str,
        env: &str,
        paused: bool,
    ) -> Result<()> {
        self.put(&["orgs", org, "apps", app, "envs", env, "runtime", "paused"], &paused).await
    }

    /// Lists the values of an application, or of one of its environments.
    pub async fn values(
        &self,
        org: &str,
        app: &str,
        env: Option<&str>,
    ) -> Result<Vec<SharedValue>> {
        self.get(&level(org, app, env, &["values"])).await
    }

    /// Creates a value.
    pub async fn create_value(
        &self,
        org: &str,
        app: &str,
        env: Option<&str>,
        new: &CreateValue,
    ) -> Result<SharedValue> {
        self.post(&level(org, app, env, &["values"]), new).await
    }

    /// Replaces a value.
    pub async fn put_value(
        &self,
        org: &str,
        app: &str,
        env: Option<&str>,
        key: &str,
        new: &PutValue,
    ) -> Result<SharedValue> {
        self.put(&level(org, app, env, &["values", key]), new).await
    }

    /// Changes a value.
    pub async fn patch_value(
        &self,
        org: &str,
        app: &str,
        env: Option<&str>,
        key: &str,
        change: &PatchValue,
    ) -> Result<SharedValue> {
        self.patch(&level(org, app, env, &["values", key]), change).await
    }

    /// Deletes a value.
    pub async fn delete_value(
        &self,
        org: &str,
        app: &str,
        env: Option<&str>,
        key: &str,
    ) -> Result<()> {
        self.delete(&level(org, app, env, &["values", key])).await
    }

    /// Lists the versions of the values.
    pub async fn value_set_versions(
        &self,
        org: &str,
        app: &str,
        env: Option<&str>,
    ) -> Result<Vec<ValueSetVersion>> {
        self.get(&level(org, app, env, &["value-set-versions"])).await
    }
}

fn level<'a>(org: &'a str, app: &'a str, env: Option<&'a str>, rest: &[&'a str]) -> Vec<&'a str> {
    let mut segments = vec!["orgs", org, "apps", app];
    segments.extend(env.into_iter().flat_map(|env| ["envs", env]));
    segments.extend(rest);
    segments
}

/// What an answer that is no success says.
#[must_use]
pub fn refusal(exchange: &Exchange) -> Error {
    let status = exchange.status;
    // A few operations answer an error with a bare text, or with something of their own.
    let body = serde_json::from_slice::<Json>(&exchange.body).unwrap_or_default();
    match (serde_json::from_value::<ErrorBody>(body.clone()), body) {
        (Ok(body), _) => Error::Refused {
            status,
            code: body.error,
            message: body.message,
            details: body.details.unwrap_or_default(),
        },
        (Err(_), Json::String(message)) => {
            Error::Refused { status, code: String::new(), message, details: JsonMap::new() }
        }
        (Err(_), body) => {
            let mut details = JsonMap::new();
            if !body.is_null() {
                details.insert("body".to_owned(), body);
            }
            let message = format!("The server answered with status {status}.");
            Error::Refused { status, code: String::new(), message, details }
        }
    }
}

/// What may stand in a segment as it is: RFC 3986 `unreserved`.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path of segments, each encoded: a `/` in an id becomes `%2F`.
#[must_use]
pub fn path(segments: &[&str]) -> String {
    let encode = |segment: &&str| format!("/{}", utf8_percent_encode(segment, SEGMENT));
    segments.iter().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_segment_stays_one() {
        assert_eq!(path(&["orgs", "acme", "a/b"]), "/orgs/acme/a%2Fb");
        assert_eq!(path(&["ü?", "shared.x"]), "/%C3%BC%3F/shared.x");
    }
}
