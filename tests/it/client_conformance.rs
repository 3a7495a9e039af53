//! The contract of `Client`, held against all that implement it: in process, over TLS, and with hooks.

mod in_process {
    use windlass::client::Identity;

    windlass::client_conformance!(crate::support::server().await.client(Identity::admin()));
}

mod remote {
    use std::sync::Arc;

    use windlass::client::conformance::Subject;
    use windlass::client::remote::RemoteClient;
    use windlass::env::Env;

    windlass::client_conformance!({
        let served = crate::support::serve(crate::support::server().await).await;
        let env = Env::system();
        let client = RemoteClient::builder(served.kubeconfig()).env(env.clone()).build().unwrap();
        Subject::new(Arc::new(client)).ended_by(async move || {
            // Connections that are kept for the next exchange are no reason to wait.
            env.tasks.shutdown().await;
            served.shutdown().await;
        })
    });
}

mod hooked {
    use std::time::Duration;

    use windlass::client::Identity;
    use windlass::client::hooks::{Calls, Hooks};
    use windlass::env::Env;

    windlass::client_conformance!({
        let hooks = Hooks::new(&Env::system());
        hooks.on(Calls::any()).delay_up_to(Duration::from_micros(300));
        hooks.events(Calls::any()).delay_up_to(Duration::from_micros(300));
        hooks.client(crate::support::server().await.client(Identity::admin()))
    });
}
