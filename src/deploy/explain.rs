//! Known causes of failures: what they mean and what mends them, each with a stable code. Pure.

use serde::Serialize;

/// A known cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The code, `MT` and three digits. It never changes its meaning.
    pub code: &'static str,
    /// The cause in a few words.
    pub title: &'static str,
    /// Why it happens.
    pub why: &'static str,
    /// What mends it.
    pub fix: &'static str,
}

/// One entry: the explanation, and the texts of AWS that show it (all words of one alternative must occur).
struct Known {
    explanation: Explanation,
    signs: &'static [&'static [&'static str]],
}

const fn known(
    code: &'static str,
    title: &'static str,
    why: &'static str,
    fix: &'static str,
    signs: &'static [&'static [&'static str]],
) -> Known {
    Known { explanation: Explanation { code, title, why, fix }, signs }
}

/// Every known cause, in the order of the codes. Where several fit, the one with the longest signs counts.
const KNOWN: &[Known] = &[
    known(
        "MT001",
        "the name is taken",
        "Something of this name exists already. Names of IAM are the same in all regions of an account, and names of \
         buckets are the same in the whole world. Stacks of the script that mtlog replaces used IAM names without the \
         region, so that a second region collided with the first.",
        "Find who owns it with `mtlog status` in the other regions. Import it, delete it if nothing uses it, or deploy \
         under another --project.",
        &[
            &["already exists"],
            &["AlreadyExists"],
            &["BucketAlreadyOwnedByYou"],
            &["ResourceInUseException", "Table already exists"],
        ],
    ),
    known(
        "MT002",
        "the OIDC provider is missing or wrong",
        "The role trusts an identity provider that IAM does not know in this account.",
        "Create it with `aws iam create-open-id-connect-provider --url https://ISSUER --client-id-list AUDIENCE`, and \
         compare --oidc-provider with the cluster's issuer.",
        &[
            &["Invalid principal in policy", "Federated"],
            &["Invalid principal in policy", "oidc-provider"],
            &["OpenIDConnect"],
        ],
    ),
    known(
        "MT003",
        "Lambda does not take the image",
        "Lambda takes an image of one platform from ECR of its own region and account policy. It refuses image indexes, \
         images with attestations, and images of another processor architecture.",
        "Push the image with `mtlog image push`, which makes exactly what Lambda takes, and deploy with the digest that \
         it prints.",
        &[
            &["image manifest", "not supported"],
            &["Source image", "does not exist"],
            &["Source image", "not valid"],
            &["Lambda does not have permission to access the ECR image"],
        ],
    ),
    known(
        "MT004",
        "the trusted role does not exist",
        "IAM accepts only principals that exist. The central role that the new role is to trust does not, or no longer: \
         its ARN is mistyped, or the global stack was deleted and made anew with another ending.",
        "Compare --central-role-arn with the output CentralLogDistributionRoleArn of `mtlog outputs global` in the \
         central account.",
        &[&["Invalid principal in policy"]],
    ),
    known(
        "MT005",
        "the bucket's name belongs to somebody else",
        "Names of buckets are the same in the whole world, and another account, or another region of this one, has it.",
        "Give another --bucket or --project; mtlog's own names carry the account and the region.",
        &[
            &["The requested bucket name is not available"],
            &["BucketAlreadyExists"],
            &["bucket namespace is shared by all users"],
        ],
    ),
    known(
        "MT006",
        "another stack uses an output",
        "An output of this stack is exported, and another stack imports it. CloudFormation keeps it until nobody does.",
        "Destroy or update the importing stack first: `aws cloudformation list-imports --export-name NAME`.",
        &[
            &["Export", "in use by"],
            &["cannot be deleted as it is in use"],
            &["Cannot delete export"],
        ],
    ),
    known(
        "MT007",
        "the bucket is not empty",
        "S3 deletes only empty buckets, and old versions of objects count.",
        "Keep the bucket, or empty it with `aws s3 rm s3://BUCKET --recursive` and delete its versions, then run the \
         same command again.",
        &[&["bucket you tried to delete is not empty"], &["BucketNotEmpty"]],
    ),
    known(
        "MT008",
        "the organisation forbids it",
        "A service control policy, a permissions boundary or a hook of the organisation denies the action. No permission \
         in the account can allow it.",
        "Ask the owners of the organisation's policies, with the action and the resource from the message.",
        &[
            &["explicit deny in a service control policy"],
            &["with an explicit deny in a permissions boundary"],
            &["Hook failed"],
            &["hook(s) failed"],
        ],
    ),
    known(
        "MT009",
        "a permission is missing",
        "The identity that CloudFormation acts with may not do this. It is yours, unless the stack has a service role.",
        "Add the action from the message to that identity's policy, then run the same command again.",
        &[
            &["is not authorized to perform"],
            &["AccessDenied"],
            &["Access Denied"],
            &["does not have permissions to call"],
            &["UnauthorizedOperation"],
        ],
    ),
    known(
        "MT010",
        "a quota is used up",
        "The account may not have more of this kind of resource in this region.",
        "Delete what is not needed, or ask for a higher quota in the Service Quotas console.",
        &[
            &["limit exceeded"],
            &["LimitExceeded"],
            &["Cannot exceed quota"],
            &["maximum number of"],
            &["TooManyBuckets"],
            &["more buckets than allowed"],
            &["ReservedConcurrentExecutions", "below its minimum"],
            &["ServiceLimitExceeded"],
        ],
    ),
    known(
        "MT011",
        "AWS limits the rate of calls",
        "Too many calls of this kind were made in this account at the same time.",
        "Run the same command again in some minutes; with fewer stacks at once if it happens again.",
        &[&["Rate exceeded"], &["Throttling"], &["TooManyRequests"]],
    ),
    known(
        "MT012",
        "the encryption key cannot be used",
        "The key is disabled, waits for its deletion, or its policy does not let this service use it.",
        "Look at the key's state and policy in the KMS console; cancel a deletion that should not happen.",
        &[
            &["KMS", "is disabled"],
            &["KMS", "pending deletion"],
            &["KMSInvalidState"],
            &["KMS key", "not accessible"],
        ],
    ),
    known(
        "MT013",
        "AWS did not finish in time",
        "A resource did not become stable, or the stack's time was over. Often the service is slow in this region, or it \
         waits for something that never comes.",
        "Look at the AWS Health Dashboard, then run the same command again. If the same resource is late again, look at \
         it in its own console.",
        &[
            &["did not stabilize"],
            &["time exceeded the specified timeout"],
            &["NotStabilized"],
            &["Exceeded attempts to wait"],
            &["timed out waiting"],
        ],
    ),
    known(
        "MT014",
        "somebody stopped it",
        "The operation was cancelled by a person or a program, not by a failure.",
        "Ask who did: CloudTrail has the event CancelUpdateStack, RollbackStack or DeleteStack. Then run the same \
         command again.",
        &[&["User Initiated"], &["Rollback requested by user"], &["Cancelled by user"]],
    ),
    known(
        "MT015",
        "an alarm went off during the change",
        "A rollback trigger watched the change, and its alarm went off.",
        "Look at the alarm and at the dead-letter queue, mend what they show, then run the same command again.",
        &[
            &["Rollback triggered by alarm"],
            &["rollback trigger", "ALARM"],
            &["alarm", "went to ALARM"],
        ],
    ),
    known(
        "MT016",
        "a value is not allowed",
        "AWS refused the content of a property: a value is out of range, badly formed, or does not go with another one.",
        "Compare the value that the message names with the template's parameters: `mtlog template parameters main`.",
        &[
            &["validation error detected"],
            &["ValidationException"],
            &["Model validation failed"],
            &["Properties validation failed"],
            &["InvalidParameterValue"],
            &["InvalidRequest"],
            &["MalformedPolicyDocument"],
            &["Invalid request provided"],
            &["Value of property", "must be"],
            &["failed to satisfy constraint"],
            &["Invalid attribute"],
        ],
    ),
    known(
        "MT017",
        "something else still uses it",
        "A role, policy or other resource cannot go while another one hangs on it.",
        "Detach what the message names, then run the same command again.",
        &[
            &["Cannot delete entity, must"],
            &["DeleteConflict"],
            &["has a dependent object"],
            &["must detach all policies first"],
            &["is in use"],
        ],
    ),
    known(
        "MT018",
        "what it refers to is not there",
        "A resource that the template names was deleted by hand, is in another region, or was never made.",
        "`mtlog drift` shows what was deleted by hand. Make it again, or give the right name.",
        &[
            &["does not exist"],
            &["not found"],
            &["NotFound"],
            &["NoSuchEntity"],
            &["cannot be found"],
            &["NoSuchBucket"],
        ],
    ),
    known(
        "MT019",
        "AWS had a failure of its own",
        "The service answered with an internal error. Nothing in the template is wrong.",
        "Run the same command again in some minutes.",
        &[
            &["Internal Failure"],
            &["InternalFailure"],
            &["ServiceInternalError"],
            &["GeneralServiceException"],
            &["Service Unavailable"],
            &["internal error"],
        ],
    ),
    known(
        "MT020",
        "a role is too new to be used",
        "IAM tells all regions of a new role only after some seconds, and a service asked too early.",
        "Run the same command again.",
        &[
            &["cannot be assumed by Lambda"],
            &["The role defined for the function cannot be assumed"],
            &["is not authorized to perform: sts:AssumeRole", "role"],
            &["Role is not authorized"],
        ],
    ),
    known(
        "MT021",
        "the stack policy forbids it",
        "The stack has a policy that protects this resource against updates.",
        "`aws cloudformation get-stack-policy` shows it. Whoever set it decides whether this update may override it.",
        &[&["Action denied by stack policy"], &["denied by stack policy"]],
    ),
    known(
        "MT022",
        "a nested template cannot be read",
        "CloudFormation could not fetch a nested template from the bucket: it is missing, or the identity may not read it.",
        "Deploy again: mtlog uploads what is missing. If it is refused, the identity in use needs `s3:GetObject` on the \
         objects of the bucket of templates; look at the bucket's policy and --bucket as well.",
        &[
            &["S3 error"],
            &["S3 error", "Access Denied"],
            &["TemplateURL must"],
            &["template at", "could not be"],
            &["Access Denied", "template"],
        ],
    ),
    known(
        "MT023",
        "a queue of this name was deleted a moment ago",
        "SQS keeps a deleted queue's name for sixty seconds.",
        "Run the same command again in a minute.",
        &[&["You must wait 60 seconds after deleting a queue"], &["QueueDeletedRecently"]],
    ),
    known(
        "MT024",
        "the bucket may not publish to the topic",
        "S3 sends a test message before it takes a notification. The topic's policy, or the policy of its encryption \
         key, does not let it.",
        "Let s3.amazonaws.com publish for this bucket in the topic's policy, and use kms:GenerateDataKey and \
         kms:Decrypt in the key's.",
        &[&["Unable to validate the following destination configurations"]],
    ),
    known(
        "MT025",
        "a resource with a fixed name would have to be made anew",
        "The new one would have to be made before the old one goes, and both would have the same name.",
        "Undo the change that forces a new one; `mtlog plan` names the property. Or deploy under another --project.",
        &[&["custom-named resource requires replacing"]],
    ),
    known(
        "MT026",
        "the credentials ended during the operation",
        "CloudFormation acts with the credentials that started the operation, and they ended before it did.",
        "Renew the credentials and run the same command again; sessions of an hour or more last for every stack here.",
        &[
            &["security token included in the request is expired"],
            &["ExpiredToken"],
            &["HandlerErrorCode: InvalidCredentials"],
        ],
    ),
];

/// Returns what is known about a failure with this reason.
pub fn explain(reason: &str) -> Option<&'static Explanation> {
    let reason = reason.to_ascii_lowercase();
    let shows =
        |signs: &&&[&str]| signs.iter().all(|sign| reason.contains(&sign.to_ascii_lowercase()));
    let weight = |signs: &[&str]| -> usize { signs.iter().map(|sign| sign.len()).sum() };
    KNOWN
        .iter()
        .filter_map(|known| {
            let fits = known.signs.iter().filter(shows).map(|signs| weight(signs)).max()?;
            Some((fits, &known.explanation))
        })
        // Of equal weight, the first.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, explanation)| explanation)
}

/// Returns the explanation with this code.
pub fn by_code(code: &str) -> Option<&'static Explanation> {
    all().find(|explanation| explanation.code.eq_ignore_ascii_case(code))
}

/// Returns every explanation, in the order of the codes.
pub fn all() -> impl Iterator<Item = &'static Explanation> {
    KNOWN.iter().map(|known| &known.explanation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_lead_to_their_explanations() {
        for (reason, code) in [
            (
                "Role demo-vector-role already exists (Service: Iam, Status Code: 409)",
                Some("MT001"),
            ),
            (
                "Resource of type 'AWS::IAM::Role' with identifier 'x' already exists.",
                Some("MT001"),
            ),
            (
                "Invalid principal in policy: \"Federated\":\"arn:aws:iam::1:oidc-provider/x\"",
                Some("MT002"),
            ),
            ("Invalid principal in policy: \"AWS\":\"arn:aws:iam::1:role/ROSA-x\"", Some("MT004")),
            (
                "The image manifest or layer media type for the source image x is not supported.",
                Some("MT003"),
            ),
            ("Export p-x cannot be deleted as it is in use by q", Some("MT006")),
            ("The bucket you tried to delete is not empty (Service: S3)", Some("MT007")),
            (
                "User: x is not authorized to perform: iam:CreateRole with an explicit deny in a service control policy",
                Some("MT008"),
            ),
            ("User: x is not authorized to perform: iam:CreateRole on resource: y", Some("MT009")),
            ("Cannot exceed quota for RolesPerAccount: 1000", Some("MT010")),
            ("Rate exceeded (Service: Iam)", Some("MT011")),
            ("Something else", None),
        ] {
            assert_eq!(explain(reason).map(|explanation| explanation.code), code, "{reason}");
        }
    }

    #[test]
    fn codes_are_unique_and_ordered() {
        let codes: Vec<&str> = all().map(|explanation| explanation.code).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
        assert_eq!(
            by_code("mt001").map(|explanation| explanation.title),
            Some("the name is taken")
        );
    }
}
