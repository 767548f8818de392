//! The built-in mapping files against real-shaped events, and what a set of files may not be.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chrono::{DateTime, Duration, Utc};
use hubferry::event::{Admission, Event, Fault, Priority, admit};
use hubferry::mapping::{Change, Input, Mapping, MappingError, Operation, Vars};
use serde_json::{Value, json};
use uuid::Uuid;

mod arbitrary;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config");

fn builtin() -> Mapping {
    Mapping::builtin(&Vars::default()).expect("the built-in files compile and their examples hold")
}

fn admitted(raw: &Value) -> Result<Event, Vec<Fault>> {
    let now: DateTime<Utc> = "2026-11-20T10:00:00Z".parse().unwrap();
    let admission = Admission { default_source: "app", now, max_ahead: Duration::minutes(5) };
    admit(0, raw, &admission, Uuid::nil)
}

fn mapped(mapping: &Mapping, raw: &Value) -> Result<Vec<Change>, Vec<Fault>> {
    mapping.map(&Input::from(&admitted(raw)?))
}

fn one(mapping: &Mapping, raw: &Value) -> Change {
    let mut changes = mapped(mapping, raw).expect("accepted");
    assert_eq!(changes.len(), 1);
    changes.remove(0)
}

/// Pointer and code of each fault.
fn faults(raw: &Value) -> Vec<String> {
    let faults = mapped(&builtin(), raw).expect_err("refused");
    faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.code)).collect()
}

#[test]
fn the_samples_come_to_what_hubspot_must_hold() {
    let mapping = builtin();
    let samples = fs::read_to_string(format!("{CONFIG}/samples.ndjson")).unwrap();
    let mut held: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut associated: BTreeMap<String, BTreeMap<String, Option<String>>> = BTreeMap::new();
    for line in samples.lines() {
        let change = one(&mapping, &serde_json::from_str(line).unwrap());
        assert_eq!((change.operation, change.warnings.len()), (Operation::Upsert, 0));
        let record = format!("{} {}", change.sync_type, change.external_id);
        held.entry(record.clone()).or_default().extend(change.properties);
        associated.entry(record).or_default().extend(change.associations);
    }
    let expected = json!({
        "company b-77": {
            "name": "Dupont Electrical", "siret": "12345678901234", "phone": "+33142345678",
            "address": "123 Rue de Paris", "zip": "75001", "city": "Paris", "country": "France",
            "domain": "dupont-electrical.fr", "numberofemployees": "12",
            "hubferry_trade": "Electrical Services", "industry": "CONSTRUCTION"
        },
        "contact u-1001": {
            "email": "marie.dupont@company.fr", "firstname": "Marie", "lastname": "Dupont",
            "phone": "+33612345678", "company": "Dupont Electrical", "country": "France",
            "hubferry_role": "professional", "jobtitle": ""
        },
        "deal m-501": {
            "dealname": "Website Redesign – Design & Mockups", "amount": "1500.00",
            "deal_currency_code": "EUR", "pipeline": "default", "dealstage": "closedwon",
            "closedate": "2025-01-31", "hubferry_probability": "0.75",
            "hubferry_payment_status": "captured", "hubferry_payment_method": "card",
            "hubferry_payment_paid_at": "2024-12-08T08:29:51.000Z",
            "hubferry_payment_reference": "pay_7f31"
        },
        "ticket d-9001": {
            "subject": "DSP-2024-00001 – Quality Issue", "hs_ticket_priority": "HIGH",
            "content": "The delivered mock-ups miss the mobile layout.",
            "hs_pipeline": "0", "hs_pipeline_stage": "4",
            "hubferry_resolution": "Mobile layout delivered; client accepted.",
            "hubferry_resolved_at": "2024-12-09T14:58:00.000Z"
        }
    });
    assert_eq!(serde_json::to_value(held).unwrap(), expected);
    let expected = json!({
        "company b-77": {},
        "contact u-1001": {"business": "b-77"},
        "deal m-501": {"business": "b-77", "client": "u-1001"},
        "ticket d-9001": {"raised_by": "u-1001", "business": "b-77", "milestone": "m-501"}
    });
    assert_eq!(serde_json::to_value(associated).unwrap(), expected);
}

#[test]
fn what_is_refused_is_refused_at_its_place() {
    let rows = [
        (
            json!({"type": "user.created", "subject": "u-2", "data":
                {"email": "not-an-address", "first_name": "No", "last_name": "Mail"}}),
            vec!["/data/email invalid_email"],
        ),
        (
            json!({"type": "user.created", "subject": "", "data": {"email": "a@example.com"}}),
            vec!["/subject empty"],
        ),
        (
            json!({"type": "invoice.created", "subject": "i-1", "data": {}}),
            vec!["/type unknown_event_type"],
        ),
        (
            json!({"type": "milestone.created", "subject": "m-1", "data":
                {"name": "X", "amount": {"value": "twelve", "currency": "EUR"}}}),
            vec!["/data/amount/value invalid_decimal"],
        ),
        (
            json!({"type": "dispute.created", "subject": "d-1", "data":
                {"title": "", "status": "no-such-status"}}),
            vec!["/data/title empty", "/data/status unknown_option"],
        ),
        (
            json!({"type": "user.created", "subject": "u-3", "time": "yesterday", "data":
                {"email": "a@example.com"}}),
            vec!["/time invalid_time"],
        ),
        (
            json!({"type": "user.updated", "subject": "u-3", "data": {"email": null}}),
            vec!["/data/email required"],
        ),
        (
            json!({"type": "user.exploded", "subject": "u-3", "data": {}}),
            vec!["/type unknown_event_type"],
        ),
        (
            json!({"type": "milestone.updated", "subject": "m-1", "data": {"amount": "12"}}),
            vec!["/data/amount wrong_type"],
        ),
    ];
    for (raw, expected) in rows {
        assert_eq!(faults(&raw), expected, "{raw}");
    }
}

#[test]
fn deletes_and_erasures_carry_nothing_but_the_record() {
    let mapping = builtin();
    for (kind, operation) in
        [("user.deleted", Operation::Archive), ("user.erased", Operation::Erase)]
    {
        let change =
            one(&mapping, &json!({"type": kind, "subject": "u-1", "data": {"email": "?"}}));
        assert_eq!((change.operation, change.external_id.as_str()), (operation, "u-1"));
        assert!(change.properties.is_empty() && change.associations.is_empty());
    }
}

#[test]
fn an_unusable_optional_value_is_left_out_with_a_warning_that_does_not_repeat_it() {
    let change = one(
        &builtin(),
        &json!({"type": "user.updated", "subject": "u-1", "data": {
            "phone": "secret-number", "first_name": {"a": "secret"}, "business_id": {},
            "company": "x".repeat(70_000)}}),
    );
    let codes: Vec<_> = change.warnings.iter().map(|warning| warning.code.as_str()).collect();
    assert_eq!(codes, ["wrong_type", "invalid_phone", "truncated", "wrong_type"]);
    assert!(change.warnings.iter().all(|warning| !warning.message.contains("secret")));
    assert_eq!(change.properties["company"].len(), 65_536);
    assert_eq!(change.properties.len(), 1);
    assert!(change.associations.is_empty());
}

#[test]
fn the_owner_is_written_only_where_it_is_set() {
    let raw = json!({"type": "user.updated", "subject": "u-1", "data": {}});
    assert!(one(&builtin(), &raw).properties.is_empty());
    let owned = Mapping::builtin(&Vars { owner_id: Some("77".into()) }).unwrap();
    assert_eq!(one(&owned, &raw).properties["hubspot_owner_id"], "77");
}

#[test]
fn object_kinds_come_parents_first_with_their_slots() {
    let mapping = builtin();
    let order: Vec<_> = mapping.objects().iter().map(|object| object.sync_type.as_str()).collect();
    assert_eq!(order, ["company", "contact", "deal", "ticket"]);
    let slot = mapping.object("ticket").unwrap().slot("business").unwrap();
    assert_eq!(
        (slot.target.as_str(), slot.type_id, &slot.also_drop[..]),
        ("company", 339, &[26][..])
    );
    assert_eq!(mapping.object("contact").unwrap().email_property.as_deref(), Some("email"));
    assert!(mapping.event_types().contains(&"dispute.resolved".to_owned()));
    let raw = json!({"type": "dispute.deleted", "subject": "d-1", "data": {}});
    assert_eq!(one(&mapping, &raw).priority, Priority::High);
}

/// A copy of the built-in files with one edit, loaded.
fn load_edited(file: &str, edit: impl Fn(String) -> String) -> Result<Mapping, MappingError> {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("mappings")).unwrap();
    for name in ["objects.toml", "mappings/user.toml", "mappings/business.toml"] {
        let text = fs::read_to_string(Path::new(CONFIG).join(name)).unwrap();
        let text = if name == file { edit(text) } else { text };
        fs::write(dir.path().join(name), text).unwrap();
    }
    Mapping::load(dir.path(), &Vars::default())
}

#[test]
fn files_from_a_directory_are_the_same_files() {
    let mapping = Mapping::load(Path::new(CONFIG), &Vars::default()).unwrap();
    assert_eq!(mapping.objects(), builtin().objects());
    assert_eq!(mapping.event_types(), builtin().event_types());
    let missing = Mapping::load(Path::new("/nowhere/at/all"), &Vars::default()).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/at/all/objects.toml"));
}

#[test]
fn a_broken_file_is_named_with_its_key_and_the_way_out() {
    let user = "mappings/user.toml";
    let rows: [(&str, &str, &str, &str); 14] = [
        ("objects.toml", "on_missing =", "on_mising =", "unknown field `on_mising`"),
        ("objects.toml", "target = \"company\"", "target = \"firm\"", "contact.slots.business"),
        ("objects.toml", "name = \"hubferry_role\"", "name = \"role\"", "does not declare it"),
        ("objects.toml", "field = \"text\"", "field = \"texte\"", "company.properties.siret.field"),
        (user, "required = true", "requried = true", "unknown field `requried`"),
        (user, "transform = \"email\"", "transform = \"emial\"", "unknown variant `emial`"),
        (user, "from = \"/email\"", "from = \"email\"", "fields.email.from"),
        (user, "object = \"contact\"", "object = \"person\"", "use one of company, contact"),
        (user, "property = \"lastname\"", "property = \"firstname\"", "written twice"),
        (user, "business = {", "firm = {", "associations.firm"),
        (user, "var = \"owner_id\"", "var = \"boss_id\"", "fields.hubspot_owner_id.var"),
        (
            user,
            "required = true",
            "required = true\non_invalid = \"drop\"",
            "fields.email.on_invalid",
        ),
        (user, "firstname = \"Marie\"", "firstname = \"Maria\"", "examples[0] (user.created)"),
        (user, "deleted = \"archive\"", "deleted = \"remove\"", "unknown variant `remove`"),
    ];
    for (file, sound, broken, named) in rows {
        let edited = load_edited(file, |text| {
            assert!(text.contains(sound), "{sound}");
            text.replacen(sound, broken, 1)
        });
        let message = edited.expect_err(broken).to_string();
        assert!(message.contains(".toml") && message.contains(named), "{broken}: {message}");
    }
}

#[test]
fn a_file_without_an_example_is_refused() {
    let edited = load_edited("mappings/user.toml", |text| {
        text[..text.find("\n[[examples]]\ntype").unwrap()].to_owned()
    });
    let message = edited.unwrap_err().to_string();
    assert!(message.contains("user.toml, examples:"), "{message}");
}

#[test]
fn every_industry_of_the_table_is_one_that_hubspot_knows() {
    let known: Vec<&str> = INDUSTRIES.split_whitespace().collect();
    let file = fs::read_to_string(format!("{CONFIG}/mappings/business.toml")).unwrap();
    let file: toml::Table = file.parse().unwrap();
    let options = file["tables"]["industry"]["options"].as_table().unwrap();
    for (trade, industry) in options {
        assert!(known.contains(&industry.as_str().unwrap()), "{trade} = {industry}");
    }
}

/// The options of a company's `industry`, all of them.
const INDUSTRIES: &str = "
ACCOUNTING AIRLINES_AVIATION ALTERNATIVE_DISPUTE_RESOLUTION ALTERNATIVE_MEDICINE ANIMATION APPAREL_FASHION ARCHITECTURE_PLANNING
ARTS_AND_CRAFTS AUTOMOTIVE AVIATION_AEROSPACE BANKING BIOTECHNOLOGY BROADCAST_MEDIA BUILDING_MATERIALS BUSINESS_SUPPLIES_AND_EQUIPMENT
CAPITAL_MARKETS CHEMICALS CIVIC_SOCIAL_ORGANIZATION CIVIL_ENGINEERING COMMERCIAL_REAL_ESTATE COMPUTER_NETWORK_SECURITY COMPUTER_GAMES
COMPUTER_HARDWARE COMPUTER_NETWORKING COMPUTER_SOFTWARE INTERNET CONSTRUCTION CONSUMER_ELECTRONICS CONSUMER_GOODS CONSUMER_SERVICES
COSMETICS DAIRY DEFENSE_SPACE DESIGN EDUCATION_MANAGEMENT E_LEARNING ELECTRICAL_ELECTRONIC_MANUFACTURING ENTERTAINMENT
ENVIRONMENTAL_SERVICES EVENTS_SERVICES EXECUTIVE_OFFICE FACILITIES_SERVICES FARMING FINANCIAL_SERVICES FINE_ART FISHERY FOOD_BEVERAGES
FOOD_PRODUCTION FUND_RAISING FURNITURE GAMBLING_CASINOS GLASS_CERAMICS_CONCRETE GOVERNMENT_ADMINISTRATION GOVERNMENT_RELATIONS
GRAPHIC_DESIGN HEALTH_WELLNESS_AND_FITNESS HIGHER_EDUCATION HOSPITAL_HEALTH_CARE HOSPITALITY HUMAN_RESOURCES IMPORT_AND_EXPORT
INDIVIDUAL_FAMILY_SERVICES INDUSTRIAL_AUTOMATION INFORMATION_SERVICES INFORMATION_TECHNOLOGY_AND_SERVICES INSURANCE INTERNATIONAL_AFFAIRS
INTERNATIONAL_TRADE_AND_DEVELOPMENT INVESTMENT_BANKING INVESTMENT_MANAGEMENT JUDICIARY LAW_ENFORCEMENT LAW_PRACTICE LEGAL_SERVICES
LEGISLATIVE_OFFICE LEISURE_TRAVEL_TOURISM LIBRARIES LOGISTICS_AND_SUPPLY_CHAIN LUXURY_GOODS_JEWELRY MACHINERY MANAGEMENT_CONSULTING
MARITIME MARKET_RESEARCH MARKETING_AND_ADVERTISING MECHANICAL_OR_INDUSTRIAL_ENGINEERING MEDIA_PRODUCTION MEDICAL_DEVICES MEDICAL_PRACTICE
MENTAL_HEALTH_CARE MILITARY MINING_METALS MOTION_PICTURES_AND_FILM MUSEUMS_AND_INSTITUTIONS MUSIC NANOTECHNOLOGY NEWSPAPERS
NON_PROFIT_ORGANIZATION_MANAGEMENT OIL_ENERGY ONLINE_MEDIA OUTSOURCING_OFFSHORING PACKAGE_FREIGHT_DELIVERY PACKAGING_AND_CONTAINERS
PAPER_FOREST_PRODUCTS PERFORMING_ARTS PHARMACEUTICALS PHILANTHROPY PHOTOGRAPHY PLASTICS POLITICAL_ORGANIZATION
PRIMARY_SECONDARY_EDUCATION PRINTING PROFESSIONAL_TRAINING_COACHING PROGRAM_DEVELOPMENT PUBLIC_POLICY PUBLIC_RELATIONS_AND_COMMUNICATIONS
PUBLIC_SAFETY PUBLISHING RAILROAD_MANUFACTURE RANCHING REAL_ESTATE RECREATIONAL_FACILITIES_AND_SERVICES RELIGIOUS_INSTITUTIONS
RENEWABLES_ENVIRONMENT RESEARCH RESTAURANTS RETAIL SECURITY_AND_INVESTIGATIONS SEMICONDUCTORS SHIPBUILDING SPORTING_GOODS SPORTS
STAFFING_AND_RECRUITING SUPERMARKETS TELECOMMUNICATIONS TEXTILES THINK_TANKS TOBACCO TRANSLATION_AND_LOCALIZATION
TRANSPORTATION_TRUCKING_RAILROAD UTILITIES VENTURE_CAPITAL_PRIVATE_EQUITY VETERINARY WAREHOUSING WHOLESALE WINE_AND_SPIRITS WIRELESS
WRITING_AND_EDITING MOBILE_GAMES
";
