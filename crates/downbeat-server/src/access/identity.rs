//! Whose token it is, and the roles behind it; remembered for a moment.
//!
//! Every request carries a token, so what the database knows of it is kept in memory. Whatever this
//! process changes in users, roles or tokens is seen by the next request ([`Db::identities`]); what
//! another process changes in the same database within [`OLDEST`].

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use downbeat_access::{Object, Role, Roles};
use downbeat_store::{Db, token, user};
use jiff::Timestamp;

use crate::Result;

/// How long something is remembered.
const OLDEST: Duration = Duration::from_secs(1);
/// How many tokens are remembered.
const MOST: usize = 10_000;

/// A user, as known by a token.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) user: user::User,
    /// Roles by path of the object, those of the user's groups included.
    pub(super) roles: BTreeMap<String, Roles>,
    /// When the token ends.
    pub(super) expires_at: Option<Timestamp>,
}

/// The identities that were asked for of late.
#[derive(Clone, Debug, Default)]
pub struct Identities(Arc<RwLock<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    /// What [`Db::identities`] said when the first of them was read.
    as_of: u64,
    by_hash: HashMap<Vec<u8>, (Instant, Arc<Identity>)>,
}

impl Identities {
    /// Who has the token with this hash; none when nobody has.
    pub(super) async fn find(&self, db: &Db, hash: &[u8]) -> Result<Option<Arc<Identity>>> {
        let as_of = db.identities();
        if let Some(identity) = self.remembered(as_of, hash) {
            return Ok(Some(identity));
        }
        let Some(identity) = load(db, hash).await? else { return Ok(None) };
        let identity = Arc::new(identity);
        self.remember(as_of, hash, &identity);
        Ok(Some(identity))
    }

    fn remembered(&self, as_of: u64, hash: &[u8]) -> Option<Arc<Identity>> {
        let remembered = self.0.read().ok()?;
        let (since, identity) = remembered.by_hash.get(hash)?;
        let is_fresh = remembered.as_of == as_of && since.elapsed() < OLDEST;
        is_fresh.then(|| Arc::clone(identity))
    }

    fn remember(&self, as_of: u64, hash: &[u8], identity: &Arc<Identity>) {
        let Ok(mut remembered) = self.0.write() else { return };
        if remembered.as_of > as_of {
            // Something changed while this was read.
            return;
        }
        if remembered.as_of < as_of || remembered.by_hash.len() >= MOST {
            remembered.by_hash.clear();
            remembered.as_of = as_of;
        }
        remembered.by_hash.insert(hash.to_owned(), (Instant::now(), Arc::clone(identity)));
    }
}

async fn load(db: &Db, hash: &[u8]) -> Result<Option<Identity>> {
    let mut conn = db.read().await?;
    let Some(token) = token::by_hash(&mut conn, hash).await? else { return Ok(None) };
    let Some(user) = user::find(&mut conn, &token.user_id).await? else { return Ok(None) };
    let mut roles: BTreeMap<String, Roles> = BTreeMap::new();
    for (object, name) in user::roles(&mut conn, &user.id).await? {
        if let Some(role) = Role::parse(kind(&object), &name) {
            let held = roles.entry(object).or_default();
            *held = held.with(role);
        }
    }
    Ok(Some(Identity { user, roles, expires_at: token.expires_at }))
}

/// What a path of an object is about.
fn kind(object: &str) -> Object {
    match object.split('/').nth(3) {
        None => Object::Organization,
        Some("apps") => Object::Application,
        Some(_) => Object::EnvironmentType,
    }
}
