//! Messages that the queue put aside, because no worker could deal with them.

use crate::aws::client::{Operation, Service};
use crate::aws::queue::{QueueError, RunMessage};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// The most messages that SQS gives, takes or deletes in one request.
const BATCH: usize = 10;

/// Nobody else gets a message for so many seconds after it was received here.
const HELD_SECONDS: u32 = 300;

/// How many seconds a request waits for messages, which also makes it ask all of the queue's servers.
const WAIT_SECONDS: u32 = 1;

const RECEIVE: Operation = Operation { target: "AmazonSQS.ReceiveMessage", version: "1.0" };
const DELETE: Operation = Operation { target: "AmazonSQS.DeleteMessageBatch", version: "1.0" };
const CHANGE_VISIBILITY: Operation = Operation { target: "AmazonSQS.ChangeMessageVisibilityBatch", version: "1.0" };

/// The dead-letter queue of the runs.
pub struct DeadLetters {
    /// SQS.
    pub service: Service,
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
    fn of(message: &Value) -> Option<Self> {
        let text = |pointer| message.pointer(pointer).and_then(Value::as_str);
        let sent_at =
            text("/Attributes/SentTimestamp").and_then(|at| DateTime::from_timestamp_millis(at.parse().ok()?));
        let run = text("/Body").and_then(|body| serde_json::from_str(body).ok());
        let (id, receipt) = (text("/MessageId")?.to_owned(), text("/ReceiptHandle")?.to_owned());
        Some(Self { id, message: run, sent_at, receipt })
    }
}

impl DeadLetters {
    async fn call(&self, operation: Operation, input: &Value) -> Result<Value, QueueError> {
        self.service.call(operation, input).await.map_err(|error| QueueError::Unavailable(error.into()))
    }

    /// Some of the messages, ten at most, which nobody else gets for five minutes; none when there are no more.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn receive(&self) -> Result<Vec<DeadLetter>, QueueError> {
        let input = json!({
            "QueueUrl": self.url,
            "MaxNumberOfMessages": BATCH,
            "VisibilityTimeout": HELD_SECONDS,
            "WaitTimeSeconds": WAIT_SECONDS,
            "MessageSystemAttributeNames": ["SentTimestamp"],
        });
        let received = self.call(RECEIVE, &input).await?;
        let messages = received.get("Messages").and_then(Value::as_array);
        Ok(messages.into_iter().flatten().filter_map(DeadLetter::of).collect())
    }

    /// Deletes messages that were received.
    ///
    /// # Errors
    /// [`QueueError`]; those that are left come again.
    pub async fn delete(&self, letters: &[DeadLetter]) -> Result<(), QueueError> {
        let entry = |id: String, letter: &DeadLetter| json!({"Id": id, "ReceiptHandle": letter.receipt});
        self.for_all(DELETE, letters, entry).await
    }

    /// Gives messages back that were received, at once.
    ///
    /// # Errors
    /// [`QueueError`]; those that are not given back are so after five minutes.
    pub async fn give_back(&self, letters: &[DeadLetter]) -> Result<(), QueueError> {
        let entry =
            |id: String, it: &DeadLetter| json!({"Id": id, "ReceiptHandle": it.receipt, "VisibilityTimeout": 0});
        self.for_all(CHANGE_VISIBILITY, letters, entry).await
    }

    async fn for_all(
        &self,
        operation: Operation,
        letters: &[DeadLetter],
        entry: fn(String, &DeadLetter) -> Value,
    ) -> Result<(), QueueError> {
        for batch in letters.chunks(BATCH) {
            let entries: Vec<Value> = batch.iter().enumerate().map(|(id, it)| entry(id.to_string(), it)).collect();
            let answer = self.call(operation, &json!({"QueueUrl": self.url, "Entries": entries})).await?;
            refused(answer.get("Failed").and_then(Value::as_array).map_or(0, Vec::len))?;
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
