//! Makes what the portal serves of `web/assets/`: each file under an address that names its content, and compressed.
//!
//! Modules import each other by their file's name. That becomes the address here, so an asset's address also names what
//! it imports, however indirectly, and a browser may keep all of them for ever.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new("web/assets");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", folder.display());

    let mut sources = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("a name that is no text")?;
        sources.insert(name.to_owned(), fs::read_to_string(&path)?);
    }
    let mut published = BTreeMap::new();
    for name in sources.keys() {
        publish(name, &sources, &mut published, &mut Vec::new())?;
    }

    let mut table = String::from("&[\n");
    for (name, asset) in &published {
        fs::write(out.join(name), &asset.content)?;
        fs::write(out.join(format!("{name}.br")), brotli(asset.content.as_bytes())?)?;
        fs::write(out.join(format!("{name}.gz")), gzip(asset.content.as_bytes())?)?;
        let file = |ending: &str| format!("concat!(env!(\"OUT_DIR\"), \"/{name}{ending}\")");
        writeln!(
            table,
            "Asset {{ name: {name:?}, address: {:?}, imports: &{:?}, identity: include_str!({}), brotli: include_bytes!({}), gzip: include_bytes!({}) }},",
            asset.address,
            asset.imports,
            file(""),
            file(".br"),
            file(".gz"),
        )?;
    }
    table.push(']');
    fs::write(out.join("assets.rs"), table)?;
    Ok(())
}

struct Published {
    address: String,
    content: String,
    /// What it imports itself, by name.
    imports: Vec<String>,
}

/// Publishes an asset after those that it imports. `above` are the ones that wait for it.
fn publish(
    name: &str,
    sources: &BTreeMap<String, String>,
    published: &mut BTreeMap<String, Published>,
    above: &mut Vec<String>,
) -> Result<(), Box<dyn Error>> {
    if published.contains_key(name) {
        return Ok(());
    }
    if above.iter().any(|waiting| waiting == name) {
        return Err(format!("{name} imports itself: {above:?}").into());
    }
    let source = sources.get(name).ok_or_else(|| format!("{above:?}: there is no asset {name}"))?;
    let mut imports: Vec<String> = source
        .split("\"./")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(name, _)| name.to_owned())
        .collect();
    // Types are imported in comments too, and the same module more than once.
    imports.sort();
    imports.dedup();
    above.push(name.to_owned());
    let mut content = source.clone();
    for imported in &imports {
        publish(imported, sources, published, above)?;
        let address = published.get(imported).map(|asset| asset.address.as_str()).unwrap_or_default();
        content = content.replace(&format!("\"./{imported}\""), &format!("\"{address}\""));
    }
    above.pop();
    let (stem, extension) = name.rsplit_once('.').ok_or_else(|| format!("{name} has no ending"))?;
    // The first 80 bits of SHA-256: enough that no two versions of a file meet.
    let digest = Sha256::digest(content.as_bytes());
    let fingerprint: String = digest.iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    let address = format!("/assets/{stem}.{fingerprint}.{extension}");
    published.insert(name.to_owned(), Published { address, content, imports });
    Ok(())
}

fn brotli(content: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut compressed = Vec::new();
    let parameters = BrotliEncoderParams { quality: 11, size_hint: content.len(), ..Default::default() };
    brotli::BrotliCompress(&mut &*content, &mut compressed, &parameters)?;
    Ok(compressed)
}

fn gzip(content: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}
