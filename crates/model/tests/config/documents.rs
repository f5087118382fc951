//! The schema and the documentation say what the reader does.

use portcullis_model::Config;
use portcullis_testkit::peers::has_peer;
use serde_json::Value;

use crate::{assert_is_file, repository, testdata, text_of};

const BEGIN: &str = "<!-- reference: generated, see the test `the_reference_is_up_to_date` -->\n";

#[test]
fn the_schema_is_up_to_date() {
    let schema = serde_json::to_string_pretty(&Config::schema()).expect("JSON");
    assert_is_file(&repository("docs/portcullis.schema.json"), &format!("{schema}\n"));
}

#[test]
fn the_reference_is_up_to_date() {
    let path = repository("docs/configuration.md");
    let page = text_of(&path);
    let (before, _) = page.split_once(BEGIN).expect("the mark before the reference");
    let reference = Config::reference();
    assert_is_file(&path, &format!("{before}{BEGIN}\n{}\n", reference.trim_end()));
}

#[test]
fn every_example_of_the_documentation_is_good() {
    let page = text_of(&repository("docs/configuration.md"));
    let mut examples = 0;
    for block in page.split("```toml\n").skip(1) {
        let block = block.split("```").next().expect("a block ends");
        // Examples are completed: keys of the top come first, tables may follow.
        let mut text = block.to_owned();
        if !text.contains("[[listeners]]") {
            text += "\n[[listeners]]\naddress = \"127.0.0.1:8080\"\n";
        }
        if !text.contains("[[platforms]]") {
            text += "\n[[platforms]]\nname = \"site\"\nhosts = [\"*\"]\n\
                     origin = \"http://127.0.0.1:3000\"\n";
        }
        if let Err(problems) = Config::read(&text, "configuration.md") {
            panic!("{text}\n{problems}");
        }
        examples += 1;
    }
    assert!(examples >= 6, "{examples}");
}

#[test]
fn good_files_validate_against_the_schema() {
    let schema = Config::schema();
    let mut files = testdata("good");
    files.push(repository("portcullis.example.toml"));
    for path in files {
        let document: Value = toml::from_str(&text_of(&path)).expect("TOML");
        if let Err(why) = validate(&schema, &document, "") {
            panic!("{}: {why}", path.display());
        }
    }
}

#[test]
fn the_schema_refuses_what_editors_should_mark() {
    let schema = Config::schema();
    for name in ["keys-unknown", "keys-missing", "kinds", "brackets", "lists-of-tables", "empty"] {
        let path = repository(&format!("crates/model/testdata/bad/{name}.toml"));
        let document: Value = toml::from_str(&text_of(&path)).expect("TOML");
        assert!(validate(&schema, &document, "").is_err(), "{name}");
    }
}

/// The validator is `check-jsonschema`, a Python program.
#[test]
fn an_independent_validator_agrees() {
    if !has_peer("check-jsonschema") {
        return;
    }
    let schema = repository("docs/portcullis.schema.json");
    let mut files = testdata("good");
    files.push(repository("portcullis.example.toml"));
    let run = |files: &[std::path::PathBuf]| {
        std::process::Command::new("check-jsonschema")
            .arg("--schemafile")
            .arg(&schema)
            .args(files)
            .output()
            .expect("the program runs")
    };
    let output = run(&files);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let bad = repository("crates/model/testdata/bad/kinds.toml");
    assert!(!run(&[bad]).status.success());
}

/// As much of the JSON Schema language as ours uses, without patterns.
fn validate(schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    if let Some(schemas) = schema["anyOf"].as_array() {
        let answers = schemas.iter().map(|schema| validate(schema, value, path));
        let errors: Vec<_> = answers.filter_map(Result::err).collect();
        return if errors.len() < schemas.len() { Ok(()) } else { Err(errors.join("; ")) };
    }
    let fits = match schema["type"].as_str().expect("every schema has a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("unknown type {other}"),
    };
    if !fits {
        return Err(format!("{path}: {value} is no {}", schema["type"]));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Err(format!("{path}: {value} is none of {words:?}"));
    }
    if let Some(number) = value.as_f64() {
        let least = schema["minimum"].as_f64().unwrap_or(f64::MIN);
        let most = schema["maximum"].as_f64().unwrap_or(f64::MAX);
        if number < least || number > most {
            return Err(format!("{path}: {number} is outside of {least} to {most}"));
        }
    }
    if let Some(items) = value.as_array() {
        let least = schema["minItems"].as_u64().unwrap_or(0) as usize;
        let most = schema["maxItems"].as_u64().unwrap_or(u64::MAX) as usize;
        if !(least..=most).contains(&items.len()) {
            return Err(format!("{path}: {} entries", items.len()));
        }
        for (at, item) in items.iter().enumerate() {
            validate(&schema["items"], item, &format!("{path}[{at}]"))?;
        }
    }
    if let Some(fields) = value.as_object() {
        let known = schema["properties"].as_object().expect("properties");
        for required in schema["required"].as_array().into_iter().flatten() {
            let name = required.as_str().expect("name");
            if !fields.contains_key(name) {
                return Err(format!("{path}.{name} is missing"));
            }
        }
        for (name, field) in fields {
            let schema = known.get(name).ok_or(format!("{path}.{name} is unknown"))?;
            validate(schema, field, &format!("{path}.{name}"))?;
        }
    }
    Ok(())
}
