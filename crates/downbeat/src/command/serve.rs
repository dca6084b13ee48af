//! `downbeat serve`

use downbeat_core::Secret;
use downbeat_server::tls::Files;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{
    EnvFilter, fmt, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use crate::{
    cli::Serve,
    local::{self, Running, ServerOptions},
    report::{Failure, out},
    shell,
};

pub(crate) async fn run(arguments: Serve) -> Result<(), Failure> {
    let loud = log(arguments.log_json);
    let data = match arguments.data {
        Some(data) => data,
        None => local::default_data()?,
    };
    let files = arguments.tls_certificate.zip(arguments.tls_key);
    let files = files.map(|(certificate, key)| Files { certificate, key });
    let options = ServerOptions {
        data,
        listen: arguments.listen,
        tls: arguments.tls_listen.zip(files),
        org: arguments.org,
        git_repository: arguments.git_repository,
    };
    let mut running = local::start(&options).await?;
    loud();
    if running.set_up {
        tracing::info!(organization = options.org, "set up, with the starter definitions");
    }
    let token = running.first_token().await?;
    out(&banner(&running, &options, token.as_ref()))?;
    if running.resumed > 0 {
        tracing::info!(deployments = running.resumed, "resuming interrupted deployments");
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::internal)?;
    tokio::select! {
        failure = running.broken() => return Err(failure),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: requests and deployments under way are finished first");
    tokio::select! {
        () = running.stop() => Ok(()),
        // A second signal does not wait; what is under way is resumed at the next start.
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

/// Starts the log. Setting up an empty data directory is many requests, of which nobody wants to
/// read: unless `DOWNBEAT_LOG` says otherwise, only warnings are logged until the answer is called.
fn log(json: bool) -> impl FnOnce() {
    let (first, then) = match EnvFilter::try_from_env("DOWNBEAT_LOG") {
        Ok(filter) => (filter, None),
        Err(_) => (EnvFilter::new("warn"), Some(EnvFilter::new("info"))),
    };
    let (filter, handle) = reload::Layer::new(first);
    let registry = tracing_subscriber::registry().with(filter);
    // Internal errors would be printed with `eprintln!`, which panics when nobody listens.
    let lines = fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    if json {
        registry.with(lines.json()).init();
    } else {
        registry.with(lines).init();
    }
    move || {
        if let Some(filter) = then {
            let _ = handle.reload(filter);
        }
    }
}

/// What to know about the server; the token comes last, ready to be copied.
fn banner(running: &Running, options: &ServerOptions, token: Option<&Secret>) -> String {
    let url = &running.url;
    let tls = running.tls_url.as_ref().map(|url| format!("  with TLS    {url}\n"));
    let tls = tls.unwrap_or_default();
    let data = options.data.display().to_string();
    let mut text = format!(
        "Downbeat {}\n  API         {url}\n{tls}  data        {data}\n  manifests   {}\n",
        env!("CARGO_PKG_VERSION"),
        running.repository,
    );
    match token {
        Some(token) => text.push_str(&format!(
            "\nThe administrator's token, shown this once:\n\n  \
             export DOWNBEAT_SERVER={url} DOWNBEAT_TOKEN={}\n\n",
            token.expose()
        )),
        None => text.push_str(&format!(
            "  token       the one made before; for a new one, stop the server and run\n              \
             downbeat token --data {}\n",
            shell::quote(&data)
        )),
    }
    text
}
