//! A device, frame by frame: it does nothing by itself, so that a test says all it does.

use carillon_sdk::client::{Address, Connection, Trust};
use carillon_sdk::wire::{
    self, Ack, Bind, BindAnswer, ErrorCode, ErrorFrame, Frame, Goodbye, GoodbyeReason, Hello, Push, Report,
    ReportKind, Unbind, Welcome,
};
use carillon_sdk::{DeviceId, MessageId, UserId};

use super::{App, Registered, Server, within};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Tls,
    WebSocket,
    WebSocketText,
}

pub(crate) struct Phone {
    pub(crate) device: Registered,
    pub(crate) welcome: Welcome,
    /// The user it was last told of without asking.
    pub(crate) told: Option<Option<UserId>>,
    connection: Connection,
    transport: Transport,
}

impl Phone {
    /// Registers and connects over TCP.
    pub(crate) async fn new(server: &Server, app: &App, device: &str) -> Self {
        Self::connect(server, app.register(device).await).await
    }

    pub(crate) async fn connect(server: &Server, device: Registered) -> Self {
        Self::connect_over(Transport::Tcp, server, device).await
    }

    pub(crate) async fn connect_over(transport: Transport, server: &Server, device: Registered) -> Self {
        match Self::arrive(transport, server, device).await {
            Ok(phone) => phone,
            Err((_, other)) => panic!("expected a welcome, got {other:?}"),
        }
    }

    /// Without a welcome: the device, and what it was told instead.
    async fn arrive(
        transport: Transport,
        server: &Server,
        device: Registered,
    ) -> Result<Self, (Registered, Option<Frame>)> {
        let mut connection = dial(transport, server, &device).await;
        let hello =
            Hello { version: wire::VERSION, credential: device.credential.clone(), ..Hello::default() };
        connection.send(&Frame::Hello(hello)).await.unwrap();
        match within("a welcome", connection.next()).await.unwrap() {
            Some(Frame::Welcome(welcome)) => Ok(Self { device, welcome, told: None, connection, transport }),
            other => Err((device, other)),
        }
    }

    /// A connection on which nothing has been said.
    pub(crate) async fn stranger(server: &Server) -> Connection {
        Connection::open(&Address::Tcp(server.ready.devices_tcp.clone()), &Trust::Web).await.unwrap()
    }

    pub(crate) fn id(&self) -> &DeviceId {
        &self.device.device_id
    }

    /// Connects anew, which ends the session this phone had.
    pub(crate) async fn reconnect(self, server: &Server) -> Self {
        let Self { device, transport, connection, .. } = self;
        drop(connection);
        Self::connect_over(transport, server, device).await
    }

    /// The same, as often as it is sent away: while its shard is made anew, a device is.
    pub(crate) async fn come_back(self, server: &Server) -> Self {
        let Self { mut device, transport, connection, .. } = self;
        drop(connection);
        within("a shard that takes it", async {
            loop {
                match Self::arrive(transport, server, device).await {
                    Ok(phone) => return phone,
                    Err((sent_away, Some(Frame::Goodbye(_)))) => device = sent_away,
                    Err((_, other)) => panic!("expected a welcome or a goodbye, got {other:?}"),
                }
            }
        })
        .await
    }

    pub(crate) fn disconnect(self) -> Registered {
        self.device
    }

    pub(crate) async fn send(&mut self, frame: &Frame) {
        self.connection.send(frame).await.unwrap();
    }

    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.connection.send_raw(bytes).await.unwrap();
    }

    /// The next frame, probes answered and passed over; None when the server has closed.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            // An error is the end, as a close is: a server that is killed resets its sockets.
            match within("a frame", self.connection.next()).await.unwrap_or(None) {
                Some(Frame::Ping) => self.send(&Frame::Pong).await,
                Some(Frame::Answer(answer)) if answer.request == 0 => self.told = Some(answer.user_id),
                other => return other,
            }
        }
    }

    /// The next frame must be a push with this title.
    pub(crate) async fn expect_push(&mut self, title: &str) -> Push {
        match self.next().await {
            Some(Frame::Push(push)) => {
                assert_eq!(push.title.as_deref(), Some(title), "a push, but not the expected one");
                push
            }
            other => panic!("expected the push {title:?}, got {other:?}"),
        }
    }

    /// The same, acked.
    pub(crate) async fn receive(&mut self, title: &str) -> Push {
        let push = self.expect_push(title).await;
        self.ack(&push).await;
        push
    }

    pub(crate) async fn ack(&mut self, push: &Push) {
        self.send(&Frame::Ack(Ack { seqs: vec![push.seq] })).await;
    }

    /// Whatever the server had to say to this phone it has said before it answers a probe.
    pub(crate) async fn expect_nothing(&mut self) {
        self.send(&Frame::Ping).await;
        match self.next().await {
            Some(Frame::Pong) => {}
            other => panic!("expected silence, got {other:?}"),
        }
    }

    /// The next frame must take this message back; it is acked.
    pub(crate) async fn expect_revoke(&mut self, id: MessageId) {
        match self.next().await {
            Some(Frame::Revoke(revoke)) => {
                assert_eq!(revoke.message_id, id);
                self.send(&Frame::Ack(Ack { seqs: vec![revoke.seq] })).await;
            }
            other => panic!("expected a revoke of {id}, got {other:?}"),
        }
    }

    pub(crate) async fn expect_error(&mut self, code: ErrorCode) {
        match self.next().await {
            Some(Frame::Error(ErrorFrame { code: got, .. })) => assert_eq!(got, code),
            other => panic!("expected the error {code:?}, got {other:?}"),
        }
    }

    pub(crate) async fn expect_goodbye(&mut self, reason: GoodbyeReason) -> Goodbye {
        match self.next().await {
            Some(Frame::Goodbye(goodbye)) => {
                assert_eq!(goodbye.reason, reason);
                goodbye
            }
            other => panic!("expected a goodbye {reason:?}, got {other:?}"),
        }
    }

    pub(crate) async fn expect_close(&mut self) {
        if let Some(frame) = self.next().await {
            panic!("expected the end, got {frame:?}");
        }
    }

    pub(crate) async fn report(&mut self, message_id: MessageId, kind: ReportKind) {
        self.send(&Frame::Report(Report { message_id, kind })).await;
    }

    pub(crate) async fn bind(&mut self, token: String) -> BindAnswer {
        self.send(&Frame::Bind(Bind { request: 7, token })).await;
        self.expect_answer(7).await
    }

    pub(crate) async fn unbind(&mut self) -> BindAnswer {
        self.send(&Frame::Unbind(Unbind { request: 8 })).await;
        self.expect_answer(8).await
    }

    pub(crate) async fn expect_answer(&mut self, request: u32) -> BindAnswer {
        match self.next().await {
            Some(Frame::Answer(answer)) => {
                assert_eq!(answer.request, request);
                answer
            }
            other => panic!("expected an answer, got {other:?}"),
        }
    }
}

async fn dial(transport: Transport, server: &Server, device: &Registered) -> Connection {
    let web_socket = || server.ready.devices_ws.parse::<Address>().unwrap();
    let (address, trust) = match transport {
        Transport::Tcp => (Address::Tcp(server.ready.devices_tcp.clone()), Trust::Web),
        Transport::Tls => {
            let ca_pem = device.ca_pem.clone().expect("dev gives its authority at registration");
            (Address::Tls(server.ready.devices_tls.clone()), Trust::Pem(ca_pem))
        }
        Transport::WebSocket => (web_socket(), Trust::Web),
        Transport::WebSocketText => (web_socket().in_text(), Trust::Web),
    };
    within("a connection", Connection::open(&address, &trust)).await.unwrap()
}
