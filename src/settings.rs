//! Where the settings of this process come from: files, the environment, flags.

use std::path::Path;

use crate::cli::exit::{Code, Failure};
use crate::config::{self, Layer, Loaded};

/// What lies below the file: the defaults alone, or `dev`'s changes to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    Serve,
    Dev,
}

/// Everything that was given, the later over the earlier: base, file, environment, flags. Either
/// all of it is right, or every mistake is told at once.
pub fn read(base: Base, file: Option<&Path>, flags: Layer) -> Result<Loaded, Failure> {
    let mut layers = Vec::new();
    if base == Base::Dev {
        layers.push(Layer::dev());
    }
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(Code::Configuration, format!("read the configuration {}: {error}", path.display()))
        })?;
        layers.push(Layer::file(&path.display().to_string(), &text));
    }
    layers.push(environment());
    layers.push(flags);
    config::load(&layers).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        Failure::new(Code::Configuration, lines.join("\n"))
    })
}

/// Variables that are not UTF-8 are none of ours.
fn environment() -> Layer {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Layer::environment(variables, |path| std::fs::read_to_string(path))
}
