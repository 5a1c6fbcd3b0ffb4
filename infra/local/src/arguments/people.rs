//! The commands about the training of people.

use super::CollectionArguments;
use clap::Args;
use common::domain::sat::Caps;
use common::domain::sat::id::SatId;

#[derive(Debug, Args)]
pub struct CollectTraining {
    #[command(flatten)]
    pub collection: CollectionArguments,
    /// An assignment that counts: in progress, completed or draft; can be repeated
    #[arg(long = "assignment", value_name = "ID", required = true, num_args = 1.., value_parser = assignment)]
    pub assignments: Vec<SatId>,
    /// Requests a minute that we allow ourselves instead of the vendor's 200 a minute and 1,500 an hour; 0 for no limiter of our own
    #[arg(long, value_name = "N")]
    pub requests_per_minute: Option<u32>,
    /// Read at most so many assignments
    #[arg(long, value_name = "N", default_value_t = Caps::default().assignments)]
    pub max_assignments: u64,
    /// Read at most so many records of a list of an assignment
    #[arg(long, value_name = "N", default_value_t = Caps::default().activity_per_assignment)]
    pub max_activity: u64,
}

fn assignment(text: &str) -> Result<SatId, String> {
    SatId::parse(text).map_err(|error| error.to_string())
}
