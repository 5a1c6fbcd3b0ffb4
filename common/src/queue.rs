//! The queue between who asks for runs and who does them.

use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::signed::{Operation, Service};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

/// Asks a worker to carry a run to its end. Delivered at least once; the run's lease makes a second delivery harmless.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunMessage {
    /// Whose connection.
    pub company: CompanyId,
    /// Which connection.
    pub connection: ConnectionId,
    /// Which run.
    pub run: RunId,
}

/// Messages that were not taken by the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The queue does not answer.
    #[error("the queue does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The queue took only a part.
    #[error("the queue refused {refused} of the messages")]
    Refused {
        /// How many it refused.
        refused: usize,
    },
}

/// Where messages go.
pub enum Queue {
    /// Amazon SQS.
    Sqs {
        /// SQS.
        service: Service,
        /// The queue.
        url: String,
    },
    /// A worker in this process. What it loses with the process is found again in the table.
    InProcess(UnboundedSender<Queued>),
}

/// A message in the queue of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// The message.
    pub message: RunMessage,
    /// It is not to be delivered before so long after it was sent.
    pub delay: TimeDelta,
}

/// The longest time that SQS keeps a message back.
const LONGEST_DELAY: TimeDelta = TimeDelta::minutes(15);

/// The most messages that SQS takes in one request.
const BATCH: usize = 10;

impl Queue {
    /// Sends messages, ten in a request.
    ///
    /// # Errors
    /// [`QueueError`]; some may have been sent, and sending all again does no harm.
    pub async fn send(&self, messages: &[RunMessage]) -> Result<(), QueueError> {
        self.send_later(messages, TimeDelta::zero()).await
    }

    /// Sends messages that are to arrive after a delay, but not later than the queue can keep them back: a worker that gets one early sends it again.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_later(&self, messages: &[RunMessage], delay: TimeDelta) -> Result<(), QueueError> {
        match self {
            Self::Sqs { service, url } => {
                // Up to the next second, so that it is not early.
                let seconds = delay.clamp(TimeDelta::zero(), LONGEST_DELAY).as_seconds_f64().ceil();
                for batch in messages.chunks(BATCH) {
                    send_batch(service, url, batch, seconds).await?;
                }
                Ok(())
            }
            Self::InProcess(sender) => {
                let queued = |message: &RunMessage| Queued { message: message.clone(), delay };
                let sent = messages.iter().try_for_each(|message| sender.send(queued(message)));
                sent.map_err(|error| QueueError::Unavailable(error.into()))
            }
        }
    }
}

const SEND_MESSAGE_BATCH: Operation = Operation { target: "AmazonSQS.SendMessageBatch", version: "1.0" };

#[expect(clippy::cast_possible_truncation, reason = "at most 900")]
async fn send_batch(service: &Service, url: &str, batch: &[RunMessage], delay_seconds: f64) -> Result<(), QueueError> {
    let mut entries = Vec::with_capacity(batch.len());
    for (position, message) in batch.iter().enumerate() {
        let body = serde_json::to_string(message).map_err(|error| QueueError::Unavailable(error.into()))?;
        entries.push(json!({"Id": position.to_string(), "MessageBody": body, "DelaySeconds": delay_seconds as i32}));
    }
    let sent = service.call(SEND_MESSAGE_BATCH, &json!({"QueueUrl": url, "Entries": entries})).await;
    let sent = sent.map_err(|error| QueueError::Unavailable(error.into()))?;
    match sent.get("Failed").and_then(Value::as_array).map_or(0, Vec::len) {
        0 => Ok(()),
        refused => Err(QueueError::Refused { refused }),
    }
}
