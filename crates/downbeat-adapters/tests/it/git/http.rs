//! A small HTTP server in front of `git http-backend`, with Basic authentication or redirects.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

#[derive(Default)]
struct Seen {
    authorizations: Vec<String>,
    requests: usize,
}

enum Behaviour {
    /// Serves the repositories of a folder, to whoever sends this `Authorization`, if any.
    Backend { dir: PathBuf, authorization: Option<String> },
    /// Sends everybody to the same path elsewhere.
    Redirect(String),
}

pub(super) struct Server {
    address: String,
    seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start(dir: PathBuf, user_and_password: Option<String>) -> Self {
        let encode = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
        let authorization = user_and_password.map(|text| format!("Basic {}", encode(text)));
        Self::run(Behaviour::Backend { dir, authorization }).await
    }

    pub(super) async fn redirecting(to: String) -> Self {
        Self::run(Behaviour::Redirect(to)).await
    }

    async fn run(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (behaviour, noted) = (Arc::new(behaviour), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (behaviour, noted) = (Arc::clone(&behaviour), Arc::clone(&noted));
                tokio::spawn(async move { answer(stream, &behaviour, &noted).await });
            }
        });
        Self { address, seen, task }
    }

    pub(super) fn url(&self, repository: &str) -> String {
        format!("{}/{repository}", self.address)
    }

    pub(super) fn authorizations(&self) -> Vec<String> {
        self.seen.lock().unwrap().authorizations.clone()
    }

    pub(super) fn requests(&self) -> usize {
        self.seen.lock().unwrap().requests
    }
}

/// One request, one answer, end of connection.
async fn answer(stream: TcpStream, behaviour: &Behaviour, seen: &Mutex<Seen>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    if header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
    }
    let mut body = Vec::new();
    if header("transfer-encoding").is_some() {
        loop {
            let mut size = String::new();
            stream.read_line(&mut size).await.ok()?;
            let size = u64::from_str_radix(size.trim(), 16).ok()?;
            (&mut stream).take(size).read_to_end(&mut body).await.ok()?;
            stream.read_line(&mut String::new()).await.ok()?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = header("content-length") {
        (&mut stream).take(length.parse().ok()?).read_to_end(&mut body).await.ok()?;
    }
    {
        let mut seen = seen.lock().unwrap();
        seen.requests += 1;
        seen.authorizations.extend(header("authorization"));
    }
    let reply = match behaviour {
        Behaviour::Redirect(to) => {
            format!("HTTP/1.1 302 Found\r\nLocation: {}{}\r\n", to.trim_end_matches('/'), target)
                .into_bytes()
        }
        Behaviour::Backend { authorization, .. } if header("authorization") != *authorization => {
            b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n".to_vec()
        }
        Behaviour::Backend { dir, .. } => {
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            let mut command = Command::new("git");
            command
                .arg("http-backend")
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .env("GIT_PROJECT_ROOT", dir)
                .env("GIT_HTTP_EXPORT_ALL", "1")
                .env("REQUEST_METHOD", method)
                .env("PATH_INFO", path)
                .env("QUERY_STRING", query)
                .env("REMOTE_USER", "bot")
                .env("CONTENT_TYPE", header("content-type").unwrap_or_default())
                .env("CONTENT_LENGTH", body.len().to_string())
                .env("HTTP_CONTENT_ENCODING", header("content-encoding").unwrap_or_default())
                .env("GIT_PROTOCOL", header("git-protocol").unwrap_or_default())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut stdin = child.stdin.take()?;
            let feed = async move { stdin.write_all(&body).await };
            let (_, output) = tokio::join!(feed, child.wait_with_output());
            let output = output.ok()?.stdout;
            let end = output.windows(4).position(|part| part == b"\r\n\r\n")?;
            let head = String::from_utf8_lossy(&output[..end]).into_owned();
            let status = head
                .lines()
                .find_map(|line| line.strip_prefix("Status: "))
                .unwrap_or("200 OK")
                .to_owned();
            let mut reply = format!("HTTP/1.1 {status}\r\n{head}\r\nConnection: close\r\n\r\n");
            reply.retain(|c| c != '\0');
            let mut reply = reply.into_bytes();
            reply.extend(&output[end + 4..]);
            stream.write_all(&reply).await.ok()?;
            return stream.shutdown().await.ok();
        }
    };
    stream.write_all(&reply).await.ok()?;
    stream.write_all(b"Content-Length: 0\r\nConnection: close\r\n\r\n").await.ok()?;
    stream.shutdown().await.ok()
}
