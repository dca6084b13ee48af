//! A caller's transaction: what it changes and the audit entry about it commit together.
//!
//! ```text
//! caller.change(&state) ─▶ Change ─ store functions ─▶ change.commit(status, effect)
//! ```
//!
//! Handlers have no other way to write, so no operation can forget its entry. What an entry shows
//! is what the API shows: wire types hold no plaintext of a secret.

use std::ops::{Deref, DerefMut};

use axum::http::StatusCode;
use downbeat_core::Json;
use downbeat_store::{OrgScope, Tx, audit, commit};
use serde::Serialize;

use crate::{AppState, Problem, Result, access::Caller};

/// What a change does to an object, in its wire form.
#[derive(Clone, Debug)]
pub struct Effect {
    before: Option<Json>,
    after: Option<Json>,
}

impl Effect {
    /// The object was not there before.
    pub fn created<T: Serialize>(after: &T) -> Self {
        Self { before: None, after: json(after) }
    }

    /// The object was there before.
    pub fn changed<B: Serialize, A: Serialize>(before: &B, after: &A) -> Self {
        Self { before: json(before), after: json(after) }
    }

    /// The object is gone.
    pub fn deleted<T: Serialize>(before: &T) -> Self {
        Self { before: json(before), after: None }
    }
}

/// Wire types are JSON by nature: none fails.
fn json<T: Serialize>(value: &T) -> Option<Json> {
    serde_json::to_value(value).ok()
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
        Ok(Self { tx: state.db.write().await?, scope: scope.clone(), entry })
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
