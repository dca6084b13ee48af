//! Opening the database, and the two ways to use it.
//!
//! SQLite has **one** writer connection, whose users share commits ([`crate::group`]), and a small
//! pool of readers (WAL mode). A writing transaction begins `IMMEDIATE`: one that turns into a
//! writer later fails at once, whatever the timeout.

use std::{path::Path, sync::Once, time::Duration};

use sqlx::{
    AnyConnection, AnyPool, Connection as _, Executor,
    any::{Any, AnyPoolOptions},
    pool::PoolConnection,
};

use crate::{
    Error, Result,
    group::{Tx, Writer},
};

/// A connection for reading.
pub type Conn = PoolConnection<Any>;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/sqlite");
static DRIVERS: Once = Once::new();

/// A handle on the database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    pub(crate) writer: Writer,
    writers: AnyPool,
    readers: AnyPool,
}

impl Db {
    /// Opens (or creates, readable by its owner only) the SQLite database in `file` and brings its
    /// schema up to date.
    ///
    /// # Errors
    /// When the file cannot be opened or written, or holds a schema of a newer version.
    pub async fn open_sqlite(file: &Path) -> Result<Self> {
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Open {
            path: file.display().to_string(),
            source,
        };
        create_private(file).map_err(|e| failed(e.into()))?;
        let url = format!("sqlite://{}?mode=rw", percent_encode(&file.display().to_string()));
        // A pool tries again until its time-out, whatever the reason; this fails at once.
        let mut probe = AnyConnection::connect(&url).await.map_err(|e| failed(reason(e)))?;
        probe.execute("PRAGMA schema_version").await.map_err(|e| failed(reason(e)))?;
        probe.close().await.map_err(|e| failed(reason(e)))?;
        let writers = pool(1).connect(&url).await.map_err(|e| failed(e.into()))?;
        MIGRATIONS.run(&writers).await.map_err(|e| failed(e.into()))?;
        let readers = pool(4).connect_lazy(&url).map_err(|e| failed(e.into()))?;
        Ok(Self { writer: Writer::new(writers.clone()), writers, readers })
    }

    /// A connection for reading.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn read(&self) -> Result<Conn> {
        Ok(self.readers.acquire().await?)
    }

    /// A transaction for writing. It sees everything that was committed before it began.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn write(&self) -> Result<Tx> {
        self.writer.begin().await
    }

    /// How often users, roles or tokens were changed so far by this process: what was read of them
    /// before this number grew is old.
    #[must_use]
    pub fn identities(&self) -> u64 {
        self.writer.identities()
    }

    /// Waits for open transactions and closes all connections.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        self.writers.close().await;
    }
}

fn pool(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(30))
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(|connection: &mut AnyConnection, _| {
            Box::pin(async move {
                connection
                    .execute(
                        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                         PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000; \
                         PRAGMA cache_size = -4000;",
                    )
                    .await?;
                Ok(())
            })
        })
}

/// Makes the file if it is not there. It holds what only its owner may read.
fn create_private(file: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop)
}

/// What the database itself says, for example "file is not a database".
fn reason(error: sqlx::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error {
        sqlx::Error::Database(database) => database.message().into(),
        other => other.into(),
    }
}

/// Escapes what has a meaning in a URL.
fn percent_encode(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}
