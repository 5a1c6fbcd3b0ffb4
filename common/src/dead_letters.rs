//! Messages that the queue put aside, because no worker could deal with them.

use crate::queue::{QueueError, RunMessage};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName,
};
use chrono::{DateTime, Utc};

/// The most messages that SQS gives, takes or deletes in one request.
pub const BATCH: i32 = 10;

/// Nobody else gets a message for so many seconds after it was received here.
const HELD_SECONDS: i32 = 300;

/// How many seconds a request waits for messages, which also makes it ask all of the queue's servers.
const WAIT_SECONDS: i32 = 1;

/// The dead-letter queue of the runs.
pub struct DeadLetters {
    /// The client.
    pub client: Client,
    /// The queue.
    pub url: String,
}

/// A message that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its name in the queue.
    pub id: String,
    /// What was sent, if it is a message of ours.
    pub message: Option<RunMessage>,
    /// When it was sent first.
    pub sent_at: Option<DateTime<Utc>>,
    receipt: String,
}

impl DeadLetter {
    fn of(message: Message) -> Option<Self> {
        let sent_at = message.attributes.as_ref().and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp));
        let sent_at = sent_at.and_then(|at| DateTime::from_timestamp_millis(at.parse().ok()?));
        let run = message.body.as_deref().and_then(|body| serde_json::from_str(body).ok());
        Some(Self { id: message.message_id?, message: run, sent_at, receipt: message.receipt_handle? })
    }
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> QueueError {
    QueueError::Unavailable(error.into())
}

impl DeadLetters {
    /// Some of the messages, ten at most, which nobody else gets for five minutes; none when there are no more.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn receive(&self) -> Result<Vec<DeadLetter>, QueueError> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(BATCH)
            .visibility_timeout(HELD_SECONDS)
            .wait_time_seconds(WAIT_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|error| unavailable(error.into_service_error()))?;
        Ok(received.messages.unwrap_or_default().into_iter().filter_map(DeadLetter::of).collect())
    }

    /// Deletes messages that were received.
    ///
    /// # Errors
    /// [`QueueError`]; those that are left come again.
    pub async fn delete(&self, letters: &[DeadLetter]) -> Result<(), QueueError> {
        for batch in letters.chunks(BATCH as usize) {
            let entry = |(position, letter): (usize, &DeadLetter)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(position.to_string());
                entry.receipt_handle(&letter.receipt).build()
            };
            let entries = batch.iter().enumerate().map(entry).collect::<Result<_, _>>().map_err(unavailable)?;
            let deleted = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries)).send();
            let deleted = deleted.await.map_err(|error| unavailable(error.into_service_error()))?;
            refused(deleted.failed().len())?;
        }
        Ok(())
    }

    /// Gives messages back that were received, at once.
    ///
    /// # Errors
    /// [`QueueError`]; those that are not given back are so after five minutes.
    pub async fn give_back(&self, letters: &[DeadLetter]) -> Result<(), QueueError> {
        for batch in letters.chunks(BATCH as usize) {
            let entry = |(position, letter): (usize, &DeadLetter)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(position.to_string());
                entry.receipt_handle(&letter.receipt).visibility_timeout(0).build()
            };
            let entries = batch.iter().enumerate().map(entry).collect::<Result<_, _>>().map_err(unavailable)?;
            let request = self.client.change_message_visibility_batch().queue_url(&self.url);
            let given = request.set_entries(Some(entries)).send().await;
            let given = given.map_err(|error| unavailable(error.into_service_error()))?;
            refused(given.failed().len())?;
        }
        Ok(())
    }
}

fn refused(number: usize) -> Result<(), QueueError> {
    match number {
        0 => Ok(()),
        refused => Err(QueueError::Refused { refused }),
    }
}
