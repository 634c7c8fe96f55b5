//! Tables over HTTP: what the unit tests of expressions do not reach.

use fake_aws::FakeAws;
use serde_json::{Value, json};

use crate::client::{ACCOUNT, CUSTOMER, Client, REGION};

const TABLE: &str = "tenants";

fn fake() -> (FakeAws, Client) {
    let fake = FakeAws::start_blocking();
    fake.create_table(ACCOUNT, REGION, TABLE, "tenant_id", "type");
    for (tenant, kind) in [("t1", "cloudwatch"), ("t1", "s3"), ("t2", "cloudwatch")] {
        fake.put_item(
            ACCOUNT,
            REGION,
            TABLE,
            &json!({"tenant_id": {"S": tenant}, "type": {"S": kind}, "enabled": {"BOOL": true}}),
        );
    }
    let client = Client::root(&fake, ACCOUNT);
    (fake, client)
}

fn query(tenant: &str) -> Value {
    json!({"TableName": TABLE, "KeyConditionExpression": "tenant_id = :t", "ExpressionAttributeValues": {":t": {"S": tenant}}})
}

/// Reads all pages and returns the sort keys with the number of pages.
fn pages(client: &Client, operation: &str, request: &Value) -> (Vec<String>, usize) {
    let mut request = request.clone();
    let mut kinds = Vec::new();
    for page in 1.. {
        let reply = client.dynamodb(operation, &request);
        assert_eq!(reply.status, 200, "{}", reply.text());
        let reply = reply.json();
        kinds.extend(
            reply["Items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["type"]["S"].as_str().unwrap().to_owned()),
        );
        match reply.get("LastEvaluatedKey") {
            Some(key) => request["ExclusiveStartKey"] = key.clone(),
            None => return (kinds, page),
        }
    }
    unreachable!("the loop ends at the last page");
}

#[test]
fn queries_and_scans_come_in_pages() {
    let (fake, client) = fake();
    assert_eq!(
        pages(&client, "Query", &query("t1")),
        (vec!["cloudwatch".to_owned(), "s3".to_owned()], 1)
    );
    let mut limited = query("t1");
    limited["Limit"] = json!(1);
    // A page that ends at its limit names a last key even when nothing follows.
    assert_eq!(pages(&client, "Query", &limited).1, 3);
    fake.configure_dynamodb(|settings| settings.page_items = Some(1));
    assert_eq!(pages(&client, "Query", &query("t1")).1, 3);
    let (kinds, count) = pages(&client, "Scan", &json!({"TableName": TABLE}));
    assert_eq!((kinds.len(), count), (3, 4));
    assert_eq!(pages(&client, "Query", &query("none")), (Vec::new(), 1));
    let mut backwards = query("t1");
    backwards["ScanIndexForward"] = json!(false);
    assert_eq!(pages(&client, "Query", &backwards).0, ["s3", "cloudwatch"]);
}

#[test]
fn conditions_guard_writes() {
    let (fake, client) = fake();
    let key = json!({"tenant_id": {"S": "t1"}, "type": {"S": "s3"}});
    let put = json!({"TableName": TABLE, "Item": key, "ConditionExpression": "attribute_not_exists(tenant_id)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"});
    let reply = client.dynamodb("PutItem", &put);
    assert_eq!((reply.status, reply.code().as_str()), (400, "ConditionalCheckFailedException"));
    assert_eq!(reply.json()["Item"]["enabled"], json!({"BOOL": true}));
    let update = json!({"TableName": TABLE, "Key": key, "UpdateExpression": "SET enabled = :f",
        "ConditionExpression": "enabled = :t", "ExpressionAttributeValues": {":f": {"BOOL": false}, ":t": {"BOOL": true}}, "ReturnValues": "UPDATED_OLD"});
    assert_eq!(
        client.dynamodb("UpdateItem", &update).json()["Attributes"],
        json!({"enabled": {"BOOL": true}})
    );
    assert_eq!(client.dynamodb("UpdateItem", &update).code(), "ConditionalCheckFailedException");
    let delete = json!({"TableName": TABLE, "Key": key, "ReturnValues": "ALL_OLD"});
    assert_eq!(
        client.dynamodb("DeleteItem", &delete).json()["Attributes"]["type"],
        json!({"S": "s3"})
    );
    assert_eq!(client.dynamodb("DeleteItem", &delete).json(), json!({}));
    assert_eq!(fake.items(ACCOUNT, REGION, TABLE).len(), 2);
    assert_eq!(fake.item(ACCOUNT, REGION, TABLE, "t1", "s3"), None);
}

#[test]
fn requests_are_held_to_the_model() {
    const WRONG: &str = "ValidationException";
    let (_fake, client) = fake();
    let key = json!({"tenant_id": {"S": "t1"}, "type": {"S": "s3"}});
    let with = |base: &Value, members: Value| {
        let mut request = base.clone();
        for (name, value) in members.as_object().unwrap() {
            request[name] = value.clone();
        }
        request
    };
    let get = json!({"TableName": TABLE, "Key": key});
    let schema = json!([{"AttributeName": "id", "KeyType": "HASH"}]);
    let create = json!({"TableName": "more", "KeySchema": schema, "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "BillingMode": "PAY_PER_REQUEST"});
    let rows = [
        ("GetItem", get.clone(), ""),
        ("GetItem", with(&get, json!({"TableName": "none"})), "ResourceNotFoundException"),
        ("GetItem", json!({"TableName": TABLE}), WRONG),
        ("GetItem", with(&get, json!({"Key": {"tenant_id": {"S": "t1"}}})), WRONG),
        ("GetItem", with(&get, json!({"AttributesToGet": ["type"]})), WRONG),
        ("GetItem", with(&get, json!({"ProjectionExpression": "type"})), WRONG),
        (
            "GetItem",
            with(
                &get,
                json!({"ProjectionExpression": "#t", "ExpressionAttributeNames": {"#t": "type"}}),
            ),
            "",
        ),
        ("GetItem", with(&get, json!({"ExpressionAttributeNames": {"#t": "type"}})), WRONG),
        ("PutItem", json!({"TableName": TABLE, "Item": {"tenant_id": {"S": "t"}}}), WRONG),
        (
            "PutItem",
            json!({"TableName": TABLE, "Item": {"tenant_id": {"S": ""}, "type": {"S": "s3"}}}),
            WRONG,
        ),
        ("PutItem", json!({"TableName": TABLE, "Item": key, "ReturnValues": "ALL_NEW"}), WRONG),
        (
            "PutItem",
            json!({"TableName": TABLE, "Item": {"tenant_id": "t"}}),
            "SerializationException",
        ),
        (
            "UpdateItem",
            with(
                &get,
                json!({"UpdateExpression": "SET tenant_id = :v", "ExpressionAttributeValues": {":v": {"S": "x"}}}),
            ),
            WRONG,
        ),
        (
            "UpdateItem",
            with(
                &get,
                json!({"UpdateExpression": "SET a = :v", "ExpressionAttributeValues": {":v": {"S": "x"}, ":w": {"S": "x"}}}),
            ),
            WRONG,
        ),
        ("Query", json!({"TableName": TABLE}), WRONG),
        ("Query", with(&query("t"), json!({"KeyConditionExpression": "tenant_id > :t"})), WRONG),
        ("Query", with(&query("t"), json!({"KeyConditionExpression": "enabled = :t"})), WRONG),
        ("Query", with(&query("t"), json!({"Limit": 0})), WRONG),
        (
            "Query",
            with(&query("t"), json!({"ExpressionAttributeValues": {":t": {"N": "1"}}})),
            WRONG,
        ),
        ("Query", with(&query("t"), json!({"FilterExpression": "tenant_id = :t"})), WRONG),
        ("Query", with(&query("t"), json!({"FilterExpression": "enabled <> :t"})), ""),
        ("CreateTable", create.clone(), ""),
        ("CreateTable", create.clone(), "ResourceInUseException"),
        ("CreateTable", with(&create, json!({"TableName": "ab"})), WRONG),
        (
            "CreateTable",
            with(&create, json!({"TableName": "other", "AttributeDefinitions": []})),
            WRONG,
        ),
        (
            "CreateTable",
            with(&create, json!({"TableName": "other", "BillingMode": "PROVISIONED"})),
            WRONG,
        ),
        ("DeleteTable", json!({"TableName": "none"}), "ResourceNotFoundException"),
        ("BatchWriteItem", json!({"RequestItems": {}}), WRONG),
        (
            "BatchWriteItem",
            json!({"RequestItems": {TABLE: [{"DeleteRequest": {"Key": key}}, {"DeleteRequest": {"Key": key}}]}}),
            WRONG,
        ),
        ("TransactWriteItems", json!({}), "UnknownOperationException"),
    ];
    for (operation, request, expected) in rows {
        let reply = client.dynamodb(operation, &request);
        let code = if reply.status == 200 { String::new() } else { reply.code() };
        assert_eq!(code, expected, "{operation} {request}: {}", reply.text());
    }
}

#[test]
fn batches_can_be_handed_back_undone() {
    let (fake, client) = fake();
    fake.configure_dynamodb(|settings| settings.unprocessed_batch_entries = 1);
    let keys = json!([{"tenant_id": {"S": "t1"}, "type": {"S": "s3"}}, {"tenant_id": {"S": "t2"}, "type": {"S": "cloudwatch"}}]);
    let first =
        client.dynamodb("BatchGetItem", &json!({"RequestItems": {TABLE: {"Keys": keys}}})).json();
    assert_eq!(first["Responses"][TABLE].as_array().unwrap().len(), 1);
    let second =
        client.dynamodb("BatchGetItem", &json!({"RequestItems": first["UnprocessedKeys"]})).json();
    assert_eq!(second["Responses"][TABLE].as_array().unwrap().len(), 1);
    assert_eq!(second["UnprocessedKeys"], json!({}));
    fake.configure_dynamodb(|settings| settings.unprocessed_batch_entries = 1);
    let item = |number: usize| json!({"PutRequest": {"Item": {"tenant_id": {"S": format!("n{number}")}, "type": {"S": "s3"}}}});
    let write = json!({"RequestItems": {TABLE: [item(1), item(2)]}});
    let left = client.dynamodb("BatchWriteItem", &write).json();
    assert_eq!(left["UnprocessedItems"][TABLE], json!([item(1)]));
    let many: Vec<Value> = (0..26).map(item).collect();
    assert_eq!(
        client.dynamodb("BatchWriteItem", &json!({"RequestItems": {TABLE: many}})).code(),
        "ValidationException"
    );
}

#[test]
fn tables_belong_to_an_account_and_a_region() {
    let (fake, client) = fake();
    let stranger = Client::root(&fake, CUSTOMER);
    assert_eq!(stranger.dynamodb("Query", &query("t1")).code(), "ResourceNotFoundException");
    assert_eq!(
        client.in_region("eu-west-1").dynamodb("Query", &query("t1")).code(),
        "ResourceNotFoundException"
    );
    let arn = format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{TABLE}");
    let mut by_arn = query("t1");
    by_arn["TableName"] = json!(arn);
    assert_eq!(client.dynamodb("Query", &by_arn).status, 200);
    assert_eq!(stranger.dynamodb("Query", &by_arn).code(), "AccessDeniedException");
}
