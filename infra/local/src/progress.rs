//! A line on stderr that says how far a collection is, when stderr is a terminal.

use common::clock::Clock;
use common::huntress::limits::Budget;
use common::huntress::transport::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

/// The line; it goes when this is dropped.
pub struct Display(Option<(ProgressBar, tokio::task::JoinHandle<()>)>);

/// Shows pages, records and the requests left in the window until the value is dropped.
pub fn show(progress: &Arc<Progress>, budget: &Arc<Budget>, clock: &Arc<dyn Clock>) -> Display {
    if !std::io::stderr().is_terminal() {
        return Display(None);
    }
    let style = ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(Duration::from_millis(120));
    let (shown, progress, budget, clock) = (bar.clone(), Arc::clone(progress), Arc::clone(budget), Arc::clone(clock));
    let update = async move {
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        loop {
            tick.tick().await;
            let left = budget.remaining(clock.now());
            let left =
                left.map_or_else(|| "no limiter".to_owned(), |left| format!("{left} requests left in this minute"));
            shown.set_message(format!("{} pages, {} records, {left}", progress.pages(), progress.records()));
        }
    };
    Display(Some((bar, tokio::spawn(update))))
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some((bar, task)) = self.0.take() {
            task.abort();
            bar.finish_and_clear();
        }
    }
}
