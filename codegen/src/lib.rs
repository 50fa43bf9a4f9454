#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod diagnostic;
mod emit;
mod load;
pub mod model;
pub mod output;
pub mod raw;

pub use diagnostic::{Diagnostic, Diagnostics};
pub use emit::{Files, html, json, markdown, registers, svd, words};
pub use load::{load, load_texts};
