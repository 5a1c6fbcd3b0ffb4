//! What somebody does to the evidence log of a stack, or to the evidence in it, behind the back of the store.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

/// A change after which evidence and log disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tampering {
    /// A leaf says something else that no commit repeats: by which rules its numbers came about.
    LeafChanged(u64),
    /// A leaf is gone.
    LeafRemoved(u64),
    /// A leaf does not know what was before it, by which a read of one piece of evidence proves it; the log itself is whole.
    TreeBeforeLeafChanged(u64),
    /// A leaf as an older release wrote it.
    TreeBeforeLeafForgotten(u64),
    /// The head has another tree of the same size.
    HeadChanged,
    /// The head has fewer leaves, and a tree of that size.
    HeadShorter,
    /// The head is gone.
    HeadRemoved,
}

/// The changes of the log whose newest leaf is this one, each of which a reader of the newest evidence has to notice.
#[must_use]
pub fn every(newest: u64) -> [Tampering; 5] {
    use Tampering::{HeadChanged, HeadRemoved, HeadShorter, LeafChanged, LeafRemoved};
    [LeafChanged(newest), LeafRemoved(newest), HeadChanged, HeadShorter, HeadRemoved]
}

/// What was there before a change.
#[derive(Debug)]
pub struct Before(HashMap<String, AttributeValue>);

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// Another hash in place of the last of a list.
fn other_last(hashes: &mut AttributeValue) {
    let AttributeValue::L(hashes) = hashes else { panic!("the roots of subtrees are no list") };
    *hashes.last_mut().expect("a tree before it") = text("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

/// Changes the log of a connection, `{company}#{connection}`.
pub async fn tamper(dynamo: &Client, table: &str, connection: &str, how: Tampering) -> Before {
    let sk = match how {
        Tampering::LeafChanged(index)
        | Tampering::LeafRemoved(index)
        | Tampering::TreeBeforeLeafChanged(index)
        | Tampering::TreeBeforeLeafForgotten(index) => {
            format!("LOG#LEAF#{index:020}")
        }
        Tampering::HeadChanged | Tampering::HeadShorter | Tampering::HeadRemoved => "LOG#HEAD".to_owned(),
    };
    let key: HashMap<_, _> =
        [("pk".to_owned(), text(&format!("CONNECTION#{connection}"))), ("sk".to_owned(), text(&sk))].into();
    let found = dynamo.get_item().table_name(table).set_key(Some(key.clone())).send().await.unwrap();
    let before = found.item.unwrap_or_else(|| panic!("there is no {sk}"));
    let mut item = before.clone();
    match how {
        Tampering::LeafRemoved(_) | Tampering::HeadRemoved => {
            dynamo.delete_item().table_name(table).set_key(Some(key)).send().await.unwrap();
            return Before(before);
        }
        Tampering::LeafChanged(_) => {
            let data = before["data"].as_s().unwrap().replace("\"rules\":\"", "\"rules\":\"9");
            assert_ne!(&data, before["data"].as_s().unwrap());
            item.insert("data".to_owned(), text(&data));
        }
        Tampering::TreeBeforeLeafChanged(_) => other_last(item.get_mut("peaks").unwrap()),
        Tampering::TreeBeforeLeafForgotten(_) => drop(item.remove("peaks")),
        Tampering::HeadChanged => {
            let AttributeValue::M(tree) = item.get_mut("peaks").unwrap() else { panic!("no tree") };
            other_last(tree.get_mut("peaks").unwrap());
        }
        Tampering::HeadShorter => {
            let size: u64 = before["size"].as_n().unwrap().parse().unwrap();
            let size = AttributeValue::N((size - 1).to_string());
            let AttributeValue::M(tree) = item.get_mut("peaks").unwrap() else { panic!("no tree") };
            // A size with as many subtrees, or fewer.
            let AttributeValue::L(roots) = tree.get_mut("peaks").unwrap() else { panic!("no roots") };
            let wanted = size.as_n().unwrap().parse::<u64>().unwrap().count_ones() as usize;
            let filler = roots[0].clone();
            roots.resize(wanted, filler);
            tree.insert("size".to_owned(), size.clone());
            item.insert("size".to_owned(), size);
        }
    }
    dynamo.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
    Before(before)
}

/// Takes a change back.
pub async fn put_back(dynamo: &Client, table: &str, Before(item): Before) {
    dynamo.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
}
