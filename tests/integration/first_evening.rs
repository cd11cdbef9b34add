//! What README promises of a first evening, with the commands it prints.

use carillon_sdk::{MessageId, Vendor};

use crate::harness::{Server, eventually, run};

#[tokio::test]
async fn the_first_evening_shows_ten_roads_and_seven_receipts_with_no_account_anywhere() {
    let server = Server::start_with_samples().await;
    let app = server.app();
    // The last of ten phones.
    let last = format!("{}-1", Vendor::WebPush).parse().unwrap();
    eventually("a phone at each vendor", async || {
        app.api.device_tokens(&last).await.ok().filter(|of| !of.tokens.is_empty())
    })
    .await;
    // One right after the other, and more than vendors let an app market to a phone in a day.
    let mut sent: Vec<MessageId> = Vec::new();
    for at in 0..5 {
        let body = format!("by ten roads, {at}");
        let pushed = run(&server, &["push", "--user", "carol", "--title", "Hello", "--body", &body]).await;
        sent.push(pushed.out.split(' ').next().unwrap().parse().unwrap());
    }
    for id in &sent {
        eventually(&format!("{id}'s receipts"), async || {
            let counts: Vec<_> = app.message(*id).await.counts.into_iter().collect();
            (counts == [("delivered".to_owned(), 7), ("handed_over".to_owned(), 3)]).then_some(())
        })
        .await;
    }
    let story = run(&server, &["message", &sent[4].to_string()]).await.out;
    for vendor in Vendor::ALL {
        assert!(story.contains(&format!("routed      by {vendor} (vendor_first)\n")), "{vendor}: {story}");
        assert!(story.contains(&format!("handed_over by {vendor} ")), "{vendor}: {story}");
    }
    assert_eq!(story.matches("confirmed   by ").count(), 7, "{story}");
    let listed = run(&server, &["vendor", "list"]).await.out;
    assert_eq!(listed.lines().filter(|line| line.contains(" well ")).count(), 10, "{listed}");
}
