//! A whole pipeline as the templates make it: central account, two clusters, one customer.

use fake_aws::iam::{Context, Decision, Policy, Principal, Request, evaluate};
use mtlog::template::catalogue::TemplateId;
use serde_json::Value;

use super::deployment::{Deployed, OHIO, Place, deploy};

pub(crate) const CUSTOMER_ACCOUNT: &str = "222222222222";
pub(crate) const CUSTOMER: Place = Place { account: CUSTOMER_ACCOUNT, ..OHIO };
pub(crate) const ISSUER: &str = "oidc.op1.openshiftapps.com/2abc3def";
pub(crate) const IMAGE: &str = "111111111111.dkr.ecr.us-east-2.amazonaws.com/log-processor:1";

/// The stacks of one pipeline.
pub(crate) struct World {
    pub(crate) global: Deployed,
    pub(crate) regional: Deployed,
    pub(crate) customer: Deployed,
    /// Collector roles of the clusters `blue` and `bluebell`.
    pub(crate) blue: Deployed,
    pub(crate) bluebell: Deployed,
    pub(crate) processor: Deployed,
}

/// A role with everything that decides what it may do.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) trust: Policy,
    pub(crate) permissions: Vec<Policy>,
    /// The keys that a session of the role has because of its tags.
    pub(crate) tags: Context,
}

/// What a world may differ in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settings<'a> {
    pub(crate) global: &'a [(&'a str, &'a str)],
    pub(crate) regional: &'a [(&'a str, &'a str)],
    pub(crate) customer: &'a [(&'a str, &'a str)],
}

impl World {
    pub(crate) fn new(settings: Settings<'_>) -> Self {
        let global = deploy(TemplateId::Global, OHIO, settings.global).unwrap();
        let central_role = global.outputs["CentralLogDistributionRoleArn"].as_str();
        let mut parameters = vec![
            ("CentralLogDistributionRoleArn", central_role),
            ("TemplateBucket", "template-bucket"),
            ("IncludeLambdaStack", "true"),
            ("IncludeObservabilityStack", "true"),
            ("ECRImageUri", IMAGE),
        ];
        parameters.extend_from_slice(settings.regional);
        let regional = deploy(TemplateId::Regional, OHIO, &parameters).unwrap();

        let mut parameters = vec![("CentralLogDistributionRoleArn", central_role)];
        parameters.extend_from_slice(settings.customer);
        let customer = deploy(TemplateId::Customer, CUSTOMER, &parameters).unwrap();

        let output = |name: &str| regional.outputs.get(name).map_or("", String::as_str);
        let cluster = |name| {
            let parameters = [
                ("ClusterName", name),
                ("OIDCProviderURL", "https://oidc.op1.openshiftapps.com/2abc3def"),
                ("VectorAssumeRolePolicyArn", output("VectorAssumeRolePolicyArn")),
                ("CentralS3WriterPolicyArn", output("CentralS3WriterPolicyArn")),
            ];
            deploy(TemplateId::ClusterVector, OHIO, &parameters).unwrap()
        };
        let (blue, bluebell) = (cluster("blue"), cluster("bluebell"));
        let parameters = [
            ("ClusterName", "blue"),
            ("OIDCProviderURL", ISSUER),
            ("CentralLogDistributionRoleArn", central_role),
            ("TenantConfigTableArn", output("TenantConfigTableArn")),
            ("CentralLoggingBucketArn", output("CentralLoggingBucketArn")),
            ("LogDeliveryQueueArn", output("LogDeliveryQueueArn")),
            ("LogDeliveryDLQArn", output("LogDeliveryDLQArn")),
            ("KMSKeyArn", output("KMSKeyArn")),
            ("S3KeyPrefix", output("S3KeyPrefix")),
        ];
        let processor = deploy(TemplateId::ClusterProcessor, OHIO, &parameters).unwrap();
        Self { global, regional, customer, blue, bluebell, processor }
    }

    /// Returns an output of the regional stack.
    pub(crate) fn output(&self, name: &str) -> &str {
        &self.regional.outputs[name]
    }

    /// Returns a role of one of this world's stacks.
    pub(crate) fn role(&self, stack: &Deployed, name: &str) -> Role {
        let resource = &stack.resources[name];
        assert_eq!(resource.kind, "AWS::IAM::Role", "{name}");
        let properties = &resource.properties;
        let mut permissions: Vec<Policy> = list(&properties["Policies"])
            .iter()
            .map(|policy| Policy::identity(&policy["PolicyDocument"]).unwrap())
            .collect();
        for arn in list(&properties["ManagedPolicyArns"]) {
            permissions.push(self.managed_policy(arn.as_str().unwrap()));
        }
        let tags = list(&properties["Tags"]).iter().fold(Context::default(), |tags, tag| {
            tags.with(
                &format!("aws:PrincipalTag/{}", tag["Key"].as_str().unwrap()),
                tag["Value"].as_str().unwrap(),
            )
        });
        Role {
            arn: role_arn(stack, name),
            trust: trust_of(&properties["AssumeRolePolicyDocument"]),
            permissions,
            tags,
        }
    }

    pub(crate) fn central_role(&self) -> Role {
        self.role(&self.global, "CentralLogDistributionRole")
    }

    pub(crate) fn customer_role(&self) -> Role {
        self.role(&self.customer, "CustomerLogDistributionRole")
    }

    /// Returns the policy document of a resource of the regional stack.
    pub(crate) fn resource_policy(&self, resource: &str, property: &str) -> Policy {
        Policy::resource(&self.regional.resources[resource].properties[property]).unwrap()
    }

    fn managed_policy(&self, arn: &str) -> Policy {
        let name = arn.rsplit('/').next().unwrap();
        let found = self
            .regional
            .resources
            .values()
            .find(|resource| resource.properties["ManagedPolicyName"] == name);
        Policy::identity(
            &found.unwrap_or_else(|| panic!("no policy {arn}")).properties["PolicyDocument"],
        )
        .unwrap()
    }
}

impl Role {
    /// Asks whether the role may do something where no resource policy has a say.
    pub(crate) fn may(&self, action: &str, resource: &str, context: &Context) -> bool {
        self.decision(None, action, resource, context).is_allowed()
    }

    pub(crate) fn decision(
        &self,
        policy: Option<&Policy>,
        action: &str,
        resource: &str,
        context: &Context,
    ) -> Decision {
        let request = Request {
            principal: Principal::Iam(self.arn.clone()),
            action: action.to_owned(),
            resource: resource.to_owned(),
            context: context.clone().merge(&self.tags),
        };
        evaluate(&self.permissions, policy, &request).unwrap()
    }

    /// Asks whether the role may assume another one.
    pub(crate) fn may_assume(&self, target: &Self, context: &Context) -> bool {
        self.decision(Some(&target.trust), "sts:AssumeRole", &target.arn, context).is_allowed()
    }
}

/// Returns a role that the templates did not make, which may do everything that its account allows.
pub(crate) fn stranger(arn: &str) -> Role {
    let everything = serde_json::json!({
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    });
    Role {
        arn: arn.to_owned(),
        trust: trust_of(&serde_json::json!({"Version": "2012-10-17", "Statement": []})),
        permissions: vec![Policy::identity(&everything).unwrap()],
        tags: Context::default(),
    }
}

/// Returns the entries of a list, or none.
pub(crate) fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn trust_of(document: &Value) -> Policy {
    match document {
        Value::String(text) => Policy::trust_text(text).unwrap(),
        other => Policy::trust(other).unwrap(),
    }
}

fn role_arn(stack: &Deployed, name: &str) -> String {
    let resource = &stack.resources[name];
    let account = if resource.properties["RoleName"].as_str().unwrap().starts_with("CustomerLog") {
        CUSTOMER_ACCOUNT
    } else {
        OHIO.account
    };
    super::physical::attribute(resource, "Arn", Place { account, ..OHIO })
}
