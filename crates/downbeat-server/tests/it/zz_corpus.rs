use downbeat_core::yaml;
use downbeat_testkit::Server;
use serde_json::json;
fn walk(p: &std::path::Path, out: &mut Vec<std::path::PathBuf>) {
    for e in std::fs::read_dir(p).unwrap() { let e = e.unwrap().path(); if e.is_dir() { walk(&e, out) } else if e.extension().is_some_and(|x| x == "yaml") { out.push(e) } }
}
#[tokio::test]
async fn corpus() {
    let server = Server::start().await; let admin = server.admin();
    let mut files = vec![]; walk(std::path::Path::new("/work/shared/corpus/definitions"), &mut files);
    let (mut ok, mut bad) = (0, 0);
    for f in files {
        let text = std::fs::read_to_string(&f).unwrap();
        let Ok(m) = yaml::parse_json(&text, &yaml::Limits::default()) else { println!("YAML {f:?}"); continue };
        if m["kind"] != "Definition" { continue }
        let mut b = m["entity"].clone(); b["id"] = m["metadata"]["id"].clone();
        if b["criteria"].is_object() || b["criteria"].is_null() { b.as_object_mut().unwrap().remove("criteria"); }
        let a = admin.post("/orgs/acme/resources/defs", b.clone()).await;
        if a.status() != 200 { bad += 1; println!("{f:?}: {} {}", a.status(), a.clone().json(a.status())); } else { ok += 1; 
            let id = b["id"].as_str().unwrap();
            let back = a.json(200);
            if back["driver_inputs"].get("values") != b["driver_inputs"].get("values") { println!("DIFF {f:?}") }
            admin.delete(&format!("/orgs/acme/resources/defs/{id}")).await.is(204); }
    }
    println!("ok {ok} bad {bad}");
}
