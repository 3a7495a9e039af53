//! Documents: what they say they are, and strict decoding. Source: `options_test.go` of
//! `cmd/kube-scheduler/app/options` and `scheme_test.go` of `pkg/scheduler/apis/config/scheme` (1.36).

use jiff::SignedDuration;

use super::*;

fn text(text: &str) -> String {
    Configuration::parse(text).unwrap_err().to_string()
}

#[test]
fn version_and_kind_must_be_the_ones() {
    let scheme = "in scheme \"pkg/scheduler/apis/config/scheme/scheme.go:29\"";
    let unknown = |kind: &str, version: &str| {
        format!("no kind {kind:?} is registered for version {version:?} {scheme}")
    };
    let says = |version: &str, kind: &str| text(&format!("apiVersion: {version}\nkind: {kind}\n"));
    let kind = "KubeSchedulerConfiguration";
    for version in ["componentconfig/v1alpha1", "kubescheduler.config.k8s.io/v1beta3", "v1"] {
        assert_eq!(says(version, kind), unknown(kind, version));
    }
    let version = "kubescheduler.config.k8s.io/v1";
    assert_eq!(says(version, "Pod"), unknown("Pod", version));
    assert_eq!(says("a/b/c", kind), "unexpected GroupVersion string: a/b/c");
    assert_eq!(
        says(version, "VolumeBindingArgs"),
        "couldn't decode as KubeSchedulerConfiguration, got kubescheduler.config.k8s.io/v1, Kind=VolumeBindingArgs: "
    );
    assert_eq!(text("kind: A"), "Object 'apiVersion' is missing in 'kind: A'");
    assert_eq!(text("apiVersion: v1"), "Object 'Kind' is missing in 'apiVersion: v1'");
    assert_eq!(text(""), "Object 'Kind' is missing in ''");
    let parse_error = "couldn't get version/kind; json parse error: json: cannot unmarshal";
    assert_eq!(text("kind: [a]"), format!("{parse_error} array into Go struct field .kind of type string"));
    assert!(text("- a").starts_with(&format!("{parse_error} array into Go value of type struct {{")));
}

#[test]
fn json_is_read_as_such() {
    let head = r#""apiVersion":"kubescheduler.config.k8s.io/v1","kind":"KubeSchedulerConfiguration""#;
    let json =
        |rest: &str| Configuration::parse(&format!(" {{{head}{rest}}}")).map_err(|error| error.to_string());
    assert_eq!(json("").unwrap(), Configuration::default());
    assert_eq!(
        json(",parallelism:1").unwrap_err(),
        "couldn't get version/kind; json parse error: invalid character 'p' looking for beginning of object key string"
    );
    // Problems come in the order of the text.
    assert_eq!(
        json(r#","zoo":1,"parallelism":1,"parallelism":2,"leaderElection":{"b":1,"a":{},"retryPeriod":"1s","retryPeriod":"2s"},"zoo":2"#)
            .unwrap_err(),
        "strict decoding error: unknown field \"zoo\", duplicate field \"parallelism\", unknown field \
         \"leaderElection.b\", unknown field \"leaderElection.a\", duplicate field \"leaderElection.retryPeriod\""
    );
    // Within arguments, too, and in those of other plugins nobody minds.
    let twice = |plugin: &str| {
        json(&format!(
            r#","profiles":[{{"pluginConfig":[{{"name":"{plugin}","args":{{"bindTimeoutSeconds":1,"bindTimeoutSeconds":2}}}}]}}]"#
        ))
    };
    assert_eq!(
        twice("VolumeBinding").unwrap_err(),
        "strict decoding error: decoding .profiles[0].pluginConfig[0]: strict decoding error: decoding args for plugin \
         VolumeBinding: strict decoding error: duplicate field \"bindTimeoutSeconds\""
    );
    assert_eq!(
        twice("Ours").unwrap().profiles[0].args[0].args,
        Args::Other(serde_json::json!({"bindTimeoutSeconds": 2}))
    );
}

#[test]
fn fields_that_are_unknown_or_there_twice_are_told_with_their_path() {
    assert_eq!(refused("foo: bar"), "strict decoding error: unknown field \"foo\"");
    assert_eq!(
        refused("leaderElection:\n  leaderElect: true\n  leaderElect: false\n"),
        "strict decoding error: yaml: unmarshal errors:\n  line 5: key \"leaderElect\" already set in map"
    );
    assert_eq!(
        refused(
            "profiles:\n- plugins: {score: {enabled: [{name: A}, {name: B, wait: 1}]}, permits: {}}\n  \
             pluginConfig: [{name: InterPodAffinity, args: {weight: 1}, more: 1}]\nextenders: [{tlsConfig: {file: a}}]\n"
        ),
        "strict decoding error: unknown field \"extenders[0].tlsConfig.file\", \
         unknown field \"profiles[0].pluginConfig[0].more\", \
         unknown field \"profiles[0].plugins.permits\", \
         unknown field \"profiles[0].plugins.score.enabled[1].wait\", \
         decoding .profiles[0].pluginConfig[0]: strict decoding error: decoding args for plugin InterPodAffinity: \
         strict decoding error: unknown field \"weight\""
    );
    // The case counts, but not for who reads the head.
    assert_eq!(refused("Parallelism: 1"), "strict decoding error: unknown field \"Parallelism\"");
    assert_eq!(
        text("apiVersion: kubescheduler.config.k8s.io/v1\nKind: KubeSchedulerConfiguration\n"),
        "strict decoding error: unknown field \"Kind\""
    );
}

#[test]
fn values_must_have_their_types() {
    let field = "Go struct field";
    for (body, expected) in [
        (
            "parallelism: many",
            format!("string into {field} KubeSchedulerConfiguration.parallelism of type int32"),
        ),
        (
            "parallelism: 3000000000",
            format!("number 3000000000 into {field} KubeSchedulerConfiguration.parallelism of type int32"),
        ),
        (
            "enableProfiling: 1",
            format!(
                "number into {field} KubeSchedulerConfiguration.DebuggingConfiguration.enableProfiling of type bool"
            ),
        ),
        (
            "profiles: {}",
            format!(
                "object into {field} KubeSchedulerConfiguration.profiles of type []v1.KubeSchedulerProfile"
            ),
        ),
        (
            "profiles: [{plugins: {score: {enabled: [A]}}}]",
            format!("string into {field} PluginSet.profiles.plugins.score.enabled of type v1.Plugin"),
        ),
        (
            "leaderElection: {leaseDuration: 15}",
            format!(
                "number into {field} LeaderElectionConfiguration.leaderElection.leaseDuration of type string"
            ),
        ),
        (
            "clientConnection: {qps: fast}",
            format!("string into {field} ClientConnectionConfiguration.clientConnection.qps of type float32"),
        ),
        // The first in the order of the text, not of the type.
        (
            "podMaxBackoffSeconds: x\nclientConnection: []",
            format!(
                "array into {field} KubeSchedulerConfiguration.clientConnection of type \
                 v1alpha1.ClientConnectionConfiguration"
            ),
        ),
    ] {
        assert_eq!(refused(body), format!("json: cannot unmarshal {expected}"), "{body}");
    }
    assert_eq!(
        refused("leaderElection: {retryPeriod: 2 seconds}\nextenders: 1"),
        "time: unknown unit \" seconds\" in duration \"2 seconds\""
    );
    assert_eq!(refused("leaderElection: {retryPeriod: null}"), "time: invalid duration \"\"");
    assert_eq!(refused("extenders: [{tlsConfig: {caData: '*'}}]"), "illegal base64 data at input byte 0");
    // A type that is wrong wins over fields that are unknown.
    assert!(refused("a: 1\nparallelism: []").starts_with("json: cannot unmarshal array"));
}

#[test]
fn nulls_are_absent() {
    assert_eq!(
        parse("parallelism: null\nprofiles:\nextenders: ~\nleaderElection: {leaderElect: null}\n").unwrap(),
        Configuration::default()
    );
    let read = parse("profiles: [null]").unwrap();
    assert_eq!(read, Configuration::default());
}

#[test]
fn extenders_are_read_whole() {
    let read = parse(
        "extenders:\n- urlPrefix: https://a.example/scheduler\n  filterVerb: filter\n  preemptVerb: preempt\n  \
         prioritizeVerb: prioritize\n  weight: 5\n  bindVerb: bind\n  enableHTTPS: true\n  httpTimeout: 1m30s\n  \
         nodeCacheCapable: true\n  ignorable: true\n  managedResources: [{name: a.io/b, ignoredByScheduler: true}]\n  \
         tlsConfig: {insecure: true, serverName: s, certFile: c, keyFile: k, caFile: a, certData: Yw==, keyData: aw==,\n    \
         caData: \"Y\\nQ==\"}\n- urlPrefix: http://b\n",
    )
    .unwrap();
    assert_eq!(
        read.extenders,
        [
            Extender {
                url_prefix: "https://a.example/scheduler".into(),
                filter_verb: "filter".into(),
                preempt_verb: "preempt".into(),
                prioritize_verb: "prioritize".into(),
                weight: 5,
                bind_verb: "bind".into(),
                enable_https: true,
                tls: Some(ExtenderTls {
                    insecure: true,
                    server_name: "s".into(),
                    cert_file: "c".into(),
                    key_file: "k".into(),
                    ca_file: "a".into(),
                    cert_data: b"c".to_vec(),
                    key_data: b"k".to_vec(),
                    ca_data: b"a".to_vec(),
                }),
                http_timeout: SignedDuration::from_secs(90),
                node_cache_capable: true,
                managed_resources: vec![ManagedResource {
                    name: "a.io/b".into(),
                    ignored_by_scheduler: true
                }],
                ignorable: true,
            },
            Extender { url_prefix: "http://b".into(), ..Extender::default() },
        ]
    );
}

#[test]
fn two_profiles_share_a_document() {
    let read = parse(
        "parallelism: 4\npercentageOfNodesToScore: 30\npodInitialBackoffSeconds: 2\npodMaxBackoffSeconds: 20\n\
         delayCacheUntilActive: true\nleaderElection: {leaderElect: false, resourceLock: configmaps}\n\
         clientConnection: {kubeconfig: /k, acceptContentTypes: a, contentType: b, qps: 12.5, burst: 7}\nprofiles:\n\
         - schedulerName: spread\n  percentageOfNodesToScore: 100\n\
         - schedulerName: pack\n  plugins:\n    score:\n      disabled: [{name: NodeResourcesBalancedAllocation},\n        \
         {name: ImageLocality, weight: 9}]\n      enabled: [{name: NodeResourcesFit, weight: 10}]\n  pluginConfig:\n  \
         - name: NodeResourcesFit\n    args: {scoringStrategy: {type: MostAllocated}}\n",
    )
    .unwrap();
    assert_eq!((read.parallelism, read.percentage_of_nodes_to_score), (4, 30));
    assert_eq!((read.pod_initial_backoff.as_secs(), read.pod_max_backoff.as_secs()), (2, 20));
    assert!(read.delay_cache_until_active && !read.leader_election.leader_elect);
    assert_eq!(
        read.client_connection,
        ClientConnection {
            kubeconfig: "/k".into(),
            accept_content_types: "a".into(),
            content_type: "b".into(),
            qps: 12.5,
            burst: 7
        }
    );
    let [spread, pack] = &*read.profiles else { panic!("{:?}", read.profiles) };
    assert_eq!((&*spread.scheduler_name, spread.percentage_of_nodes_to_score), ("spread", Some(100)));
    assert_eq!(spread.plugins, Plugins::default_set(&FeatureGates::default()));
    let expected = set(&[("NodeResourcesFit", 10)], &["NodeResourcesBalancedAllocation", "ImageLocality"]);
    assert_eq!(pack.plugins[Point::Score], expected);
    let Some(Args::NodeResourcesFit(args)) = pack.args_of("NodeResourcesFit") else {
        panic!("{:?}", pack.args)
    };
    assert_eq!(args.scoring_strategy.kind, ScoringStrategyType::MostAllocated);
}
