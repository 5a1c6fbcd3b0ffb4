//! The simulator as a process of its own: prints its address and serves until it is told to stop.

use std::io;

use chrono::{DateTime, Utc};
use clap::{Parser, ValueEnum};
use simulator::{Account, AccountSpec, SatSpec, Shape, Simulator};

/// A simulated Huntress account over real HTTP.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Port on 127.0.0.1; 0 for any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, value_enum, default_value_t = ShapeName::Vendor)]
    shape: ShapeName,
    #[arg(long, default_value_t = 12)]
    organizations: u64,
    #[arg(long, default_value_t = 90)]
    agents: u64,
    #[arg(long, default_value_t = 15)]
    incidents: u64,
    /// Serve a training account, too, with so many learners. Any of the `--sat-…` options does.
    #[arg(long)]
    sat_learners: Option<u64>,
    #[arg(long)]
    sat_assignments: Option<u64>,
    #[arg(long)]
    sat_campaigns: Option<u64>,
    /// Activity rows of each assignment that is in progress or completed; default: 900, but no more than there are learners.
    #[arg(long)]
    sat_activity: Option<u64>,
    /// Serve without the vendor's limits.
    #[arg(long)]
    no_rate_limit: bool,
    /// Compress answers for clients that accept gzip.
    #[arg(long)]
    gzip: bool,
    /// The instant that all records lie before (RFC 3339); default: now.
    #[arg(long)]
    as_of: Option<DateTime<Utc>>,
    /// Give everything that has a name one that holds markup, script, marks of bidirectional text, or ten thousand characters.
    #[arg(long)]
    hostile_names: bool,
    /// Serve the compliance platforms' worked example in place of a generated account.
    #[arg(long, conflicts_with_all = ["seed", "shape", "organizations", "agents", "incidents"])]
    worked_example: bool,
}

impl Arguments {
    fn training(&self, as_of: DateTime<Utc>) -> Option<SatSpec> {
        let asked = [self.sat_learners, self.sat_assignments, self.sat_campaigns, self.sat_activity];
        let learners = self.sat_learners.unwrap_or(60);
        asked.iter().any(Option::is_some).then(|| SatSpec {
            seed: self.seed,
            learners,
            assignments: self.sat_assignments.unwrap_or(12),
            campaigns: self.sat_campaigns.unwrap_or(10),
            activity_per_assignment: self.sat_activity.unwrap_or(learners.min(900)),
            as_of,
        })
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum ShapeName {
    Vendor,
    Platform,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let as_of = arguments.as_of.unwrap_or_else(now);
    let account = if arguments.worked_example {
        Account::worked_example(as_of)
    } else {
        let shape = match arguments.shape {
            ShapeName::Vendor => Shape::Vendor,
            ShapeName::Platform => Shape::Platform,
        };
        let Arguments { seed, organizations, agents, incidents, .. } = arguments;
        AccountSpec { seed, shape, organizations, agents, incidents, as_of }.generate()
    };
    let account = if arguments.hostile_names { account.with_hostile_names() } else { account };
    let mut builder = Simulator::builder(account).port(arguments.port).gzip(arguments.gzip).dated(true);
    if arguments.no_rate_limit {
        builder = builder.rate_limit(None).sat_rate_limit(None, None);
    }
    if let Some(training) = arguments.training(as_of) {
        let training = training.generate();
        builder = builder.sat(if arguments.hostile_names { training.with_hostile_names() } else { training });
    }
    let simulator = builder.start().await?;
    announce(&simulator.origin());
    told_to_stop().await?;
    simulator.stop().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the address is this program's output")]
fn announce(origin: &str) {
    println!("{origin}");
}

#[expect(clippy::disallowed_methods, reason = "the account of a process that was given no instant is of today")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(unix)]
async fn told_to_stop() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn told_to_stop() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
