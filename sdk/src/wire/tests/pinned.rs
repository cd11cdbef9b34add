//! Every frame as bytes, and as JSON. A change here is a change of the protocol.

use super::super::*;
use crate::ids::{DeviceId, MessageId, UserId};
use crate::time::Timestamp;

fn message_id() -> MessageId {
    MessageId::parse("0199c2a4-7e00-7000-8000-00000000002a").unwrap()
}

/// Spaces and `;` comments taken away, the body's bytes, with their length before them.
fn framed(hex: &str) -> Vec<u8> {
    let digits: String = hex
        .lines()
        .map(|line| line.split(';').next().unwrap_or_default())
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    let body = hex::decode(digits).unwrap();
    let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(&body);
    frame
}

fn pin(frame: &Frame, hex: &str, json: &str) {
    let native = encode(frame);
    assert_eq!(hex::encode(&native), hex::encode(framed(hex)), "{frame:?}");
    let read = decode(&mut bytes::BytesMut::from(&native[..]), FRAME_BYTES_MAX).unwrap().unwrap();
    assert_eq!(read, Decoded { frame: Some(frame.clone()), unknown: 0 });
    let text = encode_json(frame);
    assert_eq!(std::str::from_utf8(&text).unwrap(), json);
    assert_eq!(decode_json(&text).unwrap(), Decoded { frame: Some(frame.clone()), unknown: 0 });
}

#[test]
fn hello() {
    pin(
        &Frame::Hello(Hello { version: 1, credential: "c1.abc".to_owned(), ..Hello::default() }),
        "92                            ; array of 2
         01                            ; type 1, Hello
         82                            ; map of 2
           a7 76657273696f6e           ; version
           01                          ;   1
           aa 63726564656e7469616c     ; credential
           a6 63312e616263             ;   c1.abc",
        r#"{"type":"hello","version":1,"credential":"c1.abc"}"#,
    );
}

#[test]
fn hello_with_everything() {
    pin(
        &Frame::Hello(Hello {
            version: 1,
            credential: "c1.abc".to_owned(),
            heartbeat_s: 270,
            resume: 7,
            holding: vec![41, 300],
            app_version: Some("2.1".to_owned()),
        }),
        "92 01 86                      ; Hello, map of 6
           a7 76657273696f6e       01  ; version: 1
           aa 63726564656e7469616c     ; credential
           a6 63312e616263             ;   c1.abc
           ab 6865617274626561745f73   ; heartbeat_s
           cd 010e                     ;   270
           a6 726573756d65         07  ; resume: 7
           a7 686f6c64696e67           ; holding
           92 29 cd 012c               ;   [41, 300]
           ab 6170705f76657273696f6e   ; app_version
           a3 322e31                   ;   2.1",
        r#"{"type":"hello","version":1,"credential":"c1.abc","heartbeat_s":270,"resume":7,"holding":[41,300],"app_version":"2.1"}"#,
    );
}

#[test]
fn welcome() {
    pin(
        &Frame::Welcome(Welcome {
            version: 1,
            session: 8,
            resumed: true,
            heartbeat_s: 270,
            now: Timestamp::from_millis(1_760_000_000_000),
            device_id: Some(DeviceId::parse("phone-1").unwrap()),
            user_id: Some(UserId::parse("anna").unwrap()),
        }),
        "92 02 87                      ; Welcome, map of 7
           a7 76657273696f6e       01  ; version: 1
           a7 73657373696f6e       08  ; session: 8
           a7 726573756d6564       c3  ; resumed: true
           ab 6865617274626561745f73   ; heartbeat_s
           cd 010e                     ;   270
           a3 6e6f77                   ; now
           cf 00000199c82cc000         ;   1760000000000
           a9 6465766963655f6964       ; device_id
           a7 70686f6e652d31           ;   phone-1
           a7 757365725f6964           ; user_id
           a4 616e6e61                 ;   anna",
        r#"{"type":"welcome","version":1,"session":8,"resumed":true,"heartbeat_s":270,"now":1760000000000,"device_id":"phone-1","user_id":"anna"}"#,
    );
}

#[test]
fn push() {
    pin(
        &Frame::Push(Push {
            seq: 42,
            message_id: message_id(),
            title: Some("Hi".to_owned()),
            body: Some("You there?".to_owned()),
            data: Some(serde_json::json!({"n": 1})),
            lane: Lane::High,
            silent: true,
            uri: None,
            look: None,
            collapse_key: Some("k".to_owned()),
            sent_at: Timestamp::from_millis(1_760_000_000_000),
            expires_at: Timestamp::from_millis(1_760_086_400_000),
            user_id: Some(UserId::parse("anna").unwrap()),
        }),
        "92 03 8b                      ; Push, map of 11
           a3 736571               2a  ; seq: 42
           aa 6d6573736167655f6964     ; message_id
           c4 10                       ;   binary of 16 bytes
              0199c2a47e00700080000000 ;
              0000002a                 ;
           a5 7469746c65               ; title
           a2 4869                     ;   Hi
           a4 626f6479                 ; body
           aa 596f752074686572653f     ;   You there?
           a4 64617461                 ; data
           81 a1 6e 01                 ;   {n: 1}
           a4 6c616e65                 ; lane
           a4 68696768                 ;   high
           a6 73696c656e74         c3  ; silent: true
           ac 636f6c6c617073655f6b6579 ; collapse_key
           a1 6b                       ;   k
           a7 73656e745f6174           ; sent_at
           cf 00000199c82cc000         ;   1760000000000
           aa 657870697265735f6174     ; expires_at
           cf 00000199cd531c00         ;   1760086400000
           a7 757365725f6964           ; user_id
           a4 616e6e61                 ;   anna",
        r#"{"type":"push","seq":42,"message_id":"0199c2a4-7e00-7000-8000-00000000002a","title":"Hi","body":"You there?","data":{"n":1},"lane":"high","silent":true,"collapse_key":"k","sent_at":1760000000000,"expires_at":1760086400000,"user_id":"anna"}"#,
    );
}

#[test]
fn ack() {
    pin(
        &Frame::Ack(Ack { seqs: vec![42, 43] }),
        "92 04 81                      ; Ack, map of 1
           a4 73657173                 ; seqs
           92 2a 2b                    ;   [42, 43]",
        r#"{"type":"ack","seqs":[42,43]}"#,
    );
}

#[test]
fn report() {
    pin(
        &Frame::Report(Report { message_id: message_id(), kind: ReportKind::Opened }),
        "92 05 82                      ; Report, map of 2
           aa 6d6573736167655f6964     ; message_id
           c4 10 0199c2a47e0070008000000000 00002a
           a4 6b696e64                 ; kind
           a6 6f70656e6564             ;   opened",
        r#"{"type":"report","message_id":"0199c2a4-7e00-7000-8000-00000000002a","kind":"opened"}"#,
    );
}

#[test]
fn revoke() {
    pin(
        &Frame::Revoke(Revoke { message_id: message_id(), seq: 0 }),
        "92 06 81                      ; Revoke, map of 1
           aa 6d6573736167655f6964     ; message_id
           c4 10 0199c2a47e0070008000000000 00002a",
        r#"{"type":"revoke","message_id":"0199c2a4-7e00-7000-8000-00000000002a"}"#,
    );
}

#[test]
fn bind() {
    pin(
        &Frame::Bind(Bind { request: 5, token: "cbt1.a.b".to_owned() }),
        "92 07 82                      ; Bind, map of 2
           a7 72657175657374       05  ; request: 5
           a5 746f6b656e               ; token
           a8 636274312e612e62         ;   cbt1.a.b",
        r#"{"type":"bind","request":5,"token":"cbt1.a.b"}"#,
    );
}

#[test]
fn unbind() {
    pin(
        &Frame::Unbind(Unbind { request: 6 }),
        "92 08 81                      ; Unbind, map of 1
           a7 72657175657374       06  ; request: 6",
        r#"{"type":"unbind","request":6}"#,
    );
}

#[test]
fn vendor_token() {
    pin(
        &Frame::VendorToken(VendorToken { request: 7, channel: "fcm".to_owned(), token: "tok".to_owned() }),
        "92 09 83                      ; VendorToken, map of 3
           a7 72657175657374       07  ; request: 7
           a7 6368616e6e656c           ; channel
           a3 66636d                   ;   fcm
           a5 746f6b656e               ; token
           a3 746f6b                   ;   tok",
        r#"{"type":"vendor_token","request":7,"channel":"fcm","token":"tok"}"#,
    );
}

#[test]
fn answer() {
    pin(
        &Frame::Answer(BindAnswer { request: 5, error: None, user_id: Some(UserId::parse("anna").unwrap()) }),
        "92 0a 82                      ; Answer, map of 2
           a7 72657175657374       05  ; request: 5
           a7 757365725f6964           ; user_id
           a4 616e6e61                 ;   anna",
        r#"{"type":"answer","request":5,"user_id":"anna"}"#,
    );
}

#[test]
fn answer_that_refuses() {
    pin(
        &Frame::Answer(BindAnswer { request: 5, error: Some(ErrorCode::BindTokenExpired), user_id: None }),
        "92 0a 82                      ; Answer, map of 2
           a7 72657175657374       05  ; request: 5
           a5 6572726f72               ; error
           b2 62696e645f746f6b656e5f65 ;   bind_token_expired
              787069726564             ;",
        r#"{"type":"answer","request":5,"error":"bind_token_expired"}"#,
    );
}

#[test]
fn ping_and_pong() {
    pin(&Frame::Ping, "92 0b 80 ; Ping, map of 0", r#"{"type":"ping"}"#);
    pin(&Frame::Pong, "92 0c 80 ; Pong, map of 0", r#"{"type":"pong"}"#);
}

#[test]
fn goodbye() {
    pin(
        &Frame::Goodbye(Goodbye { reason: GoodbyeReason::Draining, retry_after_ms: 1500 }),
        "92 0d 82                      ; Goodbye, map of 2
           a6 726561736f6e             ; reason
           a8 647261696e696e67         ;   draining
           ae 72657472795f61667465725f ; retry_after_ms
              6d73                     ;
           cd 05dc                     ;   1500",
        r#"{"type":"goodbye","reason":"draining","retry_after_ms":1500}"#,
    );
}

#[test]
fn error() {
    pin(
        &Frame::Error(ErrorFrame { code: ErrorCode::AckUnknown, detail: "seq 9".to_owned() }),
        "92 0e 82                      ; Error, map of 2
           a4 636f6465                 ; code
           ab 61636b5f756e6b6e6f776e   ;   ack_unknown
           a6 64657461696c             ; detail
           a5 7365712039               ;   seq 9",
        r#"{"type":"error","code":"ack_unknown","detail":"seq 9"}"#,
    );
}

#[test]
fn a_length_stands_before_each_body() {
    assert_eq!(&encode(&Frame::Ping)[..], [0, 0, 0, 3, 0x92, 0x0b, 0x80]);
}
