//! The data directory: who may read it, and the secrets kept in it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// From which key secrets and device credentials are derived.
pub type Master = [u8; 32];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what} {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} does not hold 64 hexadecimal digits; restore it from a backup")]
    Master(PathBuf),
}

/// A directory only its owner can read.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

/// What a directory looks like from outside, for the refusals of `serve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirFacts {
    /// Permission bits; None when there is no such directory yet.
    pub mode: Option<u32>,
}

impl DirFacts {
    pub fn of(path: &Path) -> Self {
        Self { mode: fs::metadata(path).ok().map(|metadata| metadata.mode() & 0o7777) }
    }

    /// Whether anybody but the owner can look into it.
    #[must_use]
    pub fn open_to_others(self) -> bool {
        self.mode.is_some_and(|mode| mode & 0o077 != 0)
    }
}

impl DataDir {
    /// The directory at `path`, made with mode 0700 when it is not there.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if !path.is_dir() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            made.map_err(|source| Error::Io { what: "make", path: path.to_owned(), source })?;
        }
        Ok(Self(path.to_owned()))
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The master secret in `master.key`, drawn at the first start. A damaged one is an error and
    /// never replaced: every credential hangs on it.
    pub fn master(&self) -> Result<Master, Error> {
        const NAME: &str = "master.key";
        let path = self.file(NAME);
        if let Some(text) = self.read(NAME)? {
            let mut master = Master::default();
            return match hex::decode_to_slice(text.trim(), &mut master) {
                Ok(()) => Ok(master),
                Err(_) => Err(Error::Master(path)),
            };
        }
        let mut master = Master::default();
        getrandom::fill(&mut master).map_err(|error| Error::Io {
            what: "draw",
            path,
            source: io::Error::other(error.to_string()),
        })?;
        self.write_secret(NAME, &format!("{}\n", hex::encode(master)))?;
        Ok(master)
    }

    /// A file's text, None when it is not there.
    pub fn read(&self, name: &str) -> Result<Option<String>, Error> {
        let path = self.file(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Io { what: "read", path, source }),
        }
    }

    /// Writes a file that only its owner can read, whole or not at all, and syncs it.
    pub fn write_secret(&self, name: &str, text: &str) -> Result<(), Error> {
        write_secret(&self.file(name), text)
    }
}

/// The same for a file anywhere.
pub fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    let fail = |what| move |source| Error::Io { what, path: path.to_owned(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .map_err(fail("write"))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fail("write"))?;
    fs::rename(&new, path).map_err(fail("replace"))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(fail("sync the directory of"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_data_directory_and_its_secrets_are_the_owners_alone() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&temp.path().join("data")).unwrap();
        dir.write_secret("operator.key", "operator secret").unwrap();
        assert_eq!(DirFacts::of(dir.path()), DirFacts { mode: Some(0o700) });
        assert_eq!(DirFacts::of(&dir.file("operator.key")).mode, Some(0o600));
        assert_eq!(dir.read("operator.key").unwrap().as_deref(), Some("operator secret"));
        assert_eq!(dir.read("nothing").unwrap(), None);
    }

    #[test]
    fn the_master_secret_is_drawn_once_and_a_damaged_one_is_never_replaced() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        let master = dir.master().unwrap();
        assert_ne!(master, Master::default());
        assert_eq!(dir.master().unwrap(), master);
        dir.write_secret("master.key", "half a sec").unwrap();
        assert!(matches!(dir.master(), Err(Error::Master(_))));
    }

    #[test]
    fn a_directory_others_can_read_is_seen() {
        let facts = |mode| DirFacts { mode };
        assert!(facts(Some(0o755)).open_to_others() && facts(Some(0o710)).open_to_others());
        assert!(!facts(Some(0o700)).open_to_others() && !facts(None).open_to_others());
    }
}
