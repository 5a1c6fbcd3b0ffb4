//! `--aws`: the command looks after a deployed stack, wherever that keeps its credentials. The AWS here is a stand-in.

use super::{Home, KEY, Output, SECRET, output, worked_example};
use acceptance::aws::{Aws, KEY_ID, SECRET_PREFIX};
use acceptance::engine::TABLE;
use aws_sdk_dynamodb::types::AttributeValue;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use chrono::TimeDelta;
use common::domain::evidence::RecordsRead;
use common::domain::id::{ClientId, CompanyId, ConnectionId, RunId};
use common::domain::log::statement::EvaluationBasis;
use common::domain::product::Product;
use common::domain::run::Trigger;
use common::store::{EvidenceOwner, EvidenceRecord, LeaseOutcome, RunRequest, RunSuccess};
use serde_json::json;
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;

const MANAGER: (&str, &str) = ("SECRET_PREFIX", SECRET_PREFIX);
const SEALED: (&str, &str) = ("CREDENTIAL_KEY_ID", KEY_ID);

/// A stack, and the account that it collects. The runtime serves AWS for as long as it is there.
struct Deployed {
    home: Home,
    aws: Aws,
    runtime: Runtime,
}

impl Deployed {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { home: Home::new(worked_example()), aws: runtime.block_on(Aws::start()), runtime }
    }

    /// A command in an environment that names the stack's own, and where its credentials are.
    fn run(&self, secrets: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut command = self.home.command(arguments);
        command
            .env("AWS_ENDPOINT_URL", self.aws.endpoint())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("TABLE_NAME", TABLE)
            .env("PEOPLE_KEY_ID", "alias/people")
            .env("CERTIFICATE_BUCKET_URL", "http://127.0.0.1/certificates")
            .envs(secrets.iter().copied())
            .args(["--company", "acme"]);
        output(&mut command)
    }

    /// Lists the connections with no credentials in the environment but what is named here.
    fn list_with(&self, variables: &[(&str, &str)]) -> Output {
        let mut command = self.home.command(&["connections", "--aws", "--company", "acme"]);
        command
            .env("AWS_ENDPOINT_URL", self.aws.endpoint())
            // No instance is asked: here is none.
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("TABLE_NAME", TABLE)
            .env("PEOPLE_KEY_ID", "alias/people")
            .env("CERTIFICATE_BUCKET_URL", "http://127.0.0.1/certificates")
            .envs([MANAGER])
            .envs(variables.iter().copied());
        output(&mut command)
    }

    /// What is stored, as text.
    fn stored(&self) -> [String; 2] {
        let table = self.aws.engine.client().scan().table_name(TABLE).send();
        let table = self.runtime.block_on(table).unwrap();
        [format!("{:?}", table.items()), self.aws.secrets(|secrets| format!("{secrets:?}"))]
    }

    /// The company's evidence of a client, from a run of the connection `edr` under a retention of so many days.
    fn collected(&self, client: &str, days: i64) {
        let store = self.aws.store().with_retention(Some(TimeDelta::days(days)));
        let (company, connection) = (CompanyId::parse("acme").unwrap(), ConnectionId::parse("edr").unwrap());
        let owner = EvidenceOwner::Client(ClientId::parse(client).unwrap());
        let (run_id, now) = (RunId::parse("run-1").unwrap(), super::now());
        self.runtime.block_on(async {
            let request = RunRequest {
                company: company.clone(),
                connection: connection.clone(),
                run_id: run_id.clone(),
                trigger: Trigger::OnDemand,
                request_key: None,
                next_run_at: None,
                not_before: None,
                now,
            };
            store.request_run(request).await.unwrap();
            let lease_for = TimeDelta::minutes(15);
            let taken = store.take(&company, &connection, &run_id, "worker", now, lease_for).await.unwrap();
            let LeaseOutcome::Acquired { lease, .. } = taken else { panic!("{taken:?}") };
            let ended = RunSuccess {
                finished_at: now,
                api_calls: 6,
                records: RecordsRead { organizations: 2, agents: 87, incident_reports: 3 }.into(),
                pages: RecordsRead { organizations: 1, agents: 1, incident_reports: 1 }.into(),
                next_run_at: None,
                basis: EvaluationBasis::new(Vec::new()),
            };
            let evidence = EvidenceRecord { owner, product: Product::Edr, body: "{}".to_owned() };
            store.commit(&lease, ended, vec![evidence]).await.unwrap();
        });
    }

    /// How many records of evidence, runs and commits have an end.
    fn ending(&self) -> usize {
        let table = self.aws.engine.client().scan().table_name(TABLE).send();
        let table = self.runtime.block_on(table).unwrap();
        let kinds = ["EVIDENCE#", "RUN#", "COMMIT#"];
        let of_kind = |text: &AttributeValue| kinds.iter().any(|kind| text.as_s().unwrap().starts_with(kind));
        let counted = |item: &&std::collections::HashMap<String, AttributeValue>| {
            (of_kind(&item["pk"]) || of_kind(&item["sk"])) && item.contains_key("expires_at")
        };
        table.items().iter().filter(counted).count()
    }

    /// What is sealed in the table, as it is stored.
    fn sealed(&self) -> Option<AttributeValue> {
        let table = self.aws.engine.client().scan().table_name(TABLE).send();
        let table = self.runtime.block_on(table).unwrap();
        table.items().iter().find_map(|item| item.get("content").cloned())
    }
}

#[test]
fn a_connection_is_saved_tested_and_given_a_new_key_in_both_modes() {
    for (mode, in_the_clear) in [(MANAGER, [false, true]), (SEALED, [false, false])] {
        let stack = Deployed::new();
        stack.run(&[mode], &["connect", "edr", "--aws", "--client", "acme"]).done();
        stack.run(&[mode], &["test", "edr", "--aws"]).done();
        assert_eq!(stack.stored().map(|stored| stored.contains(KEY) || stored.contains(SECRET)), in_the_clear);
        let before = (stack.sealed(), stack.aws.secrets(|secrets| secrets.clone()));
        assert_eq!((before.0.is_some(), before.1.len()), if mode == SEALED { (true, 0) } else { (false, 1) });
        stack.run(&[mode], &["connect", "edr", "--aws", "--replace-key"]).done();
        stack.run(&[mode], &["test", "edr", "--aws"]).done();
        // The same key sealed anew looks different; a secret has the same content.
        assert_eq!(stack.sealed() != before.0, mode == SEALED);
        assert_eq!(stack.aws.secrets(|secrets| secrets.clone()), before.1);
    }
}

#[test]
fn where_credentials_are_is_named_once() {
    let stack = Deployed::new();
    for secrets in [&[][..], &[MANAGER, SEALED], &[("SECRET_PREFIX", ""), ("CREDENTIAL_KEY_ID", "")]] {
        let line = stack.run(secrets, &["connect", "edr", "--aws"]).refused(2);
        assert!(line.contains("one of the environment variables SECRET_PREFIX and CREDENTIAL_KEY_ID"), "{line}");
    }
    // An output that the stack has not is an empty variable.
    stack.run(&[("SECRET_PREFIX", ""), SEALED], &["connect", "edr", "--aws"]).done();
}

#[test]
fn credentials_are_copied_from_one_place_to_the_other() {
    let stack = Deployed::new();
    for id in ["edr", "lab"] {
        stack.run(&[MANAGER], &["connect", "edr", "--aws", "--id", id]).done();
    }
    assert_eq!(stack.run(&[SEALED], &["test", "edr", "--aws"]).code, 2, "there is none yet");
    stack.aws.secrets(|secrets| secrets.remove(&format!("{SECRET_PREFIX}/acme/lab")));
    let line = stack.run(&[MANAGER], &["copy-credentials", "sealed", "--aws"]).refused(2);
    assert!(line.contains("CREDENTIAL_KEY_ID is not set"), "{line}");
    let copied = stack.run(&[MANAGER, SEALED], &["copy-credentials", "sealed", "--aws", "--json"]).json();
    assert_eq!(copied, json!({"copied": ["edr"], "missing": ["lab"]}));
    for mode in [MANAGER, SEALED] {
        stack.run(&[mode], &["test", "edr", "--aws"]).done();
    }
    assert!(!stack.stored()[0].contains(KEY));
    // And back.
    stack.aws.secrets(std::collections::BTreeMap::clear);
    let said = stack.run(&[MANAGER, SEALED], &["copy-credentials", "manager", "--aws"]).done().stdout;
    assert_eq!(said, "1 credential copied; these have none to copy: lab\n");
    stack.run(&[MANAGER], &["test", "edr", "--aws"]).done();
    // What does not open is not taken for missing.
    stack.aws.refuse("TrentService");
    let line = stack.run(&[MANAGER, SEALED], &["copy-credentials", "manager", "--aws"]).refused(4);
    assert!(line.contains("the credential of edr cannot be copied: the store of secrets does not answer"), "{line}");
}

#[test]
fn a_connection_is_removed_with_its_credential_or_not_at_all() {
    for (mode, service) in [(MANAGER, "secretsmanager"), (SEALED, "")] {
        let stack = Deployed::new();
        for id in ["edr", "lab"] {
            stack.run(&[mode], &["connect", "edr", "--aws", "--id", id]).done();
        }
        let connections = || stack.run(&[mode], &["connections", "--aws", "--json"]).json()["connections"].take();
        if !service.is_empty() {
            stack.aws.refuse(service);
            let line = stack.run(&[mode], &["disconnect", "edr", "--aws"]).refused(4);
            assert!(line.contains("the credential of edr cannot be removed"), "{line}");
            assert_eq!(connections().as_array().unwrap().len(), 2, "it is found again, and goes on");
            stack.aws.refuse("nothing");
        }
        stack.run(&[mode], &["disconnect", "edr", "--aws"]).done();
        let left = connections();
        assert_eq!((left.as_array().unwrap().len(), &left[0]["id"]), (1, &json!("lab")));
        let [table, secrets] = stack.stored();
        let kept =
            if mode == SEALED { table.matches("\"data_key\"").count() } else { secrets.matches("/acme/").count() };
        assert_eq!(kept, 1, "one credential is left, the other's");
        stack.run(&[mode], &["test", "lab", "--aws"]).done();
    }
}

#[test]
fn credentials_come_from_wherever_the_tools_of_aws_find_them() {
    let stack = Deployed::new();
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let process = r#"/bin/echo '{"Version":1,"AccessKeyId":"test","SecretAccessKey":"test"}'"#;
    let config = file(
        "config",
        &format!(
            "[default]\nregion = us-east-1\n[profile by-process]\nregion = us-east-1\ncredential_process = {process}\n[profile by-sso]\nregion = us-east-1\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = Auditor\n[sso-session work]\nsso_region = us-east-1\nsso_start_url = https://example.awsapps.com/start\n"
        ),
    );
    let keys = file("credentials", "[default]\naws_access_key_id = test\naws_secret_access_key = test\n");
    let files = [("AWS_CONFIG_FILE", config.as_str()), ("AWS_SHARED_CREDENTIALS_FILE", keys.as_str())];
    let with = |more: &[(&'static str, &'static str)]| stack.list_with(&[&files[..], more].concat());
    with(&[]).done();
    with(&[("AWS_PROFILE", "by-process")]).done();

    // A container's: the address that it is given.
    let served = stack.runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/credentials", listener.local_addr().unwrap());
        let body =
            r#"{"AccessKeyId":"test","SecretAccessKey":"test","Token":"token","Expiration":"2999-01-01T00:00:00Z"}"#;
        let router = axum::Router::new().route("/credentials", axum::routing::get(move || async move { body }));
        tokio::spawn(axum::serve(listener, router).into_future());
        address
    });
    let container = [("AWS_REGION", "us-east-1"), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", served.as_str())];
    stack.list_with(&container).done();

    let line = stack.list_with(&[("AWS_REGION", "us-east-1")]).refused(2);
    assert!(
        line.contains("no AWS credentials were found") && line.contains("aws sso login --profile default"),
        "{line}"
    );
    let line = with(&[("AWS_PROFILE", "by-sso")]).refused(2);
    assert!(
        line.contains("the profile by-sso cannot be used") && line.contains("aws sso login --profile by-sso"),
        "{line}"
    );
    let line = stack.list_with(&[]).refused(2);
    assert!(line.contains("no AWS region is set; set AWS_REGION"), "{line}");
}

#[test]
fn a_hold_keeps_what_would_end_and_the_audit_log_says_who_placed_it() {
    const ENDS: (&str, &str) = ("EVIDENCE_RETENTION_DAYS", "400");
    let stack = Deployed::new();
    stack.run(&[MANAGER], &["connect", "edr", "--aws", "--client", "globex"]).done();
    stack.collected("globex", 400);
    assert_eq!(stack.ending(), 3, "the evidence, its run and its commit");
    let hold = |variables: &[(&str, &str)], arguments: &[&str]| {
        stack.run(&[&[MANAGER], variables].concat(), &[&["hold"], arguments, &["--aws"]].concat())
    };
    assert_eq!(hold(&[], &["list"]).done().stdout, "nothing is held\n");
    let why = ["--reason", "suit 26-117", "--by", "legal"];
    let line = hold(&[ENDS], &[&["place", "--client", "glubex"], &why[..]].concat()).refused(2);
    assert!(line.contains("there is no client glubex") && line.contains("huntress-evidence clients"), "{line}");
    assert_eq!(stack.ending(), 3);

    let place = [&["place", "--client", "globex"], &why[..]].concat();
    assert_eq!(hold(&[ENDS], &place).done().stdout, "held; 3 records would have ended, and do not now\n");
    assert_eq!(stack.ending(), 0);
    // To repeat it is safe.
    assert_eq!(hold(&[ENDS], &place).done().stdout, "held; 0 records would have ended, and do not now\n");
    let listed = hold(&[], &["list", "--json"]).json();
    assert_eq!(listed["holds"].as_array().unwrap().len(), 1);
    let held = &listed["holds"][0];
    assert_eq!([&held["client"], &held["by"], &held["reason"]], ["globex", "legal", "suit 26-117"]);
    let table = hold(&[], &["list"]).done().stdout;
    assert!(["globex", "legal", "suit 26-117"].iter().all(|text| table.contains(text)), "{table}");

    // Who does not say when evidence ends would release it to stay for ever.
    let release = ["release", "--client", "globex", "--reason", "the suit is over", "--by", "legal"];
    let line = hold(&[], &release).refused(2);
    assert!(line.contains("EVIDENCE_RETENTION_DAYS is not set") && line.contains("EvidenceRetentionDays"), "{line}");
    assert_eq!(hold(&[], &["list", "--json"]).json(), listed, "it is still there");
    assert_eq!(hold(&[ENDS], &release).done().stdout, "released; 3 records end as the retention says\n");
    assert_eq!(stack.ending(), 3);
    let line = hold(&[ENDS], &release).refused(2);
    assert!(line.contains("there is no such hold; hold list shows what is held"), "{line}");

    let log = stack.run(&[MANAGER], &["audit-log", "--aws", "--client", "globex", "--json"]).json();
    let events =
        log["items"].as_array().unwrap().iter().filter(|it| it["action"].as_str().unwrap().starts_with("hold."));
    let events: Vec<_> = events.map(|it| [&it["action"], &it["actor"], &it["client"], &it["reason"]]).collect();
    assert_eq!(
        events,
        [["hold.placed", "legal", "globex", "suit 26-117"], ["hold.released", "legal", "globex", "the suit is over"]]
    );
}

#[test]
fn a_hold_on_everything_is_placed_on_one_machine_too() {
    let home = Home::new(worked_example());
    home.on_data(&["connect", "edr"]).done();
    home.on_data(&["sync", "edr"]);
    let placed = home.on_data(&["hold", "place", "--reason", "suit 26-117"]).done().stdout;
    assert_eq!(placed, "held; 0 records would have ended, and do not now\n", "nothing ends here");
    let listed = home.on_data(&["hold", "list"]).done().stdout;
    assert!(listed.contains("everything") && listed.contains("suit 26-117"), "{listed}");
    home.on_data(&["hold", "release", "--reason", "the suit is over"]).done();
    assert_eq!(home.on_data(&["hold", "list"]).done().stdout, "nothing is held\n");
}

/// Who gives credentials to tools of AWS, all at one address: the portal of SSO, STS, a container's agent and an instance's metadata service.
struct Givers {
    origin: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// The token that an instance, or whoever was signed in, has to show.
const TOKEN: &str = "marker-of-the-giver";

impl Givers {
    fn start(runtime: &Runtime) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let origin = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let origin = format!("http://{}", listener.local_addr().unwrap());
            let told = Arc::clone(&asked);
            let router =
                axum::Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: String| {
                    told.lock().unwrap().push(format!("{method} {uri} {body}"));
                    async move { Self::answer(&method, &uri, &headers, &body) }
                });
            tokio::spawn(axum::serve(listener, router).into_future());
            origin
        });
        Self { origin, asked }
    }

    fn answer(
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &str,
    ) -> (StatusCode, [(&'static str, &'static str); 1], String) {
        // An instance says for how long its token is good.
        let lasts = [("x-aws-ec2-metadata-token-ttl-seconds", "21600")];
        const END: &str = "2999-01-01T00:00:00Z";
        let shows = |name: &str| headers.get(name).is_some_and(|value| value == TOKEN);
        let keys = json!({
            "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": END,
            "AccessKeyId": "test", "SecretAccessKey": "test", "Token": "token",
        });
        let sts = |operation: &str| {
            format!(
                "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result><Credentials><AccessKeyId>test</AccessKeyId><SecretAccessKey>test</SecretAccessKey><SessionToken>token</SessionToken><Expiration>{END}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>id:name</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/Auditor/name</Arn></AssumedRoleUser></{operation}Result></{operation}Response>"
            )
        };
        let answer = match (method.as_str(), uri.path()) {
            ("GET", "/federation/credentials") if shows("x-amz-sso_bearer_token") => json!({"roleCredentials": {
                "accessKeyId": "test", "secretAccessKey": "test", "sessionToken": "token", "expiration": 32_472_144_000_000_u64,
            }})
            .to_string(),
            ("GET", "/pod") if shows("authorization") => keys.to_string(),
            ("PUT", "/latest/api/token") if headers.contains_key("x-aws-ec2-metadata-token-ttl-seconds") => TOKEN.to_owned(),
            // Version 2 alone: who has no token is refused.
            ("GET", path) if path.starts_with("/latest/") && !shows("x-aws-ec2-metadata-token") => {
                return (StatusCode::UNAUTHORIZED, lasts, String::new());
            }
            ("GET", "/latest/meta-data/placement/region") => "us-east-1".to_owned(),
            ("GET", "/latest/meta-data/iam/security-credentials/") => "auditor".to_owned(),
            ("GET", "/latest/meta-data/iam/security-credentials/auditor") => keys.to_string(),
            ("POST", "/") if body.contains("Action=AssumeRoleWithWebIdentity") => sts("AssumeRoleWithWebIdentity"),
            ("POST", "/") if body.contains("Action=AssumeRole&") => sts("AssumeRole"),
            _ => return (StatusCode::NOT_FOUND, lasts, String::new()),
        };
        // The portal speaks JSON, STS XML; nobody looks at what it is called.
        (StatusCode::OK, lasts, answer)
    }

    /// What was asked since the last call.
    fn asked(&self) -> String {
        std::mem::take(&mut *self.asked.lock().unwrap()).join("\n")
    }
}

#[test]
fn whoever_gives_credentials_is_asked_as_the_tools_of_aws_ask_them() {
    let stack = Deployed::new();
    let givers = Givers::start(&stack.runtime);
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let config = file(
        "config",
        "[default]\nregion = us-east-1\n[profile by-sso]\nregion = us-east-1\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = Auditor\n[sso-session work]\nsso_region = us-east-1\nsso_start_url = https://example.awsapps.com/start\n[profile by-role]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/Auditor\nsource_profile = default\n",
    );
    let keys = file("credentials", "[default]\naws_access_key_id = test\naws_secret_access_key = test\n");
    // What `aws sso login` leaves, under the SHA-1 of the session's name.
    let signed_in = |until: &str| {
        let token = json!({"accessToken": TOKEN, "expiresAt": until, "region": "us-east-1", "startUrl": "https://example.awsapps.com/start"});
        file(".aws/sso/cache/e274eeff768c6396088ec6eb091f4bf4d47ab1e0.json", &token.to_string());
    };
    let home = folder.path().to_str().unwrap();
    let list = |profile: &str| {
        stack.list_with(&[
            ("HOME", home),
            ("AWS_CONFIG_FILE", config.as_str()),
            ("AWS_SHARED_CREDENTIALS_FILE", keys.as_str()),
            ("AWS_ENDPOINT_URL_SSO", givers.origin.as_str()),
            ("AWS_ENDPOINT_URL_STS", givers.origin.as_str()),
            ("AWS_PROFILE", profile),
        ])
    };
    signed_in("2999-01-01T00:00:00Z");
    list("by-sso").done();
    let asked = givers.asked();
    assert!(asked.contains("role_name=Auditor") && asked.contains("account_id=123456789012"), "{asked}");
    // Whose sign-in is over is told to sign in again, and nobody is asked.
    signed_in("2026-01-01T00:00:00Z");
    let line = list("by-sso").refused(2);
    assert!(
        line.contains("the profile by-sso cannot be used") && line.contains("aws sso login --profile by-sso"),
        "{line}"
    );
    assert!(!line.contains(TOKEN) && givers.asked().is_empty());

    list("by-role").done();
    assert!(givers.asked().contains("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2FAuditor"));

    // As a job of a pipeline is known by its token.
    let token = file("token", "eyJ.marker.token");
    let by_token = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL_STS", givers.origin.as_str()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/Deploy"),
    ];
    stack.list_with(&by_token).done();
    assert!(givers.asked().contains("WebIdentityToken=eyJ.marker.token"));

    // A pod's agent wants a token, too.
    let pod = format!("{}/pod", givers.origin);
    let of_pod = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", pod.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN),
    ];
    stack.list_with(&of_pod).done();
    assert!(givers.asked().contains("GET /pod"));

    // An instance says its region as well.
    let of_instance =
        [("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", givers.origin.as_str())];
    stack.list_with(&of_instance).done();
    let asked = givers.asked();
    for path in ["PUT /latest/api/token", "placement/region", "security-credentials/auditor"] {
        assert!(asked.contains(path), "{path}: {asked}");
    }
}
