//! A line on stderr that says how far a collection is, or until when it waits, when stderr is a terminal.

use crate::render;
use chrono::{DateTime, Utc};
use common::clock::Clock;
use common::huntress::progress::Progress;
use common::huntress::rate_limit::RateLimiter;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

/// The line; it goes when this is dropped.
pub struct Display(Option<(ProgressBar, Option<tokio::task::JoinHandle<()>>)>);

fn line() -> Option<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let style = ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(Duration::from_millis(120));
    Some(bar)
}

/// Shows until when a run waits, until the value is dropped.
pub fn waiting(until: DateTime<Utc>) -> Display {
    let bar = line();
    if let Some(bar) = &bar {
        bar.set_message(format!("waiting for the request limit until {}; what is read is kept", render::time(until)));
    }
    Display(bar.map(|bar| (bar, None)))
}

/// Shows pages, records and the requests left in the window until the value is dropped.
pub fn show(progress: &Arc<Progress>, limiter: &Arc<RateLimiter>, clock: &Arc<dyn Clock>) -> Display {
    let Some(bar) = line() else { return Display(None) };
    let (shown, progress, limiter, clock) = (bar.clone(), Arc::clone(progress), Arc::clone(limiter), Arc::clone(clock));
    let update = async move {
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        loop {
            tick.tick().await;
            let left = limiter.remaining(clock.now());
            let left =
                left.map_or_else(|| "no limiter".to_owned(), |left| format!("{left} requests left in this minute"));
            shown.set_message(format!("{} pages, {} records, {left}", progress.pages(), progress.records()));
        }
    };
    Display(Some((bar, Some(tokio::spawn(update)))))
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some((bar, task)) = self.0.take() {
            task.iter().for_each(tokio::task::JoinHandle::abort);
            bar.finish_and_clear();
        }
    }
}
