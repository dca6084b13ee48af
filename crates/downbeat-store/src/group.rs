//! Group commit: writers that come at the same time share one durable commit.
//!
//! SQLite has one writer, and a commit waits for the disk. So transactions take turns on one
//! connection, each inside a savepoint of a *batch*; whoever is done lets the next one in and lines
//! up again, behind all that wait. The first one that gets another turn commits the batch for
//! everybody:
//!
//! ```text
//! BEGIN IMMEDIATE ─▶ work of a ─▶ SAVEPOINT ─▶ work of b ─▶ RELEASE ─▶ … ─▶ COMMIT ─▶ a, b, …
//! ```
//!
//! A writer alone gets its turn at once, and pays for nothing but its own commit. [`commit`] returns
//! after the disk has everything, so nobody is told of a change that could be lost. One that fails
//! or is dropped undoes its own savepoint only.
//!
//! Invariant: a batch is one transaction of the database from its first statement to its `COMMIT`.
//! The outermost savepoint proves that: it is gone when the database gave a transaction up.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sqlx::{AnyConnection, AnyPool, Executor as _};
use tokio::{
    runtime::Handle,
    sync::{Mutex, OwnedMutexGuard},
};

use crate::{Conn, Error, Result};

/// The writing side of the database; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    turn: Arc<Mutex<Turn>>,
    /// Counts changes of users, roles and tokens that are committed.
    identities: Arc<AtomicU64>,
}

/// What whoever has the turn works on.
#[derive(Debug)]
struct Turn {
    pool: AnyPool,
    batch: Option<Batch>,
    /// Batches that ended, well or not.
    ended: u64,
    /// The newest batches that failed, and why.
    failed: Vec<(u64, String)>,
    is_unfinished: bool,
}

/// An open transaction of the database with the work of several writers.
#[derive(Debug)]
struct Batch {
    connection: Conn,
    /// Members that wait for the commit.
    members: usize,
    touches_identities: bool,
}

/// Failures that are remembered. Whoever waits for one asks before as many others could fail.
const REMEMBERED: usize = 1024;

impl Writer {
    pub(crate) fn new(pool: AnyPool) -> Self {
        let turn = Turn { pool, batch: None, ended: 0, failed: Vec::new(), is_unfinished: false };
        Self { turn: Arc::new(Mutex::new(turn)), identities: Arc::default() }
    }

    /// How often users, roles or tokens were changed so far by this process.
    pub(crate) fn identities(&self) -> u64 {
        self.identities.load(Ordering::Acquire)
    }

    /// A transaction, as soon as it is its turn.
    pub(crate) async fn begin(&self) -> Result<Tx> {
        let mut turn = Arc::clone(&self.turn).lock_owned().await;
        turn.tidy_up().await;
        let is_first = turn.batch.is_none();
        if is_first {
            let connection = turn.pool.acquire().await?;
            turn.batch = Some(Batch { connection, members: 0, touches_identities: false });
        }
        // From here on, whoever is dropped leaves something to tidy up.
        turn.is_unfinished = true;
        let begin = if is_first { "BEGIN IMMEDIATE; SAVEPOINT batch" } else { "SAVEPOINT member" };
        if let Some(batch) = &mut turn.batch {
            batch.connection.execute(begin).await?;
        }
        Ok(Tx { writer: self.clone(), turn: Some(turn), is_first, touches_identities: false })
    }

    /// Commits the batch with this number, unless somebody else has done so, and says how it ended.
    async fn end(&self, number: u64) -> Result<()> {
        let mut turn = Arc::clone(&self.turn).lock_owned().await;
        if turn.ended == number {
            let identities = Arc::clone(&self.identities);
            // In a task of its own: a commit that was begun is seen to its end, whoever goes away.
            let ending = tokio::spawn(async move {
                turn.tidy_up().await;
                turn.end(&identities).await;
                turn
            });
            turn = ending.await.map_err(|error| failed(&error.to_string()))?;
        }
        match turn.failed.iter().find(|(failed, _)| *failed == number) {
            None => Ok(()),
            Some((_, why)) => Err(failed(why)),
        }
    }

    /// Undoes what a dropped transaction left in the batch with this number.
    async fn tidy_up(&self, number: u64) {
        let mut turn = self.turn.lock().await;
        if turn.ended == number {
            turn.tidy_up().await;
        }
    }

    /// How many batches ended.
    #[cfg(test)]
    pub(crate) async fn ended(&self) -> u64 {
        self.turn.lock().await.ended
    }

    /// Commits what is open.
    pub(crate) async fn close(&self) {
        let number = self.turn.lock().await.ended;
        let _ = self.end(number).await;
    }
}

fn failed(why: &str) -> Error {
    Error::Database(sqlx::Error::Protocol(why.to_owned()))
}

impl Turn {
    /// Undoes what a dropped transaction left. May be cut off and repeated.
    async fn tidy_up(&mut self) {
        if !self.is_unfinished {
            return;
        }
        if let Some(batch) = &mut self.batch {
            if batch.members == 0 {
                let _ = batch.connection.execute("ROLLBACK").await;
                self.batch = None;
            } else {
                let undone = batch.connection.execute("ROLLBACK TO member; RELEASE member").await;
                // Without a savepoint there is nothing to undo: the work had not begun, or had been
                // handed over when its owner went away.
                if let Err(error) = undone
                    && !error.to_string().contains("no such savepoint")
                {
                    self.give_up(&error.to_string()).await;
                }
            }
        }
        self.is_unfinished = false;
    }

    /// Commits the open batch.
    async fn end(&mut self, identities: &AtomicU64) {
        let Some(batch) = &mut self.batch else { return };
        if let Err(error) = batch.connection.execute("RELEASE batch; COMMIT").await {
            self.give_up(&error.to_string()).await;
            return;
        }
        if batch.touches_identities {
            identities.fetch_add(1, Ordering::Release);
        }
        self.batch = None;
        self.ended += 1;
    }

    async fn give_up(&mut self, why: &str) {
        if let Some(mut batch) = self.batch.take() {
            let _ = batch.connection.execute("ROLLBACK").await;
        }
        if self.failed.len() == REMEMBERED {
            self.failed.remove(0);
        }
        self.failed.push((self.ended, why.to_owned()));
        self.ended += 1;
    }
}

/// A transaction that may write. Dropping it rolls back.
#[derive(Debug)]
pub struct Tx {
    writer: Writer,
    /// There until the end.
    turn: Option<OwnedMutexGuard<Turn>>,
    is_first: bool,
    touches_identities: bool,
}

impl Tx {
    /// Users, roles or tokens are changed: what is remembered of them is old once this commits.
    pub(crate) fn touch_identities(&mut self) {
        self.touches_identities = true;
    }
}

/// Makes what the transaction wrote permanent.
///
/// # Errors
/// When the database fails; nothing was written then.
pub async fn commit(mut tx: Tx) -> Result<()> {
    let is_first = tx.is_first;
    let touches_identities = tx.touches_identities;
    let Some(turn) = &mut tx.turn else { return Ok(()) };
    let number = turn.ended;
    let Some(batch) = &mut turn.batch else { return Ok(()) };
    if !is_first {
        batch.connection.execute("RELEASE member").await?;
    }
    batch.members += 1;
    batch.touches_identities |= touches_identities;
    turn.is_unfinished = false;
    let ending = Ending { writer: tx.writer.clone(), number: Some(number) };
    drop(tx.turn.take());
    ending.wait().await
}

/// A member that waits for the commit. The batch is committed also when nobody waits any more.
struct Ending {
    writer: Writer,
    number: Option<u64>,
}

impl Ending {
    async fn wait(mut self) -> Result<()> {
        let Some(number) = self.number else { return Ok(()) };
        let done = self.writer.end(number).await;
        self.number = None;
        done
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let writer = self.writer.clone();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let _ = writer.end(number).await;
            });
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let Some(turn) = self.turn.take() else { return };
        let number = turn.ended;
        drop(turn);
        let writer = self.writer.clone();
        // The next one tidies up; when none comes, this does.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { writer.tidy_up(number).await });
        }
    }
}

impl Deref for Tx {
    type Target = AnyConnection;

    #[expect(clippy::expect_used, reason = "a transaction has its connection until its end")]
    fn deref(&self) -> &AnyConnection {
        let batch = self.turn.as_ref().and_then(|turn| turn.batch.as_ref());
        &batch.expect("an open transaction").connection
    }
}

impl DerefMut for Tx {
    #[expect(clippy::expect_used, reason = "a transaction has its connection until its end")]
    fn deref_mut(&mut self) -> &mut AnyConnection {
        let batch = self.turn.as_mut().and_then(|turn| turn.batch.as_mut());
        &mut batch.expect("an open transaction").connection
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future as _, task::Poll};

    use sqlx::Row as _;
    use tokio::task::JoinSet;

    use crate::{Db, Tx, commit};

    async fn database() -> (tempfile::TempDir, Db) {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(&folder.path().join("d.db")).await.unwrap();
        (folder, db)
    }

    async fn put(tx: &mut Tx, key: &str) -> crate::Result<()> {
        sqlx::query("INSERT INTO installation (key, value) VALUES ($1, 'v')")
            .bind(key)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    async fn keys(db: &Db) -> Vec<String> {
        let mut conn = db.read().await.unwrap();
        let rows = sqlx::query("SELECT key FROM installation WHERE key LIKE 'k%' ORDER BY key")
            .fetch_all(&mut *conn)
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    #[tokio::test]
    async fn who_is_answered_is_found_whatever_the_others_do() {
        let (_folder, db) = database().await;
        let mut writers = JoinSet::new();
        for number in 0..300_u32 {
            let db = db.clone();
            writers.spawn(async move {
                let mut tx = db.write().await.unwrap();
                // Every third key is that of the one before, and refused by the database.
                let key = format!("k{:03}", number - u32::from(number % 3 == 2));
                match number % 5 {
                    // Begins, writes, and goes away.
                    4 => {
                        put(&mut tx, &format!("k-dropped-{number}")).await.unwrap();
                        None
                    }
                    _ => match put(&mut tx, &key).await {
                        Ok(()) => commit(tx).await.is_ok().then_some(key),
                        Err(_) => None,
                    },
                }
            });
        }
        let mut answered: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
        answered.sort();
        assert!(answered.len() > 100, "{}", answered.len());
        assert_eq!(keys(&db).await, answered);
        db.close().await;
    }

    #[tokio::test]
    async fn many_share_one_commit() {
        let (_folder, db) = database().await;
        let held = db.write().await.unwrap();
        let mut writers = JoinSet::new();
        for number in 0..50 {
            let db = db.clone();
            writers.spawn(async move {
                let mut tx = db.write().await.unwrap();
                put(&mut tx, &format!("k{number}")).await.unwrap();
                commit(tx).await.unwrap();
            });
        }
        // All run once on this one thread, and line up behind the one that is held.
        tokio::task::yield_now().await;
        drop(held);
        writers.join_all().await;
        assert_eq!(db.writer.ended().await, 1);
        assert_eq!(keys(&db).await.len(), 50);
    }

    #[tokio::test]
    async fn a_commit_that_nobody_waits_for_is_made() {
        let (folder, db) = database().await;
        let mut tx = db.write().await.unwrap();
        put(&mut tx, "k1").await.unwrap();
        {
            let mut ending = std::pin::pin!(commit(tx));
            let once = std::future::poll_fn(|context| Poll::Ready(ending.as_mut().poll(context)));
            assert!(once.await.is_pending());
        }
        let mut tx = db.write().await.unwrap();
        put(&mut tx, "k2").await.unwrap();
        drop(tx);
        db.write().await.map(drop).unwrap();
        db.close().await;
        let db = Db::open_sqlite(&folder.path().join("d.db")).await.unwrap();
        assert_eq!(keys(&db).await, ["k1"]);
    }

    #[tokio::test]
    async fn a_transaction_that_the_database_gave_up_is_no_success() {
        let (_folder, db) = database().await;
        let mut tx = db.write().await.unwrap();
        put(&mut tx, "k1").await.unwrap();
        // As when the disk is full: SQLite ends the whole transaction on its own.
        sqlx::query("ROLLBACK").execute(&mut *tx).await.unwrap();
        assert!(commit(tx).await.is_err());
        let mut tx = db.write().await.unwrap();
        put(&mut tx, "k2").await.unwrap();
        commit(tx).await.unwrap();
        assert_eq!(keys(&db).await, ["k2"]);
    }
}
