//! Associations, property definitions and the rules of values.

use super::*;

#[tokio::test]
async fn an_association_stands_in_both_directions_and_the_first_company_is_primary() {
    let account = account().await;
    let contact = account.sandbox.create("contacts", &[("firstname", "A")]);
    let company = account.sandbox.create("companies", &[("name", "X")]);
    let second = account.sandbox.create("companies", &[("name", "Y")]);
    let inputs = json!([
        {"from": {"id": contact}, "to": {"id": company}},
        {"from": {"id": contact}, "to": {"id": second}},
        {"from": {"id": "none"}, "to": {"id": company}},
    ]);
    let path = "/crm/associations/2026-09/contacts/companies/batch/associate/default";
    let (status, reply) = account.post(path, json!({"inputs": inputs})).await;
    assert_eq!((status, reply["results"].as_array().unwrap().len()), (200, 4));
    assert_eq!(reply["errors"][0]["subCategory"], "crm.associations.INVALID_IDENTIFIER");
    let types = |from: &str, to: &str| -> Vec<u32> {
        let all = account.sandbox.associations();
        let these = all.iter().filter(|l| l.from_id == from && l.to_id == to);
        these.map(|l| l.type_id).collect()
    };
    assert_eq!(types(&contact, &company), [1, 279]);
    assert_eq!(types(&company, &contact), [2, 280]);
    assert_eq!(types(&contact, &second), [279]);

    let path = "/crm/associations/2026-09/contacts/companies/batch/archive";
    let body = json!({"inputs": [{"from": {"id": contact}, "to": [{"id": company}]}]});
    assert_eq!(account.post(path, body).await.0, 200);
    assert!(types(&contact, &company).is_empty() && types(&company, &contact).is_empty());
    let path = "/crm/associations/2026-09/contacts/companies/batch/read";
    let (status, reply) =
        account.post(path, json!({"inputs": [{"id": contact}, {"id": "77"}]})).await;
    assert_eq!(status, 207);
    assert_eq!(reply["results"][0]["to"][0]["toObjectId"].to_string(), second);
    assert_eq!(reply["errors"][0]["subCategory"], "crm.associations.NO_ASSOCIATIONS_FOUND");
}

#[tokio::test]
async fn a_type_of_another_pair_of_kinds_is_refused() {
    let account = account().await;
    let contact = account.sandbox.create("contacts", &[("firstname", "A")]);
    let company = account.sandbox.create("companies", &[("name", "X")]);
    let with = |id: u32| {
        json!({"inputs": [{"from": {"id": contact}, "to": {"id": company},
            "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": id}]}]})
    };
    let path = "/crm/associations/2026-09/contacts/companies/batch/create";
    let (status, reply) = account.post(path, with(280)).await;
    assert_eq!((status, reply["category"].as_str()), (400, Some("VALIDATION_ERROR")));
    assert_eq!(account.post(path, with(279)).await.0, 201);
    let archive = "/crm/v4/associations/contacts/companies/batch/labels/archive";
    assert_eq!(account.post(archive, with(279)).await.0, 204);
    let types: Vec<u32> = account.sandbox.associations().iter().map(|l| l.type_id).collect();
    assert_eq!(types, [1, 2]);
}

#[tokio::test]
async fn a_unique_property_is_made_once() {
    let account = account().await;
    let path = "/crm/properties/2026-09/deals";
    let definition = unique_property("acme_deal", "dealinformation");
    let (status, reply) = account.post(path, definition.clone()).await;
    assert_eq!((status, &reply["hasUniqueValue"]), (201, &json!(true)));
    let (status, reply) = account.post(path, definition.clone()).await;
    assert_eq!(status, 409);
    assert_eq!(reply["subCategory"], "Properties.PROPERTY_WITH_NAME_EXISTS");
    let one = format!("{path}/acme_deal");
    let (status, reply) =
        account.call(Method::PATCH, &one, json!({"hasUniqueValue": false, "label": "L"})).await;
    assert_eq!(
        (status, &reply["hasUniqueValue"], &reply["label"]),
        (200, &json!(true), &json!("L"))
    );
    assert_eq!(account.call(Method::DELETE, &one, Value::Null).await.0, 204);
    assert_eq!(account.get(&one).await.0, 404);
    assert_eq!(account.post(path, definition).await.0, 201);
    let (_, all) = account.get("/crm/v3/properties/companies").await;
    let industry = all["results"].as_array().unwrap().iter().find(|p| p["name"] == "industry");
    assert_eq!(industry.unwrap()["options"].as_array().unwrap().len(), 148);
}

#[tokio::test]
async fn deals_need_a_stage_of_their_pipeline_and_a_currency_of_the_account() {
    let account = account().await;
    let path = "/crm/objects/2026-09/0-3";
    let (status, reply) = account.post(path, json!({"properties": {}})).await;
    assert_eq!((status, reply["errors"].as_array().unwrap().len()), (400, 3));
    assert_eq!(reply["errors"][0]["code"], "MISSING_REQUIRED_PROPERTY");
    let deal = |stage: &str, currency: &str| {
        json!({"properties": {"dealname": "D", "dealstage": stage, "amount": "24.00",
            "deal_currency_code": currency}})
    };
    assert_eq!(account.post(path, deal("nowhere", "EUR")).await.0, 400);
    assert_eq!(account.post(path, deal("closedwon", "GBP")).await.0, 400);
    let (status, reply) = account.post(path, deal("closedwon", "USD")).await;
    assert_eq!(status, 201);
    assert_eq!(reply["properties"]["amount"], "24.00");
    assert_eq!(reply["properties"]["hs_deal_stage_probability"], "1.0");
    let (_, pipelines) = account.get("/crm/pipelines/2026-09/deals").await;
    assert_eq!(pipelines["results"][0]["stages"][5]["metadata"]["isClosed"], "true");
}

#[tokio::test]
async fn a_lifecycle_stage_never_goes_back_and_read_only_values_are_refused() {
    let account = account().await;
    let id =
        account.sandbox.create("contacts", &[("email", "a@x.com"), ("lifecyclestage", "lead")]);
    let path = format!("/crm/v3/objects/contacts/{id}");
    for (sent, kept) in [("customer", "customer"), ("lead", "customer"), ("", ""), ("lead", "lead")]
    {
        let body = json!({"properties": {"lifecyclestage": sent}});
        let (status, reply) = account.call(Method::PATCH, &path, body).await;
        assert_eq!((status, reply["properties"]["lifecyclestage"].as_str()), (200, Some(kept)));
    }
    let body = json!({"properties": {"createdate": "2026-10-01"}});
    let (status, reply) = account.call(Method::PATCH, &path, body).await;
    assert_eq!((status, reply["errors"][0]["code"].as_str()), (400, Some("READ_ONLY_VALUE")));
    let by_email = "/crm/v3/objects/contacts/A%40x.com?idProperty=email";
    let body = json!({"properties": {"city": "Lyon"}});
    assert_eq!(account.call(Method::PATCH, by_email, body).await.1["id"], id);
}

#[tokio::test]
async fn the_newest_version_cuts_a_date_and_warns_where_the_old_one_refuses() {
    let account = account().await;
    let definition = json!({"name": "acme_day", "label": "Day", "type": "date",
        "fieldType": "date", "groupName": "companyinformation"});
    assert!(account.sandbox.define_property("companies", &definition));
    let body = json!({"properties": {"acme_day": "2026-10-01T10:30:00Z"}});
    assert_eq!(account.post("/crm/v3/objects/companies", body.clone()).await.0, 400);
    let (status, reply) = account.post("/crm/objects/2026-09/companies", body).await;
    assert_eq!((status, reply["properties"]["acme_day"].as_str()), (201, Some("2026-10-01")));
    assert_eq!(reply["warnings"][0]["context"]["normalizedValue"], "2026-10-01");
}
