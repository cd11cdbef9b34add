//! `carillon curl`: a signed request to any path, and the curl line that is its equal.

use std::io::Read;

use bytes::Bytes;

use super::exit::{Code, Failure};
use super::out;
use super::server::{ServerArgs, code_of, failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// GET, POST, PUT, DELETE
    method: String,
    /// Path and query, such as /v1/devices?limit=5
    path: String,
    /// The body; @FILE reads a file, @- standard input
    #[arg(short = 'd', long = "data", value_name = "BODY")]
    data: Option<String>,
    /// Print the equal curl line on standard error, before the request
    #[arg(short = 'v', long, alias = "verbose")]
    show: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let server = args.server.connect()?;
    if !args.path.starts_with('/') {
        return Err(Failure::new(Code::Usage, format!("{:?} is no path: it begins with /", args.path)));
    }
    let method = args.method.to_uppercase();
    let method = method.parse().map_err(|_| Failure::new(Code::Usage, format!("{method:?} is no method")))?;
    let body = match &args.data {
        Some(data) => read(data)?,
        None => Bytes::new(),
    };
    if args.show {
        // Signed by itself: a nonce serves once, and this line is for another request than ours.
        let authorization = server.client.authorization(&method, &args.path, &body).map_err(failure)?;
        let url = format!("{}{}", args.server.server.trim_end_matches('/'), args.path);
        out::note(&equal(method.as_str(), &url, &authorization, &body));
    }
    let answer = server.client.request(method, &args.path, body).await.map_err(failure)?;
    if !answer.body.is_empty() {
        out::line(String::from_utf8_lossy(&answer.body).trim_end())?;
    }
    if answer.status.is_success() {
        return Ok(());
    }
    Err(Failure::new(code_of(answer.status.as_u16()), format!("the server answered {}", answer.status)))
}

fn read(data: &str) -> Result<Bytes, Failure> {
    let fail = |error: std::io::Error| Failure::new(Code::Usage, format!("read {data:?}: {error}"));
    match data.strip_prefix('@') {
        None => Ok(Bytes::copy_from_slice(data.as_bytes())),
        Some("-") => {
            let mut body = Vec::new();
            std::io::stdin().lock().read_to_end(&mut body).map_err(fail)?;
            Ok(body.into())
        }
        Some(path) => std::fs::read(path).map(Bytes::from).map_err(fail),
    }
}

/// The line of a shell that sends the same. Valid for five minutes, once.
fn equal(method: &str, url: &str, authorization: &str, body: &[u8]) -> String {
    let mut line =
        format!("curl -X {method} {} -H {}", quoted(url), quoted(&format!("Authorization: {authorization}")));
    if !body.is_empty() {
        let body = String::from_utf8_lossy(body);
        line = format!("{line} -H 'Content-Type: application/json' --data-binary {}", quoted(&body));
    }
    line
}

/// One word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_equal_curl_line_quotes_what_a_shell_would_read() {
        let line = equal("POST", "http://localhost/v1/pushes", "CARILLON1 x", b"{\"title\":\"it's\"}");
        assert_eq!(
            line,
            "curl -X POST 'http://localhost/v1/pushes' -H 'Authorization: CARILLON1 x' \
             -H 'Content-Type: application/json' --data-binary '{\"title\":\"it'\\''s\"}'"
        );
    }
}
