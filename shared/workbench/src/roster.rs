//! Rosters of any size: people who do not exist, in agencies of a thousand.

use std::fmt::Write as _;

/// The header.
pub const HEADER: &str = "national_id,name,agency,agency_name,agency_oid,status,roles,authorized_agencies\n";

/// A national ID with a good checksum, another one for each number below twenty million.
#[must_use]
pub fn national_id(number: u32) -> String {
    // Z is 33, which adds nothing to the sum: 3 × 1 + 3 × 9 = 30.
    let gender = 1 + number / 10_000_000 % 2;
    let digits = format!("{gender}{:07}", number % 10_000_000);
    let sum: u32 =
        digits.bytes().zip((1..=8).rev()).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    format!("Z{digits}{}", (10 - sum % 10) % 10)
}

/// The row of a person; `name` tells versions of a file apart.
#[must_use]
pub fn row(number: u32, name: &str) -> String {
    let agency = number / 1000;
    format!("{},{name},R{agency:04},第{agency}機關,,in_service,,\n", national_id(number))
}

/// A file of the people below `count`, of whom `changed` have another name.
#[must_use]
pub fn write(count: u32, changed: u32) -> String {
    let mut file = String::with_capacity(HEADER.len() + count as usize * 60);
    file.push_str(HEADER);
    let every = count.checked_div(changed);
    for number in 0..count {
        let is_changed = every.is_some_and(|every| number.is_multiple_of(every));
        let name = if is_changed { "改名人" } else { "某某人" };
        let _ = file.write_str(&row(number, name));
    }
    file
}
