//! `setup`: the steps to a key of a product, and what to do about its troubles.

use crate::arguments::ProductName;
use crate::outcome::CliError;
use crate::render;
use clap::Args;

#[derive(Debug, Args)]
pub struct Options {
    /// The product
    pub product: ProductName,
}

pub fn run(options: &Options) -> Result<(), CliError> {
    render::text(&render::setup(options.product.into()))
}
