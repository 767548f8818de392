//! The built-in mapping files, altered.

use hubferry::mapping::{Mapping, Vars};

/// The built-in files, with one text replaced in each of some: file, text, new text.
pub fn files(changes: &[(&str, &str, &str)]) -> Option<Mapping> {
    files_and(changes, &[])
}

/// The same, with further files: name, text.
pub fn files_and(changes: &[(&str, &str, &str)], further: &[(&str, &str)]) -> Option<Mapping> {
    const FILES: [&str; 5] = [
        "objects.toml",
        "mappings/user.toml",
        "mappings/business.toml",
        "mappings/dispute.toml",
        "mappings/milestone.toml",
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let config = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    std::fs::create_dir(folder.path().join("mappings")).expect("a folder");
    for name in FILES {
        let mut text = std::fs::read_to_string(config.join(name)).expect("a file");
        for (_, from, to) in changes.iter().filter(|(file, ..)| name.ends_with(file)) {
            assert!(text.contains(from), "{name} lacks {from}");
            text = text.replacen(from, to, 1);
        }
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    for (name, text) in further {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    Some(Mapping::load(folder.path(), &Vars::default()).expect("good files"))
}
