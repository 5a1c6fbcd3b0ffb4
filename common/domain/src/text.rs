//! Text from outside, made safe to keep and to show: names of organizations, accounts, assignments and people.

use std::fmt::Display;

/// Characters of a name that are kept.
pub const NAME_LENGTH: usize = 200;

/// A name as it is kept and shown: one line of at most [`NAME_LENGTH`] characters, without control, escape and bidirectional characters. Line ends and
/// tabs become blanks, runs of blanks one blank. `None` if nothing is left.
///
/// ```
/// use evidence_domain::text::name;
/// assert_eq!(name("Acme\u{1b}[2J\nas of 2020\u{202e}\u{0}").as_deref(), Some("Acme[2J as of 2020"));
/// assert_eq!(name(&"x".repeat(500_000)).unwrap().len(), 200);
/// assert_eq!(name("\u{0}\u{202e} \n"), None);
/// ```
#[must_use]
pub fn name(text: &str) -> Option<String> {
    let mut kept = String::new();
    let mut length = 0;
    let mut blank = false;
    for c in text.chars() {
        if length == NAME_LENGTH {
            break;
        }
        if c.is_whitespace() {
            blank = length > 0;
        } else if !is_hidden(c) {
            if blank {
                kept.push(' ');
                length += 1;
                blank = false;
                if length == NAME_LENGTH {
                    break;
                }
            }
            kept.push(c);
            length += 1;
        }
    }
    kept.truncate(kept.trim_end().len());
    (!kept.is_empty()).then_some(kept)
}

/// A count with what is counted, by its words for one and for any other number.
///
/// ```
/// use evidence_domain::text::counted;
/// assert_eq!([0, 1, 2].map(|count| counted(count, "bundle", "bundles")), ["0 bundles", "1 bundle", "2 bundles"]);
/// ```
#[must_use]
pub fn counted(count: impl Display, one: &str, many: &str) -> String {
    let count = count.to_string();
    let what = if count == "1" { one } else { many };
    format!("{count} {what}")
}

/// One line for a terminal: line ends and tabs become blanks, and what could change what is shown around it is left out.
///
/// ```
/// assert_eq!(evidence_domain::text::line("a\r\nb\u{1b}[2J\u{202e}"), "a  b[2J");
/// ```
#[must_use]
pub fn line(text: &str) -> String {
    let blank = |c: char| if c.is_whitespace() { ' ' } else { c };
    text.chars().map(blank).filter(|c| !is_hidden(*c)).collect()
}

/// A key, a secret or an id as it was pasted, without what came along: blanks, line ends, a byte-order mark, invisible characters and quotes around it.
///
/// ```
/// use evidence_domain::text::pasted;
/// assert_eq!(pasted("\u{feff} \"hk_1\"\r\n"), "hk_1");
/// assert_eq!(pasted("' \t'"), "");
/// assert_eq!(pasted("a b"), "a b");
/// ```
#[must_use]
pub fn pasted(text: &str) -> &str {
    text.trim_matches(|c: char| {
        c.is_whitespace()
            || is_hidden(c)
            || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}')
            || matches!(c, '"' | '\'' | '\u{2018}'..='\u{201f}')
    })
}

/// Whether a character could change what a terminal or a page shows around it: controls, and the marks of bidirectional text.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn letters_of_every_script_stay() {
        for plain in ["Ärztehaus Süd", "株式会社アクメ", "Łódź & Søn", "👩‍⚕️ clinic", "a-b_c (d), e.f"]
        {
            assert_eq!(name(plain).as_deref(), Some(plain));
        }
    }

    proptest! {
        #[test]
        fn a_name_is_one_clean_line_and_cleaning_it_again_changes_nothing(text in any::<String>(), padding in 0_usize..400) {
            let text = format!("{text}{}", "\u{202e}\t".repeat(padding) + &text.repeat(padding));
            if let Some(once) = name(&text) {
                prop_assert!(once.chars().count() <= NAME_LENGTH && !once.chars().any(is_hidden));
                prop_assert!(!once.contains('\n') && once.trim() == once);
                prop_assert_eq!(name(&once), Some(once.clone()));
            }
        }
    }
}
