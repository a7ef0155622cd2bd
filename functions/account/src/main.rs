//! account
fn main() {}
