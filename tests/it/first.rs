//! Smoke.
use crate::harness::User;

#[test]
fn new_caller_gets_a_page_with_the_message_on_it_in_two_requests_to_notion() {
    let user = User::new();
    user.sync("v2026-03-30.message.received")
        .expect(0, "success", "created");
    assert_eq!(user.client_pages(), 1);
    user.sync("v2026-03-30.message.received")
        .expect(0, "success", "skipped");
}
