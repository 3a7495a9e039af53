//! What an operator asks of a cluster.

use std::sync::Arc;

use async_trait::async_trait;
use etcd_client::{AlarmAction, AlarmOptions, AlarmType};
use futures_util::stream;

use super::EtcdStore;
use super::failure::Failure;
use super::members::{Link, Repeat, unavailable};
use crate::store::{
    Error, KeyRange, ListOptions, Maintenance, ObjectStore, Result, Revision, SnapshotStream, StoreStatus,
};

impl EtcdStore {
    /// The members whose alarm is raised.
    async fn alarms(&self) -> Result<Vec<u64>> {
        let answer = self
            .members
            .call(Repeat::Freely, |link| async move {
                link.maintenance.clone().alarm(AlarmAction::Get, AlarmType::None, None).await
            })
            .await
            .map_err(|failure| failure.into_error("listing etcd's alarms"))?;
        let no_space = answer.0.alarms.iter().filter(|alarm| alarm.alarm == AlarmType::Nospace as i32);
        Ok(no_space.map(|alarm| alarm.member_id).collect())
    }

    /// The floor: 1 where nothing has been compacted.
    async fn floor(&self) -> Result<Revision> {
        let first = Revision(1);
        let range = KeyRange::single(self.members.options.revision_key.clone());
        match self.list(range, ListOptions::default().at(first).count_only()).await {
            Ok(_) => Ok(first),
            Err(Error::Compacted { oldest }) => Ok(oldest),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Maintenance for EtcdStore {
    /// Sizes are those of the member that is asked.
    async fn status(&self) -> Result<StoreStatus> {
        let revision = self.revision().await?;
        let floor = self.floor().await?;
        let no_space = !self.alarms().await?.is_empty();
        let answer = self
            .members
            .call(Repeat::Freely, |link| async move { link.maintenance.clone().status().await })
            .await
            .map_err(|failure| failure.into_error("asking for etcd's status"))?;
        let bytes = |count: i64| count.try_into().unwrap_or(0);
        Ok(StoreStatus {
            revision,
            floor,
            size_bytes: bytes(answer.db_size()),
            in_use_bytes: bytes(answer.raft_used_db_size()),
            // Said by etcd 3.6 and newer.
            quota_bytes: Some(bytes(answer.db_size_quota())).filter(|quota| *quota > 0),
            no_space,
        })
    }

    /// What `etcdctl snapshot save` writes to a file, of the current member.
    async fn snapshot(&self) -> Result<SnapshotStream> {
        // The member answers with what it has applied; this makes that everything.
        self.revision().await?;
        let answer = self
            .members
            .call(Repeat::Freely, |link| async move { link.maintenance.clone().snapshot().await })
            .await
            .map_err(|failure| failure.into_error("taking a snapshot of etcd"))?;
        Ok(Box::pin(stream::unfold(Some((answer, None)), |state| async move {
            let (mut answer, remaining) = state?;
            match answer.message().await {
                Ok(Some(piece)) => {
                    let remaining = Some(piece.0.remaining_bytes);
                    Some((Ok(piece.0.blob.into()), Some((answer, remaining))))
                }
                // The last piece says that nothing remains.
                Ok(None) if remaining == Some(0) => None,
                Ok(None) => Some((Err(unavailable("reading a snapshot of etcd", "it ends too early")), None)),
                Err(error) => {
                    Some((Err(Failure::from(error).into_error("reading a snapshot of etcd")), None))
                }
            }
        })))
    }

    /// Every endpoint in turn; none serves while it is at it.
    async fn defragment(&self) -> Result<()> {
        for index in 0..self.members.len() {
            let defragment = |link: Arc<Link>| async move { link.maintenance.clone().defragment().await };
            self.members.call_one(index, "defragmenting etcd", defragment).await?;
        }
        Ok(())
    }

    async fn disarm(&self) -> Result<()> {
        for member in self.alarms().await? {
            self.members
                .call(Repeat::Freely, |link| async move {
                    let mut options = AlarmOptions::new();
                    options.with_member(member);
                    let (action, alarm) = (AlarmAction::Deactivate, AlarmType::Nospace);
                    link.maintenance.clone().alarm(action, alarm, Some(options)).await
                })
                .await
                .map_err(|failure| failure.into_error("taking back etcd's alarm"))?;
        }
        Ok(())
    }
}
