//! Makes JSON of the API's description, once for all tests.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let description = "../infra/openapi.yaml";
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={description}");
    let document: Value = serde_yaml_ng::from_str(&fs::read_to_string(description)?)?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    fs::write(out.join("openapi.json"), document.to_string())?;
    Ok(())
}
