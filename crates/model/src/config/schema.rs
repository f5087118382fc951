//! The JSON Schema of the file, for editors.

use serde_json::{Map, Value as Json, json};

use super::keys::{DefaultValue, KeySpec, TableSpec, ValueType};
use super::ranges::LONGEST_TEXT;
use super::settings::Config;
use super::tables::ROOT;
use super::value::Value;

const TIME: &str = "^([0-9]+h ?)?([0-9]+m ?)?([0-9]+s ?)?([0-9]+ms)?$";
const BYTES: &str = "^[0-9]+ *([KMGT]i)?B$";
const ORIGIN: &str = "^[Hh][Tt][Tt][Pp]://[^/?#@]+/?$";

impl Config {
    /// The JSON Schema (draft 7) of `portcullis.toml`, with every key's meaning, range and
    /// default. It is looser than [`Config::read`], which also knows what has to agree.
    pub fn schema() -> Json {
        let mut schema = object(&ROOT, &Self::defaults());
        schema.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
        schema.insert("title".into(), "portcullis.toml".into());
        Json::Object(schema)
    }
}

fn object(section: &'static TableSpec, defaults: &Config) -> Map<String, Json> {
    let properties: Map<_, _> = section
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), Json::Object(property(key, defaults))))
        .collect();
    let required: Vec<_> = section
        .keys
        .iter()
        .filter(|key| matches!(key.absent, DefaultValue::Required(_)))
        .map(|key| key.name)
        .collect();
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("description".into(), section.about.into());
    schema.insert("properties".into(), properties.into());
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    schema.insert("additionalProperties".into(), false.into());
    schema
}

fn property(key: &KeySpec, defaults: &Config) -> Map<String, Json> {
    let mut schema = kind(key, defaults);
    let range = match key.kind {
        ValueType::Word(_) => String::new(),
        _ => key.kind.range(),
    };
    let range = match (range.as_str(), key.why) {
        ("", _) => String::new(),
        (range, "") => format!(" Range: {range}."),
        (range, why) => format!(" Range: {range} ({why})."),
    };
    let without = match key.absent {
        DefaultValue::Described(means) => format!(" Without it: {means}."),
        DefaultValue::Required(_) | DefaultValue::Value(_) => String::new(),
    };
    let description = format!("{}{range}{without}", key.about);
    schema.insert("description".into(), description.into());
    if let DefaultValue::Value(default) = key.absent {
        schema.insert("default".into(), default_of(&default(defaults)));
    }
    schema
}

fn kind(key: &KeySpec, defaults: &Config) -> Map<String, Json> {
    let schema = match &key.kind {
        ValueType::Flag => json!({ "type": "boolean" }),
        ValueType::Text => json!({ "type": "string", "minLength": 1, "maxLength": LONGEST_TEXT }),
        ValueType::Word(words) => json!({ "type": "string", "enum": words }),
        ValueType::Address => json!({ "type": "string", "minLength": 1 }),
        ValueType::Time(..) => json!({ "type": "string", "minLength": 1, "pattern": TIME }),
        ValueType::Count(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        ValueType::Bytes(least, most) => json!({ "anyOf": [
            { "type": "integer", "minimum": least, "maximum": most },
            { "type": "string", "pattern": BYTES },
        ] }),
        ValueType::Times(least, most) => json!({
            "type": "number",
            "minimum": f64::from(*least) / 10.0,
            "maximum": f64::from(*most) / 10.0,
        }),
        ValueType::List(least, most) => json!({
            "type": "array", "items": { "type": "string" }, "minItems": least, "maxItems": most,
        }),
        ValueType::Origin(section) => json!({ "anyOf": [
            { "type": "string", "pattern": ORIGIN },
            object(section, defaults),
        ] }),
        ValueType::Table(section) => Json::Object(object(section, defaults)),
        ValueType::Tables(section, most) => {
            let least = usize::from(matches!(key.absent, DefaultValue::Required(_)));
            let items = object(section, defaults);
            json!({ "type": "array", "items": items, "minItems": least, "maxItems": most })
        }
    };
    match schema {
        Json::Object(schema) => schema,
        _ => Map::new(),
    }
}

fn default_of(value: &Value) -> Json {
    match value {
        Value::Flag(flag) => (*flag).into(),
        Value::Count(number) => (*number).into(),
        Value::Times(tenths) => (f64::from(*tenths) / 10.0).into(),
        Value::Text(_) | Value::Address(_) | Value::Time(_) | Value::Bytes(_) => {
            value.to_string().trim_matches('"').into()
        }
    }
}
