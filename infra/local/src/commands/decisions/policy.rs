//! `policy`: which one counts for a client; and importing one.

use super::{decider, fault, policy_file};
use crate::arguments::{ActorArgs, StorageArgs, instant};
use crate::commands::open;
use crate::outcome::CliError;
use crate::render;
use chrono::{DateTime, Utc};
use clap::Args;
use common::api::views::ClientPolicyView;
use common::app::stack::Stack;
use common::domain::id::ClientId;
use common::domain::policy::{InForce, PolicyVersion};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Options {
    /// The client; or `import`, to import a policy
    pub client: String,
    /// The file to import
    #[arg(required_if_eq("client", "import"))]
    pub file: Option<PathBuf>,
    /// Show what was in force at this instant (RFC 3339)
    #[arg(long, value_name = "T", value_parser = instant, conflicts_with = "set")]
    pub as_of: Option<DateTime<Utc>>,
    /// Measure the client by this policy from now on, in this version or the newest
    #[arg(long, value_name = "NAME[@VERSION]")]
    pub set: Option<String>,
    #[command(flatten)]
    pub actor: ActorArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    if options.client == "import" {
        return import(options).await;
    }
    if options.file.is_some() {
        return Err(CliError::usage("a file is given to `policy import FILE` only; to choose a policy use --set NAME"));
    }
    let client = ClientId::parse(options.client.as_str()).map_err(|error| CliError::usage(error.to_string()))?;
    let (stack, _) = open(&options.storage).await?;
    let Ok(decisions) = stack.parts.decisions();
    let company = &options.storage.company;
    if let Some(named) = &options.set {
        let (name, version) = named.split_once('@').map_or((named.as_str(), None), |(name, rest)| (name, Some(rest)));
        let version = version.map(PolicyVersion::parse).transpose();
        let version = version.map_err(|error| CliError::usage(error.to_string()))?;
        let policy = decisions.policy(company, name, version).await.map_err(fault)?;
        decisions.choose(company, &client, &policy, &decider(&options.actor)).await.map_err(fault)?;
    }
    let now = stack.parts.clock().now();
    let at = options.as_of.map_or(now, |as_of| as_of.min(now));
    let in_force = decisions.in_force_for(company, &client, at).await.map_err(fault)?;
    stack.close().await;
    show(&client, at, &in_force, options.json, options.set.is_some())
}

fn show(client: &ClientId, at: DateTime<Utc>, in_force: &InForce, json: bool, chosen: bool) -> Result<(), CliError> {
    let named = |policy: &common::domain::policy::PolicyRef| format!("{} {}", policy.policy, policy.version);
    if json {
        return render::json(&ClientPolicyView::of(client.clone(), at, in_force));
    }
    let mut table = render::table(&["evidence", "rule", "metric", "limits", "policy"]);
    for (policy, rule) in in_force.rules() {
        table.add_row([
            rule.evidence.as_str().replace('_', " "),
            rule.id.to_string(),
            rule.metric.clone(),
            rule.limits.to_string(),
            named(policy),
        ]);
    }
    let more = if chosen { "it counts from the next sync on; evidence that is there keeps its verdicts\n" } else { "" };
    render::text(&format!("rules in force for {client}\n\n{table}\n{more}"))
}

async fn import(options: Options) -> Result<(), CliError> {
    let Some(file) = &options.file else { return Err(CliError::usage("say which file to import")) };
    if options.set.is_some() {
        return Err(CliError::usage("a policy is imported first and chosen then: policy CLIENT --set NAME"));
    }
    let text = policy_file(file)?;
    let (stack, _) = open(&options.storage).await?;
    let Ok(decisions) = stack.parts.decisions();
    let policy = decisions.import(&options.storage.company, &text, &decider(&options.actor)).await.map_err(fault)?;
    stack.close().await;
    if options.json {
        return render::json(policy.as_ref());
    }
    render::text(&format!(
        "imported {policy}, {} rules, SHA-256 {}\nchoose it for a client: huntress-evidence policy CLIENT --set {}@{}\n",
        policy.rules().len(),
        policy.sha256(),
        policy.name(),
        policy.version(),
    ))
}
