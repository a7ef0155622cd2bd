//! Entries become links.

use std::collections::{BTreeMap, HashMap};

use futures_util::stream::{self, StreamExt as _};
use shared::audit::EntryKey;
use shared::audit::canonical::Digest;
use shared::audit::chain::{Link, Unchained};
use shared::store::chains::{Added, LINKS_AT_ONCE, place_key};
use shared::store::{CommitError, StoreError};

use crate::AuditChain;

/// Chains that are written side by side.
const SIDE_BY_SIDE: usize = 16;
/// How often links are made anew because another has added to the chain meanwhile.
const TRIES: u32 = 50;

/// What became of entries.
#[derive(Debug, Default)]
pub(crate) struct Chained {
    /// How many are links now.
    pub(crate) new: u64,
    /// How many were already.
    pub(crate) known: u64,
    /// Entries that are chained with another digest than they have now: somebody has changed them.
    pub(crate) altered: Vec<EntryKey>,
    /// Entries that could not be chained, with why.
    pub(crate) failed: Vec<(EntryKey, String)>,
}

impl AuditChain {
    /// Chains entries: those of one chain in the order in which they come, chains side by side.
    pub(crate) async fn chain(&self, entries: Vec<Unchained>) -> Chained {
        let mut by_chain = BTreeMap::<u32, Vec<Unchained>>::new();
        for entry in entries {
            let of_chain = by_chain.entry(self.chains.of(&entry.key)).or_default();
            // A transaction refuses a key that comes twice.
            if of_chain.iter().all(|known| known.key != entry.key) {
                of_chain.push(entry);
            }
        }
        let work = by_chain.into_iter().map(|(chain, entries)| self.chain_all(chain, entries));
        let parts: Vec<Chained> = stream::iter(work).buffer_unordered(SIDE_BY_SIDE).collect().await;
        parts.into_iter().fold(Chained::default(), |mut all, part| {
            all.new += part.new;
            all.known += part.known;
            all.altered.extend(part.altered);
            all.failed.extend(part.failed);
            all
        })
    }

    async fn chain_all(&self, chain: u32, entries: Vec<Unchained>) -> Chained {
        let mut chained = Chained::default();
        for entries in entries.chunks(LINKS_AT_ONCE) {
            if let Err(error) = self.add(chain, entries.to_vec(), &mut chained).await {
                let reason = error.to_string();
                chained.failed.extend(entries.iter().map(|entry| (entry.key.clone(), reason.clone())));
            }
        }
        chained
    }

    /// Adds entries to a chain, all at once, but for those that are in it.
    async fn add(
        &self,
        chain: u32,
        mut entries: Vec<Unchained>,
        chained: &mut Chained,
    ) -> Result<(), CommitError> {
        for _ in 0..TRIES {
            if entries.is_empty() {
                return Ok(());
            }
            let mut end = self.store.end(&self.chains, chain).await?;
            let now = self.clock.now();
            let mut links = Vec::with_capacity(entries.len());
            for entry in &entries {
                let link = Link::after(end, chain, entry.clone(), now);
                end = link.end();
                links.push(link);
            }
            match self.store.add(&links).await? {
                Added::All => {
                    chained.new += links.len() as u64;
                    return Ok(());
                }
                Added::Moved => {}
                Added::Known(known) => {
                    let known: HashMap<String, Digest> = known.into_iter().collect();
                    entries.retain(|entry| match known.get(&place_key(&entry.key)) {
                        None => true,
                        Some(digest) => {
                            chained.known += 1;
                            if *digest != entry.digest {
                                chained.altered.push(entry.key.clone());
                            }
                            false
                        }
                    });
                }
            }
        }
        Err(StoreError::Service("others add to the same chain again and again".to_owned()).into())
    }
}
