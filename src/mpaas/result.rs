//! Result codes: what a push, a template or a query failed for, in an answer of HTTP 200.

/// A result code of the contract. The number is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    NeedDeliveryToken,
    NeedAppIdWorkspaceId,
    AppIdWrong,
    OsTypeNotSupported,
    DeliveryTypeNotSupported,
    NeedUserId,
    TaskNameNull,
    ExpiredSecondsWrong,
    TokenOrUserIdNull,
    TemplateNotExist,
    TemplateKvNotEnough,
    PayloadNotEnough,
    NeedTemplate,
    ExpiredTimeTooLong,
    InvalidParam,
    SinglePushTargetTooMuch,
    BroadcastOnlyByDevice,
    RequestShouldBeUtf8,
    ApiSwitchNotOpen,
    ExtendParamTooMuch,
    TemplateAlreadyExist,
    TemplateNameNull,
    TemplateNameInvalid,
    TemplateContentInvalid,
    TemplateTitleInvalid,
    TemplateDescInfoInvalid,
    TemplateUriInvalid,
    InvalidExtendParam,
    InnerExtendParamTooMuch,
    MsgPayloadTooLong,
    FlowControl,
}

impl Code {
    /// The number and the name, both verbatim.
    pub(crate) const fn row(self) -> (u16, &'static str) {
        match self {
            Self::NeedDeliveryToken => (3001, "NEED_DELIVERYTOKEN"),
            Self::NeedAppIdWorkspaceId => (3003, "NEED_APPID_WORKSPACEID"),
            Self::AppIdWrong => (3007, "APPID_WRONG"),
            Self::OsTypeNotSupported => (3008, "OS_TYPE_NOT_SUPPORTED"),
            Self::DeliveryTypeNotSupported => (3009, "DELIVERY_TYPE_NOT_SUPPORTED"),
            Self::NeedUserId => (3012, "NEED_USERID"),
            Self::TaskNameNull => (3019, "TASKNAME_NULL"),
            Self::ExpiredSecondsWrong => (3020, "EXPIREDSECONDS_WRONG"),
            Self::TokenOrUserIdNull => (3021, "TOKEN_OR_USERID_NULL"),
            Self::TemplateNotExist => (3022, "TEMPLATE_NOT_EXIST"),
            Self::TemplateKvNotEnough => (3023, "TEMPLATEKV_NOT_ENOUGH"),
            Self::PayloadNotEnough => (3024, "PAYLOAD_NOT_ENOUGH"),
            Self::NeedTemplate => (3025, "NEED_TEMPLATE"),
            Self::ExpiredTimeTooLong => (3026, "EXPIREDTIME_TOO_LONG"),
            Self::InvalidParam => (3028, "INVALID_PARAM"),
            Self::SinglePushTargetTooMuch => (3029, "SINGLE_PUSH_TARGET_TOO_MUCH"),
            Self::BroadcastOnlyByDevice => (3030, "BROADCAST_ONLY_SUPPORT_BY_DEVICE"),
            Self::RequestShouldBeUtf8 => (3031, "REQUEST_SHOULD_BE_UTF8"),
            Self::ApiSwitchNotOpen => (3032, "REST_API_SWITCH_NOT_OPEN"),
            Self::ExtendParamTooMuch => (3035, "EXTEND_PARAM_TO_MUCH"),
            Self::TemplateAlreadyExist => (3036, "TEMPLATE_ALREADY_EXIST"),
            Self::TemplateNameNull => (3037, "TEMPLATE_NAME_NULL"),
            Self::TemplateNameInvalid => (3038, "TEMPLATE_NAME_INVALID"),
            Self::TemplateContentInvalid => (3039, "TEMPLATE_CONTENT_INVALID"),
            Self::TemplateTitleInvalid => (3040, "TEMPLATE_TITLE_INVALID"),
            Self::TemplateDescInfoInvalid => (3041, "TEMPLATE_DESC_INFO_INVALID"),
            Self::TemplateUriInvalid => (3042, "TEMPLATE_URI_INVALID"),
            Self::InvalidExtendParam => (3044, "INVALID_EXTEND_PARAM"),
            Self::InnerExtendParamTooMuch => (3049, "MULTIPLE_INNER_EXTEND_PARAM_TO_MUCH"),
            Self::MsgPayloadTooLong => (3050, "MSG_PAYLOAD_TOO_LONG"),
            Self::FlowControl => (8011, "FLOW_CONTROL_ERROR"),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        self.row().1
    }

    pub(crate) fn number(self) -> String {
        self.row().0.to_string()
    }

    /// With what is particular to this occurrence.
    pub(crate) fn because(self, detail: impl Into<String>) -> Failure {
        Failure { code: self, detail: detail.into() }
    }
}

/// A business failure: nothing was sent and nothing half-applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) detail: String,
}

impl Failure {
    /// `NAME`, or `NAME: detail`.
    pub(crate) fn message(&self) -> String {
        let name = self.code.name();
        if self.detail.is_empty() { name.to_owned() } else { format!("{name}: {}", self.detail) }
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        code.because("")
    }
}
