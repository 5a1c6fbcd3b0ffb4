//! Reading a mapping of organizations to clients from the command line.

use crate::arguments::MappingArguments;
use crate::outcome::CliError;
use common::domain::id::{ClientId, CompanyId};
use common::domain::mapping::Mapping;
use std::collections::{BTreeMap, BTreeSet};

/// The mapping that the arguments describe; everything to one client by default.
pub fn read(arguments: &MappingArguments, company: &CompanyId) -> Result<Mapping, CliError> {
    if arguments.map.is_empty() && arguments.map_file.is_none() && arguments.ignore.is_empty() {
        let client = arguments.client.clone().map_or_else(|| ClientId::parse(company.as_str()), Ok);
        return Ok(Mapping::OneClient { client: client.map_err(|error| CliError::usage(error.to_string()))? });
    }
    let mut clients = BTreeMap::new();
    for entry in &arguments.map {
        let (organization, client) = entry
            .split_once('=')
            .ok_or_else(|| CliError::usage(format!("--map {entry}: expected ORGANIZATION=CLIENT")))?;
        add(&mut clients, organization, client).map_err(|why| CliError::usage(format!("--map {entry}: {why}")))?;
    }
    if let Some(path) = &arguments.map_file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let hint = if error.kind() == std::io::ErrorKind::InvalidData { "; save it as UTF-8 text" } else { "" };
            CliError::usage(format!("{}: {error}{hint}", path.display()))
        })?;
        // Spreadsheets begin a file with a byte-order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for (number, line) in
            text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        {
            let fault = |why: &str| CliError::usage(format!("{} line {}: {why}", path.display(), number + 1));
            let (organization, client) = line.split_once(',').ok_or_else(|| fault("expected organization,client"))?;
            add(&mut clients, organization, client).map_err(|why| fault(&why))?;
        }
    }
    let ignored = arguments.ignore.iter().map(|id| organization_id(id).map(ToOwned::to_owned));
    let ignored: Result<BTreeSet<String>, String> = ignored.collect();
    let ignored = ignored.map_err(|why| CliError::usage(format!("--ignore: {why}")))?;
    if let Some(both) = ignored.iter().find(|id| clients.contains_key(*id)) {
        return Err(CliError::usage(format!("organization {both} is mapped and ignored: choose one")));
    }
    Ok(Mapping::ByOrganization { clients, ignored })
}

fn add(clients: &mut BTreeMap<String, ClientId>, organization: &str, client: &str) -> Result<(), String> {
    let organization = organization_id(organization)?;
    let client = ClientId::parse(unquoted(client)).map_err(|error| error.to_string())?;
    match clients.insert(organization.to_owned(), client.clone()) {
        Some(other) if other != client => {
            Err(format!("organization {organization} has two clients, {other} and {client}"))
        }
        _ => Ok(()),
    }
}

/// A field as spreadsheets may write it.
fn unquoted(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map_or(field, str::trim)
}

/// The id of an organization as Huntress has it: a number, or a word with a digit in it. Anything else would map nobody without a word: the name of a column,
/// a number as a spreadsheet shows it, a remark.
fn organization_id(text: &str) -> Result<&str, String> {
    let id = unquoted(text);
    if id.is_empty() {
        return Err("the organization is missing".to_owned());
    }
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if plain && id.bytes().any(|byte| byte.is_ascii_digit()) {
        return Ok(id);
    }
    let whole = id.split_once(['.', ',']).filter(|(whole, rest)| {
        !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit()) && rest.bytes().all(|byte| byte == b'0')
    });
    Err(match whole {
        Some((whole, _)) => format!("{id} is no organization id; write {whole}"),
        None => format!("{id} is no organization id, which is a number as in 30417"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(map: &[&str], ignore: &[&str]) -> MappingArguments {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        MappingArguments { client: None, map: owned(map), map_file: None, ignore: owned(ignore) }
    }

    #[test]
    fn contradictions_are_refused() {
        let company = CompanyId::parse("acme").unwrap();
        assert!(
            matches!(read(&arguments(&[], &[]), &company), Ok(Mapping::OneClient { client }) if client.as_str() == "acme")
        );
        assert!(
            matches!(read(&arguments(&["1=a", "2=a"], &["3"]), &company), Ok(Mapping::ByOrganization { clients, .. }) if clients.len() == 2)
        );
        for bad in [&["1"][..], &["1="], &["=a"], &["1=a", "1=b"], &["1=a#b"], &["one=a"], &["1.0=a"], &["# 1=a"]] {
            assert!(read(&arguments(bad, &[]), &company).is_err(), "{bad:?}");
        }
        assert!(read(&arguments(&["1=a"], &["3.0"]), &company).is_err());
        assert!(read(&arguments(&["1=a"], &["1"]), &company).is_err());
    }
}
