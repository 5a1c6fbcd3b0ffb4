//! Messages of the queue, as they are delivered: each run is carried to its end.

use super::worker::{Processed, Worker};
use crate::aws::queue::{RunMessage, returns_after};
use crate::aws::telemetry::Telemetry;
use crate::domain::run::RunStatus;
use crate::store::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is left of an invocation is kept for ending the run properly.
pub const RESERVE: TimeDelta = TimeDelta::seconds(30);

/// What SQS delivers, as far as it is read: to know all of an event's fields would be a fiftieth of the bootstrap.
#[derive(Debug, Clone, Deserialize)]
pub struct Batch {
    /// The messages.
    #[serde(rename = "Records")]
    pub records: Vec<Delivery>,
}

/// One message.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The name of this delivery, for the queue.
    pub message_id: String,
    /// What was sent.
    pub body: String,
    /// What gives this delivery back to the queue.
    #[serde(default)]
    pub receipt_handle: String,
    /// What the queue knows of it.
    #[serde(default)]
    pub attributes: Attributes,
}

/// What the queue knows of a message.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attributes {
    /// How often it was delivered, this time included; a number as text.
    #[serde(default = "once")]
    pub approximate_receive_count: String,
}

fn once() -> String {
    "1".to_owned()
}

impl Default for Attributes {
    fn default() -> Self {
        Self { approximate_receive_count: once() }
    }
}

/// What Lambda wants to hear of a batch, with `ReportBatchItemFailures`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchAnswer {
    /// The messages that come back; the others are done with.
    pub batch_item_failures: Vec<FailedDelivery>,
}

/// One message that comes back.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedDelivery {
    /// The name of its delivery.
    pub item_identifier: String,
}

/// Does the runs of a batch, one after the other, [`RESERVE`] before `until` at the latest. Only messages whose run could not be brought to an
/// end, or that are no messages, come back: a batch never fails as a whole.
pub async fn handle(worker: &Worker, telemetry: &Telemetry, batch: Batch, until: DateTime<Utc>) -> BatchAnswer {
    let deadline = until - RESERVE;
    let mut response = BatchAnswer::default();
    for message in batch.records {
        let id = message.message_id;
        let processed = match serde_json::from_str::<RunMessage>(&message.body) {
            // In the name of the message: when it comes again, its lease is its own, and does not have to be waited for.
            Ok(run) => Box::pin(worker.process(&run, &id, deadline, Arc::default()))
                .await
                .map_err(Into::into)
                .map(|processed| (run, processed)),
            Err(error) => Err(Box::<dyn std::error::Error + Send + Sync>::from(error)),
        };
        match processed {
            Ok((run, processed)) => {
                if let Err(error) = measure(worker, telemetry, &run, &processed).await {
                    // The run is done with; its message does not come back for a number.
                    tracing::error!(run = %run.run, error = &error as &dyn std::error::Error, "the run is in no metric");
                }
            }
            Err(error) => {
                tracing::error!(message = %id, error = error.as_ref() as &dyn std::error::Error, "the message goes back to the queue");
                let deliveries = message.attributes.approximate_receive_count.parse().unwrap_or(1);
                if let Err(error) = worker.queue.give_back(&message.receipt_handle, returns_after(deliveries)).await {
                    tracing::error!(message = %id, error = &error as &dyn std::error::Error, "it comes back when the queue takes this worker for lost");
                }
                response.batch_item_failures.push(FailedDelivery { item_identifier: id });
            }
        }
    }
    if !response.batch_item_failures.is_empty() {
        telemetry.returned(worker.huntress.clock.now(), response.batch_item_failures.len());
    }
    response
}

/// Counts a run by its own record, which says the same as its reader will see.
async fn measure(
    worker: &Worker,
    telemetry: &Telemetry,
    message: &RunMessage,
    processed: &Processed,
) -> Result<(), StoreError> {
    if matches!(processed, Processed::AlreadyFinished | Processed::Busy | Processed::LeaseLost) {
        // Another worker counts it, or has done so.
        return Ok(());
    }
    let RunMessage { company, connection, run } = message;
    let run = worker.store.run(company, connection, run).await?;
    let settings = worker.store.connection(company, connection).await?;
    if let (Some(run), Some(settings)) = (run, settings) {
        let refused = run.status == RunStatus::AuthFailed;
        let refused_anew = refused
            // The newest is this one.
            && worker.store.runs(company, connection, 2).await?.get(1).is_none_or(|it| it.status != run.status);
        telemetry.worked(worker.huntress.clock.now(), settings.product, &run, refused_anew);
    }
    Ok(())
}
