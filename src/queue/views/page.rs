//! Pages of lists by key, in both directions. Every list is newest first, and insertions never make
//! it skip or repeat an item.

use std::fmt;
use std::str::FromStr;

use sqlx::{Postgres, QueryBuilder};

/// Where a page of a list begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// Items below this number: the next page.
    Older(i64),
    /// Items above this number: the previous page.
    Newer(i64),
}

/// The text is not a valid cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a cursor of this list: use a `next_cursor` or `prev_cursor` exactly as it was returned"
)]
pub struct UnknownCursor;

impl FromStr for Cursor {
    type Err = UnknownCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |digits: &str| digits.parse::<i64>().map_err(|_| UnknownCursor);
        match text.split_at_checked(1).ok_or(UnknownCursor)? {
            ("o", digits) => Ok(Self::Older(number(digits)?)),
            ("n", digits) => Ok(Self::Newer(number(digits)?)),
            _ => Err(UnknownCursor),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Older(number) => write!(f, "o{number}"),
            Self::Newer(number) => write!(f, "n{number}"),
        }
    }
}

/// Selects a part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The most items on the page.
    pub limit: i64,
    /// Where it begins; `None` is the newest page.
    pub cursor: Option<Cursor>,
}

impl Page {
    /// The page with the newest `limit` items.
    #[must_use]
    pub fn newest(limit: i64) -> Self {
        Self { limit, cursor: None }
    }

    /// Ends `query`, whose `WHERE` must be open, so that it returns one item more than the page
    /// holds. The extra item shows that there is a further page.
    pub(in crate::queue) fn end(&self, query: &mut QueryBuilder<Postgres>, column: &str) {
        let order = match self.cursor {
            Some(Cursor::Older(number)) => {
                query.push(" AND ").push(column).push(" < ").push_bind(number);
                " DESC"
            }
            Some(Cursor::Newer(number)) => {
                query.push(" AND ").push(column).push(" > ").push_bind(number);
                " ASC"
            }
            None => " DESC",
        };
        query.push(" ORDER BY ").push(column).push(order);
        query.push(" LIMIT ").push_bind(self.limit + 1);
    }
}

/// One page of a list, newest first.
#[derive(Debug, Clone)]
pub struct Listing<T> {
    /// The items on the page.
    pub items: Vec<T>,
    /// The cursor of the next, older page.
    pub next: Option<String>,
    /// The cursor of the newer page before it.
    pub prev: Option<String>,
}

impl<T> Listing<T> {
    /// Builds the page from the result of a query that [`Page::end`] ended.
    pub(in crate::queue) fn of(mut found: Vec<T>, page: &Page, number: impl Fn(&T) -> i64) -> Self {
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let backwards = matches!(page.cursor, Some(Cursor::Newer(_)));
        if backwards {
            found.reverse();
        }
        let (newer, older) = if backwards { (more, true) } else { (page.cursor.is_some(), more) };
        let first = found.first().map(&number).filter(|_| newer);
        let last = found.last().map(&number).filter(|_| older);
        Self {
            items: found,
            next: last.map(|n| Cursor::Older(n).to_string()),
            prev: first.map(|n| Cursor::Newer(n).to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_they_are_written() {
        for cursor in [Cursor::Older(41), Cursor::Newer(i64::MAX)] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "o", "41", "x41", "o4.1", "é1", "o99999999999999999999"] {
            assert_eq!(text.parse::<Cursor>(), Err(UnknownCursor), "{text}");
        }
    }

    #[test]
    fn a_page_knows_its_neighbours() {
        let at = |limit, cursor| Page { limit, cursor };
        let first = Listing::of(vec![9, 8, 7], &at(2, None), |n| *n);
        assert_eq!((first.items, first.next, first.prev), (vec![9, 8], Some("o8".into()), None));
        let last = Listing::of(vec![7, 6], &at(2, Some(Cursor::Older(8))), |n| *n);
        assert_eq!((last.items, last.next, last.prev), (vec![7, 6], None, Some("n7".into())));
        let back = Listing::of(vec![8, 9], &at(2, Some(Cursor::Newer(7))), |n| *n);
        assert_eq!((back.items, back.next, back.prev), (vec![9, 8], Some("o8".into()), None));
    }
}
