//! GraphQL answers that are whole, partial or neither.

use acople_core::json::FieldPath;
use acople_core::{Context, Error, ErrorKind};
use acople_http::{Answer, Call, Client, GraphQl, GraphQlAnswer, GraphQlClassifier};
use acople_testkit::{Reply, ScriptedTransport};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::builder;

const ORDERS: GraphQl = GraphQl::query(
    "list orders",
    "query orders($after: String, $name: String) { orders(after: $after, name: $name) { nodes { id } } }",
)
.named("orders");

fn read(query: GraphQl, body: &Value) -> Result<GraphQlAnswer, Error> {
    let body = body.to_string();
    query.read(Answer::new(StatusCode::OK, HeaderMap::new(), body, std::time::UNIX_EPOCH))
}

fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).unwrap()
}

#[test]
fn url_08_values_are_variables_and_the_text_is_the_same_for_all_of_them() {
    let mut texts = Vec::new();
    for name in ["Acme", "\") { id } evil: orders(name: \"", "\\", "\u{2028}\"}", "$after", "# comment"] {
        let call = ORDERS.call(&json!({ "name": name })).unwrap();
        let body: Value = serde_json::from_slice(call.body_bytes()).unwrap();
        assert_eq!(body["variables"], json!({ "name": name }));
        assert_eq!(body["operationName"], "orders");
        texts.push(body["query"].as_str().unwrap().to_owned());
    }
    texts.dedup();
    assert_eq!(texts.len(), 1);
}

#[test]
fn body_07_errors_beside_data_are_an_error_unless_the_operation_allows_them() {
    let body = json!({
        "data": { "orders": { "nodes": [{ "id": 1, "customer": null }] }, "shop": { "name": "Acme" } },
        "errors": [
            { "message": "no access", "path": ["orders", "nodes", 0, "customer"],
              "extensions": { "code": "ACCESS_DENIED" } },
            { "message": "second" },
        ],
    });
    let error = read(ORDERS, &body).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, Some("ACCESS_DENIED")));
    assert_eq!(error.fields(), ["orders.nodes.0.customer"]);
    assert_eq!((error.operation(), error.status()), (Some("list orders"), Some(200)));

    let answer = read(ORDERS.partial(), &body).unwrap();
    assert_eq!(answer.errors().len(), 2);
    assert_eq!(answer.errors()[0].path, ["orders", "nodes", "0", "customer"]);
    assert_eq!(answer.get(&path("shop.name")).unwrap().raw(), r#""Acme""#);
    assert_eq!(answer.data::<Value>().unwrap(), body["data"]);
}

#[test]
fn body_07_nothing_is_complete_that_an_error_covers() {
    let answer = |errors: Value| {
        let data = json!({ "orders": { "nodes": [{ "id": 1 }] }, "shop": { "name": "Acme" }, "gone": null });
        read(ORDERS.partial(), &json!({ "data": data, "errors": errors })).unwrap()
    };
    let at = |path: Value| json!([{ "message": "failed", "path": path }]);
    for (errors, complete) in [
        (json!([]), true),
        (json!(null), true),
        (at(json!(["shop", "name"])), true),
        (at(json!(["ordersx"])), true),
        (at(json!(["orders"])), false),
        (at(json!(["orders", "nodes"])), false),
        (at(json!(["orders", "nodes", 0, "customer"])), false),
        (at(json!([])), false),
        (json!([{ "message": "failed" }]), false),
    ] {
        let verdict = answer(errors.clone()).ensure_complete(&path("orders.nodes"));
        assert_eq!(verdict.is_ok(), complete, "{errors}");
    }
    for missing in ["gone", "never", "orders.pageInfo"] {
        let error = answer(json!([])).ensure_complete(&path(missing)).unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Protocol, &[missing.to_owned()][..]));
    }
}

#[test]
fn body_07_a_cursor_does_not_pass_missing_data() {
    let page = |nodes: Value, info: Value, errors: Value| {
        let data = json!({ "orders": { "nodes": nodes, "pageInfo": info } });
        read(ORDERS.partial(), &json!({ "data": data, "errors": errors }))
            .unwrap()
            .connection("orders", "orders")
    };
    let more = json!({ "hasNextPage": true, "endCursor": "c2" });
    let (batch, next) = page(json!([{ "id": 1 }, { "id": 2 }]), more.clone(), json!([])).unwrap();
    assert_eq!((batch.len(), batch.stream(), next.as_deref()), (2, "orders", Some("c2")));
    assert_eq!(batch.get(1).unwrap().raw(), r#"{"id":2}"#);
    let last = json!({ "hasNextPage": false, "endCursor": "c2" });
    assert_eq!(page(json!([]), last, json!([])).unwrap().1, None);

    let failed = json!([{ "message": "slow down", "path": ["orders", "nodes", 1],
                          "extensions": { "code": "THROTTLED" } }]);
    let error = page(json!([{ "id": 1 }, null]), more.clone(), failed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    for (nodes, info) in [
        (json!({}), more),
        (json!([{ "id": 1 }]), json!({ "hasNextPage": true, "endCursor": null })),
        (json!([{ "id": 1 }]), json!({ "hasNextPage": true, "endCursor": "" })),
    ] {
        assert_eq!(page(nodes, info, json!([])).unwrap_err().kind(), ErrorKind::Protocol);
    }
}

#[test]
fn body_06_an_answer_with_neither_data_nor_errors_fails_closed() {
    for query in [ORDERS, ORDERS.partial()] {
        for body in [
            json!({}),
            json!({ "data": null }),
            json!({ "data": null, "errors": [] }),
            json!({ "data": [] }),
            json!({ "data": true }),
            json!({ "errors": "no" }),
            json!([]),
        ] {
            assert_eq!(read(query, &body).unwrap_err().kind(), ErrorKind::Protocol, "{body}");
        }
        let body = json!({ "data": null, "errors": [{ "message": "no such field" }] });
        assert_eq!(read(query, &body).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

fn client(transport: &ScriptedTransport) -> Client {
    builder(transport).classifier(GraphQlClassifier).build()
}

fn failed(code: &str) -> Reply {
    Reply::json(
        200,
        json!({ "data": null, "errors": [{ "message": "m", "extensions": { "code": code } }] }).to_string(),
    )
}

async fn asked(transport: &ScriptedTransport, call: &Call) -> Result<Answer, Error> {
    client(transport).send(&Context::new(), call).await
}

#[tokio::test(start_paused = true)]
async fn body_06_errors_within_a_200_are_judged_before_anybody_reads_the_answer() {
    let call = ORDERS.call(&json!({})).unwrap();
    let good = Reply::json(200, r#"{"data":{"orders":{"nodes":[]}}}"#);
    let transport = ScriptedTransport::new([failed("THROTTLED"), failed("INTERNAL_SERVER_ERROR"), good]);
    assert!(asked(&transport, &call).await.is_ok());
    assert_eq!(transport.sent().len(), 3);

    let transport = ScriptedTransport::new([failed("INTERNAL_SERVER_ERROR")]);
    let write = GraphQl::mutation("create order", "mutation { create { id } }").call(&json!({})).unwrap();
    assert_eq!(asked(&transport, &write).await.unwrap_err().kind(), ErrorKind::Ambiguous);

    let refused =
        json!({ "errors": [{ "message": "syntax", "extensions": { "code": "GRAPHQL_PARSE_FAILED" } }] });
    let transport = ScriptedTransport::new([Reply::json(400, refused.to_string())]);
    let error = asked(&transport, &call).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, "syntax"));
    assert_eq!(error.code(), Some("GRAPHQL_PARSE_FAILED"));
}
