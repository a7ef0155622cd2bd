//! Brings the revocations table to the issuers' lists, on a schedule.
