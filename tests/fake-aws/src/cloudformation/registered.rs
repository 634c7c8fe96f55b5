//! What stacks make in services that are only read: functions, what feeds them, alarms, topics.

use super::services::{Services, text_of};
use super::world::Item;

impl Services<'_> {
    /// Makes or changes what the services that are only read know of an item.
    pub(super) fn register(&self, item: &Item<'_>) {
        let (account, region) = (item.pseudo.account.as_str(), item.pseudo.region.as_str());
        match item.kind.name {
            "AWS::Lambda::Function" => {
                self.shared.lambda().put_function((account, region, item.name), item.properties);
            }
            "AWS::Lambda::EventSourceMapping" => {
                self.shared.lambda().put_mapping((account, region, item.physical), item.properties);
            }
            "AWS::CloudWatch::Alarm" => self.shared.cloudwatch().put_alarm(
                account,
                region,
                item.name,
                item.properties,
                item.now,
            ),
            "AWS::SNS::Topic" => self.shared.sns().put_topic(item.physical),
            "AWS::SNS::TopicPolicy" => {
                let document = text_of(item.properties.get("PolicyDocument"));
                self.shared.sns().set_policy(item.properties, Some(&document));
            }
            "AWS::SNS::Subscription" => {
                self.shared.sns().put_subscription(item.physical, item.properties);
            }
            _ => {}
        }
    }

    /// Undoes [`Services::register`].
    pub(super) fn forget(&self, item: &Item<'_>) {
        let (account, region) = (item.pseudo.account.as_str(), item.pseudo.region.as_str());
        match item.kind.name {
            "AWS::Lambda::Function" => {
                self.shared.lambda().remove_function((account, region, item.name));
            }
            "AWS::Lambda::EventSourceMapping" => {
                self.shared.lambda().remove_mapping((account, region, item.physical));
            }
            "AWS::CloudWatch::Alarm" => {
                self.shared.cloudwatch().remove_alarm(account, region, item.name);
            }
            "AWS::SNS::Topic" => self.shared.sns().remove_topic(item.physical),
            "AWS::SNS::TopicPolicy" => self.shared.sns().set_policy(item.properties, None),
            "AWS::SNS::Subscription" => self.shared.sns().remove_subscription(item.physical),
            _ => {}
        }
    }
}
