//! A capture file that a stranger wrote.

#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let _ = igbctl::capture::parse(file);
});
