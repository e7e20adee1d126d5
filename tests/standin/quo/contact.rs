//! Writing contacts on v1. PATCH replaces: lists that are left out are deleted.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::world::QuoState;
use super::{Answer, CONTACT, Refusal, flat};

const RESERVED: [&str; 6] = [
    "openphone",
    "device",
    "csv",
    "zapier",
    "google-people",
    "other",
];

pub(super) fn create(quo: &mut QuoState, body: &Value) -> Answer {
    check(quo, body)?;
    let fields = &body["defaultFields"];
    if !fields.is_object() {
        return Err(CONTACT.invalid("/defaultFields", "Required property", fields));
    }
    if fields.get("firstName").is_none() {
        return Err(CONTACT.invalid(
            "/defaultFields/firstName",
            "Required property",
            &Value::Null,
        ));
    }
    let external = &body["externalId"];
    let taken = external.is_string() && quo.contacts.iter().any(|c| c["externalId"] == *external);
    if taken && quo.conflict_on_external_id {
        return Err(Refusal(409, flat(409, "0800409", ("Conflict", "Conflict"))));
    }
    quo.counter += 1;
    let id = format!("66f1a2b3c4d5e6f7{:08x}", 0xa000_0000_u64 + quo.counter);
    let source = body
        .get("source")
        .cloned()
        .unwrap_or_else(|| json!("public-api"));
    let now = Timestamp::now().to_string();
    let creator = body
        .get("createdByUserId")
        .cloned()
        .unwrap_or_else(|| json!("USmarta001"));
    let contact = json!({"id": id, "externalId": external, "source": source,
        "sourceUrl": body["sourceUrl"],
        "defaultFields": default_fields(quo, fields, &Value::Null),
        "customFields": custom_fields(quo, body),
        "createdAt": now, "updatedAt": now,
        "createdByUserId": creator});
    quo.contacts.push(contact.clone());
    Ok((201, json!({"data": contact})))
}

pub(super) fn update(quo: &mut QuoState, id: &str, body: &Value) -> Answer {
    let Some(old) = quo.contact(id).cloned() else {
        return Err(CONTACT.missing());
    };
    check(quo, body)?;
    let mut contact = old.clone();
    contact["defaultFields"] = default_fields(quo, &body["defaultFields"], &old["defaultFields"]);
    contact["customFields"] = json!(custom_fields(quo, body));
    for key in ["externalId", "source", "sourceUrl"] {
        if let Some(value) = body.get(key) {
            contact[key] = value.clone();
        }
    }
    contact["updatedAt"] = json!(Timestamp::now().to_string());
    if let Some(place) = quo.contact(id) {
        *place = contact.clone();
    }
    Ok((200, json!({"data": contact})))
}

pub(super) fn delete(quo: &mut QuoState, id: &str) -> Answer {
    let before = quo.contacts.len();
    quo.contacts.retain(|c| c["id"] != id);
    if quo.contacts.len() == before {
        Err(CONTACT.missing())
    } else {
        Ok((204, Value::Null))
    }
}

fn check(quo: &QuoState, body: &Value) -> Result<(), Refusal> {
    for (key, most) in [("source", 72), ("sourceUrl", 200), ("externalId", 75)] {
        let value = &body[key];
        let length = value.as_str().map(|s| s.chars().count());
        if !value.is_null() && !length.is_some_and(|n| (1..=most).contains(&n)) {
            let message = format!("Expected string length between 1 and {most}");
            return Err(CONTACT.invalid(&format!("/{key}"), &message, value));
        }
    }
    let source = body["source"].as_str().unwrap_or_default();
    if RESERVED.contains(&source) || source.starts_with("openphone") || source.starts_with("csv") {
        return Err(CONTACT.invalid("/source", "The source is reserved", &body["source"]));
    }
    for key in ["firstName", "lastName", "company", "role"] {
        let value = &body["defaultFields"][key];
        if !value.is_null() && !value.is_string() {
            return Err(CONTACT.invalid(
                &format!("/defaultFields/{key}"),
                "Expected string",
                value,
            ));
        }
    }
    for key in ["emails", "phoneNumbers"] {
        check_list(key, &body["defaultFields"][key])?;
    }
    check_custom(quo, &body["customFields"])
}

fn check_list(key: &str, list: &Value) -> Result<(), Refusal> {
    let path = format!("/defaultFields/{key}");
    let Some(items) = list.as_array() else {
        return if list.is_null() {
            Ok(())
        } else {
            Err(CONTACT.invalid(&path, "Expected array", list))
        };
    };
    let bad = items
        .iter()
        .enumerate()
        .find(|(_, i)| !i["name"].is_string() || !(i["value"].is_string() || i["value"].is_null()));
    bad.map_or(Ok(()), |(n, i)| {
        Err(CONTACT.invalid(
            &format!("{path}/{n}"),
            "Expected object with name and value",
            i,
        ))
    })
}

fn check_custom(quo: &QuoState, list: &Value) -> Result<(), Refusal> {
    let Some(items) = list.as_array() else {
        return if list.is_null() {
            Ok(())
        } else {
            Err(CONTACT.invalid("/customFields", "Expected array", list))
        };
    };
    for item in items {
        let field = quo
            .custom_fields
            .iter()
            .find(|f| f["key"] == item["key"] && item["key"].is_string());
        let value = &item["value"];
        let fits = field.is_some_and(|f| match f["type"].as_str() {
            _ if value.is_null() => true,
            Some("multi-select") => value.is_array(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            _ => value.is_string(),
        });
        if !fits {
            let title = "Invalid Custom Field Item";
            return Err(Refusal(400, flat(400, "0801400", (title, title))));
        }
    }
    Ok(())
}

/// Texts that are left out stay; e-mails and phone numbers that are left out are gone.
fn default_fields(quo: &mut QuoState, fields: &Value, old: &Value) -> Value {
    let mut out = Map::new();
    for key in ["firstName", "lastName", "company", "role"] {
        out.insert(key.to_owned(), fields.get(key).unwrap_or(&old[key]).clone());
    }
    for (key, prefix) in [("emails", "em"), ("phoneNumbers", "ph")] {
        let mut items = fields[key].as_array().cloned().unwrap_or_default();
        for item in items.iter_mut().filter(|i| !i["id"].is_string()) {
            item["id"] = json!(quo.next_id(prefix));
        }
        out.insert(key.to_owned(), Value::Array(items));
    }
    Value::Object(out)
}

fn custom_fields(quo: &mut QuoState, body: &Value) -> Vec<Value> {
    let items = body["customFields"].as_array().cloned().unwrap_or_default();
    let mut out = Vec::new();
    for item in items {
        let id = quo.next_id("cf");
        let Some(field) = quo.custom_fields.iter().find(|f| f["key"] == item["key"]) else {
            continue;
        };
        out.push(
            json!({"name": field["name"], "key": field["key"], "id": id, "type": field["type"],
                        "value": item["value"]}),
        );
    }
    out
}
