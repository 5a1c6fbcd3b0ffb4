//! The table itself, for the embedded engine; in AWS the application's template declares it.

use super::items::text;
use super::keys::{DUE_INDEX, Key};
use crate::store::Store;
use crate::store::error::StoreError;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, TimeToLiveSpecification, TimeToLiveStatus,
};

impl Store {
    /// Creates the table if there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn create_table(&self) -> Result<(), StoreError> {
        let mut request = self
            .client
            .create_table()
            .table_name(&self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(key_schema("pk", "sk")?))
            .global_secondary_indexes(
                GlobalSecondaryIndex::builder()
                    .index_name(DUE_INDEX)
                    .set_key_schema(Some(key_schema("due_shard", "due_at")?))
                    .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
                    .build()
                    .map_err(StoreError::unavailable)?,
            );
        for name in ["pk", "sk", "due_shard", "due_at"] {
            request = request.attribute_definitions(
                AttributeDefinition::builder()
                    .attribute_name(name)
                    .attribute_type(ScalarAttributeType::S)
                    .build()
                    .map_err(StoreError::unavailable)?,
            );
        }
        if let Err(error) = request.send().await
            && !matches!(error.as_service_error(), Some(CreateTableError::ResourceInUseException(_)))
        {
            return Err(error.into());
        }
        self.expire_records().await
    }

    /// Reads a record and a place in the index, whether they are there or not: a table that was made in part answers neither.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn check_table(&self) -> Result<(), StoreError> {
        self.get_item(&Key { pk: "CHECK".to_owned(), sk: "CHECK".to_owned() }).await?;
        let query = self.client.query().table_name(&self.table).index_name(DUE_INDEX);
        let query =
            query.key_condition_expression("due_shard = :shard").expression_attribute_values(":shard", text("CHECK"));
        query.limit(1).send().await?;
        Ok(())
    }

    async fn expire_records(&self) -> Result<(), StoreError> {
        let described = self.client.describe_time_to_live().table_name(&self.table).send().await?;
        let status = described.time_to_live_description().and_then(|ttl| ttl.time_to_live_status());
        // Enabling it twice is an error.
        if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
            return Ok(());
        }
        let specification = TimeToLiveSpecification::builder()
            .enabled(true)
            .attribute_name("expires_at")
            .build()
            .map_err(StoreError::unavailable)?;
        self.client
            .update_time_to_live()
            .table_name(&self.table)
            .time_to_live_specification(specification)
            .send()
            .await?;
        Ok(())
    }
}

fn key_schema(hash: &str, range: &str) -> Result<Vec<KeySchemaElement>, StoreError> {
    [(hash, KeyType::Hash), (range, KeyType::Range)]
        .into_iter()
        .map(|(name, kind)| {
            KeySchemaElement::builder().attribute_name(name).key_type(kind).build().map_err(StoreError::unavailable)
        })
        .collect()
}
