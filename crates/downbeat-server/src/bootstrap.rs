//! The first organization: v1 has no call that makes one.

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use downbeat_core::{Secret, id::Grammar};
use downbeat_store::{
    Db, Tx,
    environment_type::{self, EnvironmentType},
    organization::{self, Organization},
    token::{self, Token},
    user::{self, User},
};
use jiff::Timestamp;

use crate::{
    Result,
    access::{self, ADMINISTRATOR},
    problem::{Problem, short},
    state::new_id,
};

/// Starts every token, so that scanners find one that leaked.
pub const TOKEN_PREFIX: &str = "dbt_";
/// The environment type that every organization has from the start.
pub const FIRST_ENVIRONMENT_TYPE: &str = "development";

/// What to set up. All ids are the caller's choice, as v1 clients expect.
#[derive(Clone, Debug)]
pub struct FirstOrganization {
    /// Id of the organization.
    pub org_id: String,
    /// Name of the organization.
    pub org_name: String,
    /// Id of the administrator; absent for a new one.
    pub admin_id: Option<String>,
    /// Name of the administrator.
    pub admin_name: String,
    /// E-mail address of the administrator.
    pub admin_email: Option<String>,
    /// The administrator's token; absent for a random one.
    pub token: Option<Secret>,
}

/// Sets up an organization with an administrator and the environment type `development`, and
/// answers the administrator's token. Nothing is written when it fails.
///
/// # Errors
/// 400 when the id of the organization is not valid, 409 when an id is taken.
pub async fn organization(db: &Db, now: Timestamp, first: FirstOrganization) -> Result<Secret> {
    let token = first.token.clone().map_or_else(new_token, Ok)?;
    let mut tx = db.write().await?;
    let admin = found(&mut tx, now, first).await?;
    add_lasting(&mut tx, now, &admin, &token).await?;
    downbeat_store::commit(tx).await?;
    Ok(token)
}

/// Does what [`organization()`] does, without a token: [`lasting_token`] makes one when it is
/// needed.
///
/// # Errors
/// Those of [`organization()`].
pub async fn organization_without_token(
    db: &Db,
    now: Timestamp,
    first: FirstOrganization,
) -> Result<()> {
    let mut tx = db.write().await?;
    found(&mut tx, now, first).await?;
    downbeat_store::commit(tx).await?;
    Ok(())
}

/// Writes the organization and its administrator, and answers the id of the latter.
async fn found(tx: &mut Tx, now: Timestamp, first: FirstOrganization) -> Result<String> {
    // No `--`: it ends the organization in the keys of secrets.
    let grammar = Grammar::Application;
    if !grammar.accepts(&first.org_id) {
        let (id, rule) = (short(&first.org_id), grammar.expected());
        return Err(Problem::invalid(format!("`{id}` is not valid as id: use {rule}.")));
    }
    let admin = first.admin_id.unwrap_or_else(|| new_id(now));
    let scope = access::founder(&first.org_id);
    let row = User {
        id: admin.clone(),
        name: first.admin_name,
        kind: "user".to_owned(),
        email: first.admin_email,
        created_at: now,
    };
    user::create(tx, &row).await?;
    let row = Organization {
        id: first.org_id,
        name: first.org_name,
        created_at: now,
        created_by: admin.clone(),
    };
    organization::create(tx, &row).await?;
    user::set_role(tx, &scope, "", &admin, ADMINISTRATOR).await?;
    let row = EnvironmentType {
        id: FIRST_ENVIRONMENT_TYPE.to_owned(),
        description: "For work in progress".to_owned(),
    };
    environment_type::create(tx, &scope, &row).await?;
    Ok(admin)
}

/// Id of the lasting token that whoever has the data directory may make.
const LASTING: &str = "first";

/// Whether the user has a token that does not end.
///
/// # Errors
/// When the database fails.
pub async fn has_lasting_token(db: &Db, user: &str) -> Result<bool> {
    let tokens = token::list(&mut *db.read().await?, user).await?;
    Ok(tokens.iter().any(|token| token.id != SESSION && token.expires_at.is_none()))
}

/// A new lasting token of a user, in the place of the one that this function or
/// [`organization()`] made before.
///
/// # Errors
/// When the database fails, or the user does not exist.
pub async fn lasting_token(db: &Db, now: Timestamp, user: &str) -> Result<Secret> {
    let secret = new_token()?;
    let mut tx = db.write().await?;
    token::delete(&mut tx, user, LASTING).await?;
    add_lasting(&mut tx, now, user, &secret).await?;
    downbeat_store::commit(tx).await?;
    Ok(secret)
}

async fn add_lasting(tx: &mut Tx, now: Timestamp, user: &str, secret: &Secret) -> Result<()> {
    let row = Token {
        id: LASTING.to_owned(),
        user_id: user.to_owned(),
        kind: "static".to_owned(),
        description: "Made on the machine of the server".to_owned(),
        created_at: now,
        created_by: user.to_owned(),
        expires_at: None,
    };
    token::create(tx, &row, &access::token_hash(secret.expose())).await?;
    Ok(())
}

/// A random token of 256 bits.
pub(crate) fn new_token() -> Result<Secret> {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes).map_err(|error| Problem::internal(&error))?;
    Ok(Secret::new(format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

/// Id of the token that a server process makes for itself.
const SESSION: &str = "process";

/// A token of a user for the process that has the database for itself; it replaces that of the
/// process before.
///
/// # Errors
/// When the database fails, or the user does not exist.
pub async fn session(db: &Db, now: Timestamp, user: &str) -> Result<Secret> {
    let secret = new_token()?;
    let mut tx = db.write().await?;
    token::delete(&mut tx, user, SESSION).await?;
    let row = Token {
        id: SESSION.to_owned(),
        user_id: user.to_owned(),
        kind: "session".to_owned(),
        description: "Of the server process itself".to_owned(),
        created_at: now,
        created_by: user.to_owned(),
        expires_at: None,
    };
    token::create(&mut tx, &row, &access::token_hash(secret.expose())).await?;
    downbeat_store::commit(tx).await?;
    Ok(secret)
}

/// Ends the token that [`session`] made.
///
/// # Errors
/// When the database fails.
pub async fn end_session(db: &Db, user: &str) -> Result<()> {
    let mut tx = db.write().await?;
    token::delete(&mut tx, user, SESSION).await?;
    downbeat_store::commit(tx).await?;
    Ok(())
}
