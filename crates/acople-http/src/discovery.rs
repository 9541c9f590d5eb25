//! Discovery stream by stream, where the credentials may not see all of them.

use acople_core::{Catalog, ErrorKind, Result, Stream};
use futures_util::{Stream as FuturesStream, StreamExt};

/// What came, or why it is hidden: the credentials may not see it, or the account does not have it. That says
/// nothing about the rest.
///
/// # Errors
/// Any other error.
pub fn visible<T>(result: Result<T>) -> Result<Result<T>> {
    match result {
        Err(error) if !matches!(error.kind(), ErrorKind::Permission | ErrorKind::NotFound) => Err(error),
        seen => Ok(seen),
    }
}

/// The catalog of streams that are described one by one, in the order in which they come. Those that are hidden
/// are left out.
///
/// ```
/// use acople_core::{Error, ErrorKind, Stream};
/// use acople_http::{gather, visible};
/// use futures_util::{StreamExt, stream};
///
/// # async fn example() -> acople_core::Result<()> {
/// let describe = async |name: &str| match name {
///     "salaries" => Err(Error::new(ErrorKind::Permission, "not for you")),
///     name => Ok(Stream::new(name)),
/// };
/// let described = stream::iter(["people", "salaries"]).then(|name| async move { visible(describe(name).await) });
/// assert_eq!(gather(described).await?.streams.len(), 1);
/// # Ok(()) }
/// # futures_util::FutureExt::now_or_never(example()).unwrap().unwrap();
/// ```
///
/// # Errors
/// The first error, and why the first stream is hidden when all are.
pub async fn gather(described: impl FuturesStream<Item = Result<Result<Stream>>>) -> Result<Catalog> {
    let mut described = std::pin::pin!(described);
    let (mut catalog, mut hidden) = (Catalog::default(), None);
    while let Some(stream) = described.next().await {
        match stream? {
            Ok(stream) => catalog.streams.push(stream),
            Err(error) => hidden = hidden.or(Some(error)),
        }
    }
    match hidden {
        Some(error) if catalog.streams.is_empty() => Err(error),
        _ => Ok(catalog),
    }
}

#[cfg(test)]
mod tests {
    use acople_core::Error;
    use futures_util::stream;

    use super::*;

    async fn names(described: Vec<Result<Stream>>) -> Result<Vec<String>> {
        let catalog = gather(stream::iter(described.into_iter().map(visible))).await?;
        Ok(catalog.streams.into_iter().map(|stream| stream.name).collect())
    }

    fn hidden(kind: ErrorKind, why: &str) -> Result<Stream> {
        Err(Error::new(kind, why))
    }

    #[tokio::test]
    async fn auth_16_what_is_hidden_is_left_out_unless_it_is_everything() {
        let some = vec![hidden(ErrorKind::Permission, "a"), Ok(Stream::new("b")), Ok(Stream::new("c"))];
        assert_eq!(names(some).await.unwrap(), ["b", "c"]);
        let all = vec![hidden(ErrorKind::NotFound, "first"), hidden(ErrorKind::Permission, "second")];
        assert_eq!(names(all).await.unwrap_err().message(), "first");
        assert!(names(Vec::new()).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn any_other_error_ends_the_discovery() {
        let broken = vec![Ok(Stream::new("a")), hidden(ErrorKind::Protocol, "html")];
        assert_eq!(names(broken).await.unwrap_err().kind(), ErrorKind::Protocol);
    }
}
