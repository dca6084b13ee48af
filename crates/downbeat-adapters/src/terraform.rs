//! `humanitec/terraform`: resources made by OpenTofu or Terraform.
//!
//! ```text
//! inputs ─▶ folder ─▶ init ─▶ plan ─▶ keep cookie ─▶ apply ─▶ output ─▶ response
//!             │                           │            │
//!       code, variables,            all that a     state, through our server
//!       backend                     destroy needs
//! ```
//!
//! Invariants:
//! * At most one run works on a resource; what an earlier process left running is stopped first
//!   (`workspace.rs`).
//! * No secret is in an argument, a message or a log. Variables travel in a file that only this
//!   user can read, and go with the folder.
//! * Nothing is made before the cookie is kept: from it and the GUResID alone, everything that was
//!   made can be destroyed.
//! * No process outlives its call (`process.rs`).
//!
//! The reasons are in `docs/design/terraform.md`.

mod inputs;
mod outputs;
mod process;
mod workspace;

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use downbeat_core::{Code, Json, Secret};
use downbeat_engine::{
    BoxFuture, DriverError, ExternalDriver, Memory, PureDriver, Removal, Request, Response,
    RunKeys, StateError, States,
};
use serde_json::json;
use tokio::process::Command;

use self::{
    inputs::{Inputs, Wanted},
    process::{Call, Ended, How},
    workspace::Workspace,
};
use crate::{
    code::{self, BACKEND, RUN, Source, VARIABLES},
    container::{self, ContainerOptions},
    git::{self, Credentials, GitTarget},
};

/// What the program inherits from the server. All else starts empty.
const INHERITED: &[&str] = &[
    "PATH",
    "TMPDIR",
    "TF_CLI_CONFIG_FILE",
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
];
/// The programs that can run the code, the preferred one first.
const PROGRAMS: [&str; 2] = ["tofu", "terraform"];
/// The member of a lock that says who holds it.
const LOCKED_BY: &str = "LockedBy";
/// How much of the log goes into an error.
const SHOWN: usize = 16 * 1024;
/// Longest line of the program that is repeated in a message, in characters.
const LINE: usize = 400;

/// How the driver works.
#[derive(Clone)]
pub struct TerraformOptions {
    /// Folder for runs, locks and the cache of providers.
    pub dir: PathBuf,
    /// Where this server is reached from this machine: `http://127.0.0.1:<port>`.
    pub server: String,
    /// The states, as that server keeps them.
    pub states: Arc<dyn States>,
    /// The keys that the server accepts.
    pub keys: RunKeys,
    /// How repositories with code are read.
    pub git: Arc<GitTarget>,
    /// The program; without one, `tofu` or `terraform` from the `PATH`.
    pub program: Option<PathBuf>,
    /// Longest time of a run, unless its inputs say otherwise.
    pub limit: Duration,
    /// How long an interrupted program may take to save its state.
    pub grace: Duration,
    /// How long a run waits for the cache of providers, before it does without.
    pub cache_wait: Duration,
    /// How runs in a cluster work.
    pub container: ContainerOptions,
}

impl TerraformOptions {
    /// The usual limits.
    #[must_use]
    pub fn new(
        dir: impl Into<PathBuf>,
        server: impl Into<String>,
        states: Arc<dyn States>,
        keys: RunKeys,
        git: Arc<GitTarget>,
    ) -> Self {
        Self {
            dir: dir.into(),
            server: server.into(),
            states,
            container: ContainerOptions::new(keys.clone()),
            keys,
            git,
            program: None,
            limit: Duration::from_secs(30 * 60),
            grace: Duration::from_secs(60),
            cache_wait: Duration::from_secs(20),
        }
    }
}

impl fmt::Debug for TerraformOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dir, server, program, limit, grace, .. } = self;
        f.debug_struct("TerraformOptions")
            .field("dir", dir)
            .field("server", server)
            .field("program", program)
            .field("limit", limit)
            .field("grace", grace)
            .finish_non_exhaustive()
    }
}

/// The driver.
#[derive(Debug)]
pub struct Terraform {
    options: TerraformOptions,
    /// The turn of each resource within this process.
    turns: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// The cache of providers takes one `init` at a time.
    init: tokio::sync::Mutex<()>,
}

impl Terraform {
    /// The driver with these options. Removes what runs of killed processes left in its folder.
    #[must_use]
    pub fn new(mut options: TerraformOptions) -> Self {
        // The program starts elsewhere.
        if let Ok(absolute) = std::path::absolute(&options.dir) {
            options.dir = absolute;
        }
        workspace::sweep(&options.dir);
        Self { options, turns: Mutex::default(), init: tokio::sync::Mutex::default() }
    }

    /// The program, or how to get one.
    fn program(&self) -> Result<PathBuf, DriverError> {
        const HINT: &str = "Install OpenTofu or Terraform on the server, or name the program in \
            DOWNBEAT_TERRAFORM";
        let missing = |message: String| DriverError::new(Code::ProgramMissing, message).hint(HINT);
        if let Some(program) = &self.options.program {
            if program.components().count() > 1 {
                return match std::path::absolute(program) {
                    Ok(absolute) if absolute.is_file() => Ok(absolute),
                    _ => Err(missing(format!("there is no program {}", program.display()))),
                };
            }
            return on_path(program).ok_or_else(|| {
                missing(format!("`{}` is not on the PATH of the server", program.display()))
            });
        }
        let found = PROGRAMS.iter().find_map(|name| on_path(Path::new(name)));
        found.ok_or_else(|| {
            missing("neither `tofu` nor `terraform` is on the PATH of the server".to_owned())
        })
    }

    async fn provision(
        &self,
        request: &Request<'_>,
        memory: &dyn Memory,
    ) -> Result<Response, DriverError> {
        let secrets = code::secrets_of(request);
        let inputs = match inputs::read(request.values, &secrets)? {
            Wanted::Here(inputs) => inputs,
            Wanted::InCluster(inputs) => {
                container::ready(&self.options.container, request, *inputs)?;
                return Err(container::no_runner_for_terraform());
            }
        };
        let mut run = self.begin(request.guresid, &inputs).await?;
        let plan = run.workspace.dir().join("plan");
        let mut out = OsString::from("-out=");
        out.push(&plan);
        run.call("plan", &["-input=false".into(), "-no-color".into(), out]).await?;
        let commit = run.commit.as_deref();
        memory.keep(inputs::to_cookie(request.values, &secrets, commit)).await?;
        run.call("apply", &["-input=false".into(), "-no-color".into(), plan.into()]).await?;
        let ended = run.call("output", &["-no-color".into(), "-json".into()]).await?;
        outputs::response(&ended.answer, inputs.manifests_output.as_deref())
    }

    async fn deprovision(&self, removal: &Removal<'_>) -> Result<(), DriverError> {
        let (states, guresid) = (&self.options.states, removal.guresid);
        let Some(cookie) = removal.cookie else {
            // The cookie is kept before anything is made.
            return match states.read(guresid).await.map_err(state_failed)? {
                None => Ok(()),
                Some(_) => Err(failed(
                    "there is a state, but not what is needed to destroy what it describes",
                )),
            };
        };
        let inputs = inputs::from_cookie(cookie, removal.account)?;
        let mut run = self.begin(guresid, &inputs).await?;
        let args = ["-auto-approve", "-input=false", "-no-color"].map(OsString::from);
        run.call("destroy", &args).await?;
        states.remove(guresid).await.map_err(state_failed)?;
        run.workspace.forget(&self.options.dir, guresid);
        Ok(())
    }

    /// Brings everything into a new folder, and initialises it.
    async fn begin<'a>(
        &'a self,
        guresid: &'a str,
        inputs: &'a Inputs,
    ) -> Result<Run<'a>, DriverError> {
        let program = self.program()?;
        if guresid.is_empty() || !guresid.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(DriverError::new(Code::Internal, "the id of the resource is not valid"));
        }
        let options = &self.options;
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            // Whose only owner is this map is nobody's turn.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(guresid.to_owned()).or_default())
        };
        let turn = turn.lock_owned().await;
        let workspace = Workspace::open(&options.dir, guresid, options.grace, turn).await;
        let workspace = workspace.map_err(|error| folder_failed(&error))?;
        let mut run = Run {
            driver: self,
            guresid,
            inputs,
            root: workspace.dir().join("code"),
            home: workspace.dir().join("home"),
            commit: None,
            workspace: Arc::new(workspace),
            name: program.file_name().map(|name| name.to_string_lossy().into_owned()),
            program,
            user: format!("{RUN}{:016x}", git::random()),
            is_ours: true,
            has_cache: false,
            left: inputs.limit.unwrap_or(options.limit),
        };
        run.free_lock().await?;
        run.save_lost_state().await?;
        run.write_code().await?;
        // Who has the cache may hang: after a while this run gets what it needs by itself.
        let start = Instant::now();
        let wait = options.cache_wait.min(run.left);
        let cache = tokio::time::timeout(wait, self.init.lock()).await.ok();
        run.left = run.left.saturating_sub(start.elapsed());
        run.has_cache = cache.is_some();
        run.call("init", &["-input=false".into(), "-no-color".into()]).await?;
        drop(cache);
        Ok(run)
    }
}

impl ExternalDriver for Terraform {
    fn provision<'a>(
        &'a self,
        request: &'a Request<'a>,
        memory: &'a dyn Memory,
    ) -> BoxFuture<'a, Result<Response, DriverError>> {
        Box::pin(self.provision(request, memory))
    }

    fn deprovision<'a>(
        &'a self,
        removal: &'a Removal<'a>,
        _: &'a dyn Memory,
    ) -> BoxFuture<'a, Result<(), DriverError>> {
        Box::pin(self.deprovision(removal))
    }
}

/// One run on one resource.
struct Run<'a> {
    driver: &'a Terraform,
    guresid: &'a str,
    inputs: &'a Inputs,
    workspace: Arc<Workspace>,
    /// Folder of the root module.
    root: PathBuf,
    home: PathBuf,
    /// The commit of the repository that the code is from, if it is from one.
    commit: Option<String>,
    program: PathBuf,
    /// The program's name for messages.
    name: Option<String>,
    /// Our name to the server.
    user: String,
    /// Whether the state is kept by our server.
    is_ours: bool,
    /// Whether the cache of providers is this run's for now.
    has_cache: bool,
    /// What is left of the time limit.
    left: Duration,
}

impl Run<'_> {
    /// Frees a lock that an earlier run of ours left. No such run is alive; that of anybody else
    /// stays.
    async fn free_lock(&self) -> Result<(), DriverError> {
        let states = &self.driver.options.states;
        let about = json!({ "ID": self.user, "Operation": "Probe", LOCKED_BY: self.user });
        match states.lock(self.guresid, &self.user, &about.to_string()).await {
            Ok(()) => states.unlock(self.guresid, Some(&self.user)).await.map_err(state_failed),
            Err(StateError::Locked { holder }) => {
                let holder: Json = serde_json::from_str(&holder).unwrap_or_default();
                let by = holder.get(LOCKED_BY).and_then(Json::as_str).unwrap_or_default();
                if !by.starts_with(RUN) {
                    return Err(locked_by(&holder));
                }
                tracing::warn!(guresid = self.guresid, "freeing the lock of a run that is gone");
                states.unlock(self.guresid, None).await.map_err(state_failed)
            }
            Err(error) => Err(state_failed(error)),
        }
    }

    /// Saves a state that the program could not, unless a newer one is there.
    async fn save_lost_state(&self) -> Result<(), DriverError> {
        if !self.is_ours {
            return Ok(());
        }
        let lost = self.workspace.lost_state().map_err(|error| folder_failed(&error))?;
        let Some(lost) = lost.map(Secret::new) else { return Ok(()) };
        let states = &self.driver.options.states;
        let known = states.read(self.guresid).await.map_err(state_failed)?;
        if is_newer(&lost, known.as_ref()) {
            tracing::warn!(guresid = self.guresid, "saving a state that a run could not save");
            states.write(self.guresid, None, &lost).await.map_err(state_failed)?;
        }
        self.workspace.found().map_err(|error| folder_failed(&error))
    }

    /// After a run that ended badly: brings its state and lock in order.
    async fn clean_up(&self) -> Result<(), DriverError> {
        if self.workspace.lost_state().map_err(|error| folder_failed(&error))?.is_some() {
            self.free_lock().await?;
            self.save_lost_state().await?;
        }
        Ok(())
    }

    /// Brings code, variables and backend into the folder.
    async fn write_code(&mut self) -> Result<(), DriverError> {
        let code = self.root.clone();
        match &self.inputs.code.source {
            None => workspace::private_dir(&code).map_err(|error| folder_failed(&error))?,
            Some(source) => {
                let (root, commit) = self.fetch(source, &code).await?;
                self.root = root;
                self.commit = Some(commit);
            }
        }
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::AlreadyExists => {
                let message = format!("the files cannot be written: {error}");
                DriverError::new(Code::DriverInputs, message)
            }
            _ => folder_failed(&error),
        };
        workspace::private_dir(&self.home).map_err(failed)?;
        for (name, content) in &self.inputs.code.files {
            workspace::write_inside(&self.root, name, content.expose().as_bytes())
                .map_err(failed)?;
            if name == ".gitconfig" {
                workspace::write_inside(&self.home, name, content.expose().as_bytes())
                    .map_err(failed)?;
            }
        }
        if let Some(variables) = self.inputs.code.variables.file() {
            let variables = variables.expose().as_bytes();
            workspace::write_inside(&self.root, VARIABLES, variables).map_err(failed)?;
        }
        self.is_ours = !has_backend(&self.root).map_err(failed)?;
        if self.is_ours {
            let backend = code::our_backend(&self.driver.options.server, self.guresid, None);
            workspace::write_inside(&self.root, BACKEND, backend.as_bytes()).map_err(failed)?;
        }
        self.workspace.set_root(&self.root).map_err(failed)
    }

    /// Checks a repository out; answers the folder of its root module, and the commit.
    async fn fetch(&self, source: &Source, into: &Path) -> Result<(PathBuf, String), DriverError> {
        let credentials = match (&source.password, &source.ssh_key) {
            (Some(password), _) => Some(Credentials::Password {
                // Hosts look at the token only, and want some name.
                username: source.username.clone().unwrap_or_else(|| "git".to_owned()),
                password: password.clone(),
            }),
            (None, Some(key)) => Some(Credentials::SshKey(key.clone())),
            (None, None) => None,
        };
        let wanted =
            git::Source { url: source.url.clone(), revision: source.revision.clone(), credentials };
        let checkout = self.driver.options.git.checkout(&wanted, into).await;
        let commit = checkout.map_err(|error| {
            let code = match &error {
                git::Error::BadInput { .. } => Code::DriverInputs,
                git::Error::Timeout { .. } => Code::DriverTimeout,
                git::Error::GitMissing { .. } | git::Error::TooOld { .. } => Code::ProgramMissing,
                _ => Code::Driver,
            };
            let message = code::mask(&error.to_string(), &self.inputs.code.masked);
            DriverError::new(code, format!("the code cannot be fetched: {message}"))
        })?;
        tracing::debug!(guresid = self.guresid, commit, "fetched the code of a resource");
        let tree = into.join("tree");
        let inside = || -> io::Result<PathBuf> {
            let tree = tree.canonicalize()?;
            let root = tree.join(&source.path).canonicalize()?;
            if root.starts_with(&tree) && root.is_dir() {
                return Ok(root);
            }
            Err(io::Error::from(io::ErrorKind::NotADirectory))
        };
        let root = inside().map_err(|_| {
            let message = format!("the repository has no folder {:?}", source.path);
            DriverError::new(Code::DriverInputs, message).hint("See `source.path`")
        })?;
        Ok((root, commit))
    }

    /// Runs a subcommand, within what is left of the time limit.
    async fn call(&mut self, step: &'static str, args: &[OsString]) -> Result<Ended, DriverError> {
        let mut command = Command::new(&self.program);
        command.arg(step).args(args).current_dir(&self.root).env_clear();
        self.environment(&mut command).map_err(|error| folder_failed(&error))?;
        let call = Call {
            command,
            limit: self.left,
            grace: self.driver.options.grace,
            wants_answer: step == "output",
        };
        let start = Instant::now();
        let ended = process::run(call, Arc::clone(&self.workspace)).await.map_err(|error| {
            let program = self.program.display();
            DriverError::new(Code::ProgramMissing, format!("cannot run `{program}`: {error}"))
                .hint("Install OpenTofu or Terraform on the server")
        })?;
        self.left = self.left.saturating_sub(start.elapsed());
        tracing::debug!(guresid = self.guresid, step, how = ?ended.how, "ran a step of the code");
        match ended.how {
            How::Well => Ok(ended),
            How::Badly | How::Late => Err(self.failure(step, &ended).await),
        }
    }

    fn environment(&self, command: &mut Command) -> io::Result<()> {
        let options = &self.driver.options;
        for name in INHERITED {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        let plugins = options.dir.join("plugins");
        workspace::private_dir(&plugins)?;
        command
            .envs(self.inputs.code.environment.iter().map(|(name, text)| (name, text.expose())))
            .env("HOME", &self.home)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C.UTF-8")
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0")
            .env("CHECKPOINT_DISABLE", "1");
        if self.has_cache {
            command
                .env("TF_PLUGIN_CACHE_DIR", plugins)
                // Without it the cache is used only for code that brings its lock file along. The
                // lock file that gets incomplete by it is thrown away with the folder.
                .env("TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE", "1");
        }
        if self.is_ours {
            command
                .env("TF_HTTP_USERNAME", &self.user)
                .env("TF_HTTP_PASSWORD", options.keys.make(self.guresid).expose());
        }
        Ok(())
    }

    /// What a call that did not end well means.
    async fn failure(&self, step: &str, ended: &Ended) -> DriverError {
        let program = self.name.as_deref().unwrap_or("terraform");
        let mut masked = self.inputs.code.masked.clone();
        masked.push(self.driver.options.keys.make(self.guresid));
        let log = code::mask(&ended.log, &masked);
        let lines: Vec<&str> = log.lines().map(bare).collect();
        let mut error = if ended.how == How::Late {
            let limit = self.inputs.limit.unwrap_or(self.driver.options.limit).as_secs_f32();
            let message =
                format!("`{program} {step}` was stopped: the run took longer than {limit} s");
            DriverError::new(Code::DriverTimeout, message)
                .hint("Deploy again to go on, or give it more time with `timeout`")
        } else if lines.contains(&"Error: Error acquiring the state lock") {
            // Our server knows the holder better than the log does.
            match self.is_ours.then(|| self.free_lock()) {
                Some(asked) => asked.await.err().unwrap_or_else(|| locked_by(&lock_in(&lines))),
                None => locked_by(&lock_in(&lines)),
            }
        } else {
            let message = format!("`{program} {step}` failed: {}", first_error(&lines));
            failed(&message)
        };
        if self.inputs.append_logs {
            let log: String = log.chars().filter(|c| !c.is_control() || *c == '\n').collect();
            let mut from = log.len().saturating_sub(SHOWN);
            while !log.is_char_boundary(from) {
                from += 1;
            }
            let log = log.get(from..).unwrap_or_default().trim();
            error.message.push_str(&format!("\nThe end of its log:\n{log}\n"));
        } else if error.hint.is_none() {
            error.hint = Some(
                "`append_logs_to_error: true` in the driver inputs shows the log here".to_owned(),
            );
        }
        // The program is gone; if it could not save its state, that is done for it.
        if self.is_ours {
            if let Err(error) = self.clean_up().await {
                tracing::warn!(guresid = self.guresid, %error, "left for the next run to repair");
            }
        } else if matches!(self.workspace.lost_state(), Ok(Some(_))) {
            let place = self.workspace.lost_place().display();
            error.hint = Some(format!(
                "The backend did not take the state; it is kept on the server in {place}"
            ));
        }
        error
    }
}

/// Stands in for the driver where nothing may change: rendering.
#[derive(Clone, Copy, Debug)]
pub struct NeedsDeployment;

impl PureDriver for NeedsDeployment {
    fn opens_secrets(&self) -> bool {
        false
    }

    fn compute(&self, _: &Request<'_>) -> Result<Response, DriverError> {
        let message = "what it makes is known after a deployment only";
        Err(DriverError::new(Code::UnknownDriver, message)
            .hint("Use `downbeat deploy`, or render with a definition of another driver"))
    }
}

/// The program of this name in a folder of the `PATH`.
fn on_path(name: &Path) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Whether the root module says where its state is kept.
fn has_backend(root: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if code::is_code(&name) && name != BACKEND && entry.path().is_file() {
            let content = fs::read(entry.path())?;
            if code::has_own_backend(&name, &String::from_utf8_lossy(&content)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether a state is newer than the known one. States of another lineage are not: nobody can
/// tell.
fn is_newer(state: &Secret, known: Option<&Secret>) -> bool {
    #[derive(serde::Deserialize)]
    struct Head {
        serial: u64,
        lineage: String,
    }
    let head = |state: &Secret| serde_json::from_str::<Head>(state.expose()).ok();
    let Some(state) = head(state) else { return false };
    match known.and_then(head) {
        None => known.is_none(),
        Some(known) => known.lineage == state.lineage && known.serial < state.serial,
    }
}

/// A line without the frame that the program draws around errors.
fn bare(line: &str) -> &str {
    line.trim_start_matches(['│', '╷', '╵', '|']).trim()
}

/// The first error of a log that says something, with its place. The program breaks long lines.
fn first_error(lines: &[&str]) -> String {
    /// Stands above other errors.
    const HEADING: &str = "Terraform encountered problems during initialisation";
    let mut errors = lines.iter().enumerate().filter_map(|(at, line)| {
        let first = line.strip_prefix("Error:")?.trim();
        Some((at, first))
    });
    let (mut found, mut heading) = (None, None);
    for error in errors.by_ref() {
        if !error.1.starts_with(HEADING) && !error.1.starts_with("OpenTofu encountered") {
            found = Some(error);
            break;
        }
        heading = heading.or(Some(error));
    }
    let Some((at, first)) = found.or(heading) else { return "it did not say why".to_owned() };
    let rest = lines.get(at + 1..).unwrap_or_default();
    let more = rest.iter().take_while(|line| !line.is_empty() && !line.starts_with("Error:"));
    let words: Vec<&str> = std::iter::once(first).chain(more.copied()).collect();
    let mut text: String = words.join(" ").chars().take(LINE).collect();
    let is_place = |line: &&&str| line.starts_with("with ") || line.starts_with("on ");
    let behind = rest.iter().skip(words.len() - 1);
    let places = behind.take_while(|line| line.is_empty() || is_place(line)).filter(is_place);
    let places: Vec<String> = places
        .map(|line| line.split(", in ").next().unwrap_or(line))
        .map(|line| line.trim_end_matches([',', ':']).chars().take(LINE).collect())
        .collect();
    if !places.is_empty() {
        text.push_str(&format!(" ({})", places.join(", ")));
    }
    text
}

/// The lock that a log shows, as JSON.
fn lock_in(lines: &[&str]) -> Json {
    // The program's `http` backend shows who wants the lock in the place of who has it.
    const HTTP: &str = "HTTP remote state already locked: ID=";
    if let Some(id) = lines.iter().find_map(|line| Some(line.split_once(HTTP)?.1)) {
        return json!({ "Operation": format!("lock {id}") });
    }
    let field = |name: &str| {
        lines.iter().find_map(|line| Some(line.strip_prefix(name)?.trim_start_matches(':').trim()))
    };
    json!({
        "Who": field("Who"),
        "Operation": field("Operation"),
        "Created": field("Created"),
    })
}

fn locked_by(holder: &Json) -> DriverError {
    let text = |name: &str| holder.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
    let who = text("Who").or(text(LOCKED_BY)).unwrap_or("somebody else");
    let mut message = format!("the state is locked by {who}");
    let more: Vec<String> =
        [text("Operation").map(str::to_owned), text("Created").map(|time| format!("since {time}"))]
            .into_iter()
            .flatten()
            .collect();
    if !more.is_empty() {
        message.push_str(&format!(" ({})", more.join(", ")));
    }
    let message: String = message.chars().filter(|c| !c.is_control()).take(LINE).collect();
    DriverError::new(Code::StateLocked, message)
        .hint("Deploy again when they are done, or free the lock if they are gone")
}

fn failed(message: &str) -> DriverError {
    DriverError::new(Code::Driver, message)
}

fn state_failed(error: StateError) -> DriverError {
    match error {
        StateError::Locked { holder } => {
            locked_by(&serde_json::from_str(&holder).unwrap_or_default())
        }
        StateError::Failed(message) => failed(&message),
    }
}

fn folder_failed(error: &io::Error) -> DriverError {
    failed(&format!("the folder of the run cannot be used: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_and_its_place() {
        let log = "Apply\n│ Warning: x\n╷\n│ Error: local-exec provisioner error\n│ \n│   with \
            terraform_data.b,\n│   on main.tf line 4, in resource \"terraform_data\" \"b\":\n│    4: \
            x\n│ \n│ Error running\n╵\nError: other\n";
        let lines: Vec<&str> = log.lines().map(bare).collect();
        let expected = "local-exec provisioner error (with terraform_data.b, on main.tf line 4)";
        assert_eq!(first_error(&lines), expected);
        assert_eq!(first_error(&["fine"]), "it did not say why");
        let log = "Error: Terraform encountered problems during initialisation, including\nwith \
            the configuration\n\nError: Long\nerror\n\n  on main.tf line 9:\n   9: x\n";
        let lines: Vec<&str> = log.lines().map(bare).collect();
        assert_eq!(first_error(&lines), "Long error (on main.tf line 9)");
        let lines = ["Lock Info:", "  ID: x", "Who:       ada@laptop", "Created:   2026"];
        let error = locked_by(&lock_in(&lines));
        assert_eq!(error.message, "the state is locked by ada@laptop (since 2026)");
    }

    #[test]
    fn a_lost_state_counts_only_when_it_is_newer() {
        let state = |serial: u64, lineage: &str| {
            Secret::new(json!({"serial": serial, "lineage": lineage}).to_string())
        };
        assert!(is_newer(&state(1, "a"), None));
        assert!(is_newer(&state(3, "a"), Some(&state(2, "a"))));
        assert!(!is_newer(&state(2, "a"), Some(&state(2, "a"))));
        assert!(!is_newer(&state(3, "b"), Some(&state(2, "a"))));
        assert!(!is_newer(&Secret::new("{".to_owned()), None));
    }
}
