//! What the targets decide with: CAs whose keys everybody knows, a truststore, a moment.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use shared::certificate::{IssuerProfiles, Truststore};
use workbench::authority::{Algorithm, Authority, START};

/// The world of all targets.
pub static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// The serial number of the citizens' certificates among the seeds.
pub const CITIZEN: &str = "4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a";

/// CAs, and truststores that believe them.
#[derive(Debug)]
pub struct World {
    /// The CA above the issuing ones.
    pub root: Authority,
    /// Issues citizens' certificates. Pinned.
    pub citizens: Authority,
    /// Issues organizations' certificates. Pinned.
    pub agencies: Authority,
    /// Believes all three.
    pub truststore: Truststore,
    /// Believes the root alone, so that the issuing CAs are certificates to be checked.
    pub root_only: Truststore,
    /// When it all happens.
    pub now: Timestamp,
    certificates: Vec<Vec<u8>>,
    lists: Vec<Vec<u8>>,
    responses: Vec<Vec<u8>>,
}

impl World {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = |file: String| std::fs::read_to_string(folder.join("authority").join(file)).unwrap();
        let authority = |name: &str| {
            let (certificate, key) = (text(format!("{name}.pem")), text(format!("{name}.key.pem")));
            Authority::read(&certificate, &key, Algorithm::P256)
        };
        let (root, citizens, agencies) = (authority("root"), authority("citizens"), authority("agencies"));
        let profiles = [
            citizens.profile("citizen", "policies = [\"2.16.886.1.100.0.3\"]"),
            agencies.profile("organization", ""),
        ];
        let bundle = [root.pem(), citizens.pem(), agencies.pem()].concat();
        let profiles = IssuerProfiles::parse(&profiles.concat()).unwrap();
        Self {
            truststore: Truststore::new(bundle.as_bytes(), profiles).unwrap(),
            root_only: Truststore::new(root.pem().as_bytes(), IssuerProfiles::default()).unwrap(),
            now: Timestamp::from_second(START + 86_400).unwrap(),
            root,
            citizens,
            agencies,
            certificates: seeds("certificate").into_values().collect(),
            lists: seeds("list").into_values().collect(),
            responses: seeds("ocsp").into_values().collect(),
        }
    }

    /// The certificates among the seeds, DER: the issuers signed no others.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// The lists among the seeds, DER: the issuers signed no others.
    #[must_use]
    pub fn lists(&self) -> &[Vec<u8>] {
        &self.lists
    }

    /// The OCSP responses among the seeds, DER: the issuers signed no others.
    #[must_use]
    pub fn responses(&self) -> &[Vec<u8>] {
        &self.responses
    }

    /// The CAs below the root, PEM.
    #[must_use]
    pub fn intermediates(&self) -> String {
        [self.citizens.pem(), self.agencies.pem()].concat()
    }
}

/// A target's seeds, by the names of their files.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn seeds(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let files = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect()
}

/// DER as the gateway's event carries a certificate.
#[must_use]
pub fn to_pem(der: &[u8]) -> String {
    use std::fmt::Write as _;
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let bits =
                group.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
            for position in 0..4 {
                let character = ALPHABET[(bits >> (18 - 6 * position)) as usize & 63];
                let _ = text.write_char(if position > group.len() { '=' } else { char::from(character) });
            }
        }
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}

/// The first certificate in a text, as the decision takes it out.
#[must_use]
pub fn from_pem(text: &str) -> Option<Vec<u8>> {
    CertificateDer::from_pem_slice(text.as_bytes()).ok().map(|der| der.to_vec())
}
