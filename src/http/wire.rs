//! One exchange over the wire: the only code that knows ureq.
//!
//! Apart so that the rules about retries and outcomes stand without a library in between. It
//! decides nothing; it tells what came back, or whether anything can have reached the other side.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{
    HeaderMap, HeaderName, HeaderValue, Method as WireMethod, Request as WireRequest, Response,
    Uri, header,
};
use ureq::{AsSendBody, Body, Proxy, ProxyProtocol, SendBody, Timeout};

use super::error::one_line;
use super::url::is_loopback;
use super::verdict::REFUSAL_BYTES;
use super::{Method, Request};
use crate::secret::Secret;

/// Idle connections kept per host: as many as threads ever talk to one vendor.
const IDLE_PER_HOST: usize = 8;
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The pool of connections, shared by all vendors; a clone shares it too. TLS is set up on first
/// use.
#[derive(Clone, Debug)]
pub struct Agent {
    pool: ureq::Agent,
    /// Hosts that are reached without the pool's proxy.
    except: Arc<[String]>,
}

/// Builds the agent.
pub fn agent(proxies: Proxies) -> Agent {
    Agent {
        pool: settings().proxy(proxies.proxy).build().into(),
        except: proxies.except.into(),
    }
}

/// By which proxy other machines are reached. This one never is by any.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    proxy: Option<Proxy>,
    /// Hosts that are reached without it, in lower case.
    except: Vec<String>,
}

impl Proxies {
    /// Reads a proxy's address, and a list of hosts as `NO_PROXY` has it: each stands for itself
    /// and what is below it, `*` for all. `None` if the address is none.
    pub fn parse(url: &str, except: &str) -> Option<Self> {
        let proxy = Proxy::new(url).ok()?;
        let usable = matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https);
        let except = except.split([',', ' ']).map(|host| {
            let host = host.trim().trim_start_matches("*.").trim_start_matches('.');
            host.to_ascii_lowercase()
        });
        let except = except.filter(|host| !host.is_empty()).collect();
        (usable && !proxy.host().is_empty()).then_some(Self {
            proxy: Some(proxy),
            except,
        })
    }
}

/// True for a host that is reached without a proxy.
fn is_direct(uri: &Uri, except: &[String]) -> bool {
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let with_port = format!("{host}:{}", uri.port_u16().unwrap_or(443));
    let fits = |rule: &String| {
        let below = host.strip_suffix(rule.as_str());
        rule == "*" || *rule == with_port || below.is_some_and(|b| b.is_empty() || b.ends_with('.'))
    };
    is_loopback(&host) || except.iter().any(fits)
}

/// No limit per read: Notion may think for 60 s before its first byte. The total of a call bounds
/// every stall.
fn settings() -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_resolve(Some(RESOLVE_LIMIT))
        .timeout_connect(Some(CONNECT_LIMIT))
        .max_idle_connections_per_host(IDLE_PER_HOST)
        .user_agent(concat!("quotion/", env!("CARGO_PKG_VERSION")))
        .accept("application/json")
        .accept_encoding("identity")
}

/// A request made ready once and sent as often as needed.
pub(super) struct Outgoing {
    method: WireMethod,
    uri: Uri,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl Outgoing {
    /// Makes a request ready; a header of the request replaces the vendor's of the same name. The
    /// message of a refusal names a header, never its value.
    pub(super) fn new(
        request: &Request,
        url: &str,
        vendor: &[(&'static str, Secret)],
    ) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        for (name, secret) in vendor {
            set(&mut headers, name, secret.expose())?;
        }
        for (name, value) in &request.headers {
            set(&mut headers, name, value)?;
        }
        let (method, takes_body) = match request.method {
            Method::Get => (WireMethod::GET, false),
            Method::Post => (WireMethod::POST, true),
            Method::Patch => (WireMethod::PATCH, true),
            Method::Delete => (WireMethod::DELETE, false),
        };
        let body = match &request.body {
            Some(value) => {
                headers.insert(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json"),
                );
                Some(
                    serde_json::to_vec(value)
                        .map_err(|err| format!("the body cannot be written: {err}"))?,
                )
            }
            None => takes_body.then(Vec::new),
        };
        if let Some(bytes) = &body {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        }
        let uri = url
            .parse()
            .map_err(|_| "the address is not a URL".to_owned())?;
        Ok(Self {
            method,
            uri,
            headers,
            body,
        })
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), String> {
    let refused = |_| format!("the value for header {name} has characters that cannot be sent");
    let mut value = HeaderValue::from_str(value).map_err(refused)?;
    value.set_sensitive(true);
    let name = HeaderName::try_from(name).map_err(|_| "a header has no proper name".to_owned())?;
    headers.insert(name, value);
    Ok(())
}

/// An answer whose head was read in full.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// What went wrong while the body was read; it then holds what arrived.
    pub(super) flaw: Option<Flaw>,
    headers: HeaderMap,
}

impl Received {
    /// A header's value, `None` if it is not printable ASCII.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Why a body is not whole.
#[derive(Debug)]
pub(super) enum Flaw {
    /// The connection broke or the time ran out; the text tells which.
    Cut(String),
    /// More bytes than allowed.
    TooLarge,
}

/// No answer came.
#[derive(Debug)]
pub(super) enum Broken {
    /// Certain: the request did not leave in full, so nothing can have been saved.
    Unsent(String),
    /// The other side could not show who it is, and will not be able to: nothing was sent.
    Untrusted(String),
    /// The request may have arrived.
    Sent(String),
}

/// What one exchange may take.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) time: Duration,
    pub(super) body_bytes: u64,
}

/// Sends a request and reads the whole answer, error bodies too, so that the connection can be used
/// again.
pub(super) fn exchange(
    agent: &Agent,
    outgoing: &Outgoing,
    limit: Limit,
) -> Result<Received, Broken> {
    let mut body = Watched {
        bytes: outgoing.body.as_deref().unwrap_or_default(),
        touched: false,
    };
    let outcome = match outgoing.body {
        Some(_) => run(
            agent,
            outgoing,
            SendBody::from_reader(&mut body),
            limit.time,
        ),
        None => run(agent, outgoing, (), limit.time),
    };
    match outcome {
        Ok(response) => Ok(receive(response, limit.body_bytes)),
        Err(err) if is_untrusted(&err) => Err(Broken::Untrusted(describe(&err))),
        Err(err) if precedes_sending(&err) || body.is_kept_back() => {
            Err(Broken::Unsent(describe(&err)))
        }
        Err(err) => Err(Broken::Sent(describe(&err))),
    }
}

fn run(
    agent: &Agent,
    outgoing: &Outgoing,
    body: impl AsSendBody,
    time: Duration,
) -> Result<Response<Body>, ureq::Error> {
    let mut request = WireRequest::new(body);
    *request.method_mut() = outgoing.method.clone();
    *request.uri_mut() = outgoing.uri.clone();
    *request.headers_mut() = outgoing.headers.clone();
    let direct = is_direct(request.uri(), &agent.except);
    let mut settings = agent
        .pool
        .configure_request(request)
        .timeout_global(Some(time));
    if direct {
        settings = settings.proxy(None);
    }
    agent.pool.run(settings.build())
}

fn receive(response: Response<Body>, limit: u64) -> Received {
    let (head, body) = response.into_parts();
    // Who refuses is brief.
    let limit = if head.status.as_u16() < 400 {
        limit
    } else {
        limit.min(REFUSAL_BYTES as u64)
    };
    let mut bytes = Vec::new();
    let flaw = match body
        .into_reader()
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
    {
        Ok(_) if bytes.len() as u64 > limit => Some(Flaw::TooLarge),
        Ok(_) => None,
        Err(err) => Some(Flaw::Cut(one_line(&err.to_string()))),
    };
    Received {
        status: head.status.as_u16(),
        body: bytes,
        flaw,
        headers: head.headers,
    }
}

/// A body that notes whether ureq began to take it. ureq asks for it only after it has connected,
/// and after the head of the request went out; a head whose announced body never follows saves
/// nothing anywhere.
struct Watched<'a> {
    bytes: &'a [u8],
    touched: bool,
}

impl Watched<'_> {
    /// True when there is a body and none of it went out.
    fn is_kept_back(&self) -> bool {
        !self.touched && !self.bytes.is_empty()
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.touched = true;
        self.bytes.read(buf)
    }
}

/// True for a certificate that does not do.
fn is_untrusted(err: &ureq::Error) -> bool {
    let ureq::Error::Io(io) = err else {
        return false;
    };
    let tls = io.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

/// Errors that arise before the first byte only; needed for requests without a body, and for no
/// others.
fn precedes_sending(err: &ureq::Error) -> bool {
    use ureq::Error as E;
    if let E::Io(io) = err {
        return io.kind() == io::ErrorKind::ConnectionRefused;
    }
    matches!(
        err,
        E::HostNotFound
            | E::Timeout(Timeout::Resolve | Timeout::Connect)
            | E::InvalidProxyUrl
            | E::ConnectProxyFailed(_)
            | E::ConnectionFailed
            | E::Tls(_)
            | E::TlsRequired
            | E::BadUri(_)
            | E::Http(_)
    )
}

/// The library's words, without the address some of them repeat.
fn describe(err: &ureq::Error) -> String {
    if let ureq::Error::Io(io) = err {
        return one_line(&io.to_string());
    }
    if matches!(err, ureq::Error::BadUri(_)) {
        return "the address is not a URL".to_owned();
    }
    one_line(&err.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_is_left_out_for_this_machine_and_for_the_hosts_named() {
        let proxies = Proxies::parse("http://proxy:3128", "a.com, .b.com *.c.com,d.com:8443");
        let except = proxies.expect("a proxy").except;
        let direct = |url: &str| is_direct(&url.parse().expect("uri"), &except);
        for url in [
            "http://127.0.0.1:1/x",
            "http://localhost/x",
            "https://[::1]/x",
            "https://A.com/x",
            "https://x.a.com/",
            "https://b.com/",
            "https://x.c.com/",
            "https://d.com:8443/",
        ] {
            assert!(direct(url), "{url}");
        }
        for url in [
            "https://xa.com/",
            "https://a.com.de/",
            "https://d.com/",
            "https://128.0.0.1/",
        ] {
            assert!(!direct(url), "{url}");
        }
        let all = Proxies::parse("proxy:3128", "*").expect("a proxy").except;
        assert!(is_direct(&Uri::from_static("https://e.com/"), &all));
        for bad in [
            "",
            "http://",
            "ftp://proxy",
            "socks5://proxy:1",
            "http://a b",
        ] {
            assert!(Proxies::parse(bad, "").is_none(), "{bad}");
        }
    }
}
