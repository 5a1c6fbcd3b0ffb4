//! Exceptions: proposed by one person, decided about by another.

use super::{DecisionError, Decisions};
use crate::domain::controls::ControlMap;
use crate::domain::decisions::{
    Decider, Decision, Exception, ExceptionHistory, ExceptionRequest, ExceptionState, ExceptionSubject, Review,
    ReviewKind,
};
use crate::domain::id::{ClientId, CompanyId, DecisionId, PersonId, RuleId};
use crate::domain::product::Product;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// What an exception is asked for, as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExceptionSpec {
    /// A rule in force.
    Rule(String),
    /// A control, by its OSCAL token or as `SOC 2 CC6.8`.
    Control(String),
    /// A person whose training is tracked.
    Person(String),
}

/// An exception and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExceptionView {
    /// As it was proposed.
    #[serde(flatten)]
    pub exception: Exception,
    /// Where it stands.
    pub state: ExceptionState,
    /// The decisions about it, oldest first.
    pub reviews: Vec<Review>,
}

impl Decisions {
    /// Proposes an exception; with `approved_by` another person approves it at once.
    ///
    /// # Errors
    /// [`DecisionError`]; nothing is kept then.
    pub async fn except(
        &self,
        company: &CompanyId,
        spec: &ExceptionSpec,
        request: ExceptionRequest,
        approved_by: Option<&Decider>,
    ) -> Result<ExceptionView, DecisionError> {
        let client = request.client.clone();
        self.store.check_client(company, &client).await?;
        let subject = self.subject(company, &client, spec).await?;
        let exception = ExceptionRequest { subject, ..request }.propose(self.new_record()?, self.store.calendar())?;
        // Checked before anything is written.
        let review = match approved_by {
            Some(by) => Some(exception.review(&[], ReviewKind::Approved, by, None, self.new_record()?)?),
            None => None,
        };
        self.store.decide(company, &Decision::Exception(exception.clone())).await?;
        if let Some(review) = &review {
            self.store.decide(company, &Decision::Review(review.clone())).await?;
        }
        Ok(view(exception, review.into_iter().collect(), self.clock.now()))
    }

    /// Approves, rejects or revokes an exception.
    ///
    /// # Errors
    /// [`DecisionError::UnknownException`], and [`DecisionError::Review`] by who proposed it, or where it cannot be decided.
    pub async fn review(
        &self,
        company: &CompanyId,
        id: &DecisionId,
        kind: ReviewKind,
        by: &Decider,
    ) -> Result<ExceptionView, DecisionError> {
        let unknown = || DecisionError::UnknownException(id.clone());
        let Some(Decision::Exception(exception)) = self.store.decision(company, id).await? else {
            return Err(unknown());
        };
        let decisions = self.store.decisions(company, Some(&exception.client)).await?;
        let history: ExceptionHistory = decisions.into_iter().collect();
        let mut own: Vec<Review> = history.reviews.into_iter().filter(|review| review.exception == *id).collect();
        let review = exception.review(&own, kind, by, None, self.new_record()?)?;
        self.store.decide(company, &Decision::Review(review.clone())).await?;
        own.push(review);
        Ok(view(exception, own, self.clock.now()))
    }

    /// The exceptions of a client, or of all, that were proposed by an instant, the newest first.
    ///
    /// # Errors
    /// [`DecisionError::Store`], also for a client that nobody knows.
    pub async fn exceptions(
        &self,
        company: &CompanyId,
        client: Option<&ClientId>,
        at: Option<DateTime<Utc>>,
    ) -> Result<Vec<ExceptionView>, DecisionError> {
        let at = at.unwrap_or_else(|| self.clock.now());
        let decisions = self.store.decisions(company, client).await?;
        if let Some(client) = client
            && decisions.is_empty()
        {
            self.store.check_client(company, client).await?;
        }
        let ExceptionHistory { exceptions, reviews } = decisions.into_iter().collect();
        let known = exceptions.into_iter().filter(|exception| exception.at <= at);
        let mut views: Vec<ExceptionView> = known
            .map(|exception| {
                let own = reviews.iter().filter(|review| review.exception == exception.id && review.at <= at);
                let own = own.cloned().collect();
                view(exception, own, at)
            })
            .collect();
        views.sort_by_key(|view| std::cmp::Reverse(view.exception.at));
        Ok(views)
    }

    async fn subject(
        &self,
        company: &CompanyId,
        client: &ClientId,
        spec: &ExceptionSpec,
    ) -> Result<ExceptionSubject, DecisionError> {
        match spec {
            ExceptionSpec::Rule(named) => {
                let in_force = self.in_force(company, client, self.clock.now()).await?;
                let id = RuleId::parse(named.as_str()).ok().filter(|id| in_force.rule(id).is_some());
                id.map(ExceptionSubject::Rule).ok_or_else(|| DecisionError::UnknownRule {
                    rule: named.clone(),
                    client: client.clone(),
                    known: in_force.rules().map(|(_, rule)| rule.id.to_string()).collect::<Vec<_>>().join(", "),
                })
            }
            ExceptionSpec::Control(named) => {
                let id = ControlMap::current().oscal_id(named);
                let id = id.ok_or_else(|| DecisionError::UnknownControl(named.clone()))?;
                Ok(ExceptionSubject::Control(id.to_owned()))
            }
            ExceptionSpec::Person(named) => {
                let unknown = || DecisionError::UnknownPerson { person: named.clone(), client: client.clone() };
                let person = PersonId::parse(named.as_str()).map_err(|_| unknown())?;
                for connection in self.store.connections(company).await? {
                    let is_of_client = connection.mapping.clients().contains(&client);
                    if connection.product == Product::Sat
                        && is_of_client
                        && self.store.person(company, &connection.id, &person).await?.is_some()
                    {
                        return Ok(ExceptionSubject::Person(person));
                    }
                }
                Err(unknown())
            }
        }
    }
}

fn view(exception: Exception, reviews: Vec<Review>, at: DateTime<Utc>) -> ExceptionView {
    let state = exception.state_at(&reviews, at);
    ExceptionView { exception, state, reviews }
}
