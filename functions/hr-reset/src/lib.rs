//! hr-reset
