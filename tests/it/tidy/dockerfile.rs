//! The container image is built of what the Dockerfile copies, and of nothing else.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Does in an empty folder what the first stage of the Dockerfile does, with `cargo check` for `cargo
/// build`: what is missing there is missing here.
#[test]
fn the_image_builds_of_what_the_dockerfile_copies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = tempfile::tempdir().unwrap();
    let mut steps = 0;
    for (instruction, words) in first_stage(&fs::read_to_string(root.join("Dockerfile")).unwrap()) {
        match instruction.as_str() {
            "COPY" => copy(root, place.path(), &words),
            "RUN" => {
                run(root, place.path(), &words);
                steps += words.matches("cargo build").count();
            }
            "FROM" | "WORKDIR" => {}
            other => panic!("a test knows nothing of {other}"),
        }
    }
    assert_eq!(steps, 2, "the dependencies, then the program");
}

/// The instructions up to the second image, with their words on one line.
fn first_stage(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let instructions = joined.lines().filter_map(|line| line.split_once(' '));
    let mut images = 0;
    instructions
        .take_while(|(instruction, _)| {
            images += usize::from(*instruction == "FROM");
            images < 2
        })
        .map(|(instruction, words)| (instruction.to_owned(), words.to_owned()))
        .collect()
}

/// Files go into the folder that is named last, a folder's contents too.
fn copy(root: &Path, place: &Path, words: &str) {
    let mut names: Vec<&str> = words.split_whitespace().collect();
    let to = place.join(names.pop().unwrap());
    let sent = fs::read_to_string(root.join(".dockerignore")).unwrap();
    for name in names {
        let top = format!("!{}", name.split('/').next().unwrap());
        assert!(sent.lines().any(|line| line == top), "{name} is not sent to the builder");
        let from = root.join(name);
        let to = if words.ends_with('/') { to.join(name) } else { to.clone() };
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&from, &to).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests' own settings")]
fn run(root: &Path, place: &Path, words: &str) {
    let words = words.replace("cargo build --locked --release", "cargo check --locked");
    // What is compiled of the dependencies already is taken as it is.
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let done = Command::new("sh")
        .args(["-ec", &words])
        .current_dir(place)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{words}:\n{said}");
}
