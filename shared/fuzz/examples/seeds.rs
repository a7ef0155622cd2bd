//! Writes the seeds that are made, not found, unless they are there: CAs into `authority/`, and certificates, lists and OCSP
//! responses into `seeds/`, each of one kind that a reader may stumble over. `cargo run -p fuzz --example seeds`

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a tool for whoever works on the targets")]

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use workbench::authority::{Algorithm, Authority, START, citizen_card};
use workbench::damage::split;
use workbench::list::{Entry, Heading, element, ocsp_response, signed, signed_as, write, write_raw};

const DAY: i64 = 86_400;

fn main() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = authority(&folder, "root", "政府憑證總管理中心 (test)", None);
    let citizens = authority(&folder, "citizens", "內政部憑證管理中心 (test)", Some(&root));
    let agencies = authority(&folder, "agencies", "政府憑證管理中心 (test)", Some(&root));
    certificates(&folder.join("seeds/certificate"), &citizens, &agencies);
    lists(&folder.join("seeds/list"), &citizens);
    responses(&folder.join("seeds/ocsp"), &citizens, &agencies);
    texts(&folder.join("seeds"), &citizens);
}

fn authority(folder: &Path, file: &str, name: &str, above: Option<&Authority>) -> Authority {
    let folder = folder.join("authority");
    std::fs::create_dir_all(&folder).unwrap();
    let (certificate, key) = (folder.join(format!("{file}.pem")), folder.join(format!("{file}.key.pem")));
    if !certificate.exists() {
        let made = Authority::with_key(name, Algorithm::P256, Algorithm::P256.key(), above);
        std::fs::write(&certificate, made.pem()).unwrap();
        std::fs::write(&key, made.key_pem()).unwrap();
    }
    let read = |path| std::fs::read_to_string(path).unwrap();
    Authority::read(&read(certificate), &read(key), Algorithm::P256)
}

/// A seed that is there already stays as it is: no two signatures are the same.
fn save(folder: &Path, name: &str, content: &[u8]) {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    if !path.exists() {
        std::fs::write(path, content).unwrap();
    }
}

/// A TBSCertificate, element by element, each DER.
#[derive(Clone)]
struct Contents {
    version: Vec<u8>,
    serial: Vec<u8>,
    algorithm: Vec<u8>,
    issuer: Vec<u8>,
    validity: Vec<u8>,
    subject: Vec<u8>,
    key: Vec<u8>,
    extensions: Vec<Vec<u8>>,
}

impl Contents {
    /// Those of a certificate as a CA issues it.
    fn of(der: &[u8]) -> Self {
        let mut rest = split(split(split(der).unwrap().content).unwrap().content).unwrap();
        let mut next = || {
            let element = rest.element.to_vec();
            rest = split(rest.rest).unwrap_or(rest);
            element
        };
        let (version, serial, algorithm, issuer) = (next(), next(), next(), next());
        let (validity, subject, key, all) = (next(), next(), next(), next());
        let mut rest = split(split(&all).unwrap().content).unwrap().content;
        let mut extensions = Vec::new();
        while let Some(extension) = split(rest) {
            extensions.push(extension.element.to_vec());
            rest = extension.rest;
        }
        Self { version, serial, algorithm, issuer, validity, subject, key, extensions }
    }

    fn to_be_signed(&self) -> Vec<u8> {
        let mut all = [
            &self.version,
            &self.serial,
            &self.algorithm,
            &self.issuer,
            &self.validity,
            &self.subject,
            &self.key,
        ]
        .map(Vec::as_slice)
        .concat();
        if !self.extensions.is_empty() {
            all.extend(element(0xa3, &element(0x30, &self.extensions.concat())));
        }
        element(0x30, &all)
    }

    fn without(mut self, identifier: &[u8]) -> Self {
        let named = [&[6, 3][..], identifier].concat();
        self.extensions.retain(|extension| !split(extension).unwrap().content.starts_with(&named));
        self
    }

    fn with(mut self, identifier: &[u8], critical: bool, value: &[u8]) -> Self {
        self = self.without(identifier);
        self.extensions.push(extension(identifier, critical, value));
        self
    }
}

/// An extension 2.5.29.x.
fn extension(identifier: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { &[1, 1, 0xff][..] } else { &[] };
    element(0x30, &[&element(6, identifier), critical, &element(4, value)].concat())
}

/// A name with a common name and a serial number, each a string of that tag.
fn name(tag: u8, common_name: &[u8]) -> Vec<u8> {
    let attribute = |identifier: &[u8], tag, value: &[u8]| {
        element(0x31, &element(0x30, &[element(6, identifier), element(tag, value)].concat()))
    };
    let parts =
        [attribute(&[0x55, 4, 3], tag, common_name), attribute(&[0x55, 4, 5], 0x13, b"0000000112345678")];
    element(0x30, &parts.concat())
}

fn validity(tag: u8, from: &str, to: &str) -> Vec<u8> {
    element(0x30, &[element(tag, from.as_bytes()), element(tag, to.as_bytes())].concat())
}

/// A distribution point by address.
fn distribution_point(address: &str) -> Vec<u8> {
    element(0x30, &element(0xa0, &element(0xa0, &element(0x86, address.as_bytes()))))
}

fn certificates(folder: &Path, citizens: &Authority, agencies: &Authority) {
    let der = |pem: &str| fuzz::world::from_pem(pem).unwrap();
    let card = citizen_card(&[0x4a; 16]);
    save(folder, "accepted-citizen.der", &der(&citizens.issue(&card)));
    let citizen = std::fs::read(folder.join("accepted-citizen.der")).unwrap();
    save(folder, "accepted-citizen-rsa.der", &der(&citizens.issue_for(&card, &Algorithm::Rsa2048.key())));
    let mut agency = citizen_card(&[0x4b; 16]);
    agency.custom_extensions.pop();
    let oid = element(0x13, b"2.16.886.101.90001");
    let attribute = [element(6, &[0x60, 0x86, 0x76, 1, 0x64, 2, 0x66]), element(0x31, &oid)].concat();
    let attributes = element(0x30, &element(0x30, &attribute));
    agency.custom_extensions.push(rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 9], attributes));
    save(folder, "accepted-organization.der", &der(&agencies.issue(&agency)));

    let good = Contents::of(&citizen);
    let issued = |name: &str, change: &dyn Fn(Contents) -> Contents| {
        let contents = change(good.clone()).to_be_signed();
        save(folder, &format!("{name}.der"), &signed(citizens, &contents));
    };
    const USAGE: &[u8] = &[0x55, 0x1d, 15];
    const CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
    const EXTENDED: &[u8] = &[0x55, 0x1d, 37];
    const ATTRIBUTES: &[u8] = &[0x55, 0x1d, 9];
    const POINTS: &[u8] = &[0x55, 0x1d, 31];
    const POLICIES: &[u8] = &[0x55, 0x1d, 32];
    issued("serial-of-30-bytes", &|c| Contents { serial: element(2, &[0x5a; 30]), ..c });
    issued("serial-of-20-bytes", &|c| Contents { serial: element(2, &[0x5a; 20]), ..c });
    issued("serial-negative", &|c| Contents { serial: element(2, &[0x80, 1]), ..c });
    issued("serial-zero", &|c| Contents { serial: element(2, &[0]), ..c });
    issued("serial-not-shortest", &|c| Contents { serial: element(2, &[0, 0, 5]), ..c });
    issued("serial-empty", &|c| Contents { serial: element(2, &[]), ..c });
    issued("name-bmp", &|c| Contents { subject: name(0x1e, &[0x73, 0x8b, 0x59, 0x27, 0x66, 0x0e]), ..c });
    issued("name-bmp-half", &|c| Contents { subject: name(0x1e, &[0x73, 0x8b, 0x59]), ..c });
    issued("name-big5-as-utf8", &|c| Contents { subject: name(0x0c, b"\xa4\xfd\xa4j\xa9\xfa"), ..c });
    issued("name-big5-as-teletex", &|c| Contents { subject: name(0x14, b"\xa4\xfd\xa4j\xa9\xfa"), ..c });
    issued("name-printable-with-umlaut", &|c| Contents { subject: name(0x13, "Müller".as_bytes()), ..c });
    issued("name-universal", &|c| Contents { subject: name(0x1c, &[0, 0, 0x73, 0x8b]), ..c });
    issued("name-empty", &|c| Contents { subject: element(0x30, &[]), ..c });
    issued("version-1", &|c| Contents { version: Vec::new(), extensions: Vec::new(), ..c });
    issued("version-4", &|c| Contents { version: element(0xa0, &[2, 1, 3]), ..c });
    issued("expired", &|c| Contents { validity: validity(0x17, "200101000000Z", "210101000000Z"), ..c });
    issued("not-yet-valid", &|c| Contents {
        validity: validity(0x17, "300101000000Z", "310101000000Z"),
        ..c
    });
    issued("validity-generalized-before-2050", &|c| Contents {
        validity: validity(0x18, "20260101000000Z", "20310101000000Z"),
        ..c
    });
    issued("validity-with-offset", &|c| Contents {
        validity: validity(0x17, "260101000000+0800", "310101000000+0800"),
        ..c
    });
    issued("validity-without-end", &|c| Contents {
        validity: element(
            0x30,
            &[element(0x17, b"260101000000Z"), element(0x18, b"99991231235959Z")].concat(),
        ),
        ..c
    });
    issued("key-rsa-1024", &|c| Contents { key: rsa_key(128), ..c });
    issued("key-p521", &|c| Contents { key: curve_key(&[0x2b, 0x81, 4, 0, 35], 132), ..c });
    issued("key-not-on-curve", &|c| Contents {
        key: curve_key(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], 64),
        ..c
    });
    issued("key-ed25519", &|c| Contents {
        key: element(0x30, &[element(0x30, &[6, 3, 0x2b, 0x65, 0x70]), element(3, &[0; 33])].concat()),
        ..c
    });
    issued("extension-twice", &|mut c| {
        c.extensions.push(c.extensions[0].clone());
        c
    });
    issued("extension-critical-unknown", &|c| c.with(&[0x55, 0x1d, 99], true, &[5, 0]));
    issued("extension-long", &|c| c.with(&[0x55, 0x1d, 99], false, &[0; 4_000]));
    issued("key-usage-none", &|c| c.without(USAGE));
    issued("key-usage-encipherment", &|c| c.with(USAGE, true, &[3, 2, 5, 0x20]));
    issued("key-usage-empty", &|c| c.with(USAGE, true, &[3, 1, 0]));
    issued("key-usage-nine-bits", &|c| c.with(USAGE, true, &[3, 3, 7, 0x80, 0x80]));
    issued("key-usage-unused-bits", &|c| c.with(USAGE, true, &[3, 2, 7, 0x82]));
    issued("ca", &|c| c.with(CONSTRAINTS, true, &[0x30, 3, 1, 1, 0xff]));
    issued("ca-false-written", &|c| c.with(CONSTRAINTS, true, &[0x30, 3, 1, 1, 0]));
    issued("extended-key-usage-server", &|c| {
        c.with(EXTENDED, false, &element(0x30, &element(6, &[0x2b, 6, 1, 5, 5, 7, 3, 1])))
    });
    issued("extended-key-usage-any", &|c| {
        c.with(EXTENDED, false, &element(0x30, &element(6, &[0x55, 0x1d, 37, 0])))
    });
    issued("extended-key-usage-empty", &|c| c.with(EXTENDED, false, &[0x30, 0]));
    issued("attributes-none", &|c| c.without(ATTRIBUTES));
    issued("attributes-cut", &|c| c.with(ATTRIBUTES, false, &[0x30, 5, 1]));
    issued("attributes-twice-the-digits", &|c| {
        let digits = element(0x13, b"6789");
        let tail = [0x60, 0x86, 0x76, 1, 0x64, 2, 0x33];
        let attribute = element(0x30, &[element(6, &tail), element(0x31, &digits.repeat(2))].concat());
        c.with(ATTRIBUTES, false, &element(0x30, &attribute.repeat(2)))
    });
    issued("policies-any", &|c| {
        c.with(POLICIES, true, &element(0x30, &element(0x30, &element(6, &[0x55, 0x1d, 32, 0]))))
    });
    issued("policies-other", &|c| {
        let policy = [0x60, 0x86, 0x76, 1, 0x64, 0, 1];
        c.with(POLICIES, false, &element(0x30, &element(0x30, &element(6, &policy))))
    });
    issued("policies-none", &|c| c.without(POLICIES));
    issued("distribution-points", &|c| {
        let points: Vec<u8> =
            (0..12).flat_map(|i| distribution_point(&format!("http://crl.test/{i}.crl"))).collect();
        c.with(POINTS, false, &element(0x30, &points))
    });
    issued("distribution-point-relative", &|c| {
        let relative = element(0x30, &[element(6, &[0x55, 4, 3]), element(0x0c, b"1")].concat());
        c.with(POINTS, false, &element(0x30, &element(0x30, &element(0xa0, &element(0xa1, &relative)))))
    });
    issued("distribution-point-of-another-issuer", &|c| {
        let issuer = element(0xa2, &element(0xa4, &c.issuer));
        c.with(POINTS, false, &element(0x30, &element(0x30, &issuer)))
    });
    issued("distribution-points-cut", &|c| c.with(POINTS, false, &[0x30, 0x80, 1]));
    let sha1 = element(0x30, &element(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]));
    let contents = Contents { algorithm: sha1.clone(), ..good.clone() }.to_be_signed();
    save(folder, "algorithm-sha1.der", &signed_as(citizens, &contents, &sha1));
    issued("algorithm-inside-differs", &|c| Contents {
        algorithm: Algorithm::Rsa2048.identifier().to_vec(),
        ..c
    });
    issued("of-the-agencies", &|c| Contents { issuer: Contents::of(&der(agencies.pem())).subject, ..c });
    save(folder, "cut-in-the-middle.der", &citizen[..citizen.len() / 2]);
    save(folder, "cut-by-one.der", &citizen[..citizen.len() - 1]);
    save(folder, "something-after-it.der", &[&citizen[..], &[0]].concat());
    save(folder, "only-a-head.der", &[0x30, 0x82, 0xff, 0xff]);
    save(folder, "deep.der", &[0x30, 0x80].repeat(500));
}

fn rsa_key(octets: usize) -> Vec<u8> {
    let modulus = [vec![0], vec![0xc5; octets]].concat();
    let key = element(0x30, &[element(2, &modulus), element(2, &[1, 0, 1])].concat());
    let algorithm = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    element(0x30, &[algorithm.to_vec(), element(3, &[vec![0], key].concat())].concat())
}

fn curve_key(curve: &[u8], octets: usize) -> Vec<u8> {
    let algorithm = [element(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]), element(6, curve)].concat();
    let point = [vec![0, 4], vec![0x11; octets]].concat();
    element(0x30, &[element(0x30, &algorithm), element(3, &point)].concat())
}

fn lists(folder: &Path, citizens: &Authority) {
    let heading = Heading { number: 2_026_080_300, this_update: START, next_update: START + 7 * DAY };
    let full = write(citizens, heading, (0..5).map(Entry::sample));
    save(folder, "believed-full.der", &full);
    save(folder, "believed-empty.der", &write(citizens, heading, []));
    save(folder, "stale.der", &write(citizens, Heading { next_update: START + 1, ..heading }, []));
    save(
        folder,
        "of-tomorrow.der",
        &write(citizens, Heading { this_update: START + 3 * DAY, ..heading }, []),
    );
    save(folder, "cut-in-the-middle.der", &full[..full.len() / 2]);
    save(folder, "something-after-it.der", &[&full[..], &[0]].concat());

    // One entry of a kind: serial number, time, extensions.
    let since = element(0x17, b"260101000000Z");
    let entry = |name: &str, parts: &[&[u8]]| {
        let revoked = element(0x30, &parts.concat());
        save(folder, &format!("entry-{name}.der"), &write_raw(citizens, heading, &revoked));
    };
    let serial = element(2, &[0x4a; 16]);
    let extensions = |all: &[Vec<u8>]| element(0x30, &all.concat());
    let reason = |code: u8| extension(&[0x55, 0x1d, 21], false, &element(10, &[code]));
    entry("serial-of-30-bytes", &[&element(2, &[0x5a; 30]), &since]);
    entry("serial-negative", &[&element(2, &[0x80, 1]), &since]);
    entry("serial-zero", &[&element(2, &[0]), &since]);
    entry("serial-empty", &[&element(2, &[]), &since]);
    entry("generalized-time", &[&serial, &element(0x18, b"20260101000000Z")]);
    entry("time-without-seconds", &[&serial, &element(0x17, b"2601010000Z")]);
    entry("reason-7", &[&serial, &since, &extensions(&[reason(7)])]);
    entry("reason-remove", &[&serial, &since, &extensions(&[reason(8)])]);
    entry("reason-twice", &[&serial, &since, &extensions(&[reason(1), reason(4)])]);
    entry("no-extensions-in-it", &[&serial, &since, &[0x30, 0]]);
    let date = extension(&[0x55, 0x1d, 24], false, &element(0x18, b"20251231000000Z"));
    entry("invalidity-date", &[&serial, &since, &extensions(&[reason(1), date])]);
    let unknown = extension(&[0x55, 0x1d, 99], true, &[5, 0]);
    entry("critical-unknown", &[&serial, &since, &extensions(std::slice::from_ref(&unknown))]);
    let name = Contents::of(citizens.certificate()).subject;
    let issuer = extension(&[0x55, 0x1d, 29], true, &element(0x30, &element(0xa4, &name)));
    entry("certificate-issuer", &[&serial, &since, &extensions(&[issuer])]);
    let twice = [
        element(0x30, &[&serial[..], &since, &extensions(&[reason(1)])].concat()),
        element(0x30, &[&serial[..], &since, &extensions(&[reason(4)])].concat()),
    ];
    save(folder, "entry-twice.der", &write_raw(citizens, heading, &twice.concat()));

    // The list's own elements: version, algorithm, issuer, two times, entries, extensions.
    let parts: Vec<Vec<u8>> = {
        let (mut parts, mut rest) =
            (Vec::new(), split(split(split(&full).unwrap().content).unwrap().content));
        while let Some(part) = rest {
            parts.push(part.element.to_vec());
            rest = split(part.rest);
        }
        parts
    };
    let number = extension(&[0x55, 0x1d, 20], false, &element(2, &[1]));
    let with = |name: &str, all: &[Vec<u8>]| {
        let mut parts = parts.clone();
        parts[6] = element(0xa0, &element(0x30, &all.concat()));
        save(folder, &format!("{name}.der"), &signed(citizens, &element(0x30, &parts.concat())));
    };
    let point = |content: &[u8]| extension(&[0x55, 0x1d, 28], true, &element(0x30, content));
    let address = element(0xa0, &element(0xa0, &element(0x86, b"http://crl.test/1.crl")));
    with("number-none", &[]);
    with("number-of-21-bytes", &[extension(&[0x55, 0x1d, 20], false, &element(2, &[0x5a; 21]))]);
    with("number-negative", &[extension(&[0x55, 0x1d, 20], false, &element(2, &[0x80]))]);
    with("number-twice", &[number.clone(), number.clone()]);
    with("delta", &[number.clone(), extension(&[0x55, 0x1d, 27], true, &element(2, &[1]))]);
    with("critical-unknown", &[number.clone(), unknown]);
    with("point-empty", &[number.clone(), point(&[])]);
    with("point-address", &[number.clone(), point(&address)]);
    with("point-users", &[number.clone(), point(&element(0x81, &[0xff]))]);
    with("point-cas", &[number.clone(), point(&element(0x82, &[0xff]))]);
    with("point-users-and-cas", &[number.clone(), point(&[0x81, 1, 0xff, 0x82, 1, 0xff])]);
    with("point-some-reasons", &[number.clone(), point(&element(0x83, &[6, 0x40]))]);
    with("point-indirect", &[number.clone(), point(&element(0x84, &[0xff]))]);
    with("point-attributes", &[number.clone(), point(&element(0x85, &[0xff]))]);
    with("point-address-and-users", &[number.clone(), point(&[&address[..], &[0x81, 1, 0xff]].concat())]);
    let freshest =
        extension(&[0x55, 0x1d, 46], false, &element(0x30, &distribution_point("http://crl.test/d")));
    with("freshest", &[number, freshest]);
    let without = |name: &str, drop: usize| {
        let mut parts = parts.clone();
        parts.remove(drop);
        save(folder, &format!("{name}.der"), &signed(citizens, &element(0x30, &parts.concat())));
    };
    without("version-1", 0);
    without("next-update-none", 4);
    without("extensions-none", 6);
    let replaced = |name: &str, which: usize, by: Vec<u8>| {
        let mut parts = parts.clone();
        parts[which] = by;
        save(folder, &format!("{name}.der"), &signed(citizens, &element(0x30, &parts.concat())));
    };
    let sha1 = element(0x30, &element(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]));
    let mut old = parts.clone();
    old[1] = sha1.clone();
    let old = signed_as(citizens, &element(0x30, &old.concat()), &sha1);
    save(folder, "algorithm-sha1.der", &old);
    replaced("issuer-another", 2, element(0x30, &[]));
    replaced("entries-empty", 5, element(0x30, &[]));
    replaced("times-generalized", 3, element(0x18, b"20260803000000Z"));
}

fn responses(folder: &Path, citizens: &Authority, agencies: &Authority) {
    let id_of = |authority: &Authority, serial: &[u8]| {
        let contents = Contents::of(authority.certificate());
        let key =
            split(split(split(&contents.key).unwrap().content).unwrap().rest).unwrap().content[1..].to_vec();
        let sha1 = |bytes: &[u8]| element(4, digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
        let algorithm = element(0x30, &[6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0]);
        element(0x30, &[algorithm, sha1(&contents.subject), sha1(&key), element(2, serial)].concat())
    };
    let id = id_of(citizens, &[0x4a; 16]);
    let time = |text: &str| element(0x18, text.as_bytes());
    let (this, next) = (time("20260803230000Z"), element(0xa0, &time("20260804120000Z")));
    let good = element(0x80, &[]);
    let single = |id: &[u8], status: &[u8], this: &[u8], next: &[u8]| {
        element(0x30, &[id, status, this, next].concat())
    };
    let name = Contents::of(citizens.certificate()).subject;
    let data_of = |responder: &[u8], singles: &[Vec<u8>], extensions: &[u8]| {
        let responder = element(0xa1, responder);
        let singles = element(0x30, &singles.concat());
        element(0x30, &[&responder[..], &time("20260803230000Z"), &singles, extensions].concat())
    };
    let data = |singles: &[Vec<u8>], extensions: &[u8]| data_of(&name, singles, extensions);
    let basic = |signer: &Authority, data: &[u8], certificates: &[u8]| {
        let basic = signed(signer, data);
        ocsp_response(&element(0x30, &[split(&basic).unwrap().content, certificates].concat()))
    };
    let answer = |name: &str, singles: &[Vec<u8>]| {
        save(folder, &format!("{name}.der"), &basic(citizens, &data(singles, &[]), &[]));
    };
    let plain = single(&id, &good, &this, &next);
    answer("believed-good", std::slice::from_ref(&plain));
    let since = time("20260801000000Z");
    let reason = element(0xa0, &element(10, &[1]));
    let revoked = element(0xa1, &[&since[..], &reason].concat());
    answer("believed-revoked", &[single(&id, &revoked, &this, &next)]);
    answer("believed-unknown", &[single(&id, &element(0x82, &[]), &this, &next)]);
    answer("without-next-update", &[single(&id, &good, &time("20260803235900Z"), &[])]);
    answer(
        "stale",
        &[single(&id, &good, &time("20260801000000Z"), &element(0xa0, &time("20260802000000Z")))],
    );
    answer(
        "of-tomorrow",
        &[single(&id, &good, &time("20260805000000Z"), &element(0xa0, &time("20260806000000Z")))],
    );
    answer("twice", &[plain.clone(), single(&id, &revoked, &this, &next)]);
    answer("about-another", &[single(&id_of(citizens, &[0x4b; 16]), &good, &this, &next)]);
    answer("about-another-issuer", &[single(&id_of(agencies, &[0x4a; 16]), &good, &this, &next)]);
    answer("among-others", &[single(&id_of(citizens, &[1]), &revoked, &this, &next), plain.clone()]);
    answer("about-nothing", &[]);
    answer(
        "reason-99",
        &[single(&id, &element(0xa1, &[&since[..], &element(0xa0, &[10, 1, 99])].concat()), &this, &next)],
    );
    answer("utc-time", &[single(&id, &good, &element(0x17, b"260803230000Z"), &next)]);
    let nonce = |value: &[u8]| {
        let oid = element(6, &[0x2b, 6, 1, 5, 5, 7, 48, 1, 2]);
        element(0x30, &[oid, element(4, value)].concat())
    };
    let with = |name: &str, extensions: &[Vec<u8>]| {
        let extensions = element(0xa1, &element(0x30, &extensions.concat()));
        let data = data(std::slice::from_ref(&plain), &extensions);
        save(folder, &format!("{name}.der"), &basic(citizens, &data, &[]));
    };
    with("nonce", &[nonce(&element(4, &[7; 32]))]);
    with("nonce-twice", &[nonce(&element(4, &[7; 32])), nonce(&element(4, &[8; 32]))]);
    with("critical-unknown", &[extension(&[0x55, 0x1d, 99], true, &[5, 0])]);
    let data = data(std::slice::from_ref(&plain), &[]);
    save(folder, "signed-by-another.der", &basic(agencies, &data, &[]));

    // A delegated responder: a certificate of the issuer for signing answers.
    let key = Algorithm::P256.key();
    let mut card = citizen_card(&[0x4d; 16]);
    card.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::OcspSigning];
    let delegated = |name: &str, card: &rcgen::CertificateParams| {
        let certificate = fuzz::world::from_pem(&citizens.issue_for(card, &key)).unwrap();
        let subject = Contents::of(&certificate).subject;
        let data = data_of(&subject, std::slice::from_ref(&plain), &[]);
        let signature = element(3, &[&[0][..], &rcgen::SigningKey::sign(&key, &data).unwrap()].concat());
        let certificates = element(0xa0, &element(0x30, &certificate));
        let parts = [&data[..], Algorithm::P256.identifier(), &signature, &certificates].concat();
        save(folder, &format!("{name}.der"), &ocsp_response(&element(0x30, &parts)));
    };
    delegated("delegated", &card);
    let mut unchecked = card.clone();
    let no_check = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5], vec![5, 0]);
    unchecked.custom_extensions = vec![no_check];
    delegated("delegated-no-check", &unchecked);
    let mut client = card;
    client.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    delegated("delegated-to-a-card", &client);
    for status in 1..=6 {
        save(folder, &format!("status-{status}.der"), &element(0x30, &[10, 1, status]));
    }
    let good = basic(citizens, &data, &[]);
    save(folder, "cut-in-the-middle.der", &good[..good.len() / 2]);
}

fn texts(folder: &Path, citizens: &Authority) {
    let card = std::fs::read(folder.join("certificate/accepted-citizen.der")).unwrap();
    let card = fuzz::world::to_pem(&card);
    let event = folder.join("event");
    save(&event, "two-certificates.txt", [&card, citizens.pem()].concat().as_bytes());
    save(&event, "crlf.txt", card.replace('\n', "\r\n").as_bytes());
    save(&event, "one-line.txt", card.replace('\n', " ").as_bytes());
    save(&event, "other-label.txt", card.replace("CERTIFICATE", "X509 CERTIFICATE").as_bytes());
    save(&event, "not-base64.txt", card.replace('M', "*").as_bytes());
    save(&event, "text-before.txt", format!("subject=王大明\n{card}").as_bytes());
    save(&event, "no-end.txt", &card.as_bytes()[..card.len() - 10]);
    let issuers = folder.join("issuers");
    save(&issuers, "short.toml", citizens.profile("citizen", "").as_bytes());
    let lines = "family = \"MOICA\"\npolicies = [\"2.16.886.1.100.0.3\"]\ndirectory_attributes = \"required\"\n\
                 crl = [\"https://crl.test/complete.crl\", \"list.crl\"]\n[issuer.ocsp]\nurl = \"http://ocsp.test/\"\n\
                 nonce = false\nrequired = true\n";
    save(&issuers, "full.toml", citizens.profile("citizen", lines).as_bytes());
    let signer = format!("crl_signer_sha256 = \"{}\"\n", citizens.fingerprint());
    save(&issuers, "signer.toml", citizens.profile("organization", &signer).as_bytes());
    save(&issuers, "twice.toml", citizens.profile("citizen", "").repeat(2).as_bytes());
    save(&issuers, "unknown-key.toml", citizens.profile("citizen", "colour = \"red\"").as_bytes());
}
