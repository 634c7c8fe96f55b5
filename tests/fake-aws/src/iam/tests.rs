//! Tables of requests against policies.

use serde_json::{Value, json};

use super::*;

const ROLE: &str = "arn:aws:iam::111111111111:role/team/worker";
const OTHER_ACCOUNT_ROLE: &str = "arn:aws:iam::222222222222:role/worker";

fn policy_with(statement: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

fn request(principal: Principal, action: &str, resource: &str, context: Context) -> Request {
    Request { principal, action: action.into(), resource: resource.into(), context }
}

fn identity_decision(statement: &Value, action: &str, resource: &str, context: Context) -> bool {
    let policy = Policy::identity(&policy_with(statement)).unwrap();
    let request = request(Principal::Iam(ROLE.into()), action, resource, context);
    evaluate(&[policy], None, &request).unwrap().is_allowed()
}

#[test]
fn actions_and_resources_match_by_wildcards() {
    let rows = [
        ("s3:GetObject", "arn:aws:s3:::b/*", "s3:GetObject", "arn:aws:s3:::b/k/1", true),
        ("s3:getobject", "arn:aws:s3:::b/*", "S3:GetObject", "arn:aws:s3:::b/k", true),
        ("s3:Get*", "arn:aws:s3:::b/*", "s3:GetObjectTagging", "arn:aws:s3:::b/k", true),
        ("s3:Get*", "arn:aws:s3:::b/*", "s3:PutObject", "arn:aws:s3:::b/k", false),
        ("*", "*", "sqs:SendMessage", "arn:aws:sqs:us-east-1:111111111111:q", true),
        ("s3:*", "arn:aws:s3:::b/?/x", "s3:GetObject", "arn:aws:s3:::b/a/x", true),
        ("s3:*", "arn:aws:s3:::b/?/x", "s3:GetObject", "arn:aws:s3:::b/aa/x", false),
        ("s3:*", "arn:aws:s3:::b", "s3:ListBucket", "arn:aws:s3:::b2", false),
        ("s3:*", "arn:aws:s3:::B/*", "s3:GetObject", "arn:aws:s3:::b/k", false),
        // A wildcard in one part of an ARN does not reach into the next.
        ("sts:*", "arn:aws:iam::*:role/x", "sts:AssumeRole", "arn:aws:iam::1:role/y:role/x", false),
        ("sts:*", "arn:aws:iam::*:role/*/x", "sts:AssumeRole", "arn:aws:iam::1:role/a/b/x", true),
        (
            "logs:*",
            "arn:aws:logs:*:*:log-group:/a/*",
            "logs:PutLogEvents",
            "arn:aws:logs:r:1:log-group:/a/b:log-stream:s",
            true,
        ),
    ];
    for (action, resource, asked, on, expected) in rows {
        let statement = json!({"Effect": "Allow", "Action": action, "Resource": resource});
        assert_eq!(
            identity_decision(&statement, asked, on, Context::default()),
            expected,
            "{statement} {asked} {on}"
        );
    }
}

#[test]
fn opposite_elements_cover_everything_else() {
    let statement =
        json!({"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::secret/*"});
    let rows = [
        ("s3:GetObject", "arn:aws:s3:::open/k", true),
        ("s3:GetObject", "arn:aws:s3:::secret/k", false),
        ("iam:CreateRole", "arn:aws:s3:::open/k", false),
    ];
    for (action, resource, expected) in rows {
        assert_eq!(
            identity_decision(&statement, action, resource, Context::default()),
            expected,
            "{action} {resource}"
        );
    }
}

#[test]
fn variables_are_filled_in_and_never_act_as_wildcards() {
    let statement = json!({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/${aws:PrincipalTag/ClusterName}/*"});
    let tag = |value| Context::default().with("aws:PrincipalTag/ClusterName", value);
    let rows = [
        (tag("one"), "arn:aws:s3:::b/one/k", true),
        (tag("one"), "arn:aws:s3:::b/two/k", false),
        (tag("one"), "arn:aws:s3:::b/one", false),
        (tag("*"), "arn:aws:s3:::b/two/k", false),
        (tag("*"), "arn:aws:s3:::b/*/k", true),
        (Context::default(), "arn:aws:s3:::b/one/k", false),
        (Context::default(), "arn:aws:s3:::b//k", false),
    ];
    for (context, resource, expected) in rows {
        assert_eq!(
            identity_decision(&statement, "s3:PutObject", resource, context.clone()),
            expected,
            "{context:?} {resource}"
        );
    }
    let with_default = json!({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::b/${aws:x, 'none'}${*}"});
    assert!(identity_decision(
        &with_default,
        "s3:GetObject",
        "arn:aws:s3:::b/none*",
        Context::default()
    ));
    assert!(!identity_decision(
        &with_default,
        "s3:GetObject",
        "arn:aws:s3:::b/nonesuch",
        Context::default()
    ));
}

#[test]
fn conditions_compare_as_their_operator_says() {
    let none = Context::default;
    let k = |value| Context::default().with("K", value);
    let ks = |values: &[&str]| Context::default().with_all("K", values);
    let rows = [
        (json!({"StringEquals": {"k": "a"}}), k("a"), true),
        (json!({"StringEquals": {"k": "a"}}), k("A"), false),
        (json!({"StringEquals": {"k": "a*"}}), k("ab"), false),
        (json!({"StringEquals": {"k": ["a", "b"]}}), k("b"), true),
        (json!({"StringEquals": {"k": "a"}}), none(), false),
        (json!({"StringEqualsIfExists": {"k": "a"}}), none(), true),
        (json!({"StringEqualsIfExists": {"k": "a"}}), k("b"), false),
        (json!({"StringEqualsIgnoreCase": {"k": "a"}}), k("A"), true),
        (json!({"StringNotEquals": {"k": ["a", "b"]}}), k("b"), false),
        (json!({"StringNotEquals": {"k": ["a", "b"]}}), k("c"), true),
        (json!({"StringNotEquals": {"k": "a"}}), none(), true),
        (json!({"StringLike": {"k": "a*c?"}}), k("abbcd"), true),
        (json!({"StringNotLike": {"k": "a*"}}), k("abc"), false),
        (
            json!({"ArnLike": {"k": "arn:aws:iam::1:role/*-lambda"}}),
            k("arn:aws:iam::1:role/p-lambda"),
            true,
        ),
        (
            json!({"ArnEquals": {"k": "arn:aws:iam::*:role/x"}}),
            k("arn:aws:iam::1:user:role/x"),
            false,
        ),
        (json!({"ArnNotLike": {"k": "arn:aws:iam::1:role/*"}}), k("arn:aws:iam::2:role/x"), true),
        (json!({"Bool": {"k": "false"}}), k("False"), true),
        (json!({"Bool": {"k": false}}), k("true"), false),
        (json!({"Bool": {"k": "false"}}), none(), false),
        (json!({"Null": {"k": "true"}}), none(), true),
        (json!({"Null": {"k": "false"}}), none(), false),
        (json!({"Null": {"k": "false"}}), k("x"), true),
        (json!({"ForAllValues:StringEquals": {"k": ["a", "b"]}}), ks(&["a", "b"]), true),
        (json!({"ForAllValues:StringEquals": {"k": ["a", "b"]}}), ks(&["a", "c"]), false),
        (json!({"ForAllValues:StringEquals": {"k": "a"}}), none(), true),
        (json!({"ForAnyValue:StringEquals": {"k": "a"}}), ks(&["c", "a"]), true),
        (json!({"ForAnyValue:StringEquals": {"k": "a"}}), ks(&["c"]), false),
        (json!({"ForAnyValue:StringEquals": {"k": "a"}}), none(), false),
        (json!({"StringEquals": {"k": "a"}, "Null": {"other": "false"}}), k("a"), false),
        (json!({"StringEquals": {"k": "${aws:PrincipalAccount}"}}), k("111111111111"), true),
        (json!({"StringEquals": {"k": "${missing}"}}), k(""), false),
    ];
    for (condition, context, expected) in rows {
        let statement =
            json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition});
        assert_eq!(
            identity_decision(&statement, "s3:GetObject", "arn:aws:s3:::b/k", context.clone()),
            expected,
            "{condition} {context:?}"
        );
    }
}

#[test]
fn what_is_not_understood_is_an_error() {
    let allow = |extra: Value| {
        let mut statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        statement.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        policy_with(&statement)
    };
    let rows = [
        (
            allow(json!({"Condition": {"DateGreaterThan": {"k": "1"}}})),
            PolicyError::Operator { name: "DateGreaterThan".into() },
        ),
        (
            allow(json!({"Condition": {"ForEachValue:StringEquals": {"k": "1"}}})),
            PolicyError::Operator { name: "ForEachValue:StringEquals".into() },
        ),
        (allow(json!({"Conditions": {}})), PolicyError::Element { name: "Conditions".into() }),
        (allow(json!({"Effect": "allow"})), PolicyError::Shape { element: "Effect" }),
        (allow(json!({"Principal": "*"})), PolicyError::Shape { element: "Principal" }),
        (allow(json!({"NotResource": "*"})), PolicyError::Shape { element: "NotResource" }),
        (allow(json!({"Action": []})), PolicyError::Shape { element: "Action" }),
        (json!({"Statement": []}), PolicyError::Version),
        (
            json!({"Version": "2012-10-17", "Statement": "x"}),
            PolicyError::Shape { element: "Statement" },
        ),
    ];
    for (document, expected) in rows {
        assert_eq!(Policy::identity(&document).unwrap_err(), expected, "{document}");
    }
    assert_eq!(
        Policy::trust(&allow(json!({"Principal": "*"}))).unwrap_err(),
        PolicyError::Shape { element: "Resource" }
    );
    assert!(matches!(Policy::trust_text("{"), Err(PolicyError::Json { .. })));

    let several = allow(json!({"Condition": {"StringEquals": {"k": "a"}}}));
    let asked = request(
        Principal::Iam(ROLE.into()),
        "s3:GetObject",
        "arn:aws:s3:::b/k",
        Context::default().with_all("k", &["a", "b"]),
    );
    let decision = evaluate(&[Policy::identity(&several).unwrap()], None, &asked);
    assert_eq!(decision.unwrap_err(), PolicyError::SeveralValues { key: "k".into() });
}

#[test]
fn both_sides_decide_as_accounts_demand() {
    let everything = || {
        Policy::identity(&policy_with(&json!({"Effect": "Allow", "Action": "*", "Resource": "*"})))
            .unwrap()
    };
    let nothing = || {
        Policy::identity(&policy_with(&json!({"Effect": "Deny", "Action": "x:y", "Resource": "*"})))
            .unwrap()
    };
    let trusting = |principal: Value| {
        Policy::trust(&policy_with(&json!({"Sid": "T", "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}))).unwrap()
    };
    let bucket = |principal: Value| {
        Policy::resource(&policy_with(&json!({"Sid": "B", "Effect": "Allow", "Action": "s3:*", "Principal": principal, "Resource": "*"}))).unwrap()
    };
    let root = json!({"AWS": "arn:aws:iam::111111111111:root"});
    let (own, other) = (json!({"AWS": ROLE}), json!({"AWS": OTHER_ACCOUNT_ROLE}));
    let target = "arn:aws:iam::111111111111:role/target";
    let object = "arn:aws:s3:::b/k";
    let rows = [
        // Roles: the trust policy must name the caller, or the account plus the caller's policies.
        (ROLE, "sts:AssumeRole", target, nothing(), trusting(own.clone()), true),
        (ROLE, "sts:AssumeRole", target, nothing(), trusting(root.clone()), false),
        (ROLE, "sts:AssumeRole", target, everything(), trusting(root.clone()), true),
        (ROLE, "sts:AssumeRole", target, everything(), trusting(other.clone()), false),
        (OTHER_ACCOUNT_ROLE, "sts:AssumeRole", target, everything(), trusting(other.clone()), true),
        (OTHER_ACCOUNT_ROLE, "sts:AssumeRole", target, nothing(), trusting(other.clone()), false),
        (
            OTHER_ACCOUNT_ROLE,
            "sts:AssumeRole",
            target,
            everything(),
            trusting(json!({"AWS": "222222222222"})),
            true,
        ),
        (OTHER_ACCOUNT_ROLE, "sts:AssumeRole", target, everything(), trusting(root.clone()), false),
        // Other resources: in one account either side suffices.
        (ROLE, "s3:GetObject", object, everything(), bucket(other.clone()), true),
        (ROLE, "s3:GetObject", object, nothing(), bucket(own), true),
        (ROLE, "s3:GetObject", object, nothing(), bucket(root), false),
        (ROLE, "s3:GetObject", object, nothing(), bucket(json!("*")), true),
    ];
    for (index, (principal, action, resource, identity, policy, expected)) in
        rows.into_iter().enumerate()
    {
        let asked = request(Principal::Iam(principal.into()), action, resource, Context::default());
        let decision = evaluate(&[identity], Some(&policy), &asked).unwrap();
        assert_eq!(decision.is_allowed(), expected, "row {index}: {decision:?}");
    }
    let foreign_bucket = Context::default().with("aws:ResourceAccount", "222222222222");
    let asked = request(Principal::Iam(ROLE.into()), "s3:GetObject", object, foreign_bucket);
    assert_eq!(
        evaluate(&[everything()], Some(&bucket(other)), &asked).unwrap(),
        Decision::NotAllowed
    );
}

#[test]
fn a_denial_wins_wherever_it_stands() {
    let allow = json!({"Sid": "A", "Effect": "Allow", "Action": "*", "Resource": "*"});
    let deny = json!({"Sid": "D", "Effect": "Deny", "Action": "s3:*", "Resource": "*"});
    let both =
        Policy::identity(&json!({"Version": "2012-10-17", "Statement": [allow, deny]})).unwrap();
    let asked = |action| {
        request(Principal::Iam(ROLE.into()), action, "arn:aws:s3:::b/k", Context::default())
    };
    assert_eq!(
        evaluate(std::slice::from_ref(&both), None, &asked("s3:GetObject")).unwrap(),
        Decision::Denied { by: "D".into() }
    );
    assert_eq!(
        evaluate(&[both], None, &asked("sqs:SendMessage")).unwrap(),
        Decision::Allowed { by: "A".into() }
    );

    let denying =
        json!({"Sid": "R", "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"});
    let (allow, denying) = (
        Policy::identity(&policy_with(&allow)).unwrap(),
        Policy::resource(&policy_with(&denying)).unwrap(),
    );
    assert_eq!(
        evaluate(&[allow], Some(&denying), &asked("s3:GetObject")).unwrap(),
        Decision::Denied { by: "R".into() }
    );
}

#[test]
fn services_and_federated_users_need_their_own_name() {
    let policy = |principal: Value| {
        Policy::resource(&policy_with(&json!({"Effect": "Allow", "Principal": principal, "Action": "sns:Publish", "Resource": "*"}))).unwrap()
    };
    let s3 = || Principal::Service("s3.amazonaws.com".into());
    let rows = [
        (json!({"Service": "s3.amazonaws.com"}), s3(), true),
        (json!({"Service": ["sns.amazonaws.com"]}), s3(), false),
        (json!({"Federated": "arn:p"}), Principal::Federated("arn:p".into()), true),
        (json!({"Federated": "arn:p"}), Principal::Federated("arn:q".into()), false),
        (json!({"AWS": "111111111111"}), Principal::Anonymous, false),
        (json!({"AWS": "*"}), Principal::Anonymous, true),
    ];
    for (principal, asking, expected) in rows {
        let asked = request(
            asking.clone(),
            "sns:Publish",
            "arn:aws:sns:r:111111111111:t",
            Context::default(),
        );
        assert_eq!(
            evaluate(&[], Some(&policy(principal.clone())), &asked).unwrap().is_allowed(),
            expected,
            "{principal} {asking:?}"
        );
    }
    let others = json!({"Effect": "Deny", "NotPrincipal": {"Service": "s3.amazonaws.com"}, "Action": "*", "Resource": "*"});
    let others = Policy::resource(&policy_with(&others)).unwrap();
    let asked =
        |asking| request(asking, "sns:Publish", "arn:aws:sns:r:111111111111:t", Context::default());
    assert_eq!(evaluate(&[], Some(&others), &asked(s3())).unwrap(), Decision::NotAllowed);
    assert!(matches!(
        evaluate(&[], Some(&others), &asked(Principal::Anonymous)).unwrap(),
        Decision::Denied { .. }
    ));
}
