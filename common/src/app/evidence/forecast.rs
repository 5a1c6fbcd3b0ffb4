//! What becomes of a client's training coverage if nobody trains again.

use super::EvidenceReader;
use super::facts_used::{QuestionError, UsedFacts, newest_first};
use crate::domain::id::{ClientId, CompanyId, ConnectionId, RunId};
use crate::domain::product::Product;
use crate::domain::sat::forecast::{TrainingForecast, forecast};
use crate::domain::time::Window;
use serde::Serialize;

/// A forecast, and the evidence that it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = TrainingForecastAnswer))]
pub struct ForecastAnswer {
    /// The client.
    pub client_id: ClientId,
    /// The connection that gave the evidence.
    pub connection: ConnectionId,
    /// The run.
    pub run_id: RunId,
    /// The forecast.
    #[serde(flatten)]
    pub forecast: TrainingForecast,
}

impl EvidenceReader {
    /// The coverage after the newest training evidence of a client in a span, under the rules in force at its end, if nobody trains again.
    ///
    /// # Errors
    /// [`QuestionError::NoEvidence`] and [`QuestionError::NoFacts`].
    pub async fn forecast_training(
        &self,
        company: &CompanyId,
        client: &ClientId,
        span: Window,
    ) -> Result<ForecastAnswer, QuestionError> {
        let around = self.around_client(company, client, Some(Product::Sat), span).await?;
        let newest = newest_first(&around, Product::Sat);
        let Some(stored) = newest.first() else {
            let until = if span.end < self.clock.now() { format!(" until {}", span.end) } else { String::new() };
            return Err(QuestionError::NoEvidence { kind: "training evidence", client: client.clone(), until });
        };
        let no_facts = || QuestionError::NoFacts(stored.run_id.clone());
        let used = UsedFacts::of(stored)?.ok_or_else(no_facts)?;
        let facts = used.training().ok_or_else(no_facts)?;
        Ok(ForecastAnswer {
            client_id: client.clone(),
            connection: stored.connection.clone(),
            run_id: stored.run_id.clone(),
            forecast: forecast(facts, &around.in_force, stored.as_of),
        })
    }
}
