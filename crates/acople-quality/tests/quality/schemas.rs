//! Records against JSON Schema.

use acople_core::ErrorKind;
use acople_quality::{Checks, Inspector, Part, Schema};
use serde_json::json;

use crate::fixture::{batch, refusals};

fn inspector(schema: serde_json::Value) -> Inspector {
    Inspector::new(Checks::none().with_schema(Schema::new(&schema).unwrap()))
}

#[test]
fn a_record_that_does_not_fit_is_refused_with_pointer_rule_and_expectation() {
    let mut inspector = inspector(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["id"],
        "additionalProperties": false,
        "properties": {
            "id": {"type": "string", "maxLength": 4},
            "status": {"enum": ["open", "closed"]},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        },
        "$defs": {"line": {"type": "object", "properties": {"qty": {"type": "integer", "minimum": 1}}}},
    }));
    let records = [
        r#"{"id":"a","status":"open","lines":[{"qty":1}]}"#,
        r#"{"status":"open"}"#,
        r#"{"id":"abcde"}"#,
        r#"{"id":"a","status":"lost"}"#,
        r#"{"id":"a","lines":[{"qty":1},{"qty":0}]}"#,
        r#"{"id":"a","more":1}"#,
        r#"{"id":"\ud800"}"#,
        "[]",
    ];
    let inspection = inspector.inspect(&batch(records)).unwrap();
    let messages: Vec<String> = refusals(&inspection).into_iter().map(|(_, message)| message).collect();
    assert_eq!(
        messages,
        [
            r#"the record fails schema.required: expected a member "id", found an object"#,
            "/id fails schema.maxLength: expected at most 4 characters, found a text `abcde`",
            r#"/status fails schema.enum: expected one of ["open","closed"], found a text `lost`"#,
            "/lines/1/qty fails schema.minimum: expected at least 1, found a number `0`",
            "the record fails schema.additionalProperties: expected no members but those of the schema, found an object",
            "the record fails schema: expected a record that can be validated, found one that cannot be read into a tree",
            "the record fails schema.type: expected object, found a list",
        ]
    );
    assert_eq!(inspection.refused()[3].error.fields(), ["/lines/1/qty"]);
    assert_eq!(inspection.score.part(Part::Validity), 1.0 / 8.0);
}

#[test]
fn what_the_schema_marks_secret_is_never_quoted() {
    let secret = json!({"type": "string", "maxLength": 3, "writeOnly": true});
    for schema in [
        json!({"properties": {"pin": secret}}),
        json!({"properties": {"pin": {"$ref": "#/$defs/pin"}}, "$defs": {"pin": secret}}),
        json!({"properties": {"pin": {"anyOf": [secret]}}}),
        json!({"additionalProperties": {"type": "string", "maxLength": 3, "format": "password"}}),
    ] {
        let mut inspector = inspector(schema.clone());
        let inspection = inspector.inspect(&batch([r#"{"pin":"s3cr3t"}"#])).unwrap();
        let refused = inspection.refused();
        assert_eq!(refused.len(), 1, "{schema}");
        assert!(!format!("{:?}", refused[0].error).contains("s3cr3t"), "{schema}: {}", refused[0].error);
    }
}

#[test]
fn formats_are_enforced_when_asked() {
    let schema = json!({"properties": {"at": {"type": "string", "format": "date-time"}}});
    let records = || batch([r#"{"at":"2026-01-02T03:04:05.000+0000"}"#]);
    assert_eq!(inspector(schema.clone()).inspect(&records()).unwrap().refused().len(), 0);
    let strict = Schema::with_formats(&schema).unwrap();
    let mut strict = Inspector::new(Checks::none().with_schema(strict));
    assert_eq!(strict.inspect(&records()).unwrap().refused().len(), 1);
}

#[test]
fn references_to_elsewhere_are_errors_and_nothing_is_fetched() {
    for reference in [
        "http://127.0.0.1:9/schema.json",
        "https://example.com/s",
        "file:///etc/passwd",
        "other.json",
        "#/nowhere",
        "#anchor",
    ] {
        for schema in [
            json!({"$ref": reference}),
            json!({"properties": {"a": {"items": {"oneOf": [{"$ref": reference}]}}}}),
            json!({"$defs": {"unused": {"$ref": reference}}}),
        ] {
            let error = Schema::new(&schema).unwrap_err();
            assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["schema".to_owned()][..]));
            assert!(error.message().contains("reference"), "{error}");
        }
    }
    assert!(Schema::new(&json!({"type": "strng"})).is_err());
    assert!(Schema::new(&json!({"properties": {"a": {"pattern": "("}}})).is_err());
    let property_names_are_no_keywords =
        json!({"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}});
    assert!(Schema::new(&property_names_are_no_keywords).is_ok());
}
