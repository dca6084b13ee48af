//! Ports without a world: for `render`, and for tests.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use downbeat_core::{Secret, SecretRef};

use crate::port::{
    BoxFuture, Ended, GraphRow, Journal, JournalError, Journalled, Lease, Loaded, NodeRecord,
    Phase, Secrets, SecretsError,
};

/// A journal that remembers nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoJournal;

fn done<'a, T: Send + 'a>(value: T) -> Journalled<'a, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Journal for NoJournal {
    fn claim(&self) -> Journalled<'_, Option<Lease>> {
        done(None)
    }

    fn renew<'a>(&'a self, _: &'a Lease) -> Journalled<'a, ()> {
        done(())
    }

    fn load<'a>(&'a self, _: &'a Lease) -> Journalled<'a, Loaded> {
        Box::pin(std::future::ready(Err(JournalError::Fenced)))
    }

    fn phase<'a>(&'a self, _: &'a Lease, _: Phase) -> Journalled<'a, ()> {
        done(())
    }

    fn graph<'a>(&'a self, _: &'a Lease, _: &'a GraphRow) -> Journalled<'a, ()> {
        done(())
    }

    fn start<'a>(&'a self, _: &'a Lease, _: &'a [(u32, String)]) -> Journalled<'a, ()> {
        done(())
    }

    fn record<'a>(
        &'a self,
        _: &'a Lease,
        _: &'a GraphRow,
        _: &'a [NodeRecord],
    ) -> Journalled<'a, ()> {
        done(())
    }

    fn finish<'a>(&'a self, _: &'a Lease, _: &'a Ended) -> Journalled<'a, ()> {
        done(())
    }
}

/// A secret store that lives as long as the process. References carry no version, so that what is
/// rendered does not depend on what was rendered before.
#[derive(Debug)]
pub struct MemorySecrets {
    store: String,
    kept: Mutex<BTreeMap<String, Secret>>,
}

impl MemorySecrets {
    /// An empty store with this id.
    #[must_use]
    pub fn new(store: &str) -> Self {
        Self { store: store.to_owned(), kept: Mutex::default() }
    }
}

impl Secrets for MemorySecrets {
    fn open<'a>(
        &'a self,
        _: &'a str,
        references: &'a [SecretRef],
    ) -> BoxFuture<'a, Result<Vec<Secret>, SecretsError>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = references
            .iter()
            .map(|reference| {
                kept.get(&reference.key).cloned().ok_or_else(|| SecretsError {
                    message: format!(
                        "the secret {:?} in store {:?} cannot be read without a server",
                        reference.key, reference.store
                    ),
                })
            })
            .collect();
        Box::pin(std::future::ready(opened))
    }

    fn seal<'a>(
        &'a self,
        secrets: &'a [(String, Secret)],
    ) -> BoxFuture<'a, Result<Vec<SecretRef>, SecretsError>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed = secrets
            .iter()
            .map(|(key, secret)| {
                kept.insert(key.clone(), secret.clone());
                SecretRef { store: self.store.clone(), key: key.clone(), version: None }
            })
            .collect();
        Box::pin(std::future::ready(Ok(sealed)))
    }
}
