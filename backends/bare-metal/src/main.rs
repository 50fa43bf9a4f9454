//! The image; on a host, a program that says what it would be.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![allow(unsafe_code, reason = "an image begins where nobody promises anything")]

#[cfg(all(target_os = "none", target_arch = "x86_64"))]
mod image;

#[cfg(not(target_os = "none"))]
fn main() {
    println!("This is an image for a machine without an operating system: see `cargo xtask image`.");
}
