//! A minute in which a service of AWS is away, from any step of a run on, costs the run five minutes at most, and none of its evidence.

use crate::aws::{AwsService, Outage, Trouble};
use crate::executor::Executor;
use crate::number;
use crate::plan::{Plan, Scene};
use crate::scenario::{Harness, second};
use crate::seeded::{ALL_SEEDS, evaluate};
use crate::snapshot::look;
use chrono::TimeDelta;

const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// The longest that such a minute may delay a run.
const MOST_DELAY: TimeDelta = TimeDelta::minutes(5);

/// How long a run takes, from its asking on, and how many calls of AWS.
async fn played(
    harness: &mut Harness,
    (scene, sealed): (Scene, bool),
    outage: Option<Outage>,
) -> Result<(TimeDelta, u32), String> {
    let plan = Plan { scene, earlier: false, requests: Vec::new(), rules: Vec::new(), ..Plan::of(0) };
    let (_, before) = harness.before(scene, false).await;
    let mut deployment = harness.troubled(&plan).await;
    harness.keep_in_aws(&mut deployment, sealed).await;
    deployment.aws.arm_outage(outage);
    let mut executor = Executor::new(&deployment, None, 0);
    executor.ask("the one").await?;
    executor.deliver_all().await?;
    deployment.aws.set_armed(false);
    let calls = deployment.aws.calls();
    let seen = look(&deployment.client, scene).await.map_err(|error| error.to_string())?;
    let why = |why: String| format!("{why}\n{}", deployment.aws.trace());
    let ending = evaluate(harness, &plan, &before, &seen).await.map_err(why)?;
    if ending != "succeeded" {
        return Err(why(ending));
    }
    let finished_at = seen.runs[0].finished_at.ok_or("a run without an end")?;
    let took = finished_at.signed_duration_since(second());
    if let Some(outage) = outage
        && deployment.aws.struck().is_empty()
        && outage.from == 1
    {
        return Err(why("nothing went wrong".to_owned()));
    }
    Ok((took, calls))
}

/// An outage of each of these services from each call on that the clean run makes: throttled and denied in turn, or both with as many seeds as the nightly
/// run plays.
#[expect(clippy::print_stdout, reason = "the figure that the test is about")]
async fn every_step(scene: (Scene, bool), services: &[AwsService]) {
    let mut harness = Harness::open().await;
    let (clean, calls) = played(&mut harness, scene, None).await.unwrap();
    let mut worst = TimeDelta::zero();
    let both = number("FAULT_SEEDS").is_some_and(|seeds| seeds >= ALL_SEEDS);
    for &service in services {
        for from in 1..=calls {
            for trouble in [Trouble::Throttled, Trouble::Denied] {
                let turn = (from % 2 == 0) == (trouble == Trouble::Denied);
                if !both && !turn {
                    continue;
                }
                let outage = Outage { service, from, lasts: MINUTE, trouble };
                let (took, _) =
                    played(&mut harness, scene, Some(outage)).await.unwrap_or_else(|why| panic!("{outage:?}: {why}"));
                assert!(took <= clean + MOST_DELAY, "{outage:?}: {took} in place of {clean}");
                worst = worst.max(took - clean);
            }
        }
    }
    println!("{scene:?}: {calls} steps, {} s at the worst", worst.num_seconds());
    assert!(worst > TimeDelta::zero(), "nothing was ever delayed");
}

#[tokio::test]
async fn of_the_table_the_queue_or_the_secrets() {
    let scene = (Scene::EndpointsInParts, false);
    every_step(scene, &[AwsService::Queue, AwsService::Table, AwsService::Secrets]).await;
}

#[tokio::test]
async fn of_the_table_the_queue_or_the_keys_where_people_are_tracked() {
    let scene = (Scene::PeopleInParts, true);
    every_step(scene, &[AwsService::Table, AwsService::Queue, AwsService::Keys]).await;
}
