//! `--aws`: the command looks after a deployed stack, wherever that keeps its credentials. The AWS here is a stand-in.

use super::{Home, KEY, Output, SECRET, output, worked_example};
use acceptance::aws::{Aws, KEY_ID, SECRET_PREFIX};
use acceptance::engine::TABLE;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
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
    assert_eq!(said, "1 credentials copied; these have none to copy: lab\n");
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
