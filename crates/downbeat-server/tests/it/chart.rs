//! Archives of charts, and forms that carry them, as v1 clients make them.

use downbeat_testkit::{Answer, Client};
use flate2::{Compression, write::GzEncoder};
use tar::{Builder, EntryType, Header};

/// Where charts go.
pub(crate) const CHARTS: &str = "/orgs/acme/workload-profile-chart-versions";

const BOUNDARY: &str = "d74496d66958873e";

/// A gzipped tar file with these files.
pub(crate) fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (path, text) in files {
        let mut header = Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(EntryType::Regular);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// The archive of a chart, in a folder that is called otherwise.
pub(crate) fn of(name: &str, version: &str) -> Vec<u8> {
    let chart = format!("\napiVersion: v2\nname: {name}\nversion: {version}\n");
    archive(&[
        ("tph-chart-test/Chart.yaml", &chart),
        ("tph-chart-test/templates/x.yaml", "{{ . }}"),
    ])
}

/// Sends a form with these parts, none of which has a file name.
pub(crate) async fn send(client: &Client, path: &str, parts: &[(&str, &[u8])]) -> Answer {
    let mut body = Vec::new();
    for (name, content) in parts {
        let head =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    client.send_raw("POST", path, Some((&kind, body))).await
}

/// Uploads a chart.
pub(crate) async fn upload(client: &Client, name: &str, version: &str) -> Answer {
    send(client, CHARTS, &[("file", &of(name, version))]).await
}
