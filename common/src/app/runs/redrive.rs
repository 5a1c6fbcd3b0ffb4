//! Runs whose messages were put aside, back into the queue.

use super::plan::PlanError;
use crate::aws::dead_letters::{DeadLetter, DeadLetters};
use crate::aws::queue::{Queue, Queued};
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::run::RunStatus;
use crate::store::Store;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// Puts messages back.
pub struct Redriver {
    /// Runs.
    pub store: Store,
    /// From where.
    pub dead_letters: DeadLetters,
    /// Where to.
    pub queue: Queue,
}

/// Which messages, and what is to be done.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Those of one company, or all.
    pub company: Option<CompanyId>,
    /// At most so many are looked at, so that one that comes back is not moved for ever.
    pub most: usize,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What is done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RedriveAction {
    /// Its run has not ended: it goes back to the workers.
    Moved,
    /// Its run has ended: it is of no use any more, and is deleted.
    Dropped,
    /// It names no run that is known: it stays where it is, for a person to look at.
    Left,
}

/// A message, and what is done with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redriven {
    /// Its name in the queue.
    pub message_id: String,
    /// When it was sent first.
    pub sent_at: Option<DateTime<Utc>>,
    /// Whose connection; this and the next two are missing for what is no message of ours.
    pub company: Option<CompanyId>,
    /// Which connection.
    pub connection: Option<ConnectionId>,
    /// Which run.
    pub run: Option<RunId>,
    /// Where the run stands, if it is known.
    pub status: Option<RunStatus>,
    /// What is done with it.
    pub done: RedriveAction,
}

impl Redriver {
    /// Looks at the messages that were put aside, and moves those whose runs have not ended; each goes on as the same run. Those that are moved are sent
    /// before they are deleted: one that is there twice does no harm.
    ///
    /// `on_batch` hears of each ten when they are dealt with.
    ///
    /// # Errors
    /// [`PlanError`]; what was not dealt with is still among the dead letters, and can be seen again after five minutes.
    pub async fn redrive(&self, wanted: &Wanted, mut on_batch: impl FnMut(&[Redriven])) -> Result<(), PlanError> {
        // They are given back at the end, since they would otherwise come again and again.
        let mut held = Vec::new();
        let mut seen = 0;
        let outcome = loop {
            if seen >= wanted.most {
                break Ok(());
            }
            let letters = match self.dead_letters.receive().await {
                Ok(letters) if letters.is_empty() => break Ok(()),
                Ok(letters) => letters,
                Err(error) => break Err(error.into()),
            };
            seen += letters.len();
            match self.deal_with(letters, wanted, &mut held).await {
                Ok(redriven) => on_batch(&redriven),
                Err(error) => break Err(error),
            }
        };
        self.dead_letters.give_back(&held).await?;
        outcome
    }

    async fn deal_with(
        &self,
        letters: Vec<DeadLetter>,
        wanted: &Wanted,
        held: &mut Vec<DeadLetter>,
    ) -> Result<Vec<Redriven>, PlanError> {
        let (mut messages, mut finished, mut redriven) = (Vec::new(), Vec::new(), Vec::new());
        for letter in letters {
            let named = letter.message.as_ref().map(|message| &message.company);
            if wanted.company.as_ref().is_some_and(|company| Some(company) != named) {
                held.push(letter);
                continue;
            }
            let status = match &letter.message {
                Some(it) => self.store.run(&it.company, &it.connection, &it.run).await?.map(|run| run.status),
                None => None,
            };
            let done = match status {
                None => RedriveAction::Left,
                Some(status) if status.is_final() => RedriveAction::Dropped,
                Some(_) => RedriveAction::Moved,
            };
            let (company, connection, run) = match letter.message.clone() {
                Some(it) => (Some(it.company), Some(it.connection), Some(it.run)),
                None => (None, None, None),
            };
            let (message_id, sent_at) = (letter.id.clone(), letter.sent_at);
            redriven.push(Redriven { message_id, sent_at, company, connection, run, status, done });
            if wanted.dry_run || done == RedriveAction::Left {
                held.push(letter);
                continue;
            }
            messages.extend(letter.message.clone().filter(|_| done == RedriveAction::Moved).map(Queued::now));
            finished.push(letter);
        }
        self.queue.send(&messages).await?;
        self.dead_letters.delete(&finished).await?;
        Ok(redriven)
    }
}
