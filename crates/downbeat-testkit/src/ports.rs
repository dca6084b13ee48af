//! The server's ports, made for tests.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use downbeat_core::{Secret, SecretRef};
use downbeat_engine::Clock;
use downbeat_server::state::{BoxFuture, SecretVault, VaultError, Version, Wake};
use downbeat_store::Tx;
use jiff::Timestamp;

/// The store that [`TestVault`] says it is.
pub const STORE: &str = "test-store";

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

/// A secret store in memory. It forgets nothing, not even what a transaction rolled back.
#[derive(Default)]
pub struct TestVault(Mutex<BTreeMap<String, Vec<String>>>);

impl TestVault {
    /// The plaintexts under a key, oldest first.
    pub fn versions(&self, key: &str) -> Vec<String> {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.get(key).cloned().unwrap_or_default()
    }
}

impl SecretVault for TestVault {
    fn seal<'a>(
        &'a self,
        _tx: &'a mut Tx,
        key: &'a str,
        secret: &'a Secret,
        version: Version,
    ) -> BoxFuture<'a, Result<SecretRef, VaultError>> {
        Box::pin(async move {
            let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let versions = secrets.entry(key.to_owned()).or_default();
            let same = versions.last().is_some_and(|last| last == secret.expose());
            if version == Version::Next || !same {
                versions.push(secret.expose().to_owned());
            }
            Ok(SecretRef {
                store: STORE.to_owned(),
                key: key.to_owned(),
                version: Some(versions.len().to_string()),
            })
        })
    }
}
