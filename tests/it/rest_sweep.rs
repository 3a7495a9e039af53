//! Nobody in particular knocks at every door, with every method, and gets health and version.

use http::{Method, Request};
use serde_json::Value;
use windlass::client::Identity;
use windlass::server::ApiServer;

use crate::support::wire::Http1;
use crate::support::{get, send, serve, server};

const METHODS: [Method; 8] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
];

/// Every path there is: what the index lists, each resource with its objects and their parts, and some that
/// are none.
async fn paths(server: &ApiServer) -> Vec<String> {
    let index = get(server, "/", &[]).await.json();
    let listed = index["paths"].as_array().unwrap().iter().map(|path| path.as_str().unwrap().to_owned());
    let mut paths: Vec<String> = listed.collect();
    for row in server.scheme().iter() {
        let root = match row.group.as_ref() {
            "" => format!("/api/{}", row.version),
            group => format!("/apis/{group}/{}", row.version),
        };
        let mut homes = vec![format!("{root}/{}", row.plural), format!("{root}/watch/{}", row.plural)];
        if row.namespaced() {
            homes.push(format!("{root}/namespaces/default/{}", row.plural));
            homes.push(format!("{root}/watch/namespaces/default/{}", row.plural));
        }
        for home in homes {
            paths.extend([format!("{home}?watch=true"), format!("{home}/x")]);
            paths.extend(row.subresources.iter().map(|own| format!("{home}/x/{}", own.name)));
            paths.push(home);
        }
    }
    paths.extend(
        [
            "/",
            "/nope",
            "/metrics/cadvisor",
            "/debug/pprof/",
            "/openapi/v3/api/v1",
            "/healthzz",
            "/api/v1/nodes/x/proxy/logs/../../../secrets",
            "/api/v1//pods",
            "//api/v1/pods",
            "/api/v1/namespaces/default/pods/x/nope",
            "/apis/nope/v1/things",
        ]
        .map(str::to_owned),
    );
    paths
}

/// Whether everybody may have it.
fn is_open(method: &Method, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let health = ["/healthz", "/livez", "/readyz"];
    // Who may get may not look at the head alone: that is a verb of its own.
    *method == Method::GET
        && (path == "/version"
            || health.iter().any(|own| path == *own || path.starts_with(&format!("{own}/"))))
}

#[tokio::test]
async fn nobody_in_particular_gets_health_and_version_and_nothing_else() {
    let server = server().await;
    let (mut open, mut shut) = (0, 0);
    for path in paths(&server).await {
        for method in METHODS {
            let body = [("content-type", "text/nonsense")];
            let reply = send(&server, Identity::anonymous(), method.clone(), &path, &body, "{").await;
            if is_open(&method, &path) {
                assert_eq!(reply.code, 200, "{method} {path}: {}", reply.text);
                open += 1;
                continue;
            }
            let (code, reason, message) = reply.failure();
            assert_eq!((code, reason.as_str()), (403, "Forbidden"), "{method} {path}: {message}");
            assert!(message.contains(r#"User "system:anonymous" cannot"#), "{method} {path}: {message}");
            shut += 1;
        }
    }
    assert!(open >= 10 && shut > 3000, "{open} open, {shut} shut");
}

#[tokio::test]
async fn over_https_nobody_is_refused_and_a_wrong_token_is_nobody_at_all() {
    let served = serve(server().await).await;
    let mut connection = Http1::open(&served).await;
    for path in paths(&served.server).await {
        for token in [None, Some("Bearer wrong")] {
            let mut request = Request::get(path.as_str()).header("host", "localhost");
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            let reply = connection.send(request.body(String::new()).unwrap()).await;
            let expected = match token {
                Some(_) => 401,
                None if is_open(&Method::GET, &path) => 200,
                None => 403,
            };
            assert_eq!(reply.status(), expected, "{path}: {}", reply.body());
            assert!(reply.headers().contains_key("audit-id"), "{path}");
            assert_eq!(reply.headers()["cache-control"], "no-cache, private", "{path}");
            if expected != 200 {
                let status: Value = serde_json::from_str(reply.body()).unwrap();
                assert_eq!(status["code"], expected, "{path}");
            }
        }
    }
    drop(connection);
    served.shutdown().await;
}
