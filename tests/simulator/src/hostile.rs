//! Names as somebody would choose them who wants to harm whoever looks at them: markup, script, marks of bidirectional text, ten thousand characters.

use serde_json::Value;

/// Each leaves its mark as `window.ran`, if a page runs it.
const TEXTS: [&str; 7] = [
    "<script>window.ran = 1</script>",
    "\"><img src=x onerror=\"window.ran = 1\">",
    "</title></textarea></option></select></svg><svg/onload=window.ran=1>",
    "\u{202e}tcerid\u{202c} \u{2066}isolated\u{2069}\u{200f} one\r\ntwo",
    "javascript:window.ran=1//{{7*7}}${7*7}<%=7*7%>",
    "=HYPERLINK(\"https://evil.example\",\"&lt;b&gt;\")",
    "' onmouseover='window.ran=1' autofocus onfocus='window.ran=1",
];

/// Fields that people type at Huntress, or on a device.
const FIELDS: [&str; 10] =
    ["name", "hostname", "subject", "body", "summary", "title", "firstName", "lastName", "email", "display_name"];

/// Characters of the longest name.
const LONG: usize = 10_000;

/// A hostile text, another one for each number; every eighth is long.
fn text(number: usize) -> String {
    match TEXTS.get(number % (TEXTS.len() + 1)) {
        Some(text) => format!("{text} {number}"),
        None => format!("<b>{number} {}</b>", "long ".repeat(LONG / 5)),
    }
}

/// Records whose names are hostile, however deep they lie.
pub(crate) fn named(mut records: Vec<Value>) -> Vec<Value> {
    let mut number = 0;
    records.iter_mut().for_each(|record| rename(record, &mut number));
    records
}

fn rename(value: &mut Value, number: &mut usize) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, number)),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                match field {
                    Value::String(given) if FIELDS.contains(&name.as_str()) => {
                        *given = text(*number);
                        *number += 1;
                    }
                    _ => rename(field, number),
                }
            }
        }
        _ => {}
    }
}
