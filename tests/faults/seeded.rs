//! Ten thousand runs with seeded trouble at every step, each of which ends in the clean run's evidence or in a failure that has a name.

use crate::aws::{Aws, FaultRule, Trouble};
use crate::executor::Executor;
use crate::number;
use crate::plan::{Answer, Plan, Scene};
use crate::scenario::{Harness, third};
use crate::snapshot::{Snapshot, look};
use chrono::TimeDelta;
use common::clock::Clock;
use common::domain::connection::ConnectionStatus;
use common::domain::run::RunStatus;
use serde_json::Value;
use simulator::Request;
use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a seed ended, and what went wrong on the way.
#[derive(Debug, Default)]
struct Report {
    ending: String,
    troubles: Vec<String>,
    scene: Option<Scene>,
}

macro_rules! hold {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(format!($($why)+));
        }
    };
}

/// Plays a seed to its end, and past it.
async fn play(harness: &mut Harness, plan: &Plan, aws: &mut Option<Aws>) -> Result<Report, String> {
    let unavailable = |error: common::store::StoreError| error.to_string();
    let (_, before) = harness.before(plan.scene, plan.earlier).await;
    let deployment = harness.troubled(plan).await;
    *aws = Some(deployment.aws.clone());
    deployment.aws.arm(&plan.rules);
    deployment.answer(&plan.requests);
    let mut executor = Executor::new(&deployment, plan.doubled, plan.resumes_after);
    if plan.scheduled {
        executor.tick(before.connection.next_run_at.ok_or("the connection is never due")?).await?;
    } else {
        executor.ask("the one").await?;
    }
    executor.deliver_all().await?;
    let mut rescued = "";
    if plan.scheduled && executor.look_after().await? {
        rescued = ", after the hourly look";
    }
    deployment.aws.set_armed(false);
    let report = |ending: String| Report {
        ending,
        troubles: troubles(plan, &deployment.aws, &deployment.simulator.requests(), &executor),
        scene: Some(plan.scene),
    };

    let mut seen = look(&deployment.client, plan.scene).await.map_err(unavailable)?;
    let tried_before = take_tries(plan, &before, &mut seen)?;
    if !seen.runs[0].status.is_final() {
        hold!(!plan.scheduled, "the run is {} for ever, though somebody looks after it each hour", seen.runs[0].status);
        hold!(!executor.dead.is_empty(), "the run is {} for ever: no message is left", seen.runs[0].status);
        hold!(seen.evidence == before.evidence && seen.people == before.people, "evidence of a run that is not over");
        hold!(seen.active.as_ref() == Some(&seen.runs[0].id), "the run that is not over is not the active one");
        let later = deployment.clock.now() + TimeDelta::hours(2);
        let recovered = harness.recovered(&deployment, later).await;
        deployment.aws.note("redrive");
        let mut redriven = Executor::redrive(&recovered, &executor.dead);
        redriven.deliver_all().await?;
        hold!(redriven.dead.is_empty(), "a dead letter after the redrive");
        seen = look(&deployment.client, plan.scene).await.map_err(unavailable)?;
        take_tries(plan, &before, &mut seen)?;
        rescued = ", after a redrive";
    }
    let report = report(format!("{}{rescued}", evaluate(harness, plan, &before, &seen).await?));

    let all_well = harness.recovered(&deployment, third()).await;
    all_well.aws.note("all is well");
    all_well.sync().await?;
    let mut after = look(&deployment.client, plan.scene).await.map_err(unavailable)?;
    hold!(after.runs.len() == seen.runs.len() + tried_before + 1, "the next run is no new one");
    after.runs.drain(2..2 + tried_before);
    evaluate_success(harness, plan, &seen, &after).await.map_err(|why| format!("afterwards: {why}"))?;
    Ok(report)
}

/// Takes out the runs that failed for a cause that may pass, since the hourly tick tried again, and says how many they are. The newest run is the one that
/// was asked for, or the last try of it.
fn take_tries(plan: &Plan, before: &Snapshot, seen: &mut Snapshot) -> Result<usize, String> {
    let new = seen.runs.len().saturating_sub(before.runs.len());
    hold!(new == 1 || (new > 1 && plan.scheduled), "{} runs, and one was asked for", seen.runs.len());
    for run in seen.runs.drain(1..new) {
        let passing = run.failure.as_ref().is_some_and(|failure| failure.code.is_passing());
        hold!(run.status == RunStatus::Failed && passing && run.bundles == 0, "tried again after {run:?}");
    }
    Ok(new - 1)
}

/// The run that is over: its evidence or none, and nothing else has changed.
pub async fn evaluate(
    harness: &mut Harness,
    plan: &Plan,
    before: &Snapshot,
    seen: &Snapshot,
) -> Result<String, String> {
    hold!(seen.runs[1..] == before.runs, "an earlier run has changed");
    match seen.runs[0].status {
        RunStatus::Succeeded => {
            evaluate_success(harness, plan, before, seen).await?;
            let clean = harness.clean(plan.scene, plan.earlier, seen.runs[0].as_of.unwrap()).await;
            hold!(seen.people == clean.people, "people: {:#?}, and not {:#?}", seen.people, clean.people);
            Ok("succeeded".to_owned())
        }
        RunStatus::Failed | RunStatus::AuthFailed => {
            let run = &seen.runs[0];
            let Some(failure) = &run.failure else { return Err("a failure without a name".to_owned()) };
            hold!(!failure.message.is_empty() && !failure.action.is_empty(), "{failure:?}");
            hold!(failure.code.is_auth() == (run.status == RunStatus::AuthFailed), "{failure:?}: {}", run.status);
            hold!(run.finished_at.is_some() && run.bundles == 0, "{run:?}");
            hold!(seen.active.is_none(), "the run is over, and active");
            hold!(seen.evidence == before.evidence, "a failed run has changed the evidence: {:#?}", seen.evidence);
            hold!(seen.people == before.people, "a failed run has changed people");
            hold!(seen.commits == before.commits, "a failed run is committed");
            let wanted = if failure.code.is_auth() { ConnectionStatus::AuthFailed } else { ConnectionStatus::Error };
            hold!(seen.connection.status == wanted, "the connection is {:?}", seen.connection.status);
            hold!(seen.connection.last_failure.as_ref() == Some(failure), "the connection tells another failure");
            hold!(seen.connection.last_success_at == before.connection.last_success_at, "a success that was none");
            Ok(format!("failed: {}", failure.code))
        }
        status => Err(format!("the run is {status}, and nothing goes wrong any more")),
    }
}

/// Exactly the clean run's evidence has come, whole, once, and of this run.
async fn evaluate_success(
    harness: &mut Harness,
    plan: &Plan,
    before: &Snapshot,
    seen: &Snapshot,
) -> Result<(), String> {
    let run = &seen.runs[0];
    hold!(run.status == RunStatus::Succeeded, "the run is {}: {:?}", run.status, run.failure);
    hold!(seen.active.is_none(), "the run is over, and active");
    hold!(run.failure.is_none() && run.waiting_until.is_none(), "{run:?}");
    let as_of = run.as_of.ok_or("a run without an instant of evaluation")?;
    let clean = harness.clean(plan.scene, plan.earlier, as_of).await;
    hold!(run.records == clean.runs[0].records, "records read: {:?}", run.records);
    hold!(run.bundles == plan.scene.bundles(), "{} bundles", run.bundles);
    hold!(seen.commits == before.commits + 1, "{} commits", seen.commits);
    for (owner, pieces) in &seen.evidence {
        let Some((last, others)) = pieces.split_last() else { return Err(format!("{owner:?} has no evidence")) };
        hold!(others == before.evidence[owner], "earlier evidence of {owner:?} has changed");
        let wanted = clean.evidence[owner].last().unwrap();
        hold!(last.run == run.id && last.as_of == as_of, "{owner:?} has evidence of {} at {}", last.run, last.as_of);
        let (has, wanted) = (comparable(plan, &last.bundle), comparable(plan, &wanted.bundle));
        hold!(has == wanted, "{owner:?} has {has:#}, and not {wanted:#}");
    }
    hold!(seen.connection.status == ConnectionStatus::Ok, "the connection is {:?}", seen.connection.status);
    hold!(seen.connection.last_success_at == run.finished_at, "the connection tells another success");
    hold!(seen.connection.last_failure.is_none(), "the connection tells a failure");
    hold!(seen.connection.account_id == clean.connection.account_id, "another account");
    Ok(())
}

/// A bundle without the number of pages, where the source handed a page out twice: that many were read.
fn comparable(plan: &Plan, bundle: &Value) -> Value {
    let mut bundle = bundle.clone();
    if plan.requests.iter().any(|request| matches!(request.answer, Answer::SameToken)) {
        for list in
            bundle["metadata"]["completeness"].as_array_mut().expect("a bundle tells how complete its lists are")
        {
            assert!(list.as_object_mut().and_then(|list| list.remove("pages")).is_some(), "a list has pages");
        }
    }
    bundle
}

fn troubles(plan: &Plan, aws: &Aws, requests: &[Request], executor: &Executor<'_>) -> Vec<String> {
    let mut troubles: Vec<String> = aws.struck().iter().map(|trouble| format!("{trouble:?}")).collect();
    for planned in &plan.requests {
        let sent = requests.iter().filter(|it| it.list == Some(planned.list)).count();
        if sent >= planned.from as usize {
            troubles.push(format!("{:?}", planned.answer));
        }
    }
    if executor.interrupts > 1 {
        troubles.push("several processes".to_owned());
    }
    for trouble in &mut troubles {
        let name = trouble.find('(').unwrap_or(trouble.len());
        trouble.truncate(name);
    }
    troubles.sort();
    troubles.dedup();
    troubles
}

/// What one thread's seeds are played in.
struct Player {
    runtime: tokio::runtime::Runtime,
    harness: Harness,
}

impl Player {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let harness = runtime.block_on(Harness::open());
        Self { runtime, harness }
    }

    fn play(&mut self, seed: u64) -> Result<Report, String> {
        self.play_plan(&Plan::of(seed))
    }

    fn play_plan(&mut self, plan: &Plan) -> Result<Report, String> {
        let seed = plan.seed;
        // Waits with a share of chance are the seed's, too.
        fastrand::seed(seed);
        let mut aws = None;
        let Self { runtime, harness } = self;
        let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(play(harness, plan, &mut aws))));
        let report = played.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Err(format!("a panic: {}", text.or_else(|| panic.downcast_ref().copied()).unwrap_or("of no words")))
        });
        report.map_err(|why| {
            let steps = aws.map(|aws| aws.trace()).unwrap_or_default();
            format!("FAULT_SEED={seed} cargo test --workspace --test faults -- seeded\n{why}\n{plan:#?}\n{steps}")
        })
    }
}

#[test]
fn what_the_table_leaves_undone_of_a_batch_is_asked_for_again() {
    let rule = FaultRule { operation: Some("BatchWriteItem"), from: 1, times: 3, trouble: Trouble::Partial };
    let plan = Plan {
        seed: 0,
        scene: Scene::ManyClients,
        earlier: false,
        scheduled: false,
        requests: Vec::new(),
        rules: vec![rule],
        doubled: None,
        resumes_after: 0,
    };
    let report = Player::new().play_plan(&plan).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!((report.ending.as_str(), report.troubles.as_slice()), ("succeeded", &["Partial".to_owned()][..]));
}

/// So many are played unless somebody asks for more, or for one.
const DEFAULT_SEEDS: u64 = 100;

/// With so many, everything that can go wrong has to go wrong.
pub const ALL_SEEDS: u64 = 2_000;

#[test]
fn seeded_trouble_ends_in_the_clean_evidence_or_in_a_failure_with_a_name() {
    if let Some(seed) = number("FAULT_SEED") {
        let report = Player::new().play(seed).unwrap_or_else(|why| panic!("{why}"));
        println!("{report:?}");
        return;
    }
    let seeds = number("FAULT_SEEDS").unwrap_or(DEFAULT_SEEDS);
    let (next, report, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, NonZero::get).min(8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut player = Player::new();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || failed.lock().unwrap().len() >= 3 {
                        return;
                    }
                    match player.play(seed) {
                        Ok(it) => report.lock().unwrap().push(it),
                        Err(why) => {
                            failed.lock().unwrap().push(why);
                            player = Player::new();
                        }
                    }
                }
            });
        }
    });
    let (report, failed) = (report.into_inner().unwrap(), failed.into_inner().unwrap());
    let (mut endings, mut troubles) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
    for it in &report {
        *endings.entry(it.ending.clone()).or_default() += 1;
        it.troubles.iter().for_each(|trouble| *troubles.entry(trouble.clone()).or_default() += 1);
    }
    println!("{} seeds: {endings:#?}\n{troubles:#?}", report.len());
    assert!(failed.is_empty(), "{} seeds failed\n{}", failed.len(), failed.join("\n\n"));
    if seeds >= DEFAULT_SEEDS {
        all_ends_have_come(&report);
    }
    if seeds >= ALL_SEEDS {
        all_has_happened(&report);
    }
}

/// Runs that all end the same way prove nothing.
fn all_ends_have_come(report: &[Report]) {
    for ending in ["succeeded", "failed: ", "after a redrive"] {
        let so = report.iter().filter(|it| it.ending.contains(ending)).count();
        assert!(so >= 3 && so < report.len(), "{so} times {ending:?}");
    }
}

/// Neither does trouble that never rules.
fn all_has_happened(report: &[Report]) {
    let has = |trouble: String| report.iter().any(|it| it.troubles.contains(&trouble));
    let name = |debug: String| debug.split('(').next().unwrap_or_default().to_owned();
    let aws = [
        Trouble::Throttled,
        Trouble::Broken,
        Trouble::Reset,
        Trouble::AnswerLost,
        Trouble::AnswerBroken,
        Trouble::Slow(TimeDelta::zero()),
        Trouble::Partial,
        Trouble::DiesBefore,
        Trouble::DiesAfter,
        Trouble::StallsBefore,
        Trouble::StallsAfter,
    ];
    let vendor = [
        Answer::Status(0),
        Answer::RetryAfter(0, 0),
        Answer::Unauthorized,
        Answer::Forbidden,
        Answer::Truncated,
        Answer::HalfJson,
        Answer::NotJson,
        Answer::MissingKey,
        Answer::SameToken,
        Answer::Hang(std::time::Duration::ZERO),
        Answer::Dies,
    ];
    let names = aws.iter().map(|it| name(format!("{it:?}"))).chain(vendor.iter().map(|it| name(format!("{it:?}"))));
    let missing: Vec<String> = names.chain(["several processes".to_owned()]).filter(|it| !has(it.clone())).collect();
    assert!(missing.is_empty(), "what never happened: {missing:?}");
    assert!(report.iter().any(|it| it.ending.contains("after the hourly look")), "nobody was ever looked after");
    for scene in Scene::ALL {
        assert!(report.iter().any(|it| it.scene == Some(scene)), "{scene:?} was never played");
    }
}
