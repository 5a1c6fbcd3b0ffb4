//! The worker: takes runs from the queue and carries each to its end.

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use chrono::{DateTime, TimeDelta, Utc};
use common::queue::RunMessage;
use common::sync::work::Worker;
use lambda_runtime::LambdaEvent;
use std::convert::Infallible;
use std::sync::Arc;

/// What is left of an invocation is kept for ending the run properly.
pub const RESERVE: TimeDelta = TimeDelta::seconds(30);

/// Does the runs of a batch, one after the other. Only messages whose run could not be brought to an end, or that are no messages, come back.
///
/// # Errors
/// None: a batch never fails as a whole.
pub async fn handle(worker: &Worker, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Infallible> {
    let deadline = i64::try_from(event.context.deadline).ok().and_then(DateTime::<Utc>::from_timestamp_millis);
    let deadline = deadline.unwrap_or(DateTime::<Utc>::MAX_UTC) - RESERVE;
    let mut response = SqsBatchResponse::default();
    for message in event.payload.records {
        let id = message.message_id.unwrap_or_default();
        let processed = match serde_json::from_str::<RunMessage>(message.body.as_deref().unwrap_or_default()) {
            Ok(run) => Box::pin(worker.process(&run, &event.context.request_id, deadline, Arc::default()))
                .await
                .map(drop)
                .map_err(Into::into),
            Err(error) => Err(Box::<dyn std::error::Error + Send + Sync>::from(error)),
        };
        if let Err(error) = processed {
            tracing::error!(message = %id, error = error.as_ref() as &dyn std::error::Error, "the message goes back to the queue");
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            response.batch_item_failures.push(failure);
        }
    }
    Ok(response)
}
