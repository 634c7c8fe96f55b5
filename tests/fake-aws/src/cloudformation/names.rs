//! Which names are taken: per region, per account or in the whole partition.

use std::collections::BTreeMap;

use super::kinds::{Kind, Unique};
use super::state::Resource;
use super::template::Pseudo;

/// Who has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A resource of a stack.
    Stack { stack: String, region: String, account: String },
    /// Something that no stack made.
    Elsewhere { account: String },
}

/// The names that are taken.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeMap<(String, &'static str, String), Owner>,
}

/// Why a name cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    /// A stack of the same account and region has it.
    ByStack(String),
    /// Something else in the same account has it.
    InAccount,
    /// Another account has it.
    ByOthers,
}

impl Names {
    /// Tells whether somebody else has the name.
    pub(super) fn taken(&self, kind: &'static Kind, name: &str, pseudo: &Pseudo) -> Option<Taken> {
        let owner = self.taken.get(&key(kind, name, pseudo)?)?;
        Some(match owner {
            Owner::Stack { stack, region, account }
                if *region == pseudo.region && *account == pseudo.account =>
            {
                Taken::ByStack(stack.clone())
            }
            Owner::Stack { account, .. } | Owner::Elsewhere { account }
                if *account == pseudo.account =>
            {
                Taken::InAccount
            }
            Owner::Stack { .. } | Owner::Elsewhere { .. } => Taken::ByOthers,
        })
    }

    /// Tells who has a name that is unique in its account.
    pub(super) fn owner_in_account(
        &self,
        kind: &'static str,
        account: &str,
        name: &str,
    ) -> Option<&Owner> {
        self.taken.get(&(account.to_owned(), kind, name.to_owned()))
    }

    /// Tells whether the stack has the name.
    pub(super) fn is_own(&self, kind: &'static Kind, name: &str, pseudo: &Pseudo) -> bool {
        let owner = key(kind, name, pseudo).and_then(|key| self.taken.get(&key));
        matches!(owner, Some(Owner::Stack { stack, .. }) if *stack == pseudo.stack_id)
    }

    pub(super) fn take(&mut self, kind: &'static Kind, name: &str, pseudo: &Pseudo) {
        if let Some(key) = key(kind, name, pseudo) {
            let owner = Owner::Stack {
                stack: pseudo.stack_id.clone(),
                region: pseudo.region.clone(),
                account: pseudo.account.clone(),
            };
            self.taken.insert(key, owner);
        }
    }

    /// Notes something that exists without a stack, such as what a deleted stack has retained.
    pub(super) fn occupy(&mut self, kind: &'static Kind, name: &str, pseudo: &Pseudo) {
        if let Some(key) = key(kind, name, pseudo) {
            self.taken.insert(key, Owner::Elsewhere { account: pseudo.account.clone() });
        }
    }

    /// Notes that a resource stays behind without its stack.
    pub(super) fn leave_behind(&mut self, resource: &Resource, pseudo: &Pseudo) {
        if resource.physical.is_some() {
            self.occupy(resource.kind, &resource.name, pseudo);
        }
    }

    pub(super) fn release(&mut self, kind: &'static Kind, name: &str, pseudo: &Pseudo) {
        if let Some(key) = key(kind, name, pseudo) {
            self.taken.remove(&key);
        }
    }
}

fn key(kind: &'static Kind, name: &str, pseudo: &Pseudo) -> Option<(String, &'static str, String)> {
    let scope = match kind.unique {
        Unique::No => return None,
        Unique::Region => format!("{}/{}", pseudo.account, pseudo.region),
        Unique::Account => pseudo.account.clone(),
        Unique::Partition => pseudo.partition().to_owned(),
    };
    Some((scope, kind.name, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::kinds;
    use super::*;

    fn pseudo(account: &str, region: &str, stack: &str) -> Pseudo {
        Pseudo {
            account: account.to_owned(),
            region: region.to_owned(),
            stack_name: stack.to_owned(),
            stack_id: format!("arn:{account}:{region}:{stack}"),
            notification_arns: Vec::new(),
        }
    }

    #[test]
    fn names_collide_where_aws_says_so() {
        let first = pseudo("1", "us-east-1", "a");
        let same = Taken::ByStack(first.stack_id.clone());
        let rows = [
            ("AWS::IAM::Role", "1", "us-east-1", Some(same.clone())),
            ("AWS::IAM::Role", "1", "us-east-2", Some(Taken::InAccount)),
            ("AWS::IAM::Role", "2", "us-east-1", None),
            ("AWS::S3::Bucket", "1", "us-east-2", Some(Taken::InAccount)),
            ("AWS::S3::Bucket", "2", "us-east-1", Some(Taken::ByOthers)),
            ("AWS::S3::Bucket", "1", "cn-north-1", None),
            ("AWS::SQS::Queue", "1", "us-east-1", Some(same)),
            ("AWS::SQS::Queue", "1", "us-east-2", None),
            ("AWS::SQS::QueuePolicy", "1", "us-east-1", None),
        ];
        for (kind, account, region, expected) in rows {
            let kind = kinds::find(kind).unwrap();
            let mut names = Names::default();
            names.take(kind, "x", &first);
            assert_eq!(
                names.taken(kind, "x", &pseudo(account, region, "b")),
                expected,
                "{} {region}",
                kind.name
            );
            assert_eq!(names.is_own(kind, "x", &first), kind.unique != Unique::No);
            names.release(kind, "x", &first);
            assert_eq!(names.taken(kind, "x", &first), None);
        }
    }
}
