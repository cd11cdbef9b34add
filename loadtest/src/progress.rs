//! A bar on standard error while something is waited for; nothing when nobody watches.

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Hidden by itself when standard error is no terminal.
    pub(crate) fn new(what: &'static str, wanted: u64) -> Self {
        let bar = ProgressBar::new(wanted);
        if let Ok(style) = ProgressStyle::with_template("{msg:>12} {wide_bar} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self(bar)
    }

    pub(crate) fn set(&self, count: u64) {
        self.0.set_position(count);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
