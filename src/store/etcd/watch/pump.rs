//! The task that holds the stream: it carries what the hub decides.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{WatchOptions, WatchRequestSender, WatchResponseStream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::hub::{Command, Hub, Request, Verdict};
use super::progress;
use crate::store::etcd::convert;
use crate::store::etcd::failure::Failure;
use crate::store::etcd::members::{Link, Members};

/// How often progress is asked for again while somebody waits for it; as Kubernetes does.
const TICK: Duration = Duration::from_millis(100);
/// How often the revisions are freshened from which watches would be taken up.
const REFRESH: Duration = Duration::from_secs(30);
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Why a stream has ended.
enum Ended {
    /// Nobody can watch any more.
    Unwanted,
    /// It broke.
    Broken,
}

/// A stream that is open.
struct Session {
    requests: UnboundedSender<Request>,
    answers: WatchResponseStream,
    link: Arc<Link>,
    index: usize,
}

/// Serves until nobody can watch any more.
pub(super) async fn run(members: Arc<Members>, mut hub: Hub, mut commands: UnboundedReceiver<Command>) {
    let clock = members.options.env.clock.clone();
    let chance = members.options.env.random.stream("etcd watch retry");
    let mut wait = FIRST_WAIT;
    loop {
        while hub.is_idle() {
            match commands.recv().await {
                Some(command) => hub.command(command),
                None => return,
            }
        }
        match open(&members, &mut hub).await {
            Ok(mut session) => {
                let mut answered = false;
                let ended = session.serve(&members, &mut hub, &mut commands, &mut answered).await;
                hub.disconnected();
                match ended {
                    Ended::Unwanted => return,
                    Ended::Broken if answered => wait = FIRST_WAIT,
                    Ended::Broken => {}
                }
            }
            Err(Failure::Refused(why) | Failure::LoggedOut(why)) => hub.refuse_all(&why.into()),
            Err(failure) => tracing::warn!(?failure, "no etcd member serves watches"),
        }
        hub.disconnected();
        // Watches may be dropped meanwhile, and the store with them.
        let woken = clock.instant() + chance.jitter(wait, 0.5);
        wait = (wait * 2).min(LAST_WAIT);
        loop {
            crate::select! {
                command = commands.recv() => match command {
                    Some(command) => hub.command(command),
                    None => return,
                },
                () = clock.sleep_until(woken) => break,
            }
        }
    }
}

/// Opens a stream to the current member, or passes it over.
async fn open(members: &Arc<Members>, hub: &mut Hub) -> Result<Session, Failure> {
    let index = members.current();
    let opened = open_at(members, hub, index).await;
    if let Err(Failure::NotSent(_) | Failure::Lost(_)) = &opened {
        members.pass_over(index);
    }
    opened
}

async fn open_at(members: &Arc<Members>, hub: &mut Hub, index: usize) -> Result<Session, Failure> {
    let options = &members.options;
    let link = members.link(index).await?;
    let limit = options.request_timeout;
    let late = |elapsed| Failure::NotSent(Box::new(elapsed));
    let status = options.env.clock.timeout(limit, async { link.maintenance.clone().status().await });
    let manual = match status.await.map_err(late)? {
        Ok(status) => progress::is_trusted(status.version()),
        Err(error) => match Failure::from(error) {
            // Some users may watch but not ask for this.
            Failure::Refused(_) => false,
            Failure::LoggedOut(why) => {
                members.forget(index, &link);
                return Err(Failure::NotSent(why.into()));
            }
            failure => return Err(failure),
        },
    };
    hub.connected(manual);
    let mut first: Vec<_> = hub.outbox().collect();
    // What the hub asks for first is a watch: there is one, or no stream would be opened.
    let Request::Create { wire, range, from, previous } = first.remove(0) else {
        return Err(Failure::NotSent("there is nothing to watch".into()));
    };
    let (key, create) = create(wire, &range, from, previous);
    let mut watch = link.watch.clone();
    let stream = options.env.clock.timeout(limit, watch.watch(key, Some(create))).await.map_err(late)??;
    let (sender, answers) = stream.split();
    let (requests, queue) = mpsc::unbounded_channel();
    options.env.tasks.spawn("etcd watch requests", write(sender, queue));
    for request in first {
        let _ = requests.send(request);
    }
    Ok(Session { requests, answers, link, index })
}

impl Session {
    async fn serve(
        &mut self,
        members: &Members,
        hub: &mut Hub,
        commands: &mut UnboundedReceiver<Command>,
        answered: &mut bool,
    ) -> Ended {
        let clock = &members.options.env.clock;
        let mut tick = clock.instant() + TICK;
        let mut refresh = clock.instant() + REFRESH;
        loop {
            for request in hub.outbox() {
                // One that cannot be sent shows in the answers.
                let _ = self.requests.send(request);
            }
            crate::select! {
                command = commands.recv() => match command {
                    Some(command) => {
                        if hub.asking().is_empty() {
                            tick = clock.instant() + TICK;
                        }
                        hub.command(command);
                    }
                    None => return Ended::Unwanted,
                },
                answer = self.answers.message() => match answer {
                    Ok(Some(answer)) => {
                        *answered = true;
                        if hub.answer(answer.0) == Verdict::LogIn {
                            members.forget(self.index, &self.link);
                            return Ended::Broken;
                        }
                    }
                    Ok(None) => {
                        members.pass_over(self.index);
                        return Ended::Broken;
                    }
                    Err(error) => {
                        tracing::debug!(endpoint = members.url(self.index), %error, "an etcd watch stream ends");
                        members.pass_over(self.index);
                        return Ended::Broken;
                    }
                },
                () = clock.sleep_until(tick), if !hub.asking().is_empty() => {
                    hub.tick();
                    tick = clock.instant() + TICK;
                },
                () = clock.sleep_until(refresh) => {
                    hub.refresh();
                    refresh = clock.instant() + REFRESH;
                },
            }
        }
    }
}

/// Sends what is asked for. A task of its own: a member that does not read must not keep us from
/// reading what it writes.
async fn write(mut sender: WatchRequestSender, mut requests: UnboundedReceiver<Request>) {
    while let Some(request) = requests.recv().await {
        let sent = match request {
            Request::Create { wire, range, from, previous } => {
                let (key, create) = create(wire, &range, from, previous);
                sender.watch(key, Some(create)).await
            }
            Request::Cancel { wire } => sender.cancel(wire).await,
            Request::Progress => sender.request_progress().await,
        };
        if sent.is_err() {
            return;
        }
    }
}

fn create(
    wire: i64,
    range: &crate::store::KeyRange,
    from: crate::store::Revision,
    previous: bool,
) -> (Vec<u8>, WatchOptions) {
    let (key, end) = convert::bounds(range);
    let mut options = WatchOptions::new()
        .with_watch_id(wire)
        .with_start_revision(convert::number(from))
        .with_progress_notify()
        .with_fragment();
    if let Some(end) = end {
        options = options.with_range(end);
    }
    if previous {
        options = options.with_prev_key();
    }
    (key, options)
}
