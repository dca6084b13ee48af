//! From errors to answers: the one place.
//!
//! The body is that of v1, `{error, message, details}`. Our code, the page about it and a hint go
//! into `details`; a few v1 operations answer an error with another body ([`Problem::with_body`]).
//! An internal error is logged here, and its cause never leaves the server.

use std::error::Error;

use axum::{
    Extension, Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use downbeat_api::ErrorBody;
use downbeat_core::{Code, Json as Value, JsonMap};

use crate::state::VaultError;

/// Result of a handler.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// Where the pages about the codes are.
const PAGES: &str = "https://github.com/downbeat-dev/downbeat/blob/main/docs/errors";

/// An answer that says what went wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    code: Code,
    message: String,
    details: Box<JsonMap>,
    body: Option<Value>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Problem {
    /// A problem. `message` is one line for people and names the ids in question.
    #[must_use]
    pub fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Box::default(), body: None }
    }

    /// 400: the request asks for something that cannot be.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::Invalid, message)
    }

    /// 401: no valid token.
    #[must_use]
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, Code::Unauthenticated, message)
            .with_hint("Send a valid token in the header `Authorization: Bearer <token>`.")
    }

    /// 403: the caller is known and may not do this.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::Forbidden, message)
    }

    /// 404: there is no such thing, or the caller may not know of it.
    #[must_use]
    pub fn not_found(what: &str, id: &str) -> Self {
        let message = format!("There is no {what} with id `{}`.", short(id));
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, message)
    }

    /// 409: the request is fine, the state of things is not.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, Code::Conflict, message)
    }

    /// 422: the body is not of the expected shape.
    #[must_use]
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::Unprocessable, message)
    }

    /// 500: our fault. The cause is logged and not told.
    #[must_use]
    pub fn internal(cause: &(dyn Error + 'static)) -> Self {
        let causes = std::iter::successors(Some(cause), |cause| (*cause).source());
        let causes: Vec<String> = causes.map(ToString::to_string).collect();
        tracing::error!(cause = causes.join(": "), "A request failed inside the server.");
        Self::failed()
    }

    /// 500 for a fault that was logged elsewhere.
    #[must_use]
    pub fn failed() -> Self {
        let message = "Something went wrong inside the server.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, message)
            .with_hint("The server's log says more under the id in `X-Request-Id`.")
    }

    /// Another code than the one of the status.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        self.with_detail("hint", hint.into())
    }

    /// Adds something to `details`.
    #[must_use]
    pub fn with_detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Names one place in the request: a JSON pointer or the name of a parameter.
    #[must_use]
    pub fn at(self, path: &str, message: &str) -> Self {
        self.with_detail("errors", serde_json::json!([{ "path": path, "message": message }]))
    }

    /// Replaces the body, for the v1 operations that do not use the common one.
    #[must_use]
    pub fn with_body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Our code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }
}

/// The message of a problem with the common body, left on the answer for
/// [`crate::router`]: a few v1 operations answer nothing but this text.
#[derive(Clone, Debug)]
pub(crate) struct Message(pub(crate) String);

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let mut response = if let Some(body) = self.body {
            (self.status, Json(body)).into_response()
        } else {
            let code = self.code.as_str();
            self.details.insert("code".to_owned(), code.into());
            self.details.insert("docs".to_owned(), format!("{PAGES}/{code}.md").into());
            let message = Message(self.message.clone());
            let body = ErrorBody {
                error: code.to_owned(),
                message: self.message,
                details: Some(*self.details),
            };
            (self.status, Extension(message), Json(body)).into_response()
        };
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<downbeat_store::Error> for Problem {
    fn from(error: downbeat_store::Error) -> Self {
        match error {
            downbeat_store::Error::Conflict => Self::conflict(
                "The change conflicts with another object: it exists already or is still in use.",
            ),
            error => Self::internal(&error),
        }
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        Self::internal(&error).with_code(Code::SecretStore)
    }
}

/// A text from the request, cut to what is fit to be repeated.
#[must_use]
pub fn short(text: &str) -> String {
    const LIMIT: usize = 80;
    if text.chars().count() <= LIMIT {
        return text.to_owned();
    }
    let cut: String = text.chars().take(LIMIT).collect();
    format!("{cut}…")
}
