//! The way of a request: which service and operation, who asks, whether a fault strikes, the
//! service's own answer, the journal.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::canned;
use crate::clock::{Millis, http_date, millis, real_now, timestamp};
use crate::error::{ApiError, render};
use crate::fault::{Applies, BodyFault, Effect, Outcome};
use crate::http::{Origin, Reply, Request, parse_form};
use crate::identity::{Caller, CallerKind, KeyError};
use crate::journal::{CallFacts, JournalEntry};
use crate::service::{Protocol, Service, is_write};
use crate::shared::{Context, DateHeader, KeepAlive, Shared};
use crate::sigv4::{self, Signature, SignatureError};
use crate::{cloudformation, cloudwatch, dynamodb, iam_api, lambda, logs, s3, sns, sqs, sts};

/// What the server is to do with the connection.
#[derive(Debug)]
pub(crate) enum Answer {
    Reply(Reply),
    /// A reply whose body breaks.
    Broken(Reply, BodyFault),
    /// No reply, a reset.
    Reset,
    /// No reply, for as long as the client waits.
    Silence,
}

/// A request's content, read as its operation demands.
#[derive(Debug)]
enum Input<'a> {
    PutLogEvents(logs::PutLogEvents<'a>),
    /// The body was counted and thrown away.
    Discarded,
    Json(Value),
    Form(Vec<(String, String)>),
    S3(s3::Call),
    /// Everything is in method, path and query.
    Bare,
}

/// Answers one request.
pub(crate) async fn answer(shared: &Arc<Shared>, request: &Request) -> Answer {
    let request_id = shared.random().uuid();
    let now = shared.clock.now();
    let signature = sigv4::read(request);
    let (service, operation) = target(request, signature.as_ref().ok());
    let mut facts = CallFacts {
        service: service.name().to_owned(),
        operation: operation.clone(),
        ..CallFacts::default()
    };
    let opened = open(shared, request, service, &operation, signature, now, &mut facts);
    let _under_way = shared.journal.begin(&facts);
    // A fault may strike even a call that would be refused, as a broken network does.
    let effect = shared.faults.strike(&facts, now);
    let mut applied = false;
    if let Some(effect) = &effect {
        pause(shared, effect, now).await;
    }
    let carried_out = effect.as_ref().is_none_or(|effect| effect.applies == Applies::Yes);
    let result = match opened {
        Err(error) => Err(error),
        Ok(_) if !carried_out => Ok(Reply::empty(200)),
        Ok((caller, input)) => {
            let context = Context {
                shared,
                service,
                operation: &operation,
                caller: &caller,
                region: &facts.region,
                now: shared.clock.now(),
                request,
                request_id: &request_id,
            };
            if shared.throttles.admits(&facts, context.now) {
                let result = execute(&context, input).await;
                applied = result.is_ok();
                result
            } else {
                Err(canned::throttling(service))
            }
        }
    };
    let reply = result.unwrap_or_else(|error| render(service, &error, &request_id));
    let faulted = effect.is_some();
    let answer = shape(effect, service, reply, &request_id);
    let answer = finish(shared, service, &request_id, answer);
    record(shared, request, facts, &answer, now, faulted, applied);
    answer
}

/// Finds the service and the operation, as far as the request tells.
fn target(request: &Request, signature: Option<&Signature>) -> (Service, String) {
    let scoped = signature.and_then(|signature| Service::from_name(&signature.service));
    if let Some(target) = request.header("x-amz-target") {
        let (prefix, operation) = target.split_once('.').unwrap_or((target, ""));
        let service = Service::from_target(prefix).or(scoped).unwrap_or(Service::Unknown);
        return (service, operation.to_owned());
    }
    let form = request
        .header("content-type")
        .is_some_and(|content| content.starts_with("application/x-www-form-urlencoded"));
    match scoped {
        Some(service) if matches!(service.protocol(), Protocol::Query { .. }) => {
            (service, form_action(request))
        }
        Some(Service::S3) => (Service::S3, s3::operation(request)),
        Some(Service::CloudWatch) => (Service::CloudWatch, cloudwatch::operation(request)),
        Some(Service::Lambda) => (Service::Lambda, lambda::operation(request)),
        Some(service) => (service, String::new()),
        None if form => (Service::Sts, form_action(request)),
        None => (Service::S3, s3::operation(request)),
    }
}

fn form_action(request: &Request) -> String {
    let body = String::from_utf8_lossy(&request.body);
    parse_form(&body)
        .into_iter()
        .find(|(key, _)| key == "Action")
        .map(|(_, action)| action)
        .unwrap_or_default()
}

/// Checks the caller and reads the request, filling in the facts on the way.
fn open<'a>(
    shared: &Shared,
    request: &'a Request,
    service: Service,
    operation: &str,
    signature: Result<Signature, SignatureError>,
    now: Millis,
    facts: &mut CallFacts,
) -> Result<(Caller, Input<'a>), ApiError> {
    let unsigned = service == Service::Sts && sts::is_unsigned(operation);
    let caller = match signature {
        Err(SignatureError::Missing) if unsigned => anonymous(),
        Err(SignatureError::Missing) => {
            note_resource(service, operation, request, facts);
            return Err(canned::missing_authentication(service));
        }
        Err(SignatureError::Malformed(message)) => {
            return Err(canned::incomplete_signature(service, &message));
        }
        Ok(signature) => {
            facts.region.clone_from(&signature.region);
            let caller = authenticate(shared, service, &signature, now);
            if let Ok(caller) = &caller {
                facts.account.clone_from(&caller.account);
                facts.principal.clone_from(&caller.arn);
                caller.role_arn().clone_into(&mut facts.role);
            }
            // What the call is about is noted even when its caller is refused.
            let input = read(shared, service, operation, request);
            if let Ok(input) = &input {
                note(facts, service, input, request);
            }
            let caller = caller?;
            return input.map(|input| (caller, input));
        }
    };
    let input = read(shared, service, operation, request)?;
    note(facts, service, &input, request);
    Ok((caller, input))
}

fn anonymous() -> Caller {
    Caller {
        account: String::new(),
        arn: "anonymous".to_owned(),
        user_id: "anonymous".to_owned(),
        kind: CallerKind::User,
    }
}

fn note_resource(service: Service, operation: &str, request: &Request, facts: &mut CallFacts) {
    if service == Service::S3
        && let Ok(call) = s3::parse(request, operation)
    {
        facts.resource.clone_from(&call.bucket);
        facts.key.clone_from(&call.key);
    }
}

fn authenticate(
    shared: &Shared,
    service: Service,
    signature: &Signature,
    now: Millis,
) -> Result<Caller, ApiError> {
    if Service::from_name(&signature.service) != Some(service) {
        let message =
            format!("Credential should be scoped to correct service: '{}'. ", service.name());
        return Err(canned::invalid_signature(service, &message));
    }
    let settings = shared.settings().clone();
    if let Some(tolerance) = settings.skew_tolerance
        && signature.valid_until.is_none()
        && now.abs_diff(signature.signed_at) > u64::try_from(millis(tolerance)).unwrap_or(u64::MAX)
    {
        return Err(canned::request_time_too_skewed(service));
    }
    if signature.valid_until.is_some_and(|until| now > until) {
        return Err(ApiError::new(403, "AccessDenied", "Request has expired"));
    }
    let caller = shared
        .identities()
        .caller(&signature.access_key_id, signature.session_token.as_deref(), now)
        .map_err(|error| match error {
            KeyError::Unknown => canned::unrecognized_client(service),
            KeyError::Expired => canned::expired_token(service),
            KeyError::WrongToken if service == Service::S3 => ApiError::bad(
                "InvalidToken",
                "The provided token is malformed or otherwise invalid.",
            ),
            KeyError::WrongToken => canned::unrecognized_client(service),
        })?;
    let region = (caller.account.clone(), signature.region.clone());
    if settings.disabled_regions.contains(&region) {
        return Err(if service == Service::Sts {
            ApiError::new(
                403,
                "RegionDisabledException",
                format!(
                    "STS is not activated in this region for account:{}. Your account administrator can activate STS in this region using the IAM Console.",
                    caller.account
                ),
            )
        } else {
            canned::unrecognized_client(service)
        });
    }
    Ok(caller)
}

/// Reads the request's content.
fn read<'a>(
    shared: &Shared,
    service: Service,
    operation: &str,
    request: &'a Request,
) -> Result<Input<'a>, ApiError> {
    match service.protocol() {
        Protocol::Json { content_type, .. } => {
            if request.method != hyper::Method::POST {
                return Err(ApiError::new(
                    405,
                    "UnknownOperationException",
                    "only POST is allowed",
                ));
            }
            let sent = request.header("content-type").unwrap_or_default();
            if sent.split(';').next().map(str::trim) != Some(content_type) {
                return Err(ApiError::bad(
                    "SerializationException",
                    format!("the content type `{sent}` is not `{content_type}`"),
                ));
            }
            if !known_operation(service, operation) {
                return Err(ApiError::bad("UnknownOperationException", ""));
            }
            if service == Service::Logs && operation == "PutLogEvents" {
                if request.discarded_body > 0 {
                    return Ok(Input::Discarded);
                }
                let body = decoded_body(shared, request)?;
                return match body {
                    Cow::Borrowed(body) => logs::parse_put(body).map(Input::PutLogEvents),
                    Cow::Owned(body) => logs::parse_put_owned(&body).map(Input::PutLogEvents),
                };
            }
            json_body(request).map(Input::Json)
        }
        Protocol::Query { version } => {
            let text = std::str::from_utf8(&request.body)
                .map_err(|_| ApiError::bad("MalformedQueryString", "the body is not UTF-8"))?;
            let form = parse_form(text);
            let sent =
                form.iter().find(|(key, _)| key == "Version").map(|(_, value)| value.as_str());
            if sent != Some(version) || !known_operation(service, operation) {
                return Err(ApiError::bad(
                    "InvalidAction",
                    format!(
                        "Could not find operation {operation} for version {}",
                        sent.unwrap_or("NO_VERSION_SPECIFIED")
                    ),
                ));
            }
            Ok(Input::Form(form))
        }
        Protocol::Cbor if known_operation(service, operation) => {
            cloudwatch::parse(request).map(Input::Json)
        }
        Protocol::RestJson if known_operation(service, operation) => Ok(Input::Bare),
        Protocol::Cbor | Protocol::RestJson => {
            Err(ApiError::new(404, "UnknownOperationException", "there is no such operation here"))
        }
        Protocol::RestXml => s3::parse(request, operation).map(Input::S3),
    }
}

fn known_operation(service: Service, operation: &str) -> bool {
    match service {
        Service::Logs => logs::OPERATIONS.contains(&operation),
        Service::Sqs => sqs::OPERATIONS.contains(&operation),
        Service::DynamoDb => dynamodb::OPERATIONS.contains(&operation),
        Service::Sts => sts::OPERATIONS.contains(&operation),
        Service::CloudFormation => cloudformation::OPERATIONS.contains(&operation),
        Service::CloudWatch => cloudwatch::OPERATIONS.contains(&operation),
        Service::Iam => iam_api::OPERATIONS.contains(&operation),
        Service::Sns => sns::OPERATIONS.contains(&operation),
        Service::Lambda => !operation.is_empty(),
        Service::S3 | Service::Unknown => false,
    }
}

fn json_body(request: &Request) -> Result<Value, ApiError> {
    match serde_json::from_slice(&request.body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(ApiError::bad(
            "SerializationException",
            "Start of structure or map found where not expected.",
        )),
        Err(error) => Err(ApiError::bad("SerializationException", error.to_string())),
    }
}

/// Undoes a compression of the body, if the fake is set to accept one.
fn decoded_body<'a>(shared: &Shared, request: &'a Request) -> Result<Cow<'a, Bytes>, ApiError> {
    match request.header("content-encoding") {
        None | Some("identity") => Ok(Cow::Borrowed(&request.body)),
        Some("gzip") if shared.logs().accepts_gzip() => logs::gunzip(&request.body).map(Cow::Owned),
        Some(_) => Err(ApiError::bad(
            "SerializationException",
            "Unexpected token found where not expected.",
        )),
    }
}

fn note(facts: &mut CallFacts, service: Service, input: &Input<'_>, request: &Request) {
    let (resource, key) = match input {
        Input::PutLogEvents(put) => (
            put.group().unwrap_or_default().to_owned(),
            put.stream().unwrap_or_default().to_owned(),
        ),
        Input::Discarded => (String::new(), String::new()),
        Input::Form(form) if service == Service::CloudFormation => cloudformation::facts(form),
        Input::Form(form) if service == Service::Iam => iam_api::facts(form),
        Input::Form(form) if service == Service::Sns => sns::facts(form),
        Input::Form(form) => sts::facts(form),
        Input::Bare => (lambda::function_name(request), String::new()),
        Input::S3(call) => (call.bucket.clone(), call.key.clone()),
        Input::Json(value) => match service {
            Service::Sqs => sqs::facts(value, request),
            Service::DynamoDb => dynamodb::facts(value),
            Service::CloudWatch => (String::new(), String::new()),
            Service::Logs
            | Service::S3
            | Service::Sts
            | Service::CloudFormation
            | Service::Lambda
            | Service::Iam
            | Service::Sns
            | Service::Unknown => logs::facts(value),
        },
    };
    facts.resource = resource;
    facts.key = key;
}

/// Waits as long as a fault says. On the fake's clock that counts from `arrival`, so whoever has seen the fault strike
/// can move the clock.
async fn pause(shared: &Shared, effect: &Effect, arrival: Millis) {
    if !effect.delay.is_zero() {
        tokio::time::sleep(effect.delay).await;
    }
    if !effect.virtual_delay.is_zero() {
        let until = arrival.saturating_add(millis(effect.virtual_delay));
        shared.clock.wait_until(until).await;
    }
}

/// Lets the service answer.
async fn execute(context: &Context<'_>, input: Input<'_>) -> Result<Reply, ApiError> {
    match (context.service, input) {
        (_, Input::PutLogEvents(put)) => logs::put(context, &put),
        (_, Input::Discarded) => Ok(logs::count_discarded(context)),
        (Service::Logs, Input::Json(input)) => logs::execute(context, &input),
        (Service::Sqs, Input::Json(input)) => sqs::execute(context, &input).await,
        (Service::DynamoDb, Input::Json(input)) => dynamodb::execute(context, &input),
        (Service::CloudFormation, Input::Form(form)) => cloudformation::execute(context, &form),
        (Service::Iam, Input::Form(form)) => iam_api::execute(context, &form),
        (Service::Sns, Input::Form(form)) => sns::execute(context, &form),
        (Service::CloudWatch, Input::Json(input)) => cloudwatch::execute(context, &input),
        (_, Input::Bare) => lambda::execute(context),
        (_, Input::Form(form)) => sts::execute(context, &form),
        (_, Input::S3(call)) => s3::execute(context, &call),
        (
            Service::S3
            | Service::Sts
            | Service::CloudFormation
            | Service::Lambda
            | Service::Iam
            | Service::Sns
            | Service::Unknown,
            Input::Json(_),
        ) => Err(ApiError::bad("UnknownOperationException", "")),
    }
}

/// Turns the true reply into what the fault makes of it.
fn shape(effect: Option<Effect>, service: Service, reply: Reply, request_id: &str) -> Answer {
    match effect.map(|effect| effect.outcome) {
        None | Some(Outcome::Reply) => Answer::Reply(reply),
        Some(Outcome::Respond(response)) => Answer::Reply(response.reply(service, request_id)),
        Some(Outcome::Reset) => Answer::Reset,
        Some(Outcome::Stall) => Answer::Silence,
        Some(Outcome::Body(fault)) => Answer::Broken(reply, fault),
    }
}

/// Adds the headers that every reply has.
fn finish(shared: &Shared, service: Service, request_id: &str, answer: Answer) -> Answer {
    let complete = |mut reply: Reply| {
        let settings = shared.settings();
        match settings.date_header {
            DateHeader::FakeClock => reply = reply.header("date", http_date(shared.clock.now())),
            DateHeader::RealClock => reply = reply.header("date", http_date(real_now())),
            DateHeader::Absent => {}
        }
        if settings.keep_alive == KeepAlive::CloseEachTime {
            reply = reply.header("connection", "close");
        }
        drop(settings);
        if reply.origin == Origin::Proxy {
            return reply;
        }
        if service == Service::S3 {
            return reply.header("x-amz-request-id", request_id).header("x-amz-id-2", "fake");
        }
        if service == Service::DynamoDb
            && let Some(body) = reply.body.to_bytes()
        {
            let mut crc = flate2::Crc::new();
            crc.update(&body);
            reply = reply.header("x-amz-crc32", crc.sum().to_string());
        }
        reply.header("x-amzn-requestid", request_id)
    };
    match answer {
        Answer::Reply(reply) => Answer::Reply(complete(reply)),
        Answer::Broken(reply, fault) => Answer::Broken(complete(reply), fault),
        Answer::Reset => Answer::Reset,
        Answer::Silence => Answer::Silence,
    }
}

fn record(
    shared: &Shared,
    request: &Request,
    facts: CallFacts,
    answer: &Answer,
    now: Millis,
    faulted: bool,
    applied: bool,
) {
    let (status, error_code) = match answer {
        Answer::Reply(reply) | Answer::Broken(reply, _) => (reply.status, reply.error_code.clone()),
        Answer::Reset | Answer::Silence => (0, None),
    };
    let service = Service::from_name(&facts.service).unwrap_or(Service::Unknown);
    let is_write = is_write(service, &facts.operation);
    shared.journal.record(JournalEntry {
        number: 0,
        at: timestamp(now),
        facts,
        request_bytes: request.body.len() as u64 + request.discarded_body,
        status,
        error_code,
        faulted,
        applied,
        is_write,
    });
}
