//! What every handler can reach, and the ports to the rest of the program.

use std::{sync::Arc, time::Duration};

use downbeat_core::{Secret, SecretRef};
pub use downbeat_engine::{BoxFuture, Clock, RunKeys, States};
pub use downbeat_store::secret::Version;
use downbeat_store::{Db, Tx};
use jiff::Timestamp;
use uuid::{NoContext, Uuid};

pub use crate::access::Identities;

/// Tells the engine that there is work.
pub trait Wake: Send + Sync {
    /// A deployment row was written. May be called too often; a lost call only costs time.
    fn wake(&self);
}

/// Keeps the plaintexts of the primary secret store.
pub trait SecretVault: Send + Sync {
    /// Keeps `secret` under `key` and says where it is. It is kept once `tx` commits.
    fn seal<'a>(
        &'a self,
        tx: &'a mut Tx,
        key: &'a str,
        secret: &'a Secret,
        version: Version,
    ) -> BoxFuture<'a, Result<SecretRef, VaultError>>;

    /// Reads what an organization keeps there.
    fn open<'a>(
        &'a self,
        org: &'a str,
        reference: &'a SecretRef,
    ) -> BoxFuture<'a, Result<Secret, VaultError>>;
}

/// The secret store failed.
#[derive(Debug, thiserror::Error)]
#[error("the secret store failed")]
pub struct VaultError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What a request may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Most connections at the same time; further ones wait until one ends.
    pub connections: usize,
    /// Longest time until the head of a request is there, and between two requests.
    pub head_time: Duration,
    /// Longest time a request body may take to arrive.
    pub body_time: Duration,
    /// Longest time to answer.
    pub answer_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 10 * 1024 * 1024,
            connections: 10_000,
            head_time: Duration::from_secs(30),
            body_time: Duration::from_secs(30),
            answer_time: Duration::from_secs(60),
        }
    }
}

/// What every handler can reach; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The engine.
    pub wake: Arc<dyn Wake>,
    /// The primary secret store.
    pub vault: Arc<dyn SecretVault>,
    /// The states of infrastructure code.
    pub states: Arc<dyn States>,
    /// Who may reach which state.
    pub run_keys: RunKeys,
    /// What a request may cost.
    pub limits: Limits,
    /// Who asked of late.
    pub identities: Identities,
}

impl AppState {
    /// The current time, to the microsecond: what the database keeps.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}

/// A new id for a user, version or the like: a UUID that sorts by time.
#[must_use]
pub fn new_id(now: Timestamp) -> String {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos)).to_string()
}
