//! What a straight-line program does with the same events: one request after the other, each on a
//! connection of its own, nothing remembered. It reads the contact, looks for the page, and makes
//! it or updates and extends it. It keeps nothing, so it is neither safe against crashes nor
//! against duplicates: a yardstick, not a rival.

use std::io::Write;

use serde_json::{Value as Json, json};

/// Access to the vendors, from the environment.
struct Vendors {
    agent: ureq::Agent,
    quo: String,
    notion: String,
    database: String,
}

/// Reads events from standard input, one after another, and prints a line for each.
pub fn main() {
    let variable = |name: &str| std::env::var(name).expect(name);
    let config = ureq::Agent::config_builder()
        .max_idle_connections(0)
        .build();
    let vendors = Vendors {
        agent: config.into(),
        quo: variable("OPENPHONE_API_BASE"),
        notion: variable("NOTION_API_BASE"),
        database: variable("NOTION_CLIENTS_DATABASE_ID"),
    };
    let (quo_key, notion_key) = (variable("OPENPHONE_API_KEY"), variable("NOTION_API_KEY"));
    for event in serde_json::Deserializer::from_reader(std::io::stdin().lock()).into_iter::<Json>()
    {
        let event = event.expect("JSON");
        if event["type"] == "message.received" {
            vendors.sync(&event["data"], (&quo_key, &notion_key));
        }
        writeln!(std::io::stdout(), "{{\"status\":\"success\"}}").expect("a reader");
    }
}

impl Vendors {
    fn sync(&self, data: &Json, (quo_key, notion_key): (&str, &str)) {
        let (message, phone) = (&data["resource"], &data["context"]["senderIdentifier"]);
        let name = data["context"]["contacts"]["ids"][0]
            .as_str()
            .map(|id| self.name(id, quo_key));
        let name = name.unwrap_or_else(|| phone.as_str().expect("a number").to_owned());
        let ask =
            |method: &str, path: &str, body: Json| self.notion((method, path), notion_key, &body);
        let filter = json!({"filter": {"property": "Phone", "phone_number": {"equals": phone}}});
        let found = ask(
            "POST",
            &format!("/databases/{}/query", self.database),
            filter,
        );
        let text = format!("{}: {}", message["createdAt"], message["text"]);
        let entry = json!([{"type": "paragraph",
            "paragraph": {"rich_text": [{"text": {"content": text}}]}}]);
        let mut values = json!({"Last Call": {"date": {"start": message["createdAt"]}}});
        if let Some(page) = found["results"][0]["id"].as_str() {
            ask(
                "PATCH",
                &format!("/pages/{page}"),
                json!({"properties": values}),
            );
            ask(
                "PATCH",
                &format!("/blocks/{page}/children"),
                json!({"children": entry}),
            );
        } else {
            values["Name"] = json!({"title": [{"text": {"content": name}}]});
            values["Phone"] = json!({"phone_number": phone});
            let parent = json!({"database_id": self.database});
            ask(
                "POST",
                "/pages",
                json!({"parent": parent, "properties": values, "children": entry}),
            );
        }
    }

    fn name(&self, contact: &str, key: &str) -> String {
        let request = self.agent.get(format!("{}/contacts/{contact}", self.quo));
        let request = request
            .header("Authorization", key)
            .header("Connection", "close");
        let mut response = request.call().expect("an answer");
        let contact: Json = response
            .body_mut()
            .read_to_string()
            .expect("text")
            .parse()
            .expect("JSON");
        let fields = &contact["data"]["defaultFields"];
        ["firstName", "lastName"]
            .map(|part| fields[part].as_str().unwrap_or_default())
            .join(" ")
    }

    fn notion(&self, (method, path): (&str, &str), key: &str, body: &Json) -> Json {
        let url = format!("{}{path}", self.notion);
        let request = if method == "POST" {
            self.agent.post(url)
        } else {
            self.agent.patch(url)
        };
        let request = request
            .header("Authorization", format!("Bearer {key}"))
            .header("Connection", "close");
        let request = request
            .header("Notion-Version", "2022-06-28")
            .content_type("application/json");
        let mut response = request.send(body.to_string()).expect("an answer");
        response
            .body_mut()
            .read_to_string()
            .expect("text")
            .parse()
            .expect("JSON")
    }
}
