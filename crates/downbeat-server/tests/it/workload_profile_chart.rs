//! Charts of workload profiles.

use downbeat_server::state::Limits;
use downbeat_testkit::Server;
use serde_json::{Value, json};

use crate::chart::{self, CHARTS};

fn versions(list: &Value) -> Vec<String> {
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    let list = list.as_array().unwrap().iter();
    list.map(|item| format!("{} {}", text(item, "id"), text(item, "version"))).collect()
}

#[tokio::test]
async fn upload_and_list() {
    let server = Server::start().await;
    let admin = server.admin();
    assert_eq!(admin.get(CHARTS).await.json(200), json!([]));
    let one = chart::upload(&admin, "my-chart", "1.0.0").await.json(201);
    assert_eq!(one["org_id"], "acme");
    assert_eq!(one["id"], "my-chart");
    assert_eq!(one["version"], "1.0.0");
    assert_eq!(one["created_by"], downbeat_testkit::ADMIN);
    chart::upload(&admin, "my-chart", "1.1.0").await.is(201);
    chart::upload(&admin, "a.Chart_2", "0.1.0-rc.1+build").await.is(201);

    let all = admin.get(CHARTS).await.json(200);
    let expected = ["a.Chart_2 0.1.0-rc.1+build", "my-chart 1.1.0", "my-chart 1.0.0"];
    assert_eq!(versions(&all), expected);
    // The way of the provider: filters, and the first page only.
    let path = format!("{CHARTS}?id=my-chart&version=1.0.0&per_page=1");
    assert_eq!(admin.get(&path).await.json(200), json!([one]));
    let path = format!("{CHARTS}?id=a.Chart_2&version=0.1.0-rc.1%2Bbuild");
    assert_eq!(versions(&admin.get(&path).await.json(200)), expected[..1]);
    assert_eq!(admin.get(&format!("{CHARTS}?id=other")).await.json(200), json!([]));
    assert_eq!(versions(&admin.get(&format!("{CHARTS}?id=&version=")).await.json(200)), expected);

    let first = admin.get(&format!("{CHARTS}?id=my-chart&per_page=1")).await;
    let link = format!("<{CHARTS}?per_page=1&page=1&id=my-chart>; rel=\"next\"");
    assert_eq!(first.header("link"), Some(link.as_str()));
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    let second = admin.get(next).await;
    assert_eq!(second.header("link"), None);
    assert_eq!(versions(&second.json(200)), ["my-chart 1.0.0"]);
    for wrong in ["per_page=0", "per_page=101", "page=x"] {
        let _ = admin.get(&format!("{CHARTS}?{wrong}")).await.refused(400, "API-400");
    }
}

#[tokio::test]
async fn a_version_is_new_and_not_older_than_others() {
    let server = Server::start().await;
    let admin = server.admin();
    chart::upload(&admin, "my-chart", "1.1.0").await.is(201);
    let message = chart::upload(&admin, "my-chart", "1.1.0").await.refused(409, "API-409");
    assert_eq!(message, "The chart `my-chart` has the version `1.1.0` already.");
    let message = chart::upload(&admin, "my-chart", "1.0.9").await.refused(409, "API-409");
    assert!(message.contains("`1.1.0`, which is newer than `1.0.9`"), "{message}");
    chart::upload(&admin, "other", "1.0.9").await.is(201);
    assert_eq!(admin.get(CHARTS).await.json(200).as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_no_chart_is_refused() {
    let server = Server::start().await;
    let admin = server.admin();
    let check = async |file: &[u8], says: &str| {
        let answer = chart::send(&admin, CHARTS, &[("file", file)]).await.json(400);
        let message = answer["message"].as_str().unwrap();
        assert!(message.starts_with("The part `file` is not a chart: "), "{message}");
        assert!(message.contains(says), "{says}: {message}");
        assert!(answer["details"]["hint"].is_string());
    };
    check(b"", "not a gzipped tar file").await;
    check(&chart::of("my-chart", "1"), "does not say its `version`").await;
    check(&chart::of("my-chart", "one"), "not a semantic version").await;
    check(&chart::archive(&[("Chart.yaml", "name: x")]), "in no folder").await;
    check(&chart::archive(&[("a/values.yaml", "")]), "no `Chart.yaml`").await;
    check(&chart::archive(&[("a/Chart.yaml", ""), ("b/x", "")]), "more than one folder").await;
    check(&vec![0; 1024 * 1024 + 1], "are the most").await;
    let bomb = "0".repeat(20 * 1024 * 1024);
    check(&chart::archive(&[("a/x", &bomb)]), "more than 16777216 bytes").await;
    assert_eq!(admin.get(CHARTS).await.json(200), json!([]));
}

#[tokio::test]
async fn what_is_no_form_is_refused() {
    let server = Server::start_with(Limits { body_bytes: 10_000, ..Limits::default() }).await;
    let admin = server.admin();
    let message = chart::send(&admin, CHARTS, &[("chart", b"x")]).await.refused(400, "API-400");
    assert_eq!(message, "The form has no part with the name `file`.");
    let file = chart::of("my-chart", "1.0.0");
    let twice: [(&str, &[u8]); 2] = [("file", &file), ("file", &file)];
    let message = chart::send(&admin, CHARTS, &twice).await.refused(400, "API-400");
    assert!(message.contains("more than one part"), "{message}");
    let _ = admin.post(CHARTS, json!({})).await.refused(415, "API-400");
    let _ = admin.send("POST", CHARTS, None).await.refused(415, "API-400");
    let body = Some(("multipart/form-data", b"x".to_vec()));
    let _ = admin.send_raw("POST", CHARTS, body).await.refused(400, "API-400");
    let body = Some(("multipart/form-data; boundary=x", b"--y--".to_vec()));
    let _ = admin.send_raw("POST", CHARTS, body).await.refused(400, "API-400");
    let large = vec![b'x'; 20_000];
    let _ = chart::send(&admin, CHARTS, &[("file", &large)]).await.refused(413, "API-413");
    let member = server.with_role("member").await;
    // Before anything of the body is read.
    let _ = chart::send(&member, CHARTS, &[("file", &large)]).await.refused(403, "API-403");
    member.get(CHARTS).await.is(200);
}
