//! What Quo delivers, and whom it concerns.

use std::sync::OnceLock;

use serde_json::{Value as Json, json};

use crate::harness::{sample, sample_json};
use crate::standin::World;

/// The clients, by their numbers.
pub const ROSA: &str = "+12025550147";
pub const STRANGER: &str = "+14155550155";
pub const TOMAS: &str = "+13125550162";
pub const THIRD: &str = "+16465550183";

/// One thing that Quo tells.
pub struct Event {
    /// Its id.
    pub id: String,
    /// The call or message.
    pub activity: &'static str,
    /// The clients whose pages get an entry of it.
    pub clients: &'static [&'static str],
    body: String,
}

impl Event {
    /// The delivery; of another subscription it has another id.
    pub fn delivery(&self, id: &str) -> Vec<u8> {
        self.body.replace(&self.id, id).into_bytes()
    }
}

pub const CALL: &str = "AC00000000000000000000000000000141";
pub const TEXT: &str = "AC00000000000000000000000000000150";
pub const UNKNOWN_CALLER: &str = "AC00000000000000000000000000000184";
pub const GROUP: &str = "AC00000000000000000000000000000152";
pub const MISSED: &str = "AC00000000000000000000000000000143";
/// It comes without a time of its own.
pub const TIMELESS: &str = "AC00000000000000000000000000000199";

/// All of them.
pub fn all() -> &'static [Event] {
    static ALL: OnceLock<Vec<Event>> = OnceLock::new();
    ALL.get_or_init(|| {
        let of = |name: &str, activity, clients| {
            let text = String::from_utf8(sample(name)).expect("samples are UTF-8");
            let id = sample_json(name)["id"].as_str().expect("an id").to_owned();
            Event {
                id,
                activity,
                clients,
                body: at_its_time(&text),
            }
        };
        let call: &[&str] = &[ROSA];
        vec![
            of("legacy-v4.call.completed.answered", CALL, call),
            of("legacy-v4.call.recording.completed", CALL, call),
            of("legacy-v4.call.summary.completed", CALL, call),
            of("legacy-v4.call.transcript.completed", CALL, call),
            of("legacy-v4.message.received", TEXT, call),
            of(
                "v2026-03-30.message.received.no-contact",
                UNKNOWN_CALLER,
                &[STRANGER],
            ),
            of(
                "legacy-v4.message.received.group",
                GROUP,
                &[ROSA, TOMAS, THIRD],
            ),
            of("legacy-v4.call.completed.missed", MISSED, &[TOMAS]),
            timeless(),
        ]
    })
}

/// Which of them a history is about.
pub const CASTS: [&[usize]; 9] = [
    &[0, 4],
    &[0, 1, 2, 3],
    &[6],
    &[4, 5, 6],
    &[0, 1, 2, 3, 4],
    &[5, 6, 7],
    &[5, 8],
    &[0, 2, 6, 7],
    &[0, 1, 2, 3, 4, 5, 6, 7],
];

fn timeless() -> Event {
    let body = json!({"id": "EV00000000000000000000000000000099", "object": "event",
        "apiVersion": "v4", "type": "message.received", "data": {"object": {"id": TIMELESS,
        "object": "message", "from": STRANGER, "to": ["+14155550110"], "direction": "incoming",
        "text": "And when?", "status": "received", "userId": "USmarta001",
        "phoneNumberId": "PNmain0001"}}});
    Event {
        id: "EV00000000000000000000000000000099".to_owned(),
        activity: TIMELESS,
        clients: &[STRANGER],
        body: body.to_string(),
    }
}

/// Most of it takes place just when the histories begin, by a clock that is a minute ahead at most.
/// Who is a contact is one by its id, and who is none has no number of one's: whether the index was
/// at hand does not matter then.
fn at_its_time(text: &str) -> String {
    text.replace("2026-10-02T17:04", "2026-10-01T17:01")
        .replace("2026-10-01T15:30:", "2026-10-01T17:01:")
        .replace("+12125550199", STRANGER)
        .replace(
            "\"contactIds\": []",
            "\"contactIds\": [\"66f1a2b3c4d5e6f708192a3c\"]",
        )
}

/// The vendors' side of that.
pub fn world() -> World {
    static WORLD: OnceLock<World> = OnceLock::new();
    let world = WORLD.get_or_init(|| {
        let mut world = World::default_demo();
        let moved = |it: &mut Json| {
            *it = serde_json::from_str(&at_its_time(&it.to_string())).expect("JSON");
        };
        world.quo.calls.iter_mut().for_each(moved);
        world.quo.messages.iter_mut().for_each(moved);
        let is_third = |contact: &Json| {
            let text = contact.to_string().replace(['-', ' ', '(', ')'], "");
            text.contains("6465550183")
        };
        world.quo.contacts.retain(|contact| !is_third(contact));
        world
    });
    world.clone()
}
