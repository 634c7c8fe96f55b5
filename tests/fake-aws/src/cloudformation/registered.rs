//! What stacks make in services that are only read: functions, what feeds them, alarms.

use super::services::Services;
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
            _ => {}
        }
    }
}
