//! The line that shows progress, on a terminal only.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

/// A line on standard error that says how far the work is; nothing when nobody looks.
#[derive(Debug)]
pub(crate) struct Line(Option<ProgressBar>);

impl Line {
    /// A line that begins with `label`.
    pub(crate) fn new(label: &str) -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix}: {human_pos} records, {per_sec}{msg}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(crate::output::printable(label));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(Some(bar))
    }

    /// A line for work that prints its records on standard output: not where they would run into each other.
    pub(crate) fn beside_output(label: &str) -> Self {
        if io::stdout().is_terminal() { Self(None) } else { Self::new(label) }
    }

    /// So many records are done, and so many of them were refused.
    pub(crate) fn set(&self, done: u64, refused: u64) {
        let Some(bar) = &self.0 else { return };
        bar.set_position(done);
        if refused > 0 {
            bar.set_message(format!(", {} refused", HumanCount(refused)));
        }
    }

    /// Removes the line, so that reports start on a clean one.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.clear();
    }
}
