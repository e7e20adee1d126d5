//! The default world, built from the vendors' samples in `fixtures/`: what the webhook samples
//! speak of exists.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::notion::value;
use super::world::{
    Block, CALLS_DATABASE, CALLS_SOURCE, CLIENTS_DATABASE, CLIENTS_SOURCE, Database,
    MESSAGES_DATABASE, MESSAGES_SOURCE, NotionState, Page, QuoState, Source, World, new_column,
};

const OWN: &str = "+14155550110";

/// One sample file as JSON, e.g. `quo/api-v1.call.get.json`.
pub fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Bytes that are the same for the same path and pass for an mp3 by their first bytes.
pub fn audio(path: &str) -> Vec<u8> {
    let mut bytes = b"ID3\x03\x00\x00\x00\x00\x00\x00".to_vec();
    let seed: u64 = path
        .bytes()
        .fold(7, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
    bytes.extend(
        (0..40_000_u64)
            .map(|i| u8::try_from((seed ^ (i * 2_654_435_761)) >> 7 & 0xff).unwrap_or(0)),
    );
    bytes
}

pub fn world() -> World {
    let mut world = World::empty();
    let notion = &mut world.notion;
    add_database(notion, "notion/database_clients.json", CLIENTS_SOURCE);
    add_database(notion, "notion/database_calls.json", CALLS_SOURCE);
    add_messages_database(notion);
    fill_quo(&mut world.quo);
    world
}

pub fn from_json(json: &Value) -> World {
    let mut world = if json["base"] == "empty" {
        World::empty()
    } else {
        world()
    };
    if let Some(name) = json["schema"].as_str() {
        world
            .notion
            .use_schema(CLIENTS_DATABASE, &format!("database_clients_{name}.json"));
    }
    if json["seed_pages"] == true {
        world.notion.seed_fixture_pages();
    }
    if json["second_source"] == true {
        world
            .notion
            .add_second_source(CLIENTS_DATABASE, "Suppliers");
    }
    for client in json["clients"].as_array().into_iter().flatten() {
        let text = |key: &str| client[key].as_str().unwrap_or_default();
        let properties = json!({"title": {"title": [{"text": {"content": text("Name")}}]},
                                "Phone": {"phone_number": text("Phone")}});
        world.notion.add_page(CLIENTS_DATABASE, &properties);
    }
    let lists = [
        ("contacts", &mut world.quo.contacts),
        ("calls", &mut world.quo.calls),
        ("messages", &mut world.quo.messages),
        ("conversations", &mut world.quo.conversations),
        ("webhooks", &mut world.quo.webhooks),
        ("phone_numbers", &mut world.quo.phone_numbers),
    ];
    for (key, list) in lists {
        if let Some(replacement) = json["quo"][key].as_array() {
            list.clone_from(replacement);
        }
    }
    world
}

pub fn use_schema(notion: &mut NotionState, database: &str, name: &str) {
    let columns = columns_of(&fixture(&format!("notion/{name}")));
    let source = notion.database_mut(database).sources[0].id.clone();
    let types: Vec<(String, String)> = columns
        .values()
        .map(|c| (text(&c["id"]), text(&c["type"])))
        .collect();
    for page in notion.pages.iter_mut().filter(|p| p.source == source) {
        page.values.retain(|id, v| {
            let Some((_, kind)) = types.iter().find(|(i, _)| i == id) else {
                return true;
            };
            value::convert(v, kind)
        });
    }
    notion.source_mut(&source).unwrap().columns = columns;
}

pub fn seed_fixture_pages(notion: &mut NotionState) {
    add_page(
        notion,
        &fixture("notion/page_full.json"),
        CLIENTS_DATABASE,
        CLIENTS_SOURCE,
    );
    add_page(
        notion,
        &fixture("notion/page_trashed.json"),
        CLIENTS_DATABASE,
        CLIENTS_SOURCE,
    );
    let title = value::rich_text_of("Incoming · Rosa Delgado");
    let call = json!({"id": "fe20e36b-71d6-493a-9036-21ca5f655701",
        "created_time": "2026-11-20T15:05:00Z",
        "last_edited_time": "2026-11-20T15:05:00Z", "archived": false,
        "properties": {"Name": {"id": "title", "type": "title", "title": title},
            "Client": {"id": "cLi1", "type": "relation",
            "relation": [{"id": "92728898-3bcc-4d37-854f-48872d83d133"}]}}});
    add_page(notion, &call, CALLS_DATABASE, CALLS_SOURCE);
    let page = "92728898-3bcc-4d37-854f-48872d83d133";
    add_blocks(notion, &fixture("notion/block_list.json"), page);
    let toggle = "62c8df02-770a-4df2-bef5-fc7c8f714f57";
    add_blocks(
        notion,
        &fixture("notion/block_list_toggle_children.json"),
        toggle,
    );
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn time(value: &Value) -> Timestamp {
    value
        .as_str()
        .and_then(|t| t.parse().ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

fn columns_of(database: &Value) -> Map<String, Value> {
    database["properties"]
        .as_object()
        .cloned()
        .unwrap_or_default()
}

fn add_database(notion: &mut NotionState, name: &str, source: &str) {
    let json = fixture(name);
    let title = text(&json["title"][0]["plain_text"]);
    let source = Source {
        id: source.to_owned(),
        name: title.clone(),
        columns: columns_of(&json),
    };
    notion.databases.push(Database {
        id: text(&json["id"]),
        title,
        sources: vec![source],
        unshared: false,
        in_trash: false,
        created: time(&json["created_time"]),
        edited: time(&json["last_edited_time"]),
    });
}

/// The columns that SPEC 10 names; there is no sample of this one.
fn add_messages_database(notion: &mut NotionState) {
    let columns = [
        ("Message ID", "title"),
        ("Direction", "select"),
        ("From", "phone_number"),
        ("To", "rich_text"),
        ("Content", "rich_text"),
        ("Status", "select"),
        ("OpenPhone Number", "phone_number"),
        ("Phone Number ID", "rich_text"),
        ("User ID", "rich_text"),
        ("Created At", "date"),
        ("Updated At", "date"),
        ("Has Media", "checkbox"),
        ("Media URLs", "rich_text"),
        ("Conversation ID", "rich_text"),
        ("Synced At", "date"),
        ("Raw Data", "rich_text"),
    ];
    let mut map = Map::new();
    for (number, (name, kind)) in columns.into_iter().enumerate() {
        let id = if kind == "title" {
            kind.to_owned()
        } else {
            format!("mS{number:02}")
        };
        map.insert(name.to_owned(), new_column(&id, name, kind, json!({})));
    }
    let relation =
        json!({"database_id": CLIENTS_DATABASE, "type": "single_property", "single_property": {}});
    map.insert(
        "Canvas".to_owned(),
        new_column("mS98", "Canvas", "relation", relation),
    );
    let created = "2026-03-02T09:14:00Z".parse().unwrap();
    notion.databases.push(Database {
        id: MESSAGES_DATABASE.to_owned(),
        title: "Messages".to_owned(),
        sources: vec![Source {
            id: MESSAGES_SOURCE.to_owned(),
            name: "Messages".to_owned(),
            columns: map,
        }],
        unshared: false,
        in_trash: false,
        created,
        edited: created,
    });
}

fn add_page(notion: &mut NotionState, json: &Value, database: &str, source: &str) {
    let mut values = std::collections::BTreeMap::new();
    for property in json["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, p)| p)
    {
        let kind = text(&property["type"]);
        if value::WRITABLE.contains(&kind.as_str()) {
            values.insert(text(&property["id"]), property[&kind].clone());
        }
    }
    notion.pages.push(Page {
        id: text(&json["id"]),
        database: database.to_owned(),
        source: source.to_owned(),
        created: time(&json["created_time"]),
        edited: time(&json["last_edited_time"]),
        in_trash: json["archived"] == true,
        is_archived: false,
        unshared: false,
        values,
        children: vec![],
        number: notion.pages.len() as u64 + 1,
        born: None,
    });
}

fn add_blocks(notion: &mut NotionState, list: &Value, parent: &str) {
    for json in list["results"].as_array().into_iter().flatten() {
        let kind = text(&json["type"]);
        let block = Block {
            id: text(&json["id"]),
            parent: parent.to_owned(),
            data: json[&kind].clone(),
            kind,
            children: vec![],
            in_trash: false,
            created: time(&json["created_time"]),
            edited: time(&json["last_edited_time"]),
        };
        notion.children_mut(parent).push(block.id.clone());
        notion.blocks.insert(block.id.clone(), block);
    }
}

fn list(name: &str) -> Vec<Value> {
    fixture(&format!("quo/{name}"))["data"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

fn one(name: &str) -> Value {
    fixture(&format!("quo/{name}"))["data"].clone()
}

fn fill_quo(quo: &mut QuoState) {
    quo.phone_numbers = list("api-v1.phone-numbers.list.json");
    quo.users = list("api-v1.users.list.json");
    quo.custom_fields = list("api-v1.contact-custom-fields.json");
    quo.contacts = list("api-v1.contacts.list.page1.json");
    quo.contacts
        .extend(list("api-v1.contacts.list.last-page.json"));
    quo.conversations = list("api-v1.conversations.list.json");
    quo.webhooks = list("api-v1.webhooks.list.json");
    quo.dated_webhooks = list("api-2026-03-30.webhooks.list.json");
    fill_calls(quo);
    fill_artifacts(quo);
    quo.messages = list("api-v1.messages.list.json");
    quo.messages.extend(list("api-v1.messages.list.group.json"));
    quo.messages.push(one("api-v1.message.get.media.json"));
    for name in samples("message.") {
        let message = message_of(&fixture(&format!("quo/{name}")));
        if message["id"].is_string() && !quo.messages.iter().any(|m| m["id"] == message["id"]) {
            quo.messages.push(message);
        }
    }
}

/// Names of the webhook samples whose event begins so.
fn samples(event: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/quo");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("fixtures/quo")
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|n| n.starts_with("legacy-") || n.starts_with("v2026-"))
        .filter(|n| n.contains(&format!(".{event}")))
        .collect();
    names.sort();
    names
}

fn fill_calls(quo: &mut QuoState) {
    // the samples' own numbers win over those derived from webhooks
    quo.calls = vec![
        one("api-v1.call.get.json"),
        list("api-v1.calls.list.json")[1].clone(),
    ];
    for name in samples("call.completed")
        .into_iter()
        .chain(samples("call.recording.completed"))
    {
        let call = call_of(&fixture(&format!("quo/{name}")));
        if !quo.calls.iter().any(|c| c["id"] == call["id"]) {
            quo.calls.push(call);
        }
    }
    let mut group = one("api-2026-03-30.call.get.group.json");
    let numbers: Vec<Value> = group["participants"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|p| p["phoneNumber"].clone())
        .collect();
    group["participants"] = Value::Array(numbers);
    group["userId"] = group["actorId"].clone();
    group.as_object_mut().unwrap().remove("actorId");
    quo.calls.push(group);
    let known = [
        ("AC00000000000000000000000000000144", "+12065550134"),
        ("AC00000000000000000000000000000167", "+13125550162"),
    ];
    for (id, caller) in known {
        if let Some(call) = quo.call(id) {
            call["participants"] = json!([caller, OWN]);
        }
    }
}

fn fill_artifacts(quo: &mut QuoState) {
    let id = |n: &str| format!("AC00000000000000000000000000000{n}");
    quo.recordings
        .insert(id("141"), list("api-v1.call-recordings.json"));
    quo.recordings
        .insert(id("142"), list("api-v1.call-recordings.processing.json"));
    let mut recording = list("api-2026-03-30.call.recordings.json");
    recording[0]["url"] = json!("https://storage.example.com/recordings/CRrec00160.mp3");
    quo.recordings.insert(id("160"), recording);
    quo.summaries
        .insert(id("141"), one("api-v1.call-summary.json"));
    quo.summaries
        .insert(id("143"), one("api-v1.call-summary.absent.json"));
    quo.transcripts
        .insert(id("141"), one("api-v1.call-transcript.json"));
    quo.voicemails
        .insert(id("145"), one("api-v1.call-voicemail.json"));
    quo.voicemails
        .insert(id("146"), one("api-v1.call-voicemail.in-progress.json"));
    let of = |name: &str| fixture(&format!("quo/{name}"))["data"]["resource"].clone();
    for (call, name) in [
        ("160", "v2026-03-30.call.summary.completed.json"),
        ("166", "v2026-03-30.call.summary.completed.ai-agent.json"),
    ] {
        let r = of(name);
        let summary = json!({"callId": r["callId"], "status": r["processingStatus"],
            "summary": r["summary"],
                             "nextSteps": r["nextSteps"], "jobs": r["jobs"]});
        quo.summaries.insert(id(call), summary);
    }
    let mut jobs =
        fixture("quo/legacy-v4.call.summary.completed.ai-jobs.json")["data"]["object"].clone();
    jobs.as_object_mut().unwrap().remove("object");
    quo.summaries.insert(id("146"), jobs);
    let r = of("v2026-03-30.call.transcript.completed.json");
    let transcript = json!({"callId": r["callId"], "createdAt": r["createdAt"],
        "duration": r["duration"],
                            "status": r["processingStatus"], "dialogue": r["dialogue"]});
    quo.transcripts.insert(id("160"), transcript);
    let r = of("v2026-03-30.call.voicemail.completed.json");
    let voicemail = json!({"id": r["voicemailId"], "status": "completed", "duration": r["duration"],
                           "transcript": r["transcript"], "recordingUrl": r["recordingUrl"]});
    quo.voicemails.insert(id("164"), voicemail);
}

/// What `GET /v1/calls/{id}` says of the call that a webhook sample speaks of.
fn call_of(event: &Value) -> Value {
    let dated = event["data"]["resource"].is_object();
    let object = if dated {
        &event["data"]["resource"]
    } else {
        &event["data"]["object"]
    };
    let context = if dated {
        &event["data"]["context"]
    } else {
        object
    };
    let incoming = object["direction"] == "incoming";
    let participants = match (object.get("participants"), dated) {
        (Some(list), _) => list.clone(),
        (None, true) => {
            let (outside, own) = (
                &context["participants"]["external"][0],
                &context["participants"]["workspace"][0],
            );
            if incoming {
                json!([outside, own])
            } else {
                json!([own, outside])
            }
        }
        (None, false) => json!([object["from"], object["to"]]),
    };
    let status = match object["status"].as_str().unwrap_or("completed") {
        "unanswered" => "no-answer",
        "answered" | "ai-handled" => "completed",
        "completed" if object["answeredAt"].is_null() => "no-answer",
        other => other,
    };
    let ai = object["status"] == "ai-handled"
        || object["answeredBy"]
            .as_str()
            .is_some_and(|a| a.starts_with("SY"));
    let user = &context["userId"];
    let answered = !object["answeredAt"].is_null();
    let answered_by =
        object
            .get("answeredBy")
            .cloned()
            .unwrap_or_else(|| match (ai, answered && incoming) {
                (true, _) => json!("SYsona0001"),
                (false, true) => user.clone(),
                (false, false) => Value::Null,
            });
    let seconds = (time(&object["completedAt"]) - time(&object["createdAt"])).as_secs_f64();
    let duration = object["duration"]
        .as_i64()
        .map_or_else(|| json!(seconds.round()), Value::from);
    json!({"answeredAt": object["answeredAt"], "answeredBy": answered_by,
        "initiatedBy": if incoming { &Value::Null } else { user },
        "direction": object["direction"], "status": status,
        "completedAt": object["completedAt"], "createdAt": object["createdAt"],
        "callRoute": if incoming { json!("phone-number") } else { Value::Null },
        "duration": duration.as_f64().map(|d| d.round() as i64),
        "forwardedFrom": object["forwardedFrom"],
        "forwardedTo": object["forwardedTo"],
        "aiHandled": if ai { json!("ai-agent") } else { Value::Null },
        "id": object["id"], "phoneNumberId": context["phoneNumberId"], "participants": participants,
        "updatedAt": object["updatedAt"], "userId": user})
}

/// What `GET /v1/messages/{id}` says of the message that a webhook sample speaks of.
fn message_of(event: &Value) -> Value {
    let event = if event["object"].is_object() {
        &event["object"]
    } else {
        event
    };
    let dated = event["data"]["resource"].is_object();
    let object = if dated {
        &event["data"]["resource"]
    } else {
        &event["data"]["object"]
    };
    let context = if dated {
        &event["data"]["context"]
    } else {
        object
    };
    let to = if dated {
        &context["recipientIdentifiers"]
    } else {
        &object["to"]
    };
    let to = to
        .as_str()
        .map_or_else(|| to.clone(), |t| json!(t.split(',').collect::<Vec<_>>()));
    let body = if object["text"].is_string() {
        &object["text"]
    } else {
        &object["body"]
    };
    let link = text(&event["data"]["deepLink"]);
    let conversation = link.split("/c/").nth(1).and_then(|r| r.split('?').next());
    let conversation = conversation.map_or_else(|| context["conversationId"].clone(), |c| json!(c));
    let media = object.get("media").cloned().unwrap_or_else(|| json!([]));
    json!({"id": object["id"], "to": to,
        "from": if dated { &context["senderIdentifier"] } else { &object["from"] },
        "text": body, "phoneNumberId": context["phoneNumberId"], "conversationId": conversation,
        "direction": object["direction"], "userId": context["userId"], "status": object["status"],
        "createdAt": object["createdAt"], "updatedAt": object["createdAt"], "media": media})
}
