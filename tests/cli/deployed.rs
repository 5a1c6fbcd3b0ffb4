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
