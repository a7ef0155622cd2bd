//! Passwords that were leaked, by how often: a list that ships with the binary, as a compact automaton. How it was made is
//! told in `shared/workbench/examples/leaked.rs`.

use std::sync::LazyLock;

use fst::Map;
use fst::raw::Output;

/// The list: each password in lower case, with its rank.
static LIST: LazyLock<Option<Map<&'static [u8]>>> =
    LazyLock::new(|| Map::new(include_bytes!("leaked.fst").as_slice()).ok());

/// Longest password of the list that is looked for, in characters.
const LONGEST: usize = 24;

/// The leaked passwords that `text`, in lower case, begins with: where they end, and their ranks, 1 being the commonest.
pub(super) fn beginning(text: &[char]) -> Vec<(usize, u64)> {
    let mut found = Vec::new();
    let Some(list) = LIST.as_ref().map(Map::as_fst) else { return found };
    let (mut node, mut output) = (list.root(), Output::zero());
    for (place, c) in text.iter().take(LONGEST).enumerate() {
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            let Some(way) = node.find_input(byte) else { return found };
            let transition = node.transition(way);
            output = output.cat(transition.out);
            node = list.node(transition.addr);
        }
        if node.is_final() {
            found.push((place.saturating_add(1), output.cat(node.final_output()).value()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_there_and_its_commonest_are_found() {
        let ranks = |text: &str| beginning(&text.chars().collect::<Vec<_>>());
        let list = LIST.as_ref().unwrap();
        assert!(list.len() >= 90_000, "{} passwords", list.len());
        for common in ["123456", "password", "qwerty", "1qaz2wsx", "welcome", "iloveyou"] {
            let rank = ranks(common).into_iter().find(|(end, _)| *end == common.len()).unwrap().1;
            assert!((1..5000).contains(&rank), "{common}: {rank}");
        }
        assert_eq!(ranks("kv9-mq2xt7pl"), []);
        assert_eq!(ranks(""), []);
    }
}
