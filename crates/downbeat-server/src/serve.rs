//! Connections: accepted, served, and closed.
//!
//! hyper itself instead of `axum::serve`, which waits for ever for the rest of a request that is
//! sent a byte at a time, and accepts connections without end.

use std::{future::Future, io, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};

use crate::{AppState, router, state::Limits, tls::Tls};

/// Pause when the machine has no more file descriptors or the like.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Where connections come in.
pub struct Door {
    /// The port.
    pub listener: TcpListener,
    /// Its certificate; without one, requests come in clear.
    pub tls: Option<Tls>,
}

/// Answers requests at the doors until `shutdown` is done, then finishes those under way.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    doors: Vec<Door>,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let limits = state.limits;
    let router = router::router(state);
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let (stop, stopped) = watch::channel(());
    let house = House { router, limits, places, stopped };
    let doors = doors.into_iter().map(|door| accept(door, house.clone(), &graceful));
    let doors = futures_util::future::join_all(doors);
    tokio::join!(doors, async move {
        shutdown.await;
        drop(stop);
    });
    graceful.shutdown().await;
    Ok(())
}

/// What all doors lead to.
#[derive(Clone)]
struct House {
    router: Router,
    limits: Limits,
    places: Arc<Semaphore>,
    /// Its sender is gone when it is time to stop.
    stopped: watch::Receiver<()>,
}

impl House {
    /// Answers what comes in on a connection.
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static, watcher: Watcher) {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.limits.head_time);
        let service = TowerToHyperService::new(self.router);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "A connection broke.");
        }
    }
}

/// Accepts connections until it is time to stop.
async fn accept(Door { listener, tls }: Door, mut house: House, graceful: &GracefulShutdown) {
    let places = Arc::clone(&house.places);
    loop {
        // Whoever finds no place waits in the queue of the listener.
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            _ = house.stopped.changed() => return,
            next = next => next,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_of_the_peer(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "Cannot accept connections.");
                sleep(EXHAUSTED).await;
                continue;
            }
        };
        // Answers are written as a whole; a socket without this option is only slower.
        let _ = stream.set_nodelay(true);
        let (mut house, watcher) = (house.clone(), graceful.watcher());
        let acceptor = tls.as_ref().map(Tls::acceptor);
        tokio::spawn(async move {
            let _place = place;
            let Some(acceptor) = acceptor else { return house.serve(stream, watcher).await };
            let handshake = timeout(house.limits.head_time, acceptor.accept(stream));
            let accepted = tokio::select! {
                _ = house.stopped.changed() => return,
                accepted = handshake => accepted,
            };
            match accepted {
                Ok(Ok(stream)) => house.serve(stream, watcher).await,
                Ok(Err(error)) => tracing::debug!(%error, "A TLS handshake failed."),
                Err(_) => tracing::debug!("A TLS handshake took too long."),
            }
        });
    }
}

/// Whether only this one connection is concerned.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
