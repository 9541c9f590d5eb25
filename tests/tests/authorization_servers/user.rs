//! A user without a browser: follows redirects, keeps cookies, fills in forms.

use std::collections::BTreeMap;

use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Method, Response};
use url::Url;

/// More steps than any flow has.
const STEPS: usize = 20;

/// What the user does at the pages.
#[derive(Clone, Debug)]
pub struct Manners {
    pub password: &'static str,
    /// Scopes that the user takes the tick away from.
    pub without: &'static [&'static str],
    pub declines: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self { password: "Welcome1", without: &[], declines: false }
    }
}

#[derive(Debug)]
pub struct User {
    http: reqwest::Client,
    /// By path and name.
    cookies: BTreeMap<(String, String), String>,
    manners: Manners,
}

impl User {
    pub fn new(manners: Manners) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { http, cookies: BTreeMap::new(), manners }
    }

    /// Goes through the pages from `url` on. Gives the address of `redirect` that the user was sent to, or the page
    /// without a form that came last, or that came after the user had declined.
    pub async fn visit(&mut self, url: &Url, redirect: &str) -> String {
        let (mut url, mut form, mut declined) = (url.clone(), None, false);
        for _ in 0..STEPS {
            let answer = self.request(&url, form.take()).await;
            if let Some(location) = answer.headers().get(LOCATION) {
                url = url.join(location.to_str().unwrap()).unwrap();
                if url.as_str().starts_with(redirect) {
                    return url.into();
                }
                continue;
            }
            let page = answer.text().await.unwrap();
            let Some(found) = Form::read(&page).filter(|_| !declined) else { return page };
            url = url.join(&found.action).unwrap();
            declined = self.manners.declines && url.path().starts_with("/interaction/");
            form = Some(self.fill_in(found));
        }
        panic!("no end after {STEPS} steps, at {url}");
    }

    async fn request(&mut self, url: &Url, form: Option<Vec<(String, String)>>) -> Response {
        let method = if form.is_some() { Method::POST } else { Method::GET };
        let mut request = self.http.request(method, url.clone());
        let mine = self.cookies.iter().filter(|((path, _), _)| url.path().starts_with(path.as_str()));
        let cookies: Vec<_> = mine.map(|((_, name), value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        if let Some(form) = form {
            let mut body = url::form_urlencoded::Serializer::new(String::new());
            body.extend_pairs(form);
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body.finish());
        }
        let answer = request.send().await.unwrap();
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let mut parts = cookie.to_str().unwrap().split(';').map(str::trim);
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let path = parts.find_map(|part| {
                let (name, value) = part.split_once('=')?;
                name.eq_ignore_ascii_case("path").then(|| value.to_owned())
            });
            self.cookies.insert((path.unwrap_or_else(|| "/".into()), name.to_owned()), value.to_owned());
        }
        answer
    }

    fn fill_in(&self, form: Form) -> Vec<(String, String)> {
        let mut fields = form.fields;
        for (name, value) in &mut fields {
            match name.as_str() {
                "login" => "jo".clone_into(value),
                "password" => self.manners.password.clone_into(value),
                _ => {}
            }
        }
        fields.retain(|(name, value)| name != "scope" || !self.manners.without.contains(&value.as_str()));
        if self.manners.declines {
            fields.push(("decline".into(), "1".into()));
        }
        fields
    }
}

/// A form of a page: its address, and its inputs as a browser would send them.
#[derive(Debug)]
struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

impl Form {
    fn read(page: &str) -> Option<Self> {
        let (_, rest) = page.split_once("<form")?;
        let (form, _) = rest.split_once("</form>")?;
        let (head, body) = form.split_once('>')?;
        let action = attribute(head, "action")?;
        let inputs =
            body.split("<input").skip(1).filter_map(|input| input.split_once('>').map(|(tag, _)| tag));
        let fields = inputs
            .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default())));
        Some(Self { action, fields: fields.collect() })
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0.replace("&amp;", "&"))
}
