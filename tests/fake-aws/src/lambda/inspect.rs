//! What a test can change about functions.

use serde_json::Value;

use crate::fake::FakeAws;

impl FakeAws {
    /// Changes what `GetFunction` says about a function; returns whether there is one.
    pub fn change_function(
        &self,
        account: &str,
        region: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> bool {
        let key = (account.to_owned(), region.to_owned(), name.to_owned());
        self.shared().lambda().functions.get_mut(&key).map(change).is_some()
    }

    /// Deletes a function behind its stack's back.
    pub fn remove_function(&self, account: &str, region: &str, name: &str) {
        self.shared().lambda().remove_function((account, region, name));
    }

    /// Changes what `ListEventSourceMappings` says about each mapping of an account and region.
    pub fn change_mappings(&self, account: &str, region: &str, change: impl Fn(&mut Value)) {
        let mut lambda = self.shared().lambda();
        let all = lambda.mappings.iter_mut();
        all.filter(|((owner, place, _), _)| owner == account && place == region)
            .for_each(|(_, mapping)| change(mapping));
    }
}
