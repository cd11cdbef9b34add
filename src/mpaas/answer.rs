//! What an action answers, in exactly the names and types the SDK declares for it.
//!
//! Three families: a `PushResult` object, a `ResultContent`, and `Code` with `Msg` or `Message`. A
//! nested value is always an object: given as text, the SDK would drop the whole body.

use carillon_actors::engine::Refusal;
use carillon_actors::store;
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::result::{Code, Failure};

/// How an action words success and failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// `PushResult {Success, ResultMsg, Data}`.
    Push,
    /// `ResultContent`, an object.
    Content,
    /// The same with `Success` beside it, and within it.
    ContentSuccess,
    /// `ResultContent`, a text.
    ContentText,
    /// `Code`, `Msg`, `Success`.
    Msg,
    /// `Code`, `Message`, `Success`.
    Message,
}

/// What an action found or did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Done {
    /// `PushResult.Data`, or a `ResultContent` that is a text.
    Text(String),
    /// `Data`, or `ResultContent.Data`.
    Data(Value),
    /// `Data` with the members of a page beside it.
    Page { data: Value, beside: Map<String, Value> },
    /// Nothing beside success.
    Nothing,
}

/// Why an action is not done.
#[derive(Debug, Clone)]
pub(crate) enum Refused {
    /// HTTP 200, in the action's family.
    Failed(Failure),
    /// A status of its own.
    Fault(Fault),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Code> for Refused {
    fn from(code: Code) -> Self {
        Self::Failed(code.into())
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Fault(refusal.into())
    }
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        Self::Fault(error.into())
    }
}

impl Family {
    pub(crate) fn success(self, request_id: &str, done: Done) -> Value {
        let (data, beside) = match done {
            Done::Text(text) => (Value::String(text), Map::new()),
            Done::Data(data) => (data, Map::new()),
            Done::Page { data, beside } => (data, beside),
            Done::Nothing => (Value::Null, Map::new()),
        };
        let mut body = match self {
            Self::Push => json!({
                "ResultCode": "OK",
                "ResultMessage": "SUCCESS",
                "PushResult": {"Success": true, "ResultMsg": "SUCCESS", "Data": data},
            }),
            Self::Content => json!({
                "ResultCode": "OK",
                "ResultMessage": "SUCCESS",
                "ResultContent": {"Data": data},
            }),
            Self::ContentSuccess => json!({
                "ResultCode": "OK",
                "ResultMessage": "SUCCESS",
                "Success": true,
                "ResultContent": {"Success": true, "ResultMsg": "SUCCESS", "Data": data},
            }),
            Self::ContentText => json!({
                "ResultCode": "OK",
                "ResultMessage": "SUCCESS",
                "ResultContent": data,
            }),
            Self::Msg => json!({"Success": true, "Code": "100", "Msg": "SUCCESS", "Data": data}),
            Self::Message => json!({"Success": true, "Code": "100", "Message": "SUCCESS", "Data": data}),
        };
        let Value::Object(fields) = &mut body else { return body };
        fields.extend(beside);
        fields.retain(|_, value| !value.is_null());
        fields.insert("RequestId".to_owned(), Value::from(request_id));
        body
    }

    pub(crate) fn failure(self, request_id: &str, failure: &Failure) -> Value {
        let (code, message) = (failure.code.number(), failure.message());
        match self {
            Self::Push => json!({
                "RequestId": request_id,
                "ResultCode": code,
                "ResultMessage": message,
                "PushResult": {"Success": false, "ResultMsg": message, "Data": ""},
            }),
            Self::Content | Self::ContentText => json!({
                "RequestId": request_id,
                "ResultCode": code,
                "ResultMessage": message,
            }),
            Self::ContentSuccess => json!({
                "RequestId": request_id,
                "ResultCode": code,
                "ResultMessage": message,
                "Success": false,
            }),
            Self::Msg => json!({
                "RequestId": request_id, "Success": false, "Code": code, "Msg": message,
            }),
            Self::Message => json!({
                "RequestId": request_id, "Success": false, "Code": code, "Message": message,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_its_own_words_for_success() {
        let text = || Done::Text("7".to_owned());
        assert_eq!(
            Family::Push.success("R", text()),
            json!({"RequestId": "R", "ResultCode": "OK", "ResultMessage": "SUCCESS",
                "PushResult": {"Success": true, "ResultMsg": "SUCCESS", "Data": "7"}})
        );
        assert_eq!(
            Family::Msg.success("R", Done::Nothing),
            json!({"RequestId": "R", "Success": true, "Code": "100", "Msg": "SUCCESS"})
        );
        assert_eq!(
            Family::Message.success("R", Done::Data(json!({"Statue": "ONLINE"})))["Message"],
            "SUCCESS"
        );
        assert_eq!(Family::Content.success("R", Done::Data(json!([])))["ResultContent"]["Data"], json!([]));
        assert_eq!(Family::ContentText.success("R", text())["ResultContent"], "7");
    }

    #[test]
    fn a_failure_has_its_number_and_its_name() {
        let failure = Code::SinglePushTargetTooMuch.because("11 targets");
        let body = Family::Push.failure("R", &failure);
        assert_eq!((&body["ResultCode"], &body["PushResult"]["Success"]), (&json!("3029"), &json!(false)));
        assert_eq!(body["PushResult"]["ResultMsg"], "SINGLE_PUSH_TARGET_TOO_MUCH: 11 targets");
        let body = Family::Msg.failure("R", &Code::TemplateAlreadyExist.into());
        assert_eq!((&body["Code"], &body["Msg"]), (&json!("3036"), &json!("TEMPLATE_ALREADY_EXIST")));
    }
}
