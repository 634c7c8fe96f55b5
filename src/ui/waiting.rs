//! A line that says what is waited for and for how long, while something is waited for.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Ui;

/// Redraws a second.
const REDRAWS: u8 = 8;
/// Where nothing may move, a line comes after so much silence.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The line. It goes away when it is dropped.
#[derive(Debug)]
pub struct Waiting<'a> {
    ui: &'a Ui,
    bar: Option<ProgressBar>,
    began: Instant,
    said: Option<Instant>,
}

impl<'a> Waiting<'a> {
    /// Begins to wait.
    pub fn start(ui: &'a Ui) -> Self {
        let bar = ui.is_animated().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS));
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg} {elapsed}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.enable_steady_tick(Duration::from_millis(125));
            ui.keep_clear_of(Some(&bar));
            bar
        });
        Self { ui, bar, began: Instant::now(), said: None }
    }

    /// Says what is waited for now.
    pub fn say(&mut self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        } else if self.said.is_none_or(|said| said.elapsed() >= HEARTBEAT) {
            self.said = Some(Instant::now());
            self.ui.status(&format!("{text} ({} s)", self.began.elapsed().as_secs()));
        }
    }

    /// Returns for how long it has been waited.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            self.ui.keep_clear_of(None);
        }
    }
}
