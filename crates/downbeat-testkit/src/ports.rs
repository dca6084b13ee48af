//! The server's ports, made for tests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use downbeat_core::{Secret, SecretRef};
use downbeat_engine::{Clock, Sealer, SecretsError};
use downbeat_server::state::{BoxFuture, SecretVault, VaultError, Version, Wake};
use downbeat_store::{
    Db, Tx,
    secret::{self, LOCAL_STORE},
};
use jiff::Timestamp;

/// The store that [`TestVault`] is.
pub const STORE: &str = LOCAL_STORE;

/// A clock that starts on 2026-01-31 at noon and goes on by a millisecond each time it is read.
#[derive(Debug)]
pub struct TestClock {
    micros: AtomicI64,
    reads: AtomicUsize,
}

impl Default for TestClock {
    fn default() -> Self {
        Self { micros: AtomicI64::new(1_769_860_800_000_000), reads: AtomicUsize::new(0) }
    }
}

impl TestClock {
    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How often the time was asked for.
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let micros = self.micros.fetch_add(1000, Ordering::Relaxed);
        Timestamp::from_microsecond(micros).unwrap_or_default()
    }
}

/// Counts calls.
#[derive(Debug, Default)]
pub struct TestWake(AtomicUsize);

impl TestWake {
    /// How often the engine was woken.
    pub fn calls(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for TestWake {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The store of a server: rows of its database, written in the transaction of the request.
pub struct TestVault {
    db: Db,
    clock: Arc<TestClock>,
}

impl TestVault {
    /// The store in a database.
    #[must_use]
    pub fn new(db: Db, clock: Arc<TestClock>) -> Self {
        Self { db, clock }
    }

    /// The plaintexts under a key, oldest first.
    ///
    /// # Panics
    /// When the database cannot be read.
    pub async fn versions(&self, key: &str) -> Vec<String> {
        let mut conn = self.db.read().await.expect("a connection");
        let mut plaintexts = Vec::new();
        loop {
            let version = Some((plaintexts.len() + 1).to_string());
            let reference = SecretRef { store: STORE.to_owned(), key: key.to_owned(), version };
            match secret::open(&mut conn, &TestSealer, &reference).await {
                Ok(secret) => plaintexts.push(secret.expose().to_owned()),
                Err(_) => return plaintexts,
            }
        }
    }
}

impl SecretVault for TestVault {
    fn seal<'a>(
        &'a self,
        tx: &'a mut Tx,
        key: &'a str,
        secret: &'a Secret,
        version: Version,
    ) -> BoxFuture<'a, Result<SecretRef, VaultError>> {
        Box::pin(async move {
            let kept = secret::keep(tx, &TestSealer, self.clock.now(), key, secret, version).await;
            kept.map_err(|error| VaultError(Box::new(error)))
        })
    }

    fn open<'a>(
        &'a self,
        _: &'a str,
        reference: &'a SecretRef,
    ) -> BoxFuture<'a, Result<Secret, VaultError>> {
        Box::pin(async move {
            let mut conn = self.db.read().await.map_err(|error| VaultError(Box::new(error)))?;
            let opened = secret::open(&mut conn, &TestSealer, reference).await;
            opened.map_err(|error| VaultError(Box::new(error)))
        })
    }
}

/// Seals with a fixed mask: good enough for a database not to hold a plaintext as it is.
#[derive(Clone, Copy, Debug)]
pub struct TestSealer;

fn masked(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ 0xA5).collect()
}

impl Sealer for TestSealer {
    fn seal(&self, context: &str, secret: &Secret) -> Result<Vec<u8>, SecretsError> {
        Ok(masked(format!("{context}\0{}", secret.expose()).as_bytes()))
    }

    fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret, SecretsError> {
        let plain = String::from_utf8(masked(sealed)).unwrap_or_default();
        match plain.split_once('\0') {
            Some((found, secret)) if found == context => Ok(Secret::new(secret.to_owned())),
            _ => Err(SecretsError { message: format!("nothing was sealed as {context:?}") }),
        }
    }

    fn digest(&self, context: &str, secret: &Secret) -> Vec<u8> {
        masked(format!("{context}\0{}", secret.expose()).as_bytes())
    }
}
