use downbeat_api::{
    application::{CreateApplication, PatchApplication},
    client::Error,
    environment::CreateEnvironment,
    value::CreateValue,
};
use downbeat_testkit::{ORG, Server};

#[tokio::test]
async fn a_session() {
    let server = Server::start().await;
    let admin = server.admin();
    let client = admin.typed();
    assert_eq!(client.health().await.unwrap().status, "ok");
    assert_eq!(client.current_user().await.unwrap().id, "admin-user");

    let new = CreateApplication {
        id: "shop".to_owned(),
        name: "Shop".to_owned(),
        env: None,
        skip_environment_creation: None,
    };
    let shop = client.create_application(ORG, &new).await.unwrap();
    assert_eq!(client.application(ORG, "shop").await.unwrap(), shop);
    let change = PatchApplication { name: "Store".to_owned() };
    assert_eq!(client.patch_application(ORG, "shop", &change).await.unwrap().name, "Store");

    let new = CreateEnvironment {
        id: "qa".to_owned(),
        name: "QA".to_owned(),
        r#type: None,
        from_deploy_id: None,
    };
    client.create_environment(ORG, "shop", &new).await.unwrap();
    let new =
        CreateValue { key: "K".to_owned(), value: Some("v".to_owned()), ..CreateValue::default() };
    client.create_value(ORG, "shop", Some("qa"), &new).await.unwrap();
    assert_eq!(client.values(ORG, "shop", Some("qa")).await.unwrap().len(), 1);
    assert_eq!(client.values(ORG, "shop", None).await.unwrap().len(), 0);
    assert_eq!(client.value_set_versions(ORG, "shop", Some("qa")).await.unwrap().len(), 1);
    client.delete_environment(ORG, "shop", "qa").await.unwrap();
    client.delete_application(ORG, "shop").await.unwrap();

    let Error::Refused { status, code, message, details } =
        client.application(ORG, "shop").await.unwrap_err()
    else {
        panic!("another error");
    };
    assert_eq!((status, code.as_str()), (404, "API-404"));
    assert_eq!(message, "There is no application with id `shop`.");
    assert_eq!(details["code"], "API-404");
    assert!(details["docs"].as_str().unwrap().ends_with("docs/errors/API-404.md"));
}
