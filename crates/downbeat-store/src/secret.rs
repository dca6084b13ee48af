//! The local secret store: sealed plaintexts under keys, every change a new version.
//!
//! Sealing itself (which cipher, which key) is the [`Sealer`]'s. The key of a secret is bound to
//! what is sealed, so that rows cannot be swapped.

use std::{collections::BTreeMap, sync::Arc};

use downbeat_core::{Secret, SecretRef};
use downbeat_engine::{BoxFuture, Clock, Sealer, Secrets, SecretsError};
use jiff::Timestamp;
use sqlx::{AnyConnection, Row as _, query};

use crate::{Db, Result, Tx, row::Columns as _};

/// Id of the local store on the wire and in references.
pub const LOCAL_STORE: &str = "local";

/// Which version a plaintext gets that is kept already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The newest one stays when it has the same plaintext.
    Reuse,
    /// Always the next one.
    Next,
}

/// Why a secret cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] crate::Error),
    /// The key ring cannot seal or open it.
    #[error(transparent)]
    Sealer(#[from] SecretsError),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Keeps a plaintext under a key and says where it is.
///
/// # Errors
/// When it cannot be sealed or stored.
pub async fn keep(
    tx: &mut Tx,
    sealer: &dyn Sealer,
    now: Timestamp,
    key: &str,
    secret: &Secret,
    version: Version,
) -> Result<SecretRef, Error> {
    // What is the newest version?
    let newest =
        query("SELECT version, digest FROM secret WHERE key = $1 ORDER BY version DESC LIMIT 1")
            .bind(key)
            .fetch_optional(&mut **tx)
            .await?;
    let digest = sealer.digest(key, secret);
    let mut next = 1;
    if let Some(row) = newest {
        let number = row.number("version")?;
        let known: Vec<u8> = row.try_get("digest")?;
        if version == Version::Reuse && known == digest {
            return Ok(reference(key, number));
        }
        next = number + 1;
    }
    let sealed = sealer.seal(&context(key, next), secret)?;
    // One more version.
    query(
        "INSERT INTO secret (key, version, digest, sealed, created_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(key)
    .bind(next)
    .bind(digest)
    .bind(sealed)
    .bind(now.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(reference(key, next))
}

/// Removes every version that is kept under a key.
///
/// # Errors
/// When the database fails.
pub async fn forget(tx: &mut Tx, key: &str) -> crate::Result<()> {
    // Nobody can refer to it any more.
    query("DELETE FROM secret WHERE key = $1").bind(key).execute(&mut **tx).await?;
    Ok(())
}

/// Reads the plaintext of a reference to the local store.
///
/// # Errors
/// When there is none, or it cannot be opened.
pub async fn open(
    conn: &mut AnyConnection,
    sealer: &dyn Sealer,
    reference: &SecretRef,
) -> Result<Secret, Error> {
    let missing = || SecretsError {
        message: format!(
            "the local store has no secret {:?} in version {:?}",
            reference.key, reference.version
        ),
    };
    let row = match &reference.version {
        Some(version) => {
            let version: i64 = version.parse().map_err(|_| missing())?;
            // What is kept as this version?
            query("SELECT version, sealed FROM secret WHERE key = $1 AND version = $2")
                .bind(&reference.key)
                .bind(version)
                .fetch_optional(conn)
                .await?
        }
        None => {
            // What is kept as the newest version?
            query("SELECT version, sealed FROM secret WHERE key = $1 ORDER BY version DESC LIMIT 1")
                .bind(&reference.key)
                .fetch_optional(conn)
                .await?
        }
    };
    let row = row.ok_or_else(missing)?;
    let sealed: Vec<u8> = row.try_get("sealed")?;
    Ok(sealer.open(&context(&reference.key, row.number("version")?), &sealed)?)
}

fn context(key: &str, version: i64) -> String {
    format!("{key}@{version}")
}

fn reference(key: &str, version: i64) -> SecretRef {
    SecretRef {
        store: LOCAL_STORE.to_owned(),
        key: key.to_owned(),
        version: Some(version.to_string()),
    }
}

/// The secret stores of the engine: the local one. A reference to another store cannot be opened
/// here; it is passed on to where it can.
#[derive(Clone)]
pub struct LocalSecrets {
    db: Db,
    sealer: Arc<dyn Sealer>,
    clock: Arc<dyn Clock>,
}

impl LocalSecrets {
    /// The local store in a database.
    #[must_use]
    pub fn new(db: Db, sealer: Arc<dyn Sealer>, clock: Arc<dyn Clock>) -> Self {
        Self { db, sealer, clock }
    }

    /// Keeps a plaintext within a transaction of the caller.
    ///
    /// # Errors
    /// When it cannot be sealed or stored.
    pub async fn keep(
        &self,
        tx: &mut Tx,
        key: &str,
        secret: &Secret,
        version: Version,
    ) -> Result<SecretRef, Error> {
        keep(tx, &*self.sealer, self.clock.now(), key, secret, version).await
    }
}

fn failed(error: &(dyn std::error::Error + 'static)) -> SecretsError {
    match error.downcast_ref::<Error>() {
        Some(Error::Sealer(error)) => SecretsError { message: error.message.clone() },
        _ => SecretsError { message: format!("the local secret store failed: {error}") },
    }
}

impl Secrets for LocalSecrets {
    fn open<'a>(
        &'a self,
        org: &'a str,
        references: &'a [SecretRef],
    ) -> BoxFuture<'a, Result<Vec<Secret>, SecretsError>> {
        Box::pin(async move {
            let own = [format!("orgs/{org}/"), format!("orgs--{org}--")];
            let foreign = |one: &&SecretRef| {
                one.store == LOCAL_STORE && !own.iter().any(|prefix| one.key.starts_with(prefix))
            };
            if let Some(foreign) = references.iter().find(foreign) {
                return Err(SecretsError {
                    message: format!(
                        "the local store has no secret {:?} of organization {org:?}",
                        foreign.key
                    ),
                });
            }
            if let Some(other) = references.iter().find(|one| one.store != LOCAL_STORE) {
                return Err(SecretsError {
                    message: format!(
                        "the secret {:?} is kept in store {:?}, which cannot be read from here; only \
                         drivers that pass references on (humanitec/echo) can use it",
                        other.key, other.store
                    ),
                });
            }
            let mut conn = self.db.read().await.map_err(|error| failed(&error))?;
            let mut opened = Vec::with_capacity(references.len());
            for reference in references {
                let secret = open(&mut conn, &*self.sealer, reference).await;
                opened.push(secret.map_err(|error| failed(&error))?);
            }
            Ok(opened)
        })
    }

    fn seal<'a>(
        &'a self,
        secrets: &'a [(String, Secret)],
    ) -> BoxFuture<'a, Result<Vec<SecretRef>, SecretsError>> {
        Box::pin(async move {
            let now = self.clock.now();
            let mut tx = self.db.write().await.map_err(|error| failed(&error))?;
            let mut kept = Vec::with_capacity(secrets.len());
            for (key, secret) in secrets {
                let reference =
                    keep(&mut tx, &*self.sealer, now, key, secret, Version::Reuse).await;
                kept.push(reference.map_err(|error| failed(&error))?);
            }
            crate::commit(tx).await.map_err(|error| failed(&error))?;
            Ok(kept)
        })
    }
}

/// The references in the secret outputs of a resource, as the v1 API shows them: nested by name,
/// with `{store, ref, version}` as leaves. A text with several references shows the first.
pub(crate) fn refs_to_wire(
    secrets: &BTreeMap<String, downbeat_core::SecretExpr>,
) -> downbeat_core::Json {
    use downbeat_core::{Json, JsonMap, patch};
    let mut tree = Json::Object(JsonMap::new());
    for (pointer, expr) in secrets {
        let Some(reference) = expr.references().next() else { continue };
        let leaf = serde_json::to_value(reference).unwrap_or_default();
        // Members of objects that are made on the way: this cannot fail.
        let _ = patch::apply(&mut tree, &patch::Action::add(pointer.clone(), leaf));
    }
    tree
}
