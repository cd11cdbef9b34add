//! What a command ends with: a sentence and an exit code. docs/operations.md lists the codes.

use std::fmt;
use std::process::ExitCode;

/// The exit codes; they are part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// It did not work, and none of the others says why.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The server refused: not signed rightly, not allowed, out of bounds, full.
    Refused = 3,
    NotFound = 4,
    /// The configuration is wrong, or `serve` refuses to run under it.
    Configuration = 64,
    /// An actor died beyond its budget, or the store failed.
    Internal = 70,
    /// The server cannot be reached, or not now.
    Temporary = 75,
}

/// Why a command ends otherwise than well.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    /// One line or several, for a person; nothing, where there is nobody to tell.
    pub text: String,
}

impl Failure {
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// A plain failure, told with all its causes.
    pub fn from_error(error: impl std::error::Error) -> Self {
        Self::of(Code::Failure, &error)
    }

    /// An error with all its causes.
    pub fn of(code: Code, error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let more = error.to_string();
            // A transparent error repeats its cause.
            if !text.ends_with(&more) {
                text = format!("{text}: {more}");
            }
            cause = error.source();
        }
        Self { code, text }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}
