//! password-login
