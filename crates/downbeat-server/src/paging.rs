//! Lists in pages: `per_page` and `page` of a request, and the header `Link` of its answer.
//!
//! A page goes on at a position of the list. Filters come first.

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderValue, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::IntoParams;

use crate::{AppState, Problem, Result, problem::short};

/// Items of a page when nothing is said, and at most.
const PER_PAGE: (usize, usize) = (50, 100);

/// The parameters, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described")]
pub(crate) struct Pages {
    /// Largest number of items to answer at once.
    #[param(value_type = Option<u32>, nullable = false, minimum = 1, maximum = 100, default = 50)]
    per_page: Option<String>,
    /// Token of the page, as the header `Link` of the page before has it.
    #[param(nullable = false)]
    page: Option<String>,
}

/// Which page of a list is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Paging {
    per_page: usize,
    first: usize,
    uri: Uri,
}

impl Paging {
    fn of(uri: &Uri) -> Result<Self> {
        let (mut per_page, mut first) = (PER_PAGE.0, 0);
        for (name, text) in parameters(uri).filter(|(_, text)| !text.is_empty()) {
            match name {
                "per_page" => {
                    let rule = format!("use a number from 1 to {}", PER_PAGE.1);
                    let number = text.parse().ok();
                    let number = number.filter(|number| (1..=PER_PAGE.1).contains(number));
                    per_page = number.ok_or_else(|| wrong(name, text, &rule))?;
                }
                "page" => {
                    let rule = "use the token of a header `Link`";
                    first = text.parse().map_err(|_| wrong(name, text, rule))?;
                }
                _ => {}
            }
        }
        Ok(Self { per_page, first, uri: uri.clone() })
    }

    /// The answer: these items of the list, and where the next ones are.
    pub(crate) fn answer<T: Serialize>(self, list: Vec<T>) -> Result<Response> {
        let next = self.first.saturating_add(self.per_page);
        let is_last = next >= list.len();
        let items: Vec<T> = list.into_iter().skip(self.first).take(self.per_page).collect();
        let mut response = Json(items).into_response();
        if !is_last {
            let others = parameters(&self.uri)
                .filter(|(name, _)| !matches!(*name, "per_page" | "page"))
                .map(|(name, value)| format!("&{name}={value}"));
            let (path, per_page) = (self.uri.path(), self.per_page);
            let others: String = others.collect();
            let link = format!("<{path}?per_page={per_page}&page={next}{others}>; rel=\"next\"");
            let link = HeaderValue::try_from(link).map_err(|error| Problem::internal(&error))?;
            response.headers_mut().insert(header::LINK, link);
        }
        Ok(response)
    }
}

impl FromRequestParts<AppState> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self> {
        Self::of(&parts.uri)
    }
}

/// The parameters of a query, encoded as they were sent.
fn parameters(uri: &Uri) -> impl Iterator<Item = (&str, &str)> {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn wrong(name: &str, found: &str, rule: &str) -> Problem {
    let found = short(found);
    Problem::invalid(format!("`{found}` is not valid as `{name}`: {rule}.")).at(name, rule)
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn page(uri: &str) -> (String, Option<String>) {
        let paging = Paging::of(&uri.parse().unwrap()).unwrap();
        let response = paging.answer((1..=5).collect()).unwrap();
        let link = response.headers().get(header::LINK);
        let link = link.map(|link| link.to_str().unwrap().to_owned());
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        (String::from_utf8(body.to_vec()).unwrap(), link)
    }

    #[tokio::test]
    async fn pages_follow_each_other() {
        let first = page("/a%2Fb?id=x%20y&per_page=2&&z").await;
        let link = "</a%2Fb?per_page=2&page=2&id=x%20y&z=>; rel=\"next\"";
        assert_eq!(first, ("[1,2]".to_owned(), Some(link.to_owned())));
        let second = page("/a%2Fb?per_page=2&page=2").await;
        assert_eq!(second.0, "[3,4]");
        assert_eq!(page("/a?per_page=2&page=4").await, ("[5]".to_owned(), None));
        assert_eq!(page("/a?per_page=&page=").await, ("[1,2,3,4,5]".to_owned(), None));
        assert_eq!(page("/a?per_page=5").await.1, None);
        assert_eq!(page("/a?page=99").await, ("[]".to_owned(), None));
        assert_eq!(page(&format!("/a?page={}", usize::MAX)).await, ("[]".to_owned(), None));
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for query in ["per_page=0", "per_page=101", "per_page=x", "page=-1", "page=%00"] {
            let uri = format!("/a?{query}").parse().unwrap();
            assert!(Paging::of(&uri).is_err(), "{query}");
        }
    }
}
