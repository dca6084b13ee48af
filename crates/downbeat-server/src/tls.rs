//! TLS: a certificate and its key, read again when the files change.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// Where the certificate is.
#[derive(Clone, Debug)]
pub struct Files {
    /// The certificate in PEM form, followed by those that lead to its authority.
    pub certificate: PathBuf,
    /// Its private key in PEM form.
    pub key: PathBuf,
}

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}: {reason}", .file.display())]
pub struct Error {
    /// The file.
    pub file: PathBuf,
    /// Why not.
    pub reason: String,
}

/// The certificate of a server.
#[derive(Clone)]
pub struct Tls {
    files: Arc<Files>,
    current: Arc<Mutex<Current>>,
}

struct Current {
    acceptor: TlsAcceptor,
    /// When the two files were changed.
    changed: [Option<SystemTime>; 2],
    looked: Instant,
}

impl Tls {
    /// Reads the certificate and its key.
    ///
    /// # Errors
    /// When a file cannot be read, or the key is not that of the certificate.
    pub fn load(files: Files) -> Result<Self, Error> {
        let changed = changed(&files);
        let current = Current { acceptor: read(&files)?, changed, looked: Instant::now() };
        Ok(Self { files: Arc::new(files), current: Arc::new(Mutex::new(current)) })
    }

    /// What the next connection is accepted with: the files as they are now. While they cannot be
    /// used (one of them may be written later than the other), what was there before.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() < LOOK {
            return current.acceptor.clone();
        }
        current.looked = Instant::now();
        let changed = changed(&self.files);
        if changed != current.changed {
            match read(&self.files) {
                Ok(acceptor) => {
                    current.acceptor = acceptor;
                    tracing::info!("The certificate was replaced.");
                }
                Err(error) => tracing::warn!(%error, "The certificate stays as it was."),
            }
            current.changed = changed;
        }
        current.acceptor.clone()
    }
}

fn changed(files: &Files) -> [Option<SystemTime>; 2] {
    [&files.certificate, &files.key]
        .map(|file| fs::metadata(file).and_then(|metadata| metadata.modified()).ok())
}

fn read(files: &Files) -> Result<TlsAcceptor, Error> {
    let Files { certificate, key } = files;
    let unusable = |file: &PathBuf, reason: String| Error { file: file.clone(), reason };
    let bad_chain = |error| unusable(certificate, format!("{error}"));
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(bad_chain)?;
    if chain.is_empty() {
        return Err(unusable(certificate, "there is no certificate in it".to_owned()));
    }
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, format!("{error}")))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| unusable(key, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
