//! Builds again when a mapping file or a migration is added: both folders are compiled in whole.

fn main() {
    println!("cargo:rerun-if-changed=config");
    println!("cargo:rerun-if-changed=migrations");
}
