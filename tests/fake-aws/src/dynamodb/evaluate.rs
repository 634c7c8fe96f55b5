//! Evaluates parsed expressions against items.

use super::expression::{Comparison, Condition, Operand, Path, Step, Term, Update};
use super::validation;
use super::value::{Attribute, Item};
use crate::error::ApiError;

/// Finds what a path leads to.
pub(super) fn lookup<'a>(item: &'a Item, path: &[Step]) -> Option<&'a Attribute> {
    let (first, rest) = path.split_first()?;
    let Step::Name(name) = first else {
        return None;
    };
    rest.iter().try_fold(item.get(name)?, |value, step| match (value, step) {
        (Attribute::Map(map), Step::Name(name)) => map.get(name),
        (Attribute::List(list), Step::Index(index)) => list.get(*index),
        _ => None,
    })
}

/// Tells whether a condition holds. A comparison with something absent never does.
pub(super) fn holds(condition: &Condition, item: &Item) -> bool {
    match condition {
        Condition::And(left, right) => holds(left, item) && holds(right, item),
        Condition::Or(left, right) => holds(left, item) || holds(right, item),
        Condition::Not(inner) => !holds(inner, item),
        Condition::Exists(path) => lookup(item, path).is_some(),
        Condition::NotExists(path) => lookup(item, path).is_none(),
        Condition::HasType(path, kind) => {
            lookup(item, path).is_some_and(|value| value.kind() == kind)
        }
        Condition::BeginsWith(path, operand) => {
            match (lookup(item, path), resolve(operand, item)) {
                (Some(Attribute::Text(text)), Some(Attribute::Text(start))) => {
                    text.starts_with(&start)
                }
                (Some(Attribute::Binary(bytes)), Some(Attribute::Binary(start))) => {
                    bytes.starts_with(&start)
                }
                _ => false,
            }
        }
        Condition::Contains(path, operand) => contains(lookup(item, path), resolve(operand, item)),
        Condition::Compare(left, comparison, right) => {
            compare(resolve(left, item), *comparison, resolve(right, item))
        }
        Condition::Between(operand, low, high) => {
            let value = resolve(operand, item);
            compare(value.clone(), Comparison::GreaterOrEqual, resolve(low, item))
                && compare(value, Comparison::LessOrEqual, resolve(high, item))
        }
        Condition::In(operand, choices) => {
            let value = resolve(operand, item);
            value.is_some() && choices.iter().any(|choice| resolve(choice, item) == value)
        }
    }
}

fn resolve(operand: &Operand, item: &Item) -> Option<Attribute> {
    match operand {
        Operand::Path(path) => lookup(item, path).cloned(),
        Operand::Value(value) => Some(value.clone()),
        Operand::Size(path) => {
            let length = lookup(item, path)?.length()?;
            super::number::Decimal::parse(&length.to_string()).ok().map(Attribute::Number)
        }
    }
}

fn contains(whole: Option<&Attribute>, part: Option<Attribute>) -> bool {
    let (Some(whole), Some(part)) = (whole, part) else {
        return false;
    };
    match (whole, part) {
        (Attribute::Text(whole), Attribute::Text(part)) => whole.contains(&part),
        (Attribute::Binary(whole), Attribute::Binary(part)) => {
            part.is_empty() || whole.windows(part.len()).any(|window| window == part)
        }
        (Attribute::Texts(set), Attribute::Text(part)) => set.contains(&part),
        (Attribute::Numbers(set), Attribute::Number(part)) => set.contains(&part),
        (Attribute::Binaries(set), Attribute::Binary(part)) => set.contains(&part),
        (Attribute::List(list), part) => list.contains(&part),
        _ => false,
    }
}

fn compare(left: Option<Attribute>, comparison: Comparison, right: Option<Attribute>) -> bool {
    let (Some(left), Some(right)) = (left, right) else {
        return false;
    };
    let order = left.order(&right);
    match comparison {
        Comparison::Equal => left == right,
        Comparison::NotEqual => left != right,
        Comparison::Less => order.is_some_and(std::cmp::Ordering::is_lt),
        Comparison::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
        Comparison::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
        Comparison::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
    }
}

/// Keeps what the paths lead to.
pub(super) fn project(item: &Item, paths: &[Path]) -> Item {
    let mut projected = Item::new();
    for path in paths {
        let Some(value) = lookup(item, path).cloned() else {
            continue;
        };
        let mut names = path.iter();
        let Some(Step::Name(first)) = names.next() else {
            continue;
        };
        merge(&mut projected, first, names.as_slice(), value);
    }
    projected
}

fn merge(into: &mut Item, name: &str, rest: &[Step], value: Attribute) {
    let Some((next, rest)) = rest.split_first() else {
        into.insert(name.to_owned(), value);
        return;
    };
    match next {
        Step::Name(next) => {
            let entry = into.entry(name.to_owned()).or_insert_with(|| Attribute::Map(Item::new()));
            if let Attribute::Map(map) = entry {
                merge(map, next, rest, value);
            }
        }
        // Elements of lists are kept in the order of the paths, without gaps.
        Step::Index(_) => {
            let entry = into.entry(name.to_owned()).or_insert_with(|| Attribute::List(Vec::new()));
            if let Attribute::List(list) = entry {
                list.push(value);
            }
        }
    }
}

/// Applies an update to a copy of the item. All right sides see the item as it was.
pub(super) fn apply(update: &Update, item: &Item) -> Result<Item, ApiError> {
    let mut updated = item.clone();
    for (path, term) in &update.set {
        let value = evaluate(term, item)?;
        assign(&mut updated, path, value)?;
    }
    for path in &update.remove {
        remove(&mut updated, path);
    }
    for (path, value) in &update.add {
        let sum = add(lookup(item, path), value)?;
        assign(&mut updated, path, sum)?;
    }
    for (path, value) in &update.delete {
        match lookup(item, path).map(|present| subtract(present, value)).transpose()? {
            Some(Some(rest)) => assign(&mut updated, path, rest)?,
            Some(None) => remove(&mut updated, path),
            None => {}
        }
    }
    Ok(updated)
}

fn evaluate(term: &Term, item: &Item) -> Result<Attribute, ApiError> {
    match term {
        Term::Value(value) => Ok(value.clone()),
        Term::Path(path) => lookup(item, path).cloned().ok_or_else(|| {
            validation(
                "The provided expression refers to an attribute that does not exist in the item",
            )
        }),
        Term::IfNotExists(path, other) => match lookup(item, path) {
            Some(value) => Ok(value.clone()),
            None => evaluate(other, item),
        },
        Term::ListAppend(first, second) => {
            match (evaluate(first, item)?, evaluate(second, item)?) {
                (Attribute::List(mut list), Attribute::List(more)) => {
                    list.extend(more);
                    Ok(Attribute::List(list))
                }
                _ => Err(validation(
                    "An operand in the update expression has an incorrect data type",
                )),
            }
        }
        Term::Plus(first, second) => {
            arithmetic(evaluate(first, item)?, evaluate(second, item)?, Sign::Plus)
        }
        Term::Minus(first, second) => {
            arithmetic(evaluate(first, item)?, evaluate(second, item)?, Sign::Minus)
        }
    }
}

#[derive(Clone, Copy)]
enum Sign {
    Plus,
    Minus,
}

fn arithmetic(first: Attribute, second: Attribute, sign: Sign) -> Result<Attribute, ApiError> {
    let (Attribute::Number(first), Attribute::Number(second)) = (first, second) else {
        return Err(validation("An operand in the update expression has an incorrect data type"));
    };
    let result = match sign {
        Sign::Plus => first.plus(second),
        Sign::Minus => first.minus(second),
    };
    result.map(Attribute::Number).map_err(|error| validation(error.message("")))
}

fn wrong_path() -> ApiError {
    validation("The document path provided in the update expression is invalid for update")
}

fn assign(item: &mut Item, path: &[Step], value: Attribute) -> Result<(), ApiError> {
    let Some((Step::Name(first), rest)) = path.split_first() else {
        return Err(wrong_path());
    };
    let Some((last, middle)) = rest.split_last() else {
        item.insert(first.clone(), value);
        return Ok(());
    };
    let mut place = item.get_mut(first).ok_or_else(wrong_path)?;
    for step in middle {
        place = enter(place, step).ok_or_else(wrong_path)?;
    }
    match (place, last) {
        (Attribute::Map(map), Step::Name(name)) => {
            map.insert(name.clone(), value);
        }
        (Attribute::List(list), Step::Index(index)) => match list.get_mut(*index) {
            Some(present) => *present = value,
            None => list.push(value),
        },
        _ => return Err(wrong_path()),
    }
    Ok(())
}

fn enter<'a>(place: &'a mut Attribute, step: &Step) -> Option<&'a mut Attribute> {
    match (place, step) {
        (Attribute::Map(map), Step::Name(name)) => map.get_mut(name),
        (Attribute::List(list), Step::Index(index)) => list.get_mut(*index),
        _ => None,
    }
}

fn remove(item: &mut Item, path: &[Step]) {
    let Some((Step::Name(first), rest)) = path.split_first() else {
        return;
    };
    let Some((last, middle)) = rest.split_last() else {
        item.remove(first);
        return;
    };
    let mut place = item.get_mut(first);
    for step in middle {
        place = place.and_then(|place| enter(place, step));
    }
    match (place, last) {
        (Some(Attribute::Map(map)), Step::Name(name)) => {
            map.remove(name);
        }
        (Some(Attribute::List(list)), Step::Index(index)) if *index < list.len() => {
            list.remove(*index);
        }
        _ => {}
    }
}

fn add(present: Option<&Attribute>, value: &Attribute) -> Result<Attribute, ApiError> {
    match (present, value) {
        (None, value) => Ok(value.clone()),
        (Some(Attribute::Number(first)), Attribute::Number(second)) => first
            .plus(*second)
            .map(Attribute::Number)
            .map_err(|error| validation(error.message(""))),
        (Some(Attribute::Texts(set)), Attribute::Texts(more)) => Ok(Attribute::Texts(set | more)),
        (Some(Attribute::Numbers(set)), Attribute::Numbers(more)) => {
            Ok(Attribute::Numbers(set | more))
        }
        (Some(Attribute::Binaries(set)), Attribute::Binaries(more)) => {
            Ok(Attribute::Binaries(set | more))
        }
        _ => Err(validation("An operand in the update expression has an incorrect data type")),
    }
}

/// Removes members from a set; nothing is left of an empty one.
fn subtract(present: &Attribute, value: &Attribute) -> Result<Option<Attribute>, ApiError> {
    let rest = match (present, value) {
        (Attribute::Texts(set), Attribute::Texts(less)) => Attribute::Texts(set - less),
        (Attribute::Numbers(set), Attribute::Numbers(less)) => Attribute::Numbers(set - less),
        (Attribute::Binaries(set), Attribute::Binaries(less)) => Attribute::Binaries(set - less),
        _ => {
            return Err(validation(
                "An operand in the update expression has an incorrect data type",
            ));
        }
    };
    Ok((rest.length() != Some(0)).then_some(rest))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::expression::Placeholders;
    use super::super::value::{read_item, write_item};
    use super::*;

    fn item(value: &Value) -> Item {
        read_item(value.as_object().unwrap()).unwrap()
    }

    fn condition(expression: &str, values: &Value) -> Result<Condition, String> {
        let mut request = json!({"ConditionExpression": expression, "ExpressionAttributeNames": {"#t": "type", "#s": "status"}});
        if values.as_object().is_some_and(|values| !values.is_empty()) {
            request["ExpressionAttributeValues"] = values.clone();
        }
        let mut placeholders = Placeholders::read(&request).map_err(|error| error.message)?;
        let parsed = placeholders.condition(&request, "ConditionExpression");
        parsed.map(Option::unwrap).map_err(|error| error.message)
    }

    #[test]
    fn conditions_hold_or_not() {
        let item = item(&json!({
            "tenant_id": {"S": "t1"}, "type": {"S": "cloudwatch"}, "count": {"N": "10"},
            "apps": {"L": [{"S": "a"}, {"S": "b"}]}, "tags": {"SS": ["x", "y"]},
            "nested": {"M": {"deep": {"BOOL": true}}},
        }));
        let rows = [
            ("attribute_exists(tenant_id)", json!({}), true),
            ("attribute_not_exists(tenant_id)", json!({}), false),
            ("attribute_not_exists(nested.absent)", json!({}), true),
            ("#t = :v", json!({":v": {"S": "cloudwatch"}}), true),
            ("#t <> :v", json!({":v": {"S": "s3"}}), true),
            ("absent <> :v", json!({":v": {"S": "s3"}}), false),
            ("amount = :v OR tenant_id = :v", json!({":v": {"S": "t1"}}), true),
            ("NOT (tenant_id = :v)", json!({":v": {"S": "t1"}}), false),
            (
                "attribute_exists(a) OR attribute_exists(tenant_id) AND attribute_exists(#t)",
                json!({}),
                true,
            ),
            ("begins_with(tenant_id, :v)", json!({":v": {"S": "t"}}), true),
            ("contains(tags, :v)", json!({":v": {"S": "x"}}), true),
            ("contains(apps, :v)", json!({":v": {"S": "c"}}), false),
            ("size(apps) = :v", json!({":v": {"N": "2"}}), true),
            ("apps[1] = :v", json!({":v": {"S": "b"}}), true),
            ("nested.deep = :v", json!({":v": {"BOOL": true}}), true),
            ("attribute_type(apps, :v)", json!({":v": {"S": "L"}}), true),
            ("tenant_id BETWEEN :a AND :b", json!({":a": {"S": "a"}, ":b": {"S": "z"}}), true),
            ("tenant_id IN (:a, :b)", json!({":a": {"S": "t0"}, ":b": {"S": "t1"}}), true),
            ("tenant_id < :a", json!({":a": {"N": "5"}}), false),
        ];
        for (expression, values, expected) in rows {
            let parsed = condition(expression, &values).unwrap();
            assert_eq!(holds(&parsed, &item), expected, "{expression}");
        }
    }

    #[test]
    fn wrong_conditions_are_refused() {
        let rows = [
            ("", "can not be empty"),
            ("type = :v", "reserved keyword: type"),
            ("count = :v", "reserved keyword: count"),
            ("a = :other", "not defined; attribute value: :other"),
            ("#other = :v", "not defined; attribute name: #other"),
            ("a = ", "<EOF>"),
            ("a == :v", "Syntax error"),
            ("(a = :v", "Syntax error"),
            ("nonsense(a)", "Invalid function name"),
            ("begins_with(a, :n)", "Incorrect operand type"),
            ("a = :v b", "Syntax error"),
        ];
        for (expression, expected) in rows {
            let message =
                condition(expression, &json!({":v": {"S": "x"}, ":n": {"N": "1"}})).unwrap_err();
            assert!(message.contains(expected), "{expression}: {message}");
        }
    }

    fn check_update(expression: &str, values: &Value, expected: Result<Value, &str>) {
        let start = item(
            &json!({"a": {"S": "x"}, "n": {"N": "5"}, "m": {"M": {"k": {"S": "v"}}}, "l": {"L": [{"S": "0"}]}, "s": {"SS": ["p", "q"]}}),
        );
        let mut request = json!({"UpdateExpression": expression});
        if values.as_object().is_some_and(|values| !values.is_empty()) {
            request["ExpressionAttributeValues"] = values.clone();
        }
        let mut placeholders = Placeholders::read(&request).unwrap();
        let result = placeholders
            .update(&request)
            .and_then(|update| apply(&update.unwrap(), &start))
            .map(|item| write_item(&item))
            .map_err(|error| error.message);
        match expected {
            Ok(changes) => {
                let mut whole = write_item(&start);
                for (name, value) in changes.as_object().unwrap() {
                    if value.is_null() {
                        whole.as_object_mut().unwrap().remove(name);
                    } else {
                        whole[name] = value.clone();
                    }
                }
                assert_eq!(result, Ok(whole), "{expression}");
            }
            Err(part) => {
                let message = result.unwrap_err();
                assert!(message.contains(part), "{expression}: {message}");
            }
        }
    }

    #[test]
    fn updates_change_what_they_say() {
        let v = json!({":v": {"S": "new"}});
        let n = json!({":n": {"N": "2"}});
        check_update("SET a = :v", &v, Ok(json!({"a": {"S": "new"}})));
        check_update("SET b = a, a = :v", &v, Ok(json!({"a": {"S": "new"}, "b": {"S": "x"}})));
        check_update("SET n = n + :n", &n, Ok(json!({"n": {"N": "7"}})));
        check_update("SET n = n - :n", &n, Ok(json!({"n": {"N": "3"}})));
        check_update("SET c = if_not_exists(c, :v)", &v, Ok(json!({"c": {"S": "new"}})));
        check_update("SET a = if_not_exists(a, :v)", &v, Ok(json!({})));
        check_update(
            "SET m.j = :v REMOVE a",
            &v,
            Ok(json!({"a": null, "m": {"M": {"j": {"S": "new"}, "k": {"S": "v"}}}})),
        );
        check_update(
            "SET l = list_append(l, :l)",
            &json!({":l": {"L": [{"S": "1"}]}}),
            Ok(json!({"l": {"L": [{"S": "0"}, {"S": "1"}]}})),
        );
        check_update("ADD n :n", &n, Ok(json!({"n": {"N": "7"}})));
        check_update("ADD z :n", &n, Ok(json!({"z": {"N": "2"}})));
        check_update(
            "ADD s :s",
            &json!({":s": {"SS": ["r"]}}),
            Ok(json!({"s": {"SS": ["p", "q", "r"]}})),
        );
        check_update("DELETE s :s", &json!({":s": {"SS": ["p", "q"]}}), Ok(json!({"s": null})));
        check_update("REMOVE l[0]", &json!({}), Ok(json!({"l": {"L": []}})));
        check_update("SET x.y = :v", &v, Err("document path"));
        check_update("SET b = nothing", &json!({}), Err("does not exist in the item"));
        check_update("SET a = :v, a = :v", &v, Err("overlap"));
        check_update("SET m = :v, m.k = :v", &v, Err("overlap"));
        check_update("SET a = :v SET b = :v", &v, Err("can only be used once"));
        check_update("SET status = :v", &v, Err("reserved keyword: status"));
        check_update("ADD a :v", &v, Err("Incorrect operand type"));
        check_update("a = :v", &v, Err("Syntax error"));
    }
}
