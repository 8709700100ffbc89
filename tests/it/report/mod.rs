//! Reports of runs made by hand: every verdict, hostile bytes, event files cut anywhere.

mod any;
mod browser;
mod browsers;
mod chromium;
mod files;
mod history;
mod history_pages;
mod html;
mod junit;
mod made;
mod markdown;
mod openmetrics;
mod parts;
mod percentiles;
pub(crate) mod schema;
mod sorting;
mod terminal;
mod uncaught;
