//! Topics over HTTP: what is read of them, and what SNS refuses.

use std::collections::BTreeMap;

use fake_aws::{FakeAws, Subscription};

use crate::client::{ACCOUNT, Client, REGION, Reply};

const QUEUE: &str = "arn:aws:sqs:us-east-1:111122223333:logs";

fn topic(name: &str) -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}")
}

fn call(client: &Client, action: &str, (name, value): (&str, &str)) -> Reply {
    let value = value.replace(':', "%3A");
    let body = format!("Action={action}&Version=2010-03-31&{name}={value}");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    client.send("sns", "POST", "/", &headers, body.as_bytes())
}

fn subscription(id: &str, pending: bool) -> Subscription {
    Subscription {
        arn: format!("{}:{id}", topic("logs")),
        protocol: "sqs".to_owned(),
        endpoint: QUEUE.to_owned(),
        pending,
        attributes: BTreeMap::from([("RawMessageDelivery".to_owned(), "true".to_owned())]),
    }
}

#[test]
fn a_subscription_that_nobody_has_confirmed_has_no_arn() {
    let fake = FakeAws::start_blocking();
    let client = Client::root(&fake, ACCOUNT);
    fake.create_topic(&topic("logs"));
    fake.set_subscriptions(&topic("logs"), vec![subscription("a", true), subscription("b", false)]);
    let listed = call(&client, "ListSubscriptionsByTopic", ("TopicArn", &topic("logs")));
    assert_eq!(listed.status, 200, "{}", listed.text());
    let text = listed.text();
    assert!(text.contains("<SubscriptionArn>PendingConfirmation</SubscriptionArn>"), "{text}");
    assert!(text.contains(&format!("<SubscriptionArn>{}:b</SubscriptionArn>", topic("logs"))));
    let arn = format!("{}:b", topic("logs"));
    let shown = call(&client, "GetSubscriptionAttributes", ("SubscriptionArn", &arn)).text();
    assert!(shown.contains("<key>RawMessageDelivery</key><value>true</value>"), "{shown}");
    let counted = call(&client, "GetTopicAttributes", ("TopicArn", &topic("logs"))).text();
    assert!(counted.contains("<key>SubscriptionsPending</key><value>1</value>"), "{counted}");
}

#[test]
fn what_sns_refuses_is_refused() {
    let fake = FakeAws::start_blocking();
    let client = Client::root(&fake, ACCOUNT);
    fake.create_topic(&topic("logs"));
    let elsewhere = topic("logs").replace(REGION, "eu-west-1");
    let foreign = topic("logs").replace(ACCOUNT, "999999999999");
    let unknown = format!("{}:unknown", topic("logs"));
    for (action, name, value, status, code) in [
        ("GetTopicAttributes", "TopicArn", topic("other").as_str(), 404, "NotFound"),
        ("GetTopicAttributes", "TopicArn", "logs", 400, "InvalidParameter"),
        ("GetTopicAttributes", "TopicArn", &elsewhere, 400, "InvalidParameter"),
        ("GetTopicAttributes", "TopicArn", &foreign, 403, "AuthorizationError"),
        ("ListSubscriptionsByTopic", "TopicArn", &topic("other"), 404, "NotFound"),
        ("GetSubscriptionAttributes", "SubscriptionArn", &unknown, 404, "NotFound"),
        (
            "GetSubscriptionAttributes",
            "SubscriptionArn",
            "PendingConfirmation",
            400,
            "InvalidParameter",
        ),
        ("Publish", "TopicArn", &topic("logs"), 400, "InvalidAction"),
    ] {
        let reply = call(&client, action, (name, value));
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{action} {value}");
    }
}
