//! Create: every node of the graph, each as soon as what it depends on is ready.
//!
//! Nodes with pure drivers that are ready at the same time are computed side by side on the
//! available cores, and journalled together. External drivers run beside each other; what depends on
//! one goes on when that one is done, whatever the others do. A result is journalled before anybody
//! reads it. A node that fails takes its dependents with it; all others finish.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::hmac;
use downbeat_core::{
    Code, Document, Json, Manifest, ResourceGraph, ResourceKey, Secret, SecretExpr, SecretRef,
    account, builtin,
    graph::{Node, NodeIndex},
    patch,
    resolve::{Facts, Outputs, OutputsOf},
    resource_type::Catalogue,
};
use futures_util::{StreamExt, stream::FuturesUnordered};

use crate::{
    check::check,
    parallel,
    port::{
        Account, BoxFuture, Cookie, CookieChange, Driver, DriverError, Drivers, GraphRow, Journal,
        JournalError, Lease, Memory, NodeError, NodeRecord, NodeResult, RegisteredDriver, Request,
        Response, SecretOutput, Secrets,
    },
    prepare::{Context, Prepared, prepare},
    schema::Schemas,
};

/// External effects of one deployment that run at the same time.
const EFFECTS_AT_ONCE: usize = 16;
/// Nodes with pure drivers whose inputs are in memory at the same time, and in one transaction.
const NODES_AT_ONCE: usize = 512;

/// Where nodes are created.
pub struct Creation<'a> {
    /// The drivers.
    pub drivers: &'a Drivers,
    /// The secret stores.
    pub secrets: &'a dyn Secrets,
    /// The journal, and the right to write to it.
    pub journal: &'a dyn Journal,
    /// The lease on the deployment.
    pub lease: &'a Lease,
    /// Compiled schemas.
    pub schemas: &'a Schemas,
    /// Types of the organization.
    pub types: &'a Catalogue,
    /// The deployment.
    pub facts: &'a Facts<'a>,
    /// The graph as stored.
    pub row: &'a GraphRow,
    /// Key for everything random that drivers ask for.
    pub seed: &'a [u8],
    /// Cookies by GUResID.
    pub cookies: &'a BTreeMap<String, Vec<Cookie>>,
    /// Drivers that the organization registered.
    pub registered: &'a BTreeMap<String, RegisteredDriver>,
    /// Accounts of the organization; none when they are not known.
    pub accounts: Option<&'a BTreeMap<String, Account>>,
}

impl<'a> Creation<'a> {
    /// The driver of a node, and where it listens.
    pub(crate) fn driver(&self, node: &Node) -> Result<(&'a Driver, &'a str), NodeError> {
        find(self, node.definition.driver_type()).ok_or_else(|| unknown_driver(self, node))
    }
}

/// What came of the nodes.
#[derive(Debug)]
pub struct Created {
    /// The results, by position; none for nodes that failed or were skipped.
    pub results: Results,
    /// The failures, by position.
    pub errors: Vec<(NodeIndex, NodeError)>,
}

/// Results by position.
#[derive(Debug, Default)]
pub struct Results(pub Vec<Option<NodeResult>>);

impl Results {
    /// The result of a node.
    #[must_use]
    pub fn of(&self, node: NodeIndex) -> Option<&NodeResult> {
        self.0.get(node as usize)?.as_ref()
    }
}

impl OutputsOf for Results {
    fn outputs(&self, node: NodeIndex) -> Option<Cow<'_, Outputs>> {
        self.of(node).map(|result| Cow::Borrowed(&result.outputs))
    }
}

/// The positions of all nodes, by key.
#[must_use]
pub fn positions(graph: &ResourceGraph) -> BTreeMap<ResourceKey, NodeIndex> {
    (0u32..).zip(&graph.nodes).map(|(at, node)| (node.key.clone(), at)).collect()
}

/// A node that is ready to be driven.
struct Step<'a> {
    position: NodeIndex,
    node: &'a Node,
    driver: &'a Driver,
    prepared: Prepared,
    guresid: String,
    idempotency_key: String,
    seed: [u8; 32],
    texts: BTreeMap<String, Secret>,
    cookie: Option<Secret>,
    target: &'a str,
    kept: Mutex<Kept>,
}

/// What came of keeping a cookie while the driver worked.
#[derive(Default)]
struct Kept {
    cookie: Option<SecretRef>,
    failure: Option<JournalError>,
}

impl Step<'_> {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plaintexts that nobody may see. Of an account that is not all: its project and its
    /// addresses stand everywhere.
    fn hidden(&self) -> impl Iterator<Item = &Secret> {
        let kind = self.prepared.account.as_ref().and_then(|one| account::find(&one.account_type));
        let is_open = move |at: &str| {
            let member = at.strip_prefix(ACCOUNT).and_then(|rest| rest.strip_prefix('/'));
            member.zip(kind).is_some_and(|(member, kind)| kind.is_open(member))
        };
        self.texts.iter().filter(move |(at, _)| !is_open(at)).map(|(_, text)| text)
    }

    /// Brings the credentials of the account to the secret inputs.
    fn add_account(&mut self, credentials: &Secret) {
        let secrets = &mut self.prepared.secrets;
        secrets.secrets.retain(|at, _| !is_below(ACCOUNT, at));
        self.texts.retain(|at, _| !is_below(ACCOUNT, at));
        let (shape, texts) = account_texts(credentials);
        self.texts.extend(texts);
        if let Json::Object(members) = &mut secrets.value {
            members.insert("account".to_owned(), shape);
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            guresid: &self.guresid,
            key: &self.node.key,
            resource: &self.prepared.resource,
            values: &self.prepared.values,
            secrets: &self.prepared.secrets.value,
            secret_exprs: &self.prepared.secrets.secrets,
            secret_texts: &self.texts,
            cookie: self.cookie.as_ref(),
            seed: self.seed,
            idempotency_key: &self.idempotency_key,
            target: self.target,
        }
    }
}

/// Where the credentials of the driver account are in the secret inputs (spec 06 section 1).
const ACCOUNT: &str = "/account";

/// The credentials of an account, with each leaf apart: the shape, and JSON pointer to plaintext.
/// What is not a text becomes one.
pub(crate) fn account_texts(credentials: &Secret) -> (Json, BTreeMap<String, Secret>) {
    let mut shape = serde_json::from_str(credentials.expose()).unwrap_or_default();
    let mut texts = BTreeMap::new();
    take_texts(&mut shape, &mut ACCOUNT.to_owned(), &mut texts);
    (shape, texts)
}

fn is_below(parent: &str, pointer: &str) -> bool {
    pointer.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Takes the leaves out of a tree of secrets: what stays is its shape, with `null` for each.
fn take_texts(value: &mut Json, at: &mut String, texts: &mut BTreeMap<String, Secret>) {
    let length = at.len();
    match value {
        Json::Null => {}
        Json::Object(members) => {
            for (name, member) in members.iter_mut() {
                patch::push_token(at, name);
                take_texts(member, at, texts);
                at.truncate(length);
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                patch::push_token(at, &index.to_string());
                take_texts(item, at, texts);
                at.truncate(length);
            }
        }
        leaf => {
            let text = match std::mem::take(leaf) {
                Json::String(text) => text,
                other => other.to_string(),
            };
            texts.insert(at.clone(), Secret::new(text));
        }
    }
}

/// Creates all nodes. `earlier` are results of an interrupted attempt; those whose inputs are still
/// the same are used as they are.
///
/// # Errors
/// When the journal fails or the lease is lost. What a node does wrong is part of the answer.
pub async fn create(
    at: &Creation<'_>,
    earlier: &BTreeMap<String, NodeResult>,
) -> Result<Created, JournalError> {
    let nodes = &at.facts.graph.nodes;
    let positions = positions(at.facts.graph);
    let waiting: Vec<usize> = nodes.iter().map(|node| node.depends_on.len()).collect();
    let mut dependents: Vec<Vec<NodeIndex>> = vec![Vec::new(); nodes.len()];
    for (from, node) in (0u32..).zip(nodes) {
        for (to, _) in &node.depends_on {
            if let Some(list) = dependents.get_mut(*to as usize) {
                list.push(from);
            }
        }
    }
    let nothing = Results(Vec::new());
    let context = Context {
        facts: at.facts,
        positions: &positions,
        outputs: &nothing,
        types: at.types,
        schemas: at.schemas,
        accounts: at.accounts,
        registered: at.registered,
    };
    let errors = check(at, &context);
    if !errors.is_empty() {
        let records = errors.iter().map(|(position, error)| NodeRecord {
            position: *position,
            outcome: Err(error.clone()),
        });
        at.journal.record(at.lease, at.row, &records.collect::<Vec<_>>()).await?;
        return Ok(Created { results: Results(vec![None; nodes.len()]), errors });
    }
    let mut todo = Todo { waiting, dependents, ready: Vec::new() };
    todo.ready = (0u32..).zip(&todo.waiting).filter(|(_, n)| **n == 0).map(|(at, _)| at).collect();
    let mut results = Results(vec![None; nodes.len()]);
    let mut errors = Vec::new();
    let mut queue: VecDeque<NodeIndex> = VecDeque::new();
    let mut effects = Effects { running: FuturesUnordered::new(), answered: VecDeque::new() };
    loop {
        let context = Context { outputs: &results, ..context };
        let done = if todo.ready.is_empty() {
            let free = EFFECTS_AT_ONCE.saturating_sub(effects.running.len()).min(queue.len());
            if free > 0 {
                let nodes: Vec<NodeIndex> = queue.drain(..free).collect();
                let (steps, failed) = effects.beside(start(at, &context, &nodes)).await?;
                effects.running.extend(steps.into_iter().map(|step| effect(at, step)));
                errors.extend(failed);
            }
            let Some((step, answer)) = effects.next().await else {
                if queue.is_empty() {
                    break;
                }
                continue;
            };
            // A journal that fails says nothing about the node.
            if let Some(failure) = step.kept().failure.take() {
                return Err(failure);
            }
            // Recorded as soon as it is there: a kill repeats only what is unfinished.
            let record = async {
                let done = accept(at, vec![(&step, draft(at, &step, answer))]).await;
                at.journal.record(at.lease, at.row, &done).await.map(|()| done)
            };
            effects.beside(record).await?
        } else {
            let part = todo.next();
            let (done, external) = effects.beside(run_pure(at, &context, &part, earlier)).await?;
            queue.extend(external);
            done
        };
        for NodeRecord { position, outcome } in done {
            match outcome {
                Ok(result) => {
                    if let Some(slot) = results.0.get_mut(position as usize) {
                        *slot = Some(result);
                    }
                    todo.done(position);
                }
                Err(error) => errors.push((position, error)),
            }
        }
    }
    errors.sort_by_key(|(position, _)| *position);
    Ok(Created { results, errors })
}

/// What is still to be done.
struct Todo {
    /// How many dependencies each node waits for.
    waiting: Vec<usize>,
    /// Who waits for each node.
    dependents: Vec<Vec<NodeIndex>>,
    /// Nodes that wait for nothing any more.
    ready: Vec<NodeIndex>,
}

impl Todo {
    /// Some of the nodes that are ready, in the order of the graph.
    fn next(&mut self) -> Vec<NodeIndex> {
        self.ready.sort_unstable();
        let rest = self.ready.split_off(self.ready.len().min(NODES_AT_ONCE));
        std::mem::replace(&mut self.ready, rest)
    }

    /// A node has a result.
    fn done(&mut self, node: NodeIndex) {
        for &dependent in self.dependents.get(node as usize).into_iter().flatten() {
            if let Some(count) = self.waiting.get_mut(dependent as usize) {
                *count -= 1;
                if *count == 0 {
                    self.ready.push(dependent);
                }
            }
        }
    }
}

/// The external drivers at work.
struct Effects<'a> {
    running: FuturesUnordered<BoxFuture<'a, Effect<'a>>>,
    /// Those that answered while something else was awaited.
    answered: VecDeque<Effect<'a>>,
}

impl<'a> Effects<'a> {
    /// The next answer; none when nothing is at work.
    async fn next(&mut self) -> Option<Effect<'a>> {
        match self.answered.pop_front() {
            Some(answer) => Some(answer),
            None => self.running.next().await,
        }
    }

    /// Awaits something else while the drivers go on. Everything that this task awaits goes through
    /// here: a driver that nobody polls may be in the middle of a write, and the database has one
    /// writer.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                Some(answer) = self.running.next() => self.answered.push_back(answer),
            }
        }
    }
}

/// Prepares nodes for their effects and says that these are about to start; answers what is to be
/// started and what failed. Secrets are opened now, not when a node begins to wait.
async fn start<'a>(
    at: &Creation<'a>,
    context: &Context<'_>,
    nodes: &[NodeIndex],
) -> Result<(Vec<Step<'a>>, Vec<(NodeIndex, NodeError)>), JournalError> {
    let mut steps: Vec<Step<'a>> = Vec::with_capacity(nodes.len());
    let mut failed = Vec::new();
    for &position in nodes {
        match step(at, context, position) {
            Ok(step) => steps.push(step),
            Err(error) => failed.push(NodeRecord { position, outcome: Err(error) }),
        }
    }
    open_secrets(at, &mut steps, &mut failed).await;
    at.journal.record(at.lease, at.row, &failed).await?;
    let starting: Vec<(u32, String)> =
        steps.iter().map(|step| (step.position, step.idempotency_key.clone())).collect();
    at.journal.start(at.lease, at.row, &starting).await?;
    let failed = failed.into_iter();
    let failed = failed.filter_map(|one| Some((one.position, one.outcome.err()?)));
    Ok((steps, failed.collect()))
}

/// Computes and journals the nodes whose drivers are pure; what it answers besides are the steps
/// that have effects.
async fn run_pure<'a>(
    at: &Creation<'a>,
    context: &Context<'_>,
    nodes: &[NodeIndex],
    earlier: &BTreeMap<String, NodeResult>,
) -> Result<(Vec<NodeRecord>, Vec<NodeIndex>), JournalError> {
    let mut outcomes: Vec<NodeRecord> = Vec::with_capacity(nodes.len());
    let (mut pure, mut external) = (Vec::new(), Vec::new());
    for (position, prepared) in
        parallel::map(nodes, |&position| (position, step(at, context, position)))
    {
        match prepared {
            Ok(step) => match earlier.get(&step.guresid) {
                Some(result) if result.input_hash == step.prepared.hash => {
                    outcomes.push(NodeRecord { position, outcome: Ok(result.clone()) });
                }
                _ if matches!(step.driver, Driver::Pure(_)) => pure.push(step),
                _ => external.push(position),
            },
            Err(error) => outcomes.push(NodeRecord { position, outcome: Err(error) }),
        }
    }
    open_secrets(at, &mut pure, &mut outcomes).await;
    let answers = parallel::map(&pure, |step| draft(at, step, compute(step)));
    outcomes.extend(accept(at, pure.iter().zip(answers).collect()).await);
    at.journal.record(at.lease, at.row, &outcomes).await?;
    Ok((outcomes, external))
}

fn step<'a>(
    at: &Creation<'a>,
    context: &Context<'_>,
    position: NodeIndex,
) -> Result<Step<'a>, NodeError> {
    let facts = at.facts;
    let node = facts.graph.node(position).ok_or_else(|| NodeError {
        code: Code::Internal.to_string(),
        message: format!("the graph has no node at position {position}"),
        hint: None,
    })?;
    let (driver, target) = at.driver(node)?;
    let prepared = prepare(context, node)?;
    let guresid = node.guresid.to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, at.seed);
    let mut seed = [0; 32];
    for (to, from) in seed.iter_mut().zip(hmac::sign(&key, guresid.as_bytes()).as_ref()) {
        *to = *from;
    }
    // The deployment is part of it: going back to an earlier state is another effect.
    let idempotency_key = format!("{}-{guresid}-{}", at.lease.deployment, prepared.hash);
    Ok(Step {
        position,
        node,
        driver,
        prepared,
        guresid,
        idempotency_key,
        seed,
        texts: BTreeMap::new(),
        cookie: None,
        target,
        kept: Mutex::default(),
    })
}

/// The driver of a type, and where it listens.
fn find<'a>(at: &Creation<'a>, driver_type: &str) -> Option<(&'a Driver, &'a str)> {
    if let Some(driver) = at.drivers.by_type.get(driver_type) {
        return Some((driver, ""));
    }
    let registered = at.registered.get(driver_type)?;
    Some((at.drivers.remote.as_ref()?, &registered.target))
}

fn unknown_driver(at: &Creation<'_>, node: &Node) -> NodeError {
    let definition = &node.definition;
    let driver_type = definition.driver_type();
    let known: Vec<&str> = at.drivers.by_type.keys().map(String::as_str).collect();
    let is_built_in = ["humanitec/", "downbeat/"].iter().any(|org| driver_type.starts_with(org));
    let runs = |name: &str| known.contains(&name) || builtin::changes_nothing(name);
    let other = builtin::alternatives(driver_type).iter().find(|other| runs(other.driver));
    let hint = match (other, downbeat_core::suggest::nearest(driver_type, known.iter().copied())) {
        (Some(other), _) => format!("Use {:?} instead: {}", other.driver, other.how),
        (None, None) if !is_built_in && at.drivers.remote.is_none() => {
            "A driver of an organization is called by a deployment only: deploy to see what it makes"
                .to_owned()
        }
        (None, Some(near)) => format!("Did you mean {near:?}?"),
        (None, None) => format!("Drivers that run here: {}", known.join(", ")),
    };
    NodeError {
        code: Code::UnknownDriver.to_string(),
        message: format!(
            "the driver {driver_type:?} of definition {:?} for {} cannot run here",
            definition.id, node.key
        ),
        hint: Some(hint),
    }
}

/// Opens the secret inputs and cookies of all steps at once; a step whose secrets cannot be opened
/// fails.
async fn open_secrets(
    at: &Creation<'_>,
    steps: &mut Vec<Step<'_>>,
    outcomes: &mut Vec<NodeRecord>,
) {
    let mut failed = Vec::new();
    for (number, step) in steps.iter_mut().enumerate() {
        let mut wanted: Vec<SecretRef> = Vec::new();
        let cookie = cookie_of(at, step.node, &step.guresid);
        wanted.extend(cookie.cloned());
        let exprs = &step.prepared.secrets.secrets;
        if step.driver.opens_secrets() {
            wanted.extend(exprs.values().flat_map(SecretExpr::references).cloned());
        }
        let used = step.prepared.account.as_ref().filter(|_| step.driver.takes_account());
        wanted.extend(used.map(|account| account.credentials.clone()));
        let has_account = used.is_some();
        if wanted.is_empty() {
            // Secret inputs can also be plain text without any reference.
            step.texts = texts(exprs, &mut std::iter::empty());
            continue;
        }
        match at.secrets.open(at.facts.org, &wanted).await {
            Ok(opened) => {
                let mut opened = opened.into_iter();
                step.cookie = cookie.and_then(|_| opened.next());
                if step.driver.opens_secrets() {
                    step.texts = texts(exprs, &mut opened);
                }
                if let Some(credentials) = opened.next().filter(|_| has_account) {
                    step.add_account(&credentials);
                }
            }
            Err(error) => failed.push((number, error)),
        }
    }
    for (number, error) in failed.into_iter().rev() {
        let step = steps.remove(number);
        let message = format!("a secret input of {} cannot be read: {error}", step.node.key);
        let error = NodeError { code: Code::SecretStore.to_string(), message, hint: None };
        outcomes.push(NodeRecord { position: step.position, outcome: Err(error) });
    }
}

/// The cookie that the driver of a node left; that of another driver is none of its business.
fn cookie_of<'a>(at: &Creation<'a>, node: &Node, guresid: &str) -> Option<&'a SecretRef> {
    let cookies = at.cookies.get(guresid)?;
    let definition = &node.definition;
    let own = {
        let driver = builtin::canonical(definition.driver_type());
        cookies.iter().find(|cookie| builtin::canonical(&cookie.driver_type) == driver)
    };
    let taken_over = || cookies.first().filter(|_| definition.effective().in_place_driver_change);
    own.or_else(taken_over).map(|cookie| &cookie.reference)
}

/// The plaintexts of expressions, given those of their references in order.
pub(crate) fn texts(
    exprs: &BTreeMap<String, SecretExpr>,
    opened: &mut impl Iterator<Item = Secret>,
) -> BTreeMap<String, Secret> {
    exprs.iter().filter_map(|(at, expr)| Some((at.clone(), expr.fill(opened)?))).collect()
}

fn compute(step: &Step<'_>) -> Result<Response, DriverError> {
    match step.driver {
        Driver::Pure(driver) => driver.compute(&step.request()),
        Driver::External(_) => Err(DriverError::new(Code::Internal, "not a pure driver")),
    }
}

/// What came of a step, with its secrets apart and not sealed yet.
type Answer<'a> = (&'a Step<'a>, Result<Draft, NodeError>);

/// A step whose driver has answered.
type Effect<'a> = (Step<'a>, Result<Response, DriverError>);

fn effect<'a>(at: &'a Creation<'a>, step: Step<'a>) -> BoxFuture<'a, Effect<'a>> {
    Box::pin(async move {
        let answer = match step.driver {
            Driver::Pure(driver) => driver.compute(&step.request()),
            Driver::External(driver) => match check_inputs(at, &step) {
                Ok(()) => driver.provision(&step.request(), &Keeper { at, step: &step }).await,
                Err(error) => Err(error),
            },
        };
        (step, answer)
    })
}

/// The inputs of a registered driver against its schema: now, because its secrets are open.
fn check_inputs(at: &Creation<'_>, step: &Step<'_>) -> Result<(), DriverError> {
    let driver_type = step.node.definition.driver_type();
    let registered = at.registered.get(driver_type).filter(|_| !step.target.is_empty());
    let Some(registered) = registered else { return Ok(()) };
    let mut inputs = serde_json::json!({
        "values": step.prepared.values, "secrets": step.prepared.secrets.value});
    // The platform gives the account along; a driver need not have heard of it.
    if registered.inputs_schema.pointer("/properties/secrets/properties/account").is_none() {
        let _ = patch::apply(&mut inputs, &patch::Action::remove("/secrets/account"));
    }
    for (pointer, text) in &step.texts {
        if let Some(leaf) = inputs.pointer_mut(&format!("/secrets{pointer}")) {
            *leaf = Json::String(text.expose().to_owned());
        }
    }
    let problems = at.schemas.check_driver(driver_type, &registered.inputs_schema, &inputs);
    if problems.is_empty() {
        return Ok(());
    }
    let message = format!("its inputs do not satisfy its schema: {}", problems.join("; "));
    Err(DriverError::new(Code::DriverInputs, message))
}

/// The cookie of a step whose driver works.
struct Keeper<'a> {
    at: &'a Creation<'a>,
    step: &'a Step<'a>,
}

impl Memory for Keeper<'_> {
    fn keep(&self, cookie: Secret) -> BoxFuture<'_, Result<(), DriverError>> {
        Box::pin(async move {
            let key = cookie_key(self.at.facts.org, &self.step.guresid);
            let sealed = self.at.secrets.seal(&[(key, cookie)]).await;
            let Some(sealed) = sealed.map_err(|error| not_kept(&error))?.into_iter().next() else {
                return Ok(());
            };
            let node = self.at.row.rows.get(self.step.position as usize);
            let kept = match node {
                Some(node) => self.at.journal.keep(self.at.lease, node, &sealed).await,
                None => Ok(()),
            };
            match kept {
                Ok(()) => {
                    self.step.kept().cookie = Some(sealed);
                    Ok(())
                }
                Err(error) => {
                    let told = not_kept(&error);
                    self.step.kept().failure = Some(error);
                    Err(told)
                }
            }
        })
    }
}

/// What a driver is told whose cookie is not stored.
pub(crate) fn not_kept(error: &dyn std::error::Error) -> DriverError {
    DriverError::new(Code::SecretStore, format!("its cookie cannot be kept: {error}"))
}

/// The key under which the cookie of a resource is sealed.
pub(crate) fn cookie_key(org: &str, guresid: &str) -> String {
    format!("orgs/{org}/resources/{guresid}/cookie")
}

/// Turns answers into results: no plaintext leaves this function, all of them are sealed.
async fn accept(at: &Creation<'_>, answers: Vec<Answer<'_>>) -> Vec<NodeRecord> {
    let mut outcomes = Vec::with_capacity(answers.len());
    let mut drafts = Vec::with_capacity(answers.len());
    let mut to_seal: Vec<(String, Secret)> = Vec::new();
    for (step, draft) in answers {
        match draft {
            Ok(mut draft) => {
                let first = to_seal.len();
                to_seal.append(&mut draft.to_seal);
                drafts.push((step, draft, first));
            }
            Err(error) => {
                outcomes.push(NodeRecord { position: step.position, outcome: Err(error) });
            }
        }
    }
    let sealed = if to_seal.is_empty() { Ok(Vec::new()) } else { at.secrets.seal(&to_seal).await };
    let sealed = match sealed {
        Ok(sealed) => sealed,
        Err(error) => {
            let failed = NodeError {
                code: Code::SecretStore.to_string(),
                message: format!("a secret cannot be kept: {error}"),
                hint: None,
            };
            outcomes.extend(drafts.iter().map(|(step, ..)| NodeRecord {
                position: step.position,
                outcome: Err(failed.clone()),
            }));
            return outcomes;
        }
    };
    for (step, draft, first) in drafts {
        let outcome = finish(at, step, draft, sealed.get(first..).unwrap_or_default());
        outcomes.push(NodeRecord { position: step.position, outcome });
    }
    outcomes
}

fn driver_failed(step: &Step<'_>, error: DriverError) -> NodeError {
    let definition = &step.node.definition;
    NodeError {
        code: error.code.to_string(),
        message: format!(
            "{} of definition {:?} failed for {}: {}",
            definition.driver_type(),
            definition.id,
            step.node.key,
            mask(&error.message, step.hidden().chain(step.cookie.as_ref()))
        ),
        hint: error.hint,
    }
}

/// Takes plaintexts out of a message that a driver made.
pub(crate) fn mask<'a>(message: &str, secrets: impl Iterator<Item = &'a Secret>) -> String {
    let mut message = message.to_owned();
    for secret in secrets.filter(|secret| is_recognisable(secret.expose())) {
        message = message.replace(secret.expose(), "***");
    }
    message
}

/// Whether any string of a tree holds a text.
fn holds(tree: &Json, text: &str) -> bool {
    match tree {
        Json::String(string) => string.contains(text),
        Json::Array(items) => items.iter().any(|item| holds(item, text)),
        Json::Object(members) => members.values().any(|member| holds(member, text)),
        _ => false,
    }
}

/// Shorter texts occur by chance.
fn is_recognisable(text: &str) -> bool {
    text.len() >= 6
}

/// Where a secret goes once it is sealed.
enum Slot {
    Sealed(usize),
    Expr(SecretExpr),
}

impl Slot {
    fn fill(self, sealed: &[SecretRef]) -> Option<SecretExpr> {
        match self {
            Self::Expr(expr) => Some(expr),
            Self::Sealed(at) => sealed.get(at).cloned().map(SecretExpr::reference),
        }
    }
}

struct Draft {
    values: downbeat_core::JsonMap,
    secrets: BTreeMap<String, Slot>,
    manifests: Vec<(Manifest, BTreeMap<String, Slot>)>,
    cookie: CookieSlot,
    /// What has to be sealed; slots name it by position.
    to_seal: Vec<(String, Secret)>,
}

enum CookieSlot {
    Keep,
    Sealed(usize),
    Clear,
}

/// Secrets of one node on their way to the store: equal plaintexts are kept once.
struct Sealing<'a> {
    prefix: String,
    to_seal: Vec<(String, Secret)>,
    known: Vec<(Secret, usize)>,
    /// Plaintexts to look for in places that should not have them.
    marked: Vec<Marked>,
    /// The plain inputs of the node. What stands there in clear cannot leak: a user called
    /// `postgres` does not make the image `postgres:17` a secret.
    plain: [&'a Json; 2],
}

/// A plaintext that can be recognised, in the forms in which it may turn up.
struct Marked {
    plain: Secret,
    base64: Secret,
}

impl Marked {
    fn new(secret: &Secret) -> Self {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let base64 = Secret::new(STANDARD.encode(secret.expose()));
        Self { plain: secret.clone(), base64 }
    }
}

impl Sealing<'_> {
    fn slot(&mut self, key: &str, output: SecretOutput) -> Slot {
        match output {
            SecretOutput::Expr(expr) => Slot::Expr(expr),
            SecretOutput::Text(secret) => {
                if let Some((_, at)) = self.known.iter().find(|(known, _)| *known == secret) {
                    return Slot::Sealed(*at);
                }
                let at = self.to_seal.len();
                self.to_seal.push((format!("{}/{key}", self.prefix), secret.clone()));
                self.known.push((secret.clone(), at));
                let is_plain = self.plain.iter().any(|plain| holds(plain, secret.expose()));
                if is_recognisable(secret.expose()) && !is_plain {
                    self.marked.push(Marked::new(&secret));
                }
                Slot::Sealed(at)
            }
        }
    }

    /// Whether a text holds a plaintext, as it is or in base64.
    fn is_leak(&self, text: &str) -> bool {
        let holds = |secret: &Secret| text.contains(secret.expose());
        self.marked.iter().any(|marked| holds(&marked.plain) || holds(&marked.base64))
    }

    /// Moves every string leaf that holds a plaintext out of `value`.
    fn take_leaks(&mut self, value: &mut Json, at: &mut String, found: &mut Vec<(String, Secret)>) {
        let length = at.len();
        match value {
            Json::String(text) if self.is_leak(text) => {
                found.push((at.clone(), Secret::new(std::mem::take(text))));
                *value = Json::Null;
            }
            Json::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    patch::push_token(at, &index.to_string());
                    self.take_leaks(item, at, found);
                    at.truncate(length);
                }
            }
            Json::Object(members) => {
                for (key, member) in members.iter_mut() {
                    patch::push_token(at, key);
                    self.take_leaks(member, at, found);
                    at.truncate(length);
                }
            }
            _ => {}
        }
    }
}

/// Takes the secrets out of an answer, so that the rest can be shown. Pure.
fn draft(
    at: &Creation<'_>,
    step: &Step<'_>,
    answer: Result<Response, DriverError>,
) -> Result<Draft, NodeError> {
    let response = answer.map_err(|error| driver_failed(step, error))?;
    let plain = [&step.prepared.values, &step.prepared.resource];
    let hidden = |secret: &&Secret| {
        is_recognisable(secret.expose()) && !plain.iter().any(|plain| holds(plain, secret.expose()))
    };
    let mut sealing = Sealing {
        prefix: format!("orgs/{}/resources/{}", at.facts.org, step.guresid),
        to_seal: Vec::new(),
        known: Vec::new(),
        marked: step.hidden().filter(hidden).map(Marked::new).collect(),
        plain,
    };
    let mut secrets = BTreeMap::new();
    for (pointer, output) in response.secrets {
        let slot = sealing.slot(&secret_key(&pointer), output);
        secrets.insert(pointer, slot);
    }
    let mut values = response.values;
    // What the type says is secret is so, whatever the driver thinks of it.
    let resource_type = at.types.find(&step.node.key.resource_type);
    for name in resource_type.map(|kind| at.schemas.secret_outputs(kind)).unwrap_or_default() {
        let Some(mut output) = values.remove(&name) else { continue };
        let mut texts = BTreeMap::new();
        take_texts(&mut output, &mut patch::pointer([name.as_str()]), &mut texts);
        for (pointer, secret) in texts {
            let slot = sealing.slot(&secret_key(&pointer), SecretOutput::Text(secret));
            secrets.insert(pointer, slot);
        }
    }
    let mut values = Json::Object(values);
    if !sealing.marked.is_empty() {
        // A plain output that holds a plaintext is a secret output.
        let mut found = Vec::new();
        sealing.take_leaks(&mut values, &mut String::new(), &mut found);
        for (pointer, secret) in found {
            remove(&mut values, &pointer);
            let slot = sealing.slot(&secret_key(&pointer), SecretOutput::Text(secret));
            secrets.insert(pointer, slot);
        }
    }
    let mut manifests = Vec::with_capacity(response.manifests.len());
    for manifest in response.manifests {
        let mut slots = BTreeMap::new();
        for (pointer, output) in manifest.secrets {
            let key = format!("manifests/{}{pointer}", manifest.name);
            slots.insert(pointer, sealing.slot(&key, output));
        }
        let mut data = manifest.data;
        for (pointer, secret) in texts_of_secret(&mut data) {
            let key = format!("manifests/{}{pointer}", manifest.name);
            slots.insert(pointer, sealing.slot(&key, SecretOutput::Text(secret)));
        }
        if !sealing.marked.is_empty() {
            let mut found = Vec::new();
            sealing.take_leaks(&mut data, &mut String::new(), &mut found);
            for (pointer, secret) in found {
                let key = format!("manifests/{}{pointer}", manifest.name);
                slots.insert(pointer, sealing.slot(&key, SecretOutput::Text(secret)));
            }
        }
        let document = Document::plain(data);
        let manifest =
            Manifest { name: manifest.name, location: manifest.location, data: document };
        manifests.push((manifest, slots));
    }
    let cookie = match response.cookie {
        CookieChange::Keep => CookieSlot::Keep,
        CookieChange::Clear => CookieSlot::Clear,
        CookieChange::Set(cookie) => {
            let slot = sealing.to_seal.len();
            sealing.to_seal.push((cookie_key(at.facts.org, &step.guresid), cookie));
            CookieSlot::Sealed(slot)
        }
    };
    let Json::Object(values) = values else {
        return Err(NodeError {
            code: Code::Internal.to_string(),
            message: format!("the outputs of {} are not an object", step.node.key),
            hint: None,
        });
    };
    Ok(Draft { values, secrets, manifests, cookie, to_seal: sealing.to_seal })
}

/// Takes the values out of a Kubernetes Secret: they are secret wherever they come from, also when
/// a template made them up.
fn texts_of_secret(data: &mut Json) -> Vec<(String, Secret)> {
    let is = |member: &str, text: &str| data.get(member).and_then(Json::as_str) == Some(text);
    if !is("kind", "Secret") || !is("apiVersion", "v1") {
        return Vec::new();
    }
    let mut taken = Vec::new();
    for part in ["data", "stringData"] {
        let members = data.get_mut(part).and_then(Json::as_object_mut);
        for (name, value) in members.into_iter().flatten() {
            if let Json::String(text) = value {
                let secret = Secret::new(std::mem::take(text));
                *value = Json::Null;
                taken.push((patch::pointer([part, name.as_str()]), secret));
            }
        }
    }
    taken
}

/// The key of a secret output below its resource, as v1 writes it (`secrets/.name`). Dots in names
/// are escaped, so that two outputs never share a key.
fn secret_key(pointer: &str) -> String {
    let name = pointer.trim_start_matches('/').replace('.', "~2").replace('/', ".");
    format!("secrets/.{name}")
}

fn remove(value: &mut Json, pointer: &str) {
    // The member was found under this pointer: it is there. An array element stays as null.
    if let Some((parent, _)) = pointer.rsplit_once('/')
        && value.pointer(parent).is_some_and(Json::is_object)
    {
        let _ = patch::apply(value, &patch::Action::remove(pointer));
    }
}

fn finish(
    at: &Creation<'_>,
    step: &Step<'_>,
    draft: Draft,
    sealed: &[SecretRef],
) -> Result<NodeResult, NodeError> {
    let fill = |slots: BTreeMap<String, Slot>| -> BTreeMap<String, SecretExpr> {
        slots.into_iter().filter_map(|(key, slot)| Some((key, slot.fill(sealed)?))).collect()
    };
    let mut outputs = Outputs { values: draft.values, secrets: fill(draft.secrets) };
    if let Some(resource_type) = at.types.find(&step.node.key.resource_type) {
        let problems = at.schemas.check_outputs(resource_type, &mut outputs);
        if !problems.is_empty() {
            return Err(NodeError {
                code: Code::Schema.to_string(),
                message: format!(
                    "the outputs of {} (definition {:?}) do not satisfy the schema of type {:?}: {}",
                    step.node.key,
                    step.node.definition.id,
                    step.node.key.resource_type,
                    problems.join("; ")
                ),
                hint: None,
            });
        }
    }
    let manifests = draft
        .manifests
        .into_iter()
        .map(|(mut manifest, slots)| {
            manifest.data.secrets = fill(slots);
            manifest
        })
        .collect();
    let cookie = match draft.cookie {
        CookieSlot::Keep => {
            let kept = step.kept().cookie.take();
            kept.or_else(|| cookie_of(at, step.node, &step.guresid).cloned())
        }
        CookieSlot::Clear => None,
        CookieSlot::Sealed(slot) => sealed.get(slot).cloned(),
    };
    Ok(NodeResult { input_hash: step.prepared.hash.clone(), outputs, manifests, cookie })
}
