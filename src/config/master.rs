//! The secret from which key secrets and device credentials are derived, kept in the data directory
//! when the settings give none.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::sections::Secret;

const FILE: &str = "master.key";

#[derive(Debug, thiserror::Error)]
pub enum MasterError {
    #[error("{what} {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} does not hold 64 hexadecimal digits; restore it from a backup")]
    Damaged { path: PathBuf },
    #[error("the system gave no random bytes")]
    Random,
}

/// The secret in `dir`, made there when it holds none. Both directory and file are for their owner
/// alone. What is made is complete on disk before it is used: a crash leaves the whole file or none.
pub fn master_secret(dir: &Path) -> Result<Secret, MasterError> {
    let path = dir.join(FILE);
    let fail = |what, path: &Path| {
        let path = path.to_owned();
        move |source| MasterError::Io { what, path, source }
    };
    match fs::read_to_string(&path) {
        Ok(text) => return Secret::parse(text.trim()).ok_or(MasterError::Damaged { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fail("read", &path)(error)),
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| MasterError::Random)?;
    let draft = dir.join(format!("{FILE}.{}", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(format!("{}\n", hex::encode(bytes)).as_bytes())?;
        file.sync_all()?;
        // A link fails when another process was first; a rename would put its secret away.
        match fs::hard_link(&draft, &path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => fs::remove_file(&draft)?,
        }
        fs::File::open(dir)?.sync_all()
    };
    write().map_err(fail("write", &path))?;
    let text = fs::read_to_string(&path).map_err(fail("read", &path))?;
    Secret::parse(text.trim()).ok_or(MasterError::Damaged { path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_secret_is_made_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let first = master_secret(dir.path()).unwrap();
        let second = master_secret(dir.path()).unwrap();
        assert_eq!(first.bytes(), second.bytes());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft stays behind");
    }

    #[test]
    fn a_damaged_master_secret_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "half a sec").unwrap();
        assert!(matches!(master_secret(dir.path()), Err(MasterError::Damaged { .. })));
    }

    #[test]
    fn others_cannot_read_the_master_secret() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        master_secret(dir.path()).unwrap();
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
