//! The floor: a server that does what no server can do without, and nothing else. Devices say
//! hello and get a canned Welcome; a POST to a device is (when durable) appended to a file and
//! synced, answered, and written to the socket; a POST to all is one write a socket. No
//! verification, no queue, no acks, one thread. What a scenario costs here is what this machine's
//! kernel, disk and our own load generator cost.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::rc::Rc;

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use carillon_sdk::wire::{self, Frame, Lane, Push, Welcome};
use carillon_sdk::{MessageId, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{LocalSet, spawn_local};

/// As Carillon's own listeners.
const BACKLOG: u32 = 4096;
const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}";

struct Floor {
    devices: RefCell<HashMap<String, Rc<TcpStream>>>,
    /// What a durable push is appended to.
    file: Option<RefCell<File>>,
    welcome: Bytes,
}

pub(crate) fn run(durable: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(durable))
}

async fn serve(durable: bool) -> Result<()> {
    let path = std::env::temp_dir().join(format!("carillon-floor-{}", std::process::id()));
    let file = durable.then(|| File::create(&path)).transpose().context("make the floor's file")?;
    if durable {
        // Open until the end, and gone after it.
        std::fs::remove_file(&path)?;
    }
    let welcome = wire::encode(&Frame::Welcome(Welcome {
        version: wire::VERSION,
        session: 1,
        heartbeat_s: 590,
        ..Welcome::default()
    }));
    let floor = Rc::new(Floor { devices: RefCell::default(), file: file.map(RefCell::new), welcome });
    let (devices, http) = (listener()?, listener()?);
    announce(&devices, &http)?;
    let accepting = Rc::clone(&floor);
    spawn_local(async move {
        while let Ok((stream, _)) = devices.accept().await {
            spawn_local(Rc::clone(&accepting).device(stream));
        }
    });
    loop {
        let (stream, _) = http.accept().await?;
        spawn_local(Rc::clone(&floor).app_server(stream));
    }
}

#[expect(clippy::print_stdout, reason = "the ready line is this program's answer")]
fn announce(devices: &TcpListener, http: &TcpListener) -> Result<()> {
    let ready = serde_json::json!({
        "ready": true,
        "http": format!("http://{}", http.local_addr()?),
        "devices_tcp": devices.local_addr()?.to_string(),
        "key_id": "floor",
        "key_secret": "floor",
        "pid": std::process::id(),
    });
    println!("{ready}");
    Ok(())
}

fn listener() -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    Ok(socket.listen(BACKLOG)?)
}

impl Floor {
    async fn device(self: Rc<Self>, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let stream = Rc::new(stream);
        let mut scratch = BytesMut::new();
        while stream.readable().await.is_ok() {
            let mut buffer = [0; 1024];
            match stream.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => scratch.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(_) => return,
            }
            if let Ok(Some(decoded)) = wire::decode(&mut scratch, wire::FRAME_BYTES_MAX)
                && let Some(Frame::Hello(hello)) = decoded.frame
            {
                let _ = stream.try_write(&self.welcome);
                self.devices.borrow_mut().insert(hello.credential, Rc::clone(&stream));
            }
            // Acks are read and thrown away, and an idle device holds nothing.
            scratch = BytesMut::new();
        }
    }

    async fn app_server(self: Rc<Self>, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut bytes = Vec::with_capacity(4096);
        while let Ok(count) = stream.read_buf(&mut bytes).await {
            if count == 0 {
                return;
            }
            while let Some((start, end)) = body_of(&bytes) {
                let push: serde_json::Value = serde_json::from_slice(&bytes[start..end]).unwrap_or_default();
                if self.push(&push).is_err() || stream.write_all(ACCEPTED).await.is_err() {
                    return;
                }
                bytes.drain(..end);
            }
        }
    }

    fn push(&self, push: &serde_json::Value) -> Result<()> {
        let text = |name: &str| push[name].as_str().map(str::to_owned);
        let frame = wire::encode(&Frame::Push(Push {
            seq: 1,
            message_id: MessageId::from_bytes([7; 16]),
            title: text("title"),
            body: text("body"),
            data: None,
            lane: Lane::Normal,
            silent: false,
            uri: None,
            look: None,
            collapse_key: None,
            sent_at: Timestamp::from_millis(1),
            expires_at: Timestamp::from_millis(2),
            user_id: None,
        }));
        if let Some(file) = &self.file {
            let mut file = file.borrow_mut();
            file.write_all(&frame)?;
            file.sync_data()?;
        }
        let devices = self.devices.borrow();
        if push["to"]["all"] == true {
            for device in devices.values() {
                let _ = device.try_write(&frame);
            }
        } else {
            for id in push["to"]["devices"].as_array().into_iter().flatten() {
                if let Some(device) = id.as_str().and_then(|id| devices.get(id)) {
                    let _ = device.try_write(&frame);
                }
            }
        }
        Ok(())
    }
}

/// Where the first request's body starts and ends, once it is there whole. Knows only our client.
fn body_of(bytes: &[u8]) -> Option<(usize, usize)> {
    let start = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..start]).ok()?;
    let (_, length) = head.split_once("Content-Length: ")?;
    let end = start + length.lines().next()?.trim().parse::<usize>().ok()?;
    (bytes.len() >= end).then_some((start, end))
}
