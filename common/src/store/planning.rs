//! Queueing the runs of a tick: many in one transaction, and without reading first.

use super::Store;
use super::error::StoreError;
use super::runs::{Requested, RunRequest};
use crate::store::table::keys;
use crate::store::table::transactions::Outcome;
use aws_sdk_dynamodb::types::TransactWriteItem;
use futures_util::{StreamExt, stream};

/// Runs that are queued in one transaction. Each is of four actions, and the table takes 100; a queue takes messages by tens.
pub const PLANNED_TOGETHER: usize = 20;

/// Runs that are asked for at the same time where a transaction was refused.
const CONCURRENCY: usize = 8;

impl Store {
    /// As [`Store::request_run`] for each of these connections, no two alike and none of them known to be paused: nearly all have no run, so that is what
    /// the transactions assume. Only who does not fit is asked for alone, with reading.
    pub async fn request_runs(
        &self,
        mut requests: Vec<RunRequest>,
    ) -> Vec<(RunRequest, Result<Requested, StoreError>)> {
        let mut answers = Vec::with_capacity(requests.len());
        while !requests.is_empty() {
            let rest = requests.split_off(requests.len().min(PLANNED_TOGETHER));
            let chunk = std::mem::replace(&mut requests, rest);
            answers.extend(self.request_together(chunk).await);
        }
        answers
    }

    async fn request_together(&self, mut chunk: Vec<RunRequest>) -> Vec<(RunRequest, Result<Requested, StoreError>)> {
        let mut alone = Vec::new();
        let mut answers = Vec::new();
        while !chunk.is_empty() {
            let queued: Result<Vec<_>, _> = chunk.iter().map(|request| self.queueing_unread(request)).collect();
            // What cannot be written together is told from the others by asking for each.
            let Ok(queued) = queued else { break };
            let (actions, requested): (Vec<_>, Vec<_>) = queued.into_iter().unzip();
            let per_run: Vec<usize> = actions.iter().map(Vec::len).collect();
            match self.transact(actions.concat()).await {
                Ok(Outcome::Written) => {
                    answers.extend(chunk.drain(..).zip(requested.into_iter().map(Ok)));
                }
                Ok(Outcome::Refused(failed)) => {
                    let mut failed = failed.into_iter();
                    let fits = per_run.into_iter().map(|actions| !failed.by_ref().take(actions).any(|failed| failed));
                    let Divided { fitting, others } = divide(std::mem::take(&mut chunk), fits.collect());
                    if others.is_empty() {
                        // It names nobody, so nobody can be left out.
                        alone.extend(fitting);
                        break;
                    }
                    alone.extend(others);
                    chunk = fitting;
                }
                // Asking for each tells whether it is the table, or met others at work.
                Err(_) => break,
            }
        }
        alone.extend(chunk);
        let asked = stream::iter(alone).map(async |request| {
            let requested = self.request_run(request.clone()).await;
            (request, requested)
        });
        answers.extend(asked.buffer_unordered(CONCURRENCY).collect::<Vec<_>>().await);
        answers
    }

    /// The actions that queue a run if the connection is there, not paused, and has none, and the request is no repetition.
    fn queueing_unread(&self, request: &RunRequest) -> Result<(Vec<TransactWriteItem>, Requested), StoreError> {
        let (mut actions, requested) = self.queueing(request)?;
        if let Some(key) = &request.request_key {
            let key = keys::request(&request.company, &request.connection, key);
            actions.push(self.remember(request, &key, &requested.run.id)?);
        }
        actions.push(self.connection_after(request, false)?);
        Ok((actions, requested))
    }
}

/// Requests that fit into a transaction, and the others.
struct Divided {
    fitting: Vec<RunRequest>,
    others: Vec<RunRequest>,
}

fn divide(requests: Vec<RunRequest>, fits: Vec<bool>) -> Divided {
    let (fitting, others): (Vec<_>, Vec<_>) = requests.into_iter().zip(fits).partition(|(_, fits)| *fits);
    let plain = |pairs: Vec<(RunRequest, bool)>| pairs.into_iter().map(|(request, _)| request).collect();
    Divided { fitting: plain(fitting), others: plain(others) }
}
