//! A client for tests: paths and JSON, as a session reads. Each answer is checked: against the
//! document, and whether the audit log has what was changed.

use std::sync::Arc;

use downbeat_api::client::{self, Exchange, Method};
use downbeat_core::Json;
use downbeat_store::Db;

use crate::{AuditLog, Contract};

/// A client whose answers are checked.
#[derive(Clone)]
pub struct Client {
    typed: client::Client,
}

impl Client {
    pub(crate) fn new(base: &str, token: Option<&str>, contract: &Arc<Contract>, db: &Db) -> Self {
        let contract = Arc::clone(contract);
        let log = Arc::new(AuditLog::new(db.clone(), token));
        let typed = client::Client::new(base, token).expect("a client");
        let typed = typed.observed(move |exchange| {
            let (contract, log) = (Arc::clone(&contract), Arc::clone(&log));
            Box::pin(async move {
                let operation = contract.check(exchange);
                log.check(operation.as_deref(), exchange).await;
            })
        });
        Self { typed }
    }

    /// The typed client; its answers are checked as well.
    #[must_use]
    pub fn typed(&self) -> &client::Client {
        &self.typed
    }

    /// The same client, asking for another media type.
    #[must_use]
    pub fn accepting(&self, media_type: &str) -> Self {
        Self { typed: self.typed.clone().accepting(media_type) }
    }

    /// The same client, asking for this etag.
    #[must_use]
    pub fn expecting(&self, etag: &str) -> Self {
        Self { typed: self.typed.clone().expecting(etag) }
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    /// `POST path` with a JSON body.
    pub async fn post(&self, path: &str, body: Json) -> Answer {
        self.send("POST", path, Some(body)).await
    }

    /// `PUT path` with a JSON body.
    pub async fn put(&self, path: &str, body: Json) -> Answer {
        self.send("PUT", path, Some(body)).await
    }

    /// `PATCH path` with a JSON body.
    pub async fn patch(&self, path: &str, body: Json) -> Answer {
        self.send("PATCH", path, Some(body)).await
    }

    /// `DELETE path`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None).await
    }

    /// Any method, with a JSON body or none.
    pub async fn send(&self, method: &str, path: &str, body: Option<Json>) -> Answer {
        let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
        self.send_raw(method, path, body).await
    }

    /// Any method, with any body, declared to be of any type.
    pub async fn send_raw(
        &self,
        method: &str,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Answer {
        let method: Method = method.parse().expect("a method");
        let exchange = self.typed.exchange(method, path, body).await;
        Answer(exchange.unwrap_or_else(|error| panic!("no answer for {path}: {error:?}")))
    }
}

/// An answer that fits the contract.
#[derive(Clone, Debug)]
pub struct Answer(Exchange);

impl Answer {
    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// A header, by lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.header(name)
    }

    /// The JSON body, after checking the status. Null when there is no body.
    ///
    /// # Panics
    /// When the status is another one.
    #[track_caller]
    #[must_use]
    pub fn json(self, status: u16) -> Json {
        self.is(status);
        self.0.json()
    }

    /// The body as text, after checking the status.
    ///
    /// # Panics
    /// When the status is another one.
    #[track_caller]
    #[must_use]
    pub fn text(self, status: u16) -> String {
        self.is(status);
        String::from_utf8_lossy(&self.0.body).into_owned()
    }

    /// Checks the status.
    ///
    /// # Panics
    /// When the status is another one.
    #[track_caller]
    pub fn is(&self, status: u16) {
        let Exchange { method, path, body, .. } = &self.0;
        let body = String::from_utf8_lossy(body);
        assert_eq!(self.0.status, status, "{method} {path} answered: {body}");
    }

    /// Checks the status and the code of an error, and answers its message.
    ///
    /// # Panics
    /// When the status or the code is another one, or the body is not that of an error.
    #[track_caller]
    #[must_use]
    pub fn refused(self, status: u16, code: &str) -> String {
        let body = self.json(status);
        let text = |name: &str| body.get(name).and_then(Json::as_str).unwrap_or_default();
        assert_eq!(text("error"), code, "{body}");
        assert!(!text("message").is_empty(), "{body}");
        text("message").to_owned()
    }
}
