//! Loads the compiled-in mapping files, or a directory of the same form. No other part of the
//! mapping reads files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

use include_dir::{Dir, include_dir};

use super::{Mapping, MappingError, Vars, compile, examples, objects, spec::FileSpec};

const OBJECTS: &str = "objects.toml";
const MAPPINGS: &str = "mappings";
/// The size of the largest file, and the number of files, that are read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
const MAX_FILES: usize = 1000;

static BUILTIN_OBJECTS: &str = include_str!("../../config/objects.toml");
static BUILTIN_MAPPINGS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config/mappings");

impl Mapping {
    /// Compiles the built-in files.
    pub fn builtin(vars: &Vars) -> Result<Self, MappingError> {
        let files = BUILTIN_MAPPINGS.files().filter_map(|file| {
            Some((format!("{MAPPINGS}/{}", file.path().display()), file.contents_utf8()?))
        });
        let files: BTreeMap<String, &str> =
            files.filter(|(name, _)| name.ends_with(".toml")).collect();
        Self::compile(OBJECTS, BUILTIN_OBJECTS, &files, vars)
    }

    /// Compiles the files of `dir`, `objects.toml` and `mappings/*.toml`, instead of the built-in
    /// ones.
    pub fn load(dir: &Path, vars: &Vars) -> Result<Self, MappingError> {
        let objects = dir.join(OBJECTS);
        let text = read(&objects)?;
        let mut files = BTreeMap::new();
        for path in toml_files(&dir.join(MAPPINGS))? {
            files.insert(path.display().to_string(), read(&path)?);
        }
        Self::compile(&objects.display().to_string(), &text, &files, vars)
    }

    /// Compiles `objects.toml` and the mapping files. Each comes with the name that errors use for
    /// it.
    fn compile(
        objects_file: &str,
        objects_text: &str,
        files: &BTreeMap<String, impl AsRef<str>>,
        vars: &Vars,
    ) -> Result<Self, MappingError> {
        let objects = objects::parse(objects_file, objects_text)?;
        let mut mapping = Self { objects, outputs: BTreeMap::new() };
        for (file, text) in files {
            let mut spec: FileSpec = toml::from_str(text.as_ref()).map_err(|error| {
                MappingError::Syntax { file: file.clone(), message: error.to_string() }
            })?;
            let outputs = compile::outputs(file, &mut spec, &mapping.objects, vars)?;
            examples::run(file, &spec.entity, &outputs, &spec.examples)?;
            let siblings = mapping.outputs.entry(spec.entity).or_default();
            for output in &outputs {
                if siblings.iter().any(|sibling| sibling.name == output.name) {
                    let name = &output.name;
                    let problem =
                        format!("another file has an output `{name}` of this entity: keep one");
                    return Err(MappingError::invalid(file, "object", problem));
                }
            }
            siblings.extend(outputs);
        }
        Ok(mapping)
    }
}

fn toml_files(dir: &Path) -> Result<Vec<std::path::PathBuf>, MappingError> {
    let failed = |source| MappingError::Read { path: dir.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
        if paths.len() > MAX_FILES {
            return Err(failed(Error::new(ErrorKind::InvalidData, "more than 1000 files")));
        }
    }
    Ok(paths)
}

fn read(path: &Path) -> Result<String, MappingError> {
    let failed = |source| MappingError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(failed(Error::new(ErrorKind::InvalidData, "larger than 1 MiB")));
    }
    Ok(text)
}
