//! What the engine needs from the world. Adapters implement these.

use std::{collections::BTreeMap, fmt, pin::Pin, sync::Arc};

use downbeat_core::{
    Code, Definition, DeploymentSet, Json, JsonMap, Manifest, ResourceKey, Secret, SecretExpr,
    SecretRef, assemble::Object, definition::DriverInputs, manifest::Location, matching::Index,
    resolve::Outputs, resource_type::Catalogue,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A future behind a pointer, for ports.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

// ---- drivers ----------------------------------------------------------------------------------

/// What a driver is asked to make (spec 06 section 1).
#[derive(Debug)]
pub struct Request<'a> {
    /// Permanent id of the resource.
    pub guresid: &'a str,
    /// What the resource is.
    pub key: &'a ResourceKey,
    /// Inputs of the resource; never null, never secret.
    pub resource: &'a Json,
    /// Plain driver inputs, placeholders resolved.
    pub values: &'a Json,
    /// Secret driver inputs: the shape, with `null` where a secret belongs.
    pub secrets: &'a Json,
    /// Secret driver inputs: JSON pointer to the expression of each leaf.
    pub secret_exprs: &'a BTreeMap<String, SecretExpr>,
    /// The same leaves in plaintext; empty for a driver that does not open secrets. The credentials
    /// of the driver account are below `/account`.
    pub secret_texts: &'a BTreeMap<String, Secret>,
    /// What the driver stored last time.
    pub cookie: Option<&'a Secret>,
    /// Source of everything random: the same for each run of this resource.
    pub seed: [u8; 32],
    /// Names this effect: two requests with the same key are the same request.
    pub idempotency_key: &'a str,
    /// Where a driver that an organization registered listens; empty for a built-in one.
    pub target: &'a str,
}

/// What a driver is asked to free (spec 06 section 1).
#[derive(Debug)]
pub struct Removal<'a> {
    /// Permanent id of the resource.
    pub guresid: &'a str,
    /// What the resource is.
    pub key: &'a ResourceKey,
    /// What the driver stored last time.
    pub cookie: Option<&'a Secret>,
    /// The credentials of its account as they are now, a JSON object; none when it had no account.
    pub account: Option<&'a Secret>,
    /// Where a driver that an organization registered listens; empty for a built-in one.
    pub target: &'a str,
}

/// The cookie of a resource while its driver works.
///
/// What is needed to find or free the resource again has to be kept before anything is made: the
/// process may end in between. What a driver keeps here counts as if its answer had set it.
pub trait Memory: Send + Sync {
    /// Seals and stores the cookie before it returns. After an error the driver does nothing more:
    /// it is asked again when the cookie can be stored.
    fn keep(&self, cookie: Secret) -> BoxFuture<'_, Result<(), DriverError>>;
}

/// What a driver made.
#[derive(Debug, Default)]
pub struct Response {
    /// Plain outputs.
    pub values: JsonMap,
    /// Secret outputs: JSON pointer to each leaf.
    pub secrets: BTreeMap<String, SecretOutput>,
    /// Manifests.
    pub manifests: Vec<DriverManifest>,
    /// What becomes of the cookie.
    pub cookie: CookieChange,
}

/// A secret that a driver returns.
#[derive(Debug, Clone)]
pub enum SecretOutput {
    /// A plaintext; the engine seals it at once.
    Text(Secret),
    /// A reference to a secret that is kept elsewhere.
    Expr(SecretExpr),
}

/// A manifest that a driver returns, with its secrets apart.
#[derive(Debug)]
pub struct DriverManifest {
    /// Label for messages.
    pub name: String,
    /// Where it goes.
    pub location: Location,
    /// The object, with `null` where a secret belongs.
    pub data: Json,
    /// JSON pointer to the secret that belongs there.
    pub secrets: BTreeMap<String, SecretOutput>,
}

/// What becomes of a driver's cookie.
#[derive(Debug, Default)]
pub enum CookieChange {
    /// The stored one stays.
    #[default]
    Keep,
    /// This one is stored.
    Set(Secret),
    /// None is stored any more.
    Clear,
}

/// Why a driver failed. Messages hold no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DriverError {
    /// What kind of failure.
    pub code: Code,
    /// A whole sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl DriverError {
    /// A failure with a code and a sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A driver whose answer depends on the request alone. It may be asked at any time, also to find
/// out what would happen.
pub trait PureDriver: Send + Sync {
    /// Whether it wants its secret inputs in plaintext.
    fn opens_secrets(&self) -> bool {
        true
    }

    /// Whether the credentials of its account are given to it.
    fn takes_account(&self) -> bool {
        self.opens_secrets()
    }

    /// The answer.
    ///
    /// # Errors
    /// When the inputs do not make sense to it.
    fn compute(&self, request: &Request<'_>) -> Result<Response, DriverError>;
}

/// A driver that changes the world. It must accept being called twice with one idempotency key.
///
/// A call can end at any time without an answer, because its future is dropped or the process
/// dies; it is then made again.
pub trait ExternalDriver: Send + Sync {
    /// Makes or updates the resource.
    fn provision<'a>(
        &'a self,
        request: &'a Request<'a>,
        memory: &'a dyn Memory,
    ) -> BoxFuture<'a, Result<Response, DriverError>>;

    /// Frees what was made, also when that was only a part. Succeeds when there is nothing.
    fn deprovision<'a>(
        &'a self,
        removal: &'a Removal<'a>,
        memory: &'a dyn Memory,
    ) -> BoxFuture<'a, Result<(), DriverError>>;
}

/// A driver of either kind.
#[derive(Clone)]
pub enum Driver {
    /// Answers from its inputs alone.
    Pure(Arc<dyn PureDriver>),
    /// Changes the world.
    External(Arc<dyn ExternalDriver>),
}

/// What asking a driver does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// It may make, change or pay for something.
    External,
}

impl Driver {
    /// What asking it does to the world.
    #[must_use]
    pub fn effect(&self) -> Effect {
        match self {
            Self::Pure(_) => Effect::None,
            Self::External(_) => Effect::External,
        }
    }

    /// Whether it wants its secret inputs in plaintext.
    #[must_use]
    pub fn opens_secrets(&self) -> bool {
        match self {
            Self::Pure(driver) => driver.opens_secrets(),
            Self::External(_) => true,
        }
    }

    /// Whether the credentials of its account are given to it.
    #[must_use]
    pub fn takes_account(&self) -> bool {
        match self {
            Self::Pure(driver) => driver.takes_account(),
            Self::External(_) => true,
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Driver({:?})", self.effect())
    }
}

/// The drivers that can run here, by reference (`humanitec/template`).
#[derive(Clone, Debug, Default)]
pub struct Drivers {
    /// The drivers.
    pub by_type: BTreeMap<String, Driver>,
    /// What speaks to the drivers that organizations registered; a request names where they listen.
    pub remote: Option<Driver>,
    /// What resolves the drivers of organizations that stand for another one.
    pub expand: Option<Arc<dyn Expand>>,
}

/// A driver that stands for another one, and the inputs that a definition gives to it.
#[derive(Debug)]
pub struct Expansion<'a> {
    /// The driver that stands for another.
    pub driver_type: &'a str,
    /// The type of the resource.
    pub resource_type: &'a str,
    /// Renders the inputs of the other driver: a text, or an object of texts.
    pub template: &'a Json,
    /// What the definition gives: placeholders unresolved, secrets as references.
    pub inputs: &'a DriverInputs,
}

/// Renders the inputs of the driver that another one stands for. Pure, and not about one resource:
/// it happens before references are collected, because the result may hold new ones.
pub trait Expand: fmt::Debug + Send + Sync {
    /// The inputs of the other driver.
    ///
    /// # Errors
    /// When the template fails, or does not make inputs.
    fn expand(&self, expansion: &Expansion<'_>) -> Result<DriverInputs, DriverError>;
}

// ---- Terraform's state ------------------------------------------------------------------------

/// Why a state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Somebody else holds the lock.
    #[error("the state is locked")]
    Locked {
        /// What the holder said about itself: the JSON text of Terraform's lock.
        holder: String,
    },
    /// The state store failed.
    #[error("{0}")]
    Failed(String),
}

/// The states of infrastructure code, one for each resource, sealed.
///
/// Terraform's HTTP backend reads and writes them through the server; a lock is held by the id that
/// Terraform makes up.
pub trait States: Send + Sync {
    /// The newest state.
    fn read<'a>(&'a self, guresid: &'a str) -> BoxFuture<'a, Result<Option<Secret>, StateError>>;

    /// Replaces the state. With a lock on it, only for the holder.
    fn write<'a>(
        &'a self,
        guresid: &'a str,
        lock: Option<&'a str>,
        state: &'a Secret,
    ) -> BoxFuture<'a, Result<(), StateError>>;

    /// Locks the state for the holder of `id`; again for the same one.
    fn lock<'a>(
        &'a self,
        guresid: &'a str,
        id: &'a str,
        about: &'a str,
    ) -> BoxFuture<'a, Result<(), StateError>>;

    /// Frees the lock; without an id whoever holds it.
    fn unlock<'a>(
        &'a self,
        guresid: &'a str,
        id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), StateError>>;

    /// Forgets the state and its lock.
    fn remove<'a>(&'a self, guresid: &'a str) -> BoxFuture<'a, Result<(), StateError>>;
}

// ---- secrets ----------------------------------------------------------------------------------

/// Why a secret cannot be opened or kept. Messages name the reference, never the value.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SecretsError {
    /// A whole sentence.
    pub message: String,
}

/// The secret stores that this installation can reach.
pub trait Secrets: Send + Sync {
    /// Reads plaintexts, in the order of the references. A reference into the local store must be
    /// to a secret of this organization.
    fn open<'a>(
        &'a self,
        org: &'a str,
        references: &'a [SecretRef],
    ) -> BoxFuture<'a, Result<Vec<Secret>, SecretsError>>;

    /// Keeps plaintexts in the primary store, each under its key. A plaintext that is kept there
    /// already keeps its version.
    fn seal<'a>(
        &'a self,
        secrets: &'a [(String, Secret)],
    ) -> BoxFuture<'a, Result<Vec<SecretRef>, SecretsError>>;
}

/// The cryptography of the local secret store: envelope encryption with keys that the database
/// does not hold.
pub trait Sealer: Send + Sync {
    /// Encrypts a plaintext; `context` is bound to it and must be the same when it is opened.
    ///
    /// # Errors
    /// When the key ring cannot be used.
    fn seal(&self, context: &str, secret: &Secret) -> Result<Vec<u8>, SecretsError>;

    /// Decrypts what [`Self::seal`] made.
    ///
    /// # Errors
    /// When it was made with another key or context, or was changed.
    fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret, SecretsError>;

    /// A keyed digest, to tell whether two plaintexts are equal without opening either.
    fn digest(&self, context: &str, secret: &Secret) -> Vec<u8>;
}

// ---- targets ----------------------------------------------------------------------------------

/// Everything that a deployment wants to run in one environment.
#[derive(Debug)]
pub struct Delivery<'a> {
    /// The deployment; two deliveries with the same id are the same delivery.
    pub deployment: &'a str,
    /// Organization.
    pub org: &'a str,
    /// Application.
    pub app: &'a str,
    /// Environment.
    pub env: &'a str,
    /// Plain outputs of the environment's `k8s-cluster` resource.
    pub cluster: &'a JsonMap,
    /// Secret outputs of the cluster, opened: JSON pointer to plaintext.
    pub credentials: &'a BTreeMap<String, Secret>,
    /// The objects, in the order in which they can be applied.
    pub objects: &'a [Object],
    /// Whether the environment is being deleted: nothing of it stays, and there are no objects.
    pub is_last: bool,
    /// What to tell people about it: first line, then more.
    pub message: &'a str,
    /// When the deployment was asked for.
    pub time: Timestamp,
}

/// What a target did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delivered {
    /// Kind of target, for example `git`.
    pub target: String,
    /// Where the objects are now, for people; no credentials.
    pub location: String,
    /// Branch, for Git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Folder, for Git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Commit, for Git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether anything changed.
    pub changed: bool,
    /// How many files or objects there are.
    pub files: usize,
}

/// Why a target could not take a delivery.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TargetError {
    /// What kind of failure.
    pub code: Code,
    /// A whole sentence, without credentials.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A place that objects are delivered to.
pub trait Target: Send + Sync {
    /// Brings the objects there. Accepts being called twice for one deployment.
    fn deliver<'a>(
        &'a self,
        delivery: &'a Delivery<'a>,
    ) -> BoxFuture<'a, Result<Delivered, TargetError>>;
}

/// The targets, by the `cluster_type` that a cluster puts out.
#[derive(Clone, Default)]
pub struct Targets {
    /// The targets.
    pub by_type: BTreeMap<String, Arc<dyn Target>>,
}

// ---- journal ----------------------------------------------------------------------------------

/// The right to work on a deployment. Whatever is written with a lease whose epoch is not the
/// newest changes nothing and answers [`JournalError::Fenced`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The deployment.
    pub deployment: String,
    /// Raised by every claim.
    pub epoch: i64,
}

/// Why the journal did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another worker has claimed the deployment.
    #[error("another worker has claimed the deployment")]
    Fenced,
    /// The database failed.
    #[error("the journal cannot be read or written")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Everything that a deployment is made from.
#[derive(Debug)]
pub struct Loaded {
    /// Installation id, part of every GUResID.
    pub installation: String,
    /// Organization.
    pub org: String,
    /// Application.
    pub app: String,
    /// Environment.
    pub env: String,
    /// Type of the environment.
    pub env_type: String,
    /// The deployment.
    pub deployment: String,
    /// What the user said about it.
    pub comment: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Name of the set.
    pub set_id: String,
    /// The set.
    pub set: DeploymentSet,
    /// Shared values of the frozen version.
    pub values: downbeat_core::resolve::Values,
    /// Definitions of the organization, built-in ones included.
    pub definitions: Arc<Index>,
    /// Resource types of the organization.
    pub types: Arc<Catalogue>,
    /// How often resources were deleted.
    pub incarnations: BTreeMap<ResourceKey, u64>,
    /// Definition versions that resources are pinned to.
    pub pins: BTreeMap<ResourceKey, Arc<Definition>>,
    /// Stored cookies by GUResID; the first is that of the driver that made the resource last.
    pub cookies: BTreeMap<String, Vec<Cookie>>,
    /// Drivers that the organization registered, by reference (`<org>/<id>`).
    pub registered: BTreeMap<String, RegisteredDriver>,
    /// Accounts of the organization, by id; none where accounts are not known: rendering.
    pub accounts: Option<BTreeMap<String, Account>>,
    /// Profiles of the organization that the set names, each as its newest version is.
    pub profiles: downbeat_core::profile::Profiles,
    /// Resources of the environment that have manifests in the target and keep them, whether or
    /// not this deployment needs them.
    pub kept: Vec<KeptResource>,
    /// Results that an earlier attempt of this deployment journalled, by GUResID.
    pub results: BTreeMap<String, NodeResult>,
}

/// An account of an organization at a cloud or another service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its type, for example `aws`.
    pub account_type: String,
    /// Where its credentials are kept: one secret, a JSON object.
    pub credentials: SecretRef,
}

/// A driver that an organization registered.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisteredDriver {
    /// Where it listens, or the driver that it stands for (`driver://<org>/<id>`).
    pub target: String,
    /// What its inputs have to look like; null without a schema.
    pub inputs_schema: Json,
    /// The types of accounts that it takes.
    pub account_types: Vec<String>,
    /// For one that stands for another: the template of that one's inputs; null without one.
    pub template: Json,
}

/// What a driver stored for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// The driver.
    pub driver_type: String,
    /// Where it is kept.
    pub reference: SecretRef,
}

/// A resource that exists, with what it has in the target.
///
/// Dropping a dependency does not delete the resource: its manifests stay until it is deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptResource {
    /// Permanent id.
    pub guresid: String,
    /// What it is.
    pub key: ResourceKey,
    /// Its manifests with location `namespace` and `cluster`.
    pub manifests: Vec<Manifest>,
}

/// What came of a node: everything that later steps need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeResult {
    /// Hash of what the result was made from; equal hash, equal result.
    pub input_hash: String,
    /// What others may use.
    pub outputs: Outputs,
    /// What goes to the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<Manifest>,
    /// The driver's cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<SecretRef>,
}

/// A row of the graph that a deployment works through.
#[derive(Clone, Debug)]
pub struct NodeRow {
    /// Permanent id.
    pub guresid: String,
    /// What it is.
    pub key: ResourceKey,
    /// What makes it.
    pub definition: Arc<Definition>,
    /// Id of the criteria that matched.
    pub criteria_id: String,
    /// The driver account of its definition, resolved; empty without one.
    pub driver_account: String,
    /// GUResIDs of what it needs.
    pub depends_on: Vec<String>,
}

/// The graph of a deployment, as it is stored.
#[derive(Clone, Debug)]
pub struct GraphRow {
    /// Hash of `nodes`.
    pub hash: String,
    /// The nodes as the API shows them.
    pub nodes: Vec<Json>,
    /// The rows of the journal, in provisioning order.
    pub rows: Vec<NodeRow>,
}

/// Why a node failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeError {
    /// The code in its text form.
    pub code: String,
    /// A whole sentence.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What happened to a node, for the journal.
#[derive(Clone, Debug)]
pub struct NodeRecord {
    /// Position in the graph.
    pub position: u32,
    /// What came of it.
    pub outcome: Result<NodeResult, NodeError>,
}

/// One entry of `GET .../deploys/{id}/errors` (spec 12 section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentError {
    /// `workload`, `resource`, `deployment` or `environment`.
    pub scope: &'static str,
    /// Workload id, or the resource as `type.class#res_id`.
    pub object_id: String,
    /// What kind of failure.
    pub code: Code,
    /// A whole sentence, with what to do about it.
    pub message: String,
}

/// How a deployment ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// Everything is in the target.
    Succeeded(Delivered),
    /// Nothing was given to the target, or it refused.
    Failed(Vec<DeploymentError>),
}

/// Where a deployment stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reading the set, the values and the context.
    Read,
    /// Matching definitions and building the graph.
    Match,
    /// Provisioning resources.
    Create,
    /// Delivering manifests.
    Deploy,
    /// Over.
    Done,
}

impl Phase {
    /// The word in the database and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Match => "match",
            Self::Create => "create",
            Self::Deploy => "deploy",
            Self::Done => "done",
        }
    }
}

/// Result of a journal call.
pub type Journalled<'a, T> = BoxFuture<'a, Result<T, JournalError>>;

/// The durable memory of deployments. Each call is one transaction.
pub trait Journal: Send + Sync {
    /// Claims a deployment that is pending, or in progress under a lease that is over, and marks it
    /// in progress. Raises its epoch.
    fn claim(&self) -> Journalled<'_, Option<Lease>>;

    /// Extends a lease.
    fn renew<'a>(&'a self, lease: &'a Lease) -> Journalled<'a, ()>;

    /// Reads what a deployment is made from.
    fn load<'a>(&'a self, lease: &'a Lease) -> Journalled<'a, Loaded>;

    /// Says where the deployment stands.
    fn phase<'a>(&'a self, lease: &'a Lease, phase: Phase) -> Journalled<'a, ()>;

    /// Stores the graph, and one pending row for each node; rows of an earlier attempt are
    /// replaced, except for the results of nodes that are still part of the graph.
    fn graph<'a>(&'a self, lease: &'a Lease, graph: &'a GraphRow) -> Journalled<'a, ()>;

    /// Notes that effects are about to start: position and idempotency key of each. From now on
    /// the resources are known, and can be freed.
    fn start<'a>(
        &'a self,
        lease: &'a Lease,
        graph: &'a GraphRow,
        nodes: &'a [(u32, String)],
    ) -> Journalled<'a, ()>;

    /// Stores the cookie that a driver left while it works. From now on the resource is known, and
    /// can be freed.
    fn keep<'a>(
        &'a self,
        lease: &'a Lease,
        node: &'a NodeRow,
        cookie: &'a SecretRef,
    ) -> Journalled<'a, ()>;

    /// Stores what happened to nodes; what is ready becomes an active resource.
    fn record<'a>(
        &'a self,
        lease: &'a Lease,
        graph: &'a GraphRow,
        records: &'a [NodeRecord],
    ) -> Journalled<'a, ()>;

    /// Ends the deployment.
    fn finish<'a>(&'a self, lease: &'a Lease, ended: &'a Ended) -> Journalled<'a, ()>;
}

// ---- removals ---------------------------------------------------------------------------------

/// Driver type of a removal that takes an environment out of its target.
pub const TARGET: &str = "downbeat/target";

/// Something that is to be freed, and the right to do so.
#[derive(Clone, Debug)]
pub struct RemovalJob {
    /// The removal.
    pub id: String,
    /// Raised by every claim; see [`Lease::epoch`].
    pub epoch: i64,
    /// 1 for the first attempt.
    pub attempt: i64,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Why.
    pub reason: String,
    /// Organization.
    pub org: String,
    /// Application.
    pub app: String,
    /// Environment.
    pub env: String,
    /// What it is.
    pub key: ResourceKey,
    /// Permanent id.
    pub guresid: String,
    /// The driver that made it, or [`TARGET`].
    pub driver_type: String,
    /// Where a registered driver listens; empty for a built-in one.
    pub target: String,
    /// What the driver stored last.
    pub cookie: Option<SecretRef>,
    /// The credentials of the account that it was made with; none when there is no account.
    pub account: Option<SecretRef>,
    /// For [`TARGET`]: what the environment's cluster put out.
    pub cluster: Outputs,
}

/// What becomes of a removal that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It is tried again, not before this long.
    After(std::time::Duration),
    /// Only when somebody asks for it.
    WhenAsked,
}

/// The durable memory of removals. Each call is one transaction; a stale owner changes nothing.
pub trait Removals: Send + Sync {
    /// Claims a removal that nothing stands in the way of: what depends on it is gone, and its
    /// environment has no deployment under way.
    fn claim(&self) -> Journalled<'_, Option<RemovalJob>>;

    /// Extends the lease.
    fn renew<'a>(&'a self, job: &'a RemovalJob) -> Journalled<'a, ()>;

    /// Stores the cookie that the driver left while it works.
    fn keep<'a>(&'a self, job: &'a RemovalJob, cookie: &'a SecretRef) -> Journalled<'a, ()>;

    /// It is free: the resource is forgotten. The last one of an environment that is being deleted
    /// takes the environment with it.
    fn freed<'a>(&'a self, job: &'a RemovalJob) -> Journalled<'a, ()>;

    /// It is not.
    fn failed<'a>(
        &'a self,
        job: &'a RemovalJob,
        error: &'a NodeError,
        again: Again,
    ) -> Journalled<'a, ()>;
}
