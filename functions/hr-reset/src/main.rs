//! hr-reset
fn main() {}
