//! The states of infrastructure code: one sealed document for each resource, and its lock.
//!
//! ```text
//! free ──lock(id)──▶ locked by id ──write(id)*──▶ ──unlock(id)──▶ free
//!                        └─────────unlock(none): whoever holds it─────▶ free
//! ```
//!
//! Invariant: who names a lock writes only while it has that lock. A run that was taken for dead,
//! and whose lock was freed, changes nothing any more.

use std::sync::Arc;

use downbeat_core::Secret;
use downbeat_engine::{BoxFuture, Clock, Sealer, SecretsError, StateError, States};
use sqlx::{Row as _, query};

use crate::{Db, Tx, row::Columns as _};

/// The states in a database.
#[derive(Clone)]
pub struct SqlStates {
    db: Db,
    sealer: Arc<dyn Sealer>,
    clock: Arc<dyn Clock>,
}

impl SqlStates {
    /// The states in this database.
    #[must_use]
    pub fn new(db: Db, sealer: Arc<dyn Sealer>, clock: Arc<dyn Clock>) -> Self {
        Self { db, sealer, clock }
    }

    fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }
}

/// Why a call ended early.
enum Failure {
    Locked(String),
    Store(crate::Error),
    Sealer(SecretsError),
}

impl From<crate::Error> for Failure {
    fn from(error: crate::Error) -> Self {
        Self::Store(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<SecretsError> for Failure {
    fn from(error: SecretsError) -> Self {
        Self::Sealer(error)
    }
}

impl From<Failure> for StateError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Locked(holder) => Self::Locked { holder },
            Failure::Store(error) => {
                Self::Failed(format!("the state cannot be read or written: {error}"))
            }
            Failure::Sealer(error) => Self::Failed(error.message),
        }
    }
}

/// What is bound to a sealed state, so that rows cannot be swapped.
fn context(guresid: &str) -> String {
    format!("terraform-state/{guresid}")
}

/// Who holds the lock: its id, empty when nobody does, and what the holder says.
async fn holder(tx: &mut Tx, guresid: &str) -> Result<(String, String), Failure> {
    // Who holds the lock?
    let row = query("SELECT lock_id, lock_about FROM terraform_state WHERE guresid = $1")
        .bind(guresid)
        .fetch_optional(&mut **tx)
        .await?;
    match row {
        Some(row) => Ok((row.text("lock_id")?, row.text("lock_about")?)),
        None => Ok((String::new(), String::new())),
    }
}

impl SqlStates {
    async fn read_one(&self, guresid: &str) -> Result<Option<Secret>, Failure> {
        let mut conn = self.db.read().await?;
        // What is the newest state?
        let row = query("SELECT sealed FROM terraform_state WHERE guresid = $1")
            .bind(guresid)
            .fetch_optional(&mut *conn)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let sealed: Option<Vec<u8>> = row.try_get("sealed")?;
        let Some(sealed) = sealed else { return Ok(None) };
        Ok(Some(self.sealer.open(&context(guresid), &sealed)?))
    }

    async fn write_one(
        &self,
        guresid: &str,
        lock: Option<&str>,
        state: &Secret,
    ) -> Result<(), Failure> {
        let sealed = self.sealer.seal(&context(guresid), state)?;
        let mut tx = self.db.write().await?;
        let (held, about) = holder(&mut tx, guresid).await?;
        if lock.unwrap_or_default() != held {
            return Err(Failure::Locked(about));
        }
        // This is the state from now on.
        query(
            "INSERT INTO terraform_state \
             (guresid, sealed, updated_at, lock_id, lock_about, locked_at) \
             VALUES ($1, $2, $3, '', '', 0) \
             ON CONFLICT (guresid) DO UPDATE SET \
             sealed = excluded.sealed, updated_at = excluded.updated_at",
        )
        .bind(guresid)
        .bind(sealed)
        .bind(self.now())
        .execute(&mut *tx)
        .await?;
        Ok(crate::commit(tx).await?)
    }

    async fn lock_one(&self, guresid: &str, id: &str, about: &str) -> Result<(), Failure> {
        let mut tx = self.db.write().await?;
        let (held, other) = holder(&mut tx, guresid).await?;
        if held == id {
            return Ok(());
        }
        if !held.is_empty() {
            return Err(Failure::Locked(other));
        }
        let now = self.now();
        // Nobody holds the lock: this one does from now on.
        query(
            "INSERT INTO terraform_state \
             (guresid, sealed, updated_at, lock_id, lock_about, locked_at) \
             VALUES ($1, NULL, $2, $3, $4, $5) \
             ON CONFLICT (guresid) DO UPDATE SET lock_id = excluded.lock_id, \
             lock_about = excluded.lock_about, locked_at = excluded.locked_at",
        )
        .bind(guresid)
        .bind(now)
        .bind(id)
        .bind(about)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        Ok(crate::commit(tx).await?)
    }

    async fn unlock_one(&self, guresid: &str, id: Option<&str>) -> Result<(), Failure> {
        let mut tx = self.db.write().await?;
        let (held, about) = holder(&mut tx, guresid).await?;
        if held.is_empty() {
            return Ok(());
        }
        if id.is_some_and(|id| id != held) {
            return Err(Failure::Locked(about));
        }
        // Nobody holds the lock any more.
        query(
            "UPDATE terraform_state SET lock_id = '', lock_about = '', locked_at = 0 \
             WHERE guresid = $1",
        )
        .bind(guresid)
        .execute(&mut *tx)
        .await?;
        // A lock without a state leaves nothing behind.
        query("DELETE FROM terraform_state WHERE guresid = $1 AND sealed IS NULL")
            .bind(guresid)
            .execute(&mut *tx)
            .await?;
        Ok(crate::commit(tx).await?)
    }

    async fn remove_one(&self, guresid: &str) -> Result<(), Failure> {
        let mut tx = self.db.write().await?;
        // There was never a state.
        query("DELETE FROM terraform_state WHERE guresid = $1")
            .bind(guresid)
            .execute(&mut *tx)
            .await?;
        Ok(crate::commit(tx).await?)
    }
}

impl States for SqlStates {
    fn read<'a>(&'a self, guresid: &'a str) -> BoxFuture<'a, Result<Option<Secret>, StateError>> {
        Box::pin(async move { Ok(self.read_one(guresid).await?) })
    }

    fn write<'a>(
        &'a self,
        guresid: &'a str,
        lock: Option<&'a str>,
        state: &'a Secret,
    ) -> BoxFuture<'a, Result<(), StateError>> {
        Box::pin(async move { Ok(self.write_one(guresid, lock, state).await?) })
    }

    fn lock<'a>(
        &'a self,
        guresid: &'a str,
        id: &'a str,
        about: &'a str,
    ) -> BoxFuture<'a, Result<(), StateError>> {
        Box::pin(async move { Ok(self.lock_one(guresid, id, about).await?) })
    }

    fn unlock<'a>(
        &'a self,
        guresid: &'a str,
        id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), StateError>> {
        Box::pin(async move { Ok(self.unlock_one(guresid, id).await?) })
    }

    fn remove<'a>(&'a self, guresid: &'a str) -> BoxFuture<'a, Result<(), StateError>> {
        Box::pin(async move { Ok(self.remove_one(guresid).await?) })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(1_769_860_800).unwrap()
        }
    }

    /// Turns bytes around and binds the context.
    struct Turned;

    impl Sealer for Turned {
        fn seal(&self, context: &str, secret: &Secret) -> Result<Vec<u8>, SecretsError> {
            Ok(format!("{context}\0{}", secret.expose()).bytes().rev().collect())
        }

        fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret, SecretsError> {
            let text = String::from_utf8(sealed.iter().rev().copied().collect()).unwrap();
            match text.split_once('\0') {
                Some((found, secret)) if found == context => Ok(Secret::new(secret.to_owned())),
                _ => Err(SecretsError { message: "another context".to_owned() }),
            }
        }

        fn digest(&self, _: &str, _: &Secret) -> Vec<u8> {
            Vec::new()
        }
    }

    async fn states(directory: &tempfile::TempDir) -> SqlStates {
        let db = Db::open_sqlite(&directory.path().join("test.db")).await.unwrap();
        SqlStates::new(db, Arc::new(Turned), Arc::new(Noon))
    }

    fn held_by(result: Result<(), StateError>) -> String {
        match result {
            Err(StateError::Locked { holder }) => holder,
            other => panic!("not locked: {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_state_is_sealed_and_belongs_to_its_resource() {
        let directory = tempfile::tempdir().unwrap();
        let states = states(&directory).await;
        let state = Secret::new("{\"password\":\"hunter22\"}".to_owned());
        assert!(states.read("r1").await.unwrap().is_none());
        states.write("r1", None, &state).await.unwrap();
        assert!(states.read("r1").await.unwrap() == Some(state));
        assert!(states.read("r2").await.unwrap().is_none());
        let mut tx = states.db.write().await.unwrap();
        query("UPDATE terraform_state SET guresid = 'r2'").execute(&mut *tx).await.unwrap();
        crate::commit(tx).await.unwrap();
        assert!(states.read("r2").await.is_err(), "rows can be swapped");
        for file in std::fs::read_dir(directory.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(8).any(|bytes| bytes == b"hunter22"));
        }
        states.remove("r2").await.unwrap();
        assert!(states.read("r2").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn only_the_holder_of_a_lock_writes_and_unlocks() {
        let directory = tempfile::tempdir().unwrap();
        let states = states(&directory).await;
        let state = |text: &str| Secret::new(text.to_owned());
        states.lock("r1", "a", "Ada").await.unwrap();
        states.lock("r1", "a", "Ada").await.unwrap();
        states.lock("r2", "b", "Bob").await.unwrap();
        assert_eq!(held_by(states.lock("r1", "b", "Bob").await), "Ada");
        assert_eq!(held_by(states.write("r1", Some("b"), &state("b")).await), "Ada");
        assert_eq!(held_by(states.write("r1", None, &state("n")).await), "Ada");
        states.write("r1", Some("a"), &state("a")).await.unwrap();
        assert_eq!(held_by(states.unlock("r1", Some("b")).await), "Ada");
        states.unlock("r1", None).await.unwrap();
        states.unlock("r1", Some("a")).await.unwrap();
        // Whose lock is gone writes no more, also when nobody else has it.
        assert_eq!(held_by(states.write("r1", Some("a"), &state("late")).await), "");
        assert_eq!(states.read("r1").await.unwrap().unwrap().expose(), "a");
        states.lock("r1", "c", "Cy").await.unwrap();
        states.remove("r1").await.unwrap();
        states.lock("r1", "d", "Di").await.unwrap();
    }
}
