//! Ports without a world: for `render`, and for tests.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use downbeat_core::{
    DeploymentSet, Secret, SecretRef, matching::Index, resolve::Values, resource_type::Catalogue,
};
use jiff::Timestamp;

use crate::{
    port::{
        Again, BoxFuture, Drivers, Ended, GraphRow, Journal, JournalError, Journalled, Lease,
        Loaded, NodeError, NodeRecord, NodeRow, Phase, RemovalJob, Removals, Secrets, SecretsError,
        Targets,
    },
    run::Ports,
    schema::Schemas,
};

/// A world without a journal and without targets: enough to render.
#[must_use]
pub fn ports(drivers: Drivers, secrets: Arc<dyn Secrets>, seed: Vec<u8>) -> Ports {
    Ports {
        journal: Arc::new(NoJournal),
        removals: Arc::new(NoJournal),
        drivers,
        targets: Targets::default(),
        secrets,
        schemas: Schemas::default(),
        seed,
    }
}

/// A set and its definitions as the first deployment of an environment would load them: nothing is
/// stored yet. The names of the context are empty; the caller fills in those that matter.
#[must_use]
pub fn loaded(set: DeploymentSet, definitions: Index) -> Loaded {
    Loaded {
        installation: String::new(),
        org: String::new(),
        app: String::new(),
        env: String::new(),
        env_type: String::new(),
        deployment: String::new(),
        comment: String::new(),
        created_at: Timestamp::UNIX_EPOCH,
        set_id: set.id().to_string(),
        set,
        values: Values::new(),
        definitions: Arc::new(definitions),
        types: Arc::new(Catalogue::default()),
        incarnations: BTreeMap::new(),
        pins: BTreeMap::new(),
        cookies: BTreeMap::new(),
        registered: BTreeMap::new(),
        accounts: None,
        profiles: BTreeMap::new(),
        kept: Vec::new(),
        results: BTreeMap::new(),
    }
}

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

    fn start<'a>(
        &'a self,
        _: &'a Lease,
        _: &'a GraphRow,
        _: &'a [(u32, String)],
    ) -> Journalled<'a, ()> {
        done(())
    }

    fn keep<'a>(&'a self, _: &'a Lease, _: &'a NodeRow, _: &'a SecretRef) -> Journalled<'a, ()> {
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

impl Removals for NoJournal {
    fn claim(&self) -> Journalled<'_, Option<RemovalJob>> {
        done(None)
    }

    fn renew<'a>(&'a self, _: &'a RemovalJob) -> Journalled<'a, ()> {
        done(())
    }

    fn keep<'a>(&'a self, _: &'a RemovalJob, _: &'a SecretRef) -> Journalled<'a, ()> {
        done(())
    }

    fn freed<'a>(&'a self, _: &'a RemovalJob) -> Journalled<'a, ()> {
        done(())
    }

    fn failed<'a>(&'a self, _: &'a RemovalJob, _: &'a NodeError, _: Again) -> Journalled<'a, ()> {
        done(())
    }
}
