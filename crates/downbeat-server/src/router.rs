//! All routes, and what happens to every request on the way in and out.
//!
//! ```text
//! request ─▶ id ─▶ log ─▶ time limit ─▶ panics ─▶ JSON for 404 and 405 ─▶ route ─▶ handler
//! ```

use std::{
    collections::BTreeSet,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Instant,
};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use downbeat_core::{Code, Json};
use tracing::Instrument as _;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::{AppState, Problem, api, not_yet, openapi, problem::Message, terraform_state};

/// Carries the id of a request on its answer, to be found in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, for those who handle it.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub String);

/// The operations that are there, by noun.
fn operations() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::base())
        .merge(api::account::routes())
        .merge(api::active_resource::routes())
        .merge(api::agent::routes())
        .merge(api::application::routes())
        .merge(api::artefact::routes())
        .merge(api::artefact_version::routes())
        .merge(api::audit::routes())
        .merge(api::current_user::routes())
        .merge(api::definition::routes())
        .merge(api::delta::routes())
        .merge(api::deployment::routes())
        .merge(api::driver::routes())
        .merge(api::environment::routes())
        .merge(api::environment_type::routes())
        .merge(api::graph::routes())
        .merge(api::health::routes())
        .merge(api::image::routes())
        .merge(api::organization::routes())
        .merge(api::pipeline::routes())
        .merge(api::pipeline_criteria::routes())
        .merge(api::automation_rule::routes())
        .merge(api::public_key::routes())
        .merge(api::registry::routes())
        .merge(api::resource_class::routes())
        .merge(api::resource_type::routes())
        .merge(api::role::routes())
        .merge(api::runtime::routes())
        .merge(api::score::routes())
        .merge(api::secret_store::routes())
        .merge(api::set::routes())
        .merge(api::token::routes())
        .merge(api::user::routes())
        .merge(api::value::routes())
        .merge(api::value_set_version::routes())
        .merge(api::webhook::routes())
        .merge(api::workload_profile::routes())
        .merge(api::workload_profile_chart::routes())
}

/// The whole service.
pub fn router(state: AppState) -> Router {
    let (routes, document) = operations().split_for_parts();
    let (routes, document) = not_yet::add(routes, openapi::complete(document));
    let bare = Arc::new(openapi::bare_not_found(&document));
    let document = Arc::new(document);
    routes
        .layer(middleware::from_fn_with_state(bare, text_for_404))
        .merge(openapi::route(&document))
        .merge(terraform_state::routes())
        .fallback(unknown)
        .layer(middleware::from_fn(json_for_405))
        .layer(middleware::from_fn(catch_panics))
        .layer(middleware::from_fn_with_state(state.clone(), time_limit))
        .layer(middleware::from_fn(log))
        .with_state(state)
}

/// The OpenAPI document of the service.
#[must_use]
pub fn document() -> Json {
    let (routes, document) = operations().split_for_parts();
    not_yet::add(routes, openapi::complete(document)).1
}

async fn unknown(request: Request) -> Problem {
    let method = request.method().as_str();
    let path = crate::problem::short(request.uri().path());
    let message = format!("There is no operation `{method} {path}`.");
    Problem::new(StatusCode::NOT_FOUND, Code::NotFound, message)
        .with_hint("`GET /openapi.json` lists all operations.")
}

/// Where the document says so, a 404 is nothing but its message.
async fn text_for_404(
    State(bare): State<Arc<BTreeSet<String>>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let is_bare = bare.contains(&format!("{} {path}", request.method()));
    let response = next.run(request).await;
    let message = response.extensions().get::<Message>();
    match message {
        Some(Message(message)) if is_bare && response.status() == StatusCode::NOT_FOUND => {
            (StatusCode::NOT_FOUND, axum::Json(message)).into_response()
        }
        _ => response,
    }
}

/// axum answers a wrong method without a body; the `Allow` header is kept.
async fn json_for_405(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let response = next.run(request).await;
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let message = format!("The method `{method}` is not there for this path.");
    let mut problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, message)
        .into_response();
    if let Some(allow) = response.headers().get(header::ALLOW) {
        problem.headers_mut().insert(header::ALLOW, allow.clone());
    }
    problem
}

/// A panic in a handler ends that request only, with an answer that tells nothing.
async fn catch_panics(request: Request, next: Next) -> Response {
    let mut answer = pin!(next.run(request));
    let result =
        poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
            Ok(Poll::Ready(response)) => Poll::Ready(Ok(response)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => Poll::Ready(Err(panic)),
        });
    result.await.unwrap_or_else(|_panic| {
        tracing::error!("A handler panicked.");
        Problem::failed().into_response()
    })
}

/// Dropping the handler rolls its transaction back. Whether it had committed by then is not known
/// here, so the answer does not say.
async fn time_limit(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(state.limits.answer_time, next.run(request));
    answer.await.unwrap_or_else(|_elapsed| {
        let message = "The server took too long to answer.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::Internal, message)
            .with_hint("A change may have been made: look before you repeat it.")
            .into_response()
    })
}

/// One line for each request. The query is left out: it may hold what a client should not have put
/// there; so are all headers. Clients that wait for a deployment ask for its progress again and
/// again: those lines are for debugging only.
async fn log(mut request: Request, next: Next) -> Response {
    let id = Uuid::new_v4().to_string();
    request.extensions_mut().insert(RequestId(id.clone()));
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        id,
        method = request.method().as_str(),
        route,
        user = tracing::field::Empty,
    );
    let is_poll = request.method() == Method::GET && route.ends_with("/progress");
    let start = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    span.in_scope(|| {
        if is_poll {
            tracing::debug!(status, milliseconds, "Answered.");
        } else {
            tracing::info!(status, milliseconds, "Answered.");
        }
    });
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use axum::{
        Router,
        body::{Body, to_bytes},
        middleware,
        routing::get,
    };
    use tower::ServiceExt as _;

    use super::{REQUEST_ID, Request, StatusCode, catch_panics, log};

    /// One test at a time: a place that logs finds out once for all threads who listens.
    static LOG: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    /// What was logged.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn asking_for_progress_is_logged_for_debugging_only() {
        let _alone = LOG.lock().await;
        let lines = Lines::default();
        let written = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || written.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let router: Router = Router::new()
            .route("/deploys/{id}", get(|| async {}))
            .route("/deploys/{id}/progress", get(|| async {}))
            .layer(middleware::from_fn(log));
        for path in ["/deploys/1", "/deploys/1/progress"] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap();
        }
        drop(guard);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let levels: Vec<_> =
            text.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert_eq!(levels, ["INFO", "DEBUG"], "{text}");
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_that_tells_nothing() {
        async fn broken() {
            tokio::task::yield_now().await;
            panic!("the secret is 42");
        }
        let _alone = LOG.lock().await;
        let router: Router = Router::new()
            .route("/", get(broken))
            .layer(middleware::from_fn(catch_panics))
            .layer(middleware::from_fn(log));
        let request = Request::get("/").body(Body::empty()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(answer.headers().contains_key(REQUEST_ID));
        let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains("API-500") && !body.contains("42"), "{body}");
    }
}
