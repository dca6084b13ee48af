//! `downbeat serve`

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::{
    cli::Serve,
    local::{self, ServerOptions},
    report::{Failure, Style, paint},
};

pub(crate) async fn run(arguments: Serve) -> Result<(), Failure> {
    let filter = EnvFilter::try_from_env("DOWNBEAT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if arguments.log_json {
        log.json().init();
    } else {
        log.init();
    }
    let data = match arguments.data {
        Some(data) => data,
        None => local::default_data()?,
    };
    let options = ServerOptions {
        data,
        listen: arguments.listen,
        org: arguments.org,
        git_repository: arguments.git_repository,
    };
    let mut running = local::start(&options).await?;
    println!("Downbeat {}", env!("CARGO_PKG_VERSION"));
    println!("  API         {}", running.url);
    println!("  data        {}", options.data.display());
    println!("  manifests   {}", running.repository);
    if let Some(token) = &running.first_token {
        println!("  organization {}, set up just now", options.org);
        println!("  administrator's token, shown this once:");
        println!("      {}", paint(Style::Green, token.expose()));
    }
    if running.resumed > 0 {
        tracing::info!(deployments = running.resumed, "resuming interrupted deployments");
    }
    let failed = |error: std::io::Error| Failure::internal(&error.into());
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
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
