//! A directory that answers what a test tells it to, and notes what it was asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A directory on a port of this machine.
pub(crate) struct Fake {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Fake {
    /// Answers the requests of each connection one after the other, each by operations; when they are through, it
    /// closes. A request is answered under its own number.
    pub(crate) async fn answering(answers: Vec<Vec<Vec<u8>>>) -> Self {
        Self::start(move |stream, asked| serve(stream, asked, answers.clone())).await
    }

    /// Sends these bytes for the first request and goes on reading.
    pub(crate) async fn sending(bytes: Vec<u8>) -> Self {
        Self::start(move |mut stream, asked| {
            let bytes = bytes.clone();
            async move {
                note(&mut stream, &asked).await?;
                stream.write_all(&bytes).await.ok()?;
                while note(&mut stream, &asked).await.is_some() {}
                Some(())
            }
        })
        .await
    }

    /// Reads, and never says anything.
    pub(crate) async fn silent() -> Self {
        Self::sending(Vec::new()).await
    }

    async fn start<F: Future<Output = Option<()>> + Send + 'static>(
        serve: impl Fn(TcpStream, Arc<Mutex<Vec<Vec<u8>>>>) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let noted = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, noted.clone()));
            }
        });
        Self { port, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    /// Every request so far, as it came.
    pub(crate) fn asked(&self) -> Vec<Vec<u8>> {
        self.asked.lock().unwrap().clone()
    }

    /// Whether these bytes stood in a request.
    pub(crate) fn was_told(&self, bytes: &[u8]) -> bool {
        self.asked().iter().any(|request| request.windows(bytes.len()).any(|window| window == bytes))
    }
}

async fn serve(
    mut stream: TcpStream,
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
    answers: Vec<Vec<Vec<u8>>>,
) -> Option<()> {
    for operations in answers {
        let request = note(&mut stream, &asked).await?;
        // 30 length 02 01 number: requests here are short enough for one byte each.
        let number = request[request.iter().position(|&b| b == 2)? + 2];
        for operation in operations {
            let message = tlv(0x30, &[&[2, 1, number], operation.as_slice()].concat());
            stream.write_all(&message).await.ok()?;
        }
    }
    // The goodbye.
    note(&mut stream, &asked).await.map(|_| ())
}

/// Reads a request and notes it.
async fn note(stream: &mut TcpStream, asked: &Mutex<Vec<Vec<u8>>>) -> Option<Vec<u8>> {
    let mut request = vec![0; 2];
    stream.read_exact(&mut request).await.ok()?;
    let mut length = usize::from(request[1]);
    if length > 0x80 {
        let mut digits = vec![0; length - 0x80];
        stream.read_exact(&mut digits).await.ok()?;
        length = digits.iter().fold(0, |sum, &digit| sum * 256 + usize::from(digit));
        request.extend(digits);
    }
    let start = request.len();
    request.resize(start + length, 0);
    stream.read_exact(&mut request[start..]).await.ok()?;
    asked.lock().unwrap().push(request.clone());
    Some(request)
}

/// A value in BER.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length) if length < 0x80 => out.push(length),
        _ => {
            out.push(0x84);
            out.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
        }
    }
    out.extend(content);
    out
}

fn result(tag: u8, code: u8, text: &str) -> Vec<u8> {
    tlv(tag, &[vec![0x0a, 1, code, 4, 0], tlv(4, text.as_bytes())].concat())
}

/// An answer to a bind: the code and the text.
pub(crate) fn bind(code: u8, text: &str) -> Vec<Vec<u8>> {
    vec![result(0x61, code, text)]
}

/// An answer to StartTLS.
pub(crate) fn extended(code: u8) -> Vec<u8> {
    tlv(0x30, &[vec![2, 1, 1], result(0x78, code, "")].concat())
}

/// An answer to a search: what it finds, and the code.
pub(crate) fn search(found: Vec<Vec<u8>>, code: u8) -> Vec<Vec<u8>> {
    [found, vec![result(0x65, code, "")]].concat()
}

/// An entry.
pub(crate) fn entry(dn: &str, attributes: &[(&str, &[&str])]) -> Vec<u8> {
    let attributes: Vec<u8> = attributes
        .iter()
        .flat_map(|(name, values)| {
            let values: Vec<u8> = values.iter().flat_map(|value| tlv(4, value.as_bytes())).collect();
            tlv(0x30, &[tlv(4, name.as_bytes()), tlv(0x31, &values)].concat())
        })
        .collect();
    tlv(0x64, &[tlv(4, dn.as_bytes()), tlv(0x30, &attributes)].concat())
}

/// A reference to another directory.
pub(crate) fn reference(url: &str) -> Vec<u8> {
    tlv(0x73, &tlv(4, url.as_bytes()))
}
