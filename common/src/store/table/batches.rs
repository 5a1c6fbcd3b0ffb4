//! Many writes in one request. A batch is no transaction: what it writes has to be invisible until something else points at it.

use super::Item;
use crate::store::error::StoreError;
use crate::store::{ATTEMPTS, Store};
use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, WriteRequest};

/// Records in one request that writes many, see <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>.
const BATCH: usize = 25;

/// Bytes of bodies in one request that writes many; the table takes 16 MB.
const BATCH_BYTES: usize = 8_000_000;

/// The put of a record, for a batch.
pub(in crate::store) fn put_request(item: Item) -> Result<WriteRequest, StoreError> {
    let put = PutRequest::builder().set_item(Some(item)).build().map_err(StoreError::unavailable)?;
    Ok(WriteRequest::builder().put_request(put).build())
}

/// The removal of the record with a key, for a batch.
pub(in crate::store) fn delete_request(key: Item) -> Result<WriteRequest, StoreError> {
    let delete = DeleteRequest::builder().set_key(Some(key)).build().map_err(StoreError::unavailable)?;
    Ok(WriteRequest::builder().delete_request(delete).build())
}

/// Writes that are sent as they fill a request.
pub(in crate::store) struct Batches<'a> {
    store: &'a Store,
    batch: Vec<WriteRequest>,
    bytes: usize,
}

impl Batches<'_> {
    /// Adds a write whose body has so many bytes, sending what was there before if both do not fit.
    pub async fn add(&mut self, request: WriteRequest, bytes: usize) -> Result<(), StoreError> {
        if self.batch.len() == BATCH || self.bytes + bytes > BATCH_BYTES {
            self.store.write_batch(std::mem::take(&mut self.batch)).await?;
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.batch.push(request);
        Ok(())
    }

    /// Sends what is left.
    pub async fn finish(self) -> Result<(), StoreError> {
        self.store.write_batch(self.batch).await
    }
}

impl Store {
    /// Begins to write many records.
    pub(in crate::store) fn batches(&self) -> Batches<'_> {
        Batches { store: self, batch: Vec::with_capacity(BATCH), bytes: 0 }
    }

    async fn write_batch(&self, mut requests: Vec<WriteRequest>) -> Result<(), StoreError> {
        for attempt in 0..ATTEMPTS {
            if requests.is_empty() {
                return Ok(());
            }
            self.pause(attempt).await;
            let batch = self.client.batch_write_item().request_items(&self.table, requests);
            let answer = batch.send().await?;
            // What the table had no capacity for.
            requests = answer.unprocessed_items.into_iter().flatten().flat_map(|(_, left)| left).collect();
        }
        if requests.is_empty() {
            return Ok(());
        }
        Err(StoreError::unavailable("the table did not take all records of a batch"))
    }
}
