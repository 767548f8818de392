//! The list of sabotage keeps up with the code.

use std::fs;
use std::path::Path;

#[test]
fn each_promise_that_is_broken_on_purpose_has_its_line_and_its_test() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = fs::read_to_string(home.join("tests/sabotage.toml")).unwrap();
    let list: toml::Table = list.parse().unwrap();
    let breaks = list["break"].as_array().unwrap();
    assert!(breaks.len() > 10, "{}", breaks.len());
    for one in breaks {
        let text = |key: &str| one.get(key).and_then(toml::Value::as_str);
        let (promise, file) = (text("promise").unwrap(), text("file").unwrap());
        let whole = fs::read_to_string(home.join(file)).expect(file);
        let line = text("line").unwrap();
        assert_eq!(whole.matches(line).count(), 1, "`{promise}`: {file} does not say once {line}");
        assert_ne!(text("by"), Some(line), "{promise}");
        if let Some((module, name)) = text("test").and_then(|test| test.rsplit_once("::")) {
            let file = home.join("tests/it").join(module.replace("::", "/")).with_extension("rs");
            let tests = fs::read_to_string(&file).expect(module);
            assert!(tests.contains(&format!("fn {name}")), "{promise}: no test {name}");
        }
    }
}
