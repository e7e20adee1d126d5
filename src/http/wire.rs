//! The real wire: the only code that knows ureq.
//!
//! Apart so that the rules about retries and outcomes stand without a library in between. It
//! decides nothing; it tells what came back, or whether anything can have reached the other side.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::{
    HeaderMap, HeaderName, HeaderValue, Method as WireMethod, Request as WireRequest, Response,
    Uri, header,
};
use ureq::{AsSendBody, Body, Proxy, ProxyProtocol, SendBody, Timeout};

use super::error::one_line;
use super::exchange::{self, Flaw, Limit, NoAnswer, Outgoing, Received};
use super::url::is_loopback;
use super::{Method, Request};
use crate::secret::Secret;
use crate::time;

/// Idle connections kept per host: as many as threads ever talk to one vendor.
const IDLE_PER_HOST: usize = 8;
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The pool of connections; a clone shares it. TLS is set up on first use.
#[derive(Clone)]
pub(super) struct Pool {
    agent: ureq::Agent,
    /// Hosts that are reached without the agent's proxy.
    except: Arc<[String]>,
}

impl Pool {
    pub(super) fn new(proxies: Proxies) -> Self {
        Self {
            agent: settings().proxy(proxies.proxy).build().into(),
            except: proxies.except.into(),
        }
    }

    /// Sends a request and reads the whole answer, error bodies too, so that the connection can be
    /// used again.
    /// `ask` is asked once the connection is there and the head is out, before the body follows.
    pub(super) fn exchange<'a>(
        &self,
        prepared: &'a Prepared,
        ask: Option<&'a mut dyn FnMut() -> bool>,
        limit: Limit,
    ) -> Result<Received, NoAnswer> {
        let mut body = Watched {
            bytes: prepared.body.as_deref().unwrap_or_default(),
            touched: false,
            ask,
            allowed_at: None,
            withheld: false,
        };
        let outcome = match prepared.body {
            Some(_) => self.run(prepared, SendBody::from_reader(&mut body), limit.time),
            None => self.run(prepared, (), limit.time),
        };
        match outcome {
            Ok(response) => Ok(receive(response, limit.body_bytes)),
            Err(_) if body.withheld => Err(NoAnswer::Withheld),
            Err(err) if is_untrusted(&err) => Err(NoAnswer::Untrusted(describe(&err))),
            Err(err) if precedes_sending(&err) || body.is_kept_back() => {
                Err(NoAnswer::Unsent(describe(&err)))
            }
            Err(err) => Err(NoAnswer::Sent(describe(&err))),
        }
    }

    fn run(
        &self,
        prepared: &Prepared,
        body: impl AsSendBody,
        time: Duration,
    ) -> Result<Response<Body>, ureq::Error> {
        let mut request = WireRequest::new(body);
        *request.method_mut() = match prepared.method {
            Method::Get => WireMethod::GET,
            Method::Post => WireMethod::POST,
            Method::Patch => WireMethod::PATCH,
            Method::Delete => WireMethod::DELETE,
        };
        *request.uri_mut() = prepared.uri.clone();
        *request.headers_mut() = prepared.headers.clone();
        let direct = is_direct(request.uri(), &self.except);
        let mut settings = self
            .agent
            .configure_request(request)
            .timeout_global(Some(time));
        if direct {
            settings = settings.proxy(None);
        }
        self.agent.run(settings.build())
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
pub(super) struct Prepared {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl Prepared {
    /// Makes a request ready; a header of the request replaces the vendor's of the same name. The
    /// message of a refusal names a header, never its value.
    pub(super) fn new(
        request: &Request,
        url: &str,
        vendor: &[(&'static str, Secret)],
    ) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        for (name, secret) in vendor {
            let (name, mut value) = header_of(name, secret.expose())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        for (name, value) in &request.headers {
            let (name, value) = header_of(name, value)?;
            headers.insert(name, value);
        }
        let takes_body = match request.method {
            Method::Get | Method::Delete => false,
            Method::Post | Method::Patch => true,
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
            method: request.method,
            uri,
            headers,
            body,
        })
    }

    /// What is shown of it to a simulation.
    pub(super) fn outgoing(&self, time: Duration) -> Outgoing<'_> {
        let open = self
            .headers
            .iter()
            .filter(|(_, value)| !value.is_sensitive());
        Outgoing {
            method: self.method,
            url: self.uri.to_string(),
            headers: open
                .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
                .collect(),
            body: self.body.as_deref().unwrap_or_default(),
            time,
        }
    }
}

fn header_of(name: &'static str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let refused = |_| format!("the value for header {name} has characters that cannot be sent");
    let value = HeaderValue::from_str(value).map_err(refused)?;
    let name = HeaderName::try_from(name).map_err(|_| "a header has no proper name".to_owned())?;
    Ok((name, value))
}

fn receive(response: Response<Body>, body_bytes: u64) -> Received {
    let (head, body) = response.into_parts();
    let status = head.status.as_u16();
    let limit = exchange::limit(status, body_bytes);
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
    let headers = head.headers.iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    Received {
        status,
        headers: headers.collect(),
        body: bytes,
        flaw,
    }
}

/// How long a leave to send holds until the first byte.
const LEAVE: Duration = Duration::from_millis(100);
/// How long it may take from asking for leave to having it.
const ASKING: Duration = Duration::from_secs(5);
/// How often leave is asked for when it comes too late each time.
const ASKED: usize = 5;
/// How long all of a body may take to go out, from the leave on: then it is broken off.
pub const GOING_OUT: Duration = Duration::from_secs(5);

/// A body that notes whether ureq began to take it. ureq asks for it only after it has connected,
/// and after the head of the request went out; a head whose announced body never follows saves
/// nothing anywhere. So this is where leave is asked for: nothing lies between it and the body.
struct Watched<'a> {
    bytes: &'a [u8],
    touched: bool,
    /// Gives leave; `None` where none is needed.
    ask: Option<&'a mut dyn FnMut() -> bool>,
    allowed_at: Option<Instant>,
    withheld: bool,
}

impl Watched<'_> {
    /// True when there is a body and none of it went out.
    fn is_kept_back(&self) -> bool {
        !self.touched && !self.bytes.is_empty()
    }
}

impl Watched<'_> {
    /// Whether the body may begin, or go on: a process that was stopped meanwhile asks again, or
    /// breaks off.
    fn may_go(&mut self) -> bool {
        let Some(ask) = &mut self.ask else {
            return true;
        };
        if self.touched {
            let allowed_at = self.allowed_at;
            return allowed_at.is_some_and(|at| time::since(at) < GOING_OUT);
        }
        for _ in 0..ASKED {
            let asked_at = time::now();
            if !ask() {
                break;
            }
            let allowed_at = time::now();
            let took = allowed_at.saturating_duration_since(asked_at);
            if took < ASKING && time::since(allowed_at) < LEAVE {
                self.allowed_at = Some(allowed_at);
                return true;
            }
        }
        self.withheld = true;
        false
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.may_go() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "broken off"));
        }
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
    use crate::time::virtual_time::Virtual;

    const SECOND: Duration = Duration::from_secs(1);

    /// What becomes of a body whose leave takes so long each time, and how often it was asked for.
    fn asked(answers: &[(bool, Duration)]) -> (bool, bool, usize) {
        let _simulated = Virtual::new().install();
        let mut count = 0;
        let mut ask = || {
            let (may, takes) = answers[count.min(answers.len() - 1)];
            count += 1;
            time::sleep(takes);
            may
        };
        let mut body = watched(&mut ask);
        let goes = body.read(&mut [0; 2]).is_ok();
        let (withheld, kept_back) = (body.withheld, body.is_kept_back());
        assert_eq!((goes, withheld), (!kept_back, kept_back));
        time::sleep(5 * SECOND);
        let goes_on = body.read(&mut [0; 2]).is_ok();
        (goes, goes_on, count)
    }

    fn watched(ask: &mut dyn FnMut() -> bool) -> Watched<'_> {
        Watched {
            bytes: b"body",
            touched: false,
            ask: Some(ask),
            allowed_at: None,
            withheld: false,
        }
    }

    #[test]
    fn body_goes_out_only_right_after_its_leave_and_is_broken_off_when_it_stops() {
        assert_eq!(asked(&[(true, Duration::ZERO)]), (true, false, 1));
        assert!(!asked(&[(false, Duration::ZERO)]).0);
        let late = (true, 5 * SECOND);
        assert_eq!(
            asked(&[late, (true, SECOND)]),
            (true, false, 2),
            "asked again"
        );
        assert!(!asked(&[late, (false, Duration::ZERO)]).0);
        assert!(!asked(&[late]).0, "not for ever");
        let _simulated = Virtual::new().install();
        let mut may = || true;
        let mut body = watched(&mut may);
        assert_eq!(body.read(&mut [0; 2]).ok(), Some(2));
        time::sleep(4 * SECOND);
        assert_eq!(body.read(&mut [0; 2]).ok(), Some(2), "it goes on");
    }

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
