//! TLS as both clients speak it: rustls on ring, and the authorities the caller believes.

use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::Trust;

/// Why the authorities cannot be believed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read the PEM text of certificate authorities")]
    Pem(#[source] rustls_pki_types::pem::Error),
    #[error("no certificate authority in the PEM text")]
    Empty,
    #[error("set TLS up")]
    Rustls(#[from] rustls::Error),
    /// The text is not quoted: it holds a key.
    #[error("no usable certificate and key in the PEM text")]
    Identity(#[source] Option<rustls::Error>),
}

/// A configuration under the process's provider, or ring's where none was installed.
pub fn config(trust: &Trust) -> Result<ClientConfig, Error> {
    Ok(builder(trust)?.with_no_client_auth())
}

/// The same, known to the server by a certificate: chain and key in one PEM text.
pub fn config_as(trust: &Trust, identity: &str) -> Result<ClientConfig, Error> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(identity.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| Error::Identity(None))?;
    let key = PrivateKeyDer::from_pem_slice(identity.as_bytes()).map_err(|_| Error::Identity(None))?;
    builder(trust)?.with_client_auth_cert(chain, key).map_err(|error| Error::Identity(Some(error)))
}

fn builder(trust: &Trust) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Error> {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::Web => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Trust::Pem(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate.map_err(Error::Pem)?)?;
            }
        }
    }
    if roots.is_empty() {
        return Err(Error::Empty);
    }
    let provider = rustls::crypto::CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots))
}
