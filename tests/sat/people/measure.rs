//! What 20,000 people in 12 assignments cost, in requests to the vendor and writes to the table. Run by hand:
//! `cargo test --workspace --release --test sat -- --ignored --nocapture people::measure`.

use super::world::World;
use acceptance::people::Workforce;
use chrono::TimeDelta;
use common::app::collection::worker::Processed;
use common::domain::people::person::PrivacyMode;
use common::store::Store;
use simulator::{List, SimulatorBuilder};
use std::time::Instant;

const PEOPLE: usize = 20_000;
const ASSIGNMENTS: usize = 12;

/// One in 20 is not done with the last assignment, but for the first `better` of them.
fn workforce(better: usize) -> Workforce {
    let ids: Vec<String> = (0..ASSIGNMENTS).map(|number| format!("assignment-{number}")).collect();
    let mut workforce = ids.iter().fold(Workforce::new(), |all, id| all.assignment(id, "completed"));
    for number in 0..PEOPLE {
        let learner = format!("learner-{number}");
        workforce = workforce.learner(&learner, "active");
        for (place, id) in ids.iter().enumerate() {
            workforce = workforce.enrolled(id, &learner);
            if place + 1 < ASSIGNMENTS || number % 20 != 0 || number / 20 < better {
                workforce = workforce.completed(id, &learner);
            }
        }
    }
    workforce
}

#[tokio::test]
#[ignore = "a measurement, of half a minute in release"]
async fn a_first_run_and_a_night_in_which_one_percent_changed() {
    let ids: Vec<String> = (0..ASSIGNMENTS).map(|number| format!("assignment-{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let change = |builder: SimulatorBuilder| builder.sat_rate_limit(None, None).sat_max_page(1000);
    let mut world = World::with(&workforce(0), PrivacyMode::Pseudonymous, &ids, change).await;
    world.cap(1_000_000).await;
    let (client, counted) = world.engine.client_counting();
    world.store = Store::new(client, acceptance::engine::TABLE);
    // A fifth of those who are not done, and so 1 % of everybody, finish in the night.
    for (name, better) in
        [("first run", 0), ("night with 1 % changed", PEOPLE / 100), ("night without a change", PEOPLE / 100)]
    {
        world.simulator.set_sat(workforce(better).account());
        drop(counted.take());
        let begun = Instant::now();
        assert_eq!(world.sync().await, Processed::Succeeded { bundles: 1 });
        let lists = [List::Assignments, List::Learners, List::AssignmentLearners, List::LearnerActivity];
        let asked: Vec<String> = lists.iter().map(|list| format!("{list:?} {}", world.asked(*list))).collect();
        println!(
            "{name}: {:.1} s; requests: {}; table: {:?}",
            begun.elapsed().as_secs_f64(),
            asked.join(", "),
            counted.take()
        );
        world.wait(TimeDelta::days(1)).await;
    }
    let summary = world.bundle().await.people.unwrap().summary;
    assert_eq!((summary.compliant, summary.not_compliant), (19_200, 800));
}
