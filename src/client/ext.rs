//! The verbs as methods: sugar above [`Client::call`].

use async_trait::async_trait;

use super::{
    Client, DeleteOptions, Error, GetOptions, ListOptions, ObjectList, Patch, Payload, Request, Response,
    Target, WatchOptions, WatchStream, WriteOptions,
};
use crate::api::Object;

/// Every client's verbs on objects of any kind. For typed values see [`Api`](super::Api).
///
/// Errors and cancel safety are those of [`Client::call`].
#[async_trait]
pub trait ClientExt: Client {
    /// Reads an object or a subresource.
    async fn get(&self, target: Target) -> Result<Object, Error> {
        object("get", self.call(Request::Get { target, options: GetOptions::default() }).await?)
    }

    /// Reads many objects at one revision.
    async fn list(&self, target: Target, options: ListOptions) -> Result<ObjectList, Error> {
        match self.call(Request::List { target, options }).await? {
            Response::List(list) => Ok(list),
            _ => Err(Error::unexpected("list")),
        }
    }

    /// Follows many objects.
    async fn watch(&self, target: Target, options: WatchOptions) -> Result<WatchStream, Error> {
        match self.call(Request::Watch { target, options }).await? {
            Response::Watch(stream) => Ok(stream),
            _ => Err(Error::unexpected("watch")),
        }
    }

    /// Makes an object, or posts to a subresource. What a subresource answers may be no object
    /// (`Ok(None)`).
    async fn create(
        &self,
        target: Target,
        object: Payload,
        options: WriteOptions,
    ) -> Result<Option<Object>, Error> {
        left("create", self.call(Request::Create { target, object, options }).await?)
    }

    /// Replaces an object or a subresource.
    async fn update(&self, target: Target, object: Payload, options: WriteOptions) -> Result<Object, Error> {
        self::object("update", self.call(Request::Update { target, object, options }).await?)
    }

    /// Changes an object or a subresource.
    async fn patch(&self, target: Target, patch: Patch, options: WriteOptions) -> Result<Object, Error> {
        object("patch", self.call(Request::Patch { target, patch, options }).await?)
    }

    /// Deletes an object; answers it while it lives on (finalizers, grace).
    async fn delete(&self, target: Target, options: DeleteOptions) -> Result<Option<Object>, Error> {
        left("delete", self.call(Request::Delete { target, options }).await?)
    }

    /// Deletes many objects; answers what was deleted.
    async fn delete_collection(
        &self,
        target: Target,
        list: ListOptions,
        options: DeleteOptions,
    ) -> Result<ObjectList, Error> {
        match self.call(Request::DeleteCollection { target, list, options }).await? {
            Response::List(list) => Ok(list),
            _ => Err(Error::unexpected("delete collection")),
        }
    }
}

impl<C: Client + ?Sized> ClientExt for C {}

fn object(operation: &'static str, response: Response) -> Result<Object, Error> {
    left(operation, response)?.ok_or_else(|| Error::unexpected(operation))
}

fn left(operation: &'static str, response: Response) -> Result<Option<Object>, Error> {
    match response {
        Response::Object(object) => Ok(Some(object)),
        Response::Status(_) => Ok(None),
        _ => Err(Error::unexpected(operation)),
    }
}
