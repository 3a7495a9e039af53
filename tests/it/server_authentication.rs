//! Who is calling, over TLS: certificates, tokens, proxies, and whoever acts as somebody else.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, Request};
use serde_json::{Value, json};
use windlass::client::remote::RemoteClient;
use windlass::client::{Client, ClientExt, Error, Identity, Kubeconfig, Payload, Target, WriteOptions};
use windlass::server::authentication::{Anonymous, FrontProxy};
use windlass::server::{ApiServer, RoleTable, Rule, ServiceAccountIssuer};
use windlass::store::MemoryStore;

use crate::support::{self, Served, serve};

fn reviews() -> Target {
    let row = windlass::api::Scheme::builtin();
    let row = row.iter().find(|row| row.plural == "selfsubjectreviews").unwrap().clone();
    Target::all(&row)
}

/// Whom the server takes somebody for.
async fn who(served: &Served, credentials: impl FnOnce(Kubeconfig) -> Kubeconfig) -> Result<Value, Error> {
    let kubeconfig = credentials(Kubeconfig::new(served.url()).authority(served.certificates.authority()));
    let client = RemoteClient::builder(kubeconfig).build().unwrap();
    let answer = client.create(reviews(), Payload::Tree(json!({})), WriteOptions::default()).await?;
    Ok(answer.unwrap().tree()["status"]["userInfo"].clone())
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"serviceAccountName": "robot",
        "containers": [{"name": "c", "image": "i"}]}})
}

async fn server(
    change: impl FnOnce(windlass::server::ApiServerBuilder) -> windlass::server::ApiServerBuilder,
) -> ApiServer {
    change(ApiServer::builder().store(Arc::new(MemoryStore::new()))).build().await.unwrap()
}

async fn write(server: &ApiServer, path: &str, body: Value) -> Value {
    let reply = support::write(server, Method::POST, path, &body).await;
    assert!(reply.code.is_success(), "{}", reply.text);
    reply.json()
}

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";

#[tokio::test]
async fn a_pods_token_is_its_account_until_the_pod_is_gone() {
    let served = serve(server(|builder| builder).await).await;
    let server = &served.server;
    write(server, ACCOUNTS, json!({"metadata": {"name": "robot"}})).await;
    let made = write(server, "/api/v1/namespaces/default/pods", pod("web")).await;
    let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": made["metadata"]["uid"]});
    let spec = json!({"expirationSeconds": 3607, "boundObjectRef": bound});
    let asked = write(server, &format!("{ACCOUNTS}/robot/token"), json!({"spec": spec})).await;
    let token = asked["status"]["token"].as_str().unwrap().to_owned();
    let part = |index: usize| -> Value {
        let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let claims = part(1);
    assert_eq!(part(0)["alg"], "ES256");
    assert_eq!(claims["sub"], "system:serviceaccount:default:robot");
    assert_eq!(claims["aud"], json!(["https://kubernetes.default.svc.cluster.local"]));
    assert_eq!(claims["kubernetes.io"]["pod"], json!({"name": "web", "uid": made["metadata"]["uid"]}));
    // Who never reads it again is let in for a year, and told apart by what it should have been.
    let issued = claims["iat"].as_i64().unwrap();
    assert_eq!(claims["exp"].as_i64().unwrap() - issued, 365 * 24 * 3600);
    assert_eq!(claims["kubernetes.io"]["warnafter"].as_i64().unwrap() - issued, 3607);

    let known = who(&served, |at| at.token("me", &token)).await.unwrap();
    assert_eq!(known["username"], "system:serviceaccount:default:robot");
    let groups = ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"];
    assert_eq!(known["groups"], json!(groups));
    assert_eq!(known["extra"]["authentication.kubernetes.io/pod-name"], json!(["web"]));
    let id = format!("JTI={}", claims["jti"].as_str().unwrap());
    assert_eq!(known["extra"]["authentication.kubernetes.io/credential-id"], json!([id]));
    // One letter of what it says, and it says nothing.
    let (head, rest) = token.split_once('.').unwrap();
    let (said, signature) = rest.split_once('.').unwrap();
    let forged = String::from_utf8(URL_SAFE_NO_PAD.decode(said).unwrap()).unwrap().replace("robot", "admin");
    let forged = format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(forged));
    assert_eq!(who(&served, |at| at.token("me", forged)).await.unwrap_err().status().unwrap().code, 401);
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let unsigned = format!("{none}.{said}.");
    assert_eq!(who(&served, |at| at.token("me", unsigned)).await.unwrap_err().status().unwrap().code, 401);

    support::send(
        server,
        Identity::admin(),
        Method::DELETE,
        "/api/v1/namespaces/default/pods/web?gracePeriodSeconds=0",
        &[],
        "",
    )
    .await;
    assert_eq!(who(&served, |at| at.token("me", &token)).await.unwrap_err().status().unwrap().code, 401);
    let review = json!({"spec": {"token": token}});
    let review = write(server, "/apis/authentication.k8s.io/v1/tokenreviews", review).await;
    assert_eq!(review["status"]["authenticated"], false);
    assert_eq!(review["status"]["error"], "service account token has been invalidated");
    served.shutdown().await;
}

#[tokio::test]
async fn tokens_are_for_their_audience_and_servers_of_one_key_know_them() {
    let key =
        windlass::server::https::Certificates::generate(&["localhost"], &windlass::env::Clock::system())
            .unwrap()
            .client("signer", None)
            .unwrap()
            .key;
    let issuer = || ServiceAccountIssuer::new("https://issuer.example.com").signing_key(&key).unwrap();
    let store = Arc::new(MemoryStore::new());
    let build = async |issuer| {
        ApiServer::builder().store(store.clone()).service_accounts(issuer).build().await.unwrap()
    };
    let (one, other) = (build(issuer()).await, build(issuer()).await);
    write(&one, ACCOUNTS, json!({"metadata": {"name": "robot"}})).await;
    let ask = async |spec: Value| {
        let asked = write(&one, &format!("{ACCOUNTS}/robot/token"), json!({"spec": spec})).await;
        asked["status"]["token"].as_str().unwrap().to_owned()
    };
    let own = ask(json!({})).await;
    let known = other.authenticate_token(&own).await.unwrap().unwrap();
    assert_eq!(known.user, "system:serviceaccount:default:robot");
    let vault = ask(json!({"audiences": ["vault"]})).await;
    let refused = other.authenticate_token(&vault).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        r#"token audiences ["vault"] is invalid for the target audiences ["https://issuer.example.com"]"#
    );
    let review = json!({"spec": {"token": vault, "audiences": ["vault", "safe"]}});
    let review = write(&other, "/apis/authentication.k8s.io/v1/tokenreviews", review).await;
    assert_eq!(review["status"]["authenticated"], true);
    assert_eq!(review["status"]["audiences"], json!(["vault"]));

    // Another key, another issuer.
    let stranger = build(ServiceAccountIssuer::new("https://issuer.example.com")).await;
    let refused = stranger.authenticate_token(&own).await.unwrap_err();
    assert_eq!(refused.to_string(), "invalid signature, no keys found");
    let stranger = build(ServiceAccountIssuer::new("https://elsewhere.example.com")).await;
    assert_eq!(stranger.authenticate_token(&own).await, Ok(None));

    // What others need to verify it by themselves.
    let config =
        support::get(&one, "/.well-known/openid-configuration", &[("host", "api.example.com")]).await;
    assert_eq!(config.headers["content-type"], "application/json");
    let config = config.json();
    assert_eq!(config["issuer"], "https://issuer.example.com");
    assert_eq!(config["jwks_uri"], "https://api.example.com/openid/v1/jwks");
    assert_eq!(config["id_token_signing_alg_values_supported"], json!(["ES256"]));
    let keys = support::get(&one, "/openid/v1/jwks", &[]).await;
    assert_eq!(keys.headers["content-type"], "application/jwk-set+json");
    let keys = keys.json();
    assert_eq!((&keys["keys"][0]["kty"], &keys["keys"][0]["use"]), (&json!("EC"), &json!("sig")));
    let robot = Identity::user("system:serviceaccount:default:robot").group("system:serviceaccounts");
    let seen = support::send(&one, robot, Method::GET, "/openid/v1/jwks", &[], "").await;
    assert_eq!(seen.code, 200);
    let nobody = support::send(&one, Identity::anonymous(), Method::GET, "/openid/v1/jwks", &[], "").await;
    assert_eq!(nobody.code, 403);
}

#[tokio::test]
async fn keys_as_kubeadm_and_openssl_make_them() {
    // Made for this test, and used nowhere else.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/keys");
    for (name, algorithm) in
        [("rsa-pkcs1", "RS256"), ("rsa-pkcs8", "RS256"), ("ec-sec1", "ES256"), ("ec-p384", "ES384")]
    {
        let pem = std::fs::read_to_string(format!("{folder}/{name}.pem")).unwrap();
        let public = std::fs::read_to_string(format!("{folder}/{name}.pub.pem")).unwrap();
        let store = Arc::new(MemoryStore::new());
        let issuer = ServiceAccountIssuer::default().signing_key(&pem).unwrap();
        let signs = ApiServer::builder().store(store.clone()).service_accounts(issuer).build().await.unwrap();
        let issuer = ServiceAccountIssuer::default().verifying_key(&public).unwrap();
        let verifies = ApiServer::builder().store(store).service_accounts(issuer).build().await.unwrap();
        write(&signs, ACCOUNTS, json!({"metadata": {"name": "robot"}})).await;
        let asked = write(&signs, &format!("{ACCOUNTS}/robot/token"), json!({"spec": {}})).await;
        let token = asked["status"]["token"].as_str().unwrap();
        let head = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        let head: Value = serde_json::from_slice(&head).unwrap();
        assert_eq!(head["alg"], algorithm, "{name}");
        let known = verifies.authenticate_token(token).await.unwrap().unwrap();
        assert_eq!(known.user, "system:serviceaccount:default:robot", "{name}");
    }
    assert!(ServiceAccountIssuer::default().signing_key("no key").is_err());
    assert!(ServiceAccountIssuer::default().verifying_key("no key").is_err());
}

#[tokio::test]
async fn a_front_proxy_speaks_for_others_and_nobody_else_does() {
    let proxy = FrontProxy::new(["front-proxy-client"]);
    let served = serve(server(|builder| builder.authenticator(proxy)).await).await;
    let ask = async |name: &str| {
        let pair = served.certificates.client(name, None).unwrap();
        let kubeconfig = Kubeconfig::new(served.url()).authority(served.certificates.authority());
        let kubeconfig = kubeconfig.client_certificate(name, &pair.certificate, &pair.key);
        let client = RemoteClient::builder(kubeconfig).build().unwrap();
        let request = Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
            .header("content-type", "application/json")
            .header("x-remote-user", "user-a")
            .header("x-remote-group", "dev")
            .body(bytes::Bytes::from_static(b"{}"))
            .unwrap();
        let answer = client.call(windlass::client::Request::Raw(request)).await.unwrap();
        let windlass::client::Response::Raw(answer) = answer else { panic!() };
        let body: Vec<u8> = futures_util::StreamExt::collect::<Vec<_>>(answer.into_body())
            .await
            .into_iter()
            .flat_map(|piece| piece.unwrap().to_vec())
            .collect();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        answer["status"]["userInfo"].clone()
    };
    // The listener knows the proxy by its certificate, too, and is asked behind it.
    let spoken = ask("front-proxy-client").await;
    assert_eq!(
        (&spoken["username"], &spoken["groups"]),
        (&json!("user-a"), &json!(["dev", "system:authenticated"]))
    );
    let own = ask("user-b").await;
    assert_eq!(own["username"], "user-b");
    served.shutdown().await;
}

#[tokio::test]
async fn somebody_acts_as_somebody_else_where_they_may() {
    let roles = RoleTable::default()
        .user("helper", [Rule::on(&["impersonate"], "", &["users"]).named(&["user-a"])])
        .user("helper", [Rule::on(&["impersonate"], "", &["groups"]).named(&["dev"])])
        .user("helper", [Rule::on(&["impersonate"], "authentication.k8s.io", &["userextras/team", "uids"])]);
    let server = server(|builder| builder.authorizer(Arc::new(roles))).await;
    let ask = async |identity: Identity, headers: &[(&str, &str)]| {
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        support::send(&server, identity, Method::POST, path, &all, "{}").await
    };
    let helper = || Identity::user("helper");
    let acts = ask(
        helper(),
        &[
            ("impersonate-user", "user-a"),
            ("impersonate-group", "dev"),
            ("impersonate-uid", "7"),
            ("impersonate-extra-team", "red"),
        ],
    )
    .await
    .json();
    let info = &acts["status"]["userInfo"];
    assert_eq!(
        *info,
        json!({"username": "user-a", "uid": "7", "groups": ["dev", "system:authenticated"],
            "extra": {"team": ["red"]}})
    );
    let (code, _, why) = ask(helper(), &[("impersonate-user", "user-b")]).await.failure();
    assert_eq!(
        (code, why.as_str()),
        (
            403,
            "selfsubjectreviews.authentication.k8s.io is forbidden: User \"helper\" cannot impersonate-on:user-info:create resource \"selfsubjectreviews\" in API group \"authentication.k8s.io\" at the cluster scope"
        )
    );
    let masters = [("impersonate-user", "user-a"), ("impersonate-group", "system:masters")];
    assert_eq!(ask(helper(), &masters).await.failure().0, 403);
    let (code, _, why) = ask(helper(), &[("impersonate-group", "dev")]).await.failure();
    assert_eq!(code, 400);
    let wish =
        "&user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\"dev\"}, Extra:map[string][]string(nil)}";
    assert_eq!(why, format!("requested {wish} without impersonating a user name"));
    // Of one's own rights nothing is left.
    let admin = support::send(
        &server,
        Identity::admin(),
        Method::GET,
        "/api/v1/namespaces/default/secrets",
        &[("impersonate-user", "system:serviceaccount:default:robot")],
        "",
    )
    .await;
    let (code, _, why) = admin.failure();
    assert_eq!(code, 403);
    assert!(why.contains("User \"system:serviceaccount:default:robot\" cannot list"), "{why}");
}

#[tokio::test]
async fn somebody_does_one_thing_as_somebody_else_and_nothing_more() {
    let own = "authentication.k8s.io";
    let roles = RoleTable::default()
        .user("jane", [Rule::on(&["*"], "", &["configmaps"])])
        .user("helper", [Rule::on(&["impersonate:user-info"], own, &["users"]).named(&["jane"])])
        .user("helper", [Rule::on(&["impersonate-on:user-info:list"], "", &["configmaps"])]);
    let server = server(|builder| builder.authorizer(Arc::new(roles))).await;
    let ask = async |method: Method, path: &str, who: &str| {
        let path = format!("/api/v1/namespaces/default/{path}");
        let headers = [("impersonate-user", who)];
        support::send(&server, Identity::user("helper"), method, &path, &headers, "").await
    };
    let list = ask(Method::GET, "configmaps?limit=1", "jane").await;
    assert_eq!(list.code, 200, "{}", list.text);
    for (method, path, verb) in [
        (Method::GET, "configmaps?watch=true", "watch"),
        (Method::GET, "configmaps/a", "get"),
        (Method::DELETE, "configmaps", "deletecollection"),
    ] {
        let (code, _, why) = ask(method, path, "jane").await.failure();
        assert_eq!(code, 403);
        assert!(
            why.contains(&format!("cannot impersonate-on:user-info:{verb} resource \"configmaps\"")),
            "{why}"
        );
    }
    // What one may not be is told by what is lacking first.
    let (_, _, why) = ask(Method::GET, "configmaps", "joe").await.failure();
    assert_eq!(
        why,
        "users.authentication.k8s.io \"joe\" is forbidden: User \"helper\" cannot impersonate:user-info resource \
         \"users\" in API group \"authentication.k8s.io\" at the cluster scope"
    );
}

#[tokio::test]
async fn nobody_is_nobody_where_that_is_not_wanted() {
    let read = async |anonymous: Anonymous, path: &'static str| {
        let served = serve(server(|builder| builder.anonymous(anonymous)).await).await;
        let kubeconfig = Kubeconfig::new(served.url()).authority(served.certificates.authority());
        let client = RemoteClient::builder(kubeconfig).build().unwrap();
        let request = Request::get(path).body(bytes::Bytes::new()).unwrap();
        let answer = client.call(windlass::client::Request::Raw(request)).await.unwrap();
        let windlass::client::Response::Raw(answer) = answer else { panic!() };
        let code = answer.status().as_u16();
        drop(answer);
        served.shutdown().await;
        code
    };
    assert_eq!(read(Anonymous::Everywhere, "/livez").await, 200);
    assert_eq!(read(Anonymous::Everywhere, "/api/v1/pods").await, 403);
    assert_eq!(read(Anonymous::only(["/livez"]), "/livez").await, 200);
    assert_eq!(read(Anonymous::only(["/livez"]), "/readyz").await, 401);
    assert_eq!(read(Anonymous::Nowhere, "/livez").await, 401);
}
