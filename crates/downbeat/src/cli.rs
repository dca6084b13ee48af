//! The words of the command line. Doc comments are the help texts.

use std::{
    net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Deploys applications that are described with Score, and teaches the platform what they need.
#[derive(Debug, Parser)]
#[command(name = "downbeat", version, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Deploy(Deploy),
    History(History),
    Resources(Resources),
    Delete(Delete),
    Check(Check),
    Render(Render),
    Apply(Apply),
    Driver(Driver),
    Serve(Serve),
    Token(Token),
    Audit(Audit),
    Api(Api),
    Explain(Explain),
}

/// Where the server is.
#[derive(Args, Clone, Debug)]
pub(crate) struct Connection {
    /// Server to talk to, for example <https://downbeat.example>. Without one, the same server runs
    /// inside this command, on the data directory
    #[arg(long, value_name = "URL", env = "DOWNBEAT_SERVER", global = true)]
    pub(crate) server: Option<String>,
    /// Token for the server
    #[arg(
        long,
        value_name = "TOKEN",
        env = "DOWNBEAT_TOKEN",
        hide_env_values = true,
        global = true
    )]
    pub(crate) token: Option<String>,
    /// Organization
    #[arg(long, value_name = "ID", env = "DOWNBEAT_ORG", global = true)]
    pub(crate) org: Option<String>,
    /// Data directory of the server inside this command [default: downbeat in the user's data
    /// folder]
    #[arg(long, value_name = "DIR", env = "DOWNBEAT_DATA", global = true)]
    pub(crate) data: Option<PathBuf>,
}

/// How Score files are read.
#[derive(Args, Clone, Debug)]
pub(crate) struct ScoreOptions {
    /// Image for containers whose image is "."
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// Score file with overrides, merged over each file
    #[arg(long, value_name = "FILE")]
    pub(crate) overrides: Vec<PathBuf>,
    /// Set a property of each file, for example containers.main.image=web:2; without "=" it is
    /// removed
    #[arg(long, value_name = "PATH=VALUE")]
    pub(crate) property: Vec<String>,
    /// Extension file (humanitec.score.yaml)
    #[arg(long, value_name = "FILE")]
    pub(crate) extensions: Option<PathBuf>,
}

/// Deploy Score files to an environment
///
/// Each file becomes a workload of the application; workloads that are not named stay as they are.
/// Prints what happens step by step, then the resource graph and where the manifests are.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  downbeat deploy score.yaml --app shop --env development
  downbeat deploy score.yaml --app shop --env development --image registry.example/shop:2
  downbeat deploy --app shop --env development --remove worker
  downbeat deploy --app shop --env staging --from development
  downbeat deploy --app shop --env development --set 3f9c   (an older set: a rollback)")]
pub(crate) struct Deploy {
    /// Score files
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Application
    #[arg(long, value_name = "ID", env = "DOWNBEAT_APP")]
    pub(crate) app: String,
    /// Environment; may be repeated: then one after the other, until one fails
    #[arg(long, value_name = "ID", env = "DOWNBEAT_ENV", required = true)]
    pub(crate) env: Vec<String>,
    /// Type of the environment, when it is created [default: the type with the same id, else
    /// development]
    #[arg(long, value_name = "ID")]
    pub(crate) env_type: Option<String>,
    /// Create the application and the environment when they do not exist; always on for the server
    /// inside this command
    #[arg(long)]
    pub(crate) create: bool,
    /// Remove a workload
    #[arg(long, value_name = "WORKLOAD")]
    pub(crate) remove: Vec<String>,
    /// Deploy a set as it is: its id, the id of a deployment of the environment, or the first
    /// letters of either
    #[arg(long, value_name = "SET", conflicts_with_all = ["files", "remove", "from"])]
    pub(crate) set: Option<String>,
    /// Deploy what runs in another environment of the application
    #[arg(long, value_name = "ENV", conflicts_with_all = ["files", "remove"])]
    pub(crate) from: Option<String>,
    /// Wait for a deployment of the environment that is under way, instead of giving up; always on
    /// for the server inside this command
    #[arg(long)]
    pub(crate) wait: bool,
    /// Afterwards free the resources that the deployment does not need any more
    #[arg(long)]
    pub(crate) prune: bool,
    /// What to say about this deployment
    #[arg(long, short, value_name = "TEXT", default_value = "")]
    pub(crate) message: String,
    /// How to print the result
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) score: ScoreOptions,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// The deployment as the API answers it.
    Json,
}

/// List the deployments of an environment, newest first
#[derive(Args, Debug)]
pub(crate) struct History {
    /// Application
    #[arg(long, value_name = "ID", env = "DOWNBEAT_APP")]
    pub(crate) app: String,
    /// Environment
    #[arg(long, value_name = "ID", env = "DOWNBEAT_ENV")]
    pub(crate) env: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// List what exists in an environment, and what is being freed
///
/// Removing a workload keeps its resources: data outlive a deployment. Those that the last
/// deployment does not need are freed by `downbeat deploy --prune` or `downbeat delete`.
#[derive(Args, Debug)]
pub(crate) struct Resources {
    /// Application
    #[arg(long, value_name = "ID", env = "DOWNBEAT_APP")]
    pub(crate) app: String,
    /// Environment
    #[arg(long, value_name = "ID", env = "DOWNBEAT_ENV")]
    pub(crate) env: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Delete a resource, an environment or an application
///
/// What runs leaves the target first; then drivers free what they made, in reverse order. Without
/// --yes it only says what would go.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  downbeat delete --app shop --env staging
  downbeat delete --app shop --env staging --yes
  downbeat delete --app shop --env staging --resource postgres#shared.db --yes
  downbeat delete --app shop --yes")]
pub(crate) struct Delete {
    /// Application
    #[arg(long, value_name = "ID")]
    pub(crate) app: String,
    /// Environment; without one, the whole application
    #[arg(long, value_name = "ID")]
    pub(crate) env: Option<String>,
    /// One resource of the environment
    #[arg(long, value_name = "TYPE[.CLASS]#ID", requires = "env")]
    pub(crate) resource: Option<String>,
    /// Delete the resource although the last deployment needs it
    #[arg(long, requires = "resource")]
    pub(crate) force: bool,
    /// Forget the resource and leave the real thing alone
    #[arg(long, requires = "resource", conflicts_with = "force")]
    pub(crate) detach: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "", requires = "resource")]
    pub(crate) reason: String,
    /// Do it
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Report all mistakes of Score files at once
///
/// Needs no server. Each mistake comes with its place, what was expected, and a hint.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// Score files
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) score: ScoreOptions,
}

/// Print the Kubernetes objects of Score files
///
/// Needs no server and no state: definitions come from files, and secrets are references.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  downbeat render score.yaml --definitions platform/ | less")]
pub(crate) struct Render {
    /// Score files
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Files or folders with resource definitions; they win over the starter definitions
    #[arg(long, value_name = "PATH")]
    pub(crate) definitions: Vec<PathBuf>,
    /// Leave out the starter definitions
    #[arg(long)]
    pub(crate) no_starter: bool,
    /// Application to render for
    #[arg(long, value_name = "ID", default_value = "app")]
    pub(crate) app: String,
    /// Environment to render for
    #[arg(long, value_name = "ID", default_value = "development")]
    pub(crate) env: String,
    /// Type of the environment
    #[arg(long, value_name = "ID", default_value = "development")]
    pub(crate) env_type: String,
    /// Shared value, for ${values.KEY}
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) value: Vec<String>,
    #[command(flatten)]
    pub(crate) score: ScoreOptions,
}

/// Create or replace resource definitions from files
#[derive(Args, Debug)]
pub(crate) struct Apply {
    /// Files or folders with definitions
    #[arg(long, short, value_name = "PATH", required = true)]
    pub(crate) file: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Work with drivers that are HTTP servers of their own
#[derive(Args, Debug)]
pub(crate) struct Driver {
    #[command(subcommand)]
    pub(crate) command: DriverCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DriverCommand {
    Test(DriverTest),
}

/// Check a driver against the protocol
///
/// Asks the driver at URL for resources with random ids, in good ways and in bad ones, and deletes
/// what it made. Prints one line for each check: ok, failed with what was expected and found, or
/// skipped and why. Needs no server of Downbeat. A driver that makes real things makes them here,
/// too: give it inputs that cost nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  downbeat driver test http://127.0.0.1:8081
  downbeat driver test https://drivers.example/s3 --type s3 --inputs inputs.yaml
  downbeat driver test https://drivers.example/s3 --json | jq .failed

An inputs file has the body of a request, as YAML or JSON; each part may be left out:
  type: s3
  resource: {}
  driver:
    values: {region: eu-west-1}
    secrets: {account: {aws_access_key_id: test, aws_secret_access_key: test-secret}}

Exit code: 0 when no check failed, 1 when one did. The protocol: docs/concepts/drivers.md")]
pub(crate) struct DriverTest {
    /// Where the driver listens: what it is registered with as target. https, or http on this
    /// machine
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Type of the resources to ask for [default: that of the inputs, else s3]
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) resource_type: Option<String>,
    /// File with the inputs to ask with
    #[arg(long, value_name = "FILE")]
    pub(crate) inputs: Option<PathBuf>,
    /// File with the key to sign requests with: driver-signing-key in a data directory
    #[arg(long, value_name = "FILE")]
    pub(crate) signing_key: Option<PathBuf>,
    /// Longest time until the driver is done with one resource
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) time_limit: u64,
    /// Allow http to other machines. What is sent can be read on the way
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Run the server
///
/// On an empty data directory it sets up an organization and loads the starter definitions. When the
/// administrator has no token yet, it makes one and prints it, this once.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Data directory [default: downbeat in the user's data folder]
    #[arg(long, value_name = "DIR", env = "DOWNBEAT_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Address to listen on: HOST:PORT or PORT; without a host, only this machine can connect
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "DOWNBEAT_LISTEN",
        default_value = "127.0.0.1:8080",
        value_parser = address
    )]
    pub(crate) listen: SocketAddr,
    /// Address to listen on with TLS: HOST:PORT or PORT
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "DOWNBEAT_TLS_LISTEN",
        value_parser = address,
        requires_all = ["tls_certificate", "tls_key"]
    )]
    pub(crate) tls_listen: Option<SocketAddr>,
    /// Certificate and its chain as PEM; read again when the file changes
    #[arg(long, value_name = "FILE", env = "DOWNBEAT_TLS_CERTIFICATE", requires = "tls_listen")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// Private key of the certificate as PEM
    #[arg(long, value_name = "FILE", env = "DOWNBEAT_TLS_KEY", requires = "tls_listen")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Organization to set up on an empty data directory
    #[arg(long, value_name = "ID", env = "DOWNBEAT_ORG", default_value = local_org())]
    pub(crate) org: String,
    /// Git repository for environments whose cluster names none: a path or URL [default: manifests
    /// in the data directory]
    #[arg(long, value_name = "REPOSITORY", env = "DOWNBEAT_GIT_REPOSITORY")]
    pub(crate) git_repository: Option<String>,
    /// Log as JSON
    #[arg(long)]
    pub(crate) log_json: bool,
}

/// Call an operation of the API and print the answer
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  downbeat api get /orgs/local/apps
  downbeat api post /orgs/local/env-types -d '{\"id\": \"staging\"}'")]
pub(crate) struct Api {
    /// Method: get, post, put, patch or delete
    pub(crate) method: String,
    /// Path, for example /orgs/local/apps
    pub(crate) path: String,
    /// Body, as JSON
    #[arg(long, short, value_name = "JSON")]
    pub(crate) data_json: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Make a new token for the administrator
///
/// It takes the place of the one that this command or `serve` made before. The server has to be
/// stopped.
#[derive(Args, Debug)]
pub(crate) struct Token {
    /// Data directory [default: downbeat in the user's data folder]
    #[arg(long, value_name = "DIR", env = "DOWNBEAT_DATA")]
    pub(crate) data: Option<PathBuf>,
}

/// Work with the audit log of a data directory
#[derive(Args, Debug)]
pub(crate) struct Audit {
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    Verify(AuditVerify),
}

/// Check that the audit log is what was written
///
/// Goes through the log of each organization from the first entry, and prints how many there are and
/// the hash of the last. An entry that was altered, taken out or put in is named. That the end was
/// cut off is only seen with a hash that was noted earlier, somewhere else. Nothing is written, and
/// a server may be at work.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  downbeat audit verify
  downbeat audit verify --head 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08@57

Exit code: 0 when the log is sound, 1 when it is not. More: docs/design/audit.md")]
pub(crate) struct AuditVerify {
    /// Head that was printed earlier: it has to be in the log still. May be repeated
    #[arg(long, value_name = "HASH[@NUMBER]", value_parser = head)]
    pub(crate) head: Vec<Head>,
    /// Data directory [default: downbeat in the user's data folder]
    #[arg(long, value_name = "DIR", env = "DOWNBEAT_DATA")]
    pub(crate) data: Option<PathBuf>,
}

/// An entry of the audit log, as it was noted.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) hash: String,
    pub(crate) number: Option<i64>,
}

/// Print the page about an error code
#[derive(Args, Debug)]
#[command(after_help = "Example:
  downbeat explain RES-001")]
pub(crate) struct Explain {
    /// Code of an error
    #[arg(value_name = "CODE")]
    pub(crate) code: String,
}

/// Reads a hash, or a hash and the number of its entry.
fn head(text: &str) -> Result<Head, String> {
    let (hash, number) = match text.split_once('@') {
        Some((hash, number)) => (hash, Some(number)),
        None => (text, None),
    };
    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("expected the 64 hexadecimal digits of a hash".to_owned());
    }
    let number = number.map(str::parse).transpose();
    let number = number.map_err(|_| "expected the number of an entry after the `@`".to_owned())?;
    Ok(Head { hash: hash.to_ascii_lowercase(), number })
}

/// Reads `8080`, `localhost:8080` or `127.0.0.1:8080`.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let known: Vec<SocketAddr> = text
        .to_socket_addrs()
        .map_err(|error| format!("expected [HOST:]PORT ({error})"))?
        .collect();
    let first = known.iter().find(|address| address.is_ipv4()).or(known.first());
    first.copied().ok_or_else(|| "the host has no address".to_owned())
}

/// The organization of a data directory, when nothing else is asked for.
pub(crate) const fn local_org() -> &'static str {
    "local"
}
