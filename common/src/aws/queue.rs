//! The queue between who asks for runs and who does them.

use crate::aws::client::{Operation, Service, ServiceError};
use crate::domain::id::{CompanyId, ConnectionId, RunId};
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
        service: Box<Service>,
        /// The queue.
        url: String,
    },
    /// Tasks in this process. Messages that are lost when it ends are restored from the table.
    InProcess(UnboundedSender<Queued>),
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// The message.
    pub message: RunMessage,
    /// It is not to be delivered before so long after it was sent.
    pub delay: TimeDelta,
    /// How often it was delivered in vain before, where this process is the queue.
    pub returned: u32,
}

impl Queued {
    /// To be delivered at once.
    #[must_use]
    pub fn now(message: RunMessage) -> Self {
        Self::after(TimeDelta::zero(), message)
    }

    /// To be delivered after a delay; one that is over is none.
    #[must_use]
    pub fn after(delay: TimeDelta, message: RunMessage) -> Self {
        Self { message, delay: delay.max(TimeDelta::zero()), returned: 0 }
    }
}

/// The deliveries after which a message goes to the dead-letter queue: `maxReceiveCount` of the deployed queue.
pub const MOST_DELIVERIES: u32 = 15;

/// The first wait of a message that comes back, and the longest.
const FIRST_RETURN: TimeDelta = TimeDelta::seconds(15);
const LAST_RETURN: TimeDelta = TimeDelta::minutes(15);

/// How long a message that was delivered so often, and could not be dealt with, stays away: twice as long each time. A fault of a minute costs two; with all
/// its deliveries a message waits for more than two hours.
///
/// ```
/// use common::aws::queue::returns_after;
/// let seconds: Vec<i64> = (1..=8).map(|deliveries| returns_after(deliveries).num_seconds()).collect();
/// assert_eq!(seconds, [15, 30, 60, 120, 240, 480, 900, 900]);
/// ```
#[must_use]
pub fn returns_after(deliveries: u32) -> TimeDelta {
    let doublings = deliveries.saturating_sub(1).min(10);
    (FIRST_RETURN * (1 << doublings)).min(LAST_RETURN)
}

/// The longest time that SQS keeps a message back.
const LONGEST_DELAY: TimeDelta = TimeDelta::minutes(15);

/// The most messages that SQS takes in one request.
const BATCH: usize = 10;

impl Queue {
    /// Sends messages, ten in a request, to arrive after their delays, but not later than the queue can keep them back: a worker that gets one early sends
    /// it again.
    ///
    /// # Errors
    /// [`QueueError`]; some may have been sent, and sending all again does no harm.
    pub async fn send(&self, messages: &[Queued]) -> Result<(), QueueError> {
        match self {
            Self::Sqs { service, url } => {
                for batch in messages.chunks(BATCH) {
                    send_batch(service, url, batch).await?;
                }
                Ok(())
            }
            Self::InProcess(sender) => {
                let sent = messages.iter().try_for_each(|message| sender.send(message.clone()));
                sent.map_err(|error| QueueError::Unavailable(error.into()))
            }
        }
    }
}

/// How often the queue is asked to give a message back, where it does not answer, and how long between.
const RETURN_ATTEMPTS: u32 = 8;
const RETURN_PAUSE: TimeDelta = TimeDelta::seconds(10);

impl Queue {
    /// Has a message that was received come again after `delay`, and not only when the queue takes its receiver for lost. A queue that does not answer is
    /// asked again for more than a minute.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`]; then the message comes again by itself, later.
    pub async fn give_back(&self, receipt: &str, delay: TimeDelta) -> Result<(), QueueError> {
        // In this process a message is with its receiver, who sends it again.
        let Self::Sqs { service, url } = self else { return Ok(()) };
        let input = json!({"QueueUrl": url, "ReceiptHandle": receipt, "VisibilityTimeout": delay.num_seconds()});
        let mut attempt = 1;
        loop {
            match service.call(CHANGE_VISIBILITY, &input).await {
                Ok(_) => return Ok(()),
                Err(error) if attempt == RETURN_ATTEMPTS || !worth_another(&error) => {
                    return Err(QueueError::Unavailable(error.into()));
                }
                Err(_) => service.clock.sleep_until(service.clock.now() + RETURN_PAUSE).await,
            }
            attempt += 1;
        }
    }
}

/// A denial is retried, too: a permission that was removed by mistake is restored soon, and the alternative is the visibility timeout of 90 minutes.
fn worth_another(error: &ServiceError) -> bool {
    error.may_pass() || matches!(error, ServiceError::Refused { code, .. } if code.contains("AccessDenied"))
}

const CHANGE_VISIBILITY: Operation = Operation { target: "AmazonSQS.ChangeMessageVisibility", version: "1.0" };
const SEND_MESSAGE_BATCH: Operation = Operation { target: "AmazonSQS.SendMessageBatch", version: "1.0" };

#[expect(clippy::cast_possible_truncation, reason = "at most 900")]
async fn send_batch(service: &Service, url: &str, batch: &[Queued]) -> Result<(), QueueError> {
    let mut entries = Vec::with_capacity(batch.len());
    for (position, Queued { message, delay, .. }) in batch.iter().enumerate() {
        // Up to the next second, so that it is not early.
        let seconds = (*delay).clamp(TimeDelta::zero(), LONGEST_DELAY).as_seconds_f64().ceil();
        let body = serde_json::to_string(message).map_err(|error| QueueError::Unavailable(error.into()))?;
        entries.push(json!({"Id": position.to_string(), "MessageBody": body, "DelaySeconds": seconds as i32}));
    }
    let sent = service.call(SEND_MESSAGE_BATCH, &json!({"QueueUrl": url, "Entries": entries})).await;
    let sent = sent.map_err(|error| QueueError::Unavailable(error.into()))?;
    match sent.get("Failed").and_then(Value::as_array).map_or(0, Vec::len) {
        0 => Ok(()),
        refused => Err(QueueError::Refused { refused }),
    }
}
