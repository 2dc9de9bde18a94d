//! `docs/features.md` is true: it has every row, every test it names exists, and every test that cites a row stands
//! in it.
#![cfg(not(miri))]

use core::{fmt::Write, mem};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// How many rows each part of the feature table has.
const PARTS: [(&str, usize); 14] = [
    ("R", 8),
    ("C", 7),
    ("L", 16),
    ("T", 8),
    ("G", 8),
    ("E", 7),
    ("M", 11),
    ("O", 11),
    ("X", 5),
    ("S", 11),
    ("H", 5),
    ("F", 4),
    ("P", 3),
    ("V", 5),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn ids() -> impl Iterator<Item = String> {
    PARTS.into_iter().flat_map(|(part, rows)| (1..=rows).map(move |row| format!("{part}{row}")))
}

/// All Rust files of the project, each with its text.
fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
}

/// What stands before `::`: the file, or its folder where the file is the folder's root.
fn module(path: &Path) -> String {
    let stem = path.file_stem().unwrap().to_string_lossy();
    match &*stem {
        "mod" | "main" | "lib" => path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned(),
        _ => stem.into_owned(),
    }
}

/// The name of the function that a line begins to define.
fn function(line: &str) -> Option<&str> {
    let (before, after) = line.trim_start().split_once("fn ")?;
    let visible = before.split_whitespace().all(|word| word.starts_with("pub") || word == "unsafe");
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (visible && end > 0).then(|| &after[..end])
}

/// The functions of the project, and which rows each one cites in a line `SPEC: …` of its documentation.
fn citations() -> (BTreeSet<String>, BTreeMap<String, BTreeSet<String>>) {
    let (mut files, mut functions, mut cited) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    sources(&root(), &mut files);
    for (path, text) in files {
        let mut rows = BTreeSet::new();
        for line in text.lines() {
            let line = line.trim();
            if let Some(list) = line.strip_prefix("/// SPEC: ") {
                rows.extend(list.trim_end_matches('.').split(", ").map(str::to_owned));
            } else if let Some(name) = function(line) {
                let name = format!("{}::{name}", module(&path));
                for row in mem::take(&mut rows) {
                    cited.entry(row).or_insert_with(BTreeSet::new).insert(name.clone());
                }
                functions.insert(name);
            } else if !line.starts_with("///") && !line.starts_with("#[") {
                assert!(rows.is_empty(), "{}: a SPEC line that belongs to no function", path.display());
            }
        }
    }
    (functions, cited)
}

/// One line of the table: id, what, state, tests, further proof, open.
type Row = [String; 6];

fn rows(page: &str) -> Vec<Row> {
    let cells = |line: &str| -> Option<Row> {
        let cells: Vec<_> =
            line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").map(str::trim).collect();
        let row: [&str; 6] = cells.try_into().ok()?;
        let is_id = row[0].len() > 1 && row[0][1..].chars().all(|c| c.is_ascii_digit());
        is_id.then(|| row.map(str::to_owned))
    };
    page.lines().filter_map(cells).collect()
}

/// `lifecycle`: a, b · `swap`: c
fn by_module(names: Option<&BTreeSet<String>>) -> String {
    let mut modules: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (module, name) in names.into_iter().flatten().filter_map(|name| name.split_once("::")) {
        modules.entry(module).or_default().push(name);
    }
    let mut text = String::new();
    for (module, names) in modules {
        let dot = if text.is_empty() { "" } else { " · " };
        write!(text, "{dot}**{module}** {}", names.join(", ")).unwrap();
    }
    if text.is_empty() { "–".to_owned() } else { text }
}

/// Write the column of tests anew with `UPDATE_DOCS=1 cargo test -p archipelago-tests --test features`.
#[test]
fn the_page_is_true() {
    let path = root().join("docs/features.md");
    let (functions, cited) = citations();
    let known: BTreeSet<_> = ids().collect();
    for (row, names) in &cited {
        assert!(known.contains(row), "{names:?} cite {row}, which is no row");
    }
    let mut page = fs::read_to_string(&path).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        for row in rows(&page) {
            let line = format!("| {} |", row.join(" | "));
            let mut new = row.clone();
            new[3] = by_module(cited.get(&row[0]));
            page = page.replace(&line, &format!("| {} |", new.join(" | ")));
        }
        fs::write(&path, &page).unwrap();
    }
    let rows = rows(&page);
    assert_eq!(rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>(), ids().collect::<Vec<_>>());
    for [id, what, state, tests, further, open] in rows {
        assert!(!what.is_empty(), "{id} says nothing");
        assert_eq!(tests, by_module(cited.get(&id)), "{id}: the tests are not those that cite it");
        let named: Vec<_> = further.split('`').skip(1).step_by(2).collect();
        for name in &named {
            let exists =
                if name.contains("::") { functions.contains(*name) } else { root().join(name).exists() };
            assert!(exists, "{id} names `{name}`, which does not exist");
        }
        let proved = tests != "–" || !named.is_empty();
        let complete = open == "–";
        match state.as_str() {
            "done" => assert!(proved && complete, "{id} is done: it has a proof and nothing open"),
            "part" => assert!(proved && !complete, "{id} is in part: it has a proof and something open"),
            "open" => assert!(!complete, "{id} is open: it says what"),
            _ => panic!("{id}: {state} is no state"),
        }
    }
}

/// Every function of the suite is instantiated.
#[test]
fn the_suite_is_run_whole() {
    let list = fs::read_to_string(root().join("tests/tests/conformance.rs")).unwrap();
    let list = list.split("conformance! {").nth(1).unwrap();
    let mut listed = BTreeSet::new();
    for suite in list.split(';') {
        if let Some((module, names)) = suite.split_once(':') {
            let module = module.trim();
            listed.extend(names.split_whitespace().map(|name| format!("{module}::{name}")));
        }
    }
    let mut files = Vec::new();
    sources(&root().join("tests/src/suite"), &mut files);
    let mut written = BTreeSet::new();
    for (path, text) in files {
        let generic =
            text.lines().filter(|line| line.starts_with("pub fn ") && line.contains("<H: TestHost>()"));
        written.extend(generic.filter_map(function).map(|name| format!("{}::{name}", module(&path))));
    }
    assert_eq!(written, listed, "tests/tests/conformance.rs does not list what the suite has");
}
