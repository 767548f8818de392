//! Batches: who is written, who is refused, and how it is said.

use super::*;

#[tokio::test]
async fn an_upsert_of_a_new_key_creates_and_a_replay_does_not() {
    let account = account().await;
    let inputs = json!([input("u-1", json!({"email": "Ann@Example.com", "firstname": "Ann"}))]);
    let (status, first) = account.upsert(inputs.clone()).await;
    assert_eq!(status, 200);
    assert_eq!(first["results"][0]["new"], true);
    assert_eq!(first["results"][0]["properties"]["email"], "ann@example.com");
    assert!(first.get("errors").is_none() && first.get("numErrors").is_none());
    let (status, again) = account.upsert(inputs).await;
    assert_eq!(status, 200);
    assert_eq!(again["results"][0]["new"], false);
    assert_eq!(again["results"][0]["id"], first["results"][0]["id"]);
    assert_eq!(account.sandbox.objects("contacts").len(), 1);
}

#[tokio::test]
async fn results_come_in_another_order_than_the_inputs() {
    let account = account().await;
    let keys: Vec<String> = (0..40).map(|n| format!("u-{n}")).collect();
    let inputs: Vec<Value> = keys.iter().map(|k| input(k, json!({"firstname": "A"}))).collect();
    let (_, reply) = account.upsert(inputs.into()).await;
    let order: Vec<&str> = reply["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["objectWriteTraceId"].as_str().unwrap())
        .collect();
    assert_ne!(order, keys);
    assert_eq!(order.iter().copied().collect::<BTreeSet<_>>().len(), 40);
}

#[tokio::test]
async fn one_bad_input_with_trace_ids_is_a_207_that_names_it() {
    let account = account().await;
    let inputs = json!([
        input("u-1", json!({"email": "ann@example.com"})),
        input("u-2", json!({"email": "nope"})),
        input("u-3", json!({"lifecyclestage": "king", "firstname": "C"})),
    ]);
    let (status, reply) = account.upsert(inputs).await;
    assert_eq!(status, 207);
    assert_eq!(reply["numErrors"], 2);
    assert_eq!(result(&reply, "u-1")["new"], true);
    let error = &reply["errors"][0];
    assert_eq!(error["context"]["objectWriteTraceId"], json!(["u-2"]));
    assert_eq!(error["category"], "VALIDATION_ERROR");
    assert!(error["message"].as_str().unwrap().contains("INVALID_EMAIL"));
    assert!(reply["errors"][1]["message"].as_str().unwrap().contains("INVALID_OPTION"));
    assert_eq!(account.sandbox.objects("contacts").len(), 1);
}

#[tokio::test]
async fn one_bad_input_without_trace_ids_refuses_the_batch_and_writes_nothing() {
    let account = account().await;
    let inputs = json!([
        untraced("u-1", json!({"email": "ann@example.com"})),
        untraced("u-2", json!({"firstname": "B", "acme_plann": "x"})),
    ]);
    let (status, reply) = account.upsert(inputs).await;
    assert_eq!(status, 400);
    assert_eq!(reply["errors"][0]["code"], "PROPERTY_DOESNT_EXIST");
    assert_eq!(reply["errors"][0]["context"]["propertyName"], json!(["acme_plann"]));
    assert!(account.sandbox.objects("contacts").is_empty());
}

#[tokio::test]
async fn a_refused_batch_takes_its_updates_back() {
    let account = account().await;
    let id = account.sandbox.create("contacts", &[("acme_id", "u-1"), ("firstname", "Ann")]);
    let inputs = json!([
        untraced("u-1", json!({"firstname": "Changed"})),
        untraced("u-2", json!({"email": "nope"})),
    ]);
    assert_eq!(account.upsert(inputs).await.0, 400);
    let ann = &account.sandbox.objects("contacts")[0];
    assert_eq!((ann.id.as_str(), ann.properties["firstname"].as_str()), (id.as_str(), "Ann"));
}

#[tokio::test]
async fn the_same_id_twice_refuses_the_batch_whatever_the_trace_ids() {
    let account = account().await;
    let mut second = input("u-1", json!({"firstname": "B"}));
    second["objectWriteTraceId"] = "other".into();
    let (status, reply) =
        account.upsert(json!([input("u-1", json!({"firstname": "A"})), second])).await;
    assert_eq!(status, 400);
    assert_eq!(reply["context"]["ids"], json!(["u-1"]));
    assert_eq!(reply["message"], "Duplicate IDs found in batch input: [u-1]. IDs must be unique");
}

#[tokio::test]
async fn two_ids_of_one_record_in_a_batch_are_refused() {
    let account = account().await;
    let a = account.sandbox.create("contacts", &[("firstname", "A")]);
    let b = account.sandbox.create("contacts", &[("firstname", "B")]);
    let survivor = account.sandbox.merge("contacts", &a, &b).unwrap();
    let inputs = json!([
        {"id": a, "properties": {"city": "Lyon"}, "objectWriteTraceId": "0"},
        {"id": b, "properties": {"city": "Nice"}, "objectWriteTraceId": "1"},
    ]);
    let (status, reply) = account.post(UPDATE, json!({"inputs": inputs})).await;
    assert_eq!((status, &reply["context"]["ids"]), (400, &json!([survivor])));
}

#[tokio::test]
async fn requests_of_the_wrong_form_are_refused_as_a_whole() {
    let account = account().await;
    let many: Vec<Value> =
        (0..101).map(|n| input(&format!("u-{n}"), json!({"firstname": "A"}))).collect();
    let (status, reply) = account.upsert(many.into()).await;
    assert_eq!(status, 400);
    assert!(reply["message"].as_str().unwrap().contains("supported in a batch is 100"));

    let (status, reply) = account.upsert(json!([input("u-1", json!({"city": ["a"]}))])).await;
    assert_eq!(status, 400);
    assert!(reply["message"].as_str().unwrap().contains("JsonToken.START_ARRAY"));
    assert!(reply.get("category").is_none());

    let mut by_name = input("u-1", json!({}));
    by_name["idProperty"] = "firstname".into();
    let (status, reply) = account.upsert(json!([by_name])).await;
    assert_eq!(status, 400);
    assert!(reply["message"].as_str().unwrap().contains("non-unique 0-1 property firstname"));

    let (status, reply) = account.post(UPSERT, Value::Null).await;
    assert_eq!((status, reply["category"].as_str()), (400, Some("VALIDATION_ERROR")));
    assert_eq!(account.upsert(json!([])).await.0, 400);
    let (status, reply) = account.get("/crm/objects/2026-09/widgets").await;
    assert_eq!(status, 400);
    assert_eq!(reply["message"], "Unable to infer object type from: widgets");
    assert_eq!(account.get("/crm/objects/2027-09/contacts").await.0, 404);
}

#[tokio::test]
async fn an_address_of_another_contact_is_a_conflict_with_its_id() {
    let account = account().await;
    let owner = account.sandbox.create("contacts", &[("email", "ann@example.com")]);
    let taken = json!({"email": "ANN@example.com"});
    let (status, reply) = account.upsert(json!([input("u-1", taken.clone())])).await;
    assert_eq!(status, 207);
    let error = &reply["errors"][0];
    assert_eq!(error["category"], "CONFLICT");
    assert_eq!(error["context"], json!({"objectWriteTraceId": ["u-1"], "existingId": [owner]}));
    let (status, reply) = account.upsert(json!([untraced("u-1", taken.clone())])).await;
    assert_eq!(status, 409);
    assert_eq!(reply["message"], format!("Contact already exists. Existing ID: {owner}"));

    account.sandbox.set_faults(Faults { conflict_without_id: true, ..Faults::default() });
    let (_, reply) = account.upsert(json!([input("u-1", taken)])).await;
    assert_eq!(reply["errors"][0]["message"], "Contact already exists");
    assert!(reply["errors"][0]["context"].get("existingId").is_none());
}

#[tokio::test]
async fn a_secondary_address_belongs_to_its_contact_too() {
    let account = account().await;
    let properties = [("email", "ann@example.com"), ("hs_additional_emails", "a@x.com;b@x.com")];
    let owner = account.sandbox.create("contacts", &properties);
    let (status, _) = account.upsert(json!([input("u-1", json!({"email": "b@x.com"}))])).await;
    assert_eq!(status, 207);
    let body = json!({"inputs": [{"id": "B@x.com"}], "properties": ["email"],
        "idProperty": "email", "propertiesWithHistory": []});
    let (status, reply) = account.post(READ, body).await;
    assert_eq!(status, 200);
    assert_eq!(reply["results"][0]["id"], owner);
    assert_eq!(reply["results"][0]["properties"]["email"], "ann@example.com");
}

#[tokio::test]
async fn a_unique_value_of_another_record_is_refused_with_both_ids() {
    let account = account().await;
    let owner = account.sandbox.create("companies", &[("acme_id", "b-1")]);
    let other = account.sandbox.create("companies", &[("name", "Other")]);
    let path = format!("/crm/objects/2026-09/companies/{other}");
    let body = json!({"properties": {"acme_id": "b-1"}});
    let (status, reply) = account.call(Method::PATCH, &path, body).await;
    assert_eq!((status, reply["category"].as_str()), (400, Some("VALIDATION_ERROR")));
    let message = reply["message"].as_str().unwrap();
    assert!(message.ends_with(&format!("on {other}. {owner} already has that value.")));
    assert!(message.contains("objectTypeId=0-2, propertyName=acme_id, value=b-1"));
}
