//! Reads the template, which the stand-in deploys at every start.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

#[path = "src/template/form.rs"]
mod form;

fn main() -> Result<(), Box<dyn Error>> {
    let template = "../template.yaml";
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/template/form.rs");
    println!("cargo::rerun-if-changed={template}");
    let read = form::read(&fs::read_to_string(template)?)?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    fs::write(out.join("template.json"), read.to_string())?;
    Ok(())
}
