//! Is what a request changed in the audit log, and nothing else?

use std::sync::{Mutex, PoisonError};

use downbeat_api::client::{Exchange, Method};
use downbeat_core::Json;
use downbeat_server::access::token_hash;
use downbeat_store::{
    Db,
    audit::{self, Entry},
    token,
};

/// Operations with a method that changes things and that change nothing: they only look, or only
/// refuse.
pub const READING: [&str; 5] = [
    "checkClusterConnectivity",
    "checkResourceAccount",
    "convertScoreToSet",
    "patchReplicas",
    "queryResourceGraph",
];

/// Operations whose answer is not what was changed: a secret, and the id of it. Headers of webhooks
/// are answered, and masked in the log.
const SHOWN_OTHERWISE: [&str; 4] =
    ["createUserToken", "updateSet", "createWebhook", "patchWebhook"];

/// The audit log behind a server, for one caller.
pub struct AuditLog {
    db: Db,
    token: Option<String>,
    /// Id of the user whose token it is, once it is known: the token may go.
    user: Mutex<Option<String>>,
}

impl AuditLog {
    pub(crate) fn new(db: Db, token: Option<&str>) -> Self {
        Self { db, token: token.map(str::to_owned), user: Mutex::default() }
    }

    /// Checks that a change has exactly one entry, that the entry says what was asked by whom and
    /// what came of it, and that everything else has none. `operation` is the id of the operation.
    ///
    /// # Panics
    /// When it is otherwise.
    pub async fn check(&self, operation: Option<&str>, exchange: &Exchange) {
        let Exchange { method, path, status, .. } = exchange;
        let context = format!("{method} {path} -> {status}");
        let id = exchange.header("x-request-id").expect("the contract was checked");
        let mut conn = self.db.read().await.expect("a connection");
        let user = self.user(&mut conn).await;
        let entries = audit::of_request(&mut conn, id).await.expect("the audit log");
        drop(conn);
        match expected(operation, exchange) {
            Expected::Entry => assert_eq!(entries.len(), 1, "{context}: entries of the audit log"),
            Expected::Nothing => assert!(entries.is_empty(), "{context}: nothing changed"),
            Expected::Either => assert!(entries.len() <= 1, "{context}: one entry is enough"),
        }
        for Entry { org_id, change, .. } in &entries {
            if let Some(user) = &user {
                assert_eq!(change.user_id, *user, "{context}: the user");
            }
            assert_eq!(change.method, method.as_str(), "{context}: the method");
            assert_eq!(change.status, *status, "{context}: the status");
            let sent = path.split('?').next().unwrap_or(path);
            assert_eq!(change.path, sent, "{context}: the path");
            if let Some(rest) = sent.strip_prefix("/orgs/") {
                assert_eq!(rest.split('/').next(), Some(org_id.as_str()), "{context}: whose log");
            }
            let before = change.before.as_ref().map(audit::Document::json);
            let after = change.after.as_ref().map(audit::Document::json);
            assert!(before.is_some() || after.is_some(), "{context}: nothing is shown");
            let gone =
                *method == Method::DELETE && *status == 204 && operation != Some("endRemoval");
            assert_eq!(after.is_none(), gone || is_purge(path), "{context}: what is shown after");
            for shown in [&before, &after].into_iter().flatten() {
                let is_secret =
                    shown.to_string().contains(downbeat_server::bootstrap::TOKEN_PREFIX);
                assert!(!is_secret, "{context}: a token is shown");
            }
            let is_left_out = change.after.as_ref().is_some_and(audit::Document::is_left_out);
            let is_answer = operation.is_none_or(|id| !SHOWN_OTHERWISE.contains(&id));
            if let (2, Some(after), false, true) = (status / 100, &after, is_left_out, is_answer) {
                contains(after, &exchange.json(), &context);
            }
        }
    }

    async fn user(&self, conn: &mut downbeat_store::Conn) -> Option<String> {
        let known = |user: &Mutex<Option<String>>| {
            user.lock().unwrap_or_else(PoisonError::into_inner).clone()
        };
        if let Some(user) = known(&self.user) {
            return Some(user);
        }
        let token = token::by_hash(conn, &token_hash(self.token.as_ref()?)).await.expect("tokens");
        let user = token.map(|token| token.user_id);
        self.user.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&user);
        user
    }
}

/// How many entries a request has.
enum Expected {
    Entry,
    Nothing,
    Either,
}

fn expected(operation: Option<&str>, exchange: &Exchange) -> Expected {
    let Exchange { method, path, status, .. } = exchange;
    let Some(operation) = operation else { return Expected::Nothing };
    if method.is_safe() || READING.contains(&operation) || path.contains("dry_run=true") {
        return Expected::Nothing;
    }
    match status {
        // Whether it is asked for the first time is not seen from here.
        202 => Expected::Either,
        200..300 => Expected::Entry,
        // What could not be freed is tried again, although the answer is an error.
        409 if *method == Method::DELETE => {
            let hint = exchange.json().pointer("/details/hint").cloned().unwrap_or_default();
            let again = hint.as_str().is_some_and(|hint| hint.starts_with("It is tried again"));
            if again { Expected::Entry } else { Expected::Nothing }
        }
        _ => Expected::Nothing,
    }
}

fn is_purge(path: &str) -> bool {
    path.contains("/value-set-versions/") && path.contains("/purge/")
}

/// Everything that the answer says, the entry shows.
fn contains(shown: &Json, answer: &Json, context: &str) {
    match answer {
        // A version that is only proposed changes nothing of what is answered.
        Json::Object(_) if shown.get("proposed").is_some_and(|flag| *flag == Json::Bool(true)) => {}
        Json::Object(members) => {
            for (name, value) in members {
                assert_eq!(shown.get(name), Some(value), "{context}: `{name}` as it is shown");
            }
        }
        Json::Array(_) => assert_eq!(shown, answer, "{context}: what is shown"),
        _ => {}
    }
}
