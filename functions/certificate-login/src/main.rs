//! certificate-login
fn main() {}
