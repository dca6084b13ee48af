//! A caller's transaction: what it changes and the audit entry about it commit together.
//!
//! ```text
//! caller.change(&state, &scope) ─▶ Change ─ store functions ─▶ change.commit(status, effect)
//! ```
//!
//! Handlers have no other way to write, so no operation can forget its entry. What an entry shows
//! is what the API shows: wire types hold no plaintext of a secret, but for the one of a new token,
//! which is not what its effect shows. A `Change` that is dropped has changed nothing and writes no
//! entry: that is how a request ends that asks for nothing new.

use std::ops::{Deref, DerefMut};

use axum::http::{Method, StatusCode};
use downbeat_store::{
    OrgScope, Tx,
    audit::{self, Document},
    commit,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::{AppState, Problem, Result, access::Caller};

/// Largest document of an entry, in bytes. Of a larger one only the digest is kept.
pub const LARGEST_DOCUMENT: usize = 256 * 1024;
/// Who does what this process does by itself.
pub const SYSTEM: &str = "system";

/// What a change does to an object, in its wire form.
#[derive(Clone, Debug)]
pub struct Effect {
    before: Option<Document>,
    after: Option<Document>,
}

impl Effect {
    /// The object was not there before.
    pub fn created<T: Serialize>(after: &T) -> Self {
        Self { before: None, after: document(after) }
    }

    /// The object was there before.
    pub fn changed<B: Serialize, A: Serialize>(before: &B, after: &A) -> Self {
        Self { before: document(before), after: document(after) }
    }

    /// The object is gone.
    pub fn deleted<T: Serialize>(before: &T) -> Self {
        Self { before: document(before), after: None }
    }
}

/// Wire types are JSON by nature: none fails.
fn document<T: Serialize>(value: &T) -> Option<Document> {
    let document = Document::of(value).ok()?;
    if document.bytes() > LARGEST_DOCUMENT { document.left_out().ok() } else { Some(document) }
}

/// A transaction of a caller. Dropping it rolls back.
pub struct Change {
    tx: Tx,
    scope: OrgScope,
    entry: audit::Change,
}

impl Change {
    pub(crate) async fn begin(state: &AppState, caller: &Caller, scope: &OrgScope) -> Result<Self> {
        let request = caller.request();
        // Whoever writes first has the earlier time.
        let tx = state.db.write().await?;
        let entry = audit::Change {
            at: state.now(),
            user_id: caller.id().to_owned(),
            request_id: request.id.clone(),
            method: request.method.as_str().to_owned(),
            path: request.path.clone(),
            status: 0,
            before: None,
            after: None,
        };
        Ok(Self { tx, scope: scope.clone(), entry })
    }

    /// Makes everything permanent, with an entry that says so.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn commit(mut self, status: StatusCode, effect: Effect) -> Result<()> {
        self.entry.status = status.as_u16();
        self.entry.before = effect.before;
        self.entry.after = effect.after;
        audit::append(&mut self.tx, &self.scope, &self.entry).await?;
        commit(self.tx).await.map_err(Problem::from)
    }
}

impl Deref for Change {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}

/// What this process does by itself, in the words of a request that would have asked for it.
pub(crate) struct ByItself {
    /// When.
    pub at: Timestamp,
    /// Method of the request.
    pub method: Method,
    /// Path of the request.
    pub path: String,
    /// Status of the answer.
    pub status: StatusCode,
}

impl ByItself {
    /// Writes the entry, in the transaction of the change.
    pub(crate) async fn write(self, tx: &mut Tx, scope: &OrgScope, effect: Effect) -> Result<()> {
        let entry = audit::Change {
            at: self.at,
            user_id: SYSTEM.to_owned(),
            request_id: String::new(),
            method: self.method.as_str().to_owned(),
            path: self.path,
            status: self.status.as_u16(),
            before: effect.before,
            after: effect.after,
        };
        Ok(audit::append(tx, scope, &entry).await?)
    }
}
