//! `connections`: lists them.

use crate::arguments::Listing;
use crate::commands::{faults, open_to_read};
use crate::outcome::CliError;
use crate::render;
use common::api::views::ConnectionList;
use common::app::stack::Stack;
use common::domain::mapping::Mapping;

pub async fn run(options: Listing) -> Result<(), CliError> {
    let (stack, _) = open_to_read(&options.storage).await?;
    let Ok(connections) = stack.parts.connections();
    let connections = connections.list(&options.storage.company).await.map_err(|error| faults::unusable(&error))?;
    let now = stack.parts.huntress.clock.now();
    stack.close().await;
    if options.json {
        return render::json(&ConnectionList::at(connections, now));
    }
    if connections.is_empty() {
        return render::text("no connections yet; begin with: huntress-evidence connect edr\n");
    }
    let mut table =
        render::table(&["connection", "product", "status", "clients", "last attempt", "last success", "next run"]);
    for connection in &connections {
        let clients = match &connection.mapping {
            Mapping::OneClient { client } => client.to_string(),
            mapping @ Mapping::ByOrganization { .. } => match mapping.clients().len() {
                1 => "1 client".to_owned(),
                number => format!("{number} clients"),
            },
        };
        let warning = connection.credential_term.expiry(now).and_then(|expiry| expiry.warning(now));
        let status = match warning {
            Some(warning) => format!("{}; the credential {warning}", connection.status),
            None => connection.status.to_string(),
        };
        let next = if connection.paused { "paused".to_owned() } else { render::time_or_dash(connection.next_run_at) };
        table.add_row([
            connection.id.to_string(),
            connection.product.to_string(),
            status,
            clients,
            render::time_or_dash(connection.last_attempt_at),
            render::time_or_dash(connection.last_success_at),
            next,
        ]);
    }
    render::text(&format!("{table}\n"))
}
