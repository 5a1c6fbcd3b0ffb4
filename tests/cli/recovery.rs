//! `serve` that ends in mid-run, and ticks that it missed.

use super::server::Server;
use super::{Home, eventually, now, wait, worked_example};
use chrono::TimeDelta;
use common::app::collection::collect::Huntress;
use common::clock::SystemClock;
use common::domain::id::{CompanyId, ConnectionId};
use common::domain::product::Product;
use common::domain::schedule::Schedule;
use common::huntress::origin::Origin;
use common::huntress::request::{Timeouts, http_client};
use common::settings::Origins;
use common::store::{ConnectionChange, Scheduling};
use huntress_evidence::stack::LocalStack;
use serde_json::{Value, json};
use simulator::{Fault, FaultKind, List};
use std::sync::Arc;
use std::time::Duration;

const FOREVER: Duration = Duration::from_secs(600);

/// The account does not answer for incidents any more.
fn hang(home: &Home, time: Duration) {
    home.simulator.reset_log();
    home.simulator.set_faults(vec![Fault::always(Some(List::IncidentReports), FaultKind::Hang(time))]);
}

/// Asks for a run and waits until it hangs.
fn run_in_the_middle(home: &Home, server: &Server) -> Value {
    let id = server.sync();
    eventually("request that hangs", || {
        let requests = home.simulator.requests();
        requests.iter().any(|it| it.list == Some(List::IncidentReports) && it.status.is_none()).then_some(())
    });
    server.run_in(&id, "running")
}

fn runs(home: &Home) -> Vec<Value> {
    home.on_data(&["runs", "edr", "--json"]).json()["runs"].as_array().unwrap().clone()
}

fn evidence(home: &Home) -> Value {
    home.on_data(&["metrics", "acme", "--json"]).json()["evidence"][0].clone()
}

/// Sets when connections are due, while no process has the folder.
fn make_due(home: &Home, connections: &[&str], ago: TimeDelta) {
    wait(async {
        let origin = |product| Origin::parse(&home.simulator.origin(), product, true).unwrap();
        let origins = Origins { edr: origin(Product::Edr), sat: origin(Product::Sat) };
        let huntress =
            Huntress { http: http_client(Timeouts::default()).unwrap(), clock: Arc::new(SystemClock), origins };
        let (stack, _queue) = LocalStack::open(&home.data(), huntress).await.unwrap();
        for connection in connections {
            let due = Scheduling::Resume { next_run_at: now() - ago };
            let change = ConnectionChange { scheduling: Some(due), ..Default::default() };
            let (company, id) = (CompanyId::parse("local").unwrap(), ConnectionId::parse(*connection).unwrap());
            stack.parts.store.change_connection(&company, &id, change).await.unwrap();
        }
        stack.close().await;
    });
}

/// A kill in mid-run leaves the old evidence whole, and the next process takes the same run up.
fn killed_and_taken_up(paused: bool) {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    if paused {
        home.on_data(&["pause", "edr"]).done();
    }
    let before = evidence(&home);

    let server = Server::start(&home, &[]);
    hang(&home, FOREVER);
    let running = run_in_the_middle(&home, &server);
    assert!(running["as_of"].is_string(), "{running}");
    server.kill();

    let after = evidence(&home);
    for key in ["run_id", "as_of", "sha256", "bundle", "last_success_at"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    assert_eq!(runs(&home)[0], running, "nothing is lost");

    home.simulator.set_faults(Vec::new());
    let server = Server::start(&home, &[]);
    let done = server.run_in(running["id"].as_str().unwrap(), "succeeded");
    assert_eq!(done["as_of"], running["as_of"]);
    assert_eq!(server.terminate().code(), Some(0));
    let (all, new) = (runs(&home), evidence(&home));
    assert_eq!(all.iter().map(|run| &run["status"]).collect::<Vec<_>>(), ["succeeded", "succeeded"]);
    assert_eq!((&new["run_id"], &new["as_of"]), (&running["id"], &running["as_of"]));
}

#[test]
fn sigkill_in_mid_run_loses_nothing() {
    killed_and_taken_up(false);
}

#[test]
fn sigkill_in_mid_run_loses_nothing_of_a_paused_connection() {
    killed_and_taken_up(true);
}

#[test]
fn sync_by_hand_takes_up_a_run_that_was_killed() {
    let home = Home::new(worked_example());
    home.connect();
    let server = Server::start(&home, &[]);
    hang(&home, FOREVER);
    let running = run_in_the_middle(&home, &server);
    server.kill();
    home.simulator.set_faults(Vec::new());
    let run = home.on_data(&["sync", "edr", "--json"]).json();
    assert_eq!((&run["id"], &run["as_of"], &run["status"]), (&running["id"], &running["as_of"], &json!("succeeded")));
}

#[test]
fn sigterm_waits_for_runs_that_end_in_time() {
    let home = Home::new(worked_example());
    home.connect();
    let server = Server::start(&home, &["--grace-seconds", "60"]);
    hang(&home, Duration::from_secs(2));
    let running = run_in_the_middle(&home, &server);
    assert_eq!(server.terminate().code(), Some(0));
    assert_eq!((&runs(&home)[0]["id"], &runs(&home)[0]["status"]), (&running["id"], &json!("succeeded")));
}

#[test]
fn sigterm_leaves_a_run_that_takes_longer_to_the_next_process() {
    let home = Home::new(worked_example());
    home.connect();
    let server = Server::start(&home, &["--grace-seconds", "1"]);
    hang(&home, FOREVER);
    let running = run_in_the_middle(&home, &server);
    // Somebody who never finishes a request does not hold it up either.
    let address = server.origin.strip_prefix("http://").unwrap();
    let mut half = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut half, b"POST /v1/comp").unwrap();
    assert_eq!(server.terminate().code(), Some(0));
    assert_eq!(runs(&home)[0], running);
    home.simulator.set_faults(Vec::new());
    let server = Server::start(&home, &[]);
    assert_eq!(server.run_in(running["id"].as_str().unwrap(), "succeeded")["as_of"], running["as_of"]);
}

#[test]
fn a_missed_tick_is_caught_up_once() {
    let home = Home::new(worked_example());
    home.connect();
    make_due(&home, &["edr"], TimeDelta::days(3));
    // It fails, so that the connection stays due.
    home.simulator.set_faults(vec![Fault::always(Some(List::Agents), FaultKind::Status(404))]);
    let server = Server::start(&home, &[]);
    let planned = server.logged("tick planned");
    assert_eq!((&planned["due"], &planned["new"]), (&json!(1), &json!(1)), "{planned}");
    server.logged("run ended");
    assert_eq!(server.terminate().code(), Some(0));
    let first = runs(&home);
    assert_eq!((first.len(), &first[0]["trigger"], &first[0]["status"]), (1, &json!("schedule"), &json!("failed")));

    home.simulator.set_faults(Vec::new());
    let again = Server::start(&home, &[]);
    let planned = again.logged("tick planned");
    assert_eq!((&planned["due"], &planned["new"], &planned["joined"]), (&json!(1), &json!(0), &json!(1)), "{planned}");
    assert_eq!(again.terminate().code(), Some(0));
    assert_eq!(runs(&home), first, "the tick had its run");
}

#[test]
fn a_success_moves_the_connection_to_the_next_tick() {
    let home = Home::new(worked_example());
    home.connect();
    make_due(&home, &["edr"], TimeDelta::days(3));
    let server = Server::start(&home, &[]);
    server.logged("run ended");
    assert_eq!(server.terminate().code(), Some(0));
    let listed = home.on_data(&["connections", "--json"]).json();
    let next = common::domain::time::parse(listed["connections"][0]["next_run_at"].as_str().unwrap()).unwrap();
    assert_eq!(next, Schedule::default().next_after(now()));
    let again = Server::start(&home, &[]);
    assert_eq!(again.logged("tick planned")["due"], 0);
}

#[test]
fn a_paused_connection_has_no_tick() {
    let home = Home::new(worked_example());
    home.connect();
    make_due(&home, &["edr"], TimeDelta::days(3));
    home.on_data(&["pause", "edr"]).done();
    let server = Server::start(&home, &[]);
    assert_eq!(server.logged("tick planned")["due"], 0);
    server.terminate();
    assert_eq!(runs(&home), [] as [Value; 0]);
}

#[test]
fn a_run_that_is_recovered_and_due_is_worked_on_once() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["connect", "edr", "--id", "second"]).done();
    make_due(&home, &["edr", "second"], TimeDelta::days(3));
    // One worker that hangs: the other run stays queued, and both the recovery and the tick of the next process name it.
    hang(&home, FOREVER);
    let server = Server::start(&home, &["--workers", "1"]);
    server.logged("tick planned");
    eventually("request that hangs", || {
        let requests = home.simulator.requests();
        requests.iter().any(|it| it.list == Some(List::IncidentReports)).then_some(())
    });
    server.kill();

    hang(&home, Duration::from_secs(1));
    let server = Server::start(&home, &["--workers", "8"]);
    server.logged("tick planned");
    eventually("end of both runs", || {
        (server.log().iter().filter(|it| it["message"] == "run ended").count() >= 2).then_some(())
    });
    assert_eq!(server.terminate().code(), Some(0));
    assert_eq!(home.simulator.requests().len(), 6, "three for each run");
    for connection in ["edr", "second"] {
        let runs = home.on_data(&["runs", connection, "--json"]).json();
        assert_eq!((runs["runs"].as_array().unwrap().len(), &runs["runs"][0]["status"]), (1, &json!("succeeded")));
    }
}
