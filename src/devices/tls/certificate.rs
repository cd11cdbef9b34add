//! The certificate of the TLS listeners, which SIGHUP can replace while they run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read {path}: {source}")]
    Pem { path: PathBuf, source: rustls_pki_types::pem::Error },
    #[error("no certificate in {0}")]
    Empty(PathBuf),
    #[error("certificate {certificate} with key {key}: {source}")]
    Pair { certificate: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("tls settings")]
    Settings(#[source] rustls::Error),
}

/// The certificate in use; clones share one.
#[derive(Debug, Clone)]
pub struct Certificate(Arc<RwLock<Arc<CertifiedKey>>>);

impl Certificate {
    /// Reads a PEM chain and its key.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, Error> {
        Ok(Self(Arc::new(RwLock::new(Arc::new(read(certificate, key)?)))))
    }

    /// Reads both files again. On an error the certificate in use stays.
    pub fn reload(&self, certificate: &Path, key: &Path) -> Result<(), Error> {
        *self.0.write() = Arc::new(read(certificate, key)?);
        Ok(())
    }

    /// The chain in use, the leaf first.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.0.read().cert.clone()
    }

    /// Settings for a listener. Sessions resume by stateless tickets: a storm of reconnects then
    /// costs less CPU, and the server remembers nothing for it. One ticket a connection: a device
    /// holds one connection.
    pub fn server_config(&self) -> Result<ServerConfig, Error> {
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::Settings)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.ticketer = ring::Ticketer::new().map_err(Error::Settings)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 1;
        Ok(config)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read()))
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, Error> {
    let pem = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Pem { path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(pem(certificate))?;
    if chain.is_empty() {
        return Err(Error::Empty(certificate.to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(pem(key))?;
    CertifiedKey::from_der(chain, secret, &ring::default_provider()).map_err(|source| Error::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })
}
