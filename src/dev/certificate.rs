//! A certificate for this machine alone, made at the first start and kept in the data directory.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::cli::exit::{Code, Failure};
use crate::data_dir::DataDir;

const CA: &str = "dev-ca.pem";
const CERTIFICATE: &str = "dev-cert.pem";
const KEY: &str = "dev-key.pem";

/// Names a developer may call the server by.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

pub(super) struct DevCertificate {
    /// What clients trust.
    pub(super) ca_pem: String,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// The one in `dir`, made when there is none. The authority's key is thrown away: it has signed the
/// one certificate it ever will.
pub(super) fn in_dir(dir: &DataDir) -> Result<DevCertificate, Failure> {
    let kept = |name| dir.read(name).map_err(Failure::from_error);
    let ca_pem = match (kept(CA)?, kept(CERTIFICATE)?, kept(KEY)?) {
        (Some(ca_pem), Some(_), Some(_)) => ca_pem,
        _ => make(dir)?,
    };
    Ok(DevCertificate { ca_pem, certificate: dir.file(CERTIFICATE), key: dir.file(KEY) })
}

fn make(dir: &DataDir) -> Result<String, Failure> {
    let (ca_pem, certificate, key) =
        sign().map_err(|error| Failure::new(Code::Failure, format!("make a certificate: {error}")))?;
    for (name, pem) in [(KEY, &key), (CERTIFICATE, &certificate), (CA, &ca_pem)] {
        dir.write_secret(name, pem).map_err(Failure::from_error)?;
    }
    Ok(ca_pem)
}

/// Authority, certificate and key, in PEM. ECDSA on P-256: what clients everywhere can verify.
fn sign() -> Result<(String, String, String), rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "Carillon dev authority");
    let authority_key = KeyPair::generate()?;
    let ca_pem = authority.self_signed(&authority_key)?.pem();
    let mut leaf = CertificateParams::new(NAMES.map(str::to_owned))?;
    leaf.distinguished_name.push(DnType::CommonName, "Carillon dev server");
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &Issuer::new(authority, authority_key))?;
    Ok((ca_pem, certificate.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::Certificate;

    #[test]
    fn the_dev_certificate_is_made_once_and_serves_tls() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        let first = in_dir(&dir).unwrap();
        assert_eq!(in_dir(&dir).unwrap().ca_pem, first.ca_pem);
        Certificate::load(&first.certificate, &first.key).unwrap().server_config().unwrap();
    }
}
